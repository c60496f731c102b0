/* minisign's key files, text ↔ key (https://jedisct1.github.io/minisign/). For seckey.c. */
#ifndef SLUICE_CRYPTO_MINISIGN_H
#define SLUICE_CRYPTO_MINISIGN_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/crypto/seckey.h"

enum { MINISIGN_ID_BYTES = 8, MINISIGN_SK_BYTES = 64, MINISIGN_PK_BYTES = 32 };

/* Lives in secret memory (secret.h) only. */
struct seckey {
	uint8_t id[MINISIGN_ID_BYTES];
	uint8_t sk[MINISIGN_SK_BYTES]; /* seed, then public key, as libsodium has it */
};

#endif
