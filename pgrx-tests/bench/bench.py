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
from steps import Steps


def say(text):
    print(text, flush=True)


def rounds(steps, count, python_rounds, index_rounds):
    """All rounds; the dear steps take part in the first ones only."""
    for number in range(count):
        order = [steps.migrate, steps.copy, steps.core, steps.look]
        if number < python_rounds:
            order.insert(2, steps.python)
        if number < index_rounds:
            order.append(steps.index)
        start = number % len(order)
        for step in order[start:] + order[:start]:
            for name, seconds in step(number == 0):
                say(f"    round {number + 1} of {count}: {name:<20}{seconds:9.2f} s")
                if name == "migrate":
                    steps.sizes = facts.table_sizes()


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
    say("==> the rows are written to a file, by a first migration that is not measured")
    steps.prepare()
    say("==> measuring")
    rounds(steps, int(env["ROUNDS"]), int(env["PYTHON_ROUNDS"]), int(env["INDEX"]))

    result["machine"]["load_after"] = facts.load()
    result["sizes"] = facts.store_sizes(env["STORE"]) | steps.sizes | {"file_bytes": file.stat().st_size}
    result["results"] = steps.results
    result["targets"] = targets.judge(result, small_result(folder, result))
    if facts.digest_of_library() != result["versions"]["library"]:
        result["warnings"].append("the installed library was replaced during the run: not all rounds measured the same")
    if max(result["machine"]["load_before"], result["machine"]["load_after"]) > result["machine"]["cores"]:
        result["warnings"].append("more processes wanted a processor than there are: other work spoilt the figures")
    server.drop_database()

    (folder / f"result-{records}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = report.text(result)
    (folder / f"result-{records}.txt").write_text(text, encoding="utf-8")
    say(f"\n{text}\nwritten to {folder}/result-{records}.txt and .json")


if __name__ == "__main__":
    main()
