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
aside_open(int spool, int *out, struct err *e)
{
	int fd = -1;

	if (mkdirat(spool, ASIDE_DIR, 0770) == 0 || errno == EEXIST)
		fd = openat(spool, ASIDE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "opening the folder spool/" ASIDE_DIR);
	*out = fd;
	return 0;
}

int
aside_move(int spool, int aside, const char *file, struct err *e)
{
	if (renameat(spool, file, aside, file) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "moving spool/%s to spool/" ASIDE_DIR "/%s", file, file);
}

static int
aside_delete(int aside, const char *file, struct err *e)
{
	if (unlinkat(aside, file, 0) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "deleting spool/" ASIDE_DIR "/%s", file);
}

int
aside_prune(int spool, struct sql *s, uint64_t *left, struct err *why, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	AUTO_CLOSE int aside = -1;
	uint64_t failed = 0;
	bool row = false;
	int rc;

	/* What cannot be reached is for another time. */
	if (aside_open(spool, &aside, why) < 0) {
		*left = 1;
		return 0;
	}
	rc = query_begin(s, &q, e,
		"SELECT file FROM aside ORDER BY at_s DESC, rowid DESC LIMIT -1 OFFSET ?1", "i",
		(int64_t)ASIDE_MAX);

	/* The file before its row: one that nothing names would stay for ever. */
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row) {
		if (aside_delete(aside, query_text(q, 0), failed ? NULL : why) < 0)
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
