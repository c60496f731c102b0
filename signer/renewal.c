#include "signer/renewal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is known of a box, and whether a report changes it. */
struct known {
	bool found, asks, same_request, taken, same_credential;
	int64_t seq;
};

static int
known_read(struct sql *s, int64_t box, const struct report *r, struct known *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;

	if (query_begin(s, &q, e,
		    "SELECT credential.seq, credential.serial, authorities, request, "
		    "renewal.serial FROM credential LEFT JOIN renewal ON renewal.box = "
		    "credential.box WHERE credential.box = ?1",
		    "i", box) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	*out = (struct known){.found = row};
	if (!row)
		return 0;
	out->seq = query_int(q, 0);
	out->same_credential = strcmp(query_text(q, 1), r->certificate_serial) == 0 &&
			       strcmp(query_text(q, 2), r->authorities_sha256) == 0;
	out->asks = *query_text(q, 3) != 0;
	out->same_request = strcmp(query_text(q, 3), r->certificate_request) == 0;
	out->taken = strcmp(query_text(q, 4), r->certificate_serial) == 0;
	return 0;
}

static int
request_write(struct sql *s, int64_t box, const struct report *r, struct err *e)
{
	return sql_do(s, e,
		"INSERT INTO renewal (box, request, until_s) VALUES (?1, ?2, coalesce((SELECT "
		"until_s FROM certificate WHERE serial = ?3), 0)) ON CONFLICT(box) DO UPDATE SET "
		"request = excluded.request, until_s = excluded.until_s, serial = '', certificate "
		"= ''",
		"iss", box, r->certificate_request, r->certificate_serial);
}

/* When it last was answered stays. */
static int
request_clear(struct sql *s, int64_t box, struct err *e)
{
	return sql_do(s, e,
		"UPDATE renewal SET request = '', serial = '', certificate = '' WHERE box = ?1",
		"i", box);
}

int
renewal_hear(struct sql *s, int64_t box, const struct report *r, struct err *e)
{
	struct known k;

	if (!r->certificate_serial[0])
		return 0;
	if (known_read(s, box, r, &k, e) < 0)
		return -1;
	if (k.found && k.seq > (int64_t)r->seq)
		return 0;
	if (!k.same_credential &&
		sql_do(s, e, "INSERT OR REPLACE INTO credential VALUES (?1, ?2, ?3, ?4)", "iiss",
			box, (int64_t)r->seq, r->certificate_serial, r->authorities_sha256) < 0)
		return -1;
	if (r->certificate_request[0] && !k.same_request)
		return request_write(s, box, r, e);
	return k.asks && (k.taken || !r->certificate_request[0]) ? request_clear(s, box, e) : 0;
}

void
renewal_list_free(struct renewal_list *l)
{
	free(l->list);
	*l = (struct renewal_list){0};
}

/* Each half is read in the order of an index, as far as it is wanted: sorting all who wait costs a
 * large fleet most of a second each time. */
int
renewal_waiting(struct fleet *f, int64_t since_s, int64_t now_s, size_t max,
	struct renewal_list *out, struct err *e)
{
	AUTO_RENEWAL_LIST struct renewal_list l = {.list = calloc(max + 1, sizeof(*l.list))};
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (!l.list)
		return err_sys(e, ENOMEM, "certificates that are asked for");
	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT id, name, request, until_s FROM (SELECT * FROM (SELECT box.id, name, "
		"request, until_s, answered_s AS turn FROM renewal INDEXED BY renewal_turn CROSS "
		"JOIN box ON box.id = renewal.box WHERE request != '' AND certificate = '' AND "
		"answered_s <= ?1 AND revoked_s = 0 ORDER BY answered_s, until_s LIMIT ?2) UNION "
		"ALL SELECT * FROM (SELECT box.id, name, request, until_s, 0 AS turn FROM renewal "
		"INDEXED BY renewal_turn CROSS JOIN box ON box.id = renewal.box WHERE request != "
		"'' AND certificate = '' AND answered_s > max(?1, ?3) AND revoked_s = 0 ORDER BY "
		"answered_s, until_s LIMIT ?2)) ORDER BY turn, until_s LIMIT ?2",
		"iii", since_s, (int64_t)max, now_s);
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row && l.count < max) {
		struct renewal_request *r = &l.list[l.count++];

		r->box = query_int(q, 0);
		(void)snprintf(r->name, sizeof(r->name), "%s", query_text(q, 1));
		(void)snprintf(r->request, sizeof(r->request), "%s", query_text(q, 2));
		r->until_s = query_int(q, 3);
	}
	if (rc < 0)
		return -1;
	*out = l;
	l = (struct renewal_list){0};
	return 0;
}

int
renewal_earliest(struct fleet *f, int64_t since_s, int64_t now_s, bool *found, int64_t *until_s,
	struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	return sql_get(s, found, until_s, e,
		"SELECT until_s FROM renewal JOIN box ON box.id = renewal.box WHERE request != '' "
		"AND certificate = '' AND (answered_s <= ?1 OR answered_s > ?2) AND revoked_s = 0 "
		"ORDER BY until_s LIMIT 1",
		"ii", since_s, now_s);
}

static int
answer_write(struct sql *s, const struct renewal_request *r, const char *issuer,
	const struct x509_info *certificate, const char *pem, int64_t now_s, bool *still,
	struct err *e)
{
	if (sql_do(s, e,
		    "UPDATE renewal SET serial = ?3, certificate = ?4, answered_s = ?5 WHERE box = "
		    "?1 AND request = ?2 AND certificate = '' AND EXISTS (SELECT 1 FROM box WHERE "
		    "id = ?1 AND revoked_s = 0)",
		    "isssi", r->box, r->request, certificate->serial, pem, now_s) < 0)
		return -1;
	*still = sql_changes(s) > 0;
	if (!*still)
		return 0;
	/* While it shows one that has run out, that is what it has. */
	if (sql_do(s, e,
		    "DELETE FROM certificate WHERE box = ?1 AND until_s < ?2 AND serial NOT IN "
		    "(SELECT serial FROM credential WHERE box = ?3)",
		    "sii", r->name, now_s, r->box) < 0)
		return -1;
	return sql_do(s, e, "INSERT INTO certificate VALUES (?1, ?2, ?3, ?4, 0, ?5)", "ssiis",
		certificate->serial, r->name, certificate->from_s, certificate->until_s, issuer);
}

int
renewal_answer(struct fleet *f, const struct renewal_request *r, const char *issuer,
	const struct x509_info *certificate, struct span pem, int64_t now_s, bool *still,
	struct err *e)
{
	AUTO_FREE char *text = strndup((const char *)pem.data, pem.len);
	struct sql *s = NULL;
	bool written = false;

	if (!text)
		return err_sys(e, ENOMEM, "a certificate");
	if (fleet_sql(f, &s, e) < 0 || sql_begin(s, e) < 0 ||
		sql_end(s, answer_write(s, r, issuer, certificate, text, now_s, &written, e), e) <
			0)
		return -1;
	*still = written;
	return 0;
}

int
renewal_refuse(struct fleet *f, const struct renewal_request *r, int64_t now_s, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	return sql_do(s, e,
		"UPDATE renewal SET request = '', answered_s = ?3 WHERE box = ?1 AND request = ?2 "
		"AND certificate = ''",
		"isi", r->box, r->request, now_s);
}

int
renewal_expire(struct fleet *f, int64_t since_s, int64_t now_s, uint64_t *untaken, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 ||
		sql_do(s, e,
			"UPDATE renewal SET request = '', serial = '', certificate = '' WHERE "
			"certificate != '' AND (answered_s < ?1 OR answered_s > ?2)",
			"ii", since_s, now_s) < 0)
		return -1;
	*untaken = sql_changes(s);
	return 0;
}

int
renewal_each_answer(struct fleet *f,
	int (*each)(void *arg, const char *box, struct span pem, struct err *e), void *arg,
	struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT name, certificate FROM renewal JOIN box ON box.id = renewal.box WHERE "
		"certificate != '' AND revoked_s = 0 ORDER BY name",
		"");
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row)
		rc = each(arg, query_text(q, 0), span_str(query_text(q, 1)), e);
	return rc;
}

int
renewal_count(struct fleet *f, struct renewal_counts *out, struct err *e)
{
	struct sql *s = NULL;
	int64_t waiting = 0, answered = 0, earliest_s = 0;

	if (fleet_sql(f, &s, e) < 0 ||
		sql_get(s, NULL, &waiting, e,
			"SELECT count(*) FROM renewal WHERE request != '' AND certificate = ''",
			"") < 0 ||
		sql_get(s, NULL, &earliest_s, e,
			"SELECT coalesce(min(until_s), 0) FROM renewal WHERE request != '' AND "
			"certificate = ''",
			"") < 0 ||
		sql_get(s, NULL, &answered, e,
			"SELECT count(*) FROM renewal WHERE certificate != ''", "") < 0)
		return -1;
	*out = (struct renewal_counts){
		.waiting = (uint64_t)waiting,
		.answered = (uint64_t)answered,
		.earliest_s = earliest_s,
	};
	return 0;
}

/* Counts what a query gives, and takes the name of the first. */
static int
boxes_count(struct sql *s, const char *text, const char *word, uint64_t *count,
	char name[NAME_BYTES_MAX + 1], struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;

	if (query_begin(s, &q, e, text, "s", word) < 0 || query_next(q, &row, e) < 0)
		return -1;
	*count = row ? (uint64_t)query_int(q, 0) : 0;
	(void)snprintf(name, NAME_BYTES_MAX + 1, "%s", row ? query_text(q, 1) : "");
	return 0;
}

int
renewal_yield(struct fleet *f, int64_t since_s, uint64_t max, uint64_t *untaken, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 ||
		sql_do(s, e,
			"UPDATE renewal SET request = '', serial = '', certificate = '' WHERE box "
			"IN (SELECT box FROM renewal WHERE certificate != '' AND answered_s <= ?1 "
			"ORDER BY answered_s LIMIT ?2)",
			"ii", since_s, (int64_t)max) < 0)
		return -1;
	*untaken = sql_changes(s);
	return 0;
}

int
renewal_untaken(struct fleet *f, int64_t patience_s, struct renewal_untaken *out, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;

	if (fleet_sql(f, &s, e) < 0 ||
		query_begin(s, &q, e,
			"SELECT count(*), min(name) FROM renewal JOIN box ON box.id = renewal.box "
			"JOIN credential ON credential.box = box.id JOIN known ON known.box = "
			"box.id JOIN certificate AS shown ON shown.serial = credential.serial AND "
			"shown.box = name WHERE box.revoked_s = 0 AND EXISTS (SELECT 1 FROM "
			"certificate AS given WHERE given.box = name AND given.from_s > "
			"shown.from_s AND given.revoked_s = 0 AND given.from_s + ?1 < heard_s)",
			"i", patience_s) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	out->boxes = (uint64_t)query_int(q, 0);
	(void)snprintf(out->box, sizeof(out->box), "%s", query_text(q, 1));
	return 0;
}

/* A box has the certificate that it says, else the newest that it was given. */
int
renewal_census(struct fleet *f, const char *first, const char *authorities,
	struct renewal_census *out, struct err *e)
{
	struct renewal_census c = {0};
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0 ||
		boxes_count(s,
			"SELECT count(*), min(name) FROM box LEFT JOIN credential ON "
			"credential.box = id WHERE revoked_s = 0 AND coalesce((SELECT issuer FROM "
			"certificate WHERE serial = credential.serial), (SELECT issuer FROM "
			"certificate WHERE certificate.box = name ORDER BY from_s DESC LIMIT 1)) "
			"!= ?1",
			first, &c.strangers, c.stranger, e) < 0 ||
		boxes_count(s,
			"SELECT count(*), min(name) FROM box JOIN known ON known.box = id LEFT "
			"JOIN credential ON credential.box = id WHERE revoked_s = 0 AND "
			"coalesce(authorities, '') != ?1",
			authorities, &c.unaware, c.unaware_box, e) < 0 ||
		boxes_count(s,
			"SELECT count(*), min(name) FROM box LEFT JOIN known ON known.box = id "
			"LEFT JOIN credential ON credential.box = id WHERE revoked_s = 0 AND "
			"known.box IS NULL AND coalesce(authorities, '') != ?1",
			authorities, &c.unheard, c.unheard_box, e) < 0)
		return -1;
	*out = c;
	return 0;
}

int
renewal_name_issuer(struct fleet *f, const char *issuer, struct err *e)
{
	struct sql *s = NULL;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	return sql_do(s, e, "UPDATE certificate SET issuer = ?1 WHERE issuer = ''", "s", issuer);
}
