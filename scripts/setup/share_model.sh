#!/usr/bin/env bash
# Share a model: share_model.sh FOLDER NEW_FOLDER
# Writes the model in FOLDER anew, with its weights in a file beside model.onnx, which all sessions of a server share
# (docs/model.md). Promise: NEW_FOLDER gives the same vectors, or is not there at all (share_model.py).
. "$(dirname "$0")/../lib.sh"

[ $# -eq 2 ] || die "usage: share_model.sh FOLDER NEW_FOLDER" \
  "elsewhere, with Python 3.11 or newer and its packages onnx, onnxruntime and numpy:" \
  "python3 $SETUP/share_model.py FOLDER NEW_FOLDER"
[ -x "$VENV/bin/python" ] || die "the Python tools are not there ($VENV)" \
  "run 'make setup'; or, with a Python that has onnx, onnxruntime and numpy:" \
  "python3 $SETUP/share_model.py $1 $2"
say "model $1: writing $2, with weights that sessions share"
exec "$VENV/bin/python" "$SETUP/share_model.py" "$1" "$2"
