#include "agent/tree_old.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/beneath.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/member.h"

enum { MARK_EVERY = 64 * 1024 };

/* Where a line begins in the list, and what it is of in the address space. */
struct mark {
	uint64_t at, start;
};

struct tree_old {
	int root; /* -1: there is none */
	const struct tree_list *list;
	uint64_t list_bytes;
	struct mark *marks; /* upwards; the first is the beginning */
	size_t marked;
	uint64_t next;		 /* in the list: the line that was not gone past yet */
	uint64_t start, end;	 /* what the one before it is of: the file that is looked at, */
	struct tree_entry entry; /* its line, */
	int fd;			 /* and itself; -1: it is not there */
	uint64_t window_at;	 /* in the list */
	size_t window_len;
	uint8_t window[TREE_LINE_MAX];
};

void
tree_old_close(struct tree_old **o)
{
	if (!*o)
		return;
	json_decref((*o)->entry.xattrs);
	cleanup_fd(&(*o)->fd);
	cleanup_fd(&(*o)->root);
	free((*o)->marks);
	free(*o);
	*o = NULL;
}

int
tree_old_open(const char *path, const struct tree_list *list, struct tree_old **out, struct err *e)
{
	AUTO_TREE_OLD struct tree_old *o = calloc(1, sizeof(*o));

	if (!o)
		return err_sys(e, ENOMEM, "reading the folder %s", path);
	o->root = o->fd = -1;
	o->list = list;
	o->list_bytes = list->payload->members[MEMBER_FILES].size;
	o->marks = calloc(o->list_bytes / MARK_EVERY + 1, sizeof(*o->marks));
	if (!o->marks)
		return err_sys(e, ENOMEM, "reading the folder %s", path);
	o->marked = 1;
	(void)tree_folder_open(path, &o->root, NULL);
	*out = TAKE_PTR(o);
	return 0;
}

/* It was gone through before, so what makes no sense in it is its disk's fault. */
static int
list_changed(const struct tree_old *o, struct err *e)
{
	return member_changed(o->list->name, o->list->payload, MEMBER_FILES, e);
}

/* What the window has of the line that begins there. */
static struct span
line_seen(const struct tree_old *o, uint64_t at)
{
	const uint8_t *line, *end;
	size_t skip, left;

	if (at < o->window_at || at - o->window_at >= o->window_len)
		return span_of(NULL, 0);
	skip = (size_t)(at - o->window_at);
	left = o->window_len - skip;
	line = o->window + skip;
	end = memchr(line, '\n', left);
	return span_of(line, end ? (size_t)(end - line) + 1 : 0);
}

static int
line_read(struct tree_old *o, uint64_t at, struct span *line, struct err *e)
{
	size_t len = (size_t)num_min(o->list_bytes - at, sizeof(o->window));

	*line = line_seen(o, at);
	if (line->len > 0)
		return 0;
	o->window_len = 0;
	if (file_pread_full(o->list->fd, o->list->name, o->window, len, o->list->offset + at, e) <
		0)
		return err_own(e);
	o->window_at = at;
	o->window_len = len;
	*line = line_seen(o, at);
	return line->len > 0 ? 0 : list_changed(o, e);
}

/* The last mark that a byte is not before. */
static const struct mark *
mark_find(const struct tree_old *o, uint64_t offset)
{
	size_t low = 0, high = o->marked;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (o->marks[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return &o->marks[low];
}

/* Goes past the next line. */
static int
line_pass(struct tree_old *o, struct span *line, struct err *e)
{
	uint64_t end;

	if (o->next == o->list_bytes)
		return list_changed(o, e);
	if (line_read(o, o->next, line, e) < 0)
		return -1;
	if (num_add(o->end, files_line_bytes(*line), &end, "the files of a tree", e) < 0)
		return list_changed(o, e);
	if (o->next >= o->marks[o->marked - 1].at + MARK_EVERY)
		o->marks[o->marked++] = (struct mark){o->next, o->end};
	o->start = o->end;
	o->end = end;
	o->next += line->len;
	return 0;
}

/* Whatever may be there instead: nothing is waited for, and no device is read. */
static int
regular_open(int root, const char *path)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (root < 0 ||
		beneath_open(root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, NULL) < 0 ||
		fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return take_fd(&fd);
}

/* Makes fd the file that holds byte offset. */
static int
old_seek(struct tree_old *o, uint64_t offset, struct err *e)
{
	const struct mark *mark = mark_find(o, offset);
	struct span line = {NULL, 0};

	if (offset >= o->start && offset < o->end)
		return 0;
	cleanup_fd(&o->fd);
	o->fd = -1;
	if (offset < o->end || mark->at > o->next) {
		o->next = mark->at;
		o->start = o->end = mark->start;
	}
	while (offset >= o->end) {
		if (line_pass(o, &line, e) < 0)
			return -1;
	}
	if (files_take(line, &o->entry, e) < 0)
		return list_changed(o, e);
	o->fd = regular_open(o->root, o->entry.path);
	return 0;
}

/* What of the file is there, and zeros behind that. */
static int
file_read_some_of(const struct tree_old *o, char *data, size_t len, uint64_t offset, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = o->fd < 0
				    ? 0
				    : pread(o->fd, data + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "reading %s", o->entry.path);
		if (n == 0) {
			memset(data + done, 0, len - done);
			return 0;
		}
		done += (size_t)n;
	}
	return 0;
}

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct tree_old *o = arg;

	for (size_t done = 0; done < len;) {
		size_t step;

		if (old_seek(o, offset + done, e) < 0)
			return -1;
		step = (size_t)num_min(len - done, o->end - (offset + done));
		if (file_read_some_of(o, (char *)data + done, step, offset + done - o->start, e) <
			0)
			return -1;
		done += step;
	}
	return 0;
}

struct place
tree_old_place(struct tree_old *o)
{
	return (struct place){.arg = o, .read = old_read};
}
