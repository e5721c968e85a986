"""Write a BERT sentence encoder as ONNX: `export_model.py MODEL_DIR OUT.onnx` (and its weights, OUT.onnx.data).

Reads `config.json` and `model.safetensors` of MODEL_DIR (Hugging Face names) and builds the encoder graph by hand,
so that no training framework is needed:

    input_ids, attention_mask, token_type_ids   int64 [batch, sequence]
      -> last_hidden_state                      float32 [batch, sequence, hidden]

Pooling and normalisation are the caller's (mean over the attention mask, then L2). The pooler layer of the weights is
not used by sentence models and is left out. Same weights in, same bytes out, in both files.
"""

import json
import math
import pathlib
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open

from external_data import DataFile, data_path, save

OPSET = 17  # the first with LayerNormalization
IR_VERSION = 8  # the one that goes with opset 17: older runtimes load it too


class Graph:
    """Nodes and initializers under construction; every method returns the name of its output."""

    def __init__(self, data):
        self.data = data
        self.nodes = []
        self.initializers = []

    def constant(self, name, value):
        self.initializers.append(self.data.add(numpy_helper.from_array(np.ascontiguousarray(value), name)))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


class Weights:
    """The tensors of a safetensors file, each read when it is asked for."""

    def __init__(self, file):
        self.file, self.names = file, set(file.keys())

    def __getitem__(self, name):
        return self.file.get_tensor(name)

    def __contains__(self, name):
        return name in self.names


def linear(g, x, weights, prefix, name):
    """x @ W^T + b: the weights are stored [out, in]."""
    weight = g.constant(f"{name}.weight", weights[f"{prefix}.weight"].T)
    bias = g.constant(f"{name}.bias", weights[f"{prefix}.bias"])
    return g.node("Add", [g.node("MatMul", [x, weight], f"{name}.matmul"), bias], name)


def layer_norm(g, x, weights, prefix, name, epsilon):
    scale = g.constant(f"{name}.scale", weights[f"{prefix}.weight"])
    bias = g.constant(f"{name}.bias", weights[f"{prefix}.bias"])
    return g.node("LayerNormalization", [x, scale, bias], name, axis=-1, epsilon=epsilon)


def embeddings(g, weights, epsilon):
    word = g.constant("word_embeddings", weights["embeddings.word_embeddings.weight"])
    kind = g.constant("token_type_embeddings", weights["embeddings.token_type_embeddings.weight"])
    position = g.constant("position_embeddings", weights["embeddings.position_embeddings.weight"])

    words = g.node("Gather", [word, "input_ids"], "embed.words")
    kinds = g.node("Gather", [kind, "token_type_ids"], "embed.kinds")
    # Rows 0..sequence of the table, by Slice: a Gather over a Range is fused by ONNX Runtime into a node that fails.
    length = g.node("Shape", ["input_ids"], "embed.length", start=1, end=2)
    positions = g.node("Slice", [position, "zero", length, "zero"], "embed.positions")

    total = g.node("Add", [g.node("Add", [words, kinds], "embed.words_kinds"), positions], "embed.sum")
    return layer_norm(g, total, weights, "embeddings.LayerNorm", "embed.norm", epsilon)


def attention_bias(g):
    """0 where a token counts, the lowest float where it is padding: [batch, 1, 1, sequence]."""
    mask = g.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    axes = g.constant("mask.axes", np.array([1, 2], dtype=np.int64))
    padding = g.node("Sub", ["one", g.node("Unsqueeze", [mask, axes], "mask.wide")], "mask.padding")
    lowest = g.constant("mask.lowest", np.array(np.finfo(np.float32).min, dtype=np.float32))
    return g.node("Mul", [padding, lowest], "mask.bias")


def encoder_layer(g, x, bias, weights, index, heads, hidden, epsilon):
    source, name = f"encoder.layer.{index}", f"layer{index}"

    def split(part, order):
        flat = linear(g, x, weights, f"{source}.attention.self.{part}", f"{name}.{part}")
        wide = g.node("Reshape", [flat, "split_shape"], f"{name}.{part}.split")
        return g.node("Transpose", [wide], f"{name}.{part}.heads", perm=order)

    query, key, value = split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]), split("value", [0, 2, 1, 3])
    scale = g.constant(f"{name}.scale", np.array(1.0 / math.sqrt(hidden // heads), dtype=np.float32))
    scores = g.node("Mul", [g.node("MatMul", [query, key], f"{name}.scores"), scale], f"{name}.scaled")
    share = g.node("Softmax", [g.node("Add", [scores, bias], f"{name}.masked")], f"{name}.softmax", axis=-1)
    context = g.node("MatMul", [share, value], f"{name}.context")
    context = g.node("Transpose", [context], f"{name}.context.joined", perm=[0, 2, 1, 3])
    context = g.node("Reshape", [context, "join_shape"], f"{name}.context.flat")

    attended = linear(g, context, weights, f"{source}.attention.output.dense", f"{name}.attention.dense")
    attended = g.node("Add", [attended, x], f"{name}.attention.residual")
    attended = layer_norm(
        g, attended, weights, f"{source}.attention.output.LayerNorm", f"{name}.attention.norm", epsilon
    )

    inner = linear(g, attended, weights, f"{source}.intermediate.dense", f"{name}.inner")
    inner = gelu(g, inner, f"{name}.gelu")
    outer = linear(g, inner, weights, f"{source}.output.dense", f"{name}.outer")
    outer = g.node("Add", [outer, attended], f"{name}.outer.residual")
    last = "last_hidden_state" if f"encoder.layer.{index + 1}.output.dense.weight" not in weights else f"{name}.norm"
    return layer_norm(g, outer, weights, f"{source}.output.LayerNorm", last, epsilon)


def gelu(g, x, name):
    """The exact form, x/2 * (1 + erf(x / sqrt 2)), written the way ONNX Runtime fuses."""
    erf = g.node("Erf", [g.node("Div", [x, "sqrt_two"], f"{name}.div")], f"{name}.erf")
    return g.node("Mul", [g.node("Mul", [x, g.node("Add", [erf, "one"], f"{name}.add")], f"{name}.mul"), "half"], name)


def build(config, weights, data):
    if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
        raise SystemExit("only BERT encoders with erf GELU are known here")
    hidden, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]

    g = Graph(data)
    g.constant("zero", np.array([0], dtype=np.int64))
    for name, value in (("one", 1.0), ("half", 0.5), ("sqrt_two", math.sqrt(2.0))):
        g.constant(name, np.array(value, dtype=np.float32))
    g.constant("split_shape", np.array([0, 0, heads, hidden // heads], dtype=np.int64))  # 0: as the input
    g.constant("join_shape", np.array([0, 0, hidden], dtype=np.int64))

    x, bias = embeddings(g, weights, epsilon), attention_bias(g)
    for index in range(config["num_hidden_layers"]):
        x = encoder_layer(g, x, bias, weights, index, heads, hidden, epsilon)

    def tensor(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    names = ("input_ids", "attention_mask", "token_type_ids")
    graph = helper.make_graph(
        g.nodes,
        "bert_encoder",
        [tensor(name, TensorProto.INT64, ["batch", "sequence"]) for name in names],
        [tensor(x, TensorProto.FLOAT, ["batch", "sequence", hidden])],
        g.initializers,
    )
    model = helper.make_model(graph, producer_name="vector_migrate", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model


def main(folder, out):
    folder, out = pathlib.Path(folder), pathlib.Path(out)
    config = json.loads((folder / "config.json").read_text())
    with safe_open(folder / "model.safetensors", framework="numpy") as file, DataFile(data_path(out)) as data:
        model = build(config, Weights(file), data)
        data.finish(model)
    save(model, out, full_check=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
