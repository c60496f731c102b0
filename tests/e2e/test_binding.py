"""A gate opens one plan and one bundle, bit for bit: whatever takes their place finds it shut."""
import hashlib
import os
import shutil
import unittest

from fleet.case import NEW, OLD, FleetCase


class Binding(FleetCase):
    def test_a_bundle_released_again_under_an_open_gate_is_not_installed(self):
        box = self.box(start=False)
        self.roll_out()
        # The same name and version, other content: signed and released as it should be.
        self.pack("2.0.1")
        self.pack(NEW, image=self.images["2.0.1"])
        self.workspace.release(self.bundles[NEW])
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        self.assertRegex(box.agent("check").stdout, "(?i)held|bundle")
        self.workspace.publish_plan(self.workspace.plan(self.bundles[NEW], [("all", "100%")]))
        self.settle()
        self.assert_runs(box, OLD)  # the plan is another one now, so its gate is shut
        self.workspace.open_gate("all")
        self.wait_for_outcome(box, "ok")
        self.assert_runs(box, NEW)

    def test_another_head_listed_for_the_same_file_under_an_open_gate_is_not_installed(self):
        """Who holds the release keys alone lists the bundle that the plan names, with the head and
        the bytes of another: the plan's word and the open gate do not stretch to that."""
        box = self.box(start=False)
        self.roll_out()
        other = self.pack("2.0.1")
        self.workspace.release(other)
        releases = self.workspace.metadata("releases")["signed"]
        listed = releases["targets"]
        named = f"bundles/gateway-{NEW}.ota"
        listed[named]["custom"] = listed["bundles/gateway-2.0.1.ota"]["custom"]
        releases["version"] += 1
        self.workspace.sign_by_hand("releases", releases)
        self.workspace.publish()
        self.assertEqual(self.workspace.metadata("releases")["signed"]["version"],
                         releases["version"])
        shutil.copyfile(other, self.workspace.target_file(named))
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        self.assertRegex(box.agent("check").stdout, "(?i)held|bundle")

    def test_another_digest_listed_for_the_same_head_under_an_open_gate_is_not_installed(self):
        """The plan names the whole file. A listing of other bytes is not made good by a head that
        is the right one."""
        box = self.box(start=False)
        self.roll_out()
        releases = self.workspace.metadata("releases")["signed"]
        named = f"bundles/gateway-{NEW}.ota"
        with open(self.bundles[NEW], "rb") as f:
            other = f.read() + bytes(512)
        releases["targets"][named]["length"] = len(other)
        releases["targets"][named]["hashes"]["sha256"] = hashlib.sha256(other).hexdigest()
        releases["version"] += 1
        self.workspace.sign_by_hand("releases", releases)
        folder = self.workspace.path("incoming", "targets", "bundles")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, os.path.basename(named)), "wb") as f:
            f.write(other)
        self.workspace.publish()
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        self.assertRegex(box.agent("check").stdout, "(?i)held|bundle")

    def test_a_plan_rewritten_under_an_open_gate_finds_it_shut(self):
        box = self.box(start=False)
        self.workspace.roll_out(self.bundles[NEW], [("none", ["gw-999999"]), ("all", "100%")],
                                open_waves=["none"])
        self.workspace.publish_plan(self.workspace.plan(
            self.bundles[NEW], [("none", ["gw-999999", box.name]), ("all", "100%")]))
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        self.assertIn("gate", box.agent("check").stdout)
        self.workspace.open_gate("none")
        self.wait_for_outcome(box, "ok")
        self.assert_runs(box, NEW)

    def interrupted(self, change):
        """What the plan becomes while a box installs by it ends that, like a stop that does not
        stay."""
        self.nginx.set("limit_rate 15k;")
        self.nginx.reload()
        box = self.box()
        self.roll_out()
        box.wait_for_phase("installing")
        change()
        report = self.wait_for_outcome(box, "stopped")
        self.assert_runs(box, OLD, other_side_boots=False)
        self.assertEqual(box.status()["stops"], [])
        return report

    def test_a_plan_replaced_during_an_install_ends_it(self):
        self.assertIn("was replaced", self.interrupted(lambda: self.workspace.publish_plan(
            self.workspace.plan(self.bundles[OLD], [("all", "100%")])))["detail"])

    def test_a_plan_withdrawn_during_an_install_ends_it(self):
        report = self.interrupted(self.workspace.withdraw_plan)
        self.assertEqual(report["detail"].split(": ")[-1], f"gateway-{NEW} was withdrawn")

    def test_stops_outlive_a_plan_that_is_withdrawn_as_they_were(self):
        """One that was lifted does not come back to life, one that stands can be lifted. And a plan
        that says the same again waits for a person to open it."""
        box = self.box(start=False)
        self.roll_out()
        lifted, stands = self.workspace.stop("stable"), self.workspace.stop("stable")
        self.workspace.resume(lifted)
        self.assertIn(f"held: stopped by gates/stable.json (stop {stands})",
                      box.agent("check").stdout)
        self.workspace.withdraw_plan()
        self.assertIn(f"(stop {stands})", box.agent("check").stdout)
        self.assertEqual([stop["id"] for stop in box.status()["stops"]], [stands])
        self.workspace.resume(stands)
        self.assertIn("idle: there is no plan for this box", box.agent("check").stdout)
        self.assertEqual(box.status()["stops"], [])
        self.workspace.publish_plan(self.workspace.plan(self.bundles[NEW], [("all", "100%")]))
        self.assertIn("held: gates/stable.json is shut", box.agent("check").stdout)
        self.workspace.open_gate("all")
        self.assertIn("update: ", box.agent("check").stdout)


if __name__ == "__main__":
    unittest.main()
