# shellcheck shell=bash
# shellcheck disable=SC2034 # variables are for the scripts that source this file
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

# Sets PG_CONFIG: the caller's own, else Debian's PostgreSQL 15, else a usable one on the PATH.
pick_pg() {
  local debian=/usr/lib/postgresql/15/bin/pg_config path
  if [ -n "${PG_CONFIG:-}" ]; then
    ! have "$PG_CONFIG" || PG_CONFIG=$(command -v "$PG_CONFIG")
  else
    PG_CONFIG=$debian
    path=$(command -v pg_config || true)
    if ! pg_usable "$debian" && [ -n "$path" ] && pg_usable "$path"; then PG_CONFIG=$path; fi
  fi
}

# As pick_pg, and insists; sets PG_MAJOR, PG_BIN and what pgrx needs to build for just this PostgreSQL.
need_pg() {
  pick_pg
  pg_usable "$PG_CONFIG" ||
    die "no PostgreSQL with server headers at $PG_CONFIG" "run 'make setup', or name one: PG_CONFIG=/path/to/pg_config"
  PG_MAJOR=$("$PG_CONFIG" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
  PG_BIN=$("$PG_CONFIG" --bindir)
  export PG_CONFIG
  # For pgrx's build script, which needs no `cargo pgrx init` then. Set in every case: cargo builds anew when it changes.
  export PGRX_PG_CONFIG_PATH=$PG_CONFIG
}

# The extension's version, which cargo-pgrx would put for @CARGO_VERSION@.
extension_version() { sed -nE 's/^version = "(.*)"$/\1/p' "$ROOT/Cargo.toml"; }

# build_extension: after need_pg; builds the library for PG_CONFIG and sets LIBRARY to its path.
build_extension() {
  local messages
  messages=$(cd "$ROOT" && cargo build -p vector_migrate --lib --release --no-default-features --features "pg$PG_MAJOR" \
    --message-format=json-render-diagnostics) || die "the extension could not be built"
  # Where it is depends on the person's settings of cargo (CARGO_TARGET_DIR, build.target).
  LIBRARY=$(grep -oE '"[^"]*/libvector_migrate\.so"' <<<"$messages" | tail -n 1 | tr -d '"')
  [ -f "$LIBRARY" ] || die "cargo does not say where the library is that it has built"
}

# The OS user that runs private clusters: PostgreSQL refuses root.
server_user() {
  if is_root; then
    echo "${SERVER_OS_USER:-postgres}"
  else
    id -un
  fi
}

# as_server COMMAND...: as that user, from a folder it can be in.
as_server() {
  if is_root; then
    (cd / && exec runuser -u "$(server_user)" -- "$@")
  else
    (cd / && exec "$@")
  fi
}
