#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

enum { LINE_SIZE = 2048 };

static enum log_level shown = LOG_INFO;
static char tail[LOG_TAIL_BYTES];
static size_t tail_len;

void
log_set_level(enum log_level level)
{
	shown = level;
}

/* Keeps the newest lines: drops whole old ones until the new one fits. */
static void
tail_add(const char *line, size_t len)
{
	while (tail_len + len + 1 > sizeof(tail)) {
		const char *end = memchr(tail, '\n', tail_len);
		size_t drop = end ? (size_t)(end - tail) + 1 : tail_len;

		tail_len -= drop;
		memmove(tail, tail + drop, tail_len);
	}
	memcpy(tail + tail_len, line, len);
	tail_len += len;
	tail[tail_len++] = '\n';
}

void
log_line(enum log_level level, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;
	size_t len;

	va_start(args, format);
	if (vsnprintf(line, sizeof(line), format, args) < 0)
		line[0] = 0;
	va_end(args);
	text_clean(line);
	len = strlen(line);
	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\n' || line[i] == '\t')
			line[i] = '?';
	}
	tail_add(line, len);
	if (level > shown)
		return;
	if (getenv("JOURNAL_STREAM"))
		(void)fprintf(stderr, "<%d>%s\n", (int)level, line);
	else
		(void)fprintf(stderr, "%s\n", line);
}

size_t
log_tail(char *out, size_t size)
{
	size_t start = 0, len;

	if (size == 0)
		return 0;
	while (tail_len - start > size - 1) {
		const char *end = memchr(tail + start, '\n', tail_len - start);

		start = end ? (size_t)(end - tail) + 1 : tail_len;
	}
	len = tail_len - start;
	memcpy(out, tail + start, len);
	out[len] = 0;
	return len;
}
