/* SQLite, as much of it as fleet.db needs. The only include of sqlite3.h is in sql.c. */
#ifndef SLUICE_SIGNER_SQL_H
#define SLUICE_SIGNER_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

/* An open database, used by one thread. All errors are ERR_SYSTEM with SQLite's own words. */
struct sql;

void sql_close(struct sql **s);
#define AUTO_SQL CLEANUP(sql_close)

/* Opens for writing, making the file where there is none: WAL, durable at each commit. Neither it
 * nor what SQLite has beside it is for others than its owner and their group: a file of an older
 * program is made so. */
int sql_open(const char *path, struct sql **out, struct err *e);

/* Opens for reading alone. Whoever owns the file, or is root, sees at each statement what others
 * have written by then; SQLite's -wal and -shm may lie beside it meanwhile. Other users leave
 * nothing there, and see what others write if those had it open already. */
int sql_open_read(const char *path, struct sql **out, struct err *e);

/* Writes all that is in a database, as it is at one moment, to the new file to (0600, not synced),
 * while others write, and checks that. ERR_MALFORMED for a copy that is damaged; ERR_REFUSED where
 * the file belongs to somebody else, who wrote meanwhile. */
int sql_copy(const char *from, const char *to, struct err *e);

/* Runs statements that have no parameters and whose rows nobody wants. */
int sql_run(struct sql *s, const char *statements, struct err *e);

/* A transaction that writes. The end commits where rc is 0, and else takes all of it back and
 * returns -1 with e as it was. */
int sql_begin(struct sql *s, struct err *e);
int sql_end(struct sql *s, int rc, struct err *e);

/* Readies it for transactions that change thousands of rows all over: 64 MiB of cache, which holds
 * the inner pages of a million boxes, and a log of up to 128 MiB before it is copied back, so that
 * a page that changes in each is copied once. */
int sql_bulk(struct sql *s, struct err *e);

/* Rows that the last statement changed, and the row that the last insertion made. */
uint64_t sql_changes(const struct sql *s);
int64_t sql_row(const struct sql *s);

/* What all statements that have ended have cost, in steps of SQLite's machine: the same on every
 * computer. */
uint64_t sql_steps(const struct sql *s);

/* A statement at work. */
struct query;

void query_end(struct query **q);
#define AUTO_QUERY CLEANUP(query_end)

/* Begins a statement with its parameters, each of a kind: 's' a text (const char *), 'i' an
 * int64_t. Texts live until the query has ended. Statements are prepared once and kept, by their
 * text. */
int query_begin(
	struct sql *s, struct query **out, struct err *e, const char *text, const char *kinds, ...);

/* Goes to the first row, and the next. */
int query_next(struct query *q, bool *row, struct err *e);

/* The columns of the row, from 0. A text lives until the next row; NULL is "". */
int64_t query_int(const struct query *q, int column);
const char *query_text(const struct query *q, int column);

/* All in one, for a statement without rows. */
int sql_do(struct sql *s, struct err *e, const char *text, const char *kinds, ...);

/* All in one, for a number: *found (which may be NULL, as if there always were a row) says whether
 * there was a row; *out is untouched where there was none. */
int sql_get(struct sql *s, bool *found, int64_t *out, struct err *e, const char *text,
	const char *kinds, ...);

#endif
