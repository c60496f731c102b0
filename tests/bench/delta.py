"""Deltas: what a box fetches that runs a release which the signer had, and what that costs both.

Bytes are counted as in fetched.py: all that the web server sent to one box, from its first poll to
the reboot that it asks for. The box has installed the old bundle before, and runs it. Peers are
those that have the old image at hand as well, on the same pair in the same run.

Making is compared with xdelta3 -9, processor time with processor time; applying with zlib's inflate
of the same chunks as the bundle has them (tests/tools/delta_rate).
"""
import json
import os
import shutil
import subprocess

import pair
import peers
from fetched import Fleet, mb
from figure import Figure
from fleet import Box
from fleet.tally import tally
from fleet.watch import watched_install
from pack import measure

# Of what xdelta3 -9 takes, and of what casync does.
BARS = {"system": (0.70, 0.27), "program": (0.45, 0.27)}
FULL_RATIO_MAX = 1.01
CPU_RATIO_MAX, MEMORY_RATIO_MAX = 1.5, 3.0
RATE_RATIO_MIN = 0.8
MEMORY_MAX = 2_000_000
PEERS = {"casync": peers.casync, "zchunk": peers.zchunk, "zstd -19 --patch-from": peers.zstd_patch}


class Deltas(Fleet):
    def bundles(self, old, new):
        self.count += 1
        return (self.workspace.pack(f"{self.count}.0", old),
                self.workspace.pack(f"{self.count}.1", new))

    def release(self, before, bundle):
        """Returns where the delta is listed, or None, where none pays."""
        key = self.workspace.key("releases")
        self.workspace.release(before)
        self.workspace.sluice("release", bundle, "--delta-from", before, "--key", key, timeout=1800)
        name = os.path.basename(bundle).removesuffix(".ota")
        version = os.path.basename(before).removesuffix(".ota").removeprefix("gateway-")
        path = f"bundles/{name}.from-{version}.delta"
        listed = self.workspace.metadata("releases")["signed"]["targets"]
        return path if path in listed else None

    def fetched(self, before, bundle, images):
        """What a box that runs `before` fetches of the bundle."""
        plan, name = f"plan{self.count}", f"gw-{self.count:06}"
        workspace = self.workspace
        workspace.publish_plan(workspace.plan(bundle, [("all", "100%")], name=plan))
        workspace.open_gate("all", plan=plan)
        with self.nginx:
            box = Box(workspace, name, images.old, plan=plan,
                      slot_size=max(map(os.path.getsize, images[:2])))
            box.factory_install(before)
            side = box.other_side()
            watched_install(box, os.path.getsize(images.new), timeout_s=1800)
            if not box.holds(side, images.new):
                raise SystemExit(f"bench: slot {side} is not the image\n{box.log()}")
            found = tally(self.nginx, name, bundle)
        shutil.rmtree(box.dir)
        return found


def xdelta3(tools, images, folder):
    """Made anew, for what it takes to make: (size, measured)."""
    out = os.path.join(folder, "xdelta")
    run = measure(tools.argv("xdelta3", "-9", "-f", "-e", "-B", os.path.getsize(images.old), "-s",
                             images.old, images.new, out))
    size = os.path.getsize(out)
    os.unlink(out)
    return size, run


def others(name, tools, images, folder):
    """Figures, and {peer: bytes}."""
    found = {}
    for what, fetch in PEERS.items():
        found[what] = fetch(tools, images.old, images.new, folder).bytes
        yield Figure(f"{name}: {what}", mb(found[what])), None
    yield None, found


def bytes_of(name, fleet, before, bundle, images, known):
    found = fleet.fetched(before, bundle, images)
    total = sum(found.values())
    yield Figure(f"{name}: Sluice", f"{mb(total)}: " + ", ".join(
        f"{what} {mb(size)}" for what, size in found.most_common()))
    for what, bar in zip(("xdelta3 -9", "casync"), BARS[name]):
        ratio = total / known[what]
        yield Figure(f"  of {what}'s", f"{ratio:.3f}", f"at most {bar}", ratio <= bar)
    full = os.path.getsize(bundle)
    yield Figure("  of the full bundle", f"{total / full:.3f} of {mb(full)}")


def making(name, build, before, bundle, images, peer, folder):
    out = os.path.join(folder, "made.delta")
    run = measure([os.path.join(build, "sluice"), "delta", before, bundle, "-o", out])
    old = os.path.getsize(images.old)
    os.unlink(out)
    ratio, memory = run.cpu_s / peer.cpu_s, run.peak_mib * 2**20 / old
    yield Figure(f"{name}: made in", f"{run.cpu_s:.1f} s of processor, {run.wall_s:.1f} s; xdelta3 "
                 f"-9: {peer.cpu_s:.1f} s, {peer.wall_s:.1f} s")
    yield Figure("  of xdelta3's processor time", f"{ratio:.2f}", f"at most {CPU_RATIO_MAX}",
                 ratio <= CPU_RATIO_MAX)
    yield Figure("  memory, of the old image", f"{memory:.2f}; xdelta3 -9: "
                 f"{peer.peak_mib * 2**20 / old:.2f}", f"at most {MEMORY_RATIO_MAX:.0f}",
                 memory <= MEMORY_RATIO_MAX)


def applying(name, build, fleet, path, before, bundle):
    listed = fleet.workspace.metadata("releases")["signed"]["targets"][path]
    said = subprocess.run(
        [os.path.join(build, "tests", "tools", "delta_rate"), fleet.workspace.target_file(path),
         before, bundle, str(listed["custom"]["head"]["length"])], check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    rate = json.loads(said)
    ratio = rate["inflate_s"] / rate["apply_s"]
    yield Figure(f"{name}: applied", f"{rate['plain'] / rate['apply_s'] / 1e6:.0f} MB/s, "
                 f"{rate['chunks']} chunks by {rate['records']} records; zlib inflates them at "
                 f"{rate['plain'] / rate['inflate_s'] / 1e6:.0f} MB/s")
    yield Figure("  of zlib's rate", f"{ratio:.2f}", f"at least {RATE_RATIO_MIN}",
                 ratio >= RATE_RATIO_MIN)
    memory = rate["memory"] + rate["record_max"]
    yield Figure("  memory, with the largest record", mb(memory), f"at most {mb(MEMORY_MAX)}",
                 memory <= MEMORY_MAX)


def compared(name, images, tools, fleet, build, folder):
    yield Figure(name, images.about)
    known = {}
    for figure, found in others(name, tools, images, folder):
        if figure:
            yield figure
        else:
            known = found
    known["xdelta3 -9"], peer = xdelta3(tools, images, folder)
    yield Figure(f"{name}: xdelta3 -9", mb(known["xdelta3 -9"]))
    before, bundle = fleet.bundles(images.old, images.new)
    yield from making(name, build, before, bundle, images, peer, folder)
    path = fleet.release(before, bundle)
    yield from applying(name, build, fleet, path, before, bundle)
    yield from bytes_of(name, fleet, before, bundle, images, known)
    for spent in before, bundle:
        os.unlink(spent)


def upgraded(images, fleet):
    yield Figure("upgrade", images.about)
    before, bundle = fleet.bundles(images.old, images.new)
    path = fleet.release(before, bundle)
    full = os.path.getsize(bundle)
    yield Figure("upgrade: delta", mb(os.path.getsize(fleet.workspace.target_file(path)))
                 if path else "none pays")
    found = fleet.fetched(before, bundle, images)
    ratio = sum(found.values()) / full
    yield Figure("upgrade: Sluice", f"{mb(sum(found.values()))}, {ratio:.3f} of {mb(full)}",
                 f"at most {FULL_RATIO_MAX}", ratio <= FULL_RATIO_MAX)


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    tools = peers.Peers(folder)
    here = os.path.join(folder, "delta")
    fleet = Deltas(here)
    fleet.workspace.pack_s = 1800
    yield from compared("system", pair.system(folder), tools, fleet, build, here)
    yield from compared("program", pair.program(folder), tools, fleet, build, here)
    yield from upgraded(pair.upgrade(folder), fleet)
    shutil.rmtree(here)
