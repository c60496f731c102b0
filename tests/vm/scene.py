"""A fleet of one virtual box: a workspace, its web server, a machine whose side A has 1.0.0."""
import os
import shutil
import tempfile
import unittest

from fleet.box import digest_of_file
from fleet.nginx import Nginx, free_port
from fleet.process import ROOT, Programs, wait_until
from fleet.workspace import Workspace
from vm.disk import SLOT_BYTES, Disk
from vm.guest import Kernel, cached, image_make, root_make
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
[boot]
{boot}
reboot = /bin/reboot -f
[health]
dir = /etc/health.d
timeout = 20s
deadline = {deadline}
prompt = 20s
[intervals]
poll = 2s
stop_poll = 1s
retry_max = 2s
stall = 20s
"""
BOOT_GRUB = "backend = grub\nfile = /dev/nvme0n1p3\ntries = 2"


class Scene(unittest.TestCase):
    """Each test has a machine of its own; logs stay under build/vm/log."""
    BOOT, FIRMWARE, DEADLINE = BOOT_GRUB, "bios", "60s"

    @classmethod
    def setUpClass(cls):
        cls.programs = Programs()
        cls.kernel = Kernel(CACHE)
        cls.base = tempfile.mkdtemp(prefix="sluice-vm-")
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        cls.root = os.path.join(cls.base, "root")
        root_make(cls.root, cls.kernel, cls.programs.agent)
        cls.images = {}
        cls.image(OLD)

    @classmethod
    def image(cls, version, changes=()):
        """An image of that version, made once a class."""
        if version not in cls.images:
            cls.images[version] = image_make(os.path.join(cls.base, version + ".img"), cls.root,
                                             version, SLOT_BYTES, changes)
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
        self.data = self.data_make()
        self.disk = Disk(os.path.join(self.folder, "disk.img"), self.folder)
        self.disk.make(self.images[OLD], self.data)
        self.bootloader()
        logs = os.path.join(CACHE, "log")
        os.makedirs(logs, exist_ok=True)
        self.log = os.path.join(logs, self.id().split(".", 1)[1] + ".log")
        for name in (self.log, self.log + ".now", self.log + ".qemu"):
            if os.path.exists(name):
                os.unlink(name)
        self.machine = self.machine_make()
        self.addCleanup(self.machine.kill)

    def machine_make(self):
        return Machine(self.disk, self.log, self.kernel.image, self.FIRMWARE)

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
            f.write(CONF.format(box=BOX, url=self.workspace.url, boot=self.BOOT,
                                deadline=self.DEADLINE))
        return data

    def bootloader(self):
        self.disk.grub_bios()
        self.disk.environment_make(self.programs.agent)

    # What people do.

    def roll_out(self, version, changes=(), rollback_index=1, **settings):
        """Packs, releases and opens a version for the box."""
        bundle = self.workspace.pack(version, self.image(version, changes),
                                     rollback_index=rollback_index, level=1)
        self.workspace.roll_out(bundle, [("all", [BOX])], **settings)
        return bundle

    # What is seen.

    def digest(self, version):
        return digest_of_file(self.images[version])

    def wait_version(self, version, timeout_s=240, count=1):
        return self.machine.wait(rf"GUEST version {version} ", timeout_s, count)

    def wait_outcome(self, outcome, timeout_s=240):
        """Until the box has reported that outcome, over the network."""
        def reported():
            return outcome in self.workspace.outcomes(BOX)
        wait_until(reported, timeout_s,
                   lambda: f"{outcome}: {self.workspace.outcomes(BOX)}\n"
                           f"{self.machine.said()[-3000:]}", 0.3)

    def boots_next(self):
        """(side, whether it is confirmed) that the environment on the disk boots next."""
        shown = self.disk.boot_show(self.programs.agent)
        if not shown:
            return None, False
        return shown["primary"], shown["sides"][shown["primary"]]["confirmed"]
