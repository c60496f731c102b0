"""A virtual machine: qemu on a disk, its serial log, its power switch."""
import functools
import os
import re
import shutil
import subprocess
import tempfile
import time

from fleet.process import wait_until
from vm import firmware

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 256
CPU = "qemu64,+rdrand,+rdseed"  # wide registers are slow to emulate
PROBE_S = 8
WAIT_S = 600  # for anything: whatever runs beside it, it comes to that, or never will


def kvm_works(kernel, folder):
    """Whether a kernel gets as far as missing its root with it, in a time that makes it worth
    while."""
    log = os.path.join(folder, "log")
    with subprocess.Popen(
            [QEMU, "-nodefaults", "-machine", "q35", "-accel", "kvm", "-m", str(MEMORY_MIB),
             "-display", "none", "-no-reboot", "-serial", f"file:{log}", "-kernel", kernel,
             "-append", "console=ttyS0 panic=-1"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as probe:
        def ended():
            return "Unable to mount root" in text_of(log) or probe.poll() is not None
        try:
            wait_until(ended, PROBE_S)
        except TimeoutError:
            pass
        finally:
            probe.kill()
    return "Unable to mount root" in text_of(log)


@functools.cache
def accelerator(kernel):
    """kvm where it works; else tcg. Found out once for all the modules of a run, as long as this
    host is not booted again."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        note = f"{kernel}.{f.read().strip()}"
    if not os.path.exists(note):
        with tempfile.TemporaryDirectory() as folder:
            found = os.path.join(folder, "found")
            with open(found, "w", encoding="ascii") as f:
                f.write("kvm" if kvm_works(kernel, folder) else "tcg")
            shutil.copy(found, f"{note}.{os.getpid()}")
        os.rename(f"{note}.{os.getpid()}", note)
    with open(note, encoding="ascii") as f:
        return f.read()


def text_of(path, at=0):
    try:
        with open(path, "rb") as f:
            f.seek(at)
            return f.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


class Machine:
    """Started with start(); what it says on its console is in log. variables: a path, for a machine
    with UEFI firmware; write_log: where qemu keeps every write to the disk, in their order.

    A reset ends qemu, and whoever waits for something here starts it anew: emulated afresh, it
    boots in a third of the time."""

    def __init__(self, disk, log, kernel, variables=None, write_log=None):
        self.disk, self.log, self.kernel = disk, log, kernel
        self.variables, self.write_log = variables, write_log
        self.process, self.begun_at = None, 0
        self.boot_s = 0.0  # when it was last started or reset

    def drives(self):
        name = "whole" if self.write_log else "disk"
        found = ["-blockdev", f"driver=raw,node-name={name},file.driver=file,"
                 f"file.filename={self.disk.path}"]
        if self.write_log:
            found += ["-blockdev", "driver=raw,node-name=log,file.driver=file,"
                      f"file.filename={self.write_log}",
                      "-blockdev", "driver=blklogwrites,node-name=disk,file=whole,log=log,"
                      f"log-super-update-interval=1,log-append={self.restarted()}"]
        if self.variables:
            found += ["-drive", f"if=pflash,format=raw,readonly=on,file={firmware.CODE}",
                      "-drive", f"if=pflash,format=raw,file={self.variables}"]
        return found

    def restarted(self):
        return "on" if os.path.getsize(self.write_log) > 0 else "off"

    def argv(self):
        return [QEMU, "-nodefaults", "-machine", "q35", "-accel", accelerator(self.kernel),
                "-cpu", CPU, "-m", str(MEMORY_MIB), "-smp", "1", "-display", "none",
                "-no-reboot", "-chardev", f"file,id=console,path={self.log},append=on", "-serial",
                "chardev:console", *self.drives(), "-device", "nvme,drive=disk,serial=sluice",
                "-netdev", "user,id=net,restrict=off", "-device",
                "virtio-net-pci,netdev=net,romfile="]

    def write(self, line):
        with open(self.log, "ab") as log:
            log.write(f"\n--- {line}\n".encode())

    def boot(self):
        self.boot_s = time.monotonic()
        with open(self.log + ".qemu", "ab") as said:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=said,
                                            stderr=said)

    def start(self):
        """Power on."""
        self.write("power on")
        self.begun_at = os.path.getsize(self.log)
        self.boot()
        return self

    def kill(self):
        """Power off, at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.write("power off")

    def said(self):
        """What it has said since it was started."""
        return text_of(self.log, self.begun_at)

    def find(self, pattern):
        return re.findall(pattern, self.said())

    def look(self):
        """Starts it anew after a reset."""
        if self.process is None or self.process.poll() is None:
            return
        if self.process.returncode != 0:
            raise RuntimeError(f"qemu ended with {self.process.returncode}: see {self.log}.qemu")
        self.write("reset")
        self.boot()

    def until(self, condition, what, timeout_s=WAIT_S):
        """Until condition(); what() says what that is."""
        def seen():
            self.look()
            return condition()
        wait_until(seen, timeout_s, lambda: f"{what()}\n{self.said()[-3000:]}", 0.05)

    def wait(self, pattern, count=1):
        """Until it has said this so many times since it was started."""
        self.until(lambda: len(self.find(pattern)) >= count, lambda: repr(pattern))
