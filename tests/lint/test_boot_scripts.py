"""The samples in agent/boot/: what their languages leave out, and no bootloader complains about."""
import os
import re
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "..", "..", "agent", "boot")


class BootScripts(unittest.TestCase):
    def test_grub_unsets_one_variable_at_a_time(self):
        """GRUB's unset takes its first argument and passes over the others."""
        with open(os.path.join(SAMPLES, "grub.cfg"), encoding="utf-8") as f:
            code = re.sub(r"^\s*#.*$", "", f.read(), flags=re.M)
        words = re.findall(r"\bunset ([^;\n]*)", code)
        self.assertTrue(words)
        for names in words:
            self.assertEqual(len(names.split()), 1, f"unset {names}")


if __name__ == "__main__":
    unittest.main()
