"""What an update costs on the line, as `make bench BENCH=bytes` counts it on images of 768 MiB:
here on one of a few MiB."""
import contextlib
import os
import random
import shutil
import tempfile
import unittest

from fleet import Box, Nginx, Workspace, free_port
from fleet.tally import (Request, directives, members, ranges_of, requests, sent_spans, split,
                         tally)
from fleet.watch import MIB, watched_install

NAME = "gw-000001"
SIZE = 8 * MIB
CHUNK = 65536
FULL_RATIO_MAX = 1.01


def make_noise(path, seed):
    with open(path, "wb") as f:
        f.write(random.Random(seed).randbytes(SIZE))
    return path


class Counting(unittest.TestCase):
    def request(self, body, ranges, status=206):
        return Request(NAME, "GET", "/targets/bundles/x.ota", status, body, body, 0, ranges)

    def test_ranges_are_read_as_a_box_sends_them(self):
        self.assertEqual(ranges_of("bytes=0-9, 100-199"), [(0, 10), (100, 200)])
        self.assertEqual(ranges_of("-"), [])

    def test_a_transfer_that_was_cut_counts_as_far_as_it_went(self):
        cut = self.request(15, [(0, 10), (100, 200)])
        self.assertEqual(sent_spans(cut, 1000), ([(0, 10), (100, 105)], 0))

    def test_a_range_past_the_end_counts_to_the_end(self):
        self.assertEqual(sent_spans(self.request(50, [(950, 2000)]), 1000), ([(950, 1000)], 0))

    def test_borders_of_multipart_are_counted_apart(self):
        self.assertEqual(sent_spans(self.request(130, [(0, 10), (50, 60)]), 1000),
                         ([(0, 10), (50, 60)], 110))

    def test_an_answer_without_a_range_is_the_whole_file(self):
        self.assertEqual(sent_spans(self.request(1000, [(5, 10)], 200), 1000), ([(0, 1000)], 0))

    def test_what_is_in_no_member_is_the_archive(self):
        parts = [("index", 10, 20), ("data", 30, 90)]
        self.assertEqual(split([(0, 40), (80, 100)], parts),
                         {"index": 10, "data": 20, "archive": 30})


class Cost(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def update(self, old, new):
        """What it fetches for that, and the bundle."""
        workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init().ceremony()
        bundle = workspace.pack("2.0", new)
        workspace.roll_out(bundle, [("all", "100%")])
        with Nginx(workspace, directives(workspace)) as nginx:
            box = Box(workspace, NAME, old)
            watched_install(box, SIZE)
            found = tally(nginx, NAME, bundle)
            seen = requests(nginx, NAME)
        self.assertTrue(box.holds("B", new))
        self.assertEqual(sum(found.values()), sum(r.sent for r in seen), "nothing counts twice")
        self.assertGreater(found["metadata"], 0)
        return found, bundle

    def test_a_box_that_has_all_but_one_chunk_fetches_one_page_of_how_chunks_are_stored(self):
        old, new = (make_noise(os.path.join(self.folder, f"{n}.img"), 1) for n in (1, 2))
        with open(new, "r+b") as f:
            f.seek(SIZE - 10 * CHUNK)
            f.write(b"new")
        found, bundle = self.update(old, new)
        sizes = {what: end - start for what, start, end in members(bundle)}
        self.assertEqual(found["stored"], 8 + 64 * 52)
        self.assertEqual(sizes["stored"], SIZE // CHUNK // 64 * found["stored"])
        self.assertEqual(found["data"], 4096)

    def test_two_images_with_nothing_in_common_cost_the_bundle_and_a_hundredth_at_most(self):
        old, new = (make_noise(os.path.join(self.folder, f"{n}.img"), n) for n in (1, 2))
        found, bundle = self.update(old, new)
        sizes = {what: end - start for what, start, end in members(bundle)}
        for what in ("manifest", "index", "stored", "data"):
            self.assertGreaterEqual(found[what], sizes[what], what)
        self.assertLessEqual(sum(found.values()), FULL_RATIO_MAX * os.path.getsize(bundle), found)


if __name__ == "__main__":
    unittest.main()
