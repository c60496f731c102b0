"""Who notices that the agent hangs: what it says to the service manager, and when it is silent."""
import os
import signal
import unittest

from fleet.case import NEW, FleetCase
from fleet.manager import Manager
from fleet.process import wait_until

EVERY_MS = 100


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


class Watchdog(FleetCase):
    def setUp(self):
        super().setUp()
        self.manager = Manager(self.folder, EVERY_MS)
        self.addCleanup(self.manager.stop)

    def managed_box(self):
        box = self.box(start=False)
        box.environ = self.manager.environ
        return box

    def hold(self, box, script, condition="true"):
        """This script of the box's runs, where the condition holds, until it is let go."""
        box.script(script, f'{condition} || exit 0\ntouch "{box.path("held")}"\n'
                   f'while [ -e "{box.path("held")}" ]; do sleep 0.05; done\n')

    def assert_signs_while_held(self, box):
        wait_until(lambda: os.path.exists(box.path("held")), 60, "a script of the box's runs")
        self.manager.wait_for_signs()
        os.remove(box.path("held"))

    def test_signs_of_life_come_through_all_of_an_update(self):
        box = self.managed_box()
        new = box.other_side()
        box.set({"watchdog": {"device": box.path("no-such-device")}})
        self.hold(box, "hooks.d/pre.d/10-long")
        box.script("hooks.d/pre.d/20-stall", self.nginx.freeze_command() + "\n"
                   f'touch "{box.path("frozen")}"\n')
        self.hold(box, "health.d/10-long", f'grep -q "^booted={new}$" "{box.path("boot.env")}"')
        self.roll_out()
        box.start()
        self.assert_signs_while_held(box)  # a hook
        wait_until(lambda: os.path.exists(box.path("frozen")), 60, "the transfer stalls")
        self.manager.wait_for_signs()
        self.nginx.thaw()
        self.assert_signs_while_held(box)  # a health check
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.manager.wait_for_signs()  # the wait for the next poll
        box.stop(0)

        services = self.manager.services()
        self.assertEqual(len(services), len(box.boots()), self.manager.said)
        for pid in services:
            lines = self.manager.lines(pid)
            self.assertEqual(lines.count("READY=1"), 1, lines)
            self.assertFalse([line for line in lines if "\n" in line])
        lines = self.manager.lines(services[-1])
        self.assertEqual(lines.count("STOPPING=1"), 1, lines)
        self.assertTrue([line for line in lines if line.startswith("STATUS=unconfirmed")], lines)

        # A watchdog that is not there keeps no box from its update, and the fleet is told.
        told = [r["detail"] for r in self.workspace.reports(box.name)
                if r["state"] == "unconfirmed" and f"-{NEW}.ota" in r["bundle"]]
        self.assertIn("no-such-device", told[0])

    def test_an_agent_that_hangs_falls_silent(self):
        box = self.managed_box()
        box.start()
        self.manager.wait_for_signs()
        agent = self.manager.services()[0]
        os.kill(agent, signal.SIGSTOP)
        self.addCleanup(os.kill, agent, signal.SIGCONT)
        wait_until(lambda: state_of(agent) == "T", 10, "the agent stands still")
        self.manager.catch_up()
        before = len(self.manager.said)
        self.settle(10 * EVERY_MS / 1000)
        self.assertEqual(len(self.manager.said), before)
        os.kill(agent, signal.SIGCONT)
        self.manager.wait_for_signs()


if __name__ == "__main__":
    unittest.main()
