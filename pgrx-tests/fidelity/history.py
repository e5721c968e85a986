"""One stage of a store's life, at random but repeatable: `history.py DIRECTORY STATE.json SEED STAGE`.

The installed chromadb opens the directory (the first stage makes it), writes, and closes it. What the store should
hold then is in STATE.json, from which the next stage, perhaps of a newer release, goes on.
"""

import json
import os
import sys
from pathlib import Path

import values
from dice import FLOATS, INTEGERS, SPACES, Dice
from life import DEFAULT_TENANT, Life, hex32  # noqa: F401  (property.py)


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
        # A server takes plain names only.
        third = "größe 2" if store.port is None else "size-2"
        for tenant, database in [(DEFAULT_TENANT, "archive"), ("acme", "library"), ("acme", third)]:
            c = store.new("elsewhere", rng.choice(SPACES), 3, **synced(), tenant=tenant, database=database)
            store.new("doomed", rng.choice(SPACES), 3, **synced(), tenant=tenant, database=database)
            c.handle.modify(name="same-name")
            c.name = "same-name"


def attempt(state, call, *arguments, refused="refused"):
    """What a release refuses is noted and changes nothing."""
    try:
        call(*arguments)
    except Exception as error:
        state.setdefault(refused, []).append(f"{type(error).__name__}: {str(error)[:160]}")


def live(store, dice, state, stage):
    rng = dice.rng
    last = stage == state["stages"]
    if stage == 1:
        make(store, dice)
        values.make(store, dice.odd, lambda call, *arguments: attempt(state, call, *arguments, refused="refused values"))
    busy = [c for c in store.collections if c.role not in ("empty", "values") and (stage == 1 or rng.random() < 0.75)]
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
    port = os.environ.get("CHROMA_PORT")
    # NaN and the like cannot be sent to a server, and a release that opens the store later may fail at them.
    plain = port is not None or len(set(state["releases"])) > 1
    store = Life(directory, state["known"], port and int(port))
    store.reopen(state)
    live(store, Dice(store, f"{seed}/{stage}", plain), state, stage)
    state["known"] = sorted(store.known)
    state["collections"] = store.state()
    file.write_text(json.dumps(state), encoding="utf-8")
    store.close()


if __name__ == "__main__":
    main()
