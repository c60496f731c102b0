"""A web server in the attacker's hands: what nginx does, and per path whatever it is told.

It has the workspace's own certificate and demands one of each client, serves the site with ranges
and conditions, and takes reports into the spool. A behaviour is a function of an Exchange; those
below are made with what they need: `server.on("timestamp", endless())`.
"""
import gzip
import os
import re
import select
import shutil
import socket
import ssl
import threading
import time
from email.utils import formatdate

PIECE = 16384


class Hang(Exception):
    """Ends a connection without a word."""


class Exchange:
    """One request, and the ways to answer it."""

    def __init__(self, server, tls, box, method, path, headers, body):
        self.server, self.tls, self.box = server, tls, box
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.began = time.monotonic()
        self.status = self.sent = 0
        self.ended = None  # when the answer was given, or the client had enough

    @property
    def over(self):
        return self.ended is not None

    def head(self, status, length, headers):
        self.status = status
        lines = [f"HTTP/1.1 {status} X", f"Date: {formatdate(usegmt=True)}"]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.tls.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, data):
        self.tls.sendall(data)
        self.sent += len(data)

    def reply(self, status, body=b"", length=None, **headers):
        self.head(status, len(body) if length is None else length, headers)
        self.send(body)

    def file(self, path=None):
        """What the site has under this path or another; None for nothing."""
        name = os.path.realpath(os.path.join(self.server.site, (path or self.path).lstrip("/")))
        if not name.startswith(os.path.realpath(self.server.site) + os.sep):
            return None
        try:
            with open(name, "rb") as f:
                return f.read()
        except OSError:
            return None

    def wanted(self, data):
        """The range that is asked for, as (first, last), or None."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(found[1]), min(int(found[2]), len(data) - 1)) if found else None

    def serve(self, data, tag=None):
        """Answers with a file's content as nginx would."""
        if data is None:
            return self.reply(404, b"<html>not here</html>")
        tag = tag or f'"{hash(data):x}"'
        part = self.wanted(data)
        if self.headers.get("if-none-match") == tag:
            return self.reply(304, length=0, ETag=tag)
        if part is None:
            return self.reply(200, data, ETag=tag)
        if part[0] > part[1]:
            return self.reply(416)
        return self.reply(206, data[part[0]:part[1] + 1], ETag=tag,
                          Content_Range=f"bytes {part[0]}-{part[1]}/{len(data)}")

    def part(self):
        """The bytes that an honest answer would have."""
        data = self.file() or b""
        part = self.wanted(data)
        return data[part[0]:part[1] + 1] if part else data

    def head_of_part(self, length):
        """The head of an honest answer, with this for its length."""
        data = self.file() or b""
        part = self.wanted(data)
        extra = {"Content_Range": f"bytes {part[0]}-{part[1]}/{len(data)}"} if part else {}
        self.head(206 if part else 200, length, extra)

    def honest(self):
        if self.method == "PUT":
            return self.take_report()
        return self.serve(self.file())

    def take_report(self):
        found = re.fullmatch(r"/reports/([\w.-]+)/([1-9]\d*)\.json", self.path)
        if not found or found[1] != self.box:
            return self.reply(403)
        spool = self.server.workspace.path("spool")
        new = os.path.join(spool, f".{self.box}.new")  # several boxes report at once
        with open(new, "wb") as f:
            f.write(self.body)
        os.replace(new, os.path.join(spool, f"{self.box}@{found[2]}.json"))
        return self.reply(201)

    def wait(self, seconds):
        """Lets time pass, until the client has had enough or the server ends."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            # It asks for nothing more before it has its answer: what comes now is its good-bye.
            if self.server.ended.is_set() or \
                    select.select([self.tls], [], [], min(left, 0.2))[0]:
                raise Hang


# Behaviours.

def status(number, **headers):
    return lambda x: x.reply(number, b"<html>no</html>", **headers)


def busy(retry_after_s, number=503):
    return status(number, Retry_After=retry_after_s)


def redirect(to, number=302):
    """to ends where the path is put behind it."""
    return lambda x: x.reply(number, Location=to.rstrip("/") + x.path)


def endless(declared=None, prefix=b"", status_line=None):
    """Bytes without end: JSON that never closes, or what comes behind the prefix."""
    def answer(x):
        if status_line:
            x.head(status_line, declared, {})
        else:
            x.head_of_part(declared)
        x.send(prefix)
        endless_tail(x)
    return answer


def endless_tail(x):
    """What comes behind an answer that has begun."""
    while not x.server.ended.is_set():
        x.send(b"{" + b" " * (PIECE - 1))
    raise Hang


def endless_headers():
    def answer(x):
        x.tls.sendall(b"HTTP/1.1 200 X\r\n")
        number = 0
        while not x.server.ended.is_set():
            number += 1
            line = f"X-{number}: {'x' * 4000}\r\n".encode()
            x.tls.sendall(line)
            x.sent += len(line)
        raise Hang
    return answer


def drip(bytes_per_s=1):
    """An honest answer at this speed."""
    def answer(x):
        data = x.part()
        x.head_of_part(len(data))
        for i in range(len(data)):
            x.send(data[i:i + 1])
            x.wait(1 / bytes_per_s)
    return answer


def stall(after=0):
    """An honest answer, of which so many bytes come, and then nothing."""
    def answer(x):
        data = x.part()
        x.head_of_part(len(data))
        x.send(data[:after])
        while True:
            x.wait(60)
    return answer


def silent():
    def answer(x):
        while True:
            x.wait(60)
    return answer


def cut(after=0):
    """The connection ends in the middle of an honest answer."""
    def answer(x):
        data = x.part()
        x.head_of_part(len(data))
        x.send(data[:after])
        x.wait(0.2)  # or libcurl may see the end first, and ask again by itself
        raise Hang
    return answer


def swap(path):
    """Another file of the site, under this name."""
    return lambda x: x.serve(x.file(path))


def bytes_of(data):
    return lambda x: x.serve(data() if callable(data) else data)


def changed(change):
    """The file's bytes after change(bytes)."""
    return lambda x: x.serve(change(x.file()))


def no_range():
    def answer(x):
        x.headers.pop("range", None)
        x.serve(x.file())
    return answer


def wrong_length(difference):
    """Content-Length is that much off."""
    def answer(x):
        data = x.part()
        x.head_of_part(max(len(data) + difference, 0))
        x.send(data)
        raise Hang
    return answer


def gzipped():
    """Compressed, as no client of ours asks for."""
    def answer(x):
        x.reply(200, gzip.compress(x.part()), Content_Encoding="gzip")
    return answer


class HostileServer:
    """Serves workspace.dir/site on the workspace's port, until told otherwise.

    requests   every Exchange so far, also those that are not at their end
    accepted   when each connection came in
    site       the folder that it serves; freeze() lets it serve a copy of what there is now
    mute       new connections are accepted, and no byte is ever sent
    plain      they are answered at once, without TLS; greetings is what they began with
    """

    def __init__(self, workspace, port=None):
        self.workspace, self.port = workspace, port or workspace.port
        self.site = workspace.path("site")
        self.requests, self.accepted, self.open = [], [], set()
        self.rules = []
        self.mute = self.plain = False
        self.greetings = []
        self.ended = threading.Event()
        self.listener = None
        self.show(workspace.path("tls", "server.crt"), workspace.path("tls", "server.key"))

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}/"

    def show(self, certificate, key):
        """The certificate that new connections get to see. Demands one of this fleet's boxes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(self.workspace.path("tls", "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        self.context = context
        self.drop()

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()
        return self

    def stop(self):
        """Ends it, connections and all; again and again is allowed."""
        self.ended.set()
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)  # accept() would hold it open
            self.acceptor.join()
            self.listener.close()
            self.listener = None
        self.drop()

    def drop(self):
        """Ends the connections that there are."""
        for raw in list(self.open):
            try:
                raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # What it is told.

    def on(self, pattern, behaviour, times=None, method="GET", box=None):
        """From now on a request whose path has the pattern in it meets this behaviour (only so many
        times, only for one box); rules that came later go first."""
        self.rules.insert(0, [re.compile(pattern), behaviour, times, method, box])

    def honest(self):
        """Forgets all rules and serves the site as it is."""
        self.rules = []
        self.mute = self.plain = False
        self.site = self.workspace.path("site")
        self.drop()

    def freeze(self, name="frozen"):
        """Serves the site as it is now, whatever is published."""
        self.site = self.keep(name)

    def keep(self, name):
        """A copy of the site as it is now; `site` may be set to it later."""
        to = os.path.join(os.path.dirname(self.workspace.dir), name)
        shutil.copytree(self.workspace.path("site"), to)
        return to

    # What was asked.

    def asked(self, pattern="", box=None, method=None, since=0):
        """Requests with the pattern in their path, in order."""
        return [x for x in list(self.requests) if re.search(pattern, x.path) and
                box in (None, x.box) and method in (None, x.method) and x.began >= since]

    # How it works.

    def accept(self):
        listener = self.listener
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            self.accepted.append(time.monotonic())
            threading.Thread(target=self.converse, args=(raw,), daemon=True).start()

    def converse(self, raw):
        self.open.add(raw)
        try:
            if self.mute:
                self.ended.wait(600)
                return
            if self.plain:
                raw.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                self.greetings.append(raw.recv(4096))
                return
            with self.context.wrap_socket(raw, server_side=True) as tls:
                self.open.add(tls)
                stream = tls.makefile("rb")
                box = dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"]
                while self.answer(tls, stream, box):
                    pass
        except (OSError, ValueError, Hang):
            pass
        finally:
            self.open -= {raw, locals().get("tls")}
            raw.close()

    def answer(self, tls, stream, box):
        line = stream.readline().decode().split()
        if len(line) != 3:
            return False
        headers = {}
        while header := stream.readline().strip():
            name, value = header.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        x = Exchange(self, tls, box, line[0], line[1], headers, body)
        self.requests.append(x)
        try:
            self.behaviour(x)(x)
        finally:
            x.ended = time.monotonic()
        return True

    def behaviour(self, x):
        for rule in self.rules:
            pattern, behaviour, times, method, box = rule
            if method == x.method and box in (None, x.box) and pattern.search(x.path) and \
                    times != 0:
                if times:
                    rule[2] -= 1
                return behaviour
        return Exchange.honest
