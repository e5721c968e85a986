"""The reader against the releases: `compare.py DIRECTORY [LABEL...]`, which holds <label>/<name>/ with

state.json (what the script wrote), answer.jsonl (what the release returns), reader.jsonl (what the reader gives), and
given.jsonl where the writer was killed. Prints the table and the rules that applied; exit code 1 at a mismatch.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from check import Check
from killed_check import KilledCheck
from rules import RULES

# The table; `exact`, `restored` and `missing` are the reader's grades of the vectors, the four before them are records
# in which reader and release are equal.
COLUMNS = ["collections", "records", "ids", "documents", "metadata", "uris", "exact", "restored", "missing", "mismatches"]


def table(rows):
    widths = [max(len(str(row[n])) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        print("  ".join(str(cell).ljust(width) if n == 0 else str(cell).rjust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip())


def main():
    root = Path(sys.argv[1])
    labels = sys.argv[2:] or sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    totals, why, problems = {}, defaultdict(Counter), []
    for label in labels:
        totals[label] = Counter()
        for folder in sorted(path for path in (root / label).iterdir() if path.is_dir()):
            if not (folder / "answer.jsonl").exists():
                problems.append(f"{label}/{folder.name}: the release did not finish, see its log")
                totals[label]["mismatches"] += 1
                continue
            kind = KilledCheck if (folder / "given.jsonl").exists() else Check
            check = kind(label, folder).run()
            totals[label] += check.count
            for rule, many in check.why.items():
                why[rule][label] += many
            problems += check.problems
            for note, many in check.notes.most_common(8):
                print(f"note: {label}/{folder.name}: {many} x {note}", file=sys.stderr)
        if not totals[label]["stores"]:
            problems.append(f"{label}: no store")
            totals[label]["mismatches"] += 1
    rows = [["release", *COLUMNS]] + [[label, *(count[column] for column in COLUMNS)] for label, count in totals.items()]
    rows.append(["all", *(sum(count[column] for count in totals.values()) for column in COLUMNS)])
    table(rows)
    for rule, where in why.items():
        print(f"\n{rule}: {RULES[rule]}\n  " + ", ".join(f"{label} {many}" for label, many in where.items()))
    if problems:
        print(f"\n{len(problems)} mismatches:")
        print("\n".join(problems[:60]))
        sys.exit(1)


if __name__ == "__main__":
    main()
