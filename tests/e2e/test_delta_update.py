"""Updates by deltas: what a box fetches where there is one for what it runs, counted in the log of
the web server, and what becomes of boxes for which it is not right."""
import json
import os
import random
import time
import unittest

from fleet import Box, Nginx, Workspace, free_port
from fleet.case import FolderCase
from fleet.process import wait_until
from fleet.tally import directives, members, tally
from fleet.watch import watched_install

NAME = "gw-000001"
BLOCK, CHUNK = 4096, 65536
CHUNKS = 160
SIZE = CHUNKS * CHUNK
CHANGED = (5, 6, 7, 40, 90, 150)  # chunks of which some bytes are others
FRESH = 70  # one that nobody has
MOVED = range(100, 140)  # chunks that lie a block further on


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def content(version):
    """Of a family of images: each is the one before but for some bytes here and there, a chunk that
    is new, and others that have moved by a block."""
    if version == 1:
        return noise("first", SIZE)
    data = bytearray(content(version - 1))
    for i in CHANGED:
        for at in range(100, CHUNK, 5000):
            data[i * CHUNK + at] ^= version
    data[FRESH * CHUNK:(FRESH + 1) * CHUNK] = noise(f"fresh {version}", CHUNK)
    first, end = MOVED.start * CHUNK, MOVED.stop * CHUNK
    data[first:end] = noise(f"head {version}", BLOCK) + data[first:end - BLOCK]
    return bytes(data)


class DeltaCase(FolderCase):
    """The box runs 1.0.0, installed as at a factory, and its other side is empty."""

    def setUp(self):
        super().setUp()
        self.workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init()
        self.workspace.ceremony()
        self.nginx = Nginx(self.workspace, directives(self.workspace)).start()
        self.addCleanup(self.nginx.stop)
        self.images, self.bundles = {}, {}
        for version in (1, 2):
            self.pack(version)
        self.workspace.release(self.bundles[1])
        self.box = Box(self.workspace, NAME, self.images[1])
        self.addCleanup(self.box.stop)
        self.box.factory_install(self.bundles[1])
        with open(self.box.slot(self.box.other_side()), "wb") as f:
            f.truncate(SIZE)

    def pack(self, version, data=None):
        path = os.path.join(self.folder, f"image-{version}")
        with open(path, "wb") as f:
            f.write(data or content(version))
        self.images[version] = path
        self.bundles[version] = self.workspace.pack(f"{version}.0.0", path)

    def roll_out(self, version, *from_versions):
        olds = [word for old in from_versions for word in ("--delta-from", self.bundles[old])]
        done = self.workspace.sluice("release", self.bundles[version], *olds, "--key",
                                     self.workspace.key("releases"))
        self.workspace.roll_out(self.bundles[version], [("all", "100%")])
        return done

    def delta_file(self, version=2, old=1):
        return self.workspace.target_file(f"bundles/gateway-{version}.0.0.from-{old}.0.0.delta")

    def fetched(self, version=2):
        return tally(self.nginx, NAME, self.bundles[version])

    def update(self, version=2):
        """Installs it; returns what came from the server since it was turned on."""
        side = self.box.other_side()
        watched_install(self.box, SIZE)
        self.assertTrue(self.box.holds(side, self.images[version]))
        return self.fetched(version)

    def intake(self):
        return self.box.state()["intake"]

    def has(self, chunk, version=2):
        with open(self.box.slot(self.box.other_side()), "rb") as f, \
                open(self.images[version], "rb") as new:
            f.seek(chunk * CHUNK)
            new.seek(chunk * CHUNK)
            return f.read(CHUNK) == new.read(CHUNK)


class DeltaUpdate(DeltaCase):
    def test_an_update_comes_by_its_delta(self):
        """All of it, and of the bundle nothing: no head, no hints, no chunk."""
        self.roll_out(2, 1)
        found = self.update()
        delta = os.path.getsize(self.delta_file())
        self.assertEqual(found["delta"], delta)
        self.assertLess(delta, CHUNK + 3 * BLOCK)
        for what in ("manifest", "index", "seals", "hints", "cuts", "data"):
            self.assertEqual(found[what], 0, f"{what}: {found}")
        self.assertLess(sum(found.values()) - found["metadata"], delta + 4 * BLOCK)

    def test_what_it_takes_is_known_and_told_beforehand(self):
        self.roll_out(2, 1)
        self.update()
        intake = self.intake()
        self.assertGreaterEqual(intake["plan_delta"], len(CHANGED) * CHUNK)
        self.assertGreater(intake["plan_running"], SIZE - 20 * CHUNK)
        self.assertEqual(intake["plan_running"] + intake["plan_delta"], SIZE)
        self.assertEqual(intake["plan_stored"], intake["plan_records"])
        self.assertEqual(intake["delta"], intake["plan_delta"])
        self.assertEqual(intake["fetched"], intake["plan_records"])
        self.assertEqual(intake["written"], SIZE)
        log = self.box.log()
        self.assertRegex(log, r"the delta from 1\.0\.0 serves: its head of \S+ KiB instead of ")
        self.assertRegex(log, r"gateway 2\.0\.0: planned: .* told by a delta in ")
        self.assertRegex(log, r"gateway 2\.0\.0: .* fetched, .* told by a delta, ")
        haul = next(r["haul"] for r in self.workspace.reports(NAME) if r.get("haul"))
        self.assertEqual((haul["delta"], haul["records"]),
                         (intake["plan_delta"], intake["plan_records"]))
        self.workspace.sluice("watch", "--once")
        self.assertIn(f"{haul['delta']} are told by a delta, in {haul['records']} of the bytes",
                      self.workspace.sluice("box", "show", NAME).stdout)

    def test_a_box_goes_on_from_one_to_the_next(self):
        """What it keeps of a release that came by a delta is whole."""
        self.roll_out(2, 1)
        self.box.start()
        wait_until(lambda: self.box.runs(self.images[2]), 60, self.box.log)
        self.box.stop()
        self.assertIn("authentic", self.box.agent("audit").stdout)
        before = self.fetched()["delta"]
        self.pack(3)
        self.roll_out(3, 2)
        found = self.update(3)
        self.assertEqual(found["delta"] - before, os.path.getsize(self.delta_file(3, 2)))
        self.assertEqual(found["index"] + found["data"], 0, found)

    def test_a_box_on_another_release_updates_without(self):
        self.pack(3)
        self.roll_out(3, 2)
        found = self.update(3)
        self.assertEqual(found["delta"], 0)
        self.assertGreater(found["index"], 0)
        self.assertNotIn("delta", self.box.log())

    def test_a_delta_that_is_not_at_the_server_costs_nothing_but_bytes(self):
        self.roll_out(2, 1)
        os.unlink(self.delta_file())
        found = self.update()
        self.assertLess(found["delta"], 100, "of a page that says 404")
        self.assertGreater(found["hints"], 0)
        self.assertIn("no delta is used: ", self.box.log())

    def test_a_server_without_ranges_gives_no_deltas(self):
        self.roll_out(2, 1)
        self.nginx.set(directives(self.workspace) + " max_ranges 0;")
        self.nginx.reload()
        self.update()
        self.assertIn("no delta is used: ", self.box.log())
        self.assertEqual(self.intake()["delta"], 0)

    def test_killed_in_the_middle_it_fetches_the_rest_only(self):
        """Of the delta, its head once more, and the records that are not written yet; one of which
        little is left is not worth it."""
        data = bytearray(content(1))
        for i in range(0, CHUNKS, 8):
            data[i * CHUNK:i * CHUNK + 10 * BLOCK] = noise(f"much {i}", 10 * BLOCK)
        self.pack(2, data)
        self.roll_out(2, 1)
        self.nginx.set(directives(self.workspace) + " limit_rate 60k;")
        self.nginx.reload()
        self.box.start()
        self.box.wait_for_phase("installing")
        wait_until(lambda: self.has(CHUNKS // 2), 60, self.box.log)
        self.box.kill()
        self.nginx.stop()
        right = sum(self.has(i) for i in range(CHUNKS))
        self.assertLess(right, CHUNKS)
        self.nginx.set(directives(self.workspace))
        self.nginx.start()
        found = self.update()
        self.assertIn("gateway 2.0.0: planned again: ", self.box.log())
        self.assertEqual(self.intake()["plan_in_place"], right * CHUNK)
        self.assertEqual(found["index"], 0, found)
        self.assertGreater(self.intake()["delta"], 0)
        self.assertLess(found["data"], 6 * CHUNK)
        self.assertLess(self.intake()["fetched"], os.path.getsize(self.delta_file()) * 3 / 4)


    def test_killed_again_and_again_it_comes_to_its_end(self):
        """Wherever it is: at the head, at records, at the chunks behind them."""
        data = bytearray(content(1))
        for i in range(0, CHUNKS, 8):
            data[i * CHUNK:i * CHUNK + 10 * BLOCK] = noise(f"much {i}", 10 * BLOCK)
        self.pack(2, data)
        self.roll_out(2, 1)
        self.nginx.set(directives(self.workspace) + " limit_rate 400k;")
        self.nginx.reload()
        for turn in range(10):
            self.box.start()
            time.sleep(0.4 + 0.17 * turn)
            if self.box.env()["primary"] != self.box.first_side:
                break  # a boot that is cut off counts as a try
            self.box.kill()
        else:
            self.box.start()
        self.assertGreater(turn, 2)
        wait_until(lambda: self.box.runs(self.images[2]), 60, self.box.log)
        outcomes = [r["outcome"] for r in self.workspace.reports(NAME)]
        self.assertNotIn("failed", outcomes)


class DamagedSlot(DeltaCase):
    """What runs is not what was installed."""

    def spoil(self, chunk, count=1):
        with open(self.box.slot(self.box.booted()), "r+b") as f:
            for i in range(chunk, chunk + count):
                f.seek(i * CHUNK + 10 * BLOCK)
                f.write(noise(f"damage {i}", BLOCK))

    def test_a_damaged_chunk_costs_what_is_made_of_it(self):
        self.roll_out(2, 1)
        self.spoil(20)
        found = self.update()
        self.assertEqual(found["index"], 0)
        self.assertEqual(found["data"], CHUNK)
        self.assertEqual(found["hints"], 0)

    def test_a_damaged_chunk_that_has_moved_costs_its_page_of_the_index_too(self):
        """Its digest in the new index is made of the bytes themselves."""
        self.roll_out(2, 1)
        self.spoil(MOVED[3])
        found = self.update()
        self.assertIn("1 of 3 pages of rootfs.index do not come out of what runs", self.box.log())
        self.assertIn(found["index"], (36 * 64, 36 * (CHUNKS % 64)))
        self.assertEqual(found["data"], CHUNK)

    def test_another_image_altogether_is_given_up_and_updated(self):
        self.roll_out(2, 1)
        self.spoil(0, CHUNKS)
        found = self.update()
        self.assertRegex(self.box.log(), "is given up: most of what was tried came out wrong")
        self.assertIn("payload rootfs: planned again: ", self.box.log())
        self.assertGreater(found["hints"], 0)
        self.assertLess(found["data"], SIZE)


if __name__ == "__main__":
    unittest.main()
