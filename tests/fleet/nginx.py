"""The reference web server with the configuration that `sluice init` made."""
import os
import random
import re
import signal
import socket
import subprocess
import time

from fleet.process import run, wait_until

# Whose request it was, as its certificate says, how many bytes it got, whether TLS resumed
# a session, on which connection, and when.
LOG_FORMAT = '''log_format boxes '-$sluice_box "$request" $status $body_bytes_sent '
    '$ssl_session_reused $connection $msec';
log_format ranges '-$sluice_box $request_method $uri $status $body_bytes_sent $bytes_sent '
    '$request_length "$http_range"';
'''


PORTS = range(20000, 32000)  # below those that the kernel gives to outgoing connections
held = []


def free_port():
    """A port of loopback that nothing listens on, for this process: others that ask here get
    others until it ends, whether or not a server listens yet."""
    while True:
        port = random.choice(PORTS)
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0sluice-test-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        held.append(lock)
        return port


def takes_requests(worker):
    """Whether an nginx worker is neither gone nor on its way."""
    try:
        with open(f"/proc/{worker}/cmdline", "rb") as f:
            return b"shutting down" not in f.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Nginx:
    """nginx for one workspace, on loopback. What is changed in its configuration: it listens on
    loopback only, its log names boxes, and its server block has the given directives (a rate
    limit, say)."""

    def __init__(self, workspace, directives=""):
        self.workspace = workspace
        self.process = None
        self.conf = workspace.path("nginx", "sluice.conf")
        with open(self.conf, encoding="utf-8") as f:
            self.made = f.read()
        self.set(directives)

    def set(self, directives):
        """Rewrites the configuration as `sluice init` made it, with these directives."""
        port = self.workspace.port
        text = self.made.replace(f"listen {port} ssl;", f"listen 127.0.0.1:{port} ssl;")
        if text == self.made:
            raise ValueError(f"{self.conf} does not listen on {port}")
        text = LOG_FORMAT + text.replace(
            "    server_tokens off;\n", "    server_tokens off;\n"
            f"    access_log {self.workspace.path('nginx', 'access.log')} boxes;\n"
            f"    {directives}\n", 1)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text)

    def demand_certificates(self):
        """The site, too, is for boxes only, as the configuration says that it can be."""
        self.made = self.made.replace("ssl_verify_client optional;", "ssl_verify_client on;")
        self.set("")
        self.reload()

    def argv(self, *more):
        return ["nginx", "-p", self.workspace.dir, "-c", "nginx/nginx.conf", *more]

    def check(self):
        """`nginx -t`; returns what it said."""
        return run(self.argv("-t"), check=None)

    def listening(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.workspace.port)) == 0

    def start(self):
        with open(self.workspace.path("nginx", "output.log"), "ab") as log:
            self.process = subprocess.Popen(self.argv("-g", "daemon off;"), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)

        def up():
            if self.process.poll() is not None:
                raise RuntimeError(f"nginx ended: {self.log('output.log')}")
            return self.listening()

        wait_until(up, 15, "nginx listens")
        return self

    def reload(self):
        """Takes a changed configuration, CRL or certificate; returns once new workers serve, and
        they alone."""
        workers = self.workers()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.workers() - workers, 15, "nginx has new workers")
        wait_until(lambda: not any(map(takes_requests, workers)), 30, "its old ones do not serve")
        time.sleep(0.1)

    def freeze_command(self):
        """A shell command after which the server answers nothing, as if the line were cut."""
        pid = self.process.pid
        return f"kill -STOP {pid} $(cat /proc/{pid}/task/{pid}/children)"

    def thaw(self):
        for pid in {self.process.pid} | set(map(int, self.workers())):
            os.kill(pid, signal.SIGCONT)

    def workers(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as f:
            return set(f.read().split())

    def stop(self):
        """Ends it at once, connections and all; again and again is allowed."""
        if self.process is None:
            return
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def log(self, name="access.log"):
        try:
            with open(self.workspace.path("nginx", name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def requests(self, box=None):
        """(method, path, status, bytes) of all requests so far, or of those of one box."""
        return [(m[2], m[3], int(m[4]), int(m[5])) for m in
                re.finditer(r'^(\S+) "(\w+) (\S+) [^"]*" (\d+) (\d+)', self.log(), re.M)
                if box is None or m[1] == f"-{box}"]

    def resumed(self):
        """Of each request so far, whether its connection resumed a TLS session."""
        return [m[1] == "r" for m in re.finditer(r"^\S+ .* ([r.]) \S+ \S+$", self.log(), re.M)]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Front:
    """Another nginx on loopback, over TLS as the workspace's own server: a mirror or a proxy. What
    it does is the body of its server block; directives of the http block may stand first, each on
    a line of its own that begins with "proxy_cache_path"."""

    def __init__(self, workspace, body):
        self.workspace, self.port, self.process = workspace, free_port(), None
        self.url = f"https://127.0.0.1:{self.port}/"
        self.dir = os.path.join(workspace.dir, f"front-{self.port}")
        os.makedirs(self.dir)
        lines = [line.strip() for line in body.split("\n")]
        above = [line for line in lines if line.startswith("proxy_cache_path")]
        with open(os.path.join(self.dir, "nginx.conf"), "w", encoding="utf-8") as f:
            f.write("\n".join([
                *(["user root;"] if os.geteuid() == 0 else []), f"pid {self.dir}/pid;",
                "error_log stderr;", "events {}", "http {",
                *(f"{kind}_temp_path {self.dir}/{kind};" for kind in
                  ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
                *above,
                "log_format shown '\"$request\" $status $body_bytes_sent $ssl_client_s_dn.';",
                f"access_log {self.dir}/access.log shown;", "server {",
                "ssl_verify_client optional_no_ca;",
                f"listen 127.0.0.1:{self.port} ssl;",
                f"ssl_certificate {workspace.path('tls', 'server.crt')};",
                f"ssl_certificate_key {workspace.path('tls', 'server.key')};",
                *(line for line in lines if line not in above), "}", "}", ""]))

    def start(self):
        with open(os.path.join(self.dir, "output.log"), "ab") as log:
            self.process = subprocess.Popen(
                ["nginx", "-p", self.dir, "-c", "nginx.conf", "-g", "daemon off;"], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL)

        def up():
            if self.process.poll() is not None:
                with open(os.path.join(self.dir, "output.log"), encoding="utf-8") as f:
                    raise RuntimeError(f"nginx ended: {f.read()}")
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(up, 15, "nginx listens")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def log(self):
        with open(os.path.join(self.dir, "access.log"), encoding="utf-8") as f:
            return f.read()
