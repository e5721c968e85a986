#!/usr/bin/env bash
# Setup: everything that building, installing and testing need, step by step.
# Promise: installs only what is missing; a second run changes nothing and takes about a second.
. "$(dirname "$0")/../lib.sh"

have cargo || die "cargo is not on the PATH" "install Rust (the version in Cargo.toml's rust-version or newer), then run 'make setup' again"
mkdir -p "$DEPS"
exec 9>"$DEPS/setup.lock"
flock 9 # two makes at once: the second one waits and then finds all in place

for step in postgres pgvector venv onnxruntime model; do
  "$SETUP/$step.sh" 9>&-
done
