#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/num.h"
#include "common/base/process.h"
#include "common/crypto/envelope.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"

enum { KEYS = 3 };

/* Three keys, and a role that lists them. */
struct fixture {
	struct seckey *sec[KEYS];
	json_t *pub[KEYS];
	struct signer signer[KEYS];
	json_t *keys, *keyids;
	struct role_keys role;
};

static int
fixture_new(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->keys = json_object();
	f->keyids = json_array();
	for (size_t i = 0; i < KEYS; i++) {
		uint8_t raw[32];

		assert_int_equal(seckey_new(&f->sec[i], NULL), 0);
		seckey_public(f->sec[i], raw);
		assert_int_equal(pubkey_json_ed25519(raw, &f->pub[i], NULL), 0);
		f->signer[i] = (struct signer){.seckey = f->sec[i], .key = f->pub[i]};
		assert_int_equal(pubkey_id(f->pub[i], f->signer[i].keyid, NULL), 0);
		assert_int_equal(json_object_set(f->keys, f->signer[i].keyid, f->pub[i]), 0);
		assert_int_equal(
			json_array_append_new(f->keyids, json_string(f->signer[i].keyid)), 0);
	}
	f->role = (struct role_keys){f->keys, f->keyids, 2};
	*state = f;
	return 0;
}

static int
fixture_free(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < KEYS; i++) {
		seckey_free(&f->sec[i]);
		json_decref(f->pub[i]);
	}
	json_decref(f->keys);
	json_decref(f->keyids);
	free(f);
	return 0;
}

static json_t *
sample(void)
{
	json_t *body = json_pack("{s:s, s:i}", "name", "caf\xc3\xa9 \"x\"\\", "version", 7);
	json_t *root = envelope_new(body);

	json_decref(body);
	assert_non_null(root);
	return root;
}

static void
text_of(const json_t *root, struct buf *out)
{
	buf_clear(out);
	assert_int_equal(json_pretty(root, out, NULL), 0);
}

/* What envelope_verify says: 0 or the class of its error. */
static int
verdict(const json_t *root, const struct role_keys *role)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	AUTO_VERIFIED struct verified v = {0};
	struct err e = ERR_INIT;

	text_of(root, &text);
	if (envelope_verify(buf_span(&text), "sample", role, &v, &e) == 0) {
		assert_non_null(v.body);
		return 0;
	}
	assert_null(v.root);
	assert_non_null(strstr(e.text, "sample"));
	return (int)e.class;
}

static void
a_threshold_of_signatures_verifies(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();

	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	assert_int_equal(envelope_sign(root, &f->signer[2], NULL), 0);
	assert_int_equal(verdict(root, &f->role), 0);
	f->role.threshold = 3;
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	f->role.threshold = UINT64_MAX;
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
}

/* Sorted and without blanks, the signed part is looked at where it stands; else in a copy. */
static void
check_layouts(const json_t *root, const struct role_keys *role, int expected)
{
	const size_t flags[] = {JSON_COMPACT | JSON_SORT_KEYS, JSON_COMPACT, JSON_INDENT(3),
		JSON_ENSURE_ASCII | JSON_COMPACT | JSON_SORT_KEYS};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		AUTO_FREE char *text = json_dumps(root, flags[i]);
		AUTO_VERIFIED struct verified v = {0};

		assert_int_equal(envelope_verify(span_str(text), "x", role, &v, NULL), expected);
	}
}

static void
a_document_verifies_in_every_layout(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();
	json_t *body = json_object_get(root, "signed");

	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	check_layouts(root, &f->role, 0);
	json_object_set_new(root, "a", json_pack("{s:{s:i}}", "signed", "version", 7));
	check_layouts(root, &f->role, 0);
	json_object_set_new(root, "a", json_pack("{s:o}", "signed", json_deep_copy(body)));
	check_layouts(root, &f->role, 0);
	json_object_set_new(body, "version", json_integer(8));
	check_layouts(root, &f->role, -1);
}

static void
a_threshold_of_zero_is_never_no_check(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();

	f->role.threshold = 0;
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
}

static void
a_role_without_keys_trusts_nobody(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample(), *none = json_array(), *nothing = json_object();
	struct role_keys no_ids = {f->keys, none, 1}, no_keys = {nothing, f->keyids, 1},
			 null = {NULL, NULL, 1};

	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(verdict(root, &no_ids), ERR_UNTRUSTED);
	assert_int_equal(verdict(root, &no_keys), ERR_UNTRUSTED);
	assert_int_equal(verdict(root, &null), ERR_UNTRUSTED);
}

static void
a_key_under_two_ids_counts_once(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample(), *shouted = NULL;
	struct signer alias = f->signer[0];
	char upper[65];

	/* The same public key, spelt so that its key id differs too. */
	(void)snprintf(upper, sizeof(upper), "%s",
		json_string_value(json_object_get(json_object_get(f->pub[0], "keyval"), "public")));
	for (char *p = upper; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'f' ? *p - 32 : *p);
	shouted = json_deep_copy(f->pub[0]);
	(void)json_object_set_new(json_object_get(shouted, "keyval"), "public", json_string(upper));
	assert_int_equal(pubkey_id(shouted, alias.keyid, NULL), 0);
	assert_string_not_equal(alias.keyid, f->signer[0].keyid);
	(void)json_object_set(f->keys, alias.keyid, shouted);
	(void)json_array_append_new(f->keyids, json_string(alias.keyid));

	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(envelope_sign(root, &alias, NULL), 0);
	assert_int_equal(json_array_size(json_object_get(root, "signatures")), 2);
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	assert_int_equal(verdict(root, &f->role), 0);
}

static void
the_same_key_id_twice_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();
	json_t *signatures = json_object_get(root, "signatures");

	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	(void)json_array_append(signatures, json_array_get(signatures, 0));
	assert_int_equal(verdict(root, &f->role), ERR_MALFORMED);
	/* Even for a key that is nobody's. */
	(void)json_array_remove(signatures, 2);
	(void)json_array_append_new(signatures, json_pack("{s:s,s:s}", "keyid", "x", "sig", "00"));
	assert_int_equal(verdict(root, &f->role), 0);
	(void)json_array_append_new(signatures, json_pack("{s:s,s:s}", "keyid", "x", "sig", "11"));
	assert_int_equal(verdict(root, &f->role), ERR_MALFORMED);
}

static void
strange_signatures_are_passed_over(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();
	json_t *signatures = json_object_get(root, "signatures");
	static const char *const sigs[] = {"", "0", "zz", "00", "abc"};
	/* So long that it would run over the whole stack, were it decoded. */
	enum { ENDLESS = 1 << 19 };
	AUTO_FREE char *endless = calloc(1, ENDLESS + 1);

	assert_non_null(endless);
	memset(endless, 'a', 2 * SIGNATURE_BYTES_MAX + 2);
	(void)json_object_set_new(f->keys, "odd",
		json_pack("{s:s,s:s,s:{s:s}}", "keytype", "moon", "scheme", "moon", "keyval",
			"public", "00"));
	(void)json_array_append_new(f->keyids, json_string("odd"));
	(void)json_array_append_new(f->keyids, json_integer(7));
	(void)json_array_append_new(
		signatures, json_pack("{s:s,s:s}", "keyid", "odd", "sig", "00"));
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	(void)json_array_append_new(
		signatures, json_pack("{s:s,s:s}", "keyid", f->signer[2].keyid, "sig", endless));
	assert_int_equal(verdict(root, &f->role), 0);
	f->role.threshold = 3;
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	memset(endless, 'a', ENDLESS);
	(void)json_object_set_new(json_array_get(signatures, 3), "sig", json_string(endless));
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
		(void)json_object_set_new(
			json_array_get(signatures, 3), "sig", json_string(sigs[i]));
		assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	}
}

/* The key is known, and the role lists another one whose id begins alike. */
static void
a_key_id_is_compared_whole(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();
	const char *like = f->signer[1].keyid;
	char id[DIGEST_HEX_SIZE];

	for (size_t len = 1; len < strlen(like); len++) {
		(void)snprintf(id, sizeof(id), "%.*sx", (int)len, like);
		(void)json_object_set(f->keys, id, f->pub[2]);
	}
	(void)json_array_clear(f->keyids);
	for (size_t len = 1; len < strlen(like); len++) {
		(void)snprintf(id, sizeof(id), "%.*sx", (int)len, like);
		(void)json_array_append_new(f->keyids, json_string(id));
	}
	f->role.threshold = 1;
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	(void)json_array_append_new(f->keyids, json_string(like));
	assert_int_equal(verdict(root, &f->role), 0);
}

static void
signatures_in_capital_digits_verify(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();
	json_t *entry;
	char upper[129];

	f->role.threshold = 1;
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	entry = json_array_get(json_object_get(root, "signatures"), 0);
	(void)snprintf(
		upper, sizeof(upper), "%s", json_string_value(json_object_get(entry, "sig")));
	for (char *p = upper; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'f' ? *p - 32 : *p);
	(void)json_object_set_new(entry, "sig", json_string(upper));
	assert_int_equal(verdict(root, &f->role), 0);
}

static void
too_many_signatures_are_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();
	json_t *signatures = json_object_get(root, "signatures");

	f->role.threshold = 1;
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	for (int i = 1; i <= TUF_SIGNATURES_MAX; i++) {
		char keyid[16];

		(void)snprintf(keyid, sizeof(keyid), "k%d", i);
		if (i == TUF_SIGNATURES_MAX)
			assert_int_equal(verdict(root, &f->role), 0);
		(void)json_array_append_new(
			signatures, json_pack("{s:s,s:s}", "keyid", keyid, "sig", "00"));
	}
	assert_int_equal(verdict(root, &f->role), ERR_LIMIT);
}

static void
envelopes_of_another_shape_are_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"", "{", "7", "null", "[]", "{}", "{\"signed\":{}}",
		"{\"signatures\":[]}", "{\"signed\":[],\"signatures\":[]}",
		"{\"signed\":{},\"signatures\":{}}", "{\"signed\":{},\"signatures\":[7]}",
		"{\"signed\":{},\"signatures\":[{}]}",
		"{\"signed\":{},\"signatures\":[{\"keyid\":\"a\"}]}",
		"{\"signed\":{},\"signatures\":[{\"keyid\":\"a\",\"sig\":null}]}",
		"{\"signed\":{\"a\":1.5},\"signatures\":[]}",
		"{\"signed\":{},\"signed\":{},\"signatures\":[]}"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_VERIFIED struct verified v = {0};
		struct err e = ERR_INIT;

		assert_int_equal(envelope_verify(span_str(bad[i]), "sample", &f->role, &v, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_null(v.root);
	}
}

/* White space, the order of keys and escapes may change in transit; meaning may not. */
static void
every_prefix_and_flip_is_refused_or_means_the_same(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);

	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	text_of(root, &text);
	for (size_t i = 0; i < text.len; i++) {
		AUTO_VERIFIED struct verified v = {0};

		if (envelope_verify(span_of(text.data, i), "prefix", &f->role, &v, NULL) == 0)
			assert_true(json_equal(v.body, json_object_get(root, "signed")));
		for (unsigned flip = 1; flip < 256; flip++) {
			AUTO_VERIFIED struct verified w = {0};

			if (flip != 1 && flip != 0x20 && flip != 0xff && i % 16 != flip % 16)
				continue;
			text.data[i] ^= (uint8_t)flip;
			if (envelope_verify(buf_span(&text), "flip", &f->role, &w, NULL) == 0)
				assert_true(json_equal(w.body, json_object_get(root, "signed")));
			text.data[i] ^= (uint8_t)flip;
		}
	}
}

static void
signing_again_replaces_the_older_signature(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample();

	f->role.threshold = 1;
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	(void)json_object_set_new(json_object_get(root, "signed"), "version", json_integer(8));
	assert_int_equal(verdict(root, &f->role), ERR_UNTRUSTED);
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(verdict(root, &f->role), 0);
	assert_int_equal(json_array_size(json_object_get(root, "signatures")), 1);
}

static void
a_second_role_is_checked_on_the_same_document(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample(), *other = json_array();
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	AUTO_VERIFIED struct verified v = {0};
	struct role_keys second = {f->keys, other, 1};
	struct err e = ERR_INIT;

	(void)json_array_append_new(other, json_string(f->signer[2].keyid));
	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	text_of(root, &text);
	assert_int_equal(envelope_verify(buf_span(&text), "sample", &f->role, &v, &e), 0);
	assert_int_equal(verified_check(&v, "sample", &f->role, &e), 0);
	assert_int_equal(verified_check(&v, "sample", &second, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
good_signers_are_named_and_only_they(void **state)
{
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample(), *good = NULL;

	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	(void)json_object_set_new(json_object_get(root, "signed"), "version", json_integer(8));
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	assert_int_equal(envelope_good_signers(root, &f->role, &good, NULL), 0);
	assert_int_equal(json_array_size(good), 1);
	assert_string_equal(json_string_value(json_array_get(good, 0)), f->signer[1].keyid);
}

static void
a_document_named_by_digest_is_checked_before_it_is_parsed(void **state)
{
	static const char plain[] = "{\"a\":1}", broken[] = "{\"a\":",
			  wrapped[] = "{\"signed\":{\"a\":1},\"signatures\":[]}", list[] = "[1]",
			  half[] = "{\"signed\":{\"a\":1}}";
	struct digest d = digest_of(span_str(plain));
	AUTO_VERIFIED struct verified v = {0}, w = {0}, x = {0};
	struct verified none = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(verified_by_digest(span_str(plain), "plain", 7, &d, &v, &e), 0);
	assert_ptr_equal(v.body, v.root);
	assert_int_equal(verified_by_digest(span_str(plain), "plain", 8, &d, &none, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(verified_by_digest(span_str("{\"a\":2}"), "other", 7, &d, &none, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(verified_by_digest(span_str(broken), "broken", 5, &d, &none, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	d = digest_of(span_str(broken));
	assert_int_equal(verified_by_digest(span_str(broken), "broken", 5, &d, &none, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	d = digest_of(span_str(list));
	assert_int_equal(verified_by_digest(span_str(list), "list", 3, &d, &none, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_null(none.root);
	d = digest_of(span_str(wrapped));
	assert_int_equal(
		verified_by_digest(span_str(wrapped), "wrapped", sizeof(wrapped) - 1, &d, &w, &e),
		0);
	assert_int_equal(json_integer_value(json_object_get(w.body, "a")), 1);
	/* What has no signatures is no envelope, and all of it counts. */
	d = digest_of(span_str(half));
	assert_int_equal(
		verified_by_digest(span_str(half), "half", sizeof(half) - 1, &d, &x, &e), 0);
	assert_ptr_equal(x.body, x.root);
}

/* Runs a Python program on a JSON document; returns what it printed. */
static void
python(const char *program, const json_t *input, struct buf *out)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	const char *argv[] = {"/usr/bin/python3", "-c", program, NULL};
	int status = -1;

	text_of(input, &text);
	assert_int_equal(process_run(&(struct process){.argv = argv,
					     .input = buf_span(&text),
					     .output = out,
					     .timeout_ms = 60000},
				 &status, NULL),
		0);
	assert_int_equal(status, 0);
}

static void
securesystemslib_verifies_what_is_signed_here(void **state)
{
	static const char program[] =
		"import json, sys\n"
		"from securesystemslib.formats import encode_canonical\n"
		"from securesystemslib.signer import Key, Signature\n"
		"doc = json.load(sys.stdin)\n"
		"root, keys = doc['root'], doc['keys']\n"
		"for s in root['signatures']:\n"
		"    key = Key.from_dict(s['keyid'], dict(keys[s['keyid']]))\n"
		"    data = encode_canonical(root['signed']).encode()\n"
		"    key.verify_signature(Signature.from_dict(dict(s)), data)\n"
		"    print('good')\n";
	struct fixture *f = *state;
	AUTO_JSON json_t *root = sample(), *doc = NULL;
	AUTO_BUF struct buf out = BUF_INIT(4096);

	assert_int_equal(envelope_sign(root, &f->signer[0], NULL), 0);
	assert_int_equal(envelope_sign(root, &f->signer[1], NULL), 0);
	doc = json_pack("{s:O, s:O}", "root", root, "keys", f->keys);
	python(program, doc, &out);
	assert_string_equal(buf_str(&out), "good\ngood\n");
}

/* One key of each kind, and for ECDSA both spellings of its type. */
static void
what_securesystemslib_signs_verifies_here(void **state)
{
	static const char program[] =
		"import json, sys\n"
		"from securesystemslib import keys as k\n"
		"from securesystemslib.formats import encode_canonical\n"
		"from securesystemslib.signer import SSlibKey, SSlibSigner\n"
		"body = json.load(sys.stdin)\n"
		"made = [k.generate_ecdsa_key(), k.generate_rsa_key(2048),\n"
		"        k.generate_rsa_key(2048, 'rsa-pkcs1v15-sha256'), k.generate_ecdsa_key()]\n"
		"made[3]['keytype'] = 'ecdsa-sha2-nistp256'\n"
		"keys, sigs = {}, []\n"
		"for key in made:\n"
		"    keys[key['keyid']] = SSlibKey.from_securesystemslib_key(key).to_dict()\n"
		"    "
		"sigs.append(SSlibSigner(key).sign(encode_canonical(body).encode()).to_dict())\n"
		"json.dump({'root': {'signed': body, 'signatures': sigs}, 'keys': keys}, "
		"sys.stdout)\n";
	AUTO_JSON json_t *body = json_pack("{s:s, s:i}", "name", "caf\xc3\xa9 \"x\"\\", "n", 7);
	AUTO_JSON json_t *doc = NULL, *keyids = json_array();
	AUTO_BUF struct buf out = BUF_INIT(1 << 16);
	struct role_keys role = {.threshold = 4};
	const char *keyid;
	json_t *key;

	(void)state;
	python(program, body, &out);
	assert_int_equal(json_parse(buf_span(&out), "python", &doc, NULL), 0);
	role.keys = json_object_get(doc, "keys");
	role.keyids = keyids;
	json_object_foreach (json_object_get(doc, "keys"), keyid, key)
		(void)json_array_append_new(keyids, json_string(keyid));
	assert_int_equal(json_array_size(keyids), 4);
	assert_int_equal(verdict(json_object_get(doc, "root"), &role), 0);
	(void)json_object_set_new(
		json_object_get(json_object_get(doc, "root"), "signed"), "n", json_integer(8));
	role.threshold = 1;
	assert_int_equal(verdict(json_object_get(doc, "root"), &role), ERR_UNTRUSTED);
}

int
main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, fixture_new, fixture_free)
	const struct CMUnitTest tests[] = {
		test(a_threshold_of_signatures_verifies),
		test(a_document_verifies_in_every_layout),
		test(a_threshold_of_zero_is_never_no_check),
		test(a_role_without_keys_trusts_nobody),
		test(a_key_under_two_ids_counts_once),
		test(the_same_key_id_twice_is_refused),
		test(strange_signatures_are_passed_over),
		test(a_key_id_is_compared_whole),
		test(signatures_in_capital_digits_verify),
		test(too_many_signatures_are_refused),
		test(envelopes_of_another_shape_are_refused),
		test(every_prefix_and_flip_is_refused_or_means_the_same),
		test(signing_again_replaces_the_older_signature),
		test(a_second_role_is_checked_on_the_same_document),
		test(good_signers_are_named_and_only_they),
		test(a_document_named_by_digest_is_checked_before_it_is_parsed),
		test(securesystemslib_verifies_what_is_signed_here),
		cmocka_unit_test(what_securesystemslib_signs_verifies_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
