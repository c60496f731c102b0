"""What `sluice doctor` says of metadata that is not published yet, and that it only looks."""
import glob
import hashlib
import json
import os
import unittest

from examining import Case, key_new
from examining import begin_bare as setUpModule  # noqa: F401
from examining import end as tearDownModule  # noqa: F401


class Waiting(Case):
    def waiting(self, check=0):
        """{role: row} of what is not published."""
        return {row["role"]: row for row in self.report(check=check)["incoming"]}

    def gates_of_two(self):
        """Gates need two of three signatures; both of the first two are here."""
        for name in ("gates-2", "gates-3"):
            key_new(self.ws, name)
        self.from_safe("targets")
        self.ws.sluice("role", "change", "gates", "--member", self.ws.path("keys/gates.pub"),
                       "--member", self.ws.path("keys/gates-2.pub"), "--member",
                       self.ws.path("keys/gates-3.pub"), "--threshold", 2, "--key",
                       self.ws.key("targets"), *self.asks)
        os.unlink(self.ws.key("targets"))

    def stop(self, key):
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--key", self.ws.key(key), "--yes",
                       check=None)

    def test_nothing_waits_and_nothing_is_said(self):
        self.assertEqual(self.waiting(), {})
        self.assertNotIn("Not published", self.doctor().stdout)

    def test_half_signed_is_told_with_who_may_still_sign(self):
        self.gates_of_two()
        self.stop("gates")
        text = self.doctor(check=None).stdout
        row = self.waiting(check=None)["gates"]
        self.assertEqual(row["state"], "waiting")
        self.assertEqual(row["version"], self.ws.metadata("gates")["signed"]["version"] + 1)
        self.assertEqual(row["signatures"], [{"keys": "its role's", "needs": 2, "by": ["gates"],
                                              "missing": ["gates-2", "gates-3"]}])
        self.assertRegex(text, r"(?m)^Not published yet:\n  gates \d+: waiting: .*1 of 2")
        self.assertIn("    its role's keys: 1 of 2 by gates; missing: gates-2 or gates-3\n", text)

    def test_a_root_lacks_signatures_of_the_old_keys_and_of_its_own(self):
        self.from_safe("root-1")
        key_new(self.ws, "root-4", *self.asks)
        self.ws.sluice("root", "rotate", "--root", self.ws.path("keys/root-1.pub"), "--root",
                       self.ws.path("keys/root-2.pub"), "--root",
                       self.ws.path("keys/root-4.pub"), "--threshold", 2, "--draft")
        row = self.waiting()["root"]
        self.assertEqual((row["state"], row["why"]), ("draft", "nobody has signed it yet"))
        request = self.ws.path("root-1.json")
        self.ws.sluice("metadata", "stage", "root", "-o", request)
        self.ws.sluice("metadata", "sign", request, "--key", self.ws.key("root-1"), "--root",
                       self.ws.path("site/metadata/1.root.json"), "--yes")
        self.ws.sluice("metadata", "merge", request, check=None)
        row = self.waiting()["root"]
        self.assertEqual(row["state"], "waiting")
        self.assertEqual([(s["keys"], s["by"], s["missing"]) for s in row["signatures"]],
                         [("root's", ["root-1"], ["root-2", "root-3"]),
                          ("its own", ["root-1"], ["root-2", "root-4"])])

    def test_what_would_be_published_is_ready_and_nothing_of_it_is(self):
        self.ws.sluice("gate", "pause", "stable", "--key", self.ws.key("gates"), "--no-publish")
        before = glob.glob(self.ws.path("site/**"), recursive=True)
        row = self.waiting()["gates"]
        self.assertEqual((row["state"], row["why"]), ("ready", ""))
        self.assertEqual(glob.glob(self.ws.path("site/**"), recursive=True), before)
        self.ws.publish()
        self.assertEqual(self.waiting(), {})

    def test_what_is_refused_is_a_finding_with_its_reason(self):
        signed = self.ws.metadata("gates")["signed"]
        signed["version"] += 5
        self.ws.sign_by_hand("gates", signed)
        self.assertEqual(self.waiting()["gates"]["state"], "refused")
        self.assertIn("must follow", self.waiting()["gates"]["why"])
        self.assertIn("incoming/gates.json is refused: ", " ".join(self.problems()))
        with open(self.ws.path("incoming/releases.json"), "w", encoding="ascii") as f:
            f.write("{")
        self.assertEqual(self.waiting()["releases"]["state"], "refused")

    def test_a_gate_that_takes_a_stop_back_is_seen_before_it_is_copied(self):
        self.stop("gates")
        signed = self.ws.metadata("gates")["signed"]
        signed["version"] += 1
        path = "gates/stable.json"
        gate = json.dumps({**self.ws.target(path), "stops": []}).encode()
        digest = hashlib.sha256(gate).hexdigest()
        signed["targets"][path] = {"length": len(gate), "hashes": {"sha256": digest}}
        self.ws.sign_by_hand("gates", signed)
        staged = self.ws.path("incoming/targets", path)
        self.assertIn("its content is not there", self.waiting()["gates"]["why"])
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        with open(staged, "wb") as f:
            f.write(gate)
        self.assertIn("which nobody has lifted", self.waiting()["gates"]["why"])
        with open(staged, "ab") as f:
            f.write(b" ")
        self.assertIn("is not what was signed", self.waiting()["gates"]["why"])


if __name__ == "__main__":
    unittest.main()
