#include "signer/outage.h"

#define YEAR_S ((int64_t)366 * 86400)

int
outage_note(struct sql *s, int64_t from_s, int64_t until_s, struct err *e)
{
	if (sql_do(s, e, "UPDATE outage SET until_s = ?2 WHERE until_s = ?1", "ii", from_s,
		    until_s) < 0)
		return -1;
	if (sql_changes(s) > 0)
		return 0;
	if (sql_do(s, e, "INSERT OR REPLACE INTO outage VALUES (?1, ?2)", "ii", from_s, until_s) <
		0)
		return -1;
	return sql_do(s, e, "DELETE FROM outage WHERE until_s < ?1", "i", until_s - YEAR_S);
}

int
outage_cut(struct sql *s, int64_t now_s, struct err *e)
{
	if (sql_do(s, e, "DELETE FROM outage WHERE from_s >= ?1", "i", now_s) < 0 ||
		sql_do(s, e, "UPDATE outage SET until_s = ?1 WHERE until_s > ?1", "i", now_s) < 0 ||
		sql_do(s, e, "UPDATE wave SET opened_s = ?1 WHERE opened_s > ?1", "i", now_s) < 0)
		return -1;
	return sql_do(s, e,
		"UPDATE known SET heard_s = min(heard_s, ?1), audit_told_s = min(audit_told_s, ?1) "
		"WHERE heard_s > ?1 OR audit_told_s > ?1",
		"i", now_s);
}

int
outage_before(struct sql *s, int64_t now_s, int64_t span_s, int64_t *out_s, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	int64_t at_s = now_s, left_s = span_s;
	bool row = false;
	int rc = query_begin(s, &q, e,
		"SELECT from_s, until_s FROM outage WHERE from_s < ?1 ORDER BY from_s DESC", "i",
		now_s);

	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		int64_t until_s = query_int(q, 1);

		if (at_s - until_s >= left_s)
			break;
		/* A clock that was set back may be within one. */
		left_s -= at_s > until_s ? at_s - until_s : 0;
		at_s = query_int(q, 0);
	}
	if (rc == 0)
		*out_s = at_s - left_s;
	return rc;
}
