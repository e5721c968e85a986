"""Writes an application's fixture anew: `record.py APPLICATION`, see run.sh.

The store is packed; the facts beside it are what chromadb and the application's clients say of it, the definitions of
the tables that its PostgreSQL client makes, and the rows that this client writes.
"""

import importlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from database import Database
from kit import HERE, FIXTURES, facts_of, pack, plain, write_facts

SHARED = ["chromadb", "pgvector"]


def versions(app):
    found = {name: importlib.metadata.version(name) for name in SHARED + app.PACKAGES}
    return found | getattr(app, "VERSIONS", {})


def says(path):
    done = subprocess.run([sys.executable, HERE / "chroma_says.py", path], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def write_once(app, folder):
    """The store, and what the client answers from it; written in a process of its own, so that it is closed."""
    command = [sys.executable, __file__, "--write", app.__name__.partition(".")[2], folder]
    subprocess.run(command, check=True)
    pack(app.STORE, folder)


def source_of(app, store):
    """What the clients say of the store; of another application's store, what was recorded for that one."""
    owner = getattr(app, "STORE_OF", None)
    if owner:
        answers = facts_of(owner)["answers"]
        return {"answers": {key: answers[key] for key in app.ANSWERS}}
    store.mkdir()
    write_once(app, store)
    # Asking changes a store: a copy, and before that chromadb itself.
    said = says(store)
    copy = store.with_name("copy")
    shutil.copytree(store, copy)
    return {"chroma": said, "answers": plain(app.ask_store(copy))}


def main():
    name = sys.argv[1]
    if name == "--write":
        importlib.import_module(f"clients.{sys.argv[2]}").write_store(Path(sys.argv[3]))
        return
    app, db = importlib.import_module(f"clients.{name}"), Database(f"record_{name}")
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "store"
        facts = {"versions": versions(app)} | source_of(app, store)
        app.make_tables(db)
        facts["tables"] = {table: db.definition(table) for table in app.TABLES}
        app.write_tables(db, store)
    facts["rows"] = {table: db.rows(table, key) for table, key in app.TABLES.items()}
    write_facts(name, facts)
    print(f"{name}: {(FIXTURES / f'{name}.json').stat().st_size} bytes")


if __name__ == "__main__":
    main()
