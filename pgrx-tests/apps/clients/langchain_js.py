"""LangChain JS: its Chroma client wrote the store through a server, its PGVectorStore has to go on with its tables.

`notes` has a table as n8n makes it, `shelf` one whose rows refer to a table of collections.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

STORE = "langchain_js"
PACKAGES = []
VERSIONS = {"@langchain/community": "1.1.29", "@langchain/core": "1.4.0", "chromadb (JavaScript)": "3.5.0", "pg": "8.23.1"}
TABLES = {"js_collections": "name", "n8n_vectors": "id", "js_vectors": "id"}
PARENTS = ("js_collections",)
OWN, BLANK = {"js_collections": ["uuid"], "js_vectors": ["collection_id"]}, (None,)
CALLS = ["collection => 'notes', target => 'n8n_vectors'", "collection => 'shelf', target => 'js_vectors'"]
MAKES = [("preset => 'langchain_js', collection => 'notes'", ["n8n_vectors"])]
FAILED = (0, "none")
IN_COLLECTION = "SELECT count(*) FROM js_vectors JOIN js_collections ON uuid = collection_id WHERE name = 'shelf'"
JOINS = [("rows of shelf", IN_COLLECTION, 3)]

HERE = Path(__file__).parent
SERVER = HERE.parent.parent / "fidelity" / "server.py"


def node(command, db=None, store=None):
    """Runs a command of langchain_js.mjs, with the store served where there is one."""
    program = ["node", HERE / "langchain_js.mjs", command]
    if store:
        program = [sys.executable, SERVER, store, store.with_name("server.log"), *program]
    more = {"PGDATABASE": db.name} if db else {}
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | more)
    return json.loads(done.stdout.splitlines()[-1])


def write_store(path):
    node("write", store=path)


def ask_store(path):
    answers = node("ask", store=path)
    for found in (one for searches in answers.values() for search in searches for one in search):
        found["distance"] /= 2  # Chroma's l2 is squared: of vectors of length 1 twice the cosine distance
        # The Chroma client puts `loc` together again only where both of its keys are there; it was an object before.
        if "locFrom" in found["metadata"]:
            found["metadata"]["loc"] = {"lines": {"from": found["metadata"].pop("locFrom")}}
    return answers


def make_tables(db):
    node("make", db)


def write_tables(db, store):
    node("put", db)


def check(db, said, tally):
    now = node("look", db)
    for name, wanted in said.items():
        for n, (found, search) in enumerate(zip(now[name], wanted)):
            tally.same(f"search {n} of {name}: ids", [one["id"] for one in found], [one["id"] for one in search])
            for have, want in zip(found, search):
                what = f"search {n} of {name}, {want['id'][-3:]}"
                for part in ("text", "metadata"):
                    tally.same(f"{what}: {part}", have[part], want[part])
                tally.same(f"{what}: distance", have["distance"], want["distance"], digits=6)


def change(db, said, tally):
    done = node("change", db)
    ids = sorted({one["id"] for search in said["notes"] for one in search})
    tally.same("a new document is found", done["nearest"], [done["added"]])
    tally.same("documents are deleted by id", done["left"], ids[1:])
    tally.same("documents are deleted by a filter", done["after"], ids[2:])
