"""Power cuts at every moment of an install, a confirm and a rollback, on a box of its own.

Each scenario is one run of the agent, recorded. Then the disk is put into every state that a power
cut could have left it in (model.py says which), and of each state is asserted:

- the bootloader finds a side to boot, and every side that it may boot holds a whole image;
- `status` reads the state, and no side holds anything else than it says;
- the next run converges: the update is installed and confirmed in the end, the rollback floor up;
- nothing that was acknowledged (exit 0) is taken back;
- how the last update ended is in the spool, whole, or remembered until it is.

Then, for each fsync that the agent made: played as if it had not been made, at least one state must
break one of these, in this scenario or in another one where the agent makes it at the same place.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import model  # noqa: E402
from replay import Replay  # noqa: E402
from scene import MILD, NEW, Releases, Subject, in_memory  # noqa: E402

# fsyncs that nothing would miss, by replay.place(): why the agent makes them all the same.
COVERED = {
    "sync state after rename state/manifest.B.json":
        "the state saved next, in the same folder, makes this name last too, and nothing reads the "
        "manifest before that; file_replace() does not know who comes next",
    "sync state after rename state/head.B":
        "likewise: the manifest is renamed in the same folder next",
    "sync state after rename state/state.copy.json":
        "likewise: the file itself is renamed in the same folder next",
}


class PowerCuts(Replay, unittest.TestCase):
    """One workspace with three releases, and one box that every scenario starts from."""

    @classmethod
    def setUpClass(cls):
        work = in_memory("sluice-crash-")
        cls.addClassCleanup(work.cleanup)
        cls.subject = Subject(Releases(work.name), "gw-000001")
        cls.box = cls.subject.box
        cls.installing = ("install", cls.subject.bundles[NEW], "--no-reboot")

    def install_scenario(self):
        self.subject.put_back(self.subject.factory)
        return self.replay(self.subject.factory, self.record(*self.installing),
                           self.subject.new_one_boots_and_is_known)

    def killed_and_resumed_scenario(self):
        """The agent is killed once all is written and nothing is synced, and started again at once:
        what the first run left in the kernel's cache is not on the disk."""
        self.subject.put_back(self.subject.factory)
        first = self.record(*self.installing)
        writes = [i for i, e in enumerate(first) if e.kind == "write" and e.path.endswith("b.img")]
        first = first[:writes[-1] + 1]
        disk = model.Disk(self.subject.factory)
        for event in first:
            disk.event(event)
        model.write_image(disk.image(len(disk.pending), lambda node: node.pending), self.box.dir)
        second = self.record(*self.installing)
        again = [e for e in second if e.kind == "write" and e.path.endswith("b.img")]
        self.assertEqual(again, [], "what is right was written again")
        return self.replay(self.subject.factory, first + second,
                           self.subject.new_one_boots_and_is_known)

    def confirm_scenario(self):
        self.subject.put_back(self.subject.factory)
        self.subject.install()
        self.assertEqual(self.subject.restart(), NEW)
        return self.replay(self.subject.keep("booted"), self.record("confirm"),
                           self.subject.stays_confirmed)

    def rollback_scenario(self):
        self.subject.put_back(self.subject.factory)
        self.subject.install()
        return self.replay(self.subject.keep("installed"), self.record("rollback"),
                           self.subject.old_one_boots)

    def rollback_of_a_confirmed_one_scenario(self):
        self.subject.put_back(self.subject.factory)
        self.subject.agent("install", self.subject.bundles[MILD], "--no-reboot")
        self.subject.restart()
        self.subject.agent("confirm")
        return self.replay(self.subject.keep("confirmed"), self.record("rollback"),
                           self.subject.old_one_boots, "survive_rollback")

    def test_a_power_cut_at_any_moment_leaves_old_or_new_and_every_fsync_is_needed(self):
        missed = {}
        for scenario in (self.install_scenario, self.killed_and_resumed_scenario,
                         self.confirm_scenario, self.rollback_scenario,
                         self.rollback_of_a_confirmed_one_scenario):
            with self.subTest(scenario.__name__):
                for where, needed in scenario().items():
                    missed[where] = missed.get(where, False) or needed
        unneeded = {where for where, needed in missed.items() if not needed}
        self.assertEqual(unneeded, set(COVERED))
        print(f"{len(missed) - len(unneeded)} of {len(missed)} kinds of fsync are missed when left "
              "out ... ", end="", flush=True)


if __name__ == "__main__":
    unittest.main()
