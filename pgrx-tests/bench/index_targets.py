"""What the figures of the index have to reach: ratios of medians; beside them the lowest and highest of single rounds."""

from statistics import median

MILLION = 1_000_000
LEAST_CALL = 6
MOST_LOST = 0.005  # recall
MOST_QUERY = 1.3
MOST_VACUUM = 1.5
NAMES = {"build": "(j)", "hand": "(k)", "before": "(l)"}


def value(measured, path):
    for key in path:
        measured = measured[key]
    return measured


def compare(ways, above, below, path, label, how, **aim):
    """`how` of the two ways' figures, of the medians and round by round; without an aim it is only shown."""
    top, bottom = ([value(one, path) for one in ways[way]] for way in (above, below))
    single = [how(a, b) for a, b in zip(top, bottom)]
    found = how(median(top), median(bottom))
    judged = {"target": label, "value": found, "lowest": min(single), "highest": max(single), **aim}
    if aim:
        judged["reached"] = found >= aim["least"] if "least" in aim else found <= aim["most"]
    return judged


def times(a, b):
    return a / b


def difference(a, b):
    return a - b


def judge(kind, ways, records):
    """The import against every other way."""
    least_index = 20 if records >= MILLION else 10
    found = []

    def add(*arguments, **aim):
        found.append(compare(ways, *arguments, **aim))

    for way in [way for way in NAMES if way in ways]:
        against = f"{kind}: {NAMES[way]} / (i)"
        add(way, "import", ["index_seconds"], f"{against}, index alone", times, least=least_index)
        add(way, "import", ["index_cpu"], f"{against}, index alone, processor", times)
        if way != "build":
            add(way, "import", ["seconds"], f"{against}, whole call", times, least=LEAST_CALL)
        else:
            add(way, "import", ["seconds"], f"{against}, whole call", times)
        add(way, "import", ["cpu"], f"{against}, whole call, processor", times)
    against = f"{kind}: (i)"
    for breadth in ways["import"][0]["searches"]:
        at = ["searches", breadth]
        add("import", "build", [*at, "recall"], f"{against} - (j), recall at {breadth}", difference, least=-MOST_LOST)
        add("import", "build", [*at, "seconds"], f"{against} / (j), time a query at {breadth}", times, most=MOST_QUERY)
        add("import", "build", [*at, "cpu"], f"{against} / (j), processor a query at {breadth}", times, most=MOST_QUERY)
    add("import", "build", ["vacuum", "seconds"], f"{against} / (j), VACUUM", times, most=MOST_VACUUM)
    add("import", "build", ["vacuum", "cpu"], f"{against} / (j), VACUUM, processor", times, most=MOST_VACUUM)
    add("import", "build", ["vacuum", "recall"], f"{against} - (j), recall at 40 after it", difference)
    return found
