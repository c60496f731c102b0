#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/crypto/x509.h"

enum { PEM_MAX = 16384, DAY_S = 86400 };

static char dir[64];

/* A CA, the key of a box, and the times that all certificates here have. */
static struct buf ca_key, ca_cert, box_key;
static int64_t now_s;

static int
run(const char *const *argv, const char *input, struct buf *out)
{
	int status = -1;

	assert_int_equal(process_run(&(struct process){.argv = argv,
					     .input = span_str(input),
					     .output = out,
					     .timeout_ms = 60000},
				 &status, NULL),
		0);
	return status;
}

static int
fixture_new(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/sluice-x509-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	now_s = clock_wall_s();
	ca_key = BUF_INIT(PEM_MAX);
	ca_cert = BUF_INIT(PEM_MAX);
	box_key = BUF_INIT(PEM_MAX);
	if (x509_key_new(&ca_key, NULL) < 0 || x509_key_new(&box_key, NULL) < 0)
		return -1;
	return x509_ca_new(
		buf_span(&ca_key), "fleet CA", now_s - 60, now_s + DAY_S, &ca_cert, NULL);
}

static int
fixture_free(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(PEM_MAX);

	(void)state;
	buf_free(&ca_key);
	buf_free(&ca_cert);
	buf_free(&box_key);
	return run((const char *const[]){"rm", "-rf", dir, NULL}, "", &out);
}

/* Writes b as dir/name and returns the path, from a ring of four. */
static const char *
write_file(const char *name, const struct buf *b)
{
	static char paths[4][128];
	static size_t next;
	char *path = paths[next++ % ARRAY_LEN(paths)];

	assert_int_equal(path_join(path, sizeof(paths[0]), dir, name, NULL), 0);
	assert_int_equal(file_replace(path, 0600, buf_span(b), NULL), 0);
	return path;
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
	struct err e = ERR_INIT;

	assert_int_equal(
		x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&box_key), r, out, &e),
		0);
}

/* openssl verify -x509_strict: 0 when it finds nothing to say against cert for this purpose. */
static int
openssl_verify(const struct buf *cert, const struct buf *crl, const char *purpose)
{
	AUTO_BUF struct buf out = BUF_INIT(PEM_MAX);
	const char *ca_path = write_file("ca.pem", &ca_cert),
		   *cert_path = write_file("cert.pem", cert), *crl_path;
	int status;

	if (!crl)
		return run((const char *const[]){"openssl", "verify", "-x509_strict", "-purpose",
				   purpose, "-CAfile", ca_path, cert_path, NULL},
			"", &out);
	crl_path = write_file("crl.pem", crl);
	status = run(
		(const char *const[]){"openssl", "verify", "-x509_strict", "-purpose", purpose,
			"-crl_check", "-CRLfile", crl_path, "-CAfile", ca_path, cert_path, NULL},
		"", &out);
	return status;
}

/* What openssl prints of a certificate. */
static void
print(const struct buf *cert, struct buf *out)
{
	const char *path = write_file("print.pem", cert);

	assert_int_equal(
		run((const char *const[]){"openssl", "x509", "-noout", "-text", "-in", path, NULL},
			"", out),
		0);
}

static void
a_box_certificate_verifies_for_clients_only(void **state)
{
	AUTO_BUF struct buf cert = BUF_INIT(PEM_MAX), text = BUF_INIT(PEM_MAX);
	struct x509_request r = client("gw-000017");

	(void)state;
	issue(&r, &cert);
	assert_int_equal(openssl_verify(&cert, NULL, "sslclient"), 0);
	assert_int_not_equal(openssl_verify(&cert, NULL, "sslserver"), 0);
	print(&cert, &text);
	assert_non_null(strstr(buf_str(&text), "Subject: CN = gw-000017\n"));
	assert_non_null(strstr(buf_str(&text), "Issuer: CN = fleet CA\n"));
	assert_non_null(strstr(buf_str(&text), "CA:FALSE"));
	assert_non_null(strstr(buf_str(&text), "X509v3 Key Usage: critical"));
	assert_non_null(strstr(buf_str(&text), "X509v3 Subject Key Identifier"));
	assert_non_null(strstr(buf_str(&text), "X509v3 Authority Key Identifier"));
	assert_null(strstr(buf_str(&text), "Alternative Name"));
}

static void
a_server_certificate_carries_names_and_addresses(void **state)
{
	static const char *const names[] = {"updates.example.org", "127.0.0.1", "::1", NULL};
	AUTO_BUF struct buf cert = BUF_INIT(PEM_MAX), text = BUF_INIT(PEM_MAX);
	struct x509_request r = client("updates.example.org");

	(void)state;
	r.use = X509_SERVER;
	r.alt_names = names;
	issue(&r, &cert);
	assert_int_equal(openssl_verify(&cert, NULL, "sslserver"), 0);
	assert_int_not_equal(openssl_verify(&cert, NULL, "sslclient"), 0);
	print(&cert, &text);
	assert_non_null(strstr(buf_str(&text), "DNS:updates.example.org, IP Address:127.0.0.1, "
					       "IP Address:0:0:0:0:0:0:0:1\n"));
}

static void
names_that_are_neither_dns_nor_address_are_refused(void **state)
{
	static const char *const bad[] = {"", "a,DNS:evil.example", "a b", "x\ny", "caf\xc3\xa9"};
	struct x509_request r = client("server");

	(void)state;
	r.use = X509_SERVER;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF struct buf cert = BUF_INIT(PEM_MAX);
		const char *const names[] = {"good.example", bad[i], NULL};
		struct err e = ERR_INIT;

		r.alt_names = names;
		assert_int_equal(x509_issue(buf_span(&ca_cert), buf_span(&ca_key),
					 buf_span(&box_key), &r, &cert, &e),
			-1);
		assert_int_equal(e.class, ERR_USAGE);
		assert_int_equal(cert.len, 0);
	}
}

static void
a_revoked_box_is_refused_and_others_are_not(void **state)
{
	AUTO_BUF struct buf a = BUF_INIT(PEM_MAX), b = BUF_INIT(PEM_MAX), crl = BUF_INIT(PEM_MAX),
			    none = BUF_INIT(PEM_MAX), text = BUF_INIT(PEM_MAX);
	struct x509_request ra = client("box-a"), rb = client("box-b");
	struct x509_info info;
	struct x509_revoked revoked[2] = {{"00ff", 0}, {NULL, 0}};
	const char *path;

	(void)state;
	issue(&ra, &a);
	issue(&rb, &b);
	assert_int_equal(x509_info(buf_span(&a), &info, NULL), 0);
	assert_int_equal(x509_crl(buf_span(&ca_cert), buf_span(&ca_key), NULL, 0, 1, now_s - 60,
				 now_s + DAY_S, &none, NULL),
		0);
	assert_int_equal(openssl_verify(&a, &none, "sslclient"), 0);
	revoked[0].at_s = now_s - 60;
	revoked[1] = (struct x509_revoked){info.serial, now_s - 30};
	assert_int_equal(x509_crl(buf_span(&ca_cert), buf_span(&ca_key), revoked, 2, 4711,
				 now_s - 60, now_s + DAY_S, &crl, NULL),
		0);
	assert_int_not_equal(openssl_verify(&a, &crl, "sslclient"), 0);
	assert_int_equal(openssl_verify(&b, &crl, "sslclient"), 0);
	path = write_file("print.crl", &crl);
	assert_int_equal(run((const char *const[]){"openssl", "crl", "-noout", "-crlnumber", "-in",
				     path, NULL},
				 "", &text),
		0);
	assert_string_equal(buf_str(&text), "crlNumber=0x1267\n");
}

static void
a_crl_with_bad_serials_or_dates_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "0", "xyz0", "-1", "00112233445566778899aabbccddeeff0011223344"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF struct buf crl = BUF_INIT(PEM_MAX);
		struct x509_revoked r = {bad[i], now_s};

		assert_int_equal(x509_crl(buf_span(&ca_cert), buf_span(&ca_key), &r, 1, 1, now_s,
					 now_s + DAY_S, &crl, &e),
			-1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_int_equal(crl.len, 0);
		assert_int_equal(x509_crl(buf_span(&ca_cert), buf_span(&ca_key), NULL, 0, 1, now_s,
					 now_s, &crl, &e),
			-1);
		assert_int_equal(e.class, ERR_USAGE);
	}
}

static void
info_gives_back_what_was_issued(void **state)
{
	AUTO_BUF struct buf cert = BUF_INIT(PEM_MAX), other = BUF_INIT(PEM_MAX);
	struct x509_request r = client("gw-000017");
	struct x509_info info, second;
	struct err e = ERR_INIT;

	(void)state;
	r.until_s = 4102444800; /* 2100: past where UTCTime ends */
	issue(&r, &cert);
	issue(&r, &other);
	assert_int_equal(x509_info(buf_span(&cert), &info, NULL), 0);
	assert_string_equal(info.name, "gw-000017");
	assert_int_equal(info.from_s, r.from_s);
	assert_int_equal(info.until_s, r.until_s);
	assert_int_equal(strlen(info.serial), 32);
	assert_int_equal(strspn(info.serial, "0123456789abcdef"), 32);
	assert_int_equal(x509_info(buf_span(&other), &second, NULL), 0);
	assert_string_not_equal(info.serial, second.serial);
	assert_int_equal(x509_info(span_str("nonsense"), &info, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_string_equal(info.name, "gw-000017");
}

static void
names_have_1_to_64_bytes(void **state)
{
	AUTO_BUF struct buf cert = BUF_INIT(PEM_MAX);
	char name[66] = "";
	struct x509_request r = client(name);
	struct x509_info info;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&box_key), &r,
				 &cert, &e),
		-1);
	assert_int_equal(e.class, ERR_LIMIT);
	memset(name, 'n', 65);
	assert_int_equal(x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&box_key), &r,
				 &cert, &e),
		-1);
	assert_int_equal(e.class, ERR_LIMIT);
	name[64] = 0;
	issue(&r, &cert);
	assert_int_equal(x509_info(buf_span(&cert), &info, NULL), 0);
	assert_string_equal(info.name, name);
}

static void
a_request_gives_its_key_and_nothing_else(void **state)
{
	AUTO_BUF struct buf csr = BUF_INIT(PEM_MAX), key = BUF_INIT(PEM_MAX),
			    cert = BUF_INIT(PEM_MAX);
	struct x509_request r = client("gw-000001");
	struct x509_info info;

	(void)state;
	assert_int_equal(x509_csr_new(buf_span(&box_key), "somebody-else", &csr, NULL), 0);
	assert_int_equal(x509_csr_key(buf_span(&csr), &key, NULL), 0);
	assert_non_null(strstr(buf_str(&key), "BEGIN PUBLIC KEY"));
	assert_int_equal(
		x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&key), &r, &cert, NULL),
		0);
	assert_int_equal(openssl_verify(&cert, NULL, "sslclient"), 0);
	assert_int_equal(x509_info(buf_span(&cert), &info, NULL), 0);
	assert_string_equal(info.name, "gw-000001");
}

/* openssl made this one, with the extensions of a CA asked for. */
static void
extensions_that_a_request_asks_for_are_ignored(void **state)
{
	AUTO_BUF struct buf csr = BUF_INIT(PEM_MAX), key = BUF_INIT(PEM_MAX),
			    cert = BUF_INIT(PEM_MAX), text = BUF_INIT(PEM_MAX);
	const char *key_path = write_file("box.key", &box_key);
	struct x509_request r = client("gw-000001");

	(void)state;
	assert_int_equal(run((const char *const[]){"openssl", "req", "-new", "-key", key_path,
				     "-subj", "/CN=root", "-addext", "basicConstraints=CA:TRUE",
				     "-addext", "subjectAltName=DNS:evil.example", NULL},
				 "", &csr),
		0);
	assert_int_equal(x509_csr_key(buf_span(&csr), &key, NULL), 0);
	assert_int_equal(
		x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&key), &r, &cert, NULL),
		0);
	print(&cert, &text);
	assert_null(strstr(buf_str(&text), "CA:TRUE"));
	assert_null(strstr(buf_str(&text), "evil"));
	assert_null(strstr(buf_str(&text), "CN = root"));
}

static void
every_flip_and_prefix_of_a_request_is_refused_or_the_same_key(void **state)
{
	AUTO_BUF struct buf csr = BUF_INIT(PEM_MAX), key = BUF_INIT(PEM_MAX);

	(void)state;
	assert_int_equal(x509_csr_new(buf_span(&box_key), "box", &csr, NULL), 0);
	assert_int_equal(x509_csr_key(buf_span(&csr), &key, NULL), 0);
	for (size_t i = 0; i < csr.len; i++) {
		AUTO_BUF struct buf a = BUF_INIT(PEM_MAX), b = BUF_INIT(PEM_MAX);

		if (x509_csr_key(span_of(csr.data, i), &a, NULL) == 0)
			assert_true(span_equal(buf_span(&a), buf_span(&key)));
		csr.data[i] ^= 0x01;
		if (x509_csr_key(buf_span(&csr), &b, NULL) == 0)
			assert_true(span_equal(buf_span(&b), buf_span(&key)));
		csr.data[i] ^= 0x01;
	}
}

/* Somebody else's key must not be had certified: who asks has to hold it. */
static void
a_request_with_a_damaged_signature_is_untrusted(void **state)
{
	AUTO_BUF struct buf csr = BUF_INIT(PEM_MAX), key = BUF_INIT(PEM_MAX);
	struct err e = ERR_INIT;
	size_t end;

	(void)state;
	assert_int_equal(x509_csr_new(buf_span(&box_key), "box", &csr, NULL), 0);
	end = (size_t)(strstr(buf_str(&csr), "\n-----END") - buf_str(&csr));
	/* The signature's last bytes, but for the very last, whose digits may be padding. */
	csr.data[end - 12] = csr.data[end - 12] == 'A' ? 'B' : 'A';
	assert_int_equal(x509_csr_key(buf_span(&csr), &key, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(key.len, 0);
}

static void
weak_keys_are_refused(void **state)
{
	AUTO_BUF struct buf key = BUF_INIT(PEM_MAX), cert = BUF_INIT(PEM_MAX);
	struct x509_request r = client("box");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(
		run((const char *const[]){"openssl", "genrsa", "1024", NULL}, "", &key), 0);
	assert_int_equal(
		x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&key), &r, &cert, &e),
		-1);
	assert_int_equal(e.class, ERR_REFUSED);
}

static void
only_a_ca_with_its_own_key_issues(void **state)
{
	AUTO_BUF struct buf leaf = BUF_INIT(PEM_MAX), out = BUF_INIT(PEM_MAX);
	struct x509_request r = client("box");
	struct err e = ERR_INIT;

	(void)state;
	issue(&r, &leaf);
	assert_int_equal(x509_issue(buf_span(&ca_cert), buf_span(&box_key), buf_span(&box_key), &r,
				 &out, &e),
		-1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(
		x509_issue(buf_span(&leaf), buf_span(&box_key), buf_span(&box_key), &r, &out, &e),
		-1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(out.len, 0);
}

/* A key with a passphrase is an error here, not a question on somebody's terminal. */
static void
an_encrypted_private_key_asks_nobody(void **state)
{
	AUTO_BUF struct buf key = BUF_INIT(PEM_MAX), csr = BUF_INIT(PEM_MAX);
	const char *path = write_file("box.key", &box_key);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(run((const char *const[]){"openssl", "pkcs8", "-topk8", "-in", path,
				     "-passout", "pass:secret", NULL},
				 "", &key),
		0);
	assert_int_equal(x509_csr_new(buf_span(&key), "box", &csr, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
dates_and_issuers_of_certificates_are_told(void **state)
{
	AUTO_BUF struct buf cert = BUF_INIT(PEM_MAX);
	AUTO_BUF struct buf other_key = BUF_INIT(PEM_MAX), other = BUF_INIT(PEM_MAX);
	const struct x509_request r = {.use = X509_CLIENT,
		.name = "gw-000001",
		.from_s = now_s - 10,
		.until_s = now_s + 100};
	struct x509_dates d = {1, 2};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x509_issue(buf_span(&ca_cert), buf_span(&ca_key), buf_span(&box_key), &r,
				 &cert, &e),
		0);
	assert_int_equal(x509_cert_dates(buf_span(&cert), &d, &e), 0);
	assert_true(d.from_s == now_s - 10 && d.until_s == now_s + 100);
	assert_int_equal(x509_check_issuer(buf_span(&ca_cert), buf_span(&cert), &e), 0);

	/* Another CA of the same name. */
	assert_int_equal(x509_key_new(&other_key, &e), 0);
	assert_int_equal(
		x509_ca_new(buf_span(&other_key), "fleet CA", now_s, now_s + DAY_S, &other, &e), 0);
	assert_int_equal(x509_check_issuer(buf_span(&other), buf_span(&cert), &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(x509_cert_dates(span_str("nothing"), &d, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_true(d.from_s == now_s - 10 && d.until_s == now_s + 100);
}

/* While one CA is replaced by another there is a CRL of each, and all of them count. */
static void
crls_last_as_long_as_the_one_that_ends_first(void **state)
{
	AUTO_BUF struct buf crls = BUF_INIT(PEM_MAX), cas = BUF_INIT(PEM_MAX);
	AUTO_BUF struct buf other_key = BUF_INIT(PEM_MAX), other = BUF_INIT(PEM_MAX);
	AUTO_CAS struct x509_bundle one = {0}, both = {0};
	struct x509_dates d = {1, 2};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x509_key_new(&other_key, &e), 0);
	assert_int_equal(
		x509_ca_new(buf_span(&other_key), "next CA", now_s, now_s + DAY_S, &other, &e), 0);
	assert_int_equal(buf_append(&cas, ca_cert.data, ca_cert.len, &e), 0);
	assert_int_equal(x509_bundle_read(buf_span(&cas), &one, &e), 0);
	assert_int_equal(buf_append(&cas, other.data, other.len, &e), 0);
	assert_int_equal(x509_bundle_read(buf_span(&cas), &both, &e), 0);
	assert_int_equal(x509_crls_check(&one, span_str("nothing"), &d, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);

	assert_int_equal(x509_crl(buf_span(&ca_cert), buf_span(&ca_key), NULL, 0, 1, now_s - 20,
				 now_s + 200, &crls, &e),
		0);
	assert_int_equal(x509_crls_check(&one, buf_span(&crls), &d, &e), 0);
	assert_true(d.from_s == now_s - 20 && d.until_s == now_s + 200);
	assert_int_equal(x509_crls_check(&both, buf_span(&crls), &d, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(x509_crl(buf_span(&other), buf_span(&other_key), NULL, 0, 1, now_s - 10,
				 now_s + 100, &crls, &e),
		0);
	assert_int_equal(x509_crls_check(&both, buf_span(&crls), &d, &e), 0);
	assert_true(d.from_s == now_s - 10 && d.until_s == now_s + 100);
	/* That of a CA that is gone is nothing to the one that is left. */
	assert_int_equal(x509_crls_check(&one, buf_span(&crls), &d, &e), 0);
	assert_true(d.from_s == now_s - 20 && d.until_s == now_s + 200);

	/* Cut off, it is damaged. */
	buf_truncate(&crls, crls.len - 100);
	assert_int_equal(x509_crls_check(&one, buf_span(&crls), &d, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

/* What a request says of whom it is for, and what is no such thing. */
static void
a_request_says_whom_it_is_for(void **state)
{
	AUTO_BUF struct buf csr = BUF_INIT(PEM_MAX), two = BUF_INIT(PEM_MAX),
			    none = BUF_INIT(PEM_MAX);
	const char *key_path = write_file("box.key", &box_key);
	char name[65] = "untouched";
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(x509_csr_new(buf_span(&box_key), "gw-000001", &csr, NULL), 0);
	assert_int_equal(run((const char *const[]){"openssl", "req", "-new", "-key", key_path,
				     "-subj", "/CN=gw-000001/CN=gw-000002", NULL},
				 "", &two),
		0);
	assert_int_equal(run((const char *const[]){"openssl", "req", "-new", "-key", key_path,
				     "-subj", "/O=gw-000001", NULL},
				 "", &none),
		0);
	assert_int_equal(x509_csr_name(buf_span(&two), name, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(x509_csr_name(buf_span(&none), name, &e), -1);
	assert_int_equal(x509_csr_name(span_str("nonsense"), name, &e), -1);
	assert_string_equal(name, "untouched");
	assert_int_equal(x509_csr_name(buf_span(&csr), name, &e), 0);
	assert_string_equal(name, "gw-000001");
}

int
main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, fixture_new, fixture_free)
	const struct CMUnitTest tests[] = {
		test(a_box_certificate_verifies_for_clients_only),
		test(a_server_certificate_carries_names_and_addresses),
		test(names_that_are_neither_dns_nor_address_are_refused),
		test(a_revoked_box_is_refused_and_others_are_not),
		test(a_crl_with_bad_serials_or_dates_is_refused),
		test(info_gives_back_what_was_issued),
		test(names_have_1_to_64_bytes),
		test(a_request_gives_its_key_and_nothing_else),
		test(extensions_that_a_request_asks_for_are_ignored),
		test(every_flip_and_prefix_of_a_request_is_refused_or_the_same_key),
		test(a_request_with_a_damaged_signature_is_untrusted),
		test(weak_keys_are_refused),
		test(only_a_ca_with_its_own_key_issues),
		test(an_encrypted_private_key_asks_nobody),
		test(dates_and_issuers_of_certificates_are_told),
		test(crls_last_as_long_as_the_one_that_ends_first),
		test(a_request_says_whom_it_is_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
