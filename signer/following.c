#include "signer/following.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/envelope.h"
#include "signer/audience.h"
#include "signer/earlier.h"
#include "signer/hearing.h"
#include "signer/outage.h"
#include "signer/sql.h"

/* Of each path, the followings whose boxes are still known one by one: what is followed, and the
 * one before. */
enum { ENDED_KEPT = 1 };

static int
plan_verify(struct span bytes, const struct digest *sha256, struct plan *out, struct err *e)
{
	AUTO_VERIFIED struct verified v = {0};

	if (verified_by_digest(bytes, "the plan", bytes.len, sha256, &v, e) < 0)
		return -1;
	return plan_parse(&v, out, e);
}

/* Whoever holds reports against followings reads them anew. */
static int
epoch_move(struct sql *s, struct err *e)
{
	return sql_do(s, e, "UPDATE counter SET value = value + 1 WHERE name = 'followings'", "");
}

struct census {
	struct sql *sql;
	int64_t id;
	const struct plan *plan;
	const struct digest *manifest;
	uint64_t boxes[WAVES_MAX];
};

/* A box whose version the plan does not ask for counts all the same where nobody knows what it
 * runs, and where it runs the release already; but of a recall, only if that brought it. */
static int
census_doubt(struct census *c, const struct fleet_member *m, bool *counts, struct err *e)
{
	int64_t row;

	*counts = !m->facts.version[0];
	for (size_t i = 0; i < ARRAY_LEN(m->facts.running); i++) {
		const struct digest *running = m->facts.running[i];

		*counts |= running && digest_equal(running, c->manifest);
	}
	if (!*counts || !m->facts.version[0] || !c->plan->has_recall)
		return 0;
	return sql_get(c->sql, counts, &row, e,
		"SELECT box FROM participant WHERE rollout = ?1 AND box = ?2", "ii", c->id, m->row);
}

static int
census_see(void *arg, const struct fleet_member *m, struct err *e)
{
	struct census *c = arg;
	size_t wave = 0;
	bool counts = true;
	enum membership is;

	if (!audience_asks(c->plan, m))
		return 0;
	is = plan_membership(c->plan, &m->facts, &wave);
	if (is == MEMBER_NOT_FROM || is == MEMBER_NOT_RECALLED) {
		if (census_doubt(c, m, &counts, e) < 0)
			return -1;
		is = plan_membership_begun(c->plan, &m->facts, &wave);
	}
	if (is == MEMBER_OF_WAVE && counts)
		c->boxes[wave]++;
	return 0;
}

static int
census_take(struct fleet *f, struct sql *s, int64_t id, const struct plan *p,
	const struct digest *manifest, struct err *e)
{
	AUTO_FREE struct census *c = calloc(1, sizeof(*c));

	if (!c)
		return err_sys(e, ENOMEM, "counting boxes");
	c->sql = s;
	c->id = id;
	c->plan = p;
	c->manifest = manifest;
	if (fleet_each_box(f, census_see, c, e) < 0)
		return -1;
	for (size_t i = 0; i < p->wave_count; i++) {
		if (sql_do(s, e, "UPDATE wave SET boxes = ?3 WHERE rollout = ?1 AND wave = ?2",
			    "iii", id, (int64_t)i, (int64_t)c->boxes[i]) < 0)
			return -1;
	}
	return 0;
}

/* A list of rows: what is read while the rows are written to. */
struct rows {
	int64_t *list;
	size_t count, room;
};

static void
rows_free(struct rows *r)
{
	free(r->list);
}
#define AUTO_ROWS CLEANUP(rows_free)

static int
rows_read(struct query *q, struct rows *out, struct err *e)
{
	bool row = false;
	int rc;

	while ((rc = query_next(q, &row, e)) == 0 && row) {
		if (out->count == out->room) {
			size_t room = out->room ? 2 * out->room : 1024;
			int64_t *list = reallocarray(out->list, room, sizeof(*list));

			if (!list)
				return err_sys(e, ENOMEM, "fleet.db");
			out->list = list;
			out->room = room;
		}
		out->list[out->count++] = query_int(q, 0);
	}
	return rc;
}

/* Of a path, but for one: 0 for none. */
static int
others_end(struct sql *s, const char *path, int64_t but, int64_t now_s, struct err *e)
{
	AUTO_ROWS struct rows past = {0};
	AUTO_QUERY struct query *q = NULL;

	if (sql_do(s, e,
		    "UPDATE rollout SET ended_s = ?3 WHERE path = ?1 AND id != ?2 AND ended_s = 0",
		    "sii", path, but, now_s) < 0 ||
		query_begin(s, &q, e,
			"SELECT id FROM rollout WHERE path = ?1 AND id != ?2 AND ended_s != 0 "
			"ORDER BY ended_s DESC, id DESC LIMIT -1 OFFSET ?3",
			"sii", path, but, (int64_t)ENDED_KEPT) < 0 ||
		rows_read(q, &past, e) < 0)
		return -1;
	query_end(&q);
	for (size_t i = 0; i < past.count; i++) {
		if (sql_do(s, e, "DELETE FROM participant WHERE rollout = ?1", "i", past.list[i]) <
			0)
			return -1;
	}
	return epoch_move(s, e);
}

static int
rollout_insert(struct sql *s, const struct plan *p, const char *text, const struct digest *sha256,
	const struct digest *manifest, int64_t now_s, int64_t *id, struct err *e)
{
	char plan_hex[DIGEST_HEX_SIZE], manifest_hex[DIGEST_HEX_SIZE];

	if (sql_do(s, e,
		    "INSERT INTO rollout (path, rollout, version, attempt, sha256, manifest, plan, "
		    "begun_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		    "ssiisssi", p->path, p->rollout, (int64_t)p->version, (int64_t)p->attempt,
		    digest_hex(sha256, plan_hex), digest_hex(manifest, manifest_hex), text,
		    now_s) < 0)
		return -1;
	*id = sql_row(s);
	for (size_t i = 0; i < p->wave_count; i++) {
		if (sql_do(s, e, "INSERT INTO wave (rollout, wave, name) VALUES (?1, ?2, ?3)",
			    "iis", *id, (int64_t)i, p->waves[i].name) < 0)
			return -1;
	}
	return 0;
}

/* What a plan that is to be followed is made of. */
struct beginning {
	const struct followable *from;
	const struct plan *plan;
	const char *text;
	int64_t now_s;
};

/* Notes that a stop was accepted. *fresh: it was not before. */
static int
accepted_note(struct sql *s, int64_t id, const char *stop_id, bool *fresh, struct err *e)
{
	char mark[STOP_ID_SIZE + 16];

	(void)snprintf(mark, sizeof(mark), "accepted %s", stop_id);
	if (sql_do(s, e, "INSERT INTO mark VALUES (?1, ?2, 1) ON CONFLICT DO NOTHING", "is", id,
		    mark) < 0)
		return -1;
	*fresh = sql_changes(s) != 0;
	return 0;
}

/* Whoever lifted a stop of the plan before has accepted nothing that this one does. */
static int
lifted_note(struct sql *s, int64_t id, const struct followable *x, struct err *e)
{
	bool fresh;

	for (size_t i = 0; x->gate && i < x->gate->stop_count; i++) {
		if (stop_is_lifted(x->gate->stops[i].id, x->resumes) &&
			accepted_note(s, id, x->gate->stops[i].id, &fresh, e) < 0)
			return -1;
	}
	return 0;
}

static int
begin_new(struct fleet *f, struct sql *s, const struct beginning *b, int64_t *id, struct err *e)
{
	const struct followable *x = b->from;

	if (others_end(s, b->plan->path, 0, b->now_s, e) < 0 ||
		rollout_insert(s, b->plan, b->text, x->plan_sha256, x->manifest, b->now_s, id, e) <
			0 ||
		lifted_note(s, *id, x, e) < 0 ||
		census_take(f, s, *id, b->plan, x->manifest, e) < 0)
		return -1;
	return earlier_note(s, *id, b->plan->path, false, e);
}

/* Counts whose boxes are not known any more are what people saw. They begin anew with what the
 * reports say that are kept: who was counted then would count twice. */
static int
counts_restart(struct sql *s, int64_t id, bool *restarted, struct err *e)
{
	int64_t row;
	bool known;

	if (sql_get(s, &known, &row, e, "SELECT box FROM participant WHERE rollout = ?1 LIMIT 1",
		    "i", id) < 0)
		return -1;
	*restarted = !known;
	return known ? 0
		     : sql_do(s, e,
			       "UPDATE wave SET seen = 0, started = 0, ok = 0, failed = 0, "
			       "reverted "
			       "= 0, overdue = 0, inconclusive = 0 WHERE rollout = ?1",
			       "i", id);
}

/* A plan was withdrawn or replaced, and is there again. */
static int
begin_again(struct fleet *f, struct sql *s, const struct beginning *b, int64_t id, struct err *e)
{
	bool restarted;

	if (others_end(s, b->plan->path, id, b->now_s, e) < 0 ||
		sql_do(s, e, "UPDATE rollout SET ended_s = 0, plan = ?2 WHERE id = ?1", "is", id,
			b->text) < 0 ||
		counts_restart(s, id, &restarted, e) < 0 ||
		census_take(f, s, id, b->plan, b->from->manifest, e) < 0)
		return -1;
	return earlier_note(s, id, b->plan->path, restarted, e);
}

/* What the data base kept of the plan may have been damaged since: then no report counted. */
static int
plan_mend(struct sql *s, const struct beginning *b, int64_t id, struct err *e)
{
	if (sql_do(s, e, "UPDATE rollout SET plan = ?2 WHERE id = ?1 AND plan IS NOT ?2", "is", id,
		    b->text) < 0)
		return -1;
	if (sql_changes(s) == 0)
		return 0;
	return epoch_move(s, e) < 0 ? -1 : earlier_note(s, id, b->plan->path, false, e);
}

static int
begin(struct fleet *f, struct sql *s, const struct beginning *b, int64_t *id, struct err *e)
{
	char hex[DIGEST_HEX_SIZE];
	int64_t row = 0, ended_s = 0;
	bool found;

	if (sql_get(s, &found, &row, e, "SELECT id FROM rollout WHERE path = ?1 AND sha256 = ?2",
		    "ss", b->plan->path, digest_hex(b->from->plan_sha256, hex)) < 0)
		return -1;
	*id = row;
	if (!found)
		return begin_new(f, s, b, id, e);
	if (sql_get(s, NULL, &ended_s, e, "SELECT ended_s FROM rollout WHERE id = ?1", "i", row) <
		0)
		return -1;
	return ended_s == 0 ? plan_mend(s, b, row, e) : begin_again(f, s, b, row, e);
}

int
following_begin(
	struct fleet *f, const struct followable *x, int64_t now_s, int64_t *id, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(PLAN_BYTES_MAX);
	AUTO_PLAN struct plan p = {0};
	struct sql *s = NULL;
	int64_t row = 0;

	if (fleet_sql(f, &s, e) < 0 || plan_verify(x->plan, x->plan_sha256, &p, e) < 0 ||
		buf_append(&text, x->plan.data, x->plan.len, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	if (sql_end(s, begin(f, s, &(struct beginning){x, &p, buf_str(&text), now_s}, &row, e), e) <
			0 ||
		earlier_take(s, row, &p, e) < 0)
		return -1;
	*id = row;
	return 0;
}

int
following_find(
	struct fleet *f, const char *path, const struct digest *sha256, int64_t *id, struct err *e)
{
	char hex[DIGEST_HEX_SIZE];
	struct sql *s = NULL;
	int64_t row = 0;
	bool found;

	if (fleet_sql(f, &s, e) < 0 ||
		sql_get(s, &found, &row, e,
			"SELECT id FROM rollout WHERE path = ?1 AND sha256 = ?2 AND ended_s = 0",
			"ss", path, digest_hex(sha256, hex)) < 0)
		return -1;
	*id = found ? row : 0;
	return 0;
}

int
following_end(struct fleet *f, const char *path, int64_t now_s, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, others_end(s, path, 0, now_s, e), e);
}

int
following_plan(struct fleet *f, int64_t id, struct plan *out, struct err *e)
{
	struct digest manifest;
	struct sql *s = NULL;

	return fleet_sql(f, &s, e) < 0 ? -1 : hearing_plan(s, id, out, &manifest, e);
}

int
following_census(struct fleet *f, int64_t id, struct err *e)
{
	AUTO_PLAN struct plan p = {0};
	struct digest manifest;
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 || hearing_plan(s, id, &p, &manifest, e) < 0 ||
		sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, census_take(f, s, id, &p, &manifest, e), e);
}

static int
open_wave(struct sql *s, int64_t id, size_t wave, int64_t opened_s, struct err *e)
{
	AUTO_ROWS struct rows boxes = {0};
	AUTO_QUERY struct query *q = NULL;

	if (sql_do(s, e,
		    "UPDATE wave SET opened_s = ?3 WHERE rollout = ?1 AND wave = ?2 AND opened_s = "
		    "0",
		    "iii", id, (int64_t)wave, opened_s) < 0)
		return -1;
	if (sql_changes(s) == 0)
		return 0;
	if (epoch_move(s, e) < 0 ||
		query_begin(s, &q, e,
			"SELECT box FROM known WHERE heard_s >= ?1 AND box NOT IN (SELECT box FROM "
			"participant WHERE rollout = ?2)",
			"ii", opened_s, id) < 0 ||
		rows_read(q, &boxes, e) < 0)
		return -1;
	query_end(&q);
	/* These came before anybody here knew that the wave was open. */
	return hearing_anew(s, id, boxes.list, boxes.count, e);
}

int
following_opened(struct fleet *f, int64_t id, size_t wave, int64_t opened_s, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, open_wave(s, id, wave, opened_s, e), e);
}

static int
accept_stop(struct sql *s, int64_t id, const char *stop_id, struct err *e)
{
	bool fresh;

	if (accepted_note(s, id, stop_id, &fresh, e) < 0)
		return -1;
	if (!fresh)
		return 0;
	if (sql_do(s, e, "UPDATE rollout SET accepted = ?2 WHERE id = ?1", "is", id, stop_id) < 0)
		return -1;
	return sql_do(s, e,
		"UPDATE wave SET accepted_ok = ok, accepted_failed = failed, accepted_reverted = "
		"reverted, accepted_overdue = overdue WHERE rollout = ?1",
		"i", id);
}

int
following_accept(struct fleet *f, int64_t id, const char *stop_id, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, accept_stop(s, id, stop_id, e), e);
}

int
following_mark(struct fleet *f, int64_t id, const char *name, int64_t *out, struct err *e)
{
	struct sql *s = NULL;
	int64_t value = 0;
	bool found;

	if (fleet_sql(f, &s, e) < 0 ||
		sql_get(s, &found, &value, e,
			"SELECT value FROM mark WHERE rollout = ?1 AND name = ?2", "is", id,
			name) < 0)
		return -1;
	*out = value;
	return 0;
}

int
following_mark_set(struct fleet *f, int64_t id, const char *name, int64_t value, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	return sql_do(
		s, e, "INSERT OR REPLACE INTO mark VALUES (?1, ?2, ?3)", "isi", id, name, value);
}

/* Under no rollout: where the clock of silence stood when it went on after a gap. */
#define RESUMED "resumed_s"

static int
listen(struct sql *s, int64_t now_s, bool can_hear, struct err *e)
{
	int64_t at_s = 0;

	if (sql_get(s, NULL, &at_s, e, "SELECT value FROM counter WHERE name = 'listened_at_s'",
		    "") < 0 ||
		sql_do(s, e, "UPDATE counter SET value = ?1 WHERE name = 'listened_at_s'", "i",
			now_s) < 0)
		return -1;
	if (at_s > now_s && (outage_cut(s, now_s, e) < 0 || epoch_move(s, e) < 0))
		return -1;
	if (at_s != 0 && at_s < now_s && (!can_hear || now_s - at_s > OUTAGE_GAP_MAX_S) &&
		outage_note(s, at_s, now_s, e) < 0)
		return -1;
	/* A clock that was set counts for nothing either. */
	if (!can_hear || now_s - at_s > LISTEN_GAP_MAX_S || at_s - now_s > LISTEN_GAP_MAX_S)
		return sql_do(s, e,
			"INSERT OR REPLACE INTO mark SELECT 0, '" RESUMED
			"', value FROM counter WHERE name = 'listened_s'",
			"");
	return sql_do(s, e, "UPDATE counter SET value = value + ?1 WHERE name = 'listened_s'", "i",
		now_s > at_s ? now_s - at_s : 0);
}

int
following_listen(struct fleet *f, int64_t now_s, bool can_hear, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, listen(s, now_s, can_hear, e), e);
}

int
following_listened(struct fleet *f, int64_t *now_s, int64_t *resumed_s, struct err *e)
{
	struct sql *s = NULL;
	int64_t now = 0, resumed = 0;
	bool found;

	if (fleet_sql(f, &s, e) < 0 ||
		sql_get(s, NULL, &now, e, "SELECT value FROM counter WHERE name = 'listened_s'",
			"") < 0 ||
		sql_get(s, &found, &resumed, e,
			"SELECT value FROM mark WHERE rollout = 0 AND name = '" RESUMED "'",
			"") < 0)
		return -1;
	*now_s = now + 1;
	*resumed_s = resumed + 1;
	return 0;
}

int
following_heard_since(struct fleet *f, int64_t now_s, int64_t span_s, int64_t *out_s, struct err *e)
{
	struct sql *s = NULL;

	return fleet_sql(f, &s, e) < 0 ? -1 : outage_before(s, now_s, span_s, out_s, e);
}
