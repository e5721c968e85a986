"""LlamaIndex: ChromaVectorStore wrote the store, PGVectorStore has to go on with its data_* tables."""

import json
import math

from llama_index.core.schema import ImageNode, IndexNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from kit import DIM, plain, unit

STORE = "llama_index"
PACKAGES = ["llama-index-core", "llama-index-vector-stores-chroma", "llama-index-vector-stores-postgres", "asyncpg"]
# collection -> distance in Chroma (None: its default, l2), settings of the PostgreSQL store
PLACES = {
    "Reader": (None, {}),
    "reports": ("cosine", {"use_jsonb": True, "hnsw_kwargs": {"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40}}),
    "small": ("cosine", {"use_halfvec": True}),
    "words": (None, {"hybrid_search": True, "text_search_config": "english"}),
}


def table_of(name):
    return f"data_{name.lower()}"


TABLES = {table_of(name): "node_id" for name in PLACES}
OWN = {table: ["id"] for table in TABLES}
BLANK = (None, "")  # for a value that is None, ChromaVectorStore writes '' and PGVectorStore null
CALLS = [f"collection => '{name}', target => '{table_of(name)}'" for name in PLACES]
MAKES = [("preset => 'llama_index', collection => 'Reader'", ["data_reader"])]
FAILED = (0, "none")


def id_of(number):
    return f"0de00000-9999-4000-8000-{number:012}"


def node(text, id, source=None, kind=TextNode, **more):
    made = kind(text=text, id_=id, **more)
    if source:
        about = RelatedNodeInfo(node_id=source, metadata={"file_name": f"{source}.md"})
        made.relationships[NodeRelationship.SOURCE] = about
    made.embedding = unit(text)
    return made


def nodes():
    of_diary = {"file_name": "diary.md", "page": 1, "part": 0.5, "whole": 2.0, "draft": True, "missing": None}
    return {
        "Reader": [
            node("The diary begins in winter.", id_of(1), "diary", metadata=of_diary),
            node("It ends in spring.", id_of(2), "diary", metadata={"page": 2, "x": "y"}, excluded_embed_metadata_keys=["x"]),
            node('Of no document; \u2744 and "quotes", a \\ too.', id_of(3)),
            node("An index of the diary.", "index-of-diary", "diary", kind=IndexNode, index_id="i-1", metadata={"kind": "index"}),
            node("What a picture shows.", id_of(5), "album", kind=ImageNode, image_url="https://example.org/p.png"),
            node("", id_of(6), "blank", metadata={"kind": "blank", "big": 2**53 + 1}),
        ],
        "reports": [
            node(f"Report {n}", id_of(10 + n), f"report-{n % 2}", metadata={"year": 2010 + n, "place": "NS"[n > 3]}) for n in range(6)
        ],
        "small": [node(f"Small {n}", id_of(20 + n), "small", metadata={"n": n}) for n in range(4)],
        "words": [
            node(text, id_of(30 + n), "words", metadata={"n": n})
            for n, text in enumerate(("owls fly", "frogs jump", "an owl sleeps", "nobody sings"))
        ],
    }


def chroma(path, name):
    import chromadb
    from llama_index.vector_stores.chroma import ChromaVectorStore

    space = PLACES[name][0]
    settings = {"metadata": {"hnsw:space": space}} if space else {}
    client = chromadb.PersistentClient(path=str(path))
    return ChromaVectorStore(chroma_collection=client.get_or_create_collection(name, embedding_function=None, **settings))


def postgres(db, name):
    from llama_index.vector_stores.postgres import PGVectorStore

    # A copy: the client takes keys out of hnsw_kwargs.
    settings = json.loads(json.dumps(PLACES[name][1]))
    return PGVectorStore(
        connection_string=db.url("psycopg2"),
        async_connection_string=db.url("asyncpg"),
        table_name=name,
        embed_dim=DIM,
        initialization_fail_on_error=True,
        **settings,
    )


def filters(*conditions):
    made = [MetadataFilter(key=key, operator=operator, value=value) for key, operator, value in conditions]
    return MetadataFilters(filters=made, condition=FilterCondition.AND)


EQ, GT, GTE, LTE, IN = (FilterOperator[name] for name in ("EQ", "GT", "GTE", "LTE", "IN"))
FILTERS = {
    "Reader": [filters(("file_name", EQ, "diary.md")), filters(("page", GT, 1)), filters(("doc_id", EQ, "diary"), ("page", EQ, 2))],
    "reports": [filters(("year", GTE, 2013)), filters(("place", IN, ["S", "W"])), filters(("document_id", EQ, "report-1"))],
    "small": [filters(("n", EQ, 1))],
    "words": [filters(("n", LTE, 1))],
}


def questions(name):
    for text in ("owl", "diary", "a report"):
        for k in (1, 3, 10):
            yield text, k, None
    for condition in FILTERS[name]:
        yield "diary", 10, condition


def write_store(path):
    for name, content in nodes().items():
        chroma(path, name).add(content)


def told(found):
    """A node as JSON, without its vector."""
    parts = json.loads(found.to_json())
    parts.pop("embedding", None)
    return parts


def ids_of(name):
    return [found.node_id for found in nodes()[name]]


def cosine(name, similarity):
    """Chroma's side gives e to the power of minus the distance; l2 of vectors of length 1 is twice the cosine distance."""
    distance = -math.log(similarity)
    return distance if PLACES[name][0] else distance / 2


def ask_store(path):
    answers = {}
    for name in PLACES:
        store, searches = chroma(path, name), []
        for text, k, condition in questions(name):
            found = store.query(VectorStoreQuery(query_embedding=unit(text), similarity_top_k=k, filters=condition))
            distances = [cosine(name, similarity) for similarity in found.similarities]
            searches.append({"ids": found.ids, "distances": distances})
        known = sorted((told(found) for found in store.get_nodes(ids_of(name))), key=lambda n: n["id_"])
        answers[name] = {"nodes": known, "searches": searches}
    return plain(answers)


def make_tables(db):
    for name in PLACES:
        postgres(db, name)._initialize()


def write_tables(db, store):
    for name, content in nodes().items():
        postgres(db, name).add(content)


def check(db, said, tally):
    for name, wanted in said.items():
        store, known = postgres(db, name), {parts["id_"]: parts for parts in wanted["nodes"]}
        # get_nodes of 0.9.0 fails on halfvec columns itself.
        if name != "small":
            found = sorted((told(found) for found in store.get_nodes(ids_of(name))), key=lambda n: n["id_"])
            tally.same(f"nodes of {name}", [parts["id_"] for parts in found], list(known))
            for parts in found:
                tally.same(f"{name}, {parts['id_']}", parts, known[parts["id_"]])
        for (text, k, condition), search in zip(questions(name), wanted["searches"]):
            what = f"search of {name} for {text}, {k}, {condition and [f.key for f in condition.filters]}"
            found = store.query(VectorStoreQuery(query_embedding=unit(text), similarity_top_k=k, filters=condition))
            distances = [1 - similarity for similarity in found.similarities]
            tally.same(f"{what}: ids", found.ids, search["ids"])
            tally.same(f"{what}: nodes", [told(n) for n in found.nodes], [known[id] for id in search["ids"]])
            tally.same(f"{what}: distances", distances, search["distances"], digits=3 if name == "small" else 6)
    query = {"query_embedding": unit("owl"), "query_str": "owl", "similarity_top_k": 3, "sparse_top_k": 3}
    found = postgres(db, "words").query(VectorStoreQuery(mode=VectorStoreQueryMode.TEXT_SEARCH, **query))
    tally.same("a search for words", sorted(found.ids), [id_of(30), id_of(32)])


def change(db, said, tally):
    store, new = postgres(db, "Reader"), "Written after the migration"
    store.add([node(new, id_of(99), "later", metadata={"page": 9})])
    nearest = store.query(VectorStoreQuery(query_embedding=unit(new), similarity_top_k=1))
    tally.same("a new node is found", nearest.ids, [id_of(99)])
    store.delete("diary")
    left = sorted(found.node_id for found in store.get_nodes([*ids_of("Reader"), id_of(99)]))
    tally.same("a document's nodes are deleted", left, [id_of(3), id_of(5), id_of(6), id_of(99)])
    store.delete_nodes([id_of(3)])
    tally.same("a node is deleted", store.get_nodes([id_of(3)]), [])
    twice = db.run("SELECT count(*) - count(DISTINCT node_id) AS n FROM data_reader")[0]["n"]
    tally.same("nodes that are there twice", twice, 0)
