#!/usr/bin/env bash
# Install: the extension into PG_CONFIG's PostgreSQL, with ONNX Runtime and the text model beside it. Plain cargo builds it; the
# install script is the committed one (scripts/sql.sh).
# Promise: what is already identical is not copied again; sessions that use the old files keep them (place.sh);
# `make uninstall` removes all of it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/place.sh"
need_pg
umask 022
cd "$ROOT"

libdir=$("$PG_CONFIG" --pkglibdir) sharedir=$("$PG_CONFIG" --sharedir)
for dir in "$libdir" "$sharedir" "$sharedir/extension"; do
  [ -w "$dir" ] || [ -n "$SUDO" ] || die "$dir is not writable for $(id -un)" \
    "run 'make install' as root or with SUDO=sudo, or name a PostgreSQL of your own: PG_CONFIG=/path/to/pg_config"
done

version=$(extension_version)
[ -f "sql/vector_migrate--$version.sql" ] || die "there is no sql/vector_migrate--$version.sql" "run 'make sql'"

say "extension: building for PostgreSQL $PG_MAJOR"
build_extension

# What is installed keeps its symbols: a crash's backtrace names functions. Its line tables, four fifths of the size, stay in the
# file that cargo has built, which has the same build id: addr2line and gdb find the lines there (-e, or symbol-file).
staged=$ROOT/target/install
mkdir -p "$staged"
strip --strip-debug -o "$staged/vector_migrate.so" "$LIBRARY"
sed "s/@CARGO_VERSION@/$version/" vector_migrate.control >"$staged/vector_migrate.control"

say "extension: installing"
put "$staged/vector_migrate.so" "$libdir/vector_migrate.so"
for script in "sql/vector_migrate--$version.sql" sql/vector_migrate--*--*.sql; do # the latter bring older versions up to date
  [ ! -f "$script" ] || put "$script" "$sharedir/extension/$(basename "$script")"
done
put "$staged/vector_migrate.control" "$sharedir/extension/vector_migrate.control"
$SUDO mkdir -p "$libdir/vector_migrate" "$sharedir/vector_migrate"
$SUDO chmod 755 "$libdir/vector_migrate" "$sharedir/vector_migrate"
put "$ORT_LIB" "$libdir/vector_migrate/libonnxruntime.so"
put "$MODEL_DIR" "$sharedir/vector_migrate/model"
say "installed: CREATE EXTENSION vector_migrate CASCADE"
