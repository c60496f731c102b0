"""What people see of a fleet: status, boxes, one box, acknowledgements, and the backup."""
import contextlib
import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import threading
import unittest

from fleet import Workspace, wait_until
from watching import WATCH, WAVES, Watch, Watched


class Status(Watched):
    def status(self):
        return json.loads(self.ws.sluice("status", "--json").stdout)

    def alter(self, statement):
        with contextlib.closing(sqlite3.connect(self.ws.path("fleet.db"))) as db:
            db.execute(statement)
            db.commit()

    def test_a_rollout_is_shown_with_a_bar_for_each_wave(self):
        self.succeed(1, 2)
        self.go_wrong(3)
        self.box(4).start()
        self.watch()
        said = self.ws.sluice("status").stdout
        self.assertIn("stable: gateway-2.0.0, version 1\n", said)
        self.assertRegex(said, r"canary +open \[x{7}#{15}\+{7}\.\] 2 of 4 well, 1 failed\n")
        self.assertRegex(said, r"early +shut \[\.{30}\] 0 of 4 well\n")
        self.assertIn("boxes: 8; 4 were never heard of, 0 are offline (silent for 24 h)\n", said)
        self.assertIn("versions: (not known) 4, 1.0.0 2, 2.0.0 2\n", said)
        self.assertIn("last failed: refused 1\n", said)
        canary = self.status()["rollouts"][0]["waves"][0]
        self.assertEqual([canary[k] for k in ("boxes", "started", "ok", "failed")], [4, 4, 2, 1])

    def test_a_stop_is_shown_with_who_has_taken_it(self):
        stop = self.ws.stop("stable", reason="smoke in lyon")
        self.box(1).say("held", stops=[stop])
        self.watch()
        said = self.ws.sluice("status").stdout
        self.assertIn(f"STOPPED {stop}", said)
        self.assertIn("smoke in lyon\n    1 of 8 boxes have acknowledged\n", said)
        # Where nobody can say how many, none is no answer.
        self.alter("ALTER TABLE stop_taken RENAME TO away")
        self.assertIn(f"who has taken stop {stop}", self.ws.sluice("status", check=1).stderr)
        self.alter("ALTER TABLE away RENAME TO stop_taken")
        self.ws.resume(stop)
        self.assertNotIn("STOPPED", self.ws.sluice("status").stdout)

    def test_it_is_looked_at_again_until_it_is_interrupted(self):
        with subprocess.Popen([self.ws.programs.sluice, "status", "--watch", "-w", self.ws.dir],
                              stdout=subprocess.PIPE, text=True) as looking:
            end = threading.Timer(60, looking.kill)
            end.start()
            reports = (line for line in looking.stdout if line.startswith("reports: "))
            self.assertEqual(next(reports), "reports: 0\n")
            self.succeed(1)
            self.watch()
            self.assertIn("reports: 2\n", reports)
            looking.send_signal(signal.SIGINT)
            self.assertEqual(looking.wait(), -signal.SIGINT)
            end.cancel()

    def test_a_plan_whose_gate_speaks_of_another_is_shown_with_what_went_before(self):
        self.succeed(1, 2)
        self.go_wrong(3)
        self.watch()
        self.assertNotIn("no box starts", self.ws.sluice("status").stdout)
        plan = self.ws.plan(self.ws.path("gateway-2.0.0.ota"), WAVES, attempt=2)
        self.ws.publish_plan(plan)
        self.watch()
        said = self.ws.sluice("status").stdout
        self.assertRegex(said, "stable: gateway-2.0.0, version 2\n"
                         "  no box starts: the gate is for another version of the plan; "
                         "sluice gate open stable canary --key K\n"
                         "  canary +shut\n  early +shut\n  everyone +shut\n"
                         r"  until now, by version 1 \(gateway-2.0.0\):\n"
                         r"  canary +shut \[.*\] 2 of 4 well, 1 failed\n")
        rollout, = self.status()["rollouts"]
        self.assertFalse(rollout["binds"])
        self.assertEqual(rollout["before"]["version"], 1)
        self.assertEqual(rollout["before"]["waves"][0]["ok"], 2)
        self.ws.open_gate("canary")
        self.watch()
        said = self.ws.sluice("status").stdout
        self.assertNotIn("until now", said)
        self.assertRegex(said, r"canary +open \[.*\] \d of 4 well")

    def test_who_is_offline_is_so_by_the_time_in_which_boxes_could_be_heard(self):
        """As the watch has it: five hours in which nobody looked may have been ours."""
        self.ws.set(watch=WATCH % ", offline_after: 2h")
        self.box(1).hold()
        for minutes in (0, 50, 100, 400):
            self.ws.clock_s = 60 * minutes
            self.watch()
        self.assertEqual(self.status()["boxes"]["offline"], 0)
        self.ws.clock_s = 60 * 425
        self.assertEqual(self.status()["boxes"]["offline"], 1)

    def test_what_expires_is_shown_and_nothing_is_changed(self):
        self.ws.clock_s = 80 * 86400
        self.assertRegex(self.ws.sluice("status").stdout, r"what expires:\n(  .*\n)*  rollouts due")

    def test_before_anything_is_there_it_says_so(self):
        empty = Workspace(os.path.join(self.base, "empty"), 8443).init()
        self.assertIn("nothing is rolled out\n", empty.sluice("status").stdout)

    def test_boxes_are_listed_by_what_they_said(self):
        self.succeed(1)
        self.go_wrong(2)
        self.box(3).hold()
        self.watch()
        rows = list(csv.DictReader(io.StringIO(self.ws.sluice("boxes", "--csv").stdout)))
        self.assertEqual([(r["name"], r["state"], r["outcome"], r["class"]) for r in rows[:4]],
                         [("gw-01", "confirmed", "ok", "none"),
                          ("gw-02", "idle", "failed", "refused"),
                          ("gw-03", "held", "none", "none"), ("gw-04", "", "", "")])
        self.assertEqual(rows[0]["version"], "2.0.0")

        def named(*args):
            lines = self.ws.sluice("boxes", *args).stdout.splitlines()
            self.assertEqual(lines[-1], f"{max(len(lines) - 2, 0)} boxes")
            return [line.split()[0] for line in lines[1:-1]]

        self.assertEqual(named("--state", "failed"), ["gw-02"])
        self.assertEqual(named("--state", "held"), ["gw-03"])
        self.assertEqual(named("--version", "2.0.0"), ["gw-01"])
        self.assertEqual(named("--offline", "1h"), [f"gw-0{i}" for i in range(4, 9)])
        self.assertEqual(named("--revoked"), [])
        self.ws.revoke_box("gw-08")
        self.assertEqual(named("--revoked"), ["gw-08"])
        for wrong in (("--state", "well"), ("--offline", "1"), ("more",)):
            self.ws.sluice("boxes", *wrong, check=2)

    def test_a_box_is_shown_with_its_history_and_the_log_of_its_last_failure(self):
        self.box(1).fail(log="mounting\nthe disk smokes", detail="no slot to write to")
        self.succeed(1)
        self.watch()
        said = self.ws.sluice("box", "show", "gw-01").stdout
        self.assertIn("gw-01: acme-gw3", said)
        self.assertIn("confirmed, runs 2.0.0", said)
        self.assertRegex(said, r"newest first:\n.* 4 confirmed   ok .*\n.* 3 starting ")
        self.assertIn("its last failure (report 2, refused): no slot to write to\n"
                      "  | mounting\n  | the disk smokes\n", said)
        self.assertIn("never heard of", self.ws.sluice("box", "show", "gw-05").stdout)
        self.assertIn("no box gw-99", self.ws.sluice("box", "show", "gw-99", check=2).stderr)


class Acknowledging(Watched):
    def stop(self, *args):
        return self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--key",
                              self.ws.key("gates"), *args)

    def test_a_stop_says_who_has_acknowledged_and_waits_for_nobody_unasked(self):
        self.box(1).hold()
        said = self.stop().stdout
        self.assertTrue(said.endswith("0 of 8 boxes have acknowledged\n"), said)
        self.assertIn("gw-01@1.json", os.listdir(self.ws.path("spool")))

    def test_a_stop_counts_those_that_acknowledge_while_it_waits(self):
        argv = [self.ws.programs.sluice, "stop", "stable", "--reason", "smoke", "--yes", "--key",
                self.ws.key("gates"), "--wait", "60s", "-w", self.ws.dir]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as stopping:
            stop, = wait_until(self.stops, 30, "the stop is published")
            for box in self.boxes.values():
                box.say("held", stops=[stop["id"]])
            said = stopping.communicate(timeout=30)[0]
        self.assertEqual(stopping.returncode, 0)
        self.assertTrue(said.endswith("8 of 8 boxes have acknowledged\n"), said)

    def test_a_resume_counts_those_that_have_heard_of_it(self):
        first = self.ws.stop("stable")
        for box in self.boxes.values():
            box.say("held", stops=[first])
        said = self.ws.sluice("resume", first, "--yes", "--key", self.ws.key("rollouts"), "--wait",
                              "1s").stdout
        self.assertTrue(said.endswith("0 of 8 boxes have no stop of that id, by what they said "
                                      "last\n"), said)
        for box in self.boxes.values():
            box.hold()
        said = self.ws.sluice("resume", first, "stable", "--yes", "--key",
                              self.ws.key("rollouts"), "--wait", "60s", timeout=30).stdout
        self.assertTrue(said.endswith("8 of 8 boxes have no stop of that id, by what they said "
                                      "last\n"), said)

    def test_a_watch_takes_the_reports_while_somebody_waits(self):
        with Watch(self.ws) as watch:
            watch.wait_for("wait:")
            self.assertIn("0 of 8 boxes", self.stop("--wait", "2s").stdout)

    def test_a_time_that_is_none_stops_nothing(self):
        done = self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--key",
                              self.ws.key("gates"), "--wait", "soon", check=2)
        self.assertIn("--wait", done.stderr)
        self.assertEqual(self.stops(), [])


class Backup(Watched):
    def test_a_backup_has_all_that_is_signed_and_no_secret(self):
        shutil.copy(self.ws.key("gates"), self.ws.path("manifests", "left.key"))
        self.succeed(1)
        with Watch(self.ws) as watch:
            watch.wait_for("wait:")
            said = self.ws.sluice("backup", self.ws.path("..", "kept")).stdout
        kept = os.path.realpath(self.ws.path("..", "kept"))
        self.assertIn("no secret key", said)
        for folder in ("site", "manifests"):
            for where, _, names in os.walk(self.ws.path(folder)):
                for name in set(names) - {"left.key"}:
                    there = os.path.join(where, name)
                    copied = os.path.join(kept, os.path.relpath(there, self.ws.dir))
                    with open(there, "rb") as a, open(copied, "rb") as b:
                        self.assertEqual(a.read(), b.read(), there)
        names = [n for _, _, names in os.walk(kept) for n in names]
        self.assertIn("gates.pub", names)
        self.assertIn("ca.crt", names)
        self.assertIn("crl.pem", names)
        self.assertEqual([n for n in names if n.endswith(".key")], [])
        self.assertEqual(stat.S_IMODE(os.stat(kept).st_mode), 0o700)
        with contextlib.closing(sqlite3.connect(os.path.join(kept, "fleet.db"))) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM box").fetchall(), [(8,)])
            self.assertEqual(db.execute("SELECT count(*) FROM report").fetchall(), [(2,)])
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertIn("making the new folder", self.ws.sluice("backup", kept, check=1).stderr)

    def restore(self, kept):
        """Puts a backup where nothing is, and beside it what its people keep elsewhere."""
        place = tempfile.mkdtemp(dir=self.base)
        shutil.copytree(kept, place, dirs_exist_ok=True)
        for folder, ending in (("keys", ".key"), ("tls", ".key")):
            for name in os.listdir(self.ws.path(folder)):
                if name.endswith(ending):
                    shutil.copy(self.ws.path(folder, name), os.path.join(place, folder))
        return Workspace(place, self.ws.port)

    def test_a_backup_in_an_empty_place_is_a_workspace(self):
        self.succeed(1)
        self.watch()
        self.ws.sluice("backup", self.ws.path("..", "whole"))
        restored = self.restore(self.ws.path("..", "whole"))
        self.assertIn("version 1", restored.sluice("status").stdout)
        before = restored.metadata("timestamp")["signed"]["version"]
        restored.publish()
        self.assertEqual(restored.metadata("timestamp")["signed"]["version"], before + 1)
        # The fleet goes on where it was: who had reported is known, and the next report is taken.
        self.assertEqual(stat.S_IMODE(os.stat(restored.path("spool")).st_mode), 0o2770)
        self.box(5).workspace = restored
        self.box(5).say("idle")
        restored.sluice("watch", "--once")
        with contextlib.closing(sqlite3.connect(restored.path("fleet.db"))) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM report").fetchall(), [(3,)])

    def test_a_backup_follows_a_site_on_another_disk_and_says_what_it_leaves_out(self):
        disk = tempfile.mkdtemp(dir=self.base)
        for folder in ("site/targets", "site"):
            there = os.path.join(disk, os.path.basename(folder))
            shutil.move(self.ws.path(folder), there)
            os.symlink(there, self.ws.path(folder))
        kept = os.path.join(disk, "kept")
        self.ws.sluice("backup", kept)
        self.assertEqual(sorted(os.listdir(os.path.join(kept, "site", "targets"))),
                         sorted(os.listdir(self.ws.path("site", "targets"))))
        self.assertFalse(os.path.islink(os.path.join(kept, "site")))
        self.assertIn("version 1", self.restore(kept).sluice("status").stdout)
        os.symlink(disk, self.ws.path("manifests", "shared"))
        os.symlink("nowhere", self.ws.path("incoming", "late.json"))
        done = self.ws.sluice("backup", kept + "-2", check=1)
        self.assertIn("manifests/shared is a link\n", done.stderr)
        self.assertIn("incoming/late.json is a link that leads nowhere\n", done.stderr)
        self.assertIn("is not whole: 2 left out", done.stderr)


if __name__ == "__main__":
    unittest.main()
