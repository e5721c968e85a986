"""LangChain before langchain-postgres: PGVector of langchain_community, with metadata in a json column (its default)."""

import warnings

from clients.langchain_store import COLLECTIONS, STORE, OfText, documents  # noqa: F401
from kit import without

warnings.simplefilter("ignore")

STORE_OF = "langchain_v1"
ANSWERS = list(COLLECTIONS)
PACKAGES = ["langchain-chroma", "langchain-community", "langchain-core", "psycopg2-binary"]
TABLES = {"langchain_pg_collection": "name", "langchain_pg_embedding": "custom_id"}
PARENTS = ("langchain_pg_collection",)
OWN, BLANK = {"langchain_pg_collection": ["uuid"], "langchain_pg_embedding": ["collection_id", "uuid"]}, (None,)
CALLS = ["target => 'langchain_pg_embedding'"]
MAKES = [("preset => 'langchain_legacy'", list(TABLES))]
FAILED = (2, "one without document, one with U+0000")
IN_COLLECTION = """SELECT count(*) FROM langchain_pg_embedding e JOIN langchain_pg_collection c ON c.uuid = e.collection_id
                    WHERE c.name = '{}'"""
JOINS = [(f"rows in {name}", IN_COLLECTION.format(name), len(content)) for name, content in documents().items()]
JOINS.append(("keys", "SELECT count(DISTINCT uuid) FROM langchain_pg_embedding", sum(map(len, documents().values()))))


class Legacy:
    """The checks for both types of the metadata column."""

    def __init__(self, jsonb):
        self.jsonb = jsonb

    def postgres(self, db, name, **more):
        from langchain_community.vectorstores.pgvector import PGVector

        address = db.url("psycopg2")
        return PGVector(address, OfText(), collection_name=name, use_jsonb=self.jsonb, **more)

    def make_tables(self, db):
        self.postgres(db, "langchain")

    def write_tables(self, db, store):
        for name, content in documents().items():
            metadata = COLLECTIONS[name][1].get("collection_metadata", {})
            own = {key: value for key, value in metadata.items() if not key.startswith("hnsw:")}
            # The class takes the ids beside the documents, and makes others where there are none.
            ids = [document.id for document in content]
            self.postgres(db, name, collection_metadata=own or None).add_documents(content, ids=ids)

    def can_ask(self, condition):
        """With json the class overlooks every operator, in rows of its own as well."""
        return self.jsonb or not condition or all(isinstance(value, (str, int)) for value in condition.values())

    def check(self, db, said, tally):
        for name, wanted in said.items():
            store = self.postgres(db, name)
            for search in filter(lambda search: self.can_ask(search["filter"]), wanted["searches"]):
                what = f"search of {name} for {search['text']}, {search['k']}, {search['filter']}"
                pairs = store.similarity_search_with_score(search["text"], k=search["k"], filter=search["filter"])
                found = [[document.page_content, without(document.metadata)] for document, _ in pairs]
                tally.same(f"{what}: documents", found, [[one["text"], one["metadata"]] for one in search["found"]])
                tally.same(f"{what}: distances", [score for _, score in pairs], search["distances"], digits=6)
            texts = {one["id"]: one["text"] for one in wanted["get"]}
            spread = [document.page_content for document in store.max_marginal_relevance_search("owl", k=3, fetch_k=10)]
            tally.same(f"{name}, by marginal relevance", spread, [texts[id] for id in wanted["spread"]])

    def change(self, db, said, tally):
        from langchain_core.documents import Document

        store, new = self.postgres(db, "manual"), "An appendix"
        store.add_documents([Document(page_content=new, metadata={"step": 9})], ids=["step-9"])
        tally.same("a new document is found", [d.page_content for d in store.similarity_search(new, k=1)], [new])
        store.delete(["step-2", "step-9"])
        left = sorted(document.page_content for document in store.similarity_search("owl", k=100))
        tally.same("documents are deleted by their ids", left, [f"Step {n}" for n in (1, 3, 4, 5, 6)])
        others = self.postgres(db, "langchain").similarity_search("owl", k=100)
        tally.same("other collections stay", len(others), len(said["langchain"]["get"]))
        store.delete_collection()
        left = db.run("SELECT count(*) FROM langchain_pg_embedding WHERE custom_id LIKE 'step-%%'")[0]["count"]
        tally.same("a deleted collection takes its rows with it", left, 0)


legacy = Legacy(jsonb=False)
make_tables, write_tables, check, change = legacy.make_tables, legacy.write_tables, legacy.check, legacy.change
