/* What a folder holds beside what its list says. */
#include "agent/beneath.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"
#include "common/format/path_set.h"

struct search {
	struct path_set *listed;
	bool (*each)(void *arg, const char *path);
	void *arg;
	bool over;
};

static int
search_look(void *arg, const char *path, struct err *e)
{
	struct search *s = arg;

	(void)e;
	if (!s->over && !path_set_has(s->listed, path))
		s->over = !s->each(s->arg, path);
	return 0;
}

static int
listed_read(const struct tree_list *list, const struct keep_going *keep_going, struct path_set *out,
	struct err *e)
{
	AUTO_FILES struct files_reader *files = NULL;
	const struct tree_entry *t;
	bool more;

	if (files_open(list->fd, list->name, list->offset, list->payload, &files, e) < 0)
		return -1;
	for (;;) {
		if (keep_going_ask(keep_going, e) < 0 || files_next(files, &t, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (path_set_add(out, t->path, e) < 0)
			return -1;
	}
}

int
tree_each_extra(const char *path, const struct tree_list *list, const struct keep_going *keep_going,
	bool (*each)(void *arg, const char *path), void *arg, struct err *e)
{
	CLEANUP(path_set_free) struct path_set *listed = NULL;
	AUTO_CLOSE int root = -1;
	struct search s = {.each = each, .arg = arg};

	if (path_set_new(&listed, e) < 0 || listed_read(list, keep_going, listed, e) < 0 ||
		tree_folder_open(path, &root, e) < 0)
		return -1;
	s.listed = listed;
	return beneath_each(root, keep_going, search_look, &s, e);
}
