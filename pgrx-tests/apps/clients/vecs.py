"""vecs (Supabase): tables in the schema vecs, the document under a key of the metadata."""

import warnings

from clients.langchain_store import STORE, documents  # noqa: F401
from kit import DIM, unit

warnings.simplefilter("ignore")  # a search without an index warns

STORE_OF = "langchain_v1"
PACKAGES = ["vecs", "psycopg2-binary"]
PLACES = {"manual": "vecs.manual", "requests": "vecs.requests", "Tea.List-v3": 'vecs."Tea.List-v3"'}
ANSWERS = list(PLACES)
TABLES = {table: "id" for table in PLACES.values()}
OWN, BLANK = {}, (None,)
SETUP = "CREATE SCHEMA IF NOT EXISTS vecs"
CALLS = [f"collection => '{name}', target => '{table}'" for name, table in PLACES.items()]
MAKES = [
    ("preset => 'vecs', collection => 'manual'", ["vecs.manual"]),
    ("preset => 'vecs', collection => 'requests'", ["vecs.requests"]),
    (f"""preset => 'vecs', collection => 'Tea.List-v3', target => '{PLACES["Tea.List-v3"]}'""", ['vecs."Tea.List-v3"']),
]
FAILED = (0, "none")


def collection(db, name):
    from vecs import create_client

    return create_client(db.url("psycopg2")).get_or_create_collection(name=name, dimension=DIM)


def make_tables(db):
    for name in PLACES:
        collection(db, name)


def write_tables(db, store):
    for name in PLACES:
        content = documents()[name]
        records = [(document.id, unit(document.page_content), document.metadata | {"text": document.page_content}) for document in content]
        collection(db, name).upsert(records)


def operators(condition):
    """vecs has an operator in every condition, and the same ones."""
    if not condition:
        return condition
    return {key: value if isinstance(value, dict) else {"$eq": value} for key, value in condition.items()}


def check(db, said, tally):
    for name, wanted in said.items():
        store = collection(db, name)
        tally.same(f"records of {name}", len(store), len(wanted["get"]))
        records = {id: (list(map(float, vector)), metadata) for id, vector, metadata in store.fetch([d["id"] for d in wanted["get"]])}
        for document in wanted["get"]:
            vector, metadata = records.get(document["id"], ([], {}))
            tally.same(f"{name}, {document['id']}: vector", vector, unit(document["text"]), digits=7)
            tally.same(f"{name}, {document['id']}: metadata", metadata, document["metadata"] | {"text": document["text"]})
        for search in wanted["searches"]:
            what = f"search of {name} for {search['text']}, {search['k']}, {search['filter']}"
            condition = operators(search["filter"])
            found = store.query(unit(search["text"]), limit=search["k"], filters=condition, include_value=True)
            tally.same(f"{what}: ids", [id for id, _ in found], [document["id"] for document in search["found"]])
            tally.same(f"{what}: distances", [distance for _, distance in found], search["distances"], digits=6)


def change(db, said, tally):
    store, new = collection(db, "manual"), "An appendix"
    store.upsert([("step-9", unit(new), {"text": new}), ("step-1", unit("Another"), {"text": "Another", "step": 1})])
    tally.same("a new record is found", store.query(unit(new), limit=1), ["step-9"])
    tally.same("a migrated record is replaced", store["step-1"][2], {"text": "Another", "step": 1})
    tally.same("a migrated record is deleted", store.delete(ids=["step-2"]), ["step-2"])
    gone = sorted(store.delete(filters={"step": {"$gt": 3}}))
    tally.same("records are deleted by a filter", gone, ["step-4", "step-5", "step-6"])
    store.create_index()
    tally.holds("its index is found by its name", store.index is not None)
    tally.same("searches through it", len(store.query(unit(new), limit=3)), 3)
