#include "signer/place.h"

#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/limits.h"
#include "signer/copy.h"
#include "signer/metadata.h"

static int
listed_target(const json_t *entry, uint64_t *length, struct digest *sha256, struct err *e)
{
	struct hashes h;

	if (json_get_uint(entry, "length", 0, INT64_MAX, length, e) < 0 ||
		hashes_read(json_object_get(entry, "hashes"), &h, e) < 0)
		return -1;
	if (!h.has_sha256)
		return err_set(e, ERR_REFUSED, "no sha256 is listed for it");
	*sha256 = h.sha256;
	return 0;
}

/* Hashes while it copies: whoever can write to incoming/ cannot change what was checked. */
static int
copy_in(const char *staged, const char *to, uint64_t length, const struct digest *sha256,
	struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct digest copied;
	char part[PATH_MAX], folder[PATH_MAX];
	uint64_t size;

	if ((size_t)snprintf(part, sizeof(part), "%s.part", to) >= sizeof(part))
		return err_set(e, ERR_LIMIT, "the path %s is too long", to);
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(to, '/') - to), to);
	if (dir_make(folder, 0755, e) < 0 || file_open_regular(staged, &fd, e) < 0 ||
		copy_hashed(fd, staged, part, &size, &copied, e) < 0)
		return -1;
	if (size != length || !digest_equal(&copied, sha256)) {
		(void)unlink(part);
		return err_set(e, ERR_REFUSED, "%s is not what was signed; stage it again", staged);
	}
	return file_rename(part, to, e);
}

/* What lies under its digest got there by copy_in, so its size tells that it is whole. */
static int
is_in_site(const char *path, uint64_t length, bool *is, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	uint64_t size;

	*is = false;
	if (!file_exists(path))
		return 0;
	if (file_open_regular(path, &fd, e) < 0 || file_size(fd, path, &size, e) < 0)
		return -1;
	*is = size == length;
	return 0;
}

bool
place_is_bulk(const json_t *entry)
{
	return json_integer_value(json_object_get(entry, "length")) >= BULK_BYTES_MIN;
}

int
place_site_name(const struct site *s, const char *path, const json_t *entry, char out[PATH_MAX],
	bool *there, struct err *e)
{
	struct digest sha256;
	char full[PATH_MAX];
	uint64_t length;

	if (!metadata_path_valid(path))
		return err_set(
			e, ERR_REFUSED, "it lists '%.80s', which is not made of plain names", path);
	if (listed_target(entry, &length, &sha256, e) < 0 ||
		site_target_path(s, path, &sha256, full, e) < 0 ||
		is_in_site(full, length, there, e) < 0)
		return -1;
	return path_join(out, PATH_MAX, "targets", full + strlen(s->targets) + 1, e);
}

/* Where one target comes from and goes to. */
struct way {
	char staged[PATH_MAX], to[PATH_MAX];
	struct digest sha256;
	uint64_t length;
	bool there; /* in the site already */
};

static int
way_find(const struct workspace *w, const struct site *s, const char *path, const json_t *entry,
	struct way *out, struct err *e)
{
	if (metadata_staged_path(w, path, out->staged, e) < 0 ||
		listed_target(entry, &out->length, &out->sha256, e) < 0 ||
		metadata_staged_as(w, path, &out->sha256, out->staged, e) < 0 ||
		site_target_path(s, path, &out->sha256, out->to, e) < 0 ||
		is_in_site(out->to, out->length, &out->there, e) < 0)
		return -1;
	if (!out->there && !file_exists(out->staged))
		return err_set(
			e, ERR_REFUSED, "its content is not there; put it into %s", out->staged);
	return 0;
}

int
place_target(const struct workspace *w, const struct site *s, const char *path, const json_t *entry,
	struct err *e)
{
	struct way way;

	if (way_find(w, s, path, entry, &way, e) < 0)
		return -1;
	return way.there ? 0 : copy_in(way.staged, way.to, way.length, &way.sha256, e);
}

int
place_each_new(const struct document *d, const struct document *published,
	int (*each)(void *arg, const char *path, const json_t *entry, struct err *e), void *arg,
	struct err *e)
{
	json_t *targets = json_object_get(d->verified.body, "targets"), *entry;
	const json_t *before =
		published ? json_object_get(published->verified.body, "targets") : NULL;
	const char *path;

	json_object_foreach (targets, path, entry) {
		int rc;

		if (json_equal(entry, json_object_get(before, path)))
			continue;
		rc = each(arg, path, entry, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

struct placing {
	const struct workspace *w;
	const struct site *s;
};

static int
place_one(void *arg, const char *path, const json_t *entry, struct err *e)
{
	const struct placing *p = arg;

	if (place_target(p->w, p->s, path, entry, e) < 0)
		return err_context(e, "target %.200s", path);
	return 0;
}

static int
look_at_one(void *arg, const char *path, const json_t *entry, struct err *e)
{
	const struct placing *p = arg;
	struct way way;
	bool same = true;

	if (way_find(p->w, p->s, path, entry, &way, e) < 0 ||
		(!way.there && copy_is(way.staged, way.length, &way.sha256, &same, e) < 0))
		return err_context(e, "target %.200s", path);
	if (!same)
		return err_set(e, ERR_REFUSED,
			"target %.200s: %s is not what was signed; stage it again", path,
			way.staged);
	return 0;
}

int
place_look(const struct workspace *w, const struct site *s, const struct document *d,
	const struct document *published, struct err *e)
{
	struct placing p = {w, s};

	return place_each_new(d, published, look_at_one, &p, e);
}

int
place_targets(const struct workspace *w, const struct site *s, const struct document *d,
	const struct document *published, struct err *e)
{
	struct placing p = {w, s};

	return place_each_new(d, published, place_one, &p, e);
}

int
place_clear(const struct workspace *w, const struct document *d, struct err *e)
{
	json_t *targets = json_object_get(d->verified.body, "targets"), *entry;
	const char *path;

	json_object_foreach (targets, path, entry) {
		char staged[PATH_MAX];
		struct digest sha256;
		uint64_t length;

		if (metadata_staged_path(w, path, staged, e) < 0 ||
			listed_target(entry, &length, &sha256, e) < 0 ||
			copy_remove_if(staged, length, &sha256, e) < 0 ||
			metadata_staged_as(w, path, &sha256, staged, e) < 0 ||
			copy_remove_if(staged, length, &sha256, e) < 0)
			return -1;
	}
	return 0;
}
