"""The last look before the one commit point: what holds an update that is all written."""
import os
import subprocess
import unittest

from fleet.case import NEW, FleetCase
from fleet.process import wait_until
from fleet.workspace import clock_preload


class Permit(FleetCase):
    def test_a_box_that_may_not_install_writes_nothing(self):
        box = self.box(start=False)
        box.script("inhibit.d/10-busy", "exit 1\n")
        before, env = box.slot_digests(), box.env()
        self.roll_out()
        box.start()
        self.wait_for_log(box, "inhibit.d/10-busy")
        self.settle(2)
        self.assertEqual(box.slot_digests(), before)
        self.assertEqual({**box.env(), "boot_id": ""}, {**env, "boot_id": ""})
        self.assertEqual(box.status()["failed"], [])

    def test_a_box_that_may_not_reboot_switches_nothing(self):
        box = self.box(start=False)
        busy = box.path("busy")
        with open(busy, "w", encoding="ascii"):
            pass
        box.script("inhibit.d/10-busy",
                   f'[ "$SLUICE_STEP" = reboot ] || exit 0\ntest ! -e {busy}\n')
        self.roll_out()
        box.start()
        self.wait_for_log(box, "inhibit.d/10-busy")
        self.settle(2)
        self.assertEqual(box.env()["primary"], box.first_side)
        self.assertEqual(len(box.boots()), 1)
        os.unlink(busy)
        self.wait_for_outcome(box, "ok")
        self.assert_runs(box, NEW)

    def test_what_waits_for_its_reboot_needs_a_newer_timestamp(self):
        """The agent starts anew meanwhile, and may be shown what was good yesterday."""
        box = self.box(start=False)
        reboot, rebooted = box.conf["boot"]["reboot"], box.path("reboot-requested")
        box.set({"boot": {"reboot": None}})
        self.roll_out()
        box.start()
        box.wait_for_phase("activated")
        box.stop()
        box.set({"boot": {"reboot": reboot}, "box": {"trust_clock": "no"}})
        self.start_agent(box)
        self.wait_for_log(box, "not rebooting yet: no newer timestamp")
        self.settle(2)
        self.assertFalse(os.path.exists(rebooted))
        # The fleet knows why it waits, and then, that it does no more: its silence counts then.
        wait_until(lambda: self.last(box)["state"] == "held", 20, "it says that it waits")
        self.assertIn("no newer timestamp", self.last(box)["detail"])
        self.workspace.publish()
        wait_until(lambda: os.path.exists(rebooted), 20, "it reboots")
        self.assertEqual(self.last(box)["state"], "installed")

    def last(self, box):
        return self.workspace.reports(box.name)[-1]

    def start_agent(self, box):
        """In the system that runs already, with a clock of which nobody says that it was set."""
        with open(box.path("agent.log"), "ab") as log:
            process = subprocess.Popen(box.agent_argv("run"), cwd=box.dir, stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL,
                                       env={**os.environ, **clock_preload(self.folder, 0)})
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.terminate)


if __name__ == "__main__":
    unittest.main()
