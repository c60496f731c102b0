"""A site that several servers have, one of them in the attacker's hands."""
import unittest

import server
from attack import AttackCase
from fleet import free_port, wait_until
from fleet.case import NEW

BUNDLE = r"\.ota"
BLOCK = 512  # of a tar


class Mirrors(AttackCase):
    """agent.conf names the bad server first, and a good one as its mirror."""

    def setUp(self):
        super().setUp()
        self.good = server.HostileServer(self.workspace, free_port()).start()
        self.addCleanup(self.good.stop)

    def assert_updates_by_the_other(self, pattern, behaviour):
        self.server.on(pattern, behaviour)
        self.roll_out()
        box = self.box(site={"mirrors": self.good.url})
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        self.assert_condemns_nothing(box)
        self.assertTrue(self.server.asked(pattern, box.name))
        self.assertTrue(self.good.asked(BUNDLE, box.name))

    def test_a_bad_mirror_that_refuses_is_passed_over(self):
        self.assert_updates_by_the_other("metadata", server.status(503))

    def test_a_bad_mirror_that_lies_is_passed_over(self):
        self.assert_updates_by_the_other("timestamp", server.swap("/metadata/1.root.json"))

    def test_a_bad_mirror_that_sends_without_end_is_passed_over(self):
        self.assert_updates_by_the_other("timestamp", server.endless())

    def test_a_bad_mirror_with_good_metadata_and_wrong_bundles_is_passed_over(self):
        self.assert_updates_by_the_other(BUNDLE, server.changed(lambda data: bytes(len(data))))

    def spoil_chunks(self, *servers):
        """The head is as it was signed: what is wrong lies far behind it."""
        at = self.place_of_news()
        for one in servers:
            one.on(BUNDLE, server.changed(
                lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]))

    def test_a_bad_mirror_that_spoils_chunks_is_left_and_nothing_fails(self):
        self.spoil_chunks(self.server)
        self.roll_out()
        box = self.box(site={"mirrors": self.good.url})
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assertEqual(self.workspace.outcomes(box.name), ["ok"])
        self.assertEqual(box.log().count("updating: "), 1)
        self.assertIn(f"asking a mirror, and not {self.workspace.url}: ", box.log())
        self.assert_runs(box, NEW)

    def test_chunks_that_all_servers_spoil_have_failed(self):
        self.spoil_chunks(self.server, self.good)
        self.roll_out()
        box = self.box(site={"mirrors": self.good.url})
        report = self.wait_for_outcome(box, "failed")
        self.assertEqual(report["class"], "untrusted")
        self.assert_condemns_nothing(box)

    def spoil_pages(self, *servers):
        """What says as what chunks are stored is another: digest, place or size of one."""
        def spoilt(data):
            at = data.index(b"rootfs.stored\0") + BLOCK + 8 + 48
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]

        for one in servers:
            one.on(BUNDLE, server.changed(spoilt))

    def test_a_bad_mirror_that_spoils_a_page_is_left_and_nothing_fails(self):
        self.spoil_pages(self.server)
        self.roll_out()
        box = self.box(site={"mirrors": self.good.url})
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assertEqual(self.workspace.outcomes(box.name), ["ok"])
        self.assertEqual(box.log().count("updating: "), 1)
        self.assertIn(f"asking a mirror, and not {self.workspace.url}: ", box.log())
        self.assertIn("a page is not the one that was sealed", box.log())
        self.assert_runs(box, NEW)

    def test_a_page_that_all_servers_spoil_has_failed_with_nothing_written(self):
        self.spoil_pages(self.server, self.good)
        self.roll_out()
        box = self.box(site={"mirrors": self.good.url})
        report = self.wait_for_outcome(box, "failed")
        self.assertEqual(report["class"], "untrusted")
        self.assertIn("a page is not the one that was sealed", report["detail"])
        self.assert_condemns_nothing(box)
        self.assert_untouched(box, False)

    def test_a_bad_mirror_that_shows_an_older_site_is_passed_over(self):
        """It was the right one, once: what is older than what was seen is refused."""
        box = self.box(start=False, site={"mirrors": self.good.url})
        self.server.freeze()
        self.roll_out()
        box.set({"site": {"url": self.good.url, "mirrors": self.workspace.url}})
        self.check(box)
        box.set({"site": {"url": self.workspace.url, "mirrors": self.good.url}})
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        self.assertIn("asking a mirror", box.log())

    def test_when_all_mirrors_are_bad_nothing_happens_and_each_is_asked_once_a_poll(self):
        for one in (self.server, self.good):
            one.on("root", server.status(503))
        self.roll_out()
        box = self.box(site={"mirrors": self.good.url})
        wait_until(lambda: len(self.server.asked("root")) > 2, 30, box.log)
        counts = [len(one.asked("root")) for one in (self.server, self.good)]
        self.assertLessEqual(abs(counts[0] - counts[1]), 1)
        self.assert_untouched(box)
        self.good.honest()
        self.wait_for_outcome(box, "ok", timeout_s=60)


if __name__ == "__main__":
    unittest.main()
