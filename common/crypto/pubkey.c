#include "common/crypto/pubkey.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/libcrypto.h"
#include "common/crypto/secret.h"
#include "common/limits.h"

enum { WORD_SIZE = 64 };

enum scheme { SCHEME_ED25519, SCHEME_ECDSA_P256, SCHEME_RSA_PSS, SCHEME_RSA_PKCS1 };

static const struct {
	const char *keytype, *scheme;
	enum scheme id;
} known[] = {
	{"ed25519", "ed25519", SCHEME_ED25519},
	/* The specification's spelling, and the one that older securesystemslib wrote. */
	{"ecdsa", "ecdsa-sha2-nistp256", SCHEME_ECDSA_P256},
	{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", SCHEME_ECDSA_P256},
	{"rsa", "rsassa-pss-sha256", SCHEME_RSA_PSS},
	{"rsa", "rsa-pkcs1v15-sha256", SCHEME_RSA_PKCS1},
};

struct pubkey {
	enum scheme scheme;
	uint8_t ed25519[crypto_sign_PUBLICKEYBYTES];
	EVP_PKEY *pkey; /* all but Ed25519 */
};

void
pubkey_free(struct pubkey **k)
{
	if (!k || !*k)
		return;
	EVP_PKEY_free((*k)->pkey);
	free(*k);
	*k = NULL;
}

/* The one PEM block of a text, which must be SubjectPublicKeyInfo and nothing more. Not
 * PEM_read_bio_PUBKEY(): that one also takes what it can guess. */
static EVP_PKEY *
spki_from_pem(struct span pem)
{
	AUTO_BIO BIO *in = libcrypto_bio(pem);
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	const unsigned char *p;
	EVP_PKEY *pkey = NULL;
	long len = 0;

	if (in && PEM_read_bio(in, &name, &header, &der, &len) == 1) {
		p = der;
		if (strcmp(name, PEM_STRING_PUBLIC) == 0 && header[0] == 0)
			pkey = d2i_PUBKEY(NULL, &p, len);
		if (pkey && p != der + len) {
			EVP_PKEY_free(pkey);
			pkey = NULL;
		}
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	ERR_clear_error();
	return pkey;
}

/* A curve that is spelt out in numbers could be one that somebody chose; only the name will do. */
static bool
is_p256(const EVP_PKEY *pkey)
{
	char group[WORD_SIZE] = "";
	int is_explicit = 1;

	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) &&
	       strcmp(group, "prime256v1") == 0 &&
	       EVP_PKEY_get_int_param(
		       pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) &&
	       !is_explicit;
}

static bool
is_rsa(const EVP_PKEY *pkey)
{
	int bits = EVP_PKEY_get_bits(pkey);

	return EVP_PKEY_is_a(pkey, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

static int
material_parse(struct pubkey *k, const char *public, struct err *e)
{
	if (k->scheme == SCHEME_ED25519) {
		if (hex_decode(public, k->ed25519, sizeof(k->ed25519), e) < 0)
			return err_context(e, "an Ed25519 key");
		return 0;
	}
	k->pkey = spki_from_pem(span_str(public));
	if (!k->pkey)
		return err_set(e, ERR_MALFORMED, "not a public key in PEM (BEGIN PUBLIC KEY)");
	if (k->scheme == SCHEME_ECDSA_P256 && !is_p256(k->pkey))
		return err_set(e, ERR_MALFORMED, "not a key on the curve P-256");
	if (k->scheme != SCHEME_ECDSA_P256 && !is_rsa(k->pkey))
		return err_set(e, ERR_MALFORMED, "not an RSA key of %d to %d bits", RSA_BITS_MIN,
			RSA_BITS_MAX);
	return 0;
}

static int
scheme_find(const char *keytype, const char *scheme, enum scheme *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].keytype, keytype) == 0 &&
			strcmp(known[i].scheme, scheme) == 0) {
			*out = known[i].id;
			return 0;
		}
	}
	return err_set(e, ERR_MALFORMED, "a key of type '%.64s', scheme '%.64s' is not known here",
		keytype, scheme);
}

int
pubkey_parse(const json_t *key, struct pubkey **out, struct err *e)
{
	AUTO_PUBKEY struct pubkey *k = NULL;
	const char *keytype, *scheme, *public;
	json_t *keyval;
	enum scheme id = SCHEME_ED25519;

	if (json_get_string(key, "keytype", WORD_SIZE, &keytype, e) < 0 ||
		json_get_string(key, "scheme", WORD_SIZE, &scheme, e) < 0 ||
		json_get_object(key, "keyval", &keyval, e) < 0 ||
		scheme_find(keytype, scheme, &id, e) < 0 ||
		json_get_string(keyval, "public", KEY_FILE_MAX, &public, e) < 0)
		return -1;
	k = calloc(1, sizeof(*k));
	if (!k)
		return err_sys(e, ENOMEM, "reading a public key");
	k->scheme = id;
	if (material_parse(k, public, e) < 0)
		return -1;
	*out = TAKE_PTR(k);
	return 0;
}

bool
pubkey_equal(const struct pubkey *a, const struct pubkey *b)
{
	if (!a->pkey || !b->pkey)
		return !a->pkey && !b->pkey &&
		       memcmp(a->ed25519, b->ed25519, sizeof(a->ed25519)) == 0;
	return EVP_PKEY_eq(a->pkey, b->pkey) == 1;
}

static int
key_object(const char *keytype, const char *scheme, const char *public, json_t **out, struct err *e)
{
	json_t *made = json_pack("{s:s, s:s, s:{s:s}}", "keytype", keytype, "scheme", scheme,
		"keyval", "public", public);

	if (!made)
		return err_sys(e, ENOMEM, "writing a public key");
	*out = made;
	return 0;
}

int
pubkey_json_ed25519(const uint8_t raw[32], json_t **out, struct err *e)
{
	char hex[2 * crypto_sign_PUBLICKEYBYTES + 1];

	hex_encode(raw, crypto_sign_PUBLICKEYBYTES, hex);
	return key_object("ed25519", "ed25519", hex, out, e);
}

static int
ed25519_object(const EVP_PKEY *pkey, json_t **out, struct err *e)
{
	uint8_t raw[crypto_sign_PUBLICKEYBYTES];
	size_t len = sizeof(raw);

	if (EVP_PKEY_get_raw_public_key(pkey, raw, &len) != 1 || len != sizeof(raw))
		return libcrypto_err(e, ERR_MALFORMED, "an Ed25519 key");
	return pubkey_json_ed25519(raw, out, e);
}

/* Written anew, so that comments around the block do not change the key's id; and without the last
 * newline, as securesystemslib has it. */
static int
pem_object(EVP_PKEY *pkey, const char *keytype, const char *scheme, json_t **out, struct err *e)
{
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());
	AUTO_BUF struct buf text = BUF_INIT(KEY_FILE_MAX);

	if (!mem || PEM_write_bio_PUBKEY(mem, pkey) != 1)
		return libcrypto_err(e, ERR_SYSTEM, "writing a public key");
	if (libcrypto_take(mem, &text, e) < 0)
		return -1;
	if (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	return key_object(keytype, scheme, buf_str(&text), out, e);
}

int
pubkey_json_pem(struct span pem, json_t **out, struct err *e)
{
	AUTO_PKEY EVP_PKEY *pkey = spki_from_pem(pem);

	if (!pkey)
		return err_set(e, ERR_MALFORMED, "not a public key in PEM (BEGIN PUBLIC KEY)");
	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return ed25519_object(pkey, out, e);
	if (is_p256(pkey))
		return pem_object(pkey, "ecdsa", "ecdsa-sha2-nistp256", out, e);
	if (is_rsa(pkey))
		return pem_object(pkey, "rsa", "rsassa-pss-sha256", out, e);
	return err_set(e, ERR_MALFORMED,
		"a key of a kind that is not known here: Ed25519, ECDSA on P-256, or RSA of %d to "
		"%d bits",
		RSA_BITS_MIN, RSA_BITS_MAX);
}

int
pubkey_pem(struct span pem_or_der, struct buf *out, struct err *e)
{
	AUTO_PKEY EVP_PKEY *pkey = spki_from_pem(pem_or_der);
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());
	AUTO_JSON json_t *key = NULL;
	const unsigned char *p = pem_or_der.data;

	if (!pkey && pem_or_der.len > 0 && pem_or_der.len <= KEY_FILE_MAX)
		pkey = d2i_PUBKEY(NULL, &p, (long)pem_or_der.len);
	if (!pkey)
		return libcrypto_err(e, ERR_MALFORMED,
			"neither a public key in PEM (BEGIN PUBLIC KEY) nor in DER");
	if (!mem || PEM_write_bio_PUBKEY(mem, pkey) != 1)
		return libcrypto_err(e, ERR_SYSTEM, "writing a public key");
	if (libcrypto_take(mem, out, e) < 0)
		return -1;
	return pubkey_json_pem(buf_span(out), &key, e);
}

int
pubkey_id(const json_t *key, char out[DIGEST_HEX_SIZE], struct err *e)
{
	AUTO_BUF struct buf canonical = BUF_INIT(2 * KEY_FILE_MAX);
	struct digest d;

	if (json_canonical(key, &canonical, e) < 0)
		return err_context(e, "the id of a key");
	d = digest_of(buf_span(&canonical));
	(void)digest_hex(&d, out);
	return 0;
}

static bool
ed25519_verify(const struct pubkey *k, struct span message, struct span signature)
{
	secret_ready();
	return signature.len == crypto_sign_BYTES &&
	       crypto_sign_verify_detached(signature.data, message.data, message.len, k->ed25519) ==
		       0;
}

/* PSS with whatever salt length the signature has, as securesystemslib verifies it: signers differ
 * (as long as the digest, or as long as fits), and none of them is weaker. */
static bool
pkey_verify(const struct pubkey *k, struct span message, struct span signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options = NULL;
	bool good = ctx && EVP_DigestVerifyInit(ctx, &options, EVP_sha256(), NULL, k->pkey) == 1;

	if (good && k->scheme == SCHEME_RSA_PSS)
		good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) == 1;
	else if (good && k->scheme == SCHEME_RSA_PKCS1)
		good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) == 1;
	good = good &&
	       EVP_DigestVerify(ctx, signature.data, signature.len, message.data, message.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* False where the text is anything else. */
static bool
canonical_read(const char *text, struct pubkey *k)
{
	static const char head[] = "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"",
			  tail[] = "\"},\"scheme\":\"ed25519\"}";
	char hex[2 * crypto_sign_PUBLICKEYBYTES + 1];

	if (strncmp(text, head, sizeof(head) - 1) != 0 ||
		strlen(text) != sizeof(head) - 1 + sizeof(hex) - 1 + sizeof(tail) - 1 ||
		strcmp(text + sizeof(head) - 1 + sizeof(hex) - 1, tail) != 0)
		return false;
	memcpy(hex, text + sizeof(head) - 1, sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = 0;
	k->scheme = SCHEME_ED25519;
	return hex_decode(hex, k->ed25519, sizeof(k->ed25519), NULL) == 0;
}

int
pubkey_read(const char *text, struct pubkey **out, char id[DIGEST_HEX_SIZE], struct err *e)
{
	AUTO_PUBKEY struct pubkey *k = calloc(1, sizeof(*k));
	AUTO_JSON json_t *key = NULL;
	struct digest digest;

	if (!k)
		return err_sys(e, ENOMEM, "reading a public key");
	if (canonical_read(text, k)) {
		digest = digest_of(span_str(text));
		(void)digest_hex(&digest, id);
		*out = TAKE_PTR(k);
		return 0;
	}
	if (json_parse(span_str(text), "a public key", &key, e) < 0)
		return -1;
	return pubkey_id(key, id, e) < 0 ? -1 : pubkey_parse(key, out, e);
}

int
pubkey_verify(const struct pubkey *k, struct span message, struct span signature, struct err *e)
{
	bool good;

	if (!message.data)
		message.data = (const uint8_t *)"";
	if (signature.len == 0)
		good = false;
	else if (k->scheme == SCHEME_ED25519)
		good = ed25519_verify(k, message, signature);
	else
		good = pkey_verify(k, message, signature);
	return good ? 0 : err_set(e, ERR_UNTRUSTED, "the signature is not this key's");
}
