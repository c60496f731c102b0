#include "signer/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/crypto/digest.h"
#include "common/crypto/random.h"

enum { WAIT_MIN_S = 2 };

void
outbox_name(const struct outbox_event *x, char out[OUTBOX_NAME_SIZE])
{
	AUTO_BUF struct buf text = BUF_INIT(WEBHOOK_BODY_MAX);
	struct digest d;

	/* A zero byte ends each, so that no two lists of facts read the same. */
	(void)buf_append(&text, "sluice-event-v1", sizeof("sluice-event-v1"), NULL);
	(void)buf_append(
		&text, webhook_kind_name(x->kind), strlen(webhook_kind_name(x->kind)) + 1, NULL);
	for (size_t i = 0; i < OUTBOX_FACTS && x->facts[i]; i++)
		(void)buf_append(&text, x->facts[i], strlen(x->facts[i]) + 1, NULL);
	d = digest_of(buf_span(&text));
	hex_encode(d.b, (OUTBOX_NAME_SIZE - 1) / 2, out);
}

int
outbox_body(const struct workspace *w, const char *kind, const char *name, int64_t at_s,
	const json_t *fields, struct buf *out, struct err *e)
{
	char at[CLOCK_TEXT_SIZE];
	AUTO_JSON json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "id", name, "event", kind, "at",
		clock_format(at_s, at), "site", w->site_url);
	AUTO_FREE char *text = NULL;

	if (!j || json_object_update_missing(j, (json_t *)(uintptr_t)fields) < 0)
		return err_sys(e, ENOMEM, "an event");
	text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return err_set(e, ERR_MALFORMED, "a %s event cannot be written", kind);
	return buf_append(out, text, strlen(text), e);
}

static int
event_insert(struct sql *s, const struct workspace *w, const struct outbox_event *x, int64_t *event,
	struct err *e)
{
	AUTO_BUF struct buf body = BUF_INIT(WEBHOOK_BODY_MAX);
	const char *kind = webhook_kind_name(x->kind);
	char name[OUTBOX_NAME_SIZE];

	outbox_name(x, name);
	if (outbox_body(w, kind, name, x->at_s, x->fields, &body, e) < 0 ||
		sql_do(s, e,
			"INSERT INTO event VALUES (NULL, ?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
			"ssis", name, kind, x->at_s, buf_str(&body)) < 0)
		return -1;
	*event = sql_changes(s) > 0 ? sql_row(s) : 0;
	return 0;
}

/* Rows have rising numbers, for the newest is never the one that goes. That a stop stands, or a
 * rollout has finished, is seen at each look for as long as it is so, and nothing but its row says
 * that it was told: those last longer, whatever else there is to tell. */
static int
events_prune(struct sql *s, int64_t newest, struct err *e)
{
	int64_t last = newest - WEBHOOK_EVENTS_MAX;

	if (sql_do(s, e, "DELETE FROM delivery WHERE event <= ?1", "i", last) < 0 ||
		sql_do(s, e,
			"DELETE FROM event WHERE id <= ?1 AND kind NOT IN ('stopped', 'finished')",
			"i", last) < 0)
		return -1;
	return sql_do(s, e,
		"DELETE FROM event WHERE id <= (SELECT id FROM event WHERE id <= ?1 ORDER BY id "
		"DESC LIMIT 1 OFFSET ?2)",
		"ii", last, (int64_t)WEBHOOK_LASTING_MAX);
}

int
outbox_put(struct sql *s, const struct workspace *w, const struct outbox_event *x, struct err *e)
{
	int64_t event;

	if (event_insert(s, w, x, &event, e) < 0)
		return -1;
	if (event == 0)
		return 0;
	for (size_t i = 0; i < w->webhooks.count; i++) {
		const struct webhook *h = &w->webhooks.list[i];

		if (h->kinds & 1U << x->kind &&
			sql_do(s, e,
				"INSERT INTO delivery (event, url, state, since_s, next_s) VALUES "
				"(?1, ?2, 'waiting', ?3, ?3)",
				"isi", event, h->url, x->at_s) < 0)
			return -1;
	}
	return events_prune(s, event, e);
}

void
outbox_batch_free(struct outbox_batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free(b->list[i].url);
		free(b->list[i].body);
	}
	b->count = 0;
}

/* No wait is longer: what seems to wait for longer was put there by a clock that was wrong. */
static int64_t
wait_end(int64_t now_s)
{
	return now_s + WEBHOOK_WAIT_MAX_S;
}

int
outbox_is_due(struct sql *s, const struct workspace *w, int64_t now_s, bool *out, struct err *e)
{
	bool found = false;
	int64_t event;

	for (size_t i = 0; i < w->webhooks.count && !found; i++) {
		if (sql_get(s, &found, &event, e,
			    "SELECT event FROM delivery WHERE state = 'waiting' AND url = ?1 AND "
			    "(next_s <= ?2 OR next_s > ?3) LIMIT 1",
			    "sii", w->webhooks.list[i].url, now_s, wait_end(now_s)) < 0)
			return -1;
	}
	*out = found;
	return 0;
}

#define COLUMNS "event, name, kind, url, tries, since_s, at_s, answer"

/* But for body. */
static int
delivery_take(const struct query *q, struct outbox_delivery *d, struct err *e)
{
	*d = (struct outbox_delivery){.event = query_int(q, 0),
		.url = strdup(query_text(q, 3)),
		.tries = (uint64_t)query_int(q, 4),
		.since_s = query_int(q, 5),
		.at_s = query_int(q, 6)};
	if (!d->url)
		return err_sys(e, ENOMEM, "fleet.db");
	(void)snprintf(d->name, sizeof(d->name), "%s", query_text(q, 1));
	(void)snprintf(d->kind, sizeof(d->kind), "%s", query_text(q, 2));
	(void)snprintf(d->answer, sizeof(d->answer), "%s", query_text(q, 7));
	return 0;
}

static int
next_of(struct sql *s, const char *url, int64_t now_s, struct outbox_batch *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	int rc = query_begin(s, &q, e,
		"SELECT " COLUMNS ", body FROM delivery JOIN event ON event.id = delivery.event "
		"WHERE state = 'waiting' AND url = ?1 AND (next_s <= ?2 OR next_s > ?4) ORDER "
		"BY next_s, event LIMIT ?3",
		"siii", url, now_s, (int64_t)WEBHOOK_ROUND_EACH, wait_end(now_s));

	while (rc == 0 && out->count < WEBHOOK_ROUND_MAX && (rc = query_next(q, &row, e)) == 0 &&
		row) {
		struct outbox_delivery *d = &out->list[out->count];

		if (delivery_take(q, d, e) < 0)
			return -1;
		out->count++;
		d->body = strdup(query_text(q, 8));
		if (!d->body)
			return err_sys(e, ENOMEM, "fleet.db");
	}
	return rc;
}

int
outbox_next(struct sql *s, const struct workspace *w, int64_t now_s, struct outbox_batch *out,
	struct err *e)
{
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};
	size_t first = (size_t)random_below(w->webhooks.count);

	/* Where there is no room for all, another is first each time. */
	for (size_t i = 0; i < w->webhooks.count; i++) {
		const struct webhook *h = &w->webhooks.list[(first + i) % w->webhooks.count];

		if (next_of(s, h->url, now_s, &b, e) < 0)
			return -1;
	}
	*out = b;
	b.count = 0;
	return 0;
}

enum outbox_fate
outbox_judge(const struct outbox_answer *a, uint64_t tries, int64_t since_s, int64_t now_s,
	uint64_t *wait_s)
{
	uint64_t wait = WAIT_MIN_S;

	if (a->status >= 200 && a->status < 300)
		return OUTBOX_TAKEN;
	if (a->status == 410 || now_s - since_s >= WEBHOOK_AGE_MAX_S)
		return OUTBOX_DEAD;
	for (uint64_t i = 1; i < tries && wait < WEBHOOK_WAIT_MAX_S; i++)
		wait *= 2;
	wait = num_min(wait, WEBHOOK_WAIT_MAX_S);
	wait -= random_below(wait / 2 + 1);
	*wait_s = a->retry_after_s ? num_min(a->retry_after_s, WEBHOOK_WAIT_MAX_S) : wait;
	return OUTBOX_AGAIN;
}

/* Whether an answer is about the receiver, and not about what it was sent. */
static bool
is_of_receiver(const struct outbox_answer *a)
{
	return a->status == 0 || a->status == 429 || a->status == 503;
}

static int
dead_prune(struct sql *s, struct err *e)
{
	return sql_do(s, e,
		"DELETE FROM delivery WHERE state = 'dead' AND event < (SELECT event FROM delivery "
		"WHERE state = 'dead' ORDER BY event DESC LIMIT 1 OFFSET ?1)",
		"i", (int64_t)WEBHOOK_DEAD_MAX - 1);
}

/* What waits since a time to come was put there by a clock that was wrong: it waits since now. */
static int
delivery_note(struct sql *s, const struct outbox_delivery *d, const char *state, int64_t now_s,
	int64_t next_s, const char *answer, struct err *e)
{
	return sql_do(s, e,
		"UPDATE delivery SET state = ?3, tries = ?4, next_s = ?5, answer = ?6, since_s = "
		"min(since_s, ?7) WHERE event = ?1 AND url = ?2",
		"issiisi", d->event, d->url, state, (int64_t)d->tries + 1, next_s, answer, now_s);
}

/* Not each of them finds out by itself that the receiver is down. */
static int
others_put_off(struct sql *s, const struct outbox_delivery *d, const struct outbox_answer *a,
	int64_t now_s, int64_t next_s, struct err *e)
{
	if (sql_do(s, e,
		    "UPDATE delivery SET state = 'dead', answer = ?3 WHERE state = 'waiting' AND "
		    "url = ?1 AND since_s <= ?2",
		    "sis", d->url, now_s - WEBHOOK_AGE_MAX_S, a->text) < 0)
		return -1;
	return sql_do(s, e,
		"UPDATE delivery SET next_s = ?2, since_s = min(since_s, ?3) WHERE state = "
		"'waiting' AND url = ?1 AND (next_s < ?2 OR next_s > ?4)",
		"siii", d->url, next_s, now_s, wait_end(now_s));
}

static int
settle(struct sql *s, const struct outbox_delivery *d, const struct outbox_answer *a, int64_t now_s,
	int64_t next_s, enum outbox_fate fate, struct err *e)
{
	static const char *const states[] = {
		[OUTBOX_TAKEN] = "taken", [OUTBOX_AGAIN] = "waiting", [OUTBOX_DEAD] = "dead"};

	if (delivery_note(s, d, states[fate], now_s, next_s, a->text, e) < 0)
		return -1;
	if (is_of_receiver(a) && others_put_off(s, d, a, now_s, next_s, e) < 0)
		return -1;
	return fate == OUTBOX_TAKEN ? 0 : dead_prune(s, e);
}

int
outbox_settle(struct sql *s, const struct outbox_delivery *d, const struct outbox_answer *a,
	int64_t now_s, enum outbox_fate *fate, struct err *e)
{
	uint64_t wait_s = 0;
	enum outbox_fate f = outbox_judge(a, d->tries + 1, d->since_s, now_s, &wait_s);

	if (sql_begin(s, e) < 0 ||
		sql_end(s, settle(s, d, a, now_s, now_s + (int64_t)wait_s, f, e), e) < 0)
		return -1;
	*fate = f;
	return 0;
}

/* *found: a URL that waits is none of workspace.yaml. */
static int
orphan_find(struct sql *s, const struct workspace *w, char **url, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	int rc = query_begin(
		s, &q, e, "SELECT DISTINCT url FROM delivery WHERE state = 'waiting'", "");

	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		if (webhook_find(&w->webhooks, query_text(q, 0)))
			continue;
		*url = strdup(query_text(q, 0));
		return *url ? 0 : err_sys(e, ENOMEM, "fleet.db");
	}
	return rc;
}

int
outbox_bury(struct sql *s, const struct workspace *w, struct err *e)
{
	for (;;) {
		AUTO_FREE char *url = NULL;

		if (orphan_find(s, w, &url, e) < 0)
			return -1;
		if (!url)
			return 0;
		if (sql_do(s, e,
			    "UPDATE delivery SET state = 'dead', answer = 'workspace.yaml has no "
			    "such webhook any more' WHERE state = 'waiting' AND url = ?1",
			    "s", url) < 0 ||
			dead_prune(s, e) < 0)
			return -1;
	}
}

int
outbox_revive(struct sql *s, const struct workspace *w, const char *name, int64_t now_s,
	uint64_t *count, struct err *e)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w->webhooks.count; i++) {
		if (sql_do(s, e,
			    "UPDATE delivery SET state = 'waiting', tries = 0, since_s = ?2, "
			    "next_s = "
			    "?2 WHERE state = 'dead' AND url = ?1 AND (?3 = '' OR event = (SELECT "
			    "id "
			    "FROM event WHERE name = ?3))",
			    "sis", w->webhooks.list[i].url, now_s, name ? name : "") < 0)
			return -1;
		n += sql_changes(s);
	}
	*count = n;
	return 0;
}

int
outbox_census(struct sql *s, const char *url, struct outbox_census *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;

	if (query_begin(s, &q, e,
		    "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE "
		    "state "
		    "= 'taken'), count(*) FILTER (WHERE state = 'dead') FROM delivery WHERE url = "
		    "?1",
		    "s", url) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	*out = (struct outbox_census){
		(uint64_t)query_int(q, 0), (uint64_t)query_int(q, 1), (uint64_t)query_int(q, 2)};
	return 0;
}

int
outbox_each_dead(struct sql *s,
	int (*each)(void *arg, const struct outbox_delivery *d, struct err *e), void *arg,
	struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	int rc = query_begin(s, &q, e,
		"SELECT " COLUMNS " FROM delivery JOIN event ON event.id = delivery.event WHERE "
		"state = 'dead' ORDER BY event DESC, url",
		"");

	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		struct outbox_delivery d;

		if (delivery_take(q, &d, e) < 0)
			return -1;
		rc = each(arg, &d, e);
		free(d.url);
	}
	return rc;
}
