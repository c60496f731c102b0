"""The network child against a server that does what no server should (agent/net.h)."""
import hashlib
import http.server
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from email.utils import formatdate

BUILD = os.environ["SLUICE_BUILD"]
DATA = bytes(range(256)) * 4096  # 1 MiB
DAY_S = 86400
ANY_TIME = 2**63 - 1
SILENT_SERVER = 2  # agent/net.h: TLS was agreed on, and the answer did not come or was cut
UNWELCOME = 5  # the server does not take the certificate, and says so
SHUT_OUT = 6  # no TLS is agreed on, maybe for the certificate
TURNED_AWAY = 7  # likewise, and for certain


def sha(data):
    return hashlib.sha256(data).hexdigest()


def openssl(*args, **kwargs):
    subprocess.run(["openssl", *args], check=True, capture_output=True, **kwargs)


def make_certificates(folder):
    """A CA, a server and a client certificate that are good today and for a day."""
    def path(name):
        return os.path.join(folder, name)

    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for ca in ("ca", "stranger"):
        openssl("req", "-x509", *ec, "-keyout", path(f"{ca}.key"), "-out", path(f"{ca}.pem"),
                "-subj", f"/CN={ca}", "-days", "1")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"),
                            ("client", "extendedKeyUsage=clientAuth")):
        openssl("req", *ec, "-keyout", path(f"{name}.key"), "-out", path(f"{name}.csr"),
                "-subj", f"/CN={name}")
        with open(path(f"{name}.ext"), "w", encoding="ascii") as f:
            f.write(extension + "\n")
        openssl("x509", "-req", "-in", path(f"{name}.csr"), "-CA", path("ca.pem"), "-CAkey",
                path("ca.key"), "-CAcreateserial", "-days", "1", "-extfile", path(f"{name}.ext"),
                "-out", path(f"{name}.pem"))


class Server:
    """HTTPS on a free port of loopback; what it does with a request is up to its path."""

    def __init__(self, folder, versions=None, client_ca=None, demands=True):
        self.requests = []  # (method, path, headers, body)
        self.tries = self.handshakes = self.resumed = 0
        self.stopping = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "server.pem"),
                                os.path.join(folder, "server.key"))
        if versions:
            context.minimum_version, context.maximum_version = versions
            context.set_ciphers("ALL:@SECLEVEL=0")
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED if demands else ssl.CERT_OPTIONAL
            context.load_verify_locations(client_ca)
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}/"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        self.tries += 1
        try:
            with self.context.wrap_socket(raw, server_side=True) as tls:
                self.handshakes += 1
                self.resumed += tls.session_reused
                stream = tls.makefile("rb")
                while self.answer(tls, stream):
                    pass
        except (OSError, ValueError):
            pass

    def answer(self, tls, stream):
        line = stream.readline().decode().split()
        if len(line) != 3:
            return False
        headers = {}
        while (header := stream.readline().strip()):
            name, value = header.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        method, path = line[0], line[1]
        self.requests.append((method, path, headers, body))
        name = path.rsplit("/", 1)[-1].split(".")[0].replace("-", "_")
        return getattr(self, "do_" + name, self.do_missing)(tls, method, path, headers)

    def reply(self, tls, status, body=b"", length=None, **headers):
        size = len(body) if length is None else length
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {size}\r\n"
        for name, value in headers.items():
            head += f"{name.replace('_', '-')}: {value}\r\n"
        tls.sendall(head.encode() + b"\r\n" + body)
        return True

    def do_missing(self, tls, *_):
        return self.reply(tls, 404, b"<html>nothing here</html>")

    def do_plain(self, tls, _method, _path, headers):
        if headers.get("if-none-match") == '"v1"':
            return self.reply(tls, 304, ETag='"v1"')
        return self.reply(tls, 200, b"hello", ETag='"v1"')

    def do_young(self, tls, _method, path, _headers):
        """Changed in the second of the answer, or two seconds before it ("young.old")."""
        now = int(time.time())
        return self.reply(tls, 200, b"young", ETag='"y1"', Date=formatdate(now, usegmt=True),
                          Last_Modified=formatdate(now - 2 * ("old" in path), usegmt=True))

    def do_half_status(self, tls, *_):
        tls.sendall(b"HTTP/200 OK\r\n\r\n")
        return False

    def do_data(self, tls, _method, _path, headers):
        if "range" not in headers:
            return self.reply(tls, 200, DATA)
        first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
        part = DATA[first:last + 1]
        if not part:
            return self.reply(tls, 416)
        return self.reply(tls, 206, part,
                          Content_Range=f"bytes {first}-{first + len(part) - 1}/{len(DATA)}")

    def do_ignores_range(self, tls, *_):
        return self.reply(tls, 200, DATA)

    def do_wrong_range(self, tls, _method, _path, headers):
        first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
        return self.reply(tls, 206, DATA[first + 1:last + 2],
                          Content_Range=f"bytes {first + 1}-{last + 1}/{len(DATA)}")

    def do_multipart(self, tls, *_):
        body = b"--x\r\nContent-Range: bytes 0-9/20\r\n\r\n0123456789\r\n--x--"
        return self.reply(tls, 206, body,
                          Content_Type="multipart/byteranges; boundary=x")

    def do_cut(self, tls, _method, _path, headers):
        self.reply(tls, 206 if "range" in headers else 200, DATA[:100000], length=500000,
                   Content_Range="bytes 0-499999/1048576")
        return False

    def do_cut_no_length(self, tls, *_):
        tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + DATA[:1000])
        tls.unwrap()
        return False

    def do_endless(self, tls, *_):
        tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self.stopping.is_set():
            tls.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        return False

    def do_endless_error(self, tls, *_):
        tls.sendall(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self.stopping.is_set():
            tls.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        return False

    def do_silent(self, *_):
        self.stopping.wait(30)
        return False

    def do_stalls(self, tls, _method, _path, headers):
        self.reply(tls, 206, DATA[:5000], length=500000,
                   Content_Range="bytes 0-499999/1048576")
        self.stopping.wait(30)
        return False

    def do_drips(self, tls, *_):
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        while not self.stopping.wait(0.2):
            tls.sendall(b"xx")
        return False

    def do_busy(self, tls, *_):
        return self.reply(tls, 503, Retry_After="120")

    def do_busy_for_ever(self, tls, *_):
        return self.reply(tls, 429, Retry_After="99999999999")

    def do_redirect(self, tls, *_):
        return self.reply(tls, 302, Location=f"{self.url}targets/plain")

    def do_redirect_http(self, tls, *_):
        return self.reply(tls, 301, Location=f"http://127.0.0.1:{self.port}/targets/plain")

    def do_report(self, tls, method, *_):
        return self.reply(tls, 201 if method == "PUT" else 405)

    def do_garbage(self, tls, *_):
        tls.sendall(os.urandom(4000))
        return False

    def close(self):
        self.stopping.set()
        self.listener.close()


class Probe:
    """The tool over agent/net.h, spoken to in lines."""
    program, environ = os.path.join(BUILD, "tests/tools/net_probe"), None

    def __init__(self, url, folder, ca="ca.pem", client=None, now_s=None, stall_s=2):
        def path(name):
            return os.path.join(folder, name)

        self.process = subprocess.Popen(
            [self.program, url, path(ca), path(f"{client}.pem") if client else "-",
             path(f"{client}.key") if client else "-",
             str(int(time.time()) if now_s is None else now_s), str(stall_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environ)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def get(self, path, limit=100000, deadline_ms=10000, etag="-", base="targets"):
        return self.ask("get", base, path, limit, deadline_ms, etag)

    def child(self):
        return int(self.ask("child").split()[1])

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        return code


class NetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-net-")
        make_certificates(cls.folder)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def server(self, **kwargs):
        server = Server(self.folder, **kwargs)
        self.addCleanup(server.close)
        return server

    def probe(self, server, **kwargs):
        probe = Probe(server.url, self.folder, **kwargs)
        self.addCleanup(lambda: self.assertEqual(probe.close(), 0))
        return probe

    def pair(self, **kwargs):
        server = self.server()
        return server, self.probe(server, **kwargs)

    def assert_ok(self, answer, data, status=200):
        words = answer.split()
        self.assertEqual(words[:4], ["ok", str(status), str(len(data)), sha(data)], answer)

    def assert_err(self, answer, kind, errnum=0, text=""):
        self.assertEqual(answer.split()[:3], ["err", kind, str(errnum)], answer)
        self.assertIn(text, answer)

    def test_a_file_comes_whole_and_only_once_while_it_is_the_same(self):
        server, probe = self.pair()
        answer = probe.get("plain", base="metadata")
        self.assert_ok(answer, b"hello")
        self.assertEqual(answer.split()[4], '"v1"')
        self.assert_ok(probe.get("plain", etag='"v1"'), b"", 304)
        self.assertEqual([r[1] for r in server.requests], ["/metadata/plain", "/targets/plain"])
        self.assertEqual(server.handshakes, 1)

    def test_a_file_changed_a_moment_ago_is_asked_for_again_without_its_tag(self):
        _, probe = self.pair()
        self.assertEqual(probe.get("young").split()[4], "-")
        self.assertEqual(probe.get("young.old").split()[4], '"y1"')

    def test_a_missing_file_is_told_from_others_and_keeps_the_connection(self):
        server, probe = self.pair()
        self.assert_err(probe.get("9.root.json", base="metadata"), "network", 404, "9.root.json")
        self.assert_ok(probe.get("plain"), b"hello")
        self.assertEqual(server.handshakes, 1)

    def test_a_file_over_its_limit_is_refused(self):
        _, probe = self.pair()
        self.assert_err(probe.get("data", limit=1000), "limit")
        self.assert_err(probe.get("endless", limit=300000), "limit")
        self.assert_ok(probe.get("data", limit=len(DATA)), DATA)

    def test_an_endless_error_page_is_cut_off(self):
        _, probe = self.pair()
        self.assert_err(probe.get("endless-error"), "network", 500)

    def test_ranges_give_exactly_their_bytes(self):
        _, probe = self.pair()
        for offset, length in ((0, 1), (0, len(DATA)), (1000, 700000), (len(DATA) - 1, 1)):
            self.assert_ok(probe.ask("range", "data", offset, length),
                           DATA[offset:offset + length], 206)

    def test_a_range_past_the_end_is_an_error(self):
        _, probe = self.pair()
        self.assert_err(probe.ask("range", "data", len(DATA), 10), "network", 416)
        self.assert_err(probe.ask("range", "data", len(DATA) - 5, 10), "network")

    def test_another_range_than_asked_for_is_refused(self):
        _, probe = self.pair()
        self.assert_err(probe.ask("range", "wrong-range", 10, 10), "network", 0, "another range")
        self.assert_err(probe.ask("range", "multipart", 0, 10), "network", 0, "another range")

    def test_a_cut_connection_is_an_error_and_the_next_request_works(self):
        _, probe = self.pair()
        self.assert_err(probe.get("cut", limit=1000000), "network", SILENT_SERVER)
        self.assert_err(probe.ask("range", "cut", 0, 500000), "network", SILENT_SERVER)
        self.assert_err(probe.get("garbage"), "network", SILENT_SERVER)
        self.assert_ok(probe.get("plain"), b"hello")

    def test_an_answer_that_only_begins_like_http_is_an_error_and_the_child_lives_on(self):
        _, probe = self.pair()
        child = probe.child()
        self.assert_err(probe.get("half-status"), "network", 0, "no HTTP")
        self.assert_err(probe.ask("put", "half-status", "{}"), "network", 0, "no HTTP")
        self.assertEqual(probe.child(), child)

    def test_a_stalled_transfer_fails_after_the_stall_limit(self):
        _, probe = self.pair(stall_s=2)
        for words in (("range", "stalls", 0, 500000), ("get", "targets", "silent", 10, 0, "-")):
            started = time.monotonic()
            self.assert_err(probe.ask(*words), "network", SILENT_SERVER)
            # libcurl averages the speed over five seconds.
            self.assertLess(time.monotonic() - started, 2 + 5 + 5)

    def test_a_dripping_transfer_fails_at_its_deadline(self):
        _, probe = self.pair(stall_s=30)
        started = time.monotonic()
        self.assert_err(probe.get("drips", deadline_ms=1500), "network", SILENT_SERVER)
        self.assertLess(time.monotonic() - started, 5)

    def test_retry_after_is_passed_on_and_capped(self):
        _, probe = self.pair()
        self.assertEqual(probe.get("busy").split()[:4], ["err", "network", "503", "120"])
        self.assertEqual(probe.get("busy-for-ever").split()[:4],
                         ["err", "network", "429", str(DAY_S)])

    def test_redirects_are_not_followed(self):
        server, probe = self.pair()
        self.assert_err(probe.get("redirect"), "network", 302)
        self.assert_err(probe.get("redirect-http"), "network", 301)
        self.assertEqual(len(server.requests), 2)

    def test_only_https_is_spoken(self):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            """It would speak http, if anybody asked."""

            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"plain")

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for scheme in ("http", "file", "ftp"):
                probe = Probe(f"{scheme}://127.0.0.1:{server.server_address[1]}/", self.folder)
                self.assert_err(probe.get("plain"), "network")
                probe.close()
            server.shutdown()
        self.assertEqual(asked, [])

    def test_paths_cannot_leave_their_base(self):
        server, probe = self.pair()
        for path in ("../metadata/plain", "/plain", "a/../../plain", "plain?x"):
            self.assert_err(probe.get(path), "malformed")
        self.assertEqual(server.requests, [])

    def test_a_report_is_put_and_an_error_is_noticed(self):
        server, probe = self.pair()
        self.assert_ok(probe.ask("put", "reports/box/report.json", '{"a":1}'), b"", 201)
        self.assertEqual(server.requests[0][::3], ("PUT", b'{"a":1}'))
        self.assertEqual(server.requests[0][1], "/reports/box/report.json")
        self.assert_err(probe.ask("put", "reports/other.json", "{}"), "network", 404)

    def test_a_stop_poll_runs_while_a_bundle_is_read(self):
        _, probe = self.pair()
        self.assert_ok(probe.ask("nested", "data", 0, len(DATA), "data", len(DATA)), DATA, 206)

    def test_a_stop_poll_runs_while_a_bundle_is_stalled(self):
        _, probe = self.pair(stall_s=20)
        started = time.monotonic()
        self.assert_err(probe.ask("refuse", "stalls", 0, 500000, 4), "stopped")
        self.assertLess(time.monotonic() - started, 4)
        self.assert_ok(probe.get("plain"), b"hello")

    def test_what_comes_ahead_of_the_reader_is_bounded(self):
        server, probe = self.pair()
        sent = [0]

        def do_counted(tls, *_):
            tls.sendall(b"HTTP/1.1 206 X\r\nContent-Length: 50000000\r\n"
                        b"Content-Range: bytes 0-49999999/50000000\r\n\r\n")
            tls.settimeout(0.5)
            try:
                while True:
                    sent[0] += tls.send(b"x" * 16384)
            except OSError:
                return False

        server.do_counted = do_counted
        self.assert_ok(probe.get("plain"), b"hello")
        pids = (probe.child(), probe.process.pid)
        before = sum(map(self.rss, pids))
        self.assertEqual(probe.ask("leave", "counted", 0, 50000000, 1500).split()[2], "1000")
        self.assertGreater(sent[0], 256 * 1024)
        self.assertLess(sent[0], 40000000)  # what the kernel's buffers hold is bounded, too
        self.assertLess(sum(map(self.rss, pids)) - before, 12 << 20)

    @staticmethod
    def rss(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))

    def test_the_child_is_replaced_when_it_dies(self):
        _, probe = self.pair()
        self.assert_ok(probe.get("plain"), b"hello")
        first = probe.child()
        os.kill(first, signal.SIGKILL)
        time.sleep(0.2)
        self.assert_ok(probe.get("plain"), b"hello")
        self.assertNotEqual(probe.child(), first)

    def test_a_child_that_dies_in_a_request_is_a_network_error(self):
        _, probe = self.pair(stall_s=20)
        child = probe.child()
        killer = threading.Timer(0.5, os.kill, (child, signal.SIGKILL))
        killer.start()
        self.assert_err(probe.ask("range", "stalls", 0, 500000), "network")
        killer.join()
        self.assert_ok(probe.get("plain"), b"hello")

    def test_the_child_outlives_signals_to_the_group_but_not_its_parent(self):
        server = self.server()
        probe = Probe(server.url, self.folder)
        child = probe.child()
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(child, sig)
        self.assert_ok(probe.get("plain"), b"hello")
        self.assertEqual(probe.child(), child)
        probe.process.kill()
        probe.process.wait()
        for stream in (probe.process.stdin, probe.process.stdout):
            stream.close()
        deadline = time.monotonic() + 5
        while os.path.exists(f"/proc/{child}") and time.monotonic() < deadline:
            with open(f"/proc/{child}/stat", encoding="ascii") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
            time.sleep(0.05)
        self.assertFalse(os.path.exists(f"/proc/{child}"))

    def test_the_child_holds_no_descriptor_but_its_socket_and_the_network(self):
        _, probe = self.pair()
        self.assert_ok(probe.get("plain"), b"hello")
        child = probe.child()
        kinds = [os.readlink(f"/proc/{child}/fd/{fd}").split(":")[0]
                 for fd in os.listdir(f"/proc/{child}/fd") if int(fd) > 2]
        self.assertEqual([k for k in kinds if k not in ("socket", "anon_inode", "pipe")], [])

    def test_neither_process_listens(self):
        _, probe = self.pair()
        self.assert_ok(probe.get("plain"), b"hello")
        for pid in (probe.process.pid, probe.child()):
            inodes = set()
            for fd in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
            for table in ("tcp", "tcp6", "udp", "udp6"):
                with open(f"/proc/net/{table}", encoding="ascii") as f:
                    for line in f.readlines()[1:]:
                        fields = line.split()
                        if fields[9] in inodes:
                            self.assertNotEqual(fields[3], "0A")

    def test_a_strangers_certificate_is_refused(self):
        server = self.server()
        probe = self.probe(server, ca="stranger.pem")
        self.assert_err(probe.get("plain"), "network", 1, "certificate")
        self.assertEqual(server.requests, [])

    def test_a_certificate_for_another_host_is_refused(self):
        server = self.server()
        probe = Probe(f"https://localhost:{server.port}/", self.folder)
        self.assert_err(probe.get("plain"), "network", 1)
        probe.close()
        self.assertEqual(server.requests, [])

    def test_certificates_are_judged_at_the_time_given(self):
        server = self.server()
        for days in (-3650, 3650):
            probe = self.probe(server, now_s=int(time.time()) + days * DAY_S)
            self.assert_err(probe.get("plain"), "network", 1, "certificate")
            self.assertEqual(probe.ask("time", int(time.time())), "ok")
            self.assert_ok(probe.get("plain"), b"hello")

    def test_who_does_not_know_the_time_takes_certificates_of_any_date(self):
        probe = self.probe(self.server(), now_s=1)
        self.assert_err(probe.get("plain"), "network", 1, "certificate")
        self.assertEqual(probe.ask("time", ANY_TIME), "ok")
        self.assert_ok(probe.get("plain"), b"hello")
        # But none that a stranger has issued.
        stranger = self.probe(self.server(), ca="stranger.pem", now_s=ANY_TIME)
        self.assert_err(stranger.get("plain"), "network", 1, "certificate")

    def test_who_knows_a_time_since_which_takes_certificates_of_a_later_date(self):
        server = self.server()
        probe = self.probe(server, now_s=1)
        self.assertEqual(probe.ask("since", int(time.time()) - 3650 * DAY_S), "ok")
        self.assert_ok(probe.get("plain"), b"hello")
        # But none that had ended by then, and none that a stranger has issued.
        self.assertEqual(probe.ask("since", int(time.time()) + 3650 * DAY_S), "ok")
        self.assert_err(probe.get("plain"), "network", 1, "certificate")
        stranger = self.probe(server, ca="stranger.pem", now_s=1)
        self.assertEqual(stranger.ask("since", 1), "ok")
        self.assert_err(stranger.get("plain"), "network", 1, "certificate")

    def test_a_connection_made_without_the_time_does_not_outlive_that(self):
        for lenient in (("time", ANY_TIME), ("since", 1)):
            server = self.server()
            probe = self.probe(server, now_s=1)
            self.assertEqual(probe.ask(*lenient), "ok")
            self.assert_ok(probe.get("plain"), b"hello")
            self.assertEqual(probe.ask("time", int(time.time()) - 3650 * DAY_S), "ok")
            self.assert_err(probe.get("plain"), "network", 1, "certificate")

    def test_old_tls_is_refused(self):
        old = self.server(versions=(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1))
        self.assert_err(self.probe(old).get("plain"), "network")
        new = self.server(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2))
        self.assert_ok(self.probe(new).get("plain"), b"hello")

    def test_a_server_that_takes_nothing_of_what_is_offered_has_answered_nothing(self):
        server = self.server(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2))
        server.context.set_ciphers("PSK-AES128-GCM-SHA256")
        self.assert_err(self.probe(server).get("plain"), "network", SHUT_OUT)

    def test_the_client_certificate_is_shown_where_it_is_asked_for(self):
        server = self.server(client_ca=os.path.join(self.folder, "ca.pem"))
        self.assert_ok(self.probe(server, client="client").get("plain"), b"hello")
        self.assert_err(self.probe(server).get("plain"), "network", SILENT_SERVER)

    def test_a_new_connection_resumes_the_session(self):
        server, probe = self.pair()
        self.assert_ok(probe.get("plain"), b"hello")
        self.assert_err(probe.get("cut", limit=1000000), "network")
        self.assert_ok(probe.get("plain"), b"hello")
        self.assertEqual((server.handshakes, server.resumed), (2, 1))

    def test_certificates_that_cannot_be_read_are_an_error_at_the_start(self):
        server = self.server()
        probe = Probe(server.url, self.folder, ca="nowhere.pem")
        self.assertIn("nowhere.pem", probe.process.stdout.readline())
        self.assertEqual(probe.close(), 1)


if __name__ == "__main__":
    unittest.main()
