"""Check an exported all-MiniLM-L6-v2: `check_model.py MODEL_DIR`; exit code 1 when it is not that model.

Three sentences against the vectors that the published model gives: their cosines and the first components. Also that
a sentence's vector does not depend on the padding beside it, that the folder says what a loader needs to know
(mean pooling, 256 tokens), and that every file of weights is the one that model.onnx states (SHA-1).
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto
from tokenizers import Tokenizer

from external_data import entries, tensors
from model_source import Source

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
COSINES = {(0, 1): 0.6660, (0, 2): 0.1046, (1, 2): 0.1411}
FIRST = [0.01919573, 0.1200854, 0.15959833, 0.06706592]
COSINE_TOLERANCE, COMPONENT_TOLERANCE, PADDING_TOLERANCE = 1e-3, 1e-4, 1e-5


def read(path):
    return json.loads(path.read_text())


def embed(session, tokenizer, texts):
    encoded = tokenizer.encode_batch(texts)
    ids = np.array([e.ids for e in encoded], dtype=np.int64)
    mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    (hidden,) = session.run(["last_hidden_state"], inputs)
    weight = mask[:, :, None].astype(np.float32)
    pooled = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def weights(folder):
    """What is wrong with the files that the weights are in."""
    source = Source(folder, "model.onnx")
    model = source.model()
    beside = [t for t in tensors(model.graph, model.functions) if t.data_location == TensorProto.EXTERNAL]
    if not beside:
        return ["the weights are inside model.onnx: sessions cannot share them"]
    for place in map(entries, beside):
        if "checksum" not in place:
            return [f"model.onnx does not state the SHA-1 of {place['location']}"]
        try:
            source.checked(place["location"], place["checksum"])
        except (ValueError, OSError) as cause:
            return [str(cause)]
    return []


def main(folder):
    folder = pathlib.Path(folder)
    max_tokens = read(folder / "sentence_bert_config.json")["max_seq_length"]
    pooling = read(folder / "1_Pooling" / "config.json")
    problems = weights(folder)
    if max_tokens != 256 or not pooling["pooling_mode_mean_tokens"]:
        problems.append("the folder does not say mean pooling and 256 tokens")
    for name in ("tokenizer_config.json", "special_tokens_map.json", "modules.json", "config.json"):
        read(folder / name)

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])

    vectors = embed(session, tokenizer, SENTENCES)
    print(f"    first components {np.array2string(vectors[0, :4], precision=8)}, expected {FIRST}")
    if not np.allclose(vectors[0, :4], FIRST, atol=COMPONENT_TOLERANCE):
        problems.append("first components differ")
    for (a, b), expected in COSINES.items():
        cosine = float(vectors[a] @ vectors[b])
        print(f"    cosine {a + 1},{b + 1}: {cosine:.4f}, expected {expected:.4f}")
        if abs(cosine - expected) > COSINE_TOLERANCE:
            problems.append(f"cosine {a + 1},{b + 1} differs")

    long = " ".join(SENTENCES * 100)  # far over the limit: must be cut, and pads the others to 256
    padded = embed(session, tokenizer, [*SENTENCES, long])[:3]
    drift = float(np.abs(padded - vectors).max())
    print(f"    largest change from padding to {max_tokens} tokens: {drift:.1e}")
    if drift > PADDING_TOLERANCE:
        problems.append("vectors depend on padding")

    for problem in problems:
        print(f"    WRONG: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1]))
