#!/usr/bin/env bash
# Soak: an imported vector index after a crash right after the commit, on a standby, and with wal_level = minimal: the same
# pages, no problem in the walk, the same answers. Usage: [STORE=/path/to/store COLLECTION=name OPERATOR='<=>'] index_crash.sh
# Promise: works in a folder of its own, removed in every case; no TCP port.
. "$(dirname "$0")/../../scripts/lib.sh"
need_pg

store=${STORE:-$ROOT/pgrx-tests/fixtures/graphs/spaces} collection=${COLLECTION:-euclidean} operator=${OPERATOR:-<->}
[ -f "$store/chroma.sqlite3" ] || die "no store at $store"
work=$(mktemp -d /tmp/vector_migrate_crash.XXXXXX)
finish() {
  local data
  for data in primary standby minimal; do
    as_server "$PG_BIN/pg_ctl" -D "$work/$data" -m immediate -s stop >/dev/null 2>&1 || true
  done
  rm -rf "$work"
}
trap finish EXIT
cp -R "$store" "$work/store"
chmod -R a+rX "$work"
if is_root; then chown -R "$(server_user)" "$work"; fi

init() { # init DATA
  as_server "$PG_BIN/initdb" -D "$work/$1" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync >"$work/$1.initdb" 2>&1 ||
    { cat "$work/$1.initdb" >&2; die "initdb failed"; }
}
start() { # start DATA [OPTIONS]: the socket is named by the port, 5432 or that of the standby
  as_server "$PG_BIN/pg_ctl" -D "$work/$1" -l "$work/$1.log" -w -s \
    -o "-c listen_addresses='' -c unix_socket_directories='$work' -c shared_buffers=32MB ${*:2}" start </dev/null >/dev/null ||
    { tail -n 15 "$work/$1.log" >&2; die "the server of $1 does not start"; }
}
stop() { as_server "$PG_BIN/pg_ctl" -D "$work/$1" -m "${2:-fast}" -w -s stop; }
sql() { # sql SQL [PORT]
  "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work" -p "${2:-5432}" -U postgres -d postgres -c "$1" 2>"$work/notices" ||
    die "$(grep -v NOTICE "$work/notices")" "$1"
}
# kill9 DATA: the postmaster, without a warning. Its processes end when they see that it is gone; the folder is free then.
kill9() {
  as_server kill -9 "$(as_server sed -n 1p "$work/$1/postmaster.pid")"
  while in_use "$work/$1"; do sleep 0.1; done
  # Where nobody collects the dead, their number still looks alive.
  as_server rm -f "$work/$1/postmaster.pid" "$work"/.s.PGSQL.*.lock
}
in_use() {
  local pid
  for pid in $(pgrep postgres); do
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" != "$1" ] || return 0
  done
  return 1
}
same() { # same WHAT EXPECTED FOUND
  [ "$2" = "$3" ] || die "$1: expected" "$2" "and found" "$3"
  say "$1: $(printf %s "$3" | tr '\n' ' ' | cut -c1-120)"
}

index=content_vectors_embedding_idx
migrate="SELECT sum(migrated) FROM migrate_chroma('$work/store', collection => '$collection', orphans => 'keep', embeddings => 'stored', index => 'import')"
# Everything that tells one index from another: pages but for LSN and checksum, answers to a hundred queries.
pages="SELECT md5(string_agg(md5(substr(get_raw_page('$index', b::int), 11)), '' ORDER BY b))
         FROM generate_series(0, pg_relation_size('$index') / 8192 - 1) b"
answers="SET enable_seqscan = off; SET enable_sort = off;
  SELECT md5(string_agg(a, ',' ORDER BY q)) FROM (
    SELECT q.id AS q, (SELECT string_agg(r.id, ' ') FROM (
        SELECT id FROM content_vectors v ORDER BY v.embedding $operator q.embedding LIMIT 10) r) AS a
      FROM (SELECT id, embedding FROM content_vectors ORDER BY id LIMIT 100) q) x"
# A vector without a length has no place in an index for cosine.
walk="SELECT rows = (SELECT count(*) FROM content_vectors WHERE '$operator' <> '<=>' OR vector_norm(embedding) > 0), unreachable, problems FROM check_vector_index('$index')"

say "crash right after the commit"
init primary
start primary -c wal_level=replica
sql "CREATE EXTENSION vector_migrate CASCADE; CREATE EXTENSION pageinspect; CREATE ROLE replicator REPLICATION LOGIN"
IFS='|' read -r records dimensions space < <(sql "SELECT records, dimension, space FROM chroma_collections('$work/store') WHERE collection = '$collection'")
case $space in l2) class=vector_l2_ops ;; ip) class=vector_ip_ops ;; *) class=vector_cosine_ops ;; esac
sql "CREATE UNLOGGED TABLE gone (id text PRIMARY KEY, user_id bigint, title text NOT NULL, full_content jsonb NOT NULL,
       searchable_text text NOT NULL, embedding vector($dimensions));
     CREATE INDEX gone_index ON gone USING hnsw (embedding $class)"
sql "${migrate/collection =>/target => \'gone\', entity_target => NULL, collection =>}" >/dev/null
same "an unlogged table's index" "$records|0" "$(sql "SELECT rows, problems FROM check_vector_index('gone_index')")"
sql CHECKPOINT
rows=$(sql "$migrate")
kill9 primary
start primary -c wal_level=replica
grep -q "redo done" "$work/primary.log" || die "the server did not recover from its log"
same "rows" "$rows" "$(sql "SELECT count(*) FROM content_vectors")"
same "the walk after recovery" "t|0|0" "$(sql "$walk")"
same "how the index came" imported "$(sql "SELECT index_way FROM vector_migrate.runs ORDER BY run_id DESC LIMIT 1")"
same "the unlogged table's index after recovery" "0|0" "$(sql "SELECT rows, problems FROM check_vector_index('gone_index')")"
sql "${migrate/collection =>/target => \'gone\', entity_target => NULL, collection =>}" >/dev/null
same "it is filled again" "$records|0|imported" \
  "$(sql "SELECT rows, problems, (SELECT index_way FROM vector_migrate.runs ORDER BY run_id DESC LIMIT 1) FROM check_vector_index('gone_index')")"
want_pages=$(sql "$pages") want_answers=$(sql "$answers")

say "a standby that replays the import"
sql "DROP TABLE content_vectors, entity_vectors, gone; DELETE FROM vector_migrate.runs"
as_server "$PG_BIN/pg_basebackup" -D "$work/standby" -h "$work" -U replicator -R -c fast >/dev/null
start standby -c port=5433 -c hot_standby=on
sql "$migrate" >/dev/null
sql "DELETE FROM content_vectors WHERE hashtext(id) % 50 = 0"
sql "VACUUM content_vectors"
lsn=$(sql "SELECT pg_current_wal_lsn()")
until [ "$(sql "SELECT pg_last_wal_replay_lsn() >= '$lsn'" 5433)" = t ]; do sleep 0.1; done
same "the standby's pages" "$(sql "$pages")" "$(sql "$pages" 5433)"
same "the standby's answers" "$(sql "$answers")" "$(sql "$answers" 5433)"
stop standby
stop primary

say "wal_level = minimal: the file is synced, not logged"
init minimal
start minimal -c wal_level=minimal -c max_wal_senders=0 -c wal_skip_threshold=0
sql "CREATE EXTENSION vector_migrate CASCADE; CREATE EXTENSION pageinspect"
before=$(sql "SELECT pg_current_wal_lsn()")
sql "$migrate" >/dev/null
logged=$(sql "SELECT pg_current_wal_lsn() - '$before' < pg_relation_size('$index')")
same "the index is not in the log" t "$logged"
kill9 minimal
start minimal -c wal_level=minimal -c max_wal_senders=0
same "the walk after recovery" "t|0|0" "$(sql "$walk")"
same "pages as on the first server" "$want_pages" "$(sql "$pages")"
same "answers as on the first server" "$want_answers" "$(sql "$answers")"
stop minimal
say "index_crash: passed"
