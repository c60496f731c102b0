"""Deltas that lie: spoilt on the server, or validly signed and not what they say. A box that has no
use for one takes the bundle, and never a byte that the bundle does not have."""
import os
import random
import secrets
import struct
import unittest

from forge import sha256
from siege import INDEX, NEW, OLD, Siege

CHUNK = 65536
DELTA = f"bundles/gateway-{NEW}.from-{OLD}.delta"
ANOTHER = "another build"
HEADER, PAYLOAD, RECORD = 88, 56, 24
TOLD = 16  # chunks that the records tell
SOME = range(1, TOLD)
PART = 40960  # of a chunk that is new in each version: some chunks of it fill a record


def content(version, size):
    """Noise; of every other chunk most is the version's own. Another build has some bytes of its
    own in what versions have in common."""
    data = bytearray(random.Random("same").randbytes(size))
    if version == ANOTHER:
        for at in range(PART + 5000, size, 2 * CHUNK):
            data[at] ^= 1
    for at in range(0, size, 2 * CHUNK):
        data[at:at + PART] = random.Random(f"{version} {at}").randbytes(PART)
    return bytes(data)


class Deltas(Siege):
    """The box runs 1.0.0, its other side is empty, and 2.0.0 is listed with a delta from there."""
    SIZE = 32 * CHUNK

    @classmethod
    def pack(cls, version, size=None, seed=None, **settings):
        image = os.path.join(cls.folder, f"{seed or version}.img")
        with open(image, "wb") as f:
            f.write(content(seed or version, size or cls.SIZE))
        made = cls.workspace.pack(version, image, **{"rollback_index": INDEX, **settings})
        bundle = os.path.join(cls.folder, f"{seed or version}.ota")
        os.rename(made, bundle)
        cls.images[seed or version], cls.bundles[seed or version] = image, bundle
        return bundle

    @classmethod
    def roll_out(cls):
        cls.workspace.release(cls.bundles[OLD])
        cls.workspace.sluice("release", cls.bundles[NEW], "--delta-from", cls.bundles[OLD],
                             "--key", cls.workspace.key("releases"))
        named = cls.workspace.path(f"gateway-{NEW}.ota")
        cls.workspace.publish_plan(cls.workspace.plan(named, [("all", "100%")]))
        cls.workspace.open_gate("all")

    def setUp(self):
        super().setUp()
        with open(self.box.slot(self.box.other_side()), "wb") as f:
            f.truncate(self.SIZE)
        self.rest = self.box.slot_digests(), *self.rest[1:]
        with open(self.workspace.target_file(DELTA), "rb") as f:
            self.honest = f.read()
        self.custom = self.forger.docs["releases"]["targets"][DELTA]["custom"]
        self.head = self.custom["head"]["length"]

    def records(self, data=None):
        """[(offset, size)] of all records, and where the head lists them."""
        data = data or self.honest
        manifest, = struct.unpack_from("<I", data, HEADER - 4)
        _, _, walk, digests, count, _, _ = struct.unpack_from("<7Q", data, HEADER)
        at = HEADER + PAYLOAD + manifest + walk + 32 * digests
        found, end = [], self.head
        for i in range(count):
            size, = struct.unpack_from("<I", data, at + RECORD * i)
            found.append((end, size))
            end += size
        return found, at

    def serve(self, data):
        """In the place of the honest delta, under its name."""
        with open(self.workspace.target_file(DELTA), "wb") as f:
            f.write(data)

    def sign(self, data, length=None, **custom):
        """The release key lists these bytes as the delta, with a head of this length."""
        length = length or self.head
        listed = {"head": {"length": length, "sha256": sha256(data[:length])},
                  "delta": self.custom["delta"], **custom}
        releases = self.forger.next("releases")
        releases["targets"][DELTA] = {**self.forger.serve_target(DELTA, data), "custom": listed}
        self.forger.publish(releases)

    def made_from(self, old, new):
        """What `sluice delta` makes of two bundles, and the length of its head."""
        path = os.path.join(self.folder, "made.delta")
        self.workspace.sluice("delta", self.bundles[old], self.bundles[new], "-o", path)
        with open(path, "rb") as f:
            data = f.read()
        _, at = self.records(data)
        count, size = struct.unpack_from("<2Q", data, HEADER + 32)
        self.assertGreater(count, 0)
        return data, len(data) - size

    def intake(self):
        return self.box.state()["intake"]

    def assert_unharmed(self, said=None, told=(0,)):
        """2.0.0 is installed, whole, and nothing has failed: as many chunks come by records, and
        the others from the bundle."""
        begin = len(self.box.log())
        self.assert_installs()
        outcomes = {r["outcome"] for r in self.workspace.reports(self.box.name)}
        self.assertNotIn("failed", outcomes)
        intake = self.intake()
        self.assertIn(intake["delta"], [n * CHUNK for n in told])
        self.assertEqual(intake["written"], self.SIZE)
        if said:
            self.assertRegex(self.box.log()[begin:], said)

    def test_the_honest_delta_is_used(self):
        """Or the tests below would show nothing."""
        self.assertGreater(len(self.records()[0]), 2)
        self.assert_unharmed("the delta from 1.0.0 serves", told=[TOLD])

    def test_records_that_are_tampered_with_are_not_looked_into(self):
        data = bytearray(self.honest)
        for at, size in self.records()[0]:
            data[at + size // 2] ^= 1
        self.serve(bytes(data))
        self.assert_unharmed()

    def test_one_record_that_is_tampered_with_costs_its_chunks(self):
        data = bytearray(self.honest)
        at, size = self.records()[0][1]
        data[at + size // 2] ^= 1
        self.serve(bytes(data))
        self.assert_unharmed(told=SOME)

    def test_records_that_are_swapped_are_not_looked_into(self):
        (first, one), (second, two) = self.records()[0][:2]
        data = self.honest
        self.serve(data[:first] + data[second:second + two] + data[first:first + one] +
                   data[second + two:])
        self.assert_unharmed(told=SOME)

    def test_a_delta_that_is_cut_short_ends_no_update(self):
        self.serve(self.honest[:self.head + 1000])
        self.assert_unharmed("is given up")

    def test_a_delta_without_half_its_head_is_left(self):
        for end in (0, 50, self.head // 2):
            self.setUp()
            self.serve(self.honest[:end])
            self.assert_unharmed("no delta is used: ")

    def test_a_head_that_is_tampered_with_is_not_looked_into(self):
        data = bytearray(self.honest)
        data[self.head // 2] ^= 1
        self.serve(bytes(data))
        self.assert_unharmed("the SHA-256 of its head is not what signed metadata says")

    def test_signed_records_in_another_order_write_no_wrong_byte(self):
        """The list in the head goes with them, so each is what was sealed."""
        found, at = self.records()
        data = bytearray(self.honest)
        (first, one), (second, two) = found[:2]
        data[first:second + two] = self.honest[second:second + two] + \
            self.honest[first:first + one]
        data[at:at + RECORD] = self.honest[at + RECORD:at + 2 * RECORD]
        data[at + RECORD:at + 2 * RECORD] = self.honest[at:at + RECORD]
        self.sign(bytes(data))
        self.assert_unharmed(told=SOME)

    def test_signed_nonsense_for_records_writes_no_wrong_byte(self):
        found, at = self.records()
        data = bytearray(self.honest)
        for i, (start, size) in enumerate(found):
            noise = secrets.token_bytes(size)
            data[start:start + size] = noise
            data[at + RECORD * i + 8:at + RECORD * (i + 1)] = bytes.fromhex(sha256(noise))[:16]
        self.sign(bytes(data))
        self.assert_unharmed()

    def test_a_signed_head_of_nonsense_is_left(self):
        noise = secrets.token_bytes(self.head)
        for change in (lambda d: noise + d[self.head:],
                       lambda d: d[:HEADER + 8] + noise[HEADER + 8:] + d[self.head:],
                       lambda d: d[:HEADER] + b"\xff" * PAYLOAD + d[HEADER + PAYLOAD:],
                       lambda d: d[:12] + b"\xff\xff\xff\xff" + d[16:]):
            self.setUp()
            self.sign(change(self.honest))
            self.assert_unharmed("no delta is used: ")

    def test_a_listing_of_a_head_without_end_is_left(self):
        self.sign(self.honest, **{"head": {"length": 1 << 40, "sha256": "0" * 64}})
        self.assert_unharmed()

    def test_a_delta_for_another_old_version_is_not_fetched(self):
        """Listed under the name of the one that runs."""
        other = self.pack("0.9.0")
        self.assertTrue(other)
        data, head = self.made_from("0.9.0", NEW)
        identity = self.forger.entry(self.bytes_of("0.9.0"))["manifest"]["sha256"]
        self.sign(data, head, delta={**self.custom["delta"], "from": identity})
        self.assert_unharmed()
        self.assertNotIn("the delta from", self.box.log()[-20000:].split("updating: ")[-1])

    def test_a_delta_from_another_build_of_the_version_writes_no_wrong_byte(self):
        """It says that it is from the one that runs, and is signed."""
        self.pack(OLD, seed=ANOTHER)
        data, head = self.made_from(ANOTHER, NEW)
        data = data[:16] + bytes.fromhex(self.custom["delta"]["from"]) + data[48:]
        self.sign(data, head)
        self.assert_unharmed("the delta from 1.0.0 serves")

    def test_a_delta_to_another_bundle_is_left(self):
        self.pack("2.0.1")
        data, head = self.made_from(OLD, "2.0.1")
        self.sign(data, head)
        self.assert_unharmed("leads to another bundle than is listed")

    def test_a_delta_that_speaks_for_another_bundle_is_not_fetched(self):
        self.sign(self.honest, delta={**self.custom["delta"], "to": "0" * 64})
        self.assert_unharmed()

    def test_a_listing_that_is_none_is_left(self):
        for custom in ({"delta": 7}, {"delta": {}}, {"head": {"length": -1, "sha256": ""}}):
            self.setUp()
            self.sign(self.honest, **custom)
            self.assert_unharmed()


if __name__ == "__main__":
    unittest.main()
