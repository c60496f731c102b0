"""Boxes' certificates renew themselves, and a fleet lives through the change of its CA."""
import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

from fleet import Box, Nginx, Workspace, free_port, make_image, wait_until
from watching import Watch

DAY_S = 86400


class Certificates(unittest.TestCase):
    """A fleet whose watch gives boxes their next certificates."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-certificates-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        ws = self.workspace = Workspace(os.path.join(self.folder, "fleet"), free_port()).init()
        ws.ceremony()
        self.nginx = Nginx(ws).start()
        self.addCleanup(self.nginx.stop)
        self.image = make_image(os.path.join(self.folder, "image"), "1.0.0", 1 << 18)
        ws.new_key("certificates")
        for role in ("certificates", "authorities"):
            ws.sluice("role", "add", role, "--member", ws.path("keys", "certificates.pub"),
                      "--threshold", 1, "--key", ws.key("targets"))
        reload = ws.path("reload")
        with open(reload, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\nexec kill -HUP {self.nginx.process.pid}\n")
        os.chmod(reload, 0o755)
        ws.set(watch="{gates: keys/gates.key, certificates: keys/certificates.key, every: 1s}",
               reload=reload)
        self.watch = Watch(ws).start()
        self.addCleanup(self.watch.end)

    def box(self, name="gw-000001", days_ago=0):
        """A box whose certificate, of 730 days, is that old."""
        self.workspace.clock_s = -days_ago * DAY_S
        box = Box(self.workspace, name, self.image)
        self.workspace.clock_s = 0
        self.addCleanup(box.stop)
        return box

    def rows(self, statement, *values):
        with contextlib.closing(sqlite3.connect(self.workspace.path("fleet.db"))) as db:
            return db.execute(statement, values).fetchall()

    def serials(self, name="gw-000001"):
        """Of the certificates that a box was given, oldest first."""
        return [row[0] for row in self.rows(
            "SELECT serial FROM certificate WHERE box = ? ORDER BY from_s", name)]

    def shown(self, name="gw-000001"):
        """The certificate that a box says it shows."""
        found = self.rows("SELECT serial FROM credential JOIN known USING (box) JOIN box ON "
                          "box.id = known.box WHERE name = ?", name)
        return found[0][0] if found else None

    def certify(self):
        return self.workspace.sluice("tls", "certify", "--key",
                                     self.workspace.key("certificates")).stdout

    def wait_for_new(self, box):
        """Until the box shows the second of two certificates; then nothing lies on the site."""
        def settled():
            given = self.serials(box.name)
            return len(given) == 2 and self.shown(box.name) == given[1]

        wait_until(settled, 30, lambda: f"{box.name} has {self.serials(box.name)}, shows "
                   f"{self.shown(box.name)}; {self.listed()}\n{self.watch.said()}\n"
                   f"{box.log()[-2000:]}")
        self.assertEqual(list(self.listed()), [f"certificates/{box.name}.crt"])
        self.assertIn("0 boxes get certificates", self.certify())
        self.assertEqual(self.listed(), {})

    def asks(self):
        return self.rows("SELECT 1 FROM renewal WHERE request != '' AND certificate = ''")

    def wait_for_log(self, box, text, timeout_s=30):
        wait_until(lambda: text in box.log(), timeout_s,
                   lambda: f"{box.name} says '{text}':\n{box.log()[-2000:]}")

    def listed(self):
        try:
            return self.workspace.metadata("certificates")["signed"]["targets"]
        except IndexError:
            return {}

    def ca(self, *words, **kwargs):
        return self.workspace.sluice("tls", "ca", *words, **kwargs)

    def curl(self, *options, ca=None):
        """What curl exits with, and the status that it got."""
        done = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
             ca or self.workspace.path("tls", "ca.crt"), *options,
             self.workspace.url + "metadata/timestamp.json"],
            capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, int(done.stdout)

    def test_a_box_renews_its_certificate_by_itself(self):
        box = self.box(days_ago=725)
        young = self.box("gw-000002", days_ago=400)
        first, = self.serials()
        box.start()
        young.start()
        self.wait_for_new(box)
        self.wait_for_log(box, "the new certificate gets through, and is kept")
        self.assertEqual(self.serials()[0], first)
        self.assertEqual(os.stat(box.path("state", "tls", "box.pem")).st_mode & 0o777, 0o600)
        self.assertEqual(sorted(os.listdir(box.path("state", "tls"))),
                         ["authorities.pem", "box.pem"])
        # Who has time asks for nothing, and reads nothing of others' certificates.
        self.assertEqual(len(self.serials(young.name)), 1)
        wait_until(lambda: self.shown(young.name), 15, "the young box has reported")
        for name, wanted in ((box.name, True), (young.name, False)):
            self.assertEqual(any(".certificates.json" in path
                                 for _, path, _, _ in self.nginx.requests(name)), wanted, name)
        # It is kept over a restart, and revoked like the first.
        box.stop()
        box.start()
        self.workspace.revoke_box(box.name)
        pem = box.path("state", "tls", "box.pem")
        wait_until(lambda: self.curl("--cert", pem)[1] == 400, 15, "nginx refuses it")

    def test_a_fleet_lives_through_a_new_ca(self):
        ws = self.workspace
        old_ca = ws.path("old-ca.crt")
        box = self.box(days_ago=10)
        with open(box.path("ca.crt"), "rb") as f, open(old_ca, "wb") as to:
            to.write(f.read())
        box.start()
        wait_until(lambda: self.shown(), 15, "the box has reported")
        self.assertIn("there is but one", self.ca("switch", check=1).stderr)
        self.assertIn("there is but one", self.ca("drop", check=1).stderr)

        self.box("gw-000009")
        self.ca("add")
        self.assertIn("the next CA does not issue yet: 1 boxes do not know it, 1 have never been "
                      "heard of", self.doctor())
        os.remove(ws.path("tls", "crl.pem"))  # cut off before it was written
        self.ca("add")
        self.assertEqual(self.count("crl.pem"), 2)
        self.assertIn("`sluice tls ca switch` comes first", self.ca("drop", check=1).stderr)
        self.assertIn("1 boxes have not said that they know", self.ca("switch", check=1).stderr)
        self.certify()
        wait_until(lambda: not self.unaware(), 20, lambda: f"it knows both\n{box.log()[-2000:]}")

        self.assertEqual(self.curl(ca=old_ca), (0, 200))
        # One made now has both from the beginning.
        self.box("gw-000010")
        self.assertIn("; 1 have never been heard of;", self.ca().stdout)
        self.assertIn("0 boxes do not know it, 1 have never been heard of", self.doctor())
        self.assertIn("1 boxes have never been heard of", self.ca("switch", check=1).stderr)
        self.workspace.revoke_box("gw-000009")
        self.ca("switch")
        self.workspace.revoke_box("gw-000010")
        self.assertIn("two CAs already", self.ca("add", check=1).stderr)
        wait_until(lambda: self.curl(ca=old_ca)[0] != 0, 15, "the server is of the new CA")
        self.assertIn("1 boxes have certificates of the old", self.ca("drop", check=1).stderr)
        self.assertIn("the old CA is still believed: 1 boxes have certificates", self.doctor())
        self.certify()
        wait_until(self.asks, 20, lambda: f"it asks for one of the new CA\n{box.log()[-2000:]}")
        self.assertIn("1 boxes get certificates", self.certify())
        self.wait_for_new(box)
        with open(box.path("box.crt"), "rb") as f:
            self.assertEqual(self.curl("--cert", f.name, "--key", box.path("box.key")), (0, 200))

        # A reload that fails leaves it half done: the same command ends it.
        ws.set(reload="/bin/false")
        self.ca("drop", check=1)
        self.assertEqual((self.count("ca.crt"), self.count("ca.key")), (1, 2))
        ws.set(reload=ws.path("reload"))
        self.ca("drop")
        self.assertIn("there is but one", self.ca("drop", check=1).stderr)
        self.assertEqual((self.count("crl.pem"), self.count("ca.key")), (1, 1))
        wait_until(lambda: self.curl("--cert", box.path("box.crt"), "--key",
                                     box.path("box.key"))[1] == 400, 15,
                   "the old certificate is refused")
        before = len(self.nginx.requests(box.name))
        wait_until(lambda: len(self.nginx.requests(box.name)) > before + 4, 20,
                   lambda: f"the box goes on\n{box.log()[-2000:]}")
        # No poll and no report of all that was lost.
        for trouble in ("reports wait", "the server answered", "SSL", "older"):
            self.assertNotIn(trouble, box.log())

    def count(self, name):
        """How many there are in a file of tls/."""
        with open(self.workspace.path("tls", name), encoding="ascii") as f:
            return f.read().count("BEGIN")

    def doctor(self):
        return self.workspace.sluice("doctor", check=None).stdout

    def unaware(self):
        with open(self.workspace.path("tls", "ca.crt"), "rb") as f:
            lines = [line for line in f if not line.startswith(b"#")]
            wanted = hashlib.sha256(b"".join(lines)).hexdigest()
        return self.rows("SELECT name FROM box JOIN credential ON box.id = credential.box JOIN "
                         "known ON known.box = box.id WHERE authorities != ?", wanted)
