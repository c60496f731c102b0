#include "signer/binding.h"

int
binding_bundle(const struct workspace *w, const char *path, struct rollout_bundle *out,
	struct listing *listing, struct err *e)
{
	AUTO_METADATA struct metadata releases = {0};
	const json_t *entry;

	if (scope_role(w, path, NULL, &releases, e) < 0)
		return -1;
	entry = metadata_find(&releases, path);
	if (!entry)
		return err_set(e, ERR_REFUSED,
			"%s is not released; do that first: sluice release FILE --key K", path);
	if (scope_entry(entry, &out->length, &out->sha256, e) < 0 ||
		listing_parse(json_object_get(entry, "custom"), listing, e) < 0)
		return err_context(e, "%s", path);
	out->head_length = listing->head_length;
	out->head_sha256 = listing->head_sha256;
	return 0;
}

static int
recall_find(const struct workspace *w, const struct rollout *r, const struct listing *own,
	struct rollout_bundle *out, struct err *e)
{
	struct rollout_bundle other;
	struct listing listing;

	if (!*r->recall_path)
		return 0;
	if (binding_bundle(w, r->recall_path, &other, &listing, e) < 0)
		return err_context(e, "recall");
	if (digest_equal(&listing.manifest_sha256, &own->manifest_sha256))
		return err_set(e, ERR_REFUSED,
			"recall: %s and %s are one release, and a box cannot go from it to itself",
			r->recall_path, r->bundle_path);
	out->recalled = listing.manifest_sha256;
	return 0;
}

int
binding_find(const struct workspace *w, const struct rollout *r, struct binding *out, struct err *e)
{
	const json_t *budget = json_object_get(r->doc, "budget_bytes");
	struct binding found = {0};

	if (binding_bundle(w, r->bundle_path, &found.bundle, &found.listing, e) < 0 ||
		recall_find(w, r, &found.listing, &found.bundle, e) < 0)
		return -1;
	if (budget && (uint64_t)json_integer_value(budget) < found.bundle.head_length)
		return err_set(e, ERR_REFUSED,
			"the budget of %lld bytes is less than the head of %s (%llu), which every "
			"box has to fetch; raise it",
			(long long)json_integer_value(budget), r->bundle_path,
			(unsigned long long)found.bundle.head_length);
	*out = found;
	return 0;
}

int
binding_plan(const struct rollout *r, const struct binding *b, const struct scope_plan *before,
	struct buf *out, bool *same, struct err *e)
{
	struct digest sha256;

	*same = false;
	if (before->listed) {
		if (rollout_bind(r, before->plan.version, &b->bundle, out, e) < 0)
			return -1;
		sha256 = digest_of(buf_span(out));
		*same = digest_equal(&sha256, &before->sha256);
		if (*same)
			return 0;
		buf_clear(out);
	}
	return rollout_bind(r, before->plan.version + 1, &b->bundle, out, e);
}
