#include "tests/unit/repo_fixture.h"

#include "common/tuf/path.h"

static void
a_star_matches_any_number_of_bytes(void **state)
{
	(void)state;
	assert_true(path_matches("*.tgz", "foo.tgz"));
	assert_true(path_matches("*", ""));
	assert_true(path_matches("a*b*c", "a-b-b-c"));
	assert_true(path_matches("bundles/*", "bundles/gateway-2.4.0.ota"));
	assert_false(path_matches("*.tgz", "foo.txt"));
	assert_false(path_matches("a*b*c", "a-b-b"));
}

static void
wildcards_do_not_match_a_slash(void **state)
{
	(void)state;
	assert_false(path_matches("*.tgz", "targets/foo.tgz"));
	assert_false(path_matches("targets/*", "targets/a/b"));
	assert_false(path_matches("a*/b", "axx/c/b"));
	assert_false(path_matches("a?b", "a/b"));
	assert_false(path_matches("a[/]b", "a/b"));
	assert_false(path_matches("a[!x]b", "a/b"));
	assert_true(path_matches("releases/*/*", "releases/x/x_v1"));
}

static void
a_question_mark_matches_one_byte(void **state)
{
	(void)state;
	assert_true(path_matches("foo-version-?.tgz", "foo-version-2.tgz"));
	assert_false(path_matches("foo-version-?.tgz", "foo-version-alpha.tgz"));
	assert_false(path_matches("foo?", "foo"));
}

static void
a_set_matches_its_members(void **state)
{
	(void)state;
	assert_true(path_matches("v[0-9].ota", "v7.ota"));
	assert_false(path_matches("v[0-9].ota", "vx.ota"));
	assert_true(path_matches("v[!0-9].ota", "vx.ota"));
	assert_true(path_matches("[]]", "]"));
	assert_true(path_matches("[a-]", "-"));
	assert_false(path_matches("[abc", "a"));
	assert_false(path_matches("[", "["));
}

/* With zeros behind its end, where a set that went on past it would find an end of the pattern. */
static void
a_set_that_is_not_closed_ends_with_the_pattern(void **state)
{
	static const char pattern[8] = "[abc";

	(void)state;
	assert_false(path_matches(pattern, "a"));
	assert_false(path_matches(pattern, "ab"));
}

static void
plain_text_matches_only_itself(void **state)
{
	(void)state;
	assert_true(path_matches("foo.tgz", "foo.tgz"));
	assert_false(path_matches("foo.tgz", "foo.tgz2"));
	assert_false(path_matches("README.md", "README.MD"));
	assert_false(path_matches("", "x"));
	assert_true(path_matches("", ""));
}

static void
many_stars_take_no_more_than_the_product_of_lengths(void **state)
{
	char pattern[513], path[513];

	(void)state;
	for (size_t i = 0; i < 512; i += 2) {
		pattern[i] = '*';
		pattern[i + 1] = 'a';
	}
	pattern[511] = 'b';
	pattern[512] = '\0';
	memset(path, 'a', 512);
	path[512] = '\0';
	assert_false(path_matches(pattern, path));
}

static void
hash_prefixes_delegate_by_the_digest_of_the_path(void **state)
{
	AUTO_JSON json_t *d = json_pack("{s:[s,s]}", "path_hash_prefixes", "0123", "ab");

	(void)state;
	assert_true(path_is_delegated(d, "x", "abcd"));
	assert_true(path_is_delegated(d, "x", "01234"));
	assert_false(path_is_delegated(d, "x", "0124"));
	assert_false(path_is_delegated(d, "x", "a"));
}

static void
quoting_leaves_no_byte_that_means_something_in_a_url_or_path(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(path_quote("../a?b#c%\xc3\xa9~._-", false, &out, &e), 0);
	assert_string_equal(buf_str(&out), "..%2Fa%3Fb%23c%25%C3%A9~._-");
	buf_clear(&out);
	assert_int_equal(path_quote("a/b c", true, &out, &e), 0);
	assert_string_equal(buf_str(&out), "a/b%20c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_star_matches_any_number_of_bytes),
		cmocka_unit_test(wildcards_do_not_match_a_slash),
		cmocka_unit_test(a_question_mark_matches_one_byte),
		cmocka_unit_test(a_set_matches_its_members),
		cmocka_unit_test(a_set_that_is_not_closed_ends_with_the_pattern),
		cmocka_unit_test(plain_text_matches_only_itself),
		cmocka_unit_test(many_stars_take_no_more_than_the_product_of_lengths),
		cmocka_unit_test(hash_prefixes_delegate_by_the_digest_of_the_path),
		cmocka_unit_test(quoting_leaves_no_byte_that_means_something_in_a_url_or_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
