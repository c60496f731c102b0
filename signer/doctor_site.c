/* Whether the site is whole: with the TUF client, as a box sees it, and file by file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/limits.h"
#include "common/tuf/tuf.h"
#include "signer/copy.h"
#include "signer/doctor.h"
#include "signer/place.h"

/* Larger files are looked at by their size: reading every bundle would take minutes. */
#define SMALL_BYTES ((uint64_t)16 * 1024 * 1024)

enum { TOLD_ONE_BY_ONE = 10 }; /* problems of one kind that are told one by one */

static int
fetch_from(const char *dir, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(max);
	char file[PATH_MAX];

	if (path_join(file, sizeof(file), dir, path, e) < 0)
		return -1;
	if (!file_exists(file)) {
		(void)err_set(e, ERR_NETWORK, "%s is not there", file);
		if (e)
			e->errnum = 404;
		return -1;
	}
	return file_read_regular(file, &bytes, e) < 0 ? -1
						      : buf_append(out, bytes.data, bytes.len, e);
}

static int
fetch_metadata(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	return fetch_from(((const struct site *)arg)->metadata, path, max, out, e);
}

static int
fetch_target(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	return fetch_from(((const struct site *)arg)->targets, path, max, out, e);
}

struct tuf_fetcher
doctor_fetcher(const struct site *s)
{
	return (struct tuf_fetcher){fetch_metadata, fetch_target, (void *)(uintptr_t)s};
}

/* What a box is made with: the first root of this fleet. */
static int
give_root(const struct site *s, const char *client_dir, struct err *e)
{
	AUTO_BUF struct buf root = BUF_INIT(TUF_ROOT_BYTES_MAX);
	char from[PATH_MAX], to[PATH_MAX];

	if (path_join(to, sizeof(to), client_dir, "root.json", e) < 0)
		return -1;
	if (file_exists(to))
		return 0;
	if (site_metadata_path(s, "root", 1, from, e) < 0 || file_read(from, &root, e) < 0)
		return -1;
	return file_replace(to, 0600, buf_span(&root), e);
}

int
doctor_client_refresh(struct doctor *d, const struct site *s, const char *client_dir,
	struct tuf_client **out, struct err *e)
{
	AUTO_TUF struct tuf_client *c = NULL;
	struct tuf_store store = tuf_store_dir(client_dir);
	struct tuf_fetcher f = doctor_fetcher(s);

	if (give_root(s, client_dir, e) < 0 || tuf_open(&store, &c, e) < 0 ||
		tuf_refresh(c, &f, d->now_s, e) < 0)
		return -1;
	*out = TAKE_PTR(c);
	return 0;
}

/* One examination of the site's targets. */
struct rounds {
	struct doctor *d;
	struct tuf_client *client; /* or NULL where it could not be brought up to date */
	const struct doctor_role *role;
	uint64_t count, bytes, wrong;
};

static int
wrong(struct rounds *r, struct err *e, const char *path, const char *why)
{
	if (r->wrong++ >= TOLD_ONE_BY_ONE)
		return 0;
	return doctor_problem(r->d, DOCTOR_BAD,
		"restore the file from where it is served, or let role members sign anew", e,
		"the site fails verification: %s, listed by %s: %s", path, r->role->name, why);
}

static int
file_check(struct rounds *r, const char *path, const json_t *entry, struct err *e)
{
	char name[PATH_MAX], file[PATH_MAX];
	struct err why = ERR_INIT;
	struct hashes h;
	uint64_t length;
	bool there = false;

	if (place_site_name(&r->d->site, path, entry, name, &there, &why) < 0)
		return wrong(r, e, path, why.text);
	if (path_join(file, sizeof(file), r->d->site.targets, name + strlen("targets/"), e) < 0)
		return -1;
	if (!there)
		return wrong(r, e, path,
			file_exists(file) ? "its size is wrong" : "its file is missing");
	if (json_get_uint(entry, "length", 0, INT64_MAX, &length, &why) < 0 ||
		hashes_read(json_object_get(entry, "hashes"), &h, &why) < 0)
		return wrong(r, e, path, why.text);
	r->bytes += length;
	if (length > SMALL_BYTES)
		return 0;
	if (copy_is(file, length, &h.sha256, &there, &why) < 0)
		return wrong(r, e, path, why.text);
	return there ? 0 : wrong(r, e, path, "its digest is wrong");
}

/* Whether a box that asks for it gets to it. */
static int
ask_for(struct rounds *r, const char *path, struct err *e)
{
	AUTO_TARGET struct tuf_target t = {0};
	struct tuf_fetcher f = doctor_fetcher(&r->d->site);
	struct err why = ERR_INIT;
	bool found = false;

	if (!r->client)
		return 0;
	if (tuf_find(r->client, &f, path, r->d->now_s, &found, &t, &why) < 0)
		return why.class == ERR_EXPIRED ? 0 : wrong(r, e, path, why.text);
	return 0;
}

static int
role_check(struct rounds *r, struct err *e)
{
	json_t *entry;
	const char *path;

	json_object_foreach (
		json_object_get(r->role->document->verified.body, "targets"), path, entry) {
		r->count++;
		if (file_check(r, path, entry, e) < 0 || ask_for(r, path, e) < 0)
			return -1;
	}
	return 0;
}

static int
all_roles_check(struct rounds *r, struct err *e)
{
	for (size_t i = 0; i < r->d->role_count; i++) {
		r->role = &r->d->roles[i];
		if (r->role->document && role_check(r, e) < 0)
			return -1;
	}
	if (r->wrong > TOLD_ONE_BY_ONE)
		return doctor_problem(r->d, DOCTOR_BAD, "restore site/ from where it is served", e,
			"and %" PRIu64 " more files of the site like that",
			r->wrong - TOLD_ONE_BY_ONE);
	return 0;
}

/* *c stays NULL where that does not work. Files are looked at then all the same. */
static int
read_as_box(struct doctor *d, struct scratch *scratch, struct tuf_client **c, struct err *e)
{
	struct err why = ERR_INIT;

	if (doctor_scratch(scratch, &why) < 0)
		return doctor_problem(d, DOCTOR_BAD,
			"give TMPDIR a folder that can be written, for scratch copies", e,
			"the site cannot be read as a box would: %s", why.text);
	if (doctor_client_refresh(d, &d->site, scratch->dir, c, &why) < 0)
		return doctor_problem(d, DOCTOR_BAD, "sluice publish; else what is told above", e,
			"the site fails verification: %s", why.text);
	return 0;
}

int
doctor_look_at_site(struct doctor *d, struct err *e)
{
	AUTO_SCRATCH struct scratch scratch = {0};
	AUTO_TUF struct tuf_client *c = NULL;
	struct rounds r = {.d = d};

	if (!d->site_is_open)
		return 0;
	if (read_as_box(d, &scratch, &c, e) < 0)
		return -1;
	r.client = c;
	if (all_roles_check(&r, e) < 0)
		return -1;
	if (json_object_update_new(json_object_get(d->report, "site"),
		    json_pack("{s:b, s:I, s:I, s:I}", "verified", c && r.wrong == 0, "targets",
			    (json_int_t)r.count, "bytes", (json_int_t)r.bytes, "wrong",
			    (json_int_t)r.wrong)) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return 0;
}
