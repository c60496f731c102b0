"""Bundles that the watch copies: beside all else, and never twice at once."""
import json
import os
import shutil
import signal
import unittest

from fleet import wait_until
from watching import Watch, Watched

# Copies what it is told to. A large bundle is not taken while `broken` is there, and takes as long
# as `slow` is.
PUSH = """import os, shutil, sys, time
for name in sys.stdin.read().split():
    to = os.path.join("served", name)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    if os.path.getsize(os.path.join("site", name)) > 1 << 20:
        with open("bundles", "a") as f:
            print(os.getpid(), file=f)
        if os.path.exists("broken"):
            sys.exit(3)
        while os.path.exists("slow"):
            time.sleep(0.02)
    shutil.copyfile(os.path.join("site", name), to + ".new")
    os.rename(to + ".new", to)
"""
BUNDLE = "bundles/gateway-3.0.0.ota"


class Bulk(Watched):
    def setUp(self):
        super().setUp()
        image = self.ws.path("large")
        with open(image, "wb") as f:
            f.write(os.urandom(2 << 20))
        self.ws.sluice("release", self.ws.pack("3.0.0", image), "--key",
                       self.ws.key("releases"), "--no-publish")

    def push(self):
        with open(self.ws.path("push.py"), "w", encoding="utf-8") as f:
            f.write(PUSH)
        self.ws.set(push="/usr/bin/python3 -S push.py")

    def touch(self, name):
        with open(self.ws.path(name), "w", encoding="ascii"):
            pass

    def pushes(self):
        """The process of each push of bundles."""
        try:
            with open(self.ws.path("bundles"), encoding="ascii") as f:
                return [int(line) for line in f]
        except FileNotFoundError:
            return []

    def listed(self):
        return BUNDLE in self.ws.metadata("releases")["signed"]["targets"]

    def served(self):
        sha256 = self.ws.metadata("releases")["signed"]["targets"][BUNDLE]["hashes"]["sha256"]
        return os.path.exists(self.ws.path(f"served/targets/bundles/{sha256}.gateway-3.0.0.ota"))

    def begun(self, count=1):
        wait_until(lambda: len(self.pushes()) >= count, 30, "a bundle is being pushed")
        return self.pushes()[-1]

    def test_a_bundle_is_copied_beside_and_holds_up_no_stop(self):
        self.push()
        self.touch("slow")
        with Watch(self.ws) as watch:
            self.begun()
            self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--no-publish",
                           "--key", self.ws.key("gates"))
            watch.wait_for("published gates", 10)
            # And boxes are heard, and judged.
            self.succeed(1, 2, 3, 4)
            wait_until(lambda: os.listdir(self.ws.path("spool")) == ["aside"], 10)
            self.assertFalse(self.listed())
            os.unlink(self.ws.path("slow"))
            watch.wait_for("published releases")
            self.assertTrue(self.served())
            said = watch.said()
            self.assertEqual(said.count("copies the large content that releases lists"), 1)
            self.assertNotIn("problem", said)

    def test_it_dies_with_the_watch_and_is_taken_up_by_the_next(self):
        self.push()
        self.touch("slow")
        for count, number in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
            with Watch(self.ws) as watch:
                pid = self.begun(count)
                watch.end(number)
                wait_until(lambda gone=pid: not os.path.exists(f"/proc/{gone}"), 10, "it has died")
        os.unlink(self.ws.path("slow"))
        with Watch(self.ws) as watch:
            watch.wait_for("published releases")
        self.assertTrue(self.served())

    def test_a_push_that_fails_is_told_once_and_tried_again(self):
        self.push()
        self.touch("broken")
        with Watch(self.ws) as watch:
            watch.wait_for("problem: large content did not get to where it is served")
            self.begun(3)
            self.assertFalse(self.listed())
            os.unlink(self.ws.path("broken"))
            watch.wait_for("published releases")
            self.assertTrue(self.served())
            self.assertEqual(watch.said().count("problem: "), 1)

    def test_once_is_over_when_it_is_published(self):
        self.assertIn("published releases", self.watch())
        self.assertTrue(self.listed())
        self.assertEqual(os.listdir(self.ws.path("incoming/targets/bundles")), [])

    def test_once_tells_what_fails_and_waits_no_longer(self):
        self.push()
        self.touch("broken")
        self.assertIn("problem: large content did not get", self.watch(check=1))
        self.assertEqual(len(self.pushes()), 1)
        self.assertFalse(self.listed())

    def test_carrying_needs_no_key_and_publishes_nothing(self):
        for name in ("snapshot", "timestamp"):
            os.rename(self.ws.key(name), self.ws.path(name))
        said = json.loads(self.ws.sluice("publish", "--carry").stdout)
        (name, done), = said["carried"].items()
        self.assertTrue(done is True and os.path.exists(self.ws.path("site", name)), said)
        self.assertFalse(self.listed())
        self.assertEqual(json.loads(self.ws.sluice("publish", "--carry").stdout)["carried"], {})

    def test_content_that_is_not_there_yet_is_told_and_taken_when_it_comes(self):
        staged, there = self.ws.path("incoming/targets", BUNDLE), self.ws.path("elsewhere")
        os.rename(staged, there)
        with Watch(self.ws) as watch:
            watch.wait_for("its content is not there; put it into")
            os.rename(there, staged)
            watch.wait_for("published releases")
            self.assertEqual(watch.said().count("problem: "), 1)

    def test_what_the_server_lost_comes_back_within_the_hour(self):
        self.push()
        self.watch()
        self.watch()
        count = len(self.pushes())
        shutil.rmtree(self.ws.path("served"))
        self.watch()
        self.assertEqual(len(self.pushes()), count)
        self.ws.clock_s = 3700
        self.watch()
        self.assertEqual(len(self.pushes()), count + 1)
        self.assertTrue(self.served())


if __name__ == "__main__":
    unittest.main()
