#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/num.h"
#include "signer/yaml.h"

static const char sample[] = "# a comment\n"
			     "name: gateway\n"
			     "version: 1.10\n"
			     "index: 17\n"
			     "yes: yes\n"
			     "soak: 4h\n"
			     "share: 2.5%\n"
			     "compatible: [acme-gw3, \"quoted \\u00e9\", 'single']\n"
			     "payloads:\n"
			     "  - {name: rootfs, slot: rootfs}\n"
			     "  - name: app\n"
			     "    text: |\n"
			     "      two\n"
			     "      lines\n"
			     "    folded: >-\n"
			     "      one\n"
			     "      line\n"
			     "empty:\n"
			     "blank: \"\"\n";

static struct yaml *
parsed(const char *text)
{
	struct err e = ERR_INIT;
	struct yaml *y = NULL;

	if (yaml_parse(span_str(text), "t.yaml", &y, &e) < 0)
		fail_msg("%s", e.text);
	return y;
}

static void
refuses(const char *text, const char *place, const char *why)
{
	struct err e = ERR_INIT;
	struct yaml *y = NULL;

	assert_int_equal(yaml_parse(span_str(text), "t.yaml", &y, &e), -1);
	assert_null(y);
	assert_int_equal(e.class, ERR_MALFORMED);
	if (strncmp(e.text, place, strlen(place)) != 0 || !strstr(e.text, why))
		fail_msg("'%s' is not at '%s' or lacks '%s'", e.text, place, why);
}

static void
a_document_is_read_with_its_order(void **state)
{
	AUTO_YAML struct yaml *y = parsed(sample);
	const struct yaml_node *root = yaml_root(y), *list, *app;
	const char *text = NULL;

	(void)state;
	assert_true(yaml_is_map(root));
	assert_int_equal(yaml_count(root), 10);
	assert_string_equal(yaml_key_at(root, 0), "name");
	assert_null(yaml_key_at(root, 10));
	list = yaml_get(root, "compatible");
	assert_true(yaml_is_list(list));
	assert_int_equal(yaml_count(list), 3);
	assert_int_equal(yaml_text(y, yaml_at(list, 1), 64, &text, NULL), 0);
	assert_string_equal(text, "quoted \xc3\xa9");
	assert_null(yaml_at(list, 3));
	assert_null(yaml_key_at(list, 0));
	app = yaml_at(yaml_get(root, "payloads"), 1);
	assert_int_equal(yaml_text(y, yaml_get(app, "text"), 64, &text, NULL), 0);
	assert_string_equal(text, "two\nlines\n");
	assert_int_equal(yaml_text(y, yaml_get(app, "folded"), 64, &text, NULL), 0);
	assert_string_equal(text, "one line");
	assert_null(yaml_get(root, "nothing"));
	assert_null(yaml_get(list, "name"));
	assert_false(yaml_is_scalar(yaml_get(root, "nothing")));
}

static void
scalars_stay_the_text_that_was_written(void **state)
{
	AUTO_YAML struct yaml *y = parsed(sample);
	const struct yaml_node *root = yaml_root(y);
	const char *text = NULL;
	uint64_t n = 0;
	uint32_t bp = 0;
	bool yes = false;

	(void)state;
	assert_int_equal(yaml_text(y, yaml_get(root, "version"), 64, &text, NULL), 0);
	assert_string_equal(text, "1.10");
	assert_int_equal(yaml_text(y, yaml_get(root, "blank"), 64, &text, NULL), 0);
	assert_string_equal(text, "");
	assert_int_equal(yaml_uint(y, yaml_get(root, "index"), 0, 17, &n, NULL), 0);
	assert_int_equal(n, 17);
	assert_int_equal(yaml_bool(y, yaml_get(root, "yes"), &yes, NULL), 0);
	assert_true(yes);
	assert_int_equal(yaml_duration(y, yaml_get(root, "soak"), 86400, &n, NULL), 0);
	assert_int_equal(n, 4 * 3600);
	assert_int_equal(yaml_percent(y, yaml_get(root, "share"), &bp, NULL), 0);
	assert_int_equal(bp, 250);
}

/* fy_token_get_text() lost 4 KiB for every such text. */
static void
a_text_of_many_apostrophes_costs_no_memory(void **state)
{
	char text[128] = "'";
	size_t before = 0;

	(void)state;
	for (int i = 0; i < 40; i++)
		(void)strcat(text, "''");
	(void)strcat(text, "'\n");
	for (int i = 0; i < 100; i++) {
		AUTO_YAML struct yaml *y = NULL;
		struct err e = ERR_INIT;

		(void)yaml_parse(span_str(text), "t.yaml", &y, &e);
		if (i == 0)
			before = mallinfo2().uordblks;
	}
	assert_true(mallinfo2().uordblks < before + 65536);
}

/* Each was taken for another text. */
static void
texts_that_the_library_misreads_are_refused(void **state)
{
	AUTO_YAML struct yaml *y =
		parsed("a: 'it''s'\nb: \"x\\\n  y\"\nc: >\n  d\n  e\nempty: >\n");
	const char *text = NULL;

	(void)state;
	assert_int_equal(yaml_text(y, yaml_get(yaml_root(y), "a"), 64, &text, NULL), 0);
	assert_string_equal(text, "it's");
	assert_int_equal(yaml_text(y, yaml_get(yaml_root(y), "b"), 64, &text, NULL), 0);
	assert_string_equal(text, "xy");
	assert_int_equal(yaml_text(y, yaml_get(yaml_root(y), "c"), 64, &text, NULL), 0);
	assert_string_equal(text, "d e\n");
	assert_int_equal(yaml_text(y, yaml_get(yaml_root(y), "empty"), 64, &text, NULL), 0);
	assert_string_equal(text, "");
	refuses("a: 'x''''y'\n", "t.yaml:1:", "apostrophes");
	refuses("a: 'x''\n  y'\n", "t.yaml:1:", "apostrophes");
	refuses("a: \"x\\\\\\\n  y\"\n", "t.yaml:1:", "backslashes");
	refuses("a: >\n  x\n\n   y\n", "t.yaml:2:", "folded");
}

static void
a_wrong_value_is_named_by_its_place(void **state)
{
	AUTO_YAML struct yaml *y = parsed(sample);
	const struct yaml_node *root = yaml_root(y);
	struct err e = ERR_INIT;
	const char *text = "untouched";
	uint64_t n = 99;
	uint32_t bp = 99;
	bool yes = true;

	(void)state;
	assert_int_equal(yaml_uint(y, yaml_get(root, "index"), 0, 16, &n, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "t.yaml:4:8: "));
	assert_int_equal(yaml_text(y, yaml_get(root, "name"), 6, &text, &e), -1);
	assert_non_null(strstr(e.text, "t.yaml:2:7: longer than 6"));
	assert_int_equal(yaml_text(y, yaml_get(root, "empty"), 64, &text, &e), -1);
	assert_non_null(strstr(e.text, "t.yaml:18:1: "));
	assert_non_null(strstr(e.text, "missing"));
	assert_int_equal(yaml_text(y, yaml_get(root, "payloads"), 64, &text, &e), -1);
	assert_non_null(strstr(e.text, "t.yaml:10:3: expected one value for 'payloads' here"));
	assert_int_equal(yaml_bool(y, yaml_get(root, "index"), &yes, &e), -1);
	assert_int_equal(yaml_duration(y, yaml_get(root, "index"), 86400, &n, &e), -1);
	assert_int_equal(yaml_percent(y, yaml_get(root, "index"), &bp, &e), -1);
	assert_non_null(strstr(e.text, "t.yaml:4:8: "));
	assert_string_equal(text, "untouched");
	assert_int_equal(n, 99);
	assert_int_equal(bp, 99);
	assert_true(yes);
}

static void
an_unknown_key_is_refused_with_the_nearest_known_one(void **state)
{
	static const char *const known[] = {"version", "payloads", "name", NULL};
	AUTO_YAML struct yaml *y = parsed("name: a\nverison: 2\n");
	AUTO_YAML struct yaml *far = parsed("{name: a, kernelthing: 2}\n");
	AUTO_YAML struct yaml *list = parsed("- name\n");
	AUTO_YAML struct yaml *good = parsed("name: a\nversion: 3\n");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(yaml_only(good, yaml_root(good), known, &e), 0);
	assert_int_equal(yaml_only(y, yaml_root(y), known, &e), -1);
	assert_string_equal(
		e.text, "t.yaml:2:1: 'verison' is not known here; did you mean 'version'?");
	assert_int_equal(yaml_only(far, yaml_root(far), known, &e), -1);
	assert_string_equal(e.text, "t.yaml:1:11: 'kernelthing' is not known here; known are: "
				    "version, payloads, name");
	assert_int_equal(yaml_only(list, yaml_root(list), known, &e), -1);
	assert_non_null(strstr(e.text, "t.yaml:1:1: "));
}

static void
lines_may_end_as_on_windows(void **state)
{
	AUTO_YAML struct yaml *y = parsed("a: 1\r\nb: 2\r\n");
	const char *text = NULL;

	(void)state;
	assert_int_equal(yaml_text(y, yaml_get(yaml_root(y), "b"), 8, &text, NULL), 0);
	assert_string_equal(text, "2");
}

static void
what_these_files_do_not_need_is_refused(void **state)
{
	(void)state;
	refuses("a: &x 1\n", "t.yaml:1:", "anchors");
	refuses("a: 1\nb: *x\n", "t.yaml:2:", "aliases");
	refuses("a: !!str 1\n", "t.yaml:1:", "tags");
	refuses("a: !x [1]\n", "t.yaml:1:", "tags");
	refuses("a: &x {b: 1}\n", "t.yaml:1:", "anchors");
	refuses("&x a: 1\n", "t.yaml:1:", "anchors");
	refuses("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: ", "'a' is there already, in line 1");
	refuses("? [a]\n: 1\n", "t.yaml:1:", "a key must be a word");
	refuses("? {a: 1}\n: 1\n", "t.yaml:1:", "a key must be a word");
	refuses("a: 1\n---\nb: 1\n", "t.yaml:2:1: ", "second document");
	refuses("", "t.yaml:1:1: ", "nothing");
	refuses("# only a comment\n", "t.yaml:1:1: ", "nothing");
}

static void
broken_yaml_is_named_by_its_place(void **state)
{
	(void)state;
	refuses("a: [1, 2\nb: 3\n", "t.yaml:3:1: ", "bracket");
	refuses("a: 'open\n", "t.yaml:", "");
	refuses("a: b: c\n", "t.yaml:1:", "");
	refuses("a: 1\n\tb: 2\n", "t.yaml:1:4: ", "");
	refuses("a: \"\\q\"\n", "t.yaml:1:", "");
	refuses("a: @x\n", "t.yaml:1:4:", "");
}

static void
bytes_that_are_no_text_are_refused(void **state)
{
	static const char *const bad[] = {"\x01", "\x7f", "\xff", "\xc0\x80", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xe2\x82", "\xc2\x85", "\x80", "\x1b[31m", "\xf0\x80\x80\x80",
		"x\ry"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text), "a: 1\nb: %s\n", bad[i]);
		refuses(text, "t.yaml:2:", "not UTF-8 text");
	}
	refuses("a: \"x\\0y\"\n", "t.yaml:1:4: ", "control character");
	refuses("a: \"x\\ey\"\n", "t.yaml:1:4: ", "control character");
}

static void
a_zero_byte_is_refused(void **state)
{
	struct err e = ERR_INIT;
	struct yaml *y = NULL;

	(void)state;
	assert_int_equal(yaml_parse(span_of("a: 1\0b", 6), "t.yaml", &y, &e), -1);
	assert_non_null(strstr(e.text, "t.yaml:1:5: byte 0x00"));
}

static void
depth_and_number_are_bounded(void **state)
{
	enum { DEEP = 100000, MANY = 200001, KEYS = 1001 };
	AUTO_FREE char *text = calloc(1, (size_t)MANY * 16);
	size_t len = 0;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < DEEP; i++)
		memcpy(text + 2 * i, "- ", 2);
	refuses(text, "t.yaml:1:", "deeper");
	memset(text, '[', DEEP);
	text[DEEP] = '\0';
	refuses(text, "t.yaml:1:", "deeper");
	for (size_t i = 0; i < KEYS; i++)
		len += (size_t)sprintf(text + len, "k%zu: 1\n", i);
	refuses(text, "t.yaml:1001:1: ", "more than 1000 keys");
	for (size_t i = 0; i < MANY; i++)
		memcpy(text + 4 * i, "- 1\n", 5);
	refuses(text, "t.yaml:200000:3: ", "more than 200000 values");
	memset(text, '\n', MANY);
	text[MANY] = '\0';
	memcpy(text, "a: |\n  ", 7);
	refuses(text, "t.yaml:1003:1: ", "more than 1000 blank lines");
}

static void
sixteen_levels_are_read(void **state)
{
	AUTO_YAML struct yaml *y = parsed("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n");

	(void)state;
	assert_true(yaml_is_list(yaml_root(y)));
	refuses("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", "t.yaml:1:17: ", "deeper than 16");
}

/* Standard error goes into a file while a test runs, to see that the library prints nothing. */
static FILE *quiet_file;
static int quiet_saved;

static void
quiet_begin(void)
{
	quiet_file = tmpfile();
	quiet_saved = dup(STDERR_FILENO);
	assert_non_null(quiet_file);
	assert_true(dup2(fileno(quiet_file), STDERR_FILENO) >= 0);
}

static long
quiet_end(void)
{
	struct stat s;
	int result = fstat(fileno(quiet_file), &s);

	(void)fflush(stderr);
	(void)dup2(quiet_saved, STDERR_FILENO);
	(void)close(quiet_saved);
	(void)fclose(quiet_file);
	return result < 0 ? -1 : (long)s.st_size;
}

/* Read, or refused with a place. */
static bool
parse_behaves(struct span bytes)
{
	AUTO_YAML struct yaml *y = NULL;
	struct err e = ERR_INIT;
	unsigned line = 0, column = 0;

	if (yaml_parse(bytes, "t.yaml", &y, &e) == 0)
		return y && yaml_root(y);
	return e.class == ERR_MALFORMED && sscanf(e.text, "t.yaml:%u:%u: ", &line, &column) == 2 &&
	       line > 0 && column > 0;
}

static void
every_prefix_and_byte_flip_is_read_or_refused_with_a_place(void **state)
{
	char text[sizeof(sample)];
	size_t bad = 0, len = sizeof(sample) - 1;

	(void)state;
	quiet_begin();
	for (size_t i = 0; i <= len; i++)
		bad += !parse_behaves(span_of(sample, i));
	for (size_t i = 0; i < len; i++) {
		memcpy(text, sample, sizeof(text));
		for (unsigned b = 0; b < 256; b++) {
			text[i] = (char)b;
			bad += !parse_behaves(span_of(text, len));
		}
	}
	assert_int_equal(quiet_end(), 0);
	assert_int_equal(bad, 0);
}

static void
a_file_is_read_up_to_its_limit(void **state)
{
	char path[] = "/tmp/test_yaml.XXXXXX";
	int fd = mkstemp(path);
	struct err e = ERR_INIT;
	struct yaml *none = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	(void)close(fd);
	AUTO_YAML struct yaml *y = NULL;
	assert_int_equal(yaml_load(path, 5, &y, &e), 0);
	assert_int_equal(yaml_load(path, 4, &none, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	(void)unlink(path);
	assert_int_equal(yaml_load(path, 5, &none, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_null(none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_is_read_with_its_order),
		cmocka_unit_test(scalars_stay_the_text_that_was_written),
		cmocka_unit_test(a_text_of_many_apostrophes_costs_no_memory),
		cmocka_unit_test(texts_that_the_library_misreads_are_refused),
		cmocka_unit_test(a_wrong_value_is_named_by_its_place),
		cmocka_unit_test(an_unknown_key_is_refused_with_the_nearest_known_one),
		cmocka_unit_test(lines_may_end_as_on_windows),
		cmocka_unit_test(what_these_files_do_not_need_is_refused),
		cmocka_unit_test(broken_yaml_is_named_by_its_place),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(depth_and_number_are_bounded),
		cmocka_unit_test(sixteen_levels_are_read),
		cmocka_unit_test(every_prefix_and_byte_flip_is_read_or_refused_with_a_place),
		cmocka_unit_test(a_file_is_read_up_to_its_limit),
	};

	return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
