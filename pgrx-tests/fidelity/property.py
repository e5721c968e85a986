"""Many short histories in one store: `property.py DIRECTORY STATE.json SEED STAGE`.

Each collection is one history: calls at random on a handful of ids, so that nearly every call meets an id that exists,
existed or is gone, with thresholds so small that the index is persisted every few calls. A second stage, a process of
its own, goes on with the same collections. The calls depend on SEED alone, not on the release: what an older release
cannot take (lists, uris, keys set to None, and so on) is replaced or left out.

HISTORIES is the number of collections.
"""

import json
import os
import sys
from pathlib import Path
from random import Random

from history import SPACES, Dice, Life, attempt, hex32, remove
from model import Record

IDS = [f"id-{n}" for n in range(7)]
STAGES = 2


class Newest:
    """The store of a release that takes everything: the dice fall alike for all of them."""

    def at_least(self, release):
        return True


def fitted(store, value):
    """A value of metadata that the release takes."""
    if isinstance(value, list) and not store.at_least("1.5.0"):
        value = value[0]
    if isinstance(value, bool) and not store.at_least("0.4.4"):
        return str(value).lower()
    if isinstance(value, int) and not -(2**63) <= value < 2**63 and not store.at_least("1.0.0"):
        return 2**63 - 1
    return value


def fit(store, record):
    """The record as the release takes it."""
    metadata = record.metadata
    if metadata is not None:
        nulls = store.at_least("1.0.21")
        metadata = {key: fitted(store, value) for key, value in metadata.items() if value is not None or nulls}
        metadata = metadata or {"k": "nothing else"}
    uri = record.uri if store.at_least("0.4.16") else None
    return Record(record.id, record.vector, record.document, metadata, uri)


def step(store, c, rng, seed):
    """One call, or two that belong together."""
    dice = Dice(Newest(), seed, plain=False)
    ids = rng.sample(IDS, rng.choice([1, 1, 2, 2, 3, 4]))

    def records(change=False):
        return [fit(store, record) for record in dice.records(c, ids, change)]

    match rng.choices(["add", "update", "upsert", "delete", "again", "where"], [25, 25, 20, 15, 10, 5])[0]:
        case "add":
            c.add(*records())
        case "update":
            c.update(*records(change=True))
        case "upsert":
            c.upsert(*records())
        case "delete":
            remove(c, *ids)
        case "again":
            remove(c, *ids)
            c.add(*records())
        case "where":
            remove(c, where={"group": rng.choice("abcd")})


def make(store, rng, histories):
    """The collections: nine of ten are persisted often, the others never."""
    for n in range(histories):
        threshold = rng.choice([3, 4, 6, 10])
        settings = {"threshold": threshold, "batch": rng.choice([b for b in (3, 5) if b <= threshold])}
        often = rng.random() < 0.9
        space = SPACES[n % len(SPACES)]
        store.new(f"{'synced' if often else 'queue'}-{space}", space, rng.choice([2, 3, 5]), **(settings if often else {}))


def live(store, state, seed, stage):
    rng = Random(f"{seed}/{stage}")
    if stage == 1:
        make(store, rng, state["histories"])
    # Every collection has dice of its own, so that a call that is refused changes nothing for the others.
    calls = [(c, n, at) for n, c in enumerate(store.collections) for at in range(rng.randrange(4, 13))]
    rng.shuffle(calls)
    for c, n, at in calls:
        each = f"{seed}/{stage}/{n}/{at}"
        state["calls"] += 1
        attempt(state, step, store, c, Random(each), each)


def held(c):
    """A collection as `compare.py` and the next stage want it."""
    kept = ("tenant", "database", "name", "space", "dimension", "role", "removed")
    records = {id: {**record, "input": hex32(record["input"])} for id, record in c.records.items()}
    return {"id": str(c.handle.id), **{key: getattr(c, key) for key in kept}, "records": records}


def main():
    directory, file, seed, stage = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    state = {"seed": seed, "stages": STAGES, "histories": int(os.environ["HISTORIES"]), "calls": 0, "refused": [], "known": [], "collections": []}
    if file.exists():
        state = json.loads(file.read_text(encoding="utf-8"))
    store = Life(directory, state["known"])
    state["releases"] = [store.release]
    store.reopen(state)
    live(store, state, seed, stage)
    state["known"] = sorted(store.known)
    state["collections"] = [held(c) for c in store.collections]
    file.write_text(json.dumps(state), encoding="utf-8")
    store.close()


if __name__ == "__main__":
    main()
