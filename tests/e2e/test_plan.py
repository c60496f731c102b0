"""`sluice plan`: who gets what by a plan, when, and why one box does or does not."""
import contextlib
import hashlib
import json
import os
import sqlite3
import unittest

from fleet import Programs, run
from fleet.case import FolderCase, PlanCase

PLAN = """rollout: gateway-2.4.0
bundle: gateway-2.4.0.ota
compatible: [acme-gw3]
from: [">=2.1.0"]
match: {site: [lyon, paris]}
exclude: [gw-000017]
waves:
  - {name: canary, boxes: [gw-000001, gw-000002], soak: 4h}
  - {name: early, percent: 5, soak: 24h}
  - {name: most, percent: 90}
"""
WINDOW = 'window: {days: [sat, sun], hours: "02:00-05:00", clock: utc, spread: 1h}\n'


def scaled(salt, box, count):
    text = f"{salt}\0gateway-2.4.0\0{box}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") * count >> 64


def wave_of(box):
    bucket = scaled("sluice-bucket-v1", box, 10000)
    return "early" if bucket < 500 else "most" if bucket < 9000 else None


class Inventory(FolderCase):
    """Boxes from a file: no workspace, no fleet."""

    def setUp(self):
        super().setUp()
        self.boxes = self.write("boxes.csv", "name,compatible,version,site\r\n" + "".join(
            f"gw-{n:06d},{'acme-gw9' if n % 50 == 0 else 'acme-gw3'},"
            f"{'2.0.9' if n % 40 == 1 else '2.3.9'},{('lyon', 'paris', 'nice')[n % 3]}\r\n"
            for n in range(1, 3001)))

    def plan(self, *options, text=PLAN, check=0, boxes=None):
        return run([Programs().sluice, "plan", self.write("stable.yaml", text), "--inventory",
                    boxes or self.boxes, *options], check=check, cwd=self.folder)

    def figures(self, **kwargs):
        return json.loads(self.plan("--json", **kwargs).stdout)

    def test_every_box_is_in_the_wave_that_the_rules_say_or_in_none(self):
        waves = {"canary": 0, "early": 0, "most": 0, None: 0}
        why = {"excluded": 0, "not_compatible": 0, "not_matched": 0, "not_from": 0}
        for n in range(1, 3001):
            name = f"gw-{n:06d}"
            if n == 17:
                why["excluded"] += 1
            elif n % 50 == 0:
                why["not_compatible"] += 1
            elif n % 3 == 2:
                why["not_matched"] += 1
            elif n % 40 == 1:
                why["not_from"] += 1
            else:
                waves["canary" if n <= 2 else wave_of(name)] += 1
        got = self.figures()
        self.assertEqual(got["boxes"], 3000)
        self.assertEqual({w["name"]: w["boxes"] for w in got["waves"]},
                         {k: v for k, v in waves.items() if k})
        left_out = dict(got["left_out"])
        self.assertEqual(left_out.pop("no_wave"), waves[None])
        self.assertEqual(left_out, why)
        self.assertEqual(got["in_none"], sum(why.values()) + waves[None])
        self.assertNotIn("gate", got["waves"][0])

    def test_the_table_has_a_bar_for_each_wave(self):
        text = self.plan(text=PLAN + WINDOW + "start: 2099-12-01T02:00:00Z\nbudget: 3MiB\n").stdout
        lines = text.split("\n")
        self.assertIn("gateway-2.4.0: bundles/gateway-2.4.0.ota by rollouts/stable.json", lines[0])
        # gw-000001 runs what the plan does not start from, gw-000002 is in Nice.
        self.assertRegex(text, r"(?m)^  canary +0   0\.00%$")
        self.assertRegex(text, r"(?m)^  early +\d+ +\d\.\d\d%  #+$")
        self.assertRegex(text, r"(?m)^  in none +\d+ +\d+\.\d\d%  #+$")
        self.assertRegex(text, r"(?m)^    1: excluded$")
        self.assertIn("3000 boxes of", text)
        self.assertIn("not before 2099-12-01T02:00:00Z", text)
        self.assertIn("starts sat, sun 02:00-05:00 UTC, each box at a time of its own in the "
                      "first 60 minutes", text)
        self.assertIn("at most 3.0 MiB a box", text)

    def test_one_box_is_told_its_wave_and_its_turn(self):
        box = next(f"gw-{n:06d}" for n in range(3, 3001) if n % 3 != 2 and n % 40 != 1
                   and n % 50 and wave_of(f"gw-{n:06d}") == "early")
        offset = scaled("sluice-spread-v1", box, 3600)
        text = self.plan("--box", box, text=PLAN + WINDOW).stdout
        bucket = scaled("sluice-bucket-v1", box, 10000)
        self.assertIn(f"{box} is in wave early of gateway-2.4.0: its bucket is "
                      f"{bucket // 100}.{bucket % 100:02d}%, and early goes up to 5.00%", text)
        self.assertIn(f"its turn is {offset // 60}m {offset % 60:02d}s behind the opening, at "
                      f"02:{offset // 60:02d}:{offset % 60:02d}", text)
        self.assertIn("not known without a workspace", text)
        got = json.loads(self.plan("--box", box, "--json", text=PLAN + WINDOW).stdout)
        self.assertEqual((got["wave"], got["offset_s"], got["may_start"]), ("early", offset, False))
        self.assertRegex(got["turn"], rf"T02:{offset // 60:02d}:{offset % 60:02d}Z$|T0[234]:")
        local = json.loads(self.plan("--box", box, "--json",
                                     text=PLAN + WINDOW.replace("utc", "local")).stdout)
        self.assertNotIn("turn", local)

    def test_one_box_in_none_is_told_why(self):
        for box, says in (("gw-000017", "`exclude` names it"),
                          ("gw-000050", "it is acme-gw9, and the plan is for acme-gw3"),
                          ("gw-000002", "its tag site is nice, and the plan is for lyon, paris"),
                          ("gw-000001", "it runs 2.0.9, and the plan is for >=2.1.0")):
            with self.subTest(box=box):
                text = self.plan("--box", box).stdout
                self.assertEqual(text, f"{box} is in no wave of gateway-2.4.0: {says}\n")
        out = next(f"gw-{n:06d}" for n in range(3, 3001) if n % 3 != 2 and n % 40 != 1
                   and n % 50 and n != 17 and wave_of(f"gw-{n:06d}") is None)
        self.assertIn("where waves end at 90.00%", self.plan("--box", out).stdout)
        bare = self.write("bare.csv", "name,compatible\nb,acme-gw3\n")
        self.assertIn("it has no tag site", self.plan("--box", "b", boxes=bare).stdout)
        anywhere = PLAN.replace("match: {site: [lyon, paris]}\n", "")
        self.assertIn("what it runs is not known",
                      self.plan("--box", "b", boxes=bare, text=anywhere).stdout)

    def test_what_makes_no_sense_is_refused(self):
        self.assertIn("no box gw-9", self.plan("--box", "gw-9", check=2).stderr)
        wrong = self.write("wrong.csv", "name,compatible\ngw-1,acme-gw3\ngw-1,acme-gw3\n")
        self.assertIn("wrong.csv:3: gw-1 is there twice", self.plan(boxes=wrong, check=1).stderr)
        recall = PLAN + "recall: gateway-2.3.9.ota\n"
        self.assertIn("give a workspace", self.plan(text=recall, check=1).stderr)
        self.assertIn("one plan's file", run([Programs().sluice, "plan"], check=2).stderr)


class Fleet(PlanCase):
    """Boxes from fleet.db, beside what is published."""

    def plan(self, path, *options, **kwargs):
        return self.ws.sluice("plan", path, *options, **kwargs).stdout

    def one(self, path, box="gw-000001"):
        return json.loads(self.plan(path, "--box", box, "--json"))

    def said(self, box, **row):
        """What a box, by its number in fleet.db, has reported last."""
        self.put("known", box=box, compatible="acme-gw3", tags="{}", heard_s=1, **row)

    def put(self, table, **row):
        db = sqlite3.connect(self.ws.path("fleet.db"))
        columns = {r[1]: 0 if r[2] == "INTEGER" else "" for r in
                   db.execute(f"PRAGMA table_info({table})") if r[1] != "id"}
        row = {**columns, **row}
        db.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({','.join('?' * len(row))})",
                   list(row.values()))
        db.commit()
        db.close()

    def test_a_box_waits_for_what_is_not_done_yet_and_then_may_start(self):
        waves = [("canary", ["gw-000001"]), ("everyone", "100%")]
        path = self.ws.plan(self.bundles[1], waves)
        self.ws.add_box("gw-000001")
        self.ws.add_box("gw-000002")
        self.ws.add_box("gw-000003")
        self.ws.revoke_box("gw-000003")
        self.assertIn("not published", self.one(path)["verdict"])
        self.ws.release(self.bundles[1])
        self.assertIn("; not published", self.plan(path))
        self.ws.publish_plan(path)
        self.assertIn("wave canary is not open", self.one(path)["verdict"])
        self.ws.open_gate("canary")
        text = self.plan(path)
        self.assertIn("; published\n", text)
        self.assertRegex(text, r"(?m)^  canary +open +1  50\.00%")
        self.assertRegex(text, r"(?m)^  everyone +shut +1  50\.00%")
        self.assertIn("2 boxes of fleet.db; beside them 1 are revoked and 0 follow", text)
        got = self.one(path)
        self.assertEqual((got["may_start"], got["verdict"]), (True, "it may start"))
        self.assertFalse(self.one(path, "gw-000002")["may_start"])
        self.assertIn("it is revoked", self.plan(path, "--box", "gw-000003"))
        stop = self.ws.stop("stable", reason="smoke")
        self.assertIn("is stopped: smoke", self.one(path)["verdict"])
        self.ws.resume(stop)
        self.assertTrue(self.one(path)["may_start"])
        stop = self.ws.stop(reason="all of it")
        self.assertIn("stopped: all of it", self.one(path)["verdict"])
        self.ws.resume(stop)
        self.assertTrue(self.one(path)["may_start"])
        later = self.ws.plan(self.bundles[1], waves, start="2099-01-01T00:00:00Z")
        self.assertIn("differs from this file", self.one(later)["verdict"])
        self.ws.publish_plan(later)
        self.ws.open_gate("canary")
        got = self.one(later)
        self.assertIn("waits for the plan's start, 2099", got["verdict"])
        self.assertEqual((got["may_start"], got["turn"]), (False, "2099-01-01T00:00:00Z"))

    def test_a_box_that_refuses_the_release_is_told_why(self):
        waves = [("everyone", "100%")]
        self.ws.add_box("gw-000001")
        self.ws.release(self.bundles[1])
        path = self.ws.plan(self.bundles[1], waves)
        self.ws.publish_plan(path)
        self.ws.open_gate("everyone")
        self.said(1, version="2.3.9", rollback_floor=1)
        listed = self.ws.metadata("releases")["signed"]["targets"]["bundles/gateway-2.4.0.ota"]
        failed = {"box": 1, "attempt": 1, "outcome": "failed",
                  "bundle_sha256": listed["custom"]["manifest"]["sha256"]}
        # What may be mended it tries again; and nothing that befell another release.
        self.put("report", seq=1, **{**failed, "class": "untrusted"})
        self.put("report", seq=2, **{**failed, "outcome": "reverted", "bundle_sha256": "5" * 64})
        self.assertTrue(self.one(path)["may_start"])
        for seq, how in ((3, {"class": "limit"}), (4, {"outcome": "reverted"})):
            self.put("report", seq=seq, detail=f"smoke {seq}", **{**failed, **how})
            got = self.one(path)
            self.assertFalse(got["may_start"])
            self.assertEqual(got["verdict"], f"gateway 2.4.0 failed there before (smoke {seq}); "
                                             "attempt 2 of the plan would try it again")
        again = self.ws.plan(self.bundles[1], waves, attempt=2)
        self.ws.publish_plan(again)
        self.ws.open_gate("everyone")
        self.assertTrue(self.one(again)["may_start"])
        with contextlib.closing(sqlite3.connect(self.ws.path("fleet.db"))) as db, db:
            db.execute("UPDATE known SET rollback_floor = 2")
        self.assertEqual(self.one(again)["verdict"], "gateway 2.4.0 has rollback index 1, and it "
                                                     "takes none below 2")

    def test_a_recall_is_for_boxes_that_run_what_is_recalled(self):
        path = self.ws.plan(self.bundles[0], [("everyone", "100%")],
                            recall="gateway-2.4.0.ota")
        self.ws.add_box("gw-000001")
        self.ws.add_box("gw-000002")
        self.ws.release(self.bundles[0])
        self.assertIn("gateway-2.4.0.ota is not released",
                      self.ws.sluice("plan", path, check=1).stderr)
        self.assertIn("recall: bundles/gateway-2.4.0.ota is not released",
                      self.ws.sluice("rollout", "publish", path, "--key",
                                     self.ws.key("rollouts"), "--yes", check=1).stderr)
        self.ws.release(self.bundles[1])
        listed = self.ws.metadata("releases")["signed"]["targets"]["bundles/gateway-2.4.0.ota"]
        manifest = listed["custom"]["manifest"]["sha256"]
        boxes = self.ws.write("boxes.csv", "name,compatible,running_sha256\n"
                              f"gw-000001,acme-gw3,{manifest}\ngw-000002,acme-gw3,\n"
                              f"gw-000003,acme-gw3,{'5' * 64}\n")
        got = json.loads(self.plan(path, "--inventory", boxes, "--json"))
        self.assertEqual(got["waves"][0]["boxes"], 1)
        self.assertEqual(got["left_out"], {"not_recalled": 2})
        self.assertIn("not known to run bundles/gateway-2.4.0.ota",
                      self.plan(path, "--inventory", boxes, "--box", "gw-000002"))
        self.said(2, running=manifest, version="2.4.0", plan="rollouts/stable.json")
        self.assertEqual(json.loads(self.plan(path, "--json"))["waves"][0]["boxes"], 1)
        self.assertIn("gw-000002 is in wave everyone", self.plan(path, "--box", "gw-000002"))
        self.ws.publish_plan(path)
        self.assertEqual(self.ws.target("rollouts/stable.json")["recall"],
                         {"path": "bundles/gateway-2.4.0.ota", "manifest_sha256": manifest})

    def test_a_budget_below_the_head_is_refused(self):
        self.ws.release(self.bundles[1])
        path = self.ws.plan(self.bundles[1], [("everyone", "100%")], budget="100")
        done = self.ws.sluice("rollout", "publish", path, "--key", self.ws.key("rollouts"),
                              "--yes", check=1)
        self.assertIn("the budget of 100 bytes is less than the head", done.stderr)

    def test_what_boxes_say_last_counts(self):
        """A box that follows another plan is not asked; the fleet is read, never written."""
        path = self.ws.plan(self.bundles[1], [("everyone", "100%")])
        os.rename(self.ws.path("fleet.db"), self.ws.path("fleet.old"))
        self.assertIn("no boxes are known here", self.ws.sluice("plan", path, check=1).stderr)
        os.rename(self.ws.path("fleet.old"), self.ws.path("fleet.db"))
        for n in range(3):
            self.ws.add_box(f"gw-00000{n}")
        self.said(1, plan="rollouts/other.json", version="2.0")
        got = json.loads(self.plan(path, "--json"))
        self.assertEqual((got["boxes"], got["elsewhere"]), (2, 1))
        self.assertIn("it follows rollouts/other.json", self.plan(path, "--box", "gw-000000"))


if __name__ == "__main__":
    unittest.main()
