#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/audit_job.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"

/* The tree, and the chunk of its index where the comparison stands. */
struct grove {
	struct audit_job *job;
	struct chunk chunk;
	uint64_t extra; /* entries too many that were named */
	uint8_t data[CHUNK_BYTES];
};

static bool
grove_differs(void *arg, const char *path, const char *what)
{
	struct grove *g = arg;

	audit_tell(g->job, path, what);
	return true;
}

/* To the chunk that holds this byte of the payload. */
static int
chunk_seek(struct grove *g, uint64_t offset, struct err *e)
{
	bool more;

	while (g->chunk.offset + g->chunk.size <= offset) {
		if (index_next(g->job->index, &g->chunk, &more, e) < 0)
			return -1;
		if (!more)
			return err_set(e, ERR_MALFORMED, "its index ends at byte %llu",
				(unsigned long long)offset);
	}
	return 0;
}

/* From the file's byte at, which is the payload's byte offset. */
static int
piece_look(struct grove *g, int fd, const struct tree_entry *t, uint64_t at, uint64_t offset,
	size_t *len, struct err *e)
{
	const struct chunk *c = &g->chunk;
	struct err why;
	size_t step;

	if (chunk_seek(g, offset, e) < 0)
		return -1;
	step = (size_t)num_min(num_min(t->size - at, c->offset + c->size - offset), CHUNK_BYTES);
	if (c->store != CHUNK_ZERO_RUN && (c->offset != offset || c->size != step))
		return err_set(e, ERR_MALFORMED, "%s: its chunks are not its own", t->path);
	if (file_pread_full(fd, t->path, g->data, step, at, &why) < 0)
		audit_tell_chunk(g->job, t->path, at, step,
			why.errnum ? strerror(why.errnum) : "it ends before");
	else if (!audit_piece_is_right(c, g->data, step))
		audit_tell_chunk(g->job, t->path, at, step, "it differs");
	*len = step;
	return 0;
}

static int
grove_content(void *arg, int fd, const struct tree_entry *t, uint64_t offset, struct err *e)
{
	struct grove *g = arg;
	size_t len;

	for (uint64_t at = 0; at < t->size; at += len) {
		if (keep_going_ask(g->job->ears->keep_going, e) < 0 ||
			piece_look(g, fd, t, at, offset + at, &len, e) < 0)
			return -1;
		audit_looked(g->job, len);
	}
	return 0;
}

static bool
grove_extra(void *arg, const char *path)
{
	struct grove *g = arg;

	g->extra++;
	audit_tell(g->job, path, "it is not in the list");
	return true;
}

static int
extras_tell(struct grove *g, const char *path, const struct tree_list *list, uint64_t extra,
	struct err *e)
{
	char what[64];

	if (extra == 0)
		return 0;
	if (tree_each_extra(path, list, g->job->ears->keep_going, grove_extra, g, e) < 0)
		return -1;
	if (g->extra > 0)
		return 0;
	(void)snprintf(what, sizeof(what), "it holds %llu entries more than its list",
		(unsigned long long)extra);
	audit_tell(g->job, ".", what);
	return 0;
}

/* A walk over an index counts only once it has come to its end. */
static int
index_end(struct index_reader *index, struct err *e)
{
	struct chunk c;
	bool more = true;

	while (more) {
		if (index_next(index, &c, &more, e) < 0)
			return -1;
	}
	return 0;
}

int
audit_tree(struct audit_job *j, struct err *e)
{
	AUTO_FREE struct grove *g = calloc(1, sizeof(*g));
	const struct head *h = j->head;
	const struct tree_list list = {
		h->fd, h->name, audit_payload(j), h->layout.offset[j->payload][MEMBER_FILES]};
	const struct tree_watch watch = {g, grove_differs, grove_content};
	const char *path = j->class->path[j->side->side];
	struct stat st;
	uint64_t extra;

	if (!g)
		return err_sys(e, ENOMEM, "the audit");
	g->job = j;
	if (lstat(path, &st) < 0 && errno != ENOENT)
		return err_sys(e, errno, "looking at %s", path);
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		audit_tell(j, ".", "there is no such folder");
		return 0;
	}
	if (tree_compare(path, &list, j->ears->keep_going, &watch, &extra, e) < 0 ||
		extras_tell(g, path, &list, extra, e) < 0)
		return -1;
	return index_end(j->index, e);
}
