"""LangChain, PGVectorStore: a table for each collection, the user's own columns beside the JSON column."""

from clients.langchain_store import STORE, OfText, change_one, check_one, documents  # noqa: F401
from kit import DIM

STORE_OF = "langchain_v1"
PACKAGES = ["langchain-chroma", "langchain-postgres", "langchain-core", "psycopg"]
# collection -> table, type of its key (None: the client's default, uuid), columns for keys of the metadata
PLACES = {
    "langchain": ("lc_langchain", None, {}),
    "manual": ("lc_manual", "TEXT", {"step": "INTEGER", "title": "TEXT"}),
    "requests": ("lc_requests", "VARCHAR(64)", {"user_id": "TEXT", "open": "BOOLEAN"}),
}
ANSWERS = list(PLACES)
TABLES = {table: "langchain_id" for table, _, _ in PLACES.values()}
OWN, BLANK = {}, (None,)
CALLS = [f"collection => '{name}', target => '{table}'" for name, (table, _, _) in PLACES.items()]
MAKES = [("preset => 'langchain_v2', collection => 'langchain', target => 'lc_langchain'", ["lc_langchain"])]
FAILED = (0, "none")


def engine(db):
    from langchain_postgres import PGEngine

    return PGEngine.from_connection_string(url=db.url("psycopg"))


def postgres(db, name):
    from langchain_postgres import PGVectorStore

    table, _, columns = PLACES[name]
    return PGVectorStore.create_sync(
        engine=engine(db), table_name=table, embedding_service=OfText(), metadata_columns=list(columns)
    )


def make_tables(db):
    from langchain_postgres import Column

    for table, key, columns in PLACES.values():
        settings = {"metadata_columns": [Column(name, type, nullable=True) for name, type in columns.items()]}
        if key:
            settings["id_column"] = Column("langchain_id", key, nullable=False)
        engine(db).init_vectorstore_table(table_name=table, vector_size=DIM, **settings)


def write_tables(db, store):
    for name in PLACES:
        postgres(db, name).add_documents(documents()[name])


def check(db, said, tally):
    for name, wanted in said.items():
        check_one(postgres(db, name), name, wanted, tally)


def change(db, said, tally):
    change_one(postgres(db, "manual"), tally)
