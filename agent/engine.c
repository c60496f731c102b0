#include "agent/engine.h"

#include <errno.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/format/codec.h"

enum { ZERO_STEP_BYTES = 4 << 20 };

/* Written by nobody, and not const: so they need no room in the file. */
static uint8_t ZEROS[CHUNK_BYTES];

/* Where the fetching stands. */
struct work {
	const struct engine *g;
	struct wants *wrong; /* borrowed */
	uint8_t *plain, *stored;
	struct inflater *inflater;
	/* The scout runs ahead of the index to see how far a range goes. */
	struct chunk ahead;
	uint64_t ahead_entry; /* ahead is that entry; UINT64_MAX: nothing read yet */
	bool ahead_more;
	/* The open range, in the data member. */
	uint64_t range_at, range_end;
	bool changed;
};

static void
work_free(struct work *w)
{
	if (w->g && w->g->source)
		w->g->source->close(w->g->source->arg);
	inflater_free(&w->inflater);
	free(w->plain);
	free(w->stored);
}

static int
work_init(struct work *w, const struct engine *g, struct wants *wrong, struct err *e)
{
	w->g = g;
	w->wrong = wrong;
	w->ahead_entry = UINT64_MAX;
	w->plain = malloc(CHUNK_BYTES);
	w->stored = malloc(CHUNK_STORED_MAX);
	if (!w->plain || !w->stored)
		return err_sys(e, ENOMEM, "installing");
	return inflater_new(&w->inflater, e);
}

static int
ask(const struct engine *g, struct err *e)
{
	return keep_going_ask(g->keep_going, e);
}

/* Whether the place holds chunk c. data holds CHUNK_BYTES. */
static int
chunk_is_right(
	const struct engine *g, const struct chunk *c, uint8_t *data, bool *right, struct err *e)
{
	bool same = true;

	if (c->store != CHUNK_ZERO_RUN) {
		struct digest now;

		if (g->place->read(g->place->arg, data, (size_t)c->size, c->offset, e) < 0)
			return -1;
		now = digest_of(span_of(data, (size_t)c->size));
		*right = digest_equal(&now, &c->plain);
		return 0;
	}
	for (uint64_t done = 0; done < c->size && same;) {
		size_t step = (size_t)num_min(c->size - done, CHUNK_BYTES);

		if (ask(g, e) < 0 ||
			g->place->read(g->place->arg, data, step, c->offset + done, e) < 0)
			return -1;
		same = memcmp(data, ZEROS, step) == 0;
		done += step;
	}
	*right = same;
	return 0;
}

/* The first pass: what is wrong? The walk ends with the index's own digest checked once more, so
 * nothing is fetched or written by an index that changed under our hands. */
static int
compare(struct work *w, struct err *e)
{
	const struct engine *g = w->g;

	if (index_rewind(g->index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more, right;

		if (index_next(g->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (ask(g, e) < 0 || chunk_is_right(g, &c, w->plain, &right, e) < 0)
			return -1;
		g->stats->chunks++;
		if (right)
			g->stats->bytes_in_place += c.size;
		else
			wants_add(w->wrong, entry);
	}
}

static int
scout_next(struct work *w, struct err *e)
{
	w->ahead_entry++;
	return index_next(w->g->scout, &w->ahead, &w->ahead_more, e);
}

/* Opens the range that starts with entry's stored bytes and goes on while entries are wrong. Zero
 * runs have no stored bytes and so interrupt nothing. */
static int
range_open(struct work *w, uint64_t entry, const struct chunk *c, struct err *e)
{
	const struct engine *g = w->g;
	uint64_t end = c->stored_offset, offset;

	while (w->ahead_entry == UINT64_MAX || w->ahead_entry < entry) {
		if (scout_next(w, e) < 0)
			return -1;
	}
	while (w->ahead_more &&
		(w->ahead.store == CHUNK_ZERO_RUN || wants_has(w->wrong, w->ahead_entry))) {
		end = w->ahead.stored_offset + w->ahead.stored_size;
		if (scout_next(w, e) < 0)
			return -1;
	}
	if (num_add(g->data_offset, c->stored_offset, &offset, "a range of the bundle", e) < 0)
		return -1;
	w->range_at = c->stored_offset;
	w->range_end = end;
	return g->source->open(g->source->arg, offset, end - c->stored_offset, e);
}

/* Opens the rest of a range that broke off, unless the last try brought nothing either. */
static int
range_reopen(struct work *w, uint64_t *opened_at, struct err *e)
{
	const struct source *s = w->g->source;

	if (w->range_at == *opened_at)
		return -1;
	*opened_at = w->range_at;
	return s->open(s->arg, w->g->data_offset + w->range_at, w->range_end - w->range_at, e);
}

static int
stored_read(struct work *w, const struct chunk *c, struct err *e)
{
	const struct engine *g = w->g;
	uint64_t opened_at = UINT64_MAX;

	for (size_t got = 0; got < c->stored_size;) {
		ssize_t n =
			g->source->read(g->source->arg, w->stored + got, c->stored_size - got, e);

		if (n == 0) {
			n = -1;
			err_set(e, ERR_NETWORK, "the range ended before its length");
		}
		if (n < 0 && (e->class != ERR_NETWORK || range_reopen(w, &opened_at, e) < 0))
			return -1;
		if (n < 0)
			continue;
		got += (size_t)n;
		w->range_at += (uint64_t)n;
		g->stats->bytes_fetched += (uint64_t)n;
	}
	return 0;
}

/* What one server spoilt another may have as it was signed: the digest decides. The range goes on
 * from this chunk. */
static int
chunk_turn(struct work *w, const struct chunk *c, unsigned tries, struct err *e)
{
	const struct source *s = w->g->source;

	(void)err_context(e, "chunk at byte %llu", (unsigned long long)c->offset);
	if (e->class != ERR_UNTRUSTED || !s->elsewhere ||
		s->elsewhere(s->arg, tries, c->stored_size, e) < 0)
		return -1;
	w->range_at = c->stored_offset;
	return s->open(s->arg, w->g->data_offset + w->range_at, w->range_end - w->range_at, e);
}

static int
chunk_fetch(struct work *w, uint64_t entry, const struct chunk *c, struct err *e)
{
	const struct engine *g = w->g;

	if (c->stored_offset != w->range_at || w->range_at >= w->range_end) {
		if (range_open(w, entry, c, e) < 0)
			return -1;
	}
	for (unsigned tries = 0;; tries++) {
		if (stored_read(w, c, e) < 0)
			return -1;
		if (chunk_decode(w->inflater, c, span_of(w->stored, c->stored_size), w->plain, e) ==
			0)
			break;
		if (chunk_turn(w, c, tries, e) < 0)
			return -1;
	}
	if (g->place->write(g->place->arg, w->plain, (size_t)c->size, c->offset, e) < 0)
		return -1;
	g->stats->bytes_written += c->size;
	return 0;
}

static int
chunk_mend(struct work *w, uint64_t entry, const struct chunk *c, struct err *e)
{
	const struct engine *g = w->g;

	w->changed = true;
	if (c->store != CHUNK_ZERO_RUN)
		return chunk_fetch(w, entry, c, e);
	/* A run may be as long as the slot, and where there are no holes it is written. */
	for (uint64_t done = 0; done < c->size;) {
		uint64_t step = num_min(c->size - done, ZERO_STEP_BYTES), written;

		if (ask(g, e) < 0 ||
			g->place->zero(g->place->arg, c->offset + done, step, &written, e) < 0)
			return -1;
		g->stats->bytes_written += written;
		done += step;
	}
	return 0;
}

/* The second pass: mends what is wrong. */
static int
mend(struct work *w, struct err *e)
{
	const struct engine *g = w->g;

	if (index_rewind(g->index, e) < 0 || index_rewind(g->scout, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(g->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (!wants_has(w->wrong, entry))
			continue;
		if (ask(g, e) < 0 || chunk_mend(w, entry, &c, e) < 0)
			return -1;
	}
}

int
place_zero_by_writing(
	const struct place *p, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	uint8_t now[CHUNK_BYTES];

	for (uint64_t done = 0; done < len;) {
		size_t step = (size_t)num_min(len - done, sizeof(now));

		if (p->read(p->arg, now, step, offset + done, e) < 0)
			return -1;
		if (memcmp(now, ZEROS, step) != 0) {
			if (p->write(p->arg, ZEROS, step, offset + done, e) < 0)
				return -1;
			*written += step;
		}
		done += step;
	}
	return 0;
}

int
engine_compare(const struct engine *g, struct wants **out, struct err *e)
{
	AUTO_WANTS struct wants *wrong = NULL;
	CLEANUP(work_free) struct work w = {0};

	if (wants_new(index_entries(g->index), &wrong, e) < 0 || work_init(&w, g, wrong, e) < 0 ||
		compare(&w, e) < 0)
		return -1;
	*out = TAKE_PTR(wrong);
	return 0;
}

int
engine_mend(const struct engine *g, struct wants *wrong, bool *changed, struct err *e)
{
	CLEANUP(work_free) struct work w = {0};
	int rc;

	*changed = false;
	if (work_init(&w, g, wrong, e) < 0)
		return -1;
	rc = mend(&w, e);
	*changed = w.changed;
	return rc;
}

int
engine_fill(const struct engine *g, bool *changed, struct err *e)
{
	AUTO_WANTS struct wants *wrong = NULL;

	*changed = false;
	return engine_compare(g, &wrong, e) < 0 ? -1 : engine_mend(g, wrong, changed, e);
}

int
engine_check(const struct engine *g, struct err *e)
{
	AUTO_FREE uint8_t *data = malloc(CHUNK_BYTES);

	if (!data)
		return err_sys(e, ENOMEM, "reading back");
	if (index_rewind(g->index, e) < 0)
		return -1;
	for (;;) {
		struct chunk c;
		bool more, right;

		if (index_next(g->index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (ask(g, e) < 0 || chunk_is_right(g, &c, data, &right, e) < 0)
			return -1;
		if (!right)
			return err_set(e, ERR_SYSTEM,
				"bytes %llu to %llu read back other than they were written; the "
				"storage is failing",
				(unsigned long long)c.offset,
				(unsigned long long)(c.offset + c.size - 1));
	}
}
