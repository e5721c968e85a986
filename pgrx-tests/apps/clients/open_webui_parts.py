"""Takes Open WebUI's two vector clients out of its wheel: `open_webui_parts.py WHEEL FOLDER`.

The modules with the clients, their base class and the rules for metadata are the application's own. What they import of the
rest of it is settings (written here with the application's defaults), its database session and its JSON: stand-ins.
"""

import ast
import sys
import zipfile
from pathlib import Path

OWN = ["main.py", "utils.py", "type.py", "dbs/chroma.py", "dbs/pgvector.py"]
SETTINGS = {
    "CHROMA_CLIENT_AUTH_CREDENTIALS": "",
    "CHROMA_CLIENT_AUTH_PROVIDER": "",
    "CHROMA_DATABASE": "default_database",
    "CHROMA_DATA_PATH": None,
    "CHROMA_HTTP_HEADERS": None,
    "CHROMA_HTTP_HOST": "",
    "CHROMA_HTTP_PORT": 8000,
    "CHROMA_HTTP_SSL": False,
    "CHROMA_TENANT": "default_tenant",
    "PGVECTOR_CREATE_EXTENSION": True,
    "PGVECTOR_DB_URL": None,
    "PGVECTOR_HNSW_EF_CONSTRUCTION": 64,
    "PGVECTOR_HNSW_M": 16,
    "PGVECTOR_INDEX_METHOD": "",
    "PGVECTOR_INITIALIZE_MAX_VECTOR_LENGTH": 1536,
    "PGVECTOR_ITERATIVE_SCAN": "relaxed_order",
    "PGVECTOR_IVFFLAT_LISTS": 100,
    "PGVECTOR_PGCRYPTO": False,
    "PGVECTOR_PGCRYPTO_KEY": None,
    "PGVECTOR_POOL_MAX_OVERFLOW": 0,
    "PGVECTOR_POOL_RECYCLE": 3600,
    "PGVECTOR_POOL_SIZE": None,
    "PGVECTOR_POOL_TIMEOUT": 30,
    "PGVECTOR_USE_HALFVEC": False,
}
ENVIRONMENT = {
    "CHAT_STREAM_RESPONSE_CHUNK_MAX_BUFFER_SIZE": None,
    "ENABLE_ORJSON": False,
    "RAG_METADATA_MAX_VALUE_CHARS": None,
    "USE_SLIM": False,
}


def constants(values):
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def cleaning(source):
    """The one function that the clients want of a module with very many imports, and its pattern."""
    names = ("sanitize_text_for_db", "SURROGATE_RE")
    wanted = []
    for node in ast.parse(source).body:
        name = node.targets[0].id if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else None
        if name in names or getattr(node, "name", None) in names:
            wanted.append(ast.get_source_segment(source, node))
    return "import re\n\n" + "\n\n".join(wanted) + "\n"


def main():
    wheel, folder = zipfile.ZipFile(sys.argv[1]), Path(sys.argv[2]) / "open_webui"

    def put(name, text):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def own(name):
        return wheel.read(f"open_webui/{name}").decode("utf-8")

    for package in ("", "retrieval/", "retrieval/vector/", "retrieval/vector/dbs/", "utils/", "internal/"):
        put(f"{package}__init__.py", "")
    for name in OWN:
        put(f"retrieval/vector/{name}", own(f"retrieval/vector/{name}"))
    put("config.py", constants(SETTINGS))
    put("env.py", constants(ENVIRONMENT))
    put("utils/misc.py", cleaning(own("utils/misc.py")))
    put("utils/json_codec.py", "import json as JSONCodec\n")
    put("internal/db.py", "ScopedSession = None\n\n\ndef enable_iam_token_auth(engine):\n    pass\n")


if __name__ == "__main__":
    main()
