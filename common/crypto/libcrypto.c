#include "common/crypto/libcrypto.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

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

int
libcrypto_no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

bool
libcrypto_pem_ended(void)
{
	unsigned long why = ERR_peek_last_error();

	if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

int
libcrypto_cert(struct span pem, X509 **out, struct err *e)
{
	AUTO_BIO BIO *in = libcrypto_bio(pem);
	X509 *cert = in ? PEM_read_bio_X509(in, NULL, libcrypto_no_passphrase, NULL) : NULL;

	if (!cert)
		return libcrypto_err(e, ERR_MALFORMED, "reading a certificate in PEM");
	*out = cert;
	return 0;
}

int
libcrypto_csr(struct span pem, X509_REQ **out, struct err *e)
{
	AUTO_BIO BIO *in = libcrypto_bio(pem);
	X509_REQ *csr = in ? PEM_read_bio_X509_REQ(in, NULL, libcrypto_no_passphrase, NULL) : NULL;

	if (!csr)
		return libcrypto_err(
			e, ERR_MALFORMED, "reading a certificate signing request in PEM");
	*out = csr;
	return 0;
}
