"""The house's own rules and its format, quickly: what `make lint` checks but for the analysers."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import house  # noqa: E402


class House(unittest.TestCase):
    def test_every_rule_of_the_house_is_kept(self):
        paths = house.tracked()
        self.assertGreater(len(house.c_files(paths)), 20)
        for check in house.CHECKS:
            with self.subTest(check.__name__):
                self.assertEqual(list(check(paths)), [])

    def test_functions_are_short(self):
        figures = house.Figures(house.program_files(house.tracked()))
        print(f"\n    {figures}", end=" ")
        self.assertGreater(len(figures.all), 100)
        self.assertTrue(figures.good(), figures)

    def test_every_c_file_is_formatted(self):
        files = house.c_files(house.tracked())
        done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *files], cwd=house.ROOT,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


class RulesBite(unittest.TestCase):
    """Each rule sees what it is there for: a rule that finds nothing ever is none."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, house, "ROOT", house.ROOT)
        house.ROOT = folder.name

    def complaints(self, check, **files):
        paths = []
        for name, text in files.items():
            path = name.replace("__", "/").replace("_DOT_", ".")
            os.makedirs(os.path.join(house.ROOT, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(house.ROOT, path), "w", encoding="utf-8") as f:
                f.write(text)
            paths.append(path)
        return list(check(paths))

    def test_an_arrow_the_wrong_way_is_seen(self):
        for source in ("agent__x_DOT_c", "common__base__x_DOT_c", "common__tuf__x_DOT_c"):
            self.assertEqual(len(self.complaints(
                house.check_arrows, signer__y_DOT_h="", common__format__z_DOT_h="",
                **{source: '#include "signer/y.h"\n'})), 1, source)
        self.assertEqual(len(self.complaints(
            house.check_arrows, common__format__z_DOT_h="",
            common__tuf__x_DOT_c='#include "common/format/z.h"\n')), 1)
        self.assertEqual(self.complaints(
            house.check_arrows, common__format__z_DOT_h="",
            agent__x_DOT_c='#include "common/format/z.h"\n#include <stdio.h>\n'), [])
        self.assertEqual(len(self.complaints(
            house.check_arrows, agent__x_DOT_c='#include "y.h"\n')), 1)

    def test_a_header_out_of_its_home_is_seen(self):
        for header in ("jansson.h", "sodium.h", "openssl/evp.h", "zlib.h", "archive.h",
                       "curl/curl.h", "ini.h", "libfyaml.h", "sqlite3.h", "et/com_err.h"):
            self.assertEqual(len(self.complaints(
                house.check_homes, signer__x_DOT_c=f"#include <{header}>\n")), 1, header)
        self.assertEqual(self.complaints(
            house.check_homes, common__crypto__x_DOT_c="#include <sodium.h>\n"), [])

    def test_what_has_no_place_at_the_top_is_seen(self):
        self.assertEqual(len(self.complaints(house.check_top_level, vendor__x_DOT_c="")), 1)
        self.assertEqual(self.complaints(house.check_top_level, _DOT_ci__run=""), [])

    def test_length_and_white_space_are_seen(self):
        self.assertEqual(len(self.complaints(
            house.check_lengths, a_DOT_c="x\n" * 601, b_DOT_c="x\n" * 600, c_DOT_c="x" * 101 + "\n",
            d_DOT_c="x \n", e_DOT_c="x")), 4)

    def test_words_are_seen(self):
        for text in ("the behavior", "initialize it", "COLOR_MAX", "buf_initialize", "TO" "DO: x"):
            self.assertEqual(len(self.complaints(house.check_words, a_DOT_c=text)), 1, text)
        for text in ("the behaviour", "recognised", "centre", "mkstemp XXXXXX", "otherwise"):
            self.assertEqual(self.complaints(house.check_words, a_DOT_c=text), [], text)
        self.addCleanup(setattr, house, "TOOL_WORDS", house.TOOL_WORDS)
        house.TOOL_WORDS = {house.hashlib.sha256(b"hammer").hexdigest()[:12]}
        self.assertEqual(len(self.complaints(house.check_words, a_DOT_c="made with a Hammer.")), 1)
        self.assertEqual(self.complaints(house.check_words, a_DOT_c="hammered"), [])

    def test_a_library_that_speaks_or_exits_is_seen(self):
        for text in ("\tprintf(x);\n", "\texit(1);\n", "\t(void)fprintf(stderr, x);\n"):
            self.assertEqual(len(self.complaints(
                house.check_libraries_keep_quiet, common__tuf__x_DOT_c=text)), 1, text)
        for text in ("\tsnprintf(x);\n", "\tbuf_printf(x);\n", "\t_exit(1);\n"):
            self.assertEqual(self.complaints(
                house.check_libraries_keep_quiet, common__tuf__x_DOT_c=text), [], text)

    def test_a_goto_that_frees_is_seen(self):
        self.assertEqual(len(self.complaints(house.check_gotos, a_DOT_c="\tgoto out;\n")), 1)
        self.assertEqual(self.complaints(house.check_gotos, a_DOT_c="\tgoto undo;\n"), [])

    def test_a_wrong_guard_is_seen(self):
        self.assertEqual(len(self.complaints(house.check_guards, common__base__x_DOT_h="")), 1)
        self.assertEqual(self.complaints(
            house.check_guards, common__base__x_DOT_h="#ifndef SLUICE_BASE_X_H\n"), [])

    def test_a_maximum_out_of_its_home_is_seen(self):
        for text in ("#define WAVES_MAX 64\n", "enum { A = 1, WAVES_MAX = 64 };\n",
                     "# define SPAN_MAX_S ((uint64_t)60)\n", "\tNAP_MAX_MS = 50,\n",
                     "static const uint64_t wait_max_s = 60;\n"):
            self.assertEqual(len(self.complaints(
                house.check_limits, signer__x_DOT_h=text)), 1, text)
            self.assertEqual(self.complaints(
                house.check_limits, common__limits_DOT_h=text, tests__unit__x_DOT_c=text), [], text)
        for text in ("enum { TEXT_SIZE = 64 };\n", "#define WAVES_MAXED 1\n",
                     "\tif (count == WAVES_MAX)\n", "\tuint64_t max = WAVES_MAX;\n",
                     "#include <limits.h>\nchar path[PATH_MAX] = \"\";\n"):
            self.assertEqual(self.complaints(house.check_limits, signer__x_DOT_h=text), [], text)

    def test_a_map_that_is_not_true_is_seen(self):
        files = {"signer__a_DOT_c": "", "signer__a_DOT_h": "", "signer__cmd_x_DOT_c": "",
                 "signer__main_DOT_c": "", "agent__b_DOT_c": ""}
        self.assertEqual(self.complaints(
            house.check_maps, signer__README_DOT_md="`main.c`\n\n| `init` | `a` |\n", **files), [])
        found = self.complaints(
            house.check_maps, signer__README_DOT_md="`a`\n\n| what | `b` |\n", **files)
        self.assertEqual([line.split(": ")[1] for line in found],
                         ["b is on this map, and is no file of signer/",
                          "a is a file of signer/, and is not on this map"])
        found = self.complaints(
            house.check_maps, signer__README_DOT_md="| it | `a` |\n| again | `a` |\n", **files)
        self.assertEqual([line.split(": ")[1] for line in found], ["a is on this map twice"])

    def test_functions_are_counted_by_the_lines_of_their_bodies(self):
        self.complaints(lambda paths: [], a_DOT_c="struct x {\n\tint a;\n};\n\nint\nf(void)\n{\n"
                        "\tif (1) {\n\t\tx();\n\t}\n}\n\nint\ng(void)\n{\n}\n")
        self.assertEqual([n for n, _, _ in house.function_lengths(["a.c"])], [3, 0])


if __name__ == "__main__":
    unittest.main()
