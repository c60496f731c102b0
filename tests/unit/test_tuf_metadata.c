/* Metadata as it may come from others: keys of every kind, digests of every kind, unknown fields,
 * and JSON that is none, each through a whole refresh. */
#include "tests/unit/repo_fixture.h"

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/limits.h"
#include "common/tuf/document.h"
#include "tests/unit/folder.h"

/* One poll, a delegated role and all. */
static int
poll_once(struct repo *r, struct err *e)
{
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	bool found;

	r->asked[0] = '\0';
	if (tuf_refresh(c, &r->fetcher, REPO_NOW_S, e) < 0)
		return -1;
	return tuf_find(c, &r->fetcher, "team/x", REPO_NOW_S, &found, &t, e);
}

static int
team_setup(void **state)
{
	struct repo *r = repo_new();
	struct err e = ERR_INIT;

	(void)repo_delegate(r, "targets", "team", 4, "team/*", true);
	repo_target(r, "team", "team/x", "{}");
	repo_write(r, "team");
	repo_release(r, "targets");
	assert_int_equal(poll_once(r, &e), 0);
	*state = r;
	return 0;
}
#define team_test(f) cmocka_unit_test_setup_teardown(f, team_setup, repo_teardown)

/* Keys of other kinds, which openssl signs with. */

static void
run(const char *arguments)
{
	char command[2048];

	(void)snprintf(command, sizeof(command), "openssl %s 2>log", arguments);
	assert_int_equal(system(command), 0);
}

/* Gives the role of the timestamp the key in the file k, as key 10. */
static void
use_key(struct repo *r, const char *keytype, const char *scheme)
{
	AUTO_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);
	struct repo_key *k = &r->keys[10];

	run("pkey -in k -pubout -out k.pub");
	assert_int_equal(file_read("k.pub", &pem, NULL), 0);
	json_decref(k->public);
	k->public = json_pack("{s:s, s:s, s:{s:s}}", "keytype", keytype, "scheme", scheme, "keyval",
		"public", buf_str(&pem));
	assert_int_equal(pubkey_id(k->public, k->signer.keyid, NULL), 0);
	repo_set_keys(r, "timestamp", KEYS(10), 1);
	repo_role(r, "timestamp")->keys[0] = -1;
	repo_bump(r, "root");
}

/* Serves the next timestamp, signed by `openssl OPTIONS -sign k`; broken: but for one bit. */
static void
serve_signed(struct repo *r, const char *options, bool broken)
{
	AUTO_BUF struct buf message = BUF_INIT(TUF_TIMESTAMP_BYTES_MAX);
	AUTO_BUF struct buf raw = BUF_INIT(SIGNATURE_BYTES_MAX);
	AUTO_JSON json_t *envelope = NULL;
	char command[1024], hex[2 * SIGNATURE_BYTES_MAX + 1], *text;

	repo_bump(r, "timestamp");
	envelope = envelope_new(repo_body(r, "timestamp"));
	assert_int_equal(json_canonical(repo_body(r, "timestamp"), &message, NULL), 0);
	assert_int_equal(file_replace("message", 0600, buf_span(&message), NULL), 0);
	(void)snprintf(
		command, sizeof(command), "dgst -sha256 %s -sign k -out sig message", options);
	run(command);
	assert_int_equal(file_read("sig", &raw, NULL), 0);
	raw.data[raw.len - 1] ^= broken;
	hex_encode(raw.data, raw.len, hex);
	json_array_append_new(json_object_get(envelope, "signatures"),
		json_pack("{s:s, s:s}", "keyid", r->keys[10].signer.keyid, "sig", hex));
	text = json_dumps(envelope, JSON_COMPACT);
	repo_file_put(&r->metadata, "timestamp.json", text, strlen(text));
	free(text);
}

#define PSS "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"

static void
metadata_may_be_signed_by_keys_of_every_kind(void **state)
{
	static const struct {
		const char *make, *keytype, *scheme, *options, *wrong;
	} kinds[] = {
		{"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k", "ecdsa",
			"ecdsa-sha2-nistp256", "", NULL},
		{"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k",
			"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "", NULL},
		{"genrsa -out k 2048", "rsa", "rsassa-pss-sha256", PSS, ""},
		{"genrsa -out k 2048", "rsa", "rsa-pkcs1v15-sha256", "", PSS},
	};
	struct repo *r = *state;
	struct err e = ERR_INIT;
	void *folder = NULL;

	assert_int_equal(folder_enter(&folder), 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		run(kinds[i].make);
		use_key(r, kinds[i].keytype, kinds[i].scheme);
		serve_signed(r, kinds[i].options, false);
		if (poll_once(r, &e) < 0)
			fail_msg("%s: %s", kinds[i].scheme, e.text);
		serve_signed(r, kinds[i].options, true);
		assert_int_equal(poll_once(r, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		if (!kinds[i].wrong)
			continue;
		serve_signed(r, kinds[i].wrong, false);
		assert_int_equal(poll_once(r, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
	}
	assert_int_equal(folder_leave(&folder), 0);
}

/* Digests. */

static json_t *
metafile_of(struct repo *r, const char *role)
{
	char name[80];

	(void)snprintf(name, sizeof(name), "%s.json", role);
	return json_object_get(json_object_get(repo_body(r, "snapshot"), "meta"), name);
}

/* Lists a role with its SHA-512 alone; what else is wrong with it is up to `bit`. */
static void
list_sha512(struct repo *r, const char *role, uint8_t bit)
{
	uint8_t sha512[DIGEST512_BYTES];
	char file[256], hex[2 * DIGEST512_BYTES + 1];
	const struct repo_file *f;

	repo_bump(r, role);
	repo_file_name(r, role, file);
	f = repo_file(&r->metadata, file);
	digest512_of(span_of(f->data, f->len), sha512);
	sha512[DIGEST512_BYTES - 1] ^= bit;
	hex_encode(sha512, sizeof(sha512), hex);
	json_object_set_new(metafile_of(r, role), "hashes", json_pack("{s:s}", "sha512", hex));
	repo_release(r, NULL);
}

static void
metadata_may_be_listed_by_sha512_alone(void **state)
{
	static const char *const roles[] = {"targets", "team"};
	struct repo *r = *state;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		list_sha512(r, roles[i], 0);
		if (poll_once(r, &e) < 0)
			fail_msg("%s", e.text);
		list_sha512(r, roles[i], 1);
		assert_int_equal(poll_once(r, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		list_sha512(r, roles[i], 0);
		assert_int_equal(poll_once(r, &e), 0);
	}
}

static void
of_two_digests_both_must_be_right(void **state)
{
	struct repo *r = *state;
	struct err e = ERR_INIT;
	json_t *hashes;

	r->hashes = true;
	repo_release(r, "targets");
	hashes = json_object_get(metafile_of(r, "targets"), "hashes");
	json_object_set_new(hashes, "sha512",
		json_string(
			"00000000000000000000000000000000000000000000000000000000000000000000000"
			"000000000000000000000000000000000000000000000000000000000"));
	repo_release(r, NULL);
	assert_int_equal(poll_once(r, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	/* One of a kind that nobody here knows does not matter beside one that is right. */
	json_object_del(hashes, "sha512");
	json_object_set_new(hashes, "blake9", json_string("00"));
	repo_release(r, NULL);
	assert_int_equal(poll_once(r, &e), 0);
}

/* Unknown fields. */

static void
unknown_fields_are_signed_and_kept(void **state)
{
	static const char *const roles[] = {"root", "targets", "team", "snapshot", "timestamp"};
	struct repo *r = *state;
	struct err e = ERR_INIT;
	json_t *key = r->keys[4].public;

	json_object_set_new(key, "x-owner", json_pack("{s:[i,n]}", "ids", 1));
	assert_int_equal(pubkey_id(key, r->keys[4].signer.keyid, NULL), 0);
	json_object_del(repo_body(r, "targets"), "delegations");
	(void)repo_delegate(r, "targets", "team", 4, "team/*", true);
	json_object_set_new(repo_root_role(r, "targets"), "x-note", json_string("none"));
	json_object_set_new(metafile_of(r, "targets"), "x-note", json_true());
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		json_object_set_new(
			repo_body(r, roles[i]), "x-unknown", json_pack("{s:i}", "a", (int)i));
		repo_bump(r, roles[i]);
	}
	if (poll_once(r, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		assert_non_null(strstr(
			(char *)repo_file(&r->store, roles[i])->data, "\"x-unknown\":{\"a\":"));
}

static void
an_unknown_field_that_was_changed_breaks_the_signature(void **state)
{
	struct repo *r = *state;
	struct repo_file *f;
	struct err e = ERR_INIT;

	json_object_set_new(repo_body(r, "timestamp"), "x-unknown", json_string("left"));
	repo_bump(r, "timestamp");
	f = repo_file(&r->metadata, "timestamp.json");
	memcpy(strstr((char *)f->data, "left"), "lift", 4);
	assert_int_equal(poll_once(r, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

/* JSON. */

static const char *const roles[] = {"root", "timestamp", "snapshot", "targets", "team"};

/* Serves text as the next version of a role. */
static void
serve_text(struct repo *r, const char *role, struct span text, char file[256])
{
	repo_bump(r, role);
	repo_file_name(r, role, file);
	repo_file_put(&r->metadata, file, text.data, text.len);
	if (strcmp(role, "targets") == 0 || strcmp(role, "team") == 0)
		repo_bump(r, "snapshot");
	if (strcmp(role, "root") != 0 && strcmp(role, "timestamp") != 0)
		repo_bump(r, "timestamp");
}

/* What comes instead of a role's metadata is refused by the name of its file, and `where` in it. */
static void
check_refused(struct repo *r, struct span text, enum err_class class, const char *where)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		AUTO_JSON json_t *was = json_deep_copy(repo_body(r, "root"));
		long long stored = repo_stored(r, roles[i]);
		struct err e = ERR_INIT;
		char file[256];

		serve_text(r, roles[i], text, file);
		assert_int_equal(poll_once(r, &e), -1);
		assert_int_equal(e.class, class);
		if (!strstr(e.text, file) || !strstr(e.text, where))
			fail_msg("%s, %s: %s", file, where, e.text);
		assert_int_equal(repo_stored(r, roles[i]), stored);
		repo_write(r, roles[i]);
		if (poll_once(r, &e) < 0)
			fail_msg("%s", e.text);
	}
}

static void
json_that_is_none_is_refused_by_file_and_byte(void **state)
{
	struct repo *r = *state;

	check_refused(r, span_str(""), ERR_MALFORMED, "byte 0");
	check_refused(r, span_str("<html>"), ERR_MALFORMED, "byte 1");
	check_refused(r, span_str("{\"signed\":{},}"), ERR_MALFORMED, "byte 14");
}

static void
json_nested_too_deep_is_refused_by_file_and_byte(void **state)
{
	struct repo *r = *state;
	uint8_t text[1000];

	memset(text, '[', sizeof(text));
	check_refused(r, span_of(text, sizeof(text)), ERR_LIMIT, "byte 32: nested");
}

static void
json_with_doubled_keys_is_refused_by_file_and_byte(void **state)
{
	struct repo *r = *state;

	check_refused(
		r, span_str("{\"signed\":{},\"signed\":{}}"), ERR_MALFORMED, "byte 21: duplicate");
}

static void
json_that_is_not_utf8_is_refused_by_file_and_byte(void **state)
{
	struct repo *r = *state;

	check_refused(r, span_str("{\"signed\":\"\xc3\x28\"}"), ERR_MALFORMED, "byte 11");
}

static void
json_with_numbers_over_their_range_is_refused_by_file_and_byte(void **state)
{
	struct repo *r = *state;

	check_refused(r, span_str("{\"signed\":{\"version\":9223372036854775808}}"), ERR_MALFORMED,
		"byte 40: too big");
	check_refused(r, span_str("{\"signed\":{\"version\":1e400}}"), ERR_MALFORMED, "byte 22");
}

static void
json_with_a_fraction_is_refused_by_file_and_byte(void **state)
{
	struct repo *r = *state;

	check_refused(r, span_str("{\"signed\":{\"version\":2.0}}"), ERR_MALFORMED, "byte 22");
}

static void
metadata_may_be_as_long_as_its_limit_and_no_longer(void **state)
{
	static const size_t limits[] = {TUF_ROOT_BYTES_MAX, TUF_TIMESTAMP_BYTES_MAX,
		TUF_SNAPSHOT_BYTES_MAX, TUF_TARGETS_BYTES_MAX, TUF_TARGETS_BYTES_MAX};
	struct repo *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		AUTO_FREE uint8_t *text = malloc(limits[i] + 1);
		const struct repo_file *f;
		struct err e = ERR_INIT;
		char file[256];

		assert_non_null(text);
		memset(text, ' ', limits[i] + 1);
		serve_text(r, roles[i], span_of(text, limits[i] + 1), file);
		repo_write(r, roles[i]);
		f = repo_file(&r->metadata, file);
		memcpy(text, f->data, f->len);
		repo_file_put(&r->metadata, file, text, limits[i] + 1);
		assert_int_equal(poll_once(r, &e), -1);
		assert_int_equal(e.class, ERR_LIMIT);
		assert_non_null(strstr(e.text, file));
		repo_file_put(&r->metadata, file, text, limits[i]);
		if (poll_once(r, &e) < 0)
			fail_msg("%s", e.text);
	}
}

static void
a_delegation_is_found_by_its_name_and_the_first_one_counts(void **state)
{
	AUTO_JSON json_t *list = json_pack("[i, {s:i}, {s:s, s:i}, {s:s, s:i}, {s:s, s:i}]", 1,
		"name", 1, "name", "a", "n", 0, "name", "b", "n", 1, "name", "b", "n", 2);
	AUTO_JSON json_t *object = json_pack("{s:{s:s}}", "b", "name", "b");

	(void)state;
	assert_non_null(list);
	assert_ptr_equal(delegation_find(list, "a"), json_array_get(list, 2));
	assert_ptr_equal(delegation_find(list, "b"), json_array_get(list, 3));
	assert_null(delegation_find(list, "c"));
	assert_null(delegation_find(list, ""));
	assert_null(delegation_find(list, NULL));
	assert_null(delegation_find(object, "b"));
	assert_null(delegation_find(NULL, "b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delegation_is_found_by_its_name_and_the_first_one_counts),
		team_test(metadata_may_be_signed_by_keys_of_every_kind),
		team_test(metadata_may_be_listed_by_sha512_alone),
		team_test(of_two_digests_both_must_be_right),
		team_test(unknown_fields_are_signed_and_kept),
		team_test(an_unknown_field_that_was_changed_breaks_the_signature),
		team_test(json_that_is_none_is_refused_by_file_and_byte),
		team_test(json_nested_too_deep_is_refused_by_file_and_byte),
		team_test(json_with_doubled_keys_is_refused_by_file_and_byte),
		team_test(json_that_is_not_utf8_is_refused_by_file_and_byte),
		team_test(json_with_numbers_over_their_range_is_refused_by_file_and_byte),
		team_test(json_with_a_fraction_is_refused_by_file_and_byte),
		team_test(metadata_may_be_as_long_as_its_limit_and_no_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
