#!/usr/bin/env bash
# Bench: migrate_chroma against COPY of the same rows, against Python, and stage by stage; the vector index imported
# against built; on a private server.
# Promise: the stores are written once and kept; the server is stopped and its data removed in every case.
#
#   N=100000         records in the store; also 1000000 (writing that store takes about half an hour)
#   DIM=384          dimensions
#   SPACE=cosine     cosine, l2 or ip
#   ROUNDS=5         how often each step is measured (0: only the index)
#   PYTHON_ROUNDS=   how often the Python route is (default: as ROUNDS, but 2 for more than 200,000 records)
#   INDEX=1          how often each way to the vector index is measured (0: not at all)
#   VECTORS=         of which kinds of vectors (default: clustered random)
#   INDEX_BEFORE=    1: also, once, a build with the server's default memory, which takes ten times as long
#   BENCH_DIR=       where stores and results are kept (default: target/bench)
#
# Needs the installed extension, cargo, python3.11 and, the first time, the Python package index.
. "$(dirname "$0")/../../scripts/lib.sh"
need_pg

here=$ROOT/pgrx-tests/bench
cluster=$ROOT/scripts/cluster.sh
export N=${N:-100000} DIM=${DIM:-384} SPACE=${SPACE:-cosine} ROUNDS=${ROUNDS:-5} INDEX=${INDEX:-1}
export VECTORS=${VECTORS:-clustered random} INDEX_BEFORE=${INDEX_BEFORE:-0}
if [ "$N" -gt 200000 ]; then few=2; else few=$ROUNDS; fi
export PYTHON_ROUNDS=${PYTHON_ROUNDS:-$few}
mkdir -p "${BENCH_DIR:=$ROOT/target/bench}"
BENCH_DIR=$(realpath "$BENCH_DIR")
STORE=$BENCH_DIR/store-${N}x$DIM-$SPACE
SQLITE_ONLY=$STORE.sqlite
STAGES=${CARGO_TARGET_DIR:-$ROOT/target}/release/examples/bench_stages
export BENCH_DIR STORE SQLITE_ONLY STAGES
export ANONYMIZED_TELEMETRY=False PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC
for number in "$N" "$DIM"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || die "N and DIM are numbers from 1 on, not $number"
done
for number in "$ROUNDS" "$PYTHON_ROUNDS" "$INDEX"; do
  [[ $number =~ ^[0-9]+$ ]] || die "ROUNDS, PYTHON_ROUNDS and INDEX are numbers, not $number"
done

exec 9>"$BENCH_DIR/lock"
flock -n 9 || die "another benchmark is running"

. "$here/python.sh"

# store FOLDER EFFORT VECTORS: written if it is not there.
store() {
  # Made last: a store without it is not finished, and is gone on with.
  if [ ! -e "$1.complete" ]; then
    say "store: $1, $N records of $DIM dimensions"
    "$python" "$here/make_store.py" "$1" "$N" "$DIM" "$SPACE" "$2" "$3"
    chmod -R a+rX "$1"
    touch "$1.complete"
  fi
  [ -z "$(as_server find "$1" ! -readable 2>&1 | sed -n 1p)" ] ||
    die "the server's OS user $(server_user) cannot read $1" "keep the stores elsewhere: BENCH_DIR=/var/tmp/bench"
}

# Nothing that is measured in this store searches its graph, or uses it: a million records would take hours with 100.
if [ "$ROUNDS" -gt 0 ]; then
  store "$STORE" 16 clustered
  mkdir -p "$SQLITE_ONLY"
  ln -f "$STORE/chroma.sqlite3" "$SQLITE_ONLY/chroma.sqlite3"
  say "stages: building"
  cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" -p vector_migrate_core --example bench_stages
fi
# These have the graph that an index is made of: Chroma's default effort.
if [ "$INDEX" -gt 0 ]; then
  for kind in $VECTORS; do
    store "$STORE-$kind" 100 "$kind"
  done
fi

trap '"$cluster" destroy bench' EXIT
trap 'exit 130' INT TERM
"$cluster" destroy bench
# Autovacuum would come at random; scans that begin anywhere would shuffle the file's rows. The stores' vectors are of no
# model: a run would load one in each new session, to say so.
CLUSTER_OPTIONS="-c shared_buffers=512MB -c max_wal_size=4GB -c checkpoint_timeout=1h -c maintenance_work_mem=1GB \
-c autovacuum=off -c synchronize_seqscans=off -c vector_migrate.check_model=off" "$cluster" start bench
eval "$("$cluster" env bench)"
scratch=$("$cluster" scratch bench)
export BENCH_FILE=$scratch/rows.bin
"$python" "$here/bench.py"
