"""Writes that are cut short: a state_dir on a file system that fills up at every size, and a limit
to the size of files (RLIMIT_FSIZE), which cuts a write of a slot short in the middle, too.

The agent says what and where, `status` reads the state while the disk is still full, nothing is
held against the release, and once there is room the install goes on and comes to its end.
"""
import os
import resource
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from fleet.box import CHUNK  # noqa: E402
from fleet.process import run  # noqa: E402
from scene import IMAGE_CHUNKS, NEW, Broken, Releases, Subject, in_memory  # noqa: E402

TAKES_S = 15
PAGE = 4096
IMAGE_BYTES = IMAGE_CHUNKS * CHUNK
# From nothing, through the state and the bundle's head, to the image's last byte; not whole pages,
# sectors or chunks, so that most end in the middle of a write.
LIMITS = [0, 1, 511, 900, 1501, 2047, 3001, CHUNK - 1, CHUNK, CHUNK + 1, 100001, 5 * CHUNK + 4097,
          IMAGE_BYTES - 1]
IN_A_NAMESPACE = "SLUICE_IN_A_NAMESPACE"


class Small(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        work = in_memory("sluice-full-")
        cls.addClassCleanup(work.cleanup)
        cls.subject = Subject(Releases(work.name), "gw-000001")
        cls.words = ("install", cls.subject.bundles[NEW], "--no-reboot")

    def failed_well(self, done, words):
        """Not by a signal; and it says what and where."""
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertTrue(any(word in done.stderr for word in words), done.stderr)
        self.assertRegex(done.stderr, r"state|rootfs B|boot\.env")
        self.subject.blames_nobody()


class LimitedFiles(Small):
    def limited(self, limit):
        def limit_it():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        argv = self.subject.box.agent_argv(*self.words)
        return subprocess.run(argv, cwd=self.subject.box.dir, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, preexec_fn=limit_it)

    def test_writes_that_come_to_a_limit_in_the_middle(self):
        self.assertEqual(signal.getsignal(signal.SIGXFSZ), signal.SIG_IGN)  # given back by default
        for turn, limit in enumerate(LIMITS):
            with self.subTest(limit=limit):
                self.subject.put_back(self.subject.factory)
                done = self.limited(limit)
                self.failed_well(done, ["File too large"])
                self.subject.survive(reboot=turn % 2 == 0)
        self.subject.put_back(self.subject.factory)
        self.assertEqual(self.limited(IMAGE_BYTES).returncode, 0)
        print(f"{len(LIMITS)} of {len(LIMITS)} limits ... ", end="", flush=True)


class FullDisk(Small):
    """In a mount namespace of its own, where it may mount."""

    @classmethod
    def setUpClass(cls):
        if IN_A_NAMESPACE in os.environ:
            super().setUpClass()

    def mount(self, *options):
        state = self.subject.box.path("state")
        run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", state])
        run(["cp", "-a", os.path.join(self.subject.factory, "state", "."), state])

    def fill(self, *options):
        """Whether the install failed for lack of room, and all was as it has to be."""
        state = self.subject.box.path("state")
        self.mount(*options)
        try:
            done = self.subject.box.agent(*self.words, check=None)
            if done.returncode != 0:
                self.failed_well(done, ["No space left on device"])
            run(["mount", "-o", "remount,size=8m,nr_inodes=9999", state])
            self.subject.survive(reboot=True)
            return done.returncode != 0
        finally:
            run(["umount", state])

    def used(self):
        """(pages, inodes) of what the state_dir holds at first."""
        state = self.subject.box.path("state")
        self.mount("size=8m")
        there = os.statvfs(state)
        run(["umount", state])
        return there.f_blocks - there.f_bfree, there.f_files - there.f_ffree

    def fill_each(self, option, first):
        count = 0
        while True:
            self.subject.put_back(self.subject.factory)
            try:
                if not self.fill(*option(first + count)):
                    break
            except Broken as broken:
                self.fail(f"{option(first + count)}: {broken}")
            count += 1
        self.assertGreater(count, 0)
        kind = option(first)[0].partition("=")[0]
        print(f"{count} of {count} steps of {kind} ... ", end="", flush=True)

    def test_a_state_dir_that_fills_up_at_every_size(self):
        if IN_A_NAMESPACE not in os.environ:
            done = run(["unshare", "--user", "--map-root-user", "--mount", sys.executable, __file__,
                        "FullDisk"], check=None,
                       env={**os.environ, IN_A_NAMESPACE: "yes"})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            print(done.stdout, end="", flush=True)
            return
        pages, inodes = self.used()
        self.fill_each(lambda n: (f"size={n * PAGE}",), pages)
        self.fill_each(lambda n: (f"nr_inodes={n}", "size=8m"), inodes)


if __name__ == "__main__":
    unittest.main()
