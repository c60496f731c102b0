#include "common/base/clock.h"
#include "common/crypto/x509.h"
#include "tests/unit/sample.h"

enum { PEM_MAX = 16384, DAY_S = 86400 };

/* A CA and the key of a box. */
static struct buf ca_key, ca_cert, box_key;
static int64_t now_s;

static int
fixture_new(void **state)
{
	(void)state;
	now_s = clock_wall_s();
	ca_key = ca_cert = box_key = BUF_INIT(PEM_MAX);
	if (x509_key_new(&ca_key, NULL) < 0 || x509_key_new(&box_key, NULL) < 0)
		return -1;
	return x509_ca_new(
		buf_span(&ca_key), "fleet CA", now_s - 60, now_s + DAY_S, &ca_cert, NULL);
}

static int
fixture_free(void **state)
{
	(void)state;
	buf_free(&ca_key);
	buf_free(&ca_cert);
	buf_free(&box_key);
	return 0;
}

static struct x509_request
client(const char *name)
{
	return (struct x509_request){.use = X509_CLIENT,
		.name = name,
		.from_s = now_s - 60,
		.until_s = now_s + DAY_S / 2};
}

static void
issue(const struct x509_request *r, struct buf *out)
{
	assert_int_equal(
		x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&box_key), r, out, NULL),
		0);
}

/* A second CA, and a text with both certificates, the older one first. */
static void
overlap(struct buf *key, struct buf *cert, struct buf *both)
{
	assert_int_equal(x509_key_new(key, NULL), 0);
	assert_int_equal(
		x509_ca_new(buf_span(key), "fleet CA", now_s - 60, now_s + DAY_S, cert, NULL), 0);
	assert_int_equal(buf_append(both, ca_cert.data, ca_cert.len, NULL), 0);
	assert_int_equal(buf_append(both, "noise\n", 6, NULL), 0);
	assert_int_equal(buf_append(both, cert->data, cert->len, NULL), 0);
}

static void
two_overlapping_cas_are_read_one_by_one(void **state)
{
	AUTO_BUF struct buf key = BUF_INIT(PEM_MAX), cert = BUF_INIT(PEM_MAX),
			    both = BUF_INIT(PEM_MAX), leaf = BUF_INIT(PEM_MAX);
	AUTO_CAS struct x509_bundle b = {0}, other = {0};
	struct x509_request r = client("box");
	struct digest first, second;
	struct err e = ERR_INIT;

	(void)state;
	overlap(&key, &cert, &both);
	issue(&r, &leaf);
	assert_int_equal(x509_bundle_read(buf_span(&both), &b, &e), 0);
	assert_int_equal(b.count, 2);
	assert_true(span_equal(buf_span(&b.certs[0]), buf_span(&ca_cert)));
	assert_true(span_equal(buf_span(&b.certs[1]), buf_span(&cert)));
	assert_int_equal(x509_fingerprint(buf_span(&both), &first, &e), 0);
	assert_int_equal(x509_fingerprint(buf_span(&cert), &second, &e), 0);
	assert_false(digest_equal(&first, &second));

	assert_int_equal(x509_bundle_read(span_str(""), &other, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(x509_bundle_read(buf_span(&leaf), &other, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(x509_bundle_read(span_of(both.data, both.len - 100), &other, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(buf_append(&both, cert.data, cert.len, NULL), 0);
	assert_int_equal(x509_bundle_read(buf_span(&both), &other, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	buf_clear(&both);
	assert_int_equal(buf_append(&both, cert.data, cert.len, NULL), 0);
	assert_int_equal(buf_append(&both, cert.data, cert.len, NULL), 0);
	assert_int_equal(x509_bundle_read(buf_span(&both), &other, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(other.count, 0);
}

static void
the_issuer_and_the_key_are_found_among_several(void **state)
{
	AUTO_BUF struct buf key = BUF_INIT(PEM_MAX), cert = BUF_INIT(PEM_MAX),
			    both = BUF_INIT(PEM_MAX), keys = BUF_INIT(PEM_MAX),
			    leaf = BUF_INIT(PEM_MAX), found = BUF_INIT(PEM_MAX);
	struct x509_request r = client("box");
	struct err e = ERR_INIT;
	size_t which = 9;

	(void)state;
	overlap(&key, &cert, &both);
	assert_int_equal(
		x509_issue(buf_span(&cert), buf_span(&key), buf_span(&box_key), &r, &leaf, &e), 0);
	assert_int_equal(x509_find_issuer(buf_span(&ca_cert), buf_span(&leaf), &which, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(x509_find_issuer(span_str(""), buf_span(&leaf), &which, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(which, 9);
	assert_int_equal(x509_find_issuer(buf_span(&both), buf_span(&leaf), &which, &e), 0);
	assert_int_equal(which, 1);

	assert_int_equal(buf_append(&keys, ca_key.data, ca_key.len, NULL), 0);
	assert_int_equal(buf_append(&keys, leaf.data, leaf.len, NULL), 0);
	assert_int_equal(x509_find_key(buf_span(&keys), buf_span(&leaf), &found, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(found.len, 0);
	assert_int_equal(buf_append(&keys, box_key.data, box_key.len, NULL), 0);
	assert_int_equal(x509_find_key(buf_span(&keys), buf_span(&leaf), &found, &e), 0);
	assert_true(span_equal(buf_span(&found), buf_span(&box_key)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_overlapping_cas_are_read_one_by_one),
		cmocka_unit_test(the_issuer_and_the_key_are_found_among_several),
	};

	return cmocka_run_group_tests(tests, fixture_new, fixture_free);
}
