#include "signer/fleet.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"

enum { SCHEMA_VERSION = 1, BUSY_TIMEOUT_MS = 10000, DOCUMENT_MAX = 64 * 1024 };

struct fleet {
	sqlite3 *db;
};

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE box ("
	" name TEXT PRIMARY KEY NOT NULL,"
	" compatible TEXT NOT NULL,"
	" tags TEXT NOT NULL,"
	" report_key TEXT NOT NULL,"
	" added_s INTEGER NOT NULL,"
	" revoked_s INTEGER NOT NULL DEFAULT 0"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE certificate ("
	" serial TEXT PRIMARY KEY NOT NULL,"
	" box TEXT NOT NULL REFERENCES box(name),"
	" from_s INTEGER NOT NULL,"
	" until_s INTEGER NOT NULL,"
	" revoked_s INTEGER NOT NULL DEFAULT 0"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX certificate_box ON certificate(box);"
	"CREATE TABLE counter (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT;"
	"INSERT INTO counter VALUES ('crl', 0);"
	"PRAGMA user_version = 1;"
	"COMMIT;";

static int
db_error(struct fleet *f, struct err *e)
{
	return err_set(e, ERR_SYSTEM, "fleet.db: %s", sqlite3_errmsg(f->db));
}

void
fleet_close(struct fleet **f)
{
	if (!*f)
		return;
	(void)sqlite3_close((*f)->db);
	free(*f);
	*f = NULL;
}

static int
db_exec(struct fleet *f, const char *sql, struct err *e)
{
	return sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(f, e);
}

static void
statement_end(sqlite3_stmt **s)
{
	(void)sqlite3_finalize(*s);
}

#define AUTO_STATEMENT CLEANUP(statement_end)

/* Prepares a statement and binds its parameters: 's' a text, 'i' an int64_t. Texts live until the
 * statement has ended. */
static int
statement(
	struct fleet *f, sqlite3_stmt **out, struct err *e, const char *sql, const char *kinds, ...)
{
	va_list args;
	int rc = sqlite3_prepare_v2(f->db, sql, -1, out, NULL);

	va_start(args, kinds);
	for (int i = 0; rc == SQLITE_OK && kinds[i]; i++) {
		if (kinds[i] == 's')
			rc = sqlite3_bind_text(
				*out, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
		else
			rc = sqlite3_bind_int64(*out, i + 1, va_arg(args, int64_t));
	}
	va_end(args);
	return rc == SQLITE_OK ? 0 : db_error(f, e);
}

/* Runs a statement that answers no rows. */
static int
statement_run(struct fleet *f, sqlite3_stmt *s, struct err *e)
{
	return sqlite3_step(s) == SQLITE_DONE ? 0 : db_error(f, e);
}

/* Goes to the next row. */
static int
statement_next(struct fleet *f, sqlite3_stmt *s, bool *row, struct err *e)
{
	int rc = sqlite3_step(s);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return db_error(f, e);
	*row = rc == SQLITE_ROW;
	return 0;
}

static const char *
column_text(sqlite3_stmt *s, int i)
{
	const char *text = (const char *)sqlite3_column_text(s, i);

	return text ? text : "";
}

static int
schema_version(struct fleet *f, int64_t *version, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = NULL;
	bool row = false;

	if (statement(f, &s, e, "PRAGMA user_version", "") < 0 || statement_next(f, s, &row, e) < 0)
		return -1;
	*version = sqlite3_column_int64(s, 0);
	return 0;
}

static int
schema_make(struct fleet *f, struct err *e)
{
	int64_t version = 0;

	if (schema_version(f, &version, e) < 0)
		return -1;
	if (version == 0 && db_exec(f, schema, e) < 0) {
		/* Another process may have been first. */
		(void)sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
		if (schema_version(f, &version, NULL) < 0 || version != SCHEMA_VERSION)
			return -1;
	}
	if (version > SCHEMA_VERSION)
		return err_set(e, ERR_REFUSED,
			"fleet.db is of format %lld; this program knows up to %d: use the newer "
			"one",
			(long long)version, SCHEMA_VERSION);
	return 0;
}

int
fleet_open(const struct workspace *w, struct fleet **out, struct err *e)
{
	AUTO_FLEET struct fleet *f = calloc(1, sizeof(*f));
	char path[PATH_MAX];

	if (!f)
		return err_sys(e, ENOMEM, "fleet.db");
	if (workspace_path(w, "fleet.db", path, e) < 0)
		return -1;
	if (sqlite3_open_v2(path, &f->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
		SQLITE_OK)
		return err_set(e, ERR_SYSTEM, "%s: %s", path, sqlite3_errmsg(f->db));
	(void)sqlite3_busy_timeout(f->db, BUSY_TIMEOUT_MS);
	if (db_exec(f,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
		    "PRAGMA foreign_keys = ON;",
		    e) < 0 ||
		schema_make(f, e) < 0)
		return -1;
	*out = TAKE_PTR(f);
	return 0;
}

/* Where nobody has it open, SQLite need not make its -wal and -shm files for us (and may not be
 * able to): https://www.sqlite.org/uri.html, "immutable". */
static int
read_uri(const char *path, char *uri, size_t size, struct err *e)
{
	char wal[PATH_MAX + 8];
	size_t len;

	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	len = (size_t)snprintf(uri, size, "file:");
	for (const char *p = path; *p && len + 4 < size; p++)
		len += (size_t)snprintf(uri + len, size - len, strchr("%?#", *p) ? "%%%02x" : "%c",
			(unsigned char)*p);
	if (len + sizeof("?immutable=1") > size)
		return err_set(e, ERR_LIMIT, "the path %s is too long", path);
	if (access(wal, F_OK) < 0)
		(void)snprintf(uri + len, size - len, "?immutable=1");
	return 0;
}

int
fleet_open_read(const struct workspace *w, struct fleet **out, struct err *e)
{
	AUTO_FLEET struct fleet *f = calloc(1, sizeof(*f));
	char path[PATH_MAX], uri[2 * PATH_MAX];
	int64_t version = 0;

	if (!f)
		return err_sys(e, ENOMEM, "fleet.db");
	if (workspace_path(w, "fleet.db", path, e) < 0)
		return -1;
	if (access(path, F_OK) < 0)
		return err_sys(e, errno, "%s", path);
	if (read_uri(path, uri, sizeof(uri), e) < 0)
		return -1;
	if (sqlite3_open_v2(uri, &f->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
		return err_set(e, ERR_SYSTEM, "%s: %s", path, sqlite3_errmsg(f->db));
	(void)sqlite3_busy_timeout(f->db, BUSY_TIMEOUT_MS);
	if (schema_version(f, &version, e) < 0)
		return -1;
	if (version < 1 || version > SCHEMA_VERSION)
		return err_set(e, ERR_REFUSED,
			"fleet.db is of format %lld, which is not known here", (long long)version);
	*out = TAKE_PTR(f);
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
	AUTO_STATEMENT sqlite3_stmt *s = NULL;
	AUTO_BUF struct buf tags = BUF_INIT(DOCUMENT_MAX), key = BUF_INIT(DOCUMENT_MAX);

	if (json_canonical(box->tags, &tags, e) < 0 || json_canonical(box->report_key, &key, e) < 0)
		return -1;
	/* Only a revoked box is replaced: else the name is taken. */
	if (statement(f, &s, e,
		    "INSERT INTO box VALUES (?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT(name) DO UPDATE "
		    "SET compatible = ?2, tags = ?3, report_key = ?4, added_s = ?5, revoked_s = 0 "
		    "WHERE revoked_s != 0",
		    "ssssi", box->name, box->compatible, buf_str(&tags), buf_str(&key),
		    box->added_s) < 0 ||
		statement_run(f, s, e) < 0)
		return -1;
	if (sqlite3_changes(f->db) == 0)
		return err_set(e, ERR_REFUSED,
			"box %s is there already; `sluice box revoke %s` first to give it new keys",
			box->name, box->name);
	return 0;
}

static int
certificate_write(
	struct fleet *f, const char *box, const struct x509_info *certificate, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = NULL;

	if (statement(f, &s, e, "INSERT INTO certificate VALUES (?1, ?2, ?3, ?4, 0)", "ssii",
		    certificate->serial, box, certificate->from_s, certificate->until_s) < 0)
		return -1;
	return statement_run(f, s, e);
}

/* Ends a transaction: commits when rc is 0, else takes it all back. */
static int
transaction_end(struct fleet *f, int rc, struct err *e)
{
	if (rc == 0 && db_exec(f, "COMMIT", e) == 0)
		return 0;
	(void)sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int
fleet_add(struct fleet *f, const struct fleet_box *box, const struct x509_info *certificate,
	struct err *e)
{
	int rc;

	if (db_exec(f, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	rc = box_write(f, box, e);
	if (rc == 0)
		rc = certificate_write(f, box->name, certificate, e);
	return transaction_end(f, rc, e);
}

static int
json_column(sqlite3_stmt *s, int i, json_t **out, struct err *e)
{
	return json_parse(span_str(column_text(s, i)), "fleet.db", out, e);
}

static int
box_read(sqlite3_stmt *s, struct fleet_box *out, struct err *e)
{
	AUTO_JSON json_t *tags = NULL, *key = NULL;

	if (json_column(s, 2, &tags, e) < 0 || json_column(s, 3, &key, e) < 0)
		return -1;
	*out = (struct fleet_box){.tags = TAKE_PTR(tags),
		.report_key = TAKE_PTR(key),
		.added_s = sqlite3_column_int64(s, 4),
		.revoked_s = sqlite3_column_int64(s, 5)};
	(void)snprintf(out->name, sizeof(out->name), "%s", column_text(s, 0));
	(void)snprintf(out->compatible, sizeof(out->compatible), "%s", column_text(s, 1));
	return 0;
}

int
fleet_find(struct fleet *f, const char *name, bool *found, struct fleet_box *out, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = NULL;
	bool row = false;

	if (statement(f, &s, e,
		    "SELECT name, compatible, tags, report_key, added_s, revoked_s FROM box "
		    "WHERE name = ?1",
		    "s", name) < 0 ||
		statement_next(f, s, &row, e) < 0)
		return -1;
	if (row && box_read(s, out, e) < 0)
		return -1;
	*found = row;
	return 0;
}

static int
revoked_mark(struct fleet *f, const char *name, int64_t now_s, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *box = NULL;
	AUTO_STATEMENT sqlite3_stmt *certificates = NULL;

	if (statement(f, &box, e,
		    "UPDATE box SET revoked_s = CASE revoked_s WHEN 0 THEN ?2 ELSE revoked_s END "
		    "WHERE name = ?1",
		    "si", name, now_s) < 0 ||
		statement_run(f, box, e) < 0)
		return -1;
	if (sqlite3_changes(f->db) == 0)
		return err_set(e, ERR_USAGE, "no box %s in this fleet", name);
	if (statement(f, &certificates, e,
		    "UPDATE certificate SET revoked_s = ?2 WHERE box = ?1 AND revoked_s = 0", "si",
		    name, now_s) < 0)
		return -1;
	return statement_run(f, certificates, e);
}

int
fleet_revoke(struct fleet *f, const char *name, int64_t now_s, struct err *e)
{
	if (db_exec(f, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	return transaction_end(f, revoked_mark(f, name, now_s, e), e);
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
	AUTO_STATEMENT sqlite3_stmt *s = NULL;
	AUTO_FLEET_REVOKED struct fleet_revoked r = {0};
	bool row = false;

	if (statement(f, &s, e,
		    "SELECT serial, revoked_s FROM certificate WHERE revoked_s != 0 AND "
		    "until_s >= ?1 ORDER BY serial",
		    "i", now_s) < 0)
		return -1;
	for (;;) {
		if (statement_next(f, s, &row, e) < 0)
			return -1;
		if (!row)
			break;
		if (revoked_append(&r, column_text(s, 0), sqlite3_column_int64(s, 1), e) < 0)
			return -1;
	}
	*out = r;
	r = (struct fleet_revoked){0};
	return 0;
}

static int
census_earliest(struct fleet *f, struct fleet_census *c, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = NULL;
	bool row = false;

	if (statement(f, &s, e,
		    "SELECT box.name, max(until_s) AS last FROM box JOIN certificate ON box = name "
		    "WHERE box.revoked_s = 0 AND certificate.revoked_s = 0 GROUP BY box.name "
		    "ORDER BY last, box.name LIMIT 1",
		    "") < 0 ||
		statement_next(f, s, &row, e) < 0)
		return -1;
	if (!row)
		return 0;
	(void)snprintf(c->earliest, sizeof(c->earliest), "%s", column_text(s, 0));
	c->earliest_s = sqlite3_column_int64(s, 1);
	return 0;
}

int
fleet_census(
	struct fleet *f, int64_t now_s, int64_t soon_s, struct fleet_census *out, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = NULL;
	struct fleet_census c = {0};
	bool row = false;

	if (statement(f, &s, e,
		    "SELECT count(*), count(*) FILTER (WHERE last <= ?1), count(*) FILTER (WHERE "
		    "last <= ?2), (SELECT count(*) FROM box WHERE revoked_s != 0) FROM (SELECT "
		    "max(until_s) AS last FROM box JOIN certificate ON box = name WHERE "
		    "box.revoked_s = 0 AND certificate.revoked_s = 0 GROUP BY box.name)",
		    "ii", now_s, soon_s) < 0 ||
		statement_next(f, s, &row, e) < 0)
		return -1;
	c.boxes = (uint64_t)sqlite3_column_int64(s, 0);
	c.expired = (uint64_t)sqlite3_column_int64(s, 1);
	c.due = (uint64_t)sqlite3_column_int64(s, 2);
	c.revoked = (uint64_t)sqlite3_column_int64(s, 3);
	if (census_earliest(f, &c, e) < 0)
		return -1;
	*out = c;
	return 0;
}

int
fleet_crl_number(struct fleet *f, uint64_t *out, struct err *e)
{
	AUTO_STATEMENT sqlite3_stmt *s = NULL;
	bool row = false;
	uint64_t number = 0;

	if (statement(f, &s, e,
		    "UPDATE counter SET value = value + 1 WHERE name = 'crl' RETURNING value",
		    "") < 0)
		return -1;
	/* The change lasts once the statement has ended. */
	do {
		if (statement_next(f, s, &row, e) < 0)
			return -1;
		if (row)
			number = (uint64_t)sqlite3_column_int64(s, 0);
	} while (row);
	if (number == 0)
		return err_set(e, ERR_MALFORMED, "fleet.db: its CRL counter is missing");
	*out = number;
	return 0;
}
