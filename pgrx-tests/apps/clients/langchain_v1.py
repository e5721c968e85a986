"""LangChain, PGVector: two tables for all collections. `langchain` is there before the migration: the application ran once."""

from clients.langchain_store import COLLECTIONS, STORE, OfText, ask_store, change_one, check_one, documents, write_store  # noqa: F401

PACKAGES = ["langchain-chroma", "langchain-postgres", "langchain-core", "psycopg"]
TABLES = {"langchain_pg_collection": "name", "langchain_pg_embedding": "id"}
PARENTS = ("langchain_pg_collection",)
OWN, BLANK = {"langchain_pg_collection": ["uuid"], "langchain_pg_embedding": ["collection_id"]}, (None,)
CALLS = ["target => 'langchain_pg_embedding'"]
MAKES = [("preset => 'langchain_v1'", list(TABLES))]
FAILED = (2, "one without document, one with U+0000")
IN_COLLECTION = """SELECT count(*) FROM langchain_pg_embedding e JOIN langchain_pg_collection c ON c.uuid = e.collection_id
                    WHERE c.name = '{}'"""
JOINS = [(f"rows in {name}", IN_COLLECTION.format(name), len(content)) for name, content in documents().items()]


def postgres(db, name, **more):
    from langchain_postgres import PGVector

    return PGVector(embeddings=OfText(), collection_name=name, connection=db.url("psycopg"), use_jsonb=True, **more)


def make_tables(db):
    postgres(db, "langchain")


def write_tables(db, store):
    for name, content in documents().items():
        metadata = COLLECTIONS[name][1].get("collection_metadata", {})
        own = {key: value for key, value in metadata.items() if not key.startswith("hnsw:")}
        postgres(db, name, collection_metadata=own or None).add_documents(content)


def check(db, said, tally):
    for name, wanted in said.items():
        check_one(postgres(db, name), name, wanted, tally)


def change(db, said, tally):
    store = postgres(db, "manual")
    change_one(store, tally)
    others = postgres(db, "langchain").similarity_search("owl", k=100)
    tally.same("other collections stay", len(others), len(said["langchain"]["get"]))
    store.delete_collection()
    left = db.run("SELECT count(*) FROM langchain_pg_embedding WHERE id LIKE 'step-%%'")[0]["count"]
    tally.same("a deleted collection takes its rows with it", left, 0)
