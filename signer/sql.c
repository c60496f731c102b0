#include "signer/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"

/* More statements than these are prepared anew each time. */
enum { BUSY_TIMEOUT_MS = 10000, STATEMENTS_KEPT = 96, PRIVATE_MODE = 0640 };

struct query {
	struct sql *sql;
	sqlite3_stmt *statement;
	const char *text;
	bool kept, busy;
};

struct sql {
	sqlite3 *db;
	struct query kept[STATEMENTS_KEPT];
	size_t kept_count;
	uint64_t steps;
};

static int
sql_error(const struct sql *s, struct err *e)
{
	return err_set(e, ERR_SYSTEM, "fleet.db: %s", sqlite3_errmsg(s->db));
}

void
sql_close(struct sql **s)
{
	if (!*s)
		return;
	for (size_t i = 0; i < (*s)->kept_count; i++)
		(void)sqlite3_finalize((*s)->kept[i].statement);
	(void)sqlite3_close((*s)->db);
	free(*s);
	*s = NULL;
}

static int
sql_open_as(const char *path, const char *name, int flags, struct sql **out, struct err *e)
{
	AUTO_SQL struct sql *s = calloc(1, sizeof(*s));

	if (!s)
		return err_sys(e, ENOMEM, "%s", path);
	/* "unable to open database file" does not say whether it is there, or whose it is. */
	if (sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return sqlite3_system_errno(s->db) != 0
			       ? err_sys(e, sqlite3_system_errno(s->db), "%s", path)
			       : err_set(e, ERR_SYSTEM, "%s: %s", path, sqlite3_errmsg(s->db));
	(void)sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	*out = TAKE_PTR(s);
	return 0;
}

/* By names, never by a descriptor: who closes one of a database loses all locks on it. */
static int
others_shut_out(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", path);
	/* Whose it is not can leave it as it is, and be let in or not. */
	if ((st.st_mode & S_IRWXO) == 0 || (geteuid() != 0 && geteuid() != st.st_uid))
		return 0;
	return chmod(path, st.st_mode & 07777 & ~(mode_t)S_IRWXO) < 0
		       ? err_sys(e, errno, "%s", path)
		       : 0;
}

/* What it holds is for its owner and their group; SQLite gives -wal and -shm the mode that the file
 * has when it makes them. */
static int
file_keep_private(const char *path, struct err *e)
{
	AUTO_CLOSE int made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, PRIVATE_MODE);
	char beside[PATH_MAX + 8];

	if (made < 0 && errno != EEXIST)
		return err_sys(e, errno, "making %s", path);
	if (others_shut_out(path, e) < 0)
		return -1;
	(void)snprintf(beside, sizeof(beside), "%s-wal", path);
	if (others_shut_out(beside, e) < 0)
		return -1;
	(void)snprintf(beside, sizeof(beside), "%s-shm", path);
	return others_shut_out(beside, e);
}

int
sql_open(const char *path, struct sql **out, struct err *e)
{
	AUTO_SQL struct sql *s = NULL;

	if (file_keep_private(path, e) < 0 ||
		sql_open_as(path, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &s, e) < 0 ||
		sql_run(s,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
			"PRAGMA foreign_keys = ON;",
			e) < 0)
		return -1;
	*out = TAKE_PTR(s);
	return 0;
}

/* Whether the -wal and -shm that an open database has beside it may be made (and removed) by us:
 * those of another user would be in the way of whoever writes. */
static bool
is_ours(const char *real)
{
	char dir[PATH_MAX];
	struct stat st;

	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(real, '/') - real), real);
	return stat(real, &st) == 0 && (geteuid() == 0 || geteuid() == st.st_uid) &&
	       faccessat(AT_FDCWD, real, R_OK | W_OK, AT_EACCESS) == 0 &&
	       faccessat(AT_FDCWD, *dir ? dir : "/", W_OK, AT_EACCESS) == 0;
}

static int
uri_make(const char *path, const char *query, char *uri, size_t size, struct err *e)
{
	size_t len = (size_t)snprintf(uri, size, "file:");

	for (const char *p = path; *p && len + 4 < size; p++)
		len += (size_t)snprintf(uri + len, size - len, strchr("%?#", *p) ? "%%%02x" : "%c",
			(unsigned char)*p);
	if (len + strlen(query) + 1 > size)
		return err_set(e, ERR_LIMIT, "the path %s is too long", path);
	(void)snprintf(uri + len, size - len, "%s", query);
	return 0;
}

/* A database that somebody may write to is opened as all who write open it: only so does SQLite see
 * that it changes. *still: where that cannot be, and nobody has it open, it is read as a file that
 * does not change (https://www.sqlite.org/uri.html, "immutable"); who begins to write meanwhile is
 * not seen. */
static int
reader_open(const char *path, struct sql **out, bool *still, struct err *e)
{
	char real[PATH_MAX], wal[PATH_MAX + 8], uri[4 * PATH_MAX];
	int mode;

	if (!realpath(path, real))
		return err_sys(e, errno, "%s", path);
	(void)snprintf(wal, sizeof(wal), "%s-wal", real);
	mode = is_ours(real) ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	*still = mode == SQLITE_OPEN_READONLY && access(wal, F_OK) < 0;
	if (uri_make(real, *still ? "?immutable=1" : "", uri, sizeof(uri), e) < 0)
		return -1;
	return sql_open_as(path, uri, mode | SQLITE_OPEN_URI, out, e);
}

int
sql_open_read(const char *path, struct sql **out, struct err *e)
{
	AUTO_SQL struct sql *s = NULL;
	bool still;

	if (reader_open(path, &s, &still, e) < 0 || sql_run(s, "PRAGMA query_only = ON", e) < 0)
		return -1;
	*out = TAKE_PTR(s);
	return 0;
}

static int
copy_check(const char *path, struct err *e)
{
	AUTO_SQL struct sql *s = NULL;
	AUTO_QUERY struct query *q = NULL;
	bool row = false;

	/* Not READONLY: SQLite 3.40 looks at no CHECK then. */
	if (sql_open_as(path, path, SQLITE_OPEN_READWRITE, &s, e) < 0 ||
		query_begin(s, &q, e, "PRAGMA quick_check(1)", "") < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	if (row && strcmp(query_text(q, 0), "ok") == 0)
		return 0;
	return err_set(e, ERR_MALFORMED, "the copy of fleet.db is damaged, as fleet.db may be: %s",
		query_text(q, 0));
}

static bool
is_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int
sql_copy(const char *from, const char *to, struct err *e)
{
	AUTO_SQL struct sql *s = NULL;
	struct stat before, after;
	bool still;

	if (stat(from, &before) < 0)
		return err_sys(e, errno, "%s", from);
	/* An empty file is taken for none, and keeps its mode. */
	if (reader_open(from, &s, &still, e) < 0 ||
		file_create(to, 0600, (struct span){0}, e) < 0 ||
		sql_do(s, e, "VACUUM INTO ?1", "s", to) < 0)
		return -1;
	if (stat(from, &after) < 0)
		return err_sys(e, errno, "%s", from);
	if (still && !is_unchanged(&before, &after))
		return err_set(e, ERR_REFUSED,
			"%s was written to while it was copied: do it again, as its owner", from);
	return copy_check(to, e);
}

int
sql_run(struct sql *s, const char *statements, struct err *e)
{
	return sqlite3_exec(s->db, statements, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_error(s, e);
}

int
sql_bulk(struct sql *s, struct err *e)
{
	return sql_run(s, "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 32768", e);
}

int
sql_begin(struct sql *s, struct err *e)
{
	return sql_run(s, "BEGIN IMMEDIATE", e);
}

int
sql_end(struct sql *s, int rc, struct err *e)
{
	if (rc == 0 && sql_run(s, "COMMIT", e) == 0)
		return 0;
	(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

uint64_t
sql_changes(const struct sql *s)
{
	return (uint64_t)sqlite3_changes64(s->db);
}

int64_t
sql_row(const struct sql *s)
{
	return sqlite3_last_insert_rowid(s->db);
}

uint64_t
sql_steps(const struct sql *s)
{
	return s->steps;
}

void
query_end(struct query **q)
{
	if (!*q)
		return;
	(*q)->sql->steps +=
		(uint64_t)sqlite3_stmt_status((*q)->statement, SQLITE_STMTSTATUS_VM_STEP, 1);
	if ((*q)->kept) {
		/* What it answers was heard when the statement was stepped. */
		(void)sqlite3_reset((*q)->statement);
		(*q)->busy = false;
	} else {
		(void)sqlite3_finalize((*q)->statement);
		free(*q);
	}
	*q = NULL;
}

static struct query *
query_kept(struct sql *s, const char *text)
{
	for (size_t i = 0; i < s->kept_count; i++) {
		if (!s->kept[i].busy && strcmp(s->kept[i].text, text) == 0)
			return &s->kept[i];
	}
	return NULL;
}

static int
query_prepare(struct sql *s, const char *text, struct query **out, struct err *e)
{
	bool keep = s->kept_count < STATEMENTS_KEPT;
	struct query *q = keep ? &s->kept[s->kept_count] : calloc(1, sizeof(*q));

	if (!q)
		return err_sys(e, ENOMEM, "fleet.db");
	*q = (struct query){.sql = s, .kept = keep};
	if (sqlite3_prepare_v3(s->db, text, -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &q->statement,
		    NULL) != SQLITE_OK) {
		if (!keep)
			free(q);
		return sql_error(s, e);
	}
	q->text = sqlite3_sql(q->statement);
	s->kept_count += keep;
	*out = q;
	return 0;
}

static int
query_bind(struct query *q, const char *kinds, va_list args, struct err *e)
{
	int rc = SQLITE_OK;

	for (int i = 0; rc == SQLITE_OK && kinds[i]; i++) {
		if (kinds[i] == 's')
			rc = sqlite3_bind_text(
				q->statement, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
		else
			rc = sqlite3_bind_int64(q->statement, i + 1, va_arg(args, int64_t));
	}
	return rc == SQLITE_OK ? 0 : sql_error(q->sql, e);
}

static int
query_begin_with(struct sql *s, struct query **out, struct err *e, const char *text,
	const char *kinds, va_list args)
{
	AUTO_QUERY struct query *q = query_kept(s, text);

	if (!q && query_prepare(s, text, &q, e) < 0)
		return -1;
	q->busy = true;
	if (query_bind(q, kinds, args, e) < 0)
		return -1;
	*out = TAKE_PTR(q);
	return 0;
}

int
query_begin(
	struct sql *s, struct query **out, struct err *e, const char *text, const char *kinds, ...)
{
	va_list args;
	int rc;

	va_start(args, kinds);
	rc = query_begin_with(s, out, e, text, kinds, args);
	va_end(args);
	return rc;
}

int
query_next(struct query *q, bool *row, struct err *e)
{
	int rc = sqlite3_step(q->statement);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return sql_error(q->sql, e);
	*row = rc == SQLITE_ROW;
	return 0;
}

int64_t
query_int(const struct query *q, int column)
{
	return sqlite3_column_int64(q->statement, column);
}

const char *
query_text(const struct query *q, int column)
{
	const char *text = (const char *)sqlite3_column_text(q->statement, column);

	return text ? text : "";
}

/* A change lasts once its statement has been stepped to its end. */
static int
query_finish(struct query *q, struct err *e)
{
	bool row;

	do {
		if (query_next(q, &row, e) < 0)
			return -1;
	} while (row);
	return 0;
}

int
sql_do(struct sql *s, struct err *e, const char *text, const char *kinds, ...)
{
	AUTO_QUERY struct query *q = NULL;
	va_list args;
	int rc;

	va_start(args, kinds);
	rc = query_begin_with(s, &q, e, text, kinds, args);
	va_end(args);
	return rc < 0 ? -1 : query_finish(q, e);
}

int
sql_get(struct sql *s, bool *found, int64_t *out, struct err *e, const char *text,
	const char *kinds, ...)
{
	AUTO_QUERY struct query *q = NULL;
	bool row = false;
	int64_t value = 0;
	va_list args;
	int rc;

	va_start(args, kinds);
	rc = query_begin_with(s, &q, e, text, kinds, args);
	va_end(args);
	if (rc < 0 || query_next(q, &row, e) < 0)
		return -1;
	if (row)
		value = query_int(q, 0);
	if (row && query_finish(q, e) < 0)
		return -1;
	if (!found && !row)
		return err_set(e, ERR_MALFORMED, "fleet.db: a row that belongs in it is missing");
	if (row)
		*out = value;
	if (found)
		*found = row;
	return 0;
}
