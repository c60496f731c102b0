/* The part of the watch that tells webhooks: each event goes into the outbox before, or together
 * with, the note that the watch has seen its fact, so that whoever is killed in between finds the
 * fact again, and makes no second event of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/process.h"
#include "signer/alarm.h"
#include "signer/following.h"
#include "signer/outbox.h"
#include "signer/site.h"
#include "signer/watching.h"

enum { SETTLE_MS = 50 };

static const char held_mark[] = "held_wave", begun_mark[] = "news_since_s";

/* In the transaction of who calls. */
static int
put(struct watch *w, enum webhook_kind kind, const char *const *facts, const json_t *fields,
	struct err *e)
{
	struct outbox_event x = {.kind = kind, .fields = fields, .at_s = w->now_s};
	struct sql *s = NULL;

	for (size_t i = 0; facts[i]; i++)
		x.facts[i] = facts[i];
	return !fields				? err_sys(e, ENOMEM, "an event")
	       : fleet_sql(w->fleet, &s, e) < 0 ? -1
						: outbox_put(s, w->workspace, &x, e);
}

/* One event by itself. */
static int
put_alone(struct watch *w, enum webhook_kind kind, const char *const *facts, const json_t *fields,
	struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(w->fleet, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, put(w, kind, facts, fields, e), e);
}

static json_t *
course_fields(const struct course *c)
{
	return json_pack("{s:s, s:s, s:I}", "plan", c->name, "rollout", c->plan.plan.rollout,
		"version", (json_int_t)c->plan.plan.version);
}

/* Of all waves that were opened. */
static int
counts_add(struct watch *w, const struct course *c, json_t *fields, struct err *e)
{
	AUTO_FREE struct following *x = calloc(1, sizeof(*x));
	struct tally all = {0};

	if (!x)
		return err_sys(e, ENOMEM, "an event");
	if (following_read(w->fleet, c->following, x, e) < 0)
		return -1;
	for (size_t i = 0; i < x->wave_count; i++) {
		const struct tally *t = &x->waves[i].tally;

		if (x->waves[i].opened_s == 0)
			continue;
		all.boxes += t->boxes;
		all.started += t->started;
		all.ok += t->ok;
		all.failed += t->failed;
		all.reverted += t->reverted;
		all.overdue += t->overdue;
		all.inconclusive += t->inconclusive;
	}
	return json_object_set_new(fields, "counts",
		       json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "boxes",
			       (json_int_t)all.boxes, "started", (json_int_t)all.started, "ok",
			       (json_int_t)all.ok, "failed", (json_int_t)all.failed, "reverted",
			       (json_int_t)all.reverted, "overdue", (json_int_t)all.overdue,
			       "inconclusive", (json_int_t)all.inconclusive)) < 0
		       ? err_sys(e, ENOMEM, "an event")
		       : 0;
}

int
news_wave_opened(
	struct watch *w, const struct course *c, size_t wave, uint64_t boxes, struct err *e)
{
	const char *name = c->plan.plan.waves[wave].name;
	char plan[DIGEST_HEX_SIZE];
	const char *const facts[] = {digest_hex(&c->plan.sha256, plan), name, NULL};
	AUTO_JSON json_t *fields = course_fields(c);

	(void)json_object_set_new(fields, "wave", json_string(name));
	(void)json_object_set_new(fields, "boxes", json_integer((json_int_t)boxes));
	return put_alone(w, WEBHOOK_WAVE_OPENED, facts, fields, e);
}

int
news_finished(struct watch *w, const struct course *c, struct err *e)
{
	char plan[DIGEST_HEX_SIZE];
	const char *const facts[] = {digest_hex(&c->plan.sha256, plan), NULL};
	AUTO_JSON json_t *fields = course_fields(c);

	if (fields && counts_add(w, c, fields, e) < 0)
		return -1;
	return put_alone(w, WEBHOOK_FINISHED, facts, fields, e);
}

static int
held_put(struct watch *w, const struct course *c, const struct verdict *v, struct err *e)
{
	const char *name = c->plan.plan.waves[v->wave].name;
	char plan[DIGEST_HEX_SIZE], since[CLOCK_TEXT_SIZE];
	const char *const facts[] = {
		digest_hex(&c->plan.sha256, plan), name, clock_format(w->now_s, since), NULL};
	AUTO_JSON json_t *fields = course_fields(c);

	(void)json_object_set_new(fields, "wave", json_string(name));
	(void)json_object_set_new(fields, "reason", json_string(v->reason));
	if (fields && counts_add(w, c, fields, e) < 0)
		return -1;
	return put(w, WEBHOOK_HELD, facts, fields, e);
}

/* Each time that it begins to be held. */
int
news_held(struct watch *w, const struct course *c, const struct verdict *v, struct err *e)
{
	int64_t before = 0, now = v->kind == JUDGEMENT_HOLD ? (int64_t)v->wave + 1 : 0;
	struct sql *s = NULL;
	int rc;

	if (following_mark(w->fleet, c->following, held_mark, &before, e) < 0)
		return -1;
	if (before == now)
		return 0;
	if (fleet_sql(w->fleet, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	rc = following_mark_set(w->fleet, c->following, held_mark, now, e);
	if (rc == 0 && now != 0)
		rc = held_put(w, c, v, e);
	return sql_end(s, rc, e);
}

/* c NULL: of every box. */
static int
stop_put(struct watch *w, const struct course *c, const struct stop *x, bool lifted, struct err *e)
{
	char at[CLOCK_TEXT_SIZE];
	const char *scope = c ? c->name : "all";
	const char *const facts[] = {scope, x->id, NULL};
	AUTO_JSON json_t *fields = json_pack("{s:s, s:s, s:s, s:s, s:b}", "stop", x->id, "scope",
		scope, "reason", x->reason, "since", clock_format(x->at_s, at), "lifted", lifted);

	if (fields && c && c->plan.listed) {
		AUTO_JSON json_t *more = course_fields(c);

		(void)json_object_update(fields, more);
	}
	if (fields && c && c->following != 0 && counts_add(w, c, fields, e) < 0)
		return -1;
	return put_alone(w, WEBHOOK_STOPPED, facts, fields, e);
}

/* One that somebody has lifted is told of, too, where nobody saw it stand: but none that is older
 * than the first look. */
static int
stops_put(struct watch *w, const struct course *c, const struct gate *g, const json_t *resumes,
	int64_t begun_s, struct err *e)
{
	for (size_t i = 0; i < g->stop_count; i++) {
		bool lifted = stop_is_lifted(g->stops[i].id, resumes);

		if ((!lifted || g->stops[i].at_s >= begun_s) &&
			stop_put(w, c, &g->stops[i], lifted, e) < 0)
			return -1;
	}
	return 0;
}

static int
begun_find(struct watch *w, int64_t *out, struct err *e)
{
	if (following_mark(w->fleet, 0, begun_mark, out, e) < 0)
		return -1;
	/* One of times to come was set by a clock that was ahead. */
	if (*out != 0 && *out <= w->now_s)
		return 0;
	*out = w->now_s;
	return following_mark_set(w->fleet, 0, begun_mark, w->now_s, e);
}

int
news_stops(struct watch *w, struct err *e)
{
	int64_t begun_s = 0;

	if (begun_find(w, &begun_s, e) < 0 ||
		stops_put(w, NULL, &w->courses.all, w->courses.all_resumes, begun_s, e) < 0)
		return -1;
	for (size_t i = 0; i < w->courses.count; i++) {
		const struct course *c = &w->courses.list[i];

		if (stops_put(w, c, &c->gate, scope_resumes(c->plan.entry), begun_s, e) < 0)
			return -1;
	}
	return 0;
}

/* Adds to roles what has another version than when it was last told of; *first: nothing was ever.
 */
static int
role_compare(struct sql *s, const char *file, const json_t *listed, json_t *roles, bool *first,
	struct err *e)
{
	int64_t version = json_integer_value(json_object_get(listed, "version")), told = 0;
	char role[ROLE_NAME_MAX + sizeof(".json")];
	bool found;

	(void)snprintf(role, sizeof(role), "%.*s", (int)(strlen(file) - strlen(".json")), file);
	if (sql_get(s, &found, &told, e, "SELECT version FROM told_role WHERE role = ?1", "s",
		    role) < 0)
		return -1;
	*first = *first && !found;
	if (found && told == version)
		return 0;
	if (json_array_append_new(roles, json_pack("{s:s, s:I, s:I}", "role", role, "version",
						 (json_int_t)version, "before", (json_int_t)told)) <
		0)
		return err_sys(e, ENOMEM, "an event");
	return sql_do(
		s, e, "INSERT OR REPLACE INTO told_role VALUES (?1, ?2)", "si", role, version);
}

static int
published_put(struct watch *w, struct sql *s, const struct site *site, struct err *e)
{
	AUTO_JSON json_t *roles = json_array();
	AUTO_JSON json_t *fields = json_pack(
		"{s:I, s:O}", "snapshot", (json_int_t)site->snapshot->version, "roles", roles);
	char number[24];
	const char *const facts[] = {number, NULL};
	const char *file;
	json_t *listed;
	bool first = true;

	(void)snprintf(number, sizeof(number), "%" PRIu64, site->snapshot->version);
	json_object_foreach (json_object_get(site->snapshot->verified.body, "meta"), file, listed) {
		if (role_compare(s, file, listed, roles, &first, e) < 0)
			return -1;
	}
	/* What was there before anybody looked is no news. */
	return first || json_array_size(roles) == 0 ? 0
						    : put(w, WEBHOOK_PUBLISHED, facts, fields, e);
}

int
news_published(struct watch *w, const struct site *site, struct err *e)
{
	struct sql *s = NULL;

	if (!site->snapshot)
		return 0;
	if (fleet_sql(w->fleet, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, published_put(w, s, site, e), e);
}

int
news_offline(
	struct watch *w, const struct alarms *a, const char *mark, int64_t told_s, struct err *e)
{
	struct sql *s = NULL;
	int rc;

	if (fleet_sql(w->fleet, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	rc = alarms_put(s, w->workspace, WEBHOOK_BOX_OFFLINE, a, w->now_s, e);
	if (rc == 0)
		rc = following_mark_set(w->fleet, 0, mark, told_s, e);
	return sql_end(s, rc, e);
}

/* Whether there is no courier any more. One that hangs is killed, for its place is wanted. */
static bool
courier_has_ended(struct watch *w)
{
	struct err e = ERR_INIT;
	int status = 0;

	if (w->courier == 0)
		return true;
	if (!process_has_ended(&w->courier, &status)) {
		if (w->now_ms - w->courier_ms < (int64_t)2 * WEBHOOK_RUN_MAX_S * 1000)
			return false;
		process_end(&w->courier);
		status = -1;
	}
	if (status == 0) {
		backoff_reset(&w->deliver);
		watch_well(w, JOB_DELIVER);
		return true;
	}
	backoff_failed(&w->deliver, w->now_ms);
	(void)err_set(&e, ERR_SYSTEM, "`sluice webhook deliver` failed: see what it said");
	(void)watch_problem(w, JOB_DELIVER, &e);
	return true;
}

/* A program of its own, for it talks with the world, and has none of the keys that are unlocked
 * here. It is this one again, whatever lies at its path by now. */
static int
courier_begin(struct watch *w, struct err *e)
{
	const char *const argv[] = {
		"/proc/self/exe", "webhook", "deliver", "-w", w->workspace->dir, NULL};

	w->courier_ms = w->now_ms;
	return process_begin(&(struct process){.argv = argv}, &w->courier, e);
}

void
watch_deliver(struct watch *w)
{
	struct err e = ERR_INIT;
	struct sql *s = NULL;
	bool due = false;

	if (!courier_has_ended(w) || !backoff_is_due(&w->deliver, w->now_ms))
		return;
	if (fleet_sql(w->fleet, &s, &e) < 0 ||
		outbox_is_due(s, w->workspace, w->now_s, &due, &e) < 0 ||
		(due && courier_begin(w, &e) < 0)) {
		backoff_failed(&w->deliver, w->now_ms);
		(void)watch_problem(w, JOB_DELIVER, &e);
	}
}

void
watch_settle(struct watch *w)
{
	const int64_t until_ms = clock_boot_ms() + (int64_t)WEBHOOK_RUN_MAX_S * 1000;

	do {
		w->now_s = clock_wall_s();
		w->now_ms = clock_boot_ms();
		watch_deliver(w);
		if (w->courier != 0)
			clock_sleep_ms(SETTLE_MS);
	} while (w->courier != 0 && w->now_ms < until_ms &&
		 keep_going_ask(w->settings.keep_going, NULL) == 0);
}
