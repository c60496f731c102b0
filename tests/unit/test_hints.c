#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/num.h"
#include "common/format/hints.h"

static void
hints_take_8_bytes_for_each_block_begun(void **state)
{
	(void)state;
	assert_int_equal(hints_size(0), 0);
	assert_int_equal(hints_size(1), 8);
	assert_int_equal(hints_size(4096), 8);
	assert_int_equal(hints_size(4097), 16);
	assert_int_equal(hints_size(CHUNK_BYTES), HINTS_CHUNK_BYTES);
	assert_true(hints_size(PAYLOAD_BYTES_MAX) == HINTS_BYTES_MAX);
	assert_true(hints_size(UINT64_MAX) == (UINT64_MAX / 4096 + 1) * 8);
}

/* As hints.h has it. */
static uint64_t
sum_of(const uint8_t *bytes, size_t len)
{
	uint64_t sum = 0, factor = 1;

	for (size_t i = len; i-- > 0; factor *= HINT_FACTOR)
		sum += bytes[i] * factor;
	return sum;
}

static uint8_t plain[CHUNK_BYTES];

static void
hints_are_sums_of_each_blocks_bytes(void **state)
{
	uint8_t out[HINTS_CHUNK_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7 + i / 4096);
	assert_int_equal(hints_of(span_of(plain, sizeof(plain)), out), HINTS_CHUNK_BYTES);
	for (size_t i = 0; i < 16; i++)
		assert_true(num_get_le64(out + i * 8) == sum_of(plain + i * 4096, 4096));
}

static void
hints_of_a_short_last_block_are_of_the_bytes_it_has(void **state)
{
	uint8_t out[HINTS_CHUNK_BYTES];

	(void)state;
	memset(plain, 'x', sizeof(plain));
	for (size_t blocks = 0; blocks < 16; blocks++) {
		memset(out, 0x5a, sizeof(out));
		assert_int_equal(
			hints_of(span_of(plain, blocks * 4096 + 904), out), blocks * 8 + 8);
		assert_true(num_get_le64(out + blocks * 8) == sum_of(plain, 904));
		assert_true(blocks == 15 || out[blocks * 8 + 8] == 0x5a);
	}
	assert_int_equal(hints_of(span_of(plain, 0), out), 0);
}

static void
the_hint_of_zeros_is_no_hint(void **state)
{
	uint8_t out[HINTS_CHUNK_BYTES];

	(void)state;
	memset(plain, 0, sizeof(plain));
	assert_int_equal(hints_of(span_of(plain, sizeof(plain)), out), HINTS_CHUNK_BYTES);
	for (size_t i = 0; i < 16; i++)
		assert_true(num_get_le64(out + i * 8) == HINT_OF_ZEROS);
}

static void
a_hint_is_carried_from_byte_to_byte(void **state)
{
	uint64_t hint;

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * i >> 5 ^ i);
	hint = sum_of(plain, 4096);
	for (size_t at = 1; at <= 5000; at++) {
		hint = hint_roll(hint, plain[at - 1], plain[at + 4095]);
		if (at % 97 == 0)
			assert_true(hint == sum_of(plain + at, 4096));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hints_take_8_bytes_for_each_block_begun),
		cmocka_unit_test(hints_are_sums_of_each_blocks_bytes),
		cmocka_unit_test(hints_of_a_short_last_block_are_of_the_bytes_it_has),
		cmocka_unit_test(the_hint_of_zeros_is_no_hint),
		cmocka_unit_test(a_hint_is_carried_from_byte_to_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
