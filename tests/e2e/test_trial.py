"""The first boot of a new system: unhealthy, cut off, or just fine."""
import os
import shutil
import unittest

from fleet.case import NEW, OLD, FleetCase
from fleet.workspace import clock_preload
from fleet.process import wait_until


class Trial(FleetCase):
    def test_an_unhealthy_new_system_falls_back_and_is_not_tried_again(self):
        box = self.box(start=False)
        box.script("health.d/10-disk", f"{box.runs_new()} && echo no disk && exit 1\n"
                   "exit 0\n")
        self.roll_out(deadline="4s")
        box.start()
        report = self.wait_for_outcome(box, "reverted", timeout_s=60)
        self.assertIn("no disk", report["detail"] + report["log"])
        self.settle(4)
        self.assert_runs(box, OLD, other_side_boots=False)
        self.assertEqual(self.workspace.outcomes(box.name).count("reverted"), 1)
        self.assertFalse(box.status()["failed"][0]["inconclusive"])
        # One says that it starts, and one what it plans.
        starts = [r["detail"] != "" for r in self.workspace.reports(box.name)
                  if r["state"] == "starting"]
        self.assertEqual(starts, [False, True])

    def test_a_higher_attempt_tries_again_what_has_failed(self):
        box = self.box(start=False)
        box.script("health.d/10-disk", f"{box.runs_new()} && exit 1\nexit 0\n")
        self.roll_out(deadline="3s")
        box.start()
        self.wait_for_outcome(box, "reverted", timeout_s=60)
        box.script("health.d/10-disk", "exit 0\n")
        self.workspace.publish_plan(self.workspace.plan(
            self.bundles[NEW], [("all", "100%")], attempt=2))
        self.workspace.open_gate("all")
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)

    def test_a_new_system_that_never_starts_its_agent_falls_back_by_itself(self):
        box = self.box(start=False)
        box.break_boots_of(box.other_side())
        self.roll_out()
        box.start()
        self.wait_for_outcome(box, "reverted", timeout_s=60)
        self.assert_runs(box, OLD)

    def test_a_new_system_that_cannot_write_its_state_falls_back_by_itself(self):
        box = self.box(start=False)
        copy = box.path("state", "state.copy.json")
        self.roll_out(deadline="2s")
        box.script("can-boot", f'rm -rf "{copy}"\n[ "$1" != {box.other_side()} ] || '
                   f'mkdir "{copy}"\n')
        box.start()
        report = self.wait_for_outcome(box, "reverted", timeout_s=90)
        self.assertIn("the bootloader went back", report["detail"])
        self.assert_runs(box, OLD)

    def test_a_new_system_that_does_not_have_its_state_falls_back_by_itself(self):
        """A data partition that it does not mount: it does not even know whom to trust."""
        box = self.box(start=False)
        state, away = box.path("state"), box.path("state.away")
        box.set({"health": {"deadline": "2s"}})
        self.roll_out()
        box.script("can-boot", f'if [ -e "{away}" ]; then rm -rf "{state}"; mv "{away}" "{state}"; '
                   f'fi\n[ "$1" != {box.other_side()} ] || mv "{state}" "{away}"\n')
        box.start()
        report = self.wait_for_outcome(box, "reverted", timeout_s=90)
        self.assertIn("the bootloader went back", report["detail"])
        self.assert_runs(box, OLD)

    def test_what_the_bootloader_forgot_is_confirmed_again(self):
        """Storage that gives back what stood there before it was confirmed."""
        box = self.box(start=False)
        side = box.booted().lower()
        box.write_env(**{**box.env(), f"{side}_confirmed": "no", f"{side}_tries": "2"})
        self.assertIn("the bootloader has forgotten it",
                      box.agent("boot", "show", check=1).stderr)
        box.start()
        wait_until(lambda: "the bootloader had forgotten that side" in box.log(), 30, box.log)
        self.assertEqual(box.env()[f"{side}_confirmed"], "yes")
        box.agent("boot", "show")

    def test_without_any_network_it_is_inconclusive_and_not_condemned(self):
        box = self.box(start=False)
        box.set({"health": {"prompt": "3s"}})
        self.roll_out(deadline="4s")
        gone = box.path("gone")
        box.on_boot_of(box.other_side(), f"touch {gone}")
        box.cut_off(f"[ -e {gone} ]")
        box.start()
        box.wait_for_boots(3, timeout_s=60)  # old, new, old again: and that has none either
        self.wait_for_log(box, "2.0.0: inconclusive: ")
        box.on_boot_of(box.other_side(), "true")
        box.stop()
        os.remove(gone)
        box.start()
        report = self.wait_for_outcome(box, "inconclusive", timeout_s=60)
        self.assertNotIn("reverted", self.workspace.outcomes(box.name))
        self.assertTrue(report["detail"])
        self.assertTrue(box.status()["failed"][0]["inconclusive"])
        self.wait_for_outcome(box, "ok", timeout_s=90)
        self.assert_runs(box, NEW)

    def test_a_new_system_without_network_has_failed_where_the_old_one_has_it(self):
        box = self.box(start=False)
        self.roll_out(deadline="4s")
        box.cut_off(box.runs_new())
        box.start()
        report = self.wait_for_outcome(box, "reverted", timeout_s=60)
        self.assertIn("the old system reached the server", report["detail"])
        self.assertFalse(box.status()["failed"][0]["inconclusive"])
        box.cut_off("false")
        self.settle(4)
        self.assert_runs(box, OLD, other_side_boots=False)
        self.assertEqual(self.workspace.outcomes(box.name), ["reverted"])

    def outage_of_ours(self, directives):
        """Ours while the new system is on trial, and over as soon as the box goes back."""
        box = self.box(start=False)
        self.roll_out(deadline="4s")
        good, bad, now = (self.workspace.path("nginx", name)
                          for name in ("good.conf", "bad.conf", "sluice.conf"))
        shutil.copy(now, good)
        self.nginx.set(directives)
        shutil.copy(now, bad)
        shutil.copy(good, now)
        box.script("can-boot", f'[ "$1" = {box.other_side()} ] && cp {bad} {now} || '
                   f'cp {good} {now}\nkill -HUP {self.nginx.process.pid}\nsleep 0.5\n')
        box.start()
        report = self.wait_for_outcome(box, "inconclusive", timeout_s=60)
        self.assertTrue(box.status()["failed"][0]["inconclusive"])
        self.assertNotIn("reverted", self.workspace.outcomes(box.name))
        return report

    def test_silence_behind_connections_for_all_of_a_trial_speaks_for_the_release_once(self):
        """A server that hangs takes connections, as a system does for a program that is stopped,
        and this one answers the old system at once. So it looks, each time, where the release's
        network loses all that is larger."""
        box = self.box(start=False)
        box.set({"intervals": {"stall": "60s"}})
        self.roll_out(deadline="10s")
        freeze, old, new = self.nginx.freeze_command(), box.first_side, box.other_side()
        box.script("can-boot", f'if [ "$1" = {new} ]; then {freeze}\n'
                   f'else {freeze.replace("-STOP", "-CONT")}; fi\n')
        box.start()
        self.wait_for_outcome(box, "inconclusive", timeout_s=60)
        self.assertTrue(box.status()["failed"][0]["inconclusive"])
        self.assertEqual(box.boots()[:3], [old, new, old])
        self.assertNotIn("reverted", self.workspace.outcomes(box.name))
        report = self.wait_for_outcome(box, "reverted", timeout_s=90)
        self.assertIn("the old system reached the server", report["detail"])
        self.assertFalse(box.status()["failed"][0]["inconclusive"])

    def test_a_server_that_refuses_the_new_system_condemns_nothing(self):
        report = self.outage_of_ours("return 503;")
        self.assertIn("503", report["detail"])

    def test_a_server_that_shakes_hands_and_hangs_up_condemns_nothing(self):
        self.outage_of_ours("return 444;")

    def test_without_a_clock_a_timestamp_of_this_boot_starts_and_confirms(self):
        box = self.box(start=False)
        self.roll_out()
        box.agent("check")
        box.environ = clock_preload(self.folder, 0)  # of which nobody says that it was set
        box.set({"box": {"trust_clock": "no"}})
        box.start()
        self.wait_for_log(box, "no newer timestamp was seen since the start")
        self.settle(2)
        self.assertEqual(len(box.boots()), 1)
        self.workspace.publish()
        box.wait_for_boots(2)
        self.wait_for_log(box, "not confirmed yet: the clock is not trusted")
        self.assertFalse(box.runs(self.images[NEW]))
        self.workspace.publish()
        self.wait_for_outcome(box, "ok")
        self.assert_runs(box, NEW)

    def test_a_new_system_that_cannot_read_its_certificates_goes_back(self):
        box = self.box(start=False)
        ca, away = box.conf["site"]["ca"], box.path("ca.away")
        self.roll_out(deadline="4s")
        box.script("can-boot", f'if [ "$1" = {box.other_side()} ]; then mv "{ca}" "{away}"\n'
                   f'elif [ -e "{away}" ]; then mv "{away}" "{ca}"; fi\nexit 0\n')
        box.start()
        self.wait_for_outcome(box, "reverted", timeout_s=60)
        self.assert_runs(box, OLD)

    def try_again(self, box):
        """A higher attempt is what brings back a release that a person did not want."""
        self.settle(4)
        self.assert_runs(box, OLD)
        self.assertIsNone(box.status()["pending"])
        self.workspace.publish_plan(self.workspace.plan(
            self.bundles[NEW], [("all", "100%")], attempt=2))
        self.workspace.open_gate("all")

    def by_hand(self, box, *args):
        """A command that waits for a daemon at work."""
        wait_until(lambda: box.agent(*args, check=None).returncode == 0, 20, " ".join(args))

    def test_what_was_rolled_back_by_hand_is_not_installed_again(self):
        box = self.box()
        self.roll_out()
        self.wait_for_outcome(box, "ok", timeout_s=60)
        boots = len(box.boots())
        self.by_hand(box, "rollback")
        box.wait_for_boots(boots + 1)
        self.try_again(box)
        box.wait_for_boots(boots + 2, timeout_s=60)
        self.wait_for_log(box, "confirmed")
        self.assertEqual(len(box.boots()), boots + 2)

    def test_what_was_cancelled_by_hand_is_not_installed_again(self):
        box = self.box(start=False)
        box.set({"boot": {"reboot": None}})
        self.roll_out()
        box.start()
        box.wait_for_phase("activated")
        self.by_hand(box, "rollback")
        report = self.wait_for_outcome(box, "stopped")
        self.assertIn("rolled back by hand", report["detail"])
        self.try_again(box)
        box.wait_for_phase("activated")

    def test_what_came_from_a_file_and_was_rolled_back_is_not_fetched_again(self):
        box = self.box(start=False)
        metadata = self.workspace.path("site", "metadata")
        self.roll_out()
        box.agent("install", self.bundles[NEW], "--no-reboot", "--metadata", metadata)
        box.agent("rollback", "--no-reboot")
        box.start()
        self.try_again(box)
        self.wait_for_outcome(box, "ok", timeout_s=60)

    def test_until_a_box_that_was_rolled_back_reboots_other_releases_are_held(self):
        box = self.box()
        self.roll_out()
        self.wait_for_outcome(box, "ok")
        self.by_hand(box, "rollback", "--no-reboot")
        self.pack("3.0.0")
        self.roll_out("3.0.0")
        self.wait_for_log(box, "reboot first")
        wait_until(lambda: self.workspace.reports(box.name)[-1]["state"] == "held", 20,
                   "it says that it is held")
        self.assertIsNone(self.last_report(box, "3.0.0"), "nothing is wrong with it")
        box.stop()
        box.start()
        self.wait_for_outcome(box, "ok", version="3.0.0", timeout_s=60)

    def roll_out_tree(self, box):
        """Returns the link, and the folders that it may lead to."""
        link, sides = box.path("app"), {side: box.path("app-" + side) for side in "ab"}
        os.makedirs(sides["a"])
        os.symlink(sides["a"], link)
        box.set({"slot app": {"type": "dir", **sides, "current": link}})
        source = os.path.join(self.folder, "app")
        os.makedirs(source)
        with open(os.path.join(source, "hello"), "w", encoding="utf-8") as f:
            f.write("hello\n")
        bundle = self.workspace.pack("3.0.0", source, name="app", slot="app", kind="tree")
        self.workspace.roll_out(bundle, [("all", "100%")], deadline="3s")
        return link, sides

    def test_a_tree_that_was_given_up_is_reported_like_any_update(self):
        box = self.box(start=False)
        link, sides = self.roll_out_tree(box)
        box.script("health.d/10-app", f'[ "$(readlink "{link}")" = "{sides["a"]}" ]\n')
        box.start()
        self.wait_for_outcome(box, "reverted", version="3.0.0")
        self.assertEqual(os.readlink(link), sides["a"])

    def test_a_tree_that_was_confirmed_is_reported_by_what_its_link_leads_to(self):
        box = self.box(start=False)
        self.roll_out_tree(box)
        box.start()
        report = self.wait_for_outcome(box, "ok", version="3.0.0")
        self.assertEqual(report["state"], "confirmed")
        self.assertEqual(report["linked_sha256"], report["bundle_sha256"])
        self.assertNotEqual(report["running_sha256"], report["bundle_sha256"])


if __name__ == "__main__":
    unittest.main()
