#include "common/crypto/hmac.h"

#include <sodium.h>

#include "common/crypto/secret.h"

_Static_assert(crypto_auth_hmacsha256_BYTES == DIGEST_BYTES, "an HMAC-SHA256 is a SHA-256 long");

struct digest
hmac_sha256(struct span key, const struct span *parts, size_t count)
{
	crypto_auth_hmacsha256_state state;
	struct digest d;

	secret_ready();
	(void)crypto_auth_hmacsha256_init(&state, key.data, key.len);
	for (size_t i = 0; i < count; i++)
		(void)crypto_auth_hmacsha256_update(&state, parts[i].data, parts[i].len);
	(void)crypto_auth_hmacsha256_final(&state, d.b);
	sodium_memzero(&state, sizeof(state));
	return d;
}
