#include "signer/simulation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"

/* Seconds; see simulation.h. */
enum {
	FETCH_SHORTEST_S = 120,
	FETCH_LONGEST_S = 600,
	CONFIRM_SHORTEST_S = 60,
	CONFIRM_LONGEST_S = 180,
	WATCH_S = 60, /* silence is noticed once a minute */
};

enum what { BOX_STARTS, BOX_REBOOTS, BOX_ENDS, BOX_SILENT, WAVE_SOAKED };

struct event {
	uint64_t at_s;
	uint32_t box;
	enum what what;
};

enum fate { FATE_OK, FATE_FAILING, FATE_BRICKING, FATE_OFFLINE };

struct box {
	uint64_t seen_s;
	bool decided, overdue;
};

/* One run in the making. */
struct world {
	const struct plan *plan;
	const struct simulated_fleet *fleet;
	const struct simulation *settings;
	uint64_t seed, now_s;
	struct box *boxes;
	struct event *heap;
	size_t waiting; /* in the heap */
	struct tally tallies[WAVES_MAX];
	size_t open;
	bool soak_watched, passed;
	struct judgement judgement;
};

/* Draws that a box makes. */
enum draw { DRAW_FATE = 1, DRAW_COMES, DRAW_POLLS, DRAW_FETCHES, DRAW_CONFIRMS };

/* Steele, Lea and Flood: SplitMix64. */
static uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15U;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return x ^ x >> 31;
}

/* From 0 to below n, which is under 2³². The same for a box whatever happens to others. */
static uint64_t
draw(const struct world *w, uint32_t box, enum draw what, uint64_t n)
{
	return (mix(mix(mix(w->seed) + box) + (uint64_t)what) >> 32) * n >> 32;
}

static enum fate
fate_of(const struct world *w, uint32_t box)
{
	uint64_t at = draw(w, box, DRAW_FATE, 10000), offline = w->settings->offline_bp,
		 failing = offline + w->settings->failing_bp;

	if (at < offline)
		return FATE_OFFLINE;
	if (at < failing)
		return FATE_FAILING;
	return at < failing + w->settings->bricking_bp ? FATE_BRICKING : FATE_OK;
}

static bool
event_before(const struct event *a, const struct event *b)
{
	if (a->at_s != b->at_s)
		return a->at_s < b->at_s;
	return a->box != b->box ? a->box < b->box : a->what < b->what;
}

/* The heap has room: three events a box and one of the wave is all that ever wait. */
static void
event_put(struct world *w, uint64_t at_s, uint32_t box, enum what what)
{
	struct event new = {at_s, box, what};
	size_t i = w->waiting++;

	for (; i > 0 && event_before(&new, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = new;
}

static struct event
event_take(struct world *w)
{
	struct event first = w->heap[0], last = w->heap[--w->waiting];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->waiting) {
		if (child + 1 < w->waiting && event_before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!event_before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return first;
}

static void
wave_open(struct world *w)
{
	size_t wave = w->open++;

	w->tallies[wave].boxes = w->fleet->in_wave[wave];
	for (uint32_t box = 0; box < w->fleet->boxes; box++) {
		if (w->fleet->wave_of[box] != wave || fate_of(w, box) == FATE_OFFLINE)
			continue;
		event_put(w,
			w->now_s + draw(w, box, DRAW_COMES, w->settings->over_s + 1) +
				draw(w, box, DRAW_POLLS, w->settings->poll_s + 1),
			box, BOX_STARTS);
	}
}

/* A report has come. */
static struct tally *
box_heard(struct world *w, uint32_t box)
{
	struct tally *t = &w->tallies[w->fleet->wave_of[box]];

	if (w->boxes[box].overdue)
		t->overdue--;
	w->boxes[box].overdue = false;
	w->boxes[box].seen_s = w->now_s;
	return t;
}

/* When the watch would notice that nothing more came. */
static void
silence_watch(struct world *w, uint32_t box)
{
	event_put(w, (w->now_s + w->plan->stop.overdue_s) / WATCH_S * WATCH_S + WATCH_S, box,
		BOX_SILENT);
}

static void
box_starts(struct world *w, uint32_t box)
{
	struct tally *t = box_heard(w, box);

	t->seen++;
	t->started++;
	silence_watch(w, box);
	event_put(w,
		w->now_s + FETCH_SHORTEST_S +
			draw(w, box, DRAW_FETCHES, FETCH_LONGEST_S - FETCH_SHORTEST_S + 1),
		box, BOX_REBOOTS);
}

static void
box_reboots(struct world *w, uint32_t box)
{
	enum fate fate = fate_of(w, box);
	uint64_t takes_s = CONFIRM_SHORTEST_S +
			   draw(w, box, DRAW_CONFIRMS, CONFIRM_LONGEST_S - CONFIRM_SHORTEST_S + 1);

	(void)box_heard(w, box);
	silence_watch(w, box);
	if (fate == FATE_BRICKING)
		return;
	/* Failing: a boot, the deadline, and as long to boot back. */
	if (fate == FATE_FAILING)
		takes_s += w->plan->deadline_s;
	event_put(w, w->now_s + takes_s, box, BOX_ENDS);
}

static void
box_ends(struct world *w, uint32_t box)
{
	struct tally *t = box_heard(w, box);

	w->boxes[box].decided = true;
	if (fate_of(w, box) == FATE_FAILING)
		t->reverted++;
	else
		t->ok++;
}

static void
box_silent(struct world *w, uint32_t box)
{
	struct box *b = &w->boxes[box];

	if (b->decided || b->overdue || !judgement_overdue(w->plan, w->now_s - b->seen_s))
		return;
	b->overdue = true;
	w->tallies[w->fleet->wave_of[box]].overdue++;
}

static void
event_apply(struct world *w, const struct event *event)
{
	w->now_s = event->at_s;
	switch (event->what) {
	case BOX_STARTS:
		box_starts(w, event->box);
		break;
	case BOX_REBOOTS:
		box_reboots(w, event->box);
		break;
	case BOX_ENDS:
		box_ends(w, event->box);
		break;
	case BOX_SILENT:
		box_silent(w, event->box);
		break;
	case WAVE_SOAKED:
		w->soak_watched = false;
		break;
	}
}

/* As the watch does: judges, and opens what may be opened. */
static void
world_judge(struct world *w)
{
	static const struct local_limits none = {0};
	simulated_judge *judge = w->settings->judge ? w->settings->judge : judgement_reach;
	struct standing s = {.waves = w->tallies};

	for (;;) {
		s.open = w->open;
		s.good_since_s = w->judgement.good_since_s;
		s.now_s = (int64_t)w->now_s + 1; /* 0 is "never" */
		w->judgement = judge(w->plan, &none, &s);
		if (w->judgement.kind != JUDGEMENT_PASS)
			break;
		w->passed = w->open == w->plan->wave_count;
		if (w->passed)
			break;
		w->judgement.good_since_s = 0;
		wave_open(w);
	}
	if (w->judgement.kind == JUDGEMENT_SOAK && !w->soak_watched) {
		w->soak_watched = true;
		event_put(w, (uint64_t)w->judgement.until_s - 1, 0, WAVE_SOAKED);
	}
}

static enum simulated_end
world_end(const struct world *w)
{
	if (w->judgement.kind == JUDGEMENT_STOP)
		return END_STOPPED;
	if (w->passed)
		return END_FINISHED;
	return w->judgement.kind == JUDGEMENT_HOLD ? END_HELD : END_WAITING;
}

static struct simulated_run
world_run(struct world *w)
{
	struct simulated_run run = {0};

	wave_open(w);
	world_judge(w);
	while (w->waiting > 0 && w->judgement.kind != JUDGEMENT_STOP) {
		struct event event = event_take(w);
		/* A box that was heard of again is not looked at for its earlier silence. */
		bool idle = event.what == BOX_SILENT && w->boxes[event.box].decided;

		if (idle)
			continue;
		event_apply(w, &event);
		world_judge(w);
	}
	run.end = world_end(w);
	run.wave = w->open - 1;
	run.seconds = w->now_s;
	for (size_t i = 0; i < w->open; i++)
		run.started += w->tallies[i].started;
	return run;
}

int
simulation_run(const struct plan *p, const struct simulated_fleet *f, const struct simulation *s,
	uint64_t seed, struct simulated_run *out, struct err *e)
{
	AUTO_FREE struct box *boxes = calloc(f->boxes, sizeof(*boxes));
	AUTO_FREE struct event *heap = calloc(3 * f->boxes + 1, sizeof(*heap));
	struct world w = {
		.plan = p, .fleet = f, .settings = s, .seed = seed, .boxes = boxes, .heap = heap};

	if (!boxes || !heap)
		return err_sys(e, ENOMEM, "a fleet of %llu boxes", (unsigned long long)f->boxes);
	*out = world_run(&w);
	return 0;
}

void
simulated_fleet_free(struct simulated_fleet *f)
{
	if (!f)
		return;
	free(f->wave_of);
	*f = (struct simulated_fleet){0};
}

static bool
version_satisfies(const struct plan *p, const char *version)
{
	for (size_t i = 0; i < p->from_count; i++) {
		if (!plan_from_satisfied(p->from[i], version))
			return false;
	}
	return true;
}

/* A version that all of `from` take: one that it names, one just above, or the lowest. */
static int
version_find(const struct plan *p, char *out, size_t size, struct err *e)
{
	(void)snprintf(out, size, "0");
	for (size_t i = 0; i < 2 * p->from_count && !version_satisfies(p, out); i++) {
		const char *named = p->from[i / 2];

		(void)snprintf(out, size, "%s%s", named + strspn(named, "<>="), i % 2 ? ".1" : "");
	}
	if (!version_satisfies(p, out))
		return err_set(e, ERR_USAGE,
			"no version was found that satisfies `from`, so no box would start");
	return 0;
}

/* The tags of a box that the plan matches. NULL without memory. */
static json_t *
tags_make(const struct plan *p)
{
	json_t *tags = json_object();
	const json_t *values;
	const char *tag;

	json_object_foreach ((json_t *)(uintptr_t)p->match, tag, values)
		(void)json_object_set(tags, tag, json_array_get(values, 0));
	return tags;
}

static void
box_place(const struct plan *p, const struct box_facts *facts, uint64_t box,
	struct simulated_fleet *f)
{
	size_t wave = WAVES_MAX;

	if (plan_membership(p, facts, &wave) == MEMBER_OF_WAVE)
		f->in_wave[wave]++;
	f->wave_of[box] = (uint8_t)wave;
}

static void
fleet_fill(const struct plan *p, const struct box_facts *like, struct simulated_fleet *f)
{
	struct box_facts facts = *like;
	char id[32];
	uint64_t box = 0;

	for (size_t i = 0; i < p->wave_count; i++) {
		for (size_t j = 0; j < json_array_size(p->waves[i].boxes) && box < f->boxes; j++) {
			facts.id = json_string_value(json_array_get(p->waves[i].boxes, j));
			box_place(p, &facts, box++, f);
		}
	}
	for (uint64_t n = 1; box < f->boxes; n++) {
		(void)snprintf(id, sizeof(id), "sim-%06llu", (unsigned long long)n);
		facts.id = id;
		box_place(p, &facts, box++, f);
	}
}

int
simulated_fleet_make(
	const struct plan *p, uint64_t boxes, struct simulated_fleet *out, struct err *e)
{
	AUTO_SIMULATED_FLEET struct simulated_fleet f = {
		.wave_of = calloc(boxes, 1), .boxes = boxes};
	AUTO_JSON json_t *tags = tags_make(p);
	char version[VERSION_BYTES_MAX + 8];
	struct box_facts facts = {.compatible = json_string_value(json_array_get(p->compatible, 0)),
		.tags = tags,
		.version = version,
		.running = {&p->recall_manifest}};
	uint64_t in = 0;

	if (!f.wave_of || !tags)
		return err_sys(e, ENOMEM, "a fleet of %llu boxes", (unsigned long long)boxes);
	if (version_find(p, version, sizeof(version), e) < 0)
		return -1;
	fleet_fill(p, &facts, &f);
	for (size_t i = 0; i < p->wave_count; i++)
		in += f.in_wave[i];
	if (in == 0)
		return err_set(e, ERR_USAGE, "none of %llu boxes is in a wave; simulate more",
			(unsigned long long)boxes);
	*out = f;
	f.wave_of = NULL;
	return 0;
}
