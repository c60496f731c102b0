"""The agent killed, and its disk failing it, at every call by which it changes something: a bundle
from a file, into slots that are files, block devices and folders.

Killed before its N-th write, fsync, rename and so on; that call ended by EIO; and by ENOSPC. Then:

- the old or the new system boots, and each side that may boot holds a whole image;
- `status` reads the state;
- the next run, without the fault, converges, and writes nothing that was right already;
- what was acknowledged (exit 0) stands;
- an error says what failed, and where; nothing is held against the release.

Half of the killed are started again at once, the other half boot first. Every call, "N of N", with
`make crash`; some of them, always the same, otherwise.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import fault  # noqa: E402
from fault import KILL  # noqa: E402
from scene import (MILD, NEW, BlockSubject, Broken, Releases, Subject, TreeSubject,  # noqa: E402
                   in_memory, loop_devices)
from trying import NotMet, Phase, Trier, report  # noqa: E402

TAKES_S = 25
WHOLE_S = 7200    # some thousand runs under strace


def installing(subject):
    return ("install", subject.bundles[NEW], "--no-reboot")


INSTALL = Phase("install", installing, "factory", "new_one_boots", "survive")
RESUME = Phase("resume", installing, "half", "new_one_boots", "survive")
ACTIVATE = Phase("activate", installing, "written", "new_one_boots", "survive")
CONFIRM = Phase("confirm", lambda _: ("confirm",), "booted", "stays_confirmed", "survive")
CANCEL = Phase("rollback before the reboot", lambda _: ("rollback", "--no-reboot"), "installed",
               "old_one_boots", "survive_rollback")
ROLLBACK = Phase("rollback", lambda _: ("rollback", "--no-reboot"), "confirmed", "old_one_boots",
                 "survive_rollback")
TREES_BACK = Phase("rollback of a tree", lambda _: ("rollback", "--trees", "--no-reboot"),
                   "confirmed", "old_one_boots", "survive_rollback")


def said_well(ended, effect):
    """Whether the agent says what failed, and where."""
    return fault.SAYS[effect] in ended.said and any(
        place in ended.said for hit in ended.hits for place in fault.places(hit))


def try_one(subject, phase, call, effect, when):
    """One fault, and what must be true then. Raises Broken or NotMet."""
    subject.put_back(os.path.join(subject.kept, phase.start))
    ended = fault.run(subject.box.agent_argv(*phase.words(subject)), subject.box.dir, os.environ,
                      call, effect, when)
    if not ended.hits:
        raise NotMet
    if effect != KILL:
        look_at_error(subject, ended, effect)
    if ended.status == 0:
        look_at_promise(subject, phase)
    try:
        getattr(subject, phase.survives)(reboot=when % 2 == 0)
    except Broken as broken:
        raise Broken(f"{broken}\n    at {ended.hits[0]}\n    it said: {ended.said}") from broken


def counted(subject, phase):
    return fault.run(subject.box.agent_argv(*phase.words(subject)), subject.box.dir, os.environ)


def look_at_error(subject, ended, effect):
    """It did not crash, says what it is, and blames nobody else."""
    if ended.status not in (0, 1):
        raise Broken(f"exit {ended.status} for {ended.hits[0]}: {ended.said}")
    if ended.status == 1 and not said_well(ended, effect):
        raise Broken(f"{ended.hits[0]} failed, and it says: {ended.said}")
    subject.blames_nobody()


def look_at_promise(subject, phase):
    now = subject.keep("now")
    getattr(subject, phase.promised)()
    subject.put_back(now)


def advance(subject):
    """Keeps what each phase starts with."""
    calls = counted(subject, INSTALL)
    half_way = next(c for c in fault.BATCHES if c in calls)
    subject.put_back(subject.factory)
    subject.kill_at_the_last(half_way, installing(subject))
    subject.keep("half")
    subject.put_back(subject.factory)
    subject.kill_at_the_last("rename", installing(subject))    # the boot environment, or the link
    subject.keep("written")
    subject.put_back(subject.factory)
    subject.install()
    subject.keep("installed")
    subject.restart()
    subject.keep("booted")
    subject.put_back(subject.factory)
    subject.agent("install", subject.bundles[MILD], "--no-reboot")
    subject.restart()
    subject.agent("confirm")
    subject.keep("confirmed")
    return subject


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        work = in_memory("sluice-faults-")
        cls.addClassCleanup(work.cleanup)
        cls.releases = Releases(work.name)

    def trier(self, kind, letter):
        def make(n):
            subject = kind(self.releases, f"gw-{letter}{n}")
            self.addCleanup(subject.close)
            return advance(subject)

        return Trier(make, try_one, counted)

    def try_all(self, kind, letter, *phases):
        trier = self.trier(kind, letter)
        for phase in phases:
            with self.subTest(phase.name):
                report(self, trier.all_of(phase), phase)

    def test_a_slot_that_is_a_file_survives_a_fault_at_any_call(self):
        self.try_all(Subject, "f", INSTALL, RESUME, ACTIVATE, CONFIRM, CANCEL, ROLLBACK)

    def test_a_slot_that_is_a_block_device_survives_a_fault_at_any_call(self):
        """Where no loop device is to be had, as in a container, slots are files here, too."""
        self.try_all(BlockSubject if loop_devices() else Subject, "b", INSTALL, RESUME)

    def test_a_folder_survives_a_fault_at_any_call(self):
        self.try_all(TreeSubject, "t", INSTALL, RESUME, CONFIRM, TREES_BACK)


if __name__ == "__main__":
    unittest.main()
