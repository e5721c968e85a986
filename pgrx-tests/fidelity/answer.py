"""What a release returns for a store: `answer.py COPY STATE.json ANSWER.jsonl [WITHOUT.json]`, in a new process, on a copy.

One line a collection, one line a record, as `dump_store` prints them. A value of metadata is a pair of its type and
its text, so that 3, 3.0 and "3" differ; a float is the hexadecimal of its 64 bits, a vector that of its float32s.

WITHOUT.json (`ask.py`) has the collections, by id, that the release failed at, and how to ask for them: without their
index, which is then removed from the copy, or not at all.
"""

import json
import shutil
import sqlite3
import struct
import sys
from pathlib import Path

from life import Life, hex32


def value(given):
    match given:
        case bool():
            return ["bool", str(given).lower()]
        case int():
            return ["int", str(given)]
        case float():
            return ["float", struct.pack(">d", given).hex()]
        case str():
            return ["str", given]
        case _:
            return ["list", [value(item) for item in given]]


def metadata(given):
    """A key without a value is no key."""
    return {key: value(item) for key, item in sorted((given or {}).items()) if item is not None}


def vectors(store, handle, ids, noted):
    """One vector an id. Chroma fails a whole page for one lost vector: then each id is asked for alone."""
    # Releases up to 0.4.3 return the vectors of a page in another order than its ids.
    if store.at_least("0.4.4"):
        try:
            answer = handle.get(include=["embeddings"])
            if answer["ids"] == ids and len(answer["embeddings"]) == len(ids):
                return [hex32(vector) if vector is not None else None for vector in answer["embeddings"]]
            noted.append("vectors of another number or order than the ids")
        except Exception as error:
            noted.append(f"{type(error).__name__}: {str(error)[:120]}")
    found = []
    for id in ids:
        try:
            answer = handle.get(ids=[id], include=["embeddings"])["embeddings"]
            found.append(hex32(answer[0]) if len(answer) == 1 and answer[0] is not None else None)
        except Exception as error:
            noted.append(f"{id!r}: {type(error).__name__}: {str(error)[:120]}")
            found.append(None)
    return found


def lines(store, state, without):
    include = ["documents", "metadatas"] + (["uris"] if store.at_least("0.4.16") else [])
    wanted = state["collections"]
    if state.get("killed"):
        wanted = [dict(zip(("tenant", "database", "name"), found, strict=True)) for found in store.listed()]
    for given in wanted:
        handle = store.client(given["tenant"], given["database"]).get_collection(given["name"], embedding_function=None)
        # For whoever has to find out at which collection this process ended.
        print(handle.id, flush=True)
        head = {key: given[key] for key in ("tenant", "database", "name")}
        broken = without.get(str(handle.id), {"why": None, "ask": True})
        head.update(collection=str(handle.id), metadata=metadata(handle.metadata), noted=[], unreadable=broken["why"], asked=broken["ask"])
        if not broken["ask"]:
            yield head
            continue
        answer = handle.get(include=include)
        noted = head["noted"]
        embeddings = vectors(store, handle, answer["ids"], noted) if broken["why"] is None else [None] * len(answer["ids"])
        head["count"] = handle.count()
        if noted and answer["ids"] and not any(embeddings):
            head["unreadable"] = noted[-1]
        if store.at_least("1.0.0"):
            head["space"] = handle.configuration["hnsw"]["space"]
        yield head
        uris = answer.get("uris") or [None] * len(answer["ids"])
        for n, id in enumerate(answer["ids"]):
            yield {
                "record": id,
                "document": answer["documents"][n],
                "uri": uris[n],
                "metadata": metadata(answer["metadatas"][n]),
                "vector": embeddings[n],
            }


def remove_index(directory, ids):
    database = sqlite3.connect(Path(directory) / "chroma.sqlite3")
    for id in ids:
        for (segment,) in database.execute("SELECT id FROM segments WHERE collection = ? AND scope = 'VECTOR'", (id,)).fetchall():
            shutil.rmtree(Path(directory) / segment, ignore_errors=True)
    database.close()


def main():
    state = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    without = json.loads(Path(sys.argv[4]).read_text(encoding="utf-8")) if len(sys.argv) > 4 else {}
    remove_index(sys.argv[1], [id for id, broken in without.items() if broken["ask"]])
    store = Life(sys.argv[1], state["known"])
    with open(sys.argv[3], "w", encoding="utf-8") as file:
        for line in lines(store, state, without):
            file.write(json.dumps(line) + "\n")
        file.write(json.dumps({"listed": len(list(store.listed()))}) + "\n")
    store.close()


if __name__ == "__main__":
    main()
