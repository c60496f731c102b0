#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/crypto/pubkey.h"
#include "signer/ceremony.h"
#include "signer/request.h"
#include "signer/roster.h"
#include "signer/summary.h"
#include "tests/unit/folder.h"

#define PATH "request.json"

/* Somebody with a key. */
struct person {
	struct seckey *secret;
	json_t *public;
	struct signer signer;
};

static struct person
person(void)
{
	struct person p = {0};
	uint8_t raw[32];

	assert_int_equal(seckey_new(&p.secret, NULL), 0);
	seckey_public(p.secret, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &p.public, NULL), 0);
	assert_int_equal(pubkey_id(p.public, p.signer.keyid, NULL), 0);
	p.signer.seckey = p.secret;
	p.signer.key = p.public;
	return p;
}

static void
person_free(struct person *p)
{
	seckey_free(&p->secret);
	json_decref(p->public);
}
#define AUTO_PERSON CLEANUP(person_free)

/* A root that this person alone holds, in all roles; unsigned. */
static json_t *
root_of(const struct person *p, int version)
{
	json_t *body = json_pack("{s:s, s:s, s:b, s:i, s:s, s:{s:O}, s:{}}", "_type", "root",
		"spec_version", "1.0.34", "consistent_snapshot", 1, "version", version, "expires",
		"2099-01-01T00:00:00Z", "keys", p->signer.keyid, p->public, "roles");
	json_t *envelope;

	for (int role = 0; role < ROSTER_ROLES; role++)
		(void)json_object_set_new(json_object_get(body, "roles"), roster_names[role],
			json_pack("{s:[s], s:i}", "keyids", p->signer.keyid, "threshold", 1));
	envelope = envelope_new(body);
	json_decref(body);
	assert_non_null(envelope);
	return envelope;
}

/* The next root, unsigned, under one that is in force. */
static struct request
request_for(const struct person *p)
{
	struct request r = {.role = "root", .document = root_of(p, 2), .roots = json_array()};
	json_t *first = root_of(p, 1);

	assert_int_equal(envelope_sign(first, &p->signer, NULL), 0);
	assert_int_equal(json_array_append_new(r.roots, first), 0);
	return r;
}

static int
check(const struct request *r, struct change *c, json_t **good, struct err *e)
{
	return request_check(r, NULL, c, e) < 0 ? -1 : request_signers(c, good, e);
}

static void
what_is_written_is_read_and_checked(void **state)
{
	AUTO_PERSON struct person p = person();
	AUTO_REQUEST struct request r = request_for(&p), again = {0};
	AUTO_CHANGE struct change c = {0};
	AUTO_JSON json_t *good = NULL;

	(void)state;
	assert_int_equal(envelope_sign(r.document, &p.signer, NULL), 0);
	assert_int_equal(request_write(&r, PATH, NULL), 0);
	assert_int_equal(request_read(PATH, &again, NULL), 0);
	assert_int_equal(check(&again, &c, &good, NULL), 0);
	assert_int_equal(c.version, 2);
	assert_int_equal(request_count(&c.former, good), 1);
	assert_int_equal(request_count(&c.keys, good), 1);
	assert_false(c.anchored);
}

/* Reads bytes as a request; true if it is taken as one for these bytes to sign. */
static bool
is_taken(struct span bytes, struct span *message)
{
	AUTO_REQUEST struct request r = {0};
	AUTO_CHANGE struct change c = {0};
	AUTO_JSON json_t *good = NULL;
	AUTO_BUF struct buf signs = BUF_INIT(REQUEST_BYTES_MAX), text = BUF_INIT(1 << 20);
	const struct keyring nobody = {0};

	assert_int_equal(folder_put(PATH, bytes.data, bytes.len), 0);
	if (request_read(PATH, &r, NULL) < 0 || check(&r, &c, &good, NULL) < 0)
		return false;
	assert_int_equal(summary_write(&c, good, &nobody, 0, &text, NULL), 0);
	assert_int_equal(request_bytes(&r, &signs, NULL), 0);
	assert_true(json_array_size(good) == 0 || span_equal(buf_span(&signs), *message));
	return true;
}

static void
every_prefix_and_flip_is_refused_or_for_the_same_bytes(void **state)
{
	AUTO_PERSON struct person p = person();
	AUTO_REQUEST struct request r = request_for(&p);
	AUTO_BUF struct buf bytes = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);
	struct span signs;
	size_t taken = 0;

	(void)state;
	assert_int_equal(envelope_sign(r.document, &p.signer, NULL), 0);
	assert_int_equal(request_bytes(&r, &message, NULL), 0);
	assert_int_equal(request_write(&r, PATH, NULL), 0);
	assert_int_equal(file_read(PATH, &bytes, NULL), 0);
	signs = buf_span(&message);
	assert_true(is_taken(buf_span(&bytes), &signs));
	for (size_t len = 0; len < bytes.len; len++)
		assert_false(is_taken(span_of(bytes.data, len), &signs));
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] ^= 0x20;
		taken += is_taken(buf_span(&bytes), &signs);
		bytes.data[i] ^= 0x21;
		taken += is_taken(buf_span(&bytes), &signs);
		bytes.data[i] ^= 1;
	}
	/* Letters of hexadecimal signatures and keys in the other case, and no more than those. */
	assert_true(taken < 300);
}

static void
a_key_under_two_ids_counts_once(void **state)
{
	AUTO_PERSON struct person p = person();
	AUTO_JSON json_t *twin = json_deep_copy(p.public), *keys = NULL, *ids = NULL;
	char id[DIGEST_HEX_SIZE];
	struct role_keys role = {.threshold = 2};

	(void)state;
	assert_int_equal(json_object_set_new(twin, "x-note", json_string("the same")), 0);
	assert_int_equal(pubkey_id(twin, id, NULL), 0);
	keys = json_pack("{s:O, s:O}", p.signer.keyid, p.public, id, twin);
	ids = json_pack("[s, s]", p.signer.keyid, id);
	role.keys = keys;
	role.keyids = ids;
	assert_int_equal(request_count(&role, ids), 1);
}

static void
a_request_of_the_wrong_type_version_or_role_is_refused(void **state)
{
	AUTO_PERSON struct person p = person();
	static const struct {
		const char *field, *text;
		int number;
	} wrong[] = {{"_type", "targets", 0}, {"version", NULL, 1}, {"version", NULL, 3},
		{"version", NULL, 0}, {"version", NULL, -1}, {"expires", "soon", 0},
		{"roles", "none", 0}, {"keys", "none", 0}, {"spec_version", NULL, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		AUTO_REQUEST struct request r = request_for(&p);
		AUTO_CHANGE struct change c = {0};
		json_t *body = json_object_get(r.document, "signed");

		assert_int_equal(json_object_set_new(body, wrong[i].field,
					 wrong[i].text ? json_string(wrong[i].text)
						       : json_integer(wrong[i].number)),
			0);
		assert_int_equal(request_check(&r, NULL, &c, NULL), -1);
		assert_null(c.root);
	}
}

/* What is said of a request for p's next root, behind whose first one came this; takes it over. */
static int
check_behind(const struct person *p, json_t *next, int version)
{
	AUTO_REQUEST struct request r = request_for(p);
	AUTO_CHANGE struct change c = {0};
	json_t *body = json_object_get(r.document, "signed");

	assert_int_equal(json_object_set_new(body, "version", json_integer(version)), 0);
	assert_int_equal(json_array_append_new(r.roots, next), 0);
	return request_check(&r, NULL, &c, NULL);
}

static json_t *
signed_by(json_t *root, const struct person *a, const struct person *b)
{
	assert_int_equal(envelope_sign(root, &a->signer, NULL), 0);
	if (b)
		assert_int_equal(envelope_sign(root, &b->signer, NULL), 0);
	return root;
}

static void
roots_that_do_not_follow_each_other_are_refused(void **state)
{
	AUTO_PERSON struct person p = person(), q = person();

	(void)state;
	assert_int_equal(check_behind(&p, signed_by(root_of(&q, 2), &q, NULL), 3), -1);
	assert_int_equal(check_behind(&p, signed_by(root_of(&q, 2), &p, NULL), 3), -1);
	assert_int_equal(check_behind(&p, signed_by(root_of(&q, 2), &p, &q), 3), 0);
	assert_int_equal(check_behind(&p, signed_by(root_of(&p, 3), &p, NULL), 4), -1);
	assert_int_equal(check_behind(&p, signed_by(root_of(&p, 1), &p, NULL), 2), -1);
}

static void
a_key_under_anothers_id_signs_nothing(void **state)
{
	AUTO_PERSON struct person p = person(), q = person();
	AUTO_REQUEST struct request r = request_for(&p);
	AUTO_JSON json_t *good = NULL;
	AUTO_CHANGE struct change c = {0};
	json_t *keys = json_object_get(json_object_get(r.document, "signed"), "keys");
	struct signer under = q.signer;
	struct err e = ERR_INIT;

	(void)state;
	memcpy(under.keyid, p.signer.keyid, sizeof(under.keyid));
	assert_int_equal(json_object_set(keys, p.signer.keyid, q.public), 0);
	assert_int_equal(envelope_sign(r.document, &under, NULL), 0);
	assert_int_equal(request_check(&r, NULL, &c, &e), 0);
	assert_int_equal(request_signers(&c, &good, &e), -1);
	assert_non_null(strstr(e.text, "another's id"));
}

static void
a_summary_says_all_that_differs(void **state)
{
	AUTO_PERSON struct person p = person(), q = person();
	AUTO_REQUEST struct request r = request_for(&p);
	AUTO_CHANGE struct change c = {0};
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	AUTO_JSON json_t *nobody = json_array();
	const struct keyring none = {0};
	json_t *body = json_object_get(r.document, "signed"), *role;

	(void)state;
	role = json_object_get(json_object_get(body, "roles"), "timestamp");
	(void)json_object_set_new(role, "keyids", json_pack("[s]", q.signer.keyid));
	(void)json_object_set(json_object_get(body, "keys"), q.signer.keyid, q.public);
	(void)json_object_set_new(role, "x-\x1bodd", json_string("\n\x7f"));
	(void)json_object_set_new(body, "consistent_snapshot", json_false());
	assert_int_equal(request_check(&r, NULL, &c, NULL), 0);
	assert_int_equal(summary_write(&c, nobody, &none, 0, &text, NULL), 0);
	assert_non_null(strstr(buf_str(&text), "consistent_snapshot: false (was true)"));
	assert_non_null(strstr(buf_str(&text), "x-\\x1bodd: \"\\x5cn\\x7f\""));
	assert_non_null(strstr(buf_str(&text), "+ (no name here)"));
	assert_null(strstr(buf_str(&text), "Nothing else changes"));
	for (size_t i = 0; i < text.len; i++)
		assert_true(text.data[i] == '\n' || (text.data[i] >= ' ' && text.data[i] <= '~'));
}

static void
an_expiry_is_a_life_or_a_date_ahead(void **state)
{
	static const char *const bad[] = {"", "0d", "8000d", "1999-01-01", "2030-13-01", "10",
		"2030-01-01T00:00:00", "2100-01-01", "tomorrow", "-5d"};
	int64_t now_s = 1800000000, at_s = 0; /* 2027-01-15T08:00:00Z */
	char text[CLOCK_TEXT_SIZE];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(ceremony_expiry("2d", now_s, &at_s, NULL), 0);
	assert_int_equal(at_s, now_s + 2 * 86400);
	assert_int_equal(ceremony_expiry("2030-05-06", now_s, &at_s, NULL), 0);
	assert_string_equal(clock_format(at_s, text), "2030-05-06T00:00:00Z");
	assert_int_equal(ceremony_expiry("2030-05-06T07:08:09Z", now_s, &at_s, NULL), 0);
	assert_string_equal(clock_format(at_s, text), "2030-05-06T07:08:09Z");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(ceremony_expiry(bad[i], now_s, &at_s, &e), -1);
		assert_int_equal(e.class, ERR_USAGE);
	}
}

int
main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, folder_enter_memory, folder_leave)
	const struct CMUnitTest tests[] = {
		test(what_is_written_is_read_and_checked),
		test(every_prefix_and_flip_is_refused_or_for_the_same_bytes),
		test(a_key_under_two_ids_counts_once),
		test(a_request_of_the_wrong_type_version_or_role_is_refused),
		test(roots_that_do_not_follow_each_other_are_refused),
		test(a_key_under_anothers_id_signs_nothing),
		test(a_summary_says_all_that_differs),
		test(an_expiry_is_a_life_or_a_date_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
