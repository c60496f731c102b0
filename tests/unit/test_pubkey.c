#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/crypto/pubkey.h"
#include "common/limits.h"

/* RFC 8032 section 7.1, test 3. */
#define ED_PUBLIC "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
#define ED_SIGNATURE                                                                               \
	"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"                         \
	"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
static const uint8_t ed_message[] = {0xaf, 0x82};

/* A folder of our own, made anew for each test. */
static char dir[64];

static int
dir_new(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/sluice-pubkey-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
dir_drop(void **state)
{
	const char *argv[] = {"rm", "-rf", dir, NULL};
	int status;

	(void)state;
	return process_run(&(struct process){.argv = argv, .timeout_ms = 10000}, &status, NULL);
}

/* Runs a command line of words without blanks, with %s as the folder. */
static void
run(const char *format)
{
	const char *words[32] = {0};
	char line[512], *rest = NULL;
	size_t count = 0;
	int status = -1;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	/* cppcheck-suppress wrongPrintfScanfArgNum */
	(void)snprintf(line, sizeof(line), format, dir, dir, dir);
#pragma GCC diagnostic pop
	for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		words[count++] = w;
	assert_int_equal(
		process_run(&(struct process){.argv = words, .timeout_ms = 60000}, &status, NULL),
		0);
	assert_int_equal(status, 0);
}

static void
read_back(const char *name, struct buf *out)
{
	char path[128];

	assert_int_equal(path_join(path, sizeof(path), dir, name, NULL), 0);
	assert_int_equal(file_read(path, out, NULL), 0);
}

static void
write_message(void)
{
	char path[128];

	assert_int_equal(path_join(path, sizeof(path), dir, "m", NULL), 0);
	assert_int_equal(file_create(path, 0600, span_str("message"), NULL), 0);
}

static json_t *
key_json(const char *keytype, const char *scheme, const char *public)
{
	return json_pack("{s:s, s:s, s:{s:s}}", "keytype", keytype, "scheme", scheme, "keyval",
		"public", public);
}

static void
an_ed25519_signature_of_the_rfc_verifies(void **state)
{
	AUTO_JSON json_t *j = key_json("ed25519", "ed25519", ED_PUBLIC);
	AUTO_PUBKEY struct pubkey *k = NULL;
	struct err e = ERR_INIT;
	uint8_t sig[64];

	(void)state;
	assert_int_equal(hex_decode(ED_SIGNATURE, sig, sizeof(sig), NULL), 0);
	assert_int_equal(pubkey_parse(j, &k, &e), 0);
	assert_int_equal(
		pubkey_verify(k, span_of(ed_message, 2), span_of(sig, sizeof(sig)), &e), 0);
	assert_int_equal(
		pubkey_verify(k, span_of(ed_message, 1), span_of(sig, sizeof(sig)), &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(pubkey_verify(k, span_of(NULL, 0), span_of(sig, sizeof(sig)), &e), -1);
}

static void
every_flipped_bit_and_every_prefix_of_a_signature_is_refused(void **state)
{
	AUTO_JSON json_t *j = key_json("ed25519", "ed25519", ED_PUBLIC);
	AUTO_PUBKEY struct pubkey *k = NULL;
	uint8_t sig[65] = {0};

	(void)state;
	assert_int_equal(hex_decode(ED_SIGNATURE, sig, 64, NULL), 0);
	assert_int_equal(pubkey_parse(j, &k, NULL), 0);
	for (size_t bit = 0; bit < 8 * 64; bit++) {
		sig[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		assert_int_equal(
			pubkey_verify(k, span_of(ed_message, 2), span_of(sig, 64), NULL), -1);
		sig[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
	for (size_t len = 0; len <= 65; len++)
		assert_int_equal(pubkey_verify(k, span_of(ed_message, 2), span_of(sig, len), NULL),
			len == 64 ? 0 : -1);
}

/* Signs with openssl, and checks the signature under the given type and scheme. */
static void
check_openssl(const char *keytype, const char *scheme)
{
	AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX), sig = BUF_INIT(SIGNATURE_BYTES_MAX);
	AUTO_JSON json_t *j = NULL;
	AUTO_PUBKEY struct pubkey *k = NULL;
	struct err e = ERR_INIT;

	read_back("k.pub", &pem);
	read_back("sig", &sig);
	j = key_json(keytype, scheme, buf_str(&pem));
	assert_int_equal(pubkey_parse(j, &k, &e), 0);
	assert_int_equal(pubkey_verify(k, span_str("message"), buf_span(&sig), &e), 0);
	assert_int_equal(pubkey_verify(k, span_str("massage"), buf_span(&sig), &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	for (size_t i = 0; i < sig.len; i++) {
		sig.data[i] ^= 0x10;
		assert_int_equal(pubkey_verify(k, span_str("message"), buf_span(&sig), NULL), -1);
		sig.data[i] ^= 0x10;
		assert_int_equal(
			pubkey_verify(k, span_str("message"), span_of(sig.data, i), NULL), -1);
	}
}

static void
an_ecdsa_signature_by_openssl_verifies_under_both_spellings(void **state)
{
	(void)state;
	write_message();
	run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s/k");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	run("openssl dgst -sha256 -sign %s/k -out %s/sig %s/m");
	check_openssl("ecdsa", "ecdsa-sha2-nistp256");
	check_openssl("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256");
}

static void
rsa_signatures_by_openssl_verify_with_any_salt_length(void **state)
{
	(void)state;
	write_message();
	run("openssl genrsa -out %s/k 2048");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	run("openssl dgst -sha256 -sign %s/k -out %s/sig %s/m");
	check_openssl("rsa", "rsa-pkcs1v15-sha256");
	run("openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest "
	    "-sign %s/k -out %s/sig %s/m");
	check_openssl("rsa", "rsassa-pss-sha256");
	run("openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max "
	    "-sign %s/k -out %s/sig %s/m");
	check_openssl("rsa", "rsassa-pss-sha256");
}

static void
one_rsa_padding_does_not_pass_for_the_other(void **state)
{
	AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX), sig = BUF_INIT(SIGNATURE_BYTES_MAX);
	AUTO_JSON json_t *j = NULL;
	AUTO_PUBKEY struct pubkey *k = NULL;

	(void)state;
	write_message();
	run("openssl genrsa -out %s/k 2048");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	run("openssl dgst -sha256 -sign %s/k -out %s/sig %s/m");
	read_back("k.pub", &pem);
	read_back("sig", &sig);
	j = key_json("rsa", "rsassa-pss-sha256", buf_str(&pem));
	assert_int_equal(pubkey_parse(j, &k, NULL), 0);
	assert_int_equal(pubkey_verify(k, span_str("message"), buf_span(&sig), NULL), -1);
}

static void
expect_refused(const char *keytype, const char *scheme)
{
	AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);
	AUTO_JSON json_t *j = NULL;
	struct pubkey *k = NULL;
	struct err e = ERR_INIT;

	read_back("k.pub", &pem);
	j = key_json(keytype, scheme, buf_str(&pem));
	assert_int_equal(pubkey_parse(j, &k, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_null(k);
}

static void
other_curves_and_short_rsa_keys_are_refused(void **state)
{
	(void)state;
	run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out %s/k");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	expect_refused("ecdsa", "ecdsa-sha2-nistp256");
	expect_refused("rsa", "rsassa-pss-sha256");
	run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
	    "-pkeyopt ec_param_enc:explicit -out %s/k");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	expect_refused("ecdsa", "ecdsa-sha2-nistp256");
	run("openssl genrsa -out %s/k 1024");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	expect_refused("rsa", "rsa-pkcs1v15-sha256");
	expect_refused("ecdsa", "ecdsa-sha2-nistp256");
	/* A secret key, and a public one in the older RSA framing, are not public keys in SPKI. */
	run("openssl genrsa -out %s/k.pub 2048");
	expect_refused("rsa", "rsa-pkcs1v15-sha256");
	run("openssl rsa -in %s/k.pub -RSAPublicKey_out -out %s/k.pub");
	expect_refused("rsa", "rsa-pkcs1v15-sha256");
}

static void
key_objects_of_another_shape_are_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\"}",
		"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{}}",
		"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"\"}}",
		"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":7}}",
		"{\"keytype\":\"ed25519\",\"scheme\":\"ed448\",\"keyval\":{\"public\":\"" ED_PUBLIC
		"\"}}",
		"{\"keytype\":\"sphincs\",\"scheme\":\"sphincs-shake-128s\",\"keyval\":{\"public\":"
		"\"00\"}}",
		"{\"keytype\":\"rsa\",\"scheme\":\"rsassa-pss-md5\",\"keyval\":{\"public\":\"\"}}",
		"{\"keytype\":\"ecdsa\",\"scheme\":\"ecdsa-sha2-nistp256\",\"keyval\":{\"public\":"
		"\"-----BEGIN PUBLIC KEY-----\\n\"}}",
		"{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"
		"\"" ED_PUBLIC "00\"}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_JSON json_t *j = NULL;
		struct pubkey *k = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(json_parse(span_str(bad[i]), "sample", &j, NULL), 0);
		assert_int_equal(pubkey_parse(j, &k, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_null(k);
	}
	assert_int_equal(pubkey_parse(NULL, &(struct pubkey *){NULL}, NULL), -1);
}

static void
a_pem_block_of_another_name_is_no_public_key(void **state)
{
	AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);
	json_t *j = NULL;
	char *name;

	(void)state;
	run("openssl genpkey -algorithm ED25519 -out %s/k");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	read_back("k.pub", &pem);
	while ((name = strstr((char *)pem.data, "PUBLIC KEY")))
		memcpy(name, "PUBLIC KEX", 10);
	assert_int_equal(pubkey_json_pem(buf_span(&pem), &j, NULL), -1);
	assert_null(j);
}

static void
every_prefix_and_flip_of_a_pem_key_is_refused_or_a_key(void **state)
{
	AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);

	(void)state;
	run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s/k");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	read_back("k.pub", &pem);
	for (size_t i = 0; i < pem.len; i++) {
		AUTO_JSON json_t *j = NULL, *flipped = NULL;

		(void)pubkey_json_pem(span_of(pem.data, i), &j, NULL);
		if (j)
			assert_true(i + 2 >= pem.len); /* all but the last line's end */
		pem.data[i] ^= 0x04;
		if (pubkey_json_pem(buf_span(&pem), &flipped, NULL) == 0) {
			AUTO_PUBKEY struct pubkey *k = NULL;

			assert_int_equal(pubkey_parse(flipped, &k, NULL), 0);
		}
		pem.data[i] ^= 0x04;
	}
}

static void
a_pem_file_becomes_a_key_object_of_its_kind(void **state)
{
	static const struct {
		const char *make, *keytype, *scheme;
	} kinds[] = {
		{"openssl genpkey -algorithm ED25519 -out %s/k", "ed25519", "ed25519"},
		{"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s/k",
			"ecdsa", "ecdsa-sha2-nistp256"},
		{"openssl genrsa -out %s/k 2048", "rsa", "rsassa-pss-sha256"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);
		AUTO_BUF struct buf commented = BUF_INIT(KEY_FILE_MAX);
		AUTO_JSON json_t *j = NULL, *again = NULL;
		AUTO_PUBKEY struct pubkey *k = NULL;
		struct err e = ERR_INIT;

		run(kinds[i].make);
		run("openssl pkey -in %s/k -pubout -out %s/k.pub");
		read_back("k.pub", &pem);
		assert_int_equal(pubkey_json_pem(buf_span(&pem), &j, &e), 0);
		assert_string_equal(
			json_string_value(json_object_get(j, "keytype")), kinds[i].keytype);
		assert_string_equal(
			json_string_value(json_object_get(j, "scheme")), kinds[i].scheme);
		assert_int_equal(pubkey_parse(j, &k, &e), 0);
		/* A comment before the block leaves the key what it is. */
		assert_int_equal(buf_printf(&commented, NULL, "a comment\n%s", buf_str(&pem)), 0);
		assert_int_equal(pubkey_json_pem(buf_span(&commented), &again, &e), 0);
		assert_true(json_equal(j, again));
	}
	run("openssl genpkey -algorithm X25519 -out %s/k");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	{
		AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);
		json_t *j = NULL;
		struct err e = ERR_INIT;

		read_back("k.pub", &pem);
		assert_int_equal(pubkey_json_pem(buf_span(&pem), &j, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
}

static void
the_key_itself_is_compared_not_its_spelling(void **state)
{
	AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);
	AUTO_JSON json_t *a = NULL, *b = NULL, *c = NULL, *d = NULL, *upper = NULL;
	AUTO_PUBKEY struct pubkey *ka = NULL, *kb = NULL, *kc = NULL, *kd = NULL, *ku = NULL;

	(void)state;
	run("openssl genrsa -out %s/k 2048");
	run("openssl pkey -in %s/k -pubout -out %s/k.pub");
	read_back("k.pub", &pem);
	a = key_json("rsa", "rsassa-pss-sha256", buf_str(&pem));
	b = key_json("rsa", "rsa-pkcs1v15-sha256", buf_str(&pem));
	c = key_json("ed25519", "ed25519", ED_PUBLIC);
	d = key_json("ed25519", "ed25519",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	upper = key_json("ed25519", "ed25519",
		"FC51CD8E6218A1A38DA47ED00230F0580816ED13BA3303AC5DEB911548908025");
	assert_int_equal(pubkey_parse(a, &ka, NULL), 0);
	assert_int_equal(pubkey_parse(b, &kb, NULL), 0);
	assert_int_equal(pubkey_parse(c, &kc, NULL), 0);
	assert_int_equal(pubkey_parse(d, &kd, NULL), 0);
	assert_int_equal(pubkey_parse(upper, &ku, NULL), 0);
	assert_true(pubkey_equal(ka, kb));
	assert_true(pubkey_equal(kc, ku));
	assert_false(pubkey_equal(ka, kc));
	assert_false(pubkey_equal(kc, ka));
	assert_false(pubkey_equal(kc, kd));
}

/* Both ids were computed with python3-securesystemslib 0.26, which puts keyid_hash_algorithms into
 * the keys that it makes itself. */
static void
a_key_id_is_the_digest_of_the_canonical_key(void **state)
{
	AUTO_JSON json_t *j = key_json("ed25519", "ed25519", ED_PUBLIC);
	char id[DIGEST_HEX_SIZE];

	(void)state;
	assert_int_equal(pubkey_id(j, id, NULL), 0);
	assert_string_equal(id, "e45b8d1fab21a7a7550adbca559eade41e36a398f14a577f8766ec32bf237101");
	assert_int_equal(json_object_set_new(j, "keyid_hash_algorithms",
				 json_pack("[s, s]", "sha256", "sha512")),
		0);
	assert_int_equal(pubkey_id(j, id, NULL), 0);
	assert_string_equal(id, "67f07659c1a17608e315c9b37037f1129dd489a6d364e40aecd350d0319ad8e4");
}

/* Of a text that is in canonical form no JSON is parsed, and yet key and id are the same. */
static void
a_keys_text_gives_the_key_and_its_id_however_it_is_written(void **state)
{
	static const char *const texts[] = {
		"{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"" ED_PUBLIC
		"\"},\"scheme\":\"ed25519\"}",
		"{\"scheme\": \"ed25519\", \"keyval\": {\"public\": \"" ED_PUBLIC
		"\"}, \"keytype\": \"ed25519\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_PUBKEY struct pubkey *key = NULL;
		uint8_t signature[64];
		char id[DIGEST_HEX_SIZE];

		assert_int_equal(pubkey_read(texts[i], &key, id, NULL), 0);
		assert_string_equal(
			id, "e45b8d1fab21a7a7550adbca559eade41e36a398f14a577f8766ec32bf237101");
		assert_int_equal(hex_decode(ED_SIGNATURE, signature, sizeof(signature), NULL), 0);
		assert_int_equal(pubkey_verify(key, span_of(ed_message, sizeof(ed_message)),
					 span_of(signature, sizeof(signature)), NULL),
			0);
	}
}

static void
a_keys_text_that_is_cut_or_has_more_is_refused(void **state)
{
	static const char head[] = "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"",
			  tail[] = "\"},\"scheme\":\"ed25519\"}";
	char text[256], id[DIGEST_HEX_SIZE];
	struct pubkey *key = NULL;

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s%s", head, ED_PUBLIC, tail);
	for (size_t cut = 0; cut < strlen(text); cut++) {
		char part[256];

		(void)snprintf(part, sizeof(part), "%.*s", (int)cut, text);
		assert_int_equal(pubkey_read(part, &key, id, NULL), -1);
	}
	(void)snprintf(text, sizeof(text), "%s%s%sx", head, ED_PUBLIC, tail);
	assert_int_equal(pubkey_read(text, &key, id, NULL), -1);
	(void)snprintf(text, sizeof(text), "%s%.62s%s", head, ED_PUBLIC, tail);
	assert_int_equal(pubkey_read(text, &key, id, NULL), -1);
	(void)snprintf(text, sizeof(text), "%s%.62sxy%s", head, ED_PUBLIC, tail);
	assert_int_equal(pubkey_read(text, &key, id, NULL), -1);
	assert_null(key);
}

int
main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, dir_new, dir_drop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ed25519_signature_of_the_rfc_verifies),
		cmocka_unit_test(every_flipped_bit_and_every_prefix_of_a_signature_is_refused),
		test(an_ecdsa_signature_by_openssl_verifies_under_both_spellings),
		test(rsa_signatures_by_openssl_verify_with_any_salt_length),
		test(one_rsa_padding_does_not_pass_for_the_other),
		test(other_curves_and_short_rsa_keys_are_refused),
		cmocka_unit_test(key_objects_of_another_shape_are_refused),
		test(a_pem_block_of_another_name_is_no_public_key),
		test(every_prefix_and_flip_of_a_pem_key_is_refused_or_a_key),
		test(a_pem_file_becomes_a_key_object_of_its_kind),
		test(the_key_itself_is_compared_not_its_spelling),
		cmocka_unit_test(a_key_id_is_the_digest_of_the_canonical_key),
		cmocka_unit_test(a_keys_text_gives_the_key_and_its_id_however_it_is_written),
		cmocka_unit_test(a_keys_text_that_is_cut_or_has_more_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
