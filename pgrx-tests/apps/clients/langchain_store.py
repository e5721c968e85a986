"""The store that langchain-chroma wrote, for both kinds of tables of langchain-postgres, and what both are asked."""

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from kit import plain, unit, without

STORE = "langchain"
# collection -> its distance in Chroma, how the user asks for it
COLLECTIONS = {
    "langchain": ("l2", {}),
    "manual": ("cosine", {"collection_configuration": {"hnsw": {"space": "cosine"}}}),
    "requests": ("ip", {"collection_metadata": {"hnsw:space": "ip", "team": "help desk", "floor": 3}}),
    "Tea.List-v3": ("l2", {}),
    "mixed": ("l2", {}),
}
LEFT_OUT = {"no-document", "nul"}  # records of `mixed` that no LangChain table can hold


class OfText(Embeddings):
    def embed_documents(self, texts):
        return [unit(text) for text in texts]

    def embed_query(self, text):
        return unit(text)


def uuid(number):
    return f"5e1f0000-1c1c-4000-8000-{number:012}"


def documents():
    def document(text, id, **metadata):
        return Document(page_content=text, metadata=metadata, id=id)

    kinds = ("printer", "password", "invoice", "parcel", "door")
    return {
        "langchain": [
            document("Owls hunt at night.", uuid(1), file="owls.txt", page=1, weight=1.0, part=0.25, draft=False, author="\u00c5se"),
            document("Frogs sing in spring.", uuid(2), file="frogs.txt", page=2, weight=2.5, draft=True, missing=None),
            document("A list in the metadata.", uuid(3), file="lists.txt", page=3, names=["a", "b"], sizes=[1, 2, 3], parts=[0.5, 2.0]),
            document("Nothing is said about this one.", uuid(4)),
            document("Ice \u2744 and owl \U0001f989.", uuid(5), file="signs.txt", page=2**31 - 1, quote='say "hoo"', path="C:\\x\n"),
            document("", uuid(6), file="blank.txt", big=2**53 + 1),
            document("The seventh.", uuid(7), file="owls.txt", page=4),
        ],
        "manual": [
            document(f"Step {n}", f"step-{n}", step=n, title=f"How to do {n}", lang=("de", "en")[n % 2]) for n in range(1, 7)
        ],
        "requests": [
            document(f"About a {kind}", f"R/{n}", user_id=str(n % 2 + 1), urgency=n, open=n % 2 == 0) for n, kind in enumerate(kinds)
        ],
        "Tea.List-v3": [document("Green", "t1", year=2011), document("Black", "t2", year=2012), document("White", "t3")],
        "mixed": [document("It has a document.", "with-document", kind="plain")],
    }


FILTERS = {
    "langchain": [
        {"file": "owls.txt"},
        {"page": {"$gte": 2}},
        {"$and": [{"page": {"$lt": 4}}, {"file": {"$in": ["owls.txt", "frogs.txt"]}}]},
    ],
    "manual": [{"lang": "de"}, {"step": {"$gt": 3}}, {"step": 2}],
    "requests": [{"user_id": "1"}, {"urgency": {"$lte": 1}}, {"user_id": {"$in": ["2", "3"]}}],
    "Tea.List-v3": [{"year": 2011}],
    "mixed": [{"kind": "plain"}],
}


def chroma(path, name):
    from langchain_chroma import Chroma

    _, settings = COLLECTIONS[name]
    return Chroma(collection_name=name, embedding_function=OfText(), persist_directory=str(path), **settings)


def write_store(path):
    for name, content in documents().items():
        chroma(path, name).add_documents(content)
    # What other programs leave in a collection.
    raw = chroma(path, "mixed")._collection
    raw.add(ids=["no-document"], embeddings=[unit("nothing")], metadatas=[{"kind": "none"}])
    raw.add(ids=["nul"], embeddings=[unit("nul")], documents=["a \x00 inside"])


def told(document):
    return {"id": document.id, "text": document.page_content, "metadata": without(document.metadata)}


def questions(name):
    for text in ("owl", "how to", "a parcel"):
        for k in (1, 3, 10) if name != "mixed" else (10,):
            yield text, k, None
    for condition in FILTERS[name]:
        yield "owl", 10, condition


def ask_store(path):
    answers = {}
    for name, (space, _) in COLLECTIONS.items():
        store = chroma(path, name)
        got = store.get()  # get_by_ids of langchain-chroma fails on a record without metadata
        records = zip(got["ids"], got["documents"], got["metadatas"])
        known = [{"id": id, "text": text, "metadata": metadata or {}} for id, text, metadata in records if id not in LEFT_OUT]
        searches = []
        for text, k, condition in questions(name):
            found = store.similarity_search_with_score(text, k=k, filter=condition)
            found = [(told(document), score) for document, score in found if document.id not in LEFT_OUT]
            # Chroma's l2 is squared: of vectors of length 1 twice the cosine distance.
            distances = [score / 2 if space == "l2" else score for _, score in found]
            answer = {"found": [document for document, _ in found], "distances": distances}
            searches.append({"text": text, "k": k, "filter": condition, **answer})
        spread = [document.id for document in store.max_marginal_relevance_search("owl", k=3, fetch_k=10)]
        spread = [id for id in spread if id not in LEFT_OUT]
        answers[name] = {"get": sorted(known, key=lambda d: d["id"]), "searches": searches, "spread": spread}
    return plain(answers)


def check_one(store, name, wanted, tally):
    """One collection in a store of either kind."""
    ids = [document["id"] for document in wanted["get"]]
    found = sorted((told(document) for document in store.get_by_ids(ids)), key=lambda d: d["id"])
    tally.same(f"ids of {name}", [document["id"] for document in found], ids)
    for have, want in zip(found, wanted["get"]):
        tally.same(f"{name}, {want['id']}", have, want)
    for search in wanted["searches"]:
        what = f"search of {name} for {search['text']}, {search['k']}, {search['filter']}"
        pairs = store.similarity_search_with_score(search["text"], k=search["k"], filter=search["filter"])
        tally.same(f"{what}: documents", [told(document) for document, _ in pairs], search["found"])
        tally.same(f"{what}: distances", [score for _, score in pairs], search["distances"], digits=6)
    spread = store.max_marginal_relevance_search("owl", k=3, fetch_k=10)
    tally.same(f"{name}, by marginal relevance", [document.id for document in spread], wanted["spread"])


def change_one(store, tally):
    """Adds to, replaces in and deletes from `manual`."""
    new = "An appendix"
    store.add_documents([Document(page_content=new, metadata={"step": 9}, id="step-9")])
    tally.same("a new document is found", [d.id for d in store.similarity_search(new, k=1)], ["step-9"])
    again = {"step": 1, "lang": "fr"}
    store.add_documents([Document(page_content="Another step 1", metadata=again, id="step-1")])
    wanted = [{"id": "step-1", "text": "Another step 1", "metadata": again}]
    tally.same("a migrated document is replaced", [told(d) for d in store.get_by_ids(["step-1"])], wanted)
    store.delete(["step-2"])
    tally.same("a migrated document is deleted", store.get_by_ids(["step-2"]), [])
