"""A boot environment with garbage, a wrong checksum, an unknown slot name, one that is not there or
takes no write: the agent says what is wrong, fails, and changes nothing. And the samples."""
import os
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest
import zlib

from fleet import Box, Programs, Workspace, make_image, wait_until
from fleet.process import ROOT, run

SAMPLES = os.path.join(ROOT, "agent", "boot")
ENV_BYTES = 4096
GUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
SIMULATED = ("primary=A\na_bootable=yes\na_confirmed=yes\na_tries=0\nb_bootable=no\n"
             "b_confirmed=no\nb_tries=0\nbooted=A\nboot_id=first\n")
GARBAGE = bytes(range(1, 256)) * 200
GRUB_BYTES = 9 * 4096


def no_writes():
    """For a program: its storage takes none."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def uboot_half(values, flag=1, crc=None):
    data = b"".join(f"{k}={v}\0".encode() for k, v in values.items()).ljust(ENV_BYTES - 5, b"\0")
    return struct.pack("<IB", zlib.crc32(data) if crc is None else crc, flag) + data


class Environments(unittest.TestCase):
    BACKEND = FILE = None
    EXTRA = ""

    def setUp(self):
        self.programs = Programs()
        self.dir = tempfile.mkdtemp(prefix="sluice-boot-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.environ = dict(os.environ)
        self.put("cmdline", "sluice.slot=A\n")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def put(self, name, data):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        return path

    def get(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def all(self):
        """Every file below, but what the agent has of its own."""
        found = {}
        for folder, folders, files in os.walk(self.dir):
            folders[:] = [f for f in folders if f != "state"]
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    found[path] = f.read()
        return found

    def agent(self, *args, **kwargs):
        self.put("agent.conf", f"[box]\nid = b\ncompatible = c\nstate_dir = {self.path('state')}\n"
                 f"[slot r]\ntype = file\na = {self.path('a')}\nb = {self.path('b')}\n"
                 f"[boot]\nbackend = {self.BACKEND}\nfile = {self.path(self.FILE)}\n"
                 f"cmdline = {self.path('cmdline')}\n{self.EXTRA}")
        return run([self.programs.agent, "-c", self.path("agent.conf"), *args], check=None,
                   env=self.environ, **kwargs)

    def fails(self, word, *args, code=1, **kwargs):
        """It says so, and nothing has changed."""
        args = args or ("boot", "show")
        self.agent("boot", "show")  # with its configuration there
        before = self.all()
        done = self.agent(*args, **kwargs)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertIn(word, done.stderr)
        self.assertEqual(self.all(), before)

    def works(self, *args):
        done = self.agent(*(args or ("boot", "show")))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Grub(Environments):
    BACKEND, FILE = "grub", "env"

    def make(self):
        self.put("env", bytes(GRUB_BYTES))
        self.works("boot", "init")
        return self.get("env")

    def test_garbage(self):
        self.put("env", GARBAGE)
        self.fails("no copy makes sense")
        self.fails("neither blank nor", "boot", "init")

    def test_torn_copies(self):
        self.put("env", self.make().replace(b"sluice_end=1", b"sluice_end=2"))
        self.fails("torn")

    def test_unknown_slot_name(self):
        self.put("env", self.make().replace(b"sluice_primary=A", b"sluice_primary=C"))
        self.fails("neither A nor B")

    def test_device_that_is_missing_or_short(self):
        self.fails("No such file")
        self.fails("No such file", "boot", "init")
        self.put("env", bytes(GRUB_BYTES - 1))
        self.fails(f"{GRUB_BYTES} are needed", "boot", "init")

    def test_device_that_takes_no_write(self):
        self.put("env", bytes(GRUB_BYTES))
        self.fails(self.path("env"), "boot", "init", preexec_fn=no_writes)

    def test_one_that_is_there_is_not_made_again(self):
        self.make()
        self.fails("already", "boot", "init")


class Uboot(Environments):
    BACKEND, FILE = "u-boot", "fw_env.config"
    VALUES = {"sluice_primary": "A", "sluice_a": "good", "sluice_a_tries": 0, "sluice_b": "off",
              "sluice_b_tries": 0}

    def halves(self, data):
        for name in ("one", "two"):
            self.put(name, data)
        self.put("fw_env.config", "".join(f"{self.path(n)} 0 {ENV_BYTES:#x}\n"
                                          for n in ("one", "two")))

    def test_a_right_one(self):
        self.halves(uboot_half(self.VALUES))
        self.assertIn("side A: confirmed, running, boots next", self.works())

    def test_garbage(self):
        self.halves(GARBAGE[:ENV_BYTES])
        self.fails("no U-Boot environment with a right CRC")
        self.fails("no U-Boot environment with a right CRC", "boot", "init")

    def test_wrong_crc(self):
        self.halves(uboot_half(self.VALUES, crc=1))
        self.fails("CRC")

    def test_unknown_slot_name_and_state(self):
        self.halves(uboot_half({**self.VALUES, "sluice_primary": "C"}))
        self.fails("neither A nor B")
        self.halves(uboot_half({**self.VALUES, "sluice_b": "maybe"}))
        self.fails("none of off, try and good")

    def test_device_that_is_missing(self):
        self.fails("fw_env.config")
        self.halves(uboot_half(self.VALUES))
        os.unlink(self.path("two"))
        self.fails("fw_env.config")

    def test_device_that_takes_no_write(self):
        self.halves(uboot_half({"bootdelay": 0}))
        self.fails("storing the U-Boot environment", "boot", "init", preexec_fn=no_writes)

    def test_one_place_only(self):
        self.halves(uboot_half({"bootdelay": 0}))
        self.put("fw_env.config", f"{self.path('one')} 0 {ENV_BYTES:#x}\n")
        self.fails("CONFIG_SYS_REDUNDAND_ENVIRONMENT", "boot", "init")

    def test_the_sample_of_its_configuration(self):
        with open(os.path.join(SAMPLES, "fw_env.config"), encoding="utf-8") as f:
            text = f.read()
        self.put("one", bytes(0x100000) + uboot_half(self.VALUES).ljust(0x20000, b"\0") * 2)
        self.assertIn("/dev/mmcblk0", text)
        self.put("fw_env.config", text.replace("/dev/mmcblk0", self.path("one")))
        self.fails("CRC")  # the sample's size is another, so its checksum is
        with open(self.path("one"), "r+b") as f:
            for place in (0x100000, 0x120000):
                data = uboot_half(self.VALUES)[5:].ljust(0x20000 - 5, b"\0")
                f.seek(place)
                f.write(struct.pack("<IB", zlib.crc32(data), 1) + data)
        self.assertIn("side A: confirmed", self.works())


class Entries(Environments):
    BACKEND, FILE = "systemd-boot", "loader/entries"

    def sample(self):
        shutil.copytree(os.path.join(SAMPLES, "loader"), self.path("loader"))

    def test_the_sample(self):
        self.sample()
        self.assertIn("side A: confirmed, running, boots next\nside B: not bootable\n",
                      self.works())
        self.fails("no environment of its own to make", "boot", "init", code=2)

    def test_garbage_and_what_is_missing(self):
        self.fails("No such file")
        self.sample()
        self.put("loader/entries/sluice-a.conf", GARBAGE)
        self.fails("version NUMBER")
        os.rename(self.path("loader/entries/sluice-a.conf"),
                  self.path("loader/entries/sluice-c.conf"))
        self.fails("no entry for side A")

    def test_a_loader_that_would_boot_one_side_whatever_happens(self):
        self.sample()
        self.put("loader/loader.conf", "default sluice-b.conf\n")
        self.fails("write `default sluice-*`")
        self.fails("write `default sluice-*`", "boot", "init")


class Efi(Environments):
    BACKEND, FILE, EXTRA = "efi", "unused", "entry_a = 0001\nentry_b = 0002\ntries = 1\n"

    def variable(self, name, data):
        self.put(f"efi/{name}-{GUID}", b"\7\0\0\0" + data)
        self.environ["EFIVARFS_PATH"] = self.path("efi") + "/"

    def set_up(self, order=b"\1\0", current=b"\1\0"):
        self.variable("BootOrder", order)
        self.variable("BootCurrent", current)
        for name in ("Boot0001", "Boot0002"):
            self.variable(name, b"\1\0\0\0\0\0")

    def test_a_right_one(self):
        self.set_up()
        self.assertIn("side A: confirmed, running, boots next", self.works())
        self.fails("already", "boot", "init")

    def test_garbage_and_unknown_entries(self):
        self.set_up(order=b"\1\0\2")
        self.fails("BootOrder has 3 bytes")
        self.set_up(order=b"\7\0")
        self.fails("boot init")
        self.set_up(current=b"\7\0")
        self.fails("the firmware booted neither")

    def test_what_is_missing(self):
        self.environ["EFIVARFS_PATH"] = self.path("none") + "/"
        self.fails("no EFI variables")
        self.set_up()
        os.unlink(self.path(f"efi/Boot0002-{GUID}"))
        self.fails("entry_b is Boot0002, and the firmware has none")

    def test_variables_that_take_no_write(self):
        self.set_up(order=b"\7\0")
        self.fails("writing the EFI variable BootOrder", "boot", "init", preexec_fn=no_writes)


class Custom(Environments):
    BACKEND, FILE = "custom", "program"

    def program(self, text):
        os.chmod(self.put("program", "#!/bin/sh\n" + text), 0o755)

    def test_garbage_and_unknown_slot_name(self):
        self.put("vars", SIMULATED.replace("booted=A", "booted=C"))
        self.program(f"cat {self.path('vars')}\n")
        self.fails("neither A nor B")
        self.put("vars", GARBAGE[:1000])
        self.fails("program get")

    def test_a_program_that_is_missing_or_fails(self):
        self.fails(self.path("program"))
        self.program("exit 3\n")
        self.fails("exit status 3")

    def test_the_sample(self):
        shutil.copy(os.path.join(SAMPLES, "custom"), self.path("program"))
        self.environ["SLUICE_VARIABLES"] = self.path("variables")
        self.fails("program get")
        self.put("variables", "".join(line + "\n" for line in SIMULATED.splitlines()
                                      if not line.startswith("boot")))
        self.environ["SLUICE_CMDLINE"] = self.path("cmdline")
        self.assertIn("side A: confirmed, running, boots next", self.works())
        before = self.get("variables")
        run([self.path("program"), "set"], input=SIMULATED.replace("a_tries=0", "a_tries=7"),
            env=self.environ)
        self.assertEqual(self.get("variables"), before.replace(b"a_tries=0", b"a_tries=7"))


class Simulated(Environments):
    BACKEND, FILE = "simulated", "env"

    def test_garbage_unknown_slot_name_and_what_is_missing(self):
        self.fails("No such file")
        for text, word in ((GARBAGE[:1000], "the boot environment"),
                           (SIMULATED.replace("primary=A", "primary=C"), "neither A nor B"),
                           (SIMULATED.replace("b_tries=0\n", ""), "b_tries is missing"),
                           (SIMULATED[:-1], "cut off")):
            self.put("env", text)
            self.fails(word)


class Installing(unittest.TestCase):
    """What a box does with an update, whose systemd-boot is played by nobody."""

    def setUp(self):
        base = tempfile.mkdtemp(prefix="sluice-boot-")
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        self.workspace = Workspace(os.path.join(base, "w"), 1)
        self.workspace.init().ceremony()
        self.bundle = self.workspace.pack("2.0.0", make_image(os.path.join(base, "new"), "2.0.0"))
        self.workspace.release(self.bundle)
        self.box = Box(self.workspace, "gw-000001", make_image(os.path.join(base, "old"), "1.0.0"))
        shutil.copytree(os.path.join(SAMPLES, "loader"), self.box.path("loader"))
        self.entries = self.box.path("loader", "entries")
        with open(self.box.path("cmdline"), "w", encoding="ascii") as f:
            f.write("sluice.slot=A\n")
        self.box.set({"boot": {"backend": "systemd-boot", "file": self.entries,
                               "cmdline": self.box.path("cmdline")}})

    def install(self, code):
        done = self.box.agent("install", self.bundle, "--no-reboot", "--metadata",
                              self.workspace.path("site", "metadata"), check=None)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr

    def test_nothing_is_installed_where_the_bootloader_cannot_be_relied_on(self):
        before = self.box.slot_digests(), sorted(os.listdir(self.entries))
        with open(self.box.path("loader", "loader.conf"), "a", encoding="utf-8") as f:
            f.write("default sluice-a.conf\n")
        self.assertIn("write `default sluice-*`", self.install(1))
        self.assertEqual((self.box.slot_digests(), sorted(os.listdir(self.entries))), before)

    def test_the_daemon_says_so_at_its_start_and_runs_all_the_same(self):
        with open(self.box.path("loader", "loader.conf"), "a", encoding="utf-8") as f:
            f.write("default sluice-a.conf\n")
        self.box.set({"site": {key: None for key in self.box.conf["site"]}})
        with open(self.box.path("log"), "w+", encoding="utf-8") as log:
            daemon = subprocess.Popen(self.box.agent_argv("run"), stderr=log)
            self.addCleanup(daemon.kill)
            wait_until(lambda: "follows" in self.log(), 30, self.log)
            daemon.terminate()
            self.assertEqual(daemon.wait(30), 0, self.log())
        self.assertIn("nothing will be installed: the boot entries: ", self.log())

    def log(self):
        with open(self.box.path("log"), encoding="utf-8") as f:
            return f.read()

    def test_nothing_is_installed_where_the_entries_take_no_change(self):
        before = self.box.slot_digests(), sorted(os.listdir(self.entries))
        os.makedirs(os.path.join(self.entries, "sluice.new", "x"))
        shutil.move(os.path.join(self.entries, "sluice-b+0.conf"),
                    os.path.join(self.entries, "sluice-b.conf"))
        self.assertIn("sluice.new", self.install(1))
        self.assertEqual(self.box.slot_digests(), before[0])
        self.assertIn("sluice-b.conf", os.listdir(self.entries))

    def test_an_update_is_the_next_to_boot(self):
        self.install(0)
        self.assertEqual(sorted(os.listdir(self.entries)), ["sluice-a.conf", "sluice-b+2.conf"])
        with open(os.path.join(self.entries, "sluice-b+2.conf"), encoding="utf-8") as f:
            self.assertIn("\nversion 3\n", f.read())


if __name__ == "__main__":
    unittest.main()
