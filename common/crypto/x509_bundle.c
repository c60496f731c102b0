/* Several certificates, or several keys, in one PEM text. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/crypto/libcrypto.h"
#include "common/crypto/x509.h"

/* The next certificate; *out NULL at the end. Other things in between are passed over. */
static int
cert_next(BIO *in, X509 **out, struct err *e)
{
	*out = PEM_read_bio_X509(in, NULL, libcrypto_no_passphrase, NULL);
	return *out || libcrypto_pem_ended()
		       ? 0
		       : libcrypto_err(e, ERR_MALFORMED, "reading certificates in PEM");
}

void
x509_bundle_free(struct x509_bundle *b)
{
	for (size_t i = 0; i < b->count; i++)
		buf_free(&b->certs[i]);
	b->count = 0;
}

static int
bundle_add(struct x509_bundle *b, X509 *cert, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(PEM_BYTES_MAX);
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());

	if (X509_check_ca(cert) != 1)
		return err_set(e, ERR_MALFORMED, "a certificate in it is not one of a CA");
	if (b->count == X509_BUNDLE_MAX)
		return err_set(e, ERR_LIMIT, "it has more than %d certificates", X509_BUNDLE_MAX);
	if (!mem || PEM_write_bio_X509(mem, cert) != 1)
		return libcrypto_err(e, ERR_SYSTEM, "writing a certificate");
	if (libcrypto_take(mem, &pem, e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		if (span_equal(buf_span(&b->certs[i]), buf_span(&pem)))
			return err_set(e, ERR_MALFORMED, "a certificate is in it twice");
	}
	b->certs[b->count++] = pem;
	pem = BUF_INIT(0);
	return 0;
}

int
x509_bundle_read(struct span pem, struct x509_bundle *out, struct err *e)
{
	AUTO_CAS struct x509_bundle b = {0};
	AUTO_BIO BIO *in = libcrypto_bio(pem);

	if (!in)
		return libcrypto_err(e, ERR_SYSTEM, "reading certificates");
	for (;;) {
		AUTO_CERT X509 *cert = NULL;

		if (cert_next(in, &cert, e) < 0)
			return -1;
		if (!cert)
			break;
		if (bundle_add(&b, cert, e) < 0)
			return -1;
	}
	if (b.count == 0)
		return err_set(e, ERR_MALFORMED, "there is no certificate in it");
	*out = b;
	b.count = 0;
	return 0;
}

int
x509_find_issuer(struct span cas_pem, struct span cert_pem, size_t *which, struct err *e)
{
	AUTO_BIO BIO *in = libcrypto_bio(cas_pem);
	AUTO_CERT X509 *cert = NULL;

	if (!in || libcrypto_cert(cert_pem, &cert, e) < 0)
		return in ? -1 : libcrypto_err(e, ERR_SYSTEM, "reading certificates");
	for (size_t i = 0;; i++) {
		AUTO_CERT X509 *ca = NULL;

		if (cert_next(in, &ca, e) < 0)
			return -1;
		if (!ca)
			return err_set(e, ERR_UNTRUSTED, "no CA that is known signed it");
		if (X509_verify(cert, X509_get0_pubkey(ca)) == 1) {
			*which = i;
			return 0;
		}
		ERR_clear_error();
	}
}

int
x509_find_key(struct span keys_pem, struct span cert_pem, struct buf *key_pem, struct err *e)
{
	AUTO_BIO BIO *in = libcrypto_bio(keys_pem), *mem = BIO_new(BIO_s_mem());
	AUTO_CERT X509 *cert = NULL;

	if (!in || !mem)
		return libcrypto_err(e, ERR_SYSTEM, "reading keys");
	if (libcrypto_cert(cert_pem, &cert, e) < 0)
		return -1;
	for (;;) {
		AUTO_PKEY EVP_PKEY *key =
			PEM_read_bio_PrivateKey(in, NULL, libcrypto_no_passphrase, NULL);

		if (!key) {
			ERR_clear_error();
			return err_set(e, ERR_UNTRUSTED, "there is no key of this certificate");
		}
		if (X509_check_private_key(cert, key) != 1) {
			ERR_clear_error();
			continue;
		}
		if (PEM_write_bio_PKCS8PrivateKey(mem, key, NULL, NULL, 0, NULL, NULL) != 1)
			return libcrypto_err(e, ERR_SYSTEM, "writing a private key");
		return libcrypto_take(mem, key_pem, e);
	}
}

int
x509_fingerprint(struct span cert_pem, struct digest *out, struct err *e)
{
	AUTO_CERT X509 *cert = NULL;
	unsigned char *der = NULL;
	int len;

	if (libcrypto_cert(cert_pem, &cert, e) < 0)
		return -1;
	len = i2d_X509(cert, &der);
	if (len <= 0)
		return libcrypto_err(e, ERR_SYSTEM, "encoding a certificate");
	*out = digest_of(span_of(der, (size_t)len));
	OPENSSL_free(der);
	return 0;
}
