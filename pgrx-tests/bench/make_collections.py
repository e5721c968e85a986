"""A store of very many small collections: make_collections.py DIRECTORY NUMBER.

As a chat application leaves it: a collection for each file, one in ten empty, three to eleven records in the others, 384
dimensions in the first three quarters and 1,024 in the rest, the owner under `created_by`. The same in every run, but for
Chroma's own ids and times.
"""

import random
import sys
import uuid

import chromadb

directory, number = sys.argv[1], int(sys.argv[2])
dice = random.Random(16)
client = chromadb.PersistentClient(directory)
owners = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(3)]
for n in range(number):
    name = f"file-{uuid.UUID(int=dice.getrandbits(128), version=4)}"
    collection = client.create_collection(name, metadata={"hnsw:space": "cosine"}, embedding_function=None)
    if n % 10 == 9:
        continue
    dimension = 384 if n < number * 3 // 4 else 1024
    parts = range(3 + n % 9)
    collection.add(
        ids=[f"{n}-{part}" for part in parts],
        embeddings=[[dice.gauss(0, 1) for _ in range(dimension)] for _ in parts],
        documents=[f"Part {part} of the file number {n}." for part in parts],
        metadatas=[{"created_by": owners[n % 3], "source": f"file {n}.pdf", "page": part} for part in parts],
    )
