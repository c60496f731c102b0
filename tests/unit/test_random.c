#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/random.h"
#include "common/crypto/secret.h"

static void
random_bytes_fills_all_and_only_its_bytes(void **state)
{
	uint8_t seen[64] = {0}, data[66];

	(void)state;
	for (int round = 0; round < 64; round++) {
		memset(data, 0, sizeof(data));
		random_bytes(data + 1, 64);
		assert_int_equal(data[0], 0);
		assert_int_equal(data[65], 0);
		for (size_t i = 0; i < 64; i++)
			seen[i] |= data[1 + i];
	}
	for (size_t i = 0; i < 64; i++)
		assert_int_not_equal(seen[i], 0);
}

static void
random_below_reaches_every_value_and_no_other(void **state)
{
	int seen[7] = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t v = random_below(7);

		assert_true(v < 7);
		seen[v]++;
	}
	for (int i = 0; i < 7; i++)
		assert_true(seen[i] > 0);
	assert_int_equal(random_below(0), 0);
	assert_int_equal(random_below(1), 0);
	assert_true(random_below(UINT64_MAX) < UINT64_MAX);
}

static void
random_hex_has_two_digits_a_byte(void **state)
{
	char text[2 * 100 + 2], other[2 * 100 + 2];

	(void)state;
	for (size_t bytes = 0; bytes <= 100; bytes++) {
		memset(text, 'x', sizeof(text));
		random_hex(bytes, text);
		assert_int_equal(strlen(text), 2 * bytes);
		assert_int_equal(strspn(text, "0123456789abcdef"), 2 * bytes);
		assert_int_equal(text[2 * bytes + 1], 'x');
	}
	random_hex(100, other);
	assert_string_not_equal(text, other);
}

static void
secret_memory_starts_as_zeros(void **state)
{
	AUTO_SECRET void *p = NULL;
	static const uint8_t zeros[100];

	(void)state;
	assert_int_equal(secret_new(sizeof(zeros), &p, NULL), 0);
	assert_memory_equal(p, zeros, sizeof(zeros));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_fills_all_and_only_its_bytes),
		cmocka_unit_test(random_below_reaches_every_value_and_no_other),
		cmocka_unit_test(random_hex_has_two_digits_a_byte),
		cmocka_unit_test(secret_memory_starts_as_zeros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
