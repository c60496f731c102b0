#include "common/crypto/seckey.h"

#include <sodium.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/minisign.h"
#include "common/crypto/random.h"
#include "common/crypto/secret.h"

void
seckey_free(struct seckey **k)
{
	if (!k)
		return;
	secret_free(k);
	*k = NULL;
}

int
seckey_new(struct seckey **out, struct err *e)
{
	uint8_t pk[MINISIGN_PK_BYTES];
	struct seckey *k;
	void *memory;

	if (secret_new(sizeof(*k), &memory, e) < 0)
		return -1;
	k = memory;
	random_bytes(k->id, sizeof(k->id));
	(void)crypto_sign_keypair(pk, k->sk);
	*out = k;
	return 0;
}

void
seckey_public(const struct seckey *k, uint8_t out[32])
{
	memcpy(out, k->sk + MINISIGN_SK_BYTES - MINISIGN_PK_BYTES, MINISIGN_PK_BYTES);
}

uint64_t
seckey_minisign_id(const struct seckey *k)
{
	return num_get_le64(k->id);
}

int
seckey_sign(const struct seckey *k, struct span message, uint8_t signature[64], struct err *e)
{
	if (crypto_sign_detached(signature, NULL, message.data, message.len, k->sk) != 0)
		return err_set(e, ERR_SYSTEM, "signing failed");
	return 0;
}
