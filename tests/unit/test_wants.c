#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/wants.h"
#include "common/base/cleanup.h"

static void
every_entry_stands_for_itself(void **state)
{
	enum { ENTRIES = 21 };

	(void)state;
	for (uint64_t entry = 0; entry < ENTRIES; entry++) {
		CLEANUP(wants_free) struct wants *w = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(wants_new(ENTRIES, &w, &e), 0);
		assert_int_equal(wants_count(w), 0);
		wants_add(w, entry);
		for (uint64_t i = 0; i < ENTRIES; i++)
			assert_int_equal(wants_has(w, i), i == entry);
		wants_drop(w, entry);
		assert_false(wants_has(w, entry));
		assert_int_equal(wants_count(w), 0);
	}
}

static void
what_is_said_twice_is_counted_once(void **state)
{
	CLEANUP(wants_free) struct wants *w = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(wants_new(9, &w, &e), 0);
	wants_add(w, 8);
	wants_add(w, 8);
	wants_add(w, 7);
	assert_int_equal(wants_count(w), 2);
	wants_drop(w, 8);
	wants_drop(w, 8);
	assert_int_equal(wants_count(w), 1);
	assert_true(wants_has(w, 7));
}

static void
no_entries_are_none(void **state)
{
	CLEANUP(wants_free) struct wants *w = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(wants_new(0, &w, &e), 0);
	assert_int_equal(wants_count(w), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_entry_stands_for_itself),
		cmocka_unit_test(what_is_said_twice_is_counted_once),
		cmocka_unit_test(no_entries_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
