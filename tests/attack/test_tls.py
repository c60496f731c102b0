"""The wrong server at the other end, and certificates that are not what they have to be."""
import os
import time
import unittest

from attack import BOXES, AttackCase
from fleet import run, wait_until
from fleet.case import NEW
from fleet.workspace import clock_preload

DAY_S = 86400


class Impostor(AttackCase):
    """Somebody else answers at the server's address. A box that sees his certificate sends him no
    request, no certificate of its own and no report, and goes on with the right server."""

    def setUp(self):
        super().setUp()
        self.tls = os.path.join(self.folder, "tls")
        os.makedirs(self.tls)

    def path(self, name):
        return os.path.join(self.tls, name)

    def openssl(self, *argv, clock_s=0):
        run(["openssl", *argv], env={**os.environ, **clock_preload(self.folder, clock_s)})

    def make_ca(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", self.path("ca.key"), "-out", self.path("ca.crt"),
                     "-subj", "/CN=Sluice", "-days", "30")
        return self.path("ca.crt"), self.path("ca.key")

    def make_certificate(self, ca=None, name="IP:127.0.0.1", usage="serverAuth", clock_s=0):
        """A server's certificate, good for a day from what the clock says; by the fleet's own CA,
        unless told otherwise."""
        ca = ca or (self.workspace.path("tls", "ca.crt"), self.workspace.path("tls", "ca.key"))
        key, csr, crt, ext = map(self.path, ("s.key", "s.csr", "s.crt", "s.ext"))
        with open(ext, "w", encoding="ascii") as f:
            f.write(f"subjectAltName={name}\nextendedKeyUsage={usage}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", key, "-out", csr, "-subj", "/CN=server")
        self.openssl("x509", "-req", "-in", csr, "-CA", ca[0], "-CAkey", ca[1], "-days", "1",
                     "-CAcreateserial", "-CAserial", self.path("serial"), "-extfile", ext,
                     "-out", crt, clock_s=clock_s)
        return crt, key

    def assert_refused(self, certificate, why):
        box = self.box(start=False)
        self.roll_out()
        self.server.show(*certificate)
        self.assertRegex(self.check(box, 1), why)
        box.start()
        wait_until(lambda: len(self.server.accepted) > 2, 20, "it tries again")
        self.assertEqual(self.server.requests, [])
        self.assert_untouched(box)
        self.server.show(self.workspace.path("tls", "server.crt"),
                         self.workspace.path("tls", "server.key"))
        self.assert_updates(box)

    def test_a_certificate_that_is_good_is_what_this_checks_with(self):
        self.server.show(*self.make_certificate())
        box = self.box()
        self.roll_out()
        self.assert_updates(box)

    def test_a_bad_chain_is_refused(self):
        """A CA of the same name, which the box was never given."""
        self.assert_refused(self.make_certificate(self.make_ca()),
                            "self-signed certificate|unable to get local issuer|signature")

    def test_a_self_signed_certificate_is_refused(self):
        self.assert_refused(self.make_ca(), "certificate")

    def test_an_expired_certificate_is_refused(self):
        self.assert_refused(self.make_certificate(clock_s=-3 * DAY_S), "certificate has expired")

    def test_a_certificate_of_the_future_is_refused(self):
        self.assert_refused(self.make_certificate(clock_s=3 * DAY_S), "not yet valid")

    def test_a_box_that_slept_past_a_new_certificate_connects(self):
        """It has no clock, and the last day that it knows of lies before the certificate's first:
        for all it knows it is later than that. It knows what had ended by then."""
        box = self.box(start=False)
        self.roll_out()
        self.check(box)  # in good times
        self.set_clock(box, 5 * 60 - int(time.time()))
        self.server.show(*self.make_certificate(clock_s=3 * DAY_S))
        self.assertIn("no newer timestamp was seen", self.check(box))
        self.server.show(*self.make_certificate(clock_s=-3 * DAY_S))
        self.assertIn("certificate has expired", self.check(box, 1))

    def test_a_wrong_host_name_is_refused(self):
        self.assert_refused(self.make_certificate(name="IP:127.0.0.2,DNS:localhost"),
                            "does not match|no alternative certificate subject name")

    def test_a_boxs_certificate_makes_no_server(self):
        """Whoever has one box may not play the server to the others: not with a certificate for
        clients, even if it were for the server's name."""
        self.assert_refused(self.make_certificate(usage="clientAuth"), "purpose")

    def test_the_certificate_of_another_box_makes_no_server(self):
        other = self.workspace.path("boxes", BOXES[1])
        self.assert_refused((os.path.join(other, "box.crt"), os.path.join(other, "box.key")),
                            "certificate|does not match")


class Revocation(AttackCase):
    def test_a_revoked_box_that_was_connected_is_cut_off_alone(self):
        """Resumed sessions and kept connections are not judged again, for five minutes: here it is
        two seconds. The site is for boxes only."""
        self.use_nginx()
        self.nginx.demand_certificates()
        self.nginx.made = self.nginx.made.replace("_timeout 20m;", "_timeout 2s;").replace(
            "keepalive_time 5m;", "keepalive_time 2s;")
        self.nginx.set("")
        self.nginx.reload()
        bad, good = self.box(BOXES[0]), self.box(BOXES[1])
        for box in (bad, good):
            wait_until(lambda box=box: self.nginx.requests(box.name), 20, box.log)
        self.workspace.revoke_box(bad.name)
        self.nginx.reload()
        wait_until(lambda: self.nginx.requests(bad.name)[-1][2] == 400, 15, bad.log)
        before = len(self.nginx.requests(bad.name))
        reports = len(self.workspace.reports(bad.name))
        self.roll_out()
        self.assert_updates(good)
        wait_until(lambda: len(self.nginx.requests(bad.name)) > before + 2, 20, bad.log)
        self.assertEqual({s for _, _, s, _ in self.nginx.requests(bad.name)[before:]}, {400})
        self.assertEqual(len(self.workspace.reports(bad.name)), reports)
        self.assert_untouched(bad, False)

    def test_an_expired_crl_locks_everyone_out_and_breaks_nobody(self):
        """One box waits for the update, one has it and is not confirmed yet: that one goes back
        after its deadline, and holds it against nobody. A publication renews the CRL. The site is
        for boxes only: else they ask without a certificate."""
        self.use_nginx()
        self.nginx.demand_certificates()
        crl = self.workspace.path("tls", "crl.pem")
        waiting = self.box(BOXES[0], start=False)
        trying = self.box(BOXES[1], start=False, health={"prompt": "3s"})
        with open(crl, "rb") as f:
            good = f.read()
        self.workspace.add_box("gw-000009")
        self.workspace.clock_s = -60 * DAY_S
        self.workspace.revoke_box("gw-000009")
        self.workspace.clock_s = 0
        with open(crl, "rb") as f:
            expired = f.read()
        self.put_crl(good)
        lapsed = os.path.join(self.folder, "lapsed.pem")
        with open(lapsed, "wb") as f:
            f.write(expired)
        self.roll_out(deadline="4s")
        trying.on_boot_of(trying.other_side(), f"cp {lapsed} {crl} && "
                          f"kill -HUP {self.nginx.process.pid} && sleep 0.3")
        trying.start()
        trying.wait_for_boots(2)
        waiting.start()
        self.wait_for_log(trying, "2.0.0: inconclusive: ")
        self.assertEqual(len(trying.boots()), 3)
        wait_until(lambda: 400 in [s for _, _, s, _ in self.nginx.requests()], 20, waiting.log)
        self.assert_untouched(waiting)
        self.assertEqual([f["inconclusive"] for f in trying.status()["failed"]], [True])
        trying.on_boot_of(trying.other_side(), "true")
        os.utime(crl, (time.time() - 60 * DAY_S,) * 2)
        self.workspace.publish()
        self.nginx.reload()
        for box in (waiting, trying):
            self.wait_for_outcome(box, "ok", timeout_s=60)
            self.assert_runs(box, NEW)
            numbers = [r["seq"] for r in self.workspace.reports(box.name)]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "no report was lost")
        self.assertNotIn("reverted", self.workspace.outcomes(trying.name))

    def put_crl(self, content):
        with open(self.workspace.path("tls", "crl.pem"), "wb") as f:
            f.write(content)
        self.nginx.reload()


class Plain(AttackCase):
    def test_a_server_without_tls_gets_no_request(self):
        """Whoever answers without TLS sees the first bytes of a handshake, and no more."""
        box = self.box(start=False)
        self.roll_out()
        self.server.plain = True
        self.check(box, 1)
        box.start()
        wait_until(lambda: len(self.server.greetings) > 1, 20, box.log)
        for greeting in self.server.greetings:
            self.assertEqual(greeting[:1], b"\x16", "a handshake")
            self.assertNotIn(b"metadata", greeting)
        self.assert_untouched(box)
        self.assert_updates(box)


if __name__ == "__main__":
    unittest.main()
