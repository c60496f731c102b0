"""What the host tells of boxes' next certificates: who takes none, and who could not."""
import base64
import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest

from fleet import Crier, Workspace, run

DAY_S = 86400


class Certify(unittest.TestCase):
    """A box that is played asks for its next certificate. There is no role for authorities."""

    @classmethod
    def setUpClass(cls):
        """One workspace is made; each test has a copy."""
        cls.base = tempfile.mkdtemp(prefix="sluice-certify-")
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        cls.made = Workspace(os.path.join(cls.base, "made"), 8443).init()
        cls.made.ceremony()
        cls.made.new_key("certificates")
        cls.ws = cls.made
        cls.role(cls, "certificates")

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=self.base)
        shutil.copytree(self.made.dir, os.path.join(self.folder, "fleet"))
        self.ws = Workspace(os.path.join(self.folder, "fleet"), 8443)

    def role(self, name):
        self.ws.sluice("role", "add", name, "--member", self.ws.path("keys", "certificates.pub"),
                       "--threshold", 1, "--key", self.ws.key("targets"))

    def box(self, days_ago=0):
        self.ws.clock_s = -days_ago * DAY_S
        box = Crier(self.ws, "gw-000001")
        self.ws.clock_s = 0
        return box

    def rows(self, statement):
        with contextlib.closing(sqlite3.connect(self.ws.path("fleet.db"))) as db:
            return [row[0] for row in db.execute(statement)]

    def ask(self, box, request=None):
        """The box says that it shows its first certificate, and asks for another."""
        if request is None:
            key = os.path.join(self.folder, "asked.key")
            request = run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                           "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj",
                           f"/CN={box.name}"]).stdout
        box.ask(request, self.rows("SELECT serial FROM certificate ORDER BY from_s")[0])

    def hear(self, box, request=None):
        self.ask(box, request)
        self.ws.sluice("watch", "--once", check=None)

    def certify(self):
        return self.ws.sluice("tls", "certify", "--key", self.ws.key("certificates"))

    def doctor(self):
        return self.ws.sluice("doctor", check=None).stdout

    def foreign(self, folder):
        """A certificate for the server by somebody else."""
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", os.path.join(folder, "server.key"), "-out",
             os.path.join(folder, "server.crt"), "-days", "900", "-subj", "/CN=localhost"])

    def test_what_a_box_is_given_and_does_not_take_hides_nothing(self):
        box = self.box(days_ago=728)
        self.ws.clock_s = -3 * DAY_S
        self.assertRegex(self.doctor(), "gw-000001.s certificate expires in [45] days")
        self.hear(box)
        self.assertIn("1 boxes get certificates", self.certify().stdout)
        said = self.doctor()
        self.assertRegex(said, "gw-000001.s certificate expires in [45] days")
        self.assertNotIn("do not take", said)
        # Days later it is still there, with the old one.
        self.ws.clock_s = 0
        self.hear(box, "")
        self.assertIn("1 boxes do not take the certificates that they are given (gw-000001, for "
                      "one)", self.doctor())

    def test_answers_that_are_taken_back_are_told_of(self):
        box = self.box()
        self.hear(box)
        self.assertEqual(self.certify().stderr, "")
        self.ws.clock_s = 13 * DAY_S
        self.assertEqual(self.certify().stderr, "")
        self.ws.clock_s = 15 * DAY_S
        self.assertIn("1 boxes did not take the certificates that lay ready for them",
                      self.certify().stderr)

    def test_a_thousand_that_cannot_take_theirs_starve_nobody(self):
        """Their answers lie there since yesterday, and each asks on."""
        box = self.box()
        with contextlib.closing(sqlite3.connect(self.ws.path("fleet.db"))) as db, db:
            for n in range(1000):
                row = db.execute("INSERT INTO box (name, compatible, tags, report_key, added_s) "
                                 "VALUES (?, '', '{}', '{}', 0)", (f"stuck-{n}",)).lastrowid
                db.execute("INSERT INTO renewal VALUES (?, 'asked', 1, ?, ?, 'PEM')",
                           (row, int(time.time()) - 90000, f"{n:04x}"))
        self.hear(box)
        done = self.certify()
        self.assertIn("1 boxes get certificates", done.stdout)
        self.assertIn("1 boxes did not take", done.stderr)
        self.assertEqual(len(self.ws.metadata("certificates")["signed"]["targets"]), 1000)

    def test_a_server_of_another_ca_and_no_authorities_are_told_of(self):
        box = self.box()
        told = "no role speaks for authorities"
        self.assertNotIn(told, self.doctor())
        self.foreign(self.ws.path("tls"))
        self.assertIn(told, self.doctor())
        self.hear(box)
        self.assertIn(told, self.certify().stderr)
        self.role("authorities")
        self.ws.clock_s = 2 * DAY_S
        self.hear(box)
        done = self.certify()
        self.assertIn("1 boxes get certificates", done.stdout)
        self.assertEqual(done.stderr, "")
        self.assertNotIn(told, self.doctor())

    def fingerprints(self, path):
        """SHA-256 of each certificate of a file."""
        with open(path, encoding="ascii") as f:
            parts = f.read().split("-----BEGIN CERTIFICATE-----")[1:]
        return [hashlib.sha256(base64.b64decode(part.split("-----END")[0])).hexdigest()
                for part in parts]

    def ca(self, word, *more):
        return self.ws.sluice("tls", "ca", word, *more).stdout

    def test_a_box_that_is_made_while_the_ca_changes_is_of_one_of_them(self):
        """Its request is a pipe: it comes once the CA is another one."""
        pipe, key = os.path.join(self.folder, "pipe"), os.path.join(self.folder, "box.key")
        request = run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", "/CN=x"])
        os.mkfifo(pipe)
        adding = subprocess.Popen([self.ws.programs.sluice, "box", "add", "gw-000001", "--csr",
                                   pipe, "-w", self.ws.dir])
        self.addCleanup(adding.kill)
        with open(pipe, "w", encoding="ascii") as f:
            self.ca("add")
            self.ca("switch")
            f.write(request.stdout)
        self.assertEqual(adding.wait(60), 0)
        first, second = self.fingerprints(self.ws.path("tls", "ca.crt"))
        self.assertEqual(self.rows("SELECT issuer FROM certificate"), [first])
        made = self.ws.path("boxes", "gw-000001")
        self.assertEqual(self.fingerprints(os.path.join(made, "ca.crt")), [first, second])
        run(["openssl", "verify", "-partial_chain", "-CAfile", self.ws.path("tls", "ca.crt"),
             os.path.join(made, "box.crt")])

    def test_which_ca_is_the_next_is_known_whatever_their_dates(self):
        """The clock went back between the two."""
        self.ws.clock_s = -400 * DAY_S
        self.assertIn("\nSluice fleet CA ", self.ca("add"))
        self.assertRegex(self.ca("switch"), r"\nSluice fleet CA \w+, until .*: issues\n")
        self.assertIn("two CAs already", self.ws.sluice("tls", "ca", "add", check=1).stderr)
        self.ca("drop")

    def test_a_ca_that_is_older_than_its_forerunner_issues_only_once_it_is_switched_to(self):
        ws = Workspace(os.path.join(self.folder, "late"), 8443)
        ws.clock_s = -400 * DAY_S
        ws.init()
        ws.clock_s = -500 * DAY_S
        ws.sluice("tls", "ca", "add")
        self.assertIn("`sluice tls ca switch` comes first",
                      ws.sluice("tls", "ca", "drop", check=1).stderr)

    def test_a_box_made_after_the_next_ca_knows_it(self):
        self.ws.add_box("gw-000001")
        self.ca("add")
        self.ws.add_box("gw-000002")
        said = self.ws.sluice("tls", "ca", "switch", check=1).stderr
        self.assertIn("1 boxes have never been heard of (gw-000001, for one)", said)
        self.ws.revoke_box("gw-000001")
        self.ca("switch")

    def test_who_issues_waits_for_who_changes_the_ca(self):
        with open(self.ws.path("tls.lock"), "w", encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            said = self.ws.sluice("box", "add", "gw-000001", check=1).stderr
            self.assertIn("tls.lock", said)
        self.ws.add_box("gw-000001")

    def test_a_stop_does_not_wait_for_who_issues(self):
        self.ws.set(watch="{certificates: keys/certificates.key}")
        self.ask(self.box(days_ago=728))
        self.ws.sluice("stop", "--all", "--reason", "smoke", "--yes", "--no-publish", "--key",
                       self.ws.key("gates"))
        with open(self.ws.path("tls.lock"), "w", encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            said = self.ws.sluice("watch", "--once", check=1).stdout
        self.assertLess(said.index("published gates"),
                        said.index("problem: giving boxes certificates: "), said)
        self.assertIn("gave 1 boxes", self.ws.sluice("watch", "--once", check=None).stdout)

    def test_who_brings_a_server_certificate_is_told_at_once(self):
        made = Workspace(os.path.join(self.folder, "own"), 8443)
        os.makedirs(made.path("tls"))
        self.foreign(made.path("tls"))
        said = made.sluice("init", made.dir).stdout
        self.assertIn("tls/server.crt is of another CA", said)


if __name__ == "__main__":
    unittest.main()
