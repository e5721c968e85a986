"""Haystack: ChromaDocumentStore wrote the store, PgvectorDocumentStore has to go on with its tables."""

from haystack import Document
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret

from kit import DIM, plain, unit, without

STORE = "haystack"
PACKAGES = ["haystack-ai", "chroma-haystack", "pgvector-haystack"]
# collection -> distance in Chroma, table, settings of the PostgreSQL store
PLACES = {
    "documents": ("l2", "haystack_documents", {}),
    "letters": (
        "cosine",
        "letters",
        {"search_strategy": "hnsw", "hnsw_index_name": "letters_hnsw", "keyword_index_name": "letters_words"},
    ),
    "halves": ("cosine", "halves", {"vector_type": "halfvec", "keyword_index_name": "halves_words"}),
}
TABLES = {table: "id" for _, table, _ in PLACES.values()}
OWN, BLANK = {}, (None,)
CALLS = [f"collection => '{name}', target => '{table}'" for name, (_, table, _) in PLACES.items()]
MAKES = [("preset => 'haystack', collection => 'documents', target => 'haystack_documents'", ["haystack_documents"])]
FAILED = (1, "an id of 129 characters")


def texts():
    """collection -> documents, each of those that differ in one way."""

    def document(content, id=None, **meta):
        named = {"id": id} if id else {}
        return Document(content=content, meta=meta, embedding=unit(content), **named)

    return {
        "documents": [
            document("Bees make honey in summer.", file="bees.md", page=1, weight=0.5, count=2.0, draft=True),
            document("Ants live in the ground.", file="ants.md", page=2, tags=["small", "black"], sizes=[3, 4]),
            document("A document that says nothing about itself."),
            document('Ice \u2744, "quotes", a \\ and a \t tab', id="chosen-id", file="ice.md", page=3, missing=None),
            document("", file="blank.md", page=4),
            document("A NUL \x00 that an old reader left.", id="nul", file="nul.md"),
            document("The longest id that fits.", id="l" * 128, file="long.md", big=2**53 + 1),
        ],
        "letters": [
            document(f"Letter {n} to a friend", id=f"letter-{n}", year=1990 + n, kind=("sent", "kept")[n % 2]) for n in range(6)
        ],
        "halves": [document(f"Half {n}", id=f"half-{n}", n=n) for n in range(4)],
    }


def chroma(path, name):
    from haystack_integrations.document_stores.chroma import ChromaDocumentStore

    return ChromaDocumentStore(collection_name=name, persist_path=str(path), distance_function=PLACES[name][0])


def postgres(db, name):
    from haystack_integrations.document_stores.pgvector import PgvectorDocumentStore

    _, table, settings = PLACES[name]
    address = Secret.from_token(db.url())
    store = PgvectorDocumentStore(connection_string=address, table_name=table, embedding_dimension=DIM, **settings)
    store._ensure_db_setup()
    return store


def is_(field, operator, value):
    return {"field": f"meta.{field}", "operator": operator, "value": value}


def both(*conditions):
    return {"operator": "AND", "conditions": list(conditions)}


FILTERS = {
    "documents": [
        is_("file", "==", "bees.md"),
        is_("page", ">=", 2),
        is_("count", "==", 2.0),
        is_("draft", "==", True),
        both(is_("page", "<", 4), is_("file", "in", ["ants.md", "ice.md", "none.md"])),
    ],
    "letters": [is_("year", ">", 1992), is_("kind", "==", "sent")],
    "halves": [is_("n", "==", 1)],
}


def write_store(path):
    for name, documents in texts().items():
        chroma(path, name).write_documents(documents)
    # An id that Chroma takes and the table does not.
    longer = Document(id="m" * 129, content="An id that is too long.", meta={}, embedding=unit("An id that is too long."))
    chroma(path, "halves").write_documents([longer])


def told(document):
    content = document.content.replace("\x00", "")  # as PgvectorDocumentStore does when it writes
    return {"id": document.id, "content": content, "meta": document.meta, "embedding": document.embedding}


def everything(store):
    documents = [told(document) for document in store.filter_documents()]
    return sorted((d for d in documents if len(d["id"]) < 129), key=lambda d: d["id"])


def questions(name):
    for text in ("honey", "a letter", "half"):
        for k in (1, 3, 10):
            yield text, k, None
    for condition in FILTERS[name]:
        yield "honey", 10, condition


def ask_store(path):
    answers = {}
    for name, (space, _, _) in PLACES.items():
        store = chroma(path, name)
        searches = []
        for text, k, condition in questions(name):
            # One more than asked for, where the id that is too long would take a place.
            found = store.search_embeddings([unit(text)], top_k=k + 1, filters=condition)[0]
            found = [document for document in found if len(document.id) < 129][:k]
            # Chroma's l2 is squared: of vectors of length 1 twice the cosine distance.
            distances = [document.score / 2 if space == "l2" else document.score for document in found]
            answer = {"ids": [document.id for document in found], "distances": distances}
            searches.append({"text": text, "k": k, "filter": condition, **answer})
        filtered = [[f, sorted(document.id for document in store.filter_documents(f))] for f in FILTERS[name]]
        answers[name] = {"all": everything(store), "searches": searches, "filtered": filtered}
    return plain(answers)


def make_tables(db):
    for name in PLACES:
        postgres(db, name)


def write_tables(db, store):
    for name, documents in texts().items():
        postgres(db, name).write_documents(documents, policy=DuplicatePolicy.OVERWRITE)


def check(db, said, tally):
    for name, wanted in said.items():
        store = postgres(db, name)
        digits = 3 if name == "halves" else 6
        found = everything(store)
        tally.same(f"ids of {name}", [d["id"] for d in found], [d["id"] for d in wanted["all"]])
        for have, want in zip(found, wanted["all"]):
            what = f"{name} {want['id'][:20]}"
            tally.same(f"{what}: content", have["content"], want["content"])
            tally.same(f"{what}: meta", without(have["meta"]), want["meta"])
            tally.same(f"{what}: embedding", have["embedding"], want["embedding"], digits=digits)
        for search in wanted["searches"]:
            what = f"search of {name} for {search['text']}, {search['k']}, {search['filter']}"
            found = store._embedding_retrieval(unit(search["text"]), top_k=search["k"], filters=search["filter"])
            tally.same(f"{what}: ids", [document.id for document in found], search["ids"])
            tally.same(f"{what}: distances", [1 - document.score for document in found], search["distances"], digits=digits)
        for condition, ids in wanted["filtered"]:
            found = sorted(document.id for document in store.filter_documents(condition))
            tally.same(f"{name} where {condition}", found, ids)
    words = postgres(db, "letters")._keyword_retrieval("letter 4", top_k=1)
    tally.same("a search for words", [document.id for document in words], ["letter-4"])


def change(db, said, tally):
    store = postgres(db, "documents")
    new = "Written after the migration"
    store.write_documents([Document(id="after", content=new, meta={"page": 7}, embedding=unit(new))])
    tally.same("a new document is found", [d.id for d in store._embedding_retrieval(unit(new), top_k=1)], ["after"])
    again = Document(id="chosen-id", content="Another text", meta={}, embedding=unit("Another text"))
    store.write_documents([again], policy=DuplicatePolicy.OVERWRITE)
    found = store.filter_documents({"field": "id", "operator": "==", "value": "chosen-id"})
    tally.same("a migrated document is replaced", [document.content for document in found], ["Another text"])
    store.delete_documents(["after", "chosen-id"])
    tally.same("documents are deleted", store.count_documents(), len(said["documents"]["all"]) - 1)
