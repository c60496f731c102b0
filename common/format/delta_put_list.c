/* Making a list's pieces: lines that the old list has, too, are taken from there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/delta_parts.h"

#define NOWHERE UINT64_MAX

/* Where lines of the old list begin, by a number that stands for their bytes. */
struct lines {
	struct span list;
	size_t mask;
	uint64_t *at; /* 1 more; 0: none */
};

/* A step that is being put together. */
struct step {
	const uint8_t *fresh;
	uint64_t old_at;
	size_t taken, inserted;
};

struct list_writer {
	struct span old;
	struct patch_writer *patch;
	struct step step;
	size_t piece; /* bytes of it so far */
	struct buf *out, stored;
};

static struct span
line_at(struct span list, uint64_t at)
{
	const uint8_t *end = memchr(list.data + at, '\n', list.len - (size_t)at);
	size_t len = end ? (size_t)(end - list.data) + 1 - (size_t)at : list.len - (size_t)at;

	return span_of(list.data + at, len);
}

static size_t
line_slot(const struct lines *l, struct span line)
{
	uint64_t number = 0;

	for (size_t i = 0; i < line.len; i++)
		number = number * HINT_FACTOR + line.data[i];
	return (size_t)(number >> 24) & l->mask;
}

static int
lines_read(struct lines *l, struct span list, struct err *e)
{
	size_t count = 1;

	for (size_t i = 0; i < list.len; i++)
		count += list.data[i] == '\n';
	l->list = list;
	for (l->mask = 1; l->mask < 2 * count; l->mask *= 2)
		;
	l->at = calloc(l->mask, sizeof(*l->at));
	if (!l->at)
		return err_sys(e, ENOMEM, "reading a list of %zu lines", count);
	l->mask--;
	for (uint64_t at = 0; at < list.len;) {
		struct span line = line_at(list, at);
		size_t slot = line_slot(l, line);

		while (l->at[slot] != 0)
			slot = (slot + 1) & l->mask;
		l->at[slot] = at + 1;
		at += line.len;
	}
	return 0;
}

static void
lines_free(struct lines *l)
{
	free(l->at);
}

static uint64_t
line_find(const struct lines *l, struct span line)
{
	for (size_t slot = line_slot(l, line); l->at[slot] != 0; slot = (slot + 1) & l->mask) {
		if (span_equal(line_at(l->list, l->at[slot] - 1), line))
			return l->at[slot] - 1;
	}
	return NOWHERE;
}

static int
step_flush(struct list_writer *w, struct err *e)
{
	struct step s = w->step;

	w->step = (struct step){0};
	if (s.taken + s.inserted == 0)
		return 0;
	return patch_step(w->patch, w->old.data + s.old_at, s.old_at,
		span_of(s.fresh, s.taken + s.inserted), s.taken, e);
}

static int
piece_flush(struct list_writer *w, struct err *e)
{
	uint8_t size[4];

	if (w->piece == 0)
		return 0;
	w->piece = 0;
	buf_clear(&w->stored);
	if (step_flush(w, e) < 0 || patch_finish(w->patch, &w->stored, e) < 0)
		return -1;
	num_put_le32(size, (uint32_t)w->stored.len);
	if (buf_append(w->out, size, sizeof(size), e) < 0)
		return -1;
	return buf_append(w->out, w->stored.data, w->stored.len, e);
}

/* Some bytes of the new list, which are inserted, or lie at old_at. */
static int
bytes_put(struct list_writer *w, const uint8_t *fresh, size_t len, uint64_t old_at, struct err *e)
{
	struct step *s = &w->step;
	bool goes_on = old_at == NOWHERE
			       ? s->taken + s->inserted > 0
			       : s->inserted == 0 && s->taken > 0 && old_at == s->old_at + s->taken;

	if (!goes_on) {
		if (step_flush(w, e) < 0)
			return -1;
		*s = (struct step){.fresh = fresh, .old_at = old_at == NOWHERE ? 0 : old_at};
	}
	*(old_at == NOWHERE ? &s->inserted : &s->taken) += len;
	w->piece += len;
	return w->piece == DELTA_LIST_PIECE ? piece_flush(w, e) : 0;
}

static int
line_put(struct list_writer *w, struct span line, uint64_t old_at, struct err *e)
{
	while (line.len > 0) {
		size_t n = (size_t)num_min(line.len, DELTA_LIST_PIECE - w->piece);

		if (bytes_put(w, line.data, n, old_at, e) < 0)
			return -1;
		line.data += n;
		line.len -= n;
		if (old_at != NOWHERE)
			old_at += n;
	}
	return 0;
}

int
delta_put_list(struct span old_list, struct span new_list, struct buf *out, struct err *e)
{
	AUTO_PATCH_WRITER struct patch_writer *patch = NULL;
	CLEANUP(lines_free) struct lines lines = {0};
	struct list_writer w = {.old = old_list, .out = out, .stored = BUF_INIT(PATCH_STORED_MAX)};
	int rc = 0;

	if (patch_writer_new(&patch, e) < 0 || lines_read(&lines, old_list, e) < 0)
		return -1;
	w.patch = patch;
	for (uint64_t at = 0; rc == 0 && at < new_list.len;) {
		struct span line = line_at(new_list, at);

		rc = line_put(&w, line, line_find(&lines, line), e);
		at += line.len;
	}
	if (rc == 0)
		rc = piece_flush(&w, e);
	buf_free(&w.stored);
	return rc;
}
