"""Whether two models give the same vectors: a few arrays of tokens through both, one model in memory at a time."""

import json

import numpy as np
import onnxruntime

COSINE = 0.99999
SHAPES = [(1, 3), (2, 16), (4, 64)]  # texts, tokens
KNOWN = ("input_ids", "attention_mask", "token_type_ids")


def vocabulary(folder):
    """How many token ids the model in `folder` has."""
    for name, keys in (("config.json", ("vocab_size",)), ("tokenizer.json", ("model", "vocab"))):
        value = json.loads((folder / name).read_text("utf-8"))
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value:
            return value if isinstance(value, int) else len(value)
    raise ValueError("neither config.json (vocab_size) nor tokenizer.json (model.vocab) says how many tokens there are")


def batches(folder):
    """Token arrays with their masks; every second text is padded."""
    size = vocabulary(folder)
    rng = np.random.default_rng(1)
    for texts, tokens in SHAPES:
        mask = np.ones((texts, tokens), dtype=np.int64)
        mask[1::2, tokens // 2 :] = 0
        yield rng.integers(0, size, size=(texts, tokens)) * mask, mask


def outputs(path, arrays):
    """Every output of the model at `path` for every batch, as rows of floats that are not padding."""
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        kinds = {one.name: np.int32 if one.type == "tensor(int32)" else np.int64 for one in session.get_inputs()}
        unknown = sorted(set(kinds) - set(KNOWN))
        if unknown:
            raise ValueError(f"it wants {', '.join(unknown)}; {', '.join(KNOWN)} are supported")
        return [row for ids, mask in arrays for row in run(session, kinds, ids, mask)]
    except Exception as cause:  # those of ONNX Runtime have no class in common
        raise ValueError(f"{path}: {cause}") from cause


def run(session, kinds, ids, mask):
    given = dict(zip(KNOWN, (ids, mask, np.zeros_like(ids)), strict=True))
    for values in session.run(None, {name: given[name].astype(kind) for name, kind in kinds.items()}):
        if values.shape[:2] == mask.shape:
            values = values[mask == 1]
        with np.errstate(invalid="ignore"):  # NaN of half precision: `cosines` finds them
            yield np.atleast_2d(values).reshape(-1, values.shape[-1] if values.ndim else 1).astype(np.float64)


def cosines(a, b):
    """Row by row; 1 for equal rows (those of length 0 have no cosine), -1 where there is none."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found = (a * b).sum(axis=1) / np.where(lengths > 0, lengths, np.nan)
    return np.where((a == b).all(axis=1), 1.0, np.nan_to_num(found, nan=-1.0))


def difference(old, new, folder):
    """What is different between the vectors of the models at `old` and `new`, for a person; empty where nothing is.
    `folder` is that of the model's small files."""
    arrays = list(batches(folder))
    for a, b in zip(outputs(old, arrays), outputs(new, arrays), strict=True):
        if a.shape != b.shape:
            return f"shapes {a.shape} and {b.shape}"
        worst = cosines(a, b).min(initial=1.0)
        if worst < COSINE:
            return f"cosine {worst:.6f}"
    return ""
