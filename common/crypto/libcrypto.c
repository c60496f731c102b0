#include "common/crypto/libcrypto.h"

#include <limits.h>
#include <openssl/err.h>

BIO *
libcrypto_bio(struct span bytes)
{
	if (bytes.len > INT_MAX)
		return NULL;
	return BIO_new_mem_buf(bytes.data ? (const void *)bytes.data : "", (int)bytes.len);
}

int
libcrypto_take(BIO *mem, struct buf *out, struct err *e)
{
	char *data = NULL;
	long len = BIO_get_mem_data(mem, &data);

	return buf_append(out, data, len > 0 ? (size_t)len : 0, e);
}

int
libcrypto_err(struct err *e, enum err_class class, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(e, class, "%s: %s", what, reason ? reason : "libcrypto gives no reason");
}
