"""Sessions of one private server that has the extension: their searches, their memory and their threads.

Memory is what Linux says of a backend in `smaps_rollup`; reading it takes root's rights or those of the server's OS user.
"""

import os
import random
import time
from pathlib import Path

import psycopg

DIMENSIONS = 384
ROWS = 3000
SEARCH_WORDS = 13  # with the two special tokens and the number about 16 tokens
SETTING = "vector_migrate.model_idle_timeout"
LONG, SHORT = "10min", "1s"  # longer than any of this takes; soon over
PATIENCE = 30.0  # seconds until sessions that still have threads are taken as they are
EVERY = 0.02  # seconds between two looks
WORDS = (
    "the river runs under stone bridge every morning while people walk home from work and children play in green "
    "fields near old trees with birds that sing about summer rain light wind snow night moon stars city street market "
    "bread water fire music book story king horse road mountain sea ship island garden flower"
).split()

TABLE = f"""
INSERT INTO content_vectors (chroma_collection, id, embedding, title, full_content, searchable_text, metadata)
SELECT 'bench', n::text, ARRAY(SELECT random() - 0.5 + 0 * n FROM generate_series(1, {DIMENSIONS}))::vector, 'Title ' || n,
       jsonb_build_object('text', repeat(md5(n::text), 10)), repeat(md5(n::text), 10), '{{}}'
  FROM generate_series(1, {ROWS}) AS n
"""


def text(number, words=SEARCH_WORDS):
    """A text of so many common words, of one token each; the number before them makes it another than every other."""
    draw = random.Random(number)
    return " ".join([str(number), *(draw.choice(WORDS) for _ in range(words))])


def memory(pid):
    """Bytes: PSS, all private pages, and those of them that are in no file."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if rest.endswith(" kB"):
            found[name] = int(rest.split()[0]) * 1024
    dirty = found["Private_Dirty"]
    return {"pss": found["Pss"], "private": dirty + found["Private_Clean"], "dirty": dirty}


def threads(pid):
    """Threads of a backend, its own included."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def processor_time(pid):
    """Seconds that all threads of a process have had, also those that have ended, in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Backend:
    """A session and the process that serves it."""

    def __init__(self, host):
        self.session = psycopg.connect(host=host, port=5432, user="postgres", dbname="postgres", autocommit=True)
        # Every search is to be sent in the same way, also after the fifth one.
        self.session.prepare_threshold = None
        self.pid = self.session.info.backend_pid

    def rows(self, statement, *arguments):
        return self.session.execute(statement, arguments or None).fetchall()

    def search(self, number):
        """Seconds of a search, as the client sees them."""
        began = time.perf_counter()
        found = self.rows("SELECT * FROM search_content(%s)", text(number))
        seconds = time.perf_counter() - began
        if len(found) != 5:
            raise SystemExit(f"error: a search has found {len(found)} rows")
        return seconds

    def embed(self, texts):
        """Seconds that embedding these takes, and the backend's processor time."""
        spent, began = processor_time(self.pid), time.perf_counter()
        ((count,),) = self.rows("SELECT count(*) FROM embed_text(%s::text[])", texts)
        seconds = time.perf_counter() - began
        if count != len(texts):
            raise SystemExit(f"error: {len(texts)} texts have been given {count} vectors")
        return seconds, processor_time(self.pid) - spent

    def close(self):
        """Ends the session, and waits for the end of its process: nothing of it is in what comes next."""
        self.session.close()
        while Path(f"/proc/{self.pid}").exists():
            time.sleep(EVERY)


class Server:
    """One version of the extension: a private server, reached through the socket in `host`."""

    def __init__(self, name, host):
        self.name, self.host = name, host

    def prepare(self):
        """The table, and what there is to say about the version."""
        backend = Backend(self.host)
        session = backend.session
        session.execute("CREATE EXTENSION vector_migrate CASCADE")
        session.execute("SELECT init_content_tables(%s, entity_target => NULL)", (DIMENSIONS,))
        session.execute("SELECT setseed(0.5)")
        session.execute(TABLE)
        session.execute("CREATE INDEX ON content_vectors USING hnsw (embedding vector_cosine_ops)")
        session.execute("VACUUM ANALYZE content_vectors")
        ((info,),) = backend.rows("SELECT row_to_json(i) FROM model_info() AS i")
        # The library is there, and with it its settings.
        self.has_setting = bool(backend.rows("SELECT FROM pg_settings WHERE name = %s", SETTING))
        extensions = dict(backend.rows("SELECT extname, extversion FROM pg_extension"))
        ((version,),) = backend.rows("SHOW server_version")
        try:
            memory(backend.pid)
        except OSError as cause:
            raise SystemExit(
                f"error: the memory of the server's processes cannot be read ({cause})\n"
                "       run the benchmark as root or as the OS user that runs the server, on Linux 4.14 or newer"
            ) from None
        backend.close()
        return {
            "postgresql": version,
            "pgvector": extensions["vector"],
            "vector_migrate": extensions["vector_migrate"],
            "idle_timeout": self.has_setting,
            "model_info": info,
        }

    def connect(self, timeout=LONG):
        """A new session that keeps its threads for so long, where that can be set."""
        backend = Backend(self.host)
        self.keep_threads(backend, timeout)
        return backend

    def keep_threads(self, backend, timeout):
        if self.has_setting:
            # A setting of a library that is not loaded yet is kept for it.
            backend.session.execute(f"SET {SETTING} = '{timeout}'")

    def let_idle(self, backends, number):
        """Searches once more in each, with the short timeout, and waits until all have ended their threads."""
        for backend in backends:
            self.keep_threads(backend, SHORT)
            backend.search(number)
        deadline = time.monotonic() + (PATIENCE if self.has_setting else 0)
        while time.monotonic() < deadline and any(threads(backend.pid) > 1 for backend in backends):
            time.sleep(EVERY)


def look(backends):
    """Memory and threads of each of these."""
    found = [memory(backend.pid) | {"threads": threads(backend.pid)} for backend in backends]
    return {name: [one[name] for one in found] for name in found[0]}
