"""The samples in agent/boot/: what their languages leave out, and no bootloader complains about."""
import os
import re
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "..", "..", "agent", "boot")


class BootScripts(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(SAMPLES, "grub.cfg"), encoding="utf-8") as f:
            self.grub = re.sub(r"^\s*#.*$", "", f.read(), flags=re.M).replace("\\\n", " ")

    def test_grub_unsets_one_variable_at_a_time(self):
        """GRUB's unset takes its first argument and passes over the others."""
        words = re.findall(r"\bunset ([^;\n]*)", self.grub)
        self.assertTrue(words)
        for names in words:
            self.assertEqual(len(names.split()), 1, f"unset {names}")

    def test_grub_takes_only_our_variables_from_a_file(self):
        """A load_env that names none takes whatever there is."""
        loads = re.findall(r"^\s*load_env (.*)$", self.grub, flags=re.M)
        self.assertTrue(loads)
        for words in loads:
            names = words.split('"')[-1].split()
            self.assertEqual(len(names), 1 if "/turn" in words else 7, words)
            self.assertTrue(all(n.startswith("sluice_") for n in names), words)

    def test_each_sample_says_which_boots_are_tries(self):
        """For sluice-trial, on the kernel's command line, beside which side it is."""
        for name, line, value in (
                ("grub.cfg", r"sluice\.slot=\$1 \\\n\s+sluice\.trial=(\S+);", "$2"),
                ("u-boot.cmd", r"sluice\.slot=\$\{side\} sluice\.trial=([^\" ]+)\"", "${trial}"),
                ("loader/entries/sluice-a.conf", r"slot=A sluice\.trial=(\S+)", "loader"),
                ("loader/entries/sluice-b+0.conf", r"slot=B sluice\.trial=(\S+)", "loader")):
            with open(os.path.join(SAMPLES, name), encoding="utf-8") as f:
                self.assertEqual(re.findall(line, f.read()), [value], name)


if __name__ == "__main__":
    unittest.main()
