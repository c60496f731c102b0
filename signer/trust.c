#include "signer/trust.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/limits.h"

void
trust_free(struct trust *t)
{
	tuf_free(&t->client);
	buf_free(&t->root);
	buf_free(&t->targets);
}

/* The client keeps what it took in memory: checking a bundle changes nothing on the disk. */
static struct buf *
kept(struct trust *t, const char *role)
{
	if (strcmp(role, "root") == 0)
		return &t->root;
	return strcmp(role, "targets") == 0 ? &t->targets : NULL;
}

static int
keep_load(void *arg, const char *role, struct buf *out, struct err *e)
{
	const struct buf *b = kept(arg, role);

	if (!b || b->len == 0)
		return err_sys(e, ENOENT, "%s.json", role);
	return buf_append(out, b->data, b->len, e);
}

static int
keep_save(void *arg, const char *role, struct span bytes, struct err *e)
{
	struct buf *b = kept(arg, role);

	if (!b)
		return 0;
	buf_clear(b);
	return buf_append(b, bytes.data, bytes.len, e);
}

static int
keep_drop(void *arg, const char *role, struct err *e)
{
	struct buf *b = kept(arg, role);

	(void)e;
	if (b)
		buf_clear(b);
	return 0;
}

/* Versions N of the files N.ROLE.json in a folder. */
struct versions {
	const char *role;
	uint64_t oldest, newest; /* 0 while there are none */
};

static int
note_version(void *arg, const char *name, struct err *e)
{
	struct versions *v = arg;
	const char *dot = strchr(name, '.');
	char number[24];
	uint64_t n;

	(void)e;
	if (!dot || (size_t)(dot - name) >= sizeof(number) ||
		strncmp(dot + 1, v->role, strlen(v->role)) != 0 ||
		strcmp(dot + 1 + strlen(v->role), ".json") != 0)
		return 0;
	memcpy(number, name, (size_t)(dot - name));
	number[dot - name] = '\0';
	if (num_parse(number, 1, INT64_MAX, &n, NULL) < 0)
		return 0;
	v->oldest = v->oldest == 0 ? n : num_min(v->oldest, n);
	v->newest = num_max(v->newest, n);
	return 0;
}

/* dir/VERSION.ROLE.json, or dir/ROLE.json for version 0. */
static int
version_path(const char *dir, uint64_t version, const char *role, char out[PATH_MAX], struct err *e)
{
	char name[64];

	if (version == 0)
		(void)snprintf(name, sizeof(name), "%s.json", role);
	else
		(void)snprintf(name, sizeof(name), "%" PRIu64 ".%s.json", version, role);
	return path_join(out, PATH_MAX, dir, name, e);
}

/* The file to begin with: ROLE.json, or the oldest or newest with a number. */
static int
first_path(const char *dir, const char *role, bool oldest, char out[PATH_MAX], struct err *e)
{
	struct versions v = {.role = role};

	if (version_path(dir, 0, role, out, e) < 0)
		return -1;
	if (file_exists(out))
		return 0;
	if (dir_each(dir, FOLDER_ENTRIES_MAX, note_version, &v, e) < 0)
		return -1;
	if (v.newest == 0)
		return err_set(e, ERR_USAGE,
			"%s: no %s.json is in it; --metadata takes a folder of TUF metadata", dir,
			role);
	return version_path(dir, oldest ? v.oldest : v.newest, role, out, e);
}

static int
take_targets(const char *dir, struct tuf_client *c, struct err *e)
{
	AUTO_BUF struct buf json = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	char path[PATH_MAX];

	if (first_path(dir, "targets", false, path, e) < 0 || file_read_regular(path, &json, e) < 0)
		return -1;
	if (tuf_take_targets(c, buf_span(&json), e) < 0)
		return err_context(e, "%s", path);
	return 0;
}

int
trust_open(const char *dir, struct trust *t, struct err *e)
{
	struct tuf_store store = {keep_load, keep_save, keep_drop, t};
	char path[PATH_MAX];

	*t = (struct trust){
		.root = BUF_INIT(TUF_ROOT_BYTES_MAX), .targets = BUF_INIT(TUF_TARGETS_BYTES_MAX)};
	if (first_path(dir, "root", true, path, e) < 0 || file_read_regular(path, &t->root, e) < 0)
		return -1;
	if (tuf_open(&store, &t->client, e) < 0)
		return err_context(e, "%s", path);
	if (tuf_take_roots(t->client, dir, e) < 0)
		return -1;
	return take_targets(dir, t->client, e);
}
