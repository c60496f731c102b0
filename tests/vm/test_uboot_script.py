"""agent/boot/u-boot.cmd in U-Boot itself, without a kernel: which side it would start, in which
order, as a try or not, and what it counts. All cases in one start of it, which takes a second or
two."""
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

from fleet.process import ROOT, Programs, run
from vm.guest import cached, download

TAKES_S = 5
CACHE = os.path.join(ROOT, "build", "vm")
SAMPLE = os.path.join(ROOT, "agent", "boot", "u-boot.cmd")
ROM = "usr/lib/u-boot/qemu-x86/u-boot.rom"
ENV_BYTES, STEP = 0x1000, 0x2000
SCRIPT_AT, DRIVER_AT, ENVS_AT = 0x4000000, 0x4800000, 0x5000000
NAMES = ("primary", "a", "a_tries", "b", "b_tries", "lost")
# This U-Boot has no place for its environment: what it would store is said.
SAVE = ("setenv test_save 'echo SAVES ${sluice_primary} ${sluice_a} ${sluice_a_tries} ${sluice_b} "
        "${sluice_b_tries} ${sluice_lost}.; ${test_saves}'")


def script_text():
    """The sample, with a kernel that never starts, and without its last two commands."""
    with open(SAMPLE, encoding="utf-8") as f:
        text = f.read()
    text, starts = re.subn(r"^setenv sluice_start '.*'$",
                           "setenv sluice_start 'echo STARTS ${side} ${part} ${bootargs}.; false'",
                           text, flags=re.M)
    text, saves = re.subn(r"\bsaveenv(?=$|;)", "run test_save", text, flags=re.M)
    text, ends = re.subn(r"^sleep 60\nreset\n", "", text, flags=re.M)
    if (starts, saves, ends) != (1, 2, 1):
        raise ValueError(f"agent/boot/u-boot.cmd has another form: {starts}, {saves}, {ends}")
    return text


def image(text):
    """As `mkimage -T script` makes it: U-Boot's include/image.h."""
    data = text.encode()
    data = struct.pack(">II", len(data), 0) + data

    def head(crc):
        return struct.pack(">7I4B32s", 0x27051956, crc, 0, len(data), 0, 0, zlib.crc32(data), 5, 3,
                           6, 0, b"sluice")
    return head(zlib.crc32(head(0))) + data


def environment(**values):
    """One half of a redundant environment, as fw_setenv and U-Boot store it."""
    data = b"".join(f"sluice_{k}={v}\0".encode() for k, v in values.items()) or b"\0"
    data = data.ljust(ENV_BYTES - 5, b"\0")
    return struct.pack("<IB", zlib.crc32(data), 1) + data


class UbootScript(unittest.TestCase):
    def setUp(self):
        self.programs = Programs()
        self.folder = tempfile.mkdtemp(prefix="sluice-uboot-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def agent_makes(self, side):
        """What `boot init` stores where this side runs: the half that is in force then."""
        for name in ("one", "two"):
            with open(self.path(name), "wb") as f:
                f.write(environment(bootdelay="0"))
        with open(self.path("fw_env.config"), "w", encoding="utf-8") as f:
            f.writelines(f"{self.path(name)} 0 {ENV_BYTES:#x}\n" for name in ("one", "two"))
        with open(self.path("cmdline"), "w", encoding="ascii") as f:
            f.write(f"sluice.slot={side}\n")
        with open(self.path("agent.conf"), "w", encoding="utf-8") as f:
            f.write(f"[box]\nid = b\ncompatible = c\nstate_dir = {self.path('state')}\n"
                    f"[slot r]\ntype = file\na = {self.path('a')}\nb = {self.path('b')}\n[boot]\n"
                    f"backend = u-boot\nfile = {self.path('fw_env.config')}\n"
                    f"cmdline = {self.path('cmdline')}\n")
        run([self.programs.agent, "-c", self.path("agent.conf"), "boot", "init"])
        with open(self.path("two"), "rb") as f:
            return f.read()

    def start(self, cases):
        """Each case: (environment, whether it can be stored). Returns for each what it would start
        and store: ["SAVES ...", "STARTS SIDE PARTITION TRY"]."""
        rom = cached(CACHE, "u-boot", lambda folder: download("u-boot-qemu", folder))
        lines = [SAVE]
        for i, (_, saves) in enumerate(cases):
            lines += [f"setenv sluice_{name}" for name in NAMES]
            lines += [f"setenv test_saves {'true' if saves else 'false'}",
                      f"env import -b {ENVS_AT + i * STEP + 5:#x} {ENV_BYTES - 5:#x}",
                      f"echo CASE {i}.", f"source {SCRIPT_AT:#x}"]
        lines += ["echo CASE end.", "reset"]
        for name, data in (("script", image(script_text())), ("driver", image("\n".join(lines))),
                           ("envs", b"".join(env.ljust(STEP, b"\0") for env, _ in cases))):
            with open(self.path(name), "wb") as f:
                f.write(data)
        done = subprocess.run(
            ["qemu-system-i386", "-machine", "pc", "-accel", "tcg", "-m", "256", "-display", "none",
             "-monitor", "none", "-net", "none", "-no-reboot", "-serial", "stdio", "-bios",
             os.path.join(rom, ROM), "-device",
             f"loader,file={self.path('script')},addr={SCRIPT_AT:#x},force-raw=on", "-device",
             f"loader,file={self.path('driver')},addr={DRIVER_AT:#x},force-raw=on", "-device",
             f"loader,file={self.path('envs')},addr={ENVS_AT:#x},force-raw=on"],
            # Whatever comes first stops the countdown, and some of it may be lost.
            input=b" \n" * 20 + f"source {DRIVER_AT:#x}\n".encode() * 20, capture_output=True,
            timeout=120, check=True)
        said = done.stdout.decode("utf-8", "replace").replace("\r", "")
        parts = re.split(r"^CASE \w+\.$", said, flags=re.M)
        self.assertEqual(len(parts), len(cases) + 2, said)
        said = [re.sub(r"root=PARTLABEL=rootfs-[AB] ro panic=5 sluice\.slot=[AB] "
                       r"sluice\.trial=([01])", r"\1", part) for part in parts[1:-1]]
        return [re.findall(r"^((?:SAVES|STARTS) [^.]*?) ?\.$", part, re.M) for part in said]

    def test_sides_are_offered_and_counted_as_the_environment_says(self):
        a, b, try_a, try_b = (f"STARTS {word}" for word in ("A 2 0", "B 3 0", "A 2 1", "B 3 1"))
        good = {"primary": "A", "a": "good", "a_tries": 0, "b": "off", "b_tries": 0}
        trial = {**good, "primary": "B", "b": "try", "b_tries": 3}
        # A kernel that does not start leads to the next; what follows where none does is the same
        # for all: each side once more, and a note of which was first.
        last = ["SAVES {} A", a, b]
        table = [
            (self.agent_makes("A"), True, [a], "A good 0 off 0"),
            (self.agent_makes("B"), True, [b], "B off 0 good 0"),
            (environment(**trial), True, ["SAVES B good 0 try 2", try_b, a], "B good 0 try 2"),
            (environment(**{**trial, "b_tries": 9}), True, ["SAVES B good 0 try 8", try_b, a],
             "B good 0 try 8"),
            (environment(**{**trial, "b_tries": 1}), True, ["SAVES B good 0 try 0", try_b, a],
             "B good 0 try 0"),
            (environment(**{**trial, "b_tries": 0}), True, [a], "B good 0 try 0"),
            (environment(**{**trial, "b_tries": "x"}), True, [a], "B good 0 try x"),
            (environment(**{**trial, "b": "garbage"}), True, [a], "B good 0 garbage 3"),
            (environment(**{**good, "a": "try", "a_tries": 2}), True,
             ["SAVES A try 1 off 0", try_a], "A try 1 off 0"),
            # A count that cannot be stored is no count.
            (environment(**trial), False, ["SAVES B good 0 try 2", a], "B good 0 try 2"),
        ]
        found = self.start([case[:2] for case in table])
        for i, (_, _, expected, stored) in enumerate(table):
            self.assertEqual(found[i], expected + [last[0].format(stored)] + last[1:], f"case {i}")

    def test_an_environment_that_was_lost_starts_each_side_in_turn(self):
        a, b = "STARTS A 2 0", "STARTS B 3 0"
        off = {"primary": "B", "a": "off", "a_tries": 0, "b": "off", "b_tries": 0}
        found = self.start([(environment(), True), (environment(lost="A"), True),
                            (environment(lost="B"), True), (environment(**off, lost="A"), True)])
        self.assertEqual(found[0], ["SAVES A", a, b])
        self.assertEqual(found[1], ["SAVES B", b, a])
        self.assertEqual(found[2], ["SAVES A", a, b])
        self.assertEqual(found[3], ["SAVES B off 0 off 0 B", b, a])


if __name__ == "__main__":
    unittest.main()
