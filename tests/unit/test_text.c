#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <string.h>

#include "common/base/text.h"

static void
check(const char *in, const char *expected)
{
	char s[64];

	(void)strncpy(s, in, sizeof(s) - 1);
	s[sizeof(s) - 1] = 0;
	text_clean(s);
	assert_string_equal(s, expected);
}

static void
good_text_stays_as_it_is(void **state)
{
	(void)state;
	check("", "");
	check("plain ~\n\ttext", "plain ~\n\ttext");
	check("é ß € 水 😀", "é ß € 水 😀");
	check("\xc2\xa0 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf",
		"\xc2\xa0 \xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf");
}

static void
control_characters_become_question_marks(void **state)
{
	(void)state;
	check("\x01\x1b\r\x7f|", "????|");
	check("\xc2\x80|\xc2\x9b|\xc2\x9f|", "??|??|??|");
}

static void
what_is_not_utf8_becomes_question_marks(void **state)
{
	(void)state;
	check("\x80|\xbf|\xff|\xfe", "?|?|?|?");
	check("\xc0\x80|\xc1\xbf|\xe0\x80\x80|\xe0\x9f\xbf|\xf0\x8f\xbf\xbf", "??|??|???|???|????");
	check("\xed\xa0\x80|\xed\xbf\xbf|\xf4\x90\x80\x80|\xf5\x80\x80\x80", "???|???|????|????");
}

static void
a_character_cut_in_half_does_not_swallow_what_follows(void **state)
{
	(void)state;
	check("\xe2\x82", "??");
	check("\xe2\x82|\xf0\x9f\x98|\xc3", "??|???|?");
	check("\xe2\xc3\xa9", "?é");
}

static void
an_ending_has_something_before_it(void **state)
{
	(void)state;
	assert_true(text_ends_with("a.key", ".key"));
	assert_true(text_ends_with(".key.key", ".key"));
	assert_true(text_ends_with("a", ""));
	assert_false(text_ends_with(".key", ".key"));
	assert_false(text_ends_with("key", ".key"));
	assert_false(text_ends_with("a.key.", ".key"));
	assert_false(text_ends_with("a.keys", ".key"));
	assert_false(text_ends_with("a.Key", ".key"));
	assert_false(text_ends_with("", ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ending_has_something_before_it),
		cmocka_unit_test(good_text_stays_as_it_is),
		cmocka_unit_test(control_characters_become_question_marks),
		cmocka_unit_test(what_is_not_utf8_becomes_question_marks),
		cmocka_unit_test(a_character_cut_in_half_does_not_swallow_what_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
