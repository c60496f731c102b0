"""What a virtual machine boots: Debian's kernel, busybox and sluice-agent with its libraries, as
the folder of a root file system."""
import os
import re
import shutil
import subprocess

from fleet.process import run

KERNEL = "linux-image-cloud-amd64"
# Not built into the cloud kernel. Each comes with what it depends on, in the order to load them.
MODULES = ("virtio_pci", "virtio_net", "softdog", "vfat", "nls_cp437", "nls_ascii",
           "nls_iso8859-1", "efivarfs")
FOLDERS = ("bin", "sbin", "lib64", "etc/sluice", "usr/bin", "proc", "sys", "dev", "tmp", "run",
           "data", "efi", "boot", "lib/modules")

INIT = """#!/bin/sh
# First program of the guest. What a release adds to it stands in /etc/start.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p /run/lock && ln -s /run/lock /tmp/lock
echo 2 > /proc/sys/kernel/panic
for module in $(cat /lib/modules/order); do insmod /lib/modules/$module; done
[ -e /etc/broken ] && . /etc/broken
mount -t ext4 /dev/nvme0n1p6 /data || echo GUEST no data
[ -d /sys/firmware/efi ] && mount -t efivarfs efivarfs /sys/firmware/efi/efivars
mount -t vfat /dev/nvme0n1p2 /efi 2>/dev/null
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up && route add default gw 10.0.2.2
echo "GUEST version $(cat /etc/version) $(cat /proc/uptime)"
[ -e /data/hold ] && . /data/hold
while true; do
    /usr/bin/sluice-agent -c /data/agent.conf run
    echo "GUEST agent ended with $?"
    sleep 1
done
"""


def cached(folder, name, make):
    """The result of make(path), made once for this build folder."""
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        shutil.rmtree(path + ".new", ignore_errors=True)
        make(path + ".new")
        os.rename(path + ".new", path)
    return path


def kernel_unpack(path):
    """Fetches and unpacks the kernel that Debian's package stands for, without installing it."""
    os.makedirs(path)
    depends = run(["apt-cache", "depends", KERNEL]).stdout
    package = re.search(r"Depends: (linux-image-\S+)", depends)[1]
    run(["apt-get", "download", "-q", package], cwd=path, timeout=600)
    deb, = (f for f in os.listdir(path) if f.endswith(".deb"))
    run(["dpkg", "-x", deb, "."], cwd=path)
    os.unlink(os.path.join(path, deb))


class Kernel:
    def __init__(self, cache):
        self.dir = cached(cache, "kernel", kernel_unpack)
        boot = os.path.join(self.dir, "boot")
        name, = (f for f in os.listdir(boot) if f.startswith("vmlinuz-"))
        self.image = os.path.join(boot, name)
        self.modules = {}
        for folder, _, files in os.walk(os.path.join(self.dir, "lib", "modules")):
            for file in files:
                if file.endswith(".ko"):
                    self.modules[file[:-3].replace("-", "_")] = os.path.join(folder, file)

    def depends(self, module):
        """What a module's own section says it needs."""
        with open(self.modules[module], "rb") as f:
            found = re.search(rb"\0depends=([^\0]*)\0", f.read())
        return [d.replace("-", "_") for d in found[1].decode().split(",") if d] if found else []

    def order(self, wanted):
        """Those modules and all that they need, each after what it needs."""
        done = []

        def add(module):
            for need in self.depends(module):
                add(need)
            if module not in done:
                done.append(module)

        for module in wanted:
            if module.replace("-", "_") in self.modules:
                add(module.replace("-", "_"))
        return [self.modules[m] for m in done]


def libraries(program):
    """The shared libraries of a program, with the loader."""
    return sorted(set(re.findall(r"(/\S+) \(0x", run(["ldd", program]).stdout)))


def file_put(root, path, source, mode=0o755):
    to = os.path.join(root, path.lstrip("/"))
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copyfile(source, to)
    os.chmod(to, mode)
    return to


def text_put(root, path, text, mode=0o644):
    to = os.path.join(root, path.lstrip("/"))
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with open(to, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(to, mode)


def root_make(root, kernel, agent):
    """A root file system's folder, but for its version."""
    for folder in FOLDERS:
        os.makedirs(os.path.join(root, folder))
    busybox = file_put(root, "/bin/busybox", "/usr/bin/busybox")
    for applet in run([busybox, "--list"]).stdout.split():
        link = os.path.join(root, "bin", applet)
        if not os.path.lexists(link):
            os.symlink("busybox", link)
    program = file_put(root, "/usr/bin/sluice-agent", agent)
    subprocess.run(["strip", program], check=True)
    for library in libraries(agent):
        file_put(root, library, os.path.realpath(library))
    order = kernel.order(MODULES)
    for module in order:
        file_put(root, "/lib/modules/" + os.path.basename(module), module, 0o644)
    text_put(root, "/lib/modules/order", "\n".join(map(os.path.basename, order)) + "\n")
    file_put(root, "/boot/vmlinuz", kernel.image, 0o644)
    text_put(root, "/sbin/init", INIT, 0o755)
    text_put(root, "/etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
    text_put(root, "/etc/hosts", "127.0.0.1 localhost\n")


def image_make(path, root, version, size, changes=()):
    """An ext4 image of the root with this version and these changes: (path, text or None). The same
    input gives the same bytes."""
    work = path + ".root"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(root, work, symlinks=True)
    text_put(work, "/etc/version", version + "\n")
    for name, text in changes:
        if text is None:
            os.unlink(os.path.join(work, name.lstrip("/")))
        else:
            text_put(work, name, text, 0o755)
    if os.path.exists(path):
        os.unlink(path)
    run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-U",
         "5f1ce5f1-ce5f-41ce-85f1-ce5f1ce5f1ce", "-E",
         "hash_seed=5f1ce5f1-ce5f-41ce-85f1-ce5f1ce5f1ce", "-d", work, path, str(size // 1024)],
        env=dict(os.environ, E2FSPROGS_FAKE_TIME="1700000000"), timeout=300)
    shutil.rmtree(work)
    return path
