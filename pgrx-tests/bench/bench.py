"""Measures, round by round, and writes the table: `bench.py` is started by run.sh, which says what it needs.

The order of the steps changes from round to round, so that none of them always comes after the same other one.
"""

import datetime
import json
import os
from pathlib import Path

import facts
import report
import server
import targets
from index_steps import IndexSteps
from kinds import KindSteps
from steps import Steps


def say(text):
    print(text, flush=True)


def rounds(steps, count, python_rounds):
    """All rounds; the dear step takes part in the first ones only."""
    for number in range(count):
        order = [steps.migrate, steps.copy, steps.core, steps.look]
        if number < python_rounds:
            order.insert(2, steps.python)
        order += KindSteps(steps).all()
        start = number % len(order)
        for step in order[start:] + order[:start]:
            for name, seconds in step(number == 0):
                say(f"    round {number + 1} of {count}: {name:<20}{seconds:9.2f} s")
                if name == "migrate":
                    steps.sizes = facts.table_sizes()


def index_rounds(env, kind, count):
    """What the ways to an index take, on vectors of this kind."""
    store = f"{env['STORE']}-{kind}"
    steps = IndexSteps(store, kind, int(env["N"]), int(env["DIM"]), env["SPACE"])
    steps.prepare()
    for number in range(count):
        # It takes ten times as long as all the others, and tells in one round what there is to tell.
        before = env["INDEX_BEFORE"] == "1" and number == 0
        for name, seconds in steps.round(number, before):
            say(f"    {kind}, round {number + 1} of {count}: {name:<20}{seconds:9.2f} s")
    return steps.results


def small_result(folder, result):
    """The figures at 100,000 records, if they were taken with the same dimensions and space."""
    path = folder / f"result-{targets.SMALL}.json"
    if not path.exists():
        return None
    small = json.loads(path.read_text(encoding="utf-8"))
    same = all(small[key] == result[key] for key in ("dimensions", "space"))
    return small if same else None


def main():
    env = os.environ
    records, dimensions, space = int(env["N"]), int(env["DIM"]), env["SPACE"]
    folder, file = Path(env["BENCH_DIR"]), Path(env["BENCH_FILE"])
    steps = Steps(env["STORE"], env["SQLITE_ONLY"], records, dimensions, space, env["STAGES"], file)

    server.make_template()
    server.fresh_database()
    result = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "records": records,
        "dimensions": dimensions,
        "space": space,
        "machine": facts.machine(),
        "versions": facts.versions(),
        "settings": facts.settings(),
        "warnings": [],
    }
    result["results"], result["sizes"], result["index"] = {}, {}, {}
    count = int(env["ROUNDS"])
    if count > 0:
        say("==> the rows are written to a file, by a first migration that is not measured")
        steps.prepare()
        say("==> measuring")
        rounds(steps, count, int(env["PYTHON_ROUNDS"]))
        result["sizes"] = facts.store_sizes(env["STORE"]) | steps.sizes | {"file_bytes": file.stat().st_size}
        result["results"] = steps.results
    for kind in env["VECTORS"].split() if int(env["INDEX"]) > 0 else []:
        say(f"==> the vector index, {kind} vectors")
        result["index"][kind] = index_rounds(env, kind, int(env["INDEX"]))

    result["machine"]["load_after"] = facts.load()
    result["targets"] = targets.judge(result, small_result(folder, result))
    if facts.digest_of_library() != result["versions"]["library"]:
        result["warnings"].append("the installed library was replaced during the run: not all rounds measured the same")
    if max(result["machine"]["load_before"], result["machine"]["load_after"]) > result["machine"]["cores"]:
        result["warnings"].append("more processes wanted a processor than there are: other work spoilt the figures")
    server.drop_database()

    # Later runs compare themselves with the figures of a whole one.
    name = f"{'result' if count > 0 else 'index'}-{records}"
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = report.text(result)
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    say(f"\n{text}\nwritten to {folder}/{name}.txt and .json")


if __name__ == "__main__":
    main()
