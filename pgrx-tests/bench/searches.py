"""Searches of a database's table: recall against exact answers, and what a query costs. Nothing is measured cold.

The queries are fresh draws of the distribution that the store's vectors come from: none of them is in the table. Each is
`ORDER BY embedding <operator> query LIMIT 10`, in a loop in the server with one plan for all; time is that of the single query,
processor time that of the backend for the whole loop.
"""

from pathlib import Path
from statistics import median

import numpy as np
import server
from make_store import vectors

QUERIES = 200
ANSWERS = 10
SPARE = 20  # exact answers, so that enough are left when some rows are deleted
BREADTHS = (40, 100, 200)  # hnsw.ef_search
PASSES = 3
OPERATORS = {"cosine": "<=>", "l2": "<->", "ip": "<#>"}
SEED = 10  # make_store.py has [9, number of the batch]
THROUGH_INDEX, THROUGH_TABLE = "-c enable_seqscan=off", "-c enable_indexscan=off"
SETTINGS = "-c max_parallel_workers_per_gather=0 -c jit=off -c plan_cache_mode=force_generic_plan"

FUNCTION = """
CREATE FUNCTION searches(most int, OUT query int, OUT seconds float8, OUT answers text[]) RETURNS SETOF record
LANGUAGE plpgsql AS $$
DECLARE
    q record;
    began timestamptz;
BEGIN
    FOR q IN SELECT number, embedding FROM queries ORDER BY number LOOP
        began := clock_timestamp();
        answers := ARRAY(SELECT id FROM {table} ORDER BY embedding {operator} q.embedding LIMIT most);
        seconds := extract(epoch FROM clock_timestamp() - began);
        query := q.number;
        RETURN NEXT;
    END LOOP;
END $$
"""


def queries(dimensions, kind):
    """The queries, as pgvector reads them."""
    drawn = vectors(np.random.default_rng(SEED), dimensions, QUERIES, kind)
    return ["[" + ",".join(repr(float(value)) for value in vector) + "]" for vector in drawn]


def cpu_of(pid):
    """Seconds of processor time of a process of one thread, to the nanosecond where the kernel counts so."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except FileNotFoundError:
        return server.cpu_of(pid)


class Searches:
    """A session that searches the table of one database."""

    def __init__(self, database, table, space, wanted, settings=THROUGH_INDEX):
        self.session = server.connect(database, f"{SETTINGS} {settings}")
        self.pid = self.session.info.backend_pid
        self.session.execute("CREATE TABLE IF NOT EXISTS queries (number int PRIMARY KEY, embedding vector)")
        if not self.session.execute("SELECT FROM queries LIMIT 1").fetchall():
            with self.session.cursor() as cursor:
                cursor.executemany("INSERT INTO queries VALUES (%s, %s)", list(enumerate(wanted)))
            self.session.execute(FUNCTION.format(table=table, operator=OPERATORS[space]))
        self.plan = (
            f"EXPLAIN SELECT id FROM {table} ORDER BY embedding {OPERATORS[space]} "
            "(SELECT embedding FROM queries WHERE number = 0) LIMIT 10"
        )

    def close(self):
        self.session.close()

    def expect_plan(self, has):
        lines = [line for (line,) in self.session.execute(self.plan).fetchall()]
        if not any(has in line for line in lines):
            raise SystemExit(f"error: a search's plan has no {has}: {lines}")

    def run(self, most=ANSWERS):
        """One pass: seconds and answers of each query, and the processor time of all."""
        before = cpu_of(self.pid)
        rows = self.session.execute("SELECT seconds, answers FROM searches(%s) ORDER BY query", (most,)).fetchall()
        cpu = cpu_of(self.pid) - before
        return [seconds for seconds, _ in rows], [found for _, found in rows], cpu

    def at(self, breadth, index):
        """Sets how hard is searched, and makes sure that the index is."""
        self.session.execute("LOAD 'vector'")
        self.session.execute(f"SET hnsw.ef_search = {breadth}")
        self.expect_plan(index)


def exact(*arguments):
    """The nearest rows of each query, by reading all of the table. The session is its own, as plans are kept in one."""
    searches = Searches(*arguments, THROUGH_TABLE)
    searches.expect_plan("Seq Scan")
    answers = searches.run(SPARE)[1]
    searches.close()
    return answers


def recall(exact, found, without=frozenset()):
    """recall@10, in the mean of the queries; `without`: rows that were deleted after the exact answers were taken."""
    hits = 0
    for right, got in zip(exact, found, strict=True):
        nearest = [name for name in right if name not in without][:ANSWERS]
        if len(nearest) < ANSWERS:
            raise SystemExit("error: too few exact answers are left")
        hits += len(set(nearest) & set(got))
    return hits / (ANSWERS * len(exact))


def side_by_side(sessions, exact):
    """Recall, median time and processor time a query of each way: sessions take turns, pass by pass, after one to warm up."""
    measured = {way: {} for way in sessions}
    for breadth in BREADTHS:
        seconds, cpu = {way: [] for way in sessions}, dict.fromkeys(sessions, 0.0)
        for way, (session, index) in sessions.items():
            session.at(breadth, index)
            measured[way][breadth] = {"recall": recall(exact, session.run()[1])}
        for number in range(PASSES):
            order = list(sessions) if number % 2 == 0 else list(reversed(sessions))
            for way in order:
                took, _, spent = sessions[way][0].run()
                seconds[way] += took
                cpu[way] += spent
        for way in sessions:
            measured[way][breadth] |= {"seconds": median(seconds[way]), "cpu": cpu[way] / (PASSES * QUERIES)}
    return measured
