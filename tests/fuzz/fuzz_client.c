/* The whole TUF client against a repository that is somebody's who holds keys.
 *
 * Input: files, separated by lines of "%%". The first line of each is its name and the keys that
 * sign it, by number ("1.root.json 01"; no keys: it is served as it is); the rest is its "signed"
 * part. The first file is the root that the box was given. A name of "t/..." is a target's URL
 * path. A file called "!" is none: the client refreshes, and starts again with what it has stored.
 */
#include <errno.h>

#include "common/tuf/document.h"
#include "common/tuf/tuf.h"
#include "tests/fuzz/harness.h"

enum { FILES_MAX = 48, ROUNDS_MAX = 6, NAME_MAX_BYTES = 64 };

static const int64_t now_s = 1800000000;

struct file {
	char name[NAME_MAX_BYTES];
	struct buf bytes;
};

struct files {
	struct file file[FILES_MAX];
	size_t count;
};

struct repository {
	struct files served, stored;
	size_t fetched;
};

static void
files_free(struct files *f)
{
	for (size_t i = 0; i < f->count; i++)
		buf_free(&f->file[i].bytes);
}

static void
repository_free(struct repository *r)
{
	files_free(&r->served);
	files_free(&r->stored);
}

static struct file *
file_find(struct files *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->file[i].name, name) == 0)
			return &f->file[i];
	}
	return NULL;
}

/* Replaces or adds; NULL when there are too many. */
static struct file *
file_put(struct files *f, const char *name, struct span bytes)
{
	struct file *file = file_find(f, name);
	struct err e;

	if (!file) {
		if (f->count == FILES_MAX)
			return NULL;
		file = &f->file[f->count++];
		*file = (struct file){.bytes = BUF_INIT(1 << 20)};
		(void)snprintf(file->name, sizeof(file->name), "%s", name);
	}
	buf_clear(&file->bytes);
	MUST(buf_append(&file->bytes, bytes.data, bytes.len, &e) == 0);
	return file;
}

static int
fetch(struct repository *r, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	const struct file *f = file_find(&r->served, path);

	r->fetched++;
	if (!f) {
		(void)err_set(e, ERR_NETWORK, "%s is not there", path);
		e->errnum = 404;
		return -1;
	}
	if (f->bytes.len > max)
		return err_set(e, ERR_LIMIT, "%s is too long", path);
	return buf_append(out, f->bytes.data, f->bytes.len, e);
}

static int
fetch_metadata(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	MUST(!strchr(path, '/') && path[0] != '.' && max > 0 && out->len == 0);
	return fetch(arg, path, max, out, e);
}

static int
fetch_target(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	char name[2 * NAME_MAX_BYTES + 512 * 3];

	MUST(path[0] != 0);
	(void)snprintf(name, sizeof(name), "t/%s", path);
	return fetch(arg, name, max, out, e);
}

static int
store_load(void *arg, const char *role, struct buf *out, struct err *e)
{
	const struct file *f = file_find(&((struct repository *)arg)->stored, role);

	if (!f)
		return err_sys(e, ENOENT, "%s", role);
	return buf_append(out, f->bytes.data, f->bytes.len, e);
}

/* Nothing is kept that is not signed metadata. */
static int
store_save(void *arg, const char *role, struct span bytes, struct err *e)
{
	AUTO_JSON json_t *j = NULL;

	MUST(json_parse(bytes, role, &j, e) == 0 && json_is_object(json_object_get(j, "signed")));
	if (strlen(role) < NAME_MAX_BYTES &&
		file_put(&((struct repository *)arg)->stored, role, bytes))
		return 0;
	return err_sys(e, ENOSPC, "%s", role);
}

static int
store_drop(void *arg, const char *role, struct err *e)
{
	struct files *f = &((struct repository *)arg)->stored;
	struct file *file = file_find(f, role);

	(void)e;
	if (file) {
		buf_free(&file->bytes);
		*file = f->file[--f->count];
	}
	return 0;
}

/* "NAME KEYS": the name into out, the keys as bits. */
static unsigned
line_read(struct span line, char out[NAME_MAX_BYTES])
{
	size_t len = 0;
	unsigned keys = 0;

	while (len < line.len && len < NAME_MAX_BYTES - 1 && line.data[len] != ' ') {
		out[len] = (char)line.data[len];
		len++;
	}
	out[len] = 0;
	for (size_t i = len; i < line.len; i++) {
		if (line.data[i] >= '0' && line.data[i] < '0' + FUZZ_KEYS)
			keys |= 1U << (line.data[i] - '0');
	}
	return keys;
}

/* Takes one file off the input; what cannot be signed is served as it is. False at "!". */
static bool
file_next(struct span *in, struct files *to, const char *as)
{
	AUTO_BUF struct buf sealed = BUF_INIT(1 << 20);
	struct span part = fuzz_take_part(in, "%%"), line = part;
	const uint8_t *newline = part.len ? memchr(part.data, '\n', part.len) : NULL;
	char name[NAME_MAX_BYTES];
	unsigned keys;

	line.len = newline ? (size_t)(newline - part.data) : part.len;
	(void)fuzz_take(&part, line.len + 1);
	keys = line_read(line, name);
	if (strcmp(name, "!") == 0)
		return false;
	if (keys && fuzz_seal(part, keys, &sealed))
		part = buf_span(&sealed);
	(void)file_put(to, as ? as : name, part);
	return true;
}

/* The version of the root that is stored. */
static json_int_t
root_version(struct repository *r)
{
	const struct file *f = file_find(&r->stored, "root");
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;

	MUST(f && json_parse(buf_span(&f->bytes), "root", &j, &e) == 0);
	return json_integer_value(json_object_get(json_object_get(j, "signed"), "version"));
}

static void
look_for(struct tuf_client *c, const struct tuf_fetcher *f, const char *path)
{
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_BUF struct buf bytes = BUF_INIT(4096);
	struct err e = ERR_INIT;
	struct digest d;
	bool found = false;

	if (tuf_find(c, f, path, now_s, &found, &t, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	if (!found)
		return;
	MUST(strcmp(t.path, path) == 0 && (t.has_sha256 || t.has_sha512) && t.role[0]);
	MUST(tuf_document(c, t.role));
	if (tuf_fetch_bytes(c, f, &t, &bytes, &e) < 0) {
		fuzz_check_err(&e);
		MUST(bytes.len == 0);
		return;
	}
	d = digest_of(buf_span(&bytes));
	MUST(bytes.len == t.length && (!t.has_sha256 || digest_equal(&d, &t.sha256)));
}

static bool
refresh(struct tuf_client *c, const struct tuf_fetcher *f)
{
	static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
	const char *role = NULL;
	struct err e = ERR_INIT;

	if (tuf_refresh(c, f, now_s, &e) < 0) {
		fuzz_check_err(&e);
		return false;
	}
	fuzz_deep();
	for (size_t i = 0; i < 4; i++)
		MUST(tuf_document(c, roles[i]));
	MUST(tuf_expires_s(c, &role) > now_s && role[0]);
	return true;
}

/* A client as after a reboot: what is stored is good enough to start from, whatever happened, and
 * what was true once is true again. */
static void
visit(struct repository *r)
{
	struct tuf_fetcher f = {fetch_metadata, fetch_target, r};
	struct tuf_store store = {store_load, store_save, store_drop, r};
	json_int_t before = root_version(r);
	struct err e = ERR_INIT;

	for (int again = 0, good = 0; again < 2; again++) {
		AUTO_TUF struct tuf_client *c = NULL;
		bool now;

		MUST(tuf_open(&store, &c, &e) == 0);
		now = refresh(c, &f);
		MUST(again == 0 || now == (good != 0));
		good = now;
		MUST(root_version(r) >= before);
		if (!now)
			continue;
		look_for(c, &f, "bundles/a.ota");
		look_for(c, &f, "rollouts/stable.json");
		look_for(c, &f, "x");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(repository_free) struct repository r = {0};
	struct span in = span_of(data, size);
	struct tuf_store store = {store_load, store_save, store_drop, &r};
	AUTO_TUF struct tuf_client *c = NULL;
	struct err e = ERR_INIT;

	if (!file_next(&in, &r.stored, "root") || tuf_open(&store, &c, &e) < 0)
		return 0;
	for (int round = 0; round < ROUNDS_MAX && in.len > 0; round++) {
		while (in.len > 0 && file_next(&in, &r.served, NULL))
			;
		visit(&r);
	}
	return 0;
}
