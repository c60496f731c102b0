#include "signer/site.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/limits.h"

void
site_close(struct site *s)
{
	document_free(&s->root);
	document_free(&s->timestamp);
	document_free(&s->snapshot);
}

int
site_metadata_path(
	const struct site *s, const char *role, uint64_t version, char out[PATH_MAX], struct err *e)
{
	char name[ROLE_NAME_MAX + 40];

	(void)snprintf(name, sizeof(name), "%" PRIu64 ".%s.json", version, role);
	return path_join(out, PATH_MAX, s->metadata, name, e);
}

int
site_unused_version(
	const struct site *s, const char *role, uint64_t after, uint64_t *out, struct err *e)
{
	uint64_t version = after;
	char path[PATH_MAX];

	do {
		if (site_metadata_path(s, role, ++version, path, e) < 0)
			return -1;
	} while (file_exists(path));
	*out = version;
	return 0;
}

int
site_target_path(const struct site *s, const char *path, const struct digest *sha256,
	char out[PATH_MAX], struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char relative[TUF_PATH_MAX + DIGEST_HEX_SIZE + 2], hex[DIGEST_HEX_SIZE];

	(void)snprintf(relative, sizeof(relative), "%.*s%s.%s", (int)(name - path), path,
		digest_hex(sha256, hex), name);
	return path_join(out, PATH_MAX, s->targets, relative, e);
}

/* The newest root under which timestamp.json is signed: a newer one may lie there from a
 * publication that did not get as far as its timestamp. */
static int
open_root(struct site *s, struct span timestamp, struct err *e)
{
	char path[PATH_MAX];
	uint64_t n = 0;

	do {
		if (site_metadata_path(s, "root", n + 1, path, e) < 0)
			return -1;
	} while (file_exists(path) && ++n > 0);
	for (; n > 0; n--) {
		AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);
		AUTO_DOCUMENT struct document *root = NULL;
		struct role_keys keys;
		struct err why = ERR_INIT;

		if (site_metadata_path(s, "root", n, path, e) < 0 ||
			file_read(path, &bytes, e) < 0 ||
			document_read_anchor(buf_span(&bytes), &root, e) < 0 ||
			document_root_role(root, "timestamp", &keys, e) < 0)
			return err_context(e, "%s", path);
		if (document_read(timestamp, "timestamp", DOCUMENT_TIMESTAMP, &keys, &s->timestamp,
			    &why) == 0) {
			s->root = TAKE_PTR(root);
			return 0;
		}
	}
	return err_set(e, ERR_UNTRUSTED,
		"%s/timestamp.json is not signed by the timestamp key of any root there; restore "
		"site/ from where it is served or from a backup",
		s->metadata);
}

int
site_open(const struct workspace *w, struct site *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TIMESTAMP_BYTES_MAX);
	AUTO_SITE struct site s = {0};
	char path[PATH_MAX];
	struct role_keys keys;
	uint64_t version;

	if (workspace_path(w, "site/metadata", s.metadata, e) < 0 ||
		workspace_path(w, "site/targets", s.targets, e) < 0 ||
		path_join(path, sizeof(path), s.metadata, "timestamp.json", e) < 0)
		return -1;
	if (file_exists(path)) {
		if (file_read(path, &bytes, e) < 0 || open_root(&s, buf_span(&bytes), e) < 0 ||
			document_root_role(s.root, "snapshot", &keys, e) < 0 ||
			site_role(&s, "snapshot", &keys, &version, &s.snapshot, NULL, e) < 0)
			return -1;
		if (!s.snapshot)
			return err_set(e, ERR_UNTRUSTED,
				"the snapshot in %s is not signed by its key", s.metadata);
	}
	*out = s;
	s = (struct site){0};
	return 0;
}

bool
site_is_headless(const struct site *s)
{
	char path[PATH_MAX];

	return !s->root && site_metadata_path(s, "root", 1, path, NULL) == 0 && file_exists(path);
}

int64_t
site_signed_at(const struct site *s)
{
	const json_t *body = s->timestamp ? s->timestamp->verified.body : NULL;
	const char *text = json_string_value(json_object_get(body, "signed_at"));
	int64_t at_s = 0;

	return text && clock_parse(text, &at_s, NULL) == 0 ? at_s : 0;
}

static enum document_type
type_of(const char *role)
{
	return strcmp(role, "root") == 0       ? DOCUMENT_ROOT
	       : strcmp(role, "snapshot") == 0 ? DOCUMENT_SNAPSHOT
					       : DOCUMENT_TARGETS;
}

/* What the site says of a role's file. Absent: version 0. */
static int
listed(const struct site *s, const char *role, struct metafile *out, struct err *e)
{
	struct err why = ERR_INIT;

	*out = (struct metafile){0};
	if (!s->root)
		return 0;
	if (strcmp(role, "root") == 0) {
		out->version = s->root->version;
		return 0;
	}
	if (strcmp(role, "snapshot") == 0)
		return document_metafile(s->timestamp, role, out, e);
	(void)document_metafile(s->snapshot, role, out, &why);
	return 0;
}

int
site_role(const struct site *s, const char *role, const struct role_keys *keys, uint64_t *version,
	struct document **d, struct buf *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	struct metafile m;
	struct err why = ERR_INIT;
	char path[PATH_MAX];

	if (listed(s, role, &m, e) < 0)
		return -1;
	if (m.version > 0) {
		if (site_metadata_path(s, role, m.version, path, e) < 0 ||
			file_read(path, &bytes, e) < 0 ||
			metafile_check(&m, path, buf_span(&bytes), e) < 0)
			return -1;
		if (document_read(buf_span(&bytes), role, type_of(role), keys, d, &why) < 0 &&
			why.class != ERR_UNTRUSTED)
			return err_set(e, why.class, "%s: %s", path, why.text);
		if (out && buf_append(out, bytes.data, bytes.len, e) < 0)
			return -1;
	}
	*version = m.version;
	return 0;
}
