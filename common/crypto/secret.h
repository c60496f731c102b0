/* Memory for secrets (libsodium): locked, behind guard pages, wiped when freed. */
#ifndef SLUICE_CRYPTO_SECRET_H
#define SLUICE_CRYPTO_SECRET_H

#include <stddef.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

/* Makes libsodium ready; every function of ours that needs it calls this by itself. Aborts the
 * program when the kernel gives no randomness. Any thread, any number of times. */
void secret_ready(void);

/* size zero bytes. Where the limit on locked memory (RLIMIT_MEMLOCK) is used up it is not locked,
 * but wiped all the same. ERR_SYSTEM without memory. */
int secret_new(size_t size, void **out, struct err *e);

/* Wipes and frees *(void **)p; NULL inside is allowed. */
void secret_free(void *p);
#define AUTO_SECRET CLEANUP(secret_free)

#endif
