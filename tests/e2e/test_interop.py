"""A real Sluice site is plain TUF: securesystemslib verifies all that is signed on it, and a client
that knows nothing of Sluice (the one that the conformance suite drives) finds everything there."""
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

from fleet.box import make_image
from fleet.nginx import free_port
from fleet.workspace import Workspace
from publishing import Reader, canonical, signers

CLIENT = os.path.join(os.environ["SLUICE_BUILD"], "tests", "conformance", "client")
TARGETS = ("bundles/gateway-1.0.0.ota", "rollouts/stable.json", "gates/stable.json",
           "gates/all.json")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Any file server will do."""

    def log_message(self, *args):
        pass

    def log_request(self, *args):
        self.server.asked.append(self.path)


class Interop(unittest.TestCase):
    """One release, rolled out, its gate open."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-interop-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.workspace = Workspace(os.path.join(cls.folder, "fleet"), free_port()).init()
        cls.workspace.ceremony()
        image = make_image(os.path.join(cls.folder, "1.img"), "1.0.0")
        cls.bundle = cls.workspace.pack("1.0.0", image)
        cls.workspace.roll_out(cls.bundle, [("all", "100%")])
        handler = functools.partial(Handler, directory=cls.workspace.path("site"))
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        cls.addClassCleanup(cls.server.server_close)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.shutdown)
        cls.url = f"http://127.0.0.1:{cls.server.server_address[1]}/"

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.folder)
        self.server.asked = []
        for name in ("metadata", "targets"):
            os.mkdir(os.path.join(self.dir, name))

    def client(self, *args, status=0):
        argv = [CLIENT, "--metadata-dir", os.path.join(self.dir, "metadata"), *args]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def start(self):
        self.client("init", self.workspace.path("site", "metadata", "1.root.json"))

    def download(self, *names, status=0):
        wanted = [word for name in names for word in ("--target-name", name)]
        return self.client("--metadata-url", self.url + "metadata/", *wanted, "--target-base-url",
                           self.url + "targets/", "--target-dir",
                           os.path.join(self.dir, "targets"), "download", status=status)

    def test_a_strange_client_finds_bundles_plans_and_gates(self):
        self.start()
        self.download(*TARGETS)
        for name in TARGETS:
            with open(os.path.join(self.dir, "targets", name.replace("/", "%2F")), "rb") as f:
                got = f.read()
            with open(self.workspace.target_file(name), "rb") as f:
                self.assertEqual(got, f.read(), name)

    def test_a_strange_client_asks_for_what_is_new_only(self):
        self.start()
        self.client("--metadata-url", self.url + "metadata", "refresh")
        self.server.asked.clear()
        self.client("--metadata-url", self.url + "metadata", "refresh")
        self.assertEqual([os.path.basename(p) for p in self.server.asked],
                         ["2.root.json", "timestamp.json"])
        self.download(TARGETS[1])
        self.server.asked.clear()
        self.download(TARGETS[1])
        self.assertEqual([p for p in self.server.asked if "/targets/" in p], [])

    def test_a_strange_client_is_told_of_what_is_not_there(self):
        self.assertIn("root.json", self.client("--metadata-url", self.url, "refresh", status=1))
        self.start()
        self.assertIn("no role", self.download("rollouts/none.json", status=1))
        self.assertIn("no role", self.download("elsewhere/none", status=1))
        self.client("refresh", status=2)
        self.client("fly", status=2)

    def test_a_root_that_did_not_sign_itself_starts_no_client(self):
        with open(self.workspace.path("site", "metadata", "1.root.json"), encoding="utf-8") as f:
            root = json.load(f)
        root["signed"]["version"] = 7
        path = os.path.join(self.dir, "root.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(root, f)
        self.assertIn("signatures", self.client("init", path, status=1))
        self.assertEqual(os.listdir(os.path.join(self.dir, "metadata")), [])

    def test_securesystemslib_verifies_every_role(self):
        found = Reader(self.workspace.path("site")).walk()
        self.assertEqual(set(found), {"root", "timestamp", "snapshot", "targets", "releases",
                                      "rollouts", "gates"})

    def test_every_key_id_is_the_digest_of_its_key(self):
        found = Reader(self.workspace.path("site")).walk()
        keys = {**found["root"]["keys"], **found["targets"]["delegations"]["keys"]}
        self.assertEqual(len(keys), 7)
        for keyid, key in keys.items():
            self.assertEqual(keyid, hashlib.sha256(canonical(key)).hexdigest())

    def test_securesystemslib_verifies_a_bundles_manifest(self):
        listing = subprocess.run(["tar", "-xOf", self.bundle, "manifest.json"],
                                 capture_output=True, check=True).stdout
        delegations = self.workspace.metadata("targets")["signed"]["delegations"]
        releases, = (r for r in delegations["roles"] if r["name"] == "releases")
        envelope = json.loads(listing)
        self.assertEqual(signers(envelope, delegations["keys"], releases),
                         set(releases["keyids"]))
        envelope["signed"]["rollback_index"] += 1
        self.assertEqual(signers(envelope, delegations["keys"], releases), set())


if __name__ == "__main__":
    unittest.main()
