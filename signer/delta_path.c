#include "signer/delta_path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"

/* What things take in a patch, once it is compressed, in 64ths of a byte: found by trying, with
 * kernels, programs and libraries of two Debian releases. */
enum {
	COST_BYTE = 64,
	COST_INSERT = 40,     /* a byte of inserts; */
	COST_INSERT_RUN = 2,  /* if it is the same as those before */
	COST_INSERTS = 16,    /* for some of them at all */
	COST_DIFF = 60,	      /* a byte of diffs; */
	COST_DIFF_KNOWN = 14, /* if it is one of the last ones, as it is where addresses moved */
	COST_GAP = 30,	      /* the two gaps around some */
	COST_STEP = 260,
	COST_STEP_BYTE = 100, /* of how far it goes, but the first */
	COST_STEP_MOST = COST_STEP + 3 * COST_STEP_BYTE,
	COST_NEVER = UINT32_MAX / 2
};

enum {
	TRACKS = 12,
	STEP_BACK_BYTES = 512, /* bytes gone through for where a step would better begin */
	SAME_MANY = 16,	       /* bytes that are right: nothing better is looked for */
	SAME_SURE = 32,	       /* and nothing else than this, while it lasts */
	PLACES_TRIED = 64,     /* gone through at once */
	WORD = 8
};

enum { OWN = INT32_MIN };

/* Old bytes lie where new ones do, plus this (in near->bytes). cost is that of all bytes up to the
 * one that is looked at, with the last of them from here, since `since`. */
struct track {
	int32_t shift;
	uint32_t cost, since;
	uint32_t diffs; /* the last ones, of those that are not the same */
	bool differs;	/* the last byte does */
};

/* The cheapest way to tell so many bytes: what the last are, since when, and the last track. */
struct cell {
	uint32_t cost, since;
	int32_t shift, last;
};

struct delta_path {
	const struct near *near;
	const uint8_t *fresh;
	uint32_t from, to;
	uint32_t sure; /* before this nothing is looked for */
	struct track own, tracks[TRACKS];
	size_t count;
	struct cell cells[CHUNK_BYTES + 1];
};

struct delta_path *
delta_path_new(struct err *e)
{
	struct delta_path *p = calloc(1, sizeof(*p));

	if (!p)
		(void)err_sys(e, ENOMEM, "comparing old bytes with new ones");
	return p;
}

void
delta_path_free(struct delta_path **p)
{
	free(*p);
}

void
delta_path_begin(struct delta_path *p, const struct near *near, const uint8_t *fresh)
{
	p->near = near;
	p->fresh = fresh;
}

uint32_t
delta_path_step_cost(void)
{
	return COST_STEP_MOST / COST_BYTE;
}

static uint64_t
word_at(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* How many bytes from here on are the same in both, of at most max. */
static uint32_t
same_bytes(const uint8_t *a, const uint8_t *b, uint32_t max)
{
	uint32_t n = 0;

	for (; n + WORD <= max; n += WORD) {
		uint64_t other = word_at(a + n) ^ word_at(b + n);

		if (other != 0)
			return n + (uint32_t)__builtin_ctzll(other) / 8;
	}
	while (n < max && a[n] == b[n])
		n++;
	return n;
}

/* Where a track has the byte at `at`; -1: nowhere. */
static int64_t
place_on(const struct delta_path *p, int32_t shift, uint32_t at)
{
	int64_t place = (int64_t)shift + at;

	return place < (int64_t)p->near->size ? place : -1;
}

static uint32_t
same_ahead(const struct delta_path *p, int32_t shift, uint32_t at)
{
	int64_t place = place_on(p, shift, at);

	if (place < 0)
		return 0;
	return same_bytes(p->near->bytes + place, p->fresh + at,
		(uint32_t)num_min(p->to - at, p->near->size - (size_t)place));
}

/* From where bytes were shifted like the last ones. */
static uint32_t
step_cost(int32_t last, int32_t shift)
{
	uint32_t distance;

	if (last == OWN)
		return COST_STEP_MOST;
	distance = (uint32_t)(last > shift ? last - shift : shift - last);
	if (distance < 1 << 6)
		return COST_STEP;
	if (distance < 1 << 13)
		return COST_STEP + COST_STEP_BYTE;
	return distance < 1 << 20 ? COST_STEP + 2 * COST_STEP_BYTE : COST_STEP_MOST;
}

/* Whether it is one of four bytes. */
static bool
has_byte(uint32_t bytes, uint8_t byte)
{
	const uint32_t each = 0x01010101;
	uint32_t other = bytes ^ each * byte;

	return (other - each) & ~other & each << 7;
}

static uint32_t
diff_cost(struct track *t, uint8_t diff)
{
	uint32_t gap = t->differs ? 0 : COST_GAP;

	if (has_byte(t->diffs, diff))
		return gap + COST_DIFF_KNOWN;
	t->diffs = t->diffs << 8 | diff;
	return gap + COST_DIFF;
}

/* Takes one more byte, or ends where the old bytes do. */
static void
track_go(const struct delta_path *p, struct track *t, uint32_t at)
{
	int64_t place = place_on(p, t->shift, at);
	uint8_t diff;

	if (place < 0) {
		t->cost = COST_NEVER;
		return;
	}
	diff = (uint8_t)(p->fresh[at] - p->near->bytes[place]);
	if (diff != 0)
		t->cost += diff_cost(t, diff);
	t->differs = diff != 0;
}

/* Takes more bytes, as long as it costs no more than most. */
static void
track_go_far(const struct delta_path *p, struct track *t, uint32_t at, uint32_t end, uint32_t most)
{
	while (at < end && t->cost <= most) {
		uint32_t same = same_ahead(p, t->shift, at);

		if (same > 0)
			t->differs = false;
		at += same;
		if (at < end)
			track_go(p, t, at++);
	}
}

/* A step to a track, from where of all places up to this one it is cheapest. */
static struct track
track_enter(const struct delta_path *p, int32_t shift, uint32_t at)
{
	const struct cell *here = &p->cells[at];
	struct track t = {.shift = shift,
			     .cost = here->cost + step_cost(here->last, shift),
			     .since = at},
		     back = {.shift = shift};
	uint32_t begin = at - (uint32_t)num_min(at - p->from, STEP_BACK_BYTES);

	for (uint32_t i = at; i > begin && back.cost < COST_STEP_MOST; i--) {
		const struct cell *c = &p->cells[i - 1];
		uint32_t cost;

		track_go(p, &back, i - 1);
		cost = back.cost + c->cost + step_cost(c->last, shift);
		if (cost < t.cost) {
			t.cost = cost;
			t.since = i - 1;
		}
	}
	return t;
}

static struct track *
track_find(struct delta_path *p, int32_t shift)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->tracks[i].shift == shift)
			return &p->tracks[i];
	}
	return NULL;
}

/* In place of the dearest, if there are too many. */
static void
track_add(struct delta_path *p, struct track t)
{
	size_t dearest = 0;

	if (p->count < TRACKS) {
		p->tracks[p->count++] = t;
		return;
	}
	for (size_t i = 1; i < p->count; i++) {
		if (p->tracks[i].cost > p->tracks[dearest].cost)
			dearest = i;
	}
	if (t.cost < p->tracks[dearest].cost)
		p->tracks[dearest] = t;
}

/* How many bytes are the same as at a place of near_first(), where less than a seed counts for
 * nothing. */
static uint32_t
same_at_place(const struct delta_path *p, uint64_t word, int32_t place, uint32_t at)
{
	uint64_t other = word_at(p->near->bytes + place) ^ word;

	if (other << 8 * (WORD - NEAR_SEED_BYTES) != 0)
		return 0;
	if (other != 0)
		return (uint32_t)__builtin_ctzll(other) / 8;
	return WORD + same_ahead(p, place - (int32_t)at, at + WORD);
}

/* Tracks that may be worth a step: those whose bytes are right for longest, and the nearest one. */
struct choice {
	int32_t longest, other, nearest;
	uint32_t longest_len, other_len, distance;
};

static void
choice_consider(struct choice *c, int32_t shift, uint32_t len, int32_t last)
{
	uint32_t distance = last == OWN ? UINT32_MAX : (uint32_t)abs(shift - last);

	if (len > c->longest_len) {
		c->other = c->longest;
		c->other_len = c->longest_len;
		c->longest = shift;
		c->longest_len = len;
	} else if (len > c->other_len) {
		c->other = shift;
		c->other_len = len;
	}
	if (distance < c->distance) {
		c->nearest = shift;
		c->distance = distance;
	}
}

static void
choice_take(struct delta_path *p, int32_t shift, uint32_t at)
{
	if (shift != OWN && !track_find(p, shift))
		track_add(p, track_enter(p, shift, at));
}

static void
tracks_look(struct delta_path *p, uint32_t at)
{
	struct choice c = {.longest = OWN, .other = OWN, .nearest = OWN, .distance = UINT32_MAX};
	int32_t place = p->to - at < WORD ? -1 : near_first(p->near, p->fresh + at),
		last = p->cells[at].last;
	uint64_t word = place < 0 ? 0 : word_at(p->fresh + at);

	for (int i = 0; i < PLACES_TRIED && place >= 0; i++, place = p->near->next[place]) {
		uint32_t same = same_at_place(p, word, place, at);

		if (same > 0)
			choice_consider(&c, place - (int32_t)at, same, last);
	}
	choice_take(p, c.longest, at);
	choice_take(p, c.other, at);
	choice_take(p, c.nearest, at);
	if (c.longest_len >= SAME_SURE)
		p->sure = at + c.longest_len - WORD;
}

/* What costs more than a step to it from the cheapest may be taken up again. */
static void
tracks_drop(struct delta_path *p, uint32_t cheapest)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		if (p->tracks[i].cost <= cheapest + COST_STEP_MOST)
			p->tracks[kept++] = p->tracks[i];
	}
	p->count = kept;
}

static void
own_go(struct delta_path *p, uint32_t at)
{
	const uint8_t *fresh = p->fresh;
	bool run = at > p->from + 1 && fresh[at] == fresh[at - 1] && fresh[at] == fresh[at - 2];

	if (p->cells[at].cost + COST_INSERTS < p->own.cost) {
		p->own.cost = p->cells[at].cost + COST_INSERTS;
		p->own.since = at;
	}
	p->own.cost += run ? COST_INSERT_RUN : COST_INSERT;
}

static void
one_byte(struct delta_path *p, uint32_t at)
{
	const struct track *best = &p->own;

	own_go(p, at);
	for (size_t i = 0; i < p->count; i++) {
		struct track *t = &p->tracks[i];

		track_go(p, t, at);
		if (t->cost < best->cost)
			best = t;
	}
	p->cells[at + 1] = (struct cell){best->cost, best->since, best->shift,
		best->shift == OWN ? p->cells[best->since].last : best->shift};
	tracks_drop(p, best->cost);
}

/* Bytes that the cheapest has right. */
static void
many_bytes(struct delta_path *p, uint32_t at, uint32_t n)
{
	struct cell best = p->cells[at];

	for (uint32_t i = 1; i <= n; i++)
		p->cells[at + i] = best;
	for (size_t i = 0; i < p->count; i++)
		track_go_far(p, &p->tracks[i], at, at + n, best.cost + COST_STEP_MOST);
	tracks_drop(p, best.cost);
	p->own.cost = COST_NEVER;
}

static int32_t
shift_of(const struct delta_path *p, uint64_t old_at, uint32_t at)
{
	int32_t place = old_at == DELTA_NOWHERE ? -1 : near_place(p->near, old_at);

	return place < 0 ? OWN : place - (int32_t)at;
}

static void
path_begin(struct delta_path *p, uint32_t from, uint32_t to, uint64_t before)
{
	int32_t shift = shift_of(p, before, from);

	p->from = from;
	p->to = to;
	p->sure = 0;
	p->count = 0;
	p->own = (struct track){.shift = OWN, .cost = COST_NEVER, .since = from};
	p->cells[from] = (struct cell){0, from, shift, shift};
	if (shift != OWN)
		track_add(p, (struct track){.shift = shift, .since = from});
}

/* The cheapest end: one that goes on behind needs no step there. */
static struct cell
path_end(struct delta_path *p, uint64_t behind)
{
	struct cell last = p->cells[p->to];
	int32_t shift = shift_of(p, behind, p->to);
	const struct track *there;
	struct track t;

	if (shift == OWN || shift == last.shift)
		return last;
	there = track_find(p, shift);
	t = there ? *there : track_enter(p, shift, p->to);
	if (t.cost >= last.cost + step_cost(last.last, shift))
		return last;
	return (struct cell){t.cost, t.since, shift, shift};
}

/* From the end back to the beginning, and then in order. */
static size_t
path_trace(const struct delta_path *p, struct cell last, struct delta_stretch *out)
{
	size_t count = 0;

	for (uint32_t end = p->to; end > p->from;) {
		struct delta_stretch *s = &out[count++];

		*s = (struct delta_stretch){last.since, end - last.since, DELTA_NOWHERE};
		if (last.shift != OWN)
			s->old_at = near_old(p->near, (size_t)((int64_t)last.shift + last.since));
		end = last.since;
		last = p->cells[end];
	}
	for (size_t i = 0, k = count; i + 1 < k--; i++) {
		struct delta_stretch s = out[i];

		out[i] = out[k];
		out[k] = s;
	}
	return count;
}

size_t
delta_path_find(struct delta_path *p, uint32_t from, uint32_t to, uint64_t before, uint64_t behind,
	struct delta_stretch *out, uint32_t *cost)
{
	struct cell last;

	path_begin(p, from, to, before);
	for (uint32_t at = from; at < to;) {
		uint32_t same =
			p->cells[at].shift == OWN ? 0 : same_ahead(p, p->cells[at].shift, at);

		if (same >= SAME_MANY) {
			many_bytes(p, at, same);
			at += same;
			continue;
		}
		if (at >= p->sure)
			tracks_look(p, at);
		one_byte(p, at++);
	}
	last = path_end(p, behind);
	*cost += last.cost / COST_BYTE;
	return path_trace(p, last, out);
}
