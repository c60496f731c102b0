"""A virtual machine: qemu on a disk, its serial log, its power switch."""
import functools
import os
import re
import subprocess
import tempfile
import time

from fleet.process import wait_until

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 512
PROBE_S = 8
OVMF = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"


@functools.cache
def accelerator(kernel):
    """kvm where a kernel gets as far as missing its root with it, in a time that makes it worth
    while; else tcg."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        with subprocess.Popen(
                [QEMU, "-machine", "q35", "-accel", "kvm", "-m", str(MEMORY_MIB), "-display",
                 "none", "-monitor", "none", "-no-reboot", "-serial", f"file:{log}", "-kernel",
                 kernel, "-append", "console=ttyS0 panic=-1"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as probe:
            try:
                wait_until(lambda: "Unable to mount root" in text_of(log), PROBE_S)
                return "kvm"
            except TimeoutError:
                return "tcg"
            finally:
                probe.kill()


def text_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


class Machine:
    """Started with start(); what it says on its console is in log."""

    def __init__(self, disk, log, kernel, firmware="bios", variables=None, options=()):
        self.disk, self.log, self.kernel = disk, log, kernel
        self.firmware, self.variables, self.options = firmware, variables, options
        self.process, self.begun_s = None, 0.0

    def argv(self):
        drive = f"driver=raw,node-name=disk,file.driver=file,file.filename={self.disk.path}," \
                "cache.direct=off"
        firmware = []
        if self.firmware == "efi":
            firmware = ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}",
                        "-drive", f"if=pflash,format=raw,file={self.variables}"]
        return [QEMU, "-machine", "q35", "-accel", accelerator(self.kernel), "-m",
                str(MEMORY_MIB), "-smp", "1", "-display", "none", "-monitor", "none", "-serial",
                f"file:{self.log}.now", *firmware,
                *(self.options or ("-blockdev", drive)), "-device",
                "nvme,drive=disk,serial=sluice", "-netdev", "user,id=net,restrict=off",
                "-device", "virtio-net-pci,netdev=net,romfile="]

    def start(self):
        self.collect()
        with open(self.log + ".qemu", "ab") as said:
            self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=said,
                                            stderr=said)
        self.begun_s = time.monotonic()
        return self

    def collect(self):
        """Puts what the last run said behind what the earlier ones did."""
        try:
            with open(self.log + ".now", "rb") as f, open(self.log, "ab") as log:
                log.write(f.read() + b"\n--- power off\n")
            os.unlink(self.log + ".now")
        except FileNotFoundError:
            pass

    def said(self):
        """What it has said since it was started."""
        return text_of(self.log + ".now")

    def find(self, pattern):
        return re.findall(pattern, self.said())

    def wait(self, pattern, timeout_s=120, count=1):
        """Until it has said this so many times since it was started."""
        def seen():
            if self.process.poll() is not None:
                raise RuntimeError(f"qemu ended with {self.process.returncode}: {self.log}")
            return len(self.find(pattern)) >= count
        wait_until(seen, timeout_s, lambda: f"{pattern!r}\n{self.said()[-3000:]}", 0.1)
        return time.monotonic() - self.begun_s

    def kill(self):
        """Power off, at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.collect()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
