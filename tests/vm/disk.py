"""A machine's disk: partitions, bootloaders, slots and data, made without starting it; and what is
on it afterwards."""
import hashlib
import json
import os
import shutil
import struct

from fleet.process import ROOT, run

SAMPLES = os.path.join(ROOT, "agent", "boot")
MIB = 1 << 20
SECTOR = 512
SLOT_BYTES = 112 * MIB
# Number, name, type, bytes.
PARTITIONS = (
    (1, "bios", "21686148-6449-6E6F-744E-656564454649", 1 * MIB),
    (2, "esp", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", 64 * MIB),
    (3, "sluice-env", "linux", 1 * MIB),
    (4, "rootfs-A", "linux", SLOT_BYTES),
    (5, "rootfs-B", "linux", SLOT_BYTES),
    (6, "data", "linux", 64 * MIB),
)
GRUB_MODULES = ("part_gpt", "tar", "search", "search_fs_file", "test", "regexp", "loadenv", "echo",
                "datehook", "ext2", "linux", "normal", "configfile", "true", "sleep", "reboot",
                "serial", "terminal", "memdisk")
GRUB_BEGIN = """serial --unit=0 --speed=115200
terminal_output serial
"""
ARGUMENTS = 'set arguments="ro panic=2 console=ttyS0 loglevel=4"'


def offsets():
    """Number -> (first byte, bytes)."""
    at, found = MIB, {}
    for number, _, _, size in PARTITIONS:
        found[number] = (at, size)
        at += size
    return found, at + MIB


def grub_config():
    """The sample that ships, with this machine's console."""
    with open(os.path.join(SAMPLES, "grub.cfg"), encoding="utf-8") as f:
        text = f.read()
    line = 'set arguments="ro quiet panic=5"'
    if line not in text:
        raise ValueError("agent/boot/grub.cfg: the arguments have another form")
    return GRUB_BEGIN + text.replace(line, ARGUMENTS)


class Disk:
    """One raw image file. In its slot A is `image`, in its data partition what `data` has."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder
        self.at, self.size = offsets()

    def make(self, image, data):
        with open(self.path, "wb") as f:
            f.truncate(self.size)
        lines = ["label: gpt", "unit: sectors"]
        for number, name, kind, size in PARTITIONS:
            lines.append(f"{number}: start={self.at[number][0] // SECTOR}, "
                         f"size={size // SECTOR}, type={kind}, name={name}")
        run(["sfdisk", "-q", self.path], input="\n".join(lines) + "\n")
        self.write(4, image)
        part = os.path.join(self.folder, "data.img")
        if os.path.exists(part):
            os.unlink(part)
        run(["mke2fs", "-q", "-t", "ext4", "-d", data, part, str(self.at[6][1] // 1024)])
        self.write(6, part)
        os.unlink(part)
        return self

    def write(self, number, source, at=0):
        with open(source, "rb") as f, open(self.path, "r+b") as disk:
            disk.seek(self.at[number][0] + at)
            shutil.copyfileobj(f, disk, MIB)

    def put(self, number, data, at=0):
        with open(self.path, "r+b") as disk:
            disk.seek(self.at[number][0] + at)
            disk.write(data)

    def part(self, number):
        """A partition's content, as a file of its own."""
        path = os.path.join(self.folder, f"part-{number}.img")
        first, size = self.at[number]
        run(["dd", f"if={self.path}", f"of={path}", "bs=1M", f"skip={first // MIB}",
             f"count={size // MIB}", "status=none"])
        return path

    def digest(self, number, length):
        state = hashlib.sha256()
        with open(self.path, "rb") as f:
            f.seek(self.at[number][0])
            while length > 0:
                piece = f.read(min(length, MIB))
                state.update(piece)
                length -= len(piece)
        return state.hexdigest()

    # Bootloaders.

    def mkimage(self, kind, out, prefix, modules):
        """GRUB's own program with the configuration in a memdisk."""
        folder = os.path.join(self.folder, "memdisk")
        os.makedirs(os.path.join(folder, "boot", "grub"), exist_ok=True)
        with open(os.path.join(folder, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as f:
            f.write(grub_config())
        run(["tar", "-C", folder, "-cf", folder + ".tar", "boot"])
        run(["grub-mkimage", "-O", kind, "-o", out, "-m", folder + ".tar", "-p",
             prefix + "/boot/grub", *GRUB_MODULES, *modules])

    def grub_bios(self):
        """boot.img in the first sector, which loads core.img from the BIOS boot partition."""
        core = os.path.join(self.folder, "core.img")
        self.mkimage("i386-pc", core, "(memdisk)", ("biosdisk",))
        first = self.at[1][0] // SECTOR
        with open("/usr/lib/grub/i386-pc/boot.img", "rb") as f:
            boot = bytearray(f.read())
        with open(core, "rb") as f:
            text = bytearray(f.read())
        boot[0x5c:0x64] = struct.pack("<Q", first)
        text[0x1f4:0x1fc] = struct.pack("<Q", first + 1)
        with open(self.path, "r+b") as disk:
            disk.write(boot[:440])
        self.put(1, text)

    def esp_make(self, files):
        """The ESP, with these: (path on it, file)."""
        part = os.path.join(self.folder, "esp.img")
        with open(part, "wb") as f:
            f.truncate(self.at[2][1])
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
        self.write(2, part)
        os.unlink(part)

    def grub_efi(self):
        out = os.path.join(self.folder, "bootx64.efi")
        self.mkimage("x86_64-efi", out, "(memdisk)", ())
        self.esp_make([("EFI/BOOT/BOOTX64.EFI", out)])

    # What is on it.

    def offline(self, agent, *args):
        """Runs the agent on a copy of GRUB's environment here, as if side A ran; returns how it
        ended, and the copy."""
        conf, part = os.path.join(self.folder, "offline.conf"), self.part(3)
        with open(os.path.join(self.folder, "cmdline"), "w", encoding="ascii") as f:
            f.write("sluice.slot=A\n")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"[box]\nid = offline\ncompatible = vm\nstate_dir = {self.folder}/none\n"
                    f"[slot rootfs]\ntype = file\na = {self.folder}/a\nb = {self.folder}/b\n"
                    f"[boot]\nbackend = grub\nfile = {part}\n"
                    f"cmdline = {self.folder}/cmdline\n")
        return run([agent, "-c", conf, *args], check=None), part

    def environment_make(self, agent):
        """At the factory, where side A runs."""
        done, part = self.offline(agent, "boot", "init")
        if done.returncode:
            raise RuntimeError(done.stderr)
        self.write(3, part)

    def boot_show(self, agent):
        """What the agent says of GRUB's environment here, or None where it makes no sense."""
        done, _ = self.offline(agent, "boot", "show", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def state(self):
        """The agent's state.json, after the journal was replayed as the next boot would."""
        part = self.part(6)
        run(["e2fsck", "-fy", part], check=None)
        text = run(["debugfs", "-R", "cat /state/state.json", part]).stdout
        return json.loads(text) if text else None
