"""`sluice pack` of a 768 MiB image: one thread beside two."""
import collections
import filecmp
import os
import subprocess
import sys
import tempfile
import time

import image
from figure import Figure

RATIO_MAX = 0.60
ROUNDS = 2
BUSY_FACTOR = 1.2

RECIPE = """name: bench
version: 1.0
rollback_index: 1
compatible: [bench]
payloads:
  - {{name: rootfs, slot: rootfs, kind: image, source: {source}}}
"""


Run = collections.namedtuple("Run", "wall_s cpu_s peak_mib")


def measure(argv):
    """Runs a program to its end; what it prints is shown only when it fails."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            said.seek(0)
            sys.stdout.write(said.read().decode(errors="replace"))
            raise SystemExit(f"bench: {' '.join(argv)}: exit {child.returncode}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def read_once(path):
    """So that no run is the one that finds the page cache cold."""
    with open(path, "rb") as f:
        while f.read(1 << 20):
            pass


def is_quiet(best):
    """Whether there were two processors, and nobody else on them: a thread that had to wait tells
    nothing of what a second one brings."""
    return len(os.sched_getaffinity(0)) >= 2 and best[1].wall_s < BUSY_FACTOR * best[1].cpu_s


def pack(build, recipe, bundle, threads):
    if os.path.exists(bundle):
        os.unlink(bundle)
    return measure([os.path.join(build, "sluice"), "pack", recipe, "-o", bundle,
                    "--threads", str(threads)])


def describe(name, best):
    return Figure(f"pack {image.SIZE_MIB} MiB, {name}",
                  f"{best.wall_s:.2f} s ({best.cpu_s:.2f} s of CPU), "
                  f"{image.SIZE_MIB / best.wall_s:.0f} MiB/s, {best.peak_mib:.0f} MiB of memory")


def run(build, folder):
    source = image.make(folder)
    recipe = os.path.join(folder, "bench.yaml")
    with open(recipe, "w", encoding="utf-8") as f:
        f.write(RECIPE.format(source=source))
    read_once(source)
    bundles = {threads: os.path.join(folder, f"bench-{threads}.ota") for threads in (1, 2)}
    runs = [{threads: pack(build, recipe, bundles[threads], threads) for threads in bundles}
            for _ in range(ROUNDS)]
    best = {threads: min(r[threads] for r in runs) for threads in bundles}
    same = filecmp.cmp(bundles[1], bundles[2], shallow=False)
    size_mib = os.path.getsize(bundles[1]) / 2**20
    ratio = best[2].wall_s / best[1].wall_s
    return [
        describe("one thread", best[1]),
        describe("two threads", best[2]),
        Figure("two threads' time of one thread's", f"{100 * ratio:.1f}%",
               f"at most {100 * RATIO_MAX:.0f}%", ratio <= RATIO_MAX if is_quiet(best) else None),
        Figure("their bundles", f"{size_mib:.1f} MiB, {'the same' if same else 'different'} bytes",
               "the same bytes", same),
    ]
