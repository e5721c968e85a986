# shellcheck shell=bash
# Helpers for the steps that install Debian packages; sourced after lib.sh.
# Promise: never asks a question, and says which command to run when it may not run it itself.

# apt_has PACKAGE: the configured sources offer it.
apt_has() {
  have apt-cache && [ -n "$(apt-cache search --names-only "^$1\$" 2>/dev/null)" ]
}

# apt_update: once in a run of setup, and only when something is to be installed.
apt_update() {
  have apt-get || die "this is not a Debian or Ubuntu host" "$1"
  is_root || [ -n "$SUDO" ] || die "root is needed for: apt-get update && apt-get install $2" \
    "run that command as root, or 'make setup SUDO=sudo'"
  if [ -z "${APT_UPDATED:-}" ]; then
    say "apt-get update"
    $SUDO apt-get update -qq >/dev/null || say "warning: apt-get update failed, trying the package lists at hand"
    APT_UPDATED=1
  fi
}

# apt_install PACKAGE...
apt_install() {
  apt_update "install by hand: $*" "$*"
  say "apt-get install $*"
  $SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >"$DEPS/apt.log" 2>&1 || {
    tail -n 15 "$DEPS/apt.log" >&2
    die "apt-get install $* failed (log: $DEPS/apt.log)" "is the network there?"
  }
}
