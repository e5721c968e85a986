"""The measured steps. Each begins with the same state of the server, and checks what it has done."""

import sys
from pathlib import Path

import server

HERE = Path(__file__).resolve().parent
TABLE = "content_vectors"
MIGRATE = "SELECT * FROM migrate_chroma(%s, embeddings => 'stored', entity_target => NULL)"
DRY_RUN = "SELECT * FROM migrate_chroma(%s, dry_run => true, embeddings => 'stored', entity_target => NULL)"
FOUND, MIGRATED, SKIPPED = 3, 4, 5  # columns of migrate_chroma's result


def total(rows, column):
    return sum(row[column] for row in rows)


class Steps:
    """The steps over one store; `results` collects what each of them took, round by round."""

    def __init__(self, store, sqlite_only, records, dimensions, space, stages, file):
        self.store, self.sqlite_only = str(store), str(sqlite_only)
        self.records, self.dimensions, self.space = records, dimensions, space
        self.stages, self.file = stages, str(file)
        self.results = {}

    def keep(self, name, measured):
        self.results.setdefault(name, []).append(measured)
        return measured["seconds"]

    def keep_timed(self, name, done):
        return self.keep(name, {"seconds": done.seconds, "cpu": done.cpu, "memory": done.memory})

    def expect(self, what, found, wanted):
        if found != wanted:
            raise SystemExit(f"error: {what}: {found} instead of {wanted}")

    def expect_rows(self, what, once, tolerance=0):
        """All records are in the table; if `once`, also each with the values that the file has for it."""
        self.expect(f"{what}, rows", server.ask(f"SELECT count(*) FROM {TABLE}")[0][0], self.records)
        if once:
            self.expect(f"{what}, rows as in the file", server.equal_rows(TABLE, self.file, tolerance), self.records)

    def prepare(self):
        """The rows in a file, as a migration puts them into the table. Warms the caches, too."""
        server.fresh_database(self.dimensions)
        server.timed(MIGRATE, (self.store,))
        self.expect_rows("first migration", once=False)
        server.ask(f"COPY (SELECT * FROM {TABLE}) TO '{self.file}' (FORMAT binary)")

    def migrate(self, once):
        """(a), and in the same database the second run and the rollback."""
        server.fresh_database(self.dimensions)
        done = server.timed(MIGRATE, (self.store,))
        self.expect("(a) migrated", total(done.rows, MIGRATED), self.records)
        run = done.rows[0][0]
        yield "migrate", self.keep_timed("migrate", done)
        self.expect_rows("(a)", once)

        done = server.timed(MIGRATE, (self.store,))
        self.expect("second run, skipped", total(done.rows, SKIPPED), self.records)
        yield "again", self.keep_timed("again", done)

        done = server.timed("SELECT * FROM rollback_migration(%s)", (run,))
        self.expect("rollback, rows left", server.ask(f"SELECT count(*) FROM {TABLE}")[0][0], 0)
        yield "rollback", self.keep_timed("rollback", done)

    def copy(self, once):
        """(b)."""
        server.fresh_database(self.dimensions)
        done = server.timed(f"COPY {TABLE} FROM '{self.file}' (FORMAT binary)")
        yield "copy", self.keep_timed("copy", done)
        self.expect_rows("(b)", once)

    def python(self, once):
        """(c)."""
        server.fresh_database(self.dimensions)
        done = server.timed_program(sys.executable, str(HERE / "python_route.py"), self.store)
        yield "python", self.keep("python", done)
        # What is still in Chroma's queue comes out of chromadb rounded, and out of a migration as it was given.
        self.expect_rows("(c)", once, tolerance=1e-6)

    def core(self, _once):
        """(d): passes over the store without a server."""
        done = server.timed_program(self.stages, self.store, self.sqlite_only)
        self.expect("(d) rows", done["rows"], self.records)
        for name in ("sqlite", "vectors", "mapped", "encoded"):
            yield f"stage_{name}", self.keep(f"stage_{name}", {"seconds": done[name]})

    def look(self, _once):
        """What writes nothing."""
        server.fresh_database(self.dimensions)
        done = server.timed(DRY_RUN, (self.store,))
        self.expect("dry run", total(done.rows, MIGRATED), self.records)
        yield "dry_run", self.keep_timed("dry_run", done)
        done = server.timed("SELECT count(*) FROM chroma_records(%s)", (self.store,))
        self.expect("chroma_records", done.rows[0][0], self.records)
        yield "chroma_records", self.keep_timed("chroma_records", done)
        done = server.timed("SELECT sum(records) FROM chroma_collections(%s)", (self.store,))
        self.expect("chroma_collections", done.rows[0][0], self.records)
        yield "chroma_collections", self.keep_timed("chroma_collections", done)
