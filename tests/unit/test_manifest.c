#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/format/cuts.h"
#include "common/format/index.h"
#include "common/format/manifest.h"
#include "common/format/pages.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char sample[] =
	"{\"format\":1,\"requires\":[],\"name\":\"gateway\",\"version\":\"2.4.0\","
	"\"rollback_index\":4,\"compatible\":[\"acme-gw3\",\"acme-gw4\"],"
	"\"zlib\":{\"version\":\"1.2.13\",\"level\":9},\"payloads\":["
	"{\"name\":\"rootfs\",\"slot\":\"root\",\"kind\":\"image\",\"size\":9000,\"sha256\":"
	"\"" HEX_A "\",\"members\":["
	"{\"name\":\"rootfs.index\",\"size\":68,\"sha256\":\"" HEX_B "\"},"
	"{\"name\":\"rootfs.seals\",\"size\":32,\"sha256\":\"" HEX_B "\"},"
	"{\"name\":\"rootfs.stored\",\"size\":60,\"sha256\":\"" HEX_B "\"},"
	"{\"name\":\"rootfs.hints\",\"size\":24,\"sha256\":\"" HEX_B "\"},"
	"{\"name\":\"rootfs.data\",\"size\":5000,\"sha256\":\"" HEX_B "\"}]},"
	"{\"name\":\"app\",\"slot\":\"app\",\"kind\":\"tree\",\"size\":10,\"sha256\":\"" HEX_A
	"\",\"members\":["
	"{\"name\":\"app.index\",\"size\":68,\"sha256\":\"" HEX_B "\"},"
	"{\"name\":\"app.files\",\"size\":300,\"sha256\":\"" HEX_A "\"},"
	"{\"name\":\"app.seals\",\"size\":32,\"sha256\":\"" HEX_B "\"},"
	"{\"name\":\"app.stored\",\"size\":60,\"sha256\":\"" HEX_B "\"},"
	"{\"name\":\"app.data\",\"size\":10,\"sha256\":\"" HEX_B "\"}]}]}";

static int
parse_text(struct span text, struct manifest *out, struct err *e)
{
	AUTO_JSON json_t *j = NULL;
	struct verified v;

	if (json_parse(text, "manifest.json", &j, e) < 0)
		return -1;
	v = (struct verified){.root = j, .body = j};
	return manifest_parse(&v, out, e);
}

static struct manifest *
sample_parse(void)
{
	struct manifest *m = calloc(1, sizeof(*m));
	struct err e = ERR_INIT;

	assert_non_null(m);
	assert_int_equal(parse_text(span_str(sample), m, &e), 0);
	return m;
}

/* The sample with the first `old` in it replaced. The caller frees it. */
static char *
sample_with(const char *old, const char *new)
{
	const char *at = strstr(sample, old);
	char *text = calloc(1, sizeof(sample) + strlen(new));

	assert_non_null(at);
	assert_non_null(text);
	memcpy(text, sample, (size_t)(at - sample));
	(void)strcat(text, new);
	(void)strcat(text, at + strlen(old));
	return text;
}

static void
assert_refused(const char *old, const char *new, enum err_class class, const char *says)
{
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m)), *untouched = calloc(1, sizeof(*m));
	AUTO_FREE char *text = sample_with(old, new);
	struct err e = ERR_INIT;

	assert_true(m && untouched);
	assert_int_equal(parse_text(span_str(text), m, &e), -1);
	if (e.class != class || !strstr(e.text, says))
		fail_msg("%s instead of %s: class %s, \"%s\" (not \"%s\")", new, old,
			err_class_name(e.class), e.text, says);
	assert_memory_equal(m, untouched, sizeof(*m));
}

static void
assert_accepted(const char *old, const char *new)
{
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));
	AUTO_FREE char *text = sample_with(old, new);
	struct err e = ERR_INIT;

	assert_non_null(m);
	if (parse_text(span_str(text), m, &e) < 0)
		fail_msg("%s instead of %s: \"%s\"", new, old, e.text);
}

static void
manifest_is_read(void **state)
{
	AUTO_FREE struct manifest *m = sample_parse();
	const struct payload *p = &m->payloads[0];

	(void)state;
	assert_int_equal(m->format, 1);
	assert_string_equal(m->name, "gateway");
	assert_string_equal(m->version, "2.4.0");
	assert_int_equal(m->rollback_index, 4);
	assert_int_equal(m->requires_count, 0);
	assert_string_equal(m->zlib_version, "1.2.13");
	assert_int_equal(m->zlib_level, 9);
	assert_int_equal(m->payload_count, 2);
	assert_string_equal(p->name, "rootfs");
	assert_string_equal(p->slot_class, "root");
	assert_int_equal(p->kind, PAYLOAD_IMAGE);
	assert_int_equal(p->size, 9000);
	assert_int_equal(p->digest.b[31], 0xaa);
	assert_true(p->members[MEMBER_INDEX].present && p->members[MEMBER_HINTS].present);
	assert_false(p->members[MEMBER_FILES].present);
	assert_int_equal(p->members[MEMBER_DATA].size, 5000);
	assert_int_equal(p->members[MEMBER_DATA].digest.b[0], 0xbb);
	assert_int_equal(m->payloads[1].kind, PAYLOAD_TREE);
	assert_int_equal(m->payloads[1].members[MEMBER_FILES].size, 300);
}

static void
manifest_is_for_the_boxes_it_names_and_no_others(void **state)
{
	AUTO_FREE struct manifest *m = sample_parse();

	(void)state;
	assert_true(manifest_is_for(m, "acme-gw3"));
	assert_true(manifest_is_for(m, "acme-gw4"));
	assert_false(manifest_is_for(m, "acme-gw"));
	assert_false(manifest_is_for(m, "acme-gw33"));
	assert_false(manifest_is_for(m, ""));
}

/* What is accepted means the same after it was built and read again. */
static void
assert_survives_building(const struct manifest *m)
{
	AUTO_FREE struct manifest *back = calloc(1, sizeof(*back));
	AUTO_BUF struct buf text = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;

	assert_non_null(back);
	if (manifest_build(m, &j, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(json_canonical(j, &text, &e), 0);
	assert_int_equal(parse_text(buf_span(&text), back, &e), 0);
	assert_memory_equal(m, back, sizeof(*m));
}

static void
manifest_comes_back_as_it_was_built(void **state)
{
	AUTO_FREE struct manifest *m = sample_parse();

	(void)state;
	assert_survives_building(m);
}

static void
manifest_that_breaks_a_rule_is_not_built(void **state)
{
	AUTO_FREE struct manifest *m = sample_parse();
	struct err e = ERR_INIT;
	json_t *j = NULL;

	(void)state;
	(void)strcpy(m->payloads[0].name, "../etc");
	assert_int_equal(manifest_build(m, &j, &e), -1);
	(void)strcpy(m->payloads[0].name, "app");
	assert_int_equal(manifest_build(m, &j, &e), -1);
	(void)strcpy(m->payloads[0].name, "\xff");
	assert_int_equal(manifest_build(m, &j, &e), -1);
	(void)strcpy(m->payloads[0].name, "rootfs");
	m->rollback_index = UINT64_MAX;
	assert_int_equal(manifest_build(m, &j, &e), -1);
	m->rollback_index = 0;
	m->compatible_count = 0;
	assert_int_equal(manifest_build(m, &j, &e), -1);
	m->compatible_count = COMPATIBLE_MAX + 1;
	assert_int_equal(manifest_build(m, &j, &e), -1);
	m->compatible_count = 1;
	m->payload_count = PAYLOADS_MAX + 1;
	assert_int_equal(manifest_build(m, &j, &e), -1);
	assert_null(j);
}

static void
manifest_cut_anywhere_is_refused(void **state)
{
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));
	struct err e = ERR_INIT;

	(void)state;
	for (size_t len = 0; len < strlen(sample); len++)
		assert_int_equal(parse_text(span_of(sample, len), m, &e), -1);
}

static void
manifest_flipped_anywhere_is_refused_or_means_what_it_says(void **state)
{
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));
	char text[sizeof(sample)];
	struct err e = ERR_INIT;

	(void)state;
	memcpy(text, sample, sizeof(text));
	for (size_t bit = 0; bit < 8 * strlen(sample); bit++) {
		text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
		if (parse_text(span_of(text, strlen(sample)), m, &e) == 0)
			assert_survives_building(m);
		text[bit / 8] = sample[bit / 8];
	}
}

static void
manifest_without_any_of_its_words_is_refused(void **state)
{
	static const char *const words[] = {"\"format\"", "\"requires\"", "\"name\"", "\"version\"",
		"\"rollback_index\"", "\"compatible\"", "\"zlib\"", "\"level\"", "\"payloads\"",
		"\"slot\"", "\"kind\"", "\"size\"", "\"sha256\"", "\"members\""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_refused(words[i], "\"colour\"", ERR_MALFORMED, "");
}

static void
manifest_with_an_unknown_word_anywhere_is_refused(void **state)
{
	(void)state;
	assert_refused("{\"format\"", "{\"x\":1,\"format\"", ERR_MALFORMED, "'x' is not a word");
	assert_refused("{\"version\"", "{\"x\":1,\"version\"", ERR_MALFORMED, "'x' is not a word");
	assert_refused("\"slot\"", "\"x\":1,\"slot\"", ERR_MALFORMED, "'x' is not a word");
	assert_refused("\"size\":68", "\"size\":68,\"x\":1", ERR_MALFORMED, "'x' is not a word");
}

static void
manifest_of_another_format_is_refused_first(void **state)
{
	(void)state;
	assert_refused("\"format\":1", "\"format\":2,\"new\":1", ERR_MALFORMED, "format 2");
	assert_refused("\"format\":1", "\"format\":0", ERR_LIMIT, "'format' is 0");
	assert_refused("\"format\":1", "\"format\":\"1\"", ERR_MALFORMED, "'format'");
}

static void
manifest_that_requires_anything_is_refused(void **state)
{
	(void)state;
	assert_refused("\"requires\":[]", "\"requires\":[\"delta-2\"],\"new\":1", ERR_MALFORMED,
		"requires 'delta-2'");
	assert_refused("\"requires\":[]", "\"requires\":[1]", ERR_MALFORMED, "not a list of names");
	assert_refused("\"requires\":[]", "\"requires\":\"\"", ERR_MALFORMED, "not a list");
	assert_refused("\"requires\":[]",
		"\"requires\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", ERR_LIMIT, "16");
}

static void
manifest_names_are_plain(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".a", "-a", "a/b", "/a", "a b", "a\\nb",
		"a\\u0000b", "\xc3\xa9", "a:b", "a\\\\b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char quoted[32];

		(void)snprintf(quoted, sizeof(quoted), "\"%s\"", bad[i]);
		assert_refused("\"gateway\"", quoted, ERR_MALFORMED, "");
		assert_refused("\"2.4.0\"", quoted, ERR_MALFORMED, "");
		assert_refused("\"acme-gw3\"", quoted, ERR_MALFORMED, "");
		assert_refused("\"root\"", quoted, ERR_MALFORMED, "");
		assert_refused("\"rootfs\"", quoted, ERR_MALFORMED, "");
		assert_refused("\"1.2.13\"", quoted, ERR_MALFORMED, "");
	}
}

static void
manifest_names_have_a_longest_length(void **state)
{
	static const char ok[] =
		"\"0123456789012345678901234567890123456789012345678901234567890123\"";
	static const char over[] =
		"\"01234567890123456789012345678901234567890123456789012345678901234\"";

	(void)state;
	assert_accepted("\"gateway\"", ok);
	assert_accepted("\"2.4.0\"", ok);
	assert_accepted("\"acme-gw3\"", ok);
	assert_refused("\"gateway\"", over, ERR_LIMIT, "'name'");
	assert_refused("\"2.4.0\"", over, ERR_LIMIT, "'version'");
	assert_refused("\"acme-gw3\"", over, ERR_LIMIT, "'compatible'");
	assert_refused("\"root\"", over, ERR_LIMIT, "'slot'");
	assert_accepted("\"1.2.13\"", "\"1.2.13.12345678\"");
	assert_refused("\"1.2.13\"", "\"1.2.13.123456789\"", ERR_LIMIT, "'version'");
}

static void
manifest_payload_names_have_a_longest_length(void **state)
{
	AUTO_FREE struct manifest *m = sample_parse();
	AUTO_FREE struct manifest *back = calloc(1, sizeof(*m));
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;
	struct verified v;

	(void)state;
	assert_non_null(back);
	memset(m->payloads[0].name, 'r', NAME_BYTES_MAX);
	assert_int_equal(manifest_build(m, &j, &e), 0);
	v = (struct verified){.root = j, .body = j};
	assert_int_equal(manifest_parse(&v, back, &e), 0);
	assert_string_equal(back->payloads[0].name, m->payloads[0].name);
	assert_refused("\"name\":\"rootfs\"",
		"\"name\":\"01234567890123456789012345678901234567890123456789012345678901234\"",
		ERR_LIMIT, "'name'");
}

static void
manifest_without_compatible_or_payloads_is_refused(void **state)
{
	(void)state;
	assert_refused("[\"acme-gw3\",\"acme-gw4\"]", "[]", ERR_MALFORMED, "'compatible' is empty");
	assert_refused("\"payloads\":[", "\"payloads\":[],\"p\":[", ERR_MALFORMED, "");
	assert_refused(
		strstr(sample, "{\"name\":\"rootfs\""), "]}", ERR_MALFORMED, "'payloads' is empty");
}

static void
manifest_that_names_anything_twice_is_refused(void **state)
{
	(void)state;
	assert_refused("\"acme-gw4\"", "\"acme-gw3\"", ERR_MALFORMED, "acme-gw3 twice");
	assert_refused("\"slot\":\"app\"", "\"slot\":\"root\"", ERR_MALFORMED, "for slot root");
	assert_refused("\"format\":1", "\"format\":1,\"format\":1", ERR_MALFORMED, "duplicate");
	/* The second payload becomes one called rootfs, members and all. */
	assert_refused(strstr(sample, "{\"name\":\"app\""),
		"{\"name\":\"rootfs\",\"slot\":\"app\",\"kind\":\"image\",\"size\":10,\"sha256\":"
		"\"" HEX_A
		"\",\"members\":[{\"name\":\"rootfs.index\",\"size\":68,\"sha256\":\"" HEX_B
		"\"},{\"name\":\"rootfs.seals\",\"size\":32,\"sha256\":\"" HEX_B
		"\"},{\"name\":\"rootfs.stored\",\"size\":60,\"sha256\":\"" HEX_B
		"\"},{\"name\":\"rootfs.data\",\"size\":10,\"sha256\":\"" HEX_B "\"}]}]}",
		ERR_MALFORMED, "two payloads are called rootfs");
}

static void
manifest_members_are_known_ordered_and_of_their_payload(void **state)
{
	(void)state;
	assert_refused(
		"rootfs.hints", "rootfs.extra", ERR_MALFORMED, "'rootfs.extra' is no member");
	assert_refused("rootfs.hints", "app.hints", ERR_MALFORMED, "'app.hints' is no member");
	assert_refused("rootfs.hints", "rootfz.hints", ERR_MALFORMED, "'rootfz.hints' is no");
	assert_refused("rootfs.hints", "rootfs", ERR_MALFORMED, "'rootfs' is no member");
	assert_refused("rootfs.hints", "rootfs.", ERR_MALFORMED, "'rootfs.' is no member");
	assert_refused("rootfs.hints", "rootfs.hintsx", ERR_MALFORMED, "is no member");
	assert_refused("rootfs.hints", "../rootfs.hints", ERR_MALFORMED, "is no member");
	assert_refused("rootfs.hints", "manifest.json", ERR_MALFORMED, "is no member");
	assert_refused("rootfs.hints", "rootfs.index", ERR_MALFORMED, "twice, or not in order");
	assert_refused("rootfs.hints", "rootfs.data", ERR_MALFORMED, "twice, or not in order");
	assert_refused("rootfs.index", "rootfs.hints", ERR_MALFORMED, "twice, or not in order");
}

static void
manifest_members_are_what_the_kind_needs(void **state)
{
	(void)state;
	assert_refused("{\"name\":\"rootfs.seals\"",
		"{\"name\":\"rootfs.files\",\"size\":8,\"sha256\":\"" HEX_B
		"\"},{\"name\":\"rootfs.seals\"",
		ERR_MALFORMED, "an image with a list");
	assert_refused("\"image\"", "\"tree\"", ERR_MALFORMED, "without a list");
	assert_refused("\"tree\"", "\"image\"", ERR_MALFORMED, "an image with a list");
	assert_refused("\"tree\"", "\"Tree\"", ERR_MALFORMED, "neither image nor tree");
	assert_refused("\"tree\"", "\"\"", ERR_MALFORMED, "neither image nor tree");
	assert_refused("{\"name\":\"app.index\",\"size\":68,\"sha256\":\"" HEX_B "\"},", "",
		ERR_MALFORMED, "its index or its data is missing");
	assert_refused(",{\"name\":\"app.data\",\"size\":10,\"sha256\":\"" HEX_B "\"}", "",
		ERR_MALFORMED, "its index or its data is missing");
	assert_refused("{\"name\":\"app.data\"",
		"{\"name\":\"app.hints\",\"size\":8,\"sha256\":\"" HEX_B
		"\"},{\"name\":\"app.data\"",
		ERR_MALFORMED, "a tree with hints");
	assert_refused("\"size\":300,\"sha256\":\"" HEX_A, "\"size\":300,\"sha256\":\"" HEX_B,
		ERR_MALFORMED, "that of its list");
	assert_accepted("{\"name\":\"rootfs.hints\",\"size\":24,\"sha256\":\"" HEX_B "\"},", "");
}

#define MEMBER(what, size)                                                                         \
	"{\"name\":\"rootfs." what "\",\"size\":" size ",\"sha256\":\"" HEX_B "\"},"
#define HINTS MEMBER("hints", "24")
#define SEALS MEMBER("seals", "32")
#define STORED MEMBER("stored", "60")
#define CUTS MEMBER("cuts", "288")

/* Of one entry. */
static void
manifest_pages_and_seals_are_those_of_the_index(void **state)
{
	static const char *const wrong[] = {MEMBER("seals", "0") STORED,
		MEMBER("seals", "16") STORED, MEMBER("seals", "31") STORED,
		MEMBER("seals", "33") STORED, MEMBER("seals", "64") STORED,
		SEALS MEMBER("stored", "0"), SEALS MEMBER("stored", "52"),
		SEALS MEMBER("stored", "61"), SEALS MEMBER("stored", "112"),
		SEALS MEMBER("stored", "120")};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_refused(SEALS STORED, wrong[i], ERR_MALFORMED, "not those of the index");
	assert_refused(SEALS STORED, STORED, ERR_MALFORMED, "its stored or its seals are missing");
	assert_refused(SEALS STORED, SEALS, ERR_MALFORMED, "its stored or its seals are missing");
	assert_refused(SEALS STORED, STORED SEALS, ERR_MALFORMED, "not in order");
	assert_refused(SEALS STORED, SEALS SEALS STORED, ERR_MALFORMED, "stands twice");
	assert_refused(SEALS, MEMBER("seals", "9223372036854775807"), ERR_LIMIT, "rootfs.seals");
	assert_refused(STORED, MEMBER("stored", "9223372036854775807"), ERR_LIMIT, "rootfs.stored");
	/* Of 64 entries there is one page, of 65 there are two. */
	assert_refused("\"size\":68", "\"size\":2336", ERR_MALFORMED, "not those of the index");
	assert_accepted(MEMBER("index", "68") SEALS STORED,
		MEMBER("index", "2336") SEALS MEMBER("stored", "3336"));
	assert_accepted(MEMBER("index", "68") SEALS STORED,
		MEMBER("index", "2372") MEMBER("seals", "64") MEMBER("stored", "3396"));
	assert_refused(MEMBER("index", "68") SEALS STORED,
		MEMBER("index", "2372") SEALS MEMBER("stored", "3396"), ERR_MALFORMED,
		"not those of the index");
}

static void
manifest_cuts_are_one_for_each_entry(void **state)
{
	static const char *const wrong[] = {MEMBER("cuts", "0"), MEMBER("cuts", "287"),
		MEMBER("cuts", "289"), MEMBER("cuts", "576")};

	(void)state;
	assert_accepted(HINTS, HINTS CUTS);
	assert_accepted(HINTS, CUTS);
	assert_refused(HINTS, CUTS HINTS, ERR_MALFORMED, "not in order");
	assert_refused(HINTS, CUTS CUTS, ERR_MALFORMED, "stands twice");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_refused(HINTS, wrong[i], ERR_MALFORMED, "one for each entry");
	assert_refused(HINTS, MEMBER("cuts", "9223372036854775807"), ERR_LIMIT, "rootfs.cuts");
	assert_refused("{\"name\":\"app.data\"",
		"{\"name\":\"app.cuts\",\"size\":288,\"sha256\":\"" HEX_B
		"\"},{\"name\":\"app.data\"",
		ERR_MALFORMED, "a tree with cuts");
}

static void
manifest_digests_are_whole(void **state)
{
	(void)state;
	assert_refused("\"" HEX_B "\"", "\"\"", ERR_MALFORMED, "rootfs.index");
	assert_refused("\"" HEX_B "\"", "\"bb\"", ERR_MALFORMED, "rootfs.index");
	assert_refused("\"" HEX_B "\"", "\"" HEX_B "b\"", ERR_LIMIT, "'sha256'");
	assert_refused("\"" HEX_B "\"", "null", ERR_MALFORMED, "'sha256' is not a string");
	assert_refused("\"" HEX_A "\"", "\"g" HEX_A "\"", ERR_LIMIT, "rootfs");
	assert_refused("\"sha256\":\"a", "\"sha256\":\"g", ERR_MALFORMED, "rootfs");
	assert_refused("\"sha256\":\"a", "\"sha256\":\"A", ERR_MALFORMED, "upper case");
}

static void
assert_largest_is_accepted(void)
{
	AUTO_FREE struct manifest *m = sample_parse();
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;

	m->payloads[0].size = PAYLOAD_BYTES_MAX;
	m->payloads[0].members[MEMBER_DATA].size = PAYLOAD_BYTES_MAX;
	m->payloads[0].members[MEMBER_HINTS].size = HINTS_BYTES_MAX;
	m->payloads[0].members[MEMBER_INDEX].size =
		INDEX_HEADER_BYTES + INDEX_ENTRIES_MAX * INDEX_ENTRY_BYTES;
	m->payloads[0].members[MEMBER_SEALS].size = pages_seals_bytes(INDEX_ENTRIES_MAX);
	m->payloads[0].members[MEMBER_STORED].size = pages_stored_bytes(INDEX_ENTRIES_MAX);
	m->payloads[0].members[MEMBER_CUTS] =
		(struct member){.present = true, .size = INDEX_ENTRIES_MAX * CUTS_BYTES};
	assert_int_equal(manifest_build(m, &j, &e), 0);
}

static void
manifest_sizes_are_within_limits(void **state)
{
	(void)state;
	assert_refused("\"size\":9000", "\"size\":0", ERR_MALFORMED, "an image of no bytes");
	assert_refused("\"size\":9000", "\"size\":-1", ERR_LIMIT, "'size' is -1");
	assert_refused("\"size\":9000", "\"size\":9000.0", ERR_MALFORMED, "with a fraction");
	assert_refused("\"size\":9000", "\"size\":18446744073709551616", ERR_MALFORMED, "");
	assert_largest_is_accepted();
	assert_refused("\"size\":9000", "\"size\":1099511627777", ERR_LIMIT, "'size'");
	assert_refused("\"size\":9000", "\"size\":4999", ERR_MALFORMED, "more data than");
	assert_refused("\"size\":5000", "\"size\":9001", ERR_MALFORMED, "more data than");
	assert_refused("\"size\":68", "\"size\":9223372036854775807", ERR_LIMIT, "rootfs.index");
	assert_refused("\"size\":24", "\"size\":16", ERR_MALFORMED, "one for each block");
	assert_refused("\"size\":24", "\"size\":32", ERR_MALFORMED, "one for each block");
	assert_accepted("\"size\":9000", "\"size\":8193");
	assert_refused("\"size\":9000", "\"size\":8192", ERR_MALFORMED, "one for each block");
	assert_refused("\"size\":300", "\"size\":2147483649", ERR_LIMIT, "app.files");
	assert_refused(
		"\"rollback_index\":4", "\"rollback_index\":-1", ERR_LIMIT, "rollback_index");
	assert_accepted("\"rollback_index\":4", "\"rollback_index\":9223372036854775807");
	assert_refused("\"level\":9", "\"level\":10", ERR_LIMIT, "'level'");
	assert_refused("\"level\":9", "\"level\":0", ERR_LIMIT, "'level'");
}

static void
manifest_has_at_most_16_payloads(void **state)
{
	AUTO_FREE struct manifest *m = sample_parse();
	AUTO_FREE struct manifest *back = calloc(1, sizeof(*back));
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;
	struct verified v;

	(void)state;
	for (size_t i = 1; i < PAYLOADS_MAX; i++) {
		struct payload *p = &m->payloads[i];

		*p = m->payloads[0];
		memset(p->name, 0, sizeof(p->name));
		memset(p->slot_class, 0, sizeof(p->slot_class));
		(void)snprintf(p->name, sizeof(p->name), "p%zu", i);
		(void)snprintf(p->slot_class, sizeof(p->slot_class), "s%zu", i);
	}
	m->payload_count = PAYLOADS_MAX;
	assert_int_equal(manifest_build(m, &j, &e), 0);
	v = (struct verified){.root = j, .body = j};
	assert_int_equal(manifest_parse(&v, back, &e), 0);
	assert_memory_equal(m, back, sizeof(*m));
	assert_int_equal(json_array_append(json_object_get(j, "payloads"), j), 0);
	assert_int_equal(manifest_parse(&v, back, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(json_array_remove(json_object_get(j, "payloads"), PAYLOADS_MAX), 0);
}

static void
manifest_that_is_no_object_is_refused(void **state)
{
	static const char *const texts[] = {
		"[]", "1", "\"format\"", "null", "{}", "[{\"format\":1}]"};
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err e = ERR_INIT;

		assert_int_equal(parse_text(span_str(texts[i]), m, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
	assert_refused("{\"version\":\"1.2.13\",\"level\":9}", "[9]", ERR_MALFORMED, "'zlib'");
	assert_refused("{\"name\":\"rootfs.index\",", "7,{\"name\":\"rootfs.index\",",
		ERR_MALFORMED, "member 1");
	assert_refused(
		"{\"name\":\"rootfs\",", "[],{\"name\":\"rootfs\",", ERR_MALFORMED, "payload 1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifest_is_read),
		cmocka_unit_test(manifest_is_for_the_boxes_it_names_and_no_others),
		cmocka_unit_test(manifest_comes_back_as_it_was_built),
		cmocka_unit_test(manifest_that_breaks_a_rule_is_not_built),
		cmocka_unit_test(manifest_cut_anywhere_is_refused),
		cmocka_unit_test(manifest_flipped_anywhere_is_refused_or_means_what_it_says),
		cmocka_unit_test(manifest_without_any_of_its_words_is_refused),
		cmocka_unit_test(manifest_with_an_unknown_word_anywhere_is_refused),
		cmocka_unit_test(manifest_of_another_format_is_refused_first),
		cmocka_unit_test(manifest_that_requires_anything_is_refused),
		cmocka_unit_test(manifest_names_are_plain),
		cmocka_unit_test(manifest_names_have_a_longest_length),
		cmocka_unit_test(manifest_payload_names_have_a_longest_length),
		cmocka_unit_test(manifest_without_compatible_or_payloads_is_refused),
		cmocka_unit_test(manifest_that_names_anything_twice_is_refused),
		cmocka_unit_test(manifest_members_are_known_ordered_and_of_their_payload),
		cmocka_unit_test(manifest_members_are_what_the_kind_needs),
		cmocka_unit_test(manifest_pages_and_seals_are_those_of_the_index),
		cmocka_unit_test(manifest_cuts_are_one_for_each_entry),
		cmocka_unit_test(manifest_digests_are_whole),
		cmocka_unit_test(manifest_sizes_are_within_limits),
		cmocka_unit_test(manifest_has_at_most_16_payloads),
		cmocka_unit_test(manifest_that_is_no_object_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
