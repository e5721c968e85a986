"""scripts/setup/share_model.sh: the same vectors from shared weights, or no new folder at all."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "pgrx-tests/fixtures/model/tiny"
sys.path.insert(0, str(ROOT / "scripts/setup"))
import share_model  # noqa: E402
from external_data import entries, refer, tensors  # noqa: E402
from same_vectors import batches, outputs  # noqa: E402


class ShareModel(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder, self.new = self.place / "folder", self.place / "shared"
        self.folder.mkdir()
        for name in ("tokenizer.json", "special_tokens_map.json", "tokenizer_config.json"):
            (self.folder / name).write_text("{}")
        (self.folder / "config.json").write_text(json.dumps({"vocab_size": 32}))

    def tiny(self, name, data=False):
        shutil.copy(TINY / f"{name}.onnx", self.folder / "model.onnx")
        if data:
            shutil.copy(TINY / "shared.onnx.data", self.folder)

    def run_script(self, new=None):
        command = [ROOT / "scripts/setup/share_model.sh", self.folder, new or self.new]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def converted(self, new=None):
        done = self.run_script(new)
        self.assertEqual(done.returncode, 0, done.stderr)
        return new or self.new

    def refused(self, words):
        before = sorted(self.place.rglob("*"))
        done = self.run_script()
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(sorted(self.place.rglob("*")), before, "nothing is left")

    def assert_equal_outputs(self, new, name="model.onnx"):
        arrays = list(batches(self.folder))
        for a, b in zip(outputs(self.folder / name, arrays), outputs(new / name, arrays), strict=True):
            np.testing.assert_array_equal(a, b)

    def assert_all_beside(self, new, smallest=1024):
        """Every tensor of that size is in the data file, aligned, with the file's digest."""
        model = onnx.load(new / "model.onnx", load_external_data=False)
        beside = [t for t in tensors(model.graph, model.functions) if t.data_location == TensorProto.EXTERNAL]
        inside = [t for t in tensors(model.graph, model.functions) if t.data_location != TensorProto.EXTERNAL]
        self.assertTrue(all(len(t.raw_data) < smallest for t in inside))
        self.assertTrue(beside)
        digest = hashlib.sha1((new / "model.onnx.data").read_bytes()).hexdigest()
        for place in map(entries, beside):
            self.assertEqual(place["location"], "model.onnx.data")
            self.assertEqual(int(place["offset"]) % 64, 0)
            self.assertEqual(place["checksum"], digest)

    def test_a_model_with_its_weights_inside_gives_the_same_vectors_from_a_file_beside_it(self):
        self.tiny("good")
        new = self.converted()
        self.assert_equal_outputs(new)
        self.assert_all_beside(new)
        self.assertEqual((new / "config.json").read_text(), (self.folder / "config.json").read_text())
        self.assertEqual(os.stat(new / "model.onnx.data").st_mode & 0o777, 0o644)

    def test_a_second_conversion_gives_the_same_bytes_and_so_does_the_conversion_of_its_result(self):
        self.tiny("good")
        first, second, third = (self.place / name for name in ("first", "second", "third"))
        self.converted(first)
        self.converted(second)
        self.folder = first
        self.converted(third)
        for file in (path.relative_to(first) for path in first.rglob("*") if path.is_file()):
            self.assertEqual((first / file).read_bytes(), (second / file).read_bytes(), file)
            self.assertEqual((first / file).read_bytes(), (third / file).read_bytes(), file)

    def test_weights_that_are_beside_the_model_are_written_anew_with_their_digest(self):
        self.tiny("no_checksum", data=True)
        new = self.converted()
        self.assert_equal_outputs(new)
        self.assert_all_beside(new)
        self.assertFalse((new / "shared.onnx.data").exists())

    def test_the_folder_onnx_and_a_pooling_elsewhere_are_kept(self):
        (self.folder / "onnx").mkdir()
        (self.folder / "pool").mkdir()
        shutil.copy(TINY / "good.onnx", self.folder / "onnx/model.onnx")
        (self.folder / "pool/config.json").write_text("{}")
        (self.folder / "modules.json").write_text(json.dumps([{"type": "a.Pooling", "path": "pool"}]))
        new = self.converted()
        self.assert_equal_outputs(new, "onnx/model.onnx")
        self.assertTrue((new / "onnx/model.onnx.data").is_file())
        self.assertTrue((new / "pool/config.json").is_file())

    def test_values_in_typed_fields_constants_and_inner_graphs_go_into_the_file_too(self):
        rng = np.random.default_rng(1)

        def values(name, typed=False):
            made = rng.normal(size=(32, 16)).astype(np.float32)
            if not typed:
                return numpy_helper.from_array(made, name)
            return helper.make_tensor(name, TensorProto.FLOAT, made.shape, made.ravel().tolist())

        def branch(name):
            looked = helper.make_node("Gather", [name, "input_ids"], [f"{name}_out"])
            return helper.make_graph([looked], name, [], [floats(f"{name}_out")], [values(name)])

        def floats(name):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["texts", "tokens", 16])

        nodes = [
            helper.make_node("Constant", [], ["constant"], value=values("constant")),
            helper.make_node("Gather", ["typed", "input_ids"], ["a"]),
            helper.make_node("Gather", ["constant", "input_ids"], ["b"]),
            helper.make_node("Size", ["input_ids"], ["size"]),
            helper.make_node("Cast", ["size"], ["any"], to=TensorProto.BOOL),
            helper.make_node("If", ["any"], ["c"], then_branch=branch("then"), else_branch=branch("else")),
            helper.make_node("Sum", ["a", "b", "c"], ["last_hidden_state"]),
        ]
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"])
        graph = helper.make_graph(nodes, "kinds", [ids], [floats("last_hidden_state")], [values("typed", typed=True)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, self.folder / "model.onnx")
        new = self.converted()
        self.assert_equal_outputs(new)
        self.assert_all_beside(new)
        self.assertEqual((new / "model.onnx.data").stat().st_size, 4 * 32 * 16 * 4)

    def test_an_existing_folder_is_refused_and_stays_as_it_is(self):
        self.tiny("good")
        for path in (self.new, self.new.with_name("shared.new")):
            path.mkdir()
            self.refused(f"{path} exists")
            path.rmdir()

    def test_a_place_outside_the_folder_or_the_file_is_refused(self):
        (self.place / "outside.data").write_bytes(bytes(2000))
        for name, words in (
            ("outside_parent", "outside the folder"),
            ("outside_absolute", "outside the folder"),
            ("deep", "outside the folder"),
            ("beyond_end", "ends after the end"),
            ("bad_offset", "ends after the end"),
            ("in_memory", "No such file"),
        ):
            with self.subTest(name):
                self.tiny(name, data=True)
                self.refused(words)

    def test_a_link_that_leads_out_of_the_folder_is_refused(self):
        self.tiny("shared")
        (self.place / "elsewhere").write_bytes((TINY / "shared.onnx.data").read_bytes())
        (self.folder / "shared.onnx.data").symlink_to(self.place / "elsewhere")
        self.refused("leads out of the folder")

    def test_weights_that_are_not_those_of_the_digest_are_refused(self):
        self.tiny("shared", data=True)
        with open(self.folder / "shared.onnx.data", "r+b") as file:
            file.write(b"\1")
        self.refused("SHA-1")

    def test_what_is_not_a_model_folder_is_refused(self):
        self.refused("neither model.onnx")
        (self.folder / "model.onnx").write_bytes(b"no model")
        self.refused("is not an ONNX model")
        self.tiny("extra_input")
        self.refused("pixel_values")
        (self.folder / "tokenizer.json").unlink()
        self.refused("has no tokenizer.json")

    def test_a_model_whose_vectors_came_out_differently_is_not_left(self):
        self.tiny("good")
        write = share_model.write_model

        def damaged(source, path):
            write(source, path)
            model = onnx.load(path, load_external_data=False)
            data = path.with_name("model.onnx.data")
            data.write_bytes(data.read_bytes()[::-1])
            for tensor in model.graph.initializer:
                refer(tensor, **{key: value for key, value in entries(tensor).items() if key != "checksum"})
            onnx.save(model, path)

        self.addCleanup(setattr, share_model, "write_model", write)
        share_model.write_model = damaged
        with self.assertRaisesRegex(SystemExit, "does not give the same vectors"):
            share_model.main(self.folder, self.new)
        self.assertEqual([path.name for path in self.place.iterdir()], ["folder"])


if __name__ == "__main__":
    unittest.main()
