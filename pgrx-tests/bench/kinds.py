"""Kinds of tables that applications have, each loaded by a migration and by the server alone with the same rows."""

import server
from steps import MIGRATE, MIGRATED, TABLE, total

# What makes the table of `init_content_tables` one of this kind; {options} are its storage parameters. Table `users` has
# the users of the rows.
USERS = f"ALTER TABLE {TABLE} ADD FOREIGN KEY (user_id) REFERENCES users"
PARTITIONED = [
    f"ALTER TABLE {TABLE} RENAME TO plain",
    f"CREATE TABLE {TABLE} (LIKE plain INCLUDING DEFAULTS, PRIMARY KEY (chroma_collection, id, user_id)) "
    "PARTITION BY HASH (user_id)",
    *(
        f"CREATE TABLE part_{n} PARTITION OF {TABLE} FOR VALUES WITH (MODULUS 8, REMAINDER {n}) {{options}}"
        for n in range(8)
    ),
    f"CREATE INDEX ON {TABLE} (user_id)",
    "DROP TABLE plain",
]
TRIGGER = [
    "CREATE FUNCTION unchanged() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    f"CREATE TRIGGER unchanged BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION unchanged()",
]
KINDS = {"foreign_key": [USERS], "partitioned": PARTITIONED, "before": TRIGGER}


class KindSteps:
    """The steps of each kind, over the store and the file of `steps`, which keeps the results."""

    def __init__(self, steps):
        self.steps = steps

    def make(self, kind, source):
        """A fresh database with an empty table of this kind, and with the rows in table `source` if they are wanted."""
        server.fresh_database(self.steps.dimensions)
        ((options,),) = server.ask("SELECT 'WITH (' || array_to_string(reloptions, ', ') || ')' "
                                   f"FROM pg_class WHERE oid = '{TABLE}'::regclass")
        server.ask(f"CREATE TABLE source (LIKE {TABLE}) {options}")
        server.ask(f"COPY source FROM '{self.steps.file}' (FORMAT binary)")
        server.ask("CREATE TABLE users (id bigint PRIMARY KEY)")
        server.ask("INSERT INTO users SELECT DISTINCT user_id FROM source")
        if not source:
            server.ask("DROP TABLE source")
        for statement in KINDS[kind]:
            server.ask(statement.format(options=options))

    def migrate(self, kind):
        self.make(kind, source=False)
        done = server.timed(MIGRATE, (self.steps.store,))
        self.steps.expect(f"{kind}, migrated", total(done.rows, MIGRATED), self.steps.records)
        self.steps.expect_rows(kind, once=False)
        yield f"{kind}_migrate", self.steps.keep_timed(f"{kind}_migrate", done)

    def server_alone(self, kind):
        """COPY from the file into the table with the foreign key, INSERT ... SELECT from a table of the same rows into the others."""
        self.make(kind, source=kind != "foreign_key")
        statement = f"INSERT INTO {TABLE} SELECT * FROM source"
        if kind == "foreign_key":
            statement = f"COPY {TABLE} FROM '{self.steps.file}' (FORMAT binary)"
        done = server.timed(statement)
        self.steps.expect_rows(kind, once=False)
        yield f"{kind}_server", self.steps.keep_timed(f"{kind}_server", done)

    def all(self):
        """Every step, as functions that take whether it is the first round."""
        for kind in KINDS:
            yield lambda _once, kind=kind: self.migrate(kind)
            yield lambda _once, kind=kind: self.server_alone(kind)
