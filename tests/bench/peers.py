"""Other people's tools, unpacked from Debian's packages and run from there: nothing is installed,
no service of theirs starts. What a box fetches with them, the old image at hand."""
import collections
import contextlib
import os
import shutil
import subprocess
import zlib

import pair
from debian import Suites
from fleet import free_port, wait_until
from fleet.rootfs import RootfsFailed, command

PACKAGES = ("casync", "cpio", "dbus-daemon", "mender-artifact", "mender-client", "rauc",
            "squashfs-tools", "swupdate", "xdelta3", "zchunk", "zstd")
CONF = """worker_processes 1;
pid {0}/nginx.pid;
error_log {0}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format sizes '$status $body_bytes_sent $bytes_sent';
    access_log {0}/access.log sizes;
    client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3;
    uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{1}; root {2}; }}
}}
"""

Fetched = collections.namedtuple("Fetched", "bytes requests")


class Peers:
    """Where they are, and what they need to run there."""

    def __init__(self, folder):
        where = pair.cache(folder)
        self.root = os.path.join(where, "peers")
        if not os.path.exists(self.root):
            self.unpack(where)
        library = os.path.join(self.root, "usr", "lib")
        self.env = {**os.environ, "LC_ALL": "C",
                    "LD_LIBRARY_PATH": os.path.join(library, f"{os.uname().machine}-linux-gnu"),
                    "CASYNC_PROTOCOL_PATH": os.path.join(library, "casync", "protocols")}

    def unpack(self, where):
        """With what they depend on and this machine lacks."""
        suites = Suites(where, *pair.suites_of("new")).update()
        part = self.root + ".part"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        for deb in suites.download(suites.resolve(PACKAGES, own_system=True)):
            command(["dpkg-deb", "-x", deb, part])
        os.rename(part, self.root)

    def program(self, name):
        """One of theirs; this machine's, if it has the package."""
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            path = os.path.join(self.root, folder, name)
            if os.path.exists(path):
                return path
        found = shutil.which(name)
        if not found:
            raise RootfsFailed(f"no {name} lies in {self.root} or on this machine")
        return found

    def argv(self, name, *args):
        return ["env", *(f"{key}={self.env[key]}" for key in
                         ("LC_ALL", "LD_LIBRARY_PATH", "CASYNC_PROTOCOL_PATH")),
                self.program(name), *map(str, args)]

    def run(self, name, *args, **kwargs):
        """Returns what it printed."""
        done = subprocess.run(self.argv(name, *args), check=False, capture_output=True, text=True,
                              errors="replace", **kwargs)
        if done.returncode != 0:
            raise SystemExit(f"bench: {name} {' '.join(map(str, args))}: exit {done.returncode}\n"
                             f"{done.stderr[-2000:]}")
        return done.stdout


class FileServer:
    """nginx over plain HTTP: their headers, and no TLS of theirs, count for nothing."""

    def __init__(self, root, folder):
        self.root, self.folder, self.port = root, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/"

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        conf = os.path.join(self.folder, "nginx.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(CONF.format(self.folder, self.port, self.root))
        # Its workers are another user where root runs this; folders of builds are open to all.
        self.process = subprocess.Popen(["nginx", "-c", conf, "-g", "daemon off;"],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "nginx.pid")), 15)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def fetched(self):
        """Bytes of bodies so far, and requests."""
        with open(os.path.join(self.folder, "access.log"), encoding="ascii") as f:
            bodies = [int(line.split()[1]) for line in f]
        return Fetched(sum(bodies), len(bodies))


def same(one, other):
    return subprocess.run(["cmp", "-s", one, other], check=False).returncode == 0


@contextlib.contextmanager
def scratch(folder, name):
    path = os.path.join(folder, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def made(path, make):
    """What takes long is made once, beside the images: make(path it is made as)."""
    if not os.path.exists(path):
        part = os.path.join(os.path.dirname(path), "part." + os.path.basename(path))
        if os.path.isdir(part):
            shutil.rmtree(part)
        make(part)
        os.rename(part, path)
    return path


def beside(image, ending):
    return image.removesuffix(".ext4") + ending


# Each: what a box on `old` fetches of `new`, and gets the right bytes by.

def casync_store(peers, image):
    """Returns the folder that a web server would serve."""
    def make(part):
        os.makedirs(part)
        peers.run("casync", "make", "--store=" + os.path.join(part, "store"),
                  os.path.join(part, "image.caibx"), image)

    return made(beside(image, ".casync"), make)


def casync(peers, old, new, folder):
    root = casync_store(peers, new)
    with scratch(folder, "casync") as there, FileServer(root, there) as server:
        got = os.path.join(there, "got")
        peers.run("casync", "extract", f"--store={server.url}store", f"--seed={old}",
                  server.url + "image.caibx", got)
        if not same(got, new):
            raise SystemExit("bench: what casync extracted is not the image")
        return server.fetched()


def zchunk(peers, old, new, folder):
    """zckdl reads the source as a .zck, which a box that has unpacked it would have to keep."""
    def make(image):
        return lambda part: peers.run("zck", "-o", part, image)

    had = made(beside(old, ".zck"), make(old))
    root = os.path.dirname(made(beside(new, ".zck"), make(new)))
    name = os.path.basename(beside(new, ".zck"))
    with scratch(folder, "zchunk") as there, FileServer(root, there) as server:
        peers.run("zckdl", "-s", had, server.url + name, cwd=there)
        if not same(os.path.join(there, name), os.path.join(root, name)):
            raise SystemExit("bench: what zckdl fetched is not the file")
        return server.fetched()


def patch_name(old, new, ending):
    return beside(new, ".from-" + os.path.basename(beside(old, ending)))


def zstd(peers, _, new, __):
    """The whole image."""
    path = made(beside(new, ".zst"), lambda part: peers.run(
        "zstd", "-q", "-19", "-T0", new, "-o", part))
    return Fetched(os.path.getsize(path), 1)


def zstd_patch(peers, old, new, _):
    """Needs the whole old image in memory: it is the size of a file, not what a box can apply."""
    window = f"--long={max(os.path.getsize(old) - 1, 1 << 27).bit_length()}"
    path = made(patch_name(old, new, ".zst"), lambda part: peers.run(
        "zstd", "-q", "-19", window, f"--patch-from={old}", new, "-o", part))
    return Fetched(os.path.getsize(path), 1)


def xdelta3(peers, old, new, _):
    path = made(patch_name(old, new, ".xdelta"), lambda part: peers.run(
        "xdelta3", "-9", "-e", "-B", os.path.getsize(old), "-s", old, new, part))
    return Fetched(os.path.getsize(path), 1)


def rauc_model(_, old, new, __):
    """What RAUC's adaptive updates come to by their design: an index of 32 bytes for each 4 KiB,
    then, by reads through squashfs, each of its 128 KiB blocks that has a block the box lacks."""
    known = {hash(block) for block in pair.blocks_of(old)}
    total, requests = os.path.getsize(new) // pair.BLOCK * 32, 1
    with open(new, "rb") as f:
        while piece := f.read(128 << 10):
            if any(hash(piece[at:at + pair.BLOCK]) not in known
                   for at in range(0, len(piece), pair.BLOCK)):
                total += min(len(piece), len(zlib.compress(piece, 9)))
                requests += 1
    return Fetched(total, requests)
