/* Reading certificates and CRLs that are there already. */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/base/num.h"
#include "common/crypto/libcrypto.h"
#include "common/crypto/x509.h"
#include "common/limits.h"

enum { NAME_BYTES = 64 }; /* as in x509.c, of RFC 5280 */

static int
serial_get(const X509 *cert, char out[65], struct err *e)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	uint8_t raw[X509_SERIAL_BYTES_MAX];
	int len;

	if (!n || BN_is_zero(n) || BN_is_negative(n) || BN_num_bytes(n) > X509_SERIAL_BYTES_MAX) {
		BN_free(n);
		return err_set(e, ERR_LIMIT, "its serial number is not 1 to 20 bytes long");
	}
	len = BN_bn2bin(n, raw);
	BN_free(n);
	hex_encode(raw, (size_t)len, out);
	return 0;
}

static int
common_name_get(const X509_NAME *subject, char out[65], struct err *e)
{
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	int len, rc = 0;

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return err_set(e, ERR_MALFORMED, "it has not exactly one common name (CN)");
	len = ASN1_STRING_to_UTF8(
		&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len < 0)
		return libcrypto_err(e, ERR_MALFORMED, "its common name");
	if (len > NAME_BYTES)
		rc = err_set(e, ERR_LIMIT, "its common name is longer than %d bytes", NAME_BYTES);
	else if (memchr(text, 0, (size_t)len))
		rc = err_set(e, ERR_MALFORMED, "its common name has a zero byte in it");
	else
		memcpy(out, text, (size_t)len);
	if (rc == 0)
		out[len] = 0;
	OPENSSL_free(text);
	return rc;
}

static int
time_get(const ASN1_TIME *t, int64_t *out_s, struct err *e)
{
	struct tm tm = {0};

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return libcrypto_err(e, ERR_MALFORMED, "its dates");
	*out_s = (int64_t)timegm(&tm);
	return 0;
}

int
x509_info(struct span cert_pem, struct x509_info *out, struct err *e)
{
	AUTO_CERT X509 *cert = NULL;
	struct x509_info info = {0};

	if (libcrypto_cert(cert_pem, &cert, e) < 0)
		return -1;
	if (serial_get(cert, info.serial, e) < 0 ||
		common_name_get(X509_get_subject_name(cert), info.name, e) < 0 ||
		time_get(X509_get0_notBefore(cert), &info.from_s, e) < 0 ||
		time_get(X509_get0_notAfter(cert), &info.until_s, e) < 0)
		return err_context(e, "the certificate");
	*out = info;
	return 0;
}

int
x509_csr_name(struct span csr_pem, char out[65], struct err *e)
{
	AUTO_CSR X509_REQ *csr = NULL;

	if (libcrypto_csr(csr_pem, &csr, e) < 0)
		return -1;
	if (common_name_get(X509_REQ_get_subject_name(csr), out, e) < 0)
		return err_context(e, "the certificate signing request");
	return 0;
}

static int
dates_get(const ASN1_TIME *from, const ASN1_TIME *until, struct x509_dates *out, struct err *e)
{
	struct x509_dates d;

	if (!until)
		return err_set(e, ERR_MALFORMED, "it does not say when it ends");
	if (time_get(from, &d.from_s, e) < 0 || time_get(until, &d.until_s, e) < 0)
		return -1;
	*out = d;
	return 0;
}

int
x509_cert_dates(struct span cert_pem, struct x509_dates *out, struct err *e)
{
	AUTO_CERT X509 *cert = NULL;

	if (libcrypto_cert(cert_pem, &cert, e) < 0)
		return -1;
	return dates_get(X509_get0_notBefore(cert), X509_get0_notAfter(cert), out, e);
}

int
x509_check_issuer(struct span ca_cert_pem, struct span cert_pem, struct err *e)
{
	AUTO_CERT X509 *ca = NULL, *cert = NULL;

	if (libcrypto_cert(ca_cert_pem, &ca, e) < 0 || libcrypto_cert(cert_pem, &cert, e) < 0)
		return -1;
	if (X509_verify(cert, X509_get0_pubkey(ca)) != 1)
		return libcrypto_err(e, ERR_UNTRUSTED, "the CA did not sign it");
	return 0;
}

/* The next CRL; *out NULL at the end. */
static int
crl_next(BIO *in, X509_CRL **out, struct err *e)
{
	*out = PEM_read_bio_X509_CRL(in, NULL, libcrypto_no_passphrase, NULL);
	return *out || libcrypto_pem_ended()
		       ? 0
		       : libcrypto_err(e, ERR_MALFORMED, "reading CRLs in PEM");
}

/* Which of the CAs signed it; their number where none did. */
static int
crl_issuer(const struct x509_bundle *cas, X509_CRL *crl, size_t *which, struct err *e)
{
	for (*which = 0; *which < cas->count; (*which)++) {
		AUTO_CERT X509 *ca = NULL;

		if (libcrypto_cert(buf_span(&cas->certs[*which]), &ca, e) < 0)
			return -1;
		if (X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
			return 0;
		ERR_clear_error();
	}
	return 0;
}

static int
crl_count(const struct x509_bundle *cas, X509_CRL *crl, bool *has, struct x509_dates *all,
	struct err *e)
{
	struct x509_dates d;
	size_t which;

	if (crl_issuer(cas, crl, &which, e) < 0)
		return -1;
	if (which == cas->count)
		return 0;
	if (dates_get(X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl), &d, e) < 0)
		return -1;
	has[which] = true;
	all->from_s = d.from_s > all->from_s ? d.from_s : all->from_s;
	all->until_s = d.until_s < all->until_s ? d.until_s : all->until_s;
	return 0;
}

int
x509_crls_check(
	const struct x509_bundle *cas, struct span crls_pem, struct x509_dates *out, struct err *e)
{
	struct x509_dates all = {INT64_MIN, INT64_MAX};
	AUTO_BIO BIO *in = libcrypto_bio(crls_pem);
	bool has[X509_BUNDLE_MAX] = {false};

	if (!in)
		return libcrypto_err(e, ERR_SYSTEM, "reading CRLs");
	for (;;) {
		AUTO_CRL X509_CRL *crl = NULL;

		if (crl_next(in, &crl, e) < 0)
			return -1;
		if (!crl)
			break;
		if (crl_count(cas, crl, has, &all, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < cas->count; i++) {
		if (!has[i])
			return err_set(e, ERR_UNTRUSTED, "a CA has signed no CRL in it");
	}
	*out = all;
	return 0;
}
