"""scripts/install.sh and uninstall.sh, with a PostgreSQL that is folders only and a cargo that has built a small library."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)

PG_CONFIG = """#!/bin/sh
case $1 in
--version) echo PostgreSQL 15.20 ;;
*) echo "{folder}/${{1#--}}" ;;
esac
"""

# Says of the arguments and of pgrx's setting what it was given, and of the library where it is, as cargo does.
CARGO = """#!/bin/sh
echo "$PGRX_PG_CONFIG_PATH $*" >>"{folder}/cargo.log"
echo '{{"reason":"compiler-artifact","filenames":["{folder}/built/libother.so"]}}'
echo '{{"reason":"compiler-artifact","filenames":["{folder}/built/libvector_migrate.so","{folder}/built/libvector_migrate.rlib"]}}'
echo '{{"reason":"build-finished","success":true}}'
"""

SUDO = """#!/bin/sh
echo "$*" >>"{folder}/sudo.log"
exec "$@"
"""


class Install(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("includedir-server", "bindir", "pkglibdir", "sharedir/extension", "built", "tools"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "includedir-server/postgres.h").touch()
        self.tool("bindir/initdb", "#!/bin/sh\n")
        self.tool("tools/pg_config", PG_CONFIG)
        self.tool("tools/cargo", CARGO)
        self.tool("tools/sudo", SUDO)
        self.built = self.folder / "built/libvector_migrate.so"
        self.shared_library = self.folder / "pkglibdir/vector_migrate.so"
        self.extension = self.folder / "sharedir/extension"
        self.build("int answer(void) { return 41; }")

    def tool(self, name, text):
        (self.folder / name).write_text(text.format(folder=self.folder))
        (self.folder / name).chmod(0o755)

    def build(self, source):
        options = ["-g", "-shared", "-fPIC", "-Wl,--build-id", "-x", "c", "-", "-o", self.built]
        subprocess.run(["cc", *options], input=source, text=True, check=True)

    def run_script(self, name, **environment):
        variables = {"PG_CONFIG": self.folder / "tools/pg_config", "SUDO": "", **environment}
        path = f"{self.folder / 'tools'}:{os.environ['PATH']}"
        command = [ROOT / "scripts" / name]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path, **variables}
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def installed(self):
        places = self.folder / "pkglibdir", self.folder / "sharedir"
        return sorted(str(file.relative_to(self.folder)) for place in places for file in place.rglob("*") if file.is_file())

    def read_elf(self, *options):
        return subprocess.run(["readelf", *options], capture_output=True, text=True, check=True).stdout

    def test_four_things_are_put_in_place_and_uninstall_takes_them_away(self):
        self.run_script("install.sh")
        names = [name for name in self.installed() if "/vector_migrate/" not in name]
        script = f"sharedir/extension/vector_migrate--{VERSION}.sql"
        self.assertEqual(names, ["pkglibdir/vector_migrate.so", script, "sharedir/extension/vector_migrate.control"])
        self.assertTrue((self.folder / "pkglibdir/vector_migrate/libonnxruntime.so").is_file())
        self.assertTrue((self.folder / "sharedir/vector_migrate/model/config.json").is_file())
        self.assertEqual((self.folder / script).read_bytes(), (ROOT / f"sql/vector_migrate--{VERSION}.sql").read_bytes())
        template = (ROOT / "vector_migrate.control").read_text()
        self.assertIn("@CARGO_VERSION@", template)
        control = self.extension / "vector_migrate.control"
        self.assertEqual(control.read_text(), template.replace("@CARGO_VERSION@", VERSION))
        for file in (self.shared_library, self.folder / script, control):
            self.assertTrue(file.stat().st_mode & 0o444 == 0o444, "the server's user reads it")

        for left in ("pkglibdir/vector_migrate.so.install-new", script + ".install-new"):
            (self.folder / left).touch()
        self.run_script("uninstall.sh")
        self.assertEqual(self.installed(), [])

    def test_the_library_is_installed_without_line_tables_and_with_its_symbols_and_build_id(self):
        self.run_script("install.sh")
        self.assertIn(".debug_line", self.read_elf("-SW", self.built))
        sections = self.read_elf("-SW", self.shared_library)
        self.assertNotIn(".debug_", sections)
        self.assertIn(".symtab", sections)
        build_ids = [re.search("Build ID: .*", self.read_elf("-n", file)).group() for file in (self.built, self.shared_library)]
        self.assertEqual(build_ids[0], build_ids[1])

    def test_cargo_builds_for_the_named_postgresql_without_cargo_pgrx(self):
        self.run_script("install.sh")
        (line,) = (self.folder / "cargo.log").read_text().splitlines()
        self.assertTrue(line.startswith(f"{self.folder}/tools/pg_config build "), line)
        self.assertIn(" --no-default-features --features pg15", line)
        self.assertNotIn(" pgrx ", line)

    def test_what_is_the_same_is_not_copied_again_and_a_new_library_comes_by_a_rename(self):
        self.run_script("install.sh")
        self.assertNotIn("copying", self.run_script("install.sh"))
        with self.shared_library.open("rb") as mapped:
            old = self.shared_library.read_bytes()
            self.build("int answer(void) { return 42; }")
            self.assertIn("copying vector_migrate.so", self.run_script("install.sh"))
            self.assertEqual(mapped.read(), old, "a session goes on with what it has")
        self.assertNotEqual(self.shared_library.read_bytes(), old)

    def test_sudo_does_all_that_touches_the_servers_folders_and_never_the_build(self):
        self.run_script("install.sh", SUDO="sudo")
        calls = (self.folder / "sudo.log").read_text().splitlines()
        for file in ("vector_migrate.so", "vector_migrate.control", f"vector_migrate--{VERSION}.sql"):
            self.assertTrue(any(call.startswith("mv ") and call.endswith(file) for call in calls), file)
        self.assertFalse(any(call.startswith("cargo") for call in calls))


if __name__ == "__main__":
    unittest.main()
