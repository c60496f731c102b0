"""`sluice delta`, with images as they are made of two builds of a system."""
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import unittest

BUILD = os.environ["SLUICE_BUILD"]
SLUICE = os.path.join(BUILD, "sluice")
APPLY = os.path.join(BUILD, "tests/tools/delta_apply")
DEADLINE_S = 120
BUILT_AT = "1735689600"
UUID = "5a1c0e00-0000-4000-8000-000000000001"
MIB = 1 << 20


def program(version):
    """Source of a program whose every address differs from one version to the next."""
    lines = ["#include <stdio.h>"]
    if version == 2:
        lines.append("int fresh(int x) { printf(\"fresh %d\\n\", x); return x * 3 + 1; }")
    for i in range(900):
        lines.append(f"int f{i}(int x) {{ if (x > {i * 7 % 31 + (i == 500 and version)}) "
                     f"printf(\"step {i} of %d\\n\", x); "
                     f"return {'f%d(x - 1)' % (i - 1) if i else 'x'} + {i * 131 % 977}; }}")
    fresh = "fresh(f899(c))" if version == 2 else "f899(c)"
    lines.append(f"int main(int c, char **v) {{ (void)v; return {fresh}; }}")
    return "\n".join(lines)


class Delta(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-delta-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for version in (1, 2):
            cls.tree(version)
            cls.image(version)
            cls.pack(f"{version}.ota", f"1.{version}",
                     {"name": "rootfs", "slot": "rootfs", "kind": "image",
                      "source": f"{version}.ext4"},
                     {"name": "app", "slot": "app", "kind": "tree", "source": f"tree{version}"})

    @classmethod
    def path(cls, *parts):
        return os.path.join(cls.folder, *parts)

    @classmethod
    def write(cls, path, data):
        os.makedirs(os.path.dirname(cls.path(path)), exist_ok=True)
        with open(cls.path(path), "wb") as f:
            f.write(data)

    @classmethod
    def read(cls, path):
        with open(cls.path(path), "rb") as f:
            return f.read()

    @classmethod
    def tree(cls, version):
        """A program in two builds, data that are the same, some that are new, and another name."""
        rng = random.Random(1)
        tree = f"tree{version}"
        cls.write(f"{tree}.c", program(version).encode())
        os.makedirs(cls.path(tree, "bin"))
        subprocess.run(["gcc", "-O1", "-o", cls.path(tree, "bin/app"), cls.path(f"{tree}.c")],
                       check=True)
        cls.write(f"{tree}/lib/same", rng.randbytes(2 * MIB))
        data = rng.randbytes(MIB)
        longer = data[:300001] + b"in" + data[300001:]
        cls.write(f"{tree}/lib/data", data if version == 1 else longer)
        cls.write(f"{tree}/lib/model-{version}", rng.randbytes(MIB // 2))
        cls.write(f"{tree}/new", random.Random(version).randbytes(30000))

    @classmethod
    def image(cls, version):
        with open(cls.path(f"{version}.ext4"), "wb") as f:
            f.truncate(16 * MIB)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^has_journal",
                        "-U", UUID, "-E", f"hash_seed={UUID}", "-d", cls.path(f"tree{version}"),
                        cls.path(f"{version}.ext4")],
                       env=dict(os.environ, E2FSPROGS_FAKE_TIME=BUILT_AT), check=True)

    @classmethod
    def pack(cls, out, version, *payloads, name="gateway"):
        recipe = {"name": name, "version": version, "rollback_index": 1,
                  "compatible": ["acme-gw3"], "payloads": list(payloads)}
        cls.write("r.yaml", json.dumps(recipe).encode())
        subprocess.run([SLUICE, "pack", "r.yaml", "-o", out], cwd=cls.folder, check=True,
                       capture_output=True, timeout=DEADLINE_S)

    def sluice(self, *args, status=0):
        done = subprocess.run([SLUICE, *args], capture_output=True, text=True, cwd=self.folder,
                              timeout=DEADLINE_S, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, status, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def delta(self, out="x.delta", *more, old="1.ota", new="2.ota"):
        said = self.sluice("delta", old, new, "-o", out, *more)
        return os.path.getsize(self.path(out)), said

    def apply(self, delta="x.delta", old="1.ota", new="2.ota"):
        done = subprocess.run([APPLY, old, delta, new], cwd=self.folder, capture_output=True,
                              timeout=DEADLINE_S, check=True)
        counts = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", done.stderr.decode())}
        return done.stdout, counts

    def files(self, tree):
        """A tree's bytes, in the order in which its bundle has them."""
        paths = [os.path.relpath(os.path.join(where, name), self.path(tree))
                 for where, _, names in os.walk(self.path(tree)) for name in names]
        return b"".join(self.read(os.path.join(tree, path))
                        for path in sorted(paths, key=lambda path: path.split("/")))

    def test_a_delta_makes_the_new_bundle_of_the_old_one(self):
        size, said = self.delta()
        plain, counts = self.apply()
        self.assertEqual(plain, self.read("2.ext4") + self.files("tree2"))
        # 30 KB of each payload are new; a program of 150 KB was built anew.
        self.assertLess(size, 100000)
        self.assertGreater(size, 60000)
        self.assertEqual(counts["whole"], 0)
        self.assertGreater(counts["copied"], 80)
        self.assertRegex(said, r"^x\.delta: [0-9.]+ KiB, [0-9.]+% of 2\.ota\n$")

    def test_the_way_back_is_a_delta_too(self):
        self.delta("back.delta", old="2.ota", new="1.ota")
        plain, _ = self.apply("back.delta", old="2.ota", new="1.ota")
        self.assertEqual(plain, self.read("1.ext4") + self.files("tree1"))

    def test_a_delta_is_the_same_byte_for_byte(self):
        self.delta("a.delta", "--threads", "1")
        for threads in (2, 5):
            self.delta("b.delta", "--threads", str(threads))
            self.assertEqual(self.read("a.delta"), self.read("b.delta"))

    def test_what_is_no_pair_is_refused_and_leaves_nothing(self):
        image = {"name": "rootfs", "slot": "rootfs", "kind": "image", "source": "1.ext4"}
        self.pack("other.ota", "1.0", image, name="gadget")
        self.write("cut.ota", self.read("1.ota")[:-100000])
        self.write("text.ota", b"no bundle")
        for old, status, says in (("2.ota", 2, "both version 1.2"), ("other.ota", 2, "gadget"),
                                  ("cut.ota", 1, "cut.ota"), ("text.ota", 1, "text.ota"),
                                  ("none.ota", 1, "none.ota")):
            self.assertIn(says, self.sluice("delta", old, "2.ota", "-o", "no.delta",
                                            status=status))
        for args in (("1.ota", "-o", "no.delta"), ("1.ota", "2.ota"),
                     ("1.ota", "2.ota", "3.ota", "-o", "no.delta"),
                     ("1.ota", "2.ota", "-o", "no.delta", "--threads", "0")):
            self.sluice("delta", *args, status=2)
        self.assertFalse(os.path.exists(self.path("no.delta")))

    def test_a_byte_that_is_not_as_it_was_packed_is_refused(self):
        data = bytearray(self.read("1.ota"))
        data[-200000] ^= 1
        self.write("damaged.ota", data)
        self.assertIn("damaged.ota", self.sluice("delta", "damaged.ota", "2.ota", "-o", "no.delta",
                                                 status=1))

    def test_where_nearly_all_differs_there_is_none(self):
        self.write("noise", random.Random(9).randbytes(3 * MIB))
        self.write("other-noise", random.Random(8).randbytes(3 * MIB))
        for n, source in ((3, "noise"), (4, "other-noise")):
            self.pack(f"{n}.ota", f"1.{n}", {"name": "rootfs", "slot": "rootfs", "kind": "image",
                                             "source": source})
        self.write("kept.delta", b"what was there")
        said = self.sluice("delta", "3.ota", "4.ota", "-o", "kept.delta", status=1)
        self.assertIn("does not pay", said)
        self.assertEqual(self.read("kept.delta"), b"what was there")

    def test_a_disk_that_is_full_leaves_nothing(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        for room in (0, MIB):
            done = subprocess.run([SLUICE, "delta", "1.ota", "2.ota", "-o", "no.delta"],
                                  cwd=self.folder, capture_output=True, text=True, check=False,
                                  timeout=DEADLINE_S, preexec_fn=limit)
            self.assertEqual(done.returncode, 1)
            self.assertIn("File too large", done.stderr)
        self.assertFalse(os.path.exists(self.path("no.delta")))


if __name__ == "__main__":
    unittest.main()
