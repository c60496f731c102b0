/* minisign's key files, text ↔ key (https://jedisct1.github.io/minisign/): a line of comment, then
 * a record in Base64. For common/crypto/ only; others use seckey.h. */
#ifndef SLUICE_CRYPTO_MINISIGN_H
#define SLUICE_CRYPTO_MINISIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum {
	MINISIGN_ID_BYTES = 8,
	MINISIGN_SK_BYTES = 64,
	MINISIGN_PK_BYTES = 32,
	MINISIGN_RECORD_BYTES = 158,
	MINISIGN_TEXT_SIZE = 512, /* what we write, with its comment and a zero byte */
};

/* Lives in secret memory (secret.h) only. */
struct seckey {
	uint8_t id[MINISIGN_ID_BYTES];
	uint8_t sk[MINISIGN_SK_BYTES]; /* seed, then public key, as libsodium has it */
};

/* What a secret key file holds. In secret memory too: it is not always encrypted. */
struct minisign_record {
	uint8_t b[MINISIGN_RECORD_BYTES];
};

/* Reads a secret key file's text, and checks algorithms and KDF limits (see seckey_load). */
int minisign_record_parse(const char *text, struct minisign_record *out, struct err *e);
bool minisign_record_encrypted(const struct minisign_record *r);

/* Record → key, decrypting in place where it is encrypted (pass is not read where it is not).
 * ERR_REFUSED for a wrong passphrase, ERR_MALFORMED for a key that does not fit its checksum. */
int minisign_record_open(
	struct minisign_record *r, const char *pass, struct seckey *out, struct err *e);

/* Key → record, encrypted unless pass is NULL. */
int minisign_record_seal(
	const struct seckey *k, const char *pass, struct minisign_record *out, struct err *e);

/* The file for a record. */
void minisign_record_text(const struct minisign_record *r, char out[MINISIGN_TEXT_SIZE]);

/* The same for public key files. */
int minisign_public_parse(const char *text, uint8_t pk[MINISIGN_PK_BYTES], struct err *e);
void minisign_public_text(const struct seckey *k, char out[MINISIGN_TEXT_SIZE]);

#endif
