#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "signer/bill.h"

/* Three owners, whose extents are of 1000, 3000, 96 and 4000 bytes. */
static struct extent extents[] = {
	{0, 1000, 0, 0}, {1000, 3000, 0, 1}, {4000, 96, 1000, 0}, {4096, 4000, 0, 2}};
static struct owner owners[] = {{.kind = OWNER_FILE, .path = 4}, {.kind = OWNER_FILE, .path = 2},
	{.kind = OWNER_FILE, .path = 0}};
static uint8_t paths[] = "a\0b\0c";
static struct contents contents = {.size = 8096,
	.owners = owners,
	.owner_count = 3,
	.extents = extents,
	.extent_count = 4,
	.paths = {.data = paths, .len = sizeof(paths)}};

static void
charges(uint64_t at, uint64_t len, uint64_t bytes, uint64_t a, uint64_t b, uint64_t c)
{
	AUTO_BILL struct bill bill = BILL_INIT;

	assert_int_equal(bill_begin(&contents, &bill, NULL), 0);
	bill_charge(&bill, at, len, bytes);
	assert_int_equal(bill.bytes[0], a);
	assert_int_equal(bill.bytes[1], b);
	assert_int_equal(bill.bytes[2], c);
}

static void
each_owner_pays_its_share_and_nothing_is_lost(void **state)
{
	(void)state;
	charges(0, 1000, 500, 500, 0, 0);
	charges(0, 4096, 4096, 1096, 3000, 0);
	charges(4096, 4000, 77, 0, 0, 77);
	charges(500, 1, 9, 9, 0, 0);
	charges(999, 2, 9, 4, 5, 0);
	charges(0, 8096, 8096, 1096, 3000, 4000);
	charges(3000, 2000, 10, 0, 5, 5);
	charges(3999, 98, 7, 6, 0, 1);
}

static void
the_dearest_come_first_and_those_alike_by_their_paths(void **state)
{
	AUTO_BILL struct bill bill = BILL_INIT;
	AUTO_FREE uint32_t *list = NULL, *again = NULL;
	size_t count;

	(void)state;
	assert_int_equal(bill_begin(&contents, &bill, NULL), 0);
	assert_int_equal(bill_sort(&bill, NULL, &list, &count, NULL), 0);
	assert_int_equal(count, 0);
	bill_charge(&bill, 0, 10, 10);
	bill_charge(&bill, 5000, 10, 10);
	bill_charge(&bill, 1000, 10, 5);
	assert_int_equal(bill_sort(&bill, NULL, &again, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_int_equal(again[0], 2);
	assert_int_equal(again[1], 0);
	assert_int_equal(again[2], 1);
}

static void
those_alike_come_by_the_other_bill(void **state)
{
	AUTO_BILL struct bill bill = BILL_INIT, other = BILL_INIT;
	AUTO_FREE uint32_t *list = NULL;
	size_t count;

	(void)state;
	assert_int_equal(bill_begin(&contents, &bill, NULL), 0);
	assert_int_equal(bill_begin(&contents, &other, NULL), 0);
	bill_charge(&bill, 1000, 10, 5);
	bill_charge(&other, 0, 10, 10);
	bill_charge(&other, 5000, 10, 20);
	assert_int_equal(bill_sort(&bill, &other, &list, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_int_equal(list[0], 1);
	assert_int_equal(list[1], 2);
	assert_int_equal(list[2], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_owner_pays_its_share_and_nothing_is_lost),
		cmocka_unit_test(the_dearest_come_first_and_those_alike_by_their_paths),
		cmocka_unit_test(those_alike_come_by_the_other_bill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
