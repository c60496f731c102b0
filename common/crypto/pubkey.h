/* Public keys as TUF writes them, and checking one signature with one key. */
#ifndef SLUICE_CRYPTO_PUBKEY_H
#define SLUICE_CRYPTO_PUBKEY_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"

/* An Ed25519, ECDSA P-256 or RSA public key. Owned by whoever parsed it. */
struct pubkey;

void pubkey_free(struct pubkey **k);
#define AUTO_PUBKEY CLEANUP(pubkey_free)

/* From a TUF KEY object (TUF 1.0.34 section 4.2.2): keytype, scheme, keyval.public. Keytype and
 * scheme known here: ed25519/ed25519; ecdsa or ecdsa-sha2-nistp256 with ecdsa-sha2-nistp256;
 * rsa with rsassa-pss-sha256 or rsa-pkcs1v15-sha256 (2048 to 8192 bits). A type or scheme not known
 * is ERR_MALFORMED: the caller decides whether the key may simply not count. */
int pubkey_parse(const json_t *key, struct pubkey **out, struct err *e);

/* Whether both are the same key, whatever their schemes say: it is the key that counts once. */
bool pubkey_equal(const struct pubkey *a, const struct pubkey *b);

/* The TUF KEY object of an Ed25519 key, or of a PEM public key file's text (an RSA key gets the
 * scheme rsassa-pss-sha256). The caller owns *out. */
int pubkey_json_ed25519(const uint8_t raw[32], json_t **out, struct err *e);
int pubkey_json_pem(struct span pem, json_t **out, struct err *e);

/* Appends the PEM text of a public key (SubjectPublicKeyInfo, of the kinds above) in PEM or DER. */
int pubkey_pem(struct span pem_or_der, struct buf *out, struct err *e);

/* SHA-256 of the canonical JSON of a KEY object: its key id, in hexadecimal. */
int pubkey_id(const json_t *key, char out[DIGEST_HEX_SIZE], struct err *e);

/* Both from a KEY object's text. Of an Ed25519 key in canonical form, as the fleet's are kept, no
 * JSON is parsed: a watch does this for each report. */
int pubkey_read(const char *text, struct pubkey **out, char id[DIGEST_HEX_SIZE], struct err *e);

/* Whether signature is this key's over message. 0, or -1 with ERR_UNTRUSTED. */
int pubkey_verify(
	const struct pubkey *k, struct span message, struct span signature, struct err *e);

#endif
