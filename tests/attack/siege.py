"""One workspace, one web server and one box for all tests of a module, put back before each."""
import copy
import filecmp
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

from fleet import Box, Nginx, Workspace, free_port, make_image, wait_until
from fleet.key import Key
from forge import DELEGATED, Bundle, Forger

WAIT_S = 40
OLD, NEW = "1.0.0", "2.0.0"
INDEX = 5  # the rollback index of what is released here, and so the floor of the box
EVIL = "bundles/evil-9.0.0.ota"
GROUND = {"ceremony", "make_box", "roll_out"}  # what makes one fleet another
KEPT = ("site", "incoming", "manifests", "boxes", "keys")


class Siege(unittest.TestCase):
    """The box runs 1.0.0 with floor 5; 2.0.0 is rolled out to it with its gate open, and it has
    seen that and done nothing yet. All is signed as it should be, until a test has its way."""
    SIZE = 1 << 20

    @classmethod
    def setUpClass(cls):
        """Made once for all classes of a module whose fleet is the same."""
        ground = next(c for c in cls.__mro__ if GROUND & set(c.__dict__))
        if ground.__dict__.get("module") != cls.__module__:
            ground.make()
            ground.module = cls.__module__
            unittest.addModuleCleanup(ground.put_away)

    @classmethod
    def make(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-attack-")
        cls.workspace = Workspace(os.path.join(cls.folder, "fleet"), free_port()).init()
        cls.ceremony()
        cls.nginx = Nginx(cls.workspace).start()
        cls.images, cls.bundles = {}, {}
        for version in (OLD, NEW):
            cls.pack(version)
        cls.box = cls.make_box()
        cls.box.factory_install(cls.bundles[OLD])
        cls.roll_out()
        cls.keep()

    @classmethod
    def put_away(cls):
        cls.nginx.stop()
        shutil.rmtree(cls.folder, ignore_errors=True)
        cls.module = None

    @classmethod
    def ceremony(cls):
        cls.workspace.ceremony()

    @classmethod
    def pack(cls, version, size=None, **settings):
        image = os.path.join(cls.folder, f"{version}.img")
        cls.images[version] = make_image(image, version, size or cls.SIZE)
        cls.bundles[version] = cls.workspace.pack(
            version, image, **{"rollback_index": INDEX, **settings})
        return cls.bundles[version]

    @classmethod
    def make_box(cls):
        return Box(cls.workspace, "gw-000001", cls.images[OLD])

    @classmethod
    def roll_out(cls):
        cls.workspace.release(cls.bundles[OLD])
        cls.workspace.roll_out(cls.bundles[NEW], [("all", "100%")])

    @classmethod
    def keep(cls):
        cls.box.agent("check")
        for name in KEPT:
            shutil.copytree(cls.workspace.path(name), os.path.join(cls.folder, "kept", name),
                            symlinks=True)

    def kept(self, *parts):
        return os.path.join(self.folder, "kept", *parts)

    def put_back(self, *names):
        for name in names:
            shutil.rmtree(self.workspace.path(name))
            shutil.copytree(self.kept(name), self.workspace.path(name), symlinks=True)

    def setUp(self):
        self.put_back(*KEPT)
        for path in glob.glob(self.workspace.path("spool", "*")):
            os.unlink(path)
        self.forger = Forger(self.workspace)
        self.pristine = copy.deepcopy(self.forger.docs)
        self.release_key = self.forger.keys["releases"]
        self.agent = None
        self.addCleanup(self.end_agent)
        self.rest = self.box.slot_digests(), self.box.env(), self.state_files()

    def stranger(self):
        """A key that nobody ever gave a right."""
        return Key(self.workspace.new_key("stranger"))

    def new_bundle(self, version=NEW):
        return Bundle(self.bundles[version])

    def bytes_of(self, version=NEW):
        with open(self.bundles[version], "rb") as f:
            return f.read()

    # The agent, for as long as a test wants it.

    def start_agent(self):
        if self.agent is None:
            with open(self.box.path("agent.log"), "ab") as log:
                self.agent = subprocess.Popen(self.box.agent_argv("run"), cwd=self.box.dir,
                                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end_agent(self):
        if self.agent is not None:
            self.agent.terminate()
            self.agent.wait(30)
            self.agent = None

    def wait_for_report(self, wanted, what):
        """The first report that wanted(report) is true of."""
        def came():
            if self.agent.poll() is not None:
                raise RuntimeError(f"the agent ended: {self.box.log()[-2000:]}")
            return next(filter(wanted, self.workspace.reports(self.box.name)), None)

        return wait_until(came, WAIT_S, lambda: f"{what}\n{self.box.log()[-3000:]}")

    # What has to be so.

    def state_files(self):
        """Names of all that the agent keeps, its spool and lock aside."""
        top = self.box.path("state")
        return sorted(os.path.relpath(os.path.join(folder, name), top)
                      for folder, _, names in os.walk(top) for name in names
                      if not folder.endswith("spool") and "lock" not in name)

    def assert_untouched(self, other_side=True):
        """Slots and boot environment are to the byte what they were. Without the other side: it
        may hold anything, and does not boot."""
        slots, env, _ = self.rest
        running, other = env["booted"], "B" if env["booted"] == "A" else "A"
        now = self.box.slot_digests()
        self.assertEqual(now[running], slots[running])
        if other_side:
            self.assertEqual((now, self.box.env()), (slots, env))
        else:
            self.assertEqual(self.box.env(), {**env, f"{other.lower()}_bootable": "no",
                                              f"{other.lower()}_confirmed": "no"})
        self.assertFalse(os.path.exists(self.box.path("reboot-requested")))
        if self.agent is None:
            self.assertIsNone(self.box.status()["pending"])

    def assert_keeps(self, *roles):
        """These roles' metadata in the box's store is to the byte what it was at rest."""
        for role in roles:
            name = os.path.join("state", "metadata", role + ".json")
            kept = self.kept("boxes", self.box.name, name)
            self.assertEqual(os.path.exists(kept), os.path.exists(self.box.path(name)), role)
            if os.path.exists(kept):
                self.assertTrue(filecmp.cmp(kept, self.box.path(name), shallow=False), role)

    def check(self, status=0):
        done = self.box.agent("check", check=status)
        return done.stdout + done.stderr

    def assert_refused(self, why, *roles):
        """A poll fails for this reason, and leaves these roles' metadata and the slots alone."""
        self.assertRegex(self.check(1), why)
        self.assert_keeps(*roles)
        self.assert_untouched()

    def assert_decides(self, why):
        """A poll succeeds, decides that, and nothing happens."""
        self.assertRegex(self.check(), why)
        self.assert_untouched()

    # The honest release afterwards.

    def assert_updates(self):
        """The box takes the honest release: wholly where its agent runs, else it decides to."""
        if self.agent:
            self.assert_installs()
        else:
            self.assertRegex(self.check(), "^update: gateway 2.0.0 by gateway-2.0.0, wave all")

    def assert_recovers(self):
        """The site is what it was before the attack, and so is the box."""
        self.put_back("site")
        self.assert_updates()

    def assert_installs(self):
        """What is served now is installed, whole, and boots next."""
        self.start_agent()
        wait_until(lambda: os.path.exists(self.box.path("reboot-requested")), WAIT_S,
                   lambda: f"2.0.0 is installed\n{self.box.log()[-3000:]}")
        other = self.box.other_side()
        self.assertTrue(self.box.holds(other, self.images[NEW]))
        self.assertEqual(self.box.env()["primary"], other)
        self.assertEqual(self.box.env()[f"{other.lower()}_bootable"], "yes")
        self.end_agent()

    def mended(self, *roles):
        """What these roles said before the attack, with versions behind whatever is served now."""
        for role in roles or ("targets", *DELEGATED):
            signed = copy.deepcopy(self.pristine[role])
            signed["version"] = max(signed["version"], self.forger.docs[role]["version"]) + 1
            yield signed

    def assert_mends(self):
        """The publisher publishes everything as it was before the attack, over what came then."""
        for role in ("snapshot", "timestamp"):
            self.forger.docs[role]["expires"] = self.pristine[role]["expires"]
        self.forger.publish(*self.mended())
        self.assert_updates()

    # Bundles that somebody with the right keys has signed.

    def refuse_from_stick(self, data, why, other_side=True):
        path = os.path.join(self.folder, "stick.ota")
        with open(path, "wb") as f:
            f.write(data)
        done = self.box.agent("install", path, "--no-reboot", "--metadata",
                              self.kept("site", "metadata"), check=1)
        self.assertRegex(done.stderr, why)
        self.assert_untouched(other_side)
        self.assertEqual(self.state_files(), self.rest[2])

    def refuse_over_https(self, data, why, kind, other_side=True, path=EVIL, **custom):
        self.forger.roll_out(data, path, **custom)
        self.start_agent()
        report = self.wait_for_report(lambda r: r["outcome"] == "failed", f"failed: {why}")
        self.assertRegex(report["detail"], why)
        self.assertRegex(report["class"], f"^({kind})$")
        self.assert_untouched(other_side)

    def assert_harmless(self, data, why, kind, other_side=True):
        """Refused from a stick and over HTTPS for the same reason, and nothing is left of it."""
        self.refuse_from_stick(data, why, other_side)
        self.refuse_over_https(data, why, kind, other_side)
        self.assert_mends()
