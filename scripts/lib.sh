# shellcheck shell=bash
# Shared by every script here: where things are, how to speak, which PostgreSQL.
# Promise: sourcing it changes nothing on disk and starts nothing.

set -eu

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
DEPS=$ROOT/target/deps
MODEL_DIR=$DEPS/model
ORT_LIB=$DEPS/onnxruntime/libonnxruntime.so
VENV=$DEPS/venv
SETUP=$ROOT/scripts/setup
# Set SUDO=sudo to let an ordinary user's run do what needs root.
SUDO=${SUDO:-}

say() { printf '==> %s\n' "$*"; }

# die MESSAGE [LINE...]: what is wrong, then what to do about it.
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

# A pg_config that can build an extension and start a server.
pg_usable() {
  [ -x "$1" ] && "$1" --version >/dev/null 2>&1 &&
    [ -f "$("$1" --includedir-server)/postgres.h" ] && [ -x "$("$1" --bindir)/initdb" ]
}

# Sets and exports PG_CONFIG: the caller's own, else Debian's PostgreSQL 15, else the PATH's.
pick_pg() {
  if [ -z "${PG_CONFIG:-}" ]; then
    PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
    pg_usable "$PG_CONFIG" || PG_CONFIG=$(command -v pg_config || echo "$PG_CONFIG")
  elif have "$PG_CONFIG"; then
    PG_CONFIG=$(command -v "$PG_CONFIG")
  fi
  export PG_CONFIG
}

# As pick_pg, and insists; sets PG_MAJOR and PG_BIN.
need_pg() {
  pick_pg
  pg_usable "$PG_CONFIG" ||
    die "no PostgreSQL with server headers at $PG_CONFIG" "run 'make setup', or name one: PG_CONFIG=/path/to/pg_config"
  PG_MAJOR=$("$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
  PG_BIN=$("$PG_CONFIG" --bindir)
}
