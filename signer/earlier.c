#include "signer/earlier.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "signer/hearing.h"

/* Reports are numbered as they come. But the last may have been deleted, and the next is given its
 * number: a thousand boxes are pruned at once. */
enum { PORTION_ROWS = 5000, SLACK_ROWS = 100000 };

/* Who waits for SQLite's lock looks for it each 100 ms, and must find it free before his 10 s are
 * over. */
enum { PAUSE_MS = 20 };

/* Marks: the first number that can be of the plan, that of the last when it began, the next to look
 * at (until all were), and whether counts begin anew. */
#define FROM "reports_from"
#define UNTIL "reports_until"
#define NEXT "reports_next"
#define ANEW "counts_anew"

static int
mark_get(struct sql *s, int64_t following, const char *name, bool *found, int64_t *out,
	struct err *e)
{
	return sql_get(s, found, out, e, "SELECT value FROM mark WHERE rollout = ?1 AND name = ?2",
		"is", following, name);
}

static int
mark_set(struct sql *s, int64_t following, const char *name, int64_t value, struct err *e)
{
	return sql_do(s, e, "INSERT OR REPLACE INTO mark VALUES (?1, ?2, ?3)", "isi", following,
		name, value);
}

static int
first_find(struct sql *s, int64_t following, const char *path, int64_t *out, struct err *e)
{
	bool found;

	if (mark_get(s, following, FROM, &found, out, e) < 0)
		return -1;
	return found ? 0
		     : sql_get(s, NULL, out, e,
			       "SELECT max(0, coalesce(max(value), 0) - ?3) FROM mark JOIN rollout "
			       "ON rollout.id = mark.rollout WHERE path = ?1 AND mark.rollout != "
			       "?2 "
			       "AND name = '" UNTIL "'",
			       "sii", path, following, (int64_t)SLACK_ROWS);
}

int
earlier_note(struct sql *s, int64_t following, const char *path, bool counts_anew, struct err *e)
{
	int64_t first = 0, last = 0;

	if (first_find(s, following, path, &first, e) < 0 ||
		sql_get(s, NULL, &last, e, "SELECT coalesce(max(id), 0) FROM report", "") < 0 ||
		mark_set(s, following, FROM, first, e) < 0 ||
		mark_set(s, following, UNTIL, last, e) < 0 ||
		mark_set(s, following, NEXT, first, e) < 0)
		return -1;
	return counts_anew ? mark_set(s, following, ANEW, 1, e) : 0;
}

static int
portion_read(struct sql *s, int64_t first, const struct plan *p, int64_t boxes[PORTION_ROWS],
	size_t *count, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	size_t n = 0;
	int rc = query_begin(s, &q, e,
		"SELECT DISTINCT box FROM report WHERE id >= ?1 AND id < ?2 AND rollout = ?3 AND "
		"plan_version = ?4 AND attempt = ?5 AND plan IN (?6, '')",
		"iisiis", first, first + PORTION_ROWS, p->rollout, (int64_t)p->version,
		(int64_t)p->attempt, p->path);

	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row && n < PORTION_ROWS)
		boxes[n++] = query_int(q, 0);
	*count = n;
	return rc;
}

static int
earlier_end(struct sql *s, int64_t following, struct err *e)
{
	return sql_do(s, e,
		       "UPDATE wave SET accepted_ok = min(accepted_ok, ok), accepted_failed = "
		       "min(accepted_failed, failed), accepted_reverted = min(accepted_reverted, "
		       "reverted), accepted_overdue = min(accepted_overdue, overdue) WHERE rollout "
		       "= ?1 AND EXISTS (SELECT 1 FROM mark WHERE rollout = ?1 AND name = '" ANEW
		       "')",
		       "i", following) < 0
		       ? -1
		       : sql_do(s, e,
				 "DELETE FROM mark WHERE rollout = ?1 AND name IN ('" NEXT
				 "', '" ANEW "')",
				 "i", following);
}

static int
portion_take(struct sql *s, int64_t following, const struct plan *p, bool *more, struct err *e)
{
	AUTO_FREE int64_t *boxes = calloc(PORTION_ROWS, sizeof(*boxes));
	int64_t next = 0, last = 0;
	size_t count = 0;

	if (!boxes)
		return err_sys(e, ENOMEM, "taking up reports");
	if (mark_get(s, following, NEXT, more, &next, e) < 0)
		return -1;
	if (!*more)
		return 0;
	if (mark_get(s, following, UNTIL, NULL, &last, e) < 0 ||
		portion_read(s, next, p, boxes, &count, e) < 0 ||
		hearing_anew(s, following, boxes, count, e) < 0)
		return -1;
	next += PORTION_ROWS;
	*more = next <= last;
	return *more ? mark_set(s, following, NEXT, next, e) : earlier_end(s, following, e);
}

int
earlier_take(struct sql *s, int64_t following, const struct plan *p, struct err *e)
{
	bool more = true;

	while (more) {
		if (sql_begin(s, e) < 0 ||
			sql_end(s, portion_take(s, following, p, &more, e), e) < 0)
			return -1;
		if (more)
			clock_sleep_ms(PAUSE_MS);
	}
	return 0;
}
