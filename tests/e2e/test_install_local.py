"""`sluice-agent install FILE` and what follows: reboot, confirm, fall-back, rollback.

The bundles come from `sluice pack` and `sign`, the trust from `sluice root` and `role`;
tests/tools/power.c plays the bootloader."""
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

BUILD = os.path.abspath(os.environ.get("SLUICE_BUILD", "build/release"))
SLUICE = os.path.join(BUILD, "sluice")
AGENT = os.path.join(BUILD, "sluice-agent")
POWER = os.path.join(BUILD, "tests/tools/power")
SLOT_BYTES = 3 << 20
DEADLINE_S = 120
BOOT = ("primary=A\na_bootable=yes\na_confirmed=yes\na_tries=0\n"
        "b_bootable=no\nb_confirmed=no\nb_tries=0\nbooted=A\nboot_id=boot-0\n")


def image(seed, size=(1 << 20) + 4321):
    """Noise with a run of zeros in it, and a tail that stays the same."""
    noise = random.Random(seed)
    return noise.randbytes(size // 2) + bytes(196608) + random.Random(0).randbytes(size // 4)


class Factory:
    """A workspace with keys, roles and bundles: made once."""

    def __init__(self, top):
        self.dir = os.path.join(top, "workspace")
        self.run("init", self.dir)
        for name in ("root", "targets", "snapshot", "timestamp", "releases", "stranger"):
            self.run("key", "new", f"{self.dir}/keys/{name}", "--no-passphrase")
        self.ws("root", "init", "--root", self.key("root"), "--threshold", "1", "--targets",
                self.key("targets"), "--snapshot", self.key("snapshot"), "--timestamp",
                self.key("timestamp"))
        self.ws("role", "add", "releases", "--member", f"{self.dir}/keys/releases.pub",
                "--threshold", "1", "--paths", "bundles/*", "--key", self.key("targets"))
        self.metadata = f"{self.dir}/site/metadata"

    def run(self, *args):
        done = subprocess.run([SLUICE, *args], capture_output=True, text=True, timeout=DEADLINE_S,
                              stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"

    def ws(self, *args):
        self.run(*args, "-w", self.dir)

    def key(self, name):
        return f"{self.dir}/keys/{name}.key"

    def tree(self, name, files):
        top = os.path.join(self.dir, "trees", name)
        for path, content in files.items():
            os.makedirs(os.path.dirname(os.path.join(top, path)), exist_ok=True)
            with open(os.path.join(top, path), "w", encoding="utf-8") as f:
                f.write(content)
        return top

    def bundle(self, version, payloads, index=1, compatible="acme-gw3", key="releases"):
        """payloads: {slot: bytes of an image, or the folder of a tree}. Returns the file's path."""
        recipe = os.path.join(self.dir, f"{version}.yaml")
        lines = [f"name: gateway\nversion: {version}\nrollback_index: {index}\n"
                 f"compatible: [{compatible}]\npayloads:\n"]
        for slot, source in payloads.items():
            kind = "tree"
            if isinstance(source, bytes):
                kind = "image"
                with open(os.path.join(self.dir, f"{version}.{slot}.img"), "wb") as f:
                    f.write(source)
                source = f.name
            lines.append(f"  - {{name: {slot}, slot: {slot}, kind: {kind}, source: {source}}}\n")
        with open(recipe, "w", encoding="utf-8") as f:
            f.writelines(lines)
        out = os.path.join(self.dir, f"gateway-{version}.ota")
        self.run("pack", recipe, "-o", out)
        self.run("sign", out, "--key", self.key(key))
        return out


ROOTFS = "[slot rootfs]\ntype = file\na = {0}/rootfs.a\nb = {0}/rootfs.b\nread_only = yes\n"
APP = "[slot app]\ntype = dir\na = {0}/app.a\nb = {0}/app.b\n"
LINKED = ("[slot app]\ntype = dir\na = {0}/1/app\nb = {0}/2/app\ncurrent = {0}/now\n"
          "[slot web]\ntype = dir\na = {0}/1/web\nb = {0}/2/web\ncurrent = {0}/now\n")


class LocalInstall(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        top = tempfile.mkdtemp(prefix="sluice-local-")
        cls.addClassCleanup(shutil.rmtree, top)
        cls.top = top
        cls.factory = Factory(top)
        cls.v1 = cls.factory.bundle("1.0.0", {"rootfs": image(1)})
        cls.v2 = cls.factory.bundle("2.0.0", {"rootfs": image(2)}, index=2)

    def setUp(self):
        self.box = tempfile.mkdtemp(dir=self.top)
        self.make(ROOTFS)
        for side in "ab":
            with open(f"{self.box}/rootfs.{side}", "wb") as f:
                f.truncate(SLOT_BYTES)

    def make(self, slots, more=""):
        for folder in ("state/metadata", "health.d", "hooks/pre.d", "hooks/post.d", "inhibit.d"):
            os.makedirs(f"{self.box}/{folder}", mode=0o700, exist_ok=True)
        self.write("boot", BOOT)
        self.write("agent.conf", (
            "[box]\nid = gw-000001\ncompatible = acme-gw3\nstate_dir = {0}/state\n"
            "[boot]\nbackend = simulated\nfile = {0}/boot\nreboot = touch {0}/reboot-requested\n"
            "[health]\ndir = {0}/health.d\n[hooks]\ndir = {0}/hooks\n"
            "[inhibit]\ndir = {0}/inhibit.d\n" + slots + more).format(self.box))
        shutil.copy(f"{self.factory.metadata}/1.root.json", f"{self.box}/state/metadata/root.json")

    def write(self, name, text, mode=0o644):
        with open(f"{self.box}/{name}", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(f"{self.box}/{name}", mode)

    def agent(self, *args, code=0):
        done = subprocess.run([AGENT, "-c", f"{self.box}/agent.conf", *args], capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def install(self, bundle, *more, code=0):
        return self.agent("install", bundle, "--metadata", self.factory.metadata, *more, code=code)

    def power(self, *more, code=0):
        done = subprocess.run([POWER, "--dir", self.box, "--once", *more], capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def status(self):
        return json.loads(self.agent("status", "--json"))

    def boot(self):
        return json.loads(self.agent("boot", "show", "--json"))

    def slot(self, side, size):
        with open(f"{self.box}/rootfs.{side}", "rb") as f:
            return f.read(size)

    def update(self, bundle):
        self.install(bundle, "--no-reboot")
        self.power()
        self.agent("confirm")

    def assert_untouched(self):
        self.assertEqual(self.boot()["current"], "A")
        self.assertEqual(self.boot()["primary"], "A")
        self.assertIsNone(self.status()["pending"])
        self.assertEqual(self.slot("b", SLOT_BYTES), bytes(SLOT_BYTES))


class Walk(LocalInstall):
    def test_installed_rebooted_and_confirmed(self):
        said = self.install(self.v1)
        self.assertIn("rebooting into side B", said)
        self.assertTrue(os.path.exists(f"{self.box}/reboot-requested"))
        self.assertEqual(self.slot("b", len(image(1))), image(1))
        self.assertEqual(self.boot()["primary"], "B")
        self.assertEqual(self.boot()["sides"]["B"],
                         {"bootable": True, "confirmed": False, "tries_left": 3})
        self.assertEqual(self.status()["pending"]["phase"], "activated")
        self.assertIn("boot B", self.power())
        self.assertIn("is confirmed", self.agent("confirm"))
        status = self.status()
        self.assertIsNone(status["pending"])
        self.assertEqual(status["running"]["B"]["version"], "1.0.0")
        self.assertEqual(status["rollback_floor"], 1)
        self.assertTrue(status["boot"]["sides"]["B"]["confirmed"])
        self.assertIn("nothing waits", self.agent("confirm"))

    def test_started_with_its_descriptors_closed_it_writes_messages_into_no_file(self):
        self.write("hooks/pre.d/10-look", f"#!/bin/sh\nls -l /proc/$PPID/fd >{self.box}/fds\n",
                   0o755)
        argv = [AGENT, "-c", f"{self.box}/agent.conf", "install", self.v1, "--no-reboot",
                "--metadata", self.factory.metadata]
        subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *argv], check=True,
                       timeout=DEADLINE_S)
        with open(f"{self.box}/fds", encoding="utf-8") as f:
            opened = dict(re.findall(r" (\d+) -> (.*)$", f.read(), re.M))
        self.assertEqual([opened[n] for n in "012"], 3 * ["/dev/null"])

    def test_the_next_update_goes_to_the_first_side(self):
        self.update(self.v1)
        self.update(self.v2)
        self.assertEqual(self.boot()["current"], "A")
        self.assertEqual(self.slot("a", len(image(2))), image(2))
        self.assertEqual(self.slot("b", len(image(1))), image(1))
        self.assertEqual(self.status()["rollback_floor"], 2)

    def test_confirming_before_the_reboot_is_refused(self):
        self.install(self.v1, "--no-reboot")
        self.agent("confirm", code=1)
        self.assertFalse(os.path.exists(f"{self.box}/reboot-requested"))
        self.assertFalse(self.boot()["sides"]["B"]["confirmed"])

    def test_metadata_of_before_is_known_the_next_time(self):
        self.update(self.v1)
        self.agent("install", self.v2, "--no-reboot")

    def test_installing_again_writes_nothing(self):
        self.install(self.v1, "--no-reboot")
        said = self.install(self.v1, "--no-reboot")
        self.assertIn(" 0 bytes written", said.replace("0 B written", "0 bytes written"))

    def test_status_and_boot_are_told_in_words_too(self):
        self.install(self.v1, "--no-reboot")
        said = self.agent("status")
        self.assertIn("update under way: gateway 1.0.0 into side B, activated", said)
        self.assertIn("side B: on trial, 3 tries left, boots next", self.agent("boot", "show"))

    def test_wrong_usage_exits_2(self):
        for args in ((), ("fly",), ("install",), ("status", "--yaml"), ("boot",), ("confirm", "x")):
            self.agent(*args, code=2)
        self.write("agent.conf", "[box]\nid = x\nwings = 2\n")
        self.assertIn("agent.conf:3: ", self.agent("status", code=2))

    def test_every_help_fits_a_screen_and_has_an_example(self):
        for name in ("run", "check", "install", "status", "confirm", "rollback", "boot"):
            said = self.agent(name, "--help")
            self.assertLessEqual(len(said.splitlines()), 24)
            self.assertLessEqual(max(map(len, said.splitlines())), 80)
            self.assertIn("sluice-agent " + name, said.split("\n\n", 1)[1])
        self.assertLessEqual(max(map(len, self.agent("--help").splitlines())), 80)


class Refusals(LocalInstall):
    def refused(self, bundle, word, *more):
        said = self.install(bundle, *more, code=1)
        self.assertIn(word, said)
        self.assert_untouched()

    def test_a_bundle_by_another_key(self):
        bundle = self.factory.bundle("1.0.1", {"rootfs": image(1)}, key="stranger")
        self.refused(bundle, "0 of 1")

    def test_a_bundle_for_other_hardware(self):
        bundle = self.factory.bundle("1.0.2", {"rootfs": image(1)}, compatible="acme-gw4")
        self.refused(bundle, "not for acme-gw3")

    def test_a_lower_rollback_index(self):
        self.update(self.v2)
        said = self.install(self.v1, code=1)
        self.assertIn("rollback index 1", said)
        self.assertEqual(self.boot()["primary"], "B")
        self.assertTrue(self.boot()["sides"]["A"]["bootable"])

    def test_no_metadata(self):
        said = self.agent("install", self.v1, code=1)
        self.assertIn("--metadata DIR", said)
        self.assert_untouched()

    def test_metadata_by_a_stranger(self):
        with tempfile.TemporaryDirectory() as top:
            other = Factory(top)
            said = self.agent("install", self.v1, "--metadata", other.metadata, code=1)
            self.assertIn("targets.json", said)
        self.assert_untouched()

    def test_what_is_no_file_holds_up_nobody(self):
        """A pipe has no end, and whoever waits for it holds the box's lock meanwhile."""
        os.mkfifo(f"{self.box}/pipe.ota")
        self.refused(f"{self.box}/pipe.ota", "not a regular file")
        for name in ("1000.targets.json", "2.root.json"):
            with tempfile.TemporaryDirectory() as top:
                os.mkfifo(f"{top}/{name}")
                said = self.agent("install", self.v1, "--metadata", top, code=1)
            self.assertIn(f"{name} is not a regular file", said)
        self.assert_untouched()

    def test_a_truncated_bundle(self):
        with open(self.v1, "rb") as f:
            whole = f.read()
        for size in (0, 511, 3000, len(whole) // 2, len(whole) - 1):
            with open(f"{self.box}/cut.ota", "wb") as f:
                f.write(whole[:size])
            self.install(f"{self.box}/cut.ota", code=1)
            self.assert_untouched()

    def test_a_slot_that_is_too_small(self):
        os.truncate(f"{self.box}/rootfs.b", len(image(1)) - 1)
        said = self.install(self.v1, code=1)
        self.assertIn("slot rootfs B holds", said)
        self.assertEqual(self.boot()["primary"], "A")

    def test_hooks_that_say_no(self):
        for name, word in (("inhibit.d/10-charging", "battery is low"),
                           ("hooks/pre.d/10-data-base", "the data base is in use")):
            self.write(name, f"#!/bin/sh\necho {word}\nexit 1\n", 0o755)
            self.refused(self.v1, word)
            os.unlink(f"{self.box}/{name}")
        self.install(self.v1, "--no-reboot")

    def test_a_hook_after_writing_that_says_no(self):
        self.write("hooks/post.d/10", "#!/bin/sh\necho $SLUICE_STEP $SLUICE_VERSION $SLUICE_SLOT\n"
                                      "exit 1\n", 0o755)
        self.assertIn("post 1.0.0 B", self.install(self.v1, code=1))
        self.assertEqual(self.boot()["primary"], "A")
        self.assertFalse(self.boot()["sides"]["B"]["bootable"])
        self.assertIn("post 1.0.0 B", self.status()["last_result"])

    def test_a_corrupted_chunk(self):
        with open(self.v1, "rb") as f:
            data = bytearray(f.read())
        data[len(data) // 2] ^= 1
        with open(f"{self.box}/bad.ota", "wb") as f:
            f.write(data)
        said = self.install(f"{self.box}/bad.ota", code=1)
        self.assertIn("chunk at byte", said)
        self.assertEqual(self.boot()["primary"], "A")
        self.assertFalse(self.boot()["sides"]["B"]["bootable"])
        self.assertIsNone(self.status()["pending"])
        # What was right before it has stayed, and the good bundle goes on from there.
        self.assertIn("were in place", self.install(self.v1, "--no-reboot"))
        self.assertEqual(self.slot("b", len(image(1))), image(1))

    def test_another_agent_at_work(self):
        import fcntl
        with open(f"{self.box}/state/lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.refused(self.v1, "another sluice-agent")


class GoingBack(LocalInstall):
    def test_a_system_that_never_starts_falls_back(self):
        self.update(self.v1)
        self.install(self.v2, "--no-reboot")
        self.write("can-boot", "#!/bin/sh\ntest \"$1\" = B\n", 0o755)
        said = self.power("--can-boot", f"{self.box}/can-boot")
        self.assertEqual(said.count("failed boot A"), 3)
        self.assertIn("\nboot B", said)
        said = self.agent("confirm", code=1)
        self.assertIn("bootloader went back", said)
        status = self.status()
        self.assertIsNone(status["pending"])
        self.assertEqual(len(status["failed"]), 1)
        self.assertFalse(status["boot"]["sides"]["A"]["bootable"])
        self.assertEqual(status["rollback_floor"], 1)

    def test_an_unhealthy_system_is_not_confirmed_and_falls_back(self):
        self.update(self.v1)
        self.install(self.v2, "--no-reboot")
        self.write("health.d/10-web", "#!/bin/sh\necho no web server\nexit 1\n", 0o755)
        for _ in range(3):
            self.assertIn("boot A", self.power())
            self.assertIn("no web server", self.agent("confirm", code=1))
        self.assertIn("boot B", self.power())
        os.unlink(f"{self.box}/health.d/10-web")
        self.agent("confirm", code=1)
        self.assertEqual(self.status()["rollback_floor"], 1)
        self.assertEqual(len(self.status()["failed"]), 1)

    def test_a_running_slot_that_changed_is_not_confirmed(self):
        self.install(self.v1, "--no-reboot")
        self.power()
        with open(f"{self.box}/rootfs.b", "r+b") as f:
            f.seek(100000)
            f.write(b"!")
        self.assertIn("not what was signed", self.agent("confirm", code=1))
        self.assertFalse(self.boot()["sides"]["B"]["confirmed"])

    def test_rollback_before_the_reboot_cancels(self):
        self.install(self.v1, "--no-reboot")
        self.agent("rollback")
        self.assertEqual(self.boot()["primary"], "A")
        self.assertIsNone(self.status()["pending"])
        self.assertEqual([f["reason"] for f in self.status()["failed"]], ["rolled back by hand"])

    def test_rollback_of_an_unconfirmed_system(self):
        self.install(self.v1, "--no-reboot")
        self.power()
        self.agent("rollback")
        self.assertTrue(os.path.exists(f"{self.box}/reboot-requested"))
        self.assertEqual(self.boot()["primary"], "A")
        self.assertIn("boot A", self.power())
        self.assertIn("nothing that was confirmed", self.agent("rollback", code=1))
        self.assertEqual(len(self.status()["failed"]), 1)

    def test_rollback_to_a_confirmed_release(self):
        self.update(self.v1)
        same_index = self.factory.bundle("1.1.0", {"rootfs": image(3)})
        self.update(same_index)
        self.assertEqual(self.boot()["current"], "A")
        self.agent("rollback", "--no-reboot")
        self.assertIn("boot B", self.power())
        self.assertEqual(self.status()["running"]["B"]["version"], "1.0.0")

    def test_rollback_below_the_floor_is_refused(self):
        self.update(self.v1)
        self.update(self.v2)
        self.assertIn("takes 2 and above", self.agent("rollback", code=1))
        self.assertEqual(self.boot()["primary"], "A")


class Broken(LocalInstall):
    """A box that is not as it should be: each command says so, and changes nothing."""
    COMMANDS = (("check",), ("status",), ("confirm",), ("rollback",), ("boot", "show"))

    def kept(self):
        found = {}
        for top, _, names in os.walk(self.box):
            for name in names:
                with open(os.path.join(top, name), "rb") as f:
                    found[os.path.join(top, name)] = f.read()
        return found

    def assert_all_fail(self, word, code=1):
        before = self.kept()
        for args in self.COMMANDS + (("run",), ("install", self.v1)):
            with self.subTest(args):
                self.assertIn(word, self.agent(*args, code=code))
        self.assertEqual(self.kept(), before)

    def test_without_a_configuration(self):
        os.remove(f"{self.box}/agent.conf")
        self.assert_all_fail("-c FILE names another one")

    def test_with_a_state_that_is_damaged(self):
        self.install(self.v1, "--no-reboot")
        self.write("state/state.json", '{"format": 1')
        self.write("state/state.copy.json", '{"format": 1')
        self.assert_all_fail("what this box remembers is damaged")

    def test_a_state_that_is_damaged_is_made_up_for_by_its_copy(self):
        self.install(self.v1, "--no-reboot")
        with open(f"{self.box}/state/state.json", encoding="utf-8") as f:
            whole = f.read()
        self.write("state/state.json", '{"format": 1')
        self.assertIn("going on with", self.agent("status"))
        self.agent("rollback")
        with open(f"{self.box}/state/state.json", encoding="utf-8") as f:
            self.assertEqual(json.load(f)["rollback_floor"], json.loads(whole)["rollback_floor"])

    def test_without_a_trusted_root(self):
        os.remove(f"{self.box}/state/metadata/root.json")
        self.assertIn("this box trusts nobody yet", self.install(self.v1, code=1))
        self.assert_untouched()

    def test_looking_makes_no_state(self):
        shutil.rmtree(f"{self.box}/state")
        before = self.kept()
        self.agent("status")
        self.agent("boot", "show")
        self.assertEqual(self.kept(), before)
        self.assertFalse(os.path.exists(f"{self.box}/state"))

    def test_a_slot_that_is_not_there(self):
        os.remove(f"{self.box}/rootfs.b")
        said = self.install(self.v1, code=1)
        self.assertIn("rootfs", said)
        self.assertIn("No such file", said)
        self.assertEqual(self.boot()["primary"], "A")
        self.assertIsNone(self.status()["pending"])

    def full(self, room, *args):
        """A command that can write no file past `room` bytes: as on a disk that is full."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        done = subprocess.run([AGENT, "-c", f"{self.box}/agent.conf", *args], capture_output=True,
                              text=True, timeout=DEADLINE_S, check=False, preexec_fn=limit)
        self.assertEqual(done.returncode, 1, f"{args}: {done.stdout}{done.stderr}")
        self.assertIn("File too large", done.stderr)

    def test_nothing_is_changed_on_a_disk_that_is_full(self):
        self.update(self.v1)
        before = self.kept()
        self.full(0, "install", self.v2)
        self.assertEqual(self.kept(), before)
        self.install(self.v2, "--no-reboot")
        before = self.kept()
        self.full(0, "rollback")
        self.assertEqual(self.kept(), before)
        self.power()
        self.full(0, "confirm")
        self.assertFalse(self.boot()["sides"]["A"]["confirmed"])
        self.agent("confirm")
        self.assertEqual(self.status()["running"]["A"]["version"], "2.0.0")

    def test_a_disk_that_fills_up_half_way_leaves_the_running_side(self):
        self.update(self.v1)
        self.full(300_000, "install", self.v2)
        self.assertEqual(self.boot()["primary"], "B")
        self.assertFalse(self.boot()["sides"]["A"]["bootable"])
        self.assertIsNone(self.status()["pending"])
        self.assertIn("boot B", self.power())
        self.update(self.v2)
        self.assertEqual(self.status()["running"]["A"]["version"], "2.0.0")


class Interrupted(LocalInstall):
    def stop_after(self, number, seconds):
        agent = subprocess.Popen([AGENT, "-c", f"{self.box}/agent.conf", "install", self.v2,
                                  "--metadata", self.factory.metadata, "--no-reboot"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        agent.send_signal(number)
        agent.wait(timeout=DEADLINE_S)

    def test_a_killed_install_goes_on_from_where_it_was(self):
        self.update(self.v1)
        for number in (signal.SIGKILL, signal.SIGTERM):
            for step in range(8):
                self.stop_after(number, 0.004 * step)
                # Whatever it had come to, the old side boots or the new one is whole.
                self.power()
                if self.boot()["current"] == "A":
                    self.assertEqual(self.slot("a", len(image(2))), image(2))
                    self.agent("rollback", "--no-reboot")
                    self.power()
                self.assertEqual(self.boot()["current"], "B")
        self.install(self.v2, "--no-reboot")
        self.assertEqual(self.slot("a", len(image(2))), image(2))
        self.assertIn("boot A", self.power())
        self.agent("confirm")


class Several(LocalInstall):
    def test_an_image_and_a_tree_have_one_commit_point(self):
        self.make(ROOTFS + APP)
        tree = self.factory.tree("app-3", {"bin/run": "run 3", "etc/conf": "x = 3"})
        bundle = self.factory.bundle("3.0.0", {"rootfs": image(3), "app": tree})
        self.install(bundle, "--no-reboot")
        with open(f"{self.box}/app.b/bin/run", encoding="utf-8") as f:
            self.assertEqual(f.read(), "run 3")
        self.assertFalse(os.path.exists(f"{self.box}/app.a"))
        self.assertEqual(self.slot("b", len(image(3))), image(3))
        self.assertIn("boot B", self.power())
        self.agent("confirm")
        # The next one goes to side A, trees too, and leaves side B as it is.
        tree = self.factory.tree("app-4", {"bin/run": "run 4"})
        self.update(self.factory.bundle("4.0.0", {"rootfs": image(4), "app": tree}))
        self.assertTrue(os.path.exists(f"{self.box}/app.b/etc/conf"))
        self.assertEqual(os.listdir(f"{self.box}/app.a"), ["bin"])

    def test_a_bundle_that_leaves_a_slot_out_is_refused(self):
        self.make(ROOTFS + APP)
        self.assertIn("nothing for slot app", self.install(self.v1, code=1))
        self.assert_untouched()

    def test_trees_swap_by_one_rename_and_back(self):
        self.make(LINKED)
        os.makedirs(f"{self.box}/1/app")
        os.mkdir(f"{self.box}/2")
        os.symlink(f"{self.box}/1", f"{self.box}/now")
        app = self.factory.tree("app-5", {"run": "run 5"})
        web = self.factory.tree("web-5", {"index.html": "five"})
        self.install(self.factory.bundle("5.0.0", {"app": app, "web": web}))
        self.assertFalse(os.path.exists(f"{self.box}/reboot-requested"))
        self.assertTrue(os.path.exists(f"{self.box}/now/app/run"))
        self.assertTrue(os.path.exists(f"{self.box}/now/web/index.html"))
        self.agent("confirm")
        self.assertEqual(self.status()["linked"]["B"]["version"], "5.0.0")
        app = self.factory.tree("app-6", {"run": "run 6"})
        self.install(self.factory.bundle("6.0.0", {"app": app, "web": web}))
        self.write("health.d/10", "#!/bin/sh\nexit 1\n", 0o755)
        self.agent("confirm", code=1)
        self.agent("rollback")
        with open(f"{self.box}/now/app/run", encoding="utf-8") as f:
            self.assertEqual(f.read(), "run 5")

    def test_two_switches_in_one_bundle_are_refused(self):
        self.make(ROOTFS + "[slot app]\ntype = dir\na = {0}/1\nb = {0}/2\ncurrent = {0}/now\n")
        tree = self.factory.tree("app-7", {"run": "run 7"})
        bundle = self.factory.bundle("7.0.0", {"rootfs": image(3), "app": tree})
        self.assertIn("no one commit point", self.install(bundle, code=1))
        self.assert_untouched()


if __name__ == "__main__":
    unittest.main()
