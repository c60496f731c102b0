"""Servers that take their time: a byte a second, nothing at all, half of everything."""
import os
import re
import signal
import time
import unittest

import server
from attack import BOXES, AttackCase
from fleet import wait_until
from fleet.case import NEW

BUNDLE = r"\.ota"
# A stall limit of a second, the five seconds over which libcurl looks at speeds, and the machine's.
GIVEN_UP_S = 1 + 5 + 6


class Slow(AttackCase):
    def assert_given_up(self, pattern, box, count=1):
        """The first transfers of a kind ended soon, by the box's hand."""
        wait_until(lambda: len(self.server.asked(pattern, box.name)) > count, 40,
                   lambda: f"{pattern} is asked for {count + 1} times\n{box.log()[-2000:]}")
        for x in self.server.asked(pattern, box.name)[:count]:
            self.assertTrue(x.over)
            self.assertLess(x.ended - x.began, GIVEN_UP_S, x.path)

    def test_slow_retrieval_a_bundle_at_a_byte_a_second_is_given_up_and_tried_later(self):
        """And one at 200, which is no stall by any clock, and takes an hour for what is lacking."""
        self.roll_out()
        boxes = []
        for name, bytes_per_s in zip(BOXES, (1, 200)):
            self.server.on(BUNDLE, server.drip(bytes_per_s), box=name)
            boxes.append(self.box(name))
        for box in boxes:
            self.assert_given_up(BUNDLE, box, count=2)
            self.assert_boots_as_before(box)
        self.assert_updates(*boxes)

    def test_slow_retrieval_metadata_at_a_byte_a_second_is_given_up_and_tried_later(self):
        """Each box at another file, all at once."""
        slow = dict(zip(BOXES, (r"timestamp\.json", r"\.releases\.json", r"\.stable\.json")))
        self.roll_out()
        for name, pattern in slow.items():
            self.server.on(pattern, server.drip(1), box=name)
        boxes = [self.box(name) for name in slow]
        for box in boxes:
            self.assert_given_up(slow[box.name], box)
            self.assert_untouched(box, False)
        self.assert_updates(*boxes)

    def test_a_server_that_accepts_and_says_nothing_is_given_up(self):
        box = self.box(start=False)
        self.roll_out()
        self.server.mute = True
        box.start()
        wait_until(lambda: len(self.server.accepted) > 1, 30, "it asks again")
        first, second = self.server.accepted[:2]
        self.assertLess(second - first, GIVEN_UP_S)
        self.assert_untouched(box)
        self.assert_updates(box)

    def test_a_server_that_takes_requests_and_says_nothing_is_given_up(self):
        box = self.box(start=False)
        self.roll_out()
        self.server.on("timestamp|root", server.silent(), box=box.name)
        box.start()
        self.assert_given_up("timestamp|root", box)
        self.assert_untouched(box)
        self.assert_updates(box)

    def test_a_stop_does_not_wait_for_a_stalled_transfer(self):
        """One box is fed a byte a second, one gets half a range, and one no answer; none gives up
        by itself for a minute."""
        behaviours = (server.drip(1), server.stall(after=30000), server.silent())
        self.roll_out()
        boxes = []
        for name, behaviour in zip(BOXES, behaviours):
            self.server.on(BUNDLE, behaviour, box=name)
            boxes.append(self.box(name, intervals={"stall": "60s"}))
        for box in boxes:
            wait_until(lambda box=box: self.server.asked(BUNDLE, box.name), 20, box.log)
        published = time.monotonic()
        self.workspace.stop("stable", reason="behind a stall")
        for box in boxes:
            report = self.wait_for_outcome(box, "stopped", timeout_s=15)
            self.assertIn("behind a stall", report["detail"])
            self.assert_boots_as_before(box)
        self.assertLess(time.monotonic() - published, 12)

    def test_a_stop_poll_ignores_a_huge_retry_after(self):
        """The server is too busy for metadata until next year, but for one answer later on."""
        box = self.box(start=False, intervals={"stall": "60s", "retry_max": "1h"})
        self.roll_out()
        self.server.on(BUNDLE, server.drip(1))
        box.start()
        wait_until(lambda: self.server.asked(BUNDLE), 20, box.log)
        self.server.on("timestamp", server.busy(365 * 86400), times=3)
        self.workspace.stop("stable")
        self.wait_for_outcome(box, "stopped", timeout_s=20)
        busy = [x for x in self.server.asked("timestamp") if x.status == 503]
        self.assertEqual(len(busy), 3)

    def test_connections_that_are_cut_again_and_again_lose_nothing_that_was_verified(self):
        """Every answer ends after 100 kB: each try takes the update a step further, and asks for
        nothing again that came whole, but for the head."""
        box = self.box(start=False)
        self.server.on(BUNDLE, server.cut(after=100000))
        self.roll_out()
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        starts = [int(re.search(r"\d+", x.headers["range"])[0]) for x in self.server.asked(BUNDLE)]
        data = [start for start in starts if start > 0]
        self.assertGreater(len(data), 2)
        self.assertEqual(sorted(data), sorted(set(data)))

    def test_a_network_child_that_falls_silent_is_killed_and_replaced(self):
        """Its parent allows it twice the stall limit, and fifteen seconds."""
        box = self.box(start=False)
        self.roll_out()
        self.server.on(BUNDLE, server.drip(1))
        box.start()
        wait_until(lambda: self.server.asked(BUNDLE), 20, box.log)
        _, child = box.agent_pids()
        os.kill(child, signal.SIGSTOP)
        self.server.honest()
        self.wait_for_log(box, "no word from the network process", timeout_s=40)
        wait_until(lambda: not os.path.exists(f"/proc/{child}"), 5, "the child is gone")
        self.assert_updates(box)
        self.assertNotIn("agent ended", box.log())


if __name__ == "__main__":
    unittest.main()
