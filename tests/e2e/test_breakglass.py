"""Break-glass: the publisher dies in the middle of a rollout, and a second host, with online
keys of its own, stops it. README.md says what was prepared."""
import os
import shutil
import tempfile
import unittest

from fleet.case import NEW, OLD, FleetCase
from fleet.nginx import Nginx, free_port
from fleet.workspace import ROLES, Workspace

# What both publishers push with. `served` is what the web server has: another host, elsewhere.
PUSH = """#!/bin/sh
set -e
while read -r name; do
    mkdir -p "SERVED/$(dirname "$name")"
    cp "site/$name" "SERVED/$name.new.$$"
    mv "SERVED/$name.new.$$" "SERVED/$name"
done
"""


class BreakGlass(FleetCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-glass-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.images, self.bundles, self.boxes = {}, {}, []
        self.workspace = Workspace(os.path.join(self.folder, "first"), free_port()).init()
        self.found_trust()
        self.serve()
        self.pack(OLD)
        self.pack(NEW)
        self.workspace.release(self.bundles[OLD])
        self.second = self.second_publisher()

    def found_trust(self):
        """Snapshot and timestamp have two keys each, either of which will do."""
        ws = self.workspace
        for name in ("root", "targets", "snapshot", "timestamp", "snapshot-b", "timestamp-b",
                     *ROLES):
            ws.new_key(name)
        ws.sluice("root", "init", "--root", ws.key("root"), "--threshold", 1, "--targets",
                  ws.key("targets"), "--snapshot", ws.key("snapshot"), "--snapshot",
                  ws.path("keys/snapshot-b.pub"), "--timestamp", ws.key("timestamp"),
                  "--timestamp", ws.path("keys/timestamp-b.pub"))
        for role, paths in ROLES.items():
            ws.sluice("role", "add", role, "--member", ws.path("keys", role + ".pub"),
                      "--threshold", 1, "--paths", paths, "--key", ws.key("targets"))

    def serve(self):
        """A web server of its own, to which the workspace pushes."""
        ws, served = self.workspace, os.path.join(self.folder, "served")
        os.makedirs(ws.path("tools"))
        with open(ws.path("tools/push"), "w", encoding="utf-8") as f:
            f.write(PUSH.replace("SERVED", served))
        os.chmod(ws.path("tools/push"), 0o755)
        ws.set(push="tools/push")
        self.nginx = Nginx(ws)
        self.nginx.made = self.nginx.made.replace(f"alias {ws.dir}/site/", f"alias {served}/")
        self.nginx.set("")
        self.addCleanup(self.nginx.stop)
        ws.publish()
        self.nginx.start()

    def second_publisher(self):
        """A copy of the workspace on another host: the online keys there are that host's own."""
        ws = Workspace(os.path.join(self.folder, "second"), self.workspace.port)
        shutil.copytree(self.workspace.dir, ws.dir)
        with open(ws.path("workspace.yaml"), encoding="utf-8") as f:
            settings = f.read()
        with open(ws.path("workspace.yaml"), "w", encoding="utf-8") as f:
            f.write(settings.replace("keys/snapshot.key", "keys/snapshot-b.key")
                    .replace("keys/timestamp.key", "keys/timestamp-b.key"))
        for name in ("root", "targets", "snapshot", "timestamp", "releases", "rollouts"):
            os.unlink(ws.key(name))
        for name in ("snapshot-b", "timestamp-b"):
            os.unlink(self.workspace.key(name))
        return ws

    def first_dies(self):
        for name in ("site", "keys", "incoming", "manifests", "workspace.yaml"):
            path = self.workspace.path(name)
            (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)

    def fetch_site(self):
        """rsync -a web:/srv/site/ site/: what has been published last is what a stop builds on."""
        shutil.copytree(os.path.join(self.folder, "served"), self.second.path("site"),
                        dirs_exist_ok=True)

    def test_a_stop_by_the_second_publisher_reaches_the_boxes(self):
        self.nginx.set("limit_rate 15k;")
        self.nginx.reload()
        box = self.box()
        self.roll_out()
        box.wait_for_phase("installing")
        self.first_dies()
        self.fetch_site()
        report = self.second.sluice("doctor").stdout
        self.assertIn("With a publisher dead: proved", report)
        stop = self.second.stop("stable", reason="the first is dead")
        found = self.wait_for_outcome(box, "stopped", timeout_s=30)
        self.assertIn("the first is dead", found["detail"])
        self.assertEqual([s["id"] for s in box.status()["stops"]], [stop])
        self.assert_runs(box, OLD, other_side_boots=False)

    def test_what_the_second_publishes_on_an_old_copy_no_box_takes(self):
        """Which is why its site/ is fetched first: versions only rise."""
        box = self.box(start=False)
        self.roll_out()
        box.agent("check")
        self.first_dies()
        self.second.sluice("stop", "--all", "--reason", "from the past", "--key",
                           self.second.key("gates"), "--yes")
        done = box.agent("check", check=None)
        self.assertNotIn("from the past", done.stdout)
        self.assertIn("went back", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
