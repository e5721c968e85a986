"""The comparison of one store: what the script wrote, what the release returns, what the reader gives.

The reader has to equal the release; where it does not, one of the rules has to say why, or it is a mismatch.
"""

import json
import math
from collections import Counter

from rules import BY_ID, apart, beside, canonical, numbers, out_of_range, positive, round_trip, tagged, unstorable, usable, within


class Check:
    """One store's comparison."""

    def __init__(self, label, folder):
        self.label = label
        self.folder = folder
        self.state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        self.releases = self.state["releases"]
        self.last = self.releases[-1]
        self.count = Counter(stores=1)
        self.why = Counter()
        self.problems = []
        self.notes = Counter(self.state["refused"])

    def wrong(self, where, what):
        self.count["mismatches"] += 1
        self.problems.append(f"{self.label}/{self.folder.name} {where}: {what}")

    def explain(self, rule):
        self.count["explained"] += 1
        self.why[rule] += 1

    def any(self, first, last):
        return any(within(release, first, last) for release in self.releases)

    def sides(self):
        """Collections by id, each with its records by id, of the release and of the reader."""
        found = []
        for name in ("answer.jsonl", "reader.jsonl"):
            collections, tail = {}, {}
            for line in (self.folder / name).read_text(encoding="utf-8").split("\n"):
                if not line:
                    continue
                entry = json.loads(line)
                if "record" in entry:
                    records[entry["record"]] = entry
                elif "collection" in entry:
                    records = {}
                    collections[entry["collection"]] = (entry, records)
                else:
                    tail = entry
            if "listed" not in tail:
                self.wrong(name, "it ends too early")
            found.append((collections, tail))
        return found

    def run(self):
        (answer, answered), (reader, read) = self.sides()
        for notice in read.get("warnings", []) + read.get("notices", []):
            self.notes[f"reader: {notice}"] += 1
        meant = {c["id"]: c for c in self.state["collections"]}
        for what, other in (("release", answer), ("reader", reader)):
            for id in meant.keys() ^ other.keys():
                self.wrong(id, f"a collection that only the {what} or only the script has")
        if answered.get("listed") != len(meant):
            self.wrong("collections", f"the release lists {answered.get('listed')} of {len(meant)}")
        for id in meant.keys() & answer.keys() & reader.keys():
            self.collection(meant[id], *answer[id], *reader[id])
        return self

    def collection(self, meant, answer, answers, reader, found):
        where = f"{meant['name']} ({meant['role']})"
        self.count["collections"] += 1
        for note in answer["noted"]:
            self.notes[f"release: {note.split(': ', 1)[-1] if note[:1] in chr(39) + chr(34) else note}"] += 1
        for key in ("tenant", "database", "name"):
            if not meant[key] == answer[key] == reader[key]:
                self.wrong(where, f"{key}: {meant[key]!r}, {answer[key]!r}, {reader[key]!r}")
        if answer.get("unreadable"):
            self.notes[f"release: {meant['name']} cannot be read: {answer['unreadable']}"] += 1
        if not self.answered(answer):
            answer = {**answer, "count": reader["count"], "metadata": reader["metadata"]}
            answers = self.instead(where, meant, found)
        if meant["space"] == reader["space"] and answer.get("space") == "l2" and not within(self.releases[0], "1.0.0", "9.0.0"):
            if meant["space"] != "l2":
                self.explain("space")
        elif not meant["space"] == answer.get("space", meant["space"]) == reader["space"]:
            self.wrong(where, f"space: {meant['space']}, {answer.get('space')}, {reader['space']}")
        if reader["metadata"] != answer["metadata"]:
            left, right = ({k: v for k, v in side["metadata"].items() if not k.startswith("hnsw:")} for side in (reader, answer))
            if left == right:
                self.explain("settings")
            else:
                self.wrong(where, f"collection metadata: reader {reader['metadata']}, release {answer['metadata']}")
        if not answer["count"] == reader["count"] == len(found) == len(answers):
            self.wrong(where, f"count: release {answer['count']}, reader {reader['count']}, {len(found)} given")
        if reader["vectors"] != sum(usable(record["vector"], meant["dimension"]) for record in found.values()):
            self.wrong(where, f"the inventory counts {reader['vectors']} vectors")
        if found and reader["dimension"] != meant["dimension"]:
            self.wrong(where, f"dimension: {reader['dimension']} for {meant['dimension']}")
        if self.last not in BY_ID and list(answers) != list(found) and set(answers) == set(found):
            self.wrong(where, "another order of records")
        for id in meant["records"].keys() ^ answers.keys():
            self.wrong(f"{where} {id!r}", "a record that only the release or only the script has")
        for id in answers.keys() ^ found.keys():
            self.wrong(f"{where} {id!r}", "a record that only the release or only the reader has")
        for id in meant["records"].keys() & answers.keys() & found.keys():
            self.count["records"] += 1
            self.count["ids"] += 1
            if answers[id] is not None:
                self.record(f"{where} {id!r}", meant, meant["records"][id], answers[id], found[id])

    def answered(self, answer):
        """Whether the release gave something to compare with."""
        return not answer.get("unreadable")

    def instead(self, where, meant, found):
        """What the release should say of a collection that it cannot read: what the script wrote. None: nobody knows."""
        self.why["unreadable"] += len(found)
        doubtful = {id for id in found if id in meant.get("doubtful", ())}
        self.why["refused yet logged"] += len(doubtful)
        certain = {id: held for id, held in meant["records"].items() if id not in meant.get("doubtful", ())}
        meant["records"] = {**certain, **dict.fromkeys(doubtful)}
        answers = {}
        for id, reader in found.items():
            record = meant["records"].get(id)
            if record is not None:
                near = meant["space"] == "cosine" and reader["vector"] is not None and apart(reader["vector"], record["input"]) <= 4
                values = {key: tagged(value) for key, value in numbers(record["metadata"] or {}).items()}
                if self.any("1.0.0", "1.5.9"):
                    for key in [key for key in values if beside(values[key], reader["metadata"].get(key))]:
                        self.why["last digit"] += values[key] != reader["metadata"][key]
                        values[key] = reader["metadata"][key]
                record = {**record, "metadata": values, "vector": reader["vector"] if near else record["input"]}
            if id in meant["records"]:
                answers[id] = record
        return answers

    def record(self, where, collection, meant, answer, reader):
        if within(self.releases[0], "0.4.0", "0.6.3") and unstorable(meant):
            self.why["swallowed"] += 1
            meant = {**meant, "document": None, "metadata": None}
        for column, key in (("documents", "document"), ("uris", "uri")):
            if reader[key] != answer[key]:
                self.wrong(where, f"{key}: reader {reader[key]!r:.90}, release {answer[key]!r:.90}, given {meant[key]!r:.90}")
            else:
                self.count[column] += 1
                if answer[key] != meant[key]:
                    self.wrong(where, f"{key}: the release itself returns {answer[key]!r:.90} for {meant[key]!r:.90}")
        given = {key: tagged(value) for key, value in numbers(meant["metadata"] or {}).items()}
        if reader["metadata"] == answer["metadata"]:
            self.count["metadata"] += 1
            self.release_metadata(where, meant["metadata"] or {}, given, answer["metadata"])
        else:
            self.metadata(where, given, answer["metadata"], reader["metadata"])
        self.vector(where, collection, meant["input"], answer["vector"], reader)

    def metadata(self, where, given, answer, reader):
        """The two differ."""
        for key in sorted(answer.keys() | reader.keys()):
            left, right = reader.get(key), answer.get(key)
            if left == right:
                continue
            if left is None and right[0] == "list" and key not in given and self.any("1.5.0", "1.5.9"):
                self.explain("left-over arrays")
            elif left is not None and right is not None and positive(left) == positive(right):
                self.explain("negative zero")
            elif self.any("1.0.0", "1.5.9") and left == given.get(key, left) and beside(left, right):
                self.explain("last digit")
            else:
                self.wrong(where, f"metadata {key!r:.40}: reader {left!r:.90}, release {right!r:.90}, given {given.get(key)!r:.90}")

    def release_metadata(self, where, meant, given, answer):
        """Reader and release agree; do they with the script?"""
        for key in sorted(meant.keys() | answer.keys()):
            left, right = given.get(key), answer.get(key)
            if left == right:
                continue
            value = meant.get(key)
            if right is None and key.startswith("chroma:"):
                self.why["hidden key"] += 1
            elif right is None and isinstance(value, float) and value != value:
                self.why["nan"] += 1
            elif right is None and isinstance(value, float) and math.isinf(value) and self.any("1.0.0", "1.5.9"):
                self.why["infinity"] += 1
            elif left and right and positive(left) == right:
                self.why["negative zero"] += 1
            elif isinstance(value, int) and not -(2**63) <= value < 2**63 and right == tagged(float(value)):
                self.why["big integer"] += 1
            elif left is None and right[0] == "list" and self.any("1.5.0", "1.5.9"):
                self.why["left-over arrays"] += 1
            elif self.any("1.0.0", "1.5.9") and beside(left, right):
                self.why["last digit"] += 1
            else:
                self.wrong(where, f"metadata {key!r:.40}: the release itself returns {right!r:.90} for {left!r:.90}")

    def vector(self, where, collection, given, answer, reader):
        vector, cosine = reader["vector"], collection["space"] == "cosine"
        if reader["stale"]:
            self.count["stale"] += 1
            if self.any("0.5.6", "0.5.12"):
                self.explain("purge")
            elif vector is None or canonical(vector) == canonical(given) or apart(vector, given) <= 4:
                self.wrong(where, "stale, yet what was given")
        if vector is None:
            self.count["missing"] += 1
            if answer is not None:
                self.wrong(where, "the reader lacks the vector")
            elif self.any("0.5.6", "0.5.12"):
                self.explain("purge")
            else:
                self.wrong(where, "no vector anywhere")
            return
        self.count[reader["grade"]] += 1
        exact = canonical(vector) == canonical(given)
        same = canonical(vector) == canonical(answer)
        former = collection.get("alone", {}).get(reader["record"], [])
        lost = self.lost(collection["removed"].get(reader["record"], 0), answer, former)
        if reader["grade"] == "exact" and exact:
            if same:
                return
            if cosine and out_of_range(given):
                return self.explain("range")
            if cosine and answer is not None and (canonical(answer) == round_trip(given) or apart(answer, given) <= 4):
                return self.explain("rounding")
            if lost:
                return self.explain(lost)
            self.wrong(where, "the vector that was given, yet not what the release returns")
        elif not same:
            self.wrong(where, f"{reader['grade']}, yet neither what was given nor what the release returns")
        elif reader["grade"] == "restored" and cosine and apart(vector, given) <= 4:
            pass
        elif reader["grade"] == "restored" and cosine and out_of_range(given):
            self.explain("range")
        elif lost:
            self.explain(lost)
        elif self.any("0.5.6", "0.5.12"):
            self.explain("purge")
        else:
            self.wrong(where, f"{reader['grade']}, as the release returns it, yet not what was given")

    def lost(self, removed, answer, former=()):
        """Why the index may hold none or another vector of an id deleted `removed` times, or `former` ones if it was alone."""
        if answer is not None and any(canonical(answer) == canonical(one) or apart(answer, one) <= 4 for one in former):
            return "alone"
        if removed > 0 and self.any("0.4.0", "0.5.4"):
            return "re-added" if answer is None else "gap filled"
        if removed > 1 and answer is not None and self.any("0.5.5", "0.6.3"):
            return "deleted twice"
        return None
