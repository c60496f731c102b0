#include "common/tuf/document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/limits.h"
#include "common/tuf/field.h"

void
document_free(struct document **d)
{
	if (!*d)
		return;
	verified_free(&(*d)->verified);
	json_decref((*d)->keys);
	free(*d);
	*d = NULL;
}

int
role_keys_digest(const struct role_keys *keys, struct digest *out, struct err *e)
{
	AUTO_JSON json_t *all = json_object();
	AUTO_BUF struct buf text = BUF_INIT(2 * TUF_TARGETS_BYTES_MAX);
	const json_t *id;
	size_t i;

	json_array_foreach (keys->keyids, i, id) {
		json_t *key = json_object_get(keys->keys, json_string_value(id));

		if (key && json_object_set(all, json_string_value(id), key) < 0)
			return err_sys(e, ENOMEM, "a role's keys");
	}
	if (json_canonical(all, &text, e) < 0 ||
		buf_printf(&text, e, " %" PRIu64, keys->threshold) < 0)
		return -1;
	*out = digest_of(buf_span(&text));
	return 0;
}

/* The fields that every role has. */
static int
read_header(struct document *d, struct err *e)
{
	static const char *const types[] = {
		[DOCUMENT_ROOT] = "root",
		[DOCUMENT_TIMESTAMP] = "timestamp",
		[DOCUMENT_SNAPSHOT] = "snapshot",
		[DOCUMENT_TARGETS] = "targets",
	};
	const json_t *body = d->verified.body;
	const char *text;

	if (json_get_string(body, "_type", ROLE_NAME_MAX, &text, e) < 0)
		return -1;
	if (strcmp(text, types[d->type]) != 0)
		return err_set(
			e, ERR_UNTRUSTED, "its _type is '%s', not '%s'", text, types[d->type]);
	if (json_get_string(body, "spec_version", ROLE_NAME_MAX, &text, e) < 0)
		return -1;
	if (strncmp(text, "1.", 2) != 0)
		return err_set(e, ERR_MALFORMED,
			"its spec_version is '%s'; this program reads version 1", text);
	if (json_get_uint(body, "version", 1, INT64_MAX, &d->version, e) < 0 ||
		json_get_string(body, "expires", ROLE_NAME_MAX, &text, e) < 0)
		return -1;
	return clock_parse(text, &d->expires_s, e);
}

static int
read_fields(struct document *d, struct err *e)
{
	const json_t *body = d->verified.body;

	switch (d->type) {
	case DOCUMENT_ROOT:
		return field_read_root(body, &d->keys, e);
	case DOCUMENT_TIMESTAMP:
		return field_check_metafiles(body, "snapshot.json", e);
	case DOCUMENT_SNAPSHOT:
		return field_check_metafiles(body, "targets.json", e);
	case DOCUMENT_TARGETS:
		return field_read_targets(body, &d->keys, e);
	}
	return err_set(e, ERR_MALFORMED, "a type of metadata that does not exist");
}

/* Makes a document of what was verified; takes v over, whatever happens. */
static int
document_new(struct verified *v, struct span bytes, const char *role, enum document_type type,
	struct document **out, struct err *e)
{
	AUTO_DOCUMENT struct document *d = calloc(1, sizeof(*d));

	if (!d) {
		verified_free(v);
		return err_sys(e, ENOMEM, "%s metadata", role);
	}
	(void)snprintf(d->role, sizeof(d->role), "%s", role);
	d->type = type;
	d->verified = *v;
	d->length = bytes.len;
	d->hashes = hashes_of(bytes);
	if (read_header(d, e) < 0 || read_fields(d, e) < 0)
		return err_context(e, "%s metadata", role);
	*out = TAKE_PTR(d);
	return 0;
}

int
document_read(struct span bytes, const char *role, enum document_type type,
	const struct role_keys *keys, struct document **out, struct err *e)
{
	AUTO_DOCUMENT struct document *d = NULL;
	struct verified v = {0};

	if (envelope_verify(bytes, role, keys, &v, e) < 0 ||
		document_new(&v, bytes, role, type, &d, e) < 0 ||
		role_keys_digest(keys, &d->checked_with, e) < 0)
		return -1;
	*out = TAKE_PTR(d);
	return 0;
}

int
document_read_anchor(struct span bytes, struct document **out, struct err *e)
{
	AUTO_DOCUMENT struct document *d = NULL;
	struct digest own = digest_of(bytes);
	struct verified v = {0};
	struct role_keys keys;

	if (verified_by_digest(bytes, "root", bytes.len, &own, &v, e) < 0 ||
		document_new(&v, bytes, "root", DOCUMENT_ROOT, &d, e) < 0 ||
		document_root_role(d, "root", &keys, e) < 0 || document_check(d, &keys, e) < 0)
		return -1;
	*out = TAKE_PTR(d);
	return 0;
}

int
document_check(struct document *d, const struct role_keys *keys, struct err *e)
{
	struct digest with;

	if (role_keys_digest(keys, &with, e) < 0)
		return -1;
	if (digest_equal(&with, &d->checked_with))
		return 0;
	if (verified_check(&d->verified, d->role, keys, e) < 0)
		return -1;
	d->checked_with = with;
	return 0;
}

int
document_check_expiry(const struct document *d, int64_t now_s, struct err *e)
{
	char when[CLOCK_TEXT_SIZE];

	if (d->expires_s > now_s)
		return 0;
	return err_set(e, ERR_EXPIRED, "%s metadata, version %" PRIu64 ", expired at %s", d->role,
		d->version, clock_format(d->expires_s, when));
}

static int
role_keys_from(const json_t *role, const json_t *keys, struct role_keys *out, struct err *e)
{
	struct role_keys k = {.keys = keys};
	json_t *keyids;

	if (json_get_array(role, "keyids", TUF_KEYS_MAX, &keyids, e) < 0 ||
		json_get_uint(role, "threshold", 1, INT64_MAX, &k.threshold, e) < 0)
		return -1;
	k.keyids = keyids;
	*out = k;
	return 0;
}

int
document_root_role(
	const struct document *root, const char *role, struct role_keys *out, struct err *e)
{
	json_t *roles, *found;

	if (json_get_object(root->verified.body, "roles", &roles, e) < 0 ||
		json_get_object(roles, role, &found, e) < 0)
		return err_context(e, "root metadata");
	return role_keys_from(found, root->keys, out, e);
}

const json_t *
document_delegations(const struct document *d)
{
	return json_object_get(json_object_get(d->verified.body, "delegations"), "roles");
}

json_t *
delegation_find(const json_t *delegations, const char *name)
{
	json_t *each;
	size_t i;

	json_array_foreach (delegations, i, each) {
		const char *other = json_text(each, "name");

		if (other && name && strcmp(other, name) == 0)
			return each;
	}
	return NULL;
}

int
document_delegation_keys(
	const struct document *d, const json_t *delegation, struct role_keys *out, struct err *e)
{
	return role_keys_from(delegation, d->keys, out, e);
}

static const json_t *
metafile_entry(const struct document *d, const char *role)
{
	char name[ROLE_NAME_MAX + sizeof(".json")];

	(void)snprintf(name, sizeof(name), "%s.json", role);
	return json_object_get(json_object_get(d->verified.body, "meta"), name);
}

bool
document_lists(const struct document *d, const char *role)
{
	return metafile_entry(d, role) != NULL;
}

int
document_metafile(const struct document *d, const char *role, struct metafile *out, struct err *e)
{
	const json_t *entry = metafile_entry(d, role);

	if (!entry)
		return err_set(e, ERR_UNTRUSTED,
			"%s metadata, version %" PRIu64 ", does not list %s.json", d->role,
			d->version, role);
	return field_read_metafile(entry, out, e);
}

int
metafile_check(const struct metafile *m, const char *name, struct span bytes, struct err *e)
{
	struct hashes all;

	if (m->length && m->length != bytes.len)
		return err_set(e, ERR_UNTRUSTED,
			"%s has %zu bytes, but %" PRIu64 " are listed for it", name, bytes.len,
			m->length);
	if (!m->has_hashes)
		return 0;
	all = hashes_of(bytes);
	if (!hashes_agree(&m->hashes, &all))
		return err_set(
			e, ERR_UNTRUSTED, "%s is not the file whose digest is listed for it", name);
	return 0;
}

bool
metafile_is_of(const struct metafile *m, const struct document *d)
{
	return m->version == d->version && (!m->length || m->length == d->length) &&
	       (!m->has_hashes || hashes_agree(&m->hashes, &d->hashes));
}

int
hashes_read(const json_t *j, struct hashes *out, struct err *e)
{
	struct hashes h = {0};
	const char *text;

	if (!json_is_object(j))
		return err_set(e, ERR_MALFORMED, "'hashes' is not an object");
	if (json_object_get(j, "sha256")) {
		if (json_get_string(j, "sha256", 2 * DIGEST_BYTES, &text, e) < 0 ||
			digest_parse(text, &h.sha256, e) < 0)
			return err_context(e, "sha256");
		h.has_sha256 = true;
	}
	if (json_object_get(j, "sha512")) {
		if (json_get_string(j, "sha512", 2 * DIGEST512_BYTES, &text, e) < 0 ||
			hex_decode(text, h.sha512, DIGEST512_BYTES, e) < 0)
			return err_context(e, "sha512");
		h.has_sha512 = true;
	}
	if (!h.has_sha256 && !h.has_sha512)
		return err_set(e, ERR_UNTRUSTED,
			"'hashes' lists no digest that is known here (sha256, sha512)");
	*out = h;
	return 0;
}

struct hashes
hashes_of(struct span bytes)
{
	struct hashes h = {.has_sha256 = true, .has_sha512 = true, .sha256 = digest_of(bytes)};

	digest512_of(bytes, h.sha512);
	return h;
}

bool
hashes_agree(const struct hashes *listed, const struct hashes *all)
{
	return (listed->has_sha256 || listed->has_sha512) &&
	       (!listed->has_sha256 || digest_equal(&listed->sha256, &all->sha256)) &&
	       (!listed->has_sha512 || memcmp(listed->sha512, all->sha512, DIGEST512_BYTES) == 0);
}
