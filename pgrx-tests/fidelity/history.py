"""One stage of a store's life, at random but repeatable: `history.py DIRECTORY STATE.json SEED STAGE`.

The installed chromadb opens the directory (the first stage makes it), writes, and closes it. What the store should
hold then is in STATE.json, from which the next stage, perhaps of a newer release, goes on.
"""

import json
import os
import random
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures" / "make"))

from model import DEFAULT_DATABASE, DEFAULT_TENANT, Collection, Record, Store, f32, hex32

INTEGERS = [0, 1, -1, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 10**18 + 1]
FLOATS = [0.0, -0.0, 3.0, -2.0, 0.1, 1 / 3, 1e16, 1e300, 5e-324, 2.0**63, -1.5e-7, 123456789.123456789]
TEXTS = ["", "plain", "42", "3.0", "true", "null", "süß", "赤い 🎈", "e\u0301", "two\nlines", 'q"\\', "it's", "  padded ", "nul\0byte", "x" * 3000]
KEYS = ["k", "group", "v.w", "a.b.c", "größe", "色", "emoji 🎈", "with space", 'quote"d', "id", "document", "UPPER", "upper", "long" * 60]
DOCUMENTS = ["", "A document.", "Grüße aus Köln 🏰\n日本語の文章。\tTab\r\n", "Long. " * 4000, "quote ' and \" and \\", "nul\0byte", " "]
PREFIXES = ["r-", "id ", "ü🎈", "a/b#", "0"]
SPACES = ["l2", "cosine", "ip"]


class Life(Store):
    """A store that may exist already."""

    def __init__(self, path, known):
        self.known = {tuple(key) for key in known}
        super().__init__(path)

    def client(self, tenant=DEFAULT_TENANT, database=DEFAULT_DATABASE):
        key = (tenant, database)
        if key not in self.clients:
            arguments = {"path": self.path, "settings": self.settings}
            if self.at_least("0.4.15"):
                if key not in self.known and key != (DEFAULT_TENANT, DEFAULT_DATABASE):
                    admin = self.chromadb.AdminClient(self.settings)
                    if tenant not in {DEFAULT_TENANT} | {known for known, _ in self.known}:
                        admin.create_tenant(tenant)
                    admin.create_database(database, tenant)
                self.known.add(key)
                arguments.update(tenant=tenant, database=database)
            self.clients[key] = self.chromadb.PersistentClient(**arguments)
        return self.clients[key]

    def reopen(self, state):
        """The collections that an earlier stage left, with what they should hold."""
        for given in state["collections"]:
            handle = self.client(given["tenant"], given["database"]).get_collection(given["name"], embedding_function=None)
            c = Collection(handle, given["tenant"], given["database"], given["name"], given["space"], given["dimension"])
            c.role = given["role"]
            c.removed = given["removed"]
            for id, held in given["records"].items():
                c.records[id] = {**held, "input": unhex(held["input"])}
            self.collections.append(c)

    def new(self, role, space, dimension, **given):
        # Not the fixtures' 2 neighbours: with those, some histories end 0.4.3 and 0.6.3 with a segmentation fault.
        c = self.create(f"{role}-{len(self.collections)}", space, dimension, neighbours=16, **given)
        c.role = role
        c.removed = {}
        return c


def unhex(text):
    return list(struct.unpack(f"<{len(text) // 8}f", bytes.fromhex(text)))


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


def remove(c, *ids, **where):
    """Deletes, and counts for each id how often it went."""
    gone = c.handle.get(**where)["ids"] if where else [id for id in ids if id in c.records]
    if where:
        c.handle.delete(**where)
        for id in gone:
            c.records.pop(id, None)
    else:
        c.delete(*ids)
    for id in gone:
        c.removed[id] = c.removed.get(id, 0) + 1


def step(dice, c):
    """One or two calls."""
    rng = dice.rng
    match rng.choices(["add", "update", "upsert", "delete", "again", "where"], [30, 25, 15, 12, 8, 2])[0]:
        case "add":
            c.add(*dice.records(c, dice.ids(c, dice.many(), 0.15)))
        case "update":
            c.update(*dice.records(c, dice.ids(c, dice.many(), 0.85), change=True))
        case "upsert":
            c.upsert(*dice.records(c, dice.ids(c, dice.many(), 0.6)))
        case "delete":
            remove(c, *dice.ids(c, rng.randrange(1, 7), 0.85))
        case "again":
            ids = dice.ids(c, rng.randrange(1, 5), 1.0)
            remove(c, *ids)
            if rng.random() < 0.3:
                c.add(*dice.records(c, dice.ids(c, 3, 0.0)))
            c.add(*dice.records(c, ids))
        case "where":
            remove(c, where={"group": rng.choice("abcd")})


def collection_metadata(dice):
    metadata = {"purpose": "random", "level": dice.rng.choice(INTEGERS), "weight": dice.rng.choice(FLOATS), "großes": "ß.x"}
    if dice.store.at_least("0.4.4"):
        metadata["active"] = dice.rng.random() < 0.5
    return metadata


def make(store, dice):
    """The collections of a new store."""
    rng = dice.rng

    def synced():
        threshold = rng.choice([5, 10, 20, 40])
        return {"threshold": threshold, "batch": rng.choice([b for b in (3, 5, 10, 20) if b <= threshold])}

    for space in SPACES:
        store.new(f"queue-{space}", space, rng.choice([2, 3, 8]))
        store.new(f"synced-{space}", space, rng.choice([2, 3, 8, 32]), **synced(), metadata=collection_metadata(dice))
    store.new("named", "cosine", 4, **synced())
    store.new("emptied", rng.choice(SPACES), 3, **synced())
    store.new("doomed", rng.choice(SPACES), 3, **synced())
    store.new("empty", rng.choice(SPACES), 3, metadata=collection_metadata(dice))
    store.new("wide", rng.choice(SPACES), 384, **synced())
    if store.at_least("1.0.0"):
        store.new("legacy", rng.choice(SPACES), 4, **synced(), legacy=True)
    if store.at_least("0.4.15"):
        for tenant, database in [(DEFAULT_TENANT, "archive"), ("acme", "library"), ("acme", "größe 2")]:
            c = store.new("elsewhere", rng.choice(SPACES), 3, **synced(), tenant=tenant, database=database)
            store.new("doomed", rng.choice(SPACES), 3, **synced(), tenant=tenant, database=database)
            c.handle.modify(name="same-name")
            c.name = "same-name"


def attempt(state, call, *arguments):
    """What a release refuses is noted and changes nothing."""
    try:
        call(*arguments)
    except Exception as error:
        state["refused"].append(f"{type(error).__name__}: {str(error)[:160]}")


def live(store, dice, state, stage):
    rng = dice.rng
    last = stage == state["stages"]
    if stage == 1:
        make(store, dice)
    busy = [c for c in store.collections if c.role != "empty" and (stage == 1 or rng.random() < 0.75)]
    steps = [c for c in busy for _ in range(rng.randrange(8, 26))]
    if stage == 1 and int(state["seed"]) == 1:
        # Beyond the threshold that nobody set.
        c = store.new("many", rng.choice(SPACES), 4)
        steps += [c] * 6
        for start in range(0, 1300, 130):
            attempt(state, lambda c, s: c.add(*dice.records(c, [f"m-{n}" for n in range(s, s + 130)])), c, start)
    rng.shuffle(steps)
    for c in steps:
        attempt(state, step, dice, c)
    for c in list(store.collections):
        if c.role == "named" and stage == 1:
            c.rename("after_rename")
        if c.role == "named" and last:
            # Takes the settings given as metadata keys away with the rest.
            c.handle.modify(metadata={"only": "this", "n": 3})
        if c.role == "emptied" and c.records:
            attempt(state, lambda c: remove(c, *sorted(c.records)), c)
            if rng.random() < 0.5:
                attempt(state, lambda c: c.add(*dice.records(c, dice.ids(c, 3, 0.0))), c)
        if c.role == "doomed" and last:
            store.drop(c)
    # New records take the row numbers of deleted ones.
    for c in rng.sample(busy, min(3, len(busy))):
        if c in store.collections:
            attempt(state, step, dice, c)


def main():
    directory, file, seed, stage = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if file.exists():
        state = json.loads(file.read_text(encoding="utf-8"))
    else:
        wanted = os.environ["STAGES"].split()
        state = {"seed": seed, "stages": len(wanted), "releases": wanted, "refused": [], "known": [], "collections": []}
    store = Life(directory, state["known"])
    store.reopen(state)
    live(store, Dice(store, f"{seed}/{stage}", plain=len(set(state["releases"])) > 1), state, stage)
    state["known"] = sorted(store.known)
    state["collections"] = [
        {
            "id": str(c.handle.id),
            "tenant": c.tenant,
            "database": c.database,
            "name": c.name,
            "space": c.space,
            "dimension": c.dimension,
            "role": c.role,
            "removed": c.removed,
            "records": {id: {**held, "input": hex32(held["input"])} for id, held in c.records.items()},
        }
        for c in store.collections
    ]
    file.write_text(json.dumps(state), encoding="utf-8")
    store.close()


if __name__ == "__main__":
    main()
