"""What `sluice site prune` removes, and what some box may still fetch."""
import fcntl
import glob
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from fleet import Workspace, make_image

DAY = 86400


class Prune(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="sluice-prune-")
        cls.addClassCleanup(shutil.rmtree, cls.base)
        made = cls.made = Workspace(os.path.join(cls.base, "made"), 8443).init().ceremony()
        image = make_image(os.path.join(cls.base, "image"), "1", size=1 << 18)
        made.roll_out(made.pack("1.0", image), (("a", ["gw-1"]), ("b", 50), ("c", 100)),
                      open_waves=["a", "b"])

    def setUp(self):
        folder = tempfile.mkdtemp(dir=self.base)
        shutil.copytree(self.made.dir, folder, dirs_exist_ok=True)
        self.ws = Workspace(folder, 8443)

    def files(self):
        site = self.ws.path("site")
        return {os.path.relpath(os.path.join(d, n), site) for d, _, names in os.walk(site)
                for n in names}

    def age(self, days):
        then = time.time() - days * DAY
        for name in self.files():
            os.utime(self.ws.path("site", name), (then, then))

    def prune(self, *args, **kwargs):
        return self.ws.sluice("site", "prune", *args, **kwargs).stdout

    def versions(self, role):
        return sorted(int(os.path.basename(p).split(".")[0])
                      for p in glob.glob(self.ws.path("site", "metadata", f"*.{role}.json")))

    def published(self):
        """All that timestamp.json leads to."""
        snapshot = self.ws.metadata("timestamp")["signed"]["meta"]["snapshot.json"]["version"]
        found = {"metadata/timestamp.json", f"metadata/{snapshot}.snapshot.json"}
        for name, meta in self.ws.metadata("snapshot")["signed"]["meta"].items():
            role = name.removesuffix(".json")
            self.assertEqual(self.ws.metadata(role)["signed"]["version"], meta["version"])
            found.add(f"metadata/{meta['version']}.{name}")
            for path, entry in self.ws.metadata(role)["signed"]["targets"].items():
                folder, last = os.path.split(path)
                found.add(f"targets/{folder}/{entry['hashes']['sha256']}.{last}")
        return found

    def test_what_nothing_leads_to_goes_and_all_else_stays(self):
        self.age(100)
        before = self.files()
        self.assertIn("would go", self.prune("--dry-run"))
        self.assertEqual(self.files(), before)
        self.assertIn("are gone", self.prune())
        self.assertEqual(self.files(), self.published() | {"metadata/1.root.json"})
        self.assertLess(len(self.files()), len(before))
        self.assertIn("open   b", self.ws.sluice("gate", "show", "stable").stdout)
        self.ws.open_gate("c")

    def test_what_an_older_timestamp_leads_to_stays_for_as_long_as_that_may_live(self):
        self.age(100)
        before = self.published()
        self.ws.open_gate("c")
        self.prune("--older-than", "1d")
        self.assertEqual(self.files(), before | self.published() | {"metadata/1.root.json"})
        self.age(2)
        self.prune("--older-than", "1d")
        self.assertEqual(self.files(), self.published() | {"metadata/1.root.json"})

    def test_what_is_young_stays_whatever_leads_to_it(self):
        # Content is placed before anything leads to it.
        with open(self.ws.path("site", "targets", "a" * 64 + ".x"), "w", encoding="ascii"):
            pass
        before = self.files()
        self.prune()
        self.assertEqual(self.files(), before)
        self.age(100)
        self.prune()
        self.assertNotIn(f"targets/{'a' * 64}.x", self.files())

    def test_what_an_interrupted_publication_left_stays(self):
        """The next version is counted on from it, and may wait to be published."""
        newest = self.versions("gates")[-1]
        left = self.ws.path("site", "metadata", f"{newest + 1}.gates.json")
        with open(left, "w", encoding="ascii"):
            pass
        self.age(100)
        self.prune()
        self.assertIn(newest + 1, self.versions("gates"))

    def test_every_root_stays(self):
        self.ws.new_key("root-2")
        self.ws.sluice("root", "rotate", "--root", self.ws.key("root-2"), "--key",
                       self.ws.key("root"), "--key", self.ws.key("root-2"), "--yes")
        self.age(100)
        self.prune()
        self.assertEqual(self.versions("root"), [1, 2])

    def test_less_than_a_timestamp_lives_is_refused(self):
        self.age(100)
        before = self.files()
        self.prune("--older-than", "23h", check=2)
        self.prune("--older-than", "soon", check=2)
        self.assertEqual(self.files(), before)

    def test_what_no_publisher_made_stays(self):
        for name in ("metadata/notes.txt", "metadata/latest.json", "targets/readme",
                     "targets/gates/stable.json"):
            with open(self.ws.path("site", name), "w", encoding="ascii") as f:
                f.write("{}")
        self.age(100)
        self.prune()
        self.assertLessEqual({"metadata/notes.txt", "metadata/latest.json", "targets/readme",
                              "targets/gates/stable.json"}, self.files())

    def test_a_publication_waits_for_no_search_and_what_it_leads_to_stays(self):
        self.age(100)
        self.ws.open_gate("c")
        self.age(100)
        old, older = self.files() - self.published() - {"metadata/1.root.json"}, self.files()
        with open(self.ws.path("publisher.lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("would go", self.prune("--dry-run"))
            env = dict(os.environ, SLUICE_WORKSPACE=self.ws.dir)
            with subprocess.Popen([self.ws.programs.sluice, "site", "prune"], env=env, text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as pruner:
                # It has found what is to go, and now somebody publishes.
                self.assertIn("waiting for it", pruner.stderr.readline())
                again = sorted(old)[0]
                os.utime(self.ws.path("site", again))
                with open(self.ws.path("site", "metadata", "notes.txt"), "w", encoding="ascii"):
                    pass
                fcntl.flock(lock, fcntl.LOCK_UN)
                self.assertEqual(pruner.wait(30), 0)
        self.assertEqual(self.files(), older - old | {again, "metadata/notes.txt"})

    def test_where_something_cannot_be_read_nothing_is_removed(self):
        self.age(100)
        number = self.ws.metadata("gates")["signed"]["version"]
        with open(self.ws.path("site", "metadata", f"{number}.gates.json"), "w",
                  encoding="ascii") as f:
            f.write("{")
        self.age(100)
        before = self.files()
        self.prune(check=1)
        self.assertEqual(self.files(), before)


if __name__ == "__main__":
    unittest.main()
