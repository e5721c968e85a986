"""The result as text."""

from statistics import median

import index_report
from targets import MB, memory

NAMES = {
    "migrate": "(a) migrate_chroma into an empty table",
    "copy": "(b) COPY of the same rows from a binary file",
    "python": "(c) chromadb get, psycopg COPY",
    "foreign_key_migrate": "(e) migrate_chroma, foreign key on user_id",
    "foreign_key_server": "    COPY from the file",
    "partitioned_migrate": "(f) migrate_chroma, 8 hash partitions",
    "partitioned_server": "    INSERT ... SELECT from a table",
    "before_migrate": "(g) migrate_chroma, BEFORE ROW trigger",
    "before_server": "    INSERT ... SELECT from a table",
    "again": "second run, all skipped",
    "rollback": "rollback_migration",
    "dry_run": "dry run",
    "chroma_records": "chroma_records, counted",
    "chroma_collections": "chroma_collections",
}
# Passes of bench_stages: each does what the one before does, and one thing more.
STAGES = {
    "stage_sqlite": "reading SQLite",
    "stage_vectors": "reading vectors",
    "stage_mapped": "mapping",
    "stage_encoded": "encoding, batches",
}


def megabytes(size):
    return f"{size / MB:,.0f} MB"


def head(result):
    machine, versions, sizes = result["machine"], result["versions"], result["sizes"]
    yield f"{result['records']:,} records, {result['dimensions']} dimensions, space {result['space']}; {result['when']}"
    yield (
        f"machine     {machine['processor']}, {machine['cores']} cores, {megabytes(machine['memory_bytes'])}, "
        f"Linux {machine['kernel']}, {machine['system']}"
    )
    yield f"load        {machine['load_before']} before, {machine['load_after']} after (processes that want a processor)"
    yield (
        f"versions    PostgreSQL {versions['postgresql']}, pgvector {versions['pgvector']}, vector_migrate "
        f"{versions['vector_migrate']} ({versions['library']}, checkout {versions['commit']})"
    )
    yield f"            chromadb {versions['chromadb']}, psycopg {versions['psycopg']}, Python {versions['python']}"
    yield "settings    " + ", ".join(f"{name} {value}" for name, value in result["settings"].items())
    if not result["results"]:
        return
    yield (
        f"sizes       store {megabytes(sizes['store_bytes'])} (SQLite {megabytes(sizes['sqlite_bytes'])}, index files "
        f"{megabytes(sizes['index_file_bytes'])}), binary file {megabytes(sizes['file_bytes'])}"
    )
    yield (
        f"            table {megabytes(sizes['table_bytes'])}, its indexes {megabytes(sizes['table_index_bytes'])}, "
        f"ledger {megabytes(sizes['ledger_bytes'])}"
    )


def steps(result):
    yield f"{'seconds':<46}{'median':>9}{'min':>9}{'max':>9}{'records/s':>11}{'CPU s':>8}{'rounds':>8}"
    for name, title in NAMES.items():
        measured = result["results"].get(name)
        if not measured:
            continue
        took = [one["seconds"] for one in measured]
        cpu = f"{median(one['cpu'] for one in measured):8.2f}"
        rate = result["records"] / median(took)
        yield f"{title:<46}{median(took):9.2f}{min(took):9.2f}{max(took):9.2f}{rate:11,.0f}{cpu}{len(took):8}"


def stages(result):
    """What each stage of (a) takes alone: the difference of two passes."""
    results = result["results"]
    yield f"{'(d) stages of (a)':<46}{'alone':>9}{'up to it':>9}"
    before = 0.0
    for name, title in STAGES.items():
        upto = median(one["seconds"] for one in results[name])
        yield f"{title:<46}{upto - before:9.2f}{upto:9.2f}"
        before = upto
    yield f"{'COPY, as (b)':<46}{median(one['seconds'] for one in results['copy']):9.2f}"


def index(result):
    for kind, ways in result["index"].items():
        yield from index_report.text(kind, ways)


def peaks(result):
    yield f"{'highest memory of the process, MB':<46}{'private':>9}{'anonym.':>9}{'shared':>9}{'VmHWM':>9}"
    for name, title in NAMES.items():
        measured = [one["memory"] for one in result["results"].get(name, []) if "memory" in one]
        if measured:
            columns = (median(one[key] for one in measured) / MB for key in ("private", "anonymous", "shared", "high_water"))
            yield f"{title:<46}" + "".join(f"{value:9.0f}" for value in columns)
    client = [one["peak"] for one in result["results"].get("python", [])]
    if client:
        yield f"{'(c), the client alone':<46}{'':27}{median(client) / MB:9.0f}"
    yield f"(a): {memory(result) / result['records']:,.0f} bytes of private memory a record"


def wanted(one):
    for key, sign in (("least", ">="), ("most", "<=")):
        if key in one:
            return f"{sign} {one[key]:g}" if one[key] < 100 else f"{sign} {one[key]:.0f}"
    return ""


def verdicts(result):
    yield f"{'targets':<52}{'value':>9}{'wanted':>10}{'rounds from':>13}{'to':>9}"
    for one in result["targets"]:
        digits = 4 if "recall" in one["target"] else 2
        spread = f"{one['lowest']:13.{digits}f}{one['highest']:9.{digits}f}" if "lowest" in one else " " * 22
        judged = {True: "reached", False: "MISSED", None: ""}[one.get("reached")]
        yield f"{one['target']:<52}{one['value']:9.{digits}f}{wanted(one):>10}{spread}  {judged}".rstrip()


def text(result):
    measured = [steps, stages, peaks] if result["results"] else []
    lines = []
    for part in [head, *measured, index, verdicts]:
        told = [*part(result)]
        while told and not told[-1]:
            told.pop()
        lines += [*told, ""] if told else []
    lines += [f"WARNING: {warning}" for warning in result["warnings"]]
    return "\n".join(lines).rstrip() + "\n"
