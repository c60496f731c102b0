"""A large bundle on its way to the server holds up nothing else, and nothing is announced before
all of it is there."""
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from fleet.process import wait_until
from publishing import SLUICE, Reader, Workspace

# Copies what it is told to, and nothing else. A bundle takes as long as the file `slow` is there.
# Whatever timestamp it is given, all that this leads to is served by then, but for bundles that the
# server has `lost`.
PUSH = '''import hashlib, json, os, shutil, sys, time

def load(name, meta=None):
    with open(os.path.join("served/metadata", name), "rb") as f:
        raw = f.read()
    assert not meta or hashlib.sha256(raw).hexdigest() == meta["hashes"]["sha256"], name
    return json.loads(raw)["signed"]

def check():
    meta = load("timestamp.json")["meta"]["snapshot.json"]
    snapshot = load(str(meta["version"]) + ".snapshot.json", meta)
    for name, meta in snapshot["meta"].items():
        for path, entry in load(str(meta["version"]) + "." + name, meta)["targets"].items():
            folder, file = os.path.split(path)
            if os.path.exists("lost") and path.endswith(".ota"):
                continue
            with open("served/targets/%s/%s.%s" % (
                    folder, entry["hashes"]["sha256"], file), "rb") as f:
                assert len(f.read()) == entry["length"], path

names = sys.stdin.read().split()
for name in names:
    to = os.path.join("served", name)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    if name.endswith(".ota") and not os.path.exists(to):
        open("begun", "w").close()
        while os.path.exists("slow"):
            time.sleep(0.02)
    shutil.copyfile(os.path.join("site", name), to + ".new")
    os.rename(to + ".new", to)
with open("pushed", "a") as f:
    print(sys.argv[1], *names, file=f)
if sys.argv[1] == "timestamp":
    check()
'''
BULK = 2 << 20


class Lanes(Workspace):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("tools"))
        with open(self.path("tools/push.py"), "w", encoding="utf-8") as f:
            f.write(PUSH)
        self.root_init()
        self.role_add("releases")
        self.role_add("gates", member="other")
        self.set_push("/usr/bin/python3 -S tools/push.py")
        self.sluice("publish")

    def served(self):
        return Reader(self.path("served")).walk()

    def stage(self, content, path="bundles/x-1.ota", version=1):
        staged = self.path("incoming/targets", path)
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        with open(staged, "wb") as f:
            f.write(content)
        signed = {"_type": "targets", "spec_version": "1.0.34", "version": version,
                  "expires": "2099-01-01T00:00:00Z",
                  "targets": {path: {"length": len(content), "hashes": {
                      "sha256": hashlib.sha256(content).hexdigest()}}}}
        self.drop_in("releases", signed, "releases")

    def touch(self, name):
        with open(self.path(name), "w", encoding="ascii"):
            pass

    def pushes(self):
        with open(self.path("pushed"), encoding="ascii") as f:
            return [line.split() for line in f]

    def break_bundles(self):
        with open(self.path("tools/push.py"), encoding="utf-8") as f:
            script = f.read()
        with open(self.path("tools/push.py"), "w", encoding="utf-8") as f:
            f.write(script.replace("names = sys.stdin.read().split()\n",
                                   "names = sys.stdin.read().split()\n"
                                   "if len(names) == 1 and 'ota' in names[0]: sys.exit(3)\n"))

    def publisher(self):
        process = subprocess.Popen([SLUICE, "publish", "-w", self.dir], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.addCleanup(self.end, process)
        return process

    def begin(self):
        """A publisher that is in the middle of pushing a bundle."""
        self.touch("slow")
        self.stage(os.urandom(BULK))
        process = self.publisher()
        wait_until(lambda: os.path.exists(self.path("begun")), 20, "the bundle is being pushed")
        return process

    def end(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()

    def go_on(self, process):
        os.unlink(self.path("slow"))
        said, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, said)
        return said

    def stop(self):
        return self.sluice("stop", "--all", "--reason", "smoke", "--key", self.key("other"),
                           "--yes")

    def stops(self):
        gates = self.served().get("gates", {"targets": {}})
        return sorted(gates["targets"])

    def test_a_stop_goes_out_while_a_bundle_is_being_pushed(self):
        publisher = self.begin()
        began = time.monotonic()
        done = self.stop()
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.stops(), ["gates/all.json"])
        self.assertNotIn("releases", self.served())
        self.assertIn("releases waits", done.stderr)
        self.assertIsNone(publisher.poll())
        self.go_on(publisher)
        self.assertEqual(list(self.served()["releases"]["targets"]), ["bundles/x-1.ota"])
        self.assertEqual(self.stops(), ["gates/all.json"])
        self.assertEqual(self.incoming(), [])

    def test_the_timestamp_stays_fresh_while_a_bundle_is_being_pushed(self):
        publisher = self.begin()
        before = self.served()["timestamp"]["version"]
        done = self.sluice("publish")
        self.assertIn("copying large files", done.stderr)
        self.assertEqual(self.served()["timestamp"]["version"], before + 1)
        self.assertNotIn("releases", self.served())
        self.go_on(publisher)
        self.assertIn("releases", self.served())

    def test_a_bundle_whose_publisher_died_is_published_by_the_next(self):
        publisher = self.begin()
        self.end(publisher)
        os.unlink(self.path("slow"))
        self.stop()
        self.assertNotIn("releases", self.served())
        self.sluice("publish")
        self.assertIn("releases", self.served())
        self.assertEqual(self.incoming(), [])

    def test_who_signed_a_release_waits_for_the_bundles_before(self):
        """Two release engineers at once: both bundles are out when both commands have ended."""
        publisher = self.begin()
        first, = os.listdir(self.path("incoming/targets/bundles"))
        with open(self.path("incoming/releases.json"), encoding="utf-8") as f:
            signed = json.load(f)["signed"]
        content = os.urandom(BULK)
        with open(self.path("incoming/targets/bundles/y-1.ota"), "wb") as f:
            f.write(content)
        signed["targets"]["bundles/y-1.ota"] = {
            "length": BULK, "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}
        self.drop_in("releases", signed, "releases")
        self.go_on(publisher)
        self.assertEqual(sorted(self.served()["releases"]["targets"]),
                         ["bundles/x-1.ota", "bundles/y-1.ota"])
        self.assertEqual(first, "x-1.ota")

    def test_large_content_that_is_not_as_signed_is_refused_once(self):
        self.stage(os.urandom(BULK))
        with open(self.path("incoming/targets/bundles/x-1.ota"), "wb") as f:
            f.write(os.urandom(BULK))
        self.stop()
        done = self.sluice("publish", code=1)
        self.assertIn("not what was signed", done.stderr)
        self.assertNotIn("releases", self.served())
        self.assertEqual(self.incoming(), ["releases.json"])

    def test_a_bundle_is_pushed_before_anything_lists_it(self):
        self.stage(os.urandom(BULK))
        self.sluice("publish")
        lines = self.pushes()
        bundle = next(i for i, line in enumerate(lines) if any(n.endswith(".ota") for n in line))
        listed = next(i for i, line in enumerate(lines) if "metadata/1.releases.json" in line)
        self.assertLess(bundle, listed)
        self.assertEqual(lines[bundle][0], "immutable")
        self.assertEqual(len(lines[bundle]), 2)
        self.assertEqual(lines[-1], ["timestamp", "metadata/timestamp.json"])

    def stage_on_top(self):
        """Large content that the top-level role lists."""
        content = os.urandom(BULK)
        signed = self.walk()["targets"]
        signed["version"] += 1
        signed["targets"] = {"large.ota": {"length": BULK, "hashes": {
            "sha256": hashlib.sha256(content).hexdigest()}}}
        os.makedirs(self.path("incoming/targets"), exist_ok=True)
        with open(self.path("incoming/targets/large.ota"), "wb") as f:
            f.write(content)
        return signed

    def bundle_pushes(self):
        """How many files each push had that brought a bundle."""
        return [len(names) for _, *names in self.pushes() if any(n.endswith(".ota") for n in names)]

    def test_large_content_of_the_top_level_role_holds_up_no_stop(self):
        self.drop_in("targets", self.stage_on_top(), "targets")
        self.touch("slow")
        process = self.publisher()
        wait_until(lambda: os.path.exists(self.path("begun")), 20, "the bundle is being pushed")
        began = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.stops(), ["gates/all.json"])
        self.assertEqual(self.served()["targets"]["targets"], {})
        self.go_on(process)
        self.assertEqual(list(self.served()["targets"]["targets"]), ["large.ota"])
        # It is there, and no stop copies it once more.
        self.stop()
        self.assertEqual(self.bundle_pushes(), [1])
        self.assertEqual(self.incoming(), [])

    def test_large_content_of_new_targets_keys_goes_with_their_root(self):
        targets, root = self.stage_on_top(), self.walk()["root"]
        (old,), (new, _) = root["roles"]["targets"]["keyids"], self.secret("other")
        root["version"] += 1
        root["keys"].pop(old)
        root["keys"][new] = targets["delegations"]["keys"][new]
        root["roles"]["targets"]["keyids"] = [new]
        self.drop_in("root", root, "root1", "root2")
        self.drop_in("targets", targets, "other")
        self.sluice("publish")
        self.assertEqual(list(self.served()["targets"]["targets"]), ["large.ota"])
        self.assertGreater(self.bundle_pushes()[0], 1)

    def lose(self):
        """All that is served, once a bundle is."""
        self.stage(os.urandom(BULK))
        self.sluice("publish")
        shutil.rmtree(self.path("served"))
        os.unlink(self.path("begun"))
        self.touch("lost")

    def test_a_server_that_lost_files_gets_them_again(self):
        self.lose()
        before = len(self.pushes())
        self.sluice("publish")
        self.assertEqual(self.served()["releases"]["version"], 1)
        # Bundles by themselves, behind all that a stop needs.
        self.assertEqual([(word, any(n.endswith(".ota") for n in names))
                          for word, *names in self.pushes()[before:]],
                         [("immutable", False), ("timestamp", False), ("immutable", True)])

    def test_a_stop_waits_for_nothing_that_the_server_lost(self):
        self.lose()
        self.touch("slow")
        began = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - began, 10)
        with open(self.path("served/metadata/1.gates.json"), encoding="utf-8") as f:
            self.assertEqual(list(json.load(f)["signed"]["targets"]), ["gates/all.json"])
        publisher = self.publisher()
        wait_until(lambda: os.path.exists(self.path("begun")), 20, "the bundle is being pushed")
        began = time.monotonic()
        self.sluice("stop", "--all", "--reason", "fire", "--key", self.key("other"), "--yes")
        self.assertLess(time.monotonic() - began, 10)
        self.assertTrue(os.path.exists(self.path("served/metadata/2.gates.json")))
        self.go_on(publisher)
        self.assertEqual(self.stops(), ["gates/all.json"])

    def test_what_the_server_lost_and_cannot_take_is_told_when_all_else_is_there(self):
        self.lose()
        self.break_bundles()
        done = self.sluice("publish", code=1)
        self.assertIn("large content may be missing where it is served", done.stderr)
        self.assertTrue(os.path.exists(self.path("served/metadata/timestamp.json")))

    def test_a_push_that_fails_in_the_lane_of_bundles_leaves_the_rest_published(self):
        self.stage(os.urandom(BULK))
        self.break_bundles()
        before = self.served()["timestamp"]["version"]
        done = self.sluice("publish", code=1)
        self.assertIn("large content did not get", done.stderr)
        self.assertEqual(self.served()["timestamp"]["version"], before + 1)
        self.assertNotIn("releases", self.served())

    def test_what_a_failed_push_has_brought_there_gets_no_other_content(self):
        """A push may pass over what is there. So a stop on top of one that was served in part, and
        that nothing leads to, is of another name."""
        with open(self.path("tools/push.py"), encoding="utf-8") as f:
            script = f.read()
        script = script.replace("    shutil.copyfile(", "    if os.path.exists(to) and 'timestamp' "
                                "not in name: continue\n    shutil.copyfile(")
        with open(self.path("tools/push.py"), "w", encoding="utf-8") as f:
            f.write(script + "sys.exit(1)\n")
        self.sluice("stop", "--all", "--reason", "smoke", "--key", self.key("other"), "--yes",
                    code=1)
        with open(self.path("tools/push.py"), "w", encoding="utf-8") as f:
            f.write(script)
        self.sluice("stop", "--all", "--reason", "fire", "--key", self.key("other"), "--yes")
        self.assertEqual(self.stops(), ["gates/all.json"])
        self.assertEqual(self.served()["gates"]["version"], 2)

    def test_without_a_push_a_bundle_that_is_being_copied_holds_up_no_stop(self):
        with open(self.path("workspace.yaml"), encoding="utf-8") as f:
            settings = f.read()
        with open(self.path("workspace.yaml"), "w", encoding="utf-8") as f:
            f.write("".join(line for line in settings.splitlines(True)
                            if not line.startswith("push:")))
        self.stage(os.urandom(BULK))
        with open(self.path("bulk.lock"), "w", encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.stop()
            self.assertIn("gates", self.walk())
            self.assertNotIn("releases", self.walk())
        self.sluice("publish")
        self.assertIn("releases", self.walk())


if __name__ == "__main__":
    unittest.main()
