"""A stop that boxes hear, and one that the network keeps from them, by where they are. `make bench
BENCH=halt` says how long it takes."""
import shutil
import tempfile
import unittest

from fleet import halls
from fleet.box import CHUNK
from fleet.halls import NEW, OLD, Halls

TAKES_S = 55
STOP_POLL_S = 3
SLACK_S = 10  # of a machine that runs other tests meanwhile
LIFE_S, SPREAD_S = 20, 8


def chunks_of(image, slot):
    """How many of an image's chunks that are not zeros stand where they belong."""
    with open(image, "rb") as a, open(slot, "rb") as b:
        return sum(x == b.read(CHUNK) != bytes(CHUNK) for x in iter(lambda: a.read(CHUNK), b""))


class Held(unittest.TestCase):
    @classmethod
    def make(cls, states, each, stop_poll_s):
        folder = tempfile.mkdtemp(prefix="sluice-halts-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.halls = Halls(folder, states, each, stop_poll_s)
        cls.addClassCleanup(cls.halls.stop)


class Halts(Held):
    """Of each state one box; what is heard of a stop is heard in time."""

    @classmethod
    def setUpClass(cls):
        cls.make("nhdsriuc", 1, STOP_POLL_S)
        halls.hold(cls.halls)
        cls.took = {h.state: max(h.seconds) for h in halls.halt(cls.halls)}

    def stopped(self, letter, version=OLD):
        self.assertLess(self.took[halls.STATES[letter]], STOP_POLL_S + halls.CHUNK_S + SLACK_S)
        box, = self.halls.boxes[letter]
        self.assertTrue(box.runs(self.halls.images[version]), box.log()[-2000:])
        return box

    def test_a_box_that_has_not_started_hears_of_a_stop_in_time(self):
        box = self.stopped("n")
        self.assertNotIn("updating:", box.log())

    def test_a_box_that_waits_for_its_hours_hears_of_a_stop_in_time(self):
        box = self.stopped("h")
        self.assertNotIn("updating:", box.log())

    def ended(self, letter):
        box = self.stopped(letter)
        self.assertEqual((box.env()["b_bootable"], len(box.boots())), ("no", 1))
        self.assertFalse(box.holds("B", self.halls.images[NEW]))
        return box

    def test_a_box_that_downloads_stops_in_time_and_keeps_what_it_has(self):
        box = self.ended("d")
        self.assertGreater(chunks_of(self.halls.images[NEW], box.slot("B")), 0)

    def test_a_box_whose_download_is_stalled_stops_in_time(self):
        self.ended("s")

    def test_a_box_whose_download_is_limited_stops_in_time(self):
        self.ended("r")

    def test_a_box_that_waits_for_its_reboot_stops_in_time(self):
        box = self.stopped("i")
        self.assertEqual((box.env()["b_bootable"], len(box.boots())), ("no", 1))
        self.assertTrue(box.holds("B", self.halls.images[NEW]))

    def test_a_box_on_trial_goes_back_in_time(self):
        box = self.stopped("u")
        self.assertEqual(box.boots(), ["A", "B", "A"])
        self.assertEqual(box.status()["failed"], [])

    def test_a_box_that_confirmed_hears_in_time_and_stays(self):
        self.stopped("c", NEW)


class Withheld(Held):
    """The network shows everybody what was good before the stop, for ever."""

    @classmethod
    def setUpClass(cls):
        cls.make("ndiu", 2, 1)
        halls.hold_until_released(cls.halls)
        cls.came, cls.left_s = halls.withhold(cls.halls, LIFE_S, SPREAD_S)

    def ended(self, letter):
        """One box of two went on while the timestamp lived, and the other never did."""
        came = self.came[letter]
        self.assertLessEqual(self.left_s, LIFE_S)
        self.assertEqual((len(came.went_on), came.before, came.after, came.late), (1, 1, 1, 0))
        return self.halls.boxes[letter][1]

    def test_nothing_starts_by_metadata_that_has_expired(self):
        self.assertNotIn("updating:", self.ended("n").log())

    def test_nothing_is_activated_by_metadata_that_has_expired(self):
        self.assertEqual(self.ended("d").env()["b_bootable"], "no")

    def test_nothing_reboots_by_metadata_that_has_expired(self):
        self.assertIn("not rebooting yet", self.ended("i").log())

    def test_nothing_is_confirmed_by_metadata_that_has_expired(self):
        self.assertIn("expired", self.ended("u").log())


del Held

if __name__ == "__main__":
    unittest.main()
