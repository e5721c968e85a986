#!/usr/bin/env bash
# Bench: embedding against the bare ONNX Runtime and against plain batches, side by side in one process.
# Promise: the ratios are of medians over rounds in which every way has its turn, in alternating order.
#
#   ROUNDS=5         how often each way is measured
#   THREADS=         threads of the model (default: half the processors, as embed_threads)
#   BENCH_DIR=       where the result is kept (default: target/bench)
#
# Needs no server: the model and the runtime are those of `make setup`.
. "$(dirname "$0")/../../scripts/lib.sh"
here=$ROOT/pgrx-tests/bench
ROUNDS=${ROUNDS:-5}
half=$(($(nproc) / 2))
THREADS=${THREADS:-$((half > 0 ? half : 1))}
[[ $ROUNDS =~ ^[1-9][0-9]*$ && $THREADS =~ ^[1-9][0-9]*$ ]] || die "ROUNDS and THREADS are numbers from 1 on"
mkdir -p "${BENCH_DIR:=$ROOT/target/bench}"
BENCH_DIR=$(realpath "$BENCH_DIR")

exec 9>"$BENCH_DIR/lock"
flock -n 9 || die "another benchmark is running"

say "embedding: building"
cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" -p vector_migrate_core --features onnx --example bench_embed
say "embedding: $ROUNDS rounds, $THREADS threads"
export ORT_DISABLE_TELEMETRY=1
"${CARGO_TARGET_DIR:-$ROOT/target}/release/examples/bench_embed" "$MODEL_DIR" "$ORT_LIB" "$BENCH_DIR/embed.raw.json" "$ROUNDS" "$THREADS"
"$VENV/bin/python" "$here/embed_report.py" "$BENCH_DIR/embed.raw.json" "$BENCH_DIR/embed"
