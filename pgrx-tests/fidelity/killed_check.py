"""The comparison where the writer was killed: the script cannot know what landed, the release's own answer counts."""

import json
from collections import Counter, defaultdict

from check import Check
from rules import apart, canonical, out_of_range, round_trip


class Notes:
    """What `killed.py` noted before each call, and what the store held before."""

    def __init__(self, file):
        self.made = {}
        self.vectors = defaultdict(lambda: defaultdict(list))
        self.removed = defaultdict(Counter)
        # Ids that were deleted after their last vector was given.
        self.deleted = defaultdict(set)
        for text in file.read_text(encoding="utf-8").split("\n"):
            line = json.loads(text or "{}")
            if "made" in line:
                self.made[line.get("id") or line["name"]] = line["made"]
            for id, vector in line.get("vectors", {}).items():
                self.vectors[line["id"]][id].append(vector)
                self.deleted[line["id"]].discard(id)
            self.removed[line.get("id")].update(line.get("deleted", []))
            self.deleted[line.get("id")].update(line.get("deleted", []))
            self.removed[line.get("id")].update(line.get("removed", {}))


class KilledCheck(Check):
    def run(self):
        (answer, answered), (reader, read) = self.sides()
        for notice in read.get("warnings", []) + read.get("notices", []):
            self.notes[f"reader: {notice}"] += 1
        self.given = Notes(self.folder / "given.jsonl")
        for id in answer.keys() ^ reader.keys():
            self.wrong(id, "a collection that only the release or only the reader has")
        if answered.get("listed") != len(answer):
            self.wrong("collections", f"the release lists {answered.get('listed')} of {len(answer)}")
        for id in answer.keys() & reader.keys():
            head, records = answer[id]
            meant = self.given.made.get(id) or self.given.made[head["name"]]
            place = {key: head[key] for key in ("tenant", "database", "name")}
            meant = {**meant, **place, "id": id, "records": records, "removed": self.given.removed[id], "unreadable": head["unreadable"]}
            self.collection(meant, *answer[id], *reader[id])
        return self

    def answered(self, answer):
        return answer["asked"]

    def instead(self, where, meant, found):
        """The release is no witness; what is left is that vectors are some that were given."""
        meant["records"] = {id: {**record, "vector": None} for id, record in found.items()}
        return meant["records"]

    def record(self, where, collection, meant, answer, reader):
        for column, key in (("documents", "document"), ("uris", "uri")):
            if reader[key] == answer[key]:
                self.count[column] += 1
            else:
                self.wrong(where, f"{key}: reader {reader[key]!r:.90}, release {answer[key]!r:.90}")
        if reader["metadata"] == answer["metadata"]:
            self.count["metadata"] += 1
        else:
            self.metadata(where, {}, answer["metadata"], reader["metadata"])
        given = self.given.vectors[collection["id"]][reader["record"]]
        self.killed_vector(where, collection, given, answer["vector"], reader)

    def killed_vector(self, where, collection, given, answer, reader):
        vector, cosine = reader["vector"], collection["space"] == "cosine"
        if vector is None:
            self.count["missing"] += 1
            if answer is not None:
                self.wrong(where, "the reader lacks the vector")
            elif collection["unreadable"]:
                self.explain("unreadable")
            elif reader["record"] in self.given.deleted[collection["id"]] and self.any("0.4.0", "0.6.3"):
                self.explain("rolled back")
            else:
                self.wrong(where, "no vector anywhere")
            return
        self.count[reader["grade"]] += 1
        near = [one for one in given if canonical(one) == canonical(vector) or cosine and (apart(one, vector) <= 4 or out_of_range(one))]
        same = canonical(vector) == canonical(answer)
        lost = self.lost(collection["removed"][reader["record"]], answer)
        if not near and same and lost:
            # Given before the notes begin, in an add that the record ignored.
            return self.explain(lost)
        if not near:
            self.wrong(where, "a vector that nobody ever gave")
        if same:
            return
        if collection["unreadable"]:
            return self.explain("unreadable")
        if reader["grade"] == "exact" and cosine and answer is not None and (canonical(answer) == round_trip(vector) or apart(answer, vector) <= 4):
            self.explain("rounding")
        elif cosine and out_of_range(vector):
            self.explain("range")
        elif lost:
            self.explain(lost)
        else:
            self.wrong(where, f"{reader['grade']}: one of those given, yet not what the release returns ({'none' if answer is None else 'another'})")
