/* Certificates: a fleet's CA, boxes' and servers' certificates, the CRL (libcrypto; RFC 5280). */
#ifndef SLUICE_CRYPTO_X509_H
#define SLUICE_CRYPTO_X509_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/limits.h"

/* All keys made here are EC P-256, all output is PEM, all times are seconds since 1970 and come
 * from the caller. Serial numbers are 128 random bits. */

/* A new private key (PKCS#8 PEM, not encrypted: the caller keeps it 0600). */
int x509_key_new(struct buf *key_pem, struct err *e);

/* A self-signed CA certificate for key: CA:TRUE, pathlen 0, keyCertSign and cRLSign. */
int x509_ca_new(struct span key_pem, const char *common_name, int64_t from_s, int64_t until_s,
	struct buf *cert_pem, struct err *e);

enum x509_use { X509_CLIENT, X509_SERVER };

/* A certificate by the CA for the holder of key_pem (a private or public key in PEM): CN = name,
 * for servers also subjectAltName (dns or an IP address, each of names[]). */
struct x509_request {
	enum x509_use use;
	const char *name;
	const char *const *alt_names; /* NULL-terminated; NULL for clients */
	int64_t from_s, until_s;
};
int x509_issue(struct span ca_cert_pem, struct span ca_key_pem, struct span key_pem,
	const struct x509_request *r, struct buf *cert_pem, struct err *e);

/* The public key of a certificate signing request whose own signature is good (else ERR_UNTRUSTED).
 * Its subject and its extensions are ignored: the caller names the box. A key of less than 112 bits
 * of security is ERR_REFUSED. */
int x509_csr_key(struct span csr_pem, struct buf *public_key_pem, struct err *e);

/* The CN (exactly one) that a request asks for. Its signature is not looked at. */
int x509_csr_name(struct span csr_pem, char out[65], struct err *e);

/* A CSR for a key, CN = name. */
int x509_csr_new(struct span key_pem, const char *name, struct buf *csr_pem, struct err *e);

/* The serial number (lower-case hexadecimal), the CN (exactly one) and the dates of a certificate.
 * ERR_LIMIT when they do not fit. */
struct x509_info {
	char serial[65], name[65];
	int64_t from_s, until_s;
};
int x509_info(struct span cert_pem, struct x509_info *out, struct err *e);

/* When a certificate (whatever its subject; the first of a chain) begins and ends. */
struct x509_dates {
	int64_t from_s, until_s;
};
int x509_cert_dates(struct span cert_pem, struct x509_dates *out, struct err *e);

/* ERR_UNTRUSTED unless the CA's key signed the certificate. Dates are not looked at. */
int x509_check_issuer(struct span ca_cert_pem, struct span cert_pem, struct err *e);

/* Several CAs in one PEM text: those of a fleet while one is replaced by another. Each is encoded
 * anew, so that nothing else comes along. ERR_LIMIT for more than X509_BUNDLE_MAX, ERR_MALFORMED
 * for none, for what is no CA, and for one that is there twice. */
struct x509_bundle {
	size_t count;
	struct buf certs[X509_BUNDLE_MAX];
};
void x509_bundle_free(struct x509_bundle *b);
#define AUTO_CAS CLEANUP(x509_bundle_free)
int x509_bundle_read(struct span pem, struct x509_bundle *out, struct err *e);

/* Which of any number of certificates in PEM, counted from 0, signed cert (the first in its PEM).
 * ERR_UNTRUSTED where none did. Dates are not looked at. */
int x509_find_issuer(struct span cas_pem, struct span cert_pem, size_t *which, struct err *e);

/* Which of the private keys in PEM is that of the (first) certificate. ERR_UNTRUSTED where none is.
 */
int x509_find_key(struct span keys_pem, struct span cert_pem, struct buf *key_pem, struct err *e);

/* The SHA-256 of a certificate (the first in its PEM). */
int x509_fingerprint(struct span cert_pem, struct digest *out, struct err *e);

/* A CRL by the CA, listing these serial numbers (hexadecimal, up to 20 bytes) as revoked at these
 * times. count 0 is a CRL that revokes nobody. */
struct x509_revoked {
	const char *serial;
	int64_t at_s;
};
int x509_crl(struct span ca_cert_pem, struct span ca_key_pem, const struct x509_revoked *revoked,
	size_t count, uint64_t crl_number, int64_t from_s, int64_t until_s, struct buf *crl_pem,
	struct err *e);

/* Any number of CRLs in one PEM text, of which each CA has to have signed one or more: else
 * ERR_UNTRUSTED. *out: when the last of those begins, and when the first of them ends. Others' are
 * passed over. ERR_MALFORMED for what is none, and for one without an end. */
int x509_crls_check(
	const struct x509_bundle *cas, struct span crls_pem, struct x509_dates *out, struct err *e);

#endif
