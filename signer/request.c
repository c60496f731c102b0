#include "signer/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"
#include "common/tuf/field.h"
#include "signer/site.h"

enum { REQUEST_FORMAT = 1 };

void
request_free(struct request *r)
{
	json_decref(r->document);
	json_decref(r->roots);
	json_decref(r->authority);
	json_decref(r->current);
	*r = (struct request){0};
}

void
change_free(struct change *c)
{
	document_free(&c->root);
	document_free(&c->delegator);
	document_free(&c->current);
	*c = (struct change){0};
}

/* All published roots that lie in the site, up to the one in force, the newest in unbroken order.
 */
static int
add_roots(const struct workspace *w, struct request *r, struct err *e)
{
	AUTO_SITE struct site s = {0};
	uint64_t n;

	if (site_open(w, &s, e) < 0)
		return -1;
	for (n = s.root ? s.root->version : 0; n > 0; n--) {
		AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);
		AUTO_JSON json_t *root = NULL;
		char path[PATH_MAX];

		if (site_metadata_path(&s, "root", n, path, e) < 0)
			return -1;
		if (!file_exists(path))
			return 0;
		if (file_read(path, &bytes, e) < 0 ||
			json_parse(buf_span(&bytes), path, &root, e) < 0)
			return -1;
		if (json_array_insert(r->roots, 0, root) < 0)
			return err_sys(e, ENOMEM, "%s", path);
	}
	return 0;
}

static uint64_t
version_of(const json_t *envelope)
{
	uint64_t version = 0;

	(void)json_get_uint(
		json_object_get(envelope, "signed"), "version", 0, INT64_MAX, &version, NULL);
	return version;
}

static bool
delegates_to(const struct metadata *targets, const char *role)
{
	const json_t *delegations = json_object_get(targets->body, "delegations");

	return delegation_find(json_object_get(delegations, "roles"), role) != NULL;
}

static int
add_authority(const struct workspace *w, struct request *r, struct err *e)
{
	AUTO_METADATA struct metadata m = {0}, newer = {0};
	const struct metadata *from = &m;

	if (strcmp(r->role, "root") == 0)
		return 0;
	if (strcmp(r->role, "targets") == 0) {
		if (metadata_load(w, "root", &m, e) < 0)
			return -1;
		if (version_of(m.root) <= m.published)
			return 0;
	} else {
		if (metadata_load_in_force(w, &m, e) < 0)
			return -1;
		if (!delegates_to(&m, r->role)) {
			if (metadata_load(w, "targets", &newer, e) < 0)
				return -1;
			from = &newer;
		}
	}
	r->authority = json_incref(from->root);
	return 0;
}

int
request_make(
	const struct workspace *w, const struct metadata *m, struct request *out, struct err *e)
{
	AUTO_REQUEST struct request r = {
		.document = json_deep_copy(m->root), .roots = json_array()};

	if (!r.document || !r.roots)
		return err_sys(e, ENOMEM, "a request for signatures");
	(void)snprintf(r.role, sizeof(r.role), "%s", m->role);
	if (add_roots(w, &r, e) < 0 || add_authority(w, &r, e) < 0)
		return -1;
	if (strcmp(r.role, "root") != 0)
		r.current = json_incref(m->in_force);
	*out = r;
	r = (struct request){0};
	return 0;
}

/* A member that may be null. */
static int
take_envelope(const json_t *from, const char *key, json_t **out, struct err *e)
{
	json_t *found = json_object_get(from, key);

	if (!json_is_null(found) && json_get_object(from, key, &found, e) < 0)
		return -1;
	*out = json_is_null(found) ? NULL : json_incref(found);
	return 0;
}

static int
parse(const json_t *j, struct request *out, struct err *e)
{
	static const char *const known[] = {
		"sluice-request", "role", "document", "roots", "authority", "current", NULL};
	AUTO_REQUEST struct request r = {0};
	json_t *document, *roots;
	const char *role;
	uint64_t format;

	if (json_get_uint(j, "sluice-request", 0, INT64_MAX, &format, e) < 0)
		return err_set(e, ERR_MALFORMED,
			"this is no request for signatures; `sluice metadata stage` makes them");
	if (format != REQUEST_FORMAT)
		return err_set(e, ERR_MALFORMED,
			"it has format %" PRIu64 ", and this sluice knows %d", format,
			REQUEST_FORMAT);
	if (json_only(j, known, e) < 0 || json_get_string(j, "role", ROLE_NAME_MAX, &role, e) < 0 ||
		json_get_object(j, "document", &document, e) < 0 ||
		json_get_array(j, "roots", TUF_ROOT_ROTATIONS_MAX, &roots, e) < 0 ||
		take_envelope(j, "authority", &r.authority, e) < 0 ||
		take_envelope(j, "current", &r.current, e) < 0)
		return -1;
	if (!name_is_plain(role))
		return err_set(e, ERR_MALFORMED, "'%s' cannot be a role's name", role);
	*out = (struct request){.document = json_incref(document), .roots = json_incref(roots)};
	out->authority = TAKE_PTR(r.authority);
	out->current = TAKE_PTR(r.current);
	(void)snprintf(out->role, sizeof(out->role), "%s", role);
	return 0;
}

int
request_read(const char *path, struct request *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REQUEST_BYTES_MAX);
	AUTO_JSON json_t *j = NULL;

	if (file_read_regular(path, &bytes, e) < 0 || json_parse(buf_span(&bytes), path, &j, e) < 0)
		return -1;
	return parse(j, out, e) < 0 ? err_context(e, "%s", path) : 0;
}

int
request_write(const struct request *r, const char *path, struct err *e)
{
	AUTO_JSON json_t *j = json_pack("{s:i, s:s, s:O, s:O, s:O?, s:O?}", "sluice-request",
		REQUEST_FORMAT, "role", r->role, "document", r->document, "roots", r->roots,
		"authority", r->authority, "current", r->current);
	AUTO_FREE char *text = NULL;

	if (j && !json_object_get(j, "authority"))
		(void)json_object_set_new(j, "authority", json_null());
	if (j && !json_object_get(j, "current"))
		(void)json_object_set_new(j, "current", json_null());
	text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	if (!text)
		return err_sys(e, ENOMEM, "%s", path);
	return file_replace(path, 0644, span_str(text), e);
}

int
request_bytes(const struct request *r, struct buf *out, struct err *e)
{
	return json_canonical(json_object_get(r->document, "signed"), out, e);
}

/* An envelope as a client reads it: the threshold of keys and every field. */
static int
read_part(const json_t *envelope, const char *role, enum document_type type,
	const struct role_keys *keys, struct document **out, struct err *e)
{
	AUTO_FREE char *text = json_dumps(envelope, JSON_COMPACT);

	if (!text)
		return err_sys(e, ENOMEM, "%s", role);
	return keys ? document_read(span_str(text), role, type, keys, out, e)
		    : document_read_anchor(span_str(text), out, e);
}

/* The next root by the threshold of the one before and its own. */
static int
follow_root(const json_t *envelope, struct document **root, struct err *e)
{
	AUTO_DOCUMENT struct document *next = NULL;
	struct role_keys old, own;

	if (!*root)
		return read_part(envelope, "root", DOCUMENT_ROOT, NULL, root, e);
	if (document_root_role(*root, "root", &old, e) < 0 ||
		read_part(envelope, "root", DOCUMENT_ROOT, &old, &next, e) < 0 ||
		document_root_role(next, "root", &own, e) < 0 || document_check(next, &own, e) < 0)
		return -1;
	if (next->version != (*root)->version + 1)
		return err_set(e, ERR_UNTRUSTED, "root version %" PRIu64 " follows %" PRIu64,
			next->version, (*root)->version);
	document_free(root);
	*root = TAKE_PTR(next);
	return 0;
}

static int
load_anchor(const char *path, json_t **out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);

	return file_read(path, &bytes, e) < 0 ? -1 : json_parse(buf_span(&bytes), path, out, e);
}

/* The root in force, by the roots that came along. */
static int
check_roots(const struct request *r, const char *root_path, struct change *c, struct err *e)
{
	AUTO_JSON json_t *anchor = NULL;
	const json_t *envelope;
	size_t i;

	if (root_path && load_anchor(root_path, &anchor, e) < 0)
		return -1;
	json_array_foreach (r->roots, i, envelope) {
		if (follow_root(envelope, &c->root, e) < 0)
			return err_context(e, "the roots that came along");
		if (anchor && json_equal(json_object_get(envelope, "signed"),
				      json_object_get(anchor, "signed")))
			c->anchored = true;
	}
	if (anchor && !c->anchored)
		return err_set(e, ERR_UNTRUSTED,
			"%s (version %" PRIu64 ") is none of the roots that came along: this is "
			"another fleet's, or a forgery",
			root_path, version_of(anchor));
	return 0;
}

/* Who may sign a root: its own keys, and those of the root in force. */
static int
root_keys(const struct request *r, struct change *c, struct err *e)
{
	const json_t *body = json_object_get(r->document, "signed");
	json_t *keyids, *entry;

	if (r->authority || r->current)
		return err_set(e, ERR_MALFORMED, "a request for root says who else is root");
	if (c->root && document_root_role(c->root, "root", &c->former, e) < 0)
		return -1;
	entry = json_object_get(json_object_get(body, "roles"), "root");
	if (json_get_array(entry, "keyids", TUF_KEYS_MAX, &keyids, e) < 0 ||
		json_get_uint(entry, "threshold", 1, INT64_MAX, &c->keys.threshold, e) < 0)
		return -1;
	c->keys.keys = json_object_get(body, "keys");
	c->keys.keyids = keyids;
	c->before = c->root ? c->root->verified.body : NULL;
	return 0;
}

/* Who may sign targets.json: the root in force, or the next one, which nobody may have signed yet.
 */
static int
targets_keys(const struct request *r, struct change *c, struct err *e)
{
	const json_t *body = json_object_get(r->authority, "signed");
	json_t *entry, *keyids;
	uint64_t next = c->root ? c->root->version + 1 : 1;

	if (!r->authority && !c->root)
		return err_set(e, ERR_MALFORMED, "no root came along");
	if (!r->authority)
		return document_root_role(c->root, "targets", &c->keys, e);
	if (version_of(r->authority) != next)
		return err_set(e, ERR_UNTRUSTED,
			"it is to be signed under root version %" PRIu64 ", but %" PRIu64
			" is the next",
			version_of(r->authority), next);
	entry = json_object_get(json_object_get(body, "roles"), "targets");
	if (json_get_array(entry, "keyids", TUF_KEYS_MAX, &keyids, e) < 0 ||
		json_get_uint(entry, "threshold", 1, INT64_MAX, &c->keys.threshold, e) < 0)
		return err_context(e, "the next root");
	c->keys.keys = json_object_get(body, "keys");
	c->keys.keyids = keyids;
	c->authority_pending = true;
	return 0;
}

static int
read_delegation(const json_t *body, const char *role, struct role_keys *out, struct err *e)
{
	const json_t *delegations = json_object_get(body, "delegations"), *delegation;
	json_t *keyids;

	delegation = delegation_find(json_object_get(delegations, "roles"), role);
	if (!delegation)
		return err_set(e, ERR_UNTRUSTED, "its targets.json delegates nothing to %s", role);
	if (json_get_array(delegation, "keyids", TUF_KEYS_MAX, &keyids, e) < 0)
		return -1;
	out->keys = json_object_get(delegations, "keys");
	out->keyids = keyids;
	return json_get_uint(delegation, "threshold", 1, INT64_MAX, &out->threshold, e);
}

/* Who may sign a delegated role: targets.json, which should be in force. */
static int
delegated_keys(const struct request *r, struct change *c, struct err *e)
{
	struct err why = ERR_INIT;
	struct role_keys keys;

	if (!r->authority)
		return err_set(e, ERR_MALFORMED, "no targets.json came along");
	c->authority_pending = !c->root ||
			       document_root_role(c->root, "targets", &keys, &why) < 0 ||
			       read_part(r->authority, "targets", DOCUMENT_TARGETS, &keys,
				       &c->delegator, &why) < 0;
	return read_delegation(json_object_get(r->authority, "signed"), r->role, &c->keys, e);
}

/* The version in force by those who vouched for it: root's present targets keys, or the role's. */
static int
check_current(const struct request *r, struct change *c, struct err *e)
{
	struct role_keys keys = c->keys;

	if (!r->current)
		return 0;
	if (strcmp(r->role, "targets") == 0 &&
		(!c->root || document_root_role(c->root, "targets", &keys, e) < 0))
		return c->root ? -1
			       : err_set(e, ERR_UNTRUSTED, "there is a version before the root");
	if (read_part(r->current, r->role, DOCUMENT_TARGETS, &keys, &c->current, e) < 0)
		return err_context(e, "the version in force that came along");
	c->before = c->current->verified.body;
	return 0;
}

/* Fields that every document has, and those of its type; what cannot be published is not signed. */
static int
check_document(const struct request *r, struct change *c, struct err *e)
{
	bool is_root = strcmp(r->role, "root") == 0;
	const char *type, *spec, *expires;
	AUTO_JSON json_t *keys = NULL;
	int64_t expires_s;

	if (json_get_string(c->after, "_type", 16, &type, e) < 0 ||
		json_get_string(c->after, "spec_version", 32, &spec, e) < 0 ||
		json_get_string(c->after, "expires", 64, &expires, e) < 0 ||
		clock_parse(expires, &expires_s, e) < 0 ||
		json_get_uint(c->after, "version", 1, INT64_MAX, &c->version, e) < 0 ||
		(is_root ? field_read_root(c->after, &keys, e)
			 : field_read_targets(c->after, &keys, e)) < 0)
		return -1;
	if (strcmp(type, is_root ? "root" : "targets") != 0)
		return err_set(e, ERR_UNTRUSTED, "it is of type %s, which is not that of %s", type,
			r->role);
	return 0;
}

static int
check_version(const struct request *r, const struct change *c, struct err *e)
{
	uint64_t now = 0;

	if (c->before && json_get_uint(c->before, "version", 1, INT64_MAX, &now, e) < 0)
		return -1;
	/* What former keys signed does not come along, so any later version may be the next. */
	if (c->before ? c->version != now + 1 : strcmp(r->role, "root") == 0 && c->version != 1)
		return err_set(e, ERR_UNTRUSTED,
			"it has version %" PRIu64 ", but %" PRIu64 " would be the next", c->version,
			now + 1);
	return 0;
}

int
request_check(const struct request *r, const char *root_path, struct change *out, struct err *e)
{
	AUTO_CHANGE struct change c = {.role = r->role};
	json_t *body, *signatures;
	int rc;

	if (json_get_object(r->document, "signed", &body, e) < 0 ||
		json_get_array(r->document, "signatures", TUF_SIGNATURES_MAX, &signatures, e) < 0)
		return -1;
	c.after = body;
	c.signatures = signatures;
	if (check_roots(r, root_path, &c, e) < 0)
		return -1;
	if (strcmp(r->role, "root") == 0)
		rc = root_keys(r, &c, e);
	else if (strcmp(r->role, "targets") == 0)
		rc = targets_keys(r, &c, e);
	else
		rc = delegated_keys(r, &c, e);
	if (rc < 0 || check_current(r, &c, e) < 0 || check_document(r, &c, e) < 0 ||
		check_version(r, &c, e) < 0)
		return -1;
	*out = c;
	c = (struct change){0};
	return 0;
}

/* The key that this id stands for in the roles that may sign. */
static int
find_key(const struct change *c, const char *keyid, struct pubkey **out, struct err *e)
{
	const json_t *key = NULL;
	char id[DIGEST_HEX_SIZE];

	if (json_has_text(c->keys.keyids, keyid))
		key = json_object_get(c->keys.keys, keyid);
	else if (c->former.threshold && json_has_text(c->former.keyids, keyid))
		key = json_object_get(c->former.keys, keyid);
	if (!key)
		return err_set(e, ERR_UNTRUSTED,
			"it carries a signature of the key %.16s, which is not one of the role %s",
			keyid, c->role);
	if (pubkey_id(key, id, e) < 0 || pubkey_parse(key, out, e) < 0)
		return err_context(e, "key %.16s", keyid);
	if (strcmp(id, keyid) != 0)
		return err_set(
			e, ERR_UNTRUSTED, "the key %.16s is listed under another's id", keyid);
	return 0;
}

static int
check_signature(const struct change *c, const json_t *signature, struct span message, json_t *good,
	struct err *e)
{
	AUTO_PUBKEY struct pubkey *key = NULL;
	uint8_t raw[SIGNATURE_BYTES_MAX];
	const char *keyid, *hex;
	size_t len;

	if (json_get_string(signature, "keyid", DIGEST_HEX_SIZE, &keyid, e) < 0 ||
		json_get_string(signature, "sig", 2 * sizeof(raw), &hex, e) < 0 ||
		find_key(c, keyid, &key, e) < 0)
		return -1;
	len = strlen(hex) / 2;
	if (hex_decode(hex, raw, len, NULL) < 0 ||
		pubkey_verify(key, message, span_of(raw, len), NULL) < 0)
		return err_set(e, ERR_UNTRUSTED,
			"the signature of the key %.16s is not over these bytes: one or the other "
			"was changed",
			keyid);
	if (json_array_append_new(good, json_string(keyid)) < 0)
		return err_sys(e, ENOMEM, "checking signatures");
	return 0;
}

int
request_signers(const struct change *c, json_t **good, struct err *e)
{
	AUTO_BUF struct buf message = BUF_INIT(REQUEST_BYTES_MAX);
	AUTO_JSON json_t *found = json_array();
	const json_t *signature;
	size_t i;

	if (!found)
		return err_sys(e, ENOMEM, "checking signatures");
	if (json_canonical(c->after, &message, e) < 0)
		return -1;
	json_array_foreach (c->signatures, i, signature) {
		if (check_signature(c, signature, buf_span(&message), found, e) < 0)
			return -1;
	}
	*good = TAKE_PTR(found);
	return 0;
}

/* Whether an earlier one of these ids stands for the same key. */
static bool
is_repeated(const struct role_keys *role, const json_t *ids, size_t at, const struct pubkey *key)
{
	for (size_t i = 0; i < at; i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		AUTO_PUBKEY struct pubkey *other = NULL;

		if (json_has_text(role->keyids, id) &&
			pubkey_parse(json_object_get(role->keys, id), &other, NULL) == 0 &&
			pubkey_equal(key, other))
			return true;
	}
	return false;
}

uint64_t
request_count(const struct role_keys *role, const json_t *good)
{
	uint64_t count = 0;

	for (size_t i = 0; i < json_array_size(good); i++) {
		const char *id = json_string_value(json_array_get(good, i));
		AUTO_PUBKEY struct pubkey *key = NULL;

		count += json_has_text(role->keyids, id) &&
			 pubkey_parse(json_object_get(role->keys, id), &key, NULL) == 0 &&
			 !is_repeated(role, good, i, key);
	}
	return count;
}
