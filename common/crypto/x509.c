#include "common/crypto/x509.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/base/num.h"
#include "common/crypto/libcrypto.h"
#include "common/crypto/random.h"
#include "common/limits.h"

enum {
	NAME_BYTES = 64, /* ub-common-name of RFC 5280 */
	DNS_BYTES = 253, /* RFC 1035 */
	SERIAL_BYTES = 16,
	SECURITY_BITS_MIN = 112,
	VERSION_CERT = 2, /* v3 */
	VERSION_CSR = 0,
	VERSION_CRL = 1, /* v2 */
};

static int
failed(struct err *e, const char *what)
{
	return libcrypto_err(e, ERR_SYSTEM, what);
}

static int
secret_read(struct span pem, EVP_PKEY **out, struct err *e)
{
	AUTO_BIO BIO *in = libcrypto_bio(pem);
	EVP_PKEY *key =
		in ? PEM_read_bio_PrivateKey(in, NULL, libcrypto_no_passphrase, NULL) : NULL;

	if (!key)
		return libcrypto_err(e, ERR_MALFORMED, "reading a private key in PEM");
	*out = key;
	return 0;
}

/* The holder's key, which we may have as a private or as a public one. */
static int
holder_read(struct span pem, EVP_PKEY **out, struct err *e)
{
	static const char public[] = "-----BEGIN PUBLIC KEY-----";
	AUTO_BIO BIO *in = NULL;
	EVP_PKEY *key;

	if (!pem.data || !memmem(pem.data, pem.len, public, sizeof(public) - 1))
		return secret_read(pem, out, e);
	in = libcrypto_bio(pem);
	key = in ? PEM_read_bio_PUBKEY(in, NULL, libcrypto_no_passphrase, NULL) : NULL;
	if (!key)
		return libcrypto_err(e, ERR_MALFORMED, "reading a public key in PEM");
	*out = key;
	return 0;
}

int
x509_key_new(struct buf *key_pem, struct err *e)
{
	AUTO_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());

	if (!key || !mem || PEM_write_bio_PKCS8PrivateKey(mem, key, NULL, NULL, 0, NULL, NULL) != 1)
		return failed(e, "making a private key");
	return libcrypto_take(mem, key_pem, e);
}

static int
name_set(X509_NAME *subject, const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_BYTES)
		return err_set(e, ERR_LIMIT, "a certificate's name has 1 to %d bytes, not %zu",
			NAME_BYTES, len);
	if (X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
		    (const unsigned char *)name, (int)len, -1, 0) != 1)
		return failed(e, "naming a certificate");
	return 0;
}

static int
serial_set(X509 *cert, struct err *e)
{
	uint8_t raw[SERIAL_BYTES];
	ASN1_INTEGER *serial = NULL;
	BIGNUM *n;
	int rc = 0;

	random_bytes(raw, sizeof(raw));
	raw[0] |= 0x40; /* never 0, and always as long */
	n = BN_bin2bn(raw, sizeof(raw), NULL);
	if (n)
		serial = BN_to_ASN1_INTEGER(n, NULL);
	if (!serial || X509_set_serialNumber(cert, serial) != 1)
		rc = failed(e, "numbering a certificate");
	ASN1_INTEGER_free(serial);
	BN_free(n);
	return rc;
}

static int
times_set(X509 *cert, int64_t from_s, int64_t until_s, struct err *e)
{
	if (from_s >= until_s)
		return err_set(e, ERR_USAGE, "a certificate has to end after it begins");
	if (!ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from_s) ||
		!ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)until_s))
		return failed(e, "dating a certificate");
	return 0;
}

struct extension {
	int nid;
	const char *value; /* as in openssl's x509v3_config(5); ours alone, never from outside */
};

static int
extensions_add(X509 *cert, X509 *issuer, const struct extension *list, size_t count, struct err *e)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, list[i].nid, list[i].value);
		int added = x && X509_add_ext(cert, x, -1);

		X509_EXTENSION_free(x);
		if (!added)
			return failed(e, "writing a certificate's extensions");
	}
	return 0;
}

/* All of a certificate but its extensions and signature. */
static int
cert_begin(
	EVP_PKEY *key, const char *name, int64_t from_s, int64_t until_s, X509 **out, struct err *e)
{
	AUTO_CERT X509 *cert = X509_new();

	if (!cert || X509_set_version(cert, VERSION_CERT) != 1 || X509_set_pubkey(cert, key) != 1)
		return failed(e, "making a certificate");
	if (serial_set(cert, e) < 0 || times_set(cert, from_s, until_s, e) < 0 ||
		name_set(X509_get_subject_name(cert), name, e) < 0)
		return -1;
	*out = TAKE_PTR(cert);
	return 0;
}

static int
cert_finish(X509 *cert, EVP_PKEY *issuer_key, struct buf *out, struct err *e)
{
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());

	if (!mem || X509_sign(cert, issuer_key, EVP_sha256()) <= 0 ||
		PEM_write_bio_X509(mem, cert) != 1)
		return failed(e, "signing a certificate");
	return libcrypto_take(mem, out, e);
}

int
x509_ca_new(struct span key_pem, const char *common_name, int64_t from_s, int64_t until_s,
	struct buf *cert_pem, struct err *e)
{
	static const struct extension extensions[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_key_usage, "critical,keyCertSign,cRLSign"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
	};
	AUTO_PKEY EVP_PKEY *key = NULL;
	AUTO_CERT X509 *cert = NULL;

	if (secret_read(key_pem, &key, e) < 0 ||
		cert_begin(key, common_name, from_s, until_s, &cert, e) < 0)
		return -1;
	if (X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1)
		return failed(e, "naming a certificate's issuer");
	if (extensions_add(cert, cert, extensions, ARRAY_LEN(extensions), e) < 0)
		return -1;
	return cert_finish(cert, key, cert_pem, e);
}

struct authority {
	X509 *cert;
	EVP_PKEY *key;
};

static void
authority_free(struct authority *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}
#define AUTO_AUTHORITY CLEANUP(authority_free)

/* into is empty; its owner frees it whatever happens. */
static int
authority_read(struct span cert_pem, struct span key_pem, struct authority *into, struct err *e)
{
	if (libcrypto_cert(cert_pem, &into->cert, e) < 0 || secret_read(key_pem, &into->key, e) < 0)
		return err_context(e, "the CA");
	if (X509_check_private_key(into->cert, into->key) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_USAGE, "the CA's key is not the CA certificate's");
	}
	if (X509_check_ca(into->cert) != 1)
		return err_set(e, ERR_USAGE, "the CA's certificate is not one of a CA");
	return 0;
}

static bool
is_dns_name(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("-.*", name[i]))
			return false;
	}
	return len > 0 && len <= DNS_BYTES;
}

/* An IP address where it reads as one, else a DNS name. Not through the text form of extensions,
 * in which a comma begins another name. */
static GENERAL_NAME *
alt_name_new(const char *name)
{
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
	GENERAL_NAME *made = GENERAL_NAME_new();
	ASN1_IA5STRING *dns = NULL;

	if (made && address) {
		GENERAL_NAME_set0_value(made, GEN_IPADD, address);
		return made;
	}
	if (made && is_dns_name(name))
		dns = ASN1_IA5STRING_new();
	if (dns && ASN1_STRING_set(dns, name, -1) == 1) {
		GENERAL_NAME_set0_value(made, GEN_DNS, dns);
		return made;
	}
	ASN1_IA5STRING_free(dns);
	ASN1_OCTET_STRING_free(address);
	GENERAL_NAME_free(made);
	return NULL;
}

static int
alt_names_add(X509 *cert, const char *const *names, struct err *e)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	int rc = list ? 0 : failed(e, "naming a server");

	for (size_t i = 0; rc == 0 && names[i]; i++) {
		GENERAL_NAME *name = alt_name_new(names[i]);

		ERR_clear_error(); /* of the try as an address */
		if (!name || sk_GENERAL_NAME_push(list, name) <= 0) {
			GENERAL_NAME_free(name);
			rc = err_set(e, ERR_USAGE, "'%.64s' is neither a DNS name nor an address",
				names[i]);
		}
	}
	if (rc == 0 && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, 0) != 1)
		rc = failed(e, "naming a server");
	GENERAL_NAMES_free(list);
	return rc;
}

static int
strength_check(const EVP_PKEY *key, struct err *e)
{
	int bits = EVP_PKEY_get_security_bits(key);

	if (bits < SECURITY_BITS_MIN)
		return err_set(e, ERR_REFUSED,
			"the key is too weak (%d bits of security); use EC P-256, or RSA of 2048 "
			"bits or more",
			bits);
	return 0;
}

static int
leaf_extensions_add(X509 *cert, X509 *issuer, const struct x509_request *r, struct err *e)
{
	const struct extension extensions[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, r->use == X509_SERVER ? "serverAuth" : "clientAuth"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
	};

	if (extensions_add(cert, issuer, extensions, ARRAY_LEN(extensions), e) < 0)
		return -1;
	return r->alt_names && r->alt_names[0] ? alt_names_add(cert, r->alt_names, e) : 0;
}

int
x509_issue(struct span ca_cert_pem, struct span ca_key_pem, struct span key_pem,
	const struct x509_request *r, struct buf *cert_pem, struct err *e)
{
	AUTO_AUTHORITY struct authority ca = {0};
	AUTO_PKEY EVP_PKEY *key = NULL;
	AUTO_CERT X509 *cert = NULL;

	if (authority_read(ca_cert_pem, ca_key_pem, &ca, e) < 0 ||
		holder_read(key_pem, &key, e) < 0 || strength_check(key, e) < 0 ||
		cert_begin(key, r->name, r->from_s, r->until_s, &cert, e) < 0)
		return -1;
	if (X509_set_issuer_name(cert, X509_get_subject_name(ca.cert)) != 1)
		return failed(e, "naming a certificate's issuer");
	if (leaf_extensions_add(cert, ca.cert, r, e) < 0)
		return -1;
	return cert_finish(cert, ca.key, cert_pem, e);
}

int
x509_csr_key(struct span csr_pem, struct buf *public_key_pem, struct err *e)
{
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());
	AUTO_CSR X509_REQ *csr = NULL;
	EVP_PKEY *key;

	if (libcrypto_csr(csr_pem, &csr, e) < 0)
		return -1;
	key = X509_REQ_get0_pubkey(csr);
	if (!key)
		return libcrypto_err(e, ERR_MALFORMED, "the key of a certificate signing request");
	if (X509_REQ_verify(csr, key) != 1)
		return libcrypto_err(e, ERR_UNTRUSTED,
			"the certificate signing request is not signed by its own key");
	if (strength_check(key, e) < 0)
		return -1;
	if (!mem || PEM_write_bio_PUBKEY(mem, key) != 1)
		return failed(e, "writing a public key");
	return libcrypto_take(mem, public_key_pem, e);
}

int
x509_csr_new(struct span key_pem, const char *name, struct buf *csr_pem, struct err *e)
{
	AUTO_PKEY EVP_PKEY *key = NULL;
	AUTO_CSR X509_REQ *csr = X509_REQ_new();
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());

	if (secret_read(key_pem, &key, e) < 0)
		return -1;
	if (!csr || !mem || X509_REQ_set_version(csr, VERSION_CSR) != 1 ||
		X509_REQ_set_pubkey(csr, key) != 1)
		return failed(e, "making a certificate signing request");
	if (name_set(X509_REQ_get_subject_name(csr), name, e) < 0)
		return -1;
	if (X509_REQ_sign(csr, key, EVP_sha256()) <= 0 || PEM_write_bio_X509_REQ(mem, csr) != 1)
		return failed(e, "signing a certificate signing request");
	return libcrypto_take(mem, csr_pem, e);
}

/* A serial number of 1 to 20 bytes in hexadecimal. */
static ASN1_INTEGER *
serial_parse(const char *hex)
{
	uint8_t raw[X509_SERIAL_BYTES_MAX];
	size_t digits = strlen(hex);
	ASN1_INTEGER *serial;
	BIGNUM *n;

	if (digits == 0 || digits % 2 != 0 || digits / 2 > sizeof(raw) ||
		hex_decode(hex, raw, digits / 2, NULL) < 0)
		return NULL;
	n = BN_bin2bn(raw, (int)(digits / 2), NULL);
	serial = n ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
	BN_free(n);
	return serial;
}

static int
revoked_add(X509_CRL *crl, const struct x509_revoked *r, struct err *e)
{
	ASN1_INTEGER *serial = serial_parse(r->serial);
	ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)r->at_s);
	X509_REVOKED *entry = X509_REVOKED_new();
	int rc = 0;

	if (!serial)
		rc = err_set(e, ERR_MALFORMED, "'%.48s' is not a serial number", r->serial);
	else if (!at || !entry || X509_REVOKED_set_serialNumber(entry, serial) != 1 ||
		 X509_REVOKED_set_revocationDate(entry, at) != 1 ||
		 X509_CRL_add0_revoked(crl, entry) != 1)
		rc = failed(e, "writing a CRL");
	else
		entry = NULL; /* the CRL's now */
	X509_REVOKED_free(entry);
	ASN1_TIME_free(at);
	ASN1_INTEGER_free(serial);
	return rc;
}

static int
crl_extensions_add(X509_CRL *crl, X509 *issuer, uint64_t number, struct err *e)
{
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	X509_EXTENSION *authority;
	X509V3_CTX ctx;
	bool done;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
	authority = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
	done = n && authority && ASN1_INTEGER_set_uint64(n, number) == 1 &&
	       X509_CRL_add_ext(crl, authority, -1) == 1 &&
	       X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) == 1;
	X509_EXTENSION_free(authority);
	ASN1_INTEGER_free(n);
	return done ? 0 : failed(e, "writing a CRL's extensions");
}

static int
crl_begin(X509 *issuer, int64_t from_s, int64_t until_s, X509_CRL **out, struct err *e)
{
	AUTO_CRL X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)from_s);
	ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)until_s);
	bool done = crl && from && until && X509_CRL_set_version(crl, VERSION_CRL) == 1 &&
		    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 &&
		    X509_CRL_set1_lastUpdate(crl, from) == 1 &&
		    X509_CRL_set1_nextUpdate(crl, until) == 1;

	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	if (!done)
		return failed(e, "making a CRL");
	if (from_s >= until_s)
		return err_set(e, ERR_USAGE, "a CRL has to end after it begins");
	*out = TAKE_PTR(crl);
	return 0;
}

int
x509_crl(struct span ca_cert_pem, struct span ca_key_pem, const struct x509_revoked *revoked,
	size_t count, uint64_t crl_number, int64_t from_s, int64_t until_s, struct buf *crl_pem,
	struct err *e)
{
	AUTO_AUTHORITY struct authority ca = {0};
	AUTO_CRL X509_CRL *crl = NULL;
	AUTO_BIO BIO *mem = BIO_new(BIO_s_mem());

	if (authority_read(ca_cert_pem, ca_key_pem, &ca, e) < 0 ||
		crl_begin(ca.cert, from_s, until_s, &crl, e) < 0 ||
		crl_extensions_add(crl, ca.cert, crl_number, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (revoked_add(crl, &revoked[i], e) < 0)
			return -1;
	}
	(void)X509_CRL_sort(crl);
	if (!mem || X509_CRL_sign(crl, ca.key, EVP_sha256()) <= 0 ||
		PEM_write_bio_X509_CRL(mem, crl) != 1)
		return failed(e, "signing a CRL");
	return libcrypto_take(mem, crl_pem, e);
}
