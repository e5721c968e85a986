"""The weights of an ONNX model in a file beside it ("external data"), for every script here that writes a model.

ONNX Runtime maps such a file instead of reading it, so that all processes share its pages. Promise: the tensors are
written one after the other as they come (no second copy of them all), the same tensors give the same bytes, and every
tensor states the SHA-1 of the whole file (`checksum` in the ONNX specification): who knows model.onnx knows the weights.
"""

import hashlib

import onnx
from onnx import TensorProto, numpy_helper

# Smaller tensors stay in the model: shapes, axes and scalars, which are needed to understand its graph.
SMALLEST = 1024
# A multiple of every vector register and cache line; large tensors begin on a page of their own.
ALIGNMENT, LARGE, LARGE_ALIGNMENT = 64, 1 << 20, 4096


class DataFile:
    """A data file being written. `add` the tensors, `finish` the model, in a `with` statement."""

    def __init__(self, path, smallest=SMALLEST):
        """Creates `path`, which must not exist. Tensors of fewer than `smallest` bytes stay where they are."""
        self.location, self.smallest = path.name, smallest
        self.size = 0
        self.digest = hashlib.sha1(usedforsecurity=False)
        self.file = open(path, "xb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data):
        self.file.write(data)
        self.digest.update(data)
        self.size += len(data)

    def add(self, tensor):
        """Moves the values of `tensor` (a TensorProto that has them in it) into the file; returns the same tensor."""
        if tensor.data_type == TensorProto.STRING:
            return tensor  # cannot be external
        if not tensor.HasField("raw_data"):
            raw(tensor)
        length = len(tensor.raw_data)
        if length >= self.smallest:
            self.place(tensor, length, [tensor.raw_data])
            tensor.ClearField("raw_data")
        return tensor

    def place(self, tensor, length, chunks):
        """Writes `chunks`, bytes of `length` in all, as the values of `tensor`, which itself never holds them."""
        self.write(bytes(-self.size % (LARGE_ALIGNMENT if length >= LARGE else ALIGNMENT)))
        offset = self.size
        for chunk in chunks:
            self.write(chunk)
        if self.size != offset + length:
            raise ValueError(f"tensor {tensor.name!r}: {self.size - offset} bytes came, {length} were said")
        refer(tensor, location=self.location, offset=offset, length=length)

    def finish(self, model):
        """Closes the file and writes its digest into every tensor of `model` that is in it; returns the digest."""
        self.file.close()
        digest = self.digest.hexdigest()
        for tensor in tensors(model.graph, model.functions):
            if tensor.data_location == TensorProto.EXTERNAL:
                tensor.external_data.add(key="checksum", value=digest)
        return digest


def raw(tensor):
    """Values in a typed field (float_data, int32_data, ...) become raw bytes, which alone can be external."""
    made = numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name)
    if made.data_type != tensor.data_type or list(made.dims) != list(tensor.dims):
        raise ValueError(f"tensor {tensor.name!r}: values of type {tensor.data_type} cannot be rewritten")
    for field in ("float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
        tensor.ClearField(field)
    tensor.raw_data = made.raw_data


def refer(tensor, **entries):
    """Makes `tensor` external, with these entries in this order."""
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))


def entries(tensor):
    """What an external tensor says of its place: {"location": ..., "offset": ..., ...}, all strings."""
    return {entry.key: entry.value for entry in tensor.external_data}


def tensors(graph, functions=()):
    """Every tensor of a graph in its order: initializers, attributes of nodes, and those of the graphs within.
    Sparse ones are left out: they stay in the model."""
    yield from graph.initializer
    yield from of_nodes(graph.node)
    for function in functions:
        yield from of_nodes(function.node)


def of_nodes(nodes):
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from tensors(graph)


def data_path(path):
    """Where the data of the model `path` belongs: `model.onnx.data` beside `model.onnx`."""
    return path.with_name(f"{path.name}.data")


def save(model, path, full_check=False):
    """Writes the finished model and checks it where it lies (a model of any size); `full_check`: its shapes too."""
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=full_check)
