"""Makes the second sample store from files.txt: `make_files.py DIRECTORY`.

Run with the Python of chromadb 1.5.9, as make_store.py. No model is needed: a vector is the sum of one random
direction for each word, so sentences that share words are near each other. No record has an owner. Texts, ids, metadata
and vectors are the same in every run; Chroma's own uuids and row times are not.
"""

import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path

os.environ["ANONYMIZED_TELEMETRY"] = "False"

import chromadb
from chromadb.config import Settings

HERE = Path(__file__).resolve().parent


def files():
    """(collection, dimensions, source, sentences) of every file."""
    found = []
    for line in (HERE / "files.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("=="):
            name, dimensions, source = [part.strip() for part in line.lstrip("= ").split("|")]
            found.append((name, int(dimensions), source, []))
        elif line and not line.startswith("#"):
            found[-1][3].append(line)
    return found


def direction(word, dimensions):
    rng = random.Random(f"{dimensions}/{word}")
    return [rng.gauss(0.0, 1.0) for _ in range(dimensions)]


def vector(text, dimensions):
    """Of length one; words of three letters and fewer do not count."""
    words = [word for word in re.findall(r"\w+", text.lower()) if len(word) > 3]
    total = [sum(values) for values in zip(*(direction(word, dimensions) for word in words))]
    length = math.sqrt(sum(x * x for x in total))
    return [x / length for x in total]


def main():
    path = sys.argv[1]
    client = chromadb.PersistentClient(path=path, settings=Settings(anonymized_telemetry=False))
    for name, dimensions, source, sentences in files():
        collection = client.create_collection(
            name, embedding_function=None, configuration={"hnsw": {"space": "cosine", "max_neighbors": 4}}
        )
        collection.add(
            ids=[f"{name}-{n}" for n in range(1, len(sentences) + 1)],
            documents=sentences,
            metadatas=[{"title": f"{source}, paragraph {n}", "source": source, "paragraph": n} for n in range(1, len(sentences) + 1)],
            embeddings=[vector(sentence, dimensions) for sentence in sentences],
        )
    client._system.stop()
    # Chroma's own vacuum, as a store in use has it from time to time.
    chroma = Path(sys.executable).with_name("chroma")
    subprocess.run([str(chroma), "vacuum", "--path", path, "--force"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
