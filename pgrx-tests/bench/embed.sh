#!/usr/bin/env bash
# Bench: embedding. The sessions of a pool on a private server: searches, memory, threads, batches; and batches against the bare
# ONNX Runtime, against version 0.1.0's session and against fastembed, side by side in one process.
# Promise: what is compared has its turns in alternating order, and figures are medians; the servers are stopped and their data
# removed in every case.
#
#   SESSIONS=10      new sessions whose searches are timed (0: no server)
#   BEFORE=          /path/to/pg_config of a PostgreSQL that has an earlier version of the extension installed, to be
#                    measured beside; nothing is installed there
#   ROUNDS=5         how often each batch is measured
#   THREADS='1 2'    threads of the model in the one process; it is started anew for each (empty: not at all)
#   BENCH_DIR=       where the result is kept (default: target/bench)
#
# Needs the installed extension, and the first time the Python package index. Run it as root or as the OS user that runs the
# private servers: it reads the memory of their processes.
. "$(dirname "$0")/../../scripts/lib.sh"
here=$ROOT/pgrx-tests/bench
cluster=$ROOT/scripts/cluster.sh
ROUNDS=${ROUNDS:-5} SESSIONS=${SESSIONS:-10} THREADS=${THREADS-1 2} BEFORE=${BEFORE:-}
[[ $ROUNDS =~ ^[1-9][0-9]*$ && $SESSIONS =~ ^[0-9]+$ ]] || die "ROUNDS and SESSIONS are numbers, ROUNDS from 1 on"
[[ $THREADS =~ ^\ *([1-9][0-9]*\ *)*$ ]] || die "THREADS are numbers from 1 on, not $THREADS"
mkdir -p "${BENCH_DIR:=$ROOT/target/bench}"
BENCH_DIR=$(realpath "$BENCH_DIR")
export ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 TZ=UTC

exec 9>"$BENCH_DIR/lock"
flock -n 9 || die "another benchmark is running"
rm -f "$BENCH_DIR"/embed.*.raw.json

# on SERVER COMMAND...: cluster.sh for the server `now` or `before`.
on() {
  case $1 in
  now) "$cluster" "$2" pool ;;
  before) PG_CONFIG=$BEFORE "$cluster" "$2" poolbefore ;;
  esac
}

install_driver() {
  local stamp=$BENCH_DIR/driver/requirements.stamp wanted
  wanted=$(sed -n '/^psycopg/p' "$here/requirements.txt")
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "python: installing psycopg into $BENCH_DIR/driver"
    rm -rf "$BENCH_DIR/driver"
    # shellcheck disable=SC2086 # one word for each package
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$BENCH_DIR/driver" $wanted
    printf '%s\n' "$wanted" >"$stamp"
  fi
}

sessions() {
  local servers=(now) named=() one
  need_pg
  if [ -n "$BEFORE" ]; then
    pg_usable "$BEFORE" || die "no PostgreSQL with server headers at BEFORE=$BEFORE"
    [ -f "$("$BEFORE" --pkglibdir)/vector_migrate.so" ] || die "the extension is not installed in BEFORE=$BEFORE"
    servers=(before now)
  fi
  install_driver
  trap 'for one in "${servers[@]}"; do on "$one" destroy; done' EXIT
  trap 'exit 130' INT TERM
  for one in "${servers[@]}"; do
    on "$one" destroy
    CLUSTER_OPTIONS="-c shared_buffers=128MB -c autovacuum=off" on "$one" start
    named+=("$one=$(eval "$(on "$one" env)" && echo "$PGHOST")")
  done
  say "sessions: $SESSIONS new ones, then pools of them, then batches"
  env -u PGOPTIONS -u PGSERVICE -u PGHOSTADDR -u PGPASSWORD PYTHONPATH="$BENCH_DIR/driver" \
    "$VENV/bin/python" "$here/pool.py" "$BENCH_DIR/embed.sessions.raw.json" "$SESSIONS" "$ROUNDS" "${named[@]}"
  for one in "${servers[@]}"; do on "$one" destroy; done
  trap - EXIT
}

[ "$SESSIONS" -eq 0 ] || (sessions)

if [ -n "$THREADS" ]; then
  say "one process: building"
  cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" -p vector_migrate_core --features onnx --example bench_embed
  "$VENV/bin/python" "$here/single_file.py" "$MODEL_DIR" "$BENCH_DIR/single-file-model"
fi
for threads in $THREADS; do
  say "one process: $ROUNDS rounds, threads of the model: $threads"
  "${CARGO_TARGET_DIR:-$ROOT/target}/release/examples/bench_embed" "$MODEL_DIR" "$BENCH_DIR/single-file-model" "$ORT_LIB" \
    "$BENCH_DIR/embed.process$threads.raw.json" "$ROUNDS" "$threads"
done
"$VENV/bin/python" "$here/embed_report.py" "$BENCH_DIR/embed" "$BENCH_DIR"/embed.*.raw.json
