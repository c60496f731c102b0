#include "signer/lint.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/format/judgement.h"
#include "common/format/plan.h"
#include "signer/reading.h"
#include "signer/rollout.h"
#include "signer/yaml.h"

/* The default of agent.conf's `poll`: a box asks within this time. */
enum { POLL_S = 900 };

/* DESIGN's answer to an emergency is a minute; five are still one. */
enum { STOP_POLL_LONG_S = 300 };

/* What a wave that passes has to have shown: that not half of its boxes fail. */
enum { SHOWN_BP = 5000, SAMPLES_TRIED = 1000 };

struct lint {
	const struct yaml *y;
	const struct yaml_node *root;
	const struct plan *p;
	int64_t now_s;
	void (*each)(void *arg, const char *text);
	void *arg;
	size_t count;
};

/* At n, or where that is NULL at the file's beginning. */
#define WARN(l, n, ...)                                                                            \
	do {                                                                                       \
		struct err text_ = ERR_INIT;                                                       \
		(void)yaml_error((l)->y, (n) ? (n) : (l)->root, &text_, __VA_ARGS__);              \
		(l)->each((l)->arg, text_.text);                                                   \
		(l)->count++;                                                                      \
	} while (0)

/* map: {key: ...}, or map itself, or NULL. */
static const struct yaml_node *
place(const struct lint *l, const char *map, const char *key)
{
	const struct yaml_node *outer = yaml_get(l->root, map),
			       *inner = outer && key ? yaml_get(outer, key) : NULL;

	return inner ? inner : outer;
}

static const struct yaml_node *
wave_place(const struct lint *l, size_t wave, const char *key)
{
	const struct yaml_node *n = yaml_at(yaml_get(l->root, "waves"), wave),
			       *inner = yaml_get(n, key);

	return inner ? inner : n;
}

/* Whether boxes stay out for whom no wave is meant. */
static void
shares_look(struct lint *l)
{
	const struct wave *first = &l->p->waves[0];
	uint32_t last = 0;
	size_t at = 0;

	if (first->has_percent && l->p->wave_count > 1)
		WARN(l, wave_place(l, 0, "percent"),
			"the first wave takes boxes by chance; name a few that somebody can reach: "
			"boxes: [gw-000001, ...]");
	for (size_t i = 0; i < l->p->wave_count; i++) {
		if (l->p->waves[i].has_percent) {
			last = l->p->waves[i].percent_bp;
			at = i;
		}
	}
	if (last > 0 && last < 10000)
		WARN(l, wave_place(l, at, "percent"),
			"the waves end at %u.%02u%%: all other boxes never get this bundle; add a "
			"wave with percent: 100",
			last / 100, last % 100);
}

/* A wave of few boxes shows little, however well they do. How many a wave by percent has is not
 * known here. */
static void
evidence_look(struct lint *l)
{
	uint32_t success = l->p->advance.success_bp;
	uint64_t needed = wilson_sample(success);

	if (needed == 0)
		WARN(l, place(l, "advance", "success"),
			"no number of boxes shows that all will do well, and a single one that "
			"does "
			"not holds the rollout; write 99%%");
	for (size_t i = 0; needed > 0 && i + 1 < l->p->wave_count; i++) {
		const struct wave *w = &l->p->waves[i];

		if (w->boxes && json_array_size(w->boxes) < needed)
			WARN(l, wave_place(l, i, "boxes"),
				"wave %s has %zu boxes, and it takes %llu without a failure to "
				"show "
				"a success of %u.%02u%%: passing it says little, so keep the wave "
				"behind it small",
				w->name, json_array_size(w->boxes), (unsigned long long)needed,
				success / 100, success % 100);
	}
}

/* The least that passes a wave: this many of so many boxes are well. */
static uint64_t
least_good(const struct plan *p, uint64_t sample)
{
	return num_div_up(sample * p->advance.success_bp, 10000);
}

/* So many boxes or a few more that show enough, where as few of them are well as may be; or 0. */
static uint64_t
sample_advised(const struct plan *p, uint64_t sample)
{
	for (uint64_t n = sample; n < sample + SAMPLES_TRIED; n++) {
		if (wilson_exceeds(least_good(p, n), n, SHOWN_BP))
			return n;
	}
	return 0;
}

/* The quickest boxes are those that do well: who goes back does so at the deadline, and who died is
 * counted once it is overdue. A wave that is watched for that long knows of them. */
static void
haste_look(struct lint *l)
{
	const struct plan *p = l->p;
	uint64_t sample = num_min(p->advance.sample, TALLY_MAX / 2), least = least_good(p, sample),
		 advised = sample_advised(p, sample);
	const struct yaml_node *at = place(l, "advance", advised ? "sample" : "success");
	char cure[64] = "a success of 90% or more";

	if (advised == sample)
		return;
	if (advised)
		(void)snprintf(cure, sizeof(cure), "sample: %llu", (unsigned long long)advised);
	for (size_t i = 0; i + 1 < p->wave_count; i++) {
		const struct wave *w = &p->waves[i];

		if (w->soak_s >= p->stop.overdue_s ||
			(w->boxes && json_array_size(w->boxes) <= sample))
			continue;
		WARN(l, at,
			"wave %s passes when %llu of the %llu quickest boxes are well, before it "
			"is known of slower ones that they fail: half of all may; write %s, or a "
			"soak as long as overdue_after",
			w->name, (unsigned long long)least, (unsigned long long)sample, cure);
		return;
	}
}

static void
soak_look(struct lint *l)
{
	for (size_t i = 0; i + 1 < l->p->wave_count; i++) {
		if (l->p->waves[i].soak_s == 0)
			WARN(l, wave_place(l, i, "soak"),
				"wave %s is not watched once its boxes are done; add soak: 4h",
				l->p->waves[i].name);
	}
}

static void
stop_look(struct lint *l)
{
	const struct plan *p = l->p;
	const struct wave *first = &p->waves[0];

	if (first->boxes && json_array_size(first->boxes) < p->stop.at_least &&
		yaml_get(yaml_get(l->root, "stop"), "at_least"))
		WARN(l, place(l, "stop", "at_least"),
			"wave %s has %zu boxes, so it is held but never stopped, though all of "
			"them "
			"fail; lower at_least, or name more boxes",
			first->name, json_array_size(first->boxes));
	if (p->stop.failures_bp < 10000 - p->advance.success_bp)
		WARN(l, place(l, "stop", "failures"),
			"a success of %u.%02u%% lets more boxes fail than the %u.%02u%% that stop "
			"the rollout; raise one or the other",
			p->advance.success_bp / 100, p->advance.success_bp % 100,
			p->stop.failures_bp / 100, p->stop.failures_bp % 100);
}

static void
silence_look(struct lint *l)
{
	const struct plan *p = l->p;

	if (p->stop.overdue_s <= p->deadline_s)
		WARN(l, place(l, "stop", "overdue_after"),
			"a box has %llu s from its reboot to being sure of the new system "
			"(deadline), and is counted as failed when it was silent for %llu s: good "
			"boxes would stop the rollout; raise overdue_after",
			(unsigned long long)p->deadline_s, (unsigned long long)p->stop.overdue_s);
	if (p->stop.overdue_s > DAY_S && p->waves[p->wave_count - 1].has_percent)
		WARN(l, place(l, "stop", "overdue_after"),
			"boxes that a release kills say nothing, and are counted only after %llu "
			"hours of silence; lower overdue_after to 24h or less",
			(unsigned long long)p->stop.overdue_s / 3600);
	if (p->stop_poll_s > STOP_POLL_LONG_S)
		WARN(l, place(l, "stop_poll", NULL),
			"a box that is updating hears of a stop after up to %llu minutes; write "
			"60s",
			(unsigned long long)p->stop_poll_s / 60);
}

static void
window_look(struct lint *l)
{
	const struct window *w = &l->p->window;
	char when[CLOCK_TEXT_SIZE];

	if (l->p->has_window && w->length_s - w->spread_s < POLL_S)
		WARN(l, place(l, "window", w->length_s < 2 * POLL_S ? "hours" : "spread"),
			"boxes whose turn comes last have %u minutes until the window closes, and "
			"a "
			"box may ask only every %d minutes; make the window longer, or the spread "
			"shorter",
			(w->length_s - w->spread_s) / 60, POLL_S / 60);
	if (l->p->start_s > 0 && l->p->start_s < l->now_s)
		WARN(l, place(l, "start", NULL),
			"%s has passed, so it has nobody wait; leave it out",
			clock_format(l->p->start_s, when));
}

/* exclude beats being named. */
static void
excluded_look(struct lint *l)
{
	const json_t *box;
	size_t i;

	json_array_foreach (l->p->exclude, i, box) {
		for (size_t wave = 0; wave < l->p->wave_count; wave++) {
			if (names_has(&l->p->boxes, json_string_value(box),
				    PLAN_NAMED + (uint32_t)wave))
				WARN(l, yaml_at(place(l, "exclude", NULL), i),
					"%s is left out, though wave %s names it; take it out of "
					"one "
					"of them",
					json_string_value(box), l->p->waves[wave].name);
		}
	}
}

int
lint_plan(const char *path, int64_t now_s, void (*each)(void *arg, const char *text), void *arg,
	size_t *count, struct err *e)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	AUTO_YAML struct yaml *y = NULL;
	struct lint l = {.p = &p, .now_s = now_s, .each = each, .arg = arg};

	if (rollout_load(path, &r, e) < 0 || rollout_plan(&r, NULL, &p, e) < 0 ||
		yaml_load(path, ROLLOUT_BYTES_MAX, &y, e) < 0)
		return -1;
	l.y = y;
	l.root = yaml_root(y);
	shares_look(&l);
	evidence_look(&l);
	haste_look(&l);
	soak_look(&l);
	stop_look(&l);
	silence_look(&l);
	window_look(&l);
	excluded_look(&l);
	*count = l.count;
	return 0;
}
