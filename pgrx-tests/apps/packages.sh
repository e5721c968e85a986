# Sets `python` to that of a virtual environment under APPS_DIR with the applications' packages, and makes it, and with npm the
# folder of the JavaScript packages, where they are missing or made of other requirements. Sourced by run.sh, which has set `here` and
# APPS_DIR; needs the Python package index and npm's then.
# shellcheck shell=bash disable=SC2034,SC2154
python=$APPS_DIR/venv/bin/python
wanted() { cat "$here"/requirements/*.txt; }
if ! cmp -s <(wanted) "$APPS_DIR/requirements.stamp"; then
  say "python: installing the applications' packages into $APPS_DIR"
  rm -rf "$APPS_DIR/venv" "$APPS_DIR/open_webui" "$APPS_DIR/requirements.stamp"
  python3.11 -m venv "$APPS_DIR/venv"
  pip=("$python" -m pip --quiet --disable-pip-version-check)
  "${pip[@]}" install --no-deps -r "$here/requirements/clients.txt"
  # Of Open WebUI only the modules with the two clients, out of its wheel.
  "${pip[@]}" install --no-deps --target "$APPS_DIR/open_webui/libs" -r "$here/requirements/open_webui.txt"
  "${pip[@]}" download --no-deps --dest "$APPS_DIR/open_webui" open-webui==0.12.4
  "$python" "$here/clients/open_webui_parts.py" "$APPS_DIR"/open_webui/*.whl "$APPS_DIR/open_webui/wheel"
  wanted >"$APPS_DIR/requirements.stamp"
fi
if have npm && ! cmp -s "$here/requirements/js/package.json" "$APPS_DIR/js/installed.json"; then
  say "node: installing LangChain JS into $APPS_DIR/js"
  rm -rf "$APPS_DIR/js"
  mkdir "$APPS_DIR/js"
  cp "$here/requirements/js/package.json" "$APPS_DIR/js/"
  npm --prefix "$APPS_DIR/js" install --silent --no-audit --no-fund --no-package-lock --legacy-peer-deps --omit=optional
  cp "$here/requirements/js/package.json" "$APPS_DIR/js/installed.json"
fi
