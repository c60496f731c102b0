"""What an install over HTTPS takes of a box: `make bench` says it of larger images."""
import os
import shutil
import tempfile
import unittest

from fleet import Box, Nginx, Workspace, free_port, make_image
from fleet.watch import MIB, watched_install

ALONE = True  # what libraries take is shared among all agents that run
PSS_MAX = 24 * MIB
SIZE = 32 * MIB


class Memory(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def image(self, version, size):
        return make_image(os.path.join(self.folder, version + ".img"), version, size)

    def test_an_install_is_small_and_leaves_no_copy_of_the_image(self):
        workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init().ceremony()
        new = self.image("2.0.0", SIZE)
        workspace.roll_out(workspace.pack("2.0.0", new), [("all", "100%")])
        with Nginx(workspace):
            box = Box(workspace, "gw-000001", self.image("1.0.0", MIB), slot_size=SIZE)
            watch = watched_install(box, SIZE, 120).watch
        self.assertTrue(box.holds("B", new), box.log())
        self.assertGreater(watch.samples, 10)
        self.assertGreater(watch.most, 1, "the agent and its network child")
        self.assertEqual(watch.large, {})
        if "asan" not in workspace.programs.build:  # its shadow and its quarantine are not ours
            self.assertLessEqual(watch.peak, PSS_MAX, watch.share_text())
