"""What a virtual machine boots: Debian's kernel, busybox and sluice-agent, as the folder of a root
file system. The agent's libraries have a partition of their own: none of them is what is tested,
and with them a slot would be three times as large."""
import fcntl
import os
import re
import shutil
import subprocess

from fleet.process import ROOT, run

KERNEL = "linux-image-cloud-amd64"
UUID = "5f1ce5f1-ce5f-41ce-85f1-ce5f1ce5f1ce"
# Not built into the cloud kernel. Each comes with what it depends on, in the order to load them.
MODULES = {"always": ("virtio_pci", "virtio_net"),
           "efi": ("efivarfs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1"),
           "watchdog": ("softdog",)}
GUARD = os.path.join(ROOT, "agent", "libexec", "sluice-trial")
LIBRARIES = "/lib/x86_64-linux-gnu"
FOLDERS = ("bin", "sbin", "lib64", LIBRARIES[1:], "usr/bin", "proc", "sys", "dev", "tmp", "run",
           "data", "efi", "boot", "lib/modules", "etc/health.d", "etc/inhibit.d")

# A release may bring two files of its own: etc/broken, for a system that gets no further, and
# etc/start, which is read just before the agent and sluice-trial start.
INIT = f"""#!/bin/sh
trap "reboot -f" TERM
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p /run/lock && ln -s /run/lock /tmp/lock
[ -e /etc/broken ] && . /etc/broken
for module in $(cat /lib/modules/always); do insmod /lib/modules/$module; done
mount -t ext4 /dev/nvme0n1p6 /data || echo GUEST no data
mount -t ext4 -o ro /dev/nvme0n1p7 {LIBRARIES} || echo GUEST no libraries
if [ -d /sys/firmware/efi ]; then
    for module in $(cat /lib/modules/efi); do insmod /lib/modules/$module; done
    mount -t efivarfs efivarfs /sys/firmware/efi/efivars
    mount -t vfat /dev/nvme0n1p2 /efi || echo GUEST no ESP
fi
ifconfig lo 127.0.0.1 up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up && route add default gw 10.0.2.2
echo "GUEST version $(cat /etc/version) $(cat /proc/uptime)"
patience=600
[ -e /etc/start ] && . /etc/start
/usr/libexec/sluice-trial $patience &
while true; do
    /usr/bin/sluice-agent -c /data/agent.conf run
    echo "GUEST agent ended with $?"
    sleep 1
done
"""


def download(package, folder):
    """What went wrong, or nothing."""
    done = run(["apt-get", "download", "-q", package], cwd=folder, check=None, timeout=600)
    return done.stderr if done.returncode else ""


def kernel_download(folder):
    depends = run(["apt-cache", "depends", KERNEL], check=None).stdout
    package = re.search(r"Depends: (linux-image-\S+)", depends)
    if not package:
        return f"apt-cache knows no package {KERNEL}"
    return download(package[1], folder)


def unpack(path, fetch=kernel_download):
    """Fetches and unpacks a package of Debian's, without installing it: the kernel, if not said."""
    os.makedirs(path)
    if fetch(path):  # the lists may be old, or not there
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        run([*root, "apt-get", "update", "-q"], timeout=600)
        wrong = fetch(path)
        if wrong:
            raise RuntimeError(wrong)
    deb, = (f for f in os.listdir(path) if f.endswith(".deb"))
    run(["dpkg", "-x", deb, "."], cwd=path)
    os.unlink(os.path.join(path, deb))


def cached(folder, name="kernel", fetch=kernel_download):
    """What a package has, unpacked; fetched once for this build folder, by whoever is first."""
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    with open(path + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            shutil.rmtree(path + ".new", ignore_errors=True)
            unpack(path + ".new", fetch)
            os.rename(path + ".new", path)
    return path


class Kernel:
    def __init__(self, folder):
        self.dir = folder
        boot = os.path.join(self.dir, "boot")
        name, = (f for f in os.listdir(boot) if re.fullmatch(r"vmlinuz-[^-]*-[^-]*-cloud-\w+", f))
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


def beside(agent):
    """The program that the agent starts for the network."""
    return os.path.join(os.path.dirname(agent), "sluice-net")


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
    program = file_put(root, "/usr/libexec/sluice/sluice-net", beside(agent))
    subprocess.run(["strip", program], check=True)
    file_put(root, "/usr/libexec/sluice-trial", GUARD)
    loader, = (lib for lib in libraries(agent) if lib.startswith("/lib64/"))
    file_put(root, loader, os.path.realpath(loader))
    for name, wanted in MODULES.items():
        order = kernel.order(wanted)
        for module in order:
            file_put(root, "/lib/modules/" + os.path.basename(module), module, 0o644)
        text_put(root, "/lib/modules/" + name, "\n".join(map(os.path.basename, order)) + "\n")
    file_put(root, "/boot/vmlinuz", kernel.image, 0o644)
    text_put(root, "/sbin/init", INIT, 0o755)
    text_put(root, "/etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
    text_put(root, "/etc/hosts", "127.0.0.1 localhost\n")


def ext4_make(path, root, size):
    """An ext4 image of a folder that nothing writes to. The same input gives the same bytes."""
    if os.path.exists(path):
        os.unlink(path)
    run(["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal", "-U", UUID,
         "-E", f"hash_seed={UUID}", "-d", root, path, f"{size // 1024}k"],
        env=dict(os.environ, E2FSPROGS_FAKE_TIME="1700000000"), timeout=300)
    return path


def libraries_make(path, agent, size):
    """The partition with the shared libraries of the agent's programs."""
    work = path + ".root"
    os.makedirs(work)
    for library in sorted({*libraries(agent), *libraries(beside(agent))}):
        shutil.copyfile(os.path.realpath(library), os.path.join(work, os.path.basename(library)))
        os.chmod(os.path.join(work, os.path.basename(library)), 0o755)
    ext4_make(path, work, size)
    shutil.rmtree(work)
    return path


def image_make(path, root, version, size, changes=()):
    """An image of the root with this version and these changes: (path, text, or bytes, or None for
    a file that goes)."""
    work = path + ".root"
    shutil.copytree(root, work, symlinks=True)
    text_put(work, "/etc/version", version + "\n")
    for name, content in changes:
        if content is None:
            os.unlink(os.path.join(work, name.lstrip("/")))
        elif isinstance(content, bytes):
            with open(os.path.join(work, name.lstrip("/")), "wb") as f:
                f.write(content)
        else:
            text_put(work, name, content, 0o755)
    ext4_make(path, work, size)
    shutil.rmtree(work)
    return path
