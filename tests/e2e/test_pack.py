"""`sluice pack`, `sign`, `verify` and `show`, as a release engineer runs them."""
import base64
import gzip
import hashlib
import io
import json
import lzma
import os
import random
import struct
import subprocess
import tarfile
import tempfile
import unittest

from fleet.key import canonical

SLUICE = os.path.join(os.environ["SLUICE_BUILD"], "sluice")
DEADLINE_S = 120
EXPIRES = "2001-01-01T00:00:00Z"  # verifying does not look at a clock
CHUNK = 65536


def image(chunks=40):
    """Zeros, noise and text, with a short last chunk."""
    noise = random.Random(1)
    parts = []
    for i in range(chunks):
        parts.append((bytes(CHUNK), noise.randbytes(CHUNK),
                      b"".join(b"line %d\n" % n for n in range(i, i + 9000))[:CHUNK])[i % 3])
    return b"".join(parts) + b"the end"


class PackTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-pack-")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def sluice(self, *args, status=0):
        done = subprocess.run([SLUICE, *args], capture_output=True, text=True, cwd=self.dir,
                              timeout=DEADLINE_S, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, status, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def recipe(self, *payloads, name="r.yaml", **more):
        fields = {"name": "gateway", "version": "2.4.0", "rollback_index": 4,
                  "compatible": ["acme-gw3"], "payloads": list(payloads), **more}
        self.write(name, json.dumps(fields).encode())
        return name

    def pack(self, *payloads, out="x.ota", threads=2):
        self.sluice("pack", self.recipe(*payloads), "-o", out, "--threads", str(threads))
        return json.loads(self.sluice("show", out, "--json"))

    def key(self, name):
        """A key of ours; returns its TUF KEY object and its id."""
        self.sluice("key", "new", name, "--no-passphrase")
        raw = base64.b64decode(self.read(name + ".pub").split(b"\n")[1])[10:]
        key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}
        return key, hashlib.sha256(canonical(key).encode()).hexdigest()


def openssl_key(folder, name):
    """A key that openssl signs with, for metadata: a signer that is none of our code."""
    path = os.path.join(folder, name + ".pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True,
                   capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"],
                         check=True, capture_output=True).stdout
    key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": der[-32:].hex()}}
    return path, key, hashlib.sha256(canonical(key).encode()).hexdigest()


def signed(folder, body, path, keyid):
    """An envelope around body, signed by an openssl key."""
    message = os.path.join(folder, "message")
    with open(message, "wb") as f:
        f.write(canonical(body).encode())
    sig = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", path, "-in", message],
                         check=True, capture_output=True).stdout
    return json.dumps({"signed": body, "signatures": [{"keyid": keyid, "sig": sig.hex()}]}).encode()


class Pack(PackTest):
    def image_payload(self, source):
        return {"name": "rootfs", "slot": "rootfs", "kind": "image", "source": source}

    def tree_payload(self, source):
        return {"name": "app", "slot": "app", "kind": "tree", "source": source}

    def test_an_image_packs_the_same_however_it_is_compressed(self):
        data = image()
        self.write("img", data)
        self.write("img.gz", gzip.compress(data))
        # Two streams one after the other are one file to gzip, xz and zstd.
        self.write("two.gz", gzip.compress(data[:70000]) + gzip.compress(data[70000:]))
        self.write("img.xz", lzma.compress(data))
        subprocess.run(["zstd", "-q", self.path("img")], check=True)
        shown = self.pack(self.image_payload("img"), out="raw.ota")
        self.assertEqual(shown["payloads"][0]["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual(shown["payloads"][0]["size"], len(data))
        # Of 40 chunks every third is alike, and the end is too short to shrink.
        self.assertEqual(shown["payloads"][0]["chunks"], {"zero": 14, "raw": 14, "deflated": 13})
        self.assertEqual(shown["payloads"][0]["hints"], 8 * -(-len(data) // 4096))
        self.assertEqual(shown["payloads"][0]["cuts"], 288 * 41)
        self.assertRegex(self.sluice("show", "raw.ota"),
                         r"\n  besides  5\.[0-9] KiB of hints, 11\.[0-9] KiB of cuts, for boxes")
        for source in ("img.gz", "two.gz", "img.xz", "img.zst"):
            self.pack(self.image_payload(source), out="other.ota")
            self.assertEqual(self.read("other.ota"), self.read("raw.ota"), source)

    def test_the_bundle_does_not_depend_on_threads(self):
        self.write("img", image())
        for threads in (1, 2, 4, 16):
            self.pack(self.image_payload("img"), out=f"{threads}.ota", threads=threads)
            self.assertEqual(self.read(f"{threads}.ota"), self.read("1.ota"))

    def test_sizes_beyond_32_bits_are_packed(self):
        # All zeros but for a chunk on each side of the edges of 31 and 32 bits, and a short one.
        size = 2 ** 32 + 3 * CHUNK + 5
        edges = [edge + side for edge in (2 ** 31, 2 ** 32) for side in (-CHUNK, 0)]
        with open(self.path("img"), "wb") as f:
            f.truncate(size)
            for at in edges:
                f.seek(at)
                f.write(b"%d" % at)
        self.pack(self.image_payload("img"))
        shown = json.loads(self.sluice("show", "x.ota", "--json"))["payloads"][0]
        self.assertEqual(shown["size"], size)
        self.assertEqual(shown["chunks"], {"zero": size // CHUNK - 4, "raw": 1, "deflated": 4})
        with tarfile.open(self.path("x.ota")) as bundle:
            index = bundle.extractfile("rootfs.index").read()
        self.assertEqual(struct.unpack("<8sIIQQ", index[:32]),
                         (b"SLUICEIX", 2, CHUNK, size, 8))
        offset, written = 0, []
        for at in range(32, len(index), 36):
            plain = struct.unpack("<I", index[at + 32:at + 36])[0]
            run = plain >> 31
            written += [] if run else [offset]
            offset += plain % 2 ** 31 * CHUNK if run else plain
        self.assertEqual(written, edges + [size - 5])

    def make_tree(self):
        self.write("tree/etc/conf", b"a = b\n")
        self.write("tree/usr/bin/app", image(3))
        self.write("tree/usr/bin/empty", b"")
        os.link(self.path("tree/usr/bin/app"), self.path("tree/usr/bin/app-hard"))
        os.symlink("app", self.path("tree/usr/bin/app-soft"))
        os.chmod(self.path("tree/usr/bin/app"), 0o4755)
        os.mkdir(self.path("tree/etc-d"), 0o700)
        for root, folders, files in os.walk(self.path("tree")):
            for name in folders + files:
                os.utime(os.path.join(root, name), (5, 1700000000), follow_symlinks=False)

    def test_a_folder_and_its_tarballs_pack_the_same(self):
        self.make_tree()
        self.pack(self.tree_payload("tree"), out="dir.ota")
        for mode in ("", "gz", "bz2", "xz"):
            for style in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
                with tarfile.open(self.path("t.tar"), f"w:{mode}", format=style) as tar:
                    tar.add(self.path("tree"), arcname=".")
                self.pack(self.tree_payload("t.tar"), out="tar.ota")
                self.assertEqual(self.read("tar.ota"), self.read("dir.ota"), (mode, style))

    def test_a_tree_is_listed_whole(self):
        self.make_tree()
        self.pack(self.tree_payload("tree"))
        with tarfile.open(self.path("x.ota")) as bundle:
            lines = bundle.extractfile("app.files").read().splitlines()
        items = {item["path"]: item for item in map(json.loads, lines)}
        self.assertEqual(list(items), ["etc", "etc/conf", "etc-d", "usr", "usr/bin", "usr/bin/app",
                                       "usr/bin/app-hard", "usr/bin/app-soft", "usr/bin/empty"])
        self.assertEqual(items["usr/bin/app"]["mode"], 0o4755)
        self.assertEqual(items["usr/bin/app"]["mtime"], 1700000000)
        self.assertEqual(items["usr/bin/app"]["uid"], os.getuid())
        self.assertEqual(items["usr/bin/app"]["sha256"], hashlib.sha256(image(3)).hexdigest())
        self.assertEqual(items["usr/bin/app-hard"]["target"], "usr/bin/app")
        self.assertEqual(items["usr/bin/app-soft"]["target"], "app")
        self.assertEqual(items["etc-d"]["mode"], 0o700)

    def test_attributes_and_owners_of_a_tarball_are_kept(self):
        info = tarfile.TarInfo("ping")
        info.size, info.uid, info.gid = 2, 1234567, 42
        info.pax_headers = {"SCHILY.xattr.user.note": "hi"}
        with tarfile.open(self.path("t.tar"), "w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(info, io.BytesIO(b"hi"))
        self.pack(self.tree_payload("t.tar"))
        with tarfile.open(self.path("x.ota")) as bundle:
            item = json.loads(bundle.extractfile("app.files").read())
        self.assertEqual(item["xattrs"], {"user.note": b"hi".hex()})
        self.assertEqual((item["uid"], item["gid"]), (1234567, 42))

    def test_what_a_tree_cannot_carry_is_refused_by_name(self):
        os.makedirs(self.path("tree/run"))
        os.mkfifo(self.path("tree/run/queue"))
        recipe = self.recipe(self.tree_payload("tree"))
        error = self.sluice("pack", recipe, "-o", "x.ota", status=1)
        self.assertIn("run/queue is a pipe", error)
        self.assertFalse(os.path.exists(self.path("x.ota")))

    def test_tar_lists_a_bundle(self):
        self.make_tree()
        self.write("img", image(3))
        self.pack(self.image_payload("img"), self.tree_payload("tree"))
        listed = subprocess.run(["tar", "tvf", self.path("x.ota")], check=True,
                                capture_output=True, text=True)
        self.assertEqual(listed.stderr, "")
        self.assertEqual([line.split()[-1] for line in listed.stdout.splitlines()],
                         ["manifest.json", "rootfs.index", "app.index", "app.files",
                          "rootfs.seals", "app.seals", "rootfs.stored", "app.stored",
                          "rootfs.hints", "rootfs.cuts", "rootfs.data", "app.data"])

    def test_a_recipe_error_has_its_place(self):
        self.write("r.yaml", b"name: a\nversion: 1\nrollback_index: x\n")
        error = self.sluice("pack", "r.yaml", "-o", "x.ota", status=1)
        self.assertIn("r.yaml:3:17: ", error)

    def test_a_failed_pack_leaves_the_old_bundle_and_nothing_else(self):
        self.write("x.ota", b"old")
        self.write("cut.gz", gzip.compress(image())[:100000])
        recipe = self.recipe(self.image_payload("cut.gz"))
        error = self.sluice("pack", recipe, "-o", "x.ota", status=1)
        self.assertIn("cut.gz", error)
        self.assertEqual(self.read("x.ota"), b"old")
        self.assertEqual(sorted(os.listdir(self.dir)), ["cut.gz", "r.yaml", "x.ota"])

    def test_wrong_usage_exits_2(self):
        self.write("img", b"x")
        recipe = self.recipe(self.image_payload("img"))
        for args in (["pack"], ["pack", recipe], ["pack", "-o", "x.ota"],
                     ["pack", recipe, recipe, "-o", "x.ota"], ["pack", recipe, "-o"],
                     ["pack", recipe, "-o", "x.ota", "--threads", "0"],
                     ["pack", recipe, "-o", "x.ota", "--threads", "two"],
                     ["pack", recipe, "-o", "x.ota", "--fast"], ["sign"], ["sign", "x.ota"],
                     ["sign", "x.ota", "--key"], ["sign", "x.ota", "--key", "k", "--yes"],
                     ["verify"], ["verify", "x.ota"], ["verify", "x.ota", "--metadata"],
                     ["verify", "x.ota", "--metadata", self.dir], ["show"],
                     ["show", "x.ota", "y.ota"], ["show", "x.ota", "--yaml"]):
            self.assertIn("sluice", self.sluice(*args, status=2), args)


class Signed(PackTest):
    """A small signed bundle and the metadata that says who may sign it."""

    def setUp(self):
        super().setUp()
        self.write("img", image(2))
        self.write("tree/a", b"one")
        self.pack({"name": "rootfs", "slot": "rootfs", "kind": "image", "source": "img"},
                  {"name": "app", "slot": "app", "kind": "tree", "source": "tree"})
        self.unsigned = self.read("x.ota")
        self.keys = dict([self.key(name)[::-1] for name in ("k1", "k2")])
        self.root_key = openssl_key(self.dir, "root")
        self.targets_key = openssl_key(self.dir, "targets")
        self.metadata(2)

    def metadata(self, threshold, root_version=1, name="root.json"):
        rid, tid = self.root_key[2], self.targets_key[2]
        roles = {role: {"keyids": [tid], "threshold": 1}
                 for role in ("targets", "snapshot", "timestamp")}
        roles["root"] = {"keyids": [rid], "threshold": 1}
        root = {"_type": "root", "spec_version": "1.0.34", "version": root_version,
                "expires": EXPIRES, "consistent_snapshot": True, "roles": roles,
                "keys": {rid: self.root_key[1], tid: self.targets_key[1]}}
        targets = {"_type": "targets", "spec_version": "1.0.34", "version": 3, "expires": EXPIRES,
                   "targets": {}, "delegations": {"keys": self.keys, "roles": [
                       {"name": "releases", "keyids": list(self.keys), "threshold": threshold,
                        "terminating": True, "paths": ["bundles/*"]}]}}
        self.write("md/" + name, signed(self.dir, root, self.root_key[0], rid))
        self.write("md/targets.json", signed(self.dir, targets, self.targets_key[0], tid))

    def sign(self, key):
        return self.sluice("sign", "x.ota", "--key", key)

    def verify(self, status=0, metadata="md"):
        return self.sluice("verify", "x.ota", "--metadata", metadata, status=status)

    def test_a_bundle_is_good_once_the_threshold_has_signed(self):
        self.assertIn("0 of 2", self.verify(1))
        self.sign("k1.key")
        self.assertIn("1 of 2", self.verify(1))
        self.sign("k1.key")
        self.assertIn("1 of 2", self.verify(1))
        self.sign("k2.key")
        self.assertIn("good: gateway 2.4.0", self.verify())
        shown = json.loads(self.sluice("show", "x.ota", "--json"))
        self.assertEqual(sorted(shown["signers"]), sorted(self.keys))

    def test_metadata_that_is_no_file_holds_up_nobody(self):
        """A pipe has no end, and nobody may ever open its other one."""
        for name in ("2.root.json", "targets.json", "root.json"):
            path = os.path.join(self.dir, "md", name)
            if os.path.exists(path):
                os.unlink(path)
            os.mkfifo(path)
            self.assertIn(f"{name} is not a regular file", self.verify(1))
            if name == "2.root.json":
                os.unlink(path)

    def test_signing_changes_nothing_but_signatures(self):
        before = json.loads(self.sluice("show", "x.ota", "--json"))
        self.sign("k1.key")
        after = json.loads(self.sluice("show", "x.ota", "--json"))
        self.assertEqual(before["manifest_sha256"], after["manifest_sha256"])
        self.assertEqual(before["payloads"], after["payloads"])
        self.assertEqual(sorted(os.listdir(self.dir)),
                         ["img", "k1.key", "k1.pub", "k2.key", "k2.pub", "md", "message",
                          "r.yaml", "root.pem", "targets.pem", "tree", "x.ota"])

    def test_a_key_that_is_not_the_roles_does_not_count(self):
        self.metadata(1)
        self.key("stranger")
        self.sign("stranger.key")
        self.assertIn("0 of 1", self.verify(1))

    def test_roots_that_follow_are_followed_and_forged_ones_are_not(self):
        self.metadata(1)
        self.sign("k1.key")
        self.metadata(1, 2, "2.root.json")
        os.rename(self.path("md/root.json"), self.path("md/1.root.json"))
        os.rename(self.path("md/targets.json"), self.path("md/3.targets.json"))
        self.verify()
        self.root_key = openssl_key(self.dir, "mallory")
        self.metadata(1, 2, "2.root.json")
        self.assertIn("2.root.json", self.verify(1))

    def test_verifying_writes_nothing(self):
        self.metadata(1)
        self.sign("k1.key")
        before = {name: self.read("md/" + name) for name in os.listdir(self.path("md"))}
        self.verify()
        after = {name: self.read("md/" + name) for name in os.listdir(self.path("md"))}
        self.assertEqual(before, after)

    def test_a_damaged_bundle_is_not_signed(self):
        data = bytearray(self.unsigned)
        data[-1024 - 512] ^= 1  # in app.data, the last member
        self.write("x.ota", data)
        self.assertIn("app.data", self.sluice("sign", "x.ota", "--key", "k1.key", status=1))
        self.assertEqual(self.read("x.ota"), bytes(data))

    def test_flipped_bytes_and_cut_bundles_are_refused(self):
        # Each byte has its turn in tests/unit/test_bundle_file.c; here the program is looked at.
        self.metadata(1)
        self.sign("k1.key")
        whole = self.read("x.ota")
        noise = random.Random(2)
        for at in [0, 100, 512, len(whole) - 1] + noise.sample(range(len(whole)), 100):
            data = bytearray(whole)
            data[at] ^= 1 << noise.randrange(8)
            self.write("x.ota", data)
            done = subprocess.run([SLUICE, "verify", "x.ota", "--metadata", "md"], cwd=self.dir,
                                  capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            if done.returncode == 0:
                self.assertIn("good: gateway 2.4.0", done.stdout)
            else:
                self.assertEqual(done.returncode, 1, (at, done.stderr))
                self.assertIn("x.ota", done.stderr)
        for length in (0, 1, 511, 512, 4096, len(whole) - 1024, len(whole) - 1):
            self.write("x.ota", whole[:length])
            self.verify(1)
        self.write("x.ota", whole + b"\0")
        self.verify(1)
        self.write("x.ota", whole)
        self.verify()


if __name__ == "__main__":
    unittest.main()
