#!/usr/bin/env bash
# Lint: formatting and clippy over all three packages, warnings are errors. Needs what `make setup` installs.
. "$(dirname "$0")/lib.sh"
need_pg
cd "$ROOT"

say "cargo fmt --check"
cargo fmt --all --check
say "cargo clippy: core and tests"
cargo clippy -p vector_migrate_core -p vector_migrate_tests --features vector_migrate_core/onnx --all-targets -- -D warnings
say "cargo clippy: the extension, pg$PG_MAJOR"
cargo clippy -p vector_migrate --no-default-features --features "pg$PG_MAJOR" -- -D warnings
