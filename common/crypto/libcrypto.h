/* What common/crypto/'s own files share around OpenSSL. Not for other rooms. */
#ifndef SLUICE_CRYPTO_LIBCRYPTO_H
#define SLUICE_CRYPTO_LIBCRYPTO_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

#define AUTO_BIO CLEANUP(libcrypto_bio_free)
#define AUTO_PKEY CLEANUP(libcrypto_pkey_free)
#define AUTO_CERT CLEANUP(libcrypto_cert_free)
#define AUTO_CRL CLEANUP(libcrypto_crl_free)
#define AUTO_CSR CLEANUP(libcrypto_csr_free)

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

static inline void
libcrypto_cert_free(X509 **cert)
{
	X509_free(*cert);
}

static inline void
libcrypto_crl_free(X509_CRL **crl)
{
	X509_CRL_free(*crl);
}

static inline void
libcrypto_csr_free(X509_REQ **csr)
{
	X509_REQ_free(*csr);
}

/* A BIO that reads bytes (borrowed); NULL without memory or for more than INT_MAX bytes. */
BIO *libcrypto_bio(struct span bytes);

/* Appends what was written to a memory BIO. */
int libcrypto_take(BIO *mem, struct buf *out, struct err *e);

/* A pem_password_cb that has none: OpenSSL's own would ask the terminal. */
int libcrypto_no_passphrase(char *buf, int size, int rwflag, void *arg);

/* Whether a PEM_read_bio_* that read nothing came to the end: OpenSSL's queue is empty then. */
bool libcrypto_pem_ended(void);

/* Reads a certificate in PEM (the first of several). The caller owns *out. */
int libcrypto_cert(struct span pem, X509 **out, struct err *e);

/* The same of a certificate signing request, whose signature is not looked at. */
int libcrypto_csr(struct span pem, X509_REQ **out, struct err *e);

/* err_set with OpenSSL's own reason behind the message; empties OpenSSL's queue of errors, which
 * the next user of this thread would take for its own. Always -1. */
int libcrypto_err(struct err *e, enum err_class class, const char *what);

#endif
