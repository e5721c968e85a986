"""The index's part of the result as text: one table for each kind of vectors, all ways side by side."""

from statistics import median

MB = 1 << 20
TITLES = {
    "import": "(i) migrate_chroma, index => 'import'",
    "build": "(j) migrate_chroma, index => 'build'",
    "hand": "(k) index => 'none', then CREATE INDEX",
    "before": "(l) as (k), maintenance_work_mem 64 MB",
}
SHORT = {
    "import": "(i) imported",
    "build": "(j) built by the run",
    "hand": "(k) by hand",
    "before": "(l) by hand, 64 MB",
}


def middle(rounds, *path):
    """The median of the rounds."""
    values = []
    for one in rounds:
        for key in path:
            one = one[key]
        values.append(one)
    return median(values)


def columns(rounds, prefix=""):
    """Seconds, processor seconds and megabytes of WAL."""
    seconds, cpu, wal = (middle(rounds, f"{prefix}{what}") for what in ("seconds", "cpu", "wal"))
    return f"{seconds:9.2f}{cpu:9.2f}{wal / MB:9.0f}"


def costs(ways):
    head = ("call s", "CPU s", "WAL MB", "index s", "CPU s", "WAL MB", "size MB", "memory")
    yield f"{'':<44}" + "".join(f"{name:>9}" for name in head)
    yield f"{'the load alone, index => none':<44}" + columns([one["load"] for one in ways["hand"]])
    for way, rounds in ways.items():
        size, memory = middle(rounds, "index_bytes") / MB, middle(rounds, "memory", "private") / MB
        yield f"{TITLES[way]:<44}{columns(rounds)}{columns(rounds, 'index_')}{size:9.0f}{memory:9.0f}"


def searches(ways):
    breadths = list(next(iter(ways.values()))[0]["searches"])
    groups = [f"{what} {breadth}" for what in ("recall", "ms", "CPU ms") for breadth in breadths]
    yield f"{'searches at hnsw.ef_search':<28}" + "".join(f"{group:>11}" for group in groups)
    for way, rounds in ways.items():
        line = f"{SHORT[way]:<28}"
        line += "".join(f"{middle(rounds, 'searches', breadth, 'recall'):11.4f}" for breadth in breadths)
        for what in ("seconds", "cpu"):
            line += "".join(f"{middle(rounds, 'searches', breadth, what) * 1000:11.3f}" for breadth in breadths)
        yield line


def vacuums(ways):
    head = ("seconds", "CPU s", "WAL MB", "recall 40", "not full", "after it")
    yield f"{'VACUUM after 1% was deleted':<28}" + "".join(f"{name:>11}" for name in head)
    for way in ("import", "build"):
        rounds = ways[way]
        seconds, cpu, wal, recall, after = (
            middle(rounds, "vacuum", what) for what in ("seconds", "cpu", "wal", "recall", "not_full")
        )
        before = middle(rounds, "not_full")
        yield f"{SHORT[way]:<28}{seconds:11.2f}{cpu:11.2f}{wal / MB:11.0f}{recall:11.4f}{before:11,.0f}{after:11,.0f}"


def text(kind, ways):
    """The lines of one kind of vectors."""
    yield f"INDEX, {kind} vectors; imported: {ways['import'][0]['reason']}"
    for part in (costs, searches, vacuums):
        yield from part(ways)
        yield ""
