"""README.md is true: its shell blocks run, in order, in one shell."""
import os
import re
import shutil
import tempfile
import unittest

from fleet import Programs, free_port, run
from fleet.process import ROOT


def blocks():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        return re.findall(r"^```sh\n(.*?)^```$", f.read(), re.M | re.S)


class Readme(unittest.TestCase):
    def test_its_commands_work_in_order(self):
        folder = tempfile.mkdtemp(prefix="sluice-readme-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        port = free_port()
        programs = Programs()
        script = "set -eu\n" + "\n".join(blocks())
        self.assertGreater(len(blocks()), 6)
        script = script.replace("sluice init fleet\n",
                                f"sluice init fleet --site-url https://localhost:{port}/\n")
        self.addCleanup(self.end_server, os.path.join(folder, "fleet", "nginx", "nginx.pid"))
        done = run(["bash", "-c", script], check=None, cwd=folder, timeout=120,
                   env=dict(os.environ, PATH=f"{programs.build}:/usr/sbin:/sbin:"
                            + os.environ["PATH"]))
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        for word in ("releases", "gateway", "canary", "smells of smoke", "gw-000001",
                     "gw-000003 is in no wave"):
            self.assertIn(word, done.stdout)

    @staticmethod
    def end_server(pid_file):
        """Where the walk failed half-way, its web server still runs."""
        try:
            with open(pid_file, encoding="ascii") as f:
                os.kill(int(f.read()), 15)
        except (OSError, ValueError):
            pass

    def test_its_map_names_what_is_there(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            named = re.findall(r"^([a-z]+/(?:[a-z]+/)?) ", f.read(), re.M)
        self.assertGreater(len(named), 7)
        for path in named:
            self.assertTrue(os.path.isdir(os.path.join(ROOT, path)), path)


if __name__ == "__main__":
    unittest.main()
