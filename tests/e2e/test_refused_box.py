"""Boxes whose certificates the server does not take: they hear what everybody may hear."""
import os
import shutil
import socket
import ssl
import tempfile
import unittest

import test_net
from fleet.case import NEW, OLD, FleetCase
from fleet.process import run, wait_until

DAY_S = 86400
SLOW = "limit_rate 15k;"
REFUSED = 4  # agent/net.h: nobody listens, or who took the connection is silent


class Refused(FleetCase):
    def made_at(self, name, clock_s):
        """A box whose certificate, of 730 days, begins then."""
        self.workspace.clock_s = clock_s
        box = self.box(name, start=False)
        self.workspace.clock_s = 0
        return box

    def status_of(self, box):
        """What the site answers to whoever shows its certificate."""
        return run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
                    box.path("ca.crt"), "--cert", box.path("box.crt"), "--key",
                    box.path("box.key"), self.workspace.url + "metadata/timestamp.json"]).stdout

    def wait_for_stop(self, box, stop):
        wait_until(lambda: [s["id"] for s in box.status()["stops"]] == [stop] and
                   box.phase() is None, 30,
                   lambda: f"{box.name} is stopped\n{box.status()}\n{box.log()[-3000:]}")
        self.assert_runs(box, OLD, other_side_boots=False)

    def spooled(self, box):
        return [name for name in os.listdir(box.path("state", "spool")) if name.endswith(".json")]

    def test_a_stop_reaches_boxes_whose_certificates_are_refused(self):
        """In the middle of an update, of which all comes without a certificate."""
        boxes = [self.made_at("gw-000001", -735 * DAY_S), self.made_at("gw-000002", 2 * DAY_S),
                 self.box("gw-000003", start=False)]
        self.workspace.revoke_box(boxes[2].name)
        self.nginx.set(SLOW)
        self.nginx.reload()
        for box in boxes:
            self.assertEqual(self.status_of(box), "400", box.name)
        self.roll_out()
        for box in boxes:
            box.start()
        for box in boxes:
            box.wait_for_phase("installing")
        stop = self.workspace.stop("stable")
        for box in boxes:
            self.wait_for_stop(box, stop)
            self.wait_for_log(box, "the site refuses this box's certificate")
            self.assertEqual(self.workspace.reports(box.name), [])
            self.assertGreater(len(self.spooled(box)), 1)
        # Which way works is remembered: only reports are refused from now on.
        before = len(self.nginx.requests())

        def polls():
            return [status for _, path, status, _ in self.nginx.requests()[before:]
                    if "timestamp" in path]

        wait_until(lambda: len(polls()) >= 6, 30, "they poll")
        self.assertNotIn(400, polls())

    def test_a_new_certificate_is_shown_at_once_and_brings_the_reports(self):
        box = self.made_at("gw-000001", -735 * DAY_S)
        self.roll_out()
        box.start()
        wait_until(lambda: box.runs(self.images[NEW]), 60, box.log)
        self.wait_for_log(box, "reports wait")
        kept = self.spooled(box)
        self.assertGreater(len(kept), 2)
        self.assertEqual(self.workspace.reports(box.name), [])
        box.stop()
        shown = os.path.join(self.folder, "shown")
        self.workspace.sluice("box", "revoke", box.name)
        self.workspace.sluice("box", "add", box.name, "--compatible", "acme-gw3", "--out", shown)
        self.nginx.reload()
        for name in ("box.crt", "box.key"):
            os.replace(os.path.join(shown, name), box.path(name))
        box.start()
        wait_until(lambda: len(self.workspace.reports(box.name)) >= len(kept), 30, box.log)
        wait_until(lambda: 200 in [s for _, p, s, _ in self.nginx.requests(box.name)
                                   if "metadata" in p], 30, "it shows it to the site, too")


class Alerts(unittest.TestCase):
    """A server that refuses certificates in the handshake, and not by a status as nginx does."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-refused-")
        self.addCleanup(shutil.rmtree, self.folder)
        test_net.make_certificates(self.folder)

    def pair(self, version, demands):
        server = test_net.Server(self.folder, versions=(version, version), demands=demands,
                                 client_ca=os.path.join(self.folder, "stranger.pem"))
        self.addCleanup(server.close)
        probe = test_net.Probe(server.url, self.folder, client="client")
        self.addCleanup(lambda: self.assertEqual(probe.close(), 0))
        return server, probe

    @staticmethod
    def tries(version):
        """In TLS 1.3 the request may cross the alert, which is lost then."""
        return (2,) if version == ssl.TLSVersion.TLSv1_2 else (2, 3)

    def assert_unwelcome(self, said, version):
        """In TLS 1.3 the client has agreed before it shows its certificate, and an alert that is
        lost is none."""
        numbers = (test_net.TURNED_AWAY,) if version == ssl.TLSVersion.TLSv1_2 else \
            (test_net.UNWELCOME, test_net.SILENT_SERVER)
        self.assertEqual(said.split()[:2], ["err", "network"], said)
        self.assertIn(int(said.split()[2]), numbers, said)

    def test_a_server_that_hangs_up_refuses_no_certificate(self):
        """A load balancer with nobody behind it, say. The site is asked once more without."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server = test_net.Server(self.folder, versions=(version, version), demands=False,
                                     client_ca=os.path.join(self.folder, "ca.pem"))
            self.addCleanup(server.close)
            server.answer = lambda _tls, stream: stream.readline() and False
            probe = test_net.Probe(server.url, self.folder, client="client")
            for said in (probe.get("plain"), probe.ask("put", "reports/box/report.json", "{}")):
                self.assertEqual(said.split()[:3],
                                 ["err", "network", str(test_net.SILENT_SERVER)], said)
            self.assertEqual(probe.close(), 0)

    def test_what_works_is_remembered(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server, probe = self.pair(version, demands=False)
            self.assertEqual(probe.get("plain").split()[:3], ["ok", "200", "5"])
            self.assertEqual(probe.ask("range", "data", 1000, 70000).split()[:3],
                             ["ok", "206", "70000"])
            self.assertEqual(probe.get("plain", base="metadata").split()[:2], ["ok", "200"])
            self.assertEqual(server.handshakes, 1)
            self.assertIn(server.tries, self.tries(version))
            tries = server.tries
            said = probe.ask("put", "reports/box/report.json", "{}")
            self.assert_unwelcome(said, version)
            self.assertEqual((server.tries, server.handshakes), (tries + 1, 1))

    def test_a_server_that_takes_connections_and_says_nothing_is_as_one_that_refuses(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
            probe = test_net.Probe(url, self.folder, stall_s=1)
            said = probe.get("plain", deadline_ms=0)
            self.assertEqual(probe.close(), 0)
        self.assertEqual(said.split()[:3], ["err", "network", str(REFUSED)], said)

    def test_that_nothing_works_is_remembered(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server, probe = self.pair(version, demands=True)
            self.assert_unwelcome(probe.get("plain"), version)
            self.assertIn(server.tries, self.tries(version))
            tries = server.tries
            self.assert_unwelcome(probe.get("plain"), version)
            self.assertEqual((server.tries, server.handshakes), (tries + 1, 0))


if __name__ == "__main__":
    unittest.main()
