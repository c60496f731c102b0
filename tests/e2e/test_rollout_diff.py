"""`sluice rollout diff`: what publishing a plan would change, in plain words and boxes."""
import os
import unittest

from fleet.case import PlanCase

WAVES = [("canary", ["gw-000001", "gw-000002"]), ("early", "5%"), ("everyone", "100%")]


class Diff(PlanCase):
    def setUp(self):
        super().setUp()
        for bundle in self.bundles:
            self.ws.release(bundle)

    def diff(self, path, **kwargs):
        return self.ws.sluice("rollout", "diff", path, **kwargs).stdout

    def plan(self, waves=None, bundle=1, **settings):
        return self.ws.plan(self.bundles[bundle], waves or WAVES, rollout="stable-7", **settings)

    def rows(self, waves=None, **settings):
        """What a change of the published plan is told as, between its first and last lines."""
        text = self.diff(self.plan(waves, **settings))
        first, *rest = text.rstrip("\n").split("\n")
        self.assertEqual(first, "rollouts/stable.json: version 1 becomes version 2")
        self.assertEqual(rest[-1].split(), "sluice gate open stable canary --key K".split()
                         if waves is None else rest[-1].split())
        return [" ".join(line.split()) for line in rest[:-2]]

    def test_a_new_plan_is_told_as_a_whole(self):
        text = self.diff(self.plan(match="{site: [lyon]}", window='{hours: "02:00-05:00"}',
                                   budget="2MB", recall="gateway-2.3.9.ota", notes="for Lyon"))
        for line in ("rollouts/stable.json: new", "bundle gateway 2.4.0", "compatible + acme-gw3",
                     "tag site any box -> only: + lyon", "budget 2000000 bytes a box",
                     "recall boxes that run bundles/gateway-2.3.9.ota (",
                     "window daily 02:00-05:00 local time, spread over 90m",
                     "wave canary 2 boxes by name", "wave early up to 5%", "notes for Lyon",
                     "advance success 98% of 30, coverage 80%",
                     "stop failures 5%, at least 3, overdue after 24h",
                     "until a person opens the first wave",
                     "sluice gate open stable canary --key K"):
            self.assertIn(line, " ".join(text.split()))
        self.assertNotIn("boxes, by fleet.db", text)

    def test_each_word_that_changes_is_told_and_nothing_else(self):
        self.ws.publish_plan(self.plan())
        for settings, told in (
                ({"bundle": 0}, ["bundle gateway 2.4.0 -> gateway 2.3.9"]),
                ({"compatible": "[acme-gw4, acme-gw3]"}, ["compatible + acme-gw4"]),
                ({"from": '[">=2.1.0"]'}, ["from + >=2.1.0"]),
                ({"match": "{site: [lyon, paris]}"},
                 ["tag site any box -> only: + lyon + paris"]),
                ({"exclude": "[gw-9, gw-8]"}, ["exclude + gw-9 + gw-8"]),
                ({"attempt": 2}, ["attempt 1 -> 2"]),
                ({"window": '{days: [sat], hours: "22:00-04:00", clock: utc, spread: 1h}'},
                 ["window any time -> sat 22:00-04:00 UTC, spread over 1h"]),
                ({"start": "2099-12-01T02:00:00Z"}, ["start at once -> 2099-12-01T02:00:00Z"]),
                ({"budget": "200MB"}, ["budget any -> 200000000 bytes a box"]),
                ({"stop_poll": "60s", "deadline": "90s"}, ["stop_poll 1s -> 1m",
                                                           "deadline 1m -> 90s"]),
                ({"advance": "{success: 97.5%}"},
                 ["advance success 98% of 30, coverage 80% -> success 97.50% of 30, coverage 80%"]),
                ({"stop": "{at_least: 4}"},
                 ["stop failures 5%, at least 3, overdue after 24h -> failures 5%, at least 4, "
                  "overdue after 24h"]),
                ({"notes": '"mind the gap"'}, ["notes mind the gap"])):
            with self.subTest(settings=settings):
                self.assertEqual(self.rows(**settings), told)
        self.assertIn("says what is published: version 1, and its gate, stay",
                      self.diff(self.plan()))

    def test_waves_are_told_as_new_removed_moved_and_changed(self):
        self.ws.publish_plan(self.plan())
        canary, early, everyone = WAVES
        self.assertEqual(self.rows([("canary", ["gw-000001", "gw-000003", "gw-000004"]), early,
                                    everyone]),
                         ["wave canary 2 boxes by name -> 3 boxes by name",
                          "wave canary + gw-000003 + gw-000004 - gw-000002"])
        self.assertEqual(self.rows([canary, ("early", "10%"), everyone]),
                         ["wave early up to 5% -> up to 10%"])
        self.assertEqual(self.rows([canary, everyone]),
                         ["wave early removed; it had up to 5%"])
        self.assertEqual(self.rows([("lab", ["gw-9"]), *WAVES]),
                         ["wave lab new, at place 1: 1 box by name"])
        self.assertEqual(self.rows([early, canary, everyone]),
                         ["wave early moves from place 2 to 1",
                          "wave canary moves from place 1 to 2"])

    def test_boxes_are_counted_before_and_after(self):
        for n in range(1, 5):
            self.ws.add_box(f"gw-00000{n}")
        first = self.diff(self.plan())
        self.assertRegex(first, r"(?m)^boxes, by fleet.db:$")
        self.assertRegex(first, r"(?m)^  wave canary +2$")
        self.ws.publish_plan(self.plan())
        text = self.diff(self.plan([("lab", ["gw-000001"]), ("everyone", "100%")],
                                   exclude="[gw-000003]"))
        self.assertRegex(text, r"(?m)^boxes, by fleet.db, before and after:$")
        self.assertRegex(text, r"(?m)^  wave lab +0 -> 1$")
        self.assertRegex(text, r"(?m)^  wave everyone +\d -> 2$")
        self.assertRegex(text, r"(?m)^  wave canary +2 -> 0$")
        self.assertRegex(text, r"(?m)^  in no wave +0 -> 1$")
        self.assertTrue(text.endswith("    sluice gate open stable lab --key K\n"), text)

    def test_what_is_open_and_shuts_is_told_and_publish_tells_the_same(self):
        self.ws.publish_plan(self.plan())
        self.ws.open_gate("canary")
        self.ws.open_gate("early")
        changed = self.plan(attempt=2)
        text = self.diff(changed)
        self.assertIn("open now: canary, early. That shuts", text)
        told = self.ws.publish_plan(changed).stdout
        self.assertTrue(told.startswith(text), told)
        self.assertNotIn("open now", self.diff(self.plan(attempt=3)))

    def test_a_plan_that_cannot_be_published_yet_is_told_with_the_reason(self):
        path = self.ws.write("rollouts/stable.yaml", "rollout: r\nbundle: gateway-9.ota\n"
                             "compatible: [acme-gw3]\nwaves: [{name: all, percent: 100}]\n")
        text = self.diff(path)
        self.assertIn("rollouts/stable.json: new", text)
        self.assertIn("It cannot be published yet: bundles/gateway-9.ota is not released", text)

    def test_a_bundle_released_anew_is_told(self):
        self.ws.publish_plan(self.plan())
        image = os.path.join(self.folder, "other")
        with open(image, "wb") as f:
            f.write(os.urandom(100000))
        self.bundles[1] = self.ws.pack("2.4.0", image)
        self.ws.release(self.bundles[1])
        self.assertIn("bundles/gateway-2.4.0.ota was released anew, with other bytes",
                      self.diff(self.plan()))


if __name__ == "__main__":
    unittest.main()
