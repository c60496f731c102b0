"""Yesterday's metadata and firmware, versions driven up, things taken apart and put together anew,
and what has expired."""
import copy
import json
import os
import time
import unittest

from forge import DELEGATED, sealed
from siege import INDEX, NEW, Siege

FAR = 2 ** 53
LAST = 2 ** 63 - 1
PAST = "2020-01-01T00:00:00Z"


class Rollback(Siege):
    """The box has seen newer metadata than what it is shown."""

    def assert_sees(self, *documents):
        """Everything is well, and newer than what was kept."""
        self.forger.publish(*documents)
        self.assertIn("update: gateway 2.0.0", self.check())
        self.assert_untouched()

    def store(self, role):
        with open(self.box.path("state", "metadata", role + ".json"), "rb") as f:
            return f.read()

    def refuse_back(self, why, role, *documents, **how):
        before = self.store(role)
        self.forger.publish(*documents, **how)
        self.assertRegex(self.check(1), why)
        self.assertEqual(self.store(role), before)
        self.assert_untouched()

    def test_an_older_timestamp_is_refused(self):
        self.assert_sees()
        before = self.store("timestamp")
        self.put_back("site")
        self.assertRegex(self.check(1), "timestamp.json went back from version")
        self.assertEqual(self.store("timestamp"), before)
        self.assert_untouched()
        self.assert_mends()

    def test_a_timestamp_that_takes_the_snapshot_back_is_refused(self):
        old = copy.deepcopy(self.forger.docs["timestamp"]["meta"])
        self.assert_sees()
        self.refuse_back("takes the snapshot back", "timestamp",
                         timestamp=lambda signed: signed.update(meta=old))
        self.assert_mends()

    def refuse_older(self, role):
        old = copy.deepcopy(self.forger.docs["snapshot"]["meta"][role + ".json"])
        self.assert_sees(self.forger.next(role))
        self.refuse_back(rf"takes {role}.json back", "snapshot", snapshot=lambda signed:
                         signed["meta"].update({role + ".json": old}))
        self.assert_mends()

    def test_older_targets_are_refused(self):
        self.refuse_older("targets")

    def test_older_releases_are_refused(self):
        self.refuse_older("releases")

    def test_older_rollouts_are_refused(self):
        self.refuse_older("rollouts")

    def test_older_gates_are_refused(self):
        self.refuse_older("gates")

    def refuse_root(self, signed, why):
        """Served as the root that follows, it is none."""
        self.forger.publish_root(self.forger.next("root"))
        self.assert_sees()
        before = self.store("root")
        self.forger.publish_root(signed, served_as=3)
        self.assertRegex(self.check(1), why)
        self.assertEqual(self.store("root"), before)
        self.assert_untouched()
        self.forger.publish_root({**self.pristine["root"], "version": 3})
        self.assert_mends()

    def test_an_older_root_is_refused(self):
        self.refuse_root(self.pristine["root"], "root version 1 came where 3 must follow")

    def test_the_same_root_again_is_refused(self):
        self.refuse_root({**self.pristine["root"], "version": 2},
                         "root version 2 came where 3 must follow")

    def test_a_root_that_skips_a_version_is_refused(self):
        self.refuse_root({**self.pristine["root"], "version": 4},
                         "root version 4 came where 3 must follow")

    def test_another_timestamp_of_the_same_version_changes_nothing(self):
        """Metadata accepted at "greater or equal": what it lists is not even looked at."""
        before = self.store("timestamp")
        same = self.forger.docs["timestamp"]["version"]
        self.forger.publish(self.forger.next("targets"),
                            timestamp=lambda signed: signed.update(version=same))
        self.assertIn("update: gateway 2.0.0", self.check())
        self.assertEqual(self.store("timestamp"), before)
        self.assert_keeps("snapshot", "targets")
        self.assert_recovers()

    def test_a_role_that_vanishes_from_the_snapshot_is_refused(self):
        for role in DELEGATED:
            with self.subTest(role):
                self.forger.docs["snapshot"]["meta"] = dict(self.pristine["snapshot"]["meta"])
                self.refuse_back(f"no longer lists {role}.json", "snapshot",
                                 snapshot=lambda signed, r=role: signed["meta"].pop(r + ".json"))
        self.assert_mends()

    def hold_without(self, role, target, why):
        signed = self.forger.next(role)
        del signed["targets"][target]
        self.forger.publish(signed)
        self.assert_decides(why)
        self.assert_mends()

    def test_a_bundle_that_was_taken_away_is_not_installed(self):
        self.hold_without("releases", f"bundles/gateway-{NEW}.ota",
                          "held: bundles/gateway-2.0.0.ota is not released")

    def test_a_plan_that_was_taken_away_is_not_followed(self):
        self.hold_without("rollouts", "rollouts/stable.json", "idle: there is no plan")

    def test_a_gate_that_was_taken_away_is_shut(self):
        self.hold_without("gates", "gates/stable.json",
                          "held: gates/stable.json is missing, and missing is shut")

    def test_the_gate_of_all_that_was_taken_away_is_shut(self):
        self.hold_without("gates", "gates/all.json",
                          "held: gates/all.json is missing, and missing is shut")


class Firmware(Siege):
    """Signed and listed as it should be, with a rollback index below the floor of the box."""

    def older(self, **changes):
        bundle = self.new_bundle()
        bundle.signed.update(rollback_index=INDEX - 1, **changes)
        return bundle.seal(self.release_key).tar()

    def test_an_index_below_the_floor_is_refused_from_a_stick(self):
        self.refuse_from_stick(self.older(), "rollback index 4, and this box takes 5 and above")
        self.assert_recovers()

    def test_an_index_below_the_floor_is_refused_by_a_plan(self):
        self.forger.roll_out(self.older())
        self.assert_decides("failed: gateway 9.0.0 has rollback index 4.* none below 5")
        self.assert_mends()

    def test_an_index_that_only_the_listing_raises_is_refused(self):
        data = self.older()
        self.refuse_over_https(data, "rollback index 4, and this box takes 5 and above",
                               "refused", rollback_index=INDEX)
        self.assert_mends()

    def test_a_high_version_does_not_lift_a_low_index(self):
        for version in ("99.0.0", "2.0.0+newer", "9" * 60):
            with self.subTest(version):
                data = self.older(version=version)
                self.refuse_from_stick(data, "rollback index 4, and this box takes 5 and above")
                self.forger.roll_out(data)
                self.assert_decides("failed: gateway .* has rollback index 4")
        self.assert_mends()

    def test_a_low_version_is_no_rollback(self):
        """Nothing rests on version strings: what may run again is said by the index alone."""
        bundle = self.new_bundle()
        bundle.signed.update(version="0.0.1")
        self.forger.roll_out(bundle.seal(self.release_key).tar())
        self.assert_installs()

    def test_versions_that_are_no_plain_names_are_refused(self):
        for version in ("../../../etc/passwd", "2.0.0\n", "", "2.0 .0", "9" * 65):
            with self.subTest(version):
                bundle = self.new_bundle()
                bundle.signed["version"] = version
                self.refuse_from_stick(bundle.seal(self.release_key).tar(), "'version'")
        self.assert_recovers()

    def test_an_index_that_is_no_number_of_64_bits_is_refused(self):
        for index in (-1, 2 ** 63, 2 ** 64 + INDEX, 5.0, "5", None):
            with self.subTest(index):
                bundle = self.new_bundle()
                bundle.signed["rollback_index"] = index
                self.refuse_from_stick(
                    bundle.seal(self.release_key).tar(), "rollback_index|number|integer")
        self.assert_recovers()


class FastForward(Siege):
    """Stolen online keys drive versions up; the root gives the roles to other keys."""

    def drive(self, version, *documents, **how):
        self.forger.publish(*documents, **how)
        self.assertIn("update: gateway 2.0.0", self.check())
        stored = self.forger.docs["timestamp"]["version"]
        self.assertEqual(stored, version)

    def rotate(self, *roles):
        """A new root, signed by the old one's key, that gives these roles to new keys."""
        root = self.forger.next("root")
        for role in roles:
            key = self.stranger() if role == roles[0] else self.forger.keys[roles[0]]
            self.forger.keys[role] = key
            root["keys"][key.id] = key.public
            root["roles"][role]["keyids"] = [key.id]
        self.forger.publish_root(root)

    def mend_below(self):
        """Everything as it was before the attack, with versions that follow on those."""
        for role in ("snapshot", "timestamp"):
            self.forger.docs[role] = copy.deepcopy(self.pristine[role])
        self.assert_mends()

    def test_a_timestamp_far_ahead_is_undone_by_the_root(self):
        for far in (FAR, LAST):
            with self.subTest(far):
                self.drive(far, timestamp=lambda signed, far=far: signed.update(version=far))
        self.put_back("site")
        self.assertRegex(self.check(1), "timestamp.json went back from version")
        self.assert_untouched()
        self.forger.look()
        self.rotate("timestamp")
        self.mend_below()

    def test_a_snapshot_far_ahead_is_undone_by_the_root(self):
        self.drive(self.forger.docs["timestamp"]["version"] + 1,
                   snapshot=lambda signed: signed.update(version=LAST))
        self.forger.docs["snapshot"] = self.pristine["snapshot"]
        self.forger.publish()
        self.assertRegex(self.check(1), "takes the snapshot back")
        self.assert_untouched()
        self.rotate("snapshot", "timestamp")
        self.mend_below()

    def test_targets_far_ahead_in_a_snapshot_are_undone_by_the_root(self):
        """The snapshot key alone: what it lists does not exist, and is not forgotten."""
        self.forger.publish(snapshot=lambda signed: signed["meta"]["targets.json"].update(
            version=FAR))
        self.assert_refused("targets", "targets")
        self.put_back("site")
        self.forger.look()
        self.forger.docs["snapshot"]["version"] += 1
        self.forger.docs["timestamp"]["version"] += 1
        self.forger.publish()
        self.assertRegex(self.check(1), "takes targets.json back")
        self.assert_untouched()
        self.rotate("snapshot")
        self.assert_mends()

    def test_releases_far_ahead_are_undone_by_the_root(self):
        """The releases key at the last version that there is: nothing can follow that."""
        releases = {**self.forger.next("releases"), "version": LAST}
        self.forger.publish(releases)
        self.assertIn("update: gateway 2.0.0", self.check())
        self.forger.docs["releases"] = self.pristine["releases"]
        self.forger.publish(*self.mended("releases"))
        self.assertRegex(self.check(1), "takes releases.json back")
        self.assert_untouched()
        self.rotate("snapshot")
        self.assert_mends()

    def test_a_version_past_64_bits_is_refused(self):
        for version in (2 ** 63, 2 ** 64 + 1, -1, 0, 1.5):
            with self.subTest(version):
                self.forger.publish(timestamp=lambda signed, v=version: signed.update(version=v))
                self.assert_refused("timestamp", "timestamp", "snapshot")
                self.forger.look()
                self.forger.docs["timestamp"] = copy.deepcopy(self.pristine["timestamp"])
        self.assert_recovers()


class MixAndMatch(Siege):
    """Parts that were each good at their time, put together into what never was."""

    def swap(self, *paths):
        """The first file holds what the second one holds."""
        with open(self.workspace.path("site", *paths[1].split("/")), "rb") as f:
            data = f.read()
        with open(self.workspace.path("site", *paths[0].split("/")), "wb") as f:
            f.write(data)

    def refuse_old_bytes(self, role):
        """Who has only the mirror serves an older document under the newer one's name."""
        old = self.forger.docs[role]["version"]
        self.forger.publish(*([] if role == "snapshot" else [self.forger.next(role)]))
        self.swap(f"metadata/{old + 1}.{role}.json", f"metadata/{old}.{role}.json")
        self.assert_refused(f"{old + 1}.{role}.json (is not the file whose digest|has .* bytes)",
                            role)
        self.assert_mends()

    def test_an_older_snapshot_under_the_newer_ones_name_is_refused(self):
        self.refuse_old_bytes("snapshot")

    def test_older_targets_under_the_newer_ones_name_are_refused(self):
        self.refuse_old_bytes("targets")

    def test_older_releases_under_the_newer_ones_name_are_refused(self):
        self.refuse_old_bytes("releases")

    def test_older_rollouts_under_the_newer_ones_name_are_refused(self):
        self.refuse_old_bytes("rollouts")

    def test_older_gates_under_the_newer_ones_name_are_refused(self):
        self.refuse_old_bytes("gates")

    def refuse_old_target(self, path, role):
        """Another validly signed file of the same kind under a target's name."""
        old = self.workspace.target_file(path)
        self.forger.publish(*self.forger.order(self.forger.docs["releases"],
                                               f"bundles/gateway-{NEW}.ota"))
        site = self.workspace.path("site")
        self.swap(os.path.relpath(self.workspace.target_file(path), site),
                  os.path.relpath(old, site))
        self.assert_refused(f"target {path} is not the file that {role} signed for")
        self.assert_mends()

    def test_an_older_plan_under_the_newer_ones_digest_is_refused(self):
        self.refuse_old_target("rollouts/stable.json", "rollouts")

    def test_an_older_gate_under_the_newer_ones_digest_is_refused(self):
        self.refuse_old_target("gates/stable.json", "gates")

    def test_a_snapshot_of_another_time_than_the_timestamp_is_refused(self):
        """Stolen snapshot key: it lists what suits it, and the timestamp lists another."""
        self.forger.publish()
        listing = self.forger.next("snapshot")
        listing["version"] -= 1
        del listing["meta"]["gates.json"]
        self.forger.put("snapshot", sealed(listing, self.forger.keys["snapshot"]),
                        listing["version"])
        self.assert_refused("snapshot.json (is not the file whose digest|has .* bytes)",
                            "snapshot")
        self.assert_mends()

    def test_a_plan_of_one_publication_with_the_gate_of_another_installs_nothing(self):
        """Stolen snapshot and timestamp keys: new releases and rollouts, and gates of before."""
        releases = self.forger.release(self.bytes_of())
        rollouts, gates = self.forger.order(releases)
        self.forger.publish(releases, rollouts)
        self.assert_decides("held: gates/stable.json is shut")
        self.forger.publish(*self.mended("rollouts"), gates)
        self.assert_decides("held: gates/stable.json is shut")
        self.assert_mends()


class Expired(Siege):
    """Each role past its date: nothing starts, and nothing is stuck once it is renewed."""

    def hold_expired(self, role):
        expired = {**self.forger.next(role), "expires": PAST}
        if role == "timestamp":
            self.forger.publish(timestamp=lambda signed: signed.update(expires=PAST))
        elif role == "snapshot":
            self.forger.publish(snapshot=lambda signed: signed.update(expires=PAST))
        else:
            self.forger.publish(expired)
        self.start_agent()
        report = self.wait_for_report(lambda r: r["class"] == "expired", f"{role} expired")
        self.assertRegex(report["detail"], f"{role} metadata, version .* expired at 2020")
        self.assertEqual(report["state"], "held")
        self.assertEqual(report["outcome"], "none")
        self.assert_untouched()
        self.assert_mends()

    def test_expired_targets_hold_and_recover(self):
        self.hold_expired("targets")

    def test_expired_releases_hold_and_recover(self):
        self.hold_expired("releases")

    def test_expired_rollouts_hold_and_recover(self):
        self.hold_expired("rollouts")

    def test_expired_gates_hold_and_recover(self):
        self.hold_expired("gates")

    def test_releases_that_expire_while_a_box_waits_hold_it(self):
        """Nothing new has come since: what a box remembers of a site ends with its date, too."""
        gate = {**self.forger.target("gates/stable.json"), "open": []}
        gates = self.forger.next("gates")
        gates["targets"]["gates/stable.json"] = self.forger.serve_target(
            "gates/stable.json", json.dumps(gate).encode())
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 8))
        self.forger.publish(gates, {**self.forger.next("releases"), "expires": soon})
        self.start_agent()
        self.wait_for_report(lambda r: "is not open yet" in r["detail"], "held by its gate")
        report = self.wait_for_report(lambda r: r["class"] == "expired", "releases expired")
        self.assertRegex(report["detail"], "releases metadata, version .* expired at 20")
        self.assert_untouched()
        self.assert_mends()

    def test_an_expired_snapshot_holds_and_recovers(self):
        self.hold_expired("snapshot")

    def test_an_expired_timestamp_holds_and_recovers(self):
        self.hold_expired("timestamp")

    def test_an_expired_root_holds_and_recovers(self):
        self.forger.publish_root({**self.forger.next("root"), "expires": PAST})
        self.assertRegex(self.check(1), "root metadata, version 2, expired at 2020")
        self.assert_untouched()
        self.forger.publish_root({**self.pristine["root"], "version": 3})
        self.assert_installs()

    def test_roots_that_expired_are_only_steps_to_the_last_one(self):
        for version in (2, 3):
            self.forger.publish_root({**self.pristine["root"], "version": version,
                                      "expires": PAST})
        self.forger.publish_root({**self.pristine["root"], "version": 4})
        self.assert_installs()


if __name__ == "__main__":
    unittest.main()
