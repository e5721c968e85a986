"""Open WebUI: its ChromaClient wrote the store, its PgvectorClient has to go on with document_chunk."""

import hashlib
import os
import sys

from kit import DIM, plain, unit

sys.path.insert(0, os.path.join(os.environ["APPS_DIR"], "open_webui", "wheel"))

STORE = "open_webui"
PACKAGES = ["sqlalchemy", "psycopg2-binary"]
VERSIONS = {"open-webui": "0.12.4"}
TABLES = {"document_chunk": "id"}
OWN, BLANK = {}, (None,)
CALLS = ["target => 'document_chunk'"]
MAKES = [("preset => 'open_webui'", ["document_chunk"])]
FAILED = (0, "none")

ADA, BEN = "a11ce000-1111-4000-8000-000000000001", "be11ce00-2222-4000-8000-000000000002"
BOOK, SHEET, BLANK_FILE = (f"f0000000-aaaa-4000-8000-{n:012}" for n in (1, 2, 3))
KNOWLEDGE = "cafe0000-bbbb-4000-8000-000000000001"
OTHER = "cafe0000-bbbb-4000-8000-000000000002"
SEARCHED = f"web-search-{ADA[:8]}-{hashlib.sha256(b'vector search').hexdigest()}"[:63]
PAGE = hashlib.sha256(b"https://example.org/page").hexdigest()
NOTHING = "file-f0000000-aaaa-4000-8000-000000000009"
MODEL = {"engine": "", "model": "sentence-transformers/all-MiniLM-L6-v2"}


def of_file(file, user, name, start, **more):
    """Metadata as the application puts it together; a dictionary is kept as Python's text of it."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    common = {"name": name, "source": name, "created_by": user, "file_id": file, "hash": digest}
    return common | {"start_index": start, "embedding_config": MODEL} | more


def chunk(number, text, metadata):
    return {"id": f"c4000000-cccc-4000-8000-{number:012}", "text": text, "metadata": metadata}


def contents():
    """collection -> dimension, items. One user has changed the model: two dimensions in one store."""
    book = [
        chunk(1, "Foxes live at the edge of the wood.", of_file(BOOK, ADA, "foxes.txt", 0)),
        chunk(2, "F\u00fcchse fressen auch Beeren. \U0001f98a", of_file(BOOK, ADA, "foxes.txt", 36)),
    ]
    numbers = {"page": 0, "page_label": "i", "total_pages": 2, "share": 1.0, "part": 0.125, "final": False}
    more = {"page": 1, "big": 2**53 + 1, "labels": ["a", "b"], "empty": None, "creationdate": "2024-06-01T08:00:00+00:00"}
    sheet = [
        chunk(3, "The figures of the first half.", of_file(SHEET, BEN, "figures.pdf", 0, **numbers)),
        chunk(4, "The figures of the second half.", of_file(SHEET, BEN, "figures.pdf", 31, **more)),
        chunk(5, "A NUL \x00 that an old reader left.", of_file(SHEET, BEN, "figures.pdf", 62, note="here\x00too")),
    ]
    copies = [chunk(10 + n, item["text"], item["metadata"]) for n, item in enumerate(book + sheet[:2])]
    copies.append(chunk(15, "", of_file(BLANK_FILE, ADA, "blank.md", 0)))
    copies.append(chunk(16, "Its own key is left out.", of_file(BLANK_FILE, ADA, "blank.md", 1, content="long", pages=[1, 2])))
    at = {"created_at": 1718000000, "updated_at": 1718000100, "type": "context", "path": None}
    remembered = [
        {"id": f"3e300000-dddd-4000-8000-{n:012}", "text": text, "metadata": at}
        for n, text in enumerate(("Drinks tea", "Lives in Bergen", "Reads at night"))
    ]
    bases = [
        {"id": KNOWLEDGE, "text": "Animals\n\nAll about foxes", "metadata": {"knowledge_base_id": KNOWLEDGE}},
        {"id": OTHER, "text": "Figures\n\n", "metadata": {"knowledge_base_id": OTHER}},
    ]
    web = {"source": "https://example.org/vectors", "title": "Vectors", "language": "en", "start_index": 0}
    return {
        f"file-{BOOK}": (DIM, book),
        f"file-{SHEET}": (DIM, sheet),
        KNOWLEDGE: (DIM, copies),
        f"user-memory-{ADA}": (DIM, remembered[:2]),
        f"user-memory-{BEN}": (12, remembered[2:]),
        "knowledge-bases": (DIM, bases),
        SEARCHED: (DIM, [chunk(21, "Vectors can be searched by distance.", web | {"embedding_config": MODEL})]),
        PAGE: (12, [chunk(31, "A page that was saved.", {"source": "https://example.org/page", "start_index": 0})]),
    }


def with_vectors(collection, dimension, items):
    salted = ((item, unit(f"{collection[:4]} {item['text']}", dimension)) for item in items)
    return [item | {"vector": vector, "metadata": dict(item["metadata"])} for item, vector in salted]


def of_chroma(path):
    from open_webui.retrieval.vector.dbs import chroma

    chroma.CHROMA_DATA_PATH = str(path)
    return chroma.ChromaClient()


def of_postgres(db):
    from open_webui.retrieval.vector.dbs import pgvector

    pgvector.PGVECTOR_DB_URL = db.url("psycopg2")
    return pgvector.PgvectorClient()


def write(client, clean):
    for name, (dimension, items) in contents().items():
        put = client.upsert if name.startswith(("user-memory-", "knowledge-bases")) else client.insert
        put(name, [item | {"text": clean(item["text"])} for item in with_vectors(name, dimension, items)])


def write_store(path):
    client = of_chroma(path)
    write(client, clean=lambda text: text)
    client.client.get_or_create_collection(NOTHING, metadata={"hnsw:space": "cosine"}, embedding_function=None)


def make_tables(db):
    of_postgres(db)


def write_tables(db, store):
    # The application takes U+0000 out of a text before it makes a vector of it.
    write(of_postgres(db), clean=lambda text: text.replace("\x00", ""))


def questions():
    for name, (dimension, _) in contents().items():
        for text in ("fox", "figures", "what does the user drink"):
            for limit in (1, 3, 10):
                yield name, text, dimension, limit, None
    for name, condition in conditions():
        yield name, "fox", DIM, 10, condition
    yield KNOWLEDGE, "fox", DIM, 10, {"file_id": {"$in": [SHEET, BLANK_FILE]}}


def conditions():
    digest = hashlib.sha256(b"figures.pdf").hexdigest()
    of_sheet = ({"page": 1}, {"share": 1.0}, {"part": 0.125}, {"big": 2**53 + 1})
    found = [(KNOWLEDGE, {"file_id": BOOK}), (KNOWLEDGE, {"hash": digest})]
    return found + [(f"file-{SHEET}", condition) for condition in of_sheet]


def sorted_rows(got):
    return sorted(list(row) for row in zip(got.ids[0], got.documents[0], got.metadatas[0])) if got else None


def ask(client):
    has = {name: client.has_collection(name) for name in [*contents(), "file-that-is-not"]}
    got = {name: sorted_rows(client.get(name)) for name in contents()}
    queries = []
    for name, condition in conditions():
        found = client.query(name, condition)
        queries.append([name, condition, sorted(found.ids[0]) if found else []])
    searches = []
    for name, text, dimension, limit, condition in questions():
        found = client.search(name, [unit(text, dimension)], filter=condition, limit=limit)
        parts = {"ids": found.ids[0], "scores": found.distances[0], "texts": found.documents[0], "metadata": found.metadatas[0]}
        searches.append(parts)
    return plain({"has": has, "get": got, "queries": queries, "searches": searches})


def ask_store(path):
    # What cannot be stored in PostgreSQL is what the application itself takes out.
    def clean(value):
        if isinstance(value, str):
            return value.replace("\x00", "")
        if isinstance(value, list):
            return [clean(inner) for inner in value]
        return {key: clean(inner) for key, inner in value.items()} if isinstance(value, dict) else value

    return clean(ask(of_chroma(path)))


def check(db, said, tally):
    client = of_postgres(db)  # ends with an error where the table is not as its settings want it
    now = ask(client)
    for name, wanted in said["has"].items():
        tally.same(f"has_collection {name}", now["has"][name], wanted)
    for name, wanted in said["get"].items():
        tally.same(f"get {name}", now["get"][name], wanted)
    for found, wanted in zip(now["queries"], said["queries"]):
        tally.same(f"query {wanted[0]} {wanted[1]}", found[2], wanted[2])
    for question, found, wanted in zip(questions(), now["searches"], said["searches"]):
        what = f"search {question}"
        for part in ("ids", "texts", "metadata"):
            tally.same(f"{what}: {part}", found[part], wanted[part])
        tally.same(f"{what}: scores", found["scores"], wanted["scores"], digits=6)
    both = client.hybrid_search(KNOWLEDGE, "foxes", [unit("fox")], limit=3)
    tally.holds("hybrid search finds the word", both and any("oxes" in text for text in both.documents[0]))
    tally.same("a collection without records has no row to say that it is there", client.has_collection(NOTHING), False)


def change(db, said, tally):
    client = of_postgres(db)
    text = "Added after the migration"
    new = {"id": "99999999-eeee-4000-8000-000000000001", "text": text, "vector": unit(text), "metadata": {"file_id": BOOK}}
    client.insert(KNOWLEDGE, [new])
    tally.same("a new chunk is found", client.search(KNOWLEDGE, [unit(text)], limit=1).ids[0], [new["id"]])
    memory, changed = said["get"][f"user-memory-{BEN}"][0][0], "Sleeps at night"
    item = {"id": memory, "text": changed, "vector": unit(changed, 12), "metadata": {"created_at": 1}}
    client.upsert(f"user-memory-{BEN}", [item])
    tally.same("a migrated row is replaced", client.get(f"user-memory-{BEN}").documents[0], [changed])
    gone = said["get"][KNOWLEDGE][0][0]
    client.delete(KNOWLEDGE, ids=[gone])
    tally.holds("a chunk is deleted by id", gone not in client.get(KNOWLEDGE).ids[0])
    client.delete(KNOWLEDGE, filter={"file_id": BOOK})
    left = client.get(KNOWLEDGE).metadatas[0]
    tally.holds("chunks are deleted by file", left and all(metadata["file_id"] != BOOK for metadata in left))
    client.delete_collection(KNOWLEDGE)
    tally.same("a collection is deleted", client.has_collection(KNOWLEDGE), False)
    tally.holds("and no other", client.has_collection("knowledge-bases"))
