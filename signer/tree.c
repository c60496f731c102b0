#include "signer/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"

enum { FOLDER_MODE_DEFAULT = 0755 };

static void
item_free(struct tree_item *item)
{
	free(item->path);
	free(item->target);
	json_decref(item->xattrs);
	free(item);
}

void
tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++)
		item_free(t->items[i]);
	free(t->items);
	cleanup_fd(&t->spool);
	*t = (struct tree){.spool = -1};
}

/* What PAYLOAD.files can hold and what drives no terminal; the rest of its rules is files_put's. */
static int
check_text(const struct tree *t, const char *text, const char *what, struct err *e)
{
	AUTO_JSON json_t *utf8 = json_string(text);
	size_t len = strlen(text);
	char shown[TREE_PATH_MAX + 1];

	if (len == 0 || len > TREE_PATH_MAX)
		return err_set(e, ERR_LIMIT, "%s: a %s is empty or longer than %d bytes", t->source,
			what, TREE_PATH_MAX);
	memcpy(shown, text, len + 1);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)shown[i] < 0x20 || shown[i] == 0x7f ||
			(!utf8 && shown[i] & 0x80))
			shown[i] = '?';
	}
	if (strcmp(shown, text) != 0)
		return err_set(e, ERR_REFUSED,
			"%s: %s: a %s with control characters, or not UTF-8, is refused; rename it",
			t->source, shown, what);
	return 0;
}

int
tree_add(struct tree *t, const char *path, struct tree_item **out, struct err *e)
{
	struct tree_item *item;

	if (check_text(t, path, "path", e) < 0)
		return -1;
	if (t->count == TREE_FILES_MAX)
		return err_set(e, ERR_LIMIT, "%s: more than %llu files", t->source, TREE_FILES_MAX);
	if (t->count == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 64;
		void *bigger = reallocarray(t->items, capacity, sizeof(struct tree_item *));

		if (!bigger)
			return err_sys(e, ENOMEM, "listing %s", t->source);
		t->items = bigger;
		t->capacity = capacity;
	}
	item = calloc(1, sizeof(*item));
	if (item)
		item->path = strdup(path);
	if (!item || !item->path) {
		free(item);
		return err_sys(e, ENOMEM, "listing %s", t->source);
	}
	t->items[t->count++] = item;
	*out = item;
	return 0;
}

int
tree_add_xattr(const struct tree *t, struct tree_item *item, const char *name, const void *value,
	size_t len, struct err *e)
{
	AUTO_FREE char *hex = malloc(2 * len + 1);

	if (!hex)
		return err_sys(e, ENOMEM, "listing %s", t->source);
	if (strncmp(name, "system.posix_acl", strlen("system.posix_acl")) == 0)
		return err_set(e, ERR_REFUSED,
			"%s: %s has an ACL, which bundles do not carry; remove it (setfacl -b)",
			t->source, item->path);
	if (strncmp(name, "system.", strlen("system.")) == 0)
		return 0;
	hex_encode(value, len, hex);
	if (!item->xattrs)
		item->xattrs = json_object();
	if (json_object_set_new(item->xattrs, name, json_string(hex)) < 0)
		return err_set(e, ERR_REFUSED,
			"%s: %s has an extended attribute whose name is not UTF-8", t->source,
			item->path);
	return 0;
}

static int
item_by_path(const void *a, const void *b)
{
	const struct tree_item *const *x = a, *const *y = b;

	return tree_path_compare((*x)->path, (*y)->path);
}

/* Names of one file next to each other, in the order of their paths. */
static int
item_by_file(const void *a, const void *b)
{
	const struct tree_item *const *x = a, *const *y = b;

	if ((*x)->dev != (*y)->dev)
		return (*x)->dev < (*y)->dev ? -1 : 1;
	if ((*x)->ino != (*y)->ino)
		return (*x)->ino < (*y)->ino ? -1 : 1;
	return item_by_path(a, b);
}

static void
tree_sort(struct tree *t)
{
	if (t->count > 1) /* of none, items is NULL, which qsort() must not see */
		qsort(t->items, t->count, sizeof(struct tree_item *), item_by_path);
}

static struct tree_item *
tree_find(const struct tree *t, const char *path)
{
	struct tree_item key = {.path = strdup(path)}, *wanted = &key, **found;

	if (!key.path)
		return NULL;
	found = bsearch(&wanted, t->items, t->count, sizeof(struct tree_item *), item_by_path);
	free(key.path);
	return found ? *found : NULL;
}

static int
check_twice(const struct tree *t, struct err *e)
{
	for (size_t i = 1; i < t->count; i++) {
		if (strcmp(t->items[i - 1]->path, t->items[i]->path) == 0)
			return err_set(e, ERR_MALFORMED, "%s: %s is in it twice", t->source,
				t->items[i]->path);
	}
	return 0;
}

/* Whether path is folder, or something in it. */
static bool
path_within(const char *path, const char *folder, size_t len)
{
	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Adds the folders above item that are not there; before it in order stands previous. */
static int
add_parents(struct tree *t, const struct tree_item *previous, const char *path, struct err *e)
{
	char folder[TREE_PATH_MAX + 1];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);
		struct tree_item *item;

		if (previous && path_within(previous->path, path, len)) {
			if (previous->path[len] == '\0' && previous->type != TREE_DIR)
				return err_set(e, ERR_MALFORMED,
					"%s: %s is in %s, which is no folder", t->source, path,
					previous->path);
			continue;
		}
		memcpy(folder, path, len);
		folder[len] = '\0';
		if (tree_add(t, folder, &item, e) < 0)
			return -1;
		item->type = TREE_DIR;
		item->mode = FOLDER_MODE_DEFAULT;
	}
	return 0;
}

static int
tree_complete(struct tree *t, struct err *e)
{
	size_t listed = t->count;

	for (size_t i = 0; i < listed; i++) {
		if (add_parents(t, i ? t->items[i - 1] : NULL, t->items[i]->path, e) < 0)
			return -1;
	}
	if (t->count > listed)
		tree_sort(t);
	return 0;
}

/* What a hard link of a tarball names, through other links. */
static int
resolve_link(
	const struct tree *t, const struct tree_item *link, struct tree_item **out, struct err *e)
{
	struct tree_item *to = tree_find(t, link->target);

	for (int i = 0; to && to->type == TREE_HARDLINK && i < LINK_CHAIN_MAX; i++)
		to = tree_find(t, to->target);
	if (!to || (to->type != TREE_FILE && to->type != TREE_SYMLINK))
		return err_set(e, ERR_MALFORMED,
			"%s: %s is a hard link to %s, which is no file in it", t->source,
			link->path, link->target);
	*out = to;
	return 0;
}

/* Makes a hard link one more name of its file: which name comes first is decided by order later. A
 * hard link to a symbolic link becomes a symbolic link of its own. */
static int
merge_link(struct tree *t, struct tree_item *link, struct err *e)
{
	struct tree_item *to = NULL;
	char *path = link->path, *target = NULL;

	if (resolve_link(t, link, &to, e) < 0)
		return -1;
	if (to->target && !(target = strdup(to->target)))
		return err_sys(e, ENOMEM, "listing %s", t->source);
	free(link->target);
	json_decref(link->xattrs);
	to->nlink++;
	*link = *to;
	link->path = path;
	link->target = target;
	link->xattrs = json_incref(to->xattrs);
	return 0;
}

static int
tree_merge_links(struct tree *t, struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->items[i]->type == TREE_HARDLINK && merge_link(t, t->items[i], e) < 0)
			return -1;
	}
	return 0;
}

/* Of the names of one file, the first in order is the file and the others are links to it. */
static int
tree_split_links(struct tree *t, struct err *e)
{
	AUTO_FREE struct tree_item **shared = calloc(t->count + 1, sizeof(struct tree_item *));
	struct tree_item *first = NULL;
	size_t count = 0;

	if (!shared)
		return err_sys(e, ENOMEM, "listing %s", t->source);
	for (size_t i = 0; i < t->count; i++) {
		if (t->items[i]->type == TREE_FILE && t->items[i]->nlink > 1)
			shared[count++] = t->items[i];
	}
	qsort(shared, count, sizeof(struct tree_item *), item_by_file);
	for (size_t i = 0; i < count; i++) {
		struct tree_item *item = shared[i];

		if (!first || item->dev != first->dev || item->ino != first->ino) {
			first = item;
			continue;
		}
		item->type = TREE_HARDLINK;
		item->size = 0;
		json_decref(item->xattrs);
		item->xattrs = NULL;
		item->target = strdup(first->path);
		if (!item->target)
			return err_sys(e, ENOMEM, "listing %s", t->source);
	}
	return 0;
}

static int
tree_measure(struct tree *t, struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct tree_item *item = t->items[i];

		if (item->type == TREE_SYMLINK &&
			check_text(t, item->target, "symbolic link's target", e) < 0)
			return -1;
		if (item->type == TREE_FILE &&
			num_add(t->size, item->size, &t->size, t->source, e) < 0)
			return -1;
	}
	if (t->size > PAYLOAD_BYTES_MAX)
		return err_set(
			e, ERR_LIMIT, "%s: its files are larger than 1 TiB together", t->source);
	return 0;
}

int
tree_open(const char *source, const char *scratch, struct tree *out, struct err *e)
{
	AUTO_TREE struct tree t = {.source = source, .spool = -1};
	struct stat s;

	if (stat(source, &s) < 0)
		return err_sys(e, errno, "opening %s", source);
	if (!S_ISDIR(s.st_mode) && !S_ISREG(s.st_mode))
		return err_set(e, ERR_USAGE, "%s: a tree is a folder or a tarball", source);
	if ((S_ISDIR(s.st_mode) ? tree_scan_folder(&t, e) : tree_scan_tarball(&t, scratch, e)) < 0)
		return -1;
	tree_sort(&t);
	if (check_twice(&t, e) < 0 || tree_complete(&t, e) < 0 || tree_merge_links(&t, e) < 0 ||
		tree_split_links(&t, e) < 0 || tree_measure(&t, e) < 0)
		return -1;
	*out = t;
	t = (struct tree){.spool = -1};
	return 0;
}

/* What is opened must be what was listed: a path may have become something else since. */
static int
open_listed(const struct tree *t, const struct tree_item *item, const char *path, int *fd,
	struct err *e)
{
	AUTO_CLOSE int opened = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat s;

	if (opened < 0 || fstat(opened, &s) < 0)
		return err_sys(e, errno, "opening %s", path);
	if (!S_ISREG(s.st_mode) || s.st_dev != item->dev || s.st_ino != item->ino)
		return err_set(e, ERR_MALFORMED,
			"%s: %s was replaced while it was packed; pack again", t->source,
			item->path);
	*fd = take_fd(&opened);
	return 0;
}

int
tree_file_open(const struct tree *t, const struct tree_item *item, int *fd, uint64_t *offset,
	struct err *e)
{
	char path[PATH_MAX];
	int spool;

	if (t->spool < 0) {
		if (path_join(path, sizeof(path), t->source, item->path, e) < 0 ||
			open_listed(t, item, path, fd, e) < 0)
			return -1;
		*offset = 0;
		return 0;
	}
	spool = fcntl(t->spool, F_DUPFD_CLOEXEC, 0);
	if (spool < 0)
		return err_sys(e, errno, "reading %s", t->source);
	*fd = spool;
	*offset = item->offset;
	return 0;
}

int
tree_file_check(const struct tree *t, const struct tree_item *item, int fd, struct err *e)
{
	struct stat s;

	if (t->spool >= 0)
		return 0;
	if (fstat(fd, &s) < 0)
		return err_sys(e, errno, "reading %s", item->path);
	if ((uint64_t)s.st_size != item->size)
		return err_set(e, ERR_MALFORMED, "%s: %s changed while it was packed; pack again",
			t->source, item->path);
	return 0;
}
