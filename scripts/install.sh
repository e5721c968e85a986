#!/usr/bin/env bash
# Install: the extension into PG_CONFIG's PostgreSQL, with ONNX Runtime and the text model beside it.
# Promise: what is already identical is not copied again; `make uninstall` removes all of it.
. "$(dirname "$0")/lib.sh"
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

# put FROM TO: a file or a folder, whole or not at all; a server that has the old file open keeps it.
put() {
  if diff -rq "$1" "$2" >/dev/null 2>&1; then return 0; fi
  say "copying $(basename "$1") to $2"
  $SUDO rm -rf "$2.new"
  $SUDO cp -R "$1" "$2.new"
  $SUDO chmod -R u=rwX,go=rX "$2.new"
  $SUDO rm -rf "$2"
  $SUDO mv "$2.new" "$2"
}

$SUDO mkdir -p "$libdir/vector_migrate" "$sharedir/vector_migrate"
$SUDO chmod 755 "$libdir/vector_migrate" "$sharedir/vector_migrate"
put "$ORT_LIB" "$libdir/vector_migrate/libonnxruntime.so"
put "$MODEL_DIR" "$sharedir/vector_migrate/model"
say "installed: CREATE EXTENSION vector_migrate CASCADE"
