"""Endless data: a server that never stops sending, on every kind of file that a box asks for."""
import unittest

import server
from attack import BOXES, AttackCase
from fleet import wait_until
from fleet.case import NEW

# What lies on the way besides the cap: buffers of the kernel's at both ends, and libcurl's.
ON_THE_WAY = 12 << 20
KIB = 1 << 10


class Endless(AttackCase):
    """The server sends bytes without end. What a box takes of them ends at the cap for that kind of
    file, none of it is kept, and the honest file is taken afterwards."""

    def setUp(self):
        super().setUp()
        self.one = self.box_that_polled()
        self.roll_out()

    def box_that_polled(self, name=BOXES[0]):
        """It knows the site as it was before the rollout."""
        box = self.box(name, start=False)
        self.check(box)
        self.note(box)
        return box

    def box_after_rollout(self, name):
        box = self.box(name, start=False)
        self.note(box)
        return box

    def assert_cut(self, pattern):
        """Every answer was given up by the box, and none was longer than any cap."""
        asked = self.server.asked(pattern)
        self.assertTrue(asked)
        for x in asked:
            wait_until(lambda x=x: x.over, 10, f"{x.path} is given up")
            self.assertLess(x.sent, 5 * 1024 * KIB + ON_THE_WAY)

    def endless_metadata(self, pattern, newer, why, box=None, **how):
        box = box or self.one
        self.server.on(pattern, server.endless(**how))
        self.assertRegex(self.check(box, 1), why)
        self.assert_cut(pattern)
        self.assert_untouched(box, newer)
        self.server.honest()
        self.assertIn(NEW, self.check(box))

    def test_an_endless_next_root_is_cut_at_its_cap(self):
        self.endless_metadata(r"/2\.root\.json", [], r"2\.root\.json: more than \d+ bytes")

    def test_an_endless_timestamp_is_cut_at_its_cap(self):
        self.endless_metadata("timestamp", [], r"timestamp\.json: more than 16384 bytes")

    def test_an_endless_snapshot_is_cut_at_its_listed_length(self):
        self.endless_metadata(r"\.snapshot\.json", ["timestamp"], "snapshot.json: more than")

    def test_an_endless_targets_file_is_cut_at_its_listed_length(self):
        self.workspace.sluice("role", "add", "more", "--member",
                              self.workspace.path("keys", "releases.pub"), "--threshold", 1,
                              "--paths", "more/*", "--key", self.workspace.key("targets"))
        self.endless_metadata(r"\.targets\.json", ["timestamp", "snapshot"],
                              "targets.json: more than")

    def test_an_endless_delegated_role_is_cut_at_its_listed_length(self):
        others = [self.one, *map(self.box_after_rollout, BOXES[1:])]
        roles = ["timestamp", "snapshot", "releases", "rollouts", "gates"]
        for role, box in zip(("releases", "rollouts", "gates"), others):
            with self.subTest(role):
                self.endless_metadata(rf"\.{role}\.json", [r for r in roles if r != role],
                                      f"{role}.json: more than", box)

    def test_an_endless_plan_is_cut_at_its_listed_length(self):
        self.endless_metadata(r"\.stable\.json", ["timestamp", "snapshot", "releases", "rollouts",
                                                  "gates"], "stable.json: more than")

    def test_an_endless_gate_is_cut_at_its_listed_length(self):
        for path, box in (("targets/gates/.*all", self.one),
                          ("targets/gates/.*stable", self.box_after_rollout(BOXES[1]))):
            with self.subTest(path):
                self.endless_metadata(path, ["timestamp", "snapshot", "rollouts", "gates"],
                                      "json: more than", box)

    def test_a_length_that_is_declared_too_large_is_not_even_read(self):
        self.endless_metadata("timestamp", [], "timestamp.json: .* bytes, of which at most 16384",
                              declared=1 << 40)

    def test_an_endless_error_page_is_cut(self):
        self.endless_metadata("timestamp", [], "timestamp.json: the server answered 500",
                              status_line=500)

    def test_endless_headers_are_cut(self):
        self.server.on("timestamp", server.endless_headers())
        self.check(self.one, 1)
        self.assert_cut("timestamp")
        self.assert_untouched(self.one)
        self.assert_updates(self.one)

    def endless_bundle(self, behaviour, head_only=False):
        """Answers ranges of the bundle like that; head_only: they make no sense from the start."""
        self.server.on(r"\.ota", behaviour)
        self.one.start()
        wait_until(lambda: len(self.server.asked(r"\.ota")) > 2, 30, self.one.log)
        for x in self.server.asked(r"\.ota")[:2]:
            wait_until(lambda x=x: x.over, 10, f"{x.path} is given up")
            self.assertLess(x.sent, ON_THE_WAY)
        self.one.stop()
        if head_only:
            self.assert_untouched(self.one, False)
        self.assert_boots_as_before(self.one)

    def test_an_endless_bundle_head_is_cut_at_its_length(self):
        self.endless_bundle(server.endless(), head_only=True)
        self.assert_updates(self.one)

    def test_an_endless_index_and_endless_chunks_are_cut_at_their_range(self):
        def answer(x):
            """The bytes that were asked for, and then more without end."""
            data = x.part()
            x.head_of_part(None)
            x.send(data)
            server.endless_tail(x)

        self.server.on(r"\.ota", answer)
        self.one.start()
        self.wait_for_outcome(self.one, "ok")
        self.assert_runs(self.one, NEW)
        for x in self.server.asked(r"\.ota"):
            wait_until(lambda x=x: x.over, 10, f"{x.path} is given up")
            self.assertLess(x.sent, ON_THE_WAY)


if __name__ == "__main__":
    unittest.main()
