"""What the figures have to reach. A ratio is one of medians; beside it the lowest and highest of single rounds."""

from statistics import median

import index_targets

MB = 1 << 20
SMALL = 100_000  # records of the store that a larger one is compared with
MEMORY_SLACK = 64 * MB
MEMORY_EACH = 100  # bytes a record


def seconds(results, name):
    return [one["seconds"] for one in results.get(name, [])]


def ratio(results, above, below, label, least):
    """How many times as long `above` takes as `below`, round by round and of the medians."""
    top, bottom = seconds(results, above), seconds(results, below)
    if not top or not bottom:
        return None
    single = [a / b for a, b in zip(top, bottom)]
    value = median(top) / median(bottom)
    return {
        "target": label,
        "value": value,
        "lowest": min(single),
        "highest": max(single),
        "least": least,
        "reached": value >= least,
    }


def memory(result):
    """Highest memory of the backend in (a) without what it shares: the median of the rounds."""
    return median(one["memory"]["private"] for one in result["results"]["migrate"])


def against_small(result, small):
    """A store of many records against the one of 100,000: the same rate, and memory that does not grow with it."""
    if not small or result["records"] <= small["records"]:
        return []
    rates = [
        one["records"] / median(seconds(one["results"], "migrate")) for one in (result, small)
    ]
    growth = memory(result) - memory(small)
    allowed = MEMORY_SLACK + MEMORY_EACH * (result["records"] - small["records"])
    return [
        {
            "target": f"rate against the rate at {small['records']:,} records",
            "value": rates[0] / rates[1],
            "least": 0.9,
            "reached": rates[0] / rates[1] >= 0.9,
        },
        {
            "target": f"MB of memory more than at {small['records']:,} records",
            "value": growth / MB,
            "most": allowed / MB,
            "reached": growth <= allowed,
        },
    ]


def judge(result, small):
    """Every target that this run's figures can be held against."""
    results = result["results"]
    index = []
    for kind, ways in result["index"].items():
        index += index_targets.judge(kind, ways, result["records"])
    if not results:
        return index
    found = [
        ratio(results, "copy", "migrate", "rate of (a) against COPY (b)", 0.9),
        ratio(results, "python", "migrate", "rate of (a) against Python (c)", 6),
        ratio(results, "foreign_key_server", "foreign_key_migrate", "rate of (e) against COPY", 0.9),
        ratio(results, "partitioned_server", "partitioned_migrate", "rate of (f) against INSERT ... SELECT", 0.7),
        ratio(results, "before_server", "before_migrate", "rate of (g) against INSERT ... SELECT", 0.7),
        ratio(results, "migrate", "again", "rate of a second run against the first", 3),
        ratio(results, "migrate", "rollback", "rate of a rollback against (a)", 1),
    ]
    return [one for one in found if one] + against_small(result, small) + index
