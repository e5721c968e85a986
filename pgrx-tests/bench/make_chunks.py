"""A store of Open WebUI's chunks: make_chunks.py DIRECTORY NUMBER DIMENSIONS.

As its Chroma client leaves it: a collection for each file of 50 chunks, cosine, ids of random uuids, a document of about 1,000
characters and metadata with lists as Python's texts. The same in every run, but for Chroma's own ids and times.
"""

import random
import sys
import uuid

import chromadb
import numpy

directory, number, dimensions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(17)
vectors = numpy.random.default_rng(17)
client = chromadb.PersistentClient(directory)
WORDS = [f"word{n}" for n in range(2_000)]


def random_uuid():
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


for start in range(0, number, 50):
    file = random_uuid()
    # No search is measured: a graph of little effort is enough.
    settings = {"hnsw:space": "cosine", "hnsw:construction_ef": 8, "hnsw:M": 4}
    collection = client.create_collection(f"file-{file}", metadata=settings, embedding_function=None)
    parts = range(start, min(start + 50, number))
    values = vectors.standard_normal((len(parts), dimensions), dtype=numpy.float32)
    values /= numpy.linalg.norm(values, axis=1, keepdims=True)
    collection.add(
        ids=[random_uuid() for _ in parts],
        embeddings=values,
        documents=[" ".join(dice.choices(WORDS, k=130)) for _ in parts],
        metadatas=[
            {
                "file_id": file,
                "name": f"file {start}.pdf",
                "created_by": random_uuid(),
                "hash": f"{part:064x}",
                "page": part % 50,
                "start_index": 900 * (part % 50),
                "embedding_config": "{'engine': '', 'model': 'all-MiniLM-L6-v2'}",
            }
            for part in parts
        ],
    )
