/* Numbers: checked arithmetic, byte order, hexadecimal, and the units that people write. */
#ifndef SLUICE_BASE_NUM_H
#define SLUICE_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* *out = a + b (a * b), or ERR_LIMIT naming what. *out is untouched on overflow. */
int num_add(uint64_t a, uint64_t b, uint64_t *out, const char *what, struct err *e);
int num_mul(uint64_t a, uint64_t b, uint64_t *out, const char *what, struct err *e);

static inline uint64_t
num_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
num_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* n / unit, rounded up; unit is not 0. */
static inline uint64_t
num_div_up(uint64_t n, uint64_t unit)
{
	return n / unit + (n % unit != 0);
}

static inline void
num_put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline uint16_t
num_get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline void
num_put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline void
num_put_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t
num_get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t
num_get_le64(const uint8_t *p)
{
	return (uint64_t)num_get_le32(p) | (uint64_t)num_get_le32(p + 4) << 32;
}

static inline uint64_t
num_get_be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* A plain decimal number between min and max: no sign, no blanks, no leading zero but "0" itself.
 * ERR_MALFORMED or ERR_LIMIT. */
int num_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *e);

/* "90s", "15m", "4h", "2d"; the unit is a must. Seconds out. */
int num_parse_duration(const char *text, uint64_t max_s, uint64_t *out_s, struct err *e);

/* "4096", "64KiB", "3MiB", "2GiB", and "200MB" with thousands. Bytes out. */
int num_parse_size(const char *text, uint64_t max, uint64_t *out, struct err *e);

/* "98%" or "2.5%", up to two places; hundredths of a percent out (0 to 10000). */
int num_parse_percent(const char *text, uint32_t *out_bp, struct err *e);

/* Writes 2 * len digits and a zero byte; out holds 2 * len + 1. Lower case. */
void hex_encode(const uint8_t *data, size_t len, char *out);

/* Reads exactly len bytes from exactly 2 * len digits of either case. ERR_MALFORMED. */
int hex_decode(const char *text, uint8_t *out, size_t len, struct err *e);

/* "1.4 GiB": for people. out holds NUM_HUMAN_SIZE. Returns out. */
enum { NUM_HUMAN_SIZE = 24 };
const char *num_human_size(uint64_t bytes, char out[NUM_HUMAN_SIZE]);

/* -1, 0 or 1 as dotted numeric version a is older than, equal to or newer than b ("2.10" is newer
 * than "2.9"; "2.1" equals "2.1.0"). Both must have passed num_version_valid. For display and the
 * plan's `from` only: nothing about security rests on a version string. */
int num_version_compare(const char *a, const char *b);

/* 1 to 8 parts of up to 9 digits each, with dots between. */
bool num_version_valid(const char *text);

#endif
