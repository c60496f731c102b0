#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/envelope.h"

struct key {
	struct seckey *sec;
	json_t *public;
	struct signer signer;
};

static void
key_new(struct key *k)
{
	uint8_t raw[32];

	assert_int_equal(seckey_new(&k->sec, NULL), 0);
	seckey_public(k->sec, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &k->public, NULL), 0);
	k->signer = (struct signer){.seckey = k->sec, .key = k->public};
	assert_int_equal(pubkey_id(k->public, k->signer.keyid, NULL), 0);
}

static void
key_free(struct key *k)
{
	seckey_free(&k->sec);
	json_decref(k->public);
}

/* 0 or the class of the error. In canonical form, or in another layout. */
static int
verdict(const json_t *root, const struct key *k, const char *keyid, bool pretty)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	AUTO_VERIFIED struct verified v = {0};
	AUTO_PUBKEY struct pubkey *key = NULL;
	struct err e = ERR_INIT;

	assert_int_equal((pretty ? json_pretty : json_compact)(root, &text, NULL), 0);
	assert_int_equal(pubkey_parse(k->public, &key, NULL), 0);
	if (envelope_verify_one(buf_span(&text), "sample", key, keyid, &v, &e) == 0) {
		assert_ptr_equal(v.body, json_object_get(v.root, "signed"));
		return 0;
	}
	assert_null(v.root);
	assert_non_null(strstr(e.text, "sample"));
	return (int)e.class;
}

static void
the_one_key_has_to_sign_under_its_own_id(void **state)
{
	AUTO_JSON json_t *body = json_pack("{s:s, s:i}", "name", "caf\xc3\xa9 \"x\"\\", "n", 7);
	AUTO_JSON json_t *root = envelope_new(body);
	struct key ours = {0}, other = {0};

	(void)state;
	key_new(&ours);
	key_new(&other);
	for (int pretty = 0; pretty < 2; pretty++) {
		assert_int_equal(json_array_clear(json_object_get(root, "signatures")), 0);
		assert_int_equal(verdict(root, &ours, ours.signer.keyid, pretty), ERR_UNTRUSTED);
		assert_int_equal(envelope_sign(root, &other.signer, NULL), 0);
		assert_int_equal(verdict(root, &ours, ours.signer.keyid, pretty), ERR_UNTRUSTED);
		assert_int_equal(verdict(root, &ours, other.signer.keyid, pretty), ERR_UNTRUSTED);
		assert_int_equal(verdict(root, &other, ours.signer.keyid, pretty), ERR_UNTRUSTED);
		assert_int_equal(envelope_sign(root, &ours.signer, NULL), 0);
		assert_int_equal(verdict(root, &ours, ours.signer.keyid, pretty), 0);
		assert_int_equal(json_object_set_new(body, "n", json_integer(8 + pretty)), 0);
		assert_int_equal(verdict(root, &ours, ours.signer.keyid, pretty), ERR_UNTRUSTED);
	}
	key_free(&ours);
	key_free(&other);
}

static void
a_document_that_is_no_envelope_is_refused(void **state)
{
	static const char *const texts[] = {"", "[]", "{}", "{\"signed\":{}}",
		"{\"signed\":{},\"signatures\":{}}", "{\"signed\":[],\"signatures\":[]}",
		"{\"signed\":{},\"signatures\":[{\"keyid\":1,\"sig\":\"\"}]}"};
	AUTO_PUBKEY struct pubkey *key = NULL;
	struct key ours = {0};

	(void)state;
	key_new(&ours);
	assert_int_equal(pubkey_parse(ours.public, &key, NULL), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		AUTO_VERIFIED struct verified v = {0};
		struct err e = ERR_INIT;

		assert_int_equal(envelope_verify_one(span_str(texts[i]), "sample", key,
					 ours.signer.keyid, &v, &e),
			-1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_null(v.root);
	}
	key_free(&ours);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_one_key_has_to_sign_under_its_own_id),
		cmocka_unit_test(a_document_that_is_no_envelope_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
