"""A test case with a workspace, a web server and whatever boxes it asks for."""
import os
import shutil
import tempfile
import time
import unittest

from fleet.box import CHUNK, Box, make_image
from fleet.nginx import Nginx, free_port
from fleet.process import wait_until
from fleet.workspace import Workspace

OLD, NEW = "1.0.0", "2.0.0"


class FolderCase(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, text):
        """Returns its path; what the ends of lines are stays."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
        return path


class PlanCase(FolderCase):
    """A workspace with two bundles, 2.3.9 and 2.4.0, and no web server: nothing is released yet."""

    def setUp(self):
        super().setUp()
        self.ws = Workspace(self.folder + "/w", free_port()).init().ceremony()
        image = os.path.join(self.folder, "image")
        with open(image, "wb") as f:
            f.write(os.urandom(100000))
        self.bundles = [self.ws.pack(v, image) for v in ("2.3.9", "2.4.0")]


class FleetCase(FolderCase):
    """Version 1.0.0 is on every box; 2.0.0 is packed and signed, and nothing is rolled out yet."""
    SIZE = 2 << 20

    def setUp(self):
        super().setUp()
        self.workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init()
        self.workspace.ceremony()
        self.nginx = Nginx(self.workspace).start()
        self.addCleanup(self.nginx.stop)
        self.images, self.bundles, self.boxes = {}, {}, []
        self.pack(OLD, compatible=("acme-gw3", "acme-gw4"))
        self.pack(NEW)
        self.workspace.release(self.bundles[OLD])

    def run(self, result=None):
        """Shows what the boxes said, where a test failed."""
        before = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            for name, log in getattr(self, "logs", {}).items():
                print(f"--- {name}\n{log[-3000:]}")

    def pack(self, version, image=None, **settings):
        path = os.path.join(self.folder, f"{version}.img")
        self.images[version] = image or make_image(path, version, self.SIZE)
        self.bundles[version] = self.workspace.pack(version, self.images[version], **settings)
        return self.bundles[version]

    def box(self, name="gw-000001", start=True, **settings):
        """A box that runs 1.0.0."""
        box = Box(self.workspace, name, self.images[OLD], **settings)
        box.factory_install(self.bundles[OLD])
        self.boxes.append(box)
        self.addCleanup(self.end, box)
        if start:
            box.start()
        return box

    def end(self, box):
        box.stop()
        self.logs = getattr(self, "logs", {})
        self.logs[box.name] = box.log()

    def roll_out(self, version=NEW, **settings):
        self.workspace.roll_out(self.bundles[version], [("all", "100%")], **settings)

    def place_of_news(self, version=NEW):
        """Where in a bundle a chunk lies that no older version has: noise, so it is stored raw."""
        with open(self.images[version], "rb") as f:
            noise = f.read()[CHUNK:2 * CHUNK]
        with open(self.bundles[version], "rb") as f:
            return f.read().index(noise)

    # What is waited for and looked at.

    def last_report(self, box, version=NEW):
        found = [r for r in self.workspace.reports(box.name)
                 if r["outcome"] != "none" and f"-{version}.ota" in r["bundle"]]
        return found[-1] if found else None

    def wait_for_outcome(self, box, outcome, version=NEW, timeout_s=40):
        """Waits for the report; returns it."""
        def came():
            report = self.last_report(box, version)
            return report if report and report["outcome"] == outcome else None

        return wait_until(came, timeout_s, lambda: f"{box.name} reports {outcome} of {version}; "
                          f"last: {self.last_report(box, version)}\n{box.log()[-2000:]}")

    def wait_for_log(self, box, text, timeout_s=30):
        wait_until(lambda: text in box.log(), timeout_s,
                   lambda: f"{box.name} says '{text}':\n{box.log()[-2000:]}")

    def settle(self, seconds=3):
        """Several polls' time, in which something must not happen."""
        time.sleep(seconds)

    def assert_runs(self, box, version, other_side_boots=None):
        self.assertTrue(box.runs(self.images[version]),
                        f"{box.name} does not run {version}: {box.env()}\n{box.log()[-2000:]}")
        if other_side_boots is not None:
            other = "b" if box.booted() == "A" else "a"
            self.assertEqual(box.env()[f"{other}_bootable"], "yes" if other_side_boots else "no")
