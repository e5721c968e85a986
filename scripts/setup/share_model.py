"""Rewrite a model's folder so that sessions share its weights: `share_model.py FOLDER NEW_FOLDER`.

Needs the Python packages onnx, onnxruntime and numpy. NEW_FOLDER gets the files of FOLDER that vector_migrate reads,
and the model with its weights in a file beside it (`model.onnx.data`), with their digest; FOLDER stays as it is.

Promise: both models give the same vectors (cosine 0.99999), as ONNX Runtime computes them here, or there is no
NEW_FOLDER. It appears whole, by a rename; one that exists is never touched. The same FOLDER gives the same bytes.
"""

import json
import os
import pathlib
import shutil
import signal
import sys

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before ONNX Runtime is loaded
try:
    import onnx
    from google.protobuf.message import DecodeError

    from external_data import DataFile, data_path, save, tensors
    from model_source import Source
    from same_vectors import difference
except ModuleNotFoundError as missing:
    raise SystemExit(f"error: this Python has no {missing.name}: it needs onnx, onnxruntime and numpy") from missing

REQUIRED = ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"]
OPTIONAL = ["sentence_bert_config.json", "config_sentence_transformers.json", "modules.json"]
NOTICES = ["LICENSE", "LICENSE.txt", "NOTICE", "README.md"]  # read by people only


def refuse(message):
    raise SystemExit(f"error: {message}")


def model_file(folder):
    """Where the ONNX file is, below `folder`: as vector_migrate looks for it."""
    for name in ("model.onnx", "onnx/model.onnx"):
        if (folder / name).is_file():
            return pathlib.PurePath(name)
    refuse(f"{folder} has neither model.onnx nor onnx/model.onnx")


def pooling_files(folder):
    """The configuration of the pooling step, which modules.json may have elsewhere than in 1_Pooling."""
    if not (folder / "modules.json").is_file():
        return ["1_Pooling/config.json"]
    steps = json.loads((folder / "modules.json").read_text("utf-8"))
    paths = [step.get("path", "") for step in steps if str(step.get("type", "")).rsplit(".", 1)[-1] == "Pooling"]
    for path in paths:
        if pathlib.PurePath(path).is_absolute() or ".." in pathlib.PurePath(path).parts:
            refuse(f'modules.json names "{path}", which is outside the folder')
    return [f"{path}/config.json" for path in paths]


def copy_files(source, folder, new):
    """The small files: what has to be there, and what may be."""
    for name in REQUIRED:
        if not (folder / name).is_file():
            refuse(f"{folder} has no {name}")
    for name in [*REQUIRED, *OPTIONAL, *pooling_files(folder), *NOTICES]:
        if (folder / name).is_file():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.inside(folder / name), new / name)


def write_model(source, path):
    """The model of `source` at `path`, its weights beside it. No tensor is in memory that was not inside the model."""
    model = source.model()
    with DataFile(data_path(path)) as data:
        for tensor in tensors(model.graph, model.functions):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                data.place(tensor, *source.values(tensor))
            else:
                data.add(tensor)
        data.finish(model)
    save(model, path)


def convert(folder, new):
    """Fills the empty folder `new`."""
    name = model_file(folder)
    source = Source(folder, name)
    copy_files(source, folder, new)
    (new / name).parent.mkdir(exist_ok=True)
    print(f"    writing {name} and its weights")
    write_model(source, new / name)
    for path in [new, *new.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    print("    comparing the vectors of both")
    different = difference(folder / name, new / name, new)
    if different:
        refuse(f"the new model does not give the same vectors ({different})")


def main(folder, new):
    folder, new = pathlib.Path(folder), pathlib.Path(os.path.normpath(new))
    work = new.with_name(f"{new.name}.new")
    if not folder.is_dir():
        refuse(f"{folder} is not a folder")
    for path in (new, work):
        if os.path.lexists(path):
            refuse(f"{path} exists")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: refuse("interrupted"))
    work.mkdir()
    try:
        convert(folder, work)
        if os.path.lexists(new):
            refuse(f"{new} exists")
        work.rename(new)
    except DecodeError:
        refuse(f"{folder / model_file(folder)} is not an ONNX model")
    except (ValueError, OSError, onnx.checker.ValidationError) as cause:
        refuse(cause)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"    {new} is ready")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
