#include "signer/record.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/num.h"
#include "common/format/field.h"
#include "signer/ledger.h"

/* All bytes of all tags may need a backslash, and each tag four quotes, a colon and a comma. */
enum { TAGS_TEXT_SIZE = FIELD_TAGS_MAX * (4 * NAME_BYTES_MAX + 6) + 2 };
enum { AUDIT_TOLD_EVERY_S = 86400 };
enum { STOPS_TEXT_SIZE = STOPS_MAX * STOP_ID_SIZE };
enum { HAUL_TEXT_SIZE = 512 };
_Static_assert(LEDGER_KEPT + RECORD_SLACK == 96, "index known_full has another number");

/* What is known of a box beside what its newest report says. */
struct known {
	int64_t seq, outcome_seq, began_seq, failed_from, failed_seq, pruned_seq, kept;
	int64_t audit_told_s; /* 0: never */
	char outcome[16], class_[16], stops[STOPS_TEXT_SIZE + 1];
	char authentic[8];			/* authentic_name() of what it last said of that */
	char audit_told[REPORT_DETAIL_MAX + 1]; /* what was told then */
};

static int
known_read(struct sql *s, int64_t box, struct known *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;

	if (query_begin(s, &q, e,
		    "SELECT seq, outcome_seq, began_seq, failed_from, failed_seq, pruned_seq, "
		    "kept, "
		    "outcome, class, stops, authentic, audit_told_s, audit_told FROM known WHERE "
		    "box = ?1",
		    "i", box) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	*out = (struct known){.outcome = "none", .class_ = "none"};
	if (!row)
		return 0;
	out->seq = query_int(q, 0);
	out->outcome_seq = query_int(q, 1);
	out->began_seq = query_int(q, 2);
	out->failed_from = query_int(q, 3);
	out->failed_seq = query_int(q, 4);
	out->pruned_seq = query_int(q, 5);
	out->kept = query_int(q, 6);
	(void)snprintf(out->outcome, sizeof(out->outcome), "%s", query_text(q, 7));
	(void)snprintf(out->class_, sizeof(out->class_), "%s", query_text(q, 8));
	(void)snprintf(out->stops, sizeof(out->stops), "%s", query_text(q, 9));
	(void)snprintf(out->authentic, sizeof(out->authentic), "%s", query_text(q, 10));
	out->audit_told_s = query_int(q, 11);
	(void)snprintf(out->audit_told, sizeof(out->audit_told), "%s", query_text(q, 12));
	return 0;
}

static int
report_write(struct sql *s, int64_t box, const struct report *r, int64_t heard_s, struct err *e)
{
	AUTO_BUF struct buf haul = BUF_INIT(HAUL_TEXT_SIZE);
	AUTO_JSON json_t *j = r->has_haul ? report_haul_json(&r->haul) : NULL;

	if (j && json_canonical(j, &haul, e) < 0)
		return -1;
	return sql_do(s, e,
		"INSERT INTO report VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
		"?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23) ON CONFLICT DO "
		"NOTHING",
		"iiiisssssisisssssisssss", box, (int64_t)r->seq, r->at_s, heard_s,
		box_state_name(r->state), outcome_name(r->outcome), r->boot_id, r->plan, r->rollout,
		(int64_t)r->plan_version, r->wave, (int64_t)r->attempt, r->bundle, r->version,
		r->bundle_sha256, r->running_sha256, r->linked_sha256, (int64_t)r->rollback_floor,
		r->source, r->class_, r->detail, r->log, j ? buf_str(&haul) : "");
}

/* The row that has this report's number: is it this report? */
static int
report_compare(
	struct sql *s, int64_t box, const struct report *r, enum recorded *out, struct err *e)
{
	int64_t same = 0;

	if (sql_get(s, NULL, &same, e,
		    "SELECT at_s = ?3 AND boot_id = ?4 AND state = ?5 AND outcome = ?6 AND detail "
		    "= "
		    "?7 FROM report WHERE box = ?1 AND seq = ?2",
		    "iiissss", box, (int64_t)r->seq, r->at_s, r->boot_id, box_state_name(r->state),
		    outcome_name(r->outcome), r->detail) < 0)
		return -1;
	*out = same ? RECORD_DUPLICATE : RECORD_CLASH;
	return 0;
}

static void
stops_text(const struct report *r, char out[STOPS_TEXT_SIZE + 1])
{
	size_t len = 0;

	out[0] = 0;
	for (size_t i = 0; i < r->stop_count; i++)
		len += (size_t)snprintf(
			out + len, STOPS_TEXT_SIZE + 1 - len, "%s%s", i ? " " : "", r->stops[i]);
}

/* Who has taken a stop is looked for by the stop. */
static int
stops_write(struct sql *s, int64_t box, char *before, const struct report *r, struct err *e)
{
	char *rest = before;

	for (char *id; (id = strsep(&rest, " "));) {
		if (sql_do(s, e, "DELETE FROM stop_taken WHERE stop = ?1 AND box = ?2", "si", id,
			    box) < 0)
			return -1;
	}
	for (size_t i = 0; i < r->stop_count; i++) {
		if (sql_do(s, e, "INSERT INTO stop_taken VALUES (?1, ?2) ON CONFLICT DO NOTHING",
			    "si", r->stops[i], box) < 0)
			return -1;
	}
	return 0;
}

/* What a report changes, whether or not it is the newest. */
static void
known_add(struct known *k, const struct report *r)
{
	int64_t seq = (int64_t)r->seq;
	bool bad = r->outcome == OUTCOME_FAILED || r->outcome == OUTCOME_REVERTED ||
		   r->outcome == OUTCOME_INCONCLUSIVE;

	k->kept++;
	if (r->state == BOX_STARTING && seq > k->began_seq)
		k->began_seq = seq;
	if (bad && seq > k->failed_seq) {
		k->failed_seq = seq;
		k->failed_from = k->began_seq > 0 && k->began_seq < seq ? k->began_seq : seq;
	}
	if (r->outcome == OUTCOME_NONE || seq < k->outcome_seq)
		return;
	k->outcome_seq = seq;
	(void)snprintf(k->outcome, sizeof(k->outcome), "%s", outcome_name(r->outcome));
	(void)snprintf(k->class_, sizeof(k->class_), "%s", r->class_);
}

/* What the audit found first, as an agent puts it behind whatever else it says. */
static const char *
audit_words(const struct report *r)
{
	const char *words = strstr(r->detail, "not authentic: ");

	return words ? words : "";
}

/* Once for as long as it lasts, and the same once a day: a box may be anybody's, and say this and
 * that. What was not told for that reason is told by the first report after it. */
static bool
audit_add(struct known *k, const struct report *r, int64_t heard_s)
{
	bool no = r->authentic == AUTHENTIC_NO, bad = no && strcmp(k->authentic, "no") != 0;
	bool other = no && strcmp(audit_words(r), k->audit_told) != 0;
	bool alarm =
		other ||
		(bad && (k->audit_told_s == 0 || heard_s - k->audit_told_s >= AUDIT_TOLD_EVERY_S));

	if (alarm) {
		k->audit_told_s = heard_s;
		(void)snprintf(k->audit_told, sizeof(k->audit_told), "%s", audit_words(r));
	}
	if (r->authentic != AUTHENTIC_UNSAID && (int64_t)r->seq > k->seq && (!bad || alarm))
		(void)snprintf(
			k->authentic, sizeof(k->authentic), "%s", authentic_name(r->authentic));
	return alarm;
}

static int
known_replace(struct sql *s, int64_t box, struct known *k, const struct report *r, const char *tags,
	int64_t heard_s, struct err *e)
{
	char stops[STOPS_TEXT_SIZE + 1];

	stops_text(r, stops);
	if (sql_do(s, e,
		    "INSERT OR REPLACE INTO known VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		    "?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)",
		    "iiiisssisssissssiiiiisis", box, (int64_t)r->seq, r->at_s, heard_s,
		    box_state_name(r->state), k->outcome, k->class_, k->outcome_seq, r->version,
		    r->running_sha256, r->linked_sha256, (int64_t)r->rollback_floor, r->compatible,
		    tags, r->plan, stops, k->began_seq, k->failed_from, k->failed_seq,
		    k->pruned_seq, k->kept, k->authentic, k->audit_told_s, k->audit_told) < 0)
		return -1;
	return strcmp(stops, k->stops) != 0 ? stops_write(s, box, k->stops, r, e) : 0;
}

/* A report that came after a newer one. */
static int
known_amend(struct sql *s, int64_t box, const struct known *k, int64_t heard_s, struct err *e)
{
	return sql_do(s, e,
		"UPDATE known SET heard_s = max(heard_s, ?2), outcome = ?3, class = ?4, "
		"outcome_seq "
		"= ?5, began_seq = ?6, failed_from = ?7, failed_seq = ?8, kept = ?9, audit_told_s "
		"= ?10, audit_told = ?11 WHERE box = ?1",
		"iissiiiiiis", box, heard_s, k->outcome, k->class_, k->outcome_seq, k->began_seq,
		k->failed_from, k->failed_seq, k->kept, k->audit_told_s, k->audit_told);
}

int
record_add(struct sql *s, int64_t box, const struct report *r, int64_t heard_s, enum recorded *out,
	bool *alarm, struct err *e)
{
	AUTO_BUF struct buf tags = BUF_INIT(TAGS_TEXT_SIZE);
	struct known k;

	*alarm = false;
	if (json_canonical(r->tags, &tags, e) < 0 || known_read(s, box, &k, e) < 0 ||
		report_write(s, box, r, heard_s, e) < 0)
		return -1;
	if (sql_changes(s) == 0)
		return report_compare(s, box, r, out, e);
	if ((int64_t)r->seq <= k.pruned_seq) {
		*out = RECORD_DUPLICATE;
		return sql_do(s, e, "DELETE FROM report WHERE box = ?1 AND seq = ?2", "ii", box,
			(int64_t)r->seq);
	}
	known_add(&k, r);
	*alarm = audit_add(&k, r, heard_s);
	*out = RECORD_NEW;
	return (int64_t)r->seq > k.seq ? known_replace(s, box, &k, r, buf_str(&tags), heard_s, e)
				       : known_amend(s, box, &k, heard_s, e);
}

static int
prune_one(struct sql *s, int64_t box, struct err *e)
{
	int64_t newest = 0;

	if (sql_get(s, NULL, &newest, e,
		    "SELECT seq FROM report WHERE box = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2",
		    "ii", box, (int64_t)LEDGER_KEPT) < 0 ||
		sql_do(s, e,
			"DELETE FROM report WHERE box = ?1 AND seq <= ?2 AND NOT EXISTS (SELECT 1 "
			"FROM known WHERE known.box = ?1 AND report.seq BETWEEN max(failed_from, "
			"failed_seq - ?3) AND failed_seq)",
			"iii", box, newest, (int64_t)LEDGER_KEPT) < 0)
		return -1;
	return sql_do(s, e, "UPDATE known SET pruned_seq = ?2, kept = ?3 WHERE box = ?1", "iii",
		box, newest, (int64_t)LEDGER_KEPT);
}

int
record_prune(struct sql *s, uint64_t boxes_max, struct err *e)
{
	int64_t box = 0;
	bool found = true;

	for (uint64_t i = 0; i < boxes_max; i++) {
		/* The number is the index's own, so that it is taken. */
		if (sql_get(s, &found, &box, e, "SELECT box FROM known WHERE kept > 96 LIMIT 1",
			    "") < 0)
			return -1;
		if (!found)
			return 0;
		if (prune_one(s, box, e) < 0)
			return -1;
	}
	return 0;
}
