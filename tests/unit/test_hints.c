#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/digest.h"
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

static void
hints_are_the_first_bytes_of_each_blocks_digest(void **state)
{
	static uint8_t plain[CHUNK_BYTES];
	uint8_t out[HINTS_CHUNK_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7 + i / 4096);
	assert_int_equal(hints_of(span_of(plain, sizeof(plain)), out), HINTS_CHUNK_BYTES);
	for (size_t i = 0; i < 16; i++) {
		struct digest d = digest_of(span_of(plain + i * 4096, 4096));

		assert_memory_equal(out + i * 8, d.b, 8);
	}
}

static void
hints_of_a_short_last_block_are_of_the_bytes_it_has(void **state)
{
	uint8_t plain[5000], out[HINTS_CHUNK_BYTES];
	struct digest d;

	(void)state;
	memset(plain, 'x', sizeof(plain));
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(hints_of(span_of(plain, sizeof(plain)), out), 16);
	d = digest_of(span_of(plain + 4096, 904));
	assert_memory_equal(out + 8, d.b, 8);
	assert_int_equal(out[16], 0x5a);
	assert_int_equal(hints_of(span_of(plain, 0), out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hints_take_8_bytes_for_each_block_begun),
		cmocka_unit_test(hints_are_the_first_bytes_of_each_blocks_digest),
		cmocka_unit_test(hints_of_a_short_last_block_are_of_the_bytes_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
