"""The web server's configuration that `sluice init` makes, against clients that mean harm."""
import glob
import http.client
import os
import socket
import ssl
import tempfile
import time
import unittest

from fleet import Programs, run
from web import Web

REPORT_MAX = 64 * 1024
OTHER_METHODS = ("PUT", "POST", "DELETE", "PATCH", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND",
                 "TRACE")


def setUpModule():
    global web, ws, server
    web = Web("gw-1", "gw-2", "gw-3")
    ws, server = web.ws, web.server


def tearDownModule():
    web.end()


class Site(unittest.TestCase):
    def test_nginx_takes_the_configuration(self):
        done = server.check()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("warn", done.stderr)

    def test_the_site_is_there_with_and_without_a_certificate(self):
        with open(ws.path("site", "metadata", "timestamp.json"), "rb") as f:
            timestamp = f.read()
        for box in (None, "gw-1"):
            status, headers, body = web.ask("GET", "/metadata/timestamp.json", box)
            self.assertEqual((status, body), (200, timestamp))
            self.assertEqual(headers["Content-Type"], "application/json")
            self.assertEqual(headers["Cache-Control"], "no-cache")
            self.assertEqual(web.ask("HEAD", "/metadata/1.root.json", box)[0], 200)

    def test_what_never_changes_may_be_cached(self):
        headers = web.ask("GET", "/targets/bundles/data.ota")[1]
        self.assertIn("immutable", headers["Cache-Control"])
        self.assertIsNone(web.ask("GET", "/metadata/2.root.json")[1]["Cache-Control"])

    def test_ranges_and_conditions_are_honoured(self):
        path = "/targets/bundles/data.ota"
        etag = web.ask("GET", path)[1]["ETag"]
        self.assertEqual(web.ask("GET", path, headers={"If-None-Match": etag})[0], 304)
        status, headers, body = web.ask("GET", path, headers={"Range": "bytes=10-19"})
        self.assertEqual((status, body), (206, bytes(range(10, 20))))
        self.assertEqual(headers["Content-Range"], "bytes 10-19/4096")

    def test_nothing_is_listed(self):
        for path in ("/", "/metadata", "/metadata/", "/targets", "/targets/", "/targets/bundles",
                     "/targets/bundles/", "/reports/", "/reports/gw-1/", "/spool/"):
            status, _, body = web.ask("GET", path, "gw-1")
            self.assertNotEqual(status, 200, path)
            self.assertNotIn(b"data.ota", body)
            self.assertNotIn(b"timestamp", body)

    def test_hidden_files_and_links_are_not_served(self):
        self.assertEqual(web.ask("GET", "/targets/bundles/.hidden")[0], 404)
        os.symlink(ws.path("tls", "ca.key"), ws.path("site", "targets", "link"))
        try:
            self.assertEqual(web.ask("GET", "/targets/link")[0], 403)
        finally:
            os.unlink(ws.path("site", "targets", "link"))

    def test_the_site_is_read_only(self):
        before = web.tree()
        for method in OTHER_METHODS:
            for path in ("/metadata/timestamp.json", "/targets/bundles/data.ota", "/targets/new",
                         "/new", "/"):
                status = web.ask(method, path, "gw-1", body=b"x",
                             headers={"Destination": "/targets/copy"})[0]
                self.assertGreaterEqual(status, 400, f"{method} {path}")
        self.assertEqual(web.tree(), before)

    def test_the_site_says_no_version_of_the_server(self):
        self.assertEqual(web.ask("GET", "/nothing")[1]["Server"], "nginx")

    def test_old_protocols_are_refused(self):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.load_verify_locations(ws.path("tls", "ca.crt"))
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", ws.port), timeout=20) as plain:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                c.wrap_socket(plain, server_hostname="127.0.0.1")


class Reports(unittest.TestCase):
    def setUp(self):
        time.sleep(0.5)  # the rate limit is a box's: let it forget some of the last test

    def tearDown(self):
        web.empty_spool()

    def spool(self):
        return web.spool()

    def test_a_report_goes_into_the_flat_spool(self):
        self.assertEqual(web.put("gw-1", "/reports/gw-1/17.json", b'{"a": 1}'), 201)
        self.assertEqual(self.spool(), ["gw-1@17.json"])
        with open(ws.path("spool", "gw-1@17.json"), "rb") as f:
            self.assertEqual(f.read(), b'{"a": 1}')
        # A box that never saw the answer sends it again.
        self.assertEqual(web.put("gw-1", "/reports/gw-1/17.json", b'{"a": 1}'), 204)
        self.assertEqual(os.stat(ws.path("spool", "gw-1@17.json")).st_mode & 0o007, 0)

    def test_no_report_is_ever_read(self):
        self.assertEqual(web.put("gw-1", "/reports/gw-1/1.json", b"secret"), 201)
        for method in ("GET", "HEAD", "POST", "DELETE", "COPY", "MOVE", "MKCOL", "PROPFIND"):
            for path in ("/reports/gw-1/1.json", "/spool/gw-1@1.json", "/reports/gw-1@1.json",
                         "/reports/../spool/gw-1@1.json", "/metadata/../../spool/gw-1@1.json",
                         "/targets/..%2f..%2fspool/gw-1@1.json"):
                status, _, body = web.ask(method, path, "gw-1")
                self.assertGreaterEqual(status, 400, f"{method} {path}")
                self.assertNotIn(b"secret", body)
        self.assertEqual(self.spool(), ["gw-1@1.json"])

    def test_a_report_is_not_put_anywhere_else(self):
        before = web.tree()
        for path in ("/reports/gw-1/", "/reports/gw-1", "/reports/gw-1/0.json",
                     "/reports/gw-1/01.json", "/reports/gw-1/-1.json", "/reports/gw-1/1",
                     "/reports/gw-1/1.json/", "/reports/gw-1/1.json.bak", "/reports/gw-1/a.json",
                     "/reports/gw-1/1/2.json", "/reports/gw-1/12345678901234567.json",
                     "/reports/1.json", "/spool/gw-1@1.json", "/gw-1/1.json", "/reports/",
                     "/reports/.gw-1/1.json", "/x/reports/gw-1/1.json"):
            self.assertGreaterEqual(web.put("gw-1", path), 400, path)
        self.assertEqual(web.tree(), before)

    def test_the_largest_report_fits_and_a_byte_more_does_not(self):
        self.assertEqual(web.put("gw-1", "/reports/gw-1/1.json", b"x" * REPORT_MAX), 201)
        self.assertEqual(web.put("gw-1", "/reports/gw-1/2.json", b"x" * (REPORT_MAX + 1)), 413)
        chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
        answer = web.ask_raw(b"PUT /reports/gw-1/3.json HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                         b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
                         chunk * 17 + b"0\r\n\r\n", "gw-1")
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0])
        self.assertEqual(self.spool(), ["gw-1@1.json"])

    def test_half_a_report_is_none(self):
        web.ask_raw(b"PUT /reports/gw-1/1.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                b"Content-Range: bytes 0-1/4\r\nContent-Length: 2\r\n\r\nab", "gw-1")
        with web.connect(web.context("gw-1")) as s:
            s.sendall(b"PUT /reports/gw-1/2.json HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                      b"Content-Length: 100\r\n\r\nonly a part")
        time.sleep(0.2)
        self.assertEqual(self.spool(), [])

    def test_path_tricks_reach_nothing(self):
        before = web.tree()
        with open(ws.path("tls", "ca.key"), "rb") as f:
            secret = f.read().split(b"\n")[1]
        paths = []
        for up in ("..", "%2e%2e", ".%2e", "%2e.", "..;", "%252e%252e", "..%c0%af", "..\\"):
            for slash in ("/", "//", "%2f", "%5c", "/./"):
                step = up + slash
                paths += [f"/metadata/{step * 2}tls/ca.key", f"/targets/{step * 2}tls/ca.key",
                          f"/targets/bundles/{step * 3}workspace.yaml"]
                paths += [f"/reports/gw-1{slash}{step}gw-2/1.json",
                          f"/reports/gw-1/{step}{step}spool/gw-2@1.json",
                          f"/reports/gw-1/{step}{step}metadata/timestamp.json"]
        paths += ["/metadata../tls/ca.key", "/targets../tls/ca.key", "/metadata/%00",
                  "/reports/gw-1%2f1.json", "/reports/gw-1/1.json%0a", "/reports/gw-1/1.json%00",
                  "/reports/gw-1/1.json%00.txt", "/reports/gw-1%0a/1.json", "/reports//gw-1/1.json"]
        for method in (b"GET", b"PUT"):
            for path in paths:
                answer = web.ask_raw(method + b" " + path.encode() + b" HTTP/1.1\r\n"
                                 b"Host: 127.0.0.1\r\nConnection: close\r\n"
                                 b"Content-Length: 1\r\n\r\nx", "gw-1")
                self.assertNotIn(secret, answer, path)
                self.assertNotIn(b"site_url", answer, path)
        after = web.tree()
        # Two of them are other spellings of the box's own place.
        after.pop("spool/gw-1@1.json", None)
        self.assertEqual(after, before)

    def test_a_box_gone_mad_is_slowed_down_and_others_are_not(self):
        connection = http.client.HTTPSConnection("127.0.0.1", ws.port, timeout=20,
                                                 context=web.context("gw-3"))
        statuses = []
        for i in range(1, 101):
            connection.request("PUT", f"/reports/gw-3/{i}.json", body=b"{}")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        self.assertIn(429, statuses)
        self.assertGreaterEqual(statuses.count(201), 50)
        self.assertEqual(web.put("gw-2", "/reports/gw-2/1.json"), 201)


class OtherPlaces(unittest.TestCase):
    """Configurations for URLs that are not the usual."""

    def made(self, *options):
        with tempfile.TemporaryDirectory(dir=web.folder) as there:
            run([Programs().sluice, "init", there, *options])
            done = run(["nginx", "-p", there, "-c", "nginx/nginx.conf", "-t"], check=None)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(os.path.join(there, "nginx", "sluice.conf"), encoding="utf-8") as f:
                return f.read()

    def test_the_site_may_be_below_a_path(self):
        text = self.made("--site-url", "https://updates.example.com/a.b/fleet/")
        self.assertIn("listen 443 ssl;", text)
        self.assertIn("server_name updates.example.com;", text)
        self.assertIn("location ^~ /a.b/fleet/metadata/", text)
        self.assertIn(r'"^/a\.b/fleet/reports/', text)

    def test_reports_may_go_elsewhere(self):
        text = self.made("--site-url", "https://cdn.example.com/", "--report-url",
                         "https://reports.example.com:8443/")
        self.assertEqual(text.count("\nserver {"), 2)
        self.assertIn("listen 8443 ssl;", text)

    def test_a_folder_that_nginx_cannot_name_is_refused(self):
        for name in ("a b", "a;b", "a$b", 'a"b', "a{b"):
            done = run([Programs().sluice, "init", os.path.join(web.folder, name)], check=2)
            self.assertIn("nginx.conf cannot name", done.stderr)
            self.assertFalse(os.path.exists(os.path.join(web.folder, name)))

    def test_a_url_that_is_none_is_a_usage_error(self):
        for url in ("http://a/", "https://a", "https://a/;x/", "https://a/../", "https://"):
            run([Programs().sluice, "init", os.path.join(web.folder, "none"), "--site-url", url],
                check=2)
        self.assertFalse(os.path.exists(os.path.join(web.folder, "none")))

    def test_a_workspace_is_made_once(self):
        before = web.tree()
        run([Programs().sluice, "init", ws.dir], check=1)
        self.assertEqual(web.tree(), before)

    def test_secrets_are_readable_by_their_owner_only(self):
        for path in glob.glob(ws.path("**", "*.key"), recursive=True):
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)


if __name__ == "__main__":
    unittest.main()
