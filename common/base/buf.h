/* Bytes: a growing buffer with a ceiling, and a view of bytes that somebody else owns. */
#ifndef SLUICE_BASE_BUF_H
#define SLUICE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

/* A view; owns nothing and lives no longer than what it looks at. */
struct span {
	const uint8_t *data;
	size_t len;
};

/* Owns data. data[len] is always a zero byte once anything was appended, so text can be read as a
 * C string. max is the most that len may become; growing past it is ERR_LIMIT. */
struct buf {
	uint8_t *data;
	size_t len, cap, max;
};

#define BUF_INIT(limit) ((struct buf){.max = (limit)})
#define AUTO_BUF CLEANUP(buf_free)

static inline struct span
span_of(const void *data, size_t len)
{
	return (struct span){data, len};
}

/* A view of a C string, without its zero byte. */
struct span span_str(const char *s);

/* Whether both hold the same bytes. Not constant time: never for secrets. */
bool span_equal(struct span a, struct span b);

/* Whether all bytes are zero; true where there are none. */
bool span_is_zero(struct span s);

static inline struct span
buf_span(const struct buf *b)
{
	return (struct span){b->data, b->len};
}

/* The text in b as a C string; "" while nothing was appended. Lives until b changes. */
const char *buf_str(const struct buf *b);

/* Frees what b owns and leaves it empty with the same max. NULL is allowed. */
void buf_free(struct buf *b);

/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);

/* Forgets all behind the first len bytes; len is at most b->len. */
void buf_truncate(struct buf *b, size_t len);

/* Makes room for extra more bytes. ERR_LIMIT past max, ERR_SYSTEM without memory. */
int buf_reserve(struct buf *b, size_t extra, struct err *e);

/* Appends. On failure b is as it was. Errors as buf_reserve. */
int buf_append(struct buf *b, const void *data, size_t len, struct err *e);
int buf_printf(struct buf *b, struct err *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Hands the bytes to the caller, who frees them, and leaves b empty. */
uint8_t *buf_take(struct buf *b, size_t *len);

#endif
