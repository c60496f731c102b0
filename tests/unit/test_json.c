#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/num.h"
#include "common/limits.h"

static int
parse(const char *text, json_t **out, struct err *e)
{
	return json_parse(span_str(text), "doc.json", out, e);
}

static json_t *
parsed(const char *text)
{
	struct err e = ERR_INIT;
	json_t *j = NULL;

	if (parse(text, &j, &e) < 0)
		fail_msg("%s", e.text);
	return j;
}

static void
check_canonical(const char *text, const char *expected)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);
	AUTO_JSON json_t *j = parsed(text);
	struct err e = ERR_INIT;

	assert_int_equal(json_canonical(j, &b, &e), 0);
	assert_string_equal(buf_str(&b), expected);
}

static void
what_is_not_json_is_refused_with_its_place(void **state)
{
	static const char *const bad[] = {"", " ", "{", "[1,]", "{\"a\":1,}", "{'a':1}", "01", "+1",
		"1.", ".5", "nul", "[1] x", "\"\n\"", "\"\\x\"", "\"\\u0000\"", "\"\\ud800\"",
		"\"\xff\"", "\"\xc0\x80\"", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}",
		"9223372036854775808", "NaN", "Infinity", "/**/1", "\xef\xbb\xbf{}",
		"{\"a\\u0000b\":1}"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json_t *j = NULL;

		assert_int_equal(parse(bad[i], &j, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_null(j);
		assert_memory_equal(e.text, "doc.json: byte ", 15);
	}
	assert_int_equal(parse("[1,\n2,]", &(json_t *){NULL}, &e), -1);
	assert_memory_equal(e.text, "doc.json: byte 7: ", 18);
	assert_int_equal(json_parse(span_of(NULL, 0), "x", &(json_t *){NULL}, &e), -1);
	assert_int_equal(json_parse(span_of("1\0002", 3), "x", &(json_t *){NULL}, &e), -1);
}

static void
nesting_is_bounded_and_brackets_in_strings_do_not_count(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 3];
	struct err e = ERR_INIT;
	json_t *j = NULL;

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	text[2 * JSON_DEPTH_MAX] = 0;
	assert_int_equal(parse(text, &j, &e), 0);
	json_decref(j);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	text[2 * JSON_DEPTH_MAX + 2] = 0;
	assert_int_equal(parse(text, &j, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	j = parsed("\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"");
	json_decref(j);
}

static void
check_refused(const char *text, enum err_class class, const char *why)
{
	struct err e = ERR_INIT;

	assert_int_equal(parse(text, &(json_t *){NULL}, &e), -1);
	assert_int_equal(e.class, class);
	if (strncmp(e.text, why, strlen(why)) != 0)
		fail_msg("%s: %s", text, e.text);
}

static void
nesting_too_deep_is_named_by_its_byte(void **state)
{
	char text[JSON_DEPTH_MAX + 2];

	(void)state;
	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	check_refused(text, ERR_LIMIT, "doc.json: byte 32: nested deeper than 32");
}

static void
doubled_keys_are_named_by_their_byte(void **state)
{
	(void)state;
	check_refused("{\"a\":1,\"a\":2}", ERR_MALFORMED, "doc.json: byte 10: duplicate");
	check_refused(
		"{\"a\":{\"\":1,\"b\":[],\"\":1}}", ERR_MALFORMED, "doc.json: byte 20: duplicate");
}

static void
text_that_is_not_utf8_is_named_by_its_byte(void **state)
{
	(void)state;
	check_refused("{\"a\":\"\xff\"}", ERR_MALFORMED, "doc.json: byte 6: ");
	check_refused("[\"\xed\xa0\x80\"]", ERR_MALFORMED, "doc.json: byte 2: ");
	check_refused("{\"\xc0\xaf\":1}", ERR_MALFORMED, "doc.json: byte 2: ");
}

static void
numbers_are_whole_and_exact_or_refused_by_their_byte(void **state)
{
	AUTO_JSON json_t *j = parsed("[9007199254740993,9223372036854775807,-9223372036854775808,"
				     "\"1.5e3\\\"-2.5\",\"\\\\\",-1]");

	(void)state;
	assert_int_equal(json_integer_value(json_array_get(j, 0)), 9007199254740993LL);
	assert_int_equal(json_integer_value(json_array_get(j, 1)), INT64_MAX);
	assert_int_equal(json_integer_value(json_array_get(j, 2)), INT64_MIN);
	check_refused("{\"v\":9223372036854775808}", ERR_MALFORMED, "doc.json: byte 24: too big");
	check_refused("[-9223372036854775809]", ERR_MALFORMED, "doc.json: byte 21: too big");
	check_refused("[1.0]", ERR_MALFORMED, "doc.json: byte 2: a number with a fraction");
	check_refused("{\"v\":1e3}", ERR_MALFORMED, "doc.json: byte 6: a number with a fraction");
	check_refused("[\"x\",-7E+1]", ERR_MALFORMED, "doc.json: byte 7: a number with");
	check_refused("1e999", ERR_MALFORMED, "doc.json: byte 1: a number with");
}

static void
every_prefix_and_every_flip_of_a_document_is_refused_or_json(void **state)
{
	static const char whole[] = "{\"a\":[1,-2,true,null,\"x\\n\\u00e9\"],\"b\":{\"c\":-15}}";

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		assert_int_equal(json_parse(span_of(whole, len), "x", &(json_t *){NULL}, NULL), -1);
	for (size_t i = 0; i < (sizeof(whole) - 1) * 255; i++) {
		char flipped[sizeof(whole)];
		AUTO_JSON json_t *j = NULL;
		AUTO_BUF struct buf b = BUF_INIT(4096);

		memcpy(flipped, whole, sizeof(whole));
		flipped[i / 255] ^= (char)(1 + i % 255);
		if (json_parse(span_of(flipped, sizeof(whole) - 1), "x", &j, NULL) == 0)
			assert_int_equal(json_pretty(j, &b, NULL), 0);
	}
}

static void
canonical_form_sorts_keys_by_code_point_without_blanks(void **state)
{
	(void)state;
	check_canonical(" { \"b\" : [ 1 , 2 ] , \"a\" : { } , \"\" : [ ] } ",
		"{\"\":[],\"a\":{},\"b\":[1,2]}");
	check_canonical("{\"\\uffff\":1,\"\\ud83d\\ude00\":2,\"z\":3,\"Z\":4}",
		"{\"Z\":4,\"z\":3,\"\xef\xbf\xbf\":1,\"\xf0\x9f\x98\x80\":2}");
}

static void
canonical_form_escapes_backslash_and_quote_only(void **state)
{
	(void)state;
	check_canonical("\"a\\\"b\\\\c\\n\\u001f\\/é\"", "\"a\\\"b\\\\c\n\x1f/é\"");
	check_canonical("{\"q\\\"\":\"\"}", "{\"q\\\"\":\"\"}");
}

static void
canonical_form_keeps_integers_and_words(void **state)
{
	(void)state;
	check_canonical("[-9223372036854775808,9223372036854775807,-0,true,false,null]",
		"[-9223372036854775808,9223372036854775807,0,true,false,null]");
}

static void
a_fraction_has_no_canonical_form_and_nothing_is_appended(void **state)
{
	AUTO_JSON json_t *list = json_pack("[i, f]", 1, 1.0);
	AUTO_JSON json_t *object = json_pack("{s:{s:f}}", "a", "b", 1e3);
	AUTO_BUF struct buf b = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(buf_append(&b, "kept", 4, &e), 0);
	assert_int_equal(json_canonical(list, &b, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(json_canonical(object, &b, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_string_equal(buf_str(&b), "kept");
}

static void
a_canonical_form_is_recognised_where_it_stands(void **state)
{
	static const char text[] = "{\"a\":[1,-2,\"x\\\"\"],\"b\":{},\"c\":null,\"d\":true}";
	AUTO_JSON json_t *j = parsed(text);
	AUTO_JSON json_t *other = json_deep_copy(j);
	AUTO_JSON json_t *real = json_real(1.0);
	size_t len = sizeof(text) - 1;

	(void)state;
	assert_int_equal(json_canonical_starts(j, span_of(text, len)), len);
	assert_int_equal(json_canonical_starts(j, span_of(text, len - 1)), 0);
	assert_int_equal(json_canonical_starts(j, span_of(NULL, 0)), 0);
	assert_int_equal(json_canonical_starts(real, span_str("1.0")), 0);
	for (size_t i = 0; i < len; i++) {
		char flipped[sizeof(text)];

		memcpy(flipped, text, sizeof(text));
		flipped[i] ^= 1;
		assert_int_equal(json_canonical_starts(j, span_of(flipped, len)), 0);
	}
	json_object_set_new(other, "d", json_false());
	assert_int_equal(json_canonical_starts(other, span_of(text, len)), 0);
	json_object_del(other, "d");
	assert_int_equal(json_canonical_starts(other, span_of(text, len)), 0);
}

static void
a_canonical_form_over_the_limit_is_refused(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10);
	AUTO_JSON json_t *j = parsed("[\"0123456789\"]");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(json_canonical(j, &b, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_string_equal(buf_str(&b), "");
}

static void
pretty_text_is_indented_sorted_and_ends_in_a_newline(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1000);
	AUTO_JSON json_t *j = parsed("{\"b\":1,\"a\":[\"é\"]}");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(json_pretty(j, &b, &e), 0);
	assert_string_equal(buf_str(&b), "{\n \"a\": [\n  \"é\"\n ],\n \"b\": 1\n}\n");
}

static void
compact_text_is_canonical_where_no_text_has_control_characters(void **state)
{
	AUTO_BUF struct buf compact = BUF_INIT(1000), canonical = BUF_INIT(1000);
	AUTO_JSON json_t *j = parsed("{ \"b\": 1, \"a\": [\"é\", \"\\\"/\\\\\\u007f\"] }");
	AUTO_JSON json_t *lines = parsed("{\"log\":\"1\\n2\"}");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(json_compact(j, &compact, &e), 0);
	assert_int_equal(json_canonical(j, &canonical, &e), 0);
	assert_string_equal(buf_str(&compact), buf_str(&canonical));
	buf_clear(&compact);
	assert_int_equal(json_compact(lines, &compact, &e), 0);
	assert_string_equal(buf_str(&compact), "{\"log\":\"1\\n2\"}");
}

static void
members_of_the_right_kind_are_given(void **state)
{
	AUTO_JSON json_t *j = parsed("{\"s\":\"abc\",\"n\":5,\"t\":true,\"o\":{},\"l\":[1,2]}");
	struct err e = ERR_INIT;
	const char *s = NULL;
	json_t *part = NULL;
	uint64_t n = 0;
	bool t = false;

	(void)state;
	assert_int_equal(json_get_string(j, "s", 3, &s, &e), 0);
	assert_string_equal(s, "abc");
	assert_int_equal(json_get_uint(j, "n", 5, 5, &n, &e), 0);
	assert_int_equal(n, 5);
	assert_int_equal(json_get_bool(j, "t", &t, &e), 0);
	assert_true(t);
	assert_int_equal(json_get_object(j, "o", &part, &e), 0);
	assert_int_equal(json_get_array(j, "l", 2, &part, &e), 0);
	assert_int_equal(json_array_size(part), 2);
}

static void
members_past_their_limits_are_refused(void **state)
{
	AUTO_JSON json_t *j = parsed("{\"s\":\"abc\",\"n\":5,\"m\":-1,\"l\":[1,2]}");
	struct err e = ERR_INIT;
	const char *s = NULL;
	json_t *part = NULL;
	uint64_t n = 7;

	(void)state;
	assert_int_equal(json_get_string(j, "s", 2, &s, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(json_get_uint(j, "n", 6, 9, &n, &e), -1);
	assert_int_equal(json_get_uint(j, "n", 0, 4, &n, &e), -1);
	assert_int_equal(json_get_uint(j, "m", 0, UINT64_MAX, &n, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(json_get_array(j, "l", 1, &part, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_null(s);
	assert_null(part);
	assert_int_equal(n, 7);
}

static void
members_missing_or_of_another_kind_are_named(void **state)
{
	AUTO_JSON json_t *j = json_pack("{s:n, s:f}", "x", "r", 1.5);
	AUTO_JSON json_t *list = parsed("[]");
	struct err e = ERR_INIT;
	const char *s = NULL;
	json_t *part = NULL;
	uint64_t n = 0;
	bool t = false;

	(void)state;
	assert_int_equal(json_get_string(j, "x", 9, &s, &e), -1);
	assert_string_equal(e.text, "'x' is not a string");
	assert_int_equal(json_get_uint(j, "r", 0, 9, &n, &e), -1);
	assert_string_equal(e.text, "'r' is not a whole number");
	assert_int_equal(json_get_bool(j, "x", &t, &e), -1);
	assert_int_equal(json_get_object(j, "x", &part, &e), -1);
	assert_int_equal(json_get_array(j, "x", 9, &part, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(json_get_object(j, "gone", &part, &e), -1);
	assert_string_equal(e.text, "'gone' is missing; an object expected");
	assert_int_equal(json_get_string(list, "x", 9, &s, &e), -1);
	assert_int_equal(json_get_string(NULL, "x", 9, &s, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
an_unknown_word_is_refused_by_name(void **state)
{
	static const char *const known[] = {"a", "b", NULL};
	AUTO_JSON json_t *good = parsed("{\"b\":1}");
	AUTO_JSON json_t *bad = parsed("{\"a\":1,\"aa\":2}");
	AUTO_JSON json_t *list = parsed("[\"a\"]");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(json_only(good, known, &e), 0);
	assert_int_equal(json_only(bad, known, &e), -1);
	assert_string_equal(e.text, "'aa' is not a word of this format");
	assert_int_equal(json_only(list, known, &e), -1);
	assert_int_equal(json_only(NULL, known, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
a_member_that_is_no_text_is_none(void **state)
{
	AUTO_JSON json_t *object = parsed("{\"a\":\"text\",\"b\":1,\"c\":null,\"d\":[\"x\"]}");
	AUTO_JSON json_t *list = parsed("[\"a\"]");

	(void)state;
	assert_string_equal(json_text(object, "a"), "text");
	assert_null(json_text(object, "b"));
	assert_null(json_text(object, "c"));
	assert_null(json_text(object, "d"));
	assert_null(json_text(object, "e"));
	assert_null(json_text(list, "a"));
	assert_null(json_text(NULL, "a"));
}

static void
the_texts_of_a_list_are_each_there_once(void **state)
{
	AUTO_JSON json_t *list = parsed("[\"b\",1,\"a\",\"b\",null,[\"c\"],\"a\"]");
	AUTO_JSON json_t *texts = json_texts(list), *none = json_texts(NULL);
	AUTO_JSON json_t *expected = parsed("[\"b\",\"a\"]");

	(void)state;
	assert_true(json_equal(texts, expected));
	assert_true(json_is_array(none));
	assert_int_equal(json_array_size(none), 0);
}

static void
a_list_has_the_texts_that_are_its_elements(void **state)
{
	AUTO_JSON json_t *list = parsed("[1,null,\"one\",[\"deep\"],{\"key\":\"value\"},\"two\"]");
	AUTO_JSON json_t *object = parsed("{\"one\":\"one\"}");

	(void)state;
	assert_true(json_has_text(list, "one"));
	assert_true(json_has_text(list, "two"));
	assert_false(json_has_text(list, "On"));
	assert_false(json_has_text(list, "one "));
	assert_false(json_has_text(list, ""));
	assert_false(json_has_text(list, "deep"));
	assert_false(json_has_text(list, "key"));
	assert_false(json_has_text(list, NULL));
	assert_false(json_has_text(object, "one"));
	assert_false(json_has_text(NULL, "one"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
		cmocka_unit_test(nesting_is_bounded_and_brackets_in_strings_do_not_count),
		cmocka_unit_test(nesting_too_deep_is_named_by_its_byte),
		cmocka_unit_test(doubled_keys_are_named_by_their_byte),
		cmocka_unit_test(text_that_is_not_utf8_is_named_by_its_byte),
		cmocka_unit_test(numbers_are_whole_and_exact_or_refused_by_their_byte),
		cmocka_unit_test(every_prefix_and_every_flip_of_a_document_is_refused_or_json),
		cmocka_unit_test(canonical_form_sorts_keys_by_code_point_without_blanks),
		cmocka_unit_test(canonical_form_escapes_backslash_and_quote_only),
		cmocka_unit_test(canonical_form_keeps_integers_and_words),
		cmocka_unit_test(a_fraction_has_no_canonical_form_and_nothing_is_appended),
		cmocka_unit_test(a_canonical_form_is_recognised_where_it_stands),
		cmocka_unit_test(a_canonical_form_over_the_limit_is_refused),
		cmocka_unit_test(pretty_text_is_indented_sorted_and_ends_in_a_newline),
		cmocka_unit_test(compact_text_is_canonical_where_no_text_has_control_characters),
		cmocka_unit_test(members_of_the_right_kind_are_given),
		cmocka_unit_test(members_past_their_limits_are_refused),
		cmocka_unit_test(members_missing_or_of_another_kind_are_named),
		cmocka_unit_test(a_member_that_is_no_text_is_none),
		cmocka_unit_test(the_texts_of_a_list_are_each_there_once),
		cmocka_unit_test(a_list_has_the_texts_that_are_its_elements),
		cmocka_unit_test(an_unknown_word_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
