"""`sluice rollout check`: complaints and warnings, each at its line and column."""
import json
import os
import unittest

from fleet import Programs, run
from fleet.case import FolderCase
from fleet.process import ROOT

# Nothing to warn of but the canary's size, which nobody can help.
PLAN = """rollout: gateway-2.4.0
bundle: gateway-2.4.0.ota
compatible: [acme-gw3]
exclude: [gw-000017]
window: {days: [sat], hours: "02:00-05:00", clock: utc, spread: 1h}
waves:
  - {name: canary, boxes: [gw-1, gw-2, gw-3], soak: 4h}
  - {name: early, percent: 5, soak: 24h}
  - {name: everyone, percent: 100}
advance: {success: 98%, sample: 30, coverage: 80%}
stop: {failures: 5%, at_least: 3, overdue_after: 24h}
stop_poll: 60s
deadline: 1h
"""
CANARY = "7:27: warning: wave canary has 3 boxes, and it takes 266 without a failure"


def place_of(text, at):
    """LINE:COLUMN of the only place where `at` stands."""
    before, _ = text.split(at)
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class Check(FolderCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.folder, "stable.yaml")

    def check_text(self, text, status=0):
        self.write("stable.yaml", text)
        return run([Programs().sluice, "rollout", "check", self.path], check=status)

    def warnings(self, text):
        """Without the canary's."""
        lines = self.check_text(text).stderr.rstrip("\n").split("\n")
        self.assertIn("is good, but see above." if len(lines) > 1 else "is good.", lines[-1])
        for line in lines[:-1]:
            self.assertRegex(line, rf"^{self.path}:\d+:\d+: warning: ")
        found = [line.removeprefix(self.path + ":") for line in lines[:-1]]
        return [w for w in found if not w.startswith(CANARY)]

    def test_a_plan_that_was_thought_about_has_one_warning(self):
        self.assertEqual(self.warnings(PLAN), [])
        self.assertIn(CANARY, self.check_text(PLAN).stderr)
        few = PLAN.replace("98%", "50%").replace("failures: 5%", "failures: 60%")
        self.assertIn("it takes 6 without", self.check_text(few).stderr)
        many = PLAN.replace("gw-1, gw-2, gw-3", ", ".join(f"gw-{n}" for n in range(266)))
        done = self.check_text(many)
        self.assertNotIn("warning", done.stderr)
        self.assertIn("is good. ", done.stderr)
        self.assertEqual(len(json.loads(done.stdout)["waves"][0]["boxes"]), 266)

    def findings(self, text, status=0):
        self.write("stable.yaml", text)
        done = run([Programs().sluice, "rollout", "check", self.path, "--json"], check=status)
        return json.loads(done.stdout), done.stderr

    def test_findings_are_there_for_programs_too(self):
        report, said = self.findings(PLAN)
        self.assertEqual(said, "")
        self.assertEqual((report["file"], report["good"]), (self.path, True))
        self.assertEqual(report["plan"], json.loads(self.check_text(PLAN).stdout))
        finding, = report["findings"]
        self.assertEqual((finding["severity"], finding["line"], finding["column"]),
                         ("warning", 7, 27))
        self.assertTrue(finding["text"].startswith("wave canary has 3 boxes"), finding)
        report, said = self.findings(PLAN.replace("success: 98%", "success: 120%"), status=1)
        line, column = map(int, place_of(PLAN, "98%, sample").split(":"))
        finding, = report["findings"]
        self.assertEqual((finding["severity"], finding["line"], finding["column"]),
                         ("error", line, column))
        self.assertIn(f"{self.path}:{line}:{column}: {finding['text']}", said)
        self.assertFalse(report["good"])
        self.assertNotIn("plan", report)

    def test_a_finding_without_a_place_has_none(self):
        os.mkdir(self.path)
        done = run([Programs().sluice, "rollout", "check", self.path, "--json"], check=1)
        finding, = json.loads(done.stdout)["findings"]
        self.assertEqual(set(finding), {"severity", "text"})

    def test_json_is_for_check_alone(self):
        self.assertIn("is not known", run([Programs().sluice, "rollout", "diff", self.path,
                                           "--json"], check=2).stderr)

    def test_what_hardly_anybody_means_is_warned_of_at_its_place(self):
        for was, becomes, at, says in (
                ("{name: canary, boxes: [gw-1, gw-2, gw-3], soak: 4h}",
                 "{name: canary, percent: 1, soak: 4h}", "1, soak", "takes boxes by chance"),
                ("percent: 100", "percent: 90", "90}", "the waves end at 90.00%"),
                ("gw-3], soak: 4h", "gw-3]", "{name: canary",
                 "wave canary is not watched"),
                ("at_least: 3", "at_least: 4", "4, overdue",
                 "wave canary has 3 boxes, so it is held"),
                ("success: 98%", "success: 94%", "5%, at_least",
                 "lets more boxes fail"),
                ("success: 98%", "success: 100%", "100%, sample", "no number of boxes shows"),
                ("overdue_after: 24h", "overdue_after: 1h", "1h}\nstop_poll",
                 "good boxes would stop"),
                ("overdue_after: 24h", "overdue_after: 25h", "25h", "lower overdue_after"),
                ("stop_poll: 60s", "stop_poll: 20m", "20m", "after up to 20 minutes"),
                ("spread: 1h", "spread: 3h", "3h}", "have 0 minutes until the window closes"),
                ("02:00-05:00", "02:00-02:10", '"02:00-02:10', "have 5 minutes until"),
                ("deadline: 1h", "deadline: 1h\nstart: 2020-01-01T00:00:00Z", "2020-",
                 "2020-01-01T00:00:00Z has passed"),
                ("[gw-000017]", "[gw-000017, gw-2]", "gw-2]\n", "though wave canary names it")):
            with self.subTest(becomes=becomes):
                self.assertIn(was, PLAN)
                text = PLAN.replace(was, becomes)
                if becomes.startswith("02:00-02:10"):
                    text = text.replace(", spread: 1h", "")
                got = [w for w in self.warnings(text) if says in w]
                self.assertEqual(len(got), 1, self.warnings(text))
                self.assertTrue(got[0].startswith(place_of(text, at) + ": warning: "), got[0])

    def test_a_wave_that_passes_on_a_few_quick_boxes_is_warned_of(self):
        brief = PLAN.replace("soak: 24h", "soak: 1h")
        for sample, success, at, says in (
                (30, "98%", None, None), (6, "98%", None, None), (10, "90%", None, None),
                (5, "98%", "5, coverage", "wave early passes when 5 of the 5 quickest boxes are "
                 "well, before it is known of slower ones that they fail: half of all may; write "
                 "sample: 6, or a soak as long as overdue_after"),
                (10, "70%", "10, coverage", "when 7 of the 10 quickest boxes are well"),
                (400, "50%", "50%, sample", "write a success of 90% or more, or a soak")):
            with self.subTest(sample=sample, success=success):
                text = brief.replace("98%", success).replace("sample: 30", f"sample: {sample}")
                found = [w for w in self.warnings(text) if "quickest" in w]
                self.assertEqual(len(found), 1 if at else 0, found)
                if at:
                    self.assertTrue(found[0].startswith(place_of(text, at) + ": warning: "), found)
                    self.assertIn(says, found[0])
                watched = text.replace("soak: 1h", "soak: 24h")
                self.assertEqual([w for w in self.warnings(watched) if "quickest" in w], [])

    def test_a_wave_of_no_more_boxes_than_the_sample_knows_of_all(self):
        text = PLAN.replace("sample: 30", "sample: 3")
        self.assertEqual([w for w in self.warnings(text) if "quickest" in w], [])
        text = text.replace("sample: 3", "sample: 2")
        found, = [w for w in self.warnings(text) if "quickest" in w]
        self.assertIn("wave canary passes when 2 of the 2", found)

    def test_what_is_wrong_says_where_and_what_to_do(self):
        for was, becomes, at, says in (
                ("percent: 5,", "percent: 0,", "0, soak", "write 1% or more"),
                ("gw-3]", "gw-1]", "gw-1], soak", "take one of them out"),
                ("name: early", "name: canary", "canary, percent: 5", "rename one"),
                ("spread: 1h", "spread: 5h", "5h}", "does not fit into a window"),
                ("deadline: 1h", "deadline: 1h\nbudget: 5 MB", "5 MB", "write bytes"),
                ("deadline: 1h", "deadline: [1h]", "[1h]", "one value for 'deadline' here"),
                ("deadline: 1h", "deadline: 1h\nrecal: x", "recal: x", "recall")):
            with self.subTest(becomes=becomes):
                text = PLAN.replace(was, becomes)
                said = self.check_text(text, status=1).stderr
                self.assertIn(f"{self.path}:{place_of(text, at)}: ", said)
                self.assertIn(says, said)

    def test_all_that_is_wrong_is_told_at_once(self):
        text = (PLAN.replace("compatible: [acme-gw3]", "compatible: acme")
                .replace("gw-3]", "gw-1]").replace("percent: 5,", "percent: 0, sok: 1h,")
                .replace('"02:00-05:00"', '"2-5"').replace("clock: utc", "clock: mine")
                .replace("success: 98%", "success: 120%").replace("at_least: 3", "at_least: x")
                .replace("deadline: 1h", "deadline: 1h\nrecal: x"))
        expected = [(place_of(text, at), says) for at, says in (
            ("acme\n", "a list is expected"), ('"2-5"', "is not like"), ("mine", "neither local"),
            ("gw-1], soak", "named twice"), ("0, sok", "write 1% or more"),
            ("sok: 1h", "did you mean 'soak'"), ("120%", "over 100%"), ("x, overdue", "x"),
            ("recal: x", "did you mean 'recall'"))]
        done = self.check_text(text, status=1)
        *told, total = done.stderr.splitlines()
        self.assertEqual(len(told), len(expected), done.stderr)
        for line, (place, says) in zip(told, expected):
            self.assertTrue(line.startswith(f"{self.path}:{place}: "), (line, place))
            self.assertIn(says, line)
        self.assertIn(f"{self.path}: {len(expected)} complaints", total)
        self.assertNotIn("may be more", total)
        findings = self.findings(text, status=1)[0]["findings"]
        self.assertEqual([f"{f['severity']} {f['line']}:{f['column']}" for f in findings],
                         [f"error {place}" for place, _ in expected])

    def test_mistakes_without_end_are_not_all_told(self):
        text = PLAN + "".join(f"q{n:03d}: 1\n" for n in range(100))
        done = self.check_text(text, status=1)
        self.assertEqual(done.stderr.count("is not known here"), 20)
        self.assertIn("20 complaints, and there may be more", done.stderr)

    def test_a_plan_that_gets_too_large_says_so_at_its_file(self):
        names = ", ".join(f"gateway-of-a-long-name-in-a-large-fleet-{n:07d}" for n in range(24000))
        said = self.check_text(PLAN.replace("gw-1, gw-2, gw-3", names), status=1).stderr
        self.assertIn(f"{self.path}:1:1: ", said)
        self.assertIn("by tags instead of by name", said)

    def test_our_samples_keep_what_we_advise(self):
        path = os.path.join(ROOT, "manifests", "rollouts", "stable.yaml")
        done = run([Programs().sluice, "rollout", "check", path])
        self.assertEqual(done.stderr.count("warning"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
