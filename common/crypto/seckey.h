/* Ed25519 secret keys in minisign's file format, and signing with them or with an outside command.
 * Format: minisign 0.11 (https://jedisct1.github.io/minisign/), "Secret key format". */
#ifndef SLUICE_CRYPTO_SECKEY_H
#define SLUICE_CRYPTO_SECKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"

/* In locked memory, wiped when freed. */
struct seckey;

void seckey_free(struct seckey **k);
#define AUTO_SECKEY CLEANUP(seckey_free)

/* Makes a new key. */
int seckey_new(struct seckey **out, struct err *e);

/* Reads a minisign secret key file (its mode may give group and others nothing: ERR_REFUSED). An
 * encrypted one asks for its passphrase by ask(arg, path, ...), which fills pass (PASSPHRASE_MAX +
 * 1 bytes of locked memory) with a C string; it is not called for a key that is not encrypted. KDF
 * limits over minisign's own defaults (opslimit 33554432, memlimit 1 GiB) are ERR_LIMIT. A wrong
 * passphrase is ERR_REFUSED. */
typedef int seckey_ask_fn(void *arg, const char *path, char *pass, struct err *e);
int seckey_load(
	const char *path, seckey_ask_fn *ask, void *arg, struct seckey **out, struct err *e);

/* Whether a secret key file has a passphrase, by its looks: nothing is decrypted. Errors as for
 * seckey_load. */
int seckey_is_encrypted(const char *path, bool *encrypted, struct err *e);

/* Writes path (O_EXCL, 0600): encrypted with scrypt at a 64 MiB memlimit, or in the clear for a
 * NULL pass; the checksum is written in both cases. */
int seckey_save(const struct seckey *k, const char *path, const char *pass, struct err *e);

/* Writes the public half as a minisign public key file (0644, O_EXCL). */
int seckey_save_public(const struct seckey *k, const char *path, struct err *e);

void seckey_public(const struct seckey *k, uint8_t out[32]);

/* minisign's own random key number, which its files carry. */
uint64_t seckey_minisign_id(const struct seckey *k);

/* Signs bytes (pure Ed25519, RFC 8032). */
int seckey_sign(const struct seckey *k, struct span message, uint8_t signature[64], struct err *e);

/* Reads a minisign public key file, or a PEM public key (P-256, RSA, Ed25519), into a TUF KEY
 * object's JSON (see pubkey.h). */
int pubkey_file_load(const char *path, json_t **out, struct err *e);

/* Something that signs: a secret key in memory, or a command (--sign-with) whose standard input
 * gets the exact bytes and whose standard output is the signature by the KEY object `key`, in a
 * form that answer.h knows. The command may ask its user at the terminal. */
struct signer {
	const struct seckey *seckey; /* or NULL */
	const char *command;	     /* or NULL; split at blanks, run without a shell */
	const json_t *key;	     /* the public half as a TUF KEY object; borrowed */
	char keyid[65];
};

/* Appends the raw signature of message to out, having checked that it verifies under s->key. */
int signer_sign(const struct signer *s, struct span message, struct buf *out, struct err *e);

#endif
