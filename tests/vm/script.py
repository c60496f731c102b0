"""GRUB on a small disk of its own, with agent/boot/grub.cfg and no kernel: what it would boot is
said and not done. Each run takes a second or two."""
import os
import re
import struct
import subprocess

from fleet.process import ROOT, run

SAMPLE = os.path.join(ROOT, "agent", "boot", "grub.cfg")
SECTOR, MIB = 512, 1 << 20
GROUP = 4096
COPIES = {"a": 1, "b": 3, "good": 5}  # which group of the environment each is in
TURN = 7
MODULES = ("biosdisk", "part_gpt", "tar", "test", "regexp", "loadenv", "echo", "normal", "true",
           "sleep", "reboot", "serial", "terminal", "memdisk")
# A kernel that loads ends the run; one on a side in $broken does not load.
BEGIN = """serial --unit=0 --speed=115200
terminal_output serial
function linux {
    set trial=
    for word in $@; do regexp --set=1:trial '^sluice\.trial=(.+)$' "$word"; done
    echo "LINUX $1 $2 trial=$trial"
    for side in $broken; do if [ "$2" = "root=PARTLABEL=rootfs-$side" ]; then return 1; fi; done
    reboot
}
function sleep { echo "END"; reboot; }
"""


def sample():
    with open(SAMPLE, encoding="utf-8") as f:
        return f.read()


def functions():
    """The sample without what it does in the end."""
    text, tail = sample().split("\nenv_choose\n")
    if "side_offer" not in tail:
        raise ValueError("agent/boot/grub.cfg ends otherwise")
    return text + "\n"


def block(seq=100000000, primary="A", a=("good", 0), b=("off", 0), end=None):
    """One copy, as the agent writes it."""
    text = (f"# GRUB Environment Block\nsluice_seq={seq}\nsluice_primary={primary}\n"
            f"sluice_a={a[0]}\nsluice_a_tries={a[1]}\nsluice_b={b[0]}\nsluice_b_tries={b[1]}\n"
            f"sluice_end={seq if end is None else end}\n")
    return text.encode().ljust(GROUP, b"#")


class Script:
    """A disk whose third partition has the environment. agent makes its tar."""

    def __init__(self, folder, agent):
        self.folder, self.agent = folder, agent
        self.disk = self.path("disk.img")
        with open(self.disk, "wb") as f:
            f.truncate(12 * MIB)
        lines = ["label: gpt", "unit: sectors"]
        for number in range(1, 6):
            kind = "21686148-6449-6E6F-744E-656564454649" if number == 1 else "linux"
            lines.append(f"{number}: start={number * 2 * MIB // SECTOR}, "
                         f"size={MIB // SECTOR}, type={kind}")
        run(["sfdisk", "-q", self.disk], input="\n".join(lines) + "\n")
        self.put(self.disk, 6 * MIB, self.environment())

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def put(self, path, at, data):
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(data)

    def get(self, path, at, length):
        with open(path, "rb") as f:
            f.seek(at)
            return f.read(length)

    def conf(self, file):
        with open(self.path("cmdline"), "w", encoding="ascii") as f:
            f.write("sluice.slot=A\n")
        with open(self.path("agent.conf"), "w", encoding="utf-8") as f:
            f.write(f"[box]\nid = b\ncompatible = c\nstate_dir = {self.folder}/state\n"
                    f"[slot r]\ntype = file\na = {self.folder}/a\nb = {self.folder}/b\n"
                    f"[boot]\nbackend = grub\nfile = {file}\ncmdline = {self.folder}/cmdline\n")
        return self.path("agent.conf")

    def environment(self):
        """What `boot init` makes where side A runs."""
        path = self.path("environment")
        with open(path, "wb") as f:
            f.truncate(MIB)
        run([self.agent, "-c", self.conf(path), "boot", "init"])
        return self.get(path, 0, MIB)

    def copy_put(self, name, data):
        self.put(self.disk, 6 * MIB + COPIES[name] * GROUP, data)

    def copy_get(self, name):
        return self.get(self.disk, 6 * MIB + COPIES[name] * GROUP, GROUP)

    def turn_put(self, data):
        self.put(self.disk, 6 * MIB + TURN * GROUP, data)

    def turn(self):
        """How many starts took a turn, as a digit."""
        return int(re.search(rb"sluice_turn=(\d)\n#",
                             self.get(self.disk, 6 * MIB + TURN * GROUP, GROUP))[1])

    def core_put(self, text):
        os.makedirs(self.path("memdisk", "boot", "grub"), exist_ok=True)
        with open(self.path("memdisk", "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as f:
            f.write(text)
        run(["tar", "-C", self.path("memdisk"), "-cf", self.path("memdisk.tar"), "boot"])
        run(["grub-mkimage", "-O", "i386-pc", "-o", self.path("core.img"), "-m",
             self.path("memdisk.tar"), "-p", "(memdisk)/boot/grub", *MODULES])
        first = 2 * MIB // SECTOR
        with open("/usr/lib/grub/i386-pc/boot.img", "rb") as f:
            boot = bytearray(f.read())
        with open(self.path("core.img"), "rb") as f:
            core = bytearray(f.read())
        boot[0x5c:0x64] = struct.pack("<Q", first)
        core[0x1f4:0x1fc] = struct.pack("<Q", first + 1)
        self.put(self.disk, 0, boot[:440])
        self.put(self.disk, 2 * MIB, core)

    def run(self, text, others=(), options="", timeout_s=120):
        """Starts GRUB with that configuration, and with other disks behind its own; returns what it
        said."""
        self.core_put(BEGIN + text)
        drives = []
        for i, path in enumerate((self.disk, *others)):
            drives += ["-drive", f"if=none,id=d{i},format=raw,file={path}" +
                       (options if i == 0 else ""), "-device",
                       f"virtio-blk-pci,drive=d{i},bootindex={i}"]
        done = subprocess.run(
            ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", "64", "-display",
             "none", "-monitor", "none", "-net", "none", "-no-reboot", "-serial", "stdio", *drives],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=True)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout.decode("utf-8", "replace"))

    def boots(self, prelude="", **kwargs):
        """The kernels that the sample would load, in order: (device, side, whether it is a try)."""
        said = self.run(prelude + sample(), **kwargs)
        found = re.findall(r"LINUX \(([^)]*)\)\S+ root=PARTLABEL=rootfs-([AB]) trial=(\d*)", said)
        return found, said
