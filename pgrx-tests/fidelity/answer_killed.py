"""What a release returns for a store whose writer was killed: `answer_killed.py STORE STATE.json ANSWER.jsonl`.

A kill may leave index files that the release cannot read, or at which it crashes. Then it is asked again, on a new
copy, without that collection's index, so that its documents and metadata can be compared all the same.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ATTEMPTS = 6


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
        if not at or at[-1] in broken:
            break
        said = asked.stderr.strip().split("\n")[-1]
        broken[at[-1]] = f"ended by signal {-asked.returncode}" if asked.returncode < 0 else said[:160]
    answer.unlink(missing_ok=True)
    sys.exit("the release cannot read the store")


if __name__ == "__main__":
    main()
