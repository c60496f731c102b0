#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/recipe.h"

static const char sample[] =
	"name: gateway\n"
	"version: 2.4.0\n"
	"rollback_index: 4\n"
	"compatible: [acme-gw3, acme-gw4]\n"
	"payloads:\n"
	"  - {name: rootfs, slot: rootfs, kind: image, source: build/rootfs.ext4.xz}\n"
	"  - {name: app, slot: data, kind: tree, source: /srv/app}\n";

static int
parse(const char *text, struct recipe *r, struct err *e)
{
	return recipe_parse(span_str(text), "dir/r.yaml", r, e);
}

static void
a_recipe_is_read(void **state)
{
	AUTO_FREE struct recipe *r = calloc(1, sizeof(*r));
	struct err e = ERR_INIT;

	(void)state;
	if (parse(sample, r, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(r->name, "gateway");
	assert_string_equal(r->version, "2.4.0");
	assert_int_equal(r->rollback_index, 4);
	assert_int_equal(r->compatible_count, 2);
	assert_string_equal(r->compatible[1], "acme-gw4");
	assert_int_equal(r->level, RECIPE_LEVEL_DEFAULT);
	assert_int_equal(r->payload_count, 2);
	assert_string_equal(r->payloads[0].name, "rootfs");
	assert_string_equal(r->payloads[0].slot_class, "rootfs");
	assert_int_equal(r->payloads[0].kind, PAYLOAD_IMAGE);
	assert_string_equal(r->payloads[0].source, "dir/build/rootfs.ext4.xz");
	assert_string_equal(r->payloads[1].slot_class, "data");
	assert_int_equal(r->payloads[1].kind, PAYLOAD_TREE);
	assert_string_equal(r->payloads[1].source, "/srv/app");
}

/* The sample with one line (counted from 1) replaced has to be refused at that place. */
static void
refuses_line(unsigned line, const char *with, const char *place, const char *why)
{
	AUTO_FREE struct recipe *r = calloc(1, sizeof(*r)), *zero = calloc(1, sizeof(*zero));
	char text[8192];
	const char *from = sample, *to;
	struct err e = ERR_INIT;

	for (unsigned i = 1; i < line; i++)
		from = strchr(from, '\n') + 1;
	to = strchr(from, '\n') + 1;
	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(from - sample), sample, with, to);
	assert_int_equal(parse(text, r, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	if (strncmp(e.text, place, strlen(place)) != 0 || !strstr(e.text, why))
		fail_msg("'%s' is not at '%s' or lacks '%s'", e.text, place, why);
	assert_memory_equal(r, zero, sizeof(*r));
}

static void
a_wrong_line_is_refused_with_its_place(void **state)
{
	(void)state;
	refuses_line(1, "", "dir/r.yaml:1:1: ", "'name' is missing");
	refuses_line(1, "name: ../x\n", "dir/r.yaml:1:7: ", "no plain name");
	refuses_line(1, "name: [a]\n", "dir/r.yaml:1:7: ", "expected one value");
	refuses_line(1, "name:\n", "dir/r.yaml:1:1: ", "missing");
	refuses_line(1, "nam: x\n", "dir/r.yaml:1:1: ", "did you mean 'name'");
	refuses_line(2, "version: 2/4\n", "dir/r.yaml:2:10: ", "no plain name");
	refuses_line(3, "", "dir/r.yaml:1:1: ", "'rollback_index' is missing");
	refuses_line(3, "rollback_index: -1\n", "dir/r.yaml:3:17: ", "");
	refuses_line(3, "rollback_index: 9007199254740993\n", "dir/r.yaml:3:17: ", "");
	refuses_line(4, "compatible: acme\n", "dir/r.yaml:4:13: ", "is a list");
	refuses_line(4, "compatible: []\n", "dir/r.yaml:4:13: ", "0 members");
	refuses_line(4, "compatible: [a, a]\n", "dir/r.yaml:4:17: ", "twice");
	refuses_line(4, "compatible: [a b]\n", "dir/r.yaml:4:14: ", "no plain name");
	refuses_line(4, "compatible: [a]\nlevel: 0\n", "dir/r.yaml:5:8: ", "");
	refuses_line(4, "compatible: [a]\nlevel: 10\n", "dir/r.yaml:5:8: ", "");
	refuses_line(5, "payloads: []\nx:\n", "dir/r.yaml:6:1: ", "'x' is not known");
	refuses_line(6, "  - rootfs\n", "dir/r.yaml:6:5: ", "expected `key: value`");
	refuses_line(6, "  - {name: r, slot: s, kind: disk, source: x}\n",
		"dir/r.yaml:6:30: ", "neither image nor tree");
	refuses_line(6, "  - {name: r, slot: s, kind: image}\n",
		"dir/r.yaml:6:5: ", "'source' is missing");
	refuses_line(6, "  - {name: r, slot: s, kind: tree, source: ''}\n",
		"dir/r.yaml:6:44: ", "without a name");
	refuses_line(6, "  - {name: r, kind: tree, source: x}\n",
		"dir/r.yaml:6:5: ", "'slot' is missing");
	refuses_line(6, "  - {name: app, slot: s, kind: tree, source: x}\n",
		"dir/r.yaml:7:5: ", "two payloads are called app");
	refuses_line(6, "  - {name: r, slot: data, kind: tree, source: x}\n",
		"dir/r.yaml:7:5: ", "payload r is for slot data already");
}

static void
numbers_of_members_are_bounded(void **state)
{
	char text[8192] = "compatible: [c";
	size_t len = strlen(text);

	(void)state;
	for (int i = 0; i < COMPATIBLE_MAX; i++)
		len += (size_t)sprintf(text + len, ", c%d", i);
	(void)strcpy(text + len, "]\n");
	refuses_line(4, text, "dir/r.yaml:4:13: ", "65 members; 1 to 64");
	len = 0;
	for (int i = 0; i < PAYLOADS_MAX; i++)
		len += (size_t)sprintf(
			text + len, "  - {name: p%d, slot: s%d, kind: tree, source: x}\n", i, i);
	refuses_line(6, text, "dir/r.yaml:6:3: ", "17 members; 1 to 16");
}

static void
a_source_too_long_with_its_folder_is_refused(void **state)
{
	AUTO_FREE struct recipe *r = calloc(1, sizeof(*r));
	char text[8192], source[PATH_MAX];
	struct err e = ERR_INIT;

	(void)state;
	memset(source, 'x', PATH_MAX - 5);
	source[PATH_MAX - 5] = '\0';
	(void)snprintf(text, sizeof(text),
		"{name: a, version: 1, rollback_index: 0, compatible: [c],"
		" payloads: [{name: p, slot: s, kind: tree, source: %s}]}",
		source);
	if (parse(text, r, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(strlen(r->payloads[0].source), PATH_MAX - 1);
	source[PATH_MAX - 5] = 'x';
	source[PATH_MAX - 4] = '\0';
	(void)snprintf(text, sizeof(text),
		"{name: a, version: 1, rollback_index: 0, compatible: [c],"
		" payloads: [{name: p, slot: s, kind: tree, source: %s}]}",
		source);
	assert_int_equal(parse(text, r, &e), -1);
	assert_non_null(strstr(e.text, "dir/r.yaml:1:"));
}

/* What came out is within the limits of the format. */
static bool
recipe_is_sound(const struct recipe *r)
{
	bool good = name_is_plain(r->name) && name_is_plain(r->version) &&
		    r->compatible_count >= 1 && r->compatible_count <= COMPATIBLE_MAX &&
		    r->payload_count >= 1 && r->payload_count <= PAYLOADS_MAX && r->level >= 1 &&
		    r->level <= 9;

	for (size_t i = 0; good && i < r->payload_count; i++)
		good = name_is_plain(r->payloads[i].name) &&
		       name_is_plain(r->payloads[i].slot_class) && r->payloads[i].source[0];
	return good;
}

static bool
parse_behaves(struct span bytes, struct recipe *r)
{
	struct err e = ERR_INIT;
	unsigned line = 0, column = 0;

	if (recipe_parse(bytes, "r.yaml", r, &e) == 0)
		return recipe_is_sound(r);
	return e.class == ERR_MALFORMED && sscanf(e.text, "r.yaml:%u:%u: ", &line, &column) == 2 &&
	       line > 0 && column > 0;
}

static void
every_prefix_and_byte_flip_is_sound_or_refused_with_a_place(void **state)
{
	AUTO_FREE struct recipe *r = calloc(1, sizeof(*r));
	char text[sizeof(sample)];
	size_t len = sizeof(sample) - 1;

	(void)state;
	for (size_t i = 0; i <= len; i++) {
		if (!parse_behaves(span_of(sample, i), r))
			fail_msg("the first %zu bytes", i);
	}
	for (size_t i = 0; i < len; i++) {
		memcpy(text, sample, sizeof(text));
		for (unsigned b = 0; b < 256; b++) {
			text[i] = (char)b;
			if (!parse_behaves(span_of(text, len), r))
				fail_msg("byte %zu as %u", i, b);
		}
	}
}

static void
a_recipe_file_is_read_up_to_its_limit(void **state)
{
	AUTO_FREE struct recipe *r = calloc(1, sizeof(*r));
	char path[] = "/tmp/test_recipe.XXXXXX";
	int fd = mkstemp(path);
	struct err e = ERR_INIT;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(file_write_full(fd, path, sample, sizeof(sample) - 1, &e), 0);
	assert_int_equal(recipe_load(path, r, &e), 0);
	assert_string_equal(r->payloads[0].source, "/tmp/build/rootfs.ext4.xz");
	assert_int_equal(ftruncate(fd, RECIPE_BYTES_MAX + 1), 0);
	assert_int_equal(recipe_load(path, r, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(recipe_load(path, r, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recipe_is_read),
		cmocka_unit_test(a_wrong_line_is_refused_with_its_place),
		cmocka_unit_test(numbers_of_members_are_bounded),
		cmocka_unit_test(a_source_too_long_with_its_folder_is_refused),
		cmocka_unit_test(every_prefix_and_byte_flip_is_sound_or_refused_with_a_place),
		cmocka_unit_test(a_recipe_file_is_read_up_to_its_limit),
	};

	return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
