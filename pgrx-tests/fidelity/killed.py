"""A writer that is killed: `killed.py DIRECTORY STATE.json GIVEN.jsonl SEED`.

A process of its own opens the store, writes at random, and gets SIGKILL at a random moment. What landed nobody knows;
GIVEN.jsonl has every vector that was ever handed over, every deletion and every new collection, written before the
call. The state becomes the one of before, marked as killed: `compare.py` then asks only the release and the reader.
"""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

from dice import SPACES, Dice
from history import attempt, step
from life import Collection, Life, hex32

CALLS = 60  # calls before the kill, at most
MOMENT = 0.02  # seconds into the call that is hit, at most


class Noted:
    """A collection's handle that notes what it is given before it passes it on."""

    def __init__(self, handle, file):
        self.handle = handle
        self.file = file

    def __getattr__(self, name):
        call = getattr(self.handle, name)
        if name not in ("add", "update", "upsert", "delete"):
            return call

        def noted(**arguments):
            line = {"id": str(self.handle.id)}
            if name == "delete":
                line["deleted"] = arguments.get("ids") or self.handle.get(where=arguments["where"])["ids"]
            elif "embeddings" in arguments:
                line["vectors"] = dict(zip(arguments["ids"], map(hex32, arguments["embeddings"]), strict=True))
            note(self.file, line)
            return call(**arguments)

        return noted


def note(file, line):
    file.write(json.dumps(line) + "\n")
    file.flush()


def adopt(store, file, known):
    """Makes the collections ready to be written to; what their records hold does not matter."""
    for tenant, database, name in store.listed():
        handle = store.client(tenant, database).get_collection(name, embedding_function=None)
        meant = known.get(str(handle.id)) or known[name]
        c = Collection(Noted(handle, file), tenant, database, name, meant["space"], meant["dimension"])
        c.role, c.removed = meant["role"], {}
        try:
            ids = handle.get(include=[])["ids"]
        except Exception as error:
            print(f"{name} cannot be read any more: {error}", file=sys.stderr)
            continue
        c.records = {id: {"document": None, "uri": None, "metadata": None, "input": None} for id in ids}
        store.collections.append(c)


def made(given):
    """What is known of each collection, by its id, or by its name if that came to be in a killed process."""
    with given.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return {line.get("id") or line["name"]: line["made"] for line in lines if "made" in line}


def write(directory, state, known, file, seed):
    """Never ends."""
    store = Life(directory, state["known"])
    adopt(store, file, known)
    dice = Dice(store, seed, plain=True)
    # Half the calls go to one collection, so that its index is persisted often.
    favourite = dice.rng.choice([c for c in store.collections if c.role.startswith("synced")])
    busy = [c for c in store.collections if c.role not in ("empty", "values")]
    print("ready", flush=True)
    while True:
        c = favourite if dice.rng.random() < 0.5 else dice.rng.choice(busy)
        attempt(state, step, dice, c)
        if dice.rng.random() < 0.03 and c is not favourite and len(busy) > 4:
            store.drop(c)
            busy.remove(c)
        if dice.rng.random() < 0.03:
            role, space = f"late-{dice.rng.randrange(10**6)}", dice.rng.choice(SPACES)
            note(file, {"name": f"{role}-{len(store.collections)}", "made": {"space": space, "dimension": 3, "role": "late"}})
            c = store.new(role, space, 3, threshold=5, batch=5)
            c.handle = Noted(c.handle, file)
            busy.append(c)
        print("call", flush=True)


def kill(arguments, seed):
    rng = random.Random(f"{seed}/kill")
    calls, moment = rng.randrange(CALLS), rng.random() * MOMENT
    writer = subprocess.Popen([sys.executable, __file__, *arguments, "--write"], stdout=subprocess.PIPE, text=True)
    for line in writer.stdout:
        if line == "call\n":
            calls -= 1
        if calls <= 0 and line in ("ready\n", "call\n"):
            break
    try:
        status = writer.wait(timeout=moment)
        # Another one was killed before it, and the release crashes at what that one left.
        sys.exit(f"the writer ended with {status} before it was killed")
    except subprocess.TimeoutExpired:
        writer.send_signal(signal.SIGKILL)
    writer.wait()


def main():
    directory, file, given, seed = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    state = json.loads(file.read_text(encoding="utf-8"))
    if sys.argv[-1] == "--write":
        with given.open("a", encoding="utf-8") as notes:
            write(directory, state, made(given), notes, seed)
    if not given.exists():
        with given.open("w", encoding="utf-8") as notes:
            for c in state["collections"]:
                note(notes, {"id": c["id"], "made": {key: c[key] for key in ("space", "dimension", "role")}, "removed": c["removed"]})
                note(notes, {"id": c["id"], "vectors": {id: held["input"] for id, held in c["records"].items()}})
    kill(sys.argv[1:], seed)
    file.write_text(json.dumps({**state, "killed": True}), encoding="utf-8")


if __name__ == "__main__":
    main()
