"""What every application's script needs: vectors made of texts, counted assertions, recorded facts."""

import hashlib
import json
import math
import struct
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures" / "apps"
DIM = 8


def unit(text, dim=DIM):
    """A vector of length 1 that depends on the text only; its components are float4 values."""
    raw = hashlib.shake_256(text.encode("utf-8")).digest(4 * dim)
    values = [x / 2**30 for x in struct.unpack(f"<{dim}i", raw)]
    length = math.sqrt(sum(x * x for x in values))
    return [struct.unpack("<f", struct.pack("<f", x / length))[0] for x in values]


def plain(value):
    """What JSON makes of a value: tuples become lists, uuids and times become text."""
    return json.loads(json.dumps(value, default=str))


def without(value, blank=(None,)):
    """An object without the keys whose value is blank: Chroma keeps no key that is None."""
    if not isinstance(value, dict):
        return value
    return {key: inner for key, inner in value.items() if inner not in blank}


def near(found, wanted, digits):
    """Equal, but for the last digits of numbers."""
    if isinstance(found, (list, tuple)) and isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(near(f, w, digits) for f, w in zip(found, wanted))
    both = (found, wanted)
    if all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in both):
        return abs(found - wanted) <= 10**-digits
    return found == wanted


def equal(found, wanted):
    """Equal in type, too: 1, 1.0 and True are three values."""
    return json.dumps(found, sort_keys=True, default=str) == json.dumps(wanted, sort_keys=True, default=str)


def short(value):
    text = json.dumps(value, default=str)
    return text if len(text) < 300 else f"{text[:300]}..."


class Tally:
    """Assertions, counted; what does not hold is printed at once."""

    def __init__(self, label):
        self.label = label
        self.place = ""
        self.held = 0
        self.failed = 0

    def holds(self, what, condition, why=""):
        if condition:
            self.held += 1
        else:
            self.failed += 1
            print(f"FAIL {self.label}, {self.place}: {what} {why}", flush=True)

    def same(self, what, found, wanted, digits=None):
        alike = equal(found, wanted) if digits is None else near(found, wanted, digits)
        self.holds(what, alike, "" if alike else f"is {short(found)}, should be {short(wanted)}")


def facts_of(name):
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def write_facts(name, facts):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, indent=1, sort_keys=True, default=str)
    (FIXTURES / f"{name}.json").write_text(f"{text}\n", encoding="ascii")


def pack(name, folder):
    """Keeps a store's directory as an archive; owners and times of the files are left out."""

    def bare(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    FIXTURES.mkdir(parents=True, exist_ok=True)
    with tarfile.open(FIXTURES / f"{name}.tar.gz", "w:gz", compresslevel=9) as archive:
        archive.add(folder, arcname=".", filter=bare)


def unpack(name, folder):
    """A store's directory, for everybody to read."""
    folder.mkdir(parents=True)
    with tarfile.open(FIXTURES / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    folder.chmod(0o755)
