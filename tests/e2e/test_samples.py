"""keys/ and manifests/ hold what they say: samples that work, and no secret."""
import glob
import json
import os
import re
import tempfile
import unittest

from fleet import Programs, run
from fleet.process import ROOT


class Samples(unittest.TestCase):
    def test_the_sample_manifests_are_those_that_init_makes(self):
        with tempfile.TemporaryDirectory() as folder:
            run([Programs().sluice, "init", os.path.join(folder, "w")])
            for name in ("bundles/gateway.yaml", "rollouts/stable.yaml"):
                with open(os.path.join(folder, "w", "manifests", name), encoding="utf-8") as f:
                    made = f.read()
                with open(os.path.join(ROOT, "manifests", name), encoding="utf-8") as f:
                    self.assertEqual(f.read(), made, name)

    def test_the_sample_root_names_the_sample_keys(self):
        with open(os.path.join(ROOT, "keys", "root.json"), encoding="utf-8") as f:
            root = json.load(f)["signed"]
        for role in ("root", "targets", "snapshot", "timestamp"):
            shown = run([Programs().sluice, "key", "show",
                         os.path.join(ROOT, "keys", role + ".pub")]).stdout
            keyid, = root["roles"][role]["keyids"]
            self.assertIn(keyid, shown)

    def test_no_secret_lies_in_the_house(self):
        found = [p for p in glob.glob(os.path.join(ROOT, "keys", "*"))
                 if not re.search(r"(\.pub|/root\.json)$", p)]
        self.assertEqual(found, [])
        for path in glob.glob(os.path.join(ROOT, "keys", "*")):
            with open(path, encoding="utf-8") as f:
                self.assertNotIn("secret", f.read())


if __name__ == "__main__":
    unittest.main()
