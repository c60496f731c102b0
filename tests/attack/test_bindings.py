"""Everything validly signed, and put where it was not meant to be: other bundles, boxes, plans,
gates, and words of yesterday."""
import hashlib
import secrets
import unittest

from fleet.key import canonical
from forge import head_of, members_of, raw_record
from siege import NEW, Siege

OTHER = "bundles/other-2.0.1.ota"
HONEST = f"bundles/gateway-{NEW}.ota"


class Swapped(Siege):
    """Two bundles that release engineers signed and listed, of the same length to the byte."""

    def setUp(self):
        super().setUp()
        other = self.new_bundle()
        other.signed["version"] = "2.0.1"
        index, data = other.index(), bytearray(other.parts["rootfs.data"])
        cuts, at = other.cuts(), 0
        for entry, pair in zip(index.entries, cuts):
            # Other bytes of the same length, where they are stored raw.
            if entry[2] == entry[3]:
                noise = secrets.token_bytes(entry[3])
                data[at:at + entry[3]] = noise
                entry[0] = entry[1] = hashlib.sha256(noise).digest()
                pair[:] = raw_record(noise), None
            at += entry[3]
        other.put("rootfs.data", bytes(data))
        other.put_index(index)
        other.put_cuts(cuts)
        other.manifest_size = len(members_of(self.bytes_of())[0][1])
        self.other = other.seal(self.release_key).tar()
        self.assertEqual(len(self.other), len(self.bytes_of()))

    def serve_swapped(self, head, data):
        """Under the honest bundle's digest: this head, and the rest of that."""
        self.forger.publish(self.forger.release(self.other, OTHER))
        cut = len(head_of(head))
        with open(self.workspace.target_file(HONEST), "wb") as f:
            f.write(head[:cut] + data[cut:])

    def refuse(self, why):
        self.start_agent()
        report = self.wait_for_report(lambda r: r["outcome"] == "failed", why)
        self.assertRegex(report["detail"], why)
        self.assertEqual(report["class"], "untrusted")

    def test_a_bundle_in_the_place_of_another_is_refused(self):
        self.serve_swapped(self.other, self.other)
        self.refuse("head's SHA-256 is not what signed metadata says")
        self.assert_untouched()
        self.assert_recovers_over_newer()

    def test_the_pages_of_a_bundle_behind_the_head_of_another_are_refused(self):
        self.serve_swapped(self.bytes_of(), self.other)
        self.refuse("rootfs.stored: a page is not the one that was sealed")
        self.assert_untouched()
        self.assert_recovers_over_newer()

    def test_the_data_of_a_bundle_behind_the_head_of_another_is_refused(self):
        """And behind its pages, that is."""
        at = self.other.rindex(b"rootfs.data\0")
        self.serve_swapped(self.bytes_of(), self.bytes_of()[:at] + self.other[at:])
        self.refuse("a chunk's stored bytes are not those of the index")
        self.assert_untouched(other_side=False)
        self.assert_recovers_over_newer()

    def assert_recovers_over_newer(self):
        with open(self.workspace.target_file(HONEST), "wb") as f:
            f.write(self.bytes_of())
        self.assert_mends()

    def test_a_listing_of_one_bundle_with_the_head_of_another_is_refused(self):
        """The releases key lists the wanted digest with another bundle's head: the plan names the
        head too, so the gate that is open does not reach it."""
        releases = self.forger.release(self.other, OTHER)
        releases["targets"][HONEST]["custom"] = releases["targets"][OTHER]["custom"]
        self.forger.publish(releases)
        with open(self.workspace.target_file(HONEST), "wb") as f:
            f.write(self.other)
        self.assert_decides(f"held: {HONEST} is not released with the length and digest")
        self.assert_recovers_over_newer()

    def test_a_plan_bound_to_another_head_than_is_listed_installs_nothing(self):
        releases = self.forger.release(self.other, OTHER)
        head = releases["targets"][OTHER]["custom"]["head"]
        rollouts, gates = self.forger.order(
            releases, HONEST, lambda plan: plan["bundle"].update(head=head))
        self.forger.publish(releases, rollouts, gates)
        self.assert_decides(f"held: {HONEST} is not released with the length and digest")
        self.assert_mends()

    def test_a_listing_of_another_manifest_than_the_head_has_is_refused(self):
        """The identity that a box remembers releases by is the one of what it installs."""
        data = self.bytes_of()
        identity = self.forger.entry(self.other)["manifest"]
        self.refuse_over_https(data, "its manifest is not the one that signed metadata lists",
                               "untrusted", manifest=identity)
        self.assert_mends()


class OtherBoxes(Siege):
    """What is signed for others."""

    def for_others(self):
        bundle = self.new_bundle()
        bundle.signed["compatible"] = ["acme-gw9"]
        return bundle.seal(self.release_key).tar()

    def test_a_bundle_for_other_hardware_is_refused(self):
        self.assert_harmless(self.for_others(), "is not for acme-gw3.* starts with acme-gw9",
                             "refused")

    def test_a_plan_for_other_hardware_is_not_for_this_box(self):
        self.forger.roll_out(self.bytes_of(), edit=lambda plan: plan.update(
            compatible=["acme-gw9"]))
        self.assert_decides("idle: .* is not for this box: .*compatible")
        self.assert_mends()

    def test_another_boxs_explicit_list_is_not_for_this_box(self):
        self.forger.roll_out(self.bytes_of(), edit=lambda plan: plan.update(
            waves=[{"name": "canary", "boxes": ["gw-000002", "gw-00000", "GW-000001"]}]))
        self.assert_decides("idle: .* is not for this box: .*no wave")
        self.assert_mends()

    def test_an_excluded_box_is_in_no_wave_that_names_it(self):
        self.forger.roll_out(self.bytes_of(), edit=lambda plan: plan.update(
            exclude=["gw-000001"], waves=[{"name": "canary", "boxes": ["gw-000001"]}]))
        self.assert_decides("idle: .* is not for this box: .*excluded")
        self.assert_mends()

    def test_tags_of_others_are_not_for_this_box(self):
        self.forger.roll_out(self.bytes_of(), edit=lambda plan: plan.update(
            match={"site": ["lyon"]}))
        self.assert_decides("idle: .* is not for this box: .*match")
        self.assert_mends()


class Gates(Siege):
    """Gates and stops of other plans and other days."""

    def gate(self, path="gates/stable.json", **changes):
        gate = {**self.forger.target(path), **changes}
        gates = self.forger.next("gates")
        gates["targets"][path] = self.forger.serve_target(path, canonical(gate).encode())
        return gates

    def plan(self, **changes):
        """The next rollouts metadata with a plan that says otherwise."""
        plan = {**self.forger.target("rollouts/stable.json"), **changes}
        rollouts = self.forger.next("rollouts")
        rollouts["targets"]["rollouts/stable.json"] = self.forger.serve_target(
            "rollouts/stable.json", canonical(plan).encode())
        return rollouts

    def test_a_gate_of_an_older_plan_opens_nothing(self):
        self.forger.publish(self.plan(version=2))
        self.assert_decides("held: gates/stable.json is shut")
        self.assert_mends()

    def test_a_plan_of_the_same_version_with_other_words_finds_its_gate_shut(self):
        self.forger.publish(self.plan(attempt=2))
        self.assert_decides("held: gates/stable.json is shut")
        self.assert_mends()

    def bound_otherwise(self, **changes):
        plan = {**self.forger.target("gates/stable.json")["plan"], **changes}
        self.forger.publish(self.gate(plan=plan))
        self.assert_decides("held: gates/stable.json is shut")
        self.assert_mends()

    def test_a_gate_bound_to_another_digest_is_shut(self):
        self.bound_otherwise(sha256="ab" * 32)

    def test_a_gate_bound_to_another_version_is_shut(self):
        self.bound_otherwise(version=7)

    def test_a_gate_bound_to_another_rollout_is_shut(self):
        self.bound_otherwise(rollout="gateway-1.9.0")

    def test_a_gate_without_the_digest_of_its_plan_is_refused(self):
        for digest in ("", None, "00"):
            with self.subTest(digest):
                plan = {**self.forger.target("gates/stable.json")["plan"], "sha256": digest}
                self.forger.publish(self.gate(plan=plan))
                self.assert_refused("gates/stable.json.*sha256")
        self.assert_mends()

    def test_a_gate_that_says_it_is_another_is_refused(self):
        self.forger.publish(self.gate(path="gates/stable.json", **{"plan": {
            **self.forger.target("gates/stable.json")["plan"], "path": "rollouts/other.json"}}))
        self.assert_refused("gates/stable.json")
        self.assert_mends()

    def test_the_gate_of_all_is_no_gate_of_a_plan(self):
        """Put where the plan's gate belongs, it opens nothing."""
        gates = self.forger.next("gates")
        with open(self.workspace.target_file("gates/all.json"), "rb") as f:
            gates["targets"]["gates/stable.json"] = self.forger.serve_target(
                "gates/stable.json", f.read())
        self.forger.publish(gates)
        self.assert_refused("gates/stable.json says that it is gates/all.json")
        self.assert_mends()

    def test_a_plan_that_says_it_is_another_is_refused(self):
        self.forger.publish(self.plan(path="rollouts/other.json"))
        self.assert_refused("rollouts/stable.json says that it is rollouts/other.json")
        self.assert_mends()

    def test_a_wave_that_the_gate_does_not_name_stays_shut(self):
        self.forger.publish(self.gate(open=["canary", "All", "everyone"]))
        self.assert_decides("held: wave all of gateway-2.0.0 is not open yet")
        self.assert_mends()

    # Stops.

    def stop(self, path="gates/stable.json"):
        """A stop that the box sees; returns its id."""
        stop = {"id": secrets.token_hex(16), "reason": "smoke", "at": "2026-11-22T15:00:00Z"}
        self.forger.publish(self.gate(path, stops=[stop]))
        self.assert_decides(f"held: stopped by {path} .stop {stop['id']}.: smoke")
        return stop["id"]

    def resumed(self, target, *ids, role="rollouts"):
        """The role's next metadata, where the target's entry lifts these stops."""
        signed = self.forger.next(role)
        signed["targets"][target]["custom"] = {"resumes": list(ids)}
        return signed

    def test_a_gate_of_before_a_stop_does_not_lift_it(self):
        """Replayed by who holds the gates key: open, and without the stop."""
        stop = self.stop()
        self.forger.publish(*self.mended("gates"))
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stop}")
        self.forger.publish(self.resumed("rollouts/stable.json", stop))
        self.assert_updates()

    def test_a_resume_of_an_older_stop_lifts_no_newer_one(self):
        old = self.stop()
        self.forger.publish(*self.mended("gates"),
                            self.resumed("rollouts/stable.json", old))
        self.assert_updates()
        new = self.stop()
        self.forger.publish(self.resumed("rollouts/stable.json", old))
        self.assert_decides(f"held: stopped by gates/stable.json .stop {new}")
        self.forger.publish(self.resumed("rollouts/stable.json", old, new))
        self.assert_updates()

    def test_the_gates_key_resumes_nothing(self):
        stop = self.stop()
        self.forger.publish(self.resumed("gates/stable.json", stop, role="gates"))
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stop}")
        self.forger.publish(self.resumed("rollouts/stable.json", stop))
        self.assert_updates()

    def test_a_plans_resume_lifts_no_stop_of_all(self):
        stop = self.stop("gates/all.json")
        self.forger.publish(self.resumed("rollouts/stable.json", stop))
        self.assert_decides(f"held: stopped by gates/all.json .stop {stop}")
        rollouts = self.forger.next("rollouts")
        rollouts["targets"]["rollouts/all.json"] = {
            **self.forger.serve_target("rollouts/all.json", b"{}"),
            "custom": {"resumes": [stop]}}
        self.forger.publish(rollouts)
        self.assert_updates()

    def test_a_stop_holds_a_stick_too(self):
        stop = self.stop()
        self.refuse_from_stick(self.bytes_of(), f"stop has to be lifted first.*{stop}")
        self.forger.publish(self.resumed("rollouts/stable.json", stop))
        self.assert_updates()


if __name__ == "__main__":
    unittest.main()
