#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/crypto/digest.h"

/* FIPS 180-4's own examples. */
#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY_256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC_512                                                                                    \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                         \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void
digest_of_gives_the_standards_examples(void **state)
{
	char hex[DIGEST_HEX_SIZE], hex512[2 * DIGEST512_BYTES + 1];
	uint8_t d512[DIGEST512_BYTES];
	struct digest d = digest_of(span_str("abc"));

	(void)state;
	assert_string_equal(digest_hex(&d, hex), ABC_256);
	d = digest_of(span_of(NULL, 0));
	assert_string_equal(digest_hex(&d, hex), EMPTY_256);
	digest512_of(span_str("abc"), d512);
	hex_encode(d512, sizeof(d512), hex512);
	assert_string_equal(hex512, ABC_512);
}

static void
digest_in_pieces_equals_the_whole(void **state)
{
	uint8_t data[1000];
	struct digest whole;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	whole = digest_of(span_of(data, sizeof(data)));
	for (size_t cut = 0; cut <= sizeof(data); cut += 125) {
		struct digest_state *s = NULL;
		struct digest d;

		assert_int_equal(digest_begin(&s, NULL), 0);
		digest_add(s, data, cut);
		digest_add(s, data + cut, sizeof(data) - cut);
		d = digest_end(&s);
		assert_null(s);
		assert_true(digest_equal(&d, &whole));
	}
}

static void
digest_state_can_be_abandoned_at_any_time(void **state)
{
	struct digest_state *s = NULL;

	(void)state;
	digest_abandon(NULL);
	digest_abandon(&s);
	assert_int_equal(digest_begin(&s, NULL), 0);
	digest_add(s, "abc", 3);
	digest_abandon(&s);
	assert_null(s);
}

static void
digest_fd_covers_exactly_the_range(void **state)
{
	AUTO_FCLOSE FILE *f = tmpfile();
	struct digest d, abc = digest_of(span_str("abc")), kept;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fwrite("xxabcxx", 1, 7, f), 7);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(digest_fd(fileno(f), "sample", 2, 3, &d, &e), 0);
	assert_true(digest_equal(&d, &abc));
	kept = d;
	assert_int_equal(digest_fd(fileno(f), "sample", 2, 6, &d, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "sample"));
	assert_int_equal(digest_fd(fileno(f), "sample", UINT64_MAX, 2, &d, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_true(digest_equal(&d, &kept));
}

static void
digest_fd_hashes_more_than_one_read(void **state)
{
	enum { LEN = 3 * 64 * 1024 + 17 };
	AUTO_FREE uint8_t *data = calloc(1, LEN);
	AUTO_FCLOSE FILE *f = tmpfile();
	struct digest d, whole;

	(void)state;
	assert_non_null(f);
	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i ^ (i >> 8));
	whole = digest_of(span_of(data, LEN));
	assert_int_equal(fwrite(data, 1, LEN, f), LEN);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(digest_fd(fileno(f), "sample", 0, LEN, &d, NULL), 0);
	assert_true(digest_equal(&d, &whole));
}

static void
digest_parse_takes_64_digits_and_nothing_else(void **state)
{
	static const char *const bad[] = {"", "ba", (ABC_256 "0"), (ABC_256 "00"), (" " ABC_256),
		"ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"0xa816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
	struct digest d, abc = digest_of(span_str("abc")), kept = {{0}};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(digest_parse(ABC_256, &d, &e), 0);
	assert_true(digest_equal(&d, &abc));
	assert_int_equal(
		digest_parse(
			"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", &d, &e),
		0);
	assert_true(digest_equal(&d, &abc));
	d = kept;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(digest_parse(bad[i], &d, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_true(digest_equal(&d, &kept));
	}
}

static void
digest_equal_sees_every_bit(void **state)
{
	struct digest a = digest_of(span_str("abc"));

	(void)state;
	for (size_t bit = 0; bit < 8 * DIGEST_BYTES; bit++) {
		struct digest b = a;

		b.b[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		assert_false(digest_equal(&a, &b));
	}
	assert_true(digest_equal(&a, &a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest_of_gives_the_standards_examples),
		cmocka_unit_test(digest_in_pieces_equals_the_whole),
		cmocka_unit_test(digest_state_can_be_abandoned_at_any_time),
		cmocka_unit_test(digest_fd_covers_exactly_the_range),
		cmocka_unit_test(digest_fd_hashes_more_than_one_read),
		cmocka_unit_test(digest_parse_takes_64_digits_and_nothing_else),
		cmocka_unit_test(digest_equal_sees_every_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
