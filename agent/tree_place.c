/* The files of a tree as one address space. One file is open at a time, so nobody shares it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/beneath.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"

enum { DRAIN_BYTES = 32 << 20 };

struct tree_place {
	int root;
	const struct tree_list *list;
	struct files_reader *files;
	const struct tree_entry *entry; /* the file that fd is; NULL before the first */
	uint64_t start, end;		/* where it is in the address space */
	int fd;
	size_t dirty; /* bytes written since the last sync */
};

void
tree_place_close(struct tree_place **p)
{
	if (!*p)
		return;
	files_close(&(*p)->files);
	cleanup_fd(&(*p)->fd);
	free(*p);
	*p = NULL;
}

int
tree_place_open(int root, const struct tree_list *list, struct tree_place **out, struct err *e)
{
	struct tree_place *p = calloc(1, sizeof(*p));

	if (!p)
		return err_sys(e, ENOMEM, "installing a tree");
	*p = (struct tree_place){.root = root, .list = list, .fd = -1};
	*out = p;
	return 0;
}

static int
place_restart(struct tree_place *p, struct err *e)
{
	files_close(&p->files);
	p->entry = NULL;
	p->start = p->end = 0;
	return files_open(
		p->list->fd, p->list->name, p->list->offset, p->list->payload, &p->files, e);
}

static int
place_next_file(struct tree_place *p, uint64_t offset, struct err *e)
{
	bool more;

	do {
		if (files_next(p->files, &p->entry, &more, e) < 0)
			return -1;
		if (!more)
			return err_set(e, ERR_MALFORMED,
				"%s: byte %llu of payload %s is in no file of its list",
				p->list->name, (unsigned long long)offset, p->list->payload->name);
	} while (p->entry->type != TREE_FILE || p->entry->size == 0);
	p->start = p->end;
	return num_add(p->start, p->entry->size, &p->end, "the files of a tree", e);
}

/* Makes fd the file that holds byte offset. */
static int
place_seek(struct tree_place *p, uint64_t offset, struct err *e)
{
	bool moved = false;

	if (!p->files || offset < p->start) {
		if (place_restart(p, e) < 0)
			return -1;
	}
	while (offset >= p->end) {
		if (place_next_file(p, offset, e) < 0)
			return -1;
		moved = true;
	}
	if (!moved && p->fd >= 0)
		return 0;
	cleanup_fd(&p->fd);
	p->fd = -1;
	return beneath_open(p->root, p->entry->path, O_RDWR | O_NOFOLLOW, 0, &p->fd, e);
}

static int
place_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct tree_place *p = arg;

	for (size_t done = 0; done < len;) {
		size_t step;

		if (place_seek(p, offset + done, e) < 0)
			return -1;
		step = (size_t)num_min(len - done, p->end - (offset + done));
		if (file_pread_full(p->fd, p->entry->path, (char *)data + done, step,
			    offset + done - p->start, e) < 0)
			return err_own(e);
		done += step;
	}
	return 0;
}

/* In pieces, for a sync can neither be asked to end nor show that it gets ahead. */
static int
tree_drain(struct tree_place *p, size_t written, struct err *e)
{
	p->dirty += written;
	if (p->dirty < DRAIN_BYTES)
		return 0;
	p->dirty = 0;
	return syncfs(p->root) < 0 ? err_sys(e, errno, "syncing the tree") : 0;
}

static int
place_write(void *arg, const void *data, size_t len, uint64_t offset, struct err *e)
{
	struct tree_place *p = arg;

	for (size_t done = 0; done < len;) {
		size_t step;

		if (place_seek(p, offset + done, e) < 0)
			return -1;
		step = (size_t)num_min(len - done, p->end - (offset + done));
		if (file_pwrite_full(p->fd, p->entry->path, (const char *)data + done, step,
			    offset + done - p->start, e) < 0)
			return -1;
		done += step;
	}
	return tree_drain(p, len, e);
}

/* A new file has zeros already, so this is only for what an earlier attempt has left. */
static int
place_zero(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	struct place p = tree_place_of(arg);

	*written = 0;
	return place_zero_by_writing(&p, offset, len, written, e);
}

struct place
tree_place_of(struct tree_place *p)
{
	return (struct place){p, place_read, place_write, place_zero, false, NULL};
}
