#include "tests/unit/sample.h"

#include "common/base/num.h"
#include "common/format/listing.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char SAMPLE[] = "{\"head\":{\"length\":4096,\"sha256\":\"" HEX_A
			     "\"},\"manifest\":{\"length\":900,\"sha256\":\"" HEX_B
			     "\"},\"name\":\"gateway\",\"rollback_index\":4,\"version\":\"2.4.0\"}";

static void
a_listing_comes_back_as_it_went(void **state)
{
	AUTO_JSON json_t *j = sample_json(SAMPLE);
	AUTO_JSON json_t *again = NULL;
	struct listing l;
	struct err e;
	char hex[DIGEST_HEX_SIZE];

	(void)state;
	assert_int_equal(listing_parse(j, &l, &e), 0);
	assert_int_equal(l.head_length, 4096);
	assert_int_equal(l.manifest_length, 900);
	assert_string_equal(digest_hex(&l.head_sha256, hex), HEX_A);
	assert_string_equal(digest_hex(&l.manifest_sha256, hex), HEX_B);
	assert_string_equal(l.name, "gateway");
	assert_string_equal(l.version, "2.4.0");
	assert_int_equal(l.rollback_index, 4);
	assert_int_equal(listing_build(&l, &again, &e), 0);
	assert_true(json_equal(j, again));
}

static void
what_is_missing_or_out_of_range_is_refused(void **state)
{
	static const struct {
		const char *was, *becomes;
	} changes[] = {
		{"\"head\"", "\"hand\""},
		{"4096", "0"},
		{"4096", "4294967296000"},
		{HEX_A, ""},
		{HEX_A, "aa"},
		{"\"manifest\"", "\"x\""},
		{"900", "1000000"},
		{"\"gateway\"", "\"../gateway\""},
		{"\"2.4.0\"", "\"2/4\""},
		{"\"2.4.0\"", "7"},
		{":4,", ":-1,"},
		{":4,", ":\"4\","},
	};
	struct listing l;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		char *text = sample_with(SAMPLE, changes[i].was, changes[i].becomes);
		AUTO_JSON json_t *j = sample_json(text);

		assert_int_equal(listing_parse(j, &l, &e), -1);
		free(text);
	}
	assert_int_equal(listing_parse(NULL, &l, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "does not describe a bundle"));
}

static void
words_of_others_are_passed_over(void **state)
{
	char *text = sample_with(SAMPLE, "{\"head\"", "{\"notes\":\"x\",\"head\"");
	AUTO_JSON json_t *j = sample_json(text);
	struct listing l;
	struct err e;

	(void)state;
	assert_int_equal(listing_parse(j, &l, &e), 0);
	free(text);
}

static void
an_identity_does_not_depend_on_how_the_json_is_written(void **state)
{
	AUTO_JSON json_t *a = sample_json("{\"b\": 1, \"a\": [\"x\"]}");
	AUTO_JSON json_t *b = sample_json("{\"a\":[\"x\"],\"b\":1}");
	AUTO_JSON json_t *c = sample_json("{\"a\":[\"x\"],\"b\":2}");
	struct digest da, db, dc;
	uint64_t la, lb, lc;
	struct err e;

	(void)state;
	assert_int_equal(listing_identity(a, &la, &da, &e), 0);
	assert_int_equal(listing_identity(b, &lb, &db, &e), 0);
	assert_int_equal(listing_identity(c, &lc, &dc, &e), 0);
	assert_int_equal(la, strlen("{\"a\":[\"x\"],\"b\":1}"));
	assert_true(la == lb && digest_equal(&da, &db));
	assert_false(digest_equal(&da, &dc));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listing_comes_back_as_it_went),
		cmocka_unit_test(what_is_missing_or_out_of_range_is_refused),
		cmocka_unit_test(words_of_others_are_passed_over),
		cmocka_unit_test(an_identity_does_not_depend_on_how_the_json_is_written),
	};

	return cmocka_run_group_tests_name("listing", tests, NULL, NULL);
}
