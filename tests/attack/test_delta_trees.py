"""Deltas of trees that are not what they should be: the box has the release all the same."""
import hashlib
import os
import random
import struct
import unittest

from fleet.box import CHUNK
from grove import NEW, OLD, Grove, listing

DELTA = f"bundles/gateway-{NEW}.from-{OLD}.delta"
HEADER, PAYLOAD, RECORD, SEAL = 88, 56, 24, 16


def noise(seed, size):
    return random.Random(seed).randbytes(size)


class Delta:
    """The bytes of a delta of one payload."""

    def __init__(self, data):
        self.data = bytearray(data)
        manifest, = struct.unpack_from("<I", data, 84)
        _, _, walk, digests, self.records, size, _ = struct.unpack_from("<7Q", data, HEADER)
        self.table = HEADER + PAYLOAD + manifest + walk + 32 * digests
        self.head = len(data) - size

    def spoil(self, sealed):
        """The last bytes of each record, which stand for what is new: sealed as they are then."""
        at = self.head
        for entry in range(self.table, self.table + RECORD * self.records, RECORD):
            size, = struct.unpack_from("<I", self.data, entry)
            at += size
            for i in range(at - 100, at):
                self.data[i] ^= 0x55
            if sealed:
                self.data[entry + 8:entry + RECORD] = \
                    hashlib.sha256(self.data[at - size:at]).digest()[:SEAL]
        return bytes(self.data)


class DeltaTrees(Grove):
    """The application has a program of which some bytes are new."""

    @classmethod
    def pack(cls, version, size=None, **settings):
        tree = os.path.join(cls.folder, f"tree-{version}")
        os.makedirs(os.path.join(tree, "bin"))
        data = bytearray(noise("program", 6 * CHUNK))
        for at in range(0, len(data), CHUNK):
            data[at + 500:at + 1500] = noise(f"{version} {at}", 1000)
        with open(os.path.join(tree, "bin", "program"), "wb") as f:
            f.write(data)
        return super().pack(version, size, **settings)

    @classmethod
    def roll_out(cls):
        cls.workspace.release(cls.bundles[OLD])
        cls.workspace.sluice("release", cls.bundles[NEW], "--delta-from", cls.bundles[OLD],
                             "--key", cls.workspace.key("releases"))
        cls.workspace.roll_out(cls.bundles[NEW], [("all", "100%")])

    def delta(self):
        with open(self.workspace.target_file(DELTA), "rb") as f:
            return Delta(f.read())

    def assert_whole(self):
        """What runs is the new release, to the byte, and what lies beside it is as it was."""
        self.assert_installs()
        now, wanted = (listing(top) for top in (self.box.path("trees", "now") + "/",
                                                self.images[NEW]))
        self.assertEqual({path: what[-1] for path, what in now.items()},
                         {path: what[-1] for path, what in wanted.items()})
        self.assertNotIn("failed", self.workspace.outcomes(self.box.name))
        after = listing(self.box.path("trees"))
        for path in ("precious", "1/precious"):
            self.assertEqual(after[path], self.trees[path])

    def told(self):
        return self.box.state()["intake"]["delta"]

    def test_a_delta_of_a_tree_that_is_honest_is_used(self):
        """So what follows is not passed for another reason."""
        self.assert_whole()
        self.assertGreaterEqual(self.told(), 6 * CHUNK)

    def test_spoilt_records_of_a_tree_are_fetched_from_the_bundle(self):
        spoilt = self.delta().spoil(sealed=False)
        with open(self.workspace.target_file(DELTA), "wb") as f:
            f.write(spoilt)
        self.assert_whole()
        self.assertEqual(self.told(), 0)

    def test_signed_records_that_lie_about_a_tree_are_not_believed(self):
        delta = self.delta()
        data = delta.spoil(sealed=True)
        releases = self.forger.next("releases")
        custom = releases["targets"][DELTA]["custom"]
        custom["head"]["sha256"] = hashlib.sha256(data[:delta.head]).hexdigest()
        releases["targets"][DELTA] = {**self.forger.serve_target(DELTA, data), "custom": custom}
        self.forger.publish(releases)
        self.assert_whole()
        intake = self.box.state()["intake"]
        self.assertGreaterEqual(intake["plan_delta"], 6 * CHUNK)
        self.assertLessEqual(intake["delta"], intake["plan_delta"] - CHUNK)


if __name__ == "__main__":
    unittest.main()
