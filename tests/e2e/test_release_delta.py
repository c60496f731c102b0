"""`sluice release --delta-from`: deltas beside a bundle, and when they go."""
import hashlib
import os
import random
import subprocess
import unittest

from publishing import BUILD, SLUICE, Workspace

APPLY = os.path.join(BUILD, "tests/tools/delta_apply")
CHUNK = 65536
OLD = "bundles/gateway-2.4.0.ota"
NEW = "bundles/gateway-2.5.0.ota"
DELTA = "bundles/gateway-2.5.0.from-2.4.0.delta"


def content(version, seed=1):
    """Noise, of which each version has 900 bytes of its own."""
    data = bytearray(random.Random(seed).randbytes(12 * CHUNK))
    for i in range(3):
        at = 3 * i * CHUNK + 1000
        data[at:at + 300] = random.Random(f"{version} {i}").randbytes(300)
    return bytes(data)


class ReleaseDelta(Workspace):
    def setUp(self):
        super().setUp()
        self.root_init()
        self.role_add("releases")
        self.old = self.pack("2.4.0")
        self.new = self.pack("2.5.0")

    def pack(self, version, data=None, out=None, name="gateway"):
        with open(self.path("image"), "wb") as f:
            f.write(data or content(version))
        with open(self.path("recipe.yaml"), "w", encoding="ascii") as f:
            f.write(f"name: {name}\nversion: {version}\nrollback_index: 4\n"
                    "compatible: [acme-gw3]\npayloads:\n"
                    "  - {name: rootfs, slot: rootfs, kind: image, source: image}\n")
        path = self.path(out or f"{name}-{version}.ota")
        subprocess.run([SLUICE, "pack", self.path("recipe.yaml"), "-o", path], check=True,
                       capture_output=True)
        return path

    def release(self, bundle, *olds, code=0, key="releases"):
        return self.sluice("release", bundle, *[word for old in olds
                                                for word in ("--delta-from", old)],
                           "--key", self.key(key), code=code)

    def targets(self):
        return self.walk()["releases"]["targets"]

    def site_file(self, path):
        folder, name = os.path.split(path)
        sha256 = self.targets()[path]["hashes"]["sha256"]
        return self.path("site/targets", folder, f"{sha256}.{name}")

    def test_a_delta_is_listed_beside_its_bundle(self):
        self.release(self.old)
        done = self.release(self.new, self.old)
        self.assertRegex(done.stdout, rf"{DELTA}: from .*gateway-2.4.0.ota, \d+ bytes, 0\.\d%")
        self.assertNotIn("another build", done.stderr)
        targets = self.targets()
        self.assertEqual(sorted(targets), [OLD, DELTA, NEW])
        custom = targets[DELTA]["custom"]
        self.assertEqual(custom["delta"],
                         {"from": targets[OLD]["custom"]["manifest"]["sha256"],
                          "to": targets[NEW]["custom"]["manifest"]["sha256"]})
        with open(self.site_file(DELTA), "rb") as f:
            head = f.read()[:custom["head"]["length"]]
        self.assertEqual(custom["head"]["sha256"], hashlib.sha256(head).hexdigest())
        made = subprocess.run([APPLY, self.old, self.site_file(DELTA), self.new], check=True,
                              capture_output=True).stdout
        self.assertEqual(made, content("2.5.0"))
        self.assertEqual(self.incoming(), [])
        shown = subprocess.run([SLUICE, "show", self.path("site/metadata/2.releases.json")],
                               check=True, capture_output=True, text=True).stdout
        self.assertIn(DELTA, shown)

    def test_several_deltas_lead_to_one_bundle(self):
        older = self.pack("2.3.9")
        self.release(self.new, self.old, older)
        self.assertEqual(sorted(self.targets()),
                         ["bundles/gateway-2.5.0.from-2.3.9.delta", DELTA, NEW])

    def test_what_is_released_again_keeps_its_deltas_and_another_build_does_not(self):
        older = self.pack("2.3.9")
        self.release(self.new, self.old)
        self.release(self.new)
        self.assertIn(DELTA, self.targets())
        self.release(self.new, older)
        self.assertEqual(len(self.targets()), 3)
        later = self.pack("2.6.0")
        self.release(later, self.new)
        another = self.pack("2.5.0", content("2.5.0 again"), out="another.ota")
        done = self.release(another, older)
        self.assertIn(f"{DELTA}: not listed any more", done.stdout)
        # What leads elsewhere from the bundle that was replaced is of use to boxes that have it.
        self.assertEqual(sorted(self.targets()),
                         ["bundles/gateway-2.5.0.from-2.3.9.delta", NEW,
                          "bundles/gateway-2.6.0.from-2.5.0.delta", "bundles/gateway-2.6.0.ota"])

    def test_another_signature_makes_another_file_whose_deltas_go(self):
        self.release(self.new, self.old)
        subprocess.run([SLUICE, "sign", self.new, "--key", self.key("releases")], check=True,
                       capture_output=True)
        self.release(self.new)
        self.assertEqual(list(self.targets()), [NEW])

    def test_a_delta_that_does_not_pay_is_no_error_and_not_listed(self):
        other = self.pack("2.4.1", content("2.4.1", seed=2))
        done = self.release(self.new, other, self.old)
        self.assertIn("no delta from 2.4.1", done.stderr)
        self.assertEqual(sorted(self.targets()), [DELTA, NEW])

    def test_a_build_that_boxes_do_not_have_is_told(self):
        self.assertIn(f"does not list {OLD}",
                      self.release(self.new, self.old).stderr)
        self.release(self.old)
        another = self.pack("2.4.0", content("2.4.0 again"), out="another.ota")
        self.assertIn(f"is another build than the {OLD}",
                      self.release(self.new, another).stderr)

    def test_what_is_no_older_version_is_refused_and_nothing_is_listed(self):
        gadget = self.pack("2.4.0", name="gadget")
        for olds, says in (((self.new,), "both version 2.5.0"), ((gadget,), "gadget"),
                           ((self.old, self.old), "one --delta-from a version"),
                           ((self.old,) * 17, "16 times")):
            self.assertIn(says, self.release(self.new, *olds, code=2).stderr)
        with open(self.old, "r+b") as f:
            f.seek(-300000, os.SEEK_END)
            byte = f.read(1)
            f.seek(-300000, os.SEEK_END)
            f.write(bytes([byte[0] ^ 1]))
        self.release(self.new, self.old, code=1)
        self.release(self.new, self.path("none.ota"), code=1)
        self.assertNotIn("releases", self.walk())
        self.assertEqual(self.incoming(), [])

    def test_two_release_engineers_sign_the_same_delta(self):
        self.sluice("role", "remove", "releases", "--key", self.key("targets"))
        self.sluice("role", "add", "releases", "--member", self.key("releases", "pub"),
                    "--member", self.key("other", "pub"), "--threshold", "2", "--key",
                    self.key("targets"))
        self.release(self.new, self.old)
        self.assertNotIn("releases", self.walk())
        self.release(self.new, self.old, key="other")
        self.assertEqual(sorted(self.targets()), [DELTA, NEW])


if __name__ == "__main__":
    unittest.main()
