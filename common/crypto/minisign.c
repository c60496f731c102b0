#include "common/crypto/minisign.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/random.h"
#include "common/crypto/secret.h"
#include "common/limits.h"

/* Where things are in a secret key's record; everything from AT_ID on is encrypted. */
enum {
	AT_SIG_ALG = 0,
	AT_KDF_ALG = 2,
	AT_CHK_ALG = 4,
	AT_SALT = 6,
	AT_OPSLIMIT = 38,
	AT_MEMLIMIT = 46,
	AT_ID = 54,
	AT_SK = 62,
	AT_CHECKSUM = 126,
	CHECKSUM_BYTES = 32,
	SEALED_BYTES = MINISIGN_RECORD_BYTES - AT_ID,
};

_Static_assert(AT_CHECKSUM + CHECKSUM_BYTES == MINISIGN_RECORD_BYTES, "the record's layout");
_Static_assert(AT_OPSLIMIT - AT_SALT == crypto_pwhash_scryptsalsa208sha256_SALTBYTES, "the salt");
_Static_assert(AT_CHECKSUM - AT_SK == crypto_sign_SECRETKEYBYTES, "the secret key");

/* And in a public key's. */
enum { AT_PUBLIC_ID = 2, AT_PUBLIC_PK = 10, PUBLIC_BYTES = 42 };

enum { ALG_BYTES = 2 };
static const uint8_t sig_ed25519[ALG_BYTES] = "Ed", kdf_scrypt[ALG_BYTES] = "Sc",
		     kdf_none[ALG_BYTES] = {0}, chk_blake2b[ALG_BYTES] = "B2";

#define COMMENT "untrusted comment: "

/* scrypt with N = 2^16, r = 8, p = 2: 64 MiB, so that a small build machine can unlock a key, and
 * twice the rounds for what memory gives up against minisign's default. */
#define OPSLIMIT_WRITTEN 4194304ULL
#define MEMLIMIT_WRITTEN (64ULL << 20)

/* The Base64 line behind the comment, as exactly size bytes. */
static int
record_decode(const char *text, uint8_t *out, size_t size, const char *what, struct err *e)
{
	const char *line = strchr(text, '\n'), *end, *stopped;
	size_t len = 0;

	if (strncmp(text, COMMENT, sizeof(COMMENT) - 1) != 0 || !line)
		return err_set(e, ERR_MALFORMED, "not a minisign %s file", what);
	line++;
	end = line + strcspn(line, "\r\n");
	if (end[strspn(end, "\r\n")] != 0)
		return err_set(e, ERR_MALFORMED, "there is more after the key");
	if (sodium_base642bin(out, size, line, (size_t)(end - line), NULL, &len, &stopped,
		    sodium_base64_VARIANT_ORIGINAL) != 0 ||
		stopped != end || len != size)
		return err_set(e, ERR_MALFORMED, "not a minisign %s: %zu bytes in Base64 expected",
			what, size);
	return 0;
}

bool
minisign_record_encrypted(const struct minisign_record *r)
{
	return memcmp(r->b + AT_KDF_ALG, kdf_scrypt, ALG_BYTES) == 0;
}

static int
limits_check(const struct minisign_record *r, struct err *e)
{
	uint64_t ops = num_get_le64(r->b + AT_OPSLIMIT), mem = num_get_le64(r->b + AT_MEMLIMIT);

	if (ops > KDF_OPS_MAX || mem > KDF_BYTES_MAX)
		return err_set(e, ERR_LIMIT,
			"its passphrase would take %" PRIu64 " operations and %" PRIu64
			" bytes of memory, more than minisign's own %llu and %llu",
			ops, mem, KDF_OPS_MAX, KDF_BYTES_MAX);
	return 0;
}

int
minisign_record_parse(const char *text, struct minisign_record *out, struct err *e)
{
	if (record_decode(text, out->b, sizeof(out->b), "secret key", e) < 0)
		return -1;
	if (memcmp(out->b + AT_SIG_ALG, sig_ed25519, ALG_BYTES) != 0)
		return err_set(e, ERR_MALFORMED, "not an Ed25519 key");
	if (memcmp(out->b + AT_CHK_ALG, chk_blake2b, ALG_BYTES) != 0)
		return err_set(e, ERR_MALFORMED, "its checksum is of a kind that is not known");
	if (minisign_record_encrypted(out))
		return limits_check(out, e);
	if (memcmp(out->b + AT_KDF_ALG, kdf_none, ALG_BYTES) != 0)
		return err_set(e, ERR_MALFORMED, "encrypted in a way that is not known");
	return 0;
}

/* Encrypts or decrypts, which is the same: XOR with what scrypt makes of the passphrase. */
static int
record_crypt(struct minisign_record *r, const char *pass, struct err *e)
{
	AUTO_SECRET void *memory = NULL;
	uint8_t *stream;

	if (secret_new(SEALED_BYTES, &memory, e) < 0)
		return -1;
	stream = memory;
	if (crypto_pwhash_scryptsalsa208sha256(stream, SEALED_BYTES, pass, strlen(pass),
		    r->b + AT_SALT, num_get_le64(r->b + AT_OPSLIMIT),
		    num_get_le64(r->b + AT_MEMLIMIT)) != 0)
		return err_sys(e, errno ? errno : ENOMEM,
			"%" PRIu64 " MiB for the key's passphrase",
			num_get_le64(r->b + AT_MEMLIMIT) >> 20);
	for (size_t i = 0; i < SEALED_BYTES; i++)
		r->b[AT_ID + i] ^= stream[i];
	return 0;
}

/* Over the algorithm, the key number and the key; minisign checks the same. */
static void
checksum_of(const struct minisign_record *r, uint8_t out[CHECKSUM_BYTES])
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, NULL, 0, CHECKSUM_BYTES);
	(void)crypto_generichash_update(&state, r->b + AT_SIG_ALG, ALG_BYTES);
	(void)crypto_generichash_update(&state, r->b + AT_ID, AT_CHECKSUM - AT_ID);
	(void)crypto_generichash_final(&state, out, CHECKSUM_BYTES);
	sodium_memzero(&state, sizeof(state));
}

/* minisign -W leaves the checksum of a key in the clear at zero. */
static int
checksum_check(const struct minisign_record *r, bool encrypted, struct err *e)
{
	uint8_t sum[CHECKSUM_BYTES];

	if (!encrypted && sodium_is_zero(r->b + AT_CHECKSUM, CHECKSUM_BYTES))
		return 0;
	checksum_of(r, sum);
	if (sodium_memcmp(sum, r->b + AT_CHECKSUM, CHECKSUM_BYTES) == 0)
		return 0;
	if (encrypted)
		return err_set(e, ERR_REFUSED, "the passphrase is wrong");
	return err_set(e, ERR_MALFORMED, "the key is damaged: it does not fit its checksum");
}

/* A public half that is not the seed's would give the seed away with the first signature. */
static int
halves_check(const struct minisign_record *r, struct err *e)
{
	AUTO_SECRET void *memory = NULL;
	uint8_t pk[MINISIGN_PK_BYTES];

	if (secret_new(MINISIGN_SK_BYTES, &memory, e) < 0)
		return -1;
	(void)crypto_sign_seed_keypair(pk, memory, r->b + AT_SK);
	if (sodium_memcmp(memory, r->b + AT_SK, MINISIGN_SK_BYTES) != 0)
		return err_set(e, ERR_MALFORMED,
			"the key is damaged: its halves do not belong "
			"together");
	return 0;
}

int
minisign_record_open(struct minisign_record *r, const char *pass, struct seckey *out, struct err *e)
{
	bool encrypted = minisign_record_encrypted(r);

	if ((encrypted && record_crypt(r, pass, e) < 0) || checksum_check(r, encrypted, e) < 0 ||
		halves_check(r, e) < 0)
		return -1;
	memcpy(out->id, r->b + AT_ID, sizeof(out->id));
	memcpy(out->sk, r->b + AT_SK, sizeof(out->sk));
	return 0;
}

int
minisign_record_seal(
	const struct seckey *k, const char *pass, struct minisign_record *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->b + AT_SIG_ALG, sig_ed25519, ALG_BYTES);
	memcpy(out->b + AT_CHK_ALG, chk_blake2b, ALG_BYTES);
	memcpy(out->b + AT_ID, k->id, sizeof(k->id));
	memcpy(out->b + AT_SK, k->sk, sizeof(k->sk));
	checksum_of(out, out->b + AT_CHECKSUM);
	if (!pass)
		return 0;
	memcpy(out->b + AT_KDF_ALG, kdf_scrypt, ALG_BYTES);
	random_bytes(out->b + AT_SALT, AT_OPSLIMIT - AT_SALT);
	num_put_le64(out->b + AT_OPSLIMIT, OPSLIMIT_WRITTEN);
	num_put_le64(out->b + AT_MEMLIMIT, MEMLIMIT_WRITTEN);
	return record_crypt(out, pass, e);
}

/* Puts the Base64 of a record, and a newline, behind the comment that is in out already. */
static void
text_finish(char out[MINISIGN_TEXT_SIZE], int used, const uint8_t *record, size_t size)
{
	size_t at = (size_t)used;

	(void)sodium_bin2base64(
		out + at, MINISIGN_TEXT_SIZE - at, record, size, sodium_base64_VARIANT_ORIGINAL);
	at += strlen(out + at);
	(void)snprintf(out + at, MINISIGN_TEXT_SIZE - at, "\n");
}

void
minisign_record_text(const struct minisign_record *r, char out[MINISIGN_TEXT_SIZE])
{
	int used = snprintf(out, MINISIGN_TEXT_SIZE, COMMENT "sluice %s secret key\n",
		minisign_record_encrypted(r) ? "encrypted" : "unencrypted");

	text_finish(out, used, r->b, sizeof(r->b));
}

int
minisign_public_parse(const char *text, uint8_t pk[MINISIGN_PK_BYTES], struct err *e)
{
	uint8_t record[PUBLIC_BYTES];

	if (record_decode(text, record, sizeof(record), "public key", e) < 0)
		return -1;
	if (memcmp(record, sig_ed25519, ALG_BYTES) != 0)
		return err_set(e, ERR_MALFORMED, "not an Ed25519 key");
	memcpy(pk, record + AT_PUBLIC_PK, MINISIGN_PK_BYTES);
	return 0;
}

void
minisign_public_text(const struct seckey *k, char out[MINISIGN_TEXT_SIZE])
{
	uint8_t record[PUBLIC_BYTES];
	int used = snprintf(out, MINISIGN_TEXT_SIZE, COMMENT "minisign public key %016" PRIX64 "\n",
		num_get_le64(k->id));

	memcpy(record, sig_ed25519, ALG_BYTES);
	memcpy(record + AT_PUBLIC_ID, k->id, sizeof(k->id));
	memcpy(record + AT_PUBLIC_PK, k->sk + MINISIGN_SK_BYTES - MINISIGN_PK_BYTES,
		MINISIGN_PK_BYTES);
	text_finish(out, used, record, sizeof(record));
}
