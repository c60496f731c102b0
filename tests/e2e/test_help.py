"""Every command's --help fits a screen of 80 columns and 24 lines, and has an example."""
import os
import re
import unittest

from fleet import Programs, run
from fleet.process import ROOT


class Help(unittest.TestCase):
    @staticmethod
    def commands(top):
        """The names in a page of one column, or of two, of which the second begins at 42."""
        parts = [part for line in top.split("\n") if line.startswith("  ")
                 for part in (line[2:40], line[42:] if line[40:42] == "  " else "")]
        return [m.group(1) for m in (re.match(r"([a-z]+) +[a-z]", part) for part in parts) if m]

    def pages(self, program):
        """Yields (command line, page): the program's, each command's, each verb's of its own."""
        top = run([program, "--help"]).stdout
        yield (program,), top
        commands = self.commands(top)
        self.assertGreater(len(commands), 6)
        for command in commands:
            page = run([program, command, "--help"]).stdout
            yield (program, command), page
            for verb in sorted(set(re.findall(rf"sluice {command} ([a-z]+)\b", page))):
                own = run([program, command, verb, "--help"]).stdout
                if own != page:
                    yield (program, command, verb), own

    def test_every_page_fits_a_screen_and_has_an_example(self):
        seen = []
        for program in (Programs().sluice, Programs().agent):
            for words, page in self.pages(program):
                seen.append(" ".join(words[1:]))
                with self.subTest(command=words):
                    lines = page.rstrip("\n").split("\n")
                    self.assertLessEqual(max(map(len, lines)), 80, max(lines, key=len))
                    self.assertLessEqual(len(lines), 24)
                    self.assertRegex(page, r"(?m)^usage: sluice")
                    if len(words) > 1:
                        self.assertRegex(page, r"(?mi)^examples?:")
        for command in ("root rotate", "key revoke", "metadata sign", "run", "boot"):
            self.assertIn(command, seen)

    def test_each_program_says_its_version(self):
        with open(os.path.join(ROOT, "common", "version.h"), encoding="ascii") as f:
            version = re.search(r'"(.+)"', f.read())[1]
        for program in (Programs().sluice, Programs().agent):
            self.assertEqual(run([program, "--version"]).stdout,
                             f"{os.path.basename(program)} {version}\n")

    def test_every_command_has_its_place_in_the_table(self):
        top = run([Programs().sluice, "--help"]).stdout
        commands = self.commands(top)
        self.assertIn("init", commands)
        self.assertIn("plan", commands)
        self.assertEqual(len(commands), len(set(commands)))
        rows = [line for line in top.split("\n") if line.startswith("  ")]
        # A summary that is too long moves the second column.
        self.assertEqual(len(commands), 2 * len(rows) - (len(rows[-1]) <= 40), top)
        for line in rows[:-1]:
            self.assertRegex(line[40:], r"^  [a-z]", top)

    def test_what_is_wrong_names_the_way_on(self):
        sluice = Programs().sluice
        for words in (("root",), ("root", "turn"), ("metadata",), ("key",), ("role", "x")):
            done = run([sluice, *words], check=2)
            self.assertIn("--help", done.stderr)


if __name__ == "__main__":
    unittest.main()
