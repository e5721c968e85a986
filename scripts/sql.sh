#!/usr/bin/env bash
# SQL: the install script sql/vector_migrate--VERSION.sql, made of what the library declares (sql/main.rs).
# Promise: no cargo-pgrx is needed; the same code gives the same script, for every version of PostgreSQL.
#
#   sql.sh            writes it; whoever changes a function's SQL, sql/bootstrap.sql or sql/privileges.sql runs this
#   sql.sh --check    writes nothing; fails where the committed script is another one
. "$(dirname "$0")/lib.sh"
need_pg
cd "$ROOT"
script=sql/vector_migrate--$(extension_version).sql

build_extension
made=$(mktemp)
trap 'rm -f "$made"' EXIT
cargo run --quiet --release -p vector_migrate_sql -- "$LIBRARY" vector_migrate.control "$(extension_version)" >"$made"

case ${1:-} in
--check)
  diff -u "$script" "$made" >&2 || die "$script is not what the code declares" "run 'make sql' and commit it"
  say "$script is what the code declares"
  ;;
'')
  if cmp -s "$made" "$script"; then
    say "$script: no change"
  else
    cat "$made" >"$script"
    say "$script: written"
  fi
  ;;
*) die "usage: sql.sh [--check]" ;;
esac
