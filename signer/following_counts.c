/* How the rollouts that are followed stand: the part of following.h that reads counts, and makes
 * boxes overdue. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signer/following.h"
#include "signer/sql.h"

static int
waves_read(struct sql *s, struct following *x, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	int rc = query_begin(s, &q, e,
		"SELECT name, opened_s, boxes, seen, started, ok, failed, reverted, overdue, "
		"inconclusive, accepted_ok, accepted_failed, accepted_reverted, accepted_overdue "
		"FROM wave WHERE rollout = ?1 ORDER BY wave",
		"i", x->id);

	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row && x->wave_count < WAVES_MAX) {
		struct following_wave *w = &x->waves[x->wave_count++];

		(void)snprintf(w->name, sizeof(w->name), "%s", query_text(q, 0));
		w->opened_s = query_int(q, 1);
		w->tally = (struct tally){.boxes = (uint64_t)query_int(q, 2),
			.seen = (uint64_t)query_int(q, 3),
			.started = (uint64_t)query_int(q, 4),
			.ok = (uint64_t)query_int(q, 5),
			.failed = (uint64_t)query_int(q, 6),
			.reverted = (uint64_t)query_int(q, 7),
			.overdue = (uint64_t)query_int(q, 8),
			.inconclusive = (uint64_t)query_int(q, 9)};
		w->accepted = (struct tally){.ok = (uint64_t)query_int(q, 10),
			.failed = (uint64_t)query_int(q, 11),
			.reverted = (uint64_t)query_int(q, 12),
			.overdue = (uint64_t)query_int(q, 13)};
	}
	return rc;
}

static int
following_take(const struct query *q, struct following *x, struct err *e)
{
	*x = (struct following){.id = query_int(q, 0),
		.version = (uint64_t)query_int(q, 3),
		.attempt = (uint64_t)query_int(q, 4),
		.begun_s = query_int(q, 7),
		.ended_s = query_int(q, 8)};
	(void)snprintf(x->path, sizeof(x->path), "%s", query_text(q, 1));
	(void)snprintf(x->rollout, sizeof(x->rollout), "%s", query_text(q, 2));
	(void)snprintf(x->accepted, sizeof(x->accepted), "%s", query_text(q, 9));
	if (digest_parse(query_text(q, 5), &x->plan_sha256, e) < 0 ||
		digest_parse(query_text(q, 6), &x->manifest, e) < 0)
		return err_context(e, "fleet.db");
	return 0;
}

int
following_read(struct fleet *f, int64_t id, struct following *out, struct err *e)
{
	AUTO_FREE struct following *x = calloc(1, sizeof(*x));
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;

	if (!x)
		return err_sys(e, ENOMEM, "reading rollout %lld", (long long)id);
	if (fleet_sql(f, &s, e) < 0 ||
		query_begin(s, &q, e,
			"SELECT id, path, rollout, version, attempt, sha256, manifest, begun_s, "
			"ended_s, accepted FROM rollout WHERE id = ?1",
			"i", id) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	if (!row)
		return err_set(e, ERR_USAGE, "no rollout %lld is known here", (long long)id);
	if (following_take(q, x, e) < 0 || waves_read(s, x, e) < 0)
		return -1;
	*out = *x;
	return 0;
}

static void
odd_note(struct err *odd, const struct err *why)
{
	if (odd->class == ERR_NONE)
		*odd = *why;
}

int
following_each(struct fleet *f, bool ended,
	int (*each)(void *arg, const struct following *x, struct err *e), void *arg, struct err *e)
{
	AUTO_FREE struct following *x = calloc(1, sizeof(*x));
	AUTO_QUERY struct query *q = NULL;
	struct err odd = ERR_INIT;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (!x)
		return err_sys(e, ENOMEM, "reading rollouts");
	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT id, path, rollout, version, attempt, sha256, manifest, begun_s, ended_s, "
		"accepted FROM rollout WHERE ?1 OR ended_s = 0 ORDER BY path, id DESC",
		"i", (int64_t)ended);
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		struct err why = ERR_INIT;

		if (following_take(q, x, &why) < 0)
			odd_note(&odd, &why);
		else
			rc = waves_read(s, x, e) < 0 ? -1 : each(arg, x, e);
	}
	return rc == 0 && odd.class != ERR_NONE ? err_set(e, odd.class, "%s", odd.text) : rc;
}

/* A box and how it fares, from the columns wave, status, started, started_s, start_boot, heard_s,
 * name. */
static int
box_take(const struct query *q, struct following_box *out, struct err *e)
{
	int status = participation_of(query_text(q, 1));

	if (status < 0 || query_int(q, 0) < 0 || query_int(q, 0) >= WAVES_MAX)
		return err_set(e, ERR_MALFORMED, "fleet.db: a participant makes no sense");
	*out = (struct following_box){.name = query_text(q, 6),
		.wave = (size_t)query_int(q, 0),
		.how = {.status = (enum participation)status,
			.started = query_int(q, 2) != 0,
			.started_s = query_int(q, 3)},
		.heard_s = query_int(q, 5)};
	(void)snprintf(out->how.start_boot, sizeof(out->how.start_boot), "%s", query_text(q, 4));
	return 0;
}

int
following_recount(struct fleet *f, int64_t id, struct tally *out, struct err *e)
{
	AUTO_FREE struct tally *t = calloc(WAVES_MAX, sizeof(*t));
	AUTO_QUERY struct query *q = NULL;
	struct following_box b;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (!t)
		return err_sys(e, ENOMEM, "counting participants");
	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT wave, status, started, started_s, start_boot, heard_s, '' FROM participant "
		"WHERE rollout = ?1",
		"i", id);
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		if (box_take(q, &b, e) < 0)
			return -1;
		participant_count(&b.how, 1, &t[b.wave]);
	}
	if (rc == 0)
		memcpy(out, t, WAVES_MAX * sizeof(*t));
	return rc;
}

int
following_each_box(struct fleet *f, int64_t id, int status,
	int (*each)(void *arg, const struct following_box *b, struct err *e), void *arg,
	struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct err odd = ERR_INIT;
	struct following_box b;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT wave, status, started, started_s, start_boot, heard_s, name FROM "
		"participant "
		"JOIN box ON box.id = participant.box WHERE rollout = ?1 AND (?2 = '' OR status = "
		"?2) ORDER BY participant.box",
		"is", id, status < 0 ? "" : participation_name((enum participation)status));
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		struct err why = ERR_INIT;

		if (box_take(q, &b, &why) < 0)
			odd_note(&odd, &why);
		else
			rc = each(arg, &b, e);
	}
	return rc == 0 && odd.class != ERR_NONE ? err_set(e, odd.class, "%s", odd.text) : rc;
}

/* The box that has been silent for longest of those under way. */
struct silent {
	int64_t box, wave, heard_tick;
};

static int
silent_find(struct sql *s, int64_t id, bool *found, struct silent *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;

	if (query_begin(s, &q, e,
		    "SELECT box, wave, heard_tick FROM participant WHERE rollout = ?1 AND status = "
		    "'started' ORDER BY heard_tick LIMIT 1",
		    "i", id) < 0 ||
		query_next(q, found, e) < 0)
		return -1;
	if (*found)
		*out = (struct silent){query_int(q, 0), query_int(q, 1), query_int(q, 2)};
	return 0;
}

static int
overdue_mark(struct sql *s, int64_t id, const struct plan *p, uint64_t *newly, struct err *e)
{
	int64_t now = 0;
	struct silent x = {0};
	bool found;

	if (sql_get(s, NULL, &now, e, "SELECT value FROM counter WHERE name = 'listened_s'", "") <
		0)
		return -1;
	for (*newly = 0;; ++*newly) {
		if (silent_find(s, id, &found, &x, e) < 0)
			return -1;
		if (!found || now <= x.heard_tick ||
			!judgement_overdue(p, (uint64_t)(now - x.heard_tick)))
			return 0;
		if (sql_do(s, e,
			    "UPDATE participant SET status = 'overdue' WHERE rollout = ?1 AND box "
			    "= ?2",
			    "ii", id, x.box) < 0 ||
			sql_do(s, e,
				"UPDATE wave SET overdue = overdue + 1 WHERE rollout = ?1 AND wave "
				"= ?2",
				"ii", id, x.wave) < 0)
			return -1;
	}
}

int
following_overdue(struct fleet *f, int64_t id, uint64_t *newly, struct err *e)
{
	AUTO_PLAN struct plan p = {0};
	struct sql *s = NULL;
	uint64_t count = 0;

	if (fleet_sql(f, &s, e) < 0 || following_plan(f, id, &p, e) < 0 || sql_begin(s, e) < 0)
		return -1;
	if (sql_end(s, overdue_mark(s, id, &p, &count, e), e) < 0)
		return -1;
	*newly = count;
	return 0;
}
