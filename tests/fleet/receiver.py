"""Who receives webhooks: an HTTPS server of Python's, with the workspace's server certificate."""
import collections
import hashlib
import hmac
import http.server
import json
import ssl
import threading

from fleet.nginx import free_port

# What came: path, headers, the bytes of the body, and these as JSON.
Post = collections.namedtuple("Post", "path headers body event")


class Receiver:
    """Answers by `answers[path]`, a list of (status, headers) of which each is used once and the
    last for ever; without one by 204. A path that begins with /hang is never answered."""

    def __init__(self, workspace):
        self.posts, self.answers = [], {}
        self.ending = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(workspace.path("tls", "server.crt"),
                                workspace.path("tls", "server.key"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.server.daemon_threads = True
        # A client that refuses the certificate ends its handshake: in the thread of that client.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.server.handle_error = lambda *_: None
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def take(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.posts.append(Post(request.path, dict(request.headers), body, json.loads(body)))
        if request.path.startswith("/hang"):
            self.ending.wait(60)
            return
        answers = self.answers.get(request.path, [(204, {})])
        status, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def stop(self):
        self.ending.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def events(self, kind=None, path=None):
        """In the order in which they came first, each once."""
        found = {}
        for post in list(self.posts):
            if kind in (None, post.event["event"]) and path in (None, post.path):
                found.setdefault(post.event["id"], post.event)
        return list(found.values())


def is_signed(post, secret, timestamp=None):
    """What README.md says a receiver has to compute."""
    t = timestamp or post.headers["Sluice-Timestamp"]
    expected = hmac.new(secret, t.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(post.headers["Sluice-Signature"], "v1=" + expected)
