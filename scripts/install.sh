#!/usr/bin/env bash
# Install: the extension into PG_CONFIG's PostgreSQL, with ONNX Runtime and the text model beside it.
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

say "extension: building for PostgreSQL $PG_MAJOR and installing (cargo pgrx install --release)"
cargo pgrx install -p vector_migrate -c "$PG_CONFIG" --release --no-default-features --features "pg$PG_MAJOR" ${SUDO:+--sudo}

$SUDO mkdir -p "$libdir/vector_migrate" "$sharedir/vector_migrate"
$SUDO chmod 755 "$libdir/vector_migrate" "$sharedir/vector_migrate"
put "$ORT_LIB" "$libdir/vector_migrate/libonnxruntime.so"
put "$MODEL_DIR" "$sharedir/vector_migrate/model"
say "installed: CREATE EXTENSION vector_migrate CASCADE"
