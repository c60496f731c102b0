"""The power button that tests press: it works at any moment."""
import os
import unittest

from fleet import Workspace, make_image, wait_until
from fleet.box import Box
from fleet.case import FolderCase

CUTS = 40


class Power(FolderCase):
    def setUp(self):
        super().setUp()
        image = make_image(os.path.join(self.folder, "image"), "1", 1 << 18)
        self.box = Box(Workspace(os.path.join(self.folder, "fleet"), 8443).init().ceremony(),
                       "gw-1", image)
        self.box.script("system", "exec sleep 86400\n")
        self.box.system = self.box.path("system")
        self.addCleanup(self.box.stop)

    def test_cuts_before_what_is_booted_has_run_end_it_all_the_same(self):
        """Who is not in a group of its own yet was not ended, and waited for for good."""
        count = self.box.path("count")
        self.box.script("can-boot", f"echo >> {count}\n[ $(wc -l < {count}) -gt {CUTS} ] || "
                        "kill -USR1 $PPID\n")
        self.box.start()
        wait_until(lambda: len(self.box.boots()) > CUTS, 120, self.box.log)
        self.assertEqual(self.box.log().count("power cut"), CUTS)


if __name__ == "__main__":
    unittest.main()
