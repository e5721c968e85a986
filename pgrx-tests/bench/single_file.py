"""The model as version 0.1.0 had it, its weights inside model.onnx: `single_file.py MODEL_DIR OUT_DIR` writes OUT_DIR anew."""

import shutil
import sys
from pathlib import Path

import onnx
from onnx.external_data_helper import load_external_data_for_model, uses_external_data


def main(directory, out):
    model = onnx.load(Path(directory, "model.onnx"), load_external_data=False)
    outside = [tensor for tensor in model.graph.initializer if uses_external_data(tensor)]
    files = {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"}
    load_external_data_for_model(model, directory)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(directory, out, ignore=shutil.ignore_patterns("model.onnx", *files))
    onnx.save(model, Path(out, "model.onnx"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
