#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/format/bundle.h"

enum { BLOCK = 512 };

/* The manifest and the index, a header before each: one member of the head is as long as is asked
 * for. */
static int
layout_with(uint64_t head_bytes, uint64_t *head_size, struct err *e)
{
	struct manifest m = {.payload_count = 1, .payloads = {{.name = "rootfs"}}};
	struct member *members = m.payloads[0].members;
	struct bundle_layout l;

	members[MEMBER_INDEX] = (struct member){.present = true, .size = head_bytes - 3 * BLOCK};
	members[MEMBER_DATA] = (struct member){.present = true, .size = 1};
	if (bundle_layout(&m, 1, &l, e) < 0)
		return -1;
	*head_size = l.head_size;
	return 0;
}

static void
a_head_is_as_long_as_the_limit_and_no_longer(void **state)
{
	struct err e = ERR_INIT;
	uint64_t size = 0;

	(void)state;
	assert_int_equal(layout_with(HEAD_BYTES_MAX, &size, &e), 0);
	assert_true(size == HEAD_BYTES_MAX);
	assert_int_equal(layout_with(HEAD_BYTES_MAX + 1, &size, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_as_long_as_the_limit_and_no_longer),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
