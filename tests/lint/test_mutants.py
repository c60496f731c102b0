"""The list of broken checks fits the house: `make mutants` takes too long for every change."""
import glob
import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MUTANTS = os.path.join(TESTS, "mutants")


def lists():
    loader = importlib.machinery.SourceFileLoader("mutants_run", os.path.join(MUTANTS, "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutants_run", loader))
    loader.exec_module(module)
    return module.LISTS


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return f.read()


class Mutants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, MUTANTS)
        cls.addClassCleanup(sys.path.remove, MUTANTS)
        cls.all = [m for name in lists() for m in importlib.import_module(name).MUTANTS]

    def test_every_list_is_run(self):
        found = {os.path.basename(path)[:-3] for path in glob.glob(os.path.join(MUTANTS, "*.py"))}
        self.assertEqual(set(lists()), found - {"mutant"})

    def test_what_is_to_be_broken_stands_once(self):
        for m in self.all:
            with self.subTest(m.what):
                self.assertEqual(read(TESTS, "..", m.path).count(m.old), 1, f"{m.path}: {m.old}")
                self.assertNotEqual(m.old, m.new)

    def test_what_should_notice_is_there(self):
        for m in self.all:
            suffix = ".py" if "/" in m.module else ".c"
            path = os.path.join(TESTS, m.module if "/" in m.module else f"unit/{m.module}") + suffix
            with self.subTest(m.what):
                self.assertRegex(read(path), rf"\b{re.escape(m.test)}\b", path)


if __name__ == "__main__":
    unittest.main()
