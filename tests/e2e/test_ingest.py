"""Reports from the spool into fleet.db, by a process that is killed at any step of it."""
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from fleet.process import Programs, run

BOXES = 40
JUNK = ("nobody@1.json", "gw-0000001@7.json", "gw-0000002@8.json")
# A step of each kind, and which of them to be killed before: the first, the next, and later ones.
# Each thread is counted by itself; eight put files away.
STEPS = {"openat": (12, 20), "pwrite64": (1, 2, 9), "fdatasync": (1, 2), "unlinkat": (1, 2, 8),
         "renameat": (1,)}


class Ingest(unittest.TestCase):
    def setUp(self):
        self.programs = Programs()
        self.tool = self.programs.tool("ledger")
        self.folder = tempfile.mkdtemp(prefix="sluice-ingest.")
        self.addCleanup(shutil.rmtree, self.folder)
        run([self.tool, "fill", self.folder, str(BOXES)])
        run([self.tool, "post", self.folder, "0", str(BOXES), "1"])
        run([self.tool, "post", self.folder, "0", str(BOXES), "2"])
        for name in JUNK:
            with open(os.path.join(self.folder, "spool", name), "w", encoding="ascii") as f:
                f.write("{}")

    def drain(self, copy, killed_at=None):
        """Returns what it says, or None where it was killed."""
        argv = [self.tool, "drain", copy]
        if killed_at:
            name, when = killed_at
            argv = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={name}", "-e",
                    f"inject={name}:signal=SIGKILL:when={when}", *argv]
        # The leak sanitizer cannot work under strace.
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0") if killed_at else None
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False,
                              env=env)
        if done.returncode == 0:
            return json.loads(done.stdout)
        self.assertIn(done.returncode, (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr)
        return None

    def numbers(self, copy, query):
        with contextlib.closing(sqlite3.connect(os.path.join(copy, "fleet.db"))) as db:
            return [row if len(row) > 1 else row[0] for row in db.execute(query)]

    def reports_left(self, copy):
        return {n for n in os.listdir(os.path.join(copy, "spool"))
                if n not in ("aside", *JUNK)}

    def check_nothing_is_lost(self, copy):
        taken = {f"{name}@{seq}.json" for name, seq in self.numbers(
            copy, "SELECT name, seq FROM report JOIN box ON box.id = report.box")}
        self.assertEqual(len(taken | self.reports_left(copy)), 2 * BOXES)

    def check_end(self, copy):
        self.assertEqual(self.reports_left(copy), set())
        self.assertEqual(self.numbers(copy, "SELECT count(*) FROM report"), [2 * BOXES])
        self.assertEqual(
            self.numbers(copy, "SELECT value FROM counter WHERE name IN ('reports', 'aside') "
                         "ORDER BY name DESC"), [2 * BOXES, len(JUNK)])
        self.assertEqual(
            self.numbers(copy, "SELECT sum(seen), sum(started), sum(ok), sum(failed + reverted + "
                         "overdue + inconclusive) FROM wave"), [(BOXES, BOXES, BOXES, 0)])
        self.assertEqual(
            self.numbers(copy, "SELECT count(*), sum(started), sum(status = 'ok') "
                         "FROM participant"), [(BOXES, BOXES, BOXES)])
        self.assertEqual(set(os.listdir(os.path.join(copy, "spool", "aside"))), set(JUNK))
        self.assertEqual(self.numbers(copy, "PRAGMA integrity_check"), ["ok"])

    def test_all_is_taken_once(self):
        said = self.drain(self.folder)
        self.assertEqual((said["taken"], said["aside"], said["duplicates"]),
                         (2 * BOXES, len(JUNK), 0))
        self.check_end(self.folder)

    def test_a_kill_at_any_step_loses_nothing_and_counts_nothing_twice(self):
        killed = 0
        for name, times in STEPS.items():
            for when in times:
                with self.subTest(step=f"{name} {when}"):
                    copy = os.path.join(self.folder, f"{name}-{when}")
                    os.mkdir(copy)
                    run(["cp", "-a", *(os.path.join(self.folder, n) for n in
                                       ("fleet.db", "box.key", "spool")), copy])
                    killed += self.drain(copy, (name, when)) is None
                    self.check_nothing_is_lost(copy)
                    # Again, at another step of the same kind; and then in peace.
                    self.drain(copy, (name, 1))
                    self.check_nothing_is_lost(copy)
                    self.assertIsNotNone(self.drain(copy))
                    self.check_end(copy)
                    shutil.rmtree(copy)
        self.assertGreaterEqual(killed, 10)


if __name__ == "__main__":
    unittest.main()
