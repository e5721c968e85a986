"""The vector index: imported from Chroma's graph, built by the run, and built by hand, side by side.

Each way has a database of its own that stays until the round's end, as searches and VACUUM of all ways follow each other.
"""

import os

import server
from searches import OPERATORS, Searches, exact, queries, recall, side_by_side

MB = 1 << 20
TABLE = "content_vectors"
LOAD = "SELECT * FROM migrate_chroma(%s, embeddings => 'stored', entity_target => NULL, index => %s)"
BEFORE_MEMORY = 64  # MB of maintenance_work_mem: PostgreSQL's default
DELETED = "%00"  # ids of the rows that are deleted: one in a hundred
AFTER_VACUUM = 40  # hnsw.ef_search of the searches after it
RUN_WAYS = {"import": "imported", "build": "built"}  # what the ledger says of each


class IndexSteps:
    """The ways over one store; `results` has what each of them took, round by round."""

    def __init__(self, store, kind, records, dimensions, space):
        self.store, self.records, self.space = str(store), records, space
        self.queries = queries(dimensions, kind)
        self.exact = None
        self.first_search = f"SELECT id FROM {TABLE} ORDER BY embedding {OPERATORS[space]} '{self.queries[0]}' LIMIT 10"
        # The whole graph, as it is while it is built: value, lists, the element's own, and some more.
        self.memory = max(1024, records * (dimensions * 4 + 900) * 11 // 10 // MB)
        room = os.statvfs("/dev/shm")
        # A parallel build wants all of the memory there at once.
        fits = room.f_bavail * room.f_frsize > self.memory * MB
        self.workers = "" if fits else "-c max_parallel_maintenance_workers=0"
        self.results = {}

    def prepare(self):
        """A run that is not measured: it reads the store from disk, and the others do not."""
        self.load("import", "import")

    def round(self, number, before):
        """All ways, then their searches, then VACUUM; `before`: with the build in 64 MB. Gives names and seconds."""
        ways = ["import", "build", "hand"] + (["before"] if before else [])
        measured = {}
        for way in ways if number % 2 == 0 else reversed(ways):
            make = self.by_run if way in RUN_WAYS else self.by_hand
            measured[way] = make(way)
            yield way, measured[way]["seconds"]
        load = measured["hand"]["load"]
        for way in RUN_WAYS:
            measured[way] |= {f"index_{what}": measured[way][what] - load[what] for what in ("cpu", "wal")}
        for way, searched in self.search(ways).items():
            measured[way]["searches"] = searched
        for way in RUN_WAYS:
            measured[way]["vacuum"] = self.vacuum(way)
            yield f"VACUUM, {way}", measured[way]["vacuum"]["seconds"]
        for way in ways:
            self.results.setdefault(way, []).append(measured[way])
            server.drop_database(database(way))

    def options(self, memory):
        return f"-c maintenance_work_mem={memory}MB -c vector_migrate.max_memory_mb={self.memory}"

    def load(self, way, index, then=None):
        """A run into a fresh database, which creates the table."""
        server.fresh_database(database=database(way))
        arguments = (self.store, index)
        done = server.timed(LOAD, arguments, database(way), self.options(BEFORE_MEMORY), then)
        expect(f"{way}: migrated", sum(row[4] for row in done.rows), self.records)
        return done

    def by_run(self, way):
        done = self.load(way, way, self.first_search)
        ((was, reason, seconds),) = server.ask(
            "SELECT index_way, index_reason, index_seconds FROM vector_migrate.runs", database=database(way)
        )
        expect(f"{way}: index_way ({reason})", was, RUN_WAYS[way])
        return taken(done) | {
            "index_seconds": seconds,
            "memory": done.memory,
            "reason": reason,
            **about_index(way),
        }

    def by_hand(self, way):
        """A load without an index, and CREATE INDEX and ANALYZE after it."""
        load = taken(self.load(way, "none"))
        small = way == "before"
        options = self.options(BEFORE_MEMORY) if small else f"{self.options(self.memory)} {self.workers}"
        ops = f"vector_{self.space}_ops"
        done = server.timed(f"CREATE INDEX ON {TABLE} USING hnsw (embedding {ops})", None, database(way), options)
        index = taken(done)
        rest = taken(server.timed(f"ANALYZE {TABLE}", None, database(way), then=self.first_search))
        return {what: load[what] + index[what] + rest[what] for what in load} | {
            f"index_{what}": value for what, value in index.items()
        } | {"load": load, "memory": done.memory, **about_index(way)}

    def search(self, ways):
        sessions = {}
        for way in ways:
            sessions[way] = (Searches(database(way), TABLE, self.space, self.queries), index_of(way))
        if not self.exact:
            self.exact = exact(database("import"), TABLE, self.space, self.queries)
        measured = side_by_side(sessions, self.exact)
        for session, _ in sessions.values():
            session.close()
        return measured

    def vacuum(self, way):
        """What VACUUM takes after one row in a hundred was deleted, and what searches find then."""
        gone = server.ask(f"DELETE FROM {TABLE} WHERE id LIKE %s RETURNING id", (DELETED,), database(way))
        expect(f"{way}: deleted", len(gone), self.records // 100)
        options = self.options(BEFORE_MEMORY)
        done = server.timed(f"VACUUM (INDEX_CLEANUP ON) {TABLE}", None, database(way), options)
        session = Searches(database(way), TABLE, self.space, self.queries)
        session.at(AFTER_VACUUM, index_of(way))
        found = session.run()[1]
        session.close()
        return taken(done) | {"recall": recall(self.exact, found, {id for (id,) in gone}), **check(way)}


def database(way):
    return f"bench_index_{way}"


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"error: {what}: {found} instead of {wanted}")


def taken(done):
    return {"seconds": done.seconds, "cpu": done.cpu, "wal": done.wal}


def index_of(way):
    """The name of the table's HNSW index."""
    ((name,),) = server.ask(
        "SELECT indexname FROM pg_indexes WHERE tablename = %s AND indexdef LIKE '%% USING hnsw %%'", (TABLE,), database(way)
    )
    return name


def about_index(way):
    ((size,),) = server.ask("SELECT pg_relation_size(%s::regclass)", (index_of(way),), database(way))
    return {"index_bytes": size, **check(way)}


def check(way):
    """The walk over the index; anything wrong with it ends the bench."""
    ((not_full, unreachable, problems, findings),) = server.ask(
        "SELECT not_full, unreachable, problems, findings FROM check_vector_index(%s)", (index_of(way),), database(way)
    )
    expect(f"{way}: problems of the index {findings}", problems, 0)
    return {"not_full": not_full, "unreachable": unreachable}
