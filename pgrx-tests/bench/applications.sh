#!/usr/bin/env bash
# Bench: Open WebUI's chunks into its table of 1,536 dimensions, against INSERT ... SELECT over chroma_records of the same rows.
# Promise: both take turns on a private server, into the same table with its indexes; figures are medians; the server is stopped
# and its data removed in every case.
#
#   CHUNKS=20000     records, in collections of 50
#   DIM=384          dimensions of the model
#   ROUNDS=5         how often each is measured
#   BENCH_DIR=       where the store is kept (default: target/bench)
#
# Needs the installed extension, and the first time python3.11 and the Python package index.
. "$(dirname "$0")/../../scripts/lib.sh"
here=$ROOT/pgrx-tests/bench
cluster=$ROOT/scripts/cluster.sh
ROUNDS=${ROUNDS:-5} CHUNKS=${CHUNKS:-20000} DIM=${DIM:-384}
for number in "$ROUNDS" "$CHUNKS" "$DIM"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || die "ROUNDS, CHUNKS and DIM are numbers from 1 on"
done
mkdir -p "${BENCH_DIR:=$ROOT/target/bench}"
BENCH_DIR=$(realpath "$BENCH_DIR")
export ANONYMIZED_TELEMETRY=False PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC
need_pg

. "$here/python.sh"
store=$BENCH_DIR/chunks-${CHUNKS}x$DIM
if [ ! -e "$store.whole" ]; then
  say "store: writing $CHUNKS chunks into $store"
  rm -rf "$store"
  "$python" "$here/make_chunks.py" "$store" "$CHUNKS" "$DIM"
  touch "$store.whole"
fi

trap '"$cluster" destroy applications >/dev/null' EXIT
trap 'exit 130' INT TERM
CLUSTER_OPTIONS="-c shared_buffers=512MB -c max_wal_size=4GB -c autovacuum=off -c vector_migrate.check_model=off" \
  "$cluster" start applications
path=$("$cluster" scratch applications)/store
cp -R "$store" "$path"
chmod -R a+rX "$path"
psql() { "$cluster" psql applications -X -q -At -d postgres -c 'SET client_min_messages = error' "$@"; }
psql -c 'CREATE EXTENSION vector_migrate CASCADE'

# timed STATEMENT: its seconds.
timed() {
  psql -c CHECKPOINT -c '\timing on' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 1 |
    awk '{ printf "%.2f\n", $1 / 1000 }'
}
median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.2f", a[int((NR + 1) / 2)] }'; }
table="DROP TABLE IF EXISTS document_chunk;
CREATE TABLE document_chunk (id text PRIMARY KEY, vector vector(1536), collection_name text NOT NULL, text text, vmetadata jsonb);
CREATE INDEX ON document_chunk (collection_name);
CREATE INDEX ON document_chunk USING gin (to_tsvector('simple', coalesce(text, '')))"
insert="INSERT INTO document_chunk (id, vector, collection_name, text, vmetadata)
SELECT r.id, (r.embedding || array_fill(0::real, ARRAY[1536 - cardinality(r.embedding)]))::vector, r.collection, r.document,
       coalesce(r.metadata, '{}')
  FROM chroma_records('$path') r WHERE r.embedding IS NOT NULL ON CONFLICT (id) DO NOTHING"

declare -A seconds
for ((round = 1; round <= ROUNDS; round++)); do
  order="migrate insert"
  if ((round % 2 == 0)); then order="insert migrate"; fi
  for what in $order; do
    psql -c "$table"
    case $what in
    migrate) sql="SELECT count(*) FROM migrate_chroma('$path', target => 'document_chunk')" ;;
    insert) sql=$insert ;;
    esac
    one=$(timed "$sql")
    rows=$(psql -c 'SELECT count(*) FROM document_chunk')
    [ "$rows" = "$CHUNKS" ] || die "$what put $rows rows in, not $CHUNKS"
    say "round $round of $ROUNDS: $what $one s"
    seconds[$what]+="$one"$'\n'
  done
done
migrate=$(printf '%s' "${seconds[migrate]}" | median) insert=$(printf '%s' "${seconds[insert]}" | median)
cat <<END

$CHUNKS chunks of $DIM dimensions into document_chunk with vector(1536) and its indexes, median of $ROUNDS

                                              seconds  of INSERT
INSERT ... SELECT over chroma_records           $insert
migrate_chroma                                  $migrate        $(awk -v a="$migrate" -v b="$insert" 'BEGIN { printf "%.2f", a / b }')
END
