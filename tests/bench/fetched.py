"""Bytes that a box fetches for an update, the old image at hand: Sluice's agent and other people's
tools on the same pairs of real images.

Sluice's are counted from the web server's log of one box, from its first poll to the reboot that it
asks for: metadata, the bundle's head, index, hints and data, and the headers of all responses.
Peers' are bodies alone, over plain HTTP; what none here fetches counts as the size of its file.
"""
import os
import shutil

import pair
import peers
from figure import Figure
from fleet import Box, Nginx, Workspace, free_port
from fleet.tally import directives, tally
from fleet.watch import watched_install

CASYNC_RATIO_MAX = 0.82
FULL_RATIO_MAX = 1.01
ABSENT = ("RAUC itself", "it streams through nbd and dm-verity, which this kernel may lack: its "
          "model stands in"), ("SWUpdate", "its delta handler fetches as zchunk does"), \
    ("mender-client", "it fetches the full image")
PEERS = {"casync": peers.casync, "zchunk": peers.zchunk, "RAUC adaptive, a model":
         peers.rauc_model, "zstd -19 --patch-from": peers.zstd_patch, "xdelta3 -9": peers.xdelta3,
         "zstd -19, all of it": peers.zstd}


def mb(size):
    return f"{size / 1e6:.2f} MB"


class Fleet:
    """A site, on which images are bundles, and boxes that hold an old one."""

    def __init__(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        self.workspace = Workspace(os.path.join(folder, "fleet"), free_port()).init().ceremony()
        self.nginx = Nginx(self.workspace, directives(self.workspace))
        self.count = 0

    def update(self, old, new):
        """(what the box fetched, the bundle's size)."""
        self.count += 1
        plan, name = f"plan{self.count}", f"gw-{self.count:06}"
        bundle = self.workspace.pack(f"{self.count}.0", new)
        self.workspace.roll_out(bundle, [("all", "100%")], name=plan)
        with self.nginx:
            box = Box(self.workspace, name, old, plan=plan,
                      slot_size=max(map(os.path.getsize, (old, new))))
            watched_install(box, os.path.getsize(new), timeout_s=1800)
            if not box.holds("B", new):
                raise SystemExit(f"bench: slot B is not the image\n{box.log()}")
            found = tally(self.nginx, name, bundle), os.path.getsize(bundle)
        shutil.rmtree(box.dir)
        os.unlink(bundle)
        return found


def ours(name, fleet, images, casync):
    found, full = fleet.update(images.old, images.new)
    total = sum(found.values())
    yield Figure(f"{name}: Sluice", f"{mb(total)}: " + ", ".join(
        f"{what} {mb(size)}" for what, size in found.most_common()))
    if casync:
        ratio = total / casync
        yield Figure("  of casync's", f"{ratio:.3f}", f"at most {CASYNC_RATIO_MAX}",
                     ratio <= CASYNC_RATIO_MAX)
    yield Figure("  of the full bundle", f"{total / full:.3f} of {mb(full)}",
                 f"at most {FULL_RATIO_MAX}", total <= full * FULL_RATIO_MAX)


def compared(name, images, tools, fleet, folder):
    yield Figure(name, images.about)
    found = {}
    for what, fetch in PEERS.items():
        found[what] = fetch(tools, images.old, images.new, folder)
        size, requests = found[what]
        yield Figure(f"{name}: {what}",
                     mb(size) + (f" in {requests} requests" if requests > 1 else ""))
    yield from ours(name, fleet, images, found["casync"].bytes)


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    tools = peers.Peers(folder)
    here = os.path.join(folder, "bytes")
    fleet = Fleet(here)
    yield from compared("system", pair.system(folder), tools, fleet, here)
    yield from compared("program", pair.program(folder), tools, fleet, here)
    upgrade = pair.upgrade(folder)
    yield Figure("upgrade", upgrade.about)
    yield from ours("upgrade", fleet, upgrade, None)
    for who, why in ABSENT:
        yield Figure(f"not run: {who}", why)
    shutil.rmtree(here)
