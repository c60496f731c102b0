"""Metadata that comes along with a bundle on a stick: taken by the rules of TUF only."""
import os
import shutil
import unittest

from forge import sealed
from siege import NEW, Siege


class Sticks(Siege):
    """The box has seen targets.json; the stick brings another, and a bundle."""

    def setUp(self):
        super().setUp()
        self.stick = os.path.join(self.folder, "stick")
        shutil.rmtree(self.stick, ignore_errors=True)
        os.mkdir(self.stick)

    def bring(self, name, signed, *keys):
        with open(os.path.join(self.stick, name), "wb") as f:
            f.write(sealed(signed, *keys))

    def install(self, data, status=1):
        with open(os.path.join(self.stick, "bundle.ota"), "wb") as f:
            f.write(data)
        done = self.box.agent("install", f.name, "--no-reboot", "--metadata", self.stick,
                              check=status)
        return done.stderr

    def given_to(self, key, **changes):
        """targets.json that gives releases to a key."""
        targets = {**self.forger.next("targets"), **changes}
        targets["delegations"]["keys"][key.id] = key.public
        for role in targets["delegations"]["roles"]:
            if role["name"] == "releases":
                role["keyids"] = [key.id]
        return targets

    def evil(self, key):
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        return bundle.seal(key).tar()

    def refuse(self, why, data):
        self.assertRegex(self.install(data), why)
        self.assert_keeps("root", "targets", "timestamp", "snapshot")
        self.assert_untouched()
        self.assert_recovers()

    def test_targets_by_a_stranger_give_nobody_a_right(self):
        key = self.stranger()
        self.bring("9.targets.json", self.given_to(key), key)
        self.refuse("9.targets.json.*0 of 1 signatures needed", self.evil(key))

    def test_targets_by_the_online_keys_give_nobody_a_right(self):
        key = self.stranger()
        self.bring("targets.json", self.given_to(key), *(
            self.forger.keys[role] for role in ("snapshot", "timestamp", "releases", "gates")))
        self.refuse("targets.json.*0 of 1 signatures needed", self.evil(key))

    def test_older_targets_bring_no_old_key_back(self):
        """Releases once were another's: that was signed, and is over."""
        key = self.stranger()
        self.bring("1.targets.json", self.given_to(key, version=1), self.forger.keys["targets"])
        self.refuse("targets.json of version 1 came, but version .* is known", self.evil(key))

    def test_targets_of_the_same_version_are_not_taken(self):
        key = self.stranger()
        version = self.forger.docs["targets"]["version"]
        self.bring(f"{version}.targets.json", self.given_to(key, version=version),
                   self.forger.keys["targets"])
        self.refuse("0 of 1 signatures needed", self.evil(key))

    def test_a_file_named_newer_than_it_is_counts_by_what_it_says(self):
        key = self.stranger()
        self.bring("999.targets.json", self.given_to(key, version=1), self.forger.keys["targets"])
        self.refuse("targets.json of version 1 came, but version .* is known", self.evil(key))

    def test_a_root_by_a_stranger_is_not_followed(self):
        key, root = self.stranger(), self.forger.next("root")
        root["keys"][key.id] = key.public
        for role in root["roles"].values():
            role["keyids"] = [key.id]
        self.bring("2.root.json", root, key)
        self.bring("9.targets.json", self.given_to(key), key)
        self.refuse("2.root.json.*0 of 1 signatures needed", self.evil(key))

    def test_a_root_that_skips_a_version_is_not_followed(self):
        """Signed by the root's key, and not the one that follows."""
        self.bring("2.root.json", {**self.forger.next("root"), "version": 3},
                   self.forger.keys["root"])
        self.refuse("2.root.json.*root version 3 came where 2 must follow",
                    self.evil(self.release_key))

    def test_a_delegation_of_another_role_signs_no_bundle(self):
        """A role that the stick's own targets name, and that is not releases."""
        key = self.stranger()
        targets = self.forger.next("targets")
        targets["delegations"]["keys"][key.id] = key.public
        targets["delegations"]["roles"].insert(0, {
            "name": "releases-of-mine", "keyids": [key.id], "threshold": 1,
            "paths": ["bundles/*"], "terminating": True})
        self.bring("9.targets.json", targets, self.forger.keys["targets"])
        self.assertIn("0 of 1 signatures needed", self.install(self.evil(key)))
        self.assert_untouched()
        self.assert_recovers_with(targets)

    def assert_recovers_with(self, targets):
        """What was newer and rightly signed stays known; the publisher goes on from there."""
        self.forger.docs["targets"] = targets
        self.assert_mends()

    def test_a_key_that_newer_targets_on_the_stick_took_away_signs_nothing(self):
        """The bundle was good yesterday, and the stick itself brings the news."""
        key = self.stranger()
        targets = self.given_to(key)
        self.bring("9.targets.json", targets, self.forger.keys["targets"])
        self.assertIn("0 of 1 signatures needed", self.install(self.evil(self.release_key)))
        self.assert_untouched()
        self.assertIn("0 of 1", self.box.agent("install", self.bundles[NEW], "--no-reboot",
                                               check=1).stderr)
        self.assert_untouched()
        self.assert_recovers_with(targets)


if __name__ == "__main__":
    unittest.main()
