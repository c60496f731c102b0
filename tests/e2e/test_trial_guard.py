"""sluice-trial, which leaves a new system that nobody confirms: when it starts a box anew and when
it does not, with the time, the kernel and the firmware played; and what the agent notes for it."""
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from fleet.case import NEW, FleetCase
from fleet.process import ROOT, wait_until

GUARD = os.path.join(ROOT, "agent", "libexec", "sluice-trial")
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
COUNT_PATH = "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
EFIVARS = "sys/firmware/efi/efivars"
ATTRIBUTES = b"\x07\0\0\0"
# Time goes by where it sleeps; what is in then/SECONDS is done when it is that time, and after a
# while there is no more of it. A pause for a way to reboot begins as that has begun.
SLEEP = """#!/bin/sh
if [ $1 -gt 5 ]; then
    echo pause >> pauses
    while [ "$(cat done 2> /dev/null | wc -l)" -lt "$(wc -l < pauses)" ]; do /bin/sleep 0.02; done
fi
read -r now rest < proc/uptime
now=$((${now%.*} + $1))
echo "$now.50 1.00" > proc/uptime
if [ -e then/$now ]; then . then/$now; fi
[ $now -lt 5000 ] || kill $PPID
"""
SAYS = """#!/bin/sh
read -r now rest < proc/uptime
echo "${now%.*} ${0##*/} $*" >> done
[ -e hang ] || exit 0
exec > /dev/null 2>&1
exec < hang
"""


class Root:
    """A root for the script, in which nothing of this machine is reached."""

    def __init__(self, folder, command_line="", systemd=True):
        self.dir = folder
        for name in ("proc", "run/sluice", EFIVARS, "bin", "then"):
            os.makedirs(self.path(name), exist_ok=True)
        if systemd:
            os.makedirs(self.path("run/systemd/system"), exist_ok=True)
        self.put("proc/cmdline", command_line + "\n")
        self.put("proc/uptime", "560.50 1.00\n")
        for name, text in (("sleep", SLEEP), ("systemctl", SAYS), ("reboot", SAYS)):
            self.put("bin/" + name, text, 0o755)

    def path(self, name):
        return os.path.join(self.dir, name)

    def put(self, name, content, mode=0o644):
        with open(self.path(name), "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def firmware(self, current, *order):
        for name, numbers in (("BootCurrent", [current]), ("BootOrder", order)):
            self.put(f"{EFIVARS}/{name}-{GLOBAL}", ATTRIBUTES + b"".join(
                n.to_bytes(2, "little") for n in numbers))

    def guard(self, *args):
        """Runs it; returns how it ended and what it said."""
        done = subprocess.run(
            [GUARD, *args], cwd=self.dir, capture_output=True, text=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL,
            env={"SLUICE_ROOT": self.dir, "PATH": f"{self.path('bin')}:{os.environ['PATH']}"})
        return done.returncode, done.stderr

    def done(self):
        """[(second, what it did)]"""
        if not os.path.exists(self.path("done")):
            return []
        with open(self.path("done"), encoding="utf-8") as f:
            return [(int(second), what) for second, what in
                    (line.strip().split(" ", 1) for line in f)]

    def second(self):
        with open(self.path("proc/uptime"), encoding="ascii") as f:
            return int(f.read().split(".")[0])


class Guard(unittest.TestCase):
    def root(self, command_line="ro sluice.slot=B sluice.trial=1 quiet", **settings):
        folder = tempfile.mkdtemp(prefix="sluice-trial-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return Root(folder, command_line, **settings)

    def assert_no_try(self, root):
        self.assertEqual(root.guard(), (0, ""))
        self.assertEqual((root.done(), root.second()), ([], 560))

    def assert_started_anew(self, root, at_s, *args):
        """For the first time; returns what it did."""
        status, said = root.guard(*args)
        self.assertEqual(status, 1)
        self.assertIn("the box is started anew", said)
        done = root.done()
        self.assertIn(done[0][0], range(at_s, at_s + 6), said)
        return done

    def test_a_boot_that_is_no_try_is_left_alone(self):
        for line in ("", "ro sluice.slot=A", "sluice.slot=A sluice.trial=0", "sluice.trial=",
                     "sluice.trial", "sluice.trial=2", "sluice.trial=yes", "xsluice.trial=1",
                     "sluice.trial=loader", "sluice.trial=firmware", "sluice.trial=*",
                     "sluice.trial=firmware:0010,0011"):
            with self.subTest(line=line):
                self.assert_no_try(self.root(line))

    def test_the_firmware_says_that_what_it_booted_is_not_in_its_order(self):
        others = range(0x20, 0x30)
        for order in ([0x11], [0x10, 0x11], [*others, 0x11]):
            root = self.root("sluice.trial=firmware")
            root.firmware(0x11, *order)
            self.assert_no_try(root)
        for order in ([0x10], [0x1100, 0x10], [*others]):
            root = self.root("sluice.trial=firmware")
            root.firmware(0x11, *order)
            self.assert_started_anew(root, 600)

    def test_a_command_line_that_is_part_of_the_kernel_says_which_entries_are_meant(self):
        """It is the same whatever booted it: another entry, by a person's choice."""
        for entries in ("0010,00AB", "00ab,0010", "00Ab"):
            root = self.root(f"sluice.trial=firmware:{entries}")
            root.firmware(0xab, 0x10)
            self.assert_started_anew(root, 600)
            root.firmware(0xab, 0xab, 0x10)
            root.put("proc/uptime", "560.50 1.00\n")
            os.remove(root.path("done"))
            os.remove(root.path("pauses"))
            self.assert_no_try(root)
        for entries in ("0010,0011", "", "0010", ",", "ab", "0x00ab", "*", "00ab0010", "?0ab"):
            root = self.root(f"sluice.trial=firmware:{entries}")
            root.firmware(0xab, 0x10)
            self.assert_no_try(root)

    def test_systemd_boot_says_that_it_counts(self):
        root = self.root("sluice.slot=B sluice.trial=loader")
        root.put(f"{EFIVARS}/{COUNT_PATH}", ATTRIBUTES + "\\loader".encode("utf-16-le"))
        self.assert_started_anew(root, 600)

    def test_an_agent_that_never_says_anything_has_ten_minutes(self):
        self.assert_started_anew(self.root(), 600)
        self.assert_started_anew(self.root(), 700, "700")

    def test_an_agent_that_says_until_when_has_that_time_and_ten_minutes(self):
        root = self.root()
        root.put("run/sluice/trial", "until 200\n")
        self.assert_started_anew(root, 800)
        root = self.root()
        root.put("then/590", "echo until 190 > run/sluice/trial\n")
        self.assert_started_anew(root, 790)

    def test_a_system_that_is_confirmed_is_never_started_anew(self):
        root = self.root()
        root.put("run/sluice/trial", "over\n")
        self.assertEqual(root.guard()[0], 0)
        self.assertEqual((root.done(), root.second()), ([], 560))
        root = self.root()
        root.put("elsewhere", "until 60\n")
        root.put("then/650", "echo over > elsewhere\n")
        status, said = root.guard("600", root.path("elsewhere"))
        self.assertEqual(status, 0)
        self.assertIn("the trial is over", said)
        self.assertEqual((root.done(), root.second()), ([], 650))

    def test_a_note_that_makes_no_sense_is_none(self):
        for note in (b"", b"\n", b"until\n", b"until soon\n", b"until -1\n", b"until 9 9\n",
                     b"until 5000x\n", b"9999\n", b"until5000\n", b"\xff\xff\n", b"ove\n"):
            with self.subTest(note=note):
                root = self.root()
                root.put("run/sluice/trial", note)
                self.assert_started_anew(root, 600)

    def test_what_does_not_reboot_is_asked_ever_more_firmly(self):
        for systemd, word in ((True, "systemctl reboot"), (False, "reboot")):
            root = self.root(systemd=systemd)
            done = self.assert_started_anew(root, 600)
            first = done[0][0]
            self.assertEqual([(second - first, what) for second, what in done],
                             [(0, word), (180, f"{word} -f"),
                              (360, f"{word} -ff")])
            self.assertEqual(root.read("proc/sysrq-trigger"), "b\n")

    def test_a_way_to_reboot_that_hangs_holds_up_no_other(self):
        root = self.root()
        os.mkfifo(root.path("hang"))
        self.addCleanup(lambda: os.close(os.open(root.path("hang"), os.O_RDWR)))
        self.assertEqual(len(self.assert_started_anew(root, 600)), 3)
        self.assertEqual(root.read("proc/sysrq-trigger"), "b\n")


class Notes(FleetCase):
    def said(self, note):
        with open(note, encoding="ascii") as f:
            return f.read()

    def test_the_agent_notes_how_a_trial_goes_and_that_it_is_over(self):
        box = self.box(start=False)
        note, held = box.path("run", "trial"), box.path("held")
        box.set({"boot": {"trial_note": note}})
        box.factory_install(self.bundles[NEW])
        self.assertEqual(self.said(note), "over\n")
        box.script("health.d/10-long", f'grep -q "^booted={box.other_side()}$" '
                   f'"{box.path("boot.env")}" || exit 0\ntouch "{held}"\n'
                   f'while [ -e "{held}" ]; do sleep 0.05; done\n')
        # What a reboot does to /run.
        box.script("can-boot", f'rm -rf "{os.path.dirname(note)}"\n')
        self.pack("3.0.0")
        self.roll_out("3.0.0", deadline="1h")
        box.start()
        wait_until(lambda: os.path.exists(held), 60, "the new system is on trial")
        until = re.fullmatch(r"until (\d+)\n", self.said(note))
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.assertTrue(now_s < int(until[1]) <= now_s + 3600, (now_s, until))
        os.remove(held)
        self.wait_for_outcome(box, "ok", "3.0.0", timeout_s=60)
        self.assertEqual(self.said(note), "over\n")


if __name__ == "__main__":
    unittest.main()
