#include "common/crypto/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"

void
verified_free(struct verified *v)
{
	if (!v)
		return;
	json_decref(v->root);
	v->root = NULL;
	v->body = NULL;
}

/* The keys that were found to have signed, each once. */
struct signers {
	struct pubkey *keys[TUF_SIGNATURES_MAX];
	size_t count;
};

static void
signers_free(struct signers **s)
{
	if (!*s)
		return;
	for (size_t i = 0; i < (*s)->count; i++)
		pubkey_free(&(*s)->keys[i]);
	free(*s);
}

static bool
signers_have(const struct signers *s, const struct pubkey *key)
{
	for (size_t i = 0; i < s->count; i++) {
		if (pubkey_equal(s->keys[i], key))
			return true;
	}
	return false;
}

struct signature {
	const char *keyid, *hex; /* borrowed */
};

static int
signature_read(const json_t *entry, struct signature *out, struct err *e)
{
	const json_t *keyid = json_object_get(entry, "keyid"), *sig = json_object_get(entry, "sig");

	if (!json_is_string(keyid) || !json_is_string(sig))
		return err_set(e, ERR_MALFORMED,
			"a signature is an object with the strings 'keyid' and 'sig'");
	*out = (struct signature){json_string_value(keyid), json_string_value(sig)};
	return 0;
}

static int
signatures_check(const json_t *signatures, struct err *e)
{
	AUTO_JSON json_t *seen = json_object();
	struct signature s;

	if (!seen)
		return err_sys(e, ENOMEM, "checking signatures");
	for (size_t i = 0; i < json_array_size(signatures); i++) {
		if (signature_read(json_array_get(signatures, i), &s, e) < 0)
			return -1;
		if (json_object_get(seen, s.keyid))
			return err_set(
				e, ERR_MALFORMED, "the key id %.16s signs more than once", s.keyid);
		if (json_object_set_new_nocheck(seen, s.keyid, json_true()) < 0)
			return err_sys(e, ENOMEM, "checking signatures");
	}
	return 0;
}

/* What an envelope consists of: borrowed, checked for shape only. */
struct parts {
	json_t *body, *signatures;
};

static int
envelope_open(const json_t *root, struct parts *out, struct err *e)
{
	struct parts p;

	if (json_get_object(root, "signed", &p.body, e) < 0 ||
		json_get_array(root, "signatures", TUF_SIGNATURES_MAX, &p.signatures, e) < 0 ||
		signatures_check(p.signatures, e) < 0)
		return -1;
	*out = p;
	return 0;
}

/* The canonical form is never longer than what was parsed, whose size its reader has limited. */
static int
canonical_of(const json_t *body, struct buf *out, struct err *e)
{
	*out = BUF_INIT(SIZE_MAX / 2);
	return json_canonical(body, out, e);
}

static bool
is_listed(const json_t *keyids, const char *keyid)
{
	for (size_t i = 0; i < json_array_size(keyids); i++) {
		const char *listed = json_string_value(json_array_get(keyids, i));

		if (listed && strcmp(listed, keyid) == 0)
			return true;
	}
	return false;
}

static bool
is_by(const struct signature *s, const struct pubkey *key, struct span message)
{
	uint8_t raw[SIGNATURE_BYTES_MAX];
	size_t digits = strlen(s->hex);

	return digits / 2 <= sizeof(raw) && hex_decode(s->hex, raw, digits / 2, NULL) == 0 &&
	       pubkey_verify(key, message, span_of(raw, digits / 2), NULL) == 0;
}

/* The key that made this signature, if it is the role's, known, and the signature is good. */
static bool
signature_good(const struct role_keys *role, const struct signature *s, struct span message,
	struct pubkey **out)
{
	AUTO_PUBKEY struct pubkey *key = NULL;

	if (!is_listed(role->keyids, s->keyid) ||
		pubkey_parse(json_object_get(role->keys, s->keyid), &key, NULL) < 0 ||
		!is_by(s, key, message))
		return false;
	*out = TAKE_PTR(key);
	return true;
}

/* The same without a copy, where it stands in the envelope's own bytes: files are mostly written
 * so, and the largest are what a small box has the least memory for. Empty where it does not. */
static struct span
canonical_in(const json_t *body, struct span bytes)
{
	static const char before[] = "\"signed\":";
	const uint8_t *found =
		bytes.len > 0 ? memmem(bytes.data, bytes.len, before, sizeof(before) - 1) : NULL;
	struct span rest;

	if (!found)
		return span_of(NULL, 0);
	found += sizeof(before) - 1;
	rest = span_of(found, bytes.len - (size_t)(found - bytes.data));
	return span_of(found, json_canonical_starts(body, rest));
}

/* What was signed, in bytes, which are the envelope's or empty, or in copy. */
static int
message_of(
	const struct parts *p, struct span bytes, struct buf *copy, struct span *out, struct err *e)
{
	struct span message = canonical_in(p->body, bytes);

	if (message.len == 0 && canonical_of(p->body, copy, e) < 0)
		return -1;
	*out = message.len == 0 ? buf_span(copy) : message;
	return 0;
}

/* Counts distinct keys; enough is enough. */
static int
signers_count(const struct parts *p, struct span bytes, const struct role_keys *role,
	uint64_t *count, struct err *e)
{
	CLEANUP(signers_free) struct signers *found = calloc(1, sizeof(*found));
	AUTO_BUF struct buf copy = {0};
	struct span message;

	if (!found)
		return err_sys(e, ENOMEM, "checking signatures");
	if (message_of(p, bytes, &copy, &message, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(p->signatures) && found->count < role->threshold;
		i++) {
		AUTO_PUBKEY struct pubkey *key = NULL;
		struct signature s;

		if (signature_read(json_array_get(p->signatures, i), &s, e) < 0)
			return -1;
		if (signature_good(role, &s, message, &key) && !signers_have(found, key))
			found->keys[found->count++] = TAKE_PTR(key);
	}
	*count = found->count;
	return 0;
}

static int
threshold_check(const json_t *root, struct span bytes, const struct role_keys *role,
	struct parts *out, struct err *e)
{
	uint64_t count = 0;
	struct parts p;

	if (role->threshold == 0)
		return err_set(e, ERR_UNTRUSTED, "a threshold of 0 signatures proves nothing");
	if (envelope_open(root, &p, e) < 0 || signers_count(&p, bytes, role, &count, e) < 0)
		return -1;
	if (count < role->threshold)
		return err_set(e, ERR_UNTRUSTED, "%" PRIu64 " of %" PRIu64 " signatures needed",
			count, role->threshold);
	*out = p;
	return 0;
}

int
envelope_verify(struct span bytes, const char *name, const struct role_keys *role,
	struct verified *out, struct err *e)
{
	AUTO_JSON json_t *root = NULL;
	struct parts p;

	if (json_parse(bytes, name, &root, e) < 0)
		return -1;
	if (threshold_check(root, bytes, role, &p, e) < 0)
		return err_context(e, "%s", name);
	*out = (struct verified){.root = TAKE_PTR(root), .body = p.body};
	return 0;
}

static int
one_check(struct span bytes, const struct parts *p, const struct pubkey *key, const char *keyid,
	struct err *e)
{
	AUTO_BUF struct buf copy = {0};
	struct span message;
	struct signature s;

	if (message_of(p, bytes, &copy, &message, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(p->signatures); i++) {
		if (signature_read(json_array_get(p->signatures, i), &s, e) < 0)
			return -1;
		if (strcmp(s.keyid, keyid) == 0 && is_by(&s, key, message))
			return 0;
	}
	return err_set(e, ERR_UNTRUSTED, "0 of 1 signatures needed");
}

int
envelope_verify_one(struct span bytes, const char *name, const struct pubkey *key,
	const char *keyid, struct verified *out, struct err *e)
{
	AUTO_JSON json_t *root = NULL;
	struct parts p;

	if (json_parse(bytes, name, &root, e) < 0)
		return -1;
	if (envelope_open(root, &p, e) < 0 || one_check(bytes, &p, key, keyid, e) < 0)
		return err_context(e, "%s", name);
	*out = (struct verified){.root = TAKE_PTR(root), .body = p.body};
	return 0;
}

int
verified_check(
	const struct verified *v, const char *name, const struct role_keys *role, struct err *e)
{
	struct parts p;

	return threshold_check(v->root, span_of(NULL, 0), role, &p, e) < 0
		       ? err_context(e, "%s", name)
		       : 0;
}

int
verified_by_digest(struct span bytes, const char *name, uint64_t length,
	const struct digest *sha256, struct verified *out, struct err *e)
{
	AUTO_JSON json_t *root = NULL;
	struct digest found;
	const json_t *body;

	if (bytes.len != length)
		return err_set(e, ERR_UNTRUSTED, "%s is %zu bytes long, not %" PRIu64, name,
			bytes.len, length);
	found = digest_of(bytes);
	if (!digest_equal(&found, sha256))
		return err_set(e, ERR_UNTRUSTED, "%s has another SHA-256 than was signed", name);
	if (json_parse(bytes, name, &root, e) < 0)
		return -1;
	if (!json_is_object(root))
		return err_set(e, ERR_MALFORMED, "%s is not a JSON object", name);
	body = json_object_get(root, "signed");
	if (!json_is_object(body) || !json_is_array(json_object_get(root, "signatures")))
		body = root;
	*out = (struct verified){.root = TAKE_PTR(root), .body = body};
	return 0;
}

int
envelope_good_signers(const json_t *root, const struct role_keys *role, json_t **out, struct err *e)
{
	AUTO_JSON json_t *good = json_array();
	AUTO_BUF struct buf message = {0};
	struct parts p;

	if (!good)
		return err_sys(e, ENOMEM, "checking signatures");
	if (envelope_open(root, &p, e) < 0 || canonical_of(p.body, &message, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(p.signatures); i++) {
		AUTO_PUBKEY struct pubkey *key = NULL;
		struct signature s;

		if (signature_read(json_array_get(p.signatures, i), &s, e) < 0)
			return -1;
		if (signature_good(role, &s, buf_span(&message), &key) &&
			json_array_append_new(good, json_string(s.keyid)) < 0)
			return err_sys(e, ENOMEM, "checking signatures");
	}
	*out = TAKE_PTR(good);
	return 0;
}

json_t *
envelope_new(json_t *body)
{
	return json_pack("{s:O, s:[]}", "signed", body, "signatures");
}

/* Where keyid's signature stands, or the end. */
static size_t
signature_index(const json_t *signatures, const char *keyid)
{
	size_t i;

	for (i = 0; i < json_array_size(signatures); i++) {
		const char *other =
			json_string_value(json_object_get(json_array_get(signatures, i), "keyid"));

		if (other && strcmp(other, keyid) == 0)
			break;
	}
	return i;
}

int
envelope_sign(json_t *root, const struct signer *s, struct err *e)
{
	AUTO_BUF struct buf message = {0}, raw = BUF_INIT(SIGNATURE_BYTES_MAX);
	char hex[2 * SIGNATURE_BYTES_MAX + 1];
	struct parts p;
	json_t *entry;
	size_t at;

	if (envelope_open(root, &p, e) < 0 || canonical_of(p.body, &message, e) < 0 ||
		signer_sign(s, buf_span(&message), &raw, e) < 0)
		return -1;
	hex_encode(raw.data, raw.len, hex);
	at = signature_index(p.signatures, s->keyid);
	if (at == TUF_SIGNATURES_MAX)
		return err_set(e, ERR_LIMIT, "there are %d signatures already", TUF_SIGNATURES_MAX);
	entry = json_pack("{s:s, s:s}", "keyid", s->keyid, "sig", hex);
	if (!entry || (at < json_array_size(p.signatures)
				      ? json_array_set_new(p.signatures, at, entry)
				      : json_array_append_new(p.signatures, entry)) < 0)
		return err_sys(e, ENOMEM, "adding a signature");
	return 0;
}
