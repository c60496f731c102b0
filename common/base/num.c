#include "common/base/num.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"

int
num_add(uint64_t a, uint64_t b, uint64_t *out, const char *what, struct err *e)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return err_set(e, ERR_LIMIT, "%s: the sum does not fit in 64 bits", what);
	*out = sum;
	return 0;
}

int
num_mul(uint64_t a, uint64_t b, uint64_t *out, const char *what, struct err *e)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return err_set(e, ERR_LIMIT, "%s: the product does not fit in 64 bits", what);
	*out = product;
	return 0;
}

/* Reads digits up to the first other byte; -1 where there are none or they overflow. */
static int
digits_read(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t v = 0;

	if (!isdigit((unsigned char)*p) || (p[0] == '0' && isdigit((unsigned char)p[1])))
		return -1;
	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -1;
	}
	*text = p;
	*out = v;
	return 0;
}

int
num_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *e)
{
	const char *p = text;
	uint64_t v;

	if (digits_read(&p, &v) < 0 || *p)
		return err_set(e, ERR_MALFORMED, "'%.64s' is not a whole number", text);
	if (v < min || v > max)
		return err_set(e, ERR_LIMIT, "%" PRIu64 " is not between %" PRIu64 " and %" PRIu64,
			v, min, max);
	*out = v;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static int
unit_parse(const char *text, const struct unit *units, size_t count, uint64_t max, uint64_t *out)
{
	const char *p = text;
	uint64_t v;

	if (digits_read(&p, &v) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(p, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(v, units[i].factor, &v) || v > max)
			return 1;
		*out = v;
		return 0;
	}
	return -1;
}

int
num_parse_duration(const char *text, uint64_t max_s, uint64_t *out_s, struct err *e)
{
	static const struct unit units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	int rc = unit_parse(text, units, ARRAY_LEN(units), max_s, out_s);

	if (rc < 0)
		return err_set(e, ERR_MALFORMED,
			"'%.64s' is not a duration: write a number and s, m, h or d, like 15m",
			text);
	if (rc > 0)
		return err_set(
			e, ERR_LIMIT, "'%.64s' is longer than %" PRIu64 " seconds", text, max_s);
	return 0;
}

int
num_parse_size(const char *text, uint64_t max, uint64_t *out, struct err *e)
{
	static const struct unit units[] = {{"", 1}, {"kB", 1000}, {"MB", 1000000},
		{"GB", 1000000000}, {"KiB", 1U << 10}, {"MiB", 1U << 20}, {"GiB", 1U << 30}};
	int rc = unit_parse(text, units, ARRAY_LEN(units), max, out);

	if (rc < 0)
		return err_set(e, ERR_MALFORMED,
			"'%.64s' is not a size: write bytes, or a number and kB, MB, GB, KiB, MiB "
			"or GiB",
			text);
	if (rc > 0)
		return err_set(e, ERR_LIMIT, "'%.64s' is more than %" PRIu64 " bytes", text, max);
	return 0;
}

/* ".5" or ".25" as hundredths, 0 where there is no dot; -1 where no digit follows it. */
static int
hundredths_read(const char **text, uint64_t *out)
{
	const char *p = *text;

	*out = 0;
	if (*p != '.')
		return 0;
	if (!isdigit((unsigned char)*++p))
		return -1;
	*out = (uint64_t)(*p++ - '0') * 10;
	if (isdigit((unsigned char)*p))
		*out += (uint64_t)(*p++ - '0');
	*text = p;
	return 0;
}

int
num_parse_percent(const char *text, uint32_t *out_bp, struct err *e)
{
	const char *p = text;
	uint64_t whole, part;

	if (digits_read(&p, &whole) < 0 || hundredths_read(&p, &part) < 0 || strcmp(p, "%") != 0)
		return err_set(e, ERR_MALFORMED,
			"'%.64s' is not a percentage: write it like 98%% or 2.5%%", text);
	if (whole > 100 || (whole == 100 && part > 0))
		return err_set(e, ERR_LIMIT, "%.64s is over 100%%", text);
	*out_bp = (uint32_t)(whole * 100 + part);
	return 0;
}

void
hex_encode(const uint8_t *data, size_t len, char *out)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digit[data[i] >> 4];
		*out++ = digit[data[i] & 15];
	}
	*out = 0;
}

/* A digit's value and one; 0 for what is no digit. */
static const uint8_t hex_values[256] = {['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
	['A'] = 11,
	['B'] = 12,
	['C'] = 13,
	['D'] = 14,
	['E'] = 15,
	['F'] = 16};

int
hex_decode(const char *text, uint8_t *out, size_t len, struct err *e)
{
	if (strlen(text) != 2 * len)
		return err_set(e, ERR_MALFORMED, "%zu hexadecimal digits expected, %zu found",
			2 * len, strlen(text));
	for (size_t i = 0; i < 2 * len; i++) {
		if (hex_values[(uint8_t)text[i]] == 0)
			return err_set(
				e, ERR_MALFORMED, "'%c' is not a hexadecimal digit", text[i]);
	}
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)((hex_values[(uint8_t)text[2 * i]] - 1) << 4 |
				   (hex_values[(uint8_t)text[2 * i + 1]] - 1));
	return 0;
}

const char *
num_human_size(uint64_t bytes, char out[NUM_HUMAN_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t u = 0;

	/* 1023.95 would be written as 1024.0. */
	while (v >= (u == 0 ? 1024 : 1023.95) && u + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		(void)snprintf(out, NUM_HUMAN_SIZE, "%" PRIu64 " B", bytes);
	else
		(void)snprintf(out, NUM_HUMAN_SIZE, "%.1f %s", v, units[u]);
	return out;
}

bool
num_version_valid(const char *text)
{
	int parts = 0, digits = 0;

	for (;; text++) {
		if (isdigit((unsigned char)*text)) {
			if (++digits > VERSION_DIGITS_MAX)
				return false;
			continue;
		}
		if (digits == 0 || ++parts > VERSION_PARTS_MAX)
			return false;
		if (*text == 0)
			return true;
		if (*text != '.')
			return false;
		digits = 0;
	}
}

/* One part of a valid version, and the dot behind it; 0 once the text is used up. */
static uint64_t
version_part(const char **text)
{
	uint64_t v = 0;

	while (isdigit((unsigned char)**text))
		v = v * 10 + (uint64_t)(*(*text)++ - '0');
	if (**text == '.')
		(*text)++;
	return v;
}

int
num_version_compare(const char *a, const char *b)
{
	while (*a || *b) {
		uint64_t x = version_part(&a), y = version_part(&b);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}
