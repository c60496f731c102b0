"""Our canonical JSON is, byte for byte, what securesystemslib signs."""
import json
import os
import random
import subprocess
import unittest

from securesystemslib.formats import encode_canonical

TOOL = os.path.join(os.environ["SLUICE_BUILD"], "tests/tools/canonical")


def ours(text):
    return subprocess.run([TOOL], input=text.encode(), capture_output=True, timeout=60)


def random_text(rng):
    # jansson takes no NUL, and a lone surrogate is no text at all.
    points = [rng.choice((rng.randint(1, 0x7f), rng.randint(1, 0xd7ff),
                          rng.randint(0xe000, 0x10ffff), ord('"'), ord("\\")))
              for _ in range(rng.randint(0, 8))]
    return "".join(map(chr, points))


def random_value(rng, depth):
    kind = rng.randint(0, 7 if depth else 4)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind <= 2:
        return rng.choice((0, -1, 2**63 - 1, -2**63, rng.randint(-10**6, 10**6)))
    if kind <= 4:
        return random_text(rng)
    if kind == 5:
        return [random_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return {random_text(rng): random_value(rng, depth - 1) for _ in range(rng.randint(0, 6))}


class Canonical(unittest.TestCase):
    def check(self, value):
        for ascii_only in (True, False):
            done = ours(json.dumps(value, ensure_ascii=ascii_only, indent=2))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, encode_canonical(value).encode(), value)

    def test_chosen_values_are_encoded_alike(self):
        for value in ({}, [], "", 0, None, True, {"": {"": []}}, {"b": 1, "a": 2, "B": 3, "é": 4},
                      {"\uffff": 1, "\U0001f600": 2}, "\n\t\x01\x7f\"\\/", {"\n\"\\": "\\"},
                      [2**63 - 1, -2**63], {"signed": {"_type": "root", "version": 1}}):
            with self.subTest(value=value):
                self.check(value)

    def test_random_values_are_encoded_alike(self):
        rng = random.Random(20261122)
        for _ in range(150):
            self.check(random_value(rng, 5))

    def test_fractions_are_refused(self):
        done = ours('{"a": 1.5}')
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"fraction", done.stderr)


if __name__ == "__main__":
    unittest.main()
