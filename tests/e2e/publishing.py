"""A workspace for tests, and a reader of sites that checks with securesystemslib."""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from securesystemslib import formats, keys

BUILD = os.environ.get("SLUICE_BUILD", "build/release")
SLUICE = os.path.join(BUILD, "sluice")
ROLES = ("root1", "root2", "targets", "targets2", "snapshot", "timestamp", "releases", "other")


def canonical(value):
    return formats.encode_canonical(value).encode()


def signers(envelope, known, role):
    """The role's key ids that signed, as securesystemslib sees it."""
    good = set()
    for signature in envelope["signatures"]:
        keyid = signature["keyid"]
        if keyid not in role["keyids"]:
            continue
        key = dict(known[keyid], keyid=keyid)
        if keys.verify_signature(key, signature, canonical(envelope["signed"])):
            good.add(keyid)
    return good


def public_key(raw):
    return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}


class Reader:
    """Walks a site from timestamp.json, as a client does; any break raises AssertionError."""

    def __init__(self, site):
        self.site = site

    def load(self, name):
        with open(os.path.join(self.site, "metadata", name), "rb") as f:
            raw = f.read()
        return raw, json.loads(raw)

    def check(self, envelope, known, role, name):
        count = len(signers(envelope, known, role))
        assert count >= role["threshold"], f"{name}: {count} of {role['threshold']}"
        return envelope["signed"]

    def listed(self, meta, role, known, keyring):
        raw, envelope = self.load(f"{meta['version']}.{role}.json")
        assert len(raw) == meta["length"], role
        assert hashlib.sha256(raw).hexdigest() == meta["hashes"]["sha256"], role
        signed = self.check(envelope, known, keyring, role)
        assert signed["version"] == meta["version"], role
        return signed

    def content(self, signed):
        for path, entry in signed["targets"].items():
            folder, name = os.path.split(path)
            digest = entry["hashes"]["sha256"]
            full = os.path.join(self.site, "targets", folder, f"{digest}.{name}")
            with open(full, "rb") as f:
                data = f.read()
            assert hashlib.sha256(data).hexdigest() == digest, path
            assert len(data) == entry["length"], path

    def walk(self):
        """Returns {role: signed} of everything that a client would reach."""
        version = 0
        while os.path.exists(f"{self.site}/metadata/{version + 1}.root.json"):
            version += 1
        _, envelope = self.load(f"{version}.root.json")
        root = envelope["signed"]
        self.check(envelope, root["keys"], root["roles"]["root"], "root")
        _, envelope = self.load("timestamp.json")
        timestamp = self.check(envelope, root["keys"], root["roles"]["timestamp"], "timestamp")
        snapshot = self.listed(timestamp["meta"]["snapshot.json"], "snapshot", root["keys"],
                               root["roles"]["snapshot"])
        targets = self.listed(snapshot["meta"]["targets.json"], "targets", root["keys"],
                              root["roles"]["targets"])
        found = {"root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets}
        self.content(targets)
        delegations = targets.get("delegations", {"roles": [], "keys": {}})
        for role in delegations["roles"]:
            meta = snapshot["meta"].get(role["name"] + ".json")
            if meta:
                found[role["name"]] = self.listed(meta, role["name"], delegations["keys"], role)
                self.content(found[role["name"]])
        return found


class Workspace(unittest.TestCase):
    """One key of each role, made once: making them costs nothing, but the tests are many."""

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="sluice-publish-")
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.template = os.path.join(cls.top, "template")
        subprocess.run([SLUICE, "init", cls.template], check=True, capture_output=True)
        for name in ROLES:
            subprocess.run([SLUICE, "key", "new", f"{cls.template}/keys/{name}",
                            "--no-passphrase"], check=True, capture_output=True)

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.top)
        os.rmdir(self.dir)
        shutil.copytree(self.template, self.dir)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def key(self, name, end="key"):
        return self.path("keys", f"{name}.{end}")

    def sluice(self, *args, code=0, prefix=()):
        # The leak sanitizer cannot work under strace.
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0") if prefix else None
        done = subprocess.run([*prefix, SLUICE, *args, "-w", self.dir], capture_output=True,
                              text=True, errors="replace", timeout=60, env=env)
        if code is not None:
            self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done

    def root_init(self, *extra, code=0):
        return self.sluice("root", "init", "--root", self.key("root1"), "--root",
                           self.key("root2"), "--threshold", "2", "--targets",
                           self.key("targets"), "--snapshot", self.key("snapshot"),
                           "--timestamp", self.key("timestamp"), *extra, code=code)

    def role_add(self, name, *extra, member="releases", code=0):
        return self.sluice("role", "add", name, "--member", self.key(member, "pub"),
                           "--threshold", "1", "--key", self.key("targets"), *extra, code=code)

    def walk(self):
        return Reader(self.path("site")).walk()

    def incoming(self):
        return sorted(n for n in os.listdir(self.path("incoming")) if n.endswith(".json"))

    def set_push(self, command):
        with open(self.path("workspace.yaml"), "a", encoding="utf-8") as f:
            f.write(f"push: {command}\n")

    def drop_in(self, role, signed, *names):
        """Puts metadata into incoming/, signed by openssl, so that no code of ours has a part."""
        signatures = []
        with open(self.path("message"), "wb") as f:
            f.write(canonical(signed))
        for keyid, pem in map(self.secret, names):
            done = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", "/dev/stdin",
                                   "-rawin", "-in", self.path("message")], input=pem, check=True,
                                  capture_output=True)
            signatures.append({"keyid": keyid, "sig": done.stdout.hex()})
        with open(self.path("incoming", f"{role}.json"), "w", encoding="utf-8") as f:
            json.dump({"signed": signed, "signatures": signatures}, f)

    def secret(self, name):
        """An unencrypted minisign secret key: its key id, and the key as openssl reads it."""
        with open(self.key(name), encoding="ascii") as f:
            raw = base64.b64decode(f.read().splitlines()[1])
        seed, public = raw[62:94], raw[94:126]
        key = public_key(public)
        der = bytes.fromhex("302e020100300506032b657004220420") + seed
        pem = (b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) +
               b"\n-----END PRIVATE KEY-----\n")
        return hashlib.sha256(canonical(key)).hexdigest(), pem
