"""Images of awkward sizes, from packing to the slot that boots: each is on the slot as it was
packed, what is behind it in a larger slot stays, an audit names one byte that changed by its chunk,
and a slot that is too small is refused unwritten.

Those of 2 GiB and more, mostly holes, are for `make crash`: packing, verifying and confirming each
take the SHA-256 of the whole image, which no hole makes shorter. Of 4 GiB and a chunk there is
attack/test_past.py at any time.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import fault  # noqa: E402
from fleet.box import CHUNK, Box  # noqa: E402
from fleet.case import FolderCase  # noqa: E402
from fleet.nginx import free_port  # noqa: E402
from fleet.process import CommandFailed, run  # noqa: E402
from fleet.workspace import Workspace  # noqa: E402
from trying import WHOLE  # noqa: E402

WHOLE_S = 7200    # 82 GiB three times at 400 MB/s, on a machine that has other things to do
GIB = 1 << 30
SMALL = [1, 2, 4095, 4096, 4097, CHUNK - 1, CHUNK, CHUNK + 1]
LARGE = [2 * GIB - 1, 2 * GIB, 2 * GIB + 1, 4 * GIB - 1, 4 * GIB, 4 * GIB + 1, 64 * GIB] \
    if WHOLE else [3 << 20]
DATA = 6000          # bytes of noise in a large one, at each of its places
BEHIND = 3 * CHUNK   # of a slot that is larger than its image


class Boundaries(FolderCase):
    def setUp(self):
        super().setUp()
        self.ws = Workspace(os.path.join(self.folder, "fleet"), free_port()).init().ceremony()
        self.ws.pack_s = WHOLE_S
        self.first = self.image("first", 2 * CHUNK)
        self.box = Box(self.ws, "gw-000001", self.first)
        self.box.set({"boot": {"reboot": None}})

    def places(self, size):
        """Where a large image has data: at both ends, and across 2 and 4 GiB."""
        return [at for at in (0, 2 * GIB - DATA // 2, 4 * GIB - DATA // 2, size - DATA)
                if 0 <= at <= size - DATA]

    def image(self, name, size):
        path = os.path.join(self.folder, name)
        noise = random.Random(size)
        with open(path, "wb") as f:
            if size not in LARGE:
                f.write(noise.randbytes(size))
            else:
                f.truncate(size)
                for at in self.places(size):
                    f.seek(at)
                    f.write(noise.randbytes(DATA))
        return path

    def make_slots(self, size):
        """Both, A as it is; B is holes where it is very large, and noise otherwise."""
        with open(self.box.slot("A"), "r+b") as f:
            f.truncate(size)
        with open(self.box.slot("B"), "wb") as f:
            if size < GIB:
                f.write(random.Random("before").randbytes(size))
            f.truncate(size)

    def install(self, bundle, check=0):
        return self.box.agent("install", bundle, "--no-reboot", "--metadata",
                              self.ws.path("site", "metadata"), check=check, timeout=WHOLE_S)

    def assert_same_data(self, image, slot):
        """Byte for byte, where either has any."""
        for path, other in ((image, slot), (slot, image)):
            with open(path, "rb") as f, open(other, "rb") as g:
                end, at = os.path.getsize(image), 0
                while at < end:
                    try:
                        at = os.lseek(f.fileno(), at, os.SEEK_DATA)
                    except OSError:    # no more of it
                        break
                    piece = os.pread(f.fileno(), min(1 << 20, end - at), at)
                    if piece != os.pread(g.fileno(), len(piece), at):
                        self.fail(f"{path} and {other} differ from byte {at} on")
                    at += len(piece) or 1

    def put_through(self, size, behind=0):
        """Packs, signs, verifies, installs, boots and confirms an image of this size."""
        image = self.image("image", size)
        bundle = self.ws.pack(f"2.{size}.{behind}", image)
        self.ws.sluice("verify", bundle, "--metadata", self.ws.path("site", "metadata"),
                       timeout=WHOLE_S)
        shutil.rmtree(self.box.path("state"))
        self.box.write_env()
        os.makedirs(self.box.path("state", "metadata"))
        shutil.copy(self.box.path("root.json"), self.box.path("state", "metadata"))
        if not behind:
            self.assert_no_room(bundle, size, size - 1)
        self.make_slots(size + behind)
        with open(self.box.slot("B"), "rb") as f:
            f.seek(size)
            rest = f.read(behind)
        self.install(bundle)
        self.assert_same_data(image, self.box.slot("B"))
        self.assertEqual(os.path.getsize(self.box.slot("B")), size + behind)
        with open(self.box.slot("B"), "rb") as f:
            f.seek(size)
            self.assertEqual(f.read(), rest)
        run([self.ws.programs.tool("power"), "--dir", self.box.dir, "--once"])
        self.box.agent("confirm", timeout=WHOLE_S)
        if size in LARGE:
            used = os.stat(self.box.slot("B")).st_blocks * 512
            self.assertLess(used, 1 << 22, "holes were written")
        self.look_at_audits(size)
        for path in (image, bundle):
            os.unlink(path)

    def audit(self, status):
        said = json.loads(self.box.agent("audit", "--json", check=status,
                                         timeout=WHOLE_S).stdout)
        self.assertTrue(said["sides"][0]["running"])
        return said["authentic"], said["sides"][0]["differences"]

    def look_at_audits(self, size):
        """Of what is there, and of the same but for its last byte, and one among zeros."""
        self.assertEqual(self.audit(0), ("yes", []))
        changed = [size // 3, size - 1] if size in LARGE else [size - 1]
        for at in changed:
            with open(self.box.slot("B"), "r+b") as f:
                f.seek(at)
                byte = f.read(1)
                f.seek(at)
                f.write(bytes([byte[0] ^ 1]))
        self.assertEqual(self.audit(1), ("no", [
            {"payload": "rootfs", "slot": "rootfs B", "what": "it differs", "chunk": chunk,
             "offset": chunk * CHUNK, "length": min(CHUNK, size - chunk * CHUNK)}
            for chunk in (at // CHUNK for at in changed)]))

    def assert_no_room(self, bundle, size, room):
        """Refused, and nothing done to a slot of so many bytes."""
        self.make_slots(room)
        before = os.stat(self.box.slot("B")), self.box.env()
        log = os.path.join(self.folder, "log")
        argv = self.box.agent_argv("install", bundle, "--no-reboot", "--metadata",
                                   self.ws.path("site", "metadata"))
        done = subprocess.run(fault.strace(log) + argv, cwd=self.box.dir, check=False,
                              capture_output=True, text=True, env=fault.environment(os.environ))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"slot rootfs B holds {room} bytes, and the payload needs {size}",
                      done.stderr)
        with open(log, encoding="utf-8") as f:
            self.assertNotIn(self.box.slot("B"), f.read())
        after = os.stat(self.box.slot("B"))
        self.assertEqual((after.st_size, after.st_mtime_ns, after.st_blocks),
                         (before[0].st_size, before[0].st_mtime_ns, before[0].st_blocks))
        self.assertEqual(self.box.env(), before[1])
        self.assertIsNone(self.box.status()["pending"])

    def test_small_ones_fill_their_slot_or_leave_the_rest_of_it(self):
        for size in SMALL:
            with self.subTest(size=size):
                self.put_through(size)
                self.put_through(size, BEHIND)
        print(f"{len(SMALL)} of {len(SMALL)} sizes ... ", end="", flush=True)

    def test_large_ones(self):
        """Here of 3 MiB alone but with `make crash`."""
        for size in LARGE:
            with self.subTest(size=size):
                self.put_through(size)
        print(f"{len(LARGE)} of {len(LARGE)} sizes ... ", end="", flush=True)

    def test_an_empty_one_is_refused_where_it_is_packed(self):
        with self.assertRaises(CommandFailed) as refused:
            self.ws.pack("2.0", self.image("image", 0))
        self.assertIn("the image is empty", refused.exception.stderr)

    def test_one_that_its_slot_is_too_small_for_is_refused_before_the_first_write(self):
        size = 2 * CHUNK + 1
        bundle = self.ws.pack("2.0", self.image("image", size))
        for room in (2 * CHUNK, 4096, 1, 0):
            with self.subTest(room=room):
                self.assert_no_room(bundle, size, room)


if __name__ == "__main__":
    unittest.main()
