#include "signer/delta_match.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "signer/delta_near.h"
#include "signer/delta_votes.h"

/* How far around old bytes is looked: where a chunk's are, and where those beside a known block
 * are. PLACES are tried for a chunk. */
enum { AROUND_CHUNK = 32 * 1024, AROUND_BLOCK = 16 * 1024, PLACES = 3 };

/* Blocks in a row of which it is known where they lie in the old bytes, in a row; or not known. */
struct segment {
	uint32_t at, size;
	uint64_t old_at;
};

struct delta_matcher {
	struct near *near;
	struct delta_path *path;
	struct delta_votes votes;
	struct segment segments[CHUNK_BYTES / DELTA_BLOCK_BYTES];
	size_t count;
	struct delta_stretch stretches[CHUNK_BYTES];
};

void
delta_matcher_free(struct delta_matcher **slot)
{
	struct delta_matcher *m = *slot;

	if (!m)
		return;
	near_free(&m->near);
	delta_path_free(&m->path);
	free(m);
}

int
delta_matcher_new(struct delta_matcher **out, struct err *e)
{
	AUTO_DELTA_MATCHER struct delta_matcher *m = calloc(1, sizeof(*m));

	if (!m)
		return err_sys(e, ENOMEM, "comparing old bytes with new ones");
	m->near = near_new(e);
	m->path = m->near ? delta_path_new(e) : NULL;
	if (!m->path)
		return -1;
	*out = TAKE_PTR(m);
	return 0;
}

static bool
is_known(const struct segment *s)
{
	return s->old_at != DELTA_NOWHERE;
}

static void
segments_find(
	struct delta_matcher *m, const struct delta_old *old, struct span chunk, uint64_t ahead)
{
	m->count = 0;
	for (uint32_t at = 0; at < chunk.len; at += DELTA_BLOCK_BYTES) {
		uint32_t size = (uint32_t)num_min(DELTA_BLOCK_BYTES, chunk.len - at);
		struct segment *last = m->count > 0 ? &m->segments[m->count - 1] : NULL;
		uint64_t here = ahead, old_at = DELTA_NOWHERE;

		if (last)
			here = is_known(last) ? last->old_at + last->size : DELTA_NOWHERE;
		if (size == DELTA_BLOCK_BYTES)
			old_at = delta_blocks_find(old->blocks, chunk.data + at, here);
		if (last && old_at == here)
			last->size += size;
		else
			m->segments[m->count++] = (struct segment){at, size, old_at};
	}
}

/* Old bytes around where something of this size would be. */
static void
ask_around(struct delta_matcher *m, struct span old, int64_t at, uint64_t size, int64_t around)
{
	near_ask(m->near, old, at - around, at + (int64_t)size + around);
}

static void
ask_places(struct delta_matcher *m, const struct delta_old *old, struct span chunk)
{
	int64_t places[DELTA_PLACES];
	size_t count;

	delta_votes_clear(&m->votes);
	for (size_t i = 0; i < m->count; i++) {
		const struct segment *s = &m->segments[i];

		if (!is_known(s))
			delta_votes_add(
				&m->votes, old->seeds, span_of(chunk.data + s->at, s->size), s->at);
	}
	count = delta_votes_count(&m->votes, places, PLACES);
	for (size_t i = 0; i < count; i++)
		ask_around(m, old->bytes, places[i], chunk.len + DELTA_VOTE_BYTES, AROUND_CHUNK);
}

/* What is not known may lie beside what is. */
static void
ask_beside(struct delta_matcher *m, const struct delta_old *old)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct segment *s = &m->segments[i];

		if (is_known(s))
			continue;
		if (i > 0 && is_known(s - 1))
			ask_around(m, old->bytes, (int64_t)(s[-1].old_at + s[-1].size), s->size,
				AROUND_BLOCK);
		if (i + 1 < m->count && is_known(s + 1))
			ask_around(m, old->bytes, (int64_t)s[1].old_at - s->size, s->size,
				AROUND_BLOCK);
	}
}

static void
near_fill(struct delta_matcher *m, const struct delta_old *old, struct span chunk, uint64_t ahead)
{
	near_clear(m->near);
	ask_places(m, old, chunk);
	if (ahead != DELTA_NOWHERE)
		ask_around(m, old->bytes, (int64_t)ahead, chunk.len, AROUND_CHUNK);
	ask_beside(m, old);
	near_take(m->near, old->bytes);
}

void
delta_match(struct delta_matcher *m, const struct delta_old *old, struct span chunk, uint64_t ahead,
	struct delta_match *out)
{
	*out = (struct delta_match){.stretches = m->stretches};
	segments_find(m, old, chunk, ahead);
	near_fill(m, old, chunk, ahead);
	delta_path_begin(m->path, m->near, chunk.data);
	for (size_t i = 0; i < m->count; i++) {
		const struct segment *s = &m->segments[i];
		uint64_t before = i > 0 ? s[-1].old_at + s[-1].size : ahead;

		if (is_known(s)) {
			m->stretches[out->count++] =
				(struct delta_stretch){s->at, s->size, s->old_at};
			out->cost += delta_path_step_cost();
			continue;
		}
		out->count += delta_path_find(m->path, s->at, s->at + s->size, before,
			i + 1 < m->count ? s[1].old_at : DELTA_NOWHERE, m->stretches + out->count,
			&out->cost);
	}
}
