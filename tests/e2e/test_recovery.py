"""After keys were stolen or changed hands, a client that followed along accepts the site again."""
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading
import unittest

from publishing import Workspace, canonical

CLIENT = os.path.join(os.environ["SLUICE_BUILD"], "tests", "conformance", "client")
FAR = 1 << 40  # versions that an honest publisher never reaches


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Recovery(Workspace):
    def setUp(self):
        super().setUp()
        self.root_init()
        self.role_add("releases")
        os.mkdir(self.path("client"))
        self.client("init", self.path("site/metadata/1.root.json"))

    def client(self, *args, status=0):
        done = subprocess.run([CLIENT, "--metadata-dir", self.path("client"), *args],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def refresh(self, site="site", status=0):
        handler = functools.partial(Handler, directory=self.path(site))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                return self.client("--metadata-url", "http://127.0.0.1:"
                                   f"{server.server_address[1]}/metadata/", "refresh",
                                   status=status)
            finally:
                server.shutdown()

    def trusted(self, role):
        with open(self.path("client", role + ".json"), encoding="utf-8") as f:
            return json.load(f)["signed"]["version"]

    def seal(self, signed, name):
        """Signed by a stolen key, with no code of ours."""
        keyid, pem = self.secret(name)
        with open(self.path("message"), "wb") as f:
            f.write(canonical(signed))
        done = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", "/dev/stdin", "-rawin",
                               "-in", self.path("message")], input=pem, check=True,
                              capture_output=True)
        return json.dumps({"signed": signed, "signatures": [
            {"keyid": keyid, "sig": done.stdout.hex()}]}).encode()

    def fast_forward(self):
        """What a thief of both online keys serves."""
        shutil.copytree(self.path("site"), self.path("evil"))
        site = self.walk()
        snapshot = self.seal({**site["snapshot"], "version": FAR}, "snapshot")
        with open(self.path(f"evil/metadata/{FAR}.snapshot.json"), "wb") as f:
            f.write(snapshot)
        meta = {"version": FAR, "length": len(snapshot),
                "hashes": {"sha256": hashlib.sha256(snapshot).hexdigest()}}
        timestamp = self.seal({**site["timestamp"], "version": FAR,
                               "meta": {"snapshot.json": meta}}, "timestamp")
        with open(self.path("evil/metadata/timestamp.json"), "wb") as f:
            f.write(timestamp)

    def replace_online_keys(self):
        for name in ("snapshot", "timestamp"):
            self.sluice("key", "new", self.path("keys", name + "-2"), "--no-passphrase")
            self.sluice("key", "revoke", self.key(name, "pub"), "--replace-by",
                        self.key(name + "-2", "pub"), "--key", self.key("root1"), "--key",
                        self.key("root2"), "--yes", "--no-publish")
        path = self.path("workspace.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("/snapshot.key", "/snapshot-2.key")
                    .replace("/timestamp.key", "/timestamp-2.key"))
        self.sluice("publish")

    def test_new_online_keys_undo_a_fast_forward(self):
        self.refresh()
        self.fast_forward()
        self.refresh("evil")
        self.assertEqual((self.trusted("timestamp"), self.trusted("snapshot")), (FAR, FAR))
        self.sluice("publish")
        self.refresh(status=1)  # the honest site looks old now
        self.replace_online_keys()
        self.refresh()
        self.assertEqual(self.trusted("root"), 2)  # both keys in one root
        self.assertLess(self.trusted("timestamp"), FAR)
        self.assertLess(self.trusted("snapshot"), FAR)
        self.refresh("evil", status=1)

    def test_an_old_backup_is_believed_again_under_new_online_keys(self):
        """README: when the workspace is lost, and no server has more than the backup."""
        shutil.copytree(self.path("site"), self.path("kept"))
        for role in ("rollouts", "gates"):
            self.role_add(role, member="other")
        self.refresh()
        seen = self.trusted("targets")
        shutil.rmtree(self.path("site"))
        shutil.move(self.path("kept"), self.path("site"))
        self.sluice("publish")
        self.refresh(status=1)
        self.replace_online_keys()
        self.refresh()
        self.assertLess(self.trusted("targets"), seen)
        self.assertNotIn("rollouts", self.walk())

    def test_every_role_of_root_may_change_hands_at_once(self):
        self.refresh()
        self.sluice("root", "rotate", "--root", self.key("other"), "--threshold", "1",
                    "--targets", self.key("targets2"), "--key", self.key("root1"), "--key",
                    self.key("root2"), "--yes")
        self.refresh()
        self.assertEqual((self.trusted("root"), self.trusted("targets")), (2, 3))
        self.sluice("root", "rotate", "--key", self.key("other"), "--yes")
        self.refresh()
        self.assertEqual(self.trusted("root"), 3)

    def test_a_client_that_slept_through_three_roots_follows(self):
        for names in (("root1", "root2"), ("root1", "root2"), ("root1", "root2")):
            self.sluice("root", "rotate", "--key", self.key(names[0]), "--key",
                        self.key(names[1]), "--expires", "90d", "--yes")
        self.refresh()
        self.assertEqual(self.trusted("root"), 4)


if __name__ == "__main__":
    unittest.main()
