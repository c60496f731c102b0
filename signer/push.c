#include "signer/push.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/limits.h"
#include "signer/metadata.h"
#include "signer/place.h"

static int
push_run(const struct workspace *w, const char *word, struct span names, int64_t timeout_ms,
	struct err *e)
{
	return workspace_run(w, w->push, word, names, timeout_ms, e);
}

int
push_bulk(const struct workspace *w, const struct buf *names, struct err *e)
{
	if (!w->push || names->len == 0)
		return 0;
	return push_run(w, "immutable", buf_span(names), PUSH_TIMEOUT_MS, e);
}

int
push_timestamp(const struct workspace *w, struct err *e)
{
	if (!w->push)
		return 0;
	return push_run(
		w, "timestamp", span_str("metadata/timestamp.json\n"), PUSH_SMALL_TIMEOUT_MS, e);
}

/* What of the targets is listed. */
enum sizes { SIZES_SMALL, SIZES_LARGE, SIZES_ALL };

/* Names to push. */
struct listing {
	const struct workspace *workspace;
	const struct site *site;
	enum sizes sizes;
	const json_t *carried; /* left out; or NULL */
	struct buf names;
	uint64_t bytes; /* of large content, where that alone is listed */
	bool is_large;	/* something of what is listed is */
};

static void
listing_free(struct listing *l)
{
	buf_free(&l->names);
}
#define AUTO_LISTING CLEANUP(listing_free)

static int
listing_push(struct listing *l, struct err *e)
{
	int rc = push_bulk(l->workspace, &l->names, e);

	l->names.len = 0;
	l->bytes = 0;
	return rc;
}

/* What another tool listed may have no content here; that is no news. */
static int
list_target(struct listing *l, const char *path, const json_t *entry, struct err *e)
{
	char name[PATH_MAX];
	bool there = false;

	if (place_site_name(l->site, path, entry, name, &there, NULL) < 0 || !there ||
		json_object_get(l->carried, name))
		return 0;
	if (buf_printf(&l->names, e, "%s\n", name) < 0)
		return -1;
	l->is_large = l->is_large || place_is_bulk(entry);
	if (l->sizes != SIZES_LARGE)
		return 0;
	l->bytes += (uint64_t)json_integer_value(json_object_get(entry, "length"));
	return l->bytes < PUSH_RUN_BYTES ? 0 : listing_push(l, e);
}

/* The targets of one role's file, which the publisher has just written or found published. */
static int
list_targets(struct listing *l, const char *role, uint64_t version, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_JSON json_t *root = NULL;
	char file[PATH_MAX];
	const char *path;
	json_t *entry;

	if (site_metadata_path(l->site, role, version, file, e) < 0 ||
		file_read(file, &bytes, e) < 0 || json_parse(buf_span(&bytes), file, &root, e) < 0)
		return -1;
	json_object_foreach (
		json_object_get(json_object_get(root, "signed"), "targets"), path, entry) {
		if (l->sizes != SIZES_ALL && place_is_bulk(entry) != (l->sizes == SIZES_LARGE))
			continue;
		if (list_target(l, path, entry, e) < 0)
			return -1;
	}
	return 0;
}

/* all_of: a role that is listed whole, or "". */
static int
list_roles(struct listing *l, const json_t *snapshot, const char *all_of, struct err *e)
{
	json_t *meta = json_object_get(snapshot, "meta"), *entry;
	const enum sizes sizes = l->sizes;
	const char *file;

	json_object_foreach (meta, file, entry) {
		char role[ROLE_NAME_MAX + 1];
		uint64_t version;

		(void)snprintf(
			role, sizeof(role), "%.*s", (int)(strlen(file) - strlen(".json")), file);
		l->sizes = strcmp(role, all_of) == 0 ? SIZES_ALL : sizes;
		if (json_get_uint(entry, "version", 1, INT64_MAX, &version, e) < 0 ||
			(sizes != SIZES_LARGE &&
				buf_printf(&l->names, e, "metadata/%" PRIu64 ".%s.json\n", version,
					role) < 0) ||
			list_targets(l, role, version, e) < 0)
			return -1;
	}
	return 0;
}

int
push_immutable(const struct workspace *w, const struct site *s, uint64_t root_version,
	uint64_t snapshot_version, const json_t *snapshot, bool at_once, struct err *e)
{
	AUTO_LISTING struct listing l = {.workspace = w,
		.site = s,
		.sizes = SIZES_SMALL,
		.names = BUF_INIT(PUSH_LIST_BYTES_MAX)};

	if (!w->push)
		return 0;
	for (uint64_t n = 1; n <= root_version; n++) {
		if (buf_printf(&l.names, e, "metadata/%" PRIu64 ".root.json\n", n) < 0)
			return -1;
	}
	if (buf_printf(&l.names, e, "metadata/%" PRIu64 ".snapshot.json\n", snapshot_version) < 0 ||
		list_roles(&l, snapshot, at_once ? "targets" : "", e) < 0)
		return -1;
	return push_run(w, "immutable", buf_span(&l.names),
		l.is_large ? PUSH_TIMEOUT_MS : PUSH_SMALL_TIMEOUT_MS, e);
}

int
push_listed_bulk(const struct workspace *w, const struct site *s, const json_t *snapshot,
	const json_t *carried, struct err *e)
{
	AUTO_LISTING struct listing l = {.workspace = w,
		.site = s,
		.sizes = SIZES_LARGE,
		.carried = carried,
		.names = BUF_INIT(PUSH_LIST_BYTES_MAX)};

	if (!w->push)
		return 0;
	return list_roles(&l, snapshot, "", e) < 0 ? -1 : listing_push(&l, e);
}
