"""Boxes that power cuts and faults are tried on, and what must be true of one after any of them."""
import contextlib
import glob
import json
import os
import random
import re
import shutil
import subprocess
import tempfile

import fault
from fleet.box import CHUNK, Box, make_image
from fleet.nginx import free_port
from fleet.process import run
from fleet.workspace import Workspace

IMAGE_CHUNKS = 6
SPARE, OLD, NEW = "1.0", "2.0", "3.0"    # what side B holds at first, what runs, what is installed
NEW_INDEX = 2
MILD = "mild"
KIB = 1024
HOLE = 3 * CHUNK    # where all releases but the first have zeros


class Broken(Exception):
    """A state of the disk that no power cut and no fault may lead to."""


def in_memory(prefix):
    """A temporary folder: hundreds of disks are made and synced, and none of them has to last."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix=prefix, dir=memory)


class Releases:
    """A workspace with three releases of an image."""

    def __init__(self, folder, chunks=IMAGE_CHUNKS):
        self.folder = folder
        self.ws = Workspace(os.path.join(folder, "ws"), free_port()).init().ceremony()
        self.images = {v: make_image(os.path.join(folder, v), v, chunks * CHUNK)
                       for v in (SPARE, OLD, NEW)}
        with open(self.images[SPARE], "r+b") as f:    # so there is a hole to be made in it
            f.seek(HOLE)
            f.write(random.Random(SPARE).randbytes(CHUNK))
        self.bundles = {v: self.ws.pack(v, image, rollback_index=NEW_INDEX if v == NEW else 1)
                        for v, image in self.images.items()}
        # One that does not raise the floor, so that the old one may run again.
        self.bundles[MILD] = self.ws.pack(NEW, self.images[NEW], name="mild")
        self.chunks = {v: self.chunks_of(path) for v, path in self.images.items()}

    @staticmethod
    def chunks_of(path):
        with open(path, "rb") as f:
            data = f.read()
        return [data[at:at + CHUNK] for at in range(0, len(data), CHUNK)]


class Subject:
    """A box with side A running OLD and SPARE on side B, both slots files, and what is asserted of
    it. Kept copies of its folder are put back between one fault and the next."""

    def __init__(self, releases, name):
        self.releases, self.ws = releases, releases.ws
        self.images, self.bundles = releases.images, releases.bundles
        self.kept = os.path.join(releases.folder, "kept", name)
        self.box = Box(self.ws, name, self.images[SPARE])
        self.box.set({"boot": {"reboot": None}})
        self.give_metadata()
        self.prepare()
        self.factory = self.keep("factory")

    def prepare(self):
        for version in (SPARE, OLD):
            self.agent("install", self.bundles[version], "--no-reboot")
            self.restart()
            self.agent("confirm")

    def close(self):
        """Nothing is left but files."""

    def give_metadata(self):
        """What a box is given at manufacture, and the targets.json that names who may release."""
        metadata = self.box.path("state", "metadata")
        os.makedirs(metadata, exist_ok=True)
        shutil.copy(self.ws.path("boxes", self.box.name, "root.json"), metadata)
        site = self.ws.path("site", "metadata")
        newest = max((n for n in os.listdir(site) if n.endswith(".targets.json")),
                     key=lambda n: int(n.split(".")[0]))
        shutil.copy(os.path.join(site, newest), os.path.join(metadata, "targets.json"))

    # Its folder, as it was at some time.

    def keep(self, name):
        """A copy of the box's folder as it is now."""
        to = os.path.join(self.kept, name)
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.box.dir, to, symlinks=True)
        return to

    def put_back(self, kept):
        shutil.rmtree(self.box.dir)
        shutil.copytree(kept, self.box.dir, symlinks=True)

    # What it does.

    def bootloader(self):
        return run([self.ws.programs.tool("power"), "--dir", self.box.dir, "--once"], check=None)

    def restart(self):
        """Power off and on: the version that runs then."""
        done = self.bootloader()
        if done.returncode != 0:
            raise Broken("the bootloader finds nothing to boot: " + done.stdout + done.stderr)
        return self.running()

    def agent(self, *args):
        done = self.box.agent(*args, check=None)
        if done.returncode != 0:
            raise Broken(f"{' '.join(args)}: exit {done.returncode}: {done.stderr[-400:]}")
        return done

    def kill_at_the_last(self, call, words):
        """Its agent is killed before the last call of that name."""
        argv = self.box.agent_argv(*words)
        now = self.keep("now")
        last = fault.run(argv, self.box.dir, os.environ)[call]
        self.put_back(now)
        if not fault.run(argv, self.box.dir, os.environ, call, fault.KILL, last).hits:
            raise Broken(f"there was no {call} number {last}")

    def install(self):
        """Writes what is wrong in the slot, and nothing else."""
        wrong = self.wrong_bytes()
        said = self.agent("install", self.bundles[NEW], "--no-reboot").stderr
        written = re.search(r"([\d.]+) (KiB|B) written", said)
        written = float(written[1]) * (KIB if written[2] == "KiB" else 1) if written else 0
        if wrong is not None and written != wrong:
            raise Broken(f"{wrong} bytes were wrong, and {written} were written: {said}")

    def wrong_bytes(self):
        """What a right install has to write now; holes are not written."""
        with open(self.box.slot(self.box.other_side()), "rb") as f:
            now = [f.read(CHUNK) for _ in self.releases.chunks[NEW]]
        return sum(len(good) for good, here in zip(self.releases.chunks[NEW], now)
                   if here != good and any(good))

    # What it is.

    def held(self, side):
        """The version that a side holds whole, or None."""
        return next((v for v, image in self.images.items() if self.box.holds(side, image)), None)

    def running(self):
        return self.held(self.box.booted())

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

    def status(self):
        return json.loads(self.agent("status", "--json").stdout)

    def look_at_words(self, sides):
        """What `status` says of the sides is so, and no outcome is lost."""
        for side, release in self.status()[sides].items():
            if release and release["version"] != self.held(side):
                raise Broken(f"side {side} is said to hold {release['version']}, and does not")
        if not self.told(OLD):
            raise Broken(f"nobody will be told what became of {OLD}")

    def look(self):
        """What may boot is whole, what `status` says is so, and no outcome is lost."""
        env = self.box.env()
        for side in "AB":
            if side.lower() + "_bootable" not in env:
                raise Broken("the boot environment is torn")
            if env[side.lower() + "_bootable"] == "yes" and not self.held(side):
                raise Broken(f"side {side} may be booted, and holds no image whole")
        self.look_at_words("running")

    def confirmed(self):
        """The new one is what this box keeps."""
        status = self.status()
        if status["rollback_floor"] != NEW_INDEX or not self.box.runs(self.images[NEW]):
            raise Broken(f"the new system is not what this box keeps: {status}")
        for _ in range(3):
            if self.restart() != NEW:
                raise Broken("a confirmed system was given up")

    def blames_nobody(self):
        """Nothing is held against a release but what a person holds against it."""
        failed = [f for f in self.status()["failed"] if f["reason"] != "rolled back by hand"]
        if failed:
            raise Broken(f"it is held against the release: {failed}")

    # What must be true after anything.

    def survive(self, reboot=True):
        """Ends with the new one confirmed. reboot: the power went; or else the agent alone died,
        and is started again at once."""
        self.look()
        if (self.restart() if reboot else self.running()) == NEW:
            if self.box.agent("confirm", check=None).returncode == 0:
                self.confirmed()
                return
            # A rollback that was begun goes on.
            if self.restart() != OLD:
                raise Broken("the new system is not confirmed, and boots again")
        self.look()
        self.install()
        if self.restart() != NEW:
            raise Broken("installed again, and the old system still boots")
        self.agent("confirm")
        self.confirmed()

    def survive_rollback(self, reboot=True):
        """Ends with the old one running, for good. It is asked for again where it was not done."""
        self.look()
        if reboot:
            self.restart()
        if self.running() != OLD or self.held(self.box.env()["primary"]) != OLD:
            self.box.agent("rollback", "--no-reboot", check=None)
        if self.restart() != OLD:
            raise Broken("rolled back again, and the new system still boots")
        self.look()
        for _ in range(3):
            if self.restart() != OLD:
                raise Broken("a rollback was forgotten")

    # What exit 0 promised.

    def new_one_boots(self):
        if self.restart() != NEW:
            raise Broken("install said that it was done, and the old system boots")

    def new_one_boots_and_is_known(self):
        """What the bundle said of it lasts as long as it does."""
        self.new_one_boots()
        self.agent("audit")

    def stays_confirmed(self):
        self.restart()
        self.confirmed()

    def old_one_boots(self):
        if self.restart() != OLD:
            raise Broken("rollback said that it was done, and the new system boots")


class BlockSubject(Subject):
    """The same with loop devices for slots: their writes go through a block device's own cache."""

    def __init__(self, releases, name):
        self.devices = {}
        super().__init__(releases, name)

    def prepare(self):
        for side in "AB":
            self.devices[side] = subprocess.run(
                ["losetup", "--find", "--show", self.backing(side)], check=True,
                capture_output=True, text=True).stdout.strip()
            os.rename(self.box.slot(side), self.box.slot(side) + ".given")
            os.symlink(self.devices[side], self.box.slot(side))
        self.box.set({"slot rootfs": {"type": "block"}})
        super().prepare()

    def backing(self, side):
        """What stands behind the device; outside of the folder that is put back."""
        path = os.path.join(self.releases.folder, f"{self.box.name}-{side}.disk")
        if not os.path.exists(path):
            shutil.copyfile(self.box.slot(side), path)
        return path

    def keep(self, name):
        to = super().keep(name)
        for side in "AB":
            shutil.copyfile(self.devices[side], f"{to}.{side}")
        return to

    def put_back(self, kept):
        super().put_back(kept)
        for side, device in self.devices.items():
            with open(f"{kept}.{side}", "rb") as good, open(device, "r+b", 0) as f:
                f.write(good.read())
                os.fsync(f.fileno())

    def close(self):
        for device in self.devices.values():
            subprocess.run(["losetup", "--detach", device], check=False)
        self.devices = {}


def loop_devices():
    """Whether there are any here to be had."""
    with tempfile.NamedTemporaryFile() as f:
        f.truncate(CHUNK)
        done = subprocess.run(["losetup", "--find", "--show", f.name], check=False,
                              capture_output=True, text=True)
        if done.returncode == 0:
            subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)
        return done.returncode == 0


class TreeSubject(Subject):
    """A box of which a folder is updated, by one rename of a link; nothing is rebooted for it."""

    def prepare(self):
        self.trees = {v: self.make_tree(v) for v in self.images}
        self.bundles = {v: self.pack(v, tree) for v, tree in self.trees.items()}
        self.bundles[MILD] = self.pack(NEW, self.trees[NEW], "mild-app")
        top = self.box.path("app")
        for side in "12":
            os.makedirs(os.path.join(top, side))
        shutil.copytree(self.trees[SPARE], os.path.join(top, "1", "app"), symlinks=True)
        os.symlink(os.path.join(top, "1", "app"), os.path.join(top, "now"))
        self.box.set({"slot app": {"type": "dir", "a": os.path.join(top, "1", "app"),
                                   "b": os.path.join(top, "2", "app"),
                                   "current": os.path.join(top, "now")}})
        super().prepare()

    def make_tree(self, version):
        """A tree of a few files, links and folders, made once for all boxes."""
        top = os.path.join(self.releases.folder, "tree-" + version)
        with contextlib.suppress(FileExistsError):
            os.makedirs(os.path.join(top, "bin"))
            for name in ("same", version):
                os.makedirs(os.path.join(top, "share", name))
                with open(os.path.join(top, "share", name, "text"), "w", encoding="ascii") as f:
                    f.write(f"{name}\n" * 9000)
            with open(os.path.join(top, "bin", "app"), "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\necho {version}\n")
            os.chmod(f.name, 0o755)
            os.symlink("app", os.path.join(top, "bin", "run"))
            os.link(f.name, os.path.join(top, "bin", "again"))
        return top

    def pack(self, version, tree, name="app"):
        bundle = self.ws.path(f"{name}-{version}.ota")
        if os.path.exists(bundle):
            return bundle
        return self.ws.pack(version, tree, name=name, slot="app", kind="tree",
                            rollback_index=NEW_INDEX if (version, name) == (NEW, "app") else 1)

    @staticmethod
    def listing(top):
        """All that a tree is, but times and owners."""
        found = {}
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                what = os.readlink(path) if os.path.islink(path) else None
                if what is None and name in files:
                    with open(path, "rb") as f:
                        what = f.read()
                found[os.path.relpath(path, top)] = (info.st_mode, what)
        return found

    def held(self, side):
        now = self.listing(self.box.path("app", "12"["AB".index(side)], "app"))
        return next((v for v, tree in self.trees.items() if self.listing(tree) == now), None)

    def side(self):
        now = os.path.realpath(self.box.path("app", "now"))
        return "AB"["12".index(os.path.basename(os.path.dirname(now)))]

    def running(self):
        return self.held(self.side())

    def new_one_boots_and_is_known(self):
        """By an audit of what is linked; the slots beside it were never installed."""
        self.new_one_boots()
        said = self.box.agent("audit", "--json", check=None).stdout
        here = next(s for s in json.loads(said)["sides"] if s["linked"] and s["running"])
        if here["authentic"] != "yes":
            raise Broken(f"what is in use is not known as authentic: {here}")

    def wrong_bytes(self):
        """Trees are built beside their place."""
        return None

    def look(self):
        if not self.running():
            raise Broken("what is in use is no whole release")
        self.look_at_words("linked")

    def confirmed(self):
        status = self.status()
        if status["rollback_floor"] != NEW_INDEX or status["pending"] or self.running() != NEW:
            raise Broken(f"the new tree is not what this box keeps: {status}")

    def survive_rollback(self, reboot=True):
        self.look()
        if reboot:
            self.restart()
        if self.running() != OLD:
            self.agent("rollback", "--trees", "--no-reboot")
        if self.running() != OLD:
            raise Broken("rolled back again, and the new tree is still in use")
        self.look()
