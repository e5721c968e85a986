"""Why a release may return something else than it was given, and the arithmetic to see that it is just that."""

import math
import struct

RULES = {
    "rounding": "cosine: the queue still holds the vector as it was given; the release returns it normalised and multiplied back",
    "range": "cosine: the squared length is beyond a float32: the index lost the vector, the queue may still hold it",
    "re-added": "up to 0.5.4: an id deleted and added again within one batch has no vector in the index; the queue still holds it",
    "gap filled": "up to 0.5.4: after that, an add that is ignored for the record gave the index its vector",
    "deleted twice": "0.5.5 to 0.6.3: an id deleted, added, deleted and added again within one batch keeps its first vector in the index",
    "alone": "0.5.23 to 1.5.9, as measured: an index persists no new vector of the only element that it ever had; the earlier one comes back",
    "purge": "0.5.6 to 0.5.12: the queue lost rows that other collections still needed",
    "left-over arrays": "1.5: a deleted collection leaves rows of arrays behind, which the release shows in new records of the same number",
    "nan": "a metadata value NaN is dropped by every release",
    "infinity": "an infinite metadata value is dropped from 1.0 on",
    "swallowed": "0.x: text that is not Unicode, or an integer beyond 64 bits, and the record has no metadata and no document",
    "hidden key": "no release returns a key that begins with `chroma:`; nor does the reader",
    "rolled back": "killed in 0.x: the index files are newer than the tables, a deleted id is back without its vector",
    "unreadable": "the release fails at the collection: killed while the index files were written, or rows of an older release in the queue",
    "refused yet logged": "a write that the release refused, in a collection that it cannot read, is in the queue all the same",
    "negative zero": "-0.0 in metadata comes back as 0.0",
    "big integer": "1.x keeps an integer beyond 64 bits as a float",
    "last digit": "1.x reads a float out of the queue's JSON up to two units beside what was given",
    "space": "1.x says l2 of every collection that 0.x made; it measures and returns what the reader says",
    "settings": "1.x takes the `hnsw:` settings out of a collection's metadata, or adds them",
}
# These return records in the order of their ids, the others in that of insertion.
BY_ID = {"0.4.24", "0.5.0", "0.5.5"}


def version(release):
    return tuple(int(part) for part in release.split("."))


def within(release, first, last):
    return version(first) <= version(release) <= version(last)


def unhex(text):
    return struct.unpack(f"<{len(text) // 8}f", bytes.fromhex(text))


def canonical(text):
    """All NaNs are one: a Python float does not keep their bits apart."""
    return None if text is None else ["nan" if x != x else struct.pack("<f", x) for x in unhex(text)]


def f32(value):
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def square(vector):
    total = 0.0
    for x in vector:
        total = f32(total + f32(x * x))
    return total


def round_trip(text):
    """A vector after the normalising index: each step in float32."""
    vector = unhex(text)
    length = f32(math.sqrt(square(vector)))
    scale = f32(1.0 / f32(length + f32(1e-30)))
    return canonical(struct.pack(f"<{len(vector)}f", *[f32(f32(x * scale) * length) for x in vector]).hex())


def usable(text, dimension):
    return text is not None and len(text) == 8 * dimension and all(math.isfinite(x) for x in unhex(text))


def apart(left, right):
    """Units in the last place between two vectors, at most."""

    def ordered(x):
        bits = struct.unpack("<i", struct.pack("<f", x))[0]
        return bits if bits >= 0 else -(2**31) - bits

    return max((abs(ordered(a) - ordered(b)) for a, b in zip(unhex(left), unhex(right), strict=True)), default=0)


def out_of_range(text):
    size = square(unhex(text))
    return not math.isfinite(size) or size < 1e-32


def tagged(value):
    match value:
        case bool():
            return ["bool", str(value).lower()]
        case int():
            return ["int", str(value)]
        case float():
            return ["float", struct.pack(">d", value).hex()]
        case str():
            return ["str", value]
        case _:
            return ["list", [tagged(item) for item in value]]


def positive(value):
    """As `value`, with 0.0 for -0.0."""
    if value[0] == "list":
        return ["list", [positive(item) for item in value[1]]]
    return ["float", "0" * 16] if value == ["float", "8" + "0" * 15] else value


def beside(left, right):
    """Whether two values are floats, or arrays of them, that differ by two units in the last place at most."""
    if not left or not right or left[0] != right[0]:
        return False
    if left[0] == "list":
        return len(left[1]) == len(right[1]) and all(a == b or beside(a, b) for a, b in zip(map(positive, left[1]), right[1], strict=True))
    return left[0] == "float" and abs(int(left[1], 16) - int(right[1], 16)) <= 2


def numbers(metadata):
    """Without NaN, an infinity as such: what may be compared."""
    return {key: value for key, value in metadata.items() if value is not None and not (isinstance(value, float) and value != value)}


def unstorable(meant):
    """Whether 0.x fails at the record's text or numbers; it returns the record without them."""
    texts, values = [meant["document"] or ""], list((meant["metadata"] or {}).items())
    texts += [text for pair in values for text in pair if isinstance(text, str)]
    surrogates = any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)
    return surrogates or any(isinstance(value, int) and not -(2**63) <= value < 2**63 for _, value in values)
