/* What common/crypto/'s own files share around OpenSSL. Not for other rooms. */
#ifndef SLUICE_CRYPTO_LIBCRYPTO_H
#define SLUICE_CRYPTO_LIBCRYPTO_H

#include <openssl/bio.h>
#include <openssl/evp.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

#define AUTO_BIO CLEANUP(libcrypto_bio_free)
#define AUTO_PKEY CLEANUP(libcrypto_pkey_free)

static inline void
libcrypto_bio_free(BIO **bio)
{
	(void)BIO_free(*bio);
}

static inline void
libcrypto_pkey_free(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

/* A BIO that reads bytes (borrowed); NULL without memory or for more than INT_MAX bytes. */
BIO *libcrypto_bio(struct span bytes);

/* Appends what was written to a memory BIO. */
int libcrypto_take(BIO *mem, struct buf *out, struct err *e);

/* err_set with OpenSSL's own reason behind the message; empties OpenSSL's queue of errors, which
 * the next user of this thread would take for its own. Always -1. */
int libcrypto_err(struct err *e, enum err_class class, const char *what);

#endif
