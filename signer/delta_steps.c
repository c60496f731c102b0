#include "signer/delta_steps.h"

static int
step_end(struct delta_steps *s, struct err *e)
{
	size_t len = s->taken + s->inserted;

	if (len == 0)
		return 0;
	if (patch_step(s->writer, s->old.data + s->old_at, s->old_at, span_of(s->fresh, len),
		    s->taken, e) < 0)
		return -1;
	s->end = s->old_at + s->taken;
	s->taken = s->inserted = 0;
	return 0;
}

/* Whether the last step can have these bytes, too. Those that are taken come before the others. */
static bool
step_goes_on(const struct delta_steps *s, const uint8_t *fresh, uint64_t old_at)
{
	size_t len = s->taken + s->inserted;

	if (len == 0 || fresh != s->fresh + len)
		return false;
	return old_at == DELTA_NOWHERE || (s->inserted == 0 && old_at == s->old_at + s->taken);
}

static int
stretch_add(struct delta_steps *s, const uint8_t *fresh, const struct delta_stretch *stretch,
	struct err *e)
{
	bool own = stretch->old_at == DELTA_NOWHERE;

	if (!step_goes_on(s, fresh, stretch->old_at)) {
		if (step_end(s, e) < 0)
			return -1;
		s->fresh = fresh;
		s->old_at = own ? s->end : stretch->old_at;
	}
	*(own ? &s->inserted : &s->taken) += stretch->size;
	return 0;
}

int
delta_steps_add(
	struct delta_steps *s, struct span chunk, const struct delta_match *match, struct err *e)
{
	for (size_t i = 0; i < match->count; i++) {
		const struct delta_stretch *stretch = &match->stretches[i];

		if (stretch_add(s, chunk.data + stretch->at, stretch, e) < 0)
			return -1;
	}
	return 0;
}

int
delta_steps_finish(struct delta_steps *s, struct buf *out, struct err *e)
{
	if (step_end(s, e) < 0)
		return -1;
	s->end = 0;
	return patch_finish(s->writer, out, e);
}
