#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/crypto/digest_lanes.h"
#include "common/limits.h"

enum { MANY = 3 * DIGEST_LANES + 5 };

static uint8_t bytes[CHUNK_BYTES];

static int
make_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
	return 0;
}

static void
chosen_digest(const struct span *in, size_t n, struct digest *out)
{
	digest_of_many(in, n, out);
}

#ifdef __x86_64__
static void
avx2_digest(const struct span *in, size_t n, struct digest *out)
{
	lanes_digest(lanes_run_avx2, in, n, out);
}

static void
avx512_digest(const struct span *in, size_t n, struct digest *out)
{
	lanes_digest(lanes_run_avx512, in, n, out);
}
#endif

/* What this processor can do, the choice of the library first. */
static size_t
ways(void (*way[3])(const struct span *, size_t, struct digest *))
{
	size_t n = 0;

	way[n++] = chosen_digest;
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		way[n++] = avx2_digest;
	if (__builtin_cpu_supports("avx512f"))
		way[n++] = avx512_digest;
#endif
	return n;
}

static void
assert_digests(const struct span *in, size_t n)
{
	void (*way[3])(const struct span *, size_t, struct digest *);
	AUTO_FREE struct digest *out = calloc(n + 1, sizeof(*out));
	AUTO_FREE struct digest *want = calloc(n + 1, sizeof(*want));
	size_t count = ways(way);

	assert_true(out && want);
	for (size_t i = 0; i < n; i++)
		want[i] = digest_of(in[i]);
	for (size_t w = 0; w < count; w++) {
		memset(out, 0x77, (n + 1) * sizeof(*out));
		way[w](in, n, out);
		assert_memory_equal(out, want, n * sizeof(*out));
		for (size_t i = 0; i < DIGEST_BYTES; i++)
			assert_int_equal(out[n].b[i], 0x77);
	}
}

static void
any_number_of_messages_is_hashed(void **state)
{
	struct span in[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		in[i] = span_of(bytes + i, 1000 + i % 3);
	for (size_t n = 0; n <= MANY; n++)
		assert_digests(in, n);
}

/* Every length around the blocks, and others up to a chunk's, at every alignment. */
static void
messages_of_any_length_are_hashed(void **state)
{
	enum { LENGTHS = 1200, STEP = 263 };
	struct span in[LENGTHS];

	(void)state;
	for (size_t i = 0; i < LENGTHS; i++)
		in[i] = span_of(bytes + i, i);
	assert_digests(in, LENGTHS);
	for (size_t i = 0; i < CHUNK_BYTES / STEP; i++)
		in[i] = span_of(bytes, CHUNK_BYTES - i * STEP);
	assert_digests(in, CHUNK_BYTES / STEP);
}

static void
messages_of_very_different_lengths_are_hashed(void **state)
{
	struct span in[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		in[i] = span_of(bytes + i, i % 3 == 0 ? CHUNK_BYTES - MANY : i % 3 == 1 ? 0 : 64);
	in[7] = span_of(NULL, 0);
	assert_digests(in, MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_messages_is_hashed),
		cmocka_unit_test(messages_of_any_length_are_hashed),
		cmocka_unit_test(messages_of_very_different_lengths_are_hashed),
	};

	return cmocka_run_group_tests(tests, make_bytes, NULL);
}
