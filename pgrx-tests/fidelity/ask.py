"""What a release returns for a store: `ask.py STORE STATE.json ANSWER.jsonl`, which runs `answer.py` on a copy.

Some collections a release cannot read, or crashes at: index files that a killed writer left, and rows of the queue that
an older release wrote. It is asked again then, on a new copy: first without that collection's index, so that documents
and metadata can be compared all the same, and then without the collection.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ATTEMPTS = 40


def main():
    store, state, answer = map(Path, sys.argv[1:4])
    copy, without = store.with_name("copy"), store.with_name("without.json")
    broken = {}
    for _ in range(ATTEMPTS):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store, copy)
        without.write_text(json.dumps(broken), encoding="utf-8")
        ask = [sys.executable, Path(__file__).with_name("answer.py"), copy, state, answer, without]
        asked = subprocess.run(ask, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")
        sys.stderr.write(asked.stderr)
        shutil.rmtree(copy)
        if asked.returncode == 0:
            return
        at = asked.stdout.split()
        if not at or not broken.get(at[-1], {"ask": True})["ask"]:
            break
        said = asked.stderr.strip().split("\n")[-1]
        why = f"ended by signal {-asked.returncode}" if asked.returncode < 0 else said[-160:]
        broken[at[-1]] = {"why": why, "ask": at[-1] not in broken}
    answer.unlink(missing_ok=True)
    sys.exit("the release cannot read the store")


if __name__ == "__main__":
    main()
