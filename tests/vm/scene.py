"""A fleet of one virtual box: a workspace, its web server, a machine whose side A has 1.0.0."""
import json
import os
import shutil
import tempfile
import unittest

from fleet.box import digest_of_file
from fleet.nginx import Nginx, free_port
from fleet.process import ROOT, Programs
from fleet.workspace import Workspace
from vm.disk import LIBRARIES_BYTES, Disk
from vm.guest import Kernel, cached, image_make, libraries_make, root_make
from vm.loaders import GrubBios
from vm.machine import Machine

BOX = "gw-000001"
OLD, NEW = "1.0.0", "2.0.0"
CACHE = os.path.join(ROOT, "build", "vm")
CONF = """[box]
id = {box}
compatible = acme-gw3
state_dir = /data/state
plan = rollouts/stable.json
report_key = /data/report.key
trust_clock = yes
[site]
url = {url}
report_url = {url}
ca = /data/ca.crt
cert = /data/box.crt
key = /data/box.key
[slot rootfs]
type = block
a = /dev/nvme0n1p4
b = /dev/nvme0n1p5
read_only = yes
{slots}[boot]
{boot}
{reboot}[health]
dir = /etc/health.d
timeout = 20s
deadline = 600s
prompt = {prompt}
[inhibit]
dir = /etc/inhibit.d
[intervals]
poll = 1s
stop_poll = 1s
retry_max = 1s
stall = 60s
{more}"""
# Both are in the time that plans give; long where a system is in order, for a slow machine is no
# broken one.
LONG, SHORT_S = "10m", "8s"
PANICS = [("/etc/broken", "echo GUEST panics\necho c > /proc/sysrq-trigger\n")]


class Scene(unittest.TestCase):
    """Each test has a machine of its own; logs stay under build/vm/log."""
    LOADER, BOX = GrubBios, BOX
    REBOOT, MORE = "reboot = /bin/reboot -f\n", ""
    PROMPT = "20s"

    @classmethod
    def setUpClass(cls):
        cls.programs = Programs()
        cls.kernel = Kernel(cached(CACHE))
        cls.base = tempfile.mkdtemp(prefix="sluice-vm-")
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        cls.root = os.path.join(cls.base, "root")
        root_make(cls.root, cls.kernel, cls.programs.agent)
        cls.libraries = libraries_make(os.path.join(cls.base, "libraries.img"),
                                       cls.programs.agent, LIBRARIES_BYTES)
        cls.images, cls.digests = {}, {}
        cls.image(OLD)

    @classmethod
    def image(cls, version, changes=()):
        """An image of that version, made once a class."""
        if version not in cls.images:
            cls.images[version] = image_make(os.path.join(cls.base, version + ".img"), cls.root,
                                             version, cls.LOADER.IMAGE_BYTES,
                                             [*cls.LOADER.CHANGES, *changes])
        return cls.images[version]

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="scene-", dir=self.base)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        port = free_port()
        self.workspace = Workspace(os.path.join(self.folder, "fleet"), port, self.programs)
        self.workspace.url = f"https://10.0.2.2:{port}/"
        self.workspace.init().ceremony()
        self.nginx = Nginx(self.workspace)
        self.addCleanup(self.nginx.stop)
        self.nginx.start()
        self.disk = Disk(os.path.join(self.folder, "disk.img"), self.folder)
        self.disk.make(self.images[OLD], self.data_make(), self.libraries)
        self.loader = self.LOADER(self.disk, self.programs.agent, self.kernel.image)
        self.loader.install()
        logs = os.path.join(CACHE, "log")
        os.makedirs(logs, exist_ok=True)
        self.log = os.path.join(logs, self.id().split(".", 1)[1] + ".log")
        for name in (self.log, self.log + ".qemu"):
            if os.path.exists(name):
                os.unlink(name)
        self.machine = self.machine_make(self.disk, self.log)

    def machine_make(self, disk, log, **options):
        machine = Machine(disk, log, self.kernel.image, self.loader.variables, **options)
        self.addCleanup(machine.kill)
        return machine

    def data_make(self):
        """The data partition as it leaves the factory."""
        given = self.workspace.add_box(BOX)
        data = os.path.join(self.folder, "data")
        os.makedirs(os.path.join(data, "state", "metadata"), mode=0o700)
        shutil.copy(os.path.join(given, "root.json"), os.path.join(data, "state", "metadata"))
        for name in os.listdir(given):
            if os.path.isfile(os.path.join(given, name)):
                shutil.copy(os.path.join(given, name), data)
        with open(os.path.join(data, "agent.conf"), "w", encoding="utf-8") as f:
            f.write(CONF.format(box=BOX, url=self.workspace.url, slots=self.LOADER.SLOTS,
                                boot=self.LOADER.BOOT, reboot=self.REBOOT, prompt=self.PROMPT,
                                more=self.MORE))
        return data

    # What people do.

    def pack(self, version, changes=()):
        payloads = [("rootfs", "rootfs", "image", self.image(version, changes))]
        if self.LOADER.SLOTS:
            payloads.append(("kernel", "kernel", "image", self.kernel.image))
        return self.workspace.pack(version, None, payloads=payloads, level=1)

    def roll_out(self, version, changes=(), deadline=LONG, **settings):
        """Packs, releases and opens a version for the box."""
        bundle = self.pack(version, changes)
        self.workspace.roll_out(bundle, [("all", [BOX])], deadline=deadline, **settings)
        return bundle

    # What is seen.

    def digest(self, version):
        if version not in self.digests:
            self.digests[version] = digest_of_file(self.images[version])
        return self.digests[version]

    def held(self, disk, side):
        """The digest of what a slot holds, as far as an image goes."""
        return disk.digest(side, self.LOADER.IMAGE_BYTES)

    def wait_version(self, version, count=1):
        self.machine.wait(rf"GUEST version {version} ", count)

    def wait_outcome(self, outcome, count=1):
        """Until the box has reported that outcome, over the network."""
        self.machine.until(lambda: self.workspace.outcomes(BOX).count(outcome) >= count,
                           lambda: f"{outcome}: {self.workspace.outcomes(BOX)}")

    def assert_boots_whole(self, disk, loader, versions):
        """Whatever its bootloader makes of it, the next boot is of a whole image of one of these
        versions. Returns what the agent says of the environment."""
        shown = loader.show()
        self.assertIsNotNone(shown, "no boot environment")
        sides = {side: s for side, s in shown["sides"].items()
                 if s["bootable"] and (s["confirmed"] or s["tries_left"] > 0)}
        self.assertTrue(sides, shown)
        whole = [self.digest(version) for version in versions]
        for side in sides:
            self.assertIn(self.held(disk, side), whole, f"side {side}, and {shown}")
        return shown

    def assert_settled(self, side, version):
        """Off and on again it boots that side, which is confirmed, and holds that version; and the
        agent knows of nothing that is under way."""
        self.machine.kill()
        self.assertEqual(self.loader.boots_next()[:2], (side, True))
        self.assertEqual(self.held(self.disk, side), self.digest(version))
        with open(os.path.join(self.disk.state(), "state.json"), encoding="utf-8") as f:
            self.assertEqual(json.load(f)["pending"]["phase"], "none")


class Walk:
    """What every bootloader has to do: one update, one fallback. For a Scene."""
    CHANGES = ()  # of the update

    def confirmed(self):
        """For what is to be seen as soon as the update is."""

    def test_update_is_confirmed_and_a_system_that_panics_falls_back_after_its_tries(self):
        self.roll_out(NEW, self.CHANGES)
        self.machine.start()
        self.wait_version(OLD)
        self.wait_version(NEW)
        self.machine.wait(f"{NEW}: confirmed")
        self.confirmed()
        self.machine.wait("sluice-trial: the trial is over")
        self.wait_outcome("ok")
        self.roll_out("2.1.0", PANICS)
        self.wait_version(NEW, 2)
        self.wait_outcome("reverted")
        self.assertEqual(len(self.machine.find("GUEST panics")), self.LOADER.TRIES)
        # In the first boot of 2.0.0 alone: each bootloader says which boots are tries.
        self.assertEqual(len(self.machine.find("sluice-trial: a new system is tried")), 1)
        self.assert_settled("B", NEW)
