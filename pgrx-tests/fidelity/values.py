"""Values at the edge of what releases take, each in a call of its own: what a release refuses is noted by `attempt`.

What it takes has to come back from the reader as from the release, whatever the release made of it.
"""

import life  # noqa: F401  (the path to `model`)
from model import Record

KEYS = ["", ".", "a.b.c", ".a..b.", "k" * 10_000, "nul\0key", "\u200b", "\ufeff", "line\nkey", "$where", "chroma:other", "__proto__", "e\u0301", "é"]
IDS = [
    "", " ", "nul\0id", "\0", "line\nid", "\r\n\t", "'", '"', "\\", "`$(x)`", "' OR 1=1 --", "%", "\u200b", "\ufeff", "e\u0301", "é", "🎈" * 60,
    "x" * 255, "x" * 256, "x" * 10_000, "chroma:document", "NULL", "\\N", "0.0", "\U0010ffff",
]  # fmt: skip
NAMES = ["A.b-c_9", "123", "a__b", "0" * 63, "n" * 512]
NUMBERS = [2**63 - 1, -(2**63), 2**53 + 1, -0.0, 5e-324, 1.7976931348623157e308, 2.0**63, 1e16, 0.1 + 0.2, True, False, 1, 1.0, ""]
# Neither JSON nor 64 bits can hold these.
ODD_NUMBERS = [float("nan"), float("inf"), float("-inf"), 2**63, -(2**63) - 1, 2**80]
SURROGATE = "lone \ud800 surrogate"
LISTS = [[""], ["nul\0byte", "x" * 5000], [2**63 - 1, -(2**63)], [-0.0, 0.1 + 0.2, 5e-324], [True], [1, 1], ["1", "true", "null"], [7] * 500]


def numbered(values):
    return [(f"value {n}", value) for n, value in enumerate(values)]


def metadata(store, c, odd, attempt):
    for key in KEYS:
        attempt(c.add, Record(f"key {key[:9]!r}", c.vector(key), "Keys.", {key: "text", "other": 1}))
    for id, value in numbered(NUMBERS if store.at_least("0.4.4") else [v for v in NUMBERS if not isinstance(v, bool)]):
        attempt(c.add, Record(id, c.vector(id), None, {"v": value}))
    attempt(c.add, Record("megabyte", c.vector("megabyte"), "A line of it, süß.\n" * 52_000, {"text": "y" * 300_000}))
    if store.at_least("1.5.0"):
        for n, value in enumerate(LISTS):
            attempt(c.add, Record(f"list {n}", c.vector(n), None, {"v": value, "k": 1}))
    if odd:
        for n, value in enumerate(ODD_NUMBERS):
            attempt(c.add, Record(f"odd {n}", c.vector(n), "Odd.", {"v": value, "k": 1}))
        for n, given in enumerate([{"v": SURROGATE, "k": 1}, {SURROGATE: 1}]):
            attempt(c.add, Record(f"surrogate {n}", c.vector(n), None, given))
        attempt(c.add, Record("surrogate text", c.vector("text"), SURROGATE, {"k": 1}))


def lists_with_gaps(store, c):
    """None within the lists of one call, which `Record` cannot say: all documents or none."""
    ids = ["gap 0", "gap 1", "gap 2"]
    vectors = [c.vector(id) for id in ids]
    documents, metadatas = ["A document.", None, None], [None, {"k": 1}, None]
    c.handle.add(ids=ids, embeddings=vectors, documents=documents, metadatas=metadatas)
    for id, vector, document, given in zip(ids, vectors, documents, metadatas, strict=True):
        c.records[id] = {"document": document, "uri": None, "metadata": given, "input": vector}


def nulls(store, c, attempt):
    """Keys set to null, in updates and upserts: removed, also where there is none."""
    for id in ("null 0", "null 1", "null 2", "null 3"):
        attempt(c.add, Record(id, c.vector(id), "Nulls.", {"gone": "x", "": 1, "k" * 10_000: 2.5} if not store.at_least("1.1.0") else {"gone": "x", "k" * 10_000: 2.5}))
    attempt(c.update, Record("null 0", metadata={"gone": None, "k" * 10_000: None}))
    attempt(c.update, Record("null 1", metadata={"never there": None}))
    attempt(c.upsert, Record("null 2", c.vector("changed"), "Changed.", {"gone": None, "new": True}))
    attempt(c.upsert, Record("null new", c.vector("new"), "New.", {"gone": None, "new": 1}))
    attempt(c.update, Record("null 3", metadata={"gone": None}))
    attempt(c.update, Record("null 3", metadata={"gone": "back"}))
    attempt(c.add, Record("null bare", c.vector("bare")))
    attempt(c.update, Record("null bare", metadata={"gone": None}))


def texts(c, attempt):
    for id in IDS:
        attempt(c.add, Record(id, c.vector(id), f"Id of {len(id)}."))
    for n, uri in enumerate(["", "nul\0uri", "u" * 10_000, "file:///a b?#%00", "📚://x"]):
        attempt(c.add, Record(f"uri {n}", c.vector(n), uri=uri))
    attempt(c.delete, *IDS[1:9:3])
    attempt(c.upsert, *[Record(id, c.vector(id, 1), "Written anew.") for id in IDS[2:9:3]])


def odd_vectors(c, attempt):
    nan, inf = float("nan"), float("inf")
    for n, vector in enumerate([[nan, 1.0, 2.0], [nan] * 3, [inf, 1.0, 2.0], [-inf, inf, 0.0], [-0.0] * 3, [3.4028234663852886e38] * 3, [1e-45] * 3]):
        attempt(c.add, Record(f"vector {n}", vector))


def make(store, odd, attempt):
    """Collections of role "values": the random steps leave them alone."""
    ids = store.new("values", "l2", 3, threshold=10, batch=5)
    texts(ids if store.at_least("0.4.16") else WithoutUris(ids), attempt)
    for given in ({}, {"threshold": 10, "batch": 5}):
        c = store.new("values", "l2", 3, **given)
        metadata(store, c, odd, attempt)
        # Of these 0.x leaves rows in the queue at which releases from 1.0 on fail.
        if odd or store.at_least("1.0.0"):
            attempt(lists_with_gaps, store, c)
        if store.at_least("1.0.21"):
            nulls(store, c, attempt)
    if odd:
        odd_vectors(store.new("values", "l2", 3), attempt)
        odd_vectors(store.new("values", "l2", 3, threshold=4, batch=3), attempt)
        # The last write of a collection: nothing moves the mark past it.
        for space in ("l2", "cosine"):
            last = store.new("values", space, 3)
            last.add(Record("good", last.vector("good"), "Good.", {"k": 1}))
            attempt(last.add, Record("surrogate last", last.vector("last"), SURROGATE, {"k": 2**63}))
    for name in NAMES:
        attempt(named, store, name)


def named(store, name):
    c = store.create(name, "l2", 2, neighbours=16)
    store.adopt(c, "values")
    c.add(Record("alone", c.vector("alone"), f"In {name:.20}."))


class WithoutUris:
    """A collection of a release that has no uris."""

    def __init__(self, collection):
        self.collection = collection

    def __getattr__(self, name):
        return getattr(self.collection, name)

    def add(self, *records):
        self.collection.add(*[record for record in records if record.uri is None])
