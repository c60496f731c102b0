"""Power cuts at every moment of an install, a confirm and a rollback, on a box of its own.

Each scenario is one run of the agent, recorded. Then the disk is put into every state that a power
cut could have left it in (model.py says which), and of each state is asserted:

- the bootloader finds a side to boot, and every side that it may boot holds a whole image;
- `status` reads the state, and no side holds anything else than it says;
- the next run converges: the update is installed and confirmed in the end, the rollback floor up;
- nothing that was acknowledged (exit 0) is taken back;
- how the last update ended is in the spool, whole, or remembered until it is.

Then, for each fsync that the agent made: played as if it had not been made, at least one state must
break one of these, in this scenario or in another one where the agent makes it at the same place.
"""
import glob
import json
import os
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import model  # noqa: E402
import recorder  # noqa: E402
from fleet.box import CHUNK, Box, make_image  # noqa: E402
from fleet.nginx import free_port  # noqa: E402
from fleet.process import run  # noqa: E402
from fleet.workspace import Workspace  # noqa: E402

IMAGE_CHUNKS = 6
SPARE, OLD, NEW = "1.0", "2.0", "3.0"    # what side B holds at first, what runs, what is installed
NEW_INDEX = 2

# fsyncs that nothing would miss, by place(): why the agent makes them all the same.
COVERED = {
    "sync state after rename state/manifest.B.json":
        "the state saved next, in the same folder, makes this name last too, and nothing reads the "
        "manifest before that; file_replace() does not know who comes next",
    "sync state after rename state/state.copy.json":
        "likewise: the file itself is renamed in the same folder next",
}


class Broken(Exception):
    """A state of the disk that no power cut may lead to."""


def place(events, i):
    """Where in its walk the agent makes event i: the same in every scenario."""
    def bare(e):
        return re.sub(r"\.[A-Za-z0-9]{6}$", "", f"{e.kind} {e.to or e.path}")
    return f"{bare(events[i])} after {bare(events[i - 1]) if i else 'nothing'}"


def with_its_copy(events, i):
    """The state is written twice, and each of the two makes up for the other: so the fsyncs of both
    are left out together."""
    def syncs(name, found):
        return [j for j in found if events[j].kind == "sync" and name in events[j].path]
    if syncs("state/state.json", [i]):
        return frozenset((i, syncs("state/state.copy.json", range(i))[-1]))
    if syncs("state/state.copy.json", [i]):
        return frozenset((i, syncs("state/state.json", range(i, len(events)))[0]))
    return frozenset((i,))


class Scenes(unittest.TestCase):
    """One workspace with three releases, and one box that every scenario starts from."""

    @classmethod
    def setUpClass(cls):
        # In memory: hundreds of disks are made and synced, and none of them has to last.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        cls.work = tempfile.TemporaryDirectory(prefix="sluice-crash-", dir=memory)
        cls.addClassCleanup(cls.work.cleanup)
        cls.ws = Workspace(os.path.join(cls.work.name, "ws"), free_port()).init().ceremony()
        cls.images = {v: make_image(os.path.join(cls.work.name, v), v, IMAGE_CHUNKS * CHUNK)
                      for v in (SPARE, OLD, NEW)}
        cls.bundles = {v: cls.ws.pack(v, image, rollback_index=NEW_INDEX if v == NEW else 1)
                       for v, image in cls.images.items()}
        cls.box = Box(cls.ws, "gw-000001", cls.images[SPARE])
        cls.box.set({"boot": {"reboot": None}})
        cls.give_metadata()
        for version in (SPARE, OLD):
            cls.box.agent("install", cls.bundles[version], "--no-reboot")
            cls.bootloader()
            cls.box.agent("confirm")
        cls.factory = cls.keep("factory")

    @classmethod
    def give_metadata(cls):
        """What a box is given at manufacture, and the targets.json that names who may release."""
        metadata = cls.box.path("state", "metadata")
        os.makedirs(metadata, exist_ok=True)
        shutil.copy(cls.ws.path("boxes", cls.box.name, "root.json"), metadata)
        site = cls.ws.path("site", "metadata")
        newest = max((n for n in os.listdir(site) if n.endswith(".targets.json")),
                     key=lambda n: int(n.split(".")[0]))
        shutil.copy(os.path.join(site, newest), os.path.join(metadata, "targets.json"))

    @classmethod
    def keep(cls, name):
        """A copy of the box's folder as it is now."""
        to = os.path.join(cls.work.name, name)
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(cls.box.dir, to, symlinks=True)
        return to

    def put_back(self, kept):
        shutil.rmtree(self.box.dir)
        shutil.copytree(kept, self.box.dir, symlinks=True)

    @classmethod
    def bootloader(cls):
        return run([cls.ws.programs.tool("power"), "--dir", cls.box.dir, "--once"], check=None)

    def held(self, side):
        """The version that a side holds whole, or None."""
        return next((v for v, image in self.images.items() if self.box.holds(side, image)), None)

    def remembered(self):
        """state.json, or its copy where that is torn."""
        try:
            with open(self.box.path("state", "state.json"), encoding="utf-8") as f:
                return json.load(f)
        except (FileNotFoundError, ValueError):
            with open(self.box.path("state", "state.copy.json"), encoding="utf-8") as f:
                return json.load(f)

    def told(self, version):
        """Whether how an update ended is in the spool, or is remembered until it is."""
        ended = self.remembered()["ended"]
        found = {ended["update"]["release"]["version"]} if ended else set()
        for path in glob.glob(self.box.path("state", "spool", "*.json")):
            try:
                with open(path, encoding="utf-8") as f:
                    bundle = json.load(f)["signed"]["bundle"]
            except ValueError as e:
                raise Broken(f"a report is torn: {e}") from e
            found.add(bundle.removesuffix(".ota").rpartition("-")[2])
        return version in found

    def look(self):
        """What may boot is whole, what `status` says is so, and no outcome is lost."""
        env = self.box.env()
        for side in "AB":
            if side.lower() + "_bootable" not in env:
                raise Broken("the boot environment is torn")
            if env[side.lower() + "_bootable"] == "yes" and not self.held(side):
                raise Broken(f"side {side} may be booted, and holds no image whole")
        for side, release in self.status()["running"].items():
            if release and release["version"] != self.held(side):
                raise Broken(f"side {side} is said to hold {release['version']}, and does not")

        if not self.told(OLD):
            raise Broken(f"nobody will be told what became of {OLD}")

    def status(self):
        self.agent("status", "--json")
        return self.box.status()

    def power_on(self):
        done = self.bootloader()
        if done.returncode != 0:
            raise Broken("the bootloader finds nothing to boot: " + done.stdout + done.stderr)
        return self.held(self.box.booted())

    def agent(self, *args):
        done = self.box.agent(*args, check=None)
        if done.returncode != 0:
            raise Broken(f"{' '.join(args)}: exit {done.returncode}: {done.stderr[-400:]}")

    def install(self):
        self.agent("install", self.bundles[NEW], "--no-reboot")

    def survive(self, image):
        """What must be true after any power cut; ends with the new one confirmed."""
        model.write_image(image, self.box.dir)
        self.look()
        if self.power_on() == NEW:
            if self.box.agent("confirm", check=None).returncode == 0:
                self.confirmed()
                return
            # A rollback that was begun goes on.
            if self.power_on() != OLD:
                raise Broken("the new system is not confirmed, and boots again")
        self.look()
        self.install()
        if self.power_on() != NEW:
            raise Broken("installed again, and the old system still boots")
        self.agent("confirm")
        self.confirmed()

    def confirmed(self):
        status = self.status()
        if status["rollback_floor"] != NEW_INDEX or not self.box.runs(self.images[NEW]):
            raise Broken(f"the new system is not what this box keeps: {status}")
        for _ in range(3):
            if self.power_on() != NEW:
                raise Broken("a confirmed system was given up")

    def record(self, *args):
        code, said, events = recorder.record(self.box.agent_argv(*args), self.box.dir,
                                             cwd=self.box.dir)
        self.assertEqual(code, 0, said)
        return events

    def replay(self, start, events, acknowledged):
        """Tries every state of the disk, and then those that a missing fsync would add."""
        seen, count = set(), 0
        for i, image in model.crash_images(start, events, seen=seen):
            count += 1
            try:
                self.try_state(image, acknowledged if i == len(events) else None)
            except Broken as broken:
                before = events[i - 1] if i else "nothing"
                self.fail(f"power cut after {i} of {len(events)} events ({before}): {broken}")
        print(f"{count} of {count} states after {len(events) + 1} prefixes are consistent ... ",
              end="", flush=True)
        missed, known = {}, {}
        for i, e in enumerate(events):
            if e.kind in ("sync", "sync_all"):
                skip = with_its_copy(events, i)
                if skip not in known:
                    known[skip] = self.is_missed(start, events, skip, acknowledged, set(seen))
                missed[place(events, i)] = known[skip]
        return missed

    def try_state(self, image, acknowledged):
        if acknowledged:
            model.write_image(image, self.box.dir)
            acknowledged()
        self.survive(image)

    def is_missed(self, start, events, skip, acknowledged, seen):
        for i, image in model.crash_images(start, events, skip=skip, seen=seen):
            try:
                self.try_state(image, acknowledged if i == len(events) else None)
            except Broken:
                return True
        return False

    # What exit 0 promised.
    def new_one_boots(self):
        if self.power_on() != NEW:
            raise Broken("install said that it was done, and the old system boots")

    def stays_confirmed(self):
        self.power_on()
        self.confirmed()

    def old_one_boots(self):
        if self.power_on() != OLD:
            raise Broken("rollback said that it was done, and the new system boots")


class PowerCuts(Scenes):
    def install_scenario(self):
        self.put_back(self.factory)
        return self.replay(self.factory, self.record("install", self.bundles[NEW], "--no-reboot"),
                           self.new_one_boots)

    def killed_and_resumed_scenario(self):
        """The agent is killed once all is written and nothing is synced, and started again at once:
        what the first run left in the kernel's cache is not on the disk."""
        self.put_back(self.factory)
        first = self.record("install", self.bundles[NEW], "--no-reboot")
        writes = [i for i, e in enumerate(first) if e.kind == "write" and e.path.endswith("b.img")]
        first = first[:writes[-1] + 1]
        disk = model.Disk(self.factory)
        for event in first:
            disk.event(event)
        model.write_image(disk.image(len(disk.pending), lambda node: node.pending), self.box.dir)
        second = self.record("install", self.bundles[NEW], "--no-reboot")
        again = [e for e in second if e.kind == "write" and e.path.endswith("b.img")]
        self.assertEqual(again, [], "what is right was written again")
        return self.replay(self.factory, first + second, self.new_one_boots)

    def confirm_scenario(self):
        self.put_back(self.factory)
        self.install()
        self.assertEqual(self.power_on(), NEW)
        return self.replay(self.keep("booted"), self.record("confirm"), self.stays_confirmed)

    def rollback_scenario(self):
        self.put_back(self.factory)
        self.install()
        return self.replay(self.keep("installed"), self.record("rollback"), self.old_one_boots)

    def test_a_power_cut_at_any_moment_leaves_old_or_new_and_every_fsync_is_needed(self):
        missed = {}
        for scenario in (self.install_scenario, self.killed_and_resumed_scenario,
                         self.confirm_scenario, self.rollback_scenario):
            with self.subTest(scenario.__name__):
                for where, needed in scenario().items():
                    missed[where] = missed.get(where, False) or needed
        unneeded = {where for where, needed in missed.items() if not needed}
        self.assertEqual(unneeded, set(COVERED))
        print(f"{len(missed) - len(unneeded)} of {len(missed)} kinds of fsync are missed when left "
              "out ... ", end="", flush=True)


if __name__ == "__main__":
    unittest.main()
