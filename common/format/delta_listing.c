#include "common/format/delta_listing.h"

#include <errno.h>
#include <stdio.h>

#include "common/format/field.h"

int
delta_listing_parse(const json_t *custom, struct delta_listing *out, struct err *e)
{
	struct delta_listing l = {0};
	json_t *delta, *head;

	if (!json_is_object(custom))
		return err_set(e, ERR_MALFORMED, "the target's custom does not describe a delta");
	if (json_get_object(custom, "delta", &delta, e) < 0 ||
		json_get_object(custom, "head", &head, e) < 0)
		return -1;
	if (field_sha256(delta, "from", &l.from, e) < 0 || field_sha256(delta, "to", &l.to, e) < 0)
		return err_context(e, "delta");
	if (json_get_uint(head, "length", 1, HEAD_BYTES_MAX, &l.head_length, e) < 0 ||
		field_sha256(head, "sha256", &l.head_sha256, e) < 0)
		return err_context(e, "head");
	*out = l;
	return 0;
}

int
delta_listing_build(const struct delta_listing *l, json_t **custom, struct err *e)
{
	char from[DIGEST_HEX_SIZE], to[DIGEST_HEX_SIZE], head[DIGEST_HEX_SIZE];
	json_t *j = json_pack("{s:{s:s, s:s}, s:{s:I, s:s}}", "delta", "from",
		digest_hex(&l->from, from), "to", digest_hex(&l->to, to), "head", "length",
		(json_int_t)l->head_length, "sha256", digest_hex(&l->head_sha256, head));

	if (!j)
		return err_sys(e, ENOMEM, "listing a delta");
	*custom = j;
	return 0;
}

int
delta_path(const char *name, const char *version, const char *old_version, char out[TUF_PATH_MAX],
	struct err *e)
{
	int len = snprintf(
		out, TUF_PATH_MAX, "bundles/%s-%s.from-%s.delta", name, version, old_version);

	if (len < 0 || len >= TUF_PATH_MAX)
		return err_set(e, ERR_LIMIT, "%s %s: the path of a delta would be too long", name,
			version);
	return 0;
}
