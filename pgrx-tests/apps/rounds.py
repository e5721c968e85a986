"""One application from beginning to end: `rounds.py APPLICATION`, see run.sh.

First round: the client makes its tables, migrate_chroma fills them, and the client has to find in them what it found in
the store; a second run adds nothing, a rollback leaves the tables as they were, and after another run the client goes on
to add and delete. Second round: the preset makes the tables.
"""

import importlib
import logging
import os
import sys
from pathlib import Path

from database import Database
from kit import Tally, facts_of, unpack, without


class Rounds:
    def __init__(self, name):
        self.app = importlib.import_module(f"clients.{name}")
        self.name = name
        self.facts = facts_of(name)
        self.tally = Tally(name)
        self.store = Path(os.environ["APPS_SCRATCH"]) / f"{name}-{os.getpid()}"
        unpack(self.app.STORE, self.store)
        self.definitions = {}  # by pg_dump, of the tables that the client makes
        self.wanted = sum(len(self.facts["rows"][table]) for table in self.filled())

    def filled(self):
        """The tables that records go into, without those that have a row for a collection."""
        return [table for table in self.app.TABLES if table not in getattr(self.app, "PARENTS", ())]

    def call(self, db, calls, filling):
        """Runs every call. `filling`: whether the tables have none of the rows yet."""
        answers = [db.migrate(self.store, arguments) for arguments in calls]
        same, (failed, which) = self.tally.same, self.app.FAILED
        same("records migrated", sum(a.migrated for a in answers), self.wanted if filling else 0)
        same("records that were there", sum(a.skipped for a in answers), 0 if filling else self.wanted)
        same(f"records that cannot be ({which})", sum(a.failed for a in answers), failed)
        same("owners in the answer", set().union(*(a.users for a in answers)), set())
        same("entities in the answer", sum(a.entities for a in answers), 0)
        return answers

    def rows(self, db):
        """Every column of every row against what the client itself wrote."""
        for table, key in self.app.TABLES.items():
            own = self.app.OWN.get(table, ())
            found, wanted = db.rows(table, key), self.facts["rows"][table]
            self.tally.same(f"rows of {table}", len(found), len(wanted))
            for have, want in zip(found, wanted):
                what = f"{table}, {str(want[key])[:20]}"
                self.tally.same(f"columns of {what}", sorted(have), sorted(want))
                for column in want.keys() - set(own):
                    values = (without(row.get(column), self.app.BLANK) for row in (have, want))
                    self.tally.same(f"{column} of {what}", *values)
        for what, count, wanted in getattr(self.app, "JOINS", ()):
            self.tally.same(what, db.run(count)[0]["count"], wanted)

    def read(self, db):
        """The rows, then the client's answers, and nothing may have changed by its looking."""
        before = db.texts(self.app.TABLES)
        self.rows(db)
        self.app.check(db, self.facts["answers"], self.tally)
        self.tally.holds("the client only reads", db.texts(self.app.TABLES) == before)

    def first(self):
        db, say = Database(f"app_{self.name}"), self.place
        say("tables of the client")
        self.app.make_tables(db)
        self.definitions = {table: db.definition(table) for table in self.app.TABLES}
        recorded = Database(f"recorded_{self.name}")
        recorded.run(getattr(self.app, "SETUP", ""))
        for table, made in self.facts["tables"].items():
            recorded.run(made)
            self.tally.same(f"the recorded {table}", recorded.definition(table), self.definitions[table])
        before = db.texts(self.app.TABLES)
        say("first run")
        answers = self.call(db, self.app.CALLS, filling=True)
        self.read(db)
        filled = db.texts(self.app.TABLES)
        say("second run")
        again = self.call(db, self.app.CALLS, filling=False)
        self.tally.holds("the tables are as after the first", db.texts(self.app.TABLES) == filled)
        say("rollback")
        for answer in reversed(answers + again):
            db.run("SELECT * FROM rollback_migration(%s)", (answer.run,))
        self.tally.same("all rows of all tables", db.texts(self.app.TABLES), before)
        say("run after the rollback")
        self.call(db, self.app.CALLS, filling=True)
        self.rows(db)
        self.app.check(db, self.facts["answers"], self.tally)
        self.app.change(db, self.facts["answers"], self.tally)

    def second(self):
        db = Database(f"made_{self.name}")
        self.place("tables of the preset")
        made = [table for _, tables in self.app.MAKES for table in tables]
        theirs = [table for table in self.app.TABLES if table not in made]
        if theirs:
            db.run(getattr(self.app, "SETUP", ""))
        for table in theirs:
            db.run(self.facts["tables"][table])
        calls = [arguments for arguments, _ in self.app.MAKES]
        others = [c for c in self.app.CALLS if not any(f"'{table}'" in c for table in made)]
        self.call(db, calls + others, filling=True)
        for table in made:
            self.tally.same(f"definition of {table}", db.definition(table), self.definitions[table])
        self.read(db)
        self.app.change(db, self.facts["answers"], self.tally)

    def place(self, where):
        self.tally.place = where


def main():
    logging.disable(logging.WARNING)
    rounds = Rounds(sys.argv[1])
    tally = rounds.tally
    for run in (rounds.first, rounds.second):
        try:
            run()
        except Exception as error:  # whatever a client makes of a wrong table; the other round may still say something
            tally.holds("no error", False, f"{type(error).__name__}: {error}")
    print(f"{tally.label}: {tally.held} held, {tally.failed} failed", flush=True)
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
