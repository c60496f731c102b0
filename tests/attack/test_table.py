"""README.md here, with METADATA.md, says of each test which attack it is; nothing is left out."""
import ast
import glob
import os
import re
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
LISTS = {"TUF:": 11, "THREAT.": 18, "REQ.SEC.": 21, "past:": 17, "promise:": 28}
NOT_OURS = "does not apply: "


def rows(text):
    """Yields (heading above, cells) of every row of every table, heads of tables left out."""
    heading, cells, past_rule = "", [], False
    for line in text.split("\n"):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            past_rule = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if past_rule:
            yield heading, cells
        past_rule = past_rule or set(line) <= set("| -")


def named_tests(path):
    """Names of the tests in a file of ours, Python or C."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if path.endswith(".c"):
        return re.findall(r"^(\w+)\(void \*\*\w+\)$", text, re.M)
    return [f.name for c in ast.parse(text).body if isinstance(c, ast.ClassDef)
            for f in c.body if isinstance(f, ast.FunctionDef) and f.name.startswith("test_")]


class Table:
    """What the page says, words {word: [last cell]} and listed {(module, test): [cells]}; and the
    tests that there are, {(module, test)}."""

    def __init__(self, text):
        self.words, self.listed = {}, {}
        self.tests = {(os.path.basename(path), name)
                      for path in glob.glob(os.path.join(HERE, "test_*.py"))
                      if not path.endswith("test_table.py") for name in named_tests(path)}
        for heading, cells in rows(text):
            if heading.endswith(".py"):
                self.listed.setdefault((heading, cells[0]), []).append(cells[1:])
            else:
                self.words.setdefault(cells[0], []).append(cells[-1])

    def answers(self):
        return {word.strip() for found in self.listed.values() for cells in found
                for word in cells[0].split(",")}

    def complaints(self):
        """Whatever is wrong with the page, in words."""
        for module, name in sorted(self.tests - set(self.listed)):
            yield f"{module}: {name} has no row"
        for module, name in sorted(set(self.listed) - self.tests):
            yield f"{module}: there is no {name}"
        yield from self.complaints_of_rows()
        yield from self.complaints_of_words()

    def complaints_of_rows(self):
        for (module, name), found in sorted(self.listed.items()):
            if len(found) != 1:
                yield f"{module}: {name} has {len(found)} rows"
            for cells in found:
                if len(cells) != 2 or not all(cells):
                    yield f"{module}: {name} needs answers and what must happen"
        for word in sorted(self.answers() - set(self.words)):
            yield f"'{word}' is in none of the lists"

    def complaints_of_words(self):
        for prefix, number in LISTS.items():
            count = sum(word.startswith(prefix) for word in self.words)
            if count != number:
                yield f"{count} of {number} words {prefix}*"
        for word, found in self.words.items():
            if len(found) != 1:
                yield f"{word} is listed {len(found)} times"
            yield from self.complaints_of_word(word, found[0])

    def complaints_of_word(self, word, elsewhere):
        if elsewhere.startswith(NOT_OURS):
            if word in self.answers():
                yield f"{word} does not apply, and a test answers it"
            return
        if not elsewhere and word not in self.answers():
            yield f"{word} is answered by no test"
        for test in filter(None, elsewhere.split(", ")):
            path, _, name = test.partition(":")
            path = os.path.join(TESTS, path)
            if not os.path.isfile(path) or name not in named_tests(path):
                yield f"{word}: there is no {test}"


def page():
    """README.md, and the rows that have a page of their own."""
    text = ""
    for name in ("README.md", "METADATA.md"):
        with open(os.path.join(HERE, name), encoding="utf-8") as f:
            text += f.read()
    return text


class ThePage(unittest.TestCase):
    def test_every_test_has_its_row_and_every_row_its_test(self):
        self.assertEqual(list(Table(page()).complaints()), [])


class TheCheck(unittest.TestCase):
    """It sees what it is there for."""

    def complaints(self, old, new):
        text = page()
        self.assertIn(old, text)
        return "\n".join(Table(text.replace(old, new, 1)).complaints())

    def test_a_row_without_a_test_is_seen(self):
        row = "### test_gone.py\n\n| test | a | b |\n| --- | --- | --- |\n"
        self.assertIn("there is no test_of_nothing", self.complaints(
            "## Stolen things\n",
            f"{row}| test_of_nothing | TUF:rollback | nothing |\n\n## Stolen things\n"))

    def test_a_test_without_a_row_is_seen(self):
        table = Table(page())
        table.tests = {("test_new.py", "test_of_something")}
        self.assertIn("test_new.py: test_of_something has no row", list(table.complaints()))

    def test_a_word_that_is_not_listed_is_seen(self):
        row = "### test_gone.py\n\n| test | a | b |\n| --- | --- | --- |\n"
        self.assertIn("'TUF:luck' is in none", self.complaints(
            "## Stolen things\n", f"{row}| test_a | TUF:luck | nothing |\n\n## Stolen things\n"))

    def test_a_test_elsewhere_that_is_gone_is_seen(self):
        self.assertIn("there is no unit/test_tuf_refresh.c:timestamp_goes", self.complaints(
            "timestamp_does_not_go_back", "timestamp_goes_back"))

    def test_a_word_that_nothing_answers_is_seen(self):
        lists = page().split("## Over the network")[0]
        old = "unit/test_envelope.c:a_key_under_two_ids_counts_once |"
        self.assertIn(old, lists)
        self.assertIn("past:one-key-twice is answered by no test",
                      list(Table(lists.replace(old, " |", 1)).complaints()))

    def test_a_list_that_lost_a_word_is_seen(self):
        self.assertIn("16 of 17 words past:", self.complaints("| past:no-keys |", "| pass:no |"))


if __name__ == "__main__":
    unittest.main()
