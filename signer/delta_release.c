#include "signer/delta_release.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/listing.h"
#include "signer/output.h"
#include "signer/scope.h"
#include "signer/threads.h"

static const char own_name[] = "a temporary file";

void
delta_releases_close(struct delta_releases *d)
{
	for (size_t i = 0; i < d->count; i++) {
		bundle_file_close(&d->each[i].from);
		cleanup_fd(&d->each[i].fd);
	}
	d->count = 0;
}

static int
release_open(struct delta_releases *d, const char *path, struct err *e)
{
	struct delta_release *r = &d->each[d->count];

	*r = (struct delta_release){.from = BUNDLE_FILE_INIT, .fd = -1};
	if (bundle_file_open(path, &r->from, e) < 0)
		return -1;
	d->count++;
	if (delta_file_pair(&r->from, d->to, e) < 0)
		return -1;
	for (size_t i = 0; i + 1 < d->count; i++) {
		if (strcmp(d->each[i].from.manifest->version, r->from.manifest->version) == 0)
			return err_set(e, ERR_USAGE,
				"%s and %s are both version %s: give one --delta-from a version",
				d->each[i].from.path, path, r->from.manifest->version);
	}
	return bundle_file_check_members(&r->from, e);
}

int
delta_releases_open(struct delta_releases *d, const struct bundle_file *to,
	const char *const *paths, size_t count, struct err *e)
{
	d->to = to;
	for (size_t i = 0; i < count; i++) {
		if (release_open(d, paths[i], e) < 0)
			return -1;
	}
	return 0;
}

int
delta_releases_make(struct delta_releases *d, const struct workspace *w, struct err *e)
{
	char scratch[PATH_MAX];

	if (workspace_path(w, "incoming", scratch, e) < 0)
		return -1;
	for (size_t i = 0; i < d->count; i++) {
		struct delta_release *r = &d->each[i];

		if (scratch_open(scratch, &r->fd, e) < 0)
			return -1;
		if (delta_file_make(&r->from, d->to, threads_default(), scratch, r->fd, own_name,
			    &r->made, e) < 0)
			return err_context(e, "the delta from %s", r->from.path);
	}
	return 0;
}

/* Boxes have what was released, which may be another build than the file that was given. */
static void
note_build(const struct metadata *m, const struct delta_release *r)
{
	const struct manifest *from = r->from.manifest;
	struct listing listing;
	char path[TUF_PATH_MAX];
	const json_t *entry;

	(void)snprintf(path, sizeof(path), "bundles/%s-%s.ota", from->name, from->version);
	entry = metadata_find(m, path);
	if (!entry)
		(void)fprintf(stderr,
			"note: the role %s does not list %s: only boxes that have it from "
			"elsewhere "
			"can use a delta from %s\n",
			m->role, path, r->from.path);
	else if (listing_parse(json_object_get(entry, "custom"), &listing, NULL) < 0 ||
		 !digest_equal(&listing.manifest_sha256, &r->made.listing.from))
		(void)fprintf(stderr,
			"note: %s is another build than the %s that is listed: boxes that have "
			"that "
			"one cannot use a delta from it\n",
			r->from.path, path);
}

static int
release_list(struct delta_releases *d, struct delta_release *r, const struct workspace *w,
	struct metadata *m, struct err *e)
{
	const struct manifest *from = r->from.manifest, *to = d->to->manifest;
	char path[TUF_PATH_MAX], size[NUM_HUMAN_SIZE], bundle[NUM_HUMAN_SIZE];
	AUTO_JSON json_t *custom = NULL;
	struct metadata_target target;

	if (!r->made.pays) {
		(void)fprintf(stderr,
			"note: no delta from %s: a box would fetch %s of the bundle's %s\n",
			from->version, num_human_size(r->made.size + r->made.full, size),
			num_human_size(r->made.bundle_size, bundle));
		return 0;
	}
	note_build(m, r);
	if (delta_path(to->name, to->version, from->version, path, e) < 0 ||
		delta_listing_build(&r->made.listing, &custom, e) < 0 ||
		metadata_stage_file(w, path, r->fd, own_name, &target, e) < 0)
		return -1;
	target.custom = custom;
	if (metadata_put(m, &target, e) < 0)
		return -1;
	(void)printf("%s: from %s, %" PRIu64 " bytes, %.1f%% of the bundle\n", path, r->from.path,
		target.length, 100 * (double)target.length / (double)r->made.bundle_size);
	return 0;
}

int
delta_releases_list(
	struct delta_releases *d, const struct workspace *w, struct metadata *m, struct err *e)
{
	for (size_t i = 0; i < d->count; i++) {
		if (release_list(d, &d->each[i], w, m, e) < 0)
			return -1;
	}
	return 0;
}

/* Whether an entry is of a delta to this version of the bundle, from whichever one. */
static bool
leads_to(const struct bundle_file *b, const char *path, const json_t *entry)
{
	struct delta_listing listing;
	char begin[TUF_PATH_MAX];
	int len = snprintf(begin, sizeof(begin), "bundles/%s-%s.from-", b->manifest->name,
		b->manifest->version);

	return len > 0 && strncmp(path, begin, (size_t)len) == 0 &&
	       delta_listing_parse(json_object_get(entry, "custom"), &listing, NULL) == 0;
}

int
delta_releases_drop(struct metadata *m, const struct bundle_file *b,
	const struct metadata_target *now, struct err *e)
{
	json_t *targets = json_object_get(m->body, "targets"), *entry;
	const json_t *before = metadata_find(m, now->path);
	struct digest sha256;
	uint64_t length;
	const char *path;
	void *next;

	if (!before || scope_entry(before, &length, &sha256, e) < 0)
		return before ? -1 : 0;
	if (length == now->length && digest_equal(&sha256, &now->sha256))
		return 0;
	json_object_foreach_safe(targets, next, path, entry)
	{
		if (!leads_to(b, path, entry))
			continue;
		(void)printf("%s: not listed any more, for the bundle is another one now\n", path);
		(void)json_object_del(targets, path);
	}
	return 0;
}
