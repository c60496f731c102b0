"""What a plan says of time and bytes, obeyed by real boxes: window, start, budget; and recalls."""
import json
import re
import time
import unittest

from fleet.case import NEW, OLD, FleetCase
from fleet.workspace import clock_preload

SLOW = "limit_rate 4k;"


def minute(at_s):
    return time.strftime("%H:%M", time.gmtime(at_s))


class Timing(FleetCase):
    def test_a_box_waits_for_its_window(self):
        box = self.box(start=False)
        far = time.time() + 6 * 3600
        self.roll_out(window=f'{{hours: "{minute(far)}-{minute(far + 3600)}", clock: utc}}')
        box.start()
        self.wait_for_log(box, "waits for its window")
        self.settle()
        self.assert_runs(box, OLD, other_side_boots=True)
        self.assertRegex(box.agent("check").stdout, r"held: .* this box's turn is at \d{4}-")
        # A plan whose window is open is taken at once.
        self.roll_out(window=f'{{hours: "{minute(far - 6 * 3600 - 60)}-{minute(far)}", '
                             'clock: utc, spread: 0s}')
        self.wait_for_outcome(box, "ok", timeout_s=60)

    def test_what_outlasts_its_window_is_switched_to_in_the_next(self):
        box = self.box(start=False)
        wrong = 120 + (45 - int(time.time())) % 60   # its clock: 45 seconds into a minute
        now = time.time() + wrong
        box.environ = clock_preload(self.folder, wrong)
        self.slow_down(SLOW)
        self.roll_out(window=f'{{hours: "{minute(now)}-{minute(now + 60)}", clock: utc, '
                             'spread: 0s}')
        box.start()
        self.wait_for_log(box, "to open again", timeout_s=60)
        self.assertTrue(box.holds(box.other_side(), self.images[NEW]), "all of it is written")
        self.assert_runs(box, OLD, other_side_boots=False)
        self.slow_down("")
        self.settle()
        self.assert_runs(box, OLD, other_side_boots=False)
        clock_preload(self.folder, wrong - 60)
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        self.assertEqual(box.fetched(NEW), 0, "all of it was there")

    def slow_down(self, directives):
        self.nginx.set(directives)
        self.nginx.reload()

    def test_nobody_starts_before_the_plan_does(self):
        box = self.box(start=False)
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 12))
        self.roll_out(start=soon)
        box.start()
        self.wait_for_log(box, f"starts at {soon}")
        self.assert_runs(box, OLD, other_side_boots=True)
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assertGreaterEqual(self.last_report(box)["at"], soon)

    def test_a_budget_is_kept_and_condemns_nothing(self):
        box = self.box()
        self.roll_out(budget="300kB")
        self.wait_for_log(box, "the plan allows a box")
        self.settle()
        # All that it takes is known before any of it is fetched, or anything is changed.
        self.assert_runs(box, OLD, other_side_boots=True)
        with open(box.path("state", "state.json"), encoding="utf-8") as f:
            state = json.load(f)
        self.assertLess(state["spent"]["bytes"], 20000)
        self.assertGreater(state["spent"]["wants_bytes"], 300000)
        self.assertGreater(state["intake"]["plan_stored"], 280000)
        self.assertEqual(box.status()["failed"], [])
        self.assertIsNone(self.last_report(box), "transient errors count as nothing")
        self.roll_out(budget="8MB")
        self.wait_for_outcome(box, "ok", timeout_s=60)

    def test_a_recall_sends_back_the_boxes_that_run_what_it_recalls_in_waves(self):
        boxes = ahead, next_one, behind = [self.box(f"gw-00000{n}") for n in (1, 2, 3)]
        names = [box.name for box in boxes]
        self.workspace.roll_out(self.bundles[NEW], [("canary", names[:2]), ("all", "100%")],
                                open_waves=["canary"])
        for box in boxes[:2]:
            self.wait_for_outcome(box, "ok", timeout_s=60)
        self.pack("1.5.0")
        self.workspace.roll_out(self.bundles["1.5.0"], [("first", names[:1]), ("all", "100%")],
                                open_waves=["first"], recall=f"gateway-{NEW}.ota")
        self.wait_for_outcome(ahead, "ok", version="1.5.0", timeout_s=60)
        self.assert_runs(ahead, "1.5.0")
        self.settle()
        self.assert_runs(next_one, NEW)
        self.workspace.open_gate("all")
        self.wait_for_outcome(next_one, "ok", version="1.5.0", timeout_s=60)
        self.assert_runs(next_one, "1.5.0")
        self.assert_runs(behind, OLD)
        self.assertTrue(re.search("is not for this box", behind.agent("check").stdout))


if __name__ == "__main__":
    unittest.main()
