#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/format/path_set.h"

static void
path_set_has_what_was_added_and_nothing_else(void **state)
{
	CLEANUP(path_set_free) struct path_set *s = NULL;
	struct err e = ERR_INIT;
	char path[32];

	(void)state;
	assert_int_equal(path_set_new(&s, &e), 0);
	assert_false(path_set_has(s, ""));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			(void)snprintf(path, sizeof(path), "usr/bin/%d", i);
			assert_int_equal(path_set_add(s, path, &e), 0);
		}
	}
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(path, sizeof(path), "usr/bin/%d", i);
		assert_int_equal(path_set_has(s, path), i < 5000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_set_has_what_was_added_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
