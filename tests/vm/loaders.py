"""The bootloaders that a machine may have: what a factory puts on its disk, and what stands there
afterwards."""
import os

from fleet.process import run
from vm import firmware
from vm.disk import ENVIRONMENT, ESP, MACHINE_ARGUMENTS, MIB, SLOT_BYTES, Offline, sample

KERNEL_BYTES = 16 * MIB  # of the file that is a kernel's slot
KERNEL_SLOT = """[slot kernel]
type = file
a = /efi/sluice/a/vmlinuz
b = /efi/sluice/b/vmlinuz
"""
# The kernel is on the ESP, where firmware finds it, and not in the root file system.
NO_KERNEL, NO_KERNEL_BYTES = [("/boot/vmlinuz", None)], 6 * MIB


def kernel_slots(folder, kernel):
    """Files for the ESP: side A's kernel, and room for side B's."""
    slots = []
    for side in "ab":
        path = os.path.join(folder, f"vmlinuz-{side}")
        with open(kernel, "rb") as f, open(path, "wb") as slot:
            if side == "a":
                slot.write(f.read())
            slot.truncate(KERNEL_BYTES)
        slots.append((f"sluice/{side}/vmlinuz", path))
    return slots


class GrubBios:
    """GRUB under SeaBIOS, with the kernel that is in the slot."""
    BOOT, SLOTS, TRIES, CHANGES = "backend = grub\nfile = /dev/nvme0n1p3\ntries = 2", "", 2, []
    IMAGE_BYTES = SLOT_BYTES

    def __init__(self, disk, agent, kernel):
        self.disk, self.kernel = disk, kernel
        self.agent = Offline(agent, disk.folder)
        self.variables = None

    def install(self):
        self.disk.grub_bios()
        self.environment_make()

    def environment_make(self):
        """At the factory, where side A runs."""
        part = self.disk.part(ENVIRONMENT)
        done = self.agent.run(("grub", part), f"{self.disk.folder}/none", "boot", "init")
        if done.returncode:
            raise RuntimeError(done.stderr)
        self.disk.write(ENVIRONMENT, part)

    def show(self):
        return self.agent.show(("grub", self.disk.part(ENVIRONMENT)))

    def boots_next(self):
        """(side, whether it is confirmed, whether the other may boot, too), or None."""
        shown = self.show()
        if not shown:
            return None
        side = shown["primary"]
        other = shown["sides"]["A" if side == "B" else "B"]
        return side, shown["sides"][side]["confirmed"], \
            other["bootable"] and (other["confirmed"] or other["tries_left"] > 0)


class GrubEfi(GrubBios):
    """The same under OVMF."""

    def install(self):
        self.disk.grub_efi()
        self.environment_make()
        self.variables = os.path.join(self.disk.folder, "variables.fd")
        firmware.make(self.variables)


class SystemdBoot(GrubBios):
    """systemd-boot, with the samples that ship."""
    BOOT = "backend = systemd-boot\nfile = /efi/loader/entries\ntries = 2"
    SLOTS, CHANGES, IMAGE_BYTES = KERNEL_SLOT, NO_KERNEL, NO_KERNEL_BYTES
    PROGRAM = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

    def install(self):
        files = [("EFI/BOOT/BOOTX64.EFI", self.PROGRAM),
                 *kernel_slots(self.disk.folder, self.kernel)]
        for name in ("loader.conf", "entries/sluice-a.conf", "entries/sluice-b+0.conf"):
            path = os.path.join(self.disk.folder, os.path.basename(name))
            with open(path, "w", encoding="utf-8") as f:
                f.write(sample("loader/" + name))
            files.append(("loader/" + name, path))
        self.disk.esp_make(files)
        self.variables = os.path.join(self.disk.folder, "variables.fd")
        firmware.make(self.variables)

    def show(self):
        entries = os.path.join(self.disk.folder, "entries")
        run(["rm", "-rf", entries])
        run(["mcopy", "-s", "-i", self.disk.part(ESP), "::loader/entries", self.disk.folder])
        return self.agent.show(("systemd-boot", entries))


class BootNext(GrubBios):
    """The firmware boots kernels by itself: an entry a side, BootNext for the one on trial."""
    BOOT = "backend = efi\nentry_a = 0010\nentry_b = 0011\ntries = 1"
    SLOTS, TRIES, CHANGES, IMAGE_BYTES = KERNEL_SLOT, 1, NO_KERNEL, NO_KERNEL_BYTES
    ENTRIES = {0x10: "A", 0x11: "B"}

    def install(self):
        self.disk.esp_make(kernel_slots(self.disk.folder, self.kernel))
        self.variables = os.path.join(self.disk.folder, "variables.fd")
        given = {"BootOrder": firmware.numbers(0x10)}
        for number, side in self.ENTRIES.items():
            given[f"Boot{number:04X}"] = firmware.load_option(
                f"Side {side}", f"/sluice/{side.lower()}/vmlinuz",
                f"root=PARTLABEL=rootfs-{side} {MACHINE_ARGUMENTS} sluice.trial=firmware")
        firmware.make(self.variables, given)

    def boots_next(self):
        found = firmware.read(self.variables)
        order = [n for n in firmware.split(found["BootOrder"]) if n in self.ENTRIES]
        if "BootNext" in found:
            number, = firmware.split(found["BootNext"])
            return self.ENTRIES[number], False, True
        return self.ENTRIES[order[0]], True, len(order) > 1
