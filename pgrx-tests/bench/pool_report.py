"""The part of embed.sh's result that comes from sessions on a server: one table, and the aims of it."""

from statistics import median

MB = 1_000_000
POOLS = ("1", "10", "50")
FIRST_MS, POOL_MB, BATCH_RATIO = 150, 1000, 0.97


def shown(values, digits):
    """The median, and the range if there is one."""
    low, high = min(values), max(values)
    text = f"{median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ({low:,.{digits}f} to {high:,.{digits}f})"


class Row:
    """A figure of each version: a list of measurements."""

    def __init__(self, title, of, digits=0):
        self.title, self.of, self.digits = title, of, digits

    def line(self, names):
        """The row; with two versions also the ratio of the last to the first."""
        values = [self.of(name) for name in names]
        cells = [shown(value, self.digits) for value in values]
        if len(names) == 2:
            first, last = (median(value) for value in values)
            cells.append(f"{last / first:.2f}" if first else "")
        return "| " + " | ".join([self.title, *cells]) + " |"


def milliseconds(values):
    return [1000 * value for value in values]


def in_all(result, count, when, what):
    """Megabytes of all sessions of a pool together."""
    return lambda name: [sum(result["pools"][count][name][when][what]) / MB]


def own_threads(result, count, when):
    """Threads of a pool's backends beside the one that each backend is."""
    return lambda name: [sum(number - 1 for number in result["pools"][count][name][when]["threads"])]


def after_batches(result, when, what):
    return lambda name: [value / MB for value in result["batches"][name][when][what]]


def speed(result):
    """Texts a second, batch by batch."""
    return lambda name: [result["texts"] / seconds for seconds in result["batches"][name]["seconds"]]


def spent(result):
    """Milliseconds of processor time of a text, batch by batch."""
    return lambda name: [1000 * seconds / result["texts"] for seconds in result["batches"][name]["processor"]]


def rows(result):
    took = result["took"]
    yield Row("first search of a new session, ms", lambda name: milliseconds(took[name]["first"]))
    yield Row(
        "the same in a pool of 50, ms", lambda name: milliseconds(result["pools"]["50"][name]["first"])
    )
    yield Row("a search afterwards, ms", lambda name: milliseconds(took[name]["later"]), 1)
    for what, title in (("pss", "PSS"), ("private", "private memory"), ("dirty", "private memory of no file")):
        for count in POOLS:
            plural = "session" if count == "1" else "sessions"
            yield Row(f"{title} of {count} {plural} after searches, MB", in_all(result, count, "searched", what))
    yield Row("PSS of 50 sessions after the idle timeout, MB", in_all(result, "50", "idle", "pss"))
    yield Row("private memory of 50 sessions after the idle timeout, MB", in_all(result, "50", "idle", "private"))
    yield Row("PSS of 50 sessions that have not searched, MB", in_all(result, "50", "connected", "pss"))
    yield Row("threads of 50 sessions after searches, beside the backends'", own_threads(result, "50", "searched"))
    yield Row("threads of 50 sessions after the idle timeout, beside the backends'", own_threads(result, "50", "idle"))
    yield Row(f"batches of {result['texts']} texts of about 60 tokens, texts/s", speed(result), 1)
    yield Row("the same, processor ms a text", spent(result), 2)
    for when, title in (
        ("searched", "before batches"),
        ("first_batch", "at once after one"),
        ("batches", "at once after all"),
        ("idle", "after the idle timeout"),
    ):
        yield Row(f"a session's private memory of no file {title}, MB", after_batches(result, when, "dirty"))


def version(about):
    known = "with" if about["idle_timeout"] else "without"
    return f"vector_migrate {about['vector_migrate']} ({known} `model_idle_timeout`), PostgreSQL {about['postgresql']}"


def text(result):
    """The lines of the table."""
    names = list(result["versions"])
    for name in names:
        yield f"- {name}: {version(result['versions'][name])}"
    yield (
        f"- {result['sessions']} new sessions of each version in turns, a first search and {result['later']} others; in a pool "
        f"{result['searches']} searches of each session, all of other texts"
    )
    yield ""
    heads = [*names, "ratio"] if len(names) == 2 else names
    yield "| sessions on a server | " + " | ".join(heads) + " |"
    yield "| --- |" + " --- |" * len(heads)
    for row in rows(result):
        yield row.line(names)


def aims(result):
    """Title, value with its unit, what is wanted, whether it is reached."""
    first = median(milliseconds(result["took"]["now"]["first"]))
    yield "first search of a new session", f"{first:,.0f} ms", f"< {FIRST_MS} ms", first < FIRST_MS
    (pss,) = in_all(result, "50", "searched", "pss")("now")
    yield "PSS of 50 sessions after searches", f"{pss:,.0f} MB", f"< {POOL_MB:,} MB", pss < POOL_MB
    (left,) = own_threads(result, "50", "idle")("now")
    yield "threads of 50 sessions after the idle timeout", f"{left}", "0", left == 0
    if "before" in result["versions"]:
        ratio = median(speed(result)("now")) / median(speed(result)("before"))
        wanted = f">= {BATCH_RATIO}"
        yield "batches on a server: now / before, texts/s", f"{ratio:.3f}", wanted, ratio >= BATCH_RATIO
