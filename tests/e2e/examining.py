"""A workspace in order, for tests of `sluice doctor` to spoil."""
import json
import os
import shutil
import tempfile
import unittest

from fleet import Workspace, make_image

ROLES = ("releases", "rollouts", "gates")
PASSPHRASE = "correct horse"


def key_new(ws, name, *passphrase):
    ws.sluice("key", "new", ws.path("keys", name), *(passphrase or ("--no-passphrase",)))


def healthy(folder, base, asks):
    """Two of three root keys, all offline ones in a safe, and a second publisher's keys named."""
    ws = Workspace(folder, 8443).init()
    for name in ("root-1", "root-2", "root-3", "targets", "releases", "rollouts"):
        key_new(ws, name, *asks)
    for name in ("snapshot", "snapshot-b", "timestamp", "timestamp-b", "gates"):
        key_new(ws, name)
    ws.sluice("root", "init", "--root", ws.key("root-1"), "--root", ws.key("root-2"), "--root",
              ws.path("keys/root-3.pub"), "--threshold", 2, "--targets", ws.key("targets"),
              "--snapshot", ws.key("snapshot"), "--snapshot", ws.path("keys/snapshot-b.pub"),
              "--timestamp", ws.key("timestamp"), "--timestamp",
              ws.path("keys/timestamp-b.pub"), *asks)
    for role in ROLES:
        ws.sluice("role", "add", role, "--member", ws.path(f"keys/{role}.pub"), "--threshold", 1,
                  "--key", ws.key("targets"), *asks)
    image = make_image(os.path.join(base, "image"), "1", size=1 << 18)
    bundle = ws.pack("1.0", image, sign=False)
    ws.sluice("sign", bundle, "--key", ws.key("releases"), *asks)
    ws.sluice("release", bundle, "--key", ws.key("releases"), *asks)
    ws.sluice("rollout", "publish", ws.plan(bundle, (("canary", ["gw-1"]),)), "--key",
              ws.key("rollouts"), "--yes", *asks)
    ws.open_gate("canary")
    ws.sluice("box", "add", "gw-1")
    os.mkdir(os.path.join(base, "safe"))
    for name in ("root-1", "root-2", "root-3", "targets", "releases", "rollouts", "snapshot-b",
                 "timestamp-b"):
        os.rename(ws.key(name), os.path.join(base, "safe", name + ".key"))
    return ws


class Case(unittest.TestCase):
    """One workspace is made for a module; each test has a copy."""
    base = made = asks = None

    def setUp(self):
        folder = tempfile.mkdtemp(dir=self.base)
        shutil.copytree(self.made.dir, folder, dirs_exist_ok=True, copy_function=shutil.copy2)
        self.ws = Workspace(folder, 8443)

    def doctor(self, *args, check=0):
        return self.ws.sluice("doctor", *args, check=check)

    def report(self, *args, check=0):
        return json.loads(self.doctor("--json", *args, check=check).stdout)

    def problems(self, *args, check=0, level=None):
        return [p["what"] for p in self.report(*args, check=check)["problems"]
                if level in (None, p["level"])]

    def bad(self, *args):
        """What is so bad that doctor fails."""
        return self.problems(*args, check=1, level="bad")

    def from_safe(self, *names):
        for name in names:
            shutil.copy2(os.path.join(self.base, "safe", name + ".key"), self.ws.key(name))

    def replace(self, name, old, new):
        path = self.ws.path(name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))


def begin(passphrases=True):
    """setUpModule for who tests with Case. Without passphrases it is soon done; doctor warns."""
    Case.base = tempfile.mkdtemp(prefix="sluice-doctor-")
    with open(os.path.join(Case.base, "pass"), "w", encoding="ascii") as f:
        f.write(PASSPHRASE + "\n")
    Case.asks = ("--passphrase-file", f.name) if passphrases else ()
    Case.made = healthy(os.path.join(Case.base, "made"), Case.base, Case.asks)


def begin_bare():
    begin(passphrases=False)


def end():
    shutil.rmtree(Case.base)
