"""A small crowd of real boxes under a real watch; `make bench BENCH=crowd` has 200 of them."""
import shutil
import tempfile
import unittest

from fleet.crowd import BRICKS, FAILS, GOOD, OLD, Crowd, Pace, outage

TAKES_S = 70
BOXES, CANARY, EARLY = 16, 4, 12
OVERDUE_S = 12  # of silence; a good box has its deadline and a poll to say something
TIMEOUT_S = 120


class Crowded(unittest.TestCase):
    """All of it happens to the same boxes, in this order; the tests look at what came of it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-crowd-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        crowd = cls.crowd = Crowd(cls.folder, BOXES, 1 << 19,
                                  Pace(poll=2, deadline=7, warm=2, fetch=0.5))
        cls.addClassCleanup(crowd.stop)
        crowd.start()
        names = crowd.names
        cls.stages = outage(crowd, [("canary", names[:1]), ("everyone", 100)], TIMEOUT_S)
        cls.counts, cls.condemned = crowd.counts(), crowd.condemned()
        cls.ran = {crowd.version_of(box) for box in crowd.boxes}
        waves = [("canary", names[:CANARY]), ("early", names[CANARY:EARLY]), ("everyone", 100)]
        cls.failed = crowd.stop_comes(FAILS, waves, TIMEOUT_S, 600, "--failing", "30%")
        cls.after_failing = crowd.unbootable()
        cls.run_after_failing = {box.name: crowd.version_of(box) for box in crowd.boxes}
        crowd.resume()
        cls.bricked = crowd.stop_comes(BRICKS, waves, TIMEOUT_S, OVERDUE_S, "--bricking", "30%")
        cls.hung = crowd.pull_the_plug()
        cls.after_bricking = crowd.unbootable()

    def test_an_outage_as_long_as_a_deadline_condemns_nothing(self):
        before, away_s, _, _ = self.stages
        self.assertTrue(before["booted, unconfirmed"] and before["downloading or writing"])
        self.assertGreater(away_s, self.crowd.pace.deadline)
        self.assertEqual(self.condemned, set())
        self.assertEqual([self.counts[k] for k in ("failed", "reverted", "overdue")], [0, 0, 0])

    def test_after_an_outage_all_boxes_get_there(self):
        self.assertEqual(self.counts["ok"], BOXES)
        self.assertEqual(self.ran, {GOOD})

    def test_a_release_that_fails_is_stopped_in_the_canary_or_early_wave(self):
        self.assertNotIn("everyone", self.failed.waves)
        self.assertIn("reverted", self.failed.reason)
        self.assertGreaterEqual(self.failed.wrong, 3)
        self.assertLessEqual(self.failed.touched, EARLY)
        self.assertLessEqual(self.failed.touched, self.failed.forecast.most)

    def test_a_release_that_fails_leaves_no_box_unbootable(self):
        self.assertEqual(self.after_failing, {})
        for name in self.crowd.weak:
            self.assertEqual(self.run_after_failing[name], GOOD)

    def test_a_release_that_bricks_is_stopped_though_nobody_says_a_word(self):
        self.assertNotIn("everyone", self.bricked.waves)
        self.assertRegex(self.bricked.reason, r"\(0 failed, 0 reverted, [1-9]\d* overdue\)")
        self.assertLessEqual(self.bricked.touched, EARLY)

    def test_a_box_that_hangs_comes_back_by_its_boot_counter(self):
        self.assertGreaterEqual(self.hung, 3)
        self.assertEqual(self.after_bricking, {})
        self.assertNotIn(OLD, self.ran)


if __name__ == "__main__":
    unittest.main()
