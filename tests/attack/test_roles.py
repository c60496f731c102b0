"""Arbitrary software, and keys that sign what is not theirs to sign."""
import copy
import os
import unittest

from fleet.key import canonical
from forge import ROLES, envelope, sealed, sha256
from siege import EVIL, NEW, OLD, Siege


class Arbitrary(Siege):
    """Software that nobody with the right to do so has released, planned or opened a gate for."""

    def test_an_unsigned_bundle_is_not_installed(self):
        self.refuse_from_stick(self.new_bundle().seal().tar(), "0 of 1 signatures needed")
        self.assert_recovers()

    def test_a_bundle_of_a_strangers_is_not_installed(self):
        self.refuse_from_stick(self.new_bundle().seal(self.stranger()).tar(),
                               "0 of 1 signatures needed")
        self.assert_recovers()

    def test_a_plan_for_a_bundle_that_nobody_listed_installs_nothing(self):
        self.forger.publish(*self.forger.order(self.forger.release(self.bytes_of())))
        self.assert_decides(f"held: {EVIL} is not released with the length and digest")
        self.assert_mends()

    def test_a_bundle_listed_with_another_digest_than_the_plan_wants_is_not_installed(self):
        releases = self.forger.release(self.bytes_of())
        rollouts, gates = self.forger.order(releases)
        releases["targets"][EVIL].update(self.forger.serve_target(EVIL, self.bytes_of(OLD)))
        self.forger.publish(releases, rollouts, gates)
        self.assert_decides(f"held: {EVIL} is not released with the length and digest")
        self.assert_mends()

    def test_a_bundle_that_is_released_and_planned_waits_for_its_gate(self):
        releases = self.forger.release(self.bytes_of())
        rollouts, _ = self.forger.order(releases)
        self.forger.publish(releases, rollouts)
        self.assert_decides("held: gates/stable.json is shut")
        self.assert_mends()

    def test_a_bundle_replaced_on_the_server_is_not_installed(self):
        """Who has only the web server: the bundle is validly signed, and not the one listed."""
        path = self.workspace.target_file(f"bundles/gateway-{NEW}.ota")
        with open(path, "wb") as f:
            f.write(self.bytes_of(OLD))
        self.start_agent()
        report = self.wait_for_report(lambda r: r["outcome"] == "failed", "the head is refused")
        self.assertRegex(report["detail"], "head's SHA-256 is not what signed metadata says")
        self.assertEqual(report["class"], "untrusted")
        self.assert_untouched()
        self.assert_recovers()


class Roles(Siege):
    """Each role's metadata, signed by the keys of all others and by a stranger's."""

    def others(self, role):
        return [self.forger.keys[name] for name in ROLES if name != role] + [self.stranger()]

    def refuse_by_others(self, role):
        self.forger.publish(*([] if role in ("snapshot", "timestamp") else
                              [self.forger.next(role)]), keys={role: self.others(role)})
        self.assert_refused(f"{role}.*: 0 of 1 signatures needed", role)
        self.assert_recovers() if role == "timestamp" else self.assert_mends()

    def test_root_is_not_signed_by_other_roles(self):
        self.forger.publish_root(self.forger.next("root"), *self.others("root"))
        self.assert_refused("2.root.json.* 0 of 1 signatures needed", "root")
        self.assert_recovers()

    def test_root_is_not_signed_by_the_keys_that_it_names_itself(self):
        root, key = self.forger.next("root"), self.stranger()
        root["keys"][key.id] = key.public
        root["roles"]["root"]["keyids"] = [key.id]
        self.forger.publish_root(root, key)
        self.assert_refused("2.root.json.* 0 of 1 signatures needed", "root")
        self.assert_recovers()

    def test_root_is_signed_by_the_keys_that_it_names_too(self):
        root, key = self.forger.next("root"), self.stranger()
        root["keys"][key.id] = key.public
        root["roles"]["root"]["keyids"] = [key.id]
        self.forger.publish_root(root)
        self.assert_refused("2.root.json.* by its own keys.* 0 of 1 signatures needed", "root")
        self.assert_recovers()

    def test_targets_are_not_signed_by_other_roles(self):
        self.refuse_by_others("targets")

    def test_a_snapshot_is_not_signed_by_other_roles(self):
        self.refuse_by_others("snapshot")

    def test_a_timestamp_is_not_signed_by_other_roles(self):
        self.refuse_by_others("timestamp")

    def test_releases_are_not_signed_by_other_roles(self):
        self.refuse_by_others("releases")

    def test_rollouts_are_not_signed_by_other_roles(self):
        self.refuse_by_others("rollouts")

    def test_gates_are_not_signed_by_other_roles(self):
        self.refuse_by_others("gates")

    def test_a_bundle_is_not_signed_by_other_roles(self):
        self.refuse_from_stick(self.new_bundle().seal(*self.others("releases")).tar(),
                               "0 of 1 signatures needed")
        self.assert_recovers()

    def test_the_rollouts_key_lists_no_bundle(self):
        releases = self.forger.release(self.bytes_of())
        rollouts, gates = self.forger.order(releases)
        rollouts["targets"][EVIL] = releases["targets"][EVIL]
        self.forger.publish(gates)
        self.forger.publish_as("rollouts", rollouts)
        self.assert_decides(f"held: {EVIL} is not released")
        self.assert_mends()

    def follow(self, plan):
        """The box follows a plan that there is not yet."""
        self.box.set({"box": {"plan": f"rollouts/{plan}.json"}})
        self.addCleanup(self.box.set, {"box": {"plan": "rollouts/stable.json"}})

    def plan_of(self, path):
        plan = self.forger.target("rollouts/stable.json")
        plan["path"] = path
        return self.forger.serve_target(path, canonical(plan).encode())

    def test_the_releases_key_lists_no_plan(self):
        self.follow("mine")
        releases = self.forger.next("releases")
        releases["targets"]["rollouts/mine.json"] = self.plan_of("rollouts/mine.json")
        self.forger.publish_as("releases", releases)
        self.assert_decides("idle: there is no plan for this box")
        self.box.set({"box": {"plan": "rollouts/stable.json"}})
        self.assert_mends()

    def test_the_gates_key_lists_no_plan(self):
        self.follow("mine")
        gates = self.forger.next("gates")
        gates["targets"]["rollouts/mine.json"] = self.plan_of("rollouts/mine.json")
        self.forger.publish_as("gates", gates)
        self.assert_decides("idle: there is no plan for this box")
        self.box.set({"box": {"plan": "rollouts/stable.json"}})
        self.assert_mends()

    def without_gate(self):
        gates = self.forger.next("gates")
        return gates["targets"].pop("gates/stable.json"), gates

    def test_the_rollouts_key_opens_no_gate(self):
        gate, gates = self.without_gate()
        rollouts = self.forger.next("rollouts")
        rollouts["targets"]["gates/stable.json"] = gate
        self.forger.publish(gates)
        self.forger.publish_as("rollouts", rollouts)
        self.assert_decides("held: gates/stable.json is missing, and missing is shut")
        self.assert_mends()

    def test_the_releases_key_opens_no_gate(self):
        gate, gates = self.without_gate()
        releases = self.forger.next("releases")
        releases["targets"]["gates/stable.json"] = gate
        self.forger.publish(gates)
        self.forger.publish_as("releases", releases)
        self.assert_decides("held: gates/stable.json is missing, and missing is shut")
        self.assert_mends()


class Thresholds(Siege):
    """No keys, no threshold, and one key that wants to be two."""

    def delegation(self, targets, role="releases"):
        return next(r for r in targets["delegations"]["roles"] if r["name"] == role)

    def test_a_role_without_keys_is_trusted_with_nothing(self):
        targets = self.forger.next("targets")
        self.delegation(targets)["keyids"] = []
        releases = self.forger.next("releases")
        self.forger.publish(targets, (releases, envelope(releases, [])))
        self.assert_refused("releases.*: 0 of 1 signatures needed", "releases")
        self.assert_mends()

    def test_a_threshold_of_nothing_is_refused(self):
        targets = self.forger.next("targets")
        self.delegation(targets)["threshold"] = 0
        releases = self.forger.next("releases")
        self.forger.publish(targets, (releases, envelope(releases, [])))
        self.assert_refused("targets.*threshold", "targets", "releases")
        self.assert_mends()

    def test_a_root_role_without_keys_is_trusted_with_nothing(self):
        root = self.forger.next("root")
        root["roles"]["timestamp"]["keyids"] = []
        self.forger.publish_root(root)
        self.forger.publish(keys={"timestamp": []})
        self.assertRegex(self.check(1), "timestamp.*: 0 of 1 signatures needed")
        self.assertFalse(os.path.exists(self.box.path("state", "metadata", "timestamp.json")))
        self.assert_untouched()
        self.forger.publish_root({**self.pristine["root"], "version": 3})
        self.assert_mends()

    def refuse_anchor(self, text):
        """A box whose root.json is that trusts nobody, wherever a bundle comes from."""
        path = self.box.path("state", "metadata", "root.json")
        with open(path, "wb") as f:
            f.write(text)
        self.assertRegex(self.check(1), "root")
        self.assert_untouched()
        data = self.new_bundle().seal().tar()
        with open(os.path.join(self.folder, "stick.ota"), "wb") as f:
            f.write(data)
        for metadata in ([], ["--metadata", self.kept("site", "metadata")]):
            done = self.box.agent("install", f.name, "--no-reboot", *metadata, check=1)
            self.assertIn("root", done.stderr)
            self.assert_untouched()
        with open(path, "rb") as f:
            self.assertEqual(f.read(), text)
        os.unlink(path)
        os.link(self.kept("site", "metadata", "1.root.json"), path)
        self.assert_recovers()

    def test_an_empty_root_never_means_unverified(self):
        self.refuse_anchor(b"")

    def test_a_root_of_no_roles_never_means_unverified(self):
        self.refuse_anchor(b'{"signed":{},"signatures":[]}')

    def test_a_root_without_keys_never_means_unverified(self):
        root = copy.deepcopy(self.forger.docs["root"])
        root["keys"] = {}
        for role in root["roles"].values():
            role.update(keyids=[], threshold=1)
        self.refuse_anchor(envelope(root, []))

    def test_a_root_with_thresholds_of_nothing_never_means_unverified(self):
        root = copy.deepcopy(self.forger.docs["root"])
        for role in root["roles"].values():
            role.update(keyids=[], threshold=0)
        self.refuse_anchor(envelope(root, []))

    def test_a_box_without_a_root_installs_nothing(self):
        os.unlink(self.box.path("state", "metadata", "root.json"))
        self.assertRegex(self.check(1), "root")
        self.assert_untouched()
        os.link(self.kept("site", "metadata", "1.root.json"),
                self.box.path("state", "metadata", "root.json"))
        self.assert_recovers()

    def test_nobody_releases_where_nobody_was_given_the_right(self):
        targets = self.forger.next("targets")
        targets["delegations"]["roles"] = [r for r in targets["delegations"]["roles"]
                                           if r["name"] != "releases"]
        self.forger.publish(targets)
        self.assert_decides("held: bundles/gateway-2.0.0.ota is not released")
        done = self.box.agent("install", self.bundles[NEW], "--no-reboot", check=1)
        self.assertIn("delegates nothing to releases", done.stderr)
        self.assert_untouched()
        self.assert_mends()

    # Two signatures are wanted, and one key is there.

    def wants_two(self, *keyids, keys):
        """targets.json that wants two releases keys: these ids of these keys."""
        targets = self.forger.next("targets")
        targets["delegations"]["keys"].update(keys)
        self.delegation(targets).update(keyids=list(keyids), threshold=2)
        return targets

    def sign_twice(self, targets, *keyids):
        """Refused as metadata and as a bundle from a stick: what one key has signed twice."""
        releases = self.forger.next("releases")
        data = envelope(releases, [self.release_key.signature(releases, i) for i in keyids])
        self.forger.publish(targets, (releases, data))
        self.assert_refused("releases.*(1 of 2 signatures needed|signs more than once)",
                            "releases")
        bundle = self.new_bundle()
        bundle.envelope["signatures"] = [self.release_key.signature(bundle.signed, i)
                                         for i in keyids]
        with open(os.path.join(self.folder, "stick.ota"), "wb") as f:
            f.write(bundle.tar())
        done = self.box.agent("install", f.name, "--no-reboot", check=1)
        self.assertRegex(done.stderr, "1 of 2 signatures needed|signs more than once")
        self.assert_untouched()
        self.assert_mends()

    def test_one_key_under_two_ids_counts_once(self):
        key = self.release_key
        other = sha256(b"another id")
        self.sign_twice(self.wants_two(key.id, other, keys={other: key.public}), key.id, other)

    def test_one_key_spelled_in_two_ways_counts_once(self):
        key = self.release_key
        public = {**key.public, "keyval": {"public": key.public["keyval"]["public"].upper()}}
        other = sha256(canonical(public).encode())
        self.sign_twice(self.wants_two(key.id, other, keys={other: public}), key.id, other)

    def test_one_signature_given_twice_counts_once(self):
        key, other = self.release_key, self.forger.keys["rollouts"]
        self.sign_twice(self.wants_two(key.id, other.id, keys={}), key.id, key.id)

    def test_one_key_listed_twice_counts_once(self):
        key = self.release_key
        targets = self.wants_two(key.id, key.id, keys={})
        releases = self.forger.next("releases")
        self.forger.publish(targets, (releases, sealed(releases, key)))
        self.assert_refused("keyid|key id|1 of 2 signatures needed", "releases")
        self.assert_mends()

    def test_a_second_signature_for_the_root_is_not_the_first_once_more(self):
        root, key = self.forger.next("root"), self.forger.keys["root"]
        other = sha256(b"another id")
        root["keys"][other] = key.public
        root["roles"]["root"].update(keyids=[key.id, other], threshold=2)
        self.forger.write("2.root.json", envelope(
            root, [key.signature(root), key.signature(root, other)]))
        self.assert_refused("2.root.json.* by its own keys.* 1 of 2", "root")
        self.assert_recovers()


if __name__ == "__main__":
    unittest.main()
