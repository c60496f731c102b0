"""Other people's updaters at a full install over HTTP, into a loop device, each as its own
documentation has it run by hand: seconds, processor, memory.

None reads back what it wrote. RAUC gets its bundle from a file, for it streams through nbd.
"""
import collections
import contextlib
import json
import os
import re
import shutil
import subprocess
import time

import pair
import peers
from figure import Figure
from fleet import run as run_program, wait_until
from fleet.box import digest_of_file
from fleet.watch import MIB, Watch

Cost = collections.namedtuple("Cost", "wall_s cpu_s peak_mib")

SWUPDATE = """software = {{
    version = "2.0";
    hardware-compatibility: [ "1.0" ];
    images: ({{ filename = "rootfs.zst"; device = "{device}"; type = "raw"; compressed = "zstd";
               sha256 = "{digest}"; }});
}}
"""
BUS = """<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""
RAUC = """[system]
compatible=bench
bootloader=custom
mountprefix={there}/mnt
statusfile={there}/rauc.status
[handlers]
bootloader-custom-backend={there}/backend
[keyring]
path={there}/cert.pem
[slot.rootfs.0]
device={there}/other
type=raw
bootname=A
[slot.rootfs.1]
device={device}
type=raw
bootname=B
"""
RAUC_MANIFEST = """[update]
compatible=bench
version=2.0
[bundle]
format=plain
[image.rootfs]
filename=rootfs.img
"""
# What asks and tells a bootloader, for RAUC, and for mender-client under two names.
BACKEND = """#!/bin/sh
case $1 in get-primary) echo A;; get-state) echo good;; get-current) echo A;; esac
"""
FW_PRINTENV = """#!/bin/sh
printf 'mender_boot_part=%d\\nmender_boot_part_hex=%x\\n' {0} {0}
printf 'upgrade_available=0\\nbootcount=0\\n'
"""


@contextlib.contextmanager
def loop(path):
    """A device that a file is."""
    device = run_program(["losetup", "--find", "--show", path]).stdout.strip()
    try:
        yield device
    finally:
        run_program(["losetup", "--detach", device])


@contextlib.contextmanager
def slot(folder, size):
    path = os.path.join(folder, "slot.img")
    with open(path, "wb") as f:
        f.truncate(size)
    with loop(path) as device:
        yield device
    os.unlink(path)


def watched(argv, folder, **kwargs):
    """Runs a program to its end, memory as sum of PSS over it and its children."""
    with open(os.path.join(folder, "said"), "ab") as said:
        started = time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **kwargs)
    watch = Watch(child.pid, [], [], 1 << 62)
    watch.start()
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.monotonic() - started
    watch.stop()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        with open(os.path.join(folder, "said"), encoding="utf-8", errors="replace") as f:
            raise SystemExit(f"bench: {' '.join(argv[-6:])}: exit {child.returncode}\n"
                             f"{f.read()[-3000:]}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, watch.peak / MIB)


def cpu_of(pid):
    """Processor seconds of a process and of those of its children that have ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def write(path, text, mode=0o644):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def certificate(there):
    """(certificate, key): those that sign for updaters are told by what they are for."""
    crt, key = (os.path.join(there, name) for name in ("cert.pem", "key.pem"))
    run_program(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                 "-out", crt, "-subj", "/CN=bench", "-days", "10", "-addext",
                 "extendedKeyUsage=emailProtection"])
    return crt, key


# Each installs the image into a device, and says what that took.

def pipe(tools, image, device, there):
    """What people do without an updater."""
    with peers.FileServer(os.path.dirname(image), there) as server:
        url = server.url + os.path.basename(peers.beside(image, ".zst"))
        peers.zstd(tools, None, image, None)
        return watched(["bash", "-c", f"set -o pipefail; curl -sS {url} | zstd -dc | dd bs=1M "
                        f"iflag=fullblock conv=fsync status=none of={device}"], there)


def casync(tools, image, device, there):
    root = peers.casync_store(tools, image)
    with peers.FileServer(root, there) as server:
        return watched(tools.argv("casync", "extract", f"--store={server.url}store",
                                  server.url + "image.caibx", device), there)


def swupdate(tools, image, device, there):
    peers.zstd(tools, None, image, None)
    packed = os.path.join(there, "rootfs.zst")
    shutil.copyfile(peers.beside(image, ".zst"), packed)
    described = write(os.path.join(there, "sw-description"),
                      SWUPDATE.format(device=device, digest=digest_of_file(packed)))
    crt, key = certificate(there)
    run_program(["openssl", "cms", "-sign", "-in", described, "-out", described + ".sig",
                 "-signer", crt, "-inkey", key, "-outform", "DER", "-nosmimecap", "-binary"])
    with open(os.path.join(there, "rootfs.swu"), "wb") as f:
        subprocess.run(tools.argv("cpio", "--quiet", "-o", "-H", "crc"), cwd=there, check=True,
                       stdout=f, input=b"sw-description\nsw-description.sig\nrootfs.zst\n")
    os.unlink(packed)
    with peers.FileServer(there, there) as server:
        return watched(tools.argv("swupdate", "-M", "-m", "-H", "bench:1.0", "-k", crt,
                                  "-d", f"-u {server.url}rootfs.swu"), there,
                       env={**os.environ, "TMPDIR": there})


def root_device(there, *bound):
    """A file system for mender-client to run in, for it looks for what / is mounted from."""
    tree, image = os.path.join(there, "tree"), os.path.join(there, "root.img")
    for name in ("etc/mender", "run", "var", *(path.lstrip("/") for path in bound)):
        os.makedirs(os.path.join(tree, name))
    for name in ("bin", "lib", "lib64", "sbin"):
        os.symlink(os.path.join("usr", name), os.path.join(tree, name))
    write(os.path.join(tree, "etc", "mender", "artifact_info"), "artifact_name=old\n")
    with open(image, "wb") as f:
        f.truncate(4 * MIB)
    run_program(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image])
    return image


def bootloader(folder, part):
    """Programs that tell mender-client which partition is booted, and take what it says."""
    os.makedirs(folder)
    write(os.path.join(folder, "fw_printenv"), FW_PRINTENV.format(part), 0o755)
    write(os.path.join(folder, "fw_setenv"), "#!/bin/sh\ncat > /dev/null\n", 0o755)
    return folder


def mender(tools, image, device, there):
    tools.run("mender-artifact", "write", "rootfs-image", "--no-progress", "-t", "bench", "-n",
              "new", "-f", image, "-o", os.path.join(there, "new.mender"))
    bound = ("/dev", "/proc", "/usr", tools.root, there)
    with loop(root_device(there, *bound)) as root, peers.FileServer(there, there) as server:
        conf = write(os.path.join(there, "mender.conf"), json.dumps({
            "RootfsPartA": root, "RootfsPartB": device,
            "DeviceTypeFile": write(os.path.join(there, "device_type"), "device_type=bench\n")}))
        programs = bootloader(os.path.join(there, "bin"), int(re.search(r"\d+$", root)[0]))
        argv = tools.argv("mender", "--no-syslog", "-c", conf, "-b", conf, "-d", there, "install",
                          server.url + "new.mender")
        binds = " && ".join(f"mount --rbind {path} root{path}" for path in bound)
        return watched(["unshare", "--mount", "sh", "-c", f"cd {there} && mkdir root && "
                        f"mount {root} root && {binds} && "
                        'exec chroot root "$@"', "sh", *argv], there,
                       env={**os.environ, "PATH": programs + ":" + os.environ["PATH"]})


@contextlib.contextmanager
def rauc_service(tools, conf, there):
    """RAUC's own service, and a system bus for it alone: yields (environment, the service)."""
    bus = write(os.path.join(there, "bus.conf"), BUS.format(os.path.join(there, "bus")))
    with open(os.path.join(there, "said"), "ab") as said:
        daemon = subprocess.Popen(tools.argv("dbus-daemon", "--nofork", f"--config-file={bus}"),
                                  stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={there}/bus",
               "PATH": os.path.join(tools.root, "usr", "bin") + ":" + os.environ["PATH"]}
        wait_until(lambda: os.path.exists(os.path.join(there, "bus")), 15)
        service = subprocess.Popen(tools.argv("rauc", f"--conf={conf}", "--override-boot-slot=A",
                                              "service"),
                                   stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env)
    try:
        yield env, service
    finally:
        for process in (service, daemon):
            process.terminate()
            process.wait(30)


def rauc(tools, image, device, there):
    content = os.path.join(there, "content")
    for name in ("content", "mnt"):
        os.makedirs(os.path.join(there, name))
    os.symlink(image, os.path.join(content, "rootfs.img"))
    write(os.path.join(content, "manifest.raucm"), RAUC_MANIFEST)
    write(os.path.join(there, "backend"), BACKEND, 0o755)
    write(os.path.join(there, "other"), "")
    crt, key = certificate(there)
    conf = write(os.path.join(there, "rauc.conf"), RAUC.format(there=there, device=device))
    bundle = os.path.join(there, "new.raucb")
    with rauc_service(tools, conf, there) as (env, service):
        tools.run("rauc", f"--conf={conf}", f"--cert={crt}", f"--key={key}", "bundle", content,
                  bundle, env=env)
        watch = Watch(service.pid, [], [], 1 << 62)
        watch.start()
        before = cpu_of(service.pid)
        cost = watched(tools.argv("rauc", f"--conf={conf}", "install", bundle), there, env=env)
        watch.stop()
        return Cost(cost.wall_s, cost.cpu_s + cpu_of(service.pid) - before,
                    cost.peak_mib + watch.peak / MIB)


PEERS = {"curl | zstd | dd": pipe, "casync": casync, "SWUpdate": swupdate, "mender-client": mender,
         "RAUC, from a file": rauc}


def compared(tools, image, folder):
    """Figures, each beside the first."""
    first = None
    for name, install in PEERS.items():
        with peers.scratch(folder, "peer") as there, \
                slot(there, os.path.getsize(image)) as device:
            cost = install(tools, image, device, there)
            if not peers.same(image, device):
                raise SystemExit(f"bench: {name} wrote something else into {device}")
        first = first or cost
        yield Figure(f"install: {name}", f"{cost.wall_s:.1f} s ({cost.wall_s / first.wall_s:.2f}), "
                     f"{cost.cpu_s:.1f} s of processor ({cost.cpu_s / first.cpu_s:.2f}), "
                     f"{cost.peak_mib:.1f} MiB PSS")


def run(_, folder):
    """Peers alone; install.py has them beside the agent."""
    yield from compared(peers.Peers(folder), pair.system(folder).new,
                        os.path.join(folder, "installers"))
