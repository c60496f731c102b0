#include "common/format/listing.h"

#include <string.h>

#include "common/base/file.h"
#include "common/format/field.h"

static int
part_parse(const json_t *custom, const char *key, uint64_t max, uint64_t *length,
	struct digest *sha256, struct err *e)
{
	json_t *part;

	if (json_get_object(custom, key, &part, e) < 0)
		return -1;
	if (json_get_uint(part, "length", 1, max, length, e) < 0 ||
		field_sha256(part, "sha256", sha256, e) < 0)
		return err_context(e, "%s", key);
	return 0;
}

int
listing_parse(const json_t *custom, struct listing *out, struct err *e)
{
	struct listing l = {0};
	const char *version;

	if (!json_is_object(custom))
		return err_set(e, ERR_MALFORMED, "the target's custom does not describe a bundle");
	if (part_parse(custom, "head", HEAD_BYTES_MAX, &l.head_length, &l.head_sha256, e) < 0 ||
		part_parse(custom, "manifest", MANIFEST_BYTES_MAX, &l.manifest_length,
			&l.manifest_sha256, e) < 0 ||
		field_name(custom, "name", l.name, e) < 0 ||
		json_get_string(custom, "version", VERSION_BYTES_MAX, &version, e) < 0 ||
		json_get_uint(custom, "rollback_index", 0, FIELD_INT_MAX, &l.rollback_index, e) < 0)
		return -1;
	if (!name_is_plain(version))
		return err_set(e, ERR_MALFORMED, "version is not a plain name");
	memcpy(l.version, version, strlen(version) + 1);
	*out = l;
	return 0;
}

int
listing_build(const struct listing *l, json_t **out, struct err *e)
{
	char head[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
	json_t *j = json_pack("{s:{s:I, s:s}, s:{s:I, s:s}, s:s, s:s, s:I}", "head", "length",
		(json_int_t)l->head_length, "sha256", digest_hex(&l->head_sha256, head), "manifest",
		"length", (json_int_t)l->manifest_length, "sha256",
		digest_hex(&l->manifest_sha256, manifest), "name", l->name, "version", l->version,
		"rollback_index", (json_int_t)l->rollback_index);

	if (!j)
		return err_set(e, ERR_MALFORMED, "%s: a text in it is not UTF-8", l->name);
	*out = j;
	return 0;
}

int
listing_identity(
	const json_t *manifest_signed, uint64_t *length, struct digest *sha256, struct err *e)
{
	AUTO_BUF struct buf canonical = BUF_INIT(MANIFEST_BYTES_MAX);

	if (json_canonical(manifest_signed, &canonical, e) < 0)
		return -1;
	*length = canonical.len;
	*sha256 = digest_of(buf_span(&canonical));
	return 0;
}
