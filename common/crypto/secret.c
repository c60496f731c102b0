#include "common/crypto/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void
secret_ready(void)
{
	if (sodium_init() < 0)
		abort();
}

int
secret_new(size_t size, void **out, struct err *e)
{
	void *p;

	secret_ready();
	p = sodium_malloc(size);
	if (!p)
		return err_sys(e, ENOMEM, "locking %zu bytes of memory for a secret", size);
	memset(p, 0, size);
	*out = p;
	return 0;
}

void
secret_free(void *p)
{
	sodium_free(*(void **)p);
}
