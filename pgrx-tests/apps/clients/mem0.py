"""mem0: its Memory wrote the store over its ChromaDB; its PGVector, and Memory over it, have to go on with the tables."""

import json
import os
import tempfile

# Where mem0 keeps its own settings; it asks for a key, though nothing here uses it.
os.environ["MEM0_DIR"] = tempfile.mkdtemp()
os.environ.setdefault("OPENAI_API_KEY", "none")

import mem0  # noqa: E402
from mem0.memory.setup import get_or_create_user_id  # noqa: E402
from mem0.vector_stores.chroma import ChromaDB  # noqa: E402

from kit import DIM, plain, unit  # noqa: E402

STORE = "mem0"
PACKAGES = ["mem0ai", "openai", "psycopg"]
# A second configuration of the user's, whose table's name Chroma would not have taken.
TEAM, TEAM_IN_CHROMA = "Team Notes", "team_notes"
TABLES = {"mem0": "id", "mem0_entities": "id", f'"{TEAM}"': "id"}
OWN, BLANK = {}, (None,)
CALLS = [
    "collection => 'mem0', target => 'mem0'",
    "collection => 'mem0_entities', target => 'mem0_entities'",
    f"""collection => '{TEAM_IN_CHROMA}', target => '"{TEAM}"'""",
]
MAKES = [
    ("preset => 'mem0', collection => 'mem0'", ["mem0"]),
    ("preset => 'mem0', collection => 'mem0_entities'", ["mem0_entities"]),
    (f"""preset => 'mem0', collection => '{TEAM_IN_CHROMA}', target => '"{TEAM}"'""", [f'"{TEAM}"']),
]
FAILED = (0, "none")


class OfText:
    def embed(self, text, memory_action=None):
        return unit(text)

    def embed_batch(self, texts, memory_action=None):
        return [unit(text) for text in texts]


def memory(provider, collection, **settings):
    history = os.path.join(tempfile.mkdtemp(), "history.db")
    config = {"provider": provider, "config": {"collection_name": collection, **settings}}
    made = mem0.Memory.from_config({"vector_store": config, "history_db_path": history})
    made.embedding_model = OfText()
    return made


def over_chroma(path):
    return memory("chroma", "mem0", path=str(path))


def over_postgres(db, collection="mem0"):
    made = memory("pgvector", collection, connection_string=db.url(), embedding_model_dims=DIM)
    return with_tables(made)


def with_tables(made):
    """mem0 makes a table at its first use, and the entities' one at the first entity."""
    made.vector_store._ensure_collection()
    made.entity_store._ensure_collection()
    return made


def remember(made):
    """What an application does: memories, one of them changed and one deleted, and their entities."""

    def add(what, user, **more):
        return made.add(what, user_id=user, infer=False, **more)["results"][0]["id"]

    about = {"topic": "food", "stars": 5, "weight": 0.75, "whole": 3.0, "sure": True}
    tea = add("Cleo drinks white tea.", "cleo", metadata=about)
    work = add("Cleo works at the harbour in Bergen.", "cleo", agent_id="helper", run_id="run-7")
    add([{"role": "assistant", "content": "Reserved a table on Monday.", "name": "Bot"}], "cleo", agent_id="helper")
    flute = add("Dan plays the flute.", "dan", metadata={"labels": ["music", "wood"]}, expiration_date="2099-01-31")
    move = add("Dan lives in Turku \u2744.", "dan", metadata={"big": 2**53 + 1})
    made.delete(add("Not to be kept.", "dan"))
    made.update(move, "Dan lives in Bergen \u2744.")
    for name, kind, of, user in (
        ("Bergen", "GPE", work, "cleo"),
        ("harbour", "FAC", work, "cleo"),
        ("Bergen", "GPE", move, "dan"),
        ("Flute", "OBJ", flute, "dan"),
        ("bergen", "GPE", tea, "cleo"),  # a known entity: its list grows
    ):
        made._upsert_entity(name, kind, of, {"user_id": user})


def note():
    text = "A note for all of the team"
    about = {"data": text, "user_id": "team", "hash": "0" * 32, "created_at": "2025-02-01T00:00:00+00:00"}
    return {"vectors": [unit(text)], "payloads": [about], "ids": ["7ea30000-7777-4000-8000-000000000001"]}


class Watched:
    """A vector store of mem0's that keeps what is handed to it."""

    def __init__(self, store):
        self.store = store
        self.handed = {}

    def __getattr__(self, name):
        return getattr(self.store, name)

    def insert(self, vectors, payloads=None, ids=None):
        self.handed |= {id: [list(vector), plain(payload)] for id, vector, payload in zip(ids, vectors, payloads)}
        self.store.insert(vectors=vectors, payloads=payloads, ids=ids)

    def update(self, vector_id, vector=None, payload=None):
        given = [vector and list(vector), payload and plain(payload)]
        self.handed[vector_id] = [new or old for new, old in zip(given, self.handed[vector_id])]
        self.store.update(vector_id, vector=vector, payload=payload)

    def delete(self, vector_id):
        del self.handed[vector_id]
        self.store.delete(vector_id)


def handed_to(path):
    """Where write_store leaves what mem0 handed to its stores: ids and times are of that run only."""
    return path.with_name(f"{path.name}.handed.json")


def write_store(path):
    made = over_chroma(path)
    made.vector_store, made._entity_store = Watched(made.vector_store), Watched(made.entity_store)
    remember(made)
    handed = {"mem0": made.vector_store.handed, "mem0_entities": made.entity_store.handed}
    handed_to(path).write_text(json.dumps(handed), encoding="utf-8")
    ChromaDB(TEAM_IN_CHROMA, path=str(path)).insert(**note())
    # mem0's telemetry leaves this in a store: one record of 1,536 dimensions, whatever the others have.
    get_or_create_user_id(ChromaDB("mem0migrations", path=str(path)))


FILTERS = [
    None,
    {"user_id": "cleo"},
    {"user_id": "dan"},
    {"user_id": "cleo", "agent_id": "helper"},
    {"topic": "food"},
    {"stars": {"gte": 4}},
    {"user_id": {"in": ["dan", "eve"]}},
]


def told(found):
    return [[one.id, one.payload] for one in found]


def ask(made, single):
    """`single`: whether a search takes one vector, and not a list of them."""
    searches, lists, everything, each, entities = [], [], {}, {}, []
    for condition in FILTERS:
        for text, k in (("tea", 3), ("music", 10)):
            vector = unit(text) if single else [unit(text)]
            found = made.vector_store.search(text, vector, top_k=k, filters=condition)
            searches.append([told(found), [one.score for one in found]])
        lists.append(sorted(told(made.vector_store.list(filters=condition, top_k=100)[0])))
    for user in ("cleo", "dan"):
        known = sorted(made.get_all(filters={"user_id": user})["results"], key=lambda one: one["id"])
        everything[user] = known
        each |= {one["id"]: made.get(one["id"]) for one in known}
        entities.append(sorted(told(made.entity_store.list(filters={"user_id": user}, top_k=100)[0])))
    return plain({"searches": searches, "lists": lists, "all": everything, "each": each, "entities": entities})


def ask_store(path):
    return ask(over_chroma(path), single=False)


def team(db):
    return over_postgres(db, TEAM)


def make_tables(db):
    over_postgres(db)
    team(db)


def write_tables(db, store):
    made, handed = over_postgres(db), json.loads(handed_to(store).read_text(encoding="utf-8"))
    for name, table in (("mem0", made.vector_store), ("mem0_entities", made.entity_store)):
        for id, (vector, payload) in handed[name].items():
            table.insert(vectors=[vector], payloads=[payload], ids=[id])
    team(db).vector_store.insert(**note())


def check(db, said, tally):
    made = over_postgres(db)
    now = ask(made, single=True)
    questions = [(condition, text) for condition in FILTERS for text in ("tea", "music")]
    for question, found, wanted in zip(questions, now["searches"], said["searches"]):
        tally.same(f"search {question}", found[0], wanted[0])
        # In Chroma a score is 1 / (1 + squared distance), in PostgreSQL 1 - cosine distance.
        scores = [max(0.0, 1 - (1 / score - 1) / 2) for score in wanted[1]]
        tally.same(f"search {question}: scores", found[1], scores, digits=6)
    for condition, found, wanted in zip(FILTERS, now["lists"], said["lists"]):
        tally.same(f"list {condition}", found, wanted)
    for part in ("all", "each"):
        for key, wanted in said[part].items():
            tally.same(f"memories, {part}: {key}", now[part].get(key), wanted)
    for found, wanted in zip(now["entities"], said["entities"]):
        tally.same("entities of a user", found, wanted)
    words = made.vector_store.keyword_search("flute", top_k=5, filters={"user_id": "dan"})
    tally.same("a search for words, new with PostgreSQL", [one.payload["data"] for one in words], ["Dan plays the flute."])
    text = "Cleo drinks white tea."
    found = made.search(text, filters={"user_id": "cleo"}, threshold=0)["results"]
    tally.same("the memory with these words comes first", found[0]["memory"], text)
    tally.same("the other configuration's memory", told(team(db).vector_store.list(top_k=10)[0]), [[note()["ids"][0], note()["payloads"][0]]])


def change(db, said, tally):
    made, text = over_postgres(db), "Cleo has a dog."
    new = made.add(text, user_id="cleo", infer=False)["results"][0]["id"]
    tally.same("a new memory is found", made.search(text, filters={"user_id": "cleo"})["results"][0]["id"], new)
    old = next(id for id, one in said["each"].items() if one["memory"] == "Cleo drinks white tea.")
    made.update(old, "Cleo drinks coffee.")
    tally.same("a migrated memory is changed", made.get(old)["memory"], "Cleo drinks coffee.")
    tally.same("its metadata stay", made.get(old)["metadata"], said["each"][old]["metadata"])
    made.delete(old)
    tally.same("a migrated memory is deleted", made.get(old), None)
    entity, before = next(one for one in said["entities"][0] if one[1]["data"] == "Bergen")
    made._upsert_entity("BERGEN", "GPE", new, {"user_id": "cleo"})
    links = [link for link in before["linked_memory_ids"] if link != old] + [new]
    tally.same("a migrated entity has one link more", made.entity_store.get(entity).payload["linked_memory_ids"], links)
    made.delete_all(user_id="dan")
    tally.same("all memories of a user are deleted", made.get_all(filters={"user_id": "dan"})["results"], [])
