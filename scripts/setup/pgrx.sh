#!/usr/bin/env bash
# Setup: cargo-pgrx in the version that the extension is written for, told about PG_CONFIG.
# Promise: neither another version of cargo-pgrx nor another configured PostgreSQL is replaced.
. "$(dirname "$0")/../lib.sh"
need_pg

version=0.18.1
installed() { cargo pgrx --version 2>/dev/null | sed -n 's/^cargo-pgrx //p'; }

found=$(installed)
if [ "$found" != "$version" ]; then
  where=()
  [ -z "$found" ] || where=(--root "$DEPS/cargo") # first on the PATH of these scripts only
  say "cargo-pgrx $version: installing (about 5 minutes)"
  cargo install cargo-pgrx --version "$version" --locked "${where[@]}" ||
    die "cargo could not install cargo-pgrx $version" "is the network there?"
  hash -r
  [ "$(installed)" = "$version" ] || die "cargo-pgrx $version was installed, but 'cargo pgrx' is '$(installed)'" "is cargo's bin folder on the PATH?"
fi

mkdir -p "${PGRX_HOME:-$HOME/.pgrx}"
known=$(pgrx_configured "$PG_MAJOR")
if [ -z "$known" ]; then
  say "cargo-pgrx $version: cargo pgrx init --pg$PG_MAJOR=$PG_CONFIG"
  cargo pgrx init --no-run "--pg$PG_MAJOR=$PG_CONFIG" >"$DEPS/pgrx-init.log" 2>&1 || {
    tail -n 15 "$DEPS/pgrx-init.log" >&2
    die "cargo pgrx init failed"
  }
else
  say "cargo-pgrx $version: present, pg$PG_MAJOR is $known"
fi
