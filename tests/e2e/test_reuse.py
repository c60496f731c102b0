"""What a box has already is not fetched: counted in the log of the web server, by member."""
import json
import os
import random
import unittest

from fleet import Box, Nginx, Workspace, free_port
from fleet.case import FolderCase
from fleet.process import wait_until
from fleet.tally import directives, members, requests, tally
from fleet.watch import watched_install

NAME = "gw-000001"
BLOCK, CHUNK = 4096, 65536
SIZE = 64 * CHUNK
NEWS = (10, 30, 50)  # chunks that no older image has
CUTS = 16 * 18  # bytes, of one chunk


def noise(seed, size):
    return random.Random(seed).randbytes(size)


class Reuse(FolderCase):
    """From an image of noise to the same, all of it a block further up, with three new chunks."""

    def setUp(self):
        super().setUp()
        self.workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init()
        self.workspace.ceremony()
        self.nginx = Nginx(self.workspace, directives(self.workspace)).start()
        self.addCleanup(self.nginx.stop)
        old = noise("old", SIZE)
        new = bytearray(noise("head", BLOCK) + old[:-BLOCK])
        for i in NEWS:
            new[i * CHUNK:(i + 1) * CHUNK] = noise(i, CHUNK)
        self.old, self.new = self.image("old", old), self.image("new", new)
        self.bundle = self.workspace.pack("2.0.0", self.new)
        self.workspace.roll_out(self.bundle, [("all", "100%")])
        self.box = Box(self.workspace, NAME, self.old)
        self.addCleanup(self.box.stop)

    def image(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def fetched(self):
        return tally(self.nginx, NAME, self.bundle)

    def update(self):
        watched_install(self.box, SIZE)
        self.assertTrue(self.box.holds("B", self.new))
        self.assertTrue(self.box.holds("A", self.old) or self.damaged, "it is only read")
        return self.fetched()

    damaged = False

    def intake(self):
        with open(self.box.path("state", "state.json"), encoding="utf-8") as f:
            return json.load(f)["intake"]

    def test_only_what_is_new_is_fetched(self):
        """The head, its hints, the new chunks, and of the first its new block, by its cuts."""
        found = self.update()
        sizes = {what: end - start for what, start, end in members(self.bundle)}
        self.assertEqual(found["data"], len(NEWS) * CHUNK + BLOCK)
        self.assertEqual(found["index"], sizes["index"])
        self.assertEqual(found["hints"], sizes["hints"])
        self.assertEqual(found["cuts"], CUTS)
        self.assertLess(sum(found.values()), 5 * CHUNK)
        intake = self.intake()
        self.assertEqual(intake["plan_running"], SIZE - found["data"])
        self.assertEqual(intake["plan_stored"], found["data"])
        self.assertEqual(intake["plan_ranges"], len(NEWS) + 1)
        self.assertEqual(intake["running"], intake["plan_running"])
        self.assertEqual(intake["fetched"], found["data"] + sum(
            found[what] for what in ("stored", "hints", "cuts")))
        self.assertEqual(intake["written"], SIZE)
        self.assertEqual(self.box.status()["intake"]["running"], intake["running"])
        words = f"{found['data'] / 1024:.1f} KiB to fetch in 4 ranges"
        self.assertIn(f"gateway 2.0.0: planned: {words}", self.box.log())
        details = [(r["state"], r["detail"]) for r in self.workspace.reports(NAME)]
        self.assertEqual([d.split(";")[0] for s, d in details if s == "starting"], ["", words])
        hauls = [r.get("haul") for r in self.workspace.reports(NAME)]
        self.assertEqual([haul for haul in hauls if haul], [{
            "in_place": 0, "zeros": 0, "running": SIZE - found["data"], "inactive": 0,
            "network": found["data"], "fetch": found["data"], "ranges": len(NEWS) + 1}])
        self.workspace.sluice("watch", "--once")
        self.assertIn(f"{found['data']} bytes to fetch in 4 ranges; of the payloads 0 in place, "
                      f"{SIZE - found['data']} from the running side",
                      self.workspace.sluice("box", "show", NAME).stdout)
        self.assertRegex(next(d for s, d in details if s == "installed"),
                         r"fetched, .* from the running side, ")

    def test_a_damaged_slot_costs_what_is_damaged(self):
        self.damaged = True
        with open(self.box.slot("A"), "r+b") as f:
            f.seek(20 * CHUNK)
            f.write(noise("damage", BLOCK))
        self.assertEqual(self.update()["data"], len(NEWS) * CHUNK + 2 * BLOCK)

    def test_what_has_moved_by_a_few_bytes_is_found(self):
        """Behind an insertion no block of the new image begins where one of the old did."""
        with open(self.old, "rb") as f:
            data = f.read()
        self.new = self.image("third", data[:20 * CHUNK] + b"inserted" + data[20 * CHUNK:-8])
        self.bundle = self.workspace.pack("3.0.0", self.new)
        self.workspace.roll_out(self.bundle, [("all", "100%")])
        self.assertEqual(self.update()["data"], BLOCK)

    def test_an_image_that_did_not_move_needs_no_more(self):
        """Chunk for chunk as it is in the running slot, but for one."""
        with open(self.old, "rb") as f:
            data = bytearray(f.read())
        data[5 * CHUNK] ^= 1
        self.new = self.image("third", data)
        self.bundle = self.workspace.pack("3.0.0", self.new)
        self.workspace.roll_out(self.bundle, [("all", "100%")])
        self.assertEqual(self.update()["data"], BLOCK)

    def test_a_server_without_ranges_sends_the_bundle_once(self):
        """Though a chunk at the end lacks a block only, and is put together before those that are
        fetched whole; and nothing is sent twice for the hints."""
        with open(self.new, "rb") as f:
            data = bytearray(f.read())
        data[-CHUNK] ^= 1
        self.new = self.image("third", data)
        self.bundle = self.workspace.pack("3.0.0", self.new)
        self.workspace.roll_out(self.bundle, [("all", "100%")])
        self.nginx.set(directives(self.workspace) + " max_ranges 0;")
        self.nginx.reload()
        self.update()
        asked = [r for r in requests(self.nginx, NAME) if "/bundles/" in r.path]
        self.assertEqual([r.status for r in asked], [200, 200], asked)
        self.assertLessEqual(asked[1].body, os.path.getsize(self.bundle))
        self.assertIn("blocks that have moved are not looked for", self.box.log())

    def test_killed_in_the_middle_it_fetches_nothing_that_it_has(self):
        self.nginx.set(directives(self.workspace) + " limit_rate 20k;")
        self.nginx.reload()
        self.box.start()
        self.box.wait_for_phase("installing")
        wait_until(lambda: self.box_has(SIZE // CHUNK - 1), 60, "what the box has is written")
        self.box.kill()
        self.nginx.stop()
        before = self.fetched()["data"]
        had = sum(self.box_has(i) for i in range(SIZE // CHUNK))
        self.assertGreaterEqual(had, SIZE // CHUNK - len(NEWS))
        self.nginx.set(directives(self.workspace))
        self.nginx.start()
        found = self.update()
        self.assertEqual(found["data"] - before, (SIZE // CHUNK - had) * CHUNK)
        self.assertIn("gateway 2.0.0: planned again: ", self.box.log())

    def box_has(self, chunk):
        with open(self.box.slot("B"), "rb") as f, open(self.new, "rb") as new:
            f.seek(chunk * CHUNK)
            new.seek(chunk * CHUNK)
            return f.read(CHUNK) == new.read(CHUNK)


if __name__ == "__main__":
    unittest.main()
