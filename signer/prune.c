#include "signer/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/limits.h"
#include "signer/site.h"

enum { REMOVED_A_LOCK = 100, LOCK_WAIT_MS = 10000, DIGEST_LETTERS = 64 };

/* One of the snapshots that lie there. */
struct seen {
	uint64_t version;
	int64_t at_s; /* when it was put there */
};

struct search {
	const struct workspace *w;
	int64_t before_s; /* what was put there, or left, before then is of no use */
	struct site site;
	json_t *kept; /* name → true */
	struct seen *snapshots;
	size_t count;
	struct pruning *out;
};

static void
search_end(struct search *s)
{
	site_close(&s->site);
	json_decref(s->kept);
	free(s->snapshots);
}

void
pruning_free(struct pruning *p)
{
	json_decref(p->names);
	*p = (struct pruning){0};
}

/* "12.gates.json" into 12 and "gates". False for a name that is none of a version. */
static bool
version_read(const char *name, uint64_t *version, char role[NAME_MAX + 1])
{
	size_t digits = strspn(name, "0123456789"), len = strlen(name);
	char number[24];

	if (digits == 0 || digits >= sizeof(number) || name[digits] != '.' ||
		len < digits + 1 + strlen("x.json") || strcmp(name + len - 5, ".json") != 0)
		return false;
	memcpy(number, name, digits);
	number[digits] = '\0';
	(void)snprintf(role, NAME_MAX + 1, "%.*s", (int)(len - 5 - digits - 1), name + digits + 1);
	return num_parse(number, 1, INT64_MAX, version, NULL) == 0;
}

static int
keep(struct search *s, const char *name, struct err *e)
{
	return json_object_set_new(s->kept, name, json_true()) < 0
		       ? err_sys(e, ENOMEM, "looking through the site")
		       : 0;
}

static int
snapshot_note(void *arg, const char *name, struct err *e)
{
	struct search *s = arg;
	struct seen *list;
	char role[NAME_MAX + 1], path[PATH_MAX];
	uint64_t version;
	struct stat st;

	if (!version_read(name, &version, role) || strcmp(role, "snapshot") != 0)
		return 0;
	if (path_join(path, sizeof(path), s->site.metadata, name, e) < 0)
		return -1;
	if (lstat(path, &st) < 0)
		return err_sys(e, errno, "%s", path);
	list = reallocarray(s->snapshots, s->count + 1, sizeof(*list));
	if (!list)
		return err_sys(e, ENOMEM, "looking through the site");
	s->snapshots = list;
	list[s->count++] = (struct seen){version, st.st_mtime};
	return 0;
}

static int
by_version(const void *a, const void *b)
{
	uint64_t x = ((const struct seen *)a)->version, y = ((const struct seen *)b)->version;

	return (x > y) - (x < y);
}

/* "signed" of a version; *out NULL where there is no such file. */
static int
document_load(struct search *s, const char *role, uint64_t version, json_t **out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_JSON json_t *root = NULL;
	char path[PATH_MAX];
	json_t *body;

	*out = NULL;
	if (site_metadata_path(&s->site, role, version, path, e) < 0)
		return -1;
	if (!file_exists(path))
		return 0;
	if (file_read_regular(path, &bytes, e) < 0 ||
		json_parse(buf_span(&bytes), path, &root, e) < 0 ||
		json_get_object(root, "signed", &body, e) < 0)
		return err_context(e, "nothing is removed");
	*out = json_incref(body);
	return 0;
}

static int
targets_keep(struct search *s, const json_t *body, struct err *e)
{
	const char *path;
	json_t *entry;

	json_object_foreach (json_object_get(body, "targets"), path, entry) {
		const char *hex = json_text(json_object_get(entry, "hashes"), "sha256");
		char file[PATH_MAX];
		struct digest sha256;

		if (!hex || digest_parse(hex, &sha256, e) < 0 ||
			site_target_path(&s->site, path, &sha256, file, e) < 0)
			return err_set(e, ERR_MALFORMED,
				"nothing is removed: %s is listed in a way that is not understood",
				path);
		if (keep(s, file, e) < 0)
			return -1;
	}
	return 0;
}

static int
role_keep(struct search *s, const char *name, const json_t *meta, struct err *e)
{
	AUTO_JSON json_t *body = NULL;
	char role[NAME_MAX + 1], path[PATH_MAX];
	uint64_t version;

	(void)snprintf(role, sizeof(role), "%.*s", (int)(strlen(name) - strlen(".json")), name);
	if (strlen(name) <= strlen(".json") ||
		json_get_uint(meta, "version", 1, INT64_MAX, &version, e) < 0 ||
		site_metadata_path(&s->site, role, version, path, e) < 0)
		return -1;
	/* Most snapshots share most versions, and some of these are large. */
	if (json_object_get(s->kept, path))
		return 0;
	if (keep(s, path, e) < 0 || document_load(s, role, version, &body, e) < 0)
		return -1;
	return body ? targets_keep(s, body, e) : 0;
}

static int
snapshot_keep(struct search *s, uint64_t version, struct err *e)
{
	AUTO_JSON json_t *body = NULL;
	char path[PATH_MAX];
	const char *name;
	json_t *meta;

	if (site_metadata_path(&s->site, "snapshot", version, path, e) < 0 ||
		keep(s, path, e) < 0 || document_load(s, "snapshot", version, &body, e) < 0)
		return -1;
	json_object_foreach (json_object_get(body, "meta"), name, meta) {
		if (role_keep(s, name, meta, e) < 0)
			return -1;
	}
	return 0;
}

/* A timestamp led to a snapshot until the next one was there. */
static int
snapshots_keep(struct search *s, struct err *e)
{
	for (size_t i = 0; i < s->count; i++) {
		bool last =
			i + 1 == s->count || s->snapshots[i].version >= s->site.snapshot->version;

		if ((last || s->snapshots[i + 1].at_s >= s->before_s) &&
			snapshot_keep(s, s->snapshots[i].version, e) < 0)
			return -1;
	}
	return 0;
}

/* Boxes go from one root to the next. And what is newer than what is published was left by a
 * publication that was interrupted, and the next one counts on from there. */
static bool
is_needed(const struct search *s, const char *role, uint64_t version)
{
	char name[NAME_MAX + 1 + sizeof(".json")];
	json_int_t listed;

	if (strcmp(role, "snapshot") == 0)
		return version > s->site.snapshot->version;
	(void)snprintf(name, sizeof(name), "%s.json", role);
	listed = json_integer_value(json_object_get(
		json_object_get(json_object_get(s->site.snapshot->verified.body, "meta"), name),
		"version"));
	return strcmp(role, "root") == 0 || version > (uint64_t)listed;
}

/* Whether a publisher gave the file this name, and may give it no other content. */
static bool
is_versioned(const char *folder, const struct search *s, const char *name)
{
	char role[NAME_MAX + 1];
	uint64_t version;

	if (strcmp(folder, s->site.metadata) == 0)
		return version_read(name, &version, role) && !is_needed(s, role, version);
	return strspn(name, "0123456789abcdef") == DIGEST_LETTERS && name[DIGEST_LETTERS] == '.';
}

struct folder {
	struct search *s;
	const char *dir;
	int depth;
};

static int file_judge(void *arg, const char *name, struct err *e);

static int
folder_judge(struct search *s, const char *dir, int depth, struct err *e)
{
	struct folder f = {s, dir, depth};

	return depth < FOLDER_DEPTH_MAX ? dir_each(dir, FOLDER_ENTRIES_MAX, file_judge, &f, e) : 0;
}

static int
file_judge(void *arg, const char *name, struct err *e)
{
	const struct folder *f = arg;
	struct search *s = f->s;
	const char *site = s->site.metadata;
	size_t top = (size_t)(strrchr(site, '/') - site) + 1;
	char path[PATH_MAX];
	struct stat st;

	if (path_join(path, sizeof(path), f->dir, name, e) < 0)
		return -1;
	/* What a publisher writes has another name first. */
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return strcmp(f->dir, site) == 0 ? 0 : folder_judge(s, path, f->depth + 1, e);
	if (!S_ISREG(st.st_mode) || st.st_mtime >= s->before_s || !is_versioned(f->dir, s, name) ||
		json_object_get(s->kept, path))
		return 0;
	s->out->bytes += (uint64_t)st.st_size;
	if (json_array_append_new(s->out->names, json_string(path + top)) < 0)
		return err_sys(e, ENOMEM, "looking through the site");
	return 0;
}

/* Whoever publishes writes there. */
static int
metadata_seen(const struct workspace *w, struct timespec *out, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (workspace_path(w, "site/metadata", path, e) < 0)
		return -1;
	if (stat(path, &st) < 0)
		return err_sys(e, errno, "%s", path);
	*out = st.st_mtim;
	return 0;
}

int
prune_find(const struct workspace *w, uint64_t grace_s, int64_t now_s, struct pruning *out,
	struct err *e)
{
	CLEANUP(search_end)
	struct search s = {.w = w, .before_s = now_s - (int64_t)grace_s, .kept = json_object()};
	AUTO_PRUNING struct pruning p = {.names = json_array()};

	s.out = &p;
	if (grace_s < w->timestamp_life_s)
		return err_set(e, ERR_USAGE,
			"boxes may hold a timestamp for %llu s, and fetch what it leads to: "
			"nothing "
			"younger than that may go",
			(unsigned long long)w->timestamp_life_s);
	if (metadata_seen(w, &p.seen, e) < 0 || site_open(w, &s.site, e) < 0)
		return -1;
	if (!s.site.snapshot)
		return err_set(e, ERR_REFUSED, "nothing is published yet");
	if (dir_each(s.site.metadata, FOLDER_ENTRIES_MAX, snapshot_note, &s, e) < 0)
		return -1;
	qsort(s.snapshots, s.count, sizeof(*s.snapshots), by_version);
	if (snapshots_keep(&s, e) < 0 || folder_judge(&s, s.site.metadata, 0, e) < 0 ||
		folder_judge(&s, s.site.targets, 0, e) < 0)
		return -1;
	*out = p;
	p = (struct pruning){0};
	return 0;
}

/* No sync: what a power cut brings back goes the next time. */
static int
name_remove(const struct workspace *w, const char *name, struct removed *removed, struct err *e)
{
	char relative[PATH_MAX], path[PATH_MAX];
	struct stat st;

	(void)snprintf(relative, sizeof(relative), "site/%s", name);
	if (workspace_path(w, relative, path, e) < 0)
		return -1;
	if (lstat(path, &st) < 0 || unlink(path) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", path);
	removed->files++;
	removed->bytes += (uint64_t)st.st_size;
	return 0;
}

static int
some_remove(const struct workspace *w, struct pruning *p, size_t *from, struct removed *removed,
	bool *stale, struct err *e)
{
	AUTO_CLOSE int lock = -1;
	size_t count = json_array_size(p->names);
	struct timespec now;

	if (workspace_lock(
		    w, "publisher.lock", "another sluice publisher", LOCK_WAIT_MS, &lock, e) < 0 ||
		metadata_seen(w, &now, e) < 0)
		return -1;
	*stale = now.tv_sec != p->seen.tv_sec || now.tv_nsec != p->seen.tv_nsec;
	if (*stale)
		return 0;
	for (size_t i = 0; i < REMOVED_A_LOCK && *from < count; i++, ++*from) {
		if (name_remove(w, json_string_value(json_array_get(p->names, *from)), removed, e) <
			0)
			return -1;
	}
	return metadata_seen(w, &p->seen, e);
}

int
prune_remove(const struct workspace *w, struct pruning *p, struct removed *removed, bool *stale,
	struct err *e)
{
	size_t done = 0;

	*stale = false;
	while (!*stale && done < json_array_size(p->names)) {
		if (some_remove(w, p, &done, removed, stale, e) < 0)
			return -1;
	}
	return 0;
}
