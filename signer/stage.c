/* Targets' content: into incoming/targets, and back from there or from the site. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/random.h"
#include "common/limits.h"
#include "signer/copy.h"
#include "signer/metadata.h"
#include "signer/site.h"

int
metadata_staged_path(const struct workspace *w, const char *path, char out[PATH_MAX], struct err *e)
{
	char relative[sizeof("incoming/targets/") + TUF_PATH_MAX];

	if (!metadata_path_valid(path))
		return err_set(e, ERR_REFUSED,
			"'%.80s' cannot be a target's path: it is not made of plain names", path);
	(void)snprintf(relative, sizeof(relative), "incoming/targets/%s", path);
	return workspace_path(w, relative, out, e);
}

/* "incoming/targets/.../DIGEST.NAME". */
static int
digest_path(const struct workspace *w, const char *path, const struct digest *sha256,
	char out[PATH_MAX], struct err *e)
{
	struct site incoming = {0};

	if (workspace_path(w, "incoming/targets", incoming.targets, e) < 0)
		return -1;
	return site_target_path(&incoming, path, sha256, out, e);
}

int
metadata_staged_as(const struct workspace *w, const char *path, const struct digest *sha256,
	char out[PATH_MAX], struct err *e)
{
	char plain[PATH_MAX];

	if (metadata_staged_path(w, path, plain, e) < 0 || digest_path(w, path, sha256, out, e) < 0)
		return -1;
	if (!file_exists(out))
		memcpy(out, plain, sizeof(plain));
	return 0;
}

/* The folder of a file to be staged. */
static int
folder_make(const char *file, struct err *e)
{
	char folder[PATH_MAX];

	(void)snprintf(folder, sizeof(folder), "%s", file);
	*strrchr(folder, '/') = '\0';
	return dir_make(folder, 0755, e);
}

int
metadata_stage(const struct workspace *w, const char *path, struct span content,
	struct metadata_target *out, struct err *e)
{
	struct digest sha256 = digest_of(content);
	char file[PATH_MAX];

	if (metadata_staged_path(w, path, file, e) < 0 ||
		digest_path(w, path, &sha256, file, e) < 0 || folder_make(file, e) < 0 ||
		file_replace(file, 0644, content, e) < 0)
		return -1;
	*out = (struct metadata_target){.path = path, .length = content.len, .sha256 = sha256};
	return 0;
}

int
metadata_stage_file(const struct workspace *w, const char *path, int fd, const char *name,
	struct metadata_target *out, struct err *e)
{
	struct metadata_target t = {.path = path};
	char file[PATH_MAX], part[PATH_MAX], tag[17];

	random_hex(8, tag);
	if (metadata_staged_path(w, path, file, e) < 0 || folder_make(file, e) < 0)
		return -1;
	if ((size_t)snprintf(part, sizeof(part), "%s.%s.part", file, tag) >= sizeof(part))
		return err_set(e, ERR_LIMIT, "the path %s is too long", file);
	if (copy_hashed(fd, name, part, &t.length, &t.sha256, e) < 0)
		return -1;
	if (file_rename(part, file, e) < 0) {
		(void)unlink(part);
		return -1;
	}
	*out = t;
	return 0;
}

/* The file that holds a target's content: staged, else published. */
static int
content_path(const struct workspace *w, const char *path, uint64_t length,
	const struct digest *sha256, char out[PATH_MAX], struct err *e)
{
	struct site s = {0};
	bool is;

	if (metadata_staged_as(w, path, sha256, out, e) < 0 ||
		copy_is(out, length, sha256, &is, e) < 0)
		return -1;
	if (is)
		return 0;
	if (workspace_path(w, "site/targets", s.targets, e) < 0 ||
		site_target_path(&s, path, sha256, out, e) < 0 ||
		copy_is(out, length, sha256, &is, e) < 0)
		return -1;
	if (!is)
		return err_set(e, ERR_UNTRUSTED,
			"%s is neither in incoming/targets nor in site/targets as it was signed",
			path);
	return 0;
}

/* What role metadata says of a target, and the file that has it. */
static int
find_content(const struct workspace *w, const json_t *entry, const char *path, uint64_t max,
	struct hashes *listed, char file[PATH_MAX], struct err *e)
{
	uint64_t length;

	if (json_get_uint(entry, "length", 0, max, &length, e) < 0 ||
		hashes_read(json_object_get(entry, "hashes"), listed, e) < 0 ||
		content_path(w, path, length, &listed->sha256, file, e) < 0)
		return err_context(e, "%s", path);
	return 0;
}

int
metadata_check_content(const struct workspace *w, const struct metadata *m, struct err *e)
{
	const char *path;
	json_t *entry;

	json_object_foreach (json_object_get(m->body, "targets"), path, entry) {
		struct hashes listed;
		char file[PATH_MAX];

		if (find_content(w, entry, path, INT64_MAX, &listed, file, e) < 0)
			return -1;
	}
	return 0;
}

int
metadata_read_target(const struct workspace *w, const struct metadata *m, const char *path,
	uint64_t max, struct buf *out, struct err *e)
{
	const json_t *entry = metadata_find(m, path);
	AUTO_BUF struct buf bytes = BUF_INIT(max);
	char file[PATH_MAX];
	struct hashes listed, all;

	if (!entry)
		return err_set(e, ERR_USAGE, "the role %s does not list %s", m->role, path);
	if (find_content(w, entry, path, max, &listed, file, e) < 0)
		return -1;
	if (file_read(file, &bytes, e) < 0)
		return err_context(e, "%s", path);
	all = hashes_of(buf_span(&bytes));
	if (!hashes_agree(&listed, &all))
		return err_set(e, ERR_UNTRUSTED, "%s changed while it was read", file);
	return buf_append(out, bytes.data, bytes.len, e);
}
