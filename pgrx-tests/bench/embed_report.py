"""The result of bench_embed as text and JSON: `embed_report.py RAW.json OUT` writes OUT.txt and OUT.json."""

import json
import os
import platform
import sys
from statistics import median

WAYS = {
    ("equal", "ours"): "texts of equal length: vector_migrate",
    ("equal", "raw"): "texts of equal length: bare ONNX Runtime",
    ("mixed", "ours"): "texts of mixed length: vector_migrate",
    ("mixed", "plain"): "texts of mixed length: fastembed, batches of 32",
}
# Set, way to compare with, least ratio of texts a second.
TARGETS = [("equal", "raw", 0.95), ("mixed", "plain", 1.3)]


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def verdict(took, which, other, least):
    ours, theirs = took[which, "ours"], took[which, other]
    rounds = [b / a for a, b in zip(ours, theirs, strict=True)]
    value = median(theirs) / median(ours)
    return {
        "target": f"{which}: vector_migrate / {other}",
        "value": value,
        "least": least,
        "lowest": min(rounds),
        "highest": max(rounds),
        "reached": value >= least,
    }


def text(result):
    sets = {one["set"]: one for one in result["sets"]}
    yield f"{result['model']}, ONNX Runtime {result['onnxruntime']}, {result['threads']} threads, steps of {result['budget']} tokens"
    yield f"machine     {result['processor']}, {result['cores']} cores, load {result['load']:.2f}"
    for one in sets.values():
        yield f"{one['set']:<12}{one['texts']} texts of {one['shortest']} to {one['longest']} tokens, {one['tokens']:,} in all"
    yield ""
    yield f"{'seconds':<50}{'median':>9}{'min':>9}{'max':>9}{'texts/s':>9}{'tokens/s':>10}"
    for way in result["ways"]:
        took, of = way["seconds"], sets[way["set"]]
        middle = median(took)
        yield (
            f"{WAYS[way['set'], way['way']]:<50}{middle:9.2f}{min(took):9.2f}{max(took):9.2f}"
            f"{of['texts'] / middle:9.1f}{of['tokens'] / middle:10,.0f}"
        )
    yield ""
    yield f"{'ratio of texts a second':<50}{'value':>9}{'wanted':>9}{'rounds from':>13}{'to':>7}"
    for one in result["targets"]:
        wanted, reached = f">= {one['least']:g}", "reached" if one["reached"] else "MISSED"
        yield f"{one['target']:<50}{one['value']:9.2f}{wanted:>9}{one['lowest']:13.2f}{one['highest']:7.2f}  {reached}"


def main(raw, out):
    with open(raw) as file:
        result = json.load(file)
    took = {(way["set"], way["way"]): way["seconds"] for way in result["ways"]}
    result["targets"] = [verdict(took, *target) for target in TARGETS]
    result |= {"processor": processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    shown = "\n".join(text(result)) + "\n"
    with open(f"{out}.txt", "w") as file:
        file.write(shown)
    with open(f"{out}.json", "w") as file:
        json.dump(result, file, indent=1)
    print(shown, end="")
    return 0 if all(one["reached"] for one in result["targets"]) else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
