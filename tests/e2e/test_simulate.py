"""`sluice simulate`: what a plan comes to, and the bars that its judgement has to keep.

The bars are for 1000 boxes that turn up over 24 hours and a plan that allows 5% of failures, over
60 seeds. The plan is the shortest that has them all in one wave; a box has 10 minutes to be sure of
the new system, and has failed once it has been silent for 45.
"""
import json
import os
import time
import unittest

from fleet import Programs, run
from fleet.case import FolderCase

PLAN = """rollout: gateway-2.4.0
bundle: gateway-2.4.0.ota
compatible: [acme-gw3]
from: [">2.1", "<3"]
match: {{site: [lyon, paris]}}
waves:
{waves}
stop: {{failures: 5%, at_least: 3, overdue_after: {overdue}}}
deadline: 10m
"""
ALL = "  - {name: everyone, percent: 100}"
STEPS = """  - {name: canary, boxes: [gw-000001, gw-000002, gw-000003], soak: 4h}
  - {name: early, percent: 5, soak: 24h}
""" + ALL


class Simulate(FolderCase):
    def plan(self, waves=ALL, overdue="45m", text=None):
        return self.write("stable.yaml", text or PLAN.format(waves=waves, overdue=overdue))

    def simulate(self, *options, check=0, **plan):
        return run([Programs().sluice, "simulate", self.plan(**plan), *options], check=check)

    def figures(self, *options, **plan):
        return json.loads(self.simulate("--json", *options, **plan).stdout)

    def test_ten_percent_failing_is_always_stopped_with_few_boxes_touched(self):
        got = self.figures("--failing", "10%", "--seeds", "60", "--boxes", "1000", "--over", "24h")
        self.assertEqual((got["runs"], got["boxes"]), (60, 1000))
        self.assertEqual(got["stopped"], 60)
        self.assertLessEqual(got["started"]["median"], 130)
        self.assertGreater(got["started"]["median"], 30)
        self.assertFalse(got["good_release"])

    def test_boxes_that_fall_silent_are_stopped_even_sooner(self):
        got = self.figures("--bricking", "30%")
        self.assertEqual(got["stopped"], 60)
        self.assertLessEqual(got["started"]["median"], 65)
        # Nobody can know before the first of them is overdue.
        self.assertGreater(got["stopped_s"]["median"], 45 * 60)

    def test_what_the_plan_puts_up_with_is_hardly_ever_stopped(self):
        got = self.figures("--failing", "2.5%")
        self.assertTrue(got["good_release"])
        self.assertLessEqual(got["stopped"], 60 * 3 // 100)
        many = self.figures("--failing", "2.5%", "--seeds", "600")
        self.assertLessEqual(many["stopped"], 600 * 3 // 100)

    def test_what_it_is_compared_with_touches_more_and_never_hears_silence(self):
        """hawkBit's rule counts the errors that boxes report, over all boxes of a group."""
        rival = os.path.join(os.environ["SLUICE_BUILD"], "tests", "tools", "rival")
        for failing, bricking, stopped, least in ((1000, 0, 60, 500), (0, 3000, 0, 0),
                                                  (250, 0, 0, 0)):
            got = json.loads(run([rival, self.plan(), "1000", str(failing), str(bricking),
                                  "60"]).stdout)
            self.assertEqual(got["stopped"], stopped)
            self.assertGreaterEqual(got["median"], least)

    def test_a_good_release_finishes(self):
        got = self.figures()
        self.assertEqual((got["finished"], got["stopped"]), (60, 0))
        self.assertGreater(got["finished_s"]["median"], 23 * 3600)
        self.assertLess(got["finished_s"]["max"], 25 * 3600)

    def test_waves_open_one_behind_the_other_and_keep_the_damage_small(self):
        good = self.figures(waves=STEPS)
        self.assertEqual(good["finished"], 60)
        self.assertEqual(sum(w["boxes"] for w in good["waves"]), 1000)
        self.assertEqual(good["waves"][0]["boxes"], 3)
        # Three waves of a day, and both soaks.
        self.assertGreater(good["finished_s"]["median"], (24 + 4 + 24) * 3600)
        bad = self.figures("--failing", "30%", waves=STEPS)
        self.assertEqual(bad["stopped"] + bad["held"], 60)
        self.assertEqual(bad["waves"][2]["stopped"], 0)
        self.assertLess(bad["started"]["max"], 60)

    def test_a_recall_is_played_with_boxes_that_run_what_is_recalled(self):
        text = PLAN.format(waves=ALL, overdue="45m") + "recall: gateway-2.3.9.ota\n"
        got = self.figures(text=text)
        self.assertEqual((got["finished"], got["waves"][0]["boxes"]), (60, 1000))

    def test_boxes_that_never_come_are_waited_for(self):
        got = self.figures("--offline", "50%", waves=STEPS)
        self.assertEqual((got["finished"], got["stopped"], got["held"]), (0, 0, 0))
        self.assertEqual(got["waiting"], 60)

    def test_a_deadline_that_is_too_short_for_a_good_release_shows(self):
        # An install takes up to ten minutes, in which nothing is reported.
        got = self.figures(overdue="2m")
        self.assertEqual((got["stopped"], got["good_release"]), (60, True))

    def test_the_same_seeds_give_the_same_figures(self):
        first, second = (self.simulate("--failing", "10%", waves=STEPS).stdout for _ in range(2))
        self.assertEqual(first, second)
        self.assertIn("boxes started  median", first)
        self.assertNotIn("by mistake", first)
        self.assertIn("stopped by mistake 0", self.simulate().stdout)
        self.assertNotEqual(self.figures("--failing", "10%", "--seeds", "1")["started"],
                            self.figures("--failing", "10%", "--seeds", "9")["started"])

    def test_it_takes_seconds(self):
        began = time.monotonic()
        self.figures("--failing", "2.5%", waves=STEPS)
        self.assertLess(time.monotonic() - began, 10)

    def test_what_makes_no_sense_is_refused(self):
        for options, says in ((("--failing", "10"), "--failing"),
                              (("--failing", "60%", "--bricking", "50%"), "over 100%"),
                              (("--boxes", "0"), "--boxes"),
                              (("--seeds", "x"), "--seeds"),
                              (("--over", "5"), "--over"),
                              (("--speed", "5"), "--speed"),
                              (("another.yaml",), "one plan's file")):
            with self.subTest(options=options):
                self.assertIn(says, self.simulate(*options, check=2).stderr)
        nobody = PLAN.format(waves=ALL, overdue="45m").replace('">2.1"', '">3"')
        self.assertIn("`from`", self.simulate(check=2, text=nobody).stderr)
        wrong = PLAN.format(waves="", overdue="45m")
        self.assertIn("stable.yaml:", self.simulate(check=1, text=wrong).stderr)


if __name__ == "__main__":
    unittest.main()
