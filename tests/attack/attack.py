"""A fleet under attack: cheap to set up, and easy to compare with what it was before."""
import atexit
import copy
import os
import shutil
import tempfile

from fleet import Box, Nginx, Workspace, free_port, make_image
from fleet.case import NEW, OLD, FleetCase
from fleet.workspace import clock_preload
from server import HostileServer

BOXES = ("gw-000001", "gw-000002", "gw-000003")
SIZE = 1 << 20


class Kept:
    """A fleet as it leaves the factory, made once in a process and copied for each test: version
    1.0.0 on every box and released, 2.0.0 packed and signed, nothing rolled out."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-attack-")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init()
        self.workspace.ceremony()
        self.images, self.bundles = {}, {}
        for version in (OLD, NEW):
            path = os.path.join(self.folder, f"{version}.img")
            self.images[version] = make_image(path, version, SIZE)
            self.bundles[version] = self.workspace.pack(version, path)
        self.workspace.release(self.bundles[OLD])
        self.boxes = {}
        for name in BOXES:
            self.boxes[name] = Box(self.workspace, name, self.images[OLD])
            self.boxes[name].factory_install(self.bundles[OLD])
        os.rename(self.workspace.dir, os.path.join(self.folder, "kept"))

    def fresh(self):
        """Puts the fleet where it was made: paths stay as they are in all its files."""
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.isdir(path) and name != "kept":
                shutil.rmtree(path)
        shutil.copytree(os.path.join(self.folder, "kept"), self.workspace.dir, symlinks=True)


class AttackCase(FleetCase):
    """As FleetCase, on a copy; self.server, a server in the attacker's hands, serves it, or
    self.nginx does where a test asks for that. Boxes hear of a stall after a second, and of a stop
    every second."""
    kept = None

    def setUp(self):
        if AttackCase.kept is None:
            AttackCase.kept = Kept()
        kept = AttackCase.kept
        kept.fresh()
        self.folder = kept.folder
        self.workspace = copy.deepcopy(kept.workspace)
        self.images, self.bundles = dict(kept.images), dict(kept.bundles)
        self.boxes, self.seen, self.nginx = [], {}, None
        self.server = HostileServer(self.workspace).start()
        self.addCleanup(self.server.stop)

    def use_nginx(self, directives=""):
        """The real web server in place of ours."""
        self.server.stop()
        self.nginx = Nginx(self.workspace, directives).start()
        self.addCleanup(self.nginx.stop)

    def box(self, name=BOXES[0], start=True, clock_s=None, **changes):
        """A box that runs 1.0.0; changes are of agent.conf, by section. clock_s: its clock is that
        wrong, and its kernel says that nobody has set it."""
        box = copy.deepcopy(AttackCase.kept.boxes[name])
        box.workspace = self.workspace
        box.set({"intervals": {"stall": "1s"}})
        box.set(changes)
        if clock_s is not None:
            self.set_clock(box, clock_s)
        self.boxes.append(box)
        self.addCleanup(self.end, box)
        self.note(box)
        if start:
            box.start()
        return box

    def set_clock(self, box, clock_s, trusted=False):
        """From now on its clock is that wrong: of an agent that runs, too, if it had its clock set
        before it started. Trusted: agent.conf says that it is right all the same."""
        box.environ = clock_preload(self.folder, clock_s, f"clock-{box.name}")
        box.set({"box": {"trust_clock": "yes" if trusted else "no"}})

    # What it was before, and is again.

    @staticmethod
    def metadata(box):
        """What the box keeps of metadata: {name: bytes}."""
        found = {}
        for name in os.listdir(box.path("state", "metadata")):
            with open(box.path("state", "metadata", name), "rb") as f:
                found[name] = f.read()
        return found

    def note(self, box):
        """From here on assert_untouched compares with what the box is now."""
        self.seen[box.name] = box.slot_digests(), box.env(), self.metadata(box)

    def assert_untouched(self, box, metadata=True):
        """Nothing has been written to a slot, the boot environment or (unless metadata is False,
        or a list of the roles that may be newer) the trusted metadata; nothing is condemned."""
        slots, env, kept = self.seen[box.name]
        self.assertEqual(box.slot_digests(), slots)
        self.assert_boots_as_before(box)
        self.assertEqual(box.status()["pending"], None)
        if metadata is not False:
            newer = () if metadata is True else metadata
            now = self.metadata(box)
            for name in set(kept) | set(now):
                if name.removesuffix(".json") not in newer:
                    self.assertEqual(now.get(name), kept.get(name), name)

    def assert_boots_as_before(self, box):
        """The running side is what it was, it boots next and nothing is held against the new
        release; the other side may hold anything, and does not boot."""
        slots, env, _ = self.seen[box.name]
        side = env["booted"]
        other = "b" if side == "A" else "a"
        now = box.env()
        self.assertEqual(box.slot_digests()[side], slots[side])
        self.assertEqual(now["primary"], side)
        self.assertIn((now[f"{other}_bootable"], now[f"{other}_confirmed"]),
                      {("no", "no"), (env[f"{other}_bootable"], env[f"{other}_confirmed"])})
        self.assert_condemns_nothing(box)

    def assert_condemns_nothing(self, box):
        self.assertEqual([f for f in box.status()["failed"] if not f["inconclusive"]], [])

    def assert_updates(self, *boxes, timeout_s=40):
        """With an honest server every one of them takes 2.0.0 as if nothing had been."""
        if self.nginx is None:
            self.server.honest()
        for box in boxes:
            if box.process is None:
                box.start()
        for box in boxes:
            self.wait_for_outcome(box, "ok", timeout_s=timeout_s)
            self.assert_runs(box, NEW)
            self.assert_condemns_nothing(box)

    def check(self, box, status=0):
        """One poll, by hand; returns what it said."""
        done = box.agent("check", check=status)
        return done.stdout + done.stderr
