"""Stolen keys from the safe: one of two root keys, one of two targets keys, and the only one."""
import copy
import json
import os
import unittest

from fleet.key import Key
from forge import ROLES, envelope
from siege import EVIL, NEW
from theft import ALL, CANARY, UPDATES, WAITS, Theft


class Offline(Theft):
    """Root has two keys and needs both."""

    @classmethod
    def ceremony(cls):
        ws = cls.workspace
        for name in (*ROLES, "root2"):
            ws.new_key(name)
        ws.sluice("root", "init", "--root", ws.key("root"), "--root", ws.key("root2"),
                  "--threshold", 2, "--targets", ws.key("targets"), "--snapshot",
                  ws.key("snapshot"), "--timestamp", ws.key("timestamp"))
        for role in ("releases", "rollouts", "gates"):
            ws.sluice("role", "add", role, "--member", ws.path("keys", role + ".pub"),
                      "--threshold", 1, "--key", ws.key("targets"))

    def setUp(self):
        super().setUp()
        self.stolen = self.forger.keys["root"]
        self.root_keys = [self.stolen, Key(self.workspace.key("root2"))]

    def root_with(self, edit):
        root = self.forger.next("root")
        edit(root)
        return root

    def give(self, root, role, *keys, threshold=1):
        root["keys"].update({key.id: key.public for key in keys})
        root["roles"][role] = {"keyids": [key.id for key in keys], "threshold": threshold}


class RootKey(Offline):
    """One of two: it makes no root, and a root is all that its kind signs."""

    def refuse_root(self, signed, signatures, why="root.* 1 of 2 signatures needed"):
        self.begin_again()
        name = f"{self.forger.docs['root']['version'] + 1}.root.json"
        self.forger.write(name, envelope(signed, signatures))
        self.assert_refused(why, "root")
        os.unlink(self.forger.metadata_path(name))
        self.assert_decides(WAITS)

    def test_alone_it_makes_no_root(self):
        evil = self.stranger()
        roots = {
            "timestamp keys of its own": lambda r: self.give(r, "timestamp", evil),
            "a threshold of one": lambda r: self.give(r, "root", self.stolen),
            "a friend for the second key": lambda r: self.give(r, "root", self.stolen, evil,
                                                               threshold=2)}
        for what, edit in roots.items():
            with self.subTest(what):
                root = self.root_with(edit)
                self.refuse_root(root, [self.stolen.signature(root), evil.signature(root)])

    def test_it_counts_once_however_often_it_signs(self):
        """Twice under its id, and under the other key's id."""
        root = self.root_with(lambda root: self.give(root, "timestamp", self.stranger()))
        own = self.stolen.signature(root)
        self.refuse_root(root, [own, dict(own)], "root: the key id .* signs more than once")
        other = {**own, "keyid": self.root_keys[1].id}
        self.refuse_root(root, [own, other])

    def test_the_publisher_lets_it_wait_for_the_other_one(self):
        root = self.root_with(lambda root: self.give(root, "timestamp", self.stranger()))
        with open(self.workspace.path("incoming", "root.json"), "wb") as f:
            f.write(envelope(root, [self.stolen.signature(root)]))
        done = self.workspace.publish()
        self.assertIn("root waits in incoming/", done.stderr)
        self.assertFalse(os.path.exists(self.forger.metadata_path("2.root.json")))
        self.assert_decides(WAITS)

    def test_it_signs_nothing_else(self):
        self.assert_signs_nothing_else("root", "timestamp", "snapshot", "targets", "releases",
                                       "rollouts", "gates")

    def test_both_replace_it_and_it_is_worth_nothing_from_then_on(self):
        new = self.new_role_key("root")
        keys = [self.root_keys[1], new]
        root = self.root_with(lambda root: self.give(root, "root", *keys, threshold=2))
        self.forger.publish_root(root, *self.root_keys, new)
        self.assert_decides(WAITS)
        self.assertEqual(self.box_root()["version"], 2)
        evil = self.root_with(lambda root: self.give(root, "root", self.stolen))
        self.forger.publish_root(evil, *self.root_keys)
        self.assertRegex(self.check(1), "root.* 1 of 2 signatures needed")
        self.assertEqual(self.box_root()["version"], 2)
        os.unlink(self.forger.metadata_path("3.root.json"))
        self.workspace.open_gate(ALL)
        self.assert_installs()

    def box_root(self):
        with open(self.box.path("state", "metadata", "root.json"), encoding="utf-8") as f:
            return json.load(f)["signed"]


class TargetsKey(Offline):
    """Who holds it says who holds releases, rollouts and gates: so it is m of n."""

    def evil_everything(self, *keys):
        """All roles to the thief, and a bundle, a plan and an open gate of his."""
        thief = self.new_role_key(f"thief{len(os.listdir(self.workspace.path('keys')))}")
        targets = self.forger.next("targets")
        targets["delegations"]["keys"] = {thief.id: thief.public}
        for role in targets["delegations"]["roles"]:
            role["keyids"] = [thief.id]
        releases = self.forger.release(self.new_bundle().seal(thief).tar())
        rollouts, gates = self.forger.order(releases)
        signers = {role: [thief] for role in ("releases", "rollouts", "gates")}
        return (targets, releases, rollouts, gates), {**signers, "targets": list(keys)}

    def want_two_targets_keys(self):
        keys = [self.forger.keys["targets"], self.new_role_key("targets")]
        root = self.root_with(lambda root: self.give(root, "targets", *keys, threshold=2))
        self.forger.publish_root(root, *self.root_keys)
        self.forger.publish(self.forger.next("targets"), keys={"targets": keys})
        self.assert_decides(WAITS)
        return keys

    def test_one_of_two_gives_nobody_a_role(self):
        keys = self.want_two_targets_keys()
        before = copy.deepcopy(self.forger.docs)
        for n, key in enumerate(keys):
            self.forger.docs = copy.deepcopy(before)
            self.forger.docs["snapshot"]["version"] += n
            self.forger.docs["timestamp"]["version"] += n
            documents, signers = self.evil_everything(key)
            self.forger.publish(*documents, keys=signers)
            self.assertRegex(self.check(1), "targets.* 1 of 2 signatures needed")
            self.assert_untouched()

    def test_one_of_two_lists_no_plan_and_no_bundle_itself(self):
        keys = self.want_two_targets_keys()
        targets = self.forger.next("targets")
        targets["targets"]["rollouts/stable.json"] = self.with_plan_for_all()["targets"][
            "rollouts/stable.json"]
        self.forger.publish(targets, keys={"targets": keys[:1]})
        self.assertRegex(self.check(1), "targets.* 1 of 2 signatures needed")
        self.assert_untouched()

    def test_the_only_one_is_everything_until_root_replaces_it(self):
        """What a threshold of one means, and why there should be two: the publisher publishes what
        the role's key signed, and boxes do as they are told."""
        documents, signers = self.evil_everything(self.forger.keys["targets"])
        for role, signed in zip(("targets", "releases", "rollouts", "gates"), documents):
            with open(self.workspace.path("incoming", role + ".json"), "wb") as f:
                f.write(envelope(signed, [key.signature(signed) for key in signers[role]]))
        self.workspace.publish()
        self.assertRegex(self.check(), "^update: ")
        # Root names another targets key, which gives the roles back to their people.
        self.forger.look()
        key = self.new_role_key("targets")
        root = self.root_with(lambda root: self.give(root, "targets", key))
        self.forger.publish_root(root, *self.root_keys)
        self.forger.keys["targets"] = key
        self.forger.publish(*self.mended())
        self.assert_decides(WAITS)
        self.forger.publish(self.with_gate(open=[CANARY, ALL]))
        self.assertRegex(self.check(), UPDATES)
        self.assertNotIn(EVIL, self.forger.docs["releases"]["targets"])
        self.assertIn(f"bundles/gateway-{NEW}.ota", self.forger.docs["releases"]["targets"])


if __name__ == "__main__":
    unittest.main()
