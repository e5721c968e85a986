"""The index's part of the result as text: one table for each kind of vectors, all ways side by side."""

from statistics import median

MB = 1 << 20
TITLES = {
    "import": "(i) migrate_chroma, index => 'import'",
    "build": "(j) migrate_chroma, index => 'build'",
    "hand": "(k) index => 'none', then CREATE INDEX",
    "before": "(l) as (k), maintenance_work_mem 64 MB",
}
SHORT = {"import": "(i) imported", "build": "(j) built by the run", "hand": "(k) by hand", "before": "(l) by hand, 64 MB"}


def middle(rounds, *path):
    """The median of the rounds."""
    values = []
    for one in rounds:
        for key in path:
            one = one[key]
        values.append(one)
    return median(values)


def costs(ways):
    head = ("call s", "CPU s", "WAL MB", "index s", "CPU s", "WAL MB", "size MB", "memory")
    yield f"{'':<44}" + "".join(f"{name:>9}" for name in head)
    load = [one["load"] for one in ways["hand"]]
    yield f"{'the load alone, index => none':<44}{middle(load, 'seconds'):9.2f}{middle(load, 'cpu'):9.2f}{middle(load, 'wal') / MB:9.0f}"
    for way, rounds in ways.items():
        yield (
            f"{TITLES[way]:<44}{middle(rounds, 'seconds'):9.2f}{middle(rounds, 'cpu'):9.2f}{middle(rounds, 'wal') / MB:9.0f}"
            f"{middle(rounds, 'index_seconds'):9.2f}{middle(rounds, 'index_cpu'):9.2f}{middle(rounds, 'index_wal') / MB:9.0f}"
            f"{middle(rounds, 'index_bytes') / MB:9.0f}{middle(rounds, 'memory', 'private') / MB:9.0f}"
        )


def searches(ways):
    breadths = list(next(iter(ways.values()))[0]["searches"])
    groups = [f"{what} {breadth}" for what in ("recall", "ms", "CPU ms") for breadth in breadths]
    yield f"{'searches at hnsw.ef_search':<26}" + "".join(f"{group:>11}" for group in groups)
    for way, rounds in ways.items():
        line = f"{SHORT[way]:<26}"
        line += "".join(f"{middle(rounds, 'searches', breadth, 'recall'):11.4f}" for breadth in breadths)
        for what in ("seconds", "cpu"):
            line += "".join(f"{middle(rounds, 'searches', breadth, what) * 1000:11.3f}" for breadth in breadths)
        yield line


def vacuums(ways):
    yield f"{'VACUUM after 1% was deleted':<26}{'seconds':>11}{'CPU s':>11}{'WAL MB':>11}{'recall 40':>11}{'not full':>11}{'after it':>11}"
    for way in ("import", "build"):
        rounds = ways[way]
        yield (
            f"{SHORT[way]:<26}{middle(rounds, 'vacuum', 'seconds'):11.2f}{middle(rounds, 'vacuum', 'cpu'):11.2f}"
            f"{middle(rounds, 'vacuum', 'wal') / MB:11.0f}{middle(rounds, 'vacuum', 'recall'):11.4f}"
            f"{middle(rounds, 'not_full'):11,.0f}{middle(rounds, 'vacuum', 'not_full'):11,.0f}"
        )


def text(kind, ways):
    """The lines of one kind of vectors."""
    yield f"INDEX, {kind} vectors; imported: {ways['import'][0]['reason']}"
    for part in (costs, searches, vacuums):
        yield from part(ways)
        yield ""
