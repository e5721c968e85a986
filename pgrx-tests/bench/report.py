"""The result as text."""

from statistics import median

from targets import MB, memory

NAMES = {
    "migrate": "(a) migrate_chroma into an empty table",
    "copy": "(b) COPY of the same rows from a binary file",
    "python": "(c) chromadb get, psycopg COPY",
    "again": "second run, all skipped",
    "rollback": "rollback_migration",
    "dry_run": "dry run",
    "chroma_records": "chroma_records, counted",
    "chroma_collections": "chroma_collections",
    "migrate_created": "(a2) migrate_chroma creates table and index",
    "create_index": "(e) CREATE INDEX and ANALYZE by hand",
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
    results = result["results"]
    if "migrate_created" not in results:
        return
    took = {name: median(one["seconds"] for one in results[name]) for name in ("migrate", "migrate_created", "create_index")}
    spent = took["migrate_created"] - took["migrate"]
    yield ""
    yield "(e) index"
    yield f"{'built by the run, (a2) - (a)':<46}{spent:9.2f}"
    yield f"{'CREATE INDEX and ANALYZE by hand':<46}{took['create_index']:9.2f}"
    yield f"{'ratio':<46}{spent / took['create_index']:9.2f}"


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


def verdicts(result):
    yield f"{'targets':<46}{'value':>9}{'wanted':>10}{'rounds from':>13}{'to':>7}"
    for one in result["targets"]:
        wanted = f">= {one['least']:g}" if "least" in one else f"<= {one['most']:.0f}"
        spread = f"{one['lowest']:13.2f}{one['highest']:7.2f}" if "lowest" in one else " " * 20
        yield f"{one['target']:<46}{one['value']:9.2f}{wanted:>10}{spread}  {'reached' if one['reached'] else 'MISSED'}"


def text(result):
    parts = [head, steps, stages, peaks, verdicts]
    lines = []
    for part in parts:
        lines += [*part(result), ""]
        if part is stages:
            lines[-1:] = [*index(result), ""]
    lines += [f"WARNING: {warning}" for warning in result["warnings"]]
    return "\n".join(lines).rstrip() + "\n"
