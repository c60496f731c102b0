"""Servers that send elsewhere, refuse, lie or ask for patience; and floods that boxes may cause."""
import os
import signal
import threading
import time
import unittest

import server
from attack import BOXES, AttackCase
from fleet import free_port, wait_until
from fleet.case import NEW

BUNDLE = r"\.ota"


class Redirect(AttackCase):
    def setUp(self):
        super().setUp()
        self.other = server.HostileServer(self.workspace, free_port()).start()
        self.addCleanup(self.other.stop)
        self.roll_out()

    def assert_not_followed(self, to, asked_there):
        """Metadata, a plan and the bundle are sent elsewhere, each of them for one box."""
        kinds = dict(zip(BOXES, ("timestamp", r"\.stable\.json", BUNDLE)))
        for number, (name, pattern) in enumerate(kinds.items()):
            self.server.on(pattern, server.redirect(to, (301, 302, 307)[number]), box=name)
        boxes = [self.box(name) for name in kinds]
        for box in boxes:
            wait_until(lambda box=box: len(self.server.asked(kinds[box.name], box.name)) > 1, 30,
                       box.log)
            self.assertRegex(box.log(), "answered 30[127]")
            self.assert_untouched(box, False)
        self.assertEqual(asked_there(), [])
        self.assert_updates(*boxes)
        self.assertEqual(asked_there(), [])

    def test_a_redirect_to_another_host_is_not_followed(self):
        """The other server has the same site and a certificate that boxes believe."""
        self.assert_not_followed(self.other.url, lambda: self.other.accepted)

    def test_a_redirect_to_http_is_not_followed(self):
        self.assert_not_followed(self.other.url.replace("https", "http"),
                                 lambda: self.other.accepted)

    def test_a_report_is_not_sent_to_where_a_redirect_points(self):
        self.server.on("/reports/", server.redirect(self.other.url, 307), method="PUT")
        box = self.box()
        wait_until(lambda: len(self.server.asked("/reports/")) > 2, 30, box.log)
        self.assertEqual(self.other.accepted, [])
        self.assertEqual(self.workspace.reports(), [])
        self.assert_updates(box)
        numbers = [r["seq"] for r in self.workspace.reports(box.name)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))


class Storm(AttackCase):
    """How often a box comes back, as the server counted it."""
    WATCHED_S = 7
    # It polls at once and after waits of up to 1, 2, 4, 8, 16 ... seconds: nine polls in this time
    # are an accident of one in a million. Without backoff it would be fourteen or so.
    POLLS_MAX = 8

    def polls(self, box, pattern):
        return [x.began for x in self.server.asked(pattern, box.name, "GET")]

    def watch(self, kinds, behaviour):
        """Boxes that poll every second, each refused another kind of file for a while."""
        self.roll_out()
        for name, pattern in kinds.items():
            self.server.on(pattern, behaviour, box=name)
        boxes = [self.box(name, intervals={"retry_max": "1h"}) for name in kinds]
        for box in boxes:
            wait_until(lambda box=box: self.polls(box, kinds[box.name]), 20, box.log)
        time.sleep(self.WATCHED_S)
        for box in boxes:
            count = len(self.polls(box, kinds[box.name]))
            self.assertGreater(count, 1, box.name)
            self.assertLessEqual(count, self.POLLS_MAX, box.name)
            self.assert_untouched(box, False)
        self.server.honest()
        for box in boxes:
            os.kill(box.agent_pids()[0], signal.SIGHUP)  # it may have minutes to wait by now
        self.assert_updates(*boxes)

    def test_a_503_storm_meets_fewer_and_fewer_requests(self):
        self.watch(dict(zip(BOXES, ("root", r"\.snapshot\.json", BUNDLE))), server.status(503))

    def test_a_404_for_hours_is_no_retry_loop(self):
        """past: a retry loop on 404 that becomes a denial of service."""
        self.watch(dict(zip(BOXES, ("timestamp", r"\.stable\.json", BUNDLE))), server.status(404))

    def test_a_report_that_is_refused_is_no_retry_loop(self):
        self.server.on("/reports/", server.status(500), method="PUT")
        box = self.box(intervals={"poll": "1s"})
        wait_until(lambda: self.server.asked("/reports/"), 20, box.log)
        time.sleep(4)
        puts = len(self.server.asked("/reports/"))
        polls = len(self.polls(box, "timestamp"))
        self.assertLessEqual(puts, polls + 1)
        self.roll_out()
        self.assert_updates(box)

    def test_a_huge_retry_after_is_capped(self):
        """The box comes back after its own longest wait, not next year."""
        box = self.box(start=False)
        self.server.on("timestamp", server.busy(365 * 86400))
        self.roll_out()
        box.start()
        wait_until(lambda: len(self.polls(box, "timestamp")) > 2, 30, box.log)
        first, second, third = self.polls(box, "timestamp")[:3]
        for gap in (second - first, third - second):
            self.assertGreater(gap, 1.9)  # retry_max is 2s here, and up to as much again
            self.assertLess(gap, 8)
        self.assert_untouched(box)
        self.assert_updates(box)

    def test_a_retry_after_that_is_no_number_changes_nothing(self):
        box = self.box(start=False)
        words = ("-1", "99999999999999999999", "soon", "Fri, 31 Dec 9999 23:59:59 GMT")
        answers = iter(words)

        def answer(x):
            word = next(answers, None)
            return server.busy(word)(x) if word is not None else x.honest()

        self.server.on("timestamp", answer)
        self.roll_out()
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assertEqual(len([x for x in self.server.asked("timestamp") if x.status == 503]),
                         len(words))

    def test_boxes_that_start_together_do_not_poll_together(self):
        """past: all boxes polling at the same second when a window opens. Three boxes are switched
        on at once, with an interval of six seconds; each polls at a time of its own, every time."""
        boxes = [self.box(name, start=False, intervals={"poll": "6s"}) for name in BOXES]
        threads = [threading.Thread(target=box.start) for box in boxes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.roll_out()
        self.workspace.stop("stable")  # what opens now stays shut: they poll and do nothing else
        wait_until(lambda: all(len(self.polls(box, "timestamp")) > 1 for box in boxes), 40)
        times = sorted(t for box in boxes for t in self.polls(box, "timestamp")[:2])
        # All six within a second by an accident of one in ten thousand.
        self.assertGreater(times[-1] - times[0], 1)
        firsts = [self.polls(box, "timestamp")[0] for box in boxes]
        seconds = [self.polls(box, "timestamp")[1] for box in boxes]
        gaps = {round(b - a, 2) for a, b in zip(firsts, seconds)}
        self.assertGreater(len(gaps), 1, "each draws its own waits")


class Lies(AttackCase):
    """Answers that are not what they say. None of them is believed, and none does harm."""

    def assert_harmless(self, behaviour, patterns):
        """Each of these files is answered so, each for another box, before the honest answer."""
        self.roll_out()
        names = dict(zip(BOXES, patterns))
        for name, pattern in names.items():
            self.server.on(pattern, behaviour, times=1, box=name)
        boxes = [self.box(name, start=False) for name in names]
        for box in boxes:
            if names[box.name] != BUNDLE:
                self.check(box, 1)
                self.assert_untouched(box, ("timestamp", "snapshot", "targets", "rollouts",
                                            "gates"))
        for box in boxes:
            box.start()
        for box in boxes:
            self.wait_for_outcome(box, "ok")
            self.assert_runs(box, NEW)
            self.assert_condemns_nothing(box)
        for name, pattern in names.items():
            self.assertGreater(len(self.server.asked(pattern, name)), 1)

    def test_a_content_length_that_is_too_large_is_a_cut_file(self):
        self.assert_harmless(server.wrong_length(100), ("timestamp", r"\.stable\.json", BUNDLE))

    def test_a_content_length_that_is_too_small_is_a_wrong_file(self):
        self.assert_harmless(server.wrong_length(-100), ("timestamp", r"\.stable\.json", BUNDLE))

    def test_content_that_was_compressed_unasked_is_a_wrong_file(self):
        self.assert_harmless(server.gzipped(), ("timestamp", r"\.stable\.json", BUNDLE))

    def test_an_answer_of_not_modified_that_nobody_asked_for_is_refused(self):
        self.assert_harmless(server.status(304), ("timestamp", r"\.stable\.json", BUNDLE))

    def test_another_file_under_a_name_is_refused(self):
        self.assert_harmless(server.swap("/metadata/1.root.json"),
                             ("timestamp", r"\.stable\.json", r"\.releases\.json"))

    def test_a_server_that_ignores_range_lets_updates_through(self):
        self.server.on(BUNDLE, server.no_range())
        box = self.box()
        self.roll_out()
        self.wait_for_outcome(box, "ok")
        self.assertNotIn(206, [x.status for x in self.server.asked(BUNDLE)])

    def test_removed_targets_are_not_installed_and_not_held_against_anyone(self):
        """What is listed is gone: a gate, a plan, the bundle, each for one box."""
        self.roll_out()
        gone = dict(zip(BOXES, ("gates/.*stable", "rollouts/", BUNDLE)))
        for name, pattern in gone.items():
            self.server.on(pattern, server.status(404), box=name)
        boxes = [self.box(name) for name in gone]
        for box in boxes:
            wait_until(lambda box=box: len(self.server.asked(gone[box.name], box.name)) > 1, 30,
                       box.log)
            self.assert_untouched(box, False)
        self.assert_updates(*boxes)


if __name__ == "__main__":
    unittest.main()
