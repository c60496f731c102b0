#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <string.h>

#include "common/base/num.h"

static void
sums_and_products_that_overflow_are_refused_and_change_nothing(void **state)
{
	struct err e = ERR_INIT;
	uint64_t v = 7;

	(void)state;
	assert_int_equal(num_add(UINT64_MAX, 1, &v, "size of rootfs", &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_non_null(strstr(e.text, "size of rootfs"));
	assert_int_equal(num_mul(1ULL << 32, 1ULL << 32, &v, "x", &e), -1);
	assert_int_equal(v, 7);
	assert_int_equal(num_add(UINT64_MAX - 1, 1, &v, "x", &e), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(num_mul(1ULL << 32, (1ULL << 32) - 1, &v, "x", &e), 0);
	assert_true(v == 0xffffffff00000000ULL);
}

static void
division_rounds_up_without_overflow(void **state)
{
	(void)state;
	assert_int_equal(num_div_up(0, 512), 0);
	assert_int_equal(num_div_up(1, 512), 1);
	assert_int_equal(num_div_up(512, 512), 1);
	assert_int_equal(num_div_up(513, 512), 2);
	assert_true(num_div_up(UINT64_MAX, 2) == 1ULL << 63);
}

static void
byte_order_is_fixed(void **state)
{
	uint8_t b[8];

	(void)state;
	num_put_le32(b, 0x01020304);
	assert_memory_equal(b, "\x04\x03\x02\x01", 4);
	assert_int_equal(num_get_le32(b), 0x01020304);
	num_put_le64(b, 0xf102030405060708ULL);
	assert_memory_equal(b, "\x08\x07\x06\x05\x04\x03\x02\xf1", 8);
	assert_true(num_get_le64(b) == 0xf102030405060708ULL);
	assert_true(num_get_be64(b) == 0x08070605040302f1ULL);
}

static void
a_plain_number_is_read_and_nothing_else(void **state)
{
	static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "01", "00", "1e3", "0x10",
		"1.0", "18446744073709551616", "99999999999999999999"};
	struct err e = ERR_INIT;
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(num_parse(bad[i], 0, UINT64_MAX, &v, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_int_equal(v, 7);
	}
	assert_int_equal(num_parse("18446744073709551615", 0, UINT64_MAX, &v, &e), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(num_parse("0", 0, 5, &v, &e), 0);
	assert_int_equal(v, 0);
}

static void
a_number_out_of_range_is_a_limit(void **state)
{
	struct err e = ERR_INIT;
	uint64_t v = 7;

	(void)state;
	assert_int_equal(num_parse("4", 5, 9, &v, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(num_parse("10", 5, 9, &v, &e), -1);
	assert_string_equal(e.text, "10 is not between 5 and 9");
	assert_int_equal(num_parse("5", 5, 9, &v, &e), 0);
	assert_int_equal(num_parse("9", 5, 9, &v, &e), 0);
}

static void
durations_need_a_unit_and_stay_in_range(void **state)
{
	static const char *const bad[] = {
		"", "15", "m", "15 m", "15min", "1.5h", "-1s", "15M", "15ms"};
	struct err e = ERR_INIT;
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(num_parse_duration(bad[i], UINT64_MAX, &v, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
	assert_int_equal(num_parse_duration("213503982334602d", UINT64_MAX, &v, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(num_parse_duration("61s", 60, &v, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(v, 7);
	assert_int_equal(num_parse_duration("90s", 90, &v, &e), 0);
	assert_int_equal(v, 90);
	assert_int_equal(num_parse_duration("15m", 900, &v, &e), 0);
	assert_int_equal(v, 900);
	assert_int_equal(num_parse_duration("4h", UINT64_MAX, &v, &e), 0);
	assert_int_equal(v, 14400);
	assert_int_equal(num_parse_duration("2d", UINT64_MAX, &v, &e), 0);
	assert_int_equal(v, 172800);
}

static void
sizes_are_bytes_or_have_a_unit(void **state)
{
	static const char *const bad[] = {"", "KiB", "1K", "1KB", "1 MiB", "1.5MiB", "-1", "1TiB"};
	struct err e = ERR_INIT;
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(num_parse_size(bad[i], UINT64_MAX, &v, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
	assert_int_equal(num_parse_size("17179869184GiB", UINT64_MAX, &v, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(num_parse_size("4097", 4096, &v, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(v, 7);
	assert_int_equal(num_parse_size("4096", 4096, &v, &e), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(num_parse_size("64KiB", UINT64_MAX, &v, &e), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(num_parse_size("3MiB", UINT64_MAX, &v, &e), 0);
	assert_int_equal(v, 3145728);
	assert_int_equal(num_parse_size("4GiB", UINT64_MAX, &v, &e), 0);
	assert_true(v == 4294967296ULL);
	assert_int_equal(num_parse_size("64kB", UINT64_MAX, &v, &e), 0);
	assert_int_equal(v, 64000);
	assert_int_equal(num_parse_size("200MB", 200000000, &v, &e), 0);
	assert_int_equal(v, 200000000);
	assert_int_equal(num_parse_size("4GB", UINT64_MAX, &v, &e), 0);
	assert_true(v == 4000000000ULL);
}

static void
percentages_have_a_sign_and_at_most_two_places(void **state)
{
	static const char *const bad[] = {
		"", "%", "5", "5 %", ".5%", "5.%", "2.555%", "05%", "-5%", "5%%", "1e1%", "5,5%"};
	struct err e = ERR_INIT;
	uint32_t bp = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(num_parse_percent(bad[i], &bp, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
	assert_int_equal(num_parse_percent("100.01%", &bp, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(num_parse_percent("120%", &bp, &e), -1);
	assert_string_equal(e.text, "120% is over 100%");
	assert_int_equal(bp, 7);
	assert_int_equal(num_parse_percent("100.00%", &bp, &e), 0);
	assert_int_equal(bp, 10000);
	assert_int_equal(num_parse_percent("2.5%", &bp, &e), 0);
	assert_int_equal(bp, 250);
	assert_int_equal(num_parse_percent("0.05%", &bp, &e), 0);
	assert_int_equal(bp, 5);
}

static void
hexadecimal_goes_out_and_comes_back(void **state)
{
	const uint8_t bytes[] = {0x00, 0x7f, 0x80, 0xff, 0x1a};
	struct err e = ERR_INIT;
	uint8_t back[5];
	char text[11];

	(void)state;
	hex_encode(bytes, sizeof(bytes), text);
	assert_string_equal(text, "007f80ff1a");
	assert_int_equal(hex_decode("007F80fF1A", back, sizeof(back), &e), 0);
	assert_memory_equal(back, bytes, sizeof(bytes));
	hex_encode(bytes, 0, text);
	assert_string_equal(text, "");
}

static void
hexadecimal_of_another_length_or_alphabet_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "00", "000", "00000", "000000", "00g0", "0x00", "00 0", "000\xff"};
	uint8_t out[2] = {1, 2};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(hex_decode(bad[i], out, sizeof(out), &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_memory_equal(out, "\x01\x02", 2);
	}
}

static void
sizes_for_people_have_one_place(void **state)
{
	char text[NUM_HUMAN_SIZE];

	(void)state;
	assert_string_equal(num_human_size(0, text), "0 B");
	assert_string_equal(num_human_size(1023, text), "1023 B");
	assert_string_equal(num_human_size(1024, text), "1.0 KiB");
	assert_string_equal(num_human_size(1048575, text), "1.0 MiB");
	assert_string_equal(num_human_size(1503238553, text), "1.4 GiB");
	assert_string_equal(num_human_size(UINT64_MAX, text), "16.0 EiB");
}

static void
versions_are_one_to_eight_numbers_with_dots(void **state)
{
	static const char *const good[] = {"0", "2.10", "1.2.3.4.5.6.7.8", "999999999", "1.007"};
	static const char *const bad[] = {"", ".", "1.", ".1", "1..2", "1.2.3.4.5.6.7.8.9",
		"1000000000", "1.2a", "v1", "1-2", " 1", "1 "};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(num_version_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(num_version_valid(bad[i]));
}

static void
versions_compare_as_numbers_part_by_part(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} cases[] = {{"2.9", "2.10", -1}, {"2.1", "2.1.0", 0}, {"2.1", "2.1.0.1", -1},
		{"3", "2.9.9", 1}, {"1.007", "1.7", 0}, {"0", "0.0", 0},
		{"999999999.1", "999999999.2", -1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(num_version_compare(cases[i].a, cases[i].b), cases[i].order);
		assert_int_equal(num_version_compare(cases[i].b, cases[i].a), -cases[i].order);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_and_products_that_overflow_are_refused_and_change_nothing),
		cmocka_unit_test(division_rounds_up_without_overflow),
		cmocka_unit_test(byte_order_is_fixed),
		cmocka_unit_test(a_plain_number_is_read_and_nothing_else),
		cmocka_unit_test(a_number_out_of_range_is_a_limit),
		cmocka_unit_test(durations_need_a_unit_and_stay_in_range),
		cmocka_unit_test(sizes_are_bytes_or_have_a_unit),
		cmocka_unit_test(percentages_have_a_sign_and_at_most_two_places),
		cmocka_unit_test(hexadecimal_goes_out_and_comes_back),
		cmocka_unit_test(hexadecimal_of_another_length_or_alphabet_is_refused),
		cmocka_unit_test(sizes_for_people_have_one_place),
		cmocka_unit_test(versions_are_one_to_eight_numbers_with_dots),
		cmocka_unit_test(versions_compare_as_numbers_part_by_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
