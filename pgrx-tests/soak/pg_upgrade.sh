#!/usr/bin/env bash
# Soak: pg_upgrade of a cluster with the extension, a ledger and migrated tables; then the ledger is whole and runs can be
# undone. Usage: OLD=/path/to/old/pg_config NEW=/path/to/new/pg_config pg_upgrade.sh
# Needs the extension and pgvector in both. Promise: works in a folder of its own, removed in every case; no TCP port.
. "$(dirname "$0")/../../scripts/lib.sh"

[ -n "${OLD:-}" ] && [ -n "${NEW:-}" ] || die "which two servers?" "OLD=/path/to/old/pg_config NEW=/path/to/new/pg_config"
for pg_config in "$OLD" "$NEW"; do
  [ -f "$("$pg_config" --sharedir)/extension/vector_migrate.control" ] ||
    die "the extension is not installed there: $pg_config" "make install PG_CONFIG=$pg_config"
done
old_bin=$("$OLD" --bindir) new_bin=$("$NEW" --bindir)
new_major=$("$NEW" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')

work=$(mktemp -d /tmp/vector_migrate_upgrade.XXXXXX)
running=
finish() {
  if [ -n "$running" ]; then as_server "$running/pg_ctl" -D "$work/${running_data:-old}" -m immediate -w stop >/dev/null 2>&1 || true; fi
  rm -rf "$work"
}
trap finish EXIT
cp -R "$ROOT/demo/store" "$work/store"
chmod -R a+rX "$work"
if is_root; then chown -R "$(server_user)" "$work"; fi

# start BINARIES DATA
start() {
  as_server "$1/pg_ctl" -D "$work/$2" -l "$work/$2.log" -w -s \
    -o "-c listen_addresses='' -c unix_socket_directories='$work' -c fsync=off" start </dev/null >/dev/null ||
    { tail -n 15 "$work/$2.log" >&2; die "the server of $2 does not start"; }
  running=$1 running_data=$2
}
stop() {
  as_server "$running/pg_ctl" -D "$work/$running_data" -m fast -w -s stop
  running=
}
# sql SQL: as the superuser; migrator SQL: as the role that migrates
sql() { "$new_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work" -U postgres -d app -c "$1"; }
migrator() {
  "$new_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work" -U migrator -d app -c "$1" 2>"$work/notices" ||
    die "$(grep -v NOTICE "$work/notices")" "$1"
}
same() { # same WHAT EXPECTED FOUND
  [ "$2" = "$3" ] || die "$1: expected" "$2" "and found" "$3"
  say "$1: $(printf %s "$3" | tr '\n' ' ')"
}

init() { # init BINARIES DATA [OPTIONS]
  as_server "$1/initdb" -D "$work/$2" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync "${@:3}" >"$work/$2.initdb" 2>&1 ||
    { cat "$work/$2.initdb" >&2; die "initdb failed"; }
}

say "old: $("$OLD" --version)"
init "$old_bin" old
start "$old_bin" old
"$new_bin/psql" -X -q -h "$work" -U postgres -d postgres -c 'CREATE DATABASE app' -c 'CREATE ROLE migrator LOGIN IN ROLE pg_read_server_files'
sql "CREATE EXTENSION vector_migrate CASCADE; GRANT CREATE ON SCHEMA public TO migrator;
     GRANT EXECUTE ON FUNCTION chroma_store, migrate_chroma(text, text, boolean, text, jsonb, text, text, text, text, text, text, boolean, text, text, text, text, text[], int, text, text, jsonb) TO migrator"
# Four runs: into new tables; another owner's records; an update of some; into a table of its own.
migrator "SELECT count(*) FROM migrate_chroma('$work/store', '1')"
migrator "SELECT count(*) FROM migrate_chroma('$work/store', embeddings => 'stored')"
migrator "UPDATE content_vectors SET title = 'changed' WHERE user_id = 2"
migrator "SELECT count(*) FROM migrate_chroma('$work/store', '2', on_conflict => 'update', embeddings => 'stored')"
migrator "SELECT count(*) FROM migrate_chroma('$work/store', target => 'other', entity_target => NULL, embeddings => 'stored')"
# The application changes a row of the last run.
migrator "UPDATE other SET summary = 'mine' WHERE id = (SELECT min(id) FROM other)"
state="SELECT md5(string_agg(t, ',' ORDER BY t)) FROM (
         SELECT c::text FROM content_vectors c UNION ALL SELECT e::text FROM entity_vectors e UNION ALL SELECT o::text FROM other o
         UNION ALL SELECT r::text FROM vector_migrate.runs r UNION ALL SELECT x::text FROM vector_migrate.run_errors x
         UNION ALL SELECT g::text FROM vector_migrate.run_targets g UNION ALL SELECT y::text FROM vector_migrate.run_rows y) t(t);
       SELECT target::text, count(*) FROM vector_migrate.run_rows GROUP BY 1 ORDER BY 1;
       SELECT oid::regprocedure::text, (SELECT array_agg(a::text ORDER BY 1) FROM unnest(proacl) a) FROM pg_proc
        WHERE proname IN ('migrate_chroma', 'embed_text', 'rollback_migration') ORDER BY 1;
       SELECT polrelid::regclass::text, pg_get_expr(polqual, polrelid) FROM pg_policy ORDER BY 1"
before=$(sql "$state")
users="SELECT user_id, count(*) FROM content_vectors GROUP BY 1 ORDER BY 1"
stop

say "new: $("$NEW" --version)"
checksums=()
[ "$new_major" -lt 18 ] || checksums=(--no-data-checksums)
init "$new_bin" new "${checksums[@]}"
(cd "$work" && as_server sh -c 'cd "$1" && shift && exec "$@"' sh "$work" "$new_bin/pg_upgrade" -U postgres \
  -b "$old_bin" -B "$new_bin" -d "$work/old" -D "$work/new" -s "$work") >"$work/upgrade.log" 2>&1 ||
  { tail -n 30 "$work/upgrade.log" >&2; find "$work/new/pg_upgrade_output.d" -name '*.log' -exec tail -n 5 {} + >&2 || true; die "pg_upgrade failed"; }
start "$new_bin" new
after=$(sql "$state")
[ "$before" = "$after" ] || { diff <(printf '%s\n' "$before") <(printf '%s\n' "$after") >&2 || true; die "tables, ledger or privileges differ after pg_upgrade"; }
say "tables, ledger, privileges and policies are as they were"

same "a second run finds everything" "288|0" \
  "$(migrator "SELECT sum(skipped) FILTER (WHERE user_id IS NOT NULL), sum(migrated) FROM migrate_chroma('$work/store', embeddings => 'stored')")"
same "run 4 is undone but for the row that the application has changed" "other|287|0|1" \
  "$(migrator "SELECT target, removed, restored, kept FROM rollback_migration(4)")"
same "run 3 puts back what it has overwritten" "content_vectors|0|77|0" \
  "$(migrator "SELECT target, removed, restored, kept FROM rollback_migration(3) WHERE target = 'content_vectors'")"
same "titles are the application's again" 77 "$(sql "SELECT count(*) FROM content_vectors WHERE title = 'changed'")"
same "runs 2 and 1 are undone; rows that the application has changed are kept" "content_vectors|136|0|77
content_vectors|75|0|0" \
  "$(migrator "SELECT target, removed, restored, kept FROM rollback_migration(2) WHERE target = 'content_vectors'
               UNION ALL SELECT target, removed, restored, kept FROM rollback_migration(1) WHERE target = 'content_vectors'")"
same "what is left" "2|77" "$(sql "$users")"
stop
say "pg_upgrade: passed"
