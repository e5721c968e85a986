"""The result of embed.sh as Markdown and JSON: `embed_report.py OUT RAW.json...` writes OUT.md and OUT.json."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median

import pool_report

WAYS = {
    "ours": "vector_migrate, text to vector",
    "before": "session of version 0.1.0, weights in model.onnx",
    "light": "light session (no prepacking)",
    "no arena": "light session without arena",
    "raw": "ONNX Runtime's defaults",
    "plain": "fastembed, batches of 32 in the given order",
}
# Set, way, way to compare with, least ratio of texts a second (None: only to be seen).
RATIOS = [
    ("32 x 64", "ours", "before", 0.97),
    ("8 x 256", "ours", "before", 0.97),
    ("1 x 16", "ours", "before", None),
    ("32 x 64", "light", "before", None),
    ("8 x 256", "light", "before", None),
    ("1 x 16", "light", "before", None),
    ("32 x 64", "no arena", "light", None),
    ("8 x 256", "no arena", "light", None),
    ("1 x 16", "no arena", "light", None),
    ("32 x 64", "ours", "raw", 0.95),
    ("mixed", "ours", "plain", 1.3),
]


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine():
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    load = os.getloadavg()[0]
    yield f"- {processor()}, {os.cpu_count()} processors, load {load:.2f} at the end; commit {described.stdout.strip() or 'unknown'}"


def costs(run):
    """The table of one process: milliseconds of a text, of the clock and of the processor, medians of the rounds."""
    sets = {one["set"]: one for one in run["sets"]}
    plural = "thread" if run["threads"] == 1 else "threads"
    yield f"| one process, {run['threads']} {plural} of the model | texts/s | from | to | tokens/s | processor ms a text |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in run["ways"]:
        of, took = sets[one["set"]], one["seconds"]
        spent = 1000 * sum(one["processor"]) / len(took) / of["texts"]
        rates = [of["texts"] / seconds for seconds in took]
        yield (
            f"| {one['set']}: {WAYS[one['way']]} | {of['texts'] / median(took):,.1f} | {min(rates):,.1f} | {max(rates):,.1f} "
            f"| {of['tokens'] / median(took):,.0f} | {spent:,.2f} |"
        )


def ratios(run):
    """How many texts a second a way does for each of the other's, by the clock and by processor time."""
    took = {(one["set"], one["way"]): one for one in run["ways"]}
    for which, way, other, least in RATIOS:
        ours, theirs = took[which, way], took[which, other]
        rounds = [b / a for a, b in zip(ours["seconds"], theirs["seconds"], strict=True)]
        spent = sum(ours["processor"])
        yield {
            "title": f"{which}, {run['threads']} thread{'s' if run['threads'] > 1 else ''}: {way} / {other}",
            "value": median(theirs["seconds"]) / median(ours["seconds"]),
            "lowest": min(rounds),
            "highest": max(rounds),
            "processor": sum(theirs["processor"]) / spent if spent else float("nan"),
            "least": least,
        }


def compared(runs):
    yield "| texts a second, ratio | of medians | rounds from | to | for equal processor time |"
    yield "| --- | --- | --- | --- | --- |"
    for run in runs:
        for one in ratios(run):
            yield (
                f"| {one['title']} | {one['value']:.2f} | {one['lowest']:.2f} | {one['highest']:.2f} "
                f"| {one['processor']:.2f} |"
            )


def aims(sessions, runs):
    if sessions:
        yield from pool_report.aims(sessions)
    for run in runs:
        for one in ratios(run):
            if one["least"]:
                yield f"{one['title']}, texts/s", f"{one['value']:.3f}", f">= {one['least']:g}", one["value"] >= one["least"]


def text(sessions, runs):
    yield from machine()
    for run in runs[:1]:
        yield f"- {run['model']}, ONNX Runtime {run['onnxruntime']}, steps of {run['budget']:,} tokens"
        mixed = next(one for one in run["sets"] if one["set"] == "mixed")
        yield f"- one process: medians of {run['rounds']} rounds; mixed: texts of {mixed['shortest']} to {mixed['longest']} tokens"
    if sessions:
        yield from pool_report.text(sessions)
    for run in runs:
        yield ""
        yield from costs(run)
    if runs:
        yield ""
        yield from compared(runs)
    yield ""
    yield "| aim | value | wanted | |"
    yield "| --- | --- | --- | --- |"
    for title, value, wanted, reached in aims(sessions, runs):
        yield f"| {title} | {value} | {wanted} | {'reached' if reached else '**missed**'} |"


def main(out, *raw):
    sessions, runs = None, []
    for path in raw:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if "pools" in found:
            sessions = found
        else:
            runs.append(found)
    runs.sort(key=lambda run: run["threads"])
    shown = "\n".join(text(sessions, runs)) + "\n"
    reached = [dict(zip(("aim", "value", "wanted", "reached"), one, strict=True)) for one in aims(sessions, runs)]
    result = {"sessions": sessions, "one_process": runs, "aims": reached}
    Path(f"{out}.md").write_text(shown, encoding="utf-8")
    Path(f"{out}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(shown, end="")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
