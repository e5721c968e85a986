#!/usr/bin/env bash
# Setup: a Python environment for the steps that follow.
# Promise: exactly the versions of requirements.txt, in target/deps/venv; nothing outside it.
# Python is a tool of the build here; the extension never runs it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/apt.sh"

stamp=$VENV/requirements.stamp
if cmp -s "$SETUP/requirements.txt" "$stamp" && [ -x "$VENV/bin/python" ]; then
  say "python tools: present"
  exit 0
fi

python=${PYTHON:-python3}
if ! have "$python" || ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  apt_install python3 python3-venv
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "the model tools need Python 3.11 or newer, $python is $("$python" -V 2>&1)" "name a newer one: make setup PYTHON=/path/to/python3"

say "python tools: installing into target/deps/venv ($("$python" -V))"
rm -rf "$VENV"
"$python" -m venv "$VENV"
"$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: -r "$SETUP/requirements.txt" ||
  die "pip could not install scripts/setup/requirements.txt" "is the network (or a package index mirror for pip) there?"
cp "$SETUP/requirements.txt" "$stamp"
