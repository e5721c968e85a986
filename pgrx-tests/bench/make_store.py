"""Builds a store to be measured: `make_store.py DIRECTORY RECORDS DIMENSIONS SPACE EFFORT VECTORS`.

Written by a real chromadb, one `add` for 5,000 records. Ids, texts, metadata and vectors come from the number of the
batch alone, so a build that was interrupted goes on where it stopped, and ends with the same records.

EFFORT is Chroma's `ef_construction`. VECTORS: `clustered` (one of 100 centres, which are drawn from the normal distribution,
plus as much normal noise) or `random` (the noise alone).
"""

import datetime
import os
import sys
import time

os.environ["ANONYMIZED_TELEMETRY"] = "False"

import chromadb
import numpy as np
from chromadb.config import Settings

NAME = "library"
BATCH = 5_000
USERS = 50
LETTERS = 600  # of a document, on average
CENTRES = 100  # of the clusters that vectors lie in: texts have subjects
VECTORS = ("clustered", "random")
FIRST_DAY = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
KINDS = ("article", "note", "video", "podcast", "recipe")
SYLLABLES = (
    "a an ar at be ber can con da de den der dis ed el en ent er est ev fer for ful gen ha her ing in is it "
    "ject ket la lan le lem li ly man mar men mer mi na ness ni no or ous out pa per ple pre pro re sen ser "
    "sion sta ta ten ter the ti tion to tra un ven ver vi wa ward wor"
).split()


def vocabulary():
    """Words, and how often each comes: few very often, most seldom, as in a language."""
    dice = np.random.default_rng(7)
    words = {"".join(dice.choice(SYLLABLES, dice.integers(1, 5))) for _ in range(9_000)}
    words = sorted(words, key=lambda word: (len(word), word))
    weights = 1 / (np.arange(len(words)) + 3)
    return np.array(words, dtype=object), weights / weights.sum()


def documents(dice, words, weights, count):
    """Sentences of six to sixteen words, until the document is long enough."""
    chosen = iter(dice.choice(words, count * (LETTERS + 150) // 3, p=weights))
    for _ in range(count):
        wanted = LETTERS + int(dice.integers(-150, 150))
        text = []
        length = 0
        while length < wanted:
            sentence = " ".join(next(chosen, "end") for _ in range(dice.integers(6, 17))).capitalize() + "."
            text.append(sentence)
            length += len(sentence) + 1
        yield " ".join(text)[:wanted]


def metadata(dice, number, document):
    day = FIRST_DAY + datetime.timedelta(minutes=37 * number)
    return {
        "user_id": str(int(dice.integers(1, USERS + 1))),
        "title": " ".join(document.split()[:5]).rstrip("."),
        "content_type": KINDS[number % len(KINDS)],
        "source_url": f"https://library.example/items/{number}",
        "created_at": day.isoformat(),
        "words": document.count(" ") + 1,
        "score": float(dice.random()),
        "favourite": bool(dice.random() < 0.2),
    }


def centres(dimensions):
    return np.random.default_rng(8).standard_normal((CENTRES, dimensions), dtype=np.float32)


def vectors(dice, dimensions, count, kind):
    """So many draws of the distribution `kind`."""
    if kind == "random":
        return dice.standard_normal((count, dimensions), dtype=np.float32)
    near = centres(dimensions)[dice.integers(0, CENTRES, count)]
    noise = dice.standard_normal(near.shape, dtype=np.float32)
    return near + noise


def main():
    path, space, kind = sys.argv[1], sys.argv[4], sys.argv[6]
    records, dimensions, effort = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5])
    assert kind in VECTORS, f"no kind of vectors: {kind}"
    client = chromadb.PersistentClient(path=path, settings=Settings(anonymized_telemetry=False))
    collection = client.get_or_create_collection(
        NAME, embedding_function=None, configuration={"hnsw": {"space": space, "ef_construction": effort}}
    )
    words, weights = vocabulary()
    done = collection.count()
    assert done % BATCH == 0 or done == records, f"{path} was not written by this program"
    began, before = time.monotonic(), done
    for start in range(done, records, BATCH):
        numbers = range(start, min(start + BATCH, records))
        dice = np.random.default_rng([9, start])
        texts = list(documents(dice, words, weights, len(numbers)))
        collection.add(
            ids=[f"doc-{number + 1:07d}" for number in numbers],
            documents=texts,
            metadatas=[metadata(dice, number, text) for number, text in zip(numbers, texts)],
            embeddings=vectors(dice, dimensions, len(numbers), kind),
        )
        done = numbers.stop
        rate = (done - before) / (time.monotonic() - began)
        print(f"    {done:,} of {records:,} records, {rate:,.0f} a second", flush=True)
    assert collection.count() == records
    client._system.stop()


if __name__ == "__main__":
    main()
