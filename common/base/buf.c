#include "common/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_CAP_MIN = 64 };

struct span
span_str(const char *s)
{
	return (struct span){(const uint8_t *)s, strlen(s)};
}

bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Each byte is the one before it, which is quicker than a loop over them. */
bool
span_is_zero(struct span s)
{
	return s.len == 0 || (s.data[0] == 0 && memcmp(s.data, s.data + 1, s.len - 1) == 0);
}

const char *
buf_str(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

void
buf_free(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

void
buf_clear(struct buf *b)
{
	buf_truncate(b, 0);
}

void
buf_truncate(struct buf *b, size_t len)
{
	b->len = len;
	if (b->data)
		b->data[len] = 0;
}

int
buf_reserve(struct buf *b, size_t extra, struct err *e)
{
	size_t want, cap;
	uint8_t *grown;

	if (__builtin_add_overflow(b->len, extra, &want) || want > b->max)
		return err_set(e, ERR_LIMIT, "more than %zu bytes", b->max);
	if (b->data && want < b->cap)
		return 0;
	cap = b->cap < BUF_CAP_MIN ? BUF_CAP_MIN : b->cap;
	while (cap <= want) {
		if (__builtin_mul_overflow(cap, (size_t)2, &cap))
			return err_set(e, ERR_LIMIT, "more than memory can address");
	}
	grown = realloc(b->data, cap);
	if (!grown)
		return err_sys(e, ENOMEM, "growing a buffer to %zu bytes", cap);
	b->data = grown;
	b->cap = cap;
	b->data[b->len] = 0;
	return 0;
}

int
buf_append(struct buf *b, const void *data, size_t len, struct err *e)
{
	if (buf_reserve(b, len, e) < 0)
		return -1;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
	return 0;
}

int
buf_printf(struct buf *b, struct err *e, const char *format, ...)
{
	va_list args, again;
	int len, made;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || buf_reserve(b, (size_t)len, e) < 0) {
		va_end(again);
		return len < 0 ? err_sys(e, errno, "formatting text") : -1;
	}
	made = vsnprintf((char *)b->data + b->len, b->cap - b->len, format, again);
	va_end(again);
	if (made != len) {
		buf_truncate(b, b->len);
		return err_set(e, ERR_SYSTEM, "formatting text gave %d bytes, then %d", len, made);
	}
	b->len += (size_t)len;
	return 0;
}

uint8_t *
buf_take(struct buf *b, size_t *len)
{
	uint8_t *data = b->data;

	if (len)
		*len = b->len;
	b->data = NULL;
	b->len = b->cap = 0;
	return data;
}
