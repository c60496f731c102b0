/* Varints: whole numbers in as many bytes as they need, 7 bits each, the lowest first, the highest
 * bit set on all bytes but the last. Signed ones are folded (zigzag): 0, -1, 1, -2 are 0, 1, 2, 3.
 */
#ifndef SLUICE_FORMAT_VARINT_H
#define SLUICE_FORMAT_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum { VARINT_SIZE = 10, VARINT_BITS = 7, VARINT_MORE = 0x80 };

/* Writes v, and returns how many bytes that took. */
static inline size_t
varint_put(uint8_t out[VARINT_SIZE], uint64_t v)
{
	size_t n = 0;

	for (; v >= VARINT_MORE; v >>= VARINT_BITS)
		out[n++] = (uint8_t)(v | VARINT_MORE);
	out[n++] = (uint8_t)v;
	return n;
}

/* Appends v. Errors of buf_append(). */
static inline int
varint_append(struct buf *out, uint64_t v, struct err *e)
{
	uint8_t bytes[VARINT_SIZE];

	return buf_append(out, bytes, varint_put(bytes, v), e);
}

/* One that is read byte by byte. */
struct varint {
	uint64_t value;
	unsigned bits;
};

/* Takes the next byte: *more while it goes on. False for what is more than 64 bits, or is written
 * with more bytes than it needs: a number has one form. */
static inline bool
varint_take(struct varint *v, uint8_t byte, bool *more)
{
	uint64_t part = byte & (VARINT_MORE - 1);

	if (v->bits > 63 || (v->bits == 63 && part > 1) || (v->bits > 0 && byte == 0))
		return false;
	v->value |= part << v->bits;
	v->bits += VARINT_BITS;
	*more = byte & VARINT_MORE;
	return true;
}

static inline uint64_t
zigzag_fold(int64_t v)
{
	return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t
zigzag_unfold(uint64_t v)
{
	return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

#endif
