/* The part of the watch that follows plans, and acts on how they stand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/limits.h"
#include "signer/following.h"
#include "signer/ledger.h"
#include "signer/probe.h"
#include "signer/watching.h"

/* Boxes come and go slowly, and counting a million of them takes seconds. */
#define CENSUS_EVERY_MS ((int64_t)600 * 1000)

enum { REASON_CUT = STOP_REASON_MAX, MARK_SIZE = 48 };

static int
course_begin(struct watch *w, struct course *c, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);

	if (metadata_read_target(
		    w->workspace, &c->plan.role, c->plan.plan.path, PLAN_BYTES_MAX, &bytes, e) < 0)
		return -1;
	return following_begin(w->fleet,
		&(struct followable){buf_span(&bytes), &c->plan.sha256, &c->manifest, &c->gate,
			scope_resumes(c->plan.entry)},
		w->now_s, &c->following, e);
}

/* What is open, by whose hand ever. */
static int
waves_see(struct watch *w, const struct course *c, struct err *e)
{
	AUTO_FREE struct following *x = calloc(1, sizeof(*x));
	const struct plan *p = &c->plan.plan;

	if (!x)
		return err_sys(e, ENOMEM, "reading rollouts");
	if (following_read(w->fleet, c->following, x, e) < 0)
		return -1;
	for (size_t i = 0; i < p->wave_count && i < x->wave_count; i++) {
		if (x->waves[i].opened_s != 0 || !gate_is_open(&c->gate, p->waves[i].name))
			continue;
		if (news_wave_opened(w, c, i, x->waves[i].tally.boxes, e) < 0 ||
			following_opened(w->fleet, c->following, i, w->now_s, e) < 0)
			return -1;
		watch_tell(w,
			(struct watch_event){
				.what = "wave_opened", .plan = c->name, .wave = p->waves[i].name},
			"wave %s is open, for %llu boxes", p->waves[i].name,
			(unsigned long long)x->waves[i].tally.boxes);
	}
	return 0;
}

/* What a person resumed is accepted as it is now: the spool was drained before. */
static int
resumes_see(struct watch *w, const struct course *c, struct err *e)
{
	const json_t *resumes = scope_resumes(c->plan.entry);

	for (size_t i = 0; i < c->gate.stop_count; i++) {
		if (stop_is_lifted(c->gate.stops[i].id, resumes) &&
			following_accept(w->fleet, c->following, c->gate.stops[i].id, e) < 0)
			return -1;
	}
	return 0;
}

static bool
is_resumed(const struct course *c)
{
	bool resumed = false;

	for (size_t i = 0; i < c->gate.stop_count; i++)
		resumed |= stop_is_lifted(c->gate.stops[i].id, scope_resumes(c->plan.entry));
	return resumed;
}

/* No box begins what cannot be followed any more, say because its bundle was released anew. Those
 * that have begun before may still fail. */
static int
course_keep(struct watch *w, struct course *c, struct err *e)
{
	if (!c->binds || (w->behind && is_resumed(c)))
		return 0;
	if (following_find(w->fleet, c->plan.plan.path, &c->plan.sha256, &c->following, e) < 0)
		return -1;
	return c->following == 0 ? 0 : resumes_see(w, c, e);
}

static int
course_follow(struct watch *w, struct course *c, struct err *e)
{
	if (c->why.class != ERR_NONE)
		return course_keep(w, c, e) < 0 ? -1 : err_set(e, c->why.class, "%s", c->why.text);
	if (!c->binds)
		return 0;
	/* What was resumed is accepted when all that came before is counted. */
	if (w->behind && is_resumed(c))
		return 0;
	if (course_begin(w, c, e) < 0 || resumes_see(w, c, e) < 0)
		return -1;
	return waves_see(w, c, e);
}

struct withdrawal {
	const struct courses *courses;
	char path[TUF_PATH_MAX + 1]; /* of one that is followed and not published any more, or "" */
};

static int
withdrawn_find(void *arg, const struct following *x, struct err *e)
{
	struct withdrawal *d = arg;

	(void)e;
	for (size_t i = 0; i < d->courses->count; i++) {
		const struct course *c = &d->courses->list[i];
		char path[TUF_PATH_MAX + 1];

		if (scope_path("rollouts", c->name, path, NULL) == 0 && strcmp(path, x->path) == 0)
			return 0;
	}
	memcpy(d->path, x->path, sizeof(d->path));
	return 1;
}

static int
withdrawn_end(struct watch *w, struct err *e)
{
	struct withdrawal d = {.courses = &w->courses};
	int rc;

	if (!w->courses.published || w->courses.damage.class != ERR_NONE)
		return 0;
	while ((rc = following_each(w->fleet, false, withdrawn_find, &d, e)) == 1) {
		if (following_end(w->fleet, d.path, w->now_s, e) < 0)
			return -1;
		watch_tell(w, (struct watch_event){.what = "note", .plan = d.path},
			"is not published any more, and not followed");
	}
	return rc;
}

void
watch_follow(struct watch *w)
{
	struct err e = ERR_INIT;
	int rc = withdrawn_end(w, &e);
	bool again = rc < 0 && e.class == ERR_SYSTEM;
	struct err odd = ERR_INIT;

	for (size_t i = 0; i < w->courses.count; i++) {
		struct err why = ERR_INIT;

		if (course_follow(w, &w->courses.list[i], &why) == 0)
			continue;
		again = again || why.class == ERR_SYSTEM;
		if (rc == 0)
			rc = err_set(&e, why.class, "%s cannot be followed: %s",
				w->courses.list[i].name, why.text);
	}
	if (w->courses.published && news_stops(w, &odd) < 0) {
		again = again || odd.class == ERR_SYSTEM;
		rc = rc == 0 ? err_set(&e, odd.class, "%s", odd.text) : rc;
	}
	/* Where it was not a plan's own fault. */
	if (again)
		w->seen = (struct stat){0};
	if (rc == 0)
		watch_well(w, JOB_FOLLOW);
	else
		(void)watch_problem(w, JOB_FOLLOW, &e);
}

static struct said *
said_find(struct watch *w, int64_t following)
{
	struct said *list;

	for (size_t i = 0; i < w->said_count; i++) {
		if (w->said[i].following == following)
			return &w->said[i];
	}
	list = reallocarray(w->said, w->said_count + 1, sizeof(*list));
	if (!list)
		return NULL;
	w->said = list;
	list[w->said_count] =
		(struct said){.following = following, .kind = (enum judgement_kind) - 1};
	return &list[w->said_count++];
}

static const char *
verdict_event(const struct verdict *v)
{
	if (v->kind == JUDGEMENT_STOP && v->deed == DEED_NONE)
		return "stopped";
	if (v->kind == JUDGEMENT_HOLD)
		return "held";
	return v->deed == DEED_FINISH ? "finished" : "note";
}

/* Once, when it changes: not each time that a count does. */
static int
verdict_tell(struct watch *w, const struct course *c, const struct verdict *v, struct err *e)
{
	const struct stop *stop = course_stop(c);
	struct said *s = said_find(w, c->following);
	struct watch_event x = {.what = verdict_event(v),
		.plan = c->name,
		.wave = c->plan.plan.waves[v->wave].name,
		.stop = stop ? stop->id : ""};
	bool hand = v->deed == DEED_OPEN || v->deed == DEED_STOP;

	if (!s || (s->kind == v->kind && s->deed == v->deed && s->wave == v->wave))
		return 0;
	if (v->deed == DEED_FINISH && news_finished(w, c, e) < 0)
		return -1;
	*s = (struct said){c->following, v->kind, v->deed, v->wave};
	if (hand && w->has_gates)
		return 0;
	if (hand)
		watch_tell(w, x, "%s, but has no gates key: %s",
			v->deed == DEED_OPEN ? "would open the wave behind" : "WOULD STOP",
			v->reason);
	else
		watch_tell(w, x, "%s: %s",
			v->deed == DEED_FINISH ? "finished" : judgement_name(v->kind), v->reason);
	return 0;
}

static int
open_next(struct watch *w, const struct course *c, const struct verdict *v, struct err *e)
{
	const char *wave = c->plan.plan.waves[v->next].name;
	enum kept kept;

	if (gatekeeper_open(&w->keeper, c, v->next, &kept, e) < 0)
		return err_context(e, "opening wave %s of %s", wave, c->name);
	if (kept == KEPT_SIGNED)
		watch_tell(w, (struct watch_event){.what = "note", .plan = c->name, .wave = wave},
			"opens wave %s: %s", wave, v->reason);
	return 0;
}

static int
stop_plan(struct watch *w, const struct course *c, const struct verdict *v, struct err *e)
{
	char reason[STOP_REASON_MAX + 1], id[STOP_ID_SIZE];
	enum kept kept;

	(void)snprintf(reason, sizeof(reason), "%.*s", REASON_CUT, v->reason);
	if (gatekeeper_stop(&w->keeper, c, reason, w->now_s, id, &kept, e) < 0)
		return err_context(e, "stopping %s", c->name);
	if (kept == KEPT_SIGNED)
		watch_tell(w, (struct watch_event){.what = "note", .plan = c->name, .stop = id},
			"STOPS: %s", reason);
	return 0;
}

/* Boxes cannot be heard, which is a problem that was told, or not all were: failures may wait for
 * that to end. */
static bool
is_deaf(const struct watch *w)
{
	return w->behind || w->deaf || w->problems[JOB_SERVER][0];
}

/* What was signed is published in the same look; see watch_look. */
static int
act(struct watch *w, const struct course *c, const struct verdict *v, struct err *e)
{
	if (!w->has_gates)
		return 0;
	if (v->deed == DEED_OPEN)
		return is_deaf(w) ? 0 : open_next(w, c, v, e);
	return v->deed == DEED_STOP ? stop_plan(w, c, v, e) : 0;
}

/* By wave: whoever is killed between two waves lets no soak of the first count for the second. */
static void
mark_name(size_t wave, char out[MARK_SIZE])
{
	(void)snprintf(out, MARK_SIZE, "good_since_s %zu", wave);
}

static int
course_stand(struct watch *w, const struct course *c, struct verdict *out, struct err *e)
{
	const struct local_limits *limits = &w->workspace->watch.limits;
	AUTO_FREE struct following *x = calloc(1, sizeof(*x));
	uint64_t overdue = 0;
	int64_t since_s = 0, now_s, resumed_s;
	char mark[MARK_SIZE];
	bool gap;
	size_t open = verdict_open(c, &gap), wave = open ? open - 1 : 0;

	if (!x)
		return err_sys(e, ENOMEM, "judging rollouts");
	mark_name(wave, mark);
	if ((!w->behind && following_overdue(w->fleet, c->following, &overdue, e) < 0) ||
		following_read(w->fleet, c->following, x, e) < 0 ||
		following_listened(w->fleet, &now_s, &resumed_s, e) < 0 ||
		following_mark(w->fleet, c->following, mark, &since_s, e) < 0)
		return -1;
	if (overdue > 0)
		watch_tell(w, (struct watch_event){.what = "note", .plan = c->name},
			"%llu boxes were seen starting, and are silent for too long",
			(unsigned long long)overdue);
	*out = verdict_reach(c, &w->courses, x, limits,
		verdict_soak_since(since_s, resumed_s,
			num_max(c->plan.plan.waves[wave].soak_s, limits->soak_min_s)),
		now_s);
	if (w->behind || out->good_since_s == since_s)
		return 0;
	return following_mark_set(w->fleet, c->following, mark, out->good_since_s, e);
}

static int
course_judge(struct watch *w, const struct course *c, struct err *e)
{
	struct err why = ERR_INIT;
	struct verdict v;
	int rc;

	if (course_stand(w, c, &v, e) < 0)
		return err_context(e, "judging %s", c->name);
	/* What has come so far may be enough for a stop, and says nothing else; nor does what comes
	 * to an end. */
	if ((w->behind || c->why.class != ERR_NONE) && v.deed != DEED_STOP)
		return 0;
	/* A stop waits for no event to be written. */
	rc = act(w, c, &v, e);
	if (news_held(w, c, &v, &why) < 0 || verdict_tell(w, c, &v, &why) < 0)
		return rc < 0 ? -1 : err_set(e, why.class, "%s", why.text);
	return rc;
}

static void
census_take(struct watch *w)
{
	struct err e = ERR_INIT;

	if (w->census_ms != 0 && w->now_ms - w->census_ms < CENSUS_EVERY_MS)
		return;
	w->census_ms = w->now_ms;
	for (size_t i = 0; i < w->courses.count; i++) {
		int64_t id = w->courses.list[i].following;

		if (id != 0 && following_census(w->fleet, id, &e) < 0)
			(void)watch_problem(w, JOB_JUDGE, &e);
	}
}

void
watch_judge(struct watch *w)
{
	struct err e = ERR_INIT;

	w->judge_again = false;
	if (w->full)
		census_take(w);
	/* One that fails holds up no other's stop. */
	for (size_t i = 0; i < w->courses.count; i++) {
		struct err why = ERR_INIT;

		if (w->courses.list[i].following == 0 ||
			course_judge(w, &w->courses.list[i], &why) == 0)
			continue;
		w->judge_again = true;
		/* A plan that fleet.db has lost is taken from the site again. */
		if (why.class == ERR_MALFORMED || why.class == ERR_UNTRUSTED)
			w->seen = (struct stat){0};
		/* Somebody else signed at the same moment: that is all in order. */
		if (!metadata_was_overtaken(&why) && e.class == ERR_NONE)
			e = why;
	}
	if (w->judge_again)
		backoff_failed(&w->act, w->now_ms);
	else
		backoff_reset(&w->act);
	if (e.class == ERR_NONE)
		watch_well(w, JOB_JUDGE);
	else
		(void)watch_problem(w, JOB_JUDGE, &e);
}

/* Whether there is anybody whose silence would say something. */
static int
may_fall_silent(struct watch *w, bool *out, struct err *e)
{
	struct ledger_census c;
	bool follows = false;

	for (size_t i = 0; i < w->courses.count; i++)
		follows = follows || w->courses.list[i].following != 0;
	if (!follows && ledger_census(w->fleet, 0, &c, e) < 0)
		return -1;
	*out = follows || c.boxes > c.never;
	return 0;
}

void
watch_listen(struct watch *w)
{
	struct err e = ERR_INIT;
	bool hears = w->taken > 0, asks = !hears && !w->deaf;

	if (asks && may_fall_silent(w, &asks, &e) < 0) {
		(void)watch_problem(w, JOB_JUDGE, &e);
		return;
	}
	if (asks) {
		hears = probe_server(w->workspace, &e) == 0;
		if (hears)
			watch_well(w, JOB_SERVER);
		else
			(void)watch_problem(w, JOB_SERVER, &e);
	}
	w->taken = 0;
	if (following_listen(w->fleet, w->now_s, hears && !w->deaf, &e) < 0)
		(void)watch_problem(w, JOB_JUDGE, &e);
}
