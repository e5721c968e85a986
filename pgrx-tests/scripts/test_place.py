"""scripts/place.sh: what is installed appears by a rename, and who uses the old files keeps them."""

import mmap
import os
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# As `mv -T --exchange A B` of coreutils 9.5, which need not be there: renameat2 with RENAME_EXCHANGE.
EXCHANGING_MV = """#!/usr/bin/env python3
import ctypes, os, sys
if sys.argv[1] == "--help":
    print("--exchange")
elif "--exchange" in sys.argv:
    old, new = (name.encode() for name in sys.argv[-2:])
    sys.exit(0 if ctypes.CDLL(None).renameat2(-100, old, -100, new, 2) == 0 else 1)
else:
    os.execv("/bin/mv", ["mv", *sys.argv[1:]])
"""


class Place(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.source, self.target = self.place / "source", self.place / "share/model"
        self.target.parent.mkdir()
        self.path = os.environ["PATH"]

    def write(self, folder, text):
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx.data").write_text(text)

    def put(self, commands='put "$1" "$2"', good=True):
        script = f'. "$0/scripts/lib.sh"; . "$0/scripts/place.sh"; {commands}'
        command = ["bash", "-c", script, ROOT, self.source, self.target]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": self.path, "SUDO": ""}
        )
        self.assertEqual(done.returncode == 0, good, done.stderr)
        return done.stdout

    def names(self):
        return sorted(path.name for path in self.target.parent.iterdir())

    def text(self):
        return (self.target / "model.onnx.data").read_text()

    def test_a_folder_is_copied_once_and_shares_no_file_with_its_source(self):
        self.write(self.source, "one")
        self.assertIn("copying", self.put())
        inode = self.target.stat().st_ino
        self.assertEqual(self.text(), "one")
        self.assertEqual((self.target / "model.onnx.data").stat().st_nlink, 1)
        self.assertNotIn("copying", self.put())
        self.assertEqual(self.target.stat().st_ino, inode)

    def replaced_under_a_mapping(self):
        self.write(self.source, "old weights")
        self.put()
        with open(self.target / "model.onnx.data", "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self.write(self.source, "new")
        self.put()
        self.assertEqual(self.text(), "new")
        self.assertEqual(mapped[:], b"old weights", "a session goes on with what it has mapped")
        self.assertEqual(self.names(), ["model"])

    def test_a_mapped_file_of_a_replaced_folder_stays_as_it_is(self):
        self.replaced_under_a_mapping()

    def test_the_same_where_mv_can_exchange(self):
        tools = self.place / "tools"
        tools.mkdir()
        (tools / "mv").write_text(EXCHANGING_MV)
        (tools / "mv").chmod(0o755)
        self.path = f"{tools}:{self.path}"
        self.replaced_under_a_mapping()

    def test_a_file_is_replaced_in_one_step(self):
        self.source.write_text("old library")
        self.put()
        with open(self.target, "rb") as file:
            self.source.write_text("new")
            self.put()
            self.assertEqual(file.read(), b"old library")
        self.assertEqual(self.target.read_text(), "new")
        self.assertEqual(self.names(), ["model"])

    def test_a_link_that_a_person_has_put_there_is_replaced_and_its_folder_stays(self):
        own = self.place / "own"
        self.write(own, "their own")
        self.target.symlink_to(own)
        self.write(self.source, "new")
        self.put()
        self.assertFalse(self.target.is_symlink())
        self.assertEqual((own / "model.onnx.data").read_text(), "their own")

    def test_what_an_interrupted_install_left_is_cleared_away(self):
        self.write(self.source, "one")
        self.put()
        for name in ("model.install-new", "model.install-old"):
            self.write(self.target.with_name(name), "left")
        self.put()
        self.assertEqual(self.names(), ["model"])
        self.assertEqual(self.text(), "one")

    def test_an_install_that_ended_between_the_renames_does_not_cost_the_model(self):
        self.write(self.source, "one")
        self.put()
        self.target.rename(self.target.with_name("model.install-old"))
        # The next one fails before it has a new folder.
        self.put('cp() { return 1; }; put "$1.missing" "$2"', good=False)
        self.assertEqual(self.text(), "one")

    def test_a_rename_that_fails_leaves_the_old_model_in_its_place(self):
        self.write(self.source, "old")
        self.put()
        self.write(self.source, "new")
        self.put('mv() { case $* in *install-new*) false ;; *) command mv "$@" ;; esac; }; put "$1" "$2"', good=False)
        self.assertEqual(self.text(), "old")
        self.put()
        self.assertEqual((self.text(), self.names()), ("new", ["model"]))

    def test_a_persons_own_backup_beside_it_is_not_touched(self):
        self.write(self.source, "one")
        for name in ("model.old", "model.new"):
            self.write(self.target.with_name(name), "a backup")
        self.put()
        self.assertEqual(self.names(), ["model", "model.new", "model.old"])


if __name__ == "__main__":
    unittest.main()
