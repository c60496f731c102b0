"""What was written and reads back other is found before it is activated, and what cannot be read
is written anew.

The agent is stopped (SIGSTOP) as the last fsync of its slot returns, so all is written and the
device has said that it lasts. What is on the slot is changed then, and the agent goes on. Where the
slot is a loop device, its backing file is changed: the kernel's cache of the device still has what
was written, and only an agent that reads past it sees what the device holds.

A bad block is a pread() of the slot, or of a file, that strace makes fail.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import fault  # noqa: E402
from fleet import wait_until  # noqa: E402
from fleet.box import CHUNK, is_program  # noqa: E402
from fleet.watch import tree_of  # noqa: E402
from scene import (NEW, OLD, BlockSubject, Releases, Subject, TreeSubject,  # noqa: E402
                   in_memory, loop_devices)

TAKES_S = 10
# Chunk 1 is noise that is new, 3 zeros, 5 new and compressible. What was right already and is not
# written has been read once, past the cache, and is not read again.
FLIPPED, LOST, NOISY_HOLE = (CHUNK + 100, 1), (5 * CHUNK, CHUNK), (3 * CHUNK + 7, 1)


class ReadBack(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        work = in_memory("sluice-read-back-")
        cls.addClassCleanup(work.cleanup)
        cls.releases = Releases(work.name)

    with_rights = []    # words before the agent's own, which take rights from it

    def subject(self, kind, name):
        subject = kind(self.releases, name)
        self.addCleanup(subject.close)
        self.words = ("install", subject.bundles[NEW], "--no-reboot")
        return subject

    def last_sync(self, subject, call, place):
        """Which of its calls of that name is the last on that place."""
        start = subject.keep("start")
        with tempfile.NamedTemporaryFile("r", dir=self.releases.folder) as log:
            subprocess.run(fault.strace(log.name) + subject.box.agent_argv(*self.words), check=True,
                           capture_output=True, cwd=subject.box.dir,
                           env=fault.environment(os.environ))
            calls = [line for line in log if re.match(rf"\d+ +{call}\(", line)]
        subject.put_back(start)
        return max(i for i, line in enumerate(calls, 1) if f"<{place}" in line)

    def install_changed(self, subject, call, place, change, status=1):
        """Installs, with change() made behind its back. Returns what it says."""
        number = self.last_sync(subject, call, place)
        with tempfile.NamedTemporaryFile("r", dir=self.releases.folder) as log:
            argv = ["strace", "-f", "-q", "-e", "trace=" + call, "-e",
                    f"inject={call}:signal=STOP:when={number}", "-o", log.name, "--"]
            argv += self.with_rights + subject.box.agent_argv(*self.words)
            with subprocess.Popen(argv, cwd=subject.box.dir, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                  env=fault.environment(os.environ)) as process:
                wait_until(lambda: "--- stopped by SIGSTOP ---" in open(log.name).read(),
                           fault.FAR_S, "it is stopped", every_s=0.02)
                change()
                for pid in tree_of(process.pid):
                    if is_program(pid, subject.box.programs.agent):
                        os.kill(pid, signal.SIGCONT)
                said = process.communicate(timeout=fault.FAR_S)[1]
        self.assertEqual(process.returncode, status, said)
        return said

    def look(self, subject, said, named):
        """Not activated, not held against the release, and the next run mends it."""
        self.assertIn(named, said)
        subject.look()
        subject.blames_nobody()
        self.assertEqual(subject.restart(), OLD)
        subject.install()
        self.confirm_new(subject)

    def confirm_new(self, subject):
        self.assertEqual(subject.restart(), NEW)
        subject.agent("confirm")
        subject.confirmed()

    def change_image(self, path, at, length):
        """A bit flips, or a write that was acknowledged has not come."""
        with open(self.releases.images[NEW], "rb") as f:
            f.seek(at)
            good = f.read(length)
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(bytes(b ^ 4 for b in good))

    def try_image(self, subject, place, behind):
        for at, length in (FLIPPED, LOST, NOISY_HOLE):
            with self.subTest(at=at):
                hole = (at, length) == NOISY_HOLE
                subject.put_back(subject.factory)
                said = self.install_changed(subject, "fsync", place,
                                            lambda a=at, n=length: self.change_image(behind, a, n),
                                            0 if hole else 1)
                if hole:
                    self.assertIn("other bytes where it was to make zeros; they are written", said)
                    self.confirm_new(subject)
                    continue
                self.assertEqual(subject.box.env()["b_bootable"], "no")
                self.look(subject, said, f"bytes {at // CHUNK * CHUNK} to ")

    def test_a_slot_that_is_a_file(self):
        subject = self.subject(Subject, "gw-f")
        self.try_image(subject, subject.box.slot("B"), subject.box.slot("B"))

    def test_a_block_device_that_has_other_bytes_than_the_cache(self):
        """Where no loop device is to be had, as in a container, slots are files here, too."""
        if not loop_devices():
            self.test_a_slot_that_is_a_file()
            return
        subject = self.subject(BlockSubject, "gw-b")
        self.try_image(subject, subject.devices["B"], subject.backing("B"))
        # As its unit has it, without CAP_SYS_ADMIN: the device's cache is dropped by advice alone.
        self.with_rights = ["setpriv", "--bounding-set=-sys_admin"]
        self.try_image(subject, subject.devices["B"], subject.backing("B"))

    def test_a_file_of_a_tree(self):
        subject = self.subject(TreeSubject, "gw-t")
        fresh = subject.box.path("app", "2", "app.new")

        def change():
            path = os.path.join(fresh, "share", NEW, "text")
            before = os.stat(path)
            with open(path, "r+b") as f:
                f.seek(77)
                f.write(b"!")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

        said = self.install_changed(subject, "syncfs", fresh, change)
        self.look(subject, said, "bytes 19 to 36018 read back other")

    def install_unread(self, subject, status, *words):
        """Installs what is there already, with reads failing."""
        return self.run_unread(subject, self.words, status, *words)

    def run_unread(self, subject, agent_words, status, *words):
        """What it says, and its reads. Without threads, for strace counts in each thread anew."""
        alone = ["-e", "inject=clone,clone3:error=EAGAIN"]
        with tempfile.NamedTemporaryFile("r", dir=self.releases.folder) as log:
            argv = ["strace", "-f", "-q", "-y", "-s", "0", *alone, *words, "-o", log.name, "--"]
            done = subprocess.run(argv + subject.box.agent_argv(*agent_words), cwd=subject.box.dir,
                                  env=fault.environment(os.environ), stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False)
            calls = [line for line in log if " pread64(" in line]
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr, calls

    def test_a_bad_block_is_written_anew_and_nothing_else(self):
        subject = self.subject(Subject, "gw-w")
        subject.install()
        trace = ["-e", "trace=pread64,clone,clone3"]
        _, calls = self.install_unread(subject, 0, *trace)
        at_once = next(i for i, line in enumerate(calls, 1) if "rootfs-b.img>" in line)
        # All chunks are read at once, and where that fails each by itself.
        bad = f"inject=pread64:error=EIO:when={at_once}"
        said, calls = self.install_unread(subject, 0, *trace, "-e", bad)
        self.assertIn(" 0 B written, 384.0 KiB were in place", said)
        alone = next(i for i, line in enumerate(calls, 1)
                     if i > at_once and f"rootfs-b.img>, \"\"..., {CHUNK}, {4 * CHUNK})" in line)
        bad += f"..{alone}+{alone - at_once}"
        said, _ = self.install_unread(subject, 0, *trace, "-e", bad)
        self.assertIn(f"chunk at byte {4 * CHUNK}: reading rootfs B: Input/output error; what "
                      "cannot be read is written anew", said)
        self.assertIn(" 64.0 KiB written, 320.0 KiB were in place", said)
        self.confirm_new(subject)

    def test_a_bad_block_is_named_by_audits(self):
        subject = self.subject(Subject, "gw-n")
        subject.install()
        self.confirm_new(subject)
        # As before: all at once, and then the first chunk by itself.
        said, _ = self.run_unread(subject, ("audit",), 1, "-P", subject.box.slot("B"), "-e",
                                  "inject=pread64:error=EIO:when=1..2")
        self.assertEqual(re.findall("^payload rootfs, slot rootfs B: (.*)", said, re.M),
                         ["chunk 0, 65536 bytes at 0: it cannot be read: Input/output error"])
        subject.agent("audit")

    def test_a_slot_of_which_nothing_can_be_read_back_is_not_activated(self):
        subject = self.subject(Subject, "gw-u")
        subject.install()
        said, _ = self.install_unread(subject, 1, "-P", subject.box.slot("B"), "-e",
                                      "inject=pread64:error=EIO")
        self.assertEqual(subject.box.env()["b_bootable"], "no")
        self.look(subject, said, "slot rootfs B: chunk at byte 0: reading rootfs B: Input/output")

    def test_a_device_that_is_gone_is_not_written(self):
        subject = self.subject(Subject, "gw-g")
        subject.install()
        said, _ = self.install_unread(subject, 1, "-P", subject.box.slot("B"), "-e",
                                      "inject=pread64:error=ENXIO")
        self.assertIn("slot rootfs B: reading rootfs B: No such device or address", said)
        self.assertEqual(subject.box.env()["b_bootable"], "yes")
        self.confirm_new(subject)

    def test_a_file_of_a_tree_that_cannot_be_read_is_made_anew(self):
        subject = self.subject(TreeSubject, "gw-x")
        subject.kill_at_the_last("rename", self.words)    # of the link
        path = subject.box.path("app", "2", "app", "share", "same", "text")
        before = os.stat(path).st_ino
        self.install_unread(subject, 0, "-P", path, "-e", "inject=pread64:error=EIO")
        self.assertNotEqual(os.stat(path).st_ino, before)
        self.confirm_new(subject)


if __name__ == "__main__":
    unittest.main()
