"""One web server with the configuration that `sluice init` makes, and clients of all kinds."""
import contextlib
import glob
import http.client
import os
import shutil
import socket
import ssl
import tempfile

from fleet import Nginx, Workspace, free_port, run
from fleet.workspace import clock_preload

DAY_S = 86400


def certificate(ws, folder, subject, ca=None, left_s=2 * DAY_S, extensions=""):
    """(certificate, key) for a client: by the fleet's own CA, unless told otherwise. left_s: for
    how long it is good still; less than 0: it has expired."""
    ca = ca or (ws.path("tls", "ca.crt"), ws.path("tls", "ca.key"))
    there = tempfile.mkdtemp(dir=folder)
    key, csr, crt, ext = (os.path.join(there, name) for name in ("key", "csr", "crt", "ext"))
    with open(ext, "w", encoding="ascii") as f:
        f.write(f"extendedKeyUsage=clientAuth\n{extensions}")
    run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-utf8", "-keyout", key, "-out", csr, "-subj", subject])
    clock = clock_preload(folder, left_s - 2 * DAY_S, os.path.basename(there) + ".clock")
    run(["openssl", "x509", "-req", "-in", csr, "-CA", ca[0], "-CAkey", ca[1], "-days", "2",
         "-CAcreateserial", "-CAserial", os.path.join(there, "serial"), "-extfile", ext,
         "-out", crt], env={**os.environ, **clock})
    return crt, key


def send_slowly(s, data, pause_s):
    """In pieces, with a pause between two, until something comes back, which is returned."""
    for at in range(0, len(data), 4096):
        if at:
            s.settimeout(pause_s)
            with contextlib.suppress(TimeoutError):
                return s.recv(65536)
        s.settimeout(20)
        s.sendall(data[at:at + 4096])
    return b""


class Web:
    """A workspace with some boxes, some files in its site, and its server."""

    def __init__(self, *boxes):
        self.folder = tempfile.mkdtemp(prefix="sluice-nginx-")
        self.ws = Workspace(os.path.join(self.folder, "ws"), free_port()).init().ceremony()
        for box in boxes:
            self.ws.add_box(box)
        os.makedirs(self.ws.path("site", "targets", "bundles"))
        for name in ("data.ota", ".hidden"):
            with open(self.ws.path("site", "targets", "bundles", name), "wb") as f:
                f.write(bytes(range(256)) * 16)
        self.server = Nginx(self.ws)
        self.made = self.server.made
        self.server.start()

    def end(self):
        self.server.stop()
        shutil.rmtree(self.folder)

    def change(self, old, new):
        """Serves with this change to what `sluice init` made."""
        if old not in self.made:
            raise ValueError(f"not in sluice.conf: {old}")
        self.server.made = self.made.replace(old, new)
        self.server.set("")
        self.server.reload()

    def change_back(self):
        self.change("", "")

    def context(self, box=None, cert=None, version=None):
        c = ssl.create_default_context(cafile=self.ws.path("tls", "ca.crt"))
        if version:
            c.minimum_version = c.maximum_version = version
        if box:
            cert = (self.ws.path("boxes", box, "box.crt"), self.ws.path("boxes", box, "box.key"))
        if cert:
            c.load_cert_chain(*cert)
        return c

    def connect(self, c, session=None):
        plain = socket.create_connection(("127.0.0.1", self.ws.port), timeout=20)
        return c.wrap_socket(plain, server_hostname="127.0.0.1", session=session)

    def ask(self, method, path, box=None, body=None, headers=(), cert=None):
        """One request over one connection: (status, headers, body)."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.ws.port, timeout=20,
                                                 context=self.context(box, cert))
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask_raw(self, data, box=None):
        """Bytes to the server as they are; all bytes that come back. A server that closes before
        it has read everything resets the connection, and then its answer may be lost on the way:
        so no more is sent once there is one, and where none came it is asked again, slower."""
        answer, pause_s = b"", 0.01
        while not answer and pause_s < 10:
            with self.connect(self.context(box)) as s:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    answer = send_slowly(s, data, pause_s)
                    s.settimeout(20)
                    while piece := s.recv(65536):
                        answer += piece
            pause_s *= 2
        return answer

    def status(self, method, path, box=None, cert=None, body=b"{}"):
        """Of one request; 400, too, where there is not even a handshake."""
        try:
            return self.ask(method, path, box=box, cert=cert, body=body)[0]
        except (ssl.SSLError, ConnectionError):
            return 400

    def put(self, box, path, body=b"{}"):
        return self.ask("PUT", path, box=box, body=body)[0]

    def resume(self, c, session):
        """A poll on a connection of its own: (status, the session to resume, whether it was)."""
        with self.connect(c, session) as s:
            s.sendall(b"GET /metadata/timestamp.json HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                      b"Connection: close\r\n\r\n")
            answer = b""
            while piece := s.recv(65536):
                answer += piece
            return int(answer.split()[1]), s.session, s.session_reused

    def spool(self):
        return sorted(os.listdir(self.ws.path("spool")))

    def empty_spool(self):
        for path in glob.glob(self.ws.path("spool", "*")):
            os.unlink(path)

    def tree(self):
        """Every file in the workspace that a request may not change, and what tells when one was
        touched."""
        found = {}
        for path in glob.glob(self.ws.path("**"), recursive=True, include_hidden=True):
            if os.path.isfile(path) and "/nginx/" not in path and "/fleet.db" not in path:
                info = os.stat(path)
                found[os.path.relpath(path, self.ws.dir)] = info.st_ino, info.st_size, \
                    info.st_mtime_ns
        return found

    def certificate(self, subject, **settings):
        return certificate(self.ws, self.folder, subject, **settings)
