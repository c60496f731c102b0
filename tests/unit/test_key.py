"""`sluice key`, and where a passphrase comes from: a file, a descriptor, a terminal."""
import os
import pty
import re
import signal
import stat
import subprocess
import tempfile
import termios
import time
import unittest

SLUICE = os.path.join(os.environ["SLUICE_BUILD"], "sluice")
DEADLINE_S = 60


class KeyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-key-")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def sluice(self, *args, text="", status=0, **more):
        """Runs `sluice key` without a terminal; returns what it printed."""
        done = subprocess.run([SLUICE, "key", *args], input=text, capture_output=True, text=True,
                              timeout=DEADLINE_S, cwd=self.dir, start_new_session=True,
                              check=False, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def minisign(self, *args, text=""):
        return subprocess.run(["minisign", *args], input=text, capture_output=True, text=True,
                              timeout=DEADLINE_S, cwd=self.dir, check=False)

    def key_id(self, output):
        return re.search(r"^key id  ([0-9a-f]{64})$", output, re.M).group(1)


class New(KeyTest):
    def test_only_the_owner_reads_the_secret_half(self):
        self.sluice("new", "k", "--no-passphrase")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("k.key")).st_mode), 0o600)
        self.assertFalse(stat.S_IMODE(os.stat(self.path("k.pub")).st_mode) & 0o133)

    def test_nothing_is_written_over(self):
        self.sluice("new", "k", "--no-passphrase")
        with open(self.path("k.key"), encoding="utf-8") as f:
            before = f.read()
        self.assertIn("exists", self.sluice("new", "k", "--no-passphrase", status=1))
        os.unlink(self.path("k.key"))
        self.assertIn("k.pub exists", self.sluice("new", "k", "--no-passphrase", status=1))
        self.assertFalse(os.path.exists(self.path("k.key")))
        self.assertIn("untrusted comment", before)

    def test_half_a_pair_is_not_left_behind(self):
        os.symlink("nowhere", self.path("k.pub"))  # is not there to see, but is in the way
        self.sluice("new", "k", "--no-passphrase", status=1)
        self.assertEqual(os.listdir(self.dir), ["k.pub"])

    def test_wrong_command_lines_are_usage(self):
        for args in (["new"], ["new", "k.key"], ["new", "k", "l"], ["new", "k", "--moon"],
                     ["new", "k", "--passphrase-fd", "x"], ["new", "k", "--passphrase-fd"],
                     ["new", "k", "--no-passphrase", "--passphrase-fd", "0"], ["show"], ["moon"],
                     []):
            with self.subTest(args=args):
                self.sluice(*args, status=2)
                self.assertEqual(os.listdir(self.dir), [])

    def test_without_a_terminal_it_says_what_to_give(self):
        self.assertIn("--passphrase-file", self.sluice("new", "k", status=2))

    def test_an_empty_passphrase_is_no_passphrase_by_mistake(self):
        self.assertIn("--no-passphrase",
                      self.sluice("new", "k", "--passphrase-fd", "0", text="\n", status=2))
        self.assertEqual(os.listdir(self.dir), [])


class Show(KeyTest):
    def test_both_halves_have_one_id(self):
        made = self.sluice("new", "k", "--passphrase-fd", "0", text="horse\n")
        public = self.sluice("show", "k.pub")
        secret = self.sluice("show", "k.key", "--passphrase-fd", "0", text="horse\n")
        self.assertEqual(self.key_id(made), self.key_id(public))
        self.assertEqual(public, secret)

    def test_a_key_without_passphrase_asks_for_none(self):
        self.sluice("new", "k", "--no-passphrase")
        self.sluice("show", "k.key")

    def test_a_wrong_passphrase_fails(self):
        self.sluice("new", "k", "--passphrase-fd", "0", text="horse\n")
        self.assertIn("wrong",
                      self.sluice("show", "k.key", "--passphrase-fd", "0", text="house\n",
                                  status=1))

    def test_list_names_every_public_key(self):
        for name in ("a", "b"):
            self.sluice("new", name, "--no-passphrase")
        os.unlink(self.path("b.key"))
        lines = self.sluice("list", ".").splitlines()
        self.assertEqual([line.split()[2:] for line in lines[1:]],
                         [["here", "./a.pub"], ["-", "./b.pub"]])
        self.write("c.pub", "nonsense\n")
        self.assertIn("c.pub", self.sluice("list", ".", status=1))

    def test_list_finds_the_workspace_that_it_is_in(self):
        self.sluice("list", status=2)
        done = subprocess.run([SLUICE, "init", self.path("w")], capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.sluice("new", "w/keys/mine", "--no-passphrase")
        self.assertIn("keys/mine.pub", self.sluice("list", "-w", "w"))
        environment = dict(os.environ, SLUICE_WORKSPACE=self.path("w"))
        self.assertIn("keys/mine.pub", self.sluice("list", env=environment))


class Passphrase(KeyTest):
    def test_a_file_holds_one_line(self):
        self.write("pass", "correct horse\n")
        self.sluice("new", "k", "--passphrase-file", "pass")
        self.write("pass", "correct horse")
        self.sluice("show", "k.key", "--passphrase-file", "pass")
        self.write("pass", "correct horse\nbattery\n")
        self.sluice("show", "k.key", "--passphrase-file", "pass", status=2)

    def test_the_longest_is_1024_bytes(self):
        self.sluice("new", "k", "--passphrase-fd", "0", text="a" * 1024 + "\n")
        self.sluice("show", "k.key", "--passphrase-fd", "0", text="a" * 1024)
        self.sluice("show", "k.key", "--passphrase-fd", "0", text="a" * 1025, status=1)
        self.sluice("new", "l", "--passphrase-fd", "0", text="a" * 1025, status=1)

    def test_a_descriptor_without_a_line_is_said(self):
        self.sluice("new", "k", "--passphrase-fd", "0", text="horse\n")
        self.assertIn("one line for each key",
                      self.sluice("show", "k.key", "--passphrase-fd", "0", text="", status=2))
        self.sluice("show", "k.key", "--passphrase-fd", "77", status=1)

    def test_no_byte_of_a_passphrase_is_printed(self):
        out = self.sluice("new", "k", "--passphrase-fd", "0", text="xyzzyplugh\n")
        err = self.sluice("new", "k", "--passphrase-fd", "0", text="xyzzyplugh\n", status=1)
        self.assertNotIn("xyzzyplugh", out + err)


class Terminal(KeyTest):
    """On a pty of its own, which is the controlling terminal of the program under test."""

    def start(self, *args):
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execv(SLUICE, [SLUICE, "key", *args])
        self.addCleanup(os.close, fd)
        return pid, fd

    def read_until(self, fd, text):
        seen = b""
        deadline = time.monotonic() + DEADLINE_S
        while text not in seen and time.monotonic() < deadline:
            seen += os.read(fd, 1)
        self.assertIn(text, seen)
        return seen

    def wait_mute(self, fd):
        deadline = time.monotonic() + DEADLINE_S
        while termios.tcgetattr(fd)[3] & termios.ECHO:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def answer(self, fd, prompt, text):
        seen = self.read_until(fd, prompt)
        self.wait_mute(fd)
        os.write(fd, text)
        return seen

    def finish(self, pid, fd):
        seen = b""
        try:
            while True:
                piece = os.read(fd, 4096)
                if not piece:
                    break
                seen += piece
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen

    def test_a_new_passphrase_is_asked_twice_and_not_shown(self):
        pid, fd = self.start("new", "k")
        self.answer(fd, b"New passphrase for k.key: ", b"horse\n")
        self.answer(fd, b"Once more for k.key: ", b"horse\n")
        status, seen = self.finish(pid, fd)
        self.assertEqual(status, 0)
        self.assertNotIn(b"horse", seen)
        pid, fd = self.start("show", "k.key")
        self.answer(fd, b"Passphrase of k.key: ", b"horse\n")
        self.assertEqual(self.finish(pid, fd)[0], 0)

    def test_two_that_differ_make_no_key(self):
        pid, fd = self.start("new", "k")
        self.answer(fd, b"New passphrase for k.key: ", b"horse\n")
        self.answer(fd, b"Once more for k.key: ", b"house\n")
        status, seen = self.finish(pid, fd)
        self.assertEqual(status, 1)
        self.assertIn(b"differ", seen)
        self.assertEqual(os.listdir(self.dir), [])

    def test_an_interrupt_gives_the_terminal_its_echo_back(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number):
                pid, fd = self.start("new", "k")
                self.read_until(fd, b"New passphrase for k.key: ")
                self.wait_mute(fd)
                os.kill(pid, number)
                # Before the last descriptor of the other side closes, and the settings with it.
                seen = self.read_until(fd, b"interrupted")
                self.assertTrue(termios.tcgetattr(fd)[3] & termios.ECHO)
                status, _ = self.finish(pid, fd)
                self.assertEqual(status, 1, seen)
                self.assertEqual(os.listdir(self.dir), [])


class Minisign(KeyTest):
    def test_minisign_signs_with_a_key_made_here(self):
        for options, text in ((["--no-passphrase"], ""), (["--passphrase-fd", "0"], "horse\n")):
            with self.subTest(options=options):
                self.write("message", "hello\n")
                self.sluice("new", "k", *options, text=text)
                done = self.minisign("-S", "-s", "k.key", "-m", "message", text=text)
                self.assertEqual(done.returncode, 0, done.stderr)
                done = self.minisign("-V", "-p", "k.pub", "-m", "message")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.write("message", "hallo\n")
                self.assertNotEqual(self.minisign("-V", "-p", "k.pub", "-m", "message").returncode,
                                    0)
                os.unlink(self.path("k.key"))
                os.unlink(self.path("k.pub"))

    def test_a_key_made_by_minisign_is_shown(self):
        self.assertEqual(self.minisign("-G", "-W", "-p", "m.pub", "-s", "m.key").returncode, 0)
        self.assertEqual(self.sluice("show", "m.pub"), self.sluice("show", "m.key"))
        with open(self.path("m.key"), encoding="utf-8") as f:
            record = f.read()
        # minisign leaves the checksum of such a key at zero; ours never does.
        self.assertIn("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", record)
        self.sluice("new", "k", "--no-passphrase")
        with open(self.path("k.key"), encoding="utf-8") as f:
            self.assertNotIn("AAAAAAAAAAAAAAAA=", f.read())


if __name__ == "__main__":
    unittest.main()
