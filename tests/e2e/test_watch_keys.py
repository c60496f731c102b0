"""A next root that replaces online and targets keys together: while it waits for this publisher,
and when it has come."""
import json
import os
import shutil
import unittest

from fleet import wait_until
from watching import Watch, Watched

BUNDLE = "bundles/gateway-3.0.0.ota"


class Rekeyed(Watched):
    def setUp(self):
        super().setUp()
        for name in ("snapshot", "timestamp", "targets", "other"):
            self.ws.new_key(name + "-2")
        self.before = self.signer()

    def signer(self):
        """Who has signed the timestamp."""
        return self.ws.metadata("timestamp")["signatures"][0]["keyid"]

    def rotate(self):
        self.ws.sluice("root", "rotate", "--snapshot", self.ws.path("keys", "snapshot-2.pub"),
                       "--timestamp", self.ws.path("keys", "timestamp-2.pub"), "--targets",
                       self.ws.key("targets-2"), "--key", self.ws.key("root"), "--yes",
                       "--no-publish")

    def give_away(self, role, paths, by="targets-2"):
        """The next targets.json gives a role to another key."""
        for args in (("remove", role), ("add", role, "--member",
                                        self.ws.path("keys", "other-2.pub"), "--threshold", 1,
                                        "--paths", paths)):
            self.ws.sluice("role", *args, "--key", self.ws.key(by), "--no-publish")

    def name_new_keys(self):
        with open(self.ws.path("workspace.yaml"), encoding="utf-8") as f:
            text = f.read()
        for name in ("snapshot", "timestamp"):
            self.assertEqual(text.count(f"keys/{name}.key"), 1)
            text = text.replace(f"keys/{name}.key", f"keys/{name}-2.key")
        with open(self.ws.path("workspace.yaml") + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(f.name, self.ws.path("workspace.yaml"))

    def has_come(self):
        return os.path.exists(self.ws.path("site/metadata/2.root.json")) and \
            self.signer() != self.before

    def stop(self):
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--no-publish", "--key",
                       self.ws.key("gates"))

    def test_the_watch_takes_the_keys_that_workspace_yaml_names_by_then(self):
        with Watch(self.ws) as watch:
            watch.wait_for("wait:")
            self.rotate()
            watch.wait_for("problem: root waits in incoming/: its snapshot key is not the one")
            self.go_wrong(1, 2, 3)
            watch.wait_for("published gates")
            self.assertEqual(self.signer(), self.before)
            self.name_new_keys()
            wait_until(self.has_come, 30, "root has come")
            self.assertEqual(watch.said().count("problem: "), 1)

    def test_the_watch_keeps_the_keys_that_root_names(self):
        """Somebody has put others into workspace.yaml which the next root does not name either."""
        with Watch(self.ws) as watch:
            watch.wait_for("wait:")
            for name in ("snapshot", "timestamp"):
                os.rename(self.ws.key(name + "-2"), self.ws.key(name + "-3"))
            self.rotate()
            for name in ("snapshot", "timestamp"):
                shutil.copy(self.ws.key("other-2"), self.ws.key(name + "-2"))
            self.name_new_keys()
            watch.wait_for("problem: root waits in incoming/")
            self.stop()
            watch.wait_for("published gates")
            self.assertEqual(self.signer(), self.before)

    def test_the_watch_goes_on_where_somebody_else_has_published_it(self):
        with Watch(self.ws, "--every", "60s") as watch:
            watch.wait_for("wait:")
            self.rotate()
            watch.wait_for("problem: root waits in incoming/")
            self.name_new_keys()
            self.ws.publish()
            self.assertTrue(self.has_come())
            self.stop()
            watch.wait_for("published gates")
            self.assertEqual(len(self.stops()), 1)

    def test_until_then_whoever_may_stop_now_stops(self):
        self.rotate()
        self.give_away("gates", "gates/*")
        self.go_wrong(1, 2, 3)
        said = self.watch(check=1)
        self.assertIn("stable: STOPS", said)
        self.assertIn("published gates", said)
        self.assertEqual(len(self.stops()), 1)

    def test_a_root_that_drops_somebody_elses_key_decides_who_may_stop(self):
        """It comes with whatever is published here next, and its targets.json with it."""
        rotate = ("root", "rotate", "--key", self.ws.key("root"), "--yes", "--timestamp",
                  self.ws.path("keys", "timestamp.pub"))
        self.ws.sluice(*rotate, "--timestamp", self.ws.path("keys", "timestamp-2.pub"))
        self.assertTrue(os.path.exists(self.ws.path("site/metadata/2.root.json")))
        self.ws.sluice(*rotate, "--no-publish")
        self.give_away("gates", "gates/*", by="targets")
        stop = ("stop", "stable", "--reason", "smoke", "--yes", "--key")
        done = self.ws.sluice(*stop, self.ws.key("gates"), check=1)
        self.assertNotIn("in force", done.stderr)
        self.assertFalse(os.path.exists(self.ws.path("site/metadata/3.root.json")))
        self.ws.sluice(*stop, self.ws.key("other-2"))
        self.assertTrue(os.path.exists(self.ws.path("site/metadata/3.root.json")))
        self.assertEqual([s["reason"] for s in self.stops()], ["smoke"])

    def test_until_then_large_content_goes_by_the_keys_in_force(self):
        self.rotate()
        self.give_away("releases", "bundles/*")
        image = self.ws.path("large")
        with open(image, "wb") as f:
            f.write(os.urandom(2 << 20))
        self.ws.sluice("release", self.ws.pack("3.0.0", image), "--key", self.ws.key("releases"),
                       "--no-publish")
        said = json.loads(self.ws.sluice("publish", "--carry").stdout)
        self.assertEqual(list(said["carried"].values()), [True])
        self.assertIn("published releases", self.watch(check=1))
        self.assertIn(BUNDLE, self.ws.metadata("releases")["signed"]["targets"])

    def test_who_is_asked_for_other_keys_publishes_with_them_at_once(self):
        """Nobody takes them while targets.json of the next targets keys is missing."""
        self.rotate()
        os.unlink(self.ws.path("incoming/targets.json"))
        done = self.ws.publish()
        self.assertIn("published together", done.stderr)
        self.assertNotIn("workspace.yaml", done.stderr)


if __name__ == "__main__":
    unittest.main()
