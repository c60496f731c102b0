"""What runs in the place of the agent's network child once that is taken over.

It holds what the child holds: the socket to its parent, the network, the box's certificate and TLS
key. Run with the name of what it does, a method of Child; it asks the real server for all else."""
import http.client
import json
import os
import socket
import ssl
import struct
import sys
import time
import urllib.parse

HEADER = "<BBBBIQQQQIIII"
TIME, REQUEST, CREDIT, CANCEL, READY, ANSWER, DATA, END = range(1, 9)
NONE, NETWORK, UNTRUSTED, EXPIRED, MALFORMED, LIMIT, REFUSED, STOPPED, USAGE, SYSTEM = range(10)
RANGE, PUT = 1, 2
PIECE = 16 * 1024
VERSION = 1
BASES = ("metadata/", "targets/", "")


class Request:
    def __init__(self, packet):
        (self.type, base, flags, _, self.id, self.offset, self.len, _, self.credit, text, etag,
         body, _) = struct.unpack_from(HEADER, packet)
        rest = packet[struct.calcsize(HEADER):]
        self.path = rest[:text].decode()
        self.etag = rest[text:text + etag].decode()
        self.body = rest[text + etag:text + etag + body]
        self.is_range, self.put = bool(flags & RANGE), bool(flags & PUT)
        self.base = BASES[min(base, 2)]

    def wants(self, *words):
        return any(word in self.base + self.path for word in words)


class Child:
    def __init__(self, socket_to_parent, deed):
        self.socket, self.deed = socket_to_parent, getattr(self, deed)
        self.site = urllib.parse.urlparse(os.environ["SITE_URL"])
        self.tls = ssl.create_default_context(cafile=os.environ["CA"])
        self.tls.load_cert_chain(os.environ["CERT"], os.environ["KEY"])
        self.credit, self.waiting = {}, []

    # The parent's protocol.

    def say(self, kind, number=0, a=0, b=0, text=b"", etag=b"", body=b""):
        self.socket.send(struct.pack(HEADER, kind, 0, 0, VERSION, number, a, b, 0, 0, len(text),
                                     len(etag), len(body), 0) + text + etag + body)

    def answer(self, r, status, etag="", retry_after_s=-1):
        self.say(ANSWER, r.id, status, retry_after_s + 1, etag=etag.encode())

    def data(self, r, body):
        """As much as the parent wants, when it wants it."""
        for at in range(0, len(body), PIECE):
            piece = body[at:at + PIECE]
            while self.credit.get(r.id, 0) < len(piece):
                if r.id not in self.credit:
                    return
                self.listen()
            self.credit[r.id] -= len(piece)
            self.say(DATA, r.id, body=piece)

    def end(self, r, kind=NONE, number=0, text=""):
        self.say(END, r.id, kind, number, text=text.encode())

    def give(self, r, status, body=b"", etag=""):
        self.answer(r, status, etag)
        if status < 400:
            self.data(r, body)
            self.end(r)
        else:
            self.end(r, NETWORK, status, f"{r.path}: the server answered {status}")

    def listen(self):
        packet = self.socket.recv(1 << 20)
        if not packet:
            sys.exit(0)
        r = Request(packet)
        if r.type == REQUEST:
            self.credit[r.id] = r.credit
            self.waiting.append(r)
        elif r.type == CREDIT and r.id in self.credit:
            self.credit[r.id] += r.offset
        elif r.type == CANCEL:
            self.credit.pop(r.id, None)

    def run(self):
        self.say(READY)
        while True:
            while not self.waiting:
                self.listen()
            r = self.waiting.pop(0)
            if r.id in self.credit:
                self.deed(r)

    # The network.

    def ask(self, method, path, body=None, headers=()):
        c = http.client.HTTPSConnection(self.site.hostname, self.site.port, context=self.tls,
                                        timeout=20)
        try:
            c.request(method, "/" + path, body=body, headers=dict(headers))
            answer = c.getresponse()
            return answer.status, answer.read(), answer.headers.get("ETag", "")
        finally:
            c.close()

    def fetch(self, r):
        """What the real server says to a request."""
        if r.put:
            return self.ask("PUT", r.path, r.body)
        headers = {"Range": f"bytes={r.offset}-{r.offset + r.len - 1}"} if r.is_range else {}
        if r.etag:
            headers["If-None-Match"] = r.etag
        return self.ask("GET", r.base + r.path, headers=headers)

    # What it does.

    def serves(self, r):
        status, body, etag = self.fetch(r)
        self.give(r, status, b"" if r.put else body, etag)

    def flips_metadata(self, r):
        self.flip(r, r.base == "metadata/" and "root" not in r.path)

    def flips_plans_and_gates(self, r):
        self.flip(r, r.wants("targets/rollouts/", "targets/gates/"))

    def flips_heads(self, r):
        self.flip(r, r.is_range and r.offset == 0)

    def flips_pages(self, r):
        """What stands between a bundle's head and its chunks: as what these are stored."""
        self.flip(r, r.is_range and 0 < r.offset < int(os.environ["CHUNKS_AT"]))

    def flips_chunks(self, r):
        self.flip(r, r.is_range and r.offset >= int(os.environ["CHUNKS_AT"]))

    def flip(self, r, when):
        status, body, etag = self.fetch(r)
        if when and status in (200, 206) and body:
            body = body[:len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + \
                body[len(body) // 2 + 1:]
        self.give(r, status, b"" if r.put else body, etag)

    def brings_another_image(self, r):
        """Every byte of a bundle of its own, under the path of the real one."""
        if not r.is_range:
            return self.serves(r)
        with open(os.environ["EVIL_BUNDLE"], "rb") as f:
            f.seek(r.offset)
            body = f.read(r.len)
        self.give(r, 206, body + bytes(r.len - len(body)))

    def says_nothing_is_new(self, r):
        """For ever what it was when this began: a stop is hidden, and so is a new root."""
        if r.wants("timestamp.json"):
            if r.etag:
                return self.give(r, 304)
            with open(os.environ["OLD_TIMESTAMP"], "rb") as f:
                return self.give(r, 200, f.read(), '"old"')
        if r.wants("root.json"):
            return self.give(r, 404)
        self.serves(r)

    def blames_the_file(self, r):
        if not r.is_range:
            return self.serves(r)
        self.end(r, LIMIT, 0, "the bundle is far too large for this box")

    def blames_the_box(self, r):
        if not r.is_range:
            return self.serves(r)
        self.end(r, USAGE, 0, "agent.conf is wrong")

    def claims_a_stop(self, r):
        """A class of failure that is no business of the network's."""
        if not r.is_range:
            return self.serves(r)
        self.end(r, STOPPED, 0, "stopped by gates/all.json (stop " + "0" * 32 + ")")

    def condemns(self, r):
        if not r.is_range:
            return self.serves(r)
        self.end(r, MALFORMED, 0, "the manifest makes no sense")

    def wants_to_be_left_alone(self, r):
        """For the longest time that can be said."""
        self.answer(r, 503, retry_after_s=2 ** 62)
        self.end(r, NETWORK, 503, "busy")

    def dies(self, r):
        os._exit(1)

    def closes_and_stays(self, r):
        self.socket.close()
        time.sleep(3600)

    def is_silent(self, r):
        while True:
            self.listen()

    def never_falls_silent(self, r):
        os.fork()
        while True:
            self.say(READY)
            self.say(END, 0xfffffff0, NETWORK, 500, text=b"x" * 1000)

    def sends_without_end(self, r):
        if not r.is_range:
            return self.serves(r)
        self.answer(r, 206)
        while True:
            self.say(DATA, r.id, body=bytes(PIECE))

    def keeps_reports_back(self, r):
        if r.put:
            return self.give(r, 201)
        self.serves(r)

    def forges_reports(self, r):
        """It has the certificate, so the server takes what it puts under the box's name."""
        if not r.put:
            return self.serves(r)
        report = json.loads(r.body)
        report["signed"].update(state="confirmed", outcome="ok", detail="all is well",
                                **{"class": "none"})
        self.ask("PUT", r.path, json.dumps(report))
        self.give(r, 201)


def main():
    child = Child(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=3), sys.argv[1])
    try:
        child.run()
    except OSError:
        time.sleep(0.1)  # the parent has ended us, or is about to


if __name__ == "__main__":
    main()
