"""A box that can write nothing into its state folder hears of a stop all the same, by where it is;
and with the stop there comes a new root, which it cannot keep either."""
import json
import unittest

from fleet.case import OLD, FleetCase
from fleet.process import wait_until

SLOW = "limit_rate 15k;"


class ReadOnly(FleetCase):
    def stop(self):
        self.workspace.sluice("root", "rotate", "--expires", "2035-01-01", "--key",
                              self.workspace.key("root"), "--yes")
        return self.workspace.stop("stable")

    def assert_remembers(self, box, stop):
        """Once it can: the stop is there still, and so is the root. Nothing was held against what
        it went back from."""
        box.stop()
        box.mount_apart()
        box.start()
        wait_until(lambda: [s["id"] for s in box.status()["stops"]] == [stop] and
                   box.phase() is None, 30, lambda: f"it knows the stop\n{box.log()[-2000:]}")
        with open(box.path("state", "metadata", "root.json"), encoding="utf-8") as f:
            self.assertEqual(json.load(f)["signed"]["version"],
                             self.workspace.metadata("root")["signed"]["version"])
        self.assertEqual(box.status()["failed"], [])
        self.assert_runs(box, OLD, other_side_boots=False)

    def test_a_download_ends(self):
        self.nginx.set(SLOW)
        self.nginx.reload()
        box = self.box(start=False)
        box.mount_apart()
        self.roll_out()
        box.start()
        box.wait_for_phase("installing")
        box.write_protect()
        stop = self.stop()
        self.wait_for_log(box, f"(stop {stop})")
        written = box.slot_digests()
        self.assertEqual(box.env()["primary"], box.first_side)
        self.settle()
        self.assertEqual(box.slot_digests(), written)
        self.assert_remembers(box, stop)

    def test_a_try_that_waits_for_its_reboot_is_cancelled(self):
        box = self.box(start=False)
        box.set({"boot": {"reboot": None}})
        box.mount_apart()
        self.roll_out()
        box.start()
        box.wait_for_phase("activated")
        box.write_protect()
        stop = self.stop()
        wait_until(lambda: box.env()["primary"] == box.first_side, 30,
                   lambda: f"the old system is what boots\n{box.log()[-2000:]}")
        self.assert_remembers(box, stop)

    def test_a_new_system_is_left(self):
        box = self.box(start=False)
        box.mount_apart(box.runs_new())
        self.roll_out(deadline="300s")
        box.start()
        box.wait_for_boots(2)
        stop = self.stop()
        box.wait_for_boots(3)
        self.assertEqual(box.boots(), [box.first_side, box.other_side(), box.first_side])
        self.assert_remembers(box, stop)


if __name__ == "__main__":
    unittest.main()
