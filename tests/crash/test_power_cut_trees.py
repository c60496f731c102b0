"""Power cuts at every moment of an update of a folder, which one rename of a link switches: built,
resumed, put in place, confirmed, and switched back. As in test_power_cut.py, but for what may boot:
what the link points to is a whole release at any time.

In `make crash` in every state, and with each fsync and syncfs left out; some states, always the
same, otherwise.
"""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import model  # noqa: E402
from replay import Replay  # noqa: E402
from scene import MILD, NEW, Releases, TreeSubject, in_memory  # noqa: E402
from trying import WHOLE  # noqa: E402

TAKES_S = 30
WHOLE_S = 7200    # a thousand states, and for each fsync as many again
SOME = 25         # states of a scenario in the short form

# fsyncs that nothing would miss, by replay.place(): why the agent makes them all the same.
COVERED = {
    "sync app after symlink app/now.new":
        "here the changes of a folder come in their order, so the link is there before it is "
        "renamed; not every file system promises that",
    "sync state after rename state/manifest.link.B.json":
        "the state saved next, in the same folder, makes this name last too, and nothing reads the "
        "manifest before that; file_replace() does not know who comes next",
    "sync state after rename state/head.link.B":
        "likewise: the manifest is renamed in the same folder next",
    "sync state after rename state/state.copy.json":
        "likewise: the file itself is renamed in the same folder next",
}


class TreePowerCuts(Replay, unittest.TestCase):
    chosen = None if WHOLE else SOME

    @classmethod
    def setUpClass(cls):
        work = in_memory("sluice-crash-")
        cls.addClassCleanup(work.cleanup)
        cls.subject = TreeSubject(Releases(work.name), "gw-000001")
        cls.box = cls.subject.box
        cls.installing = ("install", cls.subject.bundles[NEW], "--no-reboot")
        cls.missed = {}

    def look(self, *args):
        """In the short form only whether all states are survived."""
        if not WHOLE:
            self.try_states(*args)
            return
        for where, needed in self.replay(*args).items():
            self.missed[where] = self.missed.get(where, False) or needed

    def resumed(self):
        """Two runs: the first was killed once all bytes were written and nothing was synced, and
        the other started at once."""
        self.subject.put_back(self.subject.factory)
        first = self.record(*self.installing)
        written = [i for i, e in enumerate(first) if self.is_content(e)]
        first = first[:written[-1] + 1]
        disk = model.Disk(self.subject.factory)
        for event in first:
            disk.event(event)
        model.write_image(disk.image(len(disk.pending), lambda node: node.pending), self.box.dir)
        second = self.record(*self.installing)
        self.assertEqual([e for e in second if self.is_content(e)], [],
                         "what is right was written again")
        return first + second

    @staticmethod
    def is_content(event):
        return event.kind == "write" and event.path.startswith("app/2/app.new/")

    def test_a_power_cut_at_any_moment_leaves_a_whole_tree_in_use(self):
        subject = self.subject
        with self.subTest("install"):
            subject.put_back(subject.factory)
            self.look(subject.factory, self.record(*self.installing),
                      subject.new_one_boots_and_is_known)
        with self.subTest("resume"):
            self.look(subject.factory, self.resumed(), subject.new_one_boots_and_is_known)
        with self.subTest("confirm"):
            subject.put_back(subject.factory)
            subject.install()
            self.look(subject.keep("installed"), self.record("confirm"), subject.stays_confirmed)
        with self.subTest("switch back"):
            subject.put_back(subject.factory)
            subject.agent("install", subject.bundles[MILD], "--no-reboot")
            subject.agent("confirm")
            self.look(subject.keep("confirmed"), self.record("rollback", "--trees"),
                      subject.old_one_boots, "survive_rollback")
        if not WHOLE:
            return
        unneeded = {where for where, needed in self.missed.items() if not needed}
        self.assertEqual(unneeded, set(COVERED))
        print(f"{len(self.missed) - len(unneeded)} of {len(self.missed)} kinds of fsync are missed "
              "when left out ... ", end="", flush=True)


if __name__ == "__main__":
    unittest.main()
