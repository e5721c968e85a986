"""The private server: fresh databases, their tables' rows and definitions, and calls of `migrate_chroma`.

PGHOST, PGPORT and PGUSER say where the server is; PG_BIN, where its programs are.
"""

import os
import subprocess
from dataclasses import dataclass
from urllib.parse import quote

import psycopg

from kit import plain


class Database:
    """A database with the extension; an older one of this name is dropped."""

    def __init__(self, name):
        self.name = name
        with psycopg.connect(dbname="postgres", autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {name}")
        self.run("CREATE EXTENSION vector_migrate CASCADE")

    def url(self, driver=None):
        """Address of the database, as SQLAlchemy (with a driver) and libpq (without) take it."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        user, host, port = (os.environ[name] for name in ("PGUSER", "PGHOST", "PGPORT"))
        return f"{scheme}://{user}@/{self.name}?host={quote(host, safe='/')}&port={port}"

    def connect(self):
        # Vectors made of texts by arithmetic are of no model: a run would load one, to say so.
        return psycopg.connect(dbname=self.name, autocommit=True, options="-c vector_migrate.check_model=off")

    def run(self, sql, values=None):
        """Statements; the rows of the last one, as dictionaries."""
        with self.connect() as session:
            cursor = session.execute(sql, values)
            if not cursor.description:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor]

    def rows(self, table, key):
        """Every row by its key: vectors as PostgreSQL prints them, json and jsonb as values."""
        return plain(self.run(f"SELECT * FROM {table} ORDER BY {key}"))

    def texts(self, tables):
        """Every row of every table as PostgreSQL prints it, in no order: to see whether anything has changed."""
        return {name: sorted(row["t"] for row in self.run(f"SELECT t::text AS t FROM {name} AS t")) for name in tables}

    def has(self, table):
        return self.run("SELECT to_regclass(%s) IS NOT NULL AS there", (table,))[0]["there"]

    def definition(self, table):
        """The statements of pg_dump that make the table, without its comments and settings."""
        program = f"{os.environ['PG_BIN']}/pg_dump"
        options = ["--schema-only", "--no-owner", "--no-privileges", "--no-comments", f"--table={table}"]
        done = subprocess.run([program, *options, self.url()], check=True, stdout=subprocess.PIPE, text=True)
        beside = ("--", "SET ", "SELECT pg_catalog.set_config", "\\")
        return "\n".join(line for line in done.stdout.split("\n") if line and not line.startswith(beside))

    def migrate(self, store, arguments, notices=None):
        """What `migrate_chroma` answers, added up. `arguments` are SQL."""
        with self.connect() as session:
            if notices is not None:
                session.add_notice_handler(lambda notice: notices.append(f"{notice.severity}: {notice.message_primary}"))
            cursor = session.execute(f"SELECT * FROM migrate_chroma(%s, {arguments})".replace("%s", "%(p)s"), {"p": str(store)})
            names = [column.name for column in cursor.description]
            return Answer.of([dict(zip(names, row)) for row in cursor])


@dataclass
class Answer:
    """The sums of the rows that a call gave, and what no row of a preset's may have."""

    run: int | None
    found: int
    migrated: int
    skipped: int
    failed: int
    users: set
    entities: int

    @staticmethod
    def of(rows):
        sums = {name: sum(row[name] for row in rows) for name in ("found", "migrated", "skipped", "failed", "entities")}
        run = rows[0]["run_id"] if rows else None
        return Answer(run=run, users={row["user_id"] for row in rows} - {None}, **sums)
