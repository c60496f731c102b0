"""Clocks that are wrong, a floor that was poisoned, and a server that shows the same for ever."""
import contextlib
import threading
import time
import unittest

from attack import BOXES, AttackCase
from fleet import run, wait_until
from fleet.case import NEW, OLD
from fleet.key import Key
from forge import Forger, sealed

DAY_S = 86400
TEN_YEARS_S = 3650 * DAY_S
BUNDLE = r"\.ota"


def since_1970_s():
    return int(time.time()) - 5 * 60  # five minutes after the epoch


class Clock(AttackCase):
    @contextlib.contextmanager
    def published_often(self):
        """The publisher signs a timestamp every second; in earnest it is every hour."""
        ended = threading.Event()

        def publish():
            while not ended.wait(1):
                self.workspace.publish()

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def update_with(self, *boxes):
        """Each takes the update, with the clock that it has."""
        with self.published_often():
            for box in boxes:
                self.wait_for_outcome(box, "ok", timeout_s=60)
                self.assert_runs(box, NEW)
                self.assert_condemns_nothing(box)


class WithoutClock(Clock):
    """The kernel says that nobody has set the clock, and nobody has."""

    def test_a_clock_back_ten_years_still_connects_and_wants_to_see_something_new(self):
        """One box has no clock at all and wakes in 1970, the other's was set wrong. What they have
        seen before is no proof that it is still so: after a start each waits for a timestamp that
        it does not know, and then takes the update, by the wrong clock and all."""
        self.roll_out()
        boxes = [self.box(name, start=False) for name in BOXES[:2]]
        for box, back_s in zip(boxes, (TEN_YEARS_S, since_1970_s())):
            self.assertIn(NEW, self.check(box))  # in good times
            self.set_clock(box, -back_s)
            self.note(box)
            box.start()
        for box in boxes:
            self.wait_for_log(box, "clock is not trusted, and no newer timestamp was seen")
            self.assert_untouched(box, False)
        self.update_with(*boxes)

    def test_the_first_start_ever_is_in_1970_and_still_connects(self):
        box = self.box(clock_s=-since_1970_s())
        self.roll_out()
        self.update_with(box)

    def test_a_clock_forward_ten_years_starts_nothing_and_leaves_no_trace(self):
        """By that clock everything has expired, the server's certificate, too. Once it is right the
        box goes on."""
        box = self.box(start=False)
        self.roll_out()
        self.check(box)
        self.set_clock(box, TEN_YEARS_S)
        self.note(box)
        box.start()
        wait_until(lambda: box.log().count("expired") > 2, 20, box.log)
        self.assert_untouched(box)
        self.set_clock(box, 0)
        self.update_with(box)

    def test_an_old_site_is_no_news_to_a_box_that_lost_its_clock(self):
        """Somebody keeps a copy of the site with a release that was withdrawn since, and shows it
        to a box that wakes in 1970, where nothing has expired yet."""
        box = self.box(start=False)
        self.roll_out()
        self.server.freeze()
        self.workspace.stop("stable")
        self.server.site, frozen = self.workspace.path("site"), self.server.site
        self.check(box)  # in good times
        self.set_clock(box, -since_1970_s())
        self.note(box)
        self.server.site = frozen
        box.start()
        wait_until(lambda: len(self.server.asked("timestamp")) > 4, 30, box.log)
        self.assert_untouched(box)
        self.assertEqual(len(box.status()["stops"]), 1)


class TrustedClock(Clock):
    """agent.conf says that the clock is right, and it is not."""

    def test_a_trusted_clock_that_is_ten_years_off_holds_and_recovers(self):
        self.roll_out()
        boxes = [self.box(name, start=False) for name in BOXES[:2]]
        for box, off_s in zip(boxes, (-TEN_YEARS_S, TEN_YEARS_S)):
            self.check(box)
            self.set_clock(box, off_s, trusted=True)
            self.note(box)
            box.start()
        for box, why in zip(boxes, ("not yet valid", "expired")):
            wait_until(lambda box=box, why=why: box.log().count(why) > 1, 20, box.log)
            self.assert_untouched(box)
            self.set_clock(box, 0, trusted=True)
        self.update_with(*boxes)

    def test_a_clock_that_was_wrong_for_a_while_puts_nothing_off_for_ten_years(self):
        """In the new system, and after it in the old one, the clock is ten years ahead: the box
        goes back, and tries again as soon as the clock is right."""
        box = self.box(start=False, health={"prompt": "2s"})
        self.set_clock(box, 0, trusted=True)
        self.roll_out(deadline="3s")
        clock = box.environ["SLUICE_TEST_CLOCK"]
        box.on_boot_of(box.other_side(), f"echo {TEN_YEARS_S} > {clock}")
        box.start()
        self.wait_for_log(box, "2.0.0: inconclusive: ", timeout_s=40)
        box.on_boot_of(box.other_side(), "true")
        self.set_clock(box, 0, trusted=True)
        self.update_with(box)


class Poison(Clock):
    """Whoever has the timestamp key can sign for any year."""

    def sign_timestamp(self, key, **changes):
        signed = self.workspace.metadata("timestamp")["signed"]
        signed.update({"version": signed["version"] + 1, **changes})
        with open(self.workspace.path("site", "metadata", "timestamp.json"), "wb") as f:
            f.write(sealed(signed, key))

    def test_a_timestamp_signed_for_2099_freezes_and_root_thaws_it(self):
        """A box without a clock takes the time from there: everything else has expired then, so it
        starts nothing, and condemns nothing. A box with a clock does not care. Root gives the role
        another key, and the floor goes with the old one."""
        blind = self.box(BOXES[0], start=False, clock_s=-since_1970_s())
        seeing = self.box(BOXES[1], start=False)
        self.roll_out()
        self.check(blind)
        self.sign_timestamp(Key(self.workspace.key("timestamp")),
                            signed_at="2099-01-01T00:00:00Z", expires="2099-12-31T00:00:00Z")
        self.note(blind)
        self.check(blind, 1)
        self.assertIn("expired", self.check(blind, 1))
        self.assert_untouched(blind, ["timestamp"])
        seeing.start()
        self.wait_for_outcome(seeing, "ok")
        forger = Forger(self.workspace)
        new = Key(self.workspace.new_key("timestamp-2"))
        root = forger.next("root")
        root["keys"][new.id] = new.public
        root["roles"]["timestamp"]["keyids"] = [new.id]
        forger.publish_root(root)
        blind.start()
        number = self.workspace.metadata("timestamp")["signed"]["version"]
        until = time.monotonic() + 60
        while "ok" not in self.workspace.outcomes(blind.name) and time.monotonic() < until:
            now = time.time()
            number += 1
            self.sign_timestamp(new, signed_at=stamp(now), expires=stamp(now + DAY_S))
            time.sleep(1)
        self.wait_for_outcome(blind, "ok", timeout_s=1)
        self.assert_runs(blind, NEW)
        self.assert_condemns_nothing(blind)


def stamp(at_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


class Freeze(Clock):
    def test_a_freeze_past_expiry_starts_activates_and_confirms_nothing(self):
        """The server shows the same for 25 hours, and a timestamp lives for 24. One box has not
        started, one is still writing, and one runs the new system and is not healthy yet."""
        self.roll_out(deadline="12s")
        waiting = self.box(BOXES[0], start=False)
        waiting.factory_install(self.bundles[OLD])  # now it knows what both sides hold
        self.note(waiting)
        writing = self.box(BOXES[1], start=False, intervals={"stall": "60s"})
        trying = self.box(BOXES[2], start=False, health={"prompt": "2s"})
        boxes = (waiting, writing, trying)
        for box in boxes:
            self.set_clock(box, 0, trusted=True)
        healthy, released = trying.path("healthy"), threading.Event()
        trying.script("health.d/10-slow", f'grep -q "^booted={trying.other_side()}$" '
                      f'{trying.path("boot.env")} || exit 0\ntest -e {healthy}\n')
        self.server.on(BUNDLE, lambda x: (released.wait(60), x.honest()), box=writing.name)
        self.addCleanup(released.set)
        writing.start()
        trying.start()
        wait_until(lambda: self.server.asked(BUNDLE, writing.name), 20, writing.log)
        self.wait_for_log(trying, "unhealthy")
        for box in boxes:
            self.set_clock(box, 25 * 3600, trusted=True)
        released.set()
        with open(healthy, "w", encoding="ascii"):
            pass
        waiting.start()

        self.wait_for_log(waiting, "expired")
        self.wait_for_log(writing, "expired")
        self.wait_for_log(trying, "2.0.0: inconclusive: ", timeout_s=40)
        self.assertEqual(len(trying.boots()), 3, "boot recovery needs no fresh metadata")
        self.assert_untouched(waiting, False)
        for box in (writing, trying):
            self.assertEqual(box.env()["booted"], box.first_side)
            self.assertEqual(box.env()["primary"], box.first_side)
            self.assertEqual(box.env()[box.other_side().lower() + "_bootable"], "no")
        self.assert_condemns_nothing(writing)
        self.assertEqual([f["inconclusive"] for f in trying.status()["failed"]], [True])

        def says_stale():
            return [r for r in self.workspace.reports(waiting.name)
                    if (r["state"], r["class"]) == ("held", "expired")]

        wait_until(says_stale, 20, "it is reported stale")
        self.assert_rolls_back_by_hand(waiting)
        self.workspace.clock_s = 25 * 3600
        self.workspace.publish()
        for box in boxes:
            if box.process is None:
                box.start()
            self.wait_for_outcome(box, "ok", timeout_s=60)
            self.assert_runs(box, NEW)

    def assert_rolls_back_by_hand(self, box):
        box.stop()
        side = box.other_side()
        box.agent("rollback")
        run([box.programs.tool("power"), "--dir", box.dir, "--once"])
        self.assertEqual(box.booted(), side)
        self.assertTrue(box.holds(side, self.images[OLD]))

    def test_answering_not_modified_for_ever_is_a_freeze_like_any_other(self):
        """304 costs the attacker nothing, and hides nothing past the expiry."""
        box = self.box(start=False)
        self.set_clock(box, 0, trusted=True)
        box.start()
        wait_until(lambda: len(self.server.asked("timestamp")) > 1, 20, box.log)
        self.server.on("timestamp", lambda x: x.reply(
            304 if "if-none-match" in x.headers else 503))
        self.roll_out()
        wait_until(lambda: [x.status for x in self.server.asked("timestamp")].count(304) > 3, 20,
                   box.log)
        self.assert_untouched(box, False)
        self.set_clock(box, 25 * 3600, trusted=True)
        self.wait_for_log(box, "expired")
        self.assert_untouched(box, False)
        self.workspace.clock_s = 25 * 3600
        self.workspace.publish()
        self.assert_updates(box)


if __name__ == "__main__":
    unittest.main()
