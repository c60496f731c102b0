#include "signer/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signer/ingest.h"

int
aside_note(struct sql *s, const struct letter *l, int64_t now_s, const char *reason, bool *fresh,
	struct err *e)
{
	if (sql_do(s, e,
		    "INSERT INTO aside VALUES (?1, ?2, ?3, ?4) ON CONFLICT(file) DO UPDATE SET "
		    "inode = ?2, at_s = ?3, reason = ?4 WHERE inode != ?2",
		    "siis", l->file, (int64_t)l->inode, now_s, reason) < 0)
		return -1;
	*fresh = sql_changes(s) != 0;
	return 0;
}

int
aside_move(int spool, const char *file, struct err *e)
{
	char to[sizeof(ASIDE_DIR) + FILE_NAME_MAX + 1];

	(void)snprintf(to, sizeof(to), ASIDE_DIR "/%s", file);
	if (renameat(spool, file, spool, to) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "moving spool/%s to spool/%s", file, to);
}

static int
aside_delete(int spool, const char *file, struct err *e)
{
	char path[sizeof(ASIDE_DIR) + FILE_NAME_MAX + 1];

	(void)snprintf(path, sizeof(path), ASIDE_DIR "/%s", file);
	if (unlinkat(spool, path, 0) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "deleting spool/%s", path);
}

int
aside_prune(int spool, struct sql *s, uint64_t *left, struct err *why, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	uint64_t failed = 0;
	bool row = false;
	int rc = query_begin(s, &q, e,
		"SELECT file FROM aside ORDER BY at_s DESC, rowid DESC LIMIT -1 OFFSET ?1", "i",
		(int64_t)ASIDE_MAX);

	/* The file before its row: one that nothing names would stay for ever. */
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		if (aside_delete(spool, query_text(q, 0), failed ? NULL : why) < 0)
			failed++;
	}
	query_end(&q);
	if (rc < 0)
		return -1;
	*left = failed;
	return sql_do(s, e,
		"DELETE FROM aside WHERE rowid IN (SELECT rowid FROM aside ORDER BY at_s DESC, "
		"rowid DESC LIMIT -1 OFFSET ?1)",
		"i", (int64_t)ASIDE_MAX);
}
