"""Writes to the Chroma store given, until it is killed: adds, and updates of what is there.

Every record's document ends with its version, and its vector is a function of id and version (see live.rs).
"""

import random
import sys

import chromadb

METADATA = {"hnsw:space": "l2", "hnsw:sync_threshold": 40, "hnsw:batch_size": 20}


def vector(number, version):
    return [float(number), float(version), number * 0.5 + version, 1.0]


def main():
    client = chromadb.PersistentClient(path=sys.argv[1])
    live = client.create_collection("live", metadata=METADATA)
    count, version = 0, 0
    while True:
        numbers = list(range(count, count + random.randint(1, 30)))
        version += 1
        live.add(
            ids=[str(number) for number in numbers],
            embeddings=[vector(number, version) for number in numbers],
            documents=[f"document {number} version {version}" for number in numbers],
        )
        count += len(numbers)
        version += 1
        numbers = random.sample(range(count), min(count, 25))
        live.update(
            ids=[str(number) for number in numbers],
            embeddings=[vector(number, version) for number in numbers],
            documents=[f"document {number} version {version}" for number in numbers],
        )
        if version == 40:
            print("ready", flush=True)


try:
    main()
except Exception as error:
    print("error", repr(error), flush=True)
    raise
