"""What a stolen box is good for: its certificate and TLS key, and the key that signs its reports.

What the web server refuses to whoever has a certificate is tried in full in e2e/test_nginx.py."""
import http.client
import json
import os
import ssl
import unittest

from fleet.key import Key
from forge import sealed
from siege import Siege
from spool import is_signed_by, spooled


class StolenBox(Siege):
    """gw-000002 is stolen, whole; gw-000001 is the one that must not notice."""

    @classmethod
    def roll_out(cls):
        super().roll_out()
        for name in ("gw-000002", "gw-000003"):
            cls.workspace.add_box(name)

    def ask(self, method, path, body=None, box="gw-000002"):
        """A request with a box's certificate, or with none."""
        tls = ssl.create_default_context(cafile=self.workspace.path("tls", "ca.crt"))
        if box:
            tls.load_cert_chain(*(self.workspace.path("boxes", box, "box" + end)
                                  for end in (".crt", ".key")))
        connection = http.client.HTTPSConnection("127.0.0.1", self.workspace.port, context=tls,
                                                 timeout=20)
        try:
            connection.request(method, "/" + path, body=body)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (ssl.SSLError, ConnectionError):
            return None
        finally:
            connection.close()

    def true_report(self):
        """One that gw-000001 made and signed."""
        self.box.script("inhibit.d/10-wait", "exit 1\n")
        self.start_agent()
        self.wait_for_report(lambda r: r["box"] == self.box.name, "a report came")
        self.end_agent()
        os.unlink(self.box.path("inhibit.d", "10-wait"))
        return next(iter(spooled(self.workspace).values()))

    def test_its_certificate_reads_the_site_and_puts_under_its_own_name_alone(self):
        self.assertEqual(self.ask("GET", "metadata/timestamp.json"), 200)
        self.assertIn(self.ask("PUT", "reports/gw-000002/1.json", "{}"), (201, 204))
        before = self.tree("site")
        for method, path in (("PUT", "reports/gw-000001/1.json"),
                             ("GET", "reports/gw-000002/1.json"),
                             ("DELETE", "reports/gw-000002/1.json"),
                             ("PUT", "metadata/timestamp.json"), ("DELETE", "metadata/1.root.json"),
                             ("PUT", "targets/rollouts/evil.json")):
            with self.subTest(f"{method} {path}"):
                self.assertIn(self.ask(method, path, "{}"), (403, 404, 405))
        self.assertEqual(self.tree("site"), before)
        self.assertEqual(list(spooled(self.workspace)), ["gw-000002@1.json"])
        self.assert_installs()

    def tree(self, name):
        return {os.path.join(folder, f) for folder, _, files in os.walk(self.workspace.path(name))
                for f in files}

    def test_it_signs_no_report_of_another_box(self):
        """With its report key too, and by repeating what the other box has said itself."""
        true = self.true_report()
        self.assertTrue(is_signed_by(self.workspace, true, "gw-000001"))
        key = Key(self.workspace.path("boxes", "gw-000002", "report.key"))
        lie = {**true["signed"], "outcome": "ok", "detail": "all is well, says a thief"}
        forged = json.loads(sealed(lie, key))
        self.assertFalse(is_signed_by(self.workspace, forged, "gw-000001"))
        forged["signatures"] = [{**forged["signatures"][0],
                                 "keyid": true["signatures"][0]["keyid"]}]
        self.assertFalse(is_signed_by(self.workspace, forged, "gw-000001"))
        self.assertFalse(is_signed_by(self.workspace, {**true, "signed": lie}, "gw-000001"))
        # Under its own name the other's words are nobody's.
        self.assertFalse(is_signed_by(self.workspace, true, "gw-000002"))

    def test_it_lies_about_itself_and_that_is_all(self):
        """Certificate and report key together: this one box's reports are worth nothing."""
        key = Key(self.workspace.path("boxes", "gw-000002", "report.key"))
        lie = {**self.true_report()["signed"], "box": "gw-000002", "seq": 7, "outcome": "ok"}
        self.assertIn(self.ask("PUT", "reports/gw-000002/7.json", sealed(lie, key)), (201, 204))
        self.assertTrue(is_signed_by(self.workspace, spooled(self.workspace)["gw-000002@7.json"],
                                     "gw-000002"))
        self.assertEqual(self.ask("PUT", "reports/gw-000001/7.json", sealed(lie, key)), 403)
        self.assert_installs()

    def test_a_report_key_without_its_certificate_puts_nothing(self):
        key = Key(self.workspace.path("boxes", "gw-000002", "report.key"))
        self.assertIn(self.ask("PUT", "reports/gw-000002/1.json", sealed({"box": "gw-000002"}, key),
                               box=None), (400, 403))
        self.assertEqual(spooled(self.workspace), {})

    def test_its_report_key_signs_no_metadata(self):
        thief = Key(self.workspace.path("boxes", "gw-000002", "report.key"))
        for role in ("timestamp", "snapshot", "targets", "releases", "rollouts", "gates"):
            with self.subTest(role):
                self.put_back("site", "boxes")
                self.forger.look()
                changed = [] if role in ("timestamp", "snapshot") else [self.forger.next(role)]
                self.forger.publish(*changed, keys={role: [thief]})
                self.assert_refused(f"{role}.* 0 of 1 signatures needed", role)

    def test_revoking_it_ends_all_that_and_nobody_elses(self):
        self.assertEqual(self.ask("GET", "metadata/timestamp.json", box="gw-000003"), 200)
        self.workspace.revoke_box("gw-000003")
        self.nginx.reload()
        for method, path in (("GET", "metadata/timestamp.json"),
                             ("PUT", "reports/gw-000003/2.json")):
            self.assertIn(self.ask(method, path, "{}", box="gw-000003"), (400, None))
        self.assertEqual(spooled(self.workspace), {})
        self.assertEqual(self.ask("GET", "metadata/timestamp.json"), 200)
        self.assert_installs()


if __name__ == "__main__":
    unittest.main()
