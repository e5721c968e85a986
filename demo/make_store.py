"""Makes the sample store from material.txt: `make_store.py DIRECTORY`.

Run with the Python of chromadb 1.5.9 (`pgrx-tests/fixtures/requirements/1.5.9.txt` brings chromadb, onnxruntime and
tokenizers) and with the text model where `make` puts it, `target/deps/model`, or where MODEL says. No network.
Texts, ids, metadata and vectors are the same in every run; Chroma's own uuids and row times are not.
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ["ANONYMIZED_TELEMETRY"] = "False"

import chromadb
import numpy as np
import onnxruntime
from chromadb.config import Settings
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
MODEL = Path(os.environ.get("MODEL", HERE.parent / "target" / "deps" / "model"))
FIRST_DAY = datetime.datetime(2023, 1, 3, 7, 30, tzinfo=datetime.timezone.utc)
BATCH = 46  # six batches reach the index files, the last 24 items stay in the queue
MODES = ("general", "general", "study", "work")
ACTIONS = {
    "recipe": "Cook it once and note the time.",
    "video": "Watch the middle part again.",
    "podcast": "Send the episode to a friend.",
    "article": "Keep the main figure.",
    "note": "Look at this again next month.",
}


def material():
    """(subject, topics, kinds, entities, title, summary) of every item, and the subject's other items."""
    subjects = []
    for line in (HERE / "material.txt").read_text(encoding="utf-8").splitlines():
        parts = [part.strip() for part in line.lstrip("=@ ").split("|")]
        if not line or line.startswith("#"):
            continue
        if line.startswith("=="):
            subjects.append({"name": parts[0], "topics": parts[1].split(", "), "kinds": parts[2].split(", "), "entities": [], "items": []})
        elif line.startswith("@"):
            keys = ("name", "type", "description")
            subjects[-1]["entities"].append(dict(zip(keys, parts)) if len(parts) == 3 else parts[0])
        else:
            subjects[-1]["items"].append((parts[0], parts[1]))
    return subjects


def user_of(subject, n, number):
    """Four users, each with favourite subjects; twelve items belong to nobody."""
    if number % 25 == 24:
        return None
    return str((subject + (1 if n % 5 == 3 else 0)) % 4 + 1)


def compose(subject, index, n, number):
    """The full content of one item, as the application would keep it."""
    title, summary = subject["items"][n]
    kind = subject["kinds"][n % len(subject["kinds"])]
    before, after = subject["items"][n - 1], subject["items"][(n + 1) % len(subject["items"])]
    entities = subject["entities"]
    named = [e for e in entities if (e if isinstance(e, str) else e["name"]).lower() in f"{title} {summary}".lower()]
    transcript = ""
    if kind in ("video", "podcast") and n % 2 == 0:
        transcript = f"Welcome back. {title}: {summary} Last time we said: {before[1]} And next time: {after[0]}."
    return {
        "id": f"{kind}-{number + 1:03d}",
        "title": title,
        "summary": summary,
        "content_type": kind,
        "mode": MODES[(index + n) % len(MODES)],
        "topics": subject["topics"],
        "tags": [subject["name"], kind],
        "collections": ["favourites"] if n % 4 == 0 else [],
        "key_points": [{"point": summary, "timestamp": 15 * n}] if transcript else [clause(summary)],
        "entities": named or [entities[n % len(entities)]],
        "action_items": [ACTIONS[kind]] if n % 3 == 0 else [],
        "transcript": transcript,
        "source_url": f"https://library.example/{subject['name']}/{n + 1}",
        "file_size_bytes": 20_000 + 7_919 * number if transcript else 2_000 + 31 * number,
    }


def clause(summary):
    """The first clause of a sentence, where it has more than one."""
    for mark in (";", ":", ",", "、"):
        if mark in summary:
            return summary.split(mark)[0]
    return summary


def searchable(content):
    """The text that the application embeds; its lines are those that vector_migrate would make of the content."""

    def name(value, key):
        return value if isinstance(value, str) else value[key]

    lines = [
        f"Title: {content['title']}",
        f"Summary: {content['summary']}",
        f"Type: {content['content_type']}",
        f"Topics: {', '.join(content['topics'])}",
        f"Key Points: {' '.join(name(p, 'point') for p in content['key_points'])}",
        f"Entities: {', '.join(name(e, 'name') for e in content['entities'])}",
    ]
    if content["action_items"]:
        lines.append(f"Action Items: {' '.join(content['action_items'])}")
    lines.append(f"Tags: {', '.join(content['tags'])}")
    if content["transcript"]:
        lines.append(content["transcript"][:1000])
    return "\n".join(lines)


def metadata_of(content, user, number):
    def text(value):
        return json.dumps(value, ensure_ascii=False)

    metadata = {
        "title": content["title"],
        "summary": content["summary"],
        "content_type": content["content_type"],
        "topics": text(content["topics"]),
        "tags": text(content["tags"]),
        "source_url": content["source_url"],
        "created_at": (FIRST_DAY + datetime.timedelta(days=3 * number, minutes=37 * number)).isoformat(),
        "full_content": text(content),
    }
    return metadata if user is None else {"user_id": user} | metadata


class Model:
    """all-MiniLM-L6-v2: at most 256 tokens, mean over the tokens, length one."""

    def __init__(self):
        self.tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()
        self.session = onnxruntime.InferenceSession(str(MODEL / "model.onnx"), providers=["CPUExecutionProvider"])

    def embed(self, texts):
        encoded = self.tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self.session.run(["last_hidden_state"], inputs)
        weight = mask[:, :, None].astype(np.float32)
        pooled = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def main():
    path = sys.argv[1]
    items = []
    for index, subject in enumerate(material()):
        for n in range(len(subject["items"])):
            number = len(items)
            content = compose(subject, index, n, number)
            items.append((content["id"], searchable(content), metadata_of(content, user_of(index, n, number), number)))

    model = Model()
    client = chromadb.PersistentClient(path=path, settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection(
        "content_library",
        embedding_function=None,
        metadata={"description": "Saved articles, videos, podcasts, recipes and notes"},
        configuration={"hnsw": {"space": "cosine", "sync_threshold": 100, "batch_size": 100}},
    )
    for start in range(0, len(items), BATCH):
        ids, documents, metadatas = zip(*items[start : start + BATCH])
        vectors = np.concatenate([model.embed(list(documents[k : k + 16])) for k in range(0, len(documents), 16)])
        collection.add(ids=list(ids), documents=list(documents), metadatas=list(metadatas), embeddings=vectors)
    client._system.stop()
    # Chroma's own vacuum: queue rows that the index files cover leave free pages behind.
    chroma = Path(sys.executable).with_name("chroma")
    subprocess.run([str(chroma), "vacuum", "--path", path, "--force"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
