"""Cosines between all-MiniLM-L6-v2 and near relatives of it: `verdict.py MODEL_DIR STORE [OTHER.onnx ...]`.

What `check_model` calls "similar" is decided by these figures; docs/verdict.md has them. The texts are the documents of the
store. Each runs alone, without padding. OTHER.onnx are models with the same vocabulary.

"Hits" is what it means for a search: the texts' first lines are embedded by the model itself as queries, and of the ten
nearest texts by the model's own vectors so many are also among the ten nearest by the other ones, in the mean.

Needs what `make setup` has put into target/deps/venv, and writes nothing but models into a temporary folder.
"""

import json
import pathlib
import sqlite3
import sys
import tempfile

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

LIMIT = 256
NEAREST = 10


class Model:
    def __init__(self, directory, file=None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(file or directory / "model.onnx"), options)
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.dimension = json.loads((directory / "config.json").read_text())["hidden_size"]
        self.tokenizer = tokenizer(directory)

    def vectors(self, texts, pool="mean", limit=LIMIT, prefix="", use=None):
        return np.stack([self.vector(prefix + text, pool, limit, use or self.tokenizer) for text in texts])

    def vector(self, text, pool, limit, use):
        ids = use.encode(text).ids
        # The last one is [SEP].
        ids = np.array(ids if len(ids) <= limit else ids[: limit - 1] + ids[-1:], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        given = {name: array[np.newaxis] for name, array in given.items()}
        outputs = self.session.run(None, {name: given[name] for name in self.inputs})
        tokens = next(output for output in outputs if output.shape[1:] == (ids.size, self.dimension))[0].astype(np.float64)
        return {"mean": tokens.mean(axis=0), "max": tokens.max(axis=0), "cls": tokens[0]}[pool]


def tokenizer(directory, lowercase=True):
    files = json.loads((directory / "tokenizer.json").read_text())
    files["truncation"] = files["padding"] = None
    files["normalizer"]["lowercase"] = lowercase
    if not lowercase:  # else it follows `lowercase`, and "É" would be "E" and unknown
        files["normalizer"]["strip_accents"] = False
    return Tokenizer.from_str(json.dumps(files))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def nearest(queries, vectors):
    return [set(row) for row in np.argsort(-(queries @ vectors.T), axis=1)[:, :NEAREST]]


def main():
    directory, store, others = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    database = sqlite3.connect(f"file:{store / 'chroma.sqlite3'}?mode=ro", uri=True)
    query = "SELECT string_value FROM embedding_metadata WHERE key = 'chroma:document' AND string_value <> '' ORDER BY id"
    texts = [text for (text,) in database.execute(query)]
    model = Model(directory)
    lengths = [len(model.tokenizer.encode(text).ids) for text in texts]
    base = unit(model.vectors(texts))
    print(f"{len(texts)} texts of {min(lengths)} to {max(lengths)} tokens, {int(np.median(lengths))} in the median\n")
    queries = unit(model.vectors([text.splitlines()[0].removeprefix("Title: ") for text in texts]))
    right = nearest(queries, base)
    print("| against the model itself | median | minimum | maximum | hits |")
    print("| --- | --- | --- | --- | --- |")

    def show(name, vectors):
        cosines = (base * unit(vectors)).sum(axis=1)
        hits = np.mean([len(a & b) for a, b in zip(right, nearest(queries, unit(vectors)))])
        row = [f"{np.median(cosines):.4f}", f"{cosines.min():.4f}", f"{cosines.max():.4f}", f"{hits:.1f} of {NEAREST}"]
        print("|", " | ".join([name, *row]), "|")

    with tempfile.TemporaryDirectory() as folder:
        for kind in (QuantType.QInt8, QuantType.QUInt8):
            small = pathlib.Path(folder) / f"{kind.name}.onnx"
            quantize_dynamic(str(directory / "model.onnx"), str(small), weight_type=kind)
            show(f"8 bits ({kind.name}, dynamic)", Model(directory, small).vectors(texts))
    show("half precision of the vectors", base.astype(np.float16).astype(np.float64))
    for limit in (128, 64, 32, 16):
        show(f"cut at {limit} tokens", model.vectors(texts, limit=limit))
    show("prefix `query: `", model.vectors(texts, prefix="query: "))
    show("prefix `passage: `", model.vectors(texts, prefix="passage: "))
    show("prefix of a sentence", model.vectors(texts, prefix="Represent this sentence for searching relevant passages: "))
    show("without lowering the case", model.vectors(texts, use=tokenizer(directory, lowercase=False)))
    show("CLS instead of mean", model.vectors(texts, pool="cls"))
    show("maximum instead of mean", model.vectors(texts, pool="max"))
    for other in others:
        show(pathlib.Path(other).stem, Model(directory, other).vectors(texts))
    show("the same model, the next text", np.roll(base, -1, axis=0))
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((base.shape[1],) * 2))
    show("turned at random", base @ turn)


main()
