/* Certificates, keys and requests in PEM, as a host is given them for a box.
 *
 * Input: one or more PEM texts. */
#include "common/crypto/x509.h"
#include "tests/fuzz/harness.h"

static struct {
	struct buf key, cert; /* of a CA of our own */
} ca = {{.max = 8192}, {.max = 8192}};

static void
ca_free(void)
{
	buf_free(&ca.key);
	buf_free(&ca.cert);
}

static void
ca_make(void)
{
	struct err e = ERR_INIT;

	if (ca.key.len > 0)
		return;
	MUST(x509_key_new(&ca.key, &e) == 0);
	MUST(x509_ca_new(buf_span(&ca.key), "fuzz", 1700000000, 1900000000, &ca.cert, &e) == 0);
	MUST(atexit(ca_free) == 0);
}

/* A certificate for whatever is a key names whom we say, not who asks. */
static void
issue(struct span key)
{
	struct x509_request r = {X509_CLIENT, "gw-000001", NULL, 1700000000, 1800000000};
	AUTO_BUF struct buf cert = BUF_INIT(65536);
	struct err e = ERR_INIT;
	struct x509_info info;

	if (x509_issue(buf_span(&ca.cert), buf_span(&ca.key), key, &r, &cert, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	fuzz_deep();
	MUST(x509_info(buf_span(&cert), &info, &e) == 0);
	MUST(strcmp(info.name, "gw-000001") == 0 && info.until_s == 1800000000);
}

static void
request(struct span text)
{
	AUTO_BUF struct buf key = BUF_INIT(65536);
	struct err e = ERR_INIT;
	char name[65];

	if (x509_csr_name(text, name, &e) < 0)
		fuzz_check_err(&e);
	else
		MUST(memchr(name, 0, sizeof(name)));
	if (x509_csr_key(text, &key, &e) < 0)
		fuzz_check_err(&e);
	else
		issue(buf_span(&key));
}

static void
certificate(struct span text)
{
	struct x509_revoked revoked = {NULL, 1750000000};
	AUTO_BUF struct buf crl = BUF_INIT(65536);
	struct err e = ERR_INIT;
	struct x509_info info;

	if (x509_info(text, &info, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	MUST(memchr(info.serial, 0, sizeof(info.serial)) &&
		memchr(info.name, 0, sizeof(info.name)));
	/* What a certificate says of its number may be revoked, or refused, but no more. */
	revoked.serial = info.serial;
	(void)x509_crl(buf_span(&ca.cert), buf_span(&ca.key), &revoked, 1, 1, 1700000000,
		1800000000, &crl, &e);
	/* It is nobody's CA here. */
	buf_clear(&crl);
	(void)x509_issue(text, buf_span(&ca.key), buf_span(&ca.key),
		&(struct x509_request){X509_CLIENT, "a", NULL, 1700000000, 1800000000}, &crl, &e);
}

/* CAs as they are delivered to a box, and a pair as it lies on its disk. */
static void
bundle(struct span text)
{
	AUTO_BUF struct buf key = BUF_INIT(65536);
	AUTO_CAS struct x509_bundle b = {0};
	struct err e = ERR_INIT;
	size_t which = 0;

	if (x509_bundle_read(text, &b, &e) < 0)
		fuzz_check_err(&e);
	else
		MUST(b.count >= 1 && b.count <= X509_BUNDLE_MAX);
	if (x509_find_issuer(text, buf_span(&ca.cert), &which, &e) < 0)
		fuzz_check_err(&e);
	if (x509_find_key(text, text, &key, &e) < 0)
		fuzz_check_err(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	ca_make();
	request(in);
	certificate(in);
	bundle(in);
	issue(in);
	return 0;
}
