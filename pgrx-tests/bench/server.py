"""The private server: fresh databases, one new backend for each timed statement, and what that takes."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

DATABASE = "bench"
TEMPLATE = "bench_template"
EVERY = 0.02  # seconds between two looks at a backend's memory


@dataclass
class Timed:
    """What a statement took and gave."""

    seconds: float
    rows: list
    cpu: float  # seconds, parallel workers included
    wal: int  # bytes
    notices: list = field(default_factory=list)
    memory: dict = field(default_factory=dict)


class Watch(threading.Thread):
    """Looks at a process's memory until told to stop. PostgreSQL's shared buffers count as shared (RssShmem)."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.over = threading.Event()
        self.peak = {"anonymous": 0, "private": 0, "shared": 0, "high_water": 0}

    def run(self):
        while not self.over.is_set():
            self.look()
            self.over.wait(EVERY)

    def look(self):
        now = {}
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as lines:
            for line in lines:
                name, _, rest = line.partition(":")
                if name in ("RssAnon", "RssFile", "RssShmem", "VmHWM"):
                    now[name] = int(rest.split()[0]) * 1024
        seen = {
            "anonymous": now["RssAnon"],
            "private": now["RssAnon"] + now["RssFile"],
            "shared": now["RssShmem"],
            "high_water": now["VmHWM"],
        }
        self.peak = {name: max(value, seen[name]) for name, value in self.peak.items()}

    def stop(self):
        self.over.set()
        self.join()
        self.look()
        return self.peak


def stat(pid):
    """The fields of a process's `stat` from its state on (proc(5) counts that as the third)."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as line:
        return line.read().rpartition(")")[2].split()


def cpu_of(pid):
    """Seconds of processor time that all threads of a process have had."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_ended(pid):
    """Seconds of processor time that the children had which the process has seen end."""
    fields = stat(pid)
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def is_client(pid):
    """Whether a child of the postmaster serves a client, or has ended and is still counted."""
    if stat(pid)[0] == "Z":
        return True
    return b"[local]" in Path(f"/proc/{pid}/cmdline").read_bytes()


def wait_for_others(postmaster, backend):
    """Until every other client's backend has ended: else its processor time would be added to what is measured."""
    while True:
        others = False
        for process in Path("/proc").glob("[0-9]*"):
            pid = int(process.name)
            try:
                others |= pid != backend and int(stat(pid)[1]) == postmaster and is_client(pid)
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
        if not others:
            return
        time.sleep(EVERY)


def wal_position(session):
    return session.execute("SELECT (pg_current_wal_lsn() - '0/0')::int8").fetchone()[0]


def connect(database=DATABASE, options=""):
    return psycopg.connect(dbname=database, autocommit=True, options=options)


def admin(*statements):
    """Statements that are not measured, in a session of their own; gives the rows of the last one."""
    with connect("postgres") as session:
        for statement in statements:
            cursor = session.execute(statement)
        return cursor.fetchall() if cursor.description else []


def ask(statement, arguments=None, database=DATABASE):
    """One statement in the measured database that is not measured itself."""
    with connect(database) as session:
        cursor = session.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []


def equal_rows(table, file, tolerance):
    """How many rows of `table` are those of the binary file; vectors may be `tolerance` of their length apart."""
    rows = ask("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", (table,))
    columns = [name for (name,) in rows if name != "embedding"]
    found, wanted = (", ".join(f"{side}.{name}" for name in columns) for side in ("f", "w"))
    ask(f"CREATE TABLE wanted (LIKE {table})")
    ask(f"COPY wanted FROM '{file}' (FORMAT binary)")
    ((equal,),) = ask(
        f"SELECT count(*) FROM {table} AS f JOIN wanted AS w USING (chroma_collection, id) "
        f"WHERE ROW({found}) IS NOT DISTINCT FROM ROW({wanted}) AND (f.embedding = w.embedding "
        f"OR vector_norm(f.embedding - w.embedding) < {tolerance} * vector_norm(w.embedding))"
    )
    ask("DROP TABLE wanted")
    return equal


def make_template():
    admin(
        f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)",
        f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)",
        f"CREATE DATABASE {TEMPLATE}",
    )
    with connect(TEMPLATE) as session:
        session.execute("CREATE EXTENSION vector_migrate CASCADE")


def fresh_database(dimensions=None, database=DATABASE):
    """An empty database with the extension; with `dimensions` also the empty table, as `init_content_tables` makes it."""
    drop_database(database)
    admin(f"CREATE DATABASE {database} TEMPLATE {TEMPLATE}")
    if dimensions:
        ask("SELECT init_content_tables(%s, entity_target => NULL)", (dimensions,), database)


def drop_database(database=DATABASE):
    admin(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def checkpoint():
    """Nothing is left to be written, so that no step pays for the one before it."""
    admin("CHECKPOINT")


def timed(statement, arguments=None, database=DATABASE, options="", then=None):
    """Runs the statement in a new backend, after a checkpoint; the time is the client's, with the commit, and with the
    statement `then`, of which only the time counts. `options` are settings of the session (`-c name=value`)."""
    checkpoint()
    with connect(database, options) as session:
        notices = []
        session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        backend = session.info.backend_pid
        postmaster = int(stat(backend)[1])
        wait_for_others(postmaster, backend)
        wal = wal_position(session)
        watch = Watch(backend)
        watch.start()
        before = cpu_of(backend) + cpu_of_ended(postmaster)
        began = time.perf_counter()
        cursor = session.execute(statement, arguments)
        rows = cursor.fetchall() if cursor.description else []
        if then:
            session.execute(then).fetchall()
        seconds = time.perf_counter() - began
        cpu = cpu_of(backend) + cpu_of_ended(postmaster) - before
        return Timed(seconds, rows, cpu, wal_position(session) - wal, notices, watch.stop())


def timed_program(*command):
    """Runs a program that prints its own measurements as a line of JSON, after a checkpoint."""
    checkpoint()
    env = os.environ | {"PGDATABASE": DATABASE}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: {command[0]} failed, see above")
    return json.loads(done.stdout.splitlines()[-1])
