"""The recorder and the model, tried on small programs whose right and wrong are known."""
import os
import random
import sys
import tempfile
import unittest

import model
import recorder

REPLACE = """
import os, sys
sync = sys.argv[1]
fd = os.open("f.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
os.write(fd, b"new content"); os.pwrite(fd, b"N", 0)
if "file" in sync: os.fsync(fd)
os.close(fd)
os.rename("f.new", "f")
d = os.open(".", os.O_RDONLY)
if "dir" in sync: os.fsync(d)
os.write(1, b"done")
"""
NEW = b"New content"


class Recorder(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory()
        self.addCleanup(self.work.cleanup)
        self.root = os.path.join(self.work.name, "box")
        os.mkdir(self.root)
        with open(os.path.join(self.root, "f"), "wb") as f:
            f.write(b"old")

    def contents(self, sync, skip=()):
        start = os.path.join(self.work.name, "start")
        os.system(f"cp -a {self.root} {start}")
        code, _, events = recorder.record([sys.executable, "-c", REPLACE, sync], self.root,
                                          cwd=self.root)
        self.assertEqual(code, 0)
        images = list(model.crash_images(start, events, skip))
        return events, {image.get("f", (None,))[0] for _, image in images}, images[-1][1]

    def test_all_that_a_program_does_is_recorded_in_order(self):
        events, _, _ = self.contents("file dir")
        self.assertEqual([e.kind for e in events],
                         ["create", "write", "write", "sync", "rename", "sync"])
        self.assertEqual((events[1].path, events[1].data), ("f.new", b"new content"))
        self.assertEqual((events[2].offset, events[2].data), (0, b"N"))
        self.assertEqual((events[4].path, events[4].to), ("f.new", "f"))

    def test_a_careful_replacement_is_old_or_new_at_every_moment(self):
        _, contents, last = self.contents("file dir")
        self.assertEqual(contents, {b"old", NEW})
        self.assertEqual(last["f"][0], NEW)

    def test_without_the_fsync_of_the_file_it_may_be_torn(self):
        _, contents, _ = self.contents("dir")
        self.assertIn(b"", contents)
        self.assertTrue(contents - {b"old", NEW, b""})

    def test_without_the_fsync_of_the_folder_the_old_one_may_come_back(self):
        events, _, _ = self.contents("file")
        disk = model.Disk(os.path.join(self.work.name, "start"))
        for e in events:
            disk.event(e)
        left = {image["f"][0] for image in disk.crashes(random.Random(1))}
        self.assertEqual(left, {b"old", NEW})

    def test_skipping_an_fsync_is_the_same_as_never_calling_it(self):
        events, with_skip, _ = self.contents("file dir", skip=(3,))
        self.assertEqual(events[3].kind, "sync")
        self.assertTrue(with_skip - {b"old", NEW})

    def test_a_folder_made_without_fsync_may_be_gone_with_what_is_in_it(self):
        code, _, events = recorder.record(
            [sys.executable, "-c", "import os; os.mkdir('d'); open('d/x', 'w').close()"], self.root,
            cwd=self.root)
        self.assertEqual(code, 0)
        disk = model.Disk(self.work.name)
        disk.now["box"] = None
        names = {tuple(sorted(i)) for _, i in model.crash_images(self.work.name, [])}
        self.assertEqual(len(names), 1)
        start = os.path.join(self.work.name, "start")
        os.mkdir(start)
        names = {tuple(sorted(i)) for _, i in model.crash_images(start, events)}
        self.assertEqual(names, {(), ("d",), ("d", "d/x")})

    def test_what_lasts_of_a_folder_is_not_taken_for_one_that_takes_its_place(self):
        """The old one is emptied, the new one comes under its name: both in one fsync, of the
        folder that they are in, and none of what was done inside them."""
        code, _, events = recorder.record(
            [sys.executable, "-c", "import os, shutil; os.makedirs('old/in'); os.sync(); "
             "os.makedirs('new/in/it'); shutil.rmtree('old'); os.rename('new', 'old'); "
             "os.fsync(os.open('.', os.O_RDONLY))"], self.root, cwd=self.root)
        self.assertEqual(code, 0)
        start = os.path.join(self.work.name, "start")
        os.mkdir(start)
        after = {tuple(sorted(image)) for i, image in model.crash_images(start, events)
                 if i == len(events)}
        self.assertEqual(after, {("old",), ("old", "old/in"), ("old", "old/in", "old/in/it")})

    def test_modes_and_times_last_as_what_they_are_of(self):
        code, _, events = recorder.record(
            [sys.executable, "-c", "import os; os.chmod('f', 0o640); os.mkdir('d', 0o700); "
             "os.chmod('d', 0o750); os.link('f', 'd/g'); os.symlink('f', 's'); os.sync()"],
            self.root, cwd=self.root)
        self.assertEqual(code, 0)
        with self.assertRaises(recorder.Unreadable):
            recorder.record([sys.executable, "-c", "import os; os.utime('f', (1, 2))"], self.root,
                            cwd=self.root)
        start = os.path.join(self.work.name, "start")
        os.mkdir(start)
        with open(os.path.join(start, "f"), "wb") as f:
            f.write(b"old")
        os.chmod(f.name, 0o600)
        os.utime(f.name, ns=(5, 7))
        images = list(model.crash_images(start, events))
        self.assertEqual({image["f"].mode for _, image in images}, {0o600, 0o640})
        last = os.path.join(self.work.name, "last")
        model.write_image(images[-1][1], last)
        info = os.stat(os.path.join(last, "f"))
        self.assertEqual((info.st_mode & 0o777, info.st_mtime_ns, info.st_nlink), (0o640, 7, 2))
        self.assertEqual(os.stat(os.path.join(last, "d")).st_mode & 0o777, 0o750)
        self.assertEqual(os.readlink(os.path.join(last, "s")), "f")

    def test_a_shared_writable_mapping_is_not_passed_over_in_silence(self):
        with self.assertRaises(recorder.Unreadable):
            recorder.record([sys.executable, "-c",
                             "import mmap; f = open('f', 'r+b'); mmap.mmap(f.fileno(), 3)"],
                            self.root, cwd=self.root)


if __name__ == "__main__":
    unittest.main()
