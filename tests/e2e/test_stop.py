"""Stops, by where a box is; and that a stop stays until a resume names it."""
import os
import time
import unittest

from fleet.case import NEW, OLD, FleetCase
from fleet.process import wait_until

SLOW = "limit_rate 15k;"


class Stop(FleetCase):
    def slow_down(self, directives=SLOW):
        self.nginx.set(directives)
        self.nginx.reload()

    def test_a_stop_ends_a_download_and_a_resume_takes_it_up_again(self):
        self.slow_down()
        box = self.box()
        self.roll_out()
        box.wait_for_phase("installing")
        published = time.monotonic()
        stop = self.workspace.stop("stable", reason="smoke in lyon")
        report = self.wait_for_outcome(box, "stopped", timeout_s=15)
        self.assertLess(time.monotonic() - published, 10)
        self.assertIn("smoke in lyon", report["detail"])
        self.assert_runs(box, OLD, other_side_boots=False)
        self.assertEqual([s["id"] for s in box.status()["stops"]], [stop])
        # Metadata that merely lacks the stop does not clear it: only a resume does.
        self.slow_down("")
        self.settle()
        self.assert_runs(box, OLD)
        self.workspace.resume(stop)
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        self.assertEqual(box.status()["stops"], [])

    def test_a_box_that_has_not_started_does_not_start(self):
        box = self.box(start=False)
        self.roll_out()
        stop = self.workspace.stop("stable")
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        self.assertEqual([s["id"] for s in box.status()["stops"]], [stop])
        self.assertIn("stop", box.agent("check").stdout)

    def test_a_stop_of_everything_stops_and_its_resume_lets_go(self):
        box = self.box(start=False)
        self.roll_out()
        stop = self.workspace.stop()
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        self.workspace.resume(stop)
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)

    def test_a_stop_before_the_reboot_cancels_the_try(self):
        box = self.box(start=False)
        box.set({"boot": {"reboot": None}})  # a person reboots this one
        self.roll_out()
        box.start()
        box.wait_for_phase("activated")
        self.workspace.stop("stable")
        self.wait_for_outcome(box, "stopped")
        self.assertEqual(box.env()["primary"], box.first_side)
        self.assert_runs(box, OLD, other_side_boots=False)

    def test_a_stop_is_heard_where_a_reboot_is_put_off_again_and_again(self):
        box = self.box(start=False)
        asked = box.path("asked")
        box.set({"intervals": {"retry_max": "600s"}})
        box.script("inhibit.d/10-busy", f'[ "$SLUICE_STEP" = reboot ] || exit 0\n'
                   f"[ ! -e {asked} ] || exit 1\ntouch {asked}\n")
        self.roll_out()
        box.start()
        wait_until(lambda: box.log().count("not rebooting yet") >= 9, 30, box.log)
        self.workspace.stop("stable")
        self.wait_for_outcome(box, "stopped", timeout_s=10)
        self.assert_runs(box, OLD, other_side_boots=False)

    def local_update(self, box):
        """A person installs 2.0.0 from a file while the daemon runs, and does not reboot yet."""
        metadata = self.workspace.path("site", "metadata")
        wait_until(lambda: box.agent("install", self.bundles[NEW], "--metadata", metadata,
                                     "--no-reboot", check=None).returncode == 0, 20, "installed")
        box.wait_for_phase("activated")

    def test_a_stop_cancels_a_local_update_that_waits_for_its_reboot(self):
        box = self.box()
        self.local_update(box)
        self.roll_out()
        self.settle()
        self.assertEqual(box.phase(), "activated")
        self.workspace.stop("stable", reason="smoke in lyon")
        report = self.wait_for_outcome(box, "stopped")
        self.assertEqual(report["source"], "local")
        self.assertEqual(box.env()["primary"], box.first_side)
        self.assert_runs(box, OLD, other_side_boots=False)

    def test_nothing_else_starts_while_a_local_update_waits_for_its_reboot(self):
        box = self.box()
        self.local_update(box)
        self.pack("3.0.0")
        self.roll_out("3.0.0")
        self.settle(4)
        self.assertEqual(box.status()["pending"]["release"]["version"], NEW)
        self.assertEqual(box.env()["primary"], box.other_side())
        self.assertEqual([r for r in self.workspace.reports(box.name)
                          if r["state"] == "starting"], [])

    def test_a_stop_sends_an_unconfirmed_box_back(self):
        box = self.box(start=False)
        box.script("health.d/10-slow",
                   f'grep -q "^booted={box.other_side()}$" {box.path("boot.env")} || exit 0\n'
                   f'test -e {box.path("well")}\n')
        self.roll_out(deadline="60s")
        box.start()
        box.wait_for_boots(2)
        self.workspace.stop("stable")
        self.wait_for_outcome(box, "stopped", timeout_s=60)
        self.assert_runs(box, OLD)
        self.assertEqual(box.status()["failed"], [])

    def stop_while_it_runs(self, program, only_if="true"):
        """One of the box maker's programs hangs, and the plan is stopped meanwhile."""
        box = self.box(start=False)
        box.set({"health": {"timeout": "300s"}})
        box.script(program, f'{only_if.format(side=box.other_side(), env=box.path("boot.env"))} '
                   f'|| exit 0\ntouch {box.path("hangs")}\nexec sleep 300\n')
        self.roll_out(deadline="300s")
        box.start()
        wait_until(lambda: os.path.exists(box.path("hangs")), 60, f"{program} runs")
        self.workspace.stop("stable")
        self.wait_for_outcome(box, "stopped", timeout_s=20)
        self.assert_runs(box, OLD)
        self.assertEqual(box.status()["failed"], [])

    def test_a_stop_is_heard_while_a_hook_runs_before_the_install(self):
        self.stop_while_it_runs("hooks.d/pre.d/10-data")

    def test_a_stop_is_heard_while_a_hook_runs_after_it(self):
        self.stop_while_it_runs("hooks.d/post.d/10-data")

    def test_a_stop_is_heard_while_an_inhibitor_runs(self):
        self.stop_while_it_runs("inhibit.d/10-busy", '[ "$SLUICE_STEP" = reboot ]')

    def test_a_stop_is_heard_while_a_health_check_runs(self):
        self.stop_while_it_runs("health.d/10-slow", 'grep -q "^booted={side}$" "{env}"')

    def test_a_confirmed_box_stays(self):
        box = self.box()
        self.roll_out()
        self.wait_for_outcome(box, "ok")
        self.workspace.stop("stable")

        def affected():
            report = self.workspace.reports(box.name)[-1]
            return report if report.get("stops") else None

        report = wait_until(affected, 20, lambda: f"{box.name} takes the stop:\n{box.log()}")
        self.assertEqual((report["state"], report["outcome"]), ("confirmed", "none"))
        self.assertEqual(report["plan"], "rollouts/stable.json")
        self.assertIn("affected", report["detail"])
        self.assertIn(report["stops"][0], report["detail"])
        self.settle()
        self.assert_runs(box, NEW)


if __name__ == "__main__":
    unittest.main()
