# Sets `python` to that of a virtual environment under BENCH_DIR with what the benches need, and makes it where it is missing or
# made of other requirements. Sourced by the benches, which have set `here` and BENCH_DIR; needs the Python package index then.
# shellcheck shell=bash disable=SC2034,SC2154
python=$BENCH_DIR/venv/bin/python
wanted() { cat "$here/requirements.txt" "$here/../fixtures/requirements/1.5.9.txt"; }
if ! cmp -s <(wanted) "$BENCH_DIR/venv/requirements.stamp"; then
  say "python: installing chromadb, psycopg and pgvector into $BENCH_DIR/venv"
  rm -rf "$BENCH_DIR/venv"
  python3.11 -m venv "$BENCH_DIR/venv"
  "$BENCH_DIR/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt"
  wanted >"$BENCH_DIR/venv/requirements.stamp"
fi
