"""What certificates are good for to a thief: a box that asks for more than its own, and the key of
the roles that hand them out."""
import contextlib
import functools
import http.server
import os
import shutil
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import unittest

from fleet import Box, Crier, Nginx, Workspace, free_port, make_image, run, wait_until

DAY_S = 86400
WAIT_S = 90


def new_request(case, subject, *more):
    """A signing request for a new key."""
    case.openssl("genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-out", "asked.key")
    return case.openssl("req", "-new", "-key", "asked.key", "-subj", subject, *more)


class Certified(unittest.TestCase):
    """A fleet that gives its boxes their next certificates."""

    @classmethod
    def make(cls, case):
        """Put away behind a test, or behind all of a class."""
        case.folder = tempfile.mkdtemp(prefix="sluice-certified-")
        (case.addClassCleanup if case is cls else case.addCleanup)(
            shutil.rmtree, case.folder, ignore_errors=True)
        ws = Workspace(os.path.join(case.folder, "fleet"), free_port()).init()
        ws.ceremony()
        ws.new_key("certificates")
        for role in ("certificates", "authorities"):
            ws.sluice("role", "add", role, "--member", ws.path("keys", "certificates.pub"),
                      "--threshold", 1, "--key", ws.key("targets"))
        return ws

    def openssl(self, *args, **kwargs):
        return run(["openssl", *map(str, args)], cwd=self.folder, **kwargs).stdout

    def certify(self):
        done = self.workspace.sluice("tls", "certify", "--key", self.workspace.key("certificates"))
        return done.stdout + done.stderr

    def rows(self, statement, *values):
        with contextlib.closing(sqlite3.connect(self.workspace.path("fleet.db"))) as db:
            return db.execute(statement, values).fetchall()

    def listed(self):
        return self.workspace.metadata("certificates")["signed"]["targets"]

    def given(self, name):
        return self.rows("SELECT serial FROM certificate WHERE box = ?", name)


class StolenBox(Certified):
    """gw-000002 is stolen, and its report key with it; gw-000001 must not notice."""

    @classmethod
    def setUpClass(cls):
        cls.made = cls.make(cls)
        for name in ("gw-000001", "gw-000002"):
            cls.made.add_box(name)

    def setUp(self):
        copy = os.path.join(tempfile.mkdtemp(dir=self.folder), "fleet")
        shutil.copytree(self.made.dir, copy)
        self.workspace = Workspace(copy, self.made.port)
        self.thief = Crier(self.workspace, "gw-000002", add=False)

    def request(self, subject="/CN=gw-000002", *more):
        return new_request(self, subject, *more)

    def ask(self, request):
        self.thief.ask(request)
        said = self.workspace.sluice("watch", "--once", check=1).stdout
        # This watch was given no key for it.
        self.assertIn("boxes ask for new certificates, and nobody gives them any", said)
        return self.certify()

    def test_it_gets_no_certificate_in_anothers_name(self):
        self.assertIn("0 boxes get certificates, 1 do not", self.ask(self.request("/CN=gw-000001")))
        self.assertEqual((len(self.given("gw-000001")), len(self.given("gw-000002"))), (1, 1))
        self.assertRaises(IndexError, self.listed)
        # Nor does another box's turn come later for having been named.
        self.assertIn("0 boxes get certificates, 0 do not", self.certify())

    def test_a_request_gets_its_box_a_client_certificate_and_nothing_else(self):
        said = self.ask(self.request("/CN=gw-000002", "-addext", "basicConstraints=CA:TRUE",
                                     "-addext", "subjectAltName=DNS:localhost",
                                     "-addext", "extendedKeyUsage=serverAuth"))
        self.assertIn("1 boxes get certificates", said)
        (pem,), = self.rows("SELECT certificate FROM renewal WHERE certificate != ''")
        text = self.openssl("x509", "-noout", "-text", input=pem)
        self.assertIn("Subject: CN = gw-000002\n", text)
        self.assertIn("TLS Web Client Authentication", text)
        for word in ("CA:TRUE", "DNS:", "TLS Web Server"):
            self.assertNotIn(word, text)

    def test_it_makes_the_site_grow_by_one_certificate_a_day(self):
        for _ in range(3):
            said = self.ask(self.request())
        self.assertIn("0 boxes get certificates", said)
        self.assertEqual(len(self.given("gw-000002")), 2)
        self.assertEqual(self.listed(), {})
        files = os.listdir(self.workspace.path("site", "targets", "certificates"))
        self.assertEqual(len(files), 1)

    def test_a_revoked_one_gets_nothing_and_loses_what_it_was_given(self):
        self.ask(self.request())
        self.assertEqual(list(self.listed()), ["certificates/gw-000002.crt"])
        self.workspace.revoke_box("gw-000002")
        self.assertIn("0 boxes get certificates, 0 do not", self.certify())
        self.assertEqual(self.listed(), {})
        crl = self.openssl("crl", "-noout", "-text", "-in", self.workspace.path("tls", "crl.pem"))
        for serial, in self.given("gw-000002"):
            self.assertIn(serial.upper(), crl)


class CutOff(Certified):
    """`tls ca add` is killed before it has written a CRL of the new CA."""

    def test_the_crl_follows_the_cas(self):
        ws = self.workspace = self.make(self)
        ws.add_box("gw-000001")
        ws.publish()
        crl = ws.path("tls", "crl.pem")
        with open(crl, encoding="ascii") as f:
            before, times = f.read(), os.stat(crl)
        self.assertEqual(before.count("BEGIN X509 CRL"), 1)
        ws.sluice("tls", "ca", "add")
        with open(crl, "w", encoding="ascii") as f:
            f.write(before)
        os.utime(crl, ns=(times.st_atime_ns, times.st_mtime_ns))
        ws.publish()
        with open(crl, encoding="ascii") as f:
            self.assertEqual(f.read().count("BEGIN X509 CRL"), 2)
        made = os.stat(crl).st_mtime_ns
        ws.publish()
        self.assertEqual(os.stat(crl).st_mtime_ns, made)


class Liar(http.server.SimpleHTTPRequestHandler):
    """The site as it is; and whatever a box puts, it is told that all is well."""
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class CertificatesKey(Certified):
    """The thief has the key of both roles, and the publisher's ear. The box asks."""

    def setUp(self):
        self.workspace = self.make(self)
        self.nginx = Nginx(self.workspace).start()
        self.addCleanup(self.nginx.stop)
        self.workspace.clock_s = -725 * DAY_S
        self.box = Box(self.workspace, "gw-000001",
                       make_image(os.path.join(self.folder, "image"), "1.0.0", 1 << 18))
        self.workspace.clock_s = 0
        self.box.set({})
        self.addCleanup(self.box.stop)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", "thief.key", "-out", "thief.crt", "-days", 900, "-subj",
                     "/CN=thief")

    def asked(self):
        self.workspace.sluice("watch", "--once", check=None)
        return [row[0] for row in self.rows(
            "SELECT request FROM renewal JOIN box ON box.id = box WHERE request != '' AND "
            "name = 'gw-000001'")]

    def sign(self, role, path, pem):
        """What the commands of ours would not do."""
        staged = self.workspace.path("incoming", "targets", path)
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        with open(staged, "w", encoding="ascii") as f:
            f.write(pem)
        digest = subprocess.run(["sha256sum", staged], capture_output=True, text=True,
                                check=True).stdout.split()[0]
        signed = self.workspace.metadata(role)["signed"]
        signed["version"] += 1
        signed["targets"][path] = {"length": len(pem), "hashes": {"sha256": digest}}
        self.workspace.sign_by_hand(role, signed)

    def thiefs_certificate(self, request):
        with open(os.path.join(self.folder, "request.pem"), "w", encoding="ascii") as f:
            f.write(request)
        return self.openssl("x509", "-req", "-in", "request.pem", "-CA", "thief.crt", "-CAkey",
                            "thief.key", "-CAcreateserial", "-days", 800)

    def believed(self):
        """The box believes a CA of his, and asks: (that CA, what it asks for)."""
        other = Crier(self.workspace, "gw-000002")
        other.ask(new_request(self, "/CN=gw-000002"))
        self.workspace.sluice("watch", "--once", check=None)
        self.assertIn("1 boxes get", self.certify())
        shutil.copy(self.workspace.key("certificates"), self.workspace.key("authorities"))
        with open(os.path.join(self.folder, "thief.crt"), encoding="ascii") as f:
            his = f.read()
        self.sign("authorities", "authorities/ca.pem", his)
        self.workspace.publish()
        self.box.start()
        request = wait_until(self.asked, WAIT_S, lambda: f"it asks\n{self.box.log()[-3000:]}")[-1]
        return his, request

    def wait_for_log(self, text):
        wait_until(lambda: text in self.box.log(), WAIT_S,
                   lambda: f"'{text}':\n{self.box.log()[-3000:]}")

    def test_it_locks_no_box_out_and_makes_it_nobody_else(self):
        """A CA of his own, and a certificate by it: the box believes his server, too, and tries
        what he gives it, and goes back."""
        his, request = self.believed()
        with open(self.box.path("state", "tls", "authorities.pem"), encoding="ascii") as f:
            self.assertEqual(f.read(), his)
        self.sign("certificates", "certificates/gw-000001.crt", self.thiefs_certificate(request))
        self.workspace.publish()
        self.wait_for_log("this box has a new certificate, and tries it")
        self.wait_for_log("the new certificate is given up")
        # It is heard as who it was, asks anew, and gets what it should.
        wait_until(lambda: [r for r in self.asked() if r != request], WAIT_S, "it asks anew")
        self.assertIn("1 boxes get", self.certify())
        self.wait_for_log("the new certificate gets through, and is kept")
        with open(self.box.path("state", "tls", "authorities.pem"), encoding="ascii") as f, \
                open(self.workspace.path("tls", "ca.crt"), encoding="ascii") as true:
            self.assertEqual(f.read(), true.read())

    @contextlib.contextmanager
    def server_of_his(self):
        """In the fleet's place, with a certificate by his CA."""
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", "his.key", "-out", "his.csr", "-subj", "/CN=server")
        with open(os.path.join(self.folder, "his.ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        self.openssl("x509", "-req", "-in", "his.csr", "-CA", "thief.crt", "-CAkey", "thief.key",
                     "-CAcreateserial", "-days", 800, "-extfile", "his.ext", "-out", "his.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(os.path.join(self.folder, name)
                                  for name in ("his.crt", "his.key")))
        self.nginx.stop()
        handler = functools.partial(Liar, directory=self.workspace.path("site"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.workspace.port), handler,
                                                 bind_and_activate=False)
        server.allow_reuse_address = server.daemon_threads = True
        server.block_on_close = False
        server.server_bind()
        server.server_activate()
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            self.nginx.start()

    def box_pem(self):
        with open(self.box.path("state", "tls", "box.pem"), encoding="ascii") as f:
            return f.read()

    def test_a_server_of_his_makes_no_box_keep_what_the_fleet_refuses(self):
        """He has it believe his server, which takes the box's reports under his certificate: so it
        is kept. The fleet's server refuses it, and the box goes back to what it had."""
        first, = self.given("gw-000001")
        _, request = self.believed()
        his = self.thiefs_certificate(request)
        with self.server_of_his():
            self.sign("certificates", "certificates/gw-000001.crt", his)
            self.workspace.publish()
            self.wait_for_log("the new certificate gets through, and is kept")
        self.assertIn(his.strip(), self.box_pem())
        # What the fleet does anyway: the CAs are set right, and who asks is answered.
        self.certify()
        self.wait_for_log("the server refuses this box's certificate: another of its own is tried")
        wait_until(lambda: [r for r in self.asked() if r != request], WAIT_S,
                   lambda: f"it asks anew\n{self.box.log()[-3000:]}")
        # It is heard as who it was, and has all that it had.
        wait_until(lambda: self.asked() and self.rows(
            "SELECT serial FROM credential JOIN box ON box.id = box WHERE name = 'gw-000001'") ==
            [first], WAIT_S, lambda: f"it shows what it had\n{self.box.log()[-3000:]}")
        self.assertIn(his.strip(), self.box_pem())


if __name__ == "__main__":
    unittest.main()
