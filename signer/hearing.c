#include "signer/hearing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/envelope.h"
#include "common/format/plan.h"
#include "signer/participant.h"

/* A plan that is followed. */
struct followed {
	int64_t id;
	struct plan plan;
	char manifest[DIGEST_HEX_SIZE];
	int64_t opened_s[WAVES_MAX];
	struct tally change[WAVES_MAX]; /* since hearing_begin(), by two's complement */
};

struct hearing {
	struct sql *sql;
	int64_t loaded; /* counter `followings` when the list was read; -1: never */
	int64_t tick;	/* of the clock of silence */
	struct followed *list;
	size_t count;
	struct err plan_damage; /* of the first plan that could not be loaded */
	struct err damage;	/* of the first row that was passed over since hearing_begin() */
};

static void
hearing_forget(struct hearing *h)
{
	for (size_t i = 0; i < h->count; i++)
		plan_free(&h->list[i].plan);
	free(h->list);
	h->list = NULL;
	h->count = 0;
	h->loaded = -1;
	h->plan_damage = ERR_INIT;
}

/* What makes no sense in one row is that row's own, and is told; what the disk refuses is not. */
static int
damage_note(struct err *damage, const struct err *why, struct err *e)
{
	if (why->class == ERR_SYSTEM)
		return err_set(e, ERR_SYSTEM, "%s", why->text);
	if (damage->class == ERR_NONE)
		*damage = *why;
	return 0;
}

void
hearing_free(struct hearing **h)
{
	if (!*h)
		return;
	hearing_forget(*h);
	free(*h);
	*h = NULL;
}

int
hearing_new(struct sql *s, struct hearing **out, struct err *e)
{
	struct hearing *h = calloc(1, sizeof(*h));

	if (!h)
		return err_sys(e, ENOMEM, "following rollouts");
	h->sql = s;
	h->loaded = -1;
	*out = h;
	return 0;
}

int
hearing_plan(
	struct sql *s, int64_t following, struct plan *out, struct digest *manifest, struct err *e)
{
	AUTO_VERIFIED struct verified v = {0};
	AUTO_QUERY struct query *q = NULL;
	struct digest sha256, release;
	struct span text;
	bool row = false;

	if (query_begin(s, &q, e, "SELECT plan, sha256, manifest FROM rollout WHERE id = ?1", "i",
		    following) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	if (!row)
		return err_set(e, ERR_USAGE, "no rollout %lld is known here", (long long)following);
	text = span_str(query_text(q, 0));
	if (digest_parse(query_text(q, 1), &sha256, e) < 0 ||
		digest_parse(query_text(q, 2), &release, e) < 0 ||
		verified_by_digest(text, "fleet.db: a plan", text.len, &sha256, &v, e) < 0 ||
		plan_parse(&v, out, e) < 0)
		return -1;
	*manifest = release;
	return 0;
}

static int
opened_read(struct hearing *h, struct followed *x, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	int rc = query_begin(
		h->sql, &q, e, "SELECT wave, opened_s FROM wave WHERE rollout = ?1", "i", x->id);

	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		if (query_int(q, 0) >= 0 && query_int(q, 0) < WAVES_MAX)
			x->opened_s[query_int(q, 0)] = query_int(q, 1);
	}
	return rc;
}

static int
followed_add(struct hearing *h, int64_t id, struct err *e)
{
	struct followed *list = reallocarray(h->list, h->count + 1, sizeof(*list));
	struct digest manifest;
	struct followed *x;

	if (!list)
		return err_sys(e, ENOMEM, "following rollouts");
	h->list = list;
	x = &list[h->count];
	*x = (struct followed){.id = id};
	if (hearing_plan(h->sql, id, &x->plan, &manifest, e) < 0)
		return -1;
	h->count++;
	(void)digest_hex(&manifest, x->manifest);
	return opened_read(h, x, e);
}

static int
hearing_load(struct hearing *h, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	int rc = query_begin(
		h->sql, &q, e, "SELECT id FROM rollout WHERE ended_s = 0 ORDER BY id", "");

	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		struct err why = ERR_INIT;

		if (followed_add(h, query_int(q, 0), &why) == 0)
			continue;
		(void)err_context(&why,
			"fleet.db: rollout %lld is damaged, and no report counts for it",
			(long long)query_int(q, 0));
		rc = damage_note(&h->plan_damage, &why, e);
	}
	return rc;
}

int
hearing_begin(struct hearing *h, struct err *e)
{
	int64_t now = 0;

	h->damage = ERR_INIT;
	for (size_t i = 0; i < h->count; i++)
		memset(h->list[i].change, 0, sizeof(h->list[i].change));
	if (sql_get(h->sql, NULL, &h->tick, e,
		    "SELECT value FROM counter WHERE name = 'listened_s'", "") < 0 ||
		sql_get(h->sql, NULL, &now, e,
			"SELECT value FROM counter WHERE name = 'followings'", "") < 0)
		return -1;
	if (h->loaded == now)
		return 0;
	hearing_forget(h);
	if (hearing_load(h, e) < 0)
		return -1;
	h->loaded = now;
	return 0;
}

/* A row of table participant. */
struct row {
	bool found;
	size_t wave;
	struct participant how;
	int64_t heard_s, seq;
};

static int
row_read(struct hearing *h, const struct followed *x, int64_t box, struct row *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct row r = {0};
	int status;

	if (query_begin(h->sql, &q, e,
		    "SELECT wave, status, started, started_s, start_boot, heard_s, seq FROM "
		    "participant WHERE rollout = ?1 AND box = ?2",
		    "ii", x->id, box) < 0 ||
		query_next(q, &r.found, e) < 0)
		return -1;
	if (r.found) {
		status = participation_of(query_text(q, 1));
		r.wave = (size_t)query_int(q, 0);
		if (status < 0 || r.wave >= WAVES_MAX)
			return err_set(e, ERR_MALFORMED,
				"fleet.db: how box %lld fares in %s makes no sense, and its "
				"reports "
				"do not count there",
				(long long)box, x->plan.path);
		r.how.status = (enum participation)status;
		r.how.started = query_int(q, 2) != 0;
		r.how.started_s = query_int(q, 3);
		(void)snprintf(r.how.start_boot, sizeof(r.how.start_boot), "%s", query_text(q, 4));
		r.heard_s = query_int(q, 5);
		r.seq = query_int(q, 6);
	}
	*out = r;
	return 0;
}

/* What is heard before its wave opens says nothing, but for what has happened already. And that the
 * release runs where it was not brought back by a recall says nothing of the recall. */
static bool
takes_part(const struct followed *x, const struct row *r)
{
	int64_t opened_s = x->opened_s[r->wave];

	if (r->how.started)
		return true;
	if (r->how.status == PARTICIPANT_SEEN)
		return opened_s > 0 && r->heard_s >= opened_s;
	return !x->plan.has_recall || r->how.status != PARTICIPANT_OK;
}

/* Replaces a row, and moves the counts by what that changes. */
static int
row_write(struct hearing *h, struct followed *x, int64_t box, const struct row *old,
	const struct row *new, struct err *e)
{
	if (!old->found && !takes_part(x, new))
		return 0;
	if (old->found)
		participant_count(&old->how, -1, &x->change[old->wave]);
	participant_count(&new->how, 1, &x->change[new->wave]);
	return sql_do(h->sql, e,
		"INSERT OR REPLACE INTO participant VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		"?10)",
		"iiisiisiii", x->id, box, (int64_t) new->wave, participation_name(new->how.status),
		(int64_t) new->how.started, new->how.started_s, new->how.start_boot, new->heard_s,
		h->tick, new->seq);
}

/* Which wave a box counts in: its own, or, where it has left the plan since, the one that it was
 * in. */
static bool
wave_of(const struct followed *x, const struct box_facts *facts, const struct row *old, size_t *out)
{
	if (plan_membership_begun(&x->plan, facts, out) == MEMBER_OF_WAVE)
		return true;
	*out = old->wave;
	return old->found;
}

/* Reads the reports of one box that concern a following, in their order, into *row. */
static int
reports_hear(
	struct hearing *h, const struct followed *x, int64_t box, struct row *row, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool more = false;
	int rc = query_begin(h->sql, &q, e,
		"SELECT seq, state, outcome, boot_id, running, linked, heard_s FROM report WHERE "
		"box = ?1 AND rollout = ?2 AND plan_version = ?3 AND attempt = ?4 AND plan IN (?5, "
		"'') ORDER BY seq",
		"isiis", box, x->plan.rollout, (int64_t)x->plan.version, (int64_t)x->plan.attempt,
		x->plan.path);

	while (rc == 0 && (rc = query_next(q, &more, e)) == 0 && more) {
		struct told t = {.boot_id = query_text(q, 3),
			.running = query_text(q, 4),
			.linked = query_text(q, 5),
			.heard_s = query_int(q, 6)};

		if (!box_state_of(query_text(q, 1), &t.state) ||
			!outcome_of(query_text(q, 2), &t.outcome))
			return err_set(e, ERR_MALFORMED,
				"fleet.db: a report of box %lld makes no sense, and how the box "
				"fares "
				"in %s is not counted anew",
				(long long)box, x->plan.path);
		participant_hear(&row->how, &t, x->manifest);
		row->found = true;
		row->seq = query_int(q, 0);
		row->heard_s = row->heard_s > t.heard_s ? row->heard_s : t.heard_s;
	}
	return rc;
}

static int
box_wave(struct hearing *h, const struct followed *x, int64_t box, const struct row *old,
	bool *member, size_t *wave, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	AUTO_JSON json_t *tags = NULL;
	struct box_facts facts;
	bool row = false;

	if (query_begin(h->sql, &q, e,
		    "SELECT name, known.compatible, known.tags, version FROM box JOIN known ON "
		    "known.box = box.id WHERE box.id = ?1",
		    "i", box) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	*member = false;
	if (!row)
		return 0;
	if (json_parse(span_str(query_text(q, 2)), "fleet.db", &tags, e) < 0)
		return -1;
	facts = (struct box_facts){.id = query_text(q, 0),
		.compatible = query_text(q, 1),
		.tags = tags,
		.version = query_text(q, 3)};
	*member = wave_of(x, &facts, old, wave);
	return 0;
}

static int
followed_again(struct hearing *h, struct followed *x, int64_t box, struct err *e)
{
	struct row old, new = {0};
	bool member;

	if (row_read(h, x, box, &old, e) < 0 ||
		box_wave(h, x, box, &old, &member, &new.wave, e) < 0)
		return -1;
	if (!member)
		return 0;
	if (reports_hear(h, x, box, &new, e) < 0)
		return -1;
	if (!new.found)
		return 0;
	/* Its start may be among the reports that are gone. */
	if (old.how.started && !new.how.started) {
		new.how.started = true;
		new.how.started_s = old.how.started_s;
	}
	return row_write(h, x, box, &old, &new, e);
}

int
hearing_again(struct hearing *h, int64_t following, int64_t box, struct err *e)
{
	struct err why = ERR_INIT;

	for (size_t i = 0; i < h->count; i++) {
		if (h->list[i].id == following && followed_again(h, &h->list[i], box, &why) < 0)
			return damage_note(&h->damage, &why, e);
	}
	return 0;
}

static bool
concerns(const struct followed *x, const struct report *r)
{
	return strcmp(r->rollout, x->plan.rollout) == 0 && r->plan_version == x->plan.version &&
	       r->attempt == x->plan.attempt && (!r->plan[0] || strcmp(r->plan, x->plan.path) == 0);
}

static int
followed_take(struct hearing *h, struct followed *x, int64_t box, const struct report *r,
	int64_t heard_s, struct err *e)
{
	const struct told t = {
		r->state, r->outcome, r->boot_id, r->running_sha256, r->linked_sha256, heard_s};
	const struct box_facts facts = {
		.id = r->box, .compatible = r->compatible, .tags = r->tags, .version = r->version};
	struct row old, new;

	if (row_read(h, x, box, &old, e) < 0)
		return -1;
	if (old.found && old.seq > (int64_t)r->seq)
		return followed_again(h, x, box, e);
	new = old;
	if (!wave_of(x, &facts, &old, &new.wave))
		return 0;
	participant_hear(&new.how, &t, x->manifest);
	new.seq = (int64_t)r->seq;
	new.heard_s = old.heard_s > heard_s ? old.heard_s : heard_s;
	return row_write(h, x, box, &old, &new, e);
}

int
hearing_take(struct hearing *h, int64_t box, const struct report *r, int64_t heard_s, struct err *e)
{
	if (!r->rollout[0])
		return 0;
	for (size_t i = 0; i < h->count; i++) {
		struct err why = ERR_INIT;

		if (concerns(&h->list[i], r) &&
			followed_take(h, &h->list[i], box, r, heard_s, &why) < 0 &&
			damage_note(&h->damage, &why, e) < 0)
			return -1;
	}
	return 0;
}

const struct err *
hearing_damage(const struct hearing *h)
{
	return h->plan_damage.class != ERR_NONE ? &h->plan_damage : &h->damage;
}

static int
change_write(struct hearing *h, const struct followed *x, size_t wave, struct err *e)
{
	const struct tally *t = &x->change[wave];
	static const struct tally none = {0};

	if (memcmp(t, &none, sizeof(none)) == 0)
		return 0;
	return sql_do(h->sql, e,
		"UPDATE wave SET seen = seen + ?3, started = started + ?4, ok = ok + ?5, failed = "
		"failed + ?6, reverted = reverted + ?7, overdue = overdue + ?8, inconclusive = "
		"inconclusive + ?9 WHERE rollout = ?1 AND wave = ?2",
		"iiiiiiiii", x->id, (int64_t)wave, (int64_t)t->seen, (int64_t)t->started,
		(int64_t)t->ok, (int64_t)t->failed, (int64_t)t->reverted, (int64_t)t->overdue,
		(int64_t)t->inconclusive);
}

int
hearing_end(struct hearing *h, struct err *e)
{
	for (size_t i = 0; i < h->count; i++) {
		for (size_t wave = 0; wave < h->list[i].plan.wave_count; wave++) {
			if (change_write(h, &h->list[i], wave, e) < 0)
				return -1;
		}
	}
	return 0;
}

int
hearing_anew(struct sql *s, int64_t following, const int64_t *boxes, size_t count, struct err *e)
{
	AUTO_HEARING struct hearing *h = NULL;

	if (hearing_new(s, &h, e) < 0 || hearing_begin(h, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (hearing_again(h, following, boxes[i], e) < 0)
			return -1;
	}
	return hearing_end(h, e);
}
