#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/base/err.h"

static void
err_set_fills_class_and_text_and_returns_minus_one(void **state)
{
	struct err e = {.errnum = 7};

	(void)state;
	assert_int_equal(err_set(&e, ERR_LIMIT, "%s is over %d", "percent", 100), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(e.errnum, 0);
	assert_string_equal(e.text, "percent is over 100");
}

static void
err_sys_puts_the_text_of_errno_behind_the_message(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(err_sys(&e, ENOENT, "opening %s", "/x"), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, ENOENT);
	assert_string_equal(e.text, "opening /x: No such file or directory");
}

static void
err_context_goes_before_and_keeps_class_and_errno(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)err_sys(&e, EACCES, "opening /x");
	assert_int_equal(err_context(&e, "%s:%d", "stable.yaml", 14), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, EACCES);
	assert_string_equal(e.text, "stable.yaml:14: opening /x: Permission denied");
}

static void
a_caller_that_wants_no_error_passes_null(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_USAGE, "x"), -1);
	assert_int_equal(err_sys(NULL, EIO, "x"), -1);
	assert_int_equal(err_context(NULL, "x"), -1);
}

static void
a_long_text_is_cut_and_stays_a_string(void **state)
{
	struct err e = ERR_INIT;
	char longer[2 * ERR_TEXT_SIZE];

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	(void)err_set(&e, ERR_USAGE, "%s", longer);
	assert_int_equal(strlen(e.text), ERR_TEXT_SIZE - 1);
	(void)err_context(&e, "here");
	assert_int_equal(strlen(e.text), ERR_TEXT_SIZE - 1);
	assert_memory_equal(e.text, "here: aaaa", 10);
	(void)err_context(&e, "%s", longer);
	assert_int_equal(strlen(e.text), ERR_TEXT_SIZE - 1);
	(void)err_sys(&e, EIO, "%s", longer);
	assert_int_equal(strlen(e.text), ERR_TEXT_SIZE - 1);
}

static void
a_character_that_the_cut_halves_leaves_valid_text(void **state)
{
	struct err e = ERR_INIT;
	char longer[2 * ERR_TEXT_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < ERR_TEXT_SIZE; i++)
		memcpy(longer + 2 * i, "é", 2);
	longer[2 * ERR_TEXT_SIZE] = 0;
	(void)err_set(&e, ERR_USAGE, "%s", longer);
	assert_int_equal(strlen(e.text), ERR_TEXT_SIZE - 1);
	assert_string_equal(e.text + ERR_TEXT_SIZE - 4, "é?");
}

static void
an_error_may_be_made_of_its_own_text(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)err_set(&e, ERR_NETWORK, "no answer");
	(void)err_set(&e, ERR_REFUSED, "gave up: %s", e.text);
	assert_string_equal(e.text, "gave up: no answer");
	(void)err_context(&e, "%s", e.text);
	assert_string_equal(e.text, "gave up: no answer: gave up: no answer");
}

static void
text_from_outside_reaches_no_terminal_as_control_characters(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)err_set(&e, ERR_MALFORMED, "'%s'",
		"\x1b[2J\r\xc2\x9b"
		"31m\xff");
	assert_string_equal(e.text, "'?[2J???31m?'");
}

static void
every_class_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (int i = ERR_NONE; i <= ERR_SYSTEM; i++) {
		assert_string_not_equal(err_class_name((enum err_class)i), "unknown");
		for (int j = ERR_NONE; j < i; j++)
			assert_string_not_equal(err_class_name((enum err_class)i),
				err_class_name((enum err_class)j));
	}
	assert_string_equal(err_class_name(ERR_UNTRUSTED), "untrusted");
	assert_string_equal(err_class_name((enum err_class)(ERR_SYSTEM + 1)), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(err_set_fills_class_and_text_and_returns_minus_one),
		cmocka_unit_test(err_sys_puts_the_text_of_errno_behind_the_message),
		cmocka_unit_test(err_context_goes_before_and_keeps_class_and_errno),
		cmocka_unit_test(a_caller_that_wants_no_error_passes_null),
		cmocka_unit_test(a_long_text_is_cut_and_stays_a_string),
		cmocka_unit_test(a_character_that_the_cut_halves_leaves_valid_text),
		cmocka_unit_test(an_error_may_be_made_of_its_own_text),
		cmocka_unit_test(text_from_outside_reaches_no_terminal_as_control_characters),
		cmocka_unit_test(every_class_has_a_word_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
