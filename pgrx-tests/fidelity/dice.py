"""Random records, of values that the release takes."""

import random

import life  # noqa: F401  (the path to `model`)
from model import Record, f32

INTEGERS = [0, 1, -1, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 10**18 + 1]
FLOATS = [0.0, -0.0, 3.0, -2.0, 0.1, 1 / 3, 1e16, 1e300, 5e-324, 2.0**63, -1.5e-7, 123456789.123456789]
TEXTS = ["", "plain", "42", "3.0", "true", "null", "süß", "赤い 🎈", "e\u0301", "two\nlines", 'q"\\', "it's", "  padded ", "nul\0byte", "x" * 3000]
KEYS = ["k", "group", "v.w", "a.b.c", "größe", "色", "emoji 🎈", "with space", 'quote"d', "id", "document", "UPPER", "upper", "long" * 60]
DOCUMENTS = ["", "A document.", "Grüße aus Köln 🏰\n日本語の文章。\tTab\r\n", "Long. " * 4000, "quote ' and \" and \\", "nul\0byte", " "]
PREFIXES = ["r-", "id ", "ü🎈", "a/b#", "0"]
SPACES = ["l2", "cosine", "ip"]


class Dice:
    """Random records that the release accepts."""

    def __init__(self, store, seed, plain):
        self.store = store
        self.rng = random.Random(seed)
        # NaN and infinite numbers in a queue make releases from 1.0 on fail: not where a store is upgraded.
        self.odd = not plain

    def scalar(self):
        kinds = ["int", "float", "str", "str"] + (["bool"] if self.store.at_least("0.4.4") else [])
        match self.rng.choice(kinds):
            case "int":
                return self.rng.choice([*INTEGERS, self.rng.randrange(-1000, 1000)])
            case "float":
                if self.odd and self.rng.random() < 0.08:
                    return self.rng.choice([float("nan"), float("inf"), float("-inf")])
                return self.rng.choice([*FLOATS, self.rng.gauss(0, 1), float(self.rng.randrange(-50, 50))])
            case "bool":
                return self.rng.random() < 0.5
            case _:
                return self.rng.choice([*TEXTS, f"text {self.rng.randrange(100)}"])

    def value(self):
        if self.store.at_least("1.5.0") and self.rng.random() < 0.2:
            many = self.rng.randrange(1, 6)
            match self.rng.randrange(4):
                case 0:
                    return [self.rng.choice(INTEGERS) for _ in range(many)]
                case 1:
                    return [self.rng.choice(FLOATS) for _ in range(many)]
                case 2:
                    return [self.rng.random() < 0.5 for _ in range(many)]
                case _:
                    return [self.rng.choice(TEXTS) for _ in range(many)]
        if self.store.at_least("1.0.0") and self.odd and self.rng.random() < 0.01:
            return self.rng.choice([2**63, -(2**63) - 1, 2**80])
        return self.scalar()

    def metadata(self, change=False):
        chosen = self.rng.sample(KEYS, self.rng.randrange(1, 5))
        metadata = {key: self.value() for key in chosen}
        if self.rng.random() < 0.6:
            metadata["group"] = self.rng.choice("abcd")
        if change and self.store.at_least("1.0.21"):
            for key in self.rng.sample(KEYS, 3):
                if self.rng.random() < 0.35:
                    metadata[key] = None
        return metadata

    def vector(self, c):
        scale = self.rng.choice([0.5, 1.0, 1.0, 3.0, 250.0])
        vector = [f32(self.rng.gauss(0.0, scale)) for _ in range(c.dimension)]
        chance = self.rng.random()
        if chance < 0.02:
            vector = [0.0] * c.dimension
        elif chance < 0.04:
            vector[0] = -0.0
        elif chance < 0.06:
            vector = [f32(x * self.rng.choice([1e-6, 1e6])) for x in vector]
        elif chance < 0.065 and self.odd:
            # The squared length is beyond a float32.
            vector = [f32(x * self.rng.choice([1e-30, 1e30])) for x in vector]
        elif chance < 0.07 and self.odd and c.space == "l2" and not self.store.at_least("1.5.0"):
            vector[-1] = self.rng.choice([float("nan"), float("inf"), float("-inf")])
        return vector

    def records(self, c, ids, change=False):
        """Records of one shape, since Chroma wants a list for all of them or none."""
        rng = self.rng
        vector = not change or rng.random() < 0.6
        # A document without a vector would be embedded; so would a uri.
        document = vector and rng.random() < 0.7
        uri = vector and self.store.at_least("0.4.16") and rng.random() < 0.2
        metadata = rng.random() < 0.7 or not vector
        return [
            Record(
                id,
                self.vector(c) if vector else None,
                rng.choice([*DOCUMENTS, f"Document {rng.randrange(1000)}."]) if document else None,
                self.metadata(change) if metadata else None,
                rng.choice(["", "file:///a%20b.png", "https://example.org/ü?q=1", f"s3://bucket/{rng.randrange(99)}"]) if uri else None,
            )
            for id in ids
        ]

    def ids(self, c, many, known):
        """`many` ids at most, of which about the share `known` exists."""
        live = sorted(c.records)
        prefix = PREFIXES[len(c.role) % len(PREFIXES)]
        chosen = []
        for _ in range(many):
            if live and self.rng.random() < known:
                chosen.append(self.rng.choice(live))
            else:
                chosen.append(f"{prefix}{self.rng.randrange(400)}")
        return list(dict.fromkeys(chosen))

    def many(self):
        return self.rng.choice([1, 1, 2, 3, 5, 8, 13, 30])
