#!/usr/bin/env bash
# Lint: formatting and clippy over all packages, warnings are errors; the committed install script is what the code declares;
# pgspot over it, which finds names that others could shadow. Needs what `make setup` installs.
. "$(dirname "$0")/lib.sh"
need_pg
cd "$ROOT"

say "cargo fmt --check"
cargo fmt --all --check
say "cargo clippy: core, tests and the script's generator"
cargo clippy -p vector_migrate_core -p vector_migrate_sql -p vector_migrate_tests --features vector_migrate_core/onnx --all-targets -- -D warnings
say "cargo clippy: the extension, pg$PG_MAJOR"
cargo clippy -p vector_migrate --no-default-features --features "pg$PG_MAJOR" -- -D warnings
say "the install script: what the code declares"
scripts/sql.sh --check
say "pgspot: the install script"
"$VENV/bin/pgspot" "sql/vector_migrate--$(extension_version).sql"
