"""Installing over HTTPS: memory, processor and time, beside `curl | zstd | dd` of the same image.

The web server is nginx with the configuration that `sluice init` makes; the agent is the one that
boxes run, from its first poll to the reboot it asks for. Memory is summed over its processes.
"""
import os
import random
import resource
import shutil
import subprocess
import time

from figure import Figure
from fleet import Box, Nginx, Workspace, free_port, make_image
from fleet.watch import MIB, watched_install

SIZES_MIB = (256, 2048)
PSS_MAX = 24 * MIB
NAME = "gw-000001"


def make_mixed(path, size_mib):
    """A quarter holes, a quarter noise, and half of it about as compressible as programs are."""
    rng = random.Random(size_mib)
    phrases = [rng.randbytes(rng.randrange(4, 60)) for _ in range(1500)]
    with open(path, "wb") as f:
        for i in range(size_mib):
            if i % 4 == 1:
                f.seek(MIB, os.SEEK_CUR)
            elif i % 4 == 3:
                f.write(rng.randbytes(MIB))
            else:
                f.write(b"".join(rng.choices(phrases, k=MIB // 24))[:MIB].ljust(MIB, b"\0"))
        f.truncate(size_mib * MIB)
    return path


def compress(workspace, image):
    """Puts the image, as zstd has it, where the web server serves bundles from."""
    path = workspace.path("site", "targets", "bundles", "peer.img.zst")
    subprocess.run(["zstd", "-q", "-3", "-T2", "-f", image, "-o", path], check=True)
    return path


def run_shell(command):
    """Returns (processor seconds, seconds) of a pipeline."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    subprocess.run(["bash", "-c", "set -o pipefail; " + command], check=True,
                   stdout=subprocess.DEVNULL)
    took = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, took


def run_peer(workspace, slot):
    """What people do without an updater."""
    url = workspace.url + "targets/bundles/peer.img.zst"
    return run_shell(f"curl -sS --cacert {workspace.path('tls', 'ca.crt')} {url} | zstd -dc | "
                     f"dd bs=1M iflag=fullblock conv=fsync status=none of={slot}")


def figures_of(size_mib, ours, peer, hashing):
    gib, watch = size_mib / 1024, ours.watch
    name = f"install {size_mib} MiB"
    large = ", ".join(f"{path}: {size / MIB:.0f} MiB" for path, size in watch.large.items())
    return [
        Figure(f"{name}, memory", f"{watch.peak / MIB:.1f} MiB PSS ({watch.share_text()}), RSS at "
               f"most {watch.rss / MIB:.1f}; {watch.samples} looks",
               f"at most {PSS_MAX / MIB:.0f} MiB", watch.peak <= PSS_MAX),
        Figure(f"{name}, copies of it", large or "none", "none", not large),
        Figure(f"{name}, processor", f"{ours.cpu_s / gib:.2f} s/GiB; curl | zstd | dd "
               f"{peer[0] / gib:.2f}; ratio {ours.cpu_s / peer[0]:.2f}"),
        Figure("  to compare: its SHA-256, once", f"{hashing[0] / gib:.2f} s/GiB"),
        Figure(f"{name}, time", f"{ours.wall_s:.1f} s, read back and all; curl | zstd | dd "
               f"{peer[1]:.1f} s; ratio {ours.wall_s / peer[1]:.2f}"),
    ]


def install(build, folder, size_mib):
    workspace = Workspace(os.path.join(folder, "fleet"), free_port()).init().ceremony()
    image = make_mixed(os.path.join(folder, "new.img"), size_mib)
    old = make_image(os.path.join(folder, "old.img"), "1.0", MIB)
    workspace.roll_out(workspace.pack("2.0", image), [("all", "100%")])
    compress(workspace, image)
    with Nginx(workspace):
        box = Box(workspace, NAME, old, slot_size=size_mib * MIB)
        ours = watched_install(box, size_mib * MIB)
        if not box.holds("B", image):
            raise SystemExit(f"bench: slot B is not the image\n{box.log()}")
        os.truncate(box.slot("B"), 0)
        peer = run_peer(workspace, box.slot("B"))
        hashing = run_shell(f"openssl dgst -sha256 {image}")
        if not box.holds("B", image):
            raise SystemExit("bench: what dd wrote is not the image")
    return figures_of(size_mib, ours, peer, hashing)


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    folder = os.path.join(folder, "install")
    for size_mib in SIZES_MIB:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        yield from install(build, folder, size_mib)
    shutil.rmtree(folder)
