"""Vanna (vanna.legacy): ChromaDB_VectorStore wrote the store, PG_VectorStore has to go on with LangChain's two tables."""

import chromadb
from langchain_core.documents import Document
from vanna.legacy.chromadb import ChromaDB_VectorStore
from vanna.legacy.pgvector import PG_VectorStore

from clients.langchain_store import OfText
from kit import plain, unit

STORE = "vanna"
PACKAGES = ["vanna", "langchain-postgres", "langchain-core", "psycopg"]
TABLES = {"langchain_pg_collection": "name", "langchain_pg_embedding": "id"}
PARENTS = ("langchain_pg_collection",)
OWN, BLANK = {"langchain_pg_collection": ["uuid"], "langchain_pg_embedding": ["collection_id"]}, (None,)
# By its columns the table is LangChain's: only the preset's name says that it is Vanna's.
CALLS = ["preset => 'vanna', target => 'langchain_pg_embedding'"]
MAKES = [("preset => 'vanna'", list(TABLES))]
FAILED = (0, "none")

ASKED = [
    ("How many owls are there?", "SELECT count(*) FROM owls"),
    ("Who has the most owls?", "SELECT owner FROM owls GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"),
    ('Which owls are called "Ada"?', "SELECT * FROM owls WHERE name = 'Ada' -- \u2744"),
]
TABLES_OF_THEIRS = ["CREATE TABLE owls (id int, name text, owner text)", "CREATE TABLE owners (name text)"]
NOTES = ["An owl has one owner.", "Owls are counted in spring.", ""]
QUESTIONS = ["How many owls?", "owners", "spring"]


class Spoken:
    """What a model would say: nothing is asked of one here."""

    def system_message(self, message):
        return message

    user_message = assistant_message = system_message

    def submit_prompt(self, prompt, **more):
        return ""


class OverChroma(Spoken, ChromaDB_VectorStore):
    pass


class OverPostgres(Spoken, PG_VectorStore):
    pass


class Texts(chromadb.EmbeddingFunction):
    def __init__(self):
        pass

    def __call__(self, input):
        return [unit(text) for text in input]


def of_chroma(path):
    return OverChroma({"path": str(path), "embedding_function": Texts()})


def of_postgres(db):
    return OverPostgres({"connection_string": db.url("psycopg"), "embedding_function": OfText()})


def write_store(path):
    made = of_chroma(path)
    for question, sql in ASKED:
        made.add_question_sql(question, sql)
    for ddl in TABLES_OF_THEIRS:
        made.add_ddl(ddl)
    for note in NOTES:
        made.add_documentation(note)
    # Another program's collection in the same store: in Vanna's table its rows would break get_training_data().
    other = made.chroma_client.get_or_create_collection("notes", embedding_function=None)
    other.add(ids=["n1", "n2"], documents=["a note", "another"], embeddings=[unit("a note"), unit("another")])


def ask(made):
    data = made.get_training_data().to_dict("records")
    rows = [{key: None if key == "question" and value != value else value for key, value in row.items()} for row in data]
    answers = {"data": sorted(rows, key=lambda row: row["id"]), "sql": [], "ddl": [], "documentation": []}
    for question in QUESTIONS:
        answers["sql"].append(made.get_similar_question_sql(question))
        answers["ddl"].append(made.get_related_ddl(question))
        answers["documentation"].append(made.get_related_documentation(question))
    return plain(answers)


def ask_store(path):
    return ask(of_chroma(path))


def make_tables(db):
    of_postgres(db)


def write_tables(db, store):
    """PG_VectorStore draws the ids; the documents and their metadata are its own, with Chroma's ids."""
    made, source = of_postgres(db), of_chroma(store.with_name("copy"))
    for kind, target in (("sql", made.sql_collection), ("ddl", made.ddl_collection), ("documentation", made.documentation_collection)):
        got = getattr(source, f"{kind}_collection").get()
        more = {"createdat": None} if kind == "sql" else {}
        documents = [Document(page_content=text, metadata={"id": id} | more) for id, text in zip(got["ids"], got["documents"])]
        target.add_documents(documents, ids=got["ids"])


def check(db, said, tally):
    now = ask(of_postgres(db))
    tally.same("ids of the training data", [row["id"] for row in now["data"]], [row["id"] for row in said["data"]])
    for found, wanted in zip(now["data"], said["data"]):
        tally.same(f"training data {wanted['id']}", found, wanted)
    for kind in ("sql", "ddl", "documentation"):
        for question, found, wanted in zip(QUESTIONS, now[kind], said[kind]):
            tally.same(f"{kind} for {question}", found, wanted)


def change(db, said, tally):
    made = of_postgres(db)
    new = made.add_ddl("CREATE TABLE nests (id int)")
    gone = said["data"][0]["id"]
    tally.holds("a migrated record is removed", made.remove_training_data(gone))
    ids = sorted([row["id"] for row in said["data"] if row["id"] != gone] + [new])
    tally.same("what is left, and a new one", sorted(made.get_training_data()["id"]), ids)
    tally.holds("a kind of data is removed", made.remove_collection("sql"))
    tally.same("none of it is left", [id for id in made.get_training_data()["id"] if id.endswith("-sql")], [])
