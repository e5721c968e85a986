#!/usr/bin/env bash
# Uninstall: takes away what install.sh put into PG_CONFIG's PostgreSQL.
# Promise: removes only files named vector_migrate, and what an interrupted install has left beside them (place.sh);
# databases, pgvector and target/ stay as they are.
. "$(dirname "$0")/lib.sh"
need_pg

libdir=$("$PG_CONFIG" --pkglibdir) sharedir=$("$PG_CONFIG" --sharedir)
for dir in "$libdir" "$sharedir" "$sharedir/extension"; do
  [ -w "$dir" ] || [ -n "$SUDO" ] || die "$dir is not writable for $(id -un)" "run 'make uninstall' as root or with SUDO=sudo"
done
for file in "$libdir/vector_migrate.so" "$sharedir/extension/vector_migrate.control" "$sharedir"/extension/vector_migrate--*.sql; do
  $SUDO rm -f "$file" "$file.install-new" "$file.install-old"
done
$SUDO rm -f "$sharedir"/extension/vector_migrate--*.sql.install-new # of a first install
$SUDO rm -rf "$libdir/vector_migrate" "$sharedir/vector_migrate"
say "uninstalled from PostgreSQL $PG_MAJOR ($PG_CONFIG)"
