"""A machine's disk: partitions, slots and data, made without starting it; and what is on it
afterwards."""
import errno
import json
import os
import re
import shutil
import struct

from fleet.box import digest_of_file
from fleet.process import ROOT, run

SAMPLES = os.path.join(ROOT, "agent", "boot")
MIB = 1 << 20
SECTOR = 512
SLOT_BYTES = 20 * MIB
LIBRARIES_BYTES = 72 * MIB
BIOS, ESP, ENVIRONMENT, SLOT_A, SLOT_B, DATA, LIBRARIES = range(1, 8)
SLOTS = {"A": SLOT_A, "B": SLOT_B}
# Number, name, type, bytes.
PARTITIONS = (
    (BIOS, "bios", "21686148-6449-6E6F-744E-656564454649", 1 * MIB),
    (ESP, "esp", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", 64 * MIB),
    (ENVIRONMENT, "sluice-env", "linux", 1 * MIB),
    (SLOT_A, "rootfs-A", "linux", SLOT_BYTES),
    (SLOT_B, "rootfs-B", "linux", SLOT_BYTES),
    (DATA, "data", "linux", 24 * MIB),
    (LIBRARIES, "libraries", "linux", LIBRARIES_BYTES),
)
ESP_UUID = "5f1ce5f1-0000-4000-8000-000000000002"
GRUB_MODULES = ("part_gpt", "tar", "search", "search_fs_file", "test", "regexp", "loadenv", "echo",
                "datehook", "ext2", "linux", "normal", "configfile", "true", "sleep", "reboot",
                "serial", "terminal", "memdisk")
GRUB_BEGIN = """serial --unit=0 --speed=115200
terminal_output serial
"""
# From the lowest free memory GRUB 2.06 moves a kernel to where it belongs, byte by byte, with
# all the room that it is to have: emulated, that takes as long as all else up to the first program.
# So what is below that place is taken, by a kernel that is never started: `linux` lets it go.
GRUB_LOW = "multiboot (memdisk)/low\n"
LOW_AT, LOW_END = 0x100000, 0x1000000
# Those in what ships, and this machine's. A panic reboots at once.
ARGUMENTS = re.compile("ro (quiet )?panic=5")
MACHINE_ARGUMENTS = "ro panic=-1 console=ttyS0 earlyprintk=ttyS0 loglevel=4 mitigations=off "\
    "nokaslr cryptomgr.notests lsm= tsc=reliable no_timer_check"


def offsets():
    """Number -> (first byte, bytes)."""
    at, found = MIB, {}
    for number, _, _, size in PARTITIONS:
        found[number] = (at, size)
        at += size
    return found, at + MIB


AT, SIZE = offsets()


def sample(name):
    """A boot script that ships, with this machine's console."""
    with open(os.path.join(SAMPLES, name), encoding="utf-8") as f:
        text = f.read()
    return ARGUMENTS.sub(MACHINE_ARGUMENTS, text)


def low_kernel():
    """Of the form that the Multiboot Specification 0.6.96 has: no more than room in low memory."""
    magic, flags = 0x1BADB002, 1 << 16
    return struct.pack("<8I", magic, flags, -(magic + flags) & 0xffffffff, LOW_AT, LOW_AT,
                       LOW_AT + 32, LOW_END, LOW_AT)


def copy_sparse(source, at, to, to_at, length):
    """Between two open files; holes are passed over, so the target has to be new."""
    ahead, end = to_at - at, at + length
    try:
        while at < end:
            at = os.lseek(source.fileno(), at, os.SEEK_DATA)
            stop = min(os.lseek(source.fileno(), at, os.SEEK_HOLE), end)
            os.lseek(to.fileno(), at + ahead, os.SEEK_SET)
            while at < stop:
                at += os.sendfile(to.fileno(), source.fileno(), at, stop - at)
    except OSError as problem:
        if problem.errno != errno.ENXIO:  # no data any more
            raise


class Disk:
    """One raw image file. In its slot A is `image`, in its data partition what `data` has."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def make(self, image, data, libraries):
        with open(self.path, "wb") as f:
            f.truncate(SIZE)
        lines = ["label: gpt", "unit: sectors"]
        for number, name, kind, size in PARTITIONS:
            uuid = f", uuid={ESP_UUID}" if number == ESP else ""
            lines.append(f"{number}: start={AT[number][0] // SECTOR}, size={size // SECTOR}, "
                         f"type={kind}, name={name}{uuid}")
        run(["sfdisk", "-q", self.path], input="\n".join(lines) + "\n")
        self.write(SLOT_A, image)
        self.write(LIBRARIES, libraries)
        part = os.path.join(self.folder, "data.img")
        run(["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", data, part,
             f"{AT[DATA][1] // 1024}k"])
        self.write(DATA, part)
        os.unlink(part)
        return self

    def copy(self, path):
        """Another disk with the same content."""
        with open(self.path, "rb") as f, open(path, "wb") as to:
            to.truncate(SIZE)
            copy_sparse(f, 0, to, 0, SIZE)
        return Disk(path, self.folder)

    def write(self, number, source):
        """Fills a partition of a disk that nothing was written to there."""
        at, room = AT[number]
        if os.path.getsize(source) > room:
            raise ValueError(f"{source} is larger than partition {number}")
        with open(source, "rb") as f, open(self.path, "r+b") as disk:
            copy_sparse(f, 0, disk, at, room)

    def put(self, number, data, at=0):
        with open(self.path, "r+b") as disk:
            disk.seek(AT[number][0] + at)
            disk.write(data)

    def part(self, number):
        """A partition's content, as a file of its own."""
        path = os.path.join(self.folder, f"part-{number}.img")
        with open(self.path, "rb") as f, open(path, "wb") as to:
            to.truncate(AT[number][1])
            copy_sparse(f, AT[number][0], to, 0, AT[number][1])
        return path

    def digest(self, side, length):
        """Of what a slot begins with."""
        return digest_of_file(self.path, length, AT[SLOTS[side]][0])

    # Bootloaders.

    def mkimage(self, kind, out, prefix, modules, begin=""):
        """GRUB's own program with the configuration in a memdisk."""
        folder = os.path.join(self.folder, "memdisk")
        os.makedirs(os.path.join(folder, "boot", "grub"))
        with open(os.path.join(folder, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as f:
            f.write(GRUB_BEGIN + begin + sample("grub.cfg"))
        with open(os.path.join(folder, "low"), "wb") as f:
            f.write(low_kernel())
        run(["tar", "-C", folder, "-cf", folder + ".tar", "boot", "low"])
        run(["grub-mkimage", "-O", kind, "-o", out, "-m", folder + ".tar", "-p",
             prefix + "/boot/grub", *GRUB_MODULES, *modules])

    def grub_bios(self):
        """boot.img in the first sector, which loads core.img from the BIOS boot partition."""
        core = os.path.join(self.folder, "core.img")
        self.mkimage("i386-pc", core, "(memdisk)", ("biosdisk", "multiboot"), GRUB_LOW)
        first = AT[BIOS][0] // SECTOR
        with open("/usr/lib/grub/i386-pc/boot.img", "rb") as f:
            boot = bytearray(f.read())
        with open(core, "rb") as f:
            text = bytearray(f.read())
        boot[0x5c:0x64] = struct.pack("<Q", first)
        text[0x1f4:0x1fc] = struct.pack("<Q", first + 1)
        with open(self.path, "r+b") as disk:
            disk.write(boot[:440])
        self.put(BIOS, text)

    def grub_efi(self):
        out = os.path.join(self.folder, "bootx64.efi")
        self.mkimage("x86_64-efi", out, "(memdisk)", ())
        self.esp_make([("EFI/BOOT/BOOTX64.EFI", out)])

    def esp_make(self, files):
        """The ESP, with these: (path on it, file)."""
        part = os.path.join(self.folder, "esp.img")
        with open(part, "wb") as f:
            f.truncate(AT[ESP][1])
        run(["mkfs.vfat", "-F", "32", "-n", "ESP", part])
        made = set()
        for name, source in files:
            folders = name.split("/")[:-1]
            for i in range(len(folders)):
                folder = "/".join(folders[:i + 1])
                if folder not in made:
                    run(["mmd", "-i", part, "::" + folder])
                    made.add(folder)
            run(["mcopy", "-i", part, source, "::" + name])
        self.write(ESP, part)
        os.unlink(part)

    # What is on it.

    def data_files(self, folder, to):
        """The files of a folder of the data partition, after the journal was replayed as the next
        boot would."""
        part = self.part(DATA)
        done = run(["e2fsck", "-fy", part], check=None)
        if done.returncode > 1:  # 1: what a journal leaves to do was done
            raise RuntimeError(f"the data partition is damaged: {done.stdout}")
        run(["debugfs", "-R", f"rdump {folder} {to}", part])

    def state(self):
        """The agent's folder on the data partition, as a folder here."""
        shutil.rmtree(os.path.join(self.folder, "state"), ignore_errors=True)
        self.data_files("/state", self.folder)
        return os.path.join(self.folder, "state")


class Offline:
    """The agent on what a disk holds: a configuration of its own, as if side A ran."""

    def __init__(self, agent, folder):
        self.agent, self.folder = agent, folder
        with open(os.path.join(folder, "cmdline"), "w", encoding="ascii") as f:
            f.write("sluice.slot=A\n")

    def run(self, boot, state, *args):
        """boot: (backend, file); returns how it ended."""
        conf = os.path.join(self.folder, "offline.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"[box]\nid = offline\ncompatible = vm\nstate_dir = {state}\n"
                    f"[slot rootfs]\ntype = file\na = {self.folder}/a\nb = {self.folder}/b\n"
                    f"[boot]\nbackend = {boot[0]}\nfile = {boot[1]}\n"
                    f"cmdline = {self.folder}/cmdline\n")
        return run([self.agent, "-c", conf, *args], check=None)

    def show(self, boot):
        """What `boot show` says, or None where it makes no sense."""
        done = self.run(boot, f"{self.folder}/none", "boot", "show", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None
