"""Every fuzz target takes its corpus and small changes of it: no crash, no hang, no broken promise.

The drivers are those of the ordinary build (replay.c), so no fuzzer is needed; findings of earlier
runs of the fuzzers are part of the corpora.
"""
import glob
import os
import re
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ["SLUICE_BUILD"]
CHANGES = 40
TIMEOUT_S = 240
CORPORA_BYTES_MAX, FILE_BYTES_MAX = 1 << 20, 8192

TARGETS = sorted(os.path.basename(path)[len("fuzz_"):-len(".c")]
                 for path in glob.glob(os.path.join(HERE, "fuzz_*.c")))


def corpus(target):
    return os.path.join(HERE, "corpus", target)


def replay(target, *args):
    """Runs a target's driver in a folder of its own: (inputs, how often one was accepted)."""
    with tempfile.TemporaryDirectory(prefix="sluice-fuzz-") as folder:
        done = subprocess.run([os.path.join(BUILD, "tests/fuzz", f"fuzz_{target}"), *args],
                              cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise AssertionError(f"{target} ended with {done.returncode}\n{done.stderr[-4000:]}")
    found = re.fullmatch(r"(\d+) inputs, (\d+) deep\n", done.stdout)
    return int(found.group(1)), int(found.group(2))


class Corpora(unittest.TestCase):
    def test_every_target_has_a_small_corpus(self):
        total = 0
        for target in TARGETS:
            sizes = [entry.stat().st_size for entry in os.scandir(corpus(target))]
            self.assertGreater(len(sizes), 1, target)
            self.assertLessEqual(max(sizes), FILE_BYTES_MAX, target)
            total += sum(sizes)
        self.assertLessEqual(total, CORPORA_BYTES_MAX)

    def test_every_corpus_has_a_target(self):
        self.assertEqual(sorted(os.listdir(os.path.join(HERE, "corpus"))), TARGETS)


class Page(unittest.TestCase):
    """common/README.md: what the agent's parent parses before it is verified."""

    def setUp(self):
        with open(os.path.join(ROOT, "common", "README.md"), encoding="utf-8") as f:
            self.text = f.read()
        self.rows = [[re.findall(r"`([^`]+)`", cell) for cell in line.split(" | ")]
                     for line in self.text.splitlines() if line.startswith("| `")]

    def test_what_it_names_is_there(self):
        self.assertGreater(len(self.rows), 10)
        for functions, (header,), _, (target,) in self.rows:
            with open(os.path.join(ROOT, header), encoding="utf-8") as f:
                declared = f.read()
            for function in functions:
                self.assertRegex(declared, rf"\b{function}\(")
            self.assertIn(target, TARGETS)

    def test_every_target_is_on_it_and_every_one_on_it_is_there(self):
        named = {word for word in re.findall(r"`([a-z0-9]+)`", self.text)}
        self.assertEqual(named, set(TARGETS))


def replays(target):
    def test(self):
        files = len(os.listdir(corpus(target)))
        inputs, deep = replay(target, "-c", str(CHANGES), corpus(target))
        self.assertEqual(inputs, files * (CHANGES + 1))
        self.assertGreater(deep, 0, "nothing in the corpus is accepted any more")
    return test


for _target in TARGETS:
    setattr(Corpora, f"test_{_target}_takes_its_corpus_and_changes_of_it", replays(_target))


if __name__ == "__main__":
    unittest.main()
