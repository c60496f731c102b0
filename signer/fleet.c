#include "signer/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/num.h"
#include "signer/fleet_schema.h"
#include "signer/sql.h"

/* Of no rollout: how often something was revoked since the last CRL. */
#define UNLISTED "revoked_unlisted"

enum { DOCUMENT_BYTES = 64 * 1024 };

struct fleet {
	struct sql *sql;
	int64_t version; /* of its format */
};

void
fleet_close(struct fleet **f)
{
	if (!*f)
		return;
	sql_close(&(*f)->sql);
	free(*f);
	*f = NULL;
}

int
fleet_open(const struct workspace *w, struct fleet **out, struct err *e)
{
	AUTO_FLEET struct fleet *f = calloc(1, sizeof(*f));
	char path[PATH_MAX];

	if (!f)
		return err_sys(e, ENOMEM, "fleet.db");
	/* While tables are made anew, nothing holds them together. */
	if (workspace_path(w, "fleet.db", path, e) < 0 || sql_open(path, &f->sql, e) < 0 ||
		sql_run(f->sql, "PRAGMA foreign_keys = OFF", e) < 0 ||
		fleet_schema_make(f->sql, e) < 0 ||
		sql_run(f->sql, "PRAGMA foreign_keys = ON", e) < 0)
		return -1;
	f->version = FLEET_SCHEMA_VERSION;
	*out = TAKE_PTR(f);
	return 0;
}

int
fleet_open_read(const struct workspace *w, struct fleet **out, struct err *e)
{
	AUTO_FLEET struct fleet *f = calloc(1, sizeof(*f));
	char path[PATH_MAX];

	if (!f)
		return err_sys(e, ENOMEM, "fleet.db");
	if (workspace_path(w, "fleet.db", path, e) < 0)
		return -1;
	if (access(path, F_OK) < 0)
		return err_sys(e, errno, "%s", path);
	if (sql_open_read(path, &f->sql, e) < 0 || fleet_schema_version(f->sql, &f->version, e) < 0)
		return -1;
	if (f->version < 1 || f->version > FLEET_SCHEMA_VERSION)
		return err_set(e, ERR_REFUSED,
			"fleet.db is of format %lld, which is not known here",
			(long long)f->version);
	*out = TAKE_PTR(f);
	return 0;
}

int
fleet_sql(struct fleet *f, struct sql **out, struct err *e)
{
	if (f->version < FLEET_SCHEMA_VERSION)
		return err_set(e, ERR_REFUSED,
			"fleet.db is of format %lld, of an older program; `sluice watch` brings it "
			"up to date",
			(long long)f->version);
	*out = f->sql;
	return 0;
}

void
fleet_box_free(struct fleet_box *b)
{
	if (!b)
		return;
	json_decref(b->tags);
	json_decref(b->report_key);
	*b = (struct fleet_box){0};
}

static int
box_write(struct fleet *f, const struct fleet_box *box, struct err *e)
{
	AUTO_BUF struct buf tags = BUF_INIT(DOCUMENT_BYTES), key = BUF_INIT(DOCUMENT_BYTES);

	if (json_canonical(box->tags, &tags, e) < 0 || json_canonical(box->report_key, &key, e) < 0)
		return -1;
	/* Only a revoked box is replaced: else the name is taken. */
	if (sql_do(f->sql, e,
		    "INSERT INTO box VALUES (NULL, ?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT(name) DO "
		    "UPDATE SET compatible = ?2, tags = ?3, report_key = ?4, added_s = ?5, "
		    "revoked_s = 0 WHERE revoked_s != 0",
		    "ssssi", box->name, box->compatible, buf_str(&tags), buf_str(&key),
		    box->added_s) < 0)
		return -1;
	if (sql_changes(f->sql) == 0)
		return err_set(e, ERR_REFUSED,
			"box %s is there already; `sluice box revoke %s` first to give it new keys",
			box->name, box->name);
	return 0;
}

/* A box with new keys may count its reports from 1 again: what is known of it belongs to its old
 * ones. How it fared in rollouts stays. */
static int
box_forget(struct fleet *f, const char *name, struct err *e)
{
	static const char *const statements[] = {
		"DELETE FROM report WHERE box = (SELECT id FROM box WHERE name = ?1)",
		"DELETE FROM known WHERE box = (SELECT id FROM box WHERE name = ?1)",
		"DELETE FROM credential WHERE box = (SELECT id FROM box WHERE name = ?1)",
		"DELETE FROM renewal WHERE box = (SELECT id FROM box WHERE name = ?1)",
		"DELETE FROM stop_taken WHERE stop IN (SELECT DISTINCT stop FROM stop_taken) AND "
		"box = (SELECT id FROM box WHERE name = ?1)",
		"UPDATE participant SET seq = 0 WHERE rollout IN (SELECT id FROM rollout) AND box "
		"= "
		"(SELECT id FROM box WHERE name = ?1)"};

	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		if (sql_do(f->sql, e, statements[i], "s", name) < 0)
			return -1;
	}
	return 0;
}

/* Until it reports, a box uses what it was made with. */
static int
box_add(struct fleet *f, const struct fleet_box *box, const struct x509_info *certificate,
	const char *issuer, const char *authorities, struct err *e)
{
	if (box_write(f, box, e) < 0 || box_forget(f, box->name, e) < 0 ||
		sql_do(f->sql, e,
			"INSERT INTO credential SELECT id, 0, ?2, ?3 FROM box WHERE name = ?1",
			"sss", box->name, certificate->serial, authorities) < 0)
		return -1;
	return sql_do(f->sql, e, "INSERT INTO certificate VALUES (?1, ?2, ?3, ?4, 0, ?5)", "ssiis",
		certificate->serial, box->name, certificate->from_s, certificate->until_s, issuer);
}

int
fleet_add(struct fleet *f, const struct fleet_box *box, const struct x509_info *certificate,
	const char *issuer, const char *authorities, struct err *e)
{
	if (sql_begin(f->sql, e) < 0)
		return -1;
	return sql_end(f->sql, box_add(f, box, certificate, issuer, authorities, e), e);
}

static int
json_column(const struct query *s, int i, json_t **out, struct err *e)
{
	return json_parse(span_str(query_text(s, i)), "fleet.db", out, e);
}

static int
box_read(const struct query *s, struct fleet_box *out, struct err *e)
{
	AUTO_JSON json_t *tags = NULL, *key = NULL;

	if (json_column(s, 2, &tags, e) < 0 || json_column(s, 3, &key, e) < 0)
		return -1;
	*out = (struct fleet_box){.tags = TAKE_PTR(tags),
		.report_key = TAKE_PTR(key),
		.added_s = query_int(s, 4),
		.revoked_s = query_int(s, 5)};
	(void)snprintf(out->name, sizeof(out->name), "%s", query_text(s, 0));
	(void)snprintf(out->compatible, sizeof(out->compatible), "%s", query_text(s, 1));
	return 0;
}

int
fleet_find(struct fleet *f, const char *name, bool *found, struct fleet_box *out, struct err *e)
{
	AUTO_QUERY struct query *s = NULL;
	bool row = false;

	if (query_begin(f->sql, &s, e,
		    "SELECT name, compatible, tags, report_key, added_s, revoked_s FROM box "
		    "WHERE name = ?1",
		    "s", name) < 0 ||
		query_next(s, &row, e) < 0)
		return -1;
	if (row && box_read(s, out, e) < 0)
		return -1;
	*found = row;
	return 0;
}

static int
revoked_mark(struct fleet *f, const char *name, int64_t now_s, struct err *e)
{
	if (sql_do(f->sql, e,
		    "UPDATE box SET revoked_s = CASE revoked_s WHEN 0 THEN ?2 ELSE revoked_s END "
		    "WHERE name = ?1",
		    "si", name, now_s) < 0)
		return -1;
	if (sql_changes(f->sql) == 0)
		return err_set(e, ERR_USAGE, "no box %s in this fleet", name);
	if (sql_do(f->sql, e,
		    "DELETE FROM renewal WHERE box = (SELECT id FROM box WHERE name = ?1)", "s",
		    name) < 0)
		return -1;
	return sql_do(f->sql, e,
		"UPDATE certificate SET revoked_s = ?2 WHERE box = ?1 AND revoked_s = 0", "si",
		name, now_s);
}

int
fleet_revoke(struct fleet *f, const char *name, int64_t now_s, struct err *e)
{
	int rc;

	if (sql_begin(f->sql, e) < 0)
		return -1;
	rc = revoked_mark(f, name, now_s, e);
	if (rc == 0)
		rc = sql_do(f->sql, e,
			"INSERT INTO mark VALUES (0, '" UNLISTED "', 1) ON CONFLICT DO UPDATE SET "
			"value = value + 1",
			"");
	return sql_end(f->sql, rc, e);
}

int
fleet_unlisted(struct fleet *f, uint64_t *out, struct err *e)
{
	int64_t count = 0;
	bool found;

	if (sql_get(f->sql, &found, &count, e,
		    "SELECT value FROM mark WHERE rollout = 0 AND name = '" UNLISTED "'", "") < 0)
		return -1;
	*out = (uint64_t)count;
	return 0;
}

int
fleet_list(struct fleet *f, uint64_t unlisted, struct err *e)
{
	return sql_do(f->sql, e,
		"DELETE FROM mark WHERE rollout = 0 AND name = '" UNLISTED "' AND value = ?1", "i",
		(int64_t)unlisted);
}

void
fleet_revoked_free(struct fleet_revoked *r)
{
	for (size_t i = 0; i < r->count; i++)
		free((void *)(uintptr_t)r->list[i].serial);
	free(r->list);
	*r = (struct fleet_revoked){0};
}

static int
revoked_append(struct fleet_revoked *r, const char *serial, int64_t at_s, struct err *e)
{
	struct x509_revoked *list = reallocarray(r->list, r->count + 1, sizeof(*list));

	if (!list)
		return err_sys(e, ENOMEM, "fleet.db");
	r->list = list;
	list[r->count] = (struct x509_revoked){.serial = strdup(serial), .at_s = at_s};
	if (!list[r->count].serial)
		return err_sys(e, ENOMEM, "fleet.db");
	r->count++;
	return 0;
}

int
fleet_revoked(struct fleet *f, int64_t now_s, struct fleet_revoked *out, struct err *e)
{
	AUTO_QUERY struct query *s = NULL;
	AUTO_FLEET_REVOKED struct fleet_revoked r = {0};
	bool row = false;

	if (query_begin(f->sql, &s, e,
		    "SELECT serial, revoked_s FROM certificate WHERE revoked_s != 0 AND "
		    "until_s >= ?1 ORDER BY serial",
		    "i", now_s) < 0)
		return -1;
	for (;;) {
		if (query_next(s, &row, e) < 0)
			return -1;
		if (!row)
			break;
		if (revoked_append(&r, query_text(s, 0), query_int(s, 1), e) < 0)
			return -1;
	}
	*out = r;
	r = (struct fleet_revoked){0};
	return 0;
}

/* The certificate that a box uses, and when it ends: the one that it says it shows, or, where it
 * has said nothing, the newest that it was given. What lies ready for it is not yet its own. NULL
 * where it shows one that fleet.db does not know. */
#define CERTIFICATES_USED                                                                          \
	"WITH used AS (SELECT name, CASE WHEN credential.box IS NULL THEN (SELECT max(until_s) "   \
	"FROM certificate WHERE certificate.box = name AND certificate.revoked_s = 0) ELSE "       \
	"(SELECT until_s FROM certificate WHERE certificate.serial = credential.serial AND "       \
	"certificate.box = name) END AS ends FROM box LEFT JOIN credential ON credential.box = "   \
	"id WHERE box.revoked_s = 0) "

/* Before boxes said so (format 3) none had more than one. */
#define CERTIFICATES_GIVEN                                                                         \
	"WITH used AS (SELECT name, (SELECT max(until_s) FROM certificate WHERE certificate.box "  \
	"= name AND certificate.revoked_s = 0) AS ends FROM box WHERE box.revoked_s = 0) "

#define CENSUS_COUNTS                                                                              \
	"SELECT count(*), count(*) FILTER (WHERE ends <= ?1), count(*) FILTER (WHERE ends <= "     \
	"?2), (SELECT count(*) FROM box WHERE revoked_s != 0), count(*) FILTER (WHERE ends IS "    \
	"NULL), min(name) FILTER (WHERE ends IS NULL) FROM used"
#define CENSUS_EARLIEST                                                                            \
	"SELECT name, ends FROM used WHERE ends IS NOT NULL ORDER BY ends, name LIMIT 1"

enum { BOXES_SAY_SINCE = 3 };

static int
census_earliest(struct fleet *f, struct fleet_census *c, struct err *e)
{
	AUTO_QUERY struct query *s = NULL;
	bool row = false;

	if (query_begin(f->sql, &s, e,
		    f->version < BOXES_SAY_SINCE ? CERTIFICATES_GIVEN CENSUS_EARLIEST
						 : CERTIFICATES_USED CENSUS_EARLIEST,
		    "") < 0 ||
		query_next(s, &row, e) < 0)
		return -1;
	if (!row)
		return 0;
	(void)snprintf(c->earliest, sizeof(c->earliest), "%s", query_text(s, 0));
	c->earliest_s = query_int(s, 1);
	return 0;
}

int
fleet_census(
	struct fleet *f, int64_t now_s, int64_t soon_s, struct fleet_census *out, struct err *e)
{
	AUTO_QUERY struct query *s = NULL;
	struct fleet_census c = {0};
	bool row = false;

	if (query_begin(f->sql, &s, e,
		    f->version < BOXES_SAY_SINCE ? CERTIFICATES_GIVEN CENSUS_COUNTS
						 : CERTIFICATES_USED CENSUS_COUNTS,
		    "ii", now_s, soon_s) < 0 ||
		query_next(s, &row, e) < 0)
		return -1;
	c.boxes = (uint64_t)query_int(s, 0);
	c.expired = (uint64_t)query_int(s, 1);
	c.due = (uint64_t)query_int(s, 2);
	c.revoked = (uint64_t)query_int(s, 3);
	c.unknown = (uint64_t)query_int(s, 4);
	(void)snprintf(c.unknown_box, sizeof(c.unknown_box), "%s", query_text(s, 5));
	if (census_earliest(f, &c, e) < 0)
		return -1;
	*out = c;
	return 0;
}

int
fleet_crl_number(struct fleet *f, uint64_t *out, struct err *e)
{
	int64_t number = 0;

	if (sql_get(f->sql, NULL, &number, e,
		    "UPDATE counter SET value = value + 1 WHERE name = 'crl' RETURNING value",
		    "") < 0)
		return -1;
	*out = (uint64_t)number;
	return 0;
}

int
fleet_crl_last(struct fleet *f, uint64_t *out, struct err *e)
{
	int64_t number = 0;

	if (sql_get(f->sql, NULL, &number, e, "SELECT value FROM counter WHERE name = 'crl'", "") <
		0)
		return -1;
	*out = (uint64_t)number;
	return 0;
}

/* Tags that were read, each under its text: most fleets have few kinds. */
enum { MEMO_SLOTS = 1024, MEMO_TEXT_BYTES = 4096 };

struct tags_memo {
	struct {
		char *text;
		json_t *tags;
	} slots[MEMO_SLOTS];
	json_t *other; /* of the box at hand, where its text is too long to be kept */
};

static void
tags_memo_free(struct tags_memo **m)
{
	for (size_t i = 0; *m && i < MEMO_SLOTS; i++) {
		free((*m)->slots[i].text);
		json_decref((*m)->slots[i].tags);
	}
	if (*m)
		json_decref((*m)->other);
	free(*m);
}

/* FNV-1a. Who has chosen texts that fall into one slot has made it slow, not wrong. */
static size_t
tags_slot(const char *text)
{
	uint32_t hash = 2166136261U;

	for (const char *p = text; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619U;
	return (hash >> 16 ^ hash) % MEMO_SLOTS;
}

/* *out is borrowed from the memo, until the next. */
static int
tags_read(struct tags_memo *m, const char *text, json_t **out, struct err *e)
{
	size_t slot = tags_slot(text);
	AUTO_JSON json_t *tags = NULL;
	AUTO_FREE char *copy = NULL;

	*out = m->slots[slot].tags;
	if (*out && strcmp(m->slots[slot].text, text) == 0)
		return 0;
	if (json_parse(span_str(text), "fleet.db", &tags, e) < 0)
		return -1;
	*out = tags;
	if (strlen(text) > MEMO_TEXT_BYTES) {
		json_decref(m->other);
		m->other = TAKE_PTR(tags);
		return 0;
	}
	copy = strdup(text);
	if (!copy)
		return err_sys(e, ENOMEM, "fleet.db");
	free(m->slots[slot].text);
	json_decref(m->slots[slot].tags);
	m->slots[slot].text = TAKE_PTR(copy);
	m->slots[slot].tags = TAKE_PTR(tags);
	return 0;
}

/* NULL where it is not known. */
static const struct digest *
digest_known(const char *hex, struct digest *out)
{
	return *hex && digest_parse(hex, out, NULL) == 0 ? out : NULL;
}

int
fleet_each_box(struct fleet *f, int (*each)(void *arg, const struct fleet_member *m, struct err *e),
	void *arg, struct err *e)
{
	CLEANUP(tags_memo_free) struct tags_memo *memo = calloc(1, sizeof(*memo));
	AUTO_QUERY struct query *q = NULL;
	struct sql *sql = NULL;
	bool row = false;
	int rc = 0;

	if (!memo)
		return err_sys(e, ENOMEM, "fleet.db");
	if (fleet_sql(f, &sql, e) < 0 ||
		query_begin(sql, &q, e,
			"SELECT box.name, coalesce(known.compatible, box.compatible), "
			"coalesce(known.tags, box.tags), known.version, known.running, "
			"known.linked, revoked_s, known.heard_s, known.plan, box.id FROM box LEFT "
			"JOIN known ON known.box = box.id ORDER BY box.id",
			"") < 0)
		return -1;
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		struct digest running, linked;
		struct fleet_member m;
		json_t *tags = NULL;

		if (tags_read(memo, query_text(q, 2), &tags, e) < 0)
			return -1;
		m = (struct fleet_member){
			.facts = {.id = query_text(q, 0),
				.compatible = query_text(q, 1),
				.tags = tags,
				.version = query_text(q, 3),
				.running = {digest_known(query_text(q, 4), &running),
					digest_known(query_text(q, 5), &linked)}},
			.running = query_text(q, 4),
			.linked = query_text(q, 5),
			.revoked = query_int(q, 6) != 0,
			.heard_s = query_int(q, 7),
			.row = query_int(q, 9),
			.plan = query_text(q, 8)};
		rc = each(arg, &m, e);
	}
	return rc;
}
