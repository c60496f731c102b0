"""Keys change hands in one command, and are taken out of every role."""
import json
import os
import pty
import shutil
import subprocess
import unittest

from machines import Machines
from publishing import SLUICE


class Rotation(Machines):
    """All keys at hand, in one command."""

    def setUp(self):
        super().setUp()
        self.root_init()
        self.role_add("releases")

    def rotate(self, *args, code=0):
        return self.sluice("root", "rotate", "--key", self.key("root1"), "--key",
                           self.key("root2"), "--yes", *args, code=code)

    def test_root_is_renewed_as_it_is(self):
        before = self.walk()["root"]
        done = self.rotate("--expires", "2031-01-01")
        self.assertIn("Nothing else changes", done.stdout)
        after = self.walk()["root"]
        self.assertEqual((after["version"], after["expires"]), (2, "2031-01-01T00:00:00Z"))
        self.assertEqual(after["roles"], before["roles"])

    def test_root_passes_to_others_in_one_command(self):
        self.rotate("--root", self.key("other"), "--threshold", "1")
        root = self.walk()["root"]
        self.assertEqual(root["version"], 2)
        self.assertEqual(root["roles"]["root"],
                         {"keyids": [self.secret("other")[0]], "threshold": 1})
        self.assertEqual(len(root["keys"]), 4)
        # The old holders are out.
        done = self.rotate("--expires", "30d", code=1)
        self.assertIn("has no say here", done.stderr)
        self.assertEqual(self.incoming() + os.listdir(self.path("drafts")), [])

    def test_one_of_two_old_keys_does_not_do(self):
        self.sluice("root", "rotate", "--root", self.key("other"), "--threshold", "1", "--key",
                    self.key("root1"), "--yes")
        self.assertEqual(self.walk()["root"]["version"], 1)
        self.assertEqual(self.incoming(), ["root.json"])
        # The second comes later, to the same place.
        self.sluice("root", "rotate", "--root", self.key("other"), "--threshold", "1", "--key",
                    self.key("root2"), "--yes")
        self.assertEqual(self.walk()["root"]["version"], 2)

    def test_new_targets_keys_take_delegations_along(self):
        before = self.walk()["targets"]
        self.rotate("--targets", self.key("targets2"))
        site = self.walk()
        self.assertEqual(site["root"]["version"], 2)
        self.assertEqual(site["targets"]["version"], before["version"] + 1)
        self.assertEqual(site["targets"]["delegations"], before["delegations"])

    def test_new_targets_keys_elsewhere_hold_the_root_back(self):
        done = self.rotate("--targets", self.key("anna", "pub"))
        self.assertIn("metadata stage targets", done.stdout)
        self.assertIn("published together", done.stderr)
        self.assertEqual(self.walk()["root"]["version"], 1)
        self.ceremony("targets", "anna")
        site = self.walk()
        self.assertEqual(site["root"]["version"], 2)
        self.assertEqual(len(site["targets"]["delegations"]["roles"]), 1)
        self.assertEqual(os.listdir(self.path("drafts")), [])

    def test_keys_of_a_root_that_waits_go_on_from_what_is_in_force(self):
        """Not from an empty list, though it was former keys that signed it."""
        self.rotate("--targets", self.key("targets2", "pub"))
        os.unlink(self.path("drafts/targets.json"))
        self.sluice("role", "add", "gates", "--member", self.key("other", "pub"), "--threshold",
                    "1", "--key", self.key("targets2"))
        site = self.walk()
        self.assertEqual(site["root"]["version"], 2)
        self.assertEqual([r["name"] for r in site["targets"]["delegations"]["roles"]],
                         ["releases", "gates"])

    def test_a_targets_json_that_cannot_follow_holds_the_root_back(self):
        """Signed by the right keys, but refused after the root: boxes would accept nothing."""
        self.rotate("--targets", self.key("targets2"), "--no-publish")
        with open(self.path("incoming/targets.json"), encoding="utf-8") as f:
            signed = json.load(f)["signed"]
        for change in ({"version": 5}, {"expires": "2001-01-01T00:00:00Z"}, {"targets": {
                "x": {"length": 5, "hashes": {"sha256": "00" * 32}}}}):
            self.drop_in("targets", {**signed, **change}, "targets2")
            done = self.sluice("publish")
            self.assertIn("published together", done.stderr)
            self.assertEqual(self.walk()["root"]["version"], 1)
        self.drop_in("targets", signed, "targets2")
        self.sluice("publish")
        self.assertEqual(self.walk()["root"]["version"], 2)

    def test_new_online_keys_wait_for_workspace_yaml_and_stop_nobody(self):
        done = self.rotate("--timestamp", self.key("other", "pub"))
        self.assertIn("workspace.yaml", done.stderr)
        self.assertEqual(self.walk()["root"]["version"], 1)
        self.role_add("gates", member="other")  # goes out meanwhile
        self.assertEqual(len(self.walk()["targets"]["delegations"]["roles"]), 2)
        path = self.path("workspace.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.assertIn("keys/timestamp.key", text)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("keys/timestamp.key", "keys/other.key"))
        self.sluice("publish")
        self.assertEqual(self.walk()["root"]["version"], 2)

    def test_a_threshold_that_nobody_can_reach_is_refused(self):
        self.rotate("--threshold", "3", code=2)
        self.rotate("--root", self.key("other"), code=2)  # the threshold is 2 still
        self.assertEqual(self.incoming(), [])

    def test_who_signs_must_be_said_once(self):
        done = self.sluice("root", "rotate", code=2)
        self.assertIn("--draft", done.stderr)
        self.rotate("--draft", code=2)

    def test_a_signer_is_asked(self):
        done = self.sluice("root", "rotate", "--key", self.key("root1"), code=2)
        self.assertIn("give --yes", done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_the_terminals_answer_counts(self):
        for answer, left in (("n\n", []), ("y\n", ["root.json"])):
            pid, fd = pty.fork()
            if pid == 0:
                os.execv(SLUICE, [SLUICE, "root", "rotate", "--key", self.key("root1"), "-w",
                                  self.dir, "--no-publish"])
            os.write(fd, answer.encode())
            try:
                while os.read(fd, 4096):
                    pass
            except OSError:
                pass
            os.waitpid(pid, 0)
            os.close(fd)
            self.assertEqual(self.incoming(), left)


class Listed(Machines):
    def test_a_key_that_is_listed_twice_is_one(self):
        self.root_init()
        root = self.walk()["root"]
        root["version"] = 2
        root["roles"]["root"]["keyids"] *= 2
        self.drop_in("root", root, "root1", "root2")
        self.assertIn("root: 2 of 2 keys", self.shown("show", self.path("incoming/root.json")))
        self.sluice("publish")
        self.assertEqual(self.walk()["root"]["version"], 2)
        lines = self.sluice("role", "list").stdout.splitlines()
        self.assertRegex(lines[0], "^root +2 of 2 ")
        self.assertRegex(lines[3], "^targets ")
        report = json.loads(self.sluice("doctor", "--json", code=None).stdout)
        self.assertEqual([len(r["keys"]) for r in report["roles"] if r["name"] == "root"], [2])
        self.stage_rotation()

    def shown(self, *args):
        return subprocess.run([SLUICE, *args], check=True, capture_output=True, text=True).stdout

    def stage_rotation(self):
        self.sluice("root", "rotate", "--expires", "500d", "--draft")
        self.sluice("metadata", "stage", "root", "-o", self.path("request.json"))
        said = self.shown("metadata", "show", self.path("request.json"))
        self.assertIn("needs 2 of 2 keys", said)


class Revocation(Machines):
    def setUp(self):
        super().setUp()
        self.root_init()
        self.sluice("role", "add", "releases", "--member", self.key("releases", "pub"),
                    "--member", self.key("anna", "pub"), "--threshold", "1", "--key",
                    self.key("targets"))

    def revoke(self, *args, code=0):
        return self.sluice("key", "revoke", *args, "--key", self.key("root1"), "--key",
                           self.key("root2"), "--key", self.key("targets"), "--yes", code=code)

    def test_a_key_is_replaced_wherever_it_is(self):
        self.sluice("role", "add", "gates", "--member", self.key("targets", "pub"),
                    "--threshold", "1", "--key", self.key("targets"))
        done = self.sluice("key", "revoke", self.key("targets", "pub"), "--replace-by",
                           self.key("targets2", "pub"), "--key", self.key("root1"), "--key",
                           self.key("root2"), "--key", self.key("targets2"), "--yes")
        self.assertIn("published root, version 2", done.stdout)
        site = self.walk()
        old, new = self.secret("targets")[0], self.secret("targets2")[0]
        self.assertNotIn(old, site["root"]["keys"])
        self.assertEqual(site["root"]["roles"]["targets"]["keyids"], [new])
        self.assertEqual(site["targets"]["delegations"]["roles"][1]["keyids"], [new])
        self.assertNotIn(old, site["targets"]["delegations"]["keys"])

    def test_a_delegated_key_goes_by_its_id(self):
        self.revoke(self.keyid("anna")[:12])
        site = self.walk()
        self.assertEqual(site["root"]["version"], 1)
        self.assertEqual(site["targets"]["delegations"]["roles"][0]["keyids"],
                         [self.secret("releases")[0]])

    def test_a_role_is_not_left_below_its_threshold(self):
        done = self.revoke(self.key("root1", "pub"), code=1)
        self.assertIn("--replace-by", done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_what_is_in_no_role_or_no_key_is_said(self):
        self.assertIn("in no role", self.revoke(self.key("other", "pub"), code=2).stderr)
        self.revoke("0123", code=2)
        self.revoke("zzzzzzzzzz", code=2)

    def test_what_a_revoked_key_signed_is_taken_over_in_the_open(self):
        staged = self.path("incoming/targets/bundles")
        os.makedirs(staged)
        with open(os.path.join(staged, "x-1.ota"), "w", encoding="ascii") as f:
            f.write("hello")
        self.drop_in("releases", {
            "_type": "targets", "spec_version": "1.0.34", "version": 1,
            "expires": "2099-01-01T00:00:00Z", "targets": {"bundles/x-1.ota": {
                "length": 5, "hashes": {"sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa74"
                                                  "25e73043362938b9824"}}}}, "releases")
        self.sluice("publish")
        self.assertIn("bundles/x-1.ota", self.walk()["releases"]["targets"])
        done = self.revoke(self.key("releases", "pub"))
        self.assertIn("boxes refuse what it says", done.stderr)
        shutil.copy(self.at("anna", "anna.key"), self.path("keys"))
        done = self.sluice("metadata", "renew", "releases", "--key", self.key("anna"), "--yes")
        self.assertIn("+ bundles/x-1.ota", done.stdout)
        self.assertIn("nothing is in force", done.stdout)
        releases = self.walk()["releases"]
        self.assertEqual(releases["version"], 2)
        self.assertEqual(releases["targets"]["bundles/x-1.ota"]["length"], 5)


if __name__ == "__main__":
    unittest.main()
