"""A workspace whose boxes are played, and a watch over it."""
import contextlib
import os
import shutil
import sqlite3
import tempfile
import unittest

from fleet import Crier, Nginx, Workspace, free_port, make_image
from fleet.publisher import Publisher as Watch

CANARY = [f"gw-{i:02d}" for i in range(1, 5)]
OTHERS = [f"gw-{i:02d}" for i in range(5, 9)]
WAVES = (("canary", CANARY), ("early", OTHERS), ("everyone", 100))
WATCH = "{gates: keys/gates.key, every: 1s%s}"


class Watched(unittest.TestCase):
    """A plan is published, and its first wave is open; the boxes have said nothing yet."""
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="sluice-watch-")
        cls.addClassCleanup(shutil.rmtree, cls.base)
        made = cls.made = Workspace(os.path.join(cls.base, "made"), free_port()).init()
        made.ceremony()
        made.set(watch=WATCH % "")
        # Its copies have the same address, and the same certificate.
        cls.nginx = Nginx(made).start()
        cls.addClassCleanup(cls.nginx.stop)
        image = make_image(os.path.join(cls.base, "image"), "2", size=1 << 18)
        made.roll_out(made.pack("2.0.0", image), WAVES, open_waves=["canary"], **cls.settings)
        for name in CANARY + OTHERS:
            made.add_box(name)

    def setUp(self):
        folder = tempfile.mkdtemp(dir=self.base)
        shutil.copytree(self.made.dir, folder, dirs_exist_ok=True)
        self.ws = Workspace(folder, self.made.port)
        self.boxes = {name: Crier(self.ws, name, add=False) for name in CANARY + OTHERS}

    def box(self, number):
        return self.boxes[f"gw-{number:02d}"]

    def succeed(self, *numbers):
        for number in numbers:
            self.box(number).succeed()

    def go_wrong(self, *numbers, **more):
        for number in numbers:
            self.box(number).fail(**more)

    def watch(self, *args, **kwargs):
        """One look; returns what it said."""
        return self.ws.sluice("watch", "--once", *args, **kwargs).stdout

    def gate(self):
        return self.ws.target("gates/stable.json")

    def opened(self):
        return self.gate()["open"]

    def stops(self):
        return self.gate()["stops"]

    def version(self, role="gates"):
        return self.ws.metadata(role)["signed"]["version"]

    def rows(self, statement, *values):
        with contextlib.closing(sqlite3.connect(self.ws.path("fleet.db"))) as db:
            return db.execute(statement, values).fetchall()
