#include "signer/csv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/limits.h"

enum { MESSAGE_SIZE = 256 };

/* Where a field stands between its first character and its last. */
enum place { PLACE_START, PLACE_PLAIN, PLACE_QUOTED, PLACE_BEHIND };

struct csv {
	const char *path;
	FILE *file;
	unsigned long line, first;	 /* where the reading is, and where the record began */
	char text[CSV_RECORD_BYTES_MAX]; /* its fields, each with a zero byte behind it */
	size_t len, count, starts[CSV_FIELDS_MAX];
};

void
csv_close(struct csv **c)
{
	if (!*c)
		return;
	if ((*c)->file)
		(void)fclose((*c)->file);
	free(*c);
	*c = NULL;
}

/* What spreadsheets write before UTF-8. */
static void
mark_skip(FILE *f)
{
	static const char mark[] = "\xef\xbb\xbf";
	char first[sizeof(mark)] = "";

	if (fread(first, 1, sizeof(mark) - 1, f) != sizeof(mark) - 1 || strcmp(first, mark) != 0)
		rewind(f);
}

int
csv_open(const char *path, struct csv **out, struct err *e)
{
	AUTO_CSV struct csv *c = calloc(1, sizeof(*c));
	AUTO_CLOSE int fd = -1;

	if (!c)
		return err_sys(e, ENOMEM, "%s", path);
	if (file_open_regular(path, &fd, e) < 0)
		return -1;
	c->file = fdopen(fd, "r");
	if (!c->file)
		return err_sys(e, errno, "%s", path);
	(void)take_fd(&fd);
	mark_skip(c->file);
	c->path = path;
	c->line = c->first = 1;
	*out = TAKE_PTR(c);
	return 0;
}

size_t
csv_count(const struct csv *c)
{
	return c->count;
}

const char *
csv_field(const struct csv *c, size_t i)
{
	return c->text + c->starts[i];
}

int
csv_error(const struct csv *c, struct err *e, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return err_set(e, ERR_MALFORMED, "%s:%lu: %s", c->path, c->first, message);
}

static int
byte_add(struct csv *c, int byte, struct err *e)
{
	if (c->len == sizeof(c->text))
		return err_set(e, ERR_LIMIT, "%s:%lu: this record is longer than %d bytes", c->path,
			c->first, CSV_RECORD_BYTES_MAX);
	c->text[c->len++] = (char)byte;
	return 0;
}

static int
field_begin(struct csv *c, struct err *e)
{
	if (c->count == CSV_FIELDS_MAX)
		return err_set(e, ERR_LIMIT, "%s:%lu: more than %d columns", c->path, c->first,
			CSV_FIELDS_MAX);
	c->starts[c->count++] = c->len;
	return 0;
}

/* A byte inside quotes; two quotes stand for one. */
static int
quoted_take(struct csv *c, int byte, enum place *place, struct err *e)
{
	int next;

	if (byte == EOF)
		return csv_error(c, e, "a quote is opened in this record and never closed");
	if (byte == '\n')
		c->line++;
	if (byte != '"')
		return byte_add(c, byte, e);
	next = getc_unlocked(c->file);
	if (next == '"')
		return byte_add(c, '"', e);
	(void)ungetc(next, c->file);
	*place = PLACE_BEHIND;
	return 0;
}

/* A byte outside quotes, which ends nothing. */
static int
plain_take(struct csv *c, int byte, enum place *place, struct err *e)
{
	if (*place == PLACE_BEHIND)
		return csv_error(
			c, e, "text stands behind a closing quote; write \"\" for a quote");
	if (byte == '"' && *place == PLACE_PLAIN)
		return csv_error(
			c, e, "a quote stands inside a field; put the whole field into quotes");
	if (byte == 0)
		return csv_error(c, e, "a zero byte; this is no text");
	*place = byte == '"' ? PLACE_QUOTED : PLACE_PLAIN;
	return byte == '"' ? 0 : byte_add(c, byte, e);
}

/* CR LF is as good as LF. */
static int
byte_next(struct csv *c)
{
	int byte = getc_unlocked(c->file), next;

	if (byte != '\r')
		return byte;
	next = getc_unlocked(c->file);
	if (next == '\n')
		return next;
	(void)ungetc(next, c->file);
	return byte;
}

/* Reads up to the record's end; false in *any: the file ended before it. */
static int
record_read(struct csv *c, bool *any, struct err *e)
{
	enum place place = PLACE_START;

	*any = false;
	for (;;) {
		int byte = place == PLACE_QUOTED ? getc_unlocked(c->file) : byte_next(c);

		if (place == PLACE_QUOTED) {
			if (quoted_take(c, byte, &place, e) < 0)
				return -1;
			continue;
		}
		if (byte == EOF && !*any)
			return 0;
		*any = true;
		if (byte == '\n')
			c->line++;
		if (byte == '\n' || byte == EOF)
			return byte_add(c, 0, e);
		if (byte == ',') {
			if (byte_add(c, 0, e) < 0 || field_begin(c, e) < 0)
				return -1;
			place = PLACE_START;
		} else if (plain_take(c, byte, &place, e) < 0) {
			return -1;
		}
	}
}

int
csv_next(struct csv *c, bool *record, struct err *e)
{
	bool any;

	do {
		c->len = c->count = 0;
		c->first = c->line;
		if (field_begin(c, e) < 0 || record_read(c, &any, e) < 0)
			return -1;
		if (ferror(c->file))
			return err_sys(e, errno, "%s", c->path);
	} while (any && c->count == 1 && c->len == 1);
	*record = any;
	return 0;
}
