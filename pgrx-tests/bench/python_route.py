"""What one would write without the extension: `python_route.py DIRECTORY`, into the database of PGHOST and PGDATABASE.

Pages out of chromadb, one binary COPY into the table, one transaction; the rows are those of `migrate_chroma`. Timed
from opening the store to the commit, without starting Python and importing. Prints seconds, its own processor time and
its peak of memory as JSON.
"""

import json
import os
import resource
import sys
import time
from datetime import datetime

os.environ["ANONYMIZED_TELEMETRY"] = "False"

import chromadb
import orjson
import psycopg
from chromadb.config import Settings
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb, set_json_dumps

PAGE = 5_000
COLUMNS = {
    "chroma_collection": "text",
    "id": "text",
    "user_id": "int8",
    "embedding": "vector",
    "title": "text",
    "content_type": "text",
    "source_url": "text",
    "has_transcript": "bool",
    "full_content": "jsonb",
    "searchable_text": "text",
    "metadata": "jsonb",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}


def rows(collection):
    """Rows in the order of COLUMNS; the other columns are null or have a default."""
    name = collection.name
    for offset in range(0, collection.count(), PAGE):
        page = collection.get(limit=PAGE, offset=offset, include=["documents", "metadatas", "embeddings"])
        for key, document, metadata, vector in zip(
            page["ids"], page["documents"], page["metadatas"], page["embeddings"]
        ):
            title = metadata["title"]
            created_at = datetime.fromisoformat(metadata["created_at"])
            yield (
                name,
                key,
                int(metadata["user_id"]),
                vector,
                title,
                metadata["content_type"],
                metadata["source_url"],
                False,
                Jsonb({"id": key, "title": title}),
                document,
                Jsonb(metadata),
                created_at,
                created_at,
            )


def main():
    set_json_dumps(orjson.dumps)
    began, before = time.perf_counter(), time.process_time()
    client = chromadb.PersistentClient(path=sys.argv[1], settings=Settings(anonymized_telemetry=False))
    (collection,) = client.list_collections()
    with psycopg.connect() as session:
        register_vector(session)
        statement = f"COPY content_vectors ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
        with session.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(list(COLUMNS.values()))
            for row in rows(collection):
                copy.write_row(row)
    seconds = time.perf_counter() - began
    cpu = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


if __name__ == "__main__":
    main()
