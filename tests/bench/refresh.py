"""A full refresh with 10 000 targets in one delegated role: time and memory of our TUF client, and
of python-tuf's where PYTHON_TUF names folders to import it from, as PYTHONPATH would.

The listing is made as `sluice release` makes it, bundle by bundle but for the bundles themselves.
"""
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from figure import Figure
from pack import measure

TARGETS = 10_000
MEMORY_MAX_MIB = 48
ROUNDS = 5
WANTED = "bundles/small.ota"
CONTENT = b"a small bundle"
EXPIRES = "2100-01-01T00:00:00Z"

PEER = """import sys, urllib.error, urllib.request
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater
class Fetcher(FetcherInterface):
    def _fetch(self, url):
        try:
            with urllib.request.urlopen(url) as f:
                yield f.read()
        except urllib.error.HTTPError as e:
            raise DownloadHTTPError(str(e), e.code)
folder, url, target = sys.argv[1:]
u = Updater(folder, url + "metadata", folder, url + "targets", Fetcher())
u.config.targets_max_length = 1 << 23
u.download_target(u.get_targetinfo(target))
"""


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Key:
    def __init__(self):
        self.secret = Ed25519PrivateKey.generate()
        raw = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}
        self.id = hashlib.sha256(canonical(self.public)).hexdigest()


class Site:
    """The metadata of one site, one key for all roles."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "site", "metadata")
        os.makedirs(self.folder)
        self.key = Key()

    def write(self, name, kind, **fields):
        """Signs a document and returns what a list of it says."""
        signed = {"_type": kind, "spec_version": "1.0.34", "version": 1, "expires": EXPIRES,
                  **fields}
        signature = {"keyid": self.key.id, "sig": self.key.secret.sign(canonical(signed)).hex()}
        data = canonical({"signed": signed, "signatures": [signature]})
        with open(os.path.join(self.folder, name), "wb") as f:
            f.write(data)
        return {"version": 1, "length": len(data),
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}

    def target(self, path, content):
        digest = hashlib.sha256(content).hexdigest()
        folder, name = os.path.split(path)
        folder = os.path.join(self.folder, "..", "targets", folder)
        os.makedirs(folder)
        with open(os.path.join(folder, f"{digest}.{name}"), "wb") as f:
            f.write(content)
        return {"length": len(content), "hashes": {"sha256": digest}}

    def role(self):
        return {"keyids": [self.key.id], "threshold": 1}

    def make(self, count):
        """Returns the size of the large role's metadata."""
        keys = {self.key.id: self.key.public}
        delegation = {"name": "releases", "paths": ["bundles/*"], "terminating": True,
                      **self.role()}
        meta = {"targets.json": self.write("1.targets.json", "targets", targets={}, delegations={
            "keys": keys, "roles": [delegation]})}
        meta["releases.json"] = self.write("1.releases.json", "targets", targets={
            WANTED: self.target(WANTED, CONTENT),
            **{f"bundles/gateway-{i}.0.ota": entry(i) for i in range(1, count)}})
        snapshot = self.write("1.snapshot.json", "snapshot", meta=meta)
        self.write("timestamp.json", "timestamp", meta={"snapshot.json": snapshot})
        self.write("1.root.json", "root", consistent_snapshot=True, keys=keys, roles={
            role: self.role() for role in ("root", "targets", "snapshot", "timestamp")})
        return meta["releases.json"]["length"]


def entry(i):
    """A bundle's listing (common/format/listing.h)."""
    return {"length": 104857600 + i, "hashes": {"sha256": digest_of(f"bundle {i}")}, "custom": {
        "head": {"length": 65536 + i, "sha256": digest_of(f"head {i}")},
        "manifest": {"length": 1024, "sha256": digest_of(f"manifest {i}")},
        "name": "gateway", "version": f"{i}.0", "rollback_index": i}}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(folder):
    handler = functools.partial(Quiet, directory=os.path.join(folder, "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def fresh(folder):
    """A folder of metadata with the root alone."""
    path = os.path.join(folder, "metadata")
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    shutil.copy(os.path.join(folder, "site", "metadata", "1.root.json"),
                os.path.join(path, "root.json"))
    return path


def best(folder, command):
    """The quickest of some rounds, and the most memory of any: (seconds, MiB)."""
    runs = [measure(command(fresh(folder))) for _ in range(ROUNDS)]
    return min(r.wall_s for r in runs), max(r.peak_mib for r in runs)


def ours(build, url):
    client = os.path.join(build, "tests", "conformance", "client")
    return lambda folder: [client, "--metadata-dir", folder, "--metadata-url", url + "metadata",
                           "--target-name", WANTED, "--target-base-url", url + "targets",
                           "--target-dir", folder, "download"]


def peer(url):
    return lambda folder: ["env", f"PYTHONPATH={os.environ['PYTHON_TUF']}", sys.executable, "-c",
                           PEER, folder, url, WANTED]


def run(build, folder):
    folder = os.path.join(folder, "refresh")
    shutil.rmtree(folder, ignore_errors=True)
    # In a process of its own: what this one grew to, its children would be said to have had.
    size = int(subprocess.run([sys.executable, __file__, folder, str(TARGETS)], check=True,
                              capture_output=True, text=True).stdout)
    server = serve(folder)
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    name = f"refresh, {TARGETS} targets"
    wall_s, peak_mib = best(folder, ours(build, url))
    yield Figure(f"{name}, metadata", f"{size / (1 << 20):.1f} MiB")
    yield Figure(f"{name}, memory", f"{peak_mib:.1f} MiB RSS", f"at most {MEMORY_MAX_MIB} MiB",
                 peak_mib <= MEMORY_MAX_MIB)
    yield Figure(f"{name}, time", f"{wall_s * 1000:.0f} ms, with a target found and fetched")
    if "PYTHON_TUF" in os.environ:
        wall_s, peak_mib = best(folder, peer(url))
        yield Figure("  to compare: python-tuf", f"{peak_mib:.1f} MiB RSS, {wall_s * 1000:.0f} ms")
    server.shutdown()
    server.server_close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    print(Site(sys.argv[1]).make(int(sys.argv[2])))
