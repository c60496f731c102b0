#include "signer/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"

size_t
verdict_open(const struct course *c, bool *gap)
{
	size_t open = 0, shut = 0;

	for (size_t i = 0; i < c->plan.plan.wave_count; i++) {
		if (gate_is_open(&c->gate, c->plan.plan.waves[i].name))
			open = i + 1;
	}
	for (size_t i = 0; i < open; i++)
		shut += !gate_is_open(&c->gate, c->plan.plan.waves[i].name);
	*gap = shut > 0;
	return open;
}

static struct verdict __attribute__((format(printf, 2, 3)))
verdict_say(enum judgement_kind kind, const char *format, ...)
{
	struct verdict v = {.kind = kind};
	va_list args;

	va_start(args, format);
	(void)vsnprintf(v.reason, sizeof(v.reason), format, args);
	va_end(args);
	return v;
}

static struct judgement
judge(const struct course *c, const struct following *x, const struct local_limits *limits,
	size_t open, int64_t good_since_s, int64_t now_s)
{
	struct tally waves[WAVES_MAX], accepted[WAVES_MAX];
	const struct standing s = {.waves = waves,
		.accepted = accepted,
		.open = open,
		.good_since_s = good_since_s,
		.now_s = now_s};

	for (size_t i = 0; i < open; i++) {
		waves[i] = x->waves[i].tally;
		accepted[i] = x->waves[i].accepted;
	}
	return judgement_reach(&c->plan.plan, limits, &s);
}

/* Why a wave that has passed is followed by none; NULL where one may be. */
static const char *
barrier(const struct course *c, const struct courses *all, bool gap)
{
	if (gap)
		return "a wave before it is shut, and a person has to open that";
	if (c->gate.paused)
		return "its gate is paused";
	if (!all->has_all)
		return "there is no gates/all.json, so every box is shut";
	if (courses_stop(all))
		return "every box is stopped";
	if (all->all.paused)
		return "every box is paused";
	return NULL;
}

/* A wave of names that no box has passes, as it has to between two others; but not the first. */
static bool
is_shown(const struct following *x, size_t open)
{
	for (size_t i = 0; i < open; i++) {
		if (x->waves[i].tally.ok > 0)
			return true;
	}
	return false;
}

static void
pass(const struct course *c, const struct courses *all, const struct following *x, bool gap,
	size_t open, struct verdict *v)
{
	const char *barred =
		is_shown(x, open) ? barrier(c, all, gap)
				  : "no box at all has shown that it works, so a person opens on";
	size_t len = strlen(v->reason);

	if (!barred && open < c->plan.plan.wave_count) {
		v->deed = DEED_OPEN;
		v->next = open;
	} else if (!barred) {
		v->deed = DEED_FINISH;
	} else {
		v->kind = JUDGEMENT_HOLD;
		(void)snprintf(v->reason + len, sizeof(v->reason) - len, "; %s", barred);
	}
}

int64_t
verdict_soak_since(int64_t good_since_s, int64_t resumed_s, uint64_t soak_s)
{
	int64_t least_s = resumed_s + (int64_t)num_min(soak_s, SETTLE_S) - (int64_t)soak_s;

	return good_since_s > 0 && good_since_s < least_s ? least_s : good_since_s;
}

struct verdict
verdict_reach(const struct course *c, const struct courses *all, const struct following *x,
	const struct local_limits *limits, int64_t good_since_s, int64_t now_s)
{
	const struct stop *stop = course_stop(c);
	struct judgement j;
	struct verdict v;
	bool gap;
	size_t open;

	if (stop)
		return verdict_say(JUDGEMENT_STOP, "stopped by %s: %s", stop->id, stop->reason);
	if (!c->binds)
		return verdict_say(JUDGEMENT_WAIT,
			"its gate is of another plan or version; a person opens the first wave");
	open = verdict_open(c, &gap);
	if (open == 0)
		return verdict_say(JUDGEMENT_WAIT, "no wave is open; a person opens the first");
	j = judge(c, x, limits, open, good_since_s, now_s);
	v = verdict_say(j.kind, "%s", j.reason);
	v.wave = open - 1;
	v.good_since_s = j.good_since_s;
	if (j.kind == JUDGEMENT_STOP)
		v.deed = DEED_STOP;
	else if (j.kind == JUDGEMENT_PASS)
		pass(c, all, x, gap, open, &v);
	return v;
}
