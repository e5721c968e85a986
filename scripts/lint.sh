#!/usr/bin/env bash
# Lint: formatting and clippy over all three packages, warnings are errors; pgspot over the extension's SQL, which finds names
# that others could shadow. Needs what `make setup` installs.
. "$(dirname "$0")/lib.sh"
need_pg
cd "$ROOT"

say "cargo fmt --check"
cargo fmt --all --check
say "cargo clippy: core and tests"
cargo clippy -p vector_migrate_core -p vector_migrate_tests --features vector_migrate_core/onnx --all-targets -- -D warnings
say "cargo clippy: the extension, pg$PG_MAJOR"
cargo clippy -p vector_migrate --no-default-features --features "pg$PG_MAJOR" -- -D warnings
say "pgspot: the install script"
schema=$(mktemp)
trap 'rm -f "$schema"' EXIT
cargo pgrx schema -p vector_migrate -c "$PG_CONFIG" --release --no-default-features --features "pg$PG_MAJOR" \
  --out "$schema" "pg$PG_MAJOR"
[ -s "$schema" ] || die "cargo pgrx schema has written nothing"
"$VENV/bin/pgspot" "$schema"
