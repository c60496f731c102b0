"""Installing over HTTPS: time, processor, memory and bytes written, beside what people do without
an updater: `curl | zstd -dc | dd` of the same image at zstd -19, and one cold read of the slot.

The image is 768 MiB of ext4 filled from /usr; the slots are loop devices, where there may be any.
The web server is nginx with the configuration that `sluice init` makes; the agent is the one that
boxes run, from its first poll to the reboot it asks for. Nothing on the box can be reused: both
slots hold noise. Of each side the best of three runs counts, which take turns. nginx is on no
side's bill. Memory is summed over the agent's processes, in runs of their own, for who looks every
5 ms takes a fifth of a processor. What the network child's cage costs is the difference from an
agent whose child has none.
"""
import contextlib
import os
import resource
import shutil
import subprocess
import time

import image
from figure import Figure
from fleet import Box, Nginx, Workspace, free_port
from fleet.process import Programs
from fleet.watch import MIB, watched_install

RUNS = 3
CHUNK = 65536
LARGE_MIB = 2048  # memory does not grow with the image
PSS_MAX = 24 * MIB
WALL_MAX, CPU_MAX, CMP_MAX, CAGE_MAX = 1.0, 1.3, 1.5, 1.1


@contextlib.contextmanager
def devices(*files):
    """Loop devices over files; or the files, where the machine makes none."""
    made = []
    try:
        for path in files:
            done = subprocess.run(["losetup", "-f", "--show", path], capture_output=True,
                                  check=False, text=True)
            if done.returncode != 0:
                break
            made.append(done.stdout.strip())
        yield tuple(made) if len(made) == len(files) else files
    finally:
        for device in made:
            subprocess.run(["losetup", "-d", device], check=True)


class SlotBox(Box):
    """A box whose slots were there before it, and stay as they are."""

    def __init__(self, workspace, name, slots, programs=None):
        self.slots = slots
        super().__init__(workspace, name, None, slot_size=1)
        self.programs = programs or self.programs
        if slots[0].startswith("/dev/"):
            self.set({"slot rootfs": {"type": "block"}})

    def slot(self, side):
        return self.slots["AB".index(side)]

    def make_slots(self, image, size):
        """They are there."""


def forget(*slots):
    """What is read next comes from the device, and what it stands on."""
    os.sync()
    for slot in slots:
        if slot.startswith("/dev/"):
            subprocess.run(["blockdev", "--flushbufs", slot], check=True)
    with contextlib.suppress(OSError):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("1")


def warm(*paths):
    """What the web server serves lies in memory."""
    for path in paths:
        with open(path, "rb") as f:
            while f.read(MIB):
                pass


def spoil(slot, size):
    """Noise, chunk by chunk."""
    spoil_chunks(slot, range(0, size, CHUNK))


def spoil_chunks(slot, offsets):
    noise = os.urandom(MIB)
    with open(slot, "r+b") as f:
        for at in offsets:
            f.seek(at)
            f.write(noise[at // CHUNK * 4099 % (MIB - CHUNK):][:CHUNK])
        os.fsync(f.fileno())


def data_chunks(path):
    """Offsets of the whole chunks that are not zeros."""
    zeros = bytes(CHUNK)
    with open(path, "rb") as f:
        for at in range(0, os.path.getsize(path) - CHUNK + 1, CHUNK):
            if f.read(CHUNK) != zeros:
                yield at


def written(slot):
    """Bytes that a device has taken so far; None of a file."""
    if not slot.startswith("/dev/"):
        return None
    with open(f"/sys/block/{os.path.basename(slot)}/stat", encoding="ascii") as f:
        return int(f.read().split()[6]) * 512


def run_shell(command):
    """Returns (processor seconds, seconds) of a pipeline."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    subprocess.run(["bash", "-c", "set -o pipefail; " + command], check=True,
                   stdout=subprocess.DEVNULL)
    took = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, took


class Rig:
    """A site with one image in a bundle and as zstd has it, and two slots."""

    def __init__(self, folder, source, slots):
        self.folder, self.image, self.slots = folder, source, slots
        self.size = os.path.getsize(source)
        self.workspace = Workspace(os.path.join(folder, "fleet"), free_port()).init().ceremony()
        self.bundle = self.workspace.pack("2.0", source, level=9)
        self.workspace.roll_out(self.bundle, [("all", "100%")])
        self.boxes = 0

    def served(self):
        return [os.path.join(folder, name)
                for folder, _, names in os.walk(self.workspace.path("site", "targets", "bundles"))
                for name in names]

    def put_peer(self, compressed):
        shutil.copyfile(compressed, self.workspace.path("site", "targets", "bundles",
                                                        "peer.img.zst"))

    def holds_image(self):
        return subprocess.run(["cmp", "-s", "-n", str(self.size), self.image, self.slots[1]],
                              check=False).returncode == 0

    def ours(self, programs=None, watched=False):
        """One install into slot B as it is now."""
        self.boxes += 1
        box = SlotBox(self.workspace, f"gw-{self.boxes:06}", self.slots, programs)
        forget(*self.slots)
        warm(*self.served())
        before = written(self.slots[1])
        done = watched_install(box, self.size, watched=watched)
        after = written(self.slots[1])
        if not self.holds_image():
            raise SystemExit(f"bench: slot B is not the image\n{box.log()}")
        return done, after - before if before is not None else None

    def peer(self):
        url = self.workspace.url + "targets/bundles/peer.img.zst"
        slot = self.slots[1]
        spoil(slot, self.size)
        forget(slot)
        warm(*self.served())
        wrote = run_shell(f"curl -sS --cacert {self.workspace.path('tls', 'ca.crt')} {url} | "
                          f"zstd -dc | dd bs=1M iflag=fullblock conv=fsync,notrunc status=none "
                          f"of={slot}")
        forget(slot)
        read = run_shell(f"dd bs=1M status=none if={slot} of=/dev/null")
        if not self.holds_image():
            raise SystemExit("bench: what dd wrote is not the image")
        return wrote[0] + read[0], wrote[1] + read[1]


def uncaged(build, folder):
    """The agent, and a network child without its cage."""
    os.makedirs(folder)
    programs = Programs(folder)
    shutil.copy(os.path.join(build, "sluice-agent"), programs.agent)
    shutil.copy(Programs(build).tool("uncaged"), programs.net)
    return programs


def compressed(source):
    """As zstd -19 has it; made once."""
    path = source + ".zst"
    if not os.path.exists(path):
        subprocess.run(["zstd", "-q", "-19", "-T0", "-f", source, "-o", path + ".part"], check=True)
        os.rename(path + ".part", path)
    return path


def memory_figures(name, watch):
    large = ", ".join(f"{path}: {size / MIB:.0f} MiB" for path, size in watch.large.items())
    return [
        Figure(f"{name}, memory", f"{watch.peak / MIB:.1f} MiB PSS ({watch.share_text()}), RSS at "
               f"most {watch.rss / MIB:.1f}; {watch.samples} looks",
               f"at most {PSS_MAX / MIB:.0f} MiB", watch.peak <= PSS_MAX),
        Figure(f"{name}, copies of it", large or "none", "none", not large)]


def watched_run(rig):
    """What it held where it held most: of runs of their own, for watching takes time."""
    watches = []
    for _ in range(RUNS):
        spoil(rig.slots[1], rig.size)
        watches.append(rig.ours(watched=True)[0].watch)
    return max(watches, key=lambda watch: watch.peak)


def fresh_figures(rig, name, programs):
    ours, free, peers = [], [], []
    for _ in range(RUNS):
        peers.append(rig.peer())
        for runs, which in ((ours, None), (free, programs)):
            spoil(rig.slots[1], rig.size)
            runs.append(rig.ours(which)[0])
    wall, cpu = min(i.wall_s for i in ours), min(i.cpu_s for i in ours)
    peer_cpu, peer_wall = (min(of) for of in zip(*peers))
    yield Figure(f"{name}, time", f"{wall:.2f} s, read back and all; curl | zstd | dd and a cold "
                 f"read {peer_wall:.2f} s; ratio {wall / peer_wall:.2f}",
                 f"at most {WALL_MAX}", wall <= WALL_MAX * peer_wall)
    yield Figure(f"{name}, processor", f"{cpu:.2f} s; theirs {peer_cpu:.2f} s; ratio "
                 f"{cpu / peer_cpu:.2f}", f"at most {CPU_MAX}", cpu <= CPU_MAX * peer_cpu)
    free_wall, free_cpu = min(i.wall_s for i in free), min(i.cpu_s for i in free)
    yield Figure("  the network child's cage", f"time {wall / free_wall:.2f}, processor "
                 f"{cpu / free_cpu:.2f} of what it takes without", f"at most {CAGE_MAX}",
                 wall <= CAGE_MAX * free_wall)
    yield Figure("  to compare: its SHA-256, once",
                 f"{run_shell(f'openssl dgst -sha256 {rig.image}')[0]:.2f} s")
    yield from memory_figures(name, watched_run(rig))


def cmp_s(rig):
    forget(*rig.slots)
    return run_shell(f"cmp -n {rig.size} {rig.slots[0]} {rig.slots[1]}")[1]


def right_figures(rig):
    """The slot holds the image; then every second chunk of it that is not zeros, for zeros are
    discarded, run by run, which is no writing and which the kernel counts all the same."""
    with open(rig.slots[0], "r+b") as slot, open(rig.image, "rb") as f:
        shutil.copyfileobj(f, slot, MIB)
    ours, counts, compared = [], [], []
    for _ in range(RUNS):
        compared.append(cmp_s(rig))
        done, count = rig.ours()
        ours.append(done.wall_s)
        counts.append(count)
    most = max((c for c in counts if c is not None), default=None)
    yield Figure("all in place, bytes written", "not known of a file" if most is None
                 else f"{most}", "0", most in (0, None))
    yield Figure("all in place, time", f"{min(ours):.2f} s; cmp of two slots {min(compared):.2f} "
                 f"s; ratio {min(ours) / min(compared):.2f}", f"at most {CMP_MAX}",
                 min(ours) <= CMP_MAX * min(compared))
    spoil(rig.slots[0], rig.size)
    chunks = list(data_chunks(rig.image))
    spoil_chunks(rig.slots[1], chunks[::2])
    count, half = rig.ours()[1], len(chunks[::2]) * CHUNK
    yield Figure("half in place, bytes written", "not known of a file" if count is None
                 else f"{count / MIB:.1f} MiB", f"{half / MIB:.1f} MiB", count in (half, None))


def blank(path, size):
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def large_figures(folder):
    """An image of 2 GiB, in files: memory only."""
    source, size = os.path.join(folder, "large.img"), LARGE_MIB * MIB
    blank(source, size)
    with open(source, "r+b") as f:
        for at in range(0, size, 16 * MIB):
            f.seek(at)
            f.write(os.urandom(64) * (MIB // 64) + os.urandom(MIB // 2))
    slots = [blank(os.path.join(folder, f"large-{side}.img"), size) for side in "ab"]
    rig = Rig(os.path.join(folder, "large"), source, slots)
    with Nginx(rig.workspace):
        yield from memory_figures(f"install {LARGE_MIB} MiB", rig.ours(watched=True)[0].watch)


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    source = image.make(folder)
    small = compressed(source)
    folder = os.path.join(folder, "install")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    size = os.path.getsize(source)
    files = [blank(os.path.join(folder, f"{side}.img"), size) for side in "ab"]
    with devices(*files) as slots:
        spoil(slots[0], size)
        rig = Rig(folder, source, slots)
        rig.put_peer(small)
        with Nginx(rig.workspace):
            yield from fresh_figures(rig, f"install {size // MIB} MiB",
                                     uncaged(build, os.path.join(folder, "uncaged")))
            yield from right_figures(rig)
    yield from large_figures(folder)
    shutil.rmtree(folder)
