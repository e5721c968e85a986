"""An ONNX model as it is found, with its weights in it or beside it: what is read of it, and from where.

Promise: nothing outside the model's folder is read, with one exception: the links of a Hugging Face cache, whose
files are in `../../blobs`. What a tensor says of its place is checked against the file.
"""

import functools
import hashlib
import pathlib

import onnx

from external_data import entries


CHUNK = 1 << 24


def chunks(path, offset, length):
    with open(path, "rb") as file:
        file.seek(offset)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk


class Source:
    """The model `name` in `folder`."""

    def __init__(self, folder, name):
        self.path = folder / name
        self.roots = [folder.resolve(), (folder / "../../blobs").resolve()]
        self.checked = functools.cache(self.check)

    def inside(self, path):
        """`path` with its links followed, which have to end in the folder (or in the cache that it is part of)."""
        found = path.resolve(strict=True)
        if not any(found.is_relative_to(root) for root in self.roots):
            raise ValueError(f"{path} is a link that leads out of the folder, to {found}")
        if not found.is_file():
            raise ValueError(f"{path} is not a regular file")
        return found

    def model(self):
        """The model; tensors that are beside it stay there."""
        return onnx.load(self.inside(self.path), load_external_data=False)

    def values(self, tensor):
        """The values of a tensor that is beside the model: the number of bytes, and the bytes in chunks."""
        place = entries(tensor)
        path = self.checked(place.get("location", ""), place.get("checksum"))
        size = path.stat().st_size
        offset = int(place.get("offset", 0))
        length = int(place.get("length", size - offset))
        if offset < 0 or length < 0 or offset + length > size:
            raise ValueError(f"tensor {tensor.name!r} ends after the end of {path} ({offset} + {length}, {size} bytes)")
        return length, chunks(path, offset, length)

    def check(self, location, checksum):
        """The file at `location`, with the digest that the model states, if it does."""
        named = pathlib.PurePath(location)
        if not location or named.is_absolute() or ".." in named.parts:
            raise ValueError(f'{self.path} refers to "{location}", which is outside the folder')
        path = self.inside(self.path.parent / named)
        if checksum:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha1").hexdigest()
            if found != checksum.lower():
                raise ValueError(f"{path} is not the file that {self.path} was written with (SHA-1 {found}, not {checksum})")
        return path
