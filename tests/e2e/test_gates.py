"""Gates that are paused, and several people at one gate at the same time."""
import fcntl
import glob
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

from fleet import Workspace, make_image, wait_until

WAVES = (("canary", ["gw-1"]), ("early", 5), ("everyone", 100))


def setUpModule():
    """One workspace with a published plan, copied for each test."""
    global base, made
    base = tempfile.mkdtemp(prefix="sluice-gates-")
    made = Workspace(os.path.join(base, "made"), 8443).init().ceremony()
    image = make_image(os.path.join(base, "image"), "1", size=1 << 18)
    made.roll_out(made.pack("1.0", image), WAVES, open_waves=["canary"])


def tearDownModule():
    shutil.rmtree(base)


class Gates(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(dir=base)
        shutil.copytree(made.dir, folder, dirs_exist_ok=True)
        self.ws = Workspace(folder, 8443)

    def gate(self, name="stable"):
        return self.ws.target(f"gates/{name}.json")

    def pause(self, verb, name, **kwargs):
        return self.ws.sluice("gate", verb, name, "--key", self.ws.key("gates"), **kwargs)

    def signs_after(self, *args):
        return ("--key", self.ws.path("keys", "gates.pub"), "--sign-with",
                self.ws.device("gates", *args))

    def test_a_plan_is_paused_and_goes_on_as_open_as_it_was(self):
        self.assertIn("paused", self.pause("pause", "stable").stdout)
        self.assertTrue(self.gate()["paused"])
        self.assertEqual(self.gate()["open"], ["canary"])
        self.assertFalse(self.gate("all")["paused"])
        self.assertIn("paused", self.ws.sluice("gate", "show", "stable").stdout)
        self.assertIn("paused already", self.pause("pause", "stable", check=1).stderr)
        self.pause("unpause", "stable")
        self.assertFalse(self.gate()["paused"])
        self.assertEqual(self.gate()["open"], ["canary"])
        self.assertIn("not paused", self.pause("unpause", "stable", check=1).stderr)

    def test_all_plans_are_paused_at_once(self):
        self.pause("pause", "all")
        self.assertTrue(self.gate("all")["paused"])
        self.assertFalse(self.gate()["paused"])
        self.pause("unpause", "all")
        self.assertFalse(self.gate("all")["paused"])

    def test_a_wave_that_opens_under_a_halt_of_every_box_says_so(self):
        self.pause("pause", "all")
        self.pause("pause", "stable")
        stop = self.ws.stop()
        said = self.ws.open_gate("early").stdout
        self.assertIn("but every box is stopped (", said)
        self.assertIn(f"`sluice resume {stop}`", said)
        self.assertIn("but every box is paused: no box starts before `sluice gate unpause all`",
                      said)
        self.assertIn("but it is paused: no box starts before `sluice gate unpause stable`", said)
        self.ws.resume(stop)
        self.pause("unpause", "all")
        self.pause("unpause", "stable")
        self.assertNotIn("but ", self.ws.open_gate("everyone").stdout)

    def test_a_stop_that_is_lifted_already_is_not_lifted_again(self):
        stop = self.ws.stop("stable")
        args = ("resume", stop, "--key", self.ws.key("rollouts"), "--yes")
        self.ws.sluice(*args, "--no-publish")
        # Only what is published lifts it.
        self.assertIn("lifts stop", self.ws.sluice(*args).stdout)
        before = [self.ws.metadata(r)["signed"]["version"] for r in ("rollouts", "timestamp")]
        self.assertIn(f"stop {stop} of rollouts/stable.json is lifted already",
                      self.ws.sluice(*args).stdout)
        self.assertEqual([self.ws.metadata(r)["signed"]["version"]
                          for r in ("rollouts", "timestamp")], before)
        self.assertEqual(os.listdir(self.ws.path("incoming")).count("rollouts.json"), 0)

    def test_a_plan_is_paused_before_any_wave_is_open(self):
        self.ws.publish_plan(self.ws.plan("gateway-1.0.ota", WAVES, name="other"))
        self.pause("pause", "other")
        self.assertEqual((self.gate("other")["paused"], self.gate("other")["open"]), (True, []))
        self.assertIn("no plan nothing", self.pause("pause", "nothing", check=2).stderr)

    def test_a_stop_that_is_signed_meanwhile_is_not_lost_to_a_wave_that_opens(self):
        for publishes in ([], ["--no-publish"]):
            with self.subTest(publishes=publishes):
                self.setUp()
                device = self.signs_after("stop", "stable", "--reason", "smoke", "--key",
                                          self.ws.key("gates"), "--yes", *publishes)
                done = self.ws.sluice("gate", "open", "stable", "early", *device, check=1)
                self.assertIn("somebody else has just signed", done.stderr)
                self.ws.publish()
                self.assertEqual([s["reason"] for s in self.gate()["stops"]], ["smoke"])
                self.assertEqual(self.gate()["open"], ["canary"])

    def test_a_stop_goes_out_whoever_opens_a_wave_meanwhile(self):
        device = self.signs_after("gate", "open", "stable", "early", "--key",
                                  self.ws.key("gates"))
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", *device)
        self.assertEqual([s["reason"] for s in self.gate()["stops"]], ["smoke"])
        self.assertEqual(self.gate()["open"], ["canary", "early"])

    def blocked(self, script):
        """A publisher whose push does `script`, as a process that holds as long as `slow` is there
        in the workspace; `begun` is there then."""
        with open(self.ws.path("push"), "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\ncat > /dev/null\ncd {self.ws.dir}\n{script}\n")
        os.chmod(f.name, 0o755)
        self.ws.set(push=f.name)
        return self.publisher()

    def publisher(self):
        process = subprocess.Popen([self.ws.programs.sluice, "publish", "-w", self.ws.dir],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_a_stop_that_is_signed_while_its_gates_are_pushed_follows_them(self):
        for publishes in ([], ["--no-publish"]):
            with self.subTest(publishes=publishes):
                self.setUp()
                self.ws.sluice("gate", "open", "stable", "early", "--key", self.ws.key("gates"),
                               "--no-publish")
                slow = self.ws.path("slow")
                with open(slow, "w", encoding="ascii"):
                    pass
                publisher = self.blocked("touch begun\nwhile [ -e slow ]; do sleep 0.05; done")
                wait_until(lambda: os.path.exists(self.ws.path("begun")), 20, "it is pushed")
                goes_on = threading.Timer(1, os.unlink, [slow])
                goes_on.start()
                self.addCleanup(goes_on.join)
                self.ws.sluice("stop", "stable", "--reason", "smoke", "--key",
                               self.ws.key("gates"), "--yes", *publishes)
                publisher.wait(30)
                self.assertEqual(publisher.returncode, 0)
                self.ws.publish()
                self.assertEqual([s["reason"] for s in self.gate()["stops"]], ["smoke"])
                self.assertEqual(self.gate()["open"], ["canary", "early"])
                self.assertEqual(glob.glob(self.ws.path("incoming", "*.json")), [])

    def test_a_stop_that_comes_while_gates_are_judged_is_published_with_them(self):
        def sign(*args):
            self.ws.sluice(*args, "--key", self.ws.key("gates"), "--no-publish")
            os.replace(self.ws.path("incoming", "gates.json"), self.ws.path(args[0]))

        sign("stop", "stable", "--reason", "smoke", "--yes")
        sign("gate", "open", "stable", "early")
        os.rename(self.ws.path("gate"), self.ws.path("incoming", "gates.json"))
        with open(self.ws.path("incoming.lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            publisher = self.publisher()
            self.assertIn("another command that signs", publisher.stderr.readline())
            os.rename(self.ws.path("stop"), self.ws.path("incoming", "gates.json"))
        publisher.wait(30)
        self.assertEqual([s["reason"] for s in self.gate()["stops"]], ["smoke"])

    def test_a_stop_that_was_replaced_before_it_was_published_is_no_success(self):
        """By who copies a file into incoming/, which takes no lock."""
        self.ws.sluice("gate", "open", "stable", "early", "--key", self.ws.key("gates"),
                       "--no-publish")
        os.rename(self.ws.path("incoming", "gates.json"), self.ws.path("opened"))
        with open(self.ws.path("publisher.lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stop = subprocess.Popen(
                [self.ws.programs.sluice, "stop", "stable", "--reason", "smoke", "--yes", "--key",
                 self.ws.key("gates"), "-w", self.ws.dir], stderr=subprocess.PIPE, text=True,
                stdout=subprocess.DEVNULL)
            self.assertIn("another sluice publisher", stop.stderr.readline())
            os.rename(self.ws.path("opened"), self.ws.path("incoming", "gates.json"))
        _, said = stop.communicate(timeout=30)
        self.assertEqual(stop.returncode, 1)
        self.assertIn("is NOT in force", said)
        self.assertEqual(self.gate()["stops"], [])

    def test_who_fails_to_sign_takes_nothing_from_a_stop(self):
        """Both change the same gate; the second gives up where its content lies there already."""
        device = self.ws.device("gates", "gate", "open", "stable", "early", "--key",
                                self.ws.path("keys", "gates.pub"), "--sign-with", "false",
                                status=1)
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--key",
                       self.ws.path("keys", "gates.pub"), "--sign-with", device)
        self.assertEqual([s["reason"] for s in self.gate()["stops"]], ["smoke"])
        self.assertEqual(self.gate()["open"], ["canary"])


if __name__ == "__main__":
    unittest.main()
