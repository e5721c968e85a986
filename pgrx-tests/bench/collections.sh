#!/usr/bin/env bash
# Bench: a store of very many small collections of two dimensions, in one call, against chroma_records, which only reads it.
# Promise: both take turns on a private server; figures are medians; the server is stopped and its data removed in every case.
#
#   COLLECTIONS=1362 collections, one in ten of them empty
#   ROUNDS=5         how often each is measured
#   BENCH_DIR=       where the store is kept (default: target/bench)
#
# Needs the installed extension, and the first time python3.11 and the Python package index.
. "$(dirname "$0")/../../scripts/lib.sh"
here=$ROOT/pgrx-tests/bench
cluster=$ROOT/scripts/cluster.sh
ROUNDS=${ROUNDS:-5} COLLECTIONS=${COLLECTIONS:-1362}
[[ $ROUNDS =~ ^[1-9][0-9]*$ && $COLLECTIONS =~ ^[1-9][0-9]*$ ]] || die "ROUNDS and COLLECTIONS are numbers from 1 on"
mkdir -p "${BENCH_DIR:=$ROOT/target/bench}"
BENCH_DIR=$(realpath "$BENCH_DIR")
export ANONYMIZED_TELEMETRY=False PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC
need_pg

. "$here/python.sh"
store=$BENCH_DIR/collections-$COLLECTIONS
if [ ! -e "$store.whole" ]; then
  say "store: writing $COLLECTIONS collections into $store"
  rm -rf "$store"
  "$python" "$here/make_collections.py" "$store" "$COLLECTIONS"
  touch "$store.whole"
fi

trap '"$cluster" destroy collections >/dev/null' EXIT
trap 'exit 130' INT TERM
"$cluster" start collections
path=$("$cluster" scratch collections)/store
cp -R "$store" "$path"
chmod -R a+rX "$path"
psql() { "$cluster" psql collections -X -q -At -d postgres -c 'SET client_min_messages = error' "$@"; }
psql -c 'CREATE EXTENSION vector_migrate CASCADE'

# timed STATEMENT: its seconds, in a session that has the model: a run compares a few of its vectors with the model's.
timed() {
  psql -c "SELECT FROM embed_text('warm')" -c '\timing on' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | awk '{ printf "%.2f\n", $1 / 1000 }'
}
median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.2f", a[int((NR + 1) / 2)] }'; }

declare -A seconds
for ((round = 1; round <= ROUNDS; round++)); do
  for what in records none built; do
    case $what in
    records) sql="SELECT count(*), sum(length(document)), sum(cardinality(embedding)) FROM chroma_records('$path')" ;;
    none) sql="SELECT count(*) FROM migrate_chroma('$path', index => 'none')" ;;
    built) sql="SELECT count(*) FROM migrate_chroma('$path')" ;;
    esac
    one=$(timed "$sql")
    say "round $round of $ROUNDS: $what $one s"
    seconds[$what]+="$one"$'\n'
    psql -c 'DROP TABLE IF EXISTS entity_vectors_384, entity_vectors_1024, content_vectors_384, content_vectors_1024'
  done
done
for what in records none built; do
  declare "$what=$(printf '%s' "${seconds[$what]}" | median)"
done
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
# shellcheck disable=SC2154 # set by declare
cat <<END

$COLLECTIONS collections, $(psql -c "SELECT count(*) FILTER (WHERE records > 0) || ' filled, ' || sum(records) || ' records' FROM chroma_collections('$path')")

                                                    seconds  of reading
chroma_records, counted                                $records
migrate_chroma into two new tables, index => 'none'    $none        $(ratio "$none" "$records")
migrate_chroma into two new tables                     $built        $(ratio "$built" "$records")
END
