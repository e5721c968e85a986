"""Writes to the Chroma store given, and logs every call, until it is killed: `live_writer.py STORE LOG`.

One JSON line before a call, one after it. The version of a record's vector is in its document, the number of the last
call that changed it in its metadata; vectors are a function of number and version (see live_loop.rs). Deleted numbers
never come back: what releases do with those is not the question here.
"""

import json
import random
import sys

import chromadb

METADATA = {"hnsw:space": "l2", "hnsw:sync_threshold": 40, "hnsw:batch_size": 20}
MOST = 500


def vector(number, version):
    return [float(number), float(version), number * 0.5 + version, 1.0]


def chosen(rng, live, following, call):
    """What to do, and with which numbers."""
    old = rng.sample(live, min(len(live), rng.randrange(1, 25)))
    new = list(range(following, following + rng.randrange(1, 30)))
    if len(live) > MOST:
        return "delete", rng.sample(live, 60)
    if call == 1:
        return "add", new
    what = rng.choices(["add", "update", "mark", "upsert", "delete"], [30, 30, 10, 20, 10])[0]
    return what, {"add": new, "upsert": old[:10] + new[:10], "delete": old[:6]}.get(what, old)


def do(live, what, numbers, call):
    arguments = {"ids": [str(number) for number in numbers]}
    if what == "delete":
        return live.delete(**arguments)
    arguments["metadatas"] = [{"call": call} for _ in numbers]
    if what != "mark":
        arguments["embeddings"] = [vector(number, call) for number in numbers]
        arguments["documents"] = [f"document {number} version {call}" for number in numbers]
    return getattr(live, "update" if what == "mark" else what)(**arguments)


def main(log):
    rng = random.Random(1)
    client = chromadb.PersistentClient(path=sys.argv[1])
    live = client.create_collection("live", metadata=METADATA)
    numbers, following, call = [], 0, 0
    while True:
        call += 1
        what, taken = chosen(rng, numbers, following, call)
        print(json.dumps({"call": call, "what": what, "numbers": taken}), file=log)
        do(live, what, taken, call)
        print(json.dumps({"done": call}), file=log)
        following = max(following, max(taken, default=-1) + 1)
        numbers = sorted(set(numbers) - set(taken) if what == "delete" else set(numbers) | set(taken))


with open(sys.argv[2], "w", encoding="utf-8", buffering=1) as log:
    try:
        main(log)
    except Exception as error:
        print(json.dumps({"error": repr(error)}), file=log)
        raise
