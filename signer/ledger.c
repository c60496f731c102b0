#include "signer/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "signer/sql.h"

int
ledger_each_box(struct fleet *f, const struct ledger_filter *filter,
	int (*each)(void *arg, const struct ledger_box *b, struct err *e), void *arg, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT name, coalesce(known.compatible, box.compatible), coalesce(known.tags, "
		"box.tags), revoked_s != 0, seq, at_s, heard_s, state, outcome, class, version, "
		"running, linked, rollback_floor, plan, stops, failed_seq, authentic FROM box LEFT "
		"JOIN known "
		"ON known.box = box.id WHERE (?1 = '' OR name = ?1) AND (?2 = '' OR state = ?2) "
		"AND "
		"(?3 = '' OR outcome = ?3) AND (?4 = '' OR version = ?4) AND (?5 = 0 OR "
		"coalesce(heard_s, 0) < ?5) AND (revoked_s != 0) = ?6 AND (?7 = '' OR "
		"authentic = ?7) ORDER BY name",
		"ssssiis", filter->name ? filter->name : "", filter->state ? filter->state : "",
		filter->outcome ? filter->outcome : "", filter->version ? filter->version : "",
		filter->silent_since_s, (int64_t)filter->revoked,
		filter->authentic ? filter->authentic : "");
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		struct ledger_box b = {.name = query_text(q, 0),
			.compatible = query_text(q, 1),
			.tags = query_text(q, 2),
			.revoked = query_int(q, 3) != 0,
			.seq = (uint64_t)query_int(q, 4),
			.at_s = query_int(q, 5),
			.heard_s = query_int(q, 6),
			.state = query_text(q, 7),
			.outcome = query_text(q, 8),
			.class_ = query_text(q, 9),
			.version = query_text(q, 10),
			.running = query_text(q, 11),
			.linked = query_text(q, 12),
			.rollback_floor = (uint64_t)query_int(q, 13),
			.plan = query_text(q, 14),
			.stops = query_text(q, 15),
			.failed_seq = (uint64_t)query_int(q, 16),
			.authentic = query_text(q, 17)};

		rc = each(arg, &b, e);
	}
	return rc;
}

#define REPORT_COLUMNS                                                                             \
	"name, seq, at_s, state, outcome, boot_id, plan, rollout, plan_version, wave, attempt, "   \
	"bundle, version, bundle_sha256, running, linked, rollback_floor, source, class, detail, " \
	"log, heard_s, haul"

static void
text_take(const struct query *q, int column, char *out, size_t size)
{
	(void)snprintf(out, size, "%s", query_text(q, column));
}

static int
haul_take(const char *text, struct report *r, struct err *e)
{
	AUTO_JSON json_t *j = NULL;

	if (!*text)
		return 0;
	r->has_haul = true;
	return json_parse(span_str(text), "fleet.db: a plan", &j, e) < 0
		       ? -1
		       : report_haul_parse(j, &r->haul, e);
}

static int
report_take(const struct query *q, struct report *r, struct err *e)
{
	*r = (struct report){.seq = (uint64_t)query_int(q, 1),
		.at_s = query_int(q, 2),
		.plan_version = (uint64_t)query_int(q, 8),
		.attempt = (uint64_t)query_int(q, 10),
		.rollback_floor = (uint64_t)query_int(q, 16)};
	if (!box_state_of(query_text(q, 3), &r->state) ||
		!outcome_of(query_text(q, 4), &r->outcome))
		return err_set(e, ERR_MALFORMED, "fleet.db: a report makes no sense");
	text_take(q, 0, r->box, sizeof(r->box));
	text_take(q, 5, r->boot_id, sizeof(r->boot_id));
	text_take(q, 6, r->plan, sizeof(r->plan));
	text_take(q, 7, r->rollout, sizeof(r->rollout));
	text_take(q, 9, r->wave, sizeof(r->wave));
	text_take(q, 11, r->bundle, sizeof(r->bundle));
	text_take(q, 12, r->version, sizeof(r->version));
	text_take(q, 13, r->bundle_sha256, sizeof(r->bundle_sha256));
	text_take(q, 14, r->running_sha256, sizeof(r->running_sha256));
	text_take(q, 15, r->linked_sha256, sizeof(r->linked_sha256));
	text_take(q, 17, r->source, sizeof(r->source));
	text_take(q, 18, r->class_, sizeof(r->class_));
	text_take(q, 19, r->detail, sizeof(r->detail));
	text_take(q, 20, r->log, sizeof(r->log));
	return haul_take(query_text(q, 22), r, e);
}

int
ledger_each_report(struct fleet *f, const char *box,
	int (*each)(void *arg, const struct report *r, int64_t heard_s, struct err *e), void *arg,
	struct err *e)
{
	AUTO_FREE struct report *r = calloc(1, sizeof(*r));
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (!r)
		return err_sys(e, ENOMEM, "reading reports");
	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT " REPORT_COLUMNS " FROM report JOIN box ON box.id = report.box WHERE box = "
		"(SELECT id FROM box WHERE name = ?1) ORDER BY seq DESC",
		"s", box);
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		if (report_take(q, r, e) < 0)
			return -1;
		rc = each(arg, r, query_int(q, 21), e);
	}
	return rc;
}

int
ledger_report(struct fleet *f, const char *box, uint64_t seq, bool *found, struct report *out,
	struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;

	if (fleet_sql(f, &s, e) < 0 ||
		query_begin(s, &q, e,
			"SELECT " REPORT_COLUMNS " FROM report JOIN box ON box.id = report.box "
			"WHERE box = (SELECT id FROM box WHERE name = ?1) AND seq = ?2",
			"si", box, (int64_t)seq) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	if (row && report_take(q, out, e) < 0)
		return -1;
	*found = row;
	return 0;
}

int
ledger_past(struct fleet *f, int64_t box, const char *manifest_sha256, struct ledger_past *out,
	struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct ledger_past past = {0};
	struct sql *s = NULL;
	int64_t floor = 0;
	bool heard;

	/* Wrong bytes, or a slot too small, are mended, and the box tries again. */
	if (fleet_sql(f, &s, e) < 0 ||
		sql_get(s, &heard, &floor, e, "SELECT rollback_floor FROM known WHERE box = ?1",
			"i", box) < 0 ||
		query_begin(s, &q, e,
			"SELECT attempt, detail FROM report WHERE box = ?1 AND bundle_sha256 = ?2 "
			"AND (outcome = 'reverted' OR (outcome = 'failed' AND class IN (?3, ?4))) "
			"ORDER BY attempt DESC, seq DESC LIMIT 1",
			"isss", box, manifest_sha256, err_class_name(ERR_MALFORMED),
			err_class_name(ERR_LIMIT)) < 0 ||
		query_next(q, &past.failed, e) < 0)
		return -1;
	past.rollback_floor = (uint64_t)floor;
	if (past.failed) {
		past.attempt = (uint64_t)query_int(q, 0);
		text_take(q, 1, past.why, sizeof(past.why));
	}
	*out = past;
	return 0;
}

int
ledger_census(struct fleet *f, int64_t silent_since_s, struct ledger_census *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;

	if (fleet_sql(f, &s, e) < 0 ||
		query_begin(s, &q, e,
			"SELECT count(*), count(*) FILTER (WHERE heard_s IS NULL), count(*) FILTER "
			"(WHERE heard_s < ?1) FROM box LEFT JOIN known ON known.box = box.id WHERE "
			"revoked_s = 0",
			"i", silent_since_s) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	*out = (struct ledger_census){
		(uint64_t)query_int(q, 0), (uint64_t)query_int(q, 1), (uint64_t)query_int(q, 2)};
	return 0;
}

int
ledger_stop_taken(
	struct fleet *f, const char *stop_id, const char *plan_path, uint64_t *taken, struct err *e)
{
	struct sql *s = NULL;
	int64_t n = 0;

	if (fleet_sql(f, &s, e) < 0 ||
		sql_get(s, NULL, &n, e,
			"SELECT count(*) FROM stop_taken JOIN box ON box.id = stop_taken.box JOIN "
			"known ON known.box = box.id WHERE stop = ?1 AND revoked_s = 0 AND (?2 = "
			"'' OR known.plan IN (?2, ''))",
			"ss", stop_id, plan_path ? plan_path : "") < 0)
		return -1;
	*taken = (uint64_t)n;
	return 0;
}

int
ledger_stop_share(struct fleet *f, const char *stop_id, const char *plan_path,
	struct ledger_share *out, struct err *e)
{
	struct ledger_share share = {0};
	struct sql *s = NULL;
	int64_t boxes = 0;

	if (ledger_stop_taken(f, stop_id, plan_path, &share.taken, e) < 0 ||
		fleet_sql(f, &s, e) < 0 ||
		sql_get(s, NULL, &boxes, e,
			"SELECT count(*) FROM box LEFT JOIN known ON known.box = box.id WHERE "
			"revoked_s = 0 AND (?1 = '' OR coalesce(known.plan, '') IN (?1, ''))",
			"s", plan_path ? plan_path : "") < 0)
		return -1;
	share.boxes = (uint64_t)boxes;
	*out = share;
	return 0;
}

int
ledger_totals(struct fleet *f, struct ledger_totals *out, struct err *e)
{
	static const char *const names[] = {"reports", "duplicates", "clashes", "aside"};
	int64_t values[ARRAY_LEN(names)] = {0};
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (sql_get(s, NULL, &values[i], e, "SELECT value FROM counter WHERE name = ?1",
			    "s", names[i]) < 0)
			return -1;
	}
	*out = (struct ledger_totals){
		(uint64_t)values[0], (uint64_t)values[1], (uint64_t)values[2], (uint64_t)values[3]};
	return 0;
}
