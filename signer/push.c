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

/* The targets of one role's file, which the publisher has just written or found published. */
static int
list_targets(
	const struct site *s, const char *role, uint64_t version, struct buf *names, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_JSON json_t *root = NULL;
	char file[PATH_MAX], name[PATH_MAX];
	const char *path;
	json_t *entry;

	if (site_metadata_path(s, role, version, file, e) < 0 || file_read(file, &bytes, e) < 0 ||
		json_parse(buf_span(&bytes), file, &root, e) < 0)
		return -1;
	json_object_foreach (
		json_object_get(json_object_get(root, "signed"), "targets"), path, entry) {
		bool there = false;

		/* What another tool listed may have no content here; that is no news. */
		if (place_site_name(s, path, entry, name, &there, NULL) < 0 || !there)
			continue;
		if (buf_printf(names, e, "%s\n", name) < 0)
			return -1;
	}
	return 0;
}

static int
list_roles(const struct site *s, const json_t *snapshot, struct buf *names, struct err *e)
{
	json_t *meta = json_object_get(snapshot, "meta"), *entry;
	const char *file;

	json_object_foreach (meta, file, entry) {
		char role[ROLE_NAME_MAX + 1];
		uint64_t version;

		(void)snprintf(
			role, sizeof(role), "%.*s", (int)(strlen(file) - strlen(".json")), file);
		if (json_get_uint(entry, "version", 1, INT64_MAX, &version, e) < 0 ||
			buf_printf(names, e, "metadata/%" PRIu64 ".%s.json\n", version, role) < 0 ||
			list_targets(s, role, version, names, e) < 0)
			return -1;
	}
	return 0;
}

int
push_immutable(const struct workspace *w, const struct site *s, uint64_t root_version,
	uint64_t snapshot_version, const json_t *snapshot, struct err *e)
{
	AUTO_BUF struct buf names = BUF_INIT(PUSH_LIST_BYTES_MAX);

	if (!w->push)
		return 0;
	for (uint64_t n = 1; n <= root_version; n++) {
		if (buf_printf(&names, e, "metadata/%" PRIu64 ".root.json\n", n) < 0)
			return -1;
	}
	if (buf_printf(&names, e, "metadata/%" PRIu64 ".snapshot.json\n", snapshot_version) < 0 ||
		list_roles(s, snapshot, &names, e) < 0)
		return -1;
	return push_run(w, "immutable", buf_span(&names), PUSH_SMALL_TIMEOUT_MS, e);
}
