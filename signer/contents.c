#include "signer/contents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/bundle.h"
#include "common/format/files.h"
#include "common/limits.h"
#include "signer/contents_ext4.h"

enum { ROOM_FIRST = 256 };

void
contents_free(struct contents *c)
{
	free(c->owners);
	free(c->extents);
	free(c->by_path);
	buf_free(&c->paths);
	*c = CONTENTS_INIT;
}

/* A list with room for one more than count things, of which there may be max, or NULL. */
static void *
list_room(void *list, size_t count, size_t *room, size_t size, size_t max, struct err *e)
{
	size_t more = *room ? 2 * *room : ROOM_FIRST;
	void *grown;

	if (count < *room)
		return list;
	if (count >= max) {
		(void)err_set(e, ERR_LIMIT, "it has more than %zu files or pieces", max);
		return NULL;
	}
	grown = reallocarray(list, more, size);
	if (!grown) {
		(void)err_sys(e, ENOMEM, "listing files");
		return NULL;
	}
	*room = more;
	return grown;
}

int
contents_add_owner(struct contents *c, enum owner_kind kind, uint32_t *number, struct err *e)
{
	struct owner *list = list_room(
		c->owners, c->owner_count, &c->owner_room, sizeof(*list), CONTENTS_OWNERS_MAX, e);

	if (!list)
		return -1;
	c->owners = list;
	*number = (uint32_t)c->owner_count;
	list[c->owner_count++] =
		(struct owner){.kind = kind, .path = UINT32_MAX, .first = UINT64_MAX};
	return 0;
}

int
contents_name(struct contents *c, uint32_t owner, const char *path, struct err *e)
{
	size_t at = c->paths.len;

	if (buf_append(&c->paths, path, strlen(path) + 1, e) < 0)
		return err_context(e, "the paths of its files");
	c->owners[owner].path = (uint32_t)at;
	return 0;
}

int
contents_add(struct contents *c, const struct extent *x, struct err *e)
{
	struct extent *last = c->extent_count > 0 ? &c->extents[c->extent_count - 1] : NULL;
	struct extent *list;

	if (last && last->owner == x->owner && last->at + last->size == x->at &&
		last->within + last->size == x->within) {
		last->size += x->size;
		return 0;
	}
	list = list_room(c->extents, c->extent_count, &c->extent_room, sizeof(*list),
		CONTENTS_EXTENTS_MAX, e);
	if (!list)
		return -1;
	c->extents = list;
	list[c->extent_count++] = *x;
	return 0;
}

static int
extents_compare(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->owner < y->owner ? -1 : x->owner > y->owner;
}

/* Sorts, and cuts off what overlaps or lies behind the end. */
static void
extents_order(struct contents *c)
{
	uint64_t end = 0;
	size_t kept = 0;

	if (c->extent_count > 0)
		qsort(c->extents, c->extent_count, sizeof(*c->extents), extents_compare);
	for (size_t i = 0; i < c->extent_count; i++) {
		struct extent x = c->extents[i];
		uint64_t cut = x.at < end ? end - x.at : 0;

		if (cut >= x.size || x.at + cut >= c->size)
			continue;
		x.at += cut;
		x.within += cut;
		x.size = num_min(x.size - cut, c->size - x.at);
		end = x.at + x.size;
		c->extents[kept++] = x;
	}
	c->extent_count = kept;
}

static int
paths_compare(const void *a, const void *b, void *arg)
{
	const struct contents *c = arg;

	return strcmp(
		contents_path(c, *(const uint32_t *)a), contents_path(c, *(const uint32_t *)b));
}

/* What is known of each owner by its extents, and the owners by their paths. */
static int
owners_settle(struct contents *c, struct err *e)
{
	for (size_t i = 0; i < c->extent_count; i++) {
		const struct extent *x = &c->extents[i];

		c->owners[x->owner].size += x->size;
		if (x->within == 0)
			c->owners[x->owner].first = x->at;
	}
	c->by_path = calloc(c->owner_count, sizeof(*c->by_path));
	if (!c->by_path)
		return err_sys(e, ENOMEM, "listing files");
	for (size_t i = OWNERS_FIXED; i < c->owner_count; i++) {
		if (c->owners[i].path != UINT32_MAX)
			c->by_path[c->path_count++] = (uint32_t)i;
	}
	qsort_r(c->by_path, c->path_count, sizeof(*c->by_path), paths_compare, c);
	return 0;
}

int
contents_settle(struct contents *c,
	int (*fill)(void *arg, struct contents *c, uint64_t at, uint64_t size, struct err *e),
	void *arg, struct err *e)
{
	uint64_t end = 0;
	size_t count;

	extents_order(c);
	count = c->extent_count;
	for (size_t i = 0; i < count; i++) {
		struct extent x = c->extents[i];

		if (x.at > end && fill(arg, c, end, x.at - end, e) < 0)
			return -1;
		end = x.at + x.size;
	}
	if (c->size > end && fill(arg, c, end, c->size - end, e) < 0)
		return -1;
	extents_order(c);
	return owners_settle(c, e);
}

const char *
contents_path(const struct contents *c, uint32_t owner)
{
	static const char *const words[] = {[OWNER_IMAGE] = "(the image)",
		[OWNER_METADATA] = "(file system metadata)",
		[OWNER_FREE] = "(free blocks)",
		[OWNER_FILE] = "(a file without a name)",
		[OWNER_FOLDER] = "(a folder without a name)"};
	const struct owner *o = &c->owners[owner];

	if (o->path == UINT32_MAX)
		return words[o->kind];
	return (const char *)c->paths.data + o->path;
}

const struct extent *
contents_at(const struct contents *c, uint64_t at)
{
	size_t low = 0, high = c->extent_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (c->extents[middle].at <= at)
			low = middle;
		else
			high = middle;
	}
	return &c->extents[low];
}

const struct owner *
contents_find(const struct contents *c, const char *path)
{
	size_t low = 0, high = c->path_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint32_t owner = c->by_path[middle];
		int order = strcmp(path, contents_path(c, owner));

		if (order == 0)
			return &c->owners[owner];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* The extents of a file are anywhere among the others, and in any order. */
int
contents_read(const struct contents *c, const struct unpacked *u, uint32_t owner, struct buf *out,
	struct err *e)
{
	uint64_t length = c->owners[owner].length, end = 0;
	size_t before = out->len;

	for (size_t i = 0; i < c->extent_count; i++) {
		const struct extent *x = &c->extents[i];

		if (x->owner == owner && x->within < length)
			end = num_max(end, num_min(x->within + x->size, length));
	}
	if (buf_reserve(out, (size_t)num_min(end, SIZE_MAX), e) < 0)
		return err_context(e, "%s", contents_path(c, owner));
	memset(out->data + before, 0, (size_t)end);
	for (size_t i = 0; i < c->extent_count; i++) {
		const struct extent *x = &c->extents[i];

		if (x->owner == owner && x->within < end)
			memcpy(out->data + before + x->within, u->data + x->at,
				(size_t)num_min(x->size, end - x->within));
	}
	out->len = before + (size_t)end;
	return 0;
}

static int
fill_image(void *arg, struct contents *c, uint64_t at, uint64_t size, struct err *e)
{
	(void)arg;
	return contents_add(c, &(struct extent){at, size, at, OWNER_IMAGE}, e);
}

static int
contents_begin(struct contents *c, enum image_kind kind, uint64_t size, struct err *e)
{
	static const enum owner_kind fixed[OWNERS_FIXED] = {
		OWNER_IMAGE, OWNER_METADATA, OWNER_FREE};
	uint32_t number;

	contents_free(c);
	c->kind = kind;
	c->size = size;
	for (size_t i = 0; i < OWNERS_FIXED; i++) {
		if (contents_add_owner(c, fixed[i], &number, e) < 0)
			return -1;
	}
	return 0;
}

static int
tree_file(struct contents *c, const struct tree_entry *t, uint64_t at, struct err *e)
{
	uint32_t owner;

	if (t->size == 0)
		return 0;
	if (contents_add_owner(c, OWNER_FILE, &owner, e) < 0 ||
		contents_name(c, owner, t->path, e) < 0)
		return -1;
	c->owners[owner].length = t->size;
	return contents_add(c, &(struct extent){at, t->size, 0, owner}, e);
}

static int
contents_tree(const struct bundle_file *b, size_t payload, struct contents *c, struct err *e)
{
	AUTO_FILES struct files_reader *files = NULL;
	const struct tree_entry *t;
	uint64_t at = 0;
	bool more;

	if (bundle_check_member(b->fd, b->path, &b->layout, b->manifest, payload, MEMBER_FILES, e) <
			0 ||
		files_open(b->fd, b->path, b->layout.offset[payload][MEMBER_FILES],
			&b->manifest->payloads[payload], &files, e) < 0)
		return -1;
	for (;;) {
		if (files_next(files, &t, &more, e) < 0)
			return -1;
		if (!more)
			return contents_settle(c, fill_image, NULL, e);
		if (t->type == TREE_FILE && tree_file(c, t, at, e) < 0)
			return -1;
		at += t->size;
	}
}

int
contents_of_image(const struct unpacked *u, struct contents *out, struct err *e)
{
	enum image_kind kind =
		image_kind_of(span_of(u->data, (size_t)num_min(u->size, IMAGE_KIND_BYTES)));
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;
	struct err why = ERR_INIT;
	bool listed = false;

	if (contents_begin(&c, kind, u->size, e) < 0)
		return -1;
	if (kind == IMAGE_EXT4) {
		listed = contents_ext4(u, &c, &why) == 0;
		if (!listed && contents_begin(&c, kind, u->size, e) < 0)
			return -1;
		memcpy(c.why, why.text, sizeof(c.why));
	}
	if (!listed && contents_settle(&c, fill_image, NULL, e) < 0)
		return -1;
	*out = c;
	c = CONTENTS_INIT;
	return 0;
}

int
contents_of(const struct bundle_file *b, size_t payload, const struct unpacked *u,
	struct contents *out, struct err *e)
{
	AUTO_CONTENTS struct contents c = CONTENTS_INIT;

	if (b->manifest->payloads[payload].kind == PAYLOAD_IMAGE)
		return contents_of_image(u, out, e);
	if (contents_begin(&c, IMAGE_TREE, u->size, e) < 0 || contents_tree(b, payload, &c, e) < 0)
		return -1;
	*out = c;
	c = CONTENTS_INIT;
	return 0;
}
