/* Checks of the TUF client that stand behind others, each at its edge. */
#include "tests/unit/repo_fixture.h"

#include <malloc.h>

#include "common/base/num.h"
#include "common/limits.h"

static enum err_class
refresh_with(struct tuf_client *c, struct repo *r)
{
	struct err e = ERR_INIT;

	return tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e) < 0 ? e.class : ERR_NONE;
}

/* A client that goes on running has all of it in memory as well. */
static void
a_running_client_recovers_from_a_fast_forward(void **state)
{
	static const char *const revoked[] = {"timestamp", "snapshot"};
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);

	for (int i = 0; i < 2; i++) {
		repo_set_version(r, "targets", 1000);
		repo_write(r, "targets");
		repo_set_version(r, "snapshot", 1000);
		repo_write(r, "snapshot");
		repo_set_version(r, "timestamp", 1000);
		repo_write(r, "timestamp");
		assert_int_equal(refresh_with(c, r), ERR_NONE);
		repo_set_keys(r, revoked[i], KEYS(4 + i), 1);
		repo_bump(r, "root");
		repo_set_version(r, "targets", 2 + i);
		repo_write(r, "targets");
		repo_set_version(r, "snapshot", 2 + i);
		repo_write(r, "snapshot");
		repo_set_version(r, "timestamp", 2 + i);
		repo_write(r, "timestamp");
		assert_int_equal(refresh_with(c, r), ERR_NONE);
		assert_int_equal(repo_stored(r, "timestamp"), 2 + i);
		assert_int_equal(repo_stored(r, "snapshot"), 2 + i);
		assert_int_equal(repo_stored(r, "targets"), 2 + i);
	}
}

static void
what_is_known_expires_at_its_second(void **state)
{
	static const char *const roles[] = {"targets", "snapshot"};
	struct repo *r = *state;

	for (int i = 0; i < 2; i++) {
		repo_expire(r, roles[i], "2027-02-01T00:00:00Z");
		repo_release(r, "targets");
		assert_int_equal(repo_refresh_at(r, 1801440000 - 1), ERR_NONE);
		assert_int_equal(repo_refresh_at(r, 1801440000), ERR_EXPIRED);
		repo_expire(r, roles[i], REPO_EXPIRES);
	}
}

/* The key id stays on the role's list, and the key is gone. */
static void
a_key_that_is_taken_away_signs_no_longer(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);

	assert_int_equal(refresh_with(c, r), ERR_NONE);
	json_object_del(json_object_get(repo_body(r, "root"), "keys"), r->keys[3].signer.keyid);
	repo_bump(r, "root");
	assert_int_equal(refresh_with(c, r), ERR_UNTRUSTED);
}

/* It would be kept, and nothing could follow it. */
static void
a_root_that_leaves_a_role_out_is_never_stored(void **state)
{
	static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
	struct repo *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		json_t *all = json_object_get(repo_body(r, "root"), "roles");
		AUTO_JSON json_t *was = json_incref(json_object_get(all, roles[i]));

		json_object_del(all, roles[i]);
		repo_set_version(r, "root", 2);
		repo_write(r, "root");
		assert_int_not_equal(repo_refresh(r), ERR_NONE);
		assert_int_equal(repo_stored(r, "root"), 1);
		json_object_set(all, roles[i], was);
	}
}

static void
assert_refused_as(struct repo *r, const char *role, enum err_class class)
{
	json_int_t was = repo_stored(r, role);

	if (strcmp(role, "root") == 0)
		repo_bump(r, "root");
	else
		repo_release(r, strcmp(role, "targets") == 0 ? role : NULL);
	assert_int_equal(repo_refresh(r), class);
	assert_int_equal(repo_stored(r, role), was);
}

static void
words_are_what_they_must_be(void **state)
{
	struct repo *r = *state;
	json_t *d = repo_delegate(r, "targets", "x", 5, "*", false);
	json_t *root = repo_body(r, "root");

	json_object_set_new(d, "terminating", json_string("no"));
	assert_refused_as(r, "targets", ERR_MALFORMED);
	json_object_set_new(d, "terminating", json_true());
	json_object_set_new(d, "paths", json_pack("[s, i]", "*", 1));
	assert_refused_as(r, "targets", ERR_MALFORMED);
	json_object_del(d, "paths");
	json_object_set_new(d, "path_hash_prefixes", json_pack("[s]", "AB"));
	assert_refused_as(r, "targets", ERR_MALFORMED);
	json_object_set_new(d, "path_hash_prefixes",
		json_pack("[s]",
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"));
	assert_refused_as(r, "targets", ERR_MALFORMED);
	json_object_set_new(d, "path_hash_prefixes", json_pack("[s]", "ab"));
	json_object_set_new(root, "consistent_snapshot", json_string("yes"));
	assert_refused_as(r, "root", ERR_MALFORMED);
}

static void
a_spec_version_of_ten_is_not_one(void **state)
{
	struct repo *r = *state;

	json_object_set_new(repo_body(r, "targets"), "spec_version", json_string("10.0.0"));
	assert_refused_as(r, "targets", ERR_MALFORMED);
}

static void
a_length_of_none_is_no_length(void **state)
{
	struct repo *r = *state;

	json_object_set_new(repo_body(r, "timestamp"), "meta",
		json_pack("{s:{s:i, s:i}}", "snapshot.json", "version", 1, "length", 0));
	repo_bump(r, "timestamp");
	assert_int_not_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 0);
}

/* Adds keys that sign nothing to targets.json until it has count of them. */
static void
keys_fill(struct repo *r, size_t count)
{
	json_t *body = repo_body(r, "targets"), *delegations = json_object_get(body, "delegations");
	json_t *keys = json_object_get(delegations, "keys");

	for (size_t i = json_object_size(keys); i < count; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "%zu", i);
		json_object_set(keys, id, r->keys[6].public);
	}
}

static void
a_document_has_so_many_keys_and_no_more(void **state)
{
	struct repo *r = *state;
	(void)repo_delegate(r, "targets", "x", 5, "*", false);
	keys_fill(r, TUF_KEYS_MAX);
	repo_write(r, "x");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	keys_fill(r, TUF_KEYS_MAX + 1);
	assert_refused_as(r, "targets", ERR_LIMIT);
}

static void
both_digests_of_metadata_must_be_right(void **state)
{
	struct repo *r = *state;
	const struct repo_file *f;
	uint8_t right[DIGEST512_BYTES];
	char hex[2 * DIGEST512_BYTES + 1];
	json_t *entry;

	r->hashes = true;
	repo_release(r, "targets");
	f = repo_file(&r->metadata, "2.targets.json");
	digest512_of(span_of(f->data, f->len), right);
	hex_encode(right, DIGEST512_BYTES, hex);
	entry = json_object_get(json_object_get(repo_body(r, "snapshot"), "meta"), "targets.json");
	for (int good = 0; good < 2; good++) {
		json_t *hashes = repo_hashes("", 0);

		if (good)
			json_object_update_new(hashes, repo_hashes(f->data, f->len));
		json_object_set_new(hashes, "sha512", json_string(hex));
		json_object_set_new(entry, "hashes", hashes);
		repo_release(r, NULL);
		assert_int_equal(repo_refresh(r), good ? ERR_NONE : ERR_UNTRUSTED);
	}
}

static void
both_digests_of_a_target_must_be_right(void **state)
{
	static const char *const wrong =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_BUF struct buf out = BUF_INIT(100);
	struct tuf_target t = {.length = 2, .has_sha256 = true, .has_sha512 = true};
	struct err e = ERR_INIT;
	char name[80];

	(void)snprintf(t.path, sizeof(t.path), "x");
	digest512_of(span_str("{}"), t.sha512);
	assert_int_equal(digest_parse(wrong, &t.sha256, &e), 0);
	(void)snprintf(name, sizeof(name), "%s.x", wrong);
	repo_file_put(&r->targets, name, "{}", 2);
	assert_int_equal(tuf_fetch_bytes(c, &r->fetcher, &t, &out, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
half_a_sha512_is_none(void **state)
{
	struct repo *r = *state;
	json_t *entry =
		json_object_get(json_object_get(repo_body(r, "snapshot"), "meta"), "targets.json");

	json_object_set_new(entry, "hashes", json_pack("{s:s}", "sha512", "0123456789abcdef"));
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

/* What came along with a bundle was not brought up to date. */
static void
a_find_needs_a_refresh_after_what_came_along(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	const struct repo_file *f;
	struct err e = ERR_INIT;
	bool found;

	assert_int_equal(refresh_with(c, r), ERR_NONE);
	assert_int_equal(tuf_find(c, &r->fetcher, "x", REPO_NOW_S, &found, &t, &e), 0);
	repo_bump(r, "targets");
	f = repo_file(&r->metadata, "2.targets.json");
	assert_int_equal(tuf_take_targets(c, span_of(f->data, f->len), &e), 0);
	assert_int_equal(tuf_find(c, &r->fetcher, "x", REPO_NOW_S, &found, &t, &e), -1);
	repo_release(r, NULL);
	assert_int_equal(refresh_with(c, r), ERR_NONE);
	repo_bump(r, "root");
	f = repo_file(&r->metadata, "2.root.json");
	assert_int_equal(tuf_take_root(c, span_of(f->data, f->len), &e), 0);
	assert_int_equal(tuf_find(c, &r->fetcher, "x", REPO_NOW_S, &found, &t, &e), -1);
}

/* It would be kept, and no snapshot could ever be it. */
static void
no_version_that_is_listed_is_0(void **state)
{
	struct repo *r = *state;

	json_object_set_new(repo_body(r, "timestamp"), "meta",
		json_pack("{s:{s:i}}", "snapshot.json", "version", 0));
	repo_bump(r, "timestamp");
	assert_int_not_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 0);
}

/* A list of keys that is as long as it may be, and one longer. */
static void
a_role_lists_so_many_keys_and_no_more(void **state)
{
	struct repo *r = *state;
	json_t *ids = json_object_get(repo_root_role(r, "timestamp"), "keyids");

	while (json_array_size(ids) < TUF_KEYS_MAX)
		json_array_append_new(ids, json_string("0"));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	json_array_append_new(ids, json_string("0"));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_LIMIT);
}

/* Lists the snapshot that is there with a length. */
static void
list_snapshot_length(struct repo *r, json_int_t length)
{
	json_object_set_new(repo_body(r, "timestamp"), "meta",
		json_pack("{s:{s:i, s:I}}", "snapshot.json", "version", 1, "length", length));
	repo_bump(r, "timestamp");
}

static void
a_length_that_is_listed_may_be_the_limit_itself(void **state)
{
	struct repo *r = *state;

	list_snapshot_length(r, TUF_SNAPSHOT_BYTES_MAX);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED); /* which is not how long it is */
	assert_non_null(strstr(r->asked, "1.snapshot.json"));
	list_snapshot_length(r, TUF_SNAPSHOT_BYTES_MAX + 1);
	assert_int_equal(repo_refresh(r), ERR_LIMIT);
	assert_null(strstr(r->asked, "1.snapshot.json"));
}

static void
what_is_known_is_fetched_again_where_another_length_is_listed(void **state)
{
	struct repo *r = *state;
	const struct repo_file *f = repo_file(&r->metadata, "1.snapshot.json");

	assert_int_equal(repo_refresh(r), ERR_NONE);
	list_snapshot_length(r, (json_int_t)f->len);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_null(strstr(r->asked, "snapshot.json"));
	list_snapshot_length(r, (json_int_t)f->len + 1);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_non_null(strstr(r->asked, "1.snapshot.json"));
}

static int
take_root(struct repo *r, struct tuf_client *c, const char *file)
{
	const struct repo_file *f = repo_file(&r->metadata, file);

	return tuf_take_root(c, span_of(f->data, f->len), NULL);
}

/* A daemon that runs, and a local install that saved a root beside it. */
static void
a_root_that_came_along_follows_what_another_process_saved(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r), *other = repo_client(r);

	repo_bump(r, "root");
	repo_bump(r, "root");
	assert_int_equal(take_root(r, other, "2.root.json"), 0);
	assert_int_equal(take_root(r, daemon, "2.root.json"), -1);
	assert_int_equal(take_root(r, daemon, "3.root.json"), 0);
	assert_int_equal(repo_stored(r, "root"), 3);
	assert_int_equal(take_root(r, other, "2.root.json"), -1);
	assert_int_equal(repo_stored(r, "root"), 3);
}

static int
take_targets(struct repo *r, struct tuf_client *c, const char *file)
{
	const struct repo_file *f = repo_file(&r->metadata, file);

	return tuf_take_targets(c, span_of(f->data, f->len), NULL);
}

static void
targets_that_came_along_undo_nothing_that_another_process_saved(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r), *other = repo_client(r);

	assert_int_equal(refresh_with(daemon, r), ERR_NONE);
	repo_bump(r, "targets");
	repo_bump(r, "targets");
	assert_int_equal(take_targets(r, other, "3.targets.json"), 0);
	assert_int_equal(take_targets(r, daemon, "2.targets.json"), -1);
	assert_int_equal(repo_stored(r, "targets"), 3);
}

/* Two files of one version, both signed: the first one stays, so that nobody can tell boxes apart
 * by giving each another. */
static void
targets_of_the_same_version_replace_nothing(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_BUF struct buf first = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	const struct repo_file *f;

	assert_int_equal(take_targets(r, c, "1.targets.json"), 0);
	f = repo_file(&r->store, "targets");
	assert_int_equal(buf_append(&first, f->data, f->len, NULL), 0);
	repo_target(r, "targets", "x", "y");
	repo_write(r, "targets");
	assert_int_equal(take_targets(r, c, "1.targets.json"), 0);
	f = repo_file(&r->store, "targets");
	assert_true(span_equal(span_of(f->data, f->len), buf_span(&first)));
}

static void
find_once(struct repo *r)
{
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	struct err e = ERR_INIT;
	bool found;

	assert_int_equal(refresh_with(c, r), ERR_NONE);
	assert_int_equal(tuf_find(c, &r->fetcher, "x", REPO_NOW_S, &found, &t, &e), 0);
	r->asked[0] = '\0';
}

/* A daemon opens a client for every poll, so what one leaves behind adds up. */
static void
a_client_takes_what_its_searches_read_with_it(void **state)
{
	struct repo *r = *state;
	size_t before;

	(void)repo_delegate(r, "targets", "team", 4, "*", false);
	repo_write(r, "team");
	repo_release(r, "targets");
	for (int i = 0; i < 50; i++)
		find_once(r);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 100; i++)
		find_once(r);
	/* A KiB for each is what the heap itself may take; the role that was found has more. */
	assert_in_range(mallinfo2().uordblks, 0, before + 100 * 1024);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		repo_test(a_running_client_recovers_from_a_fast_forward),
		repo_test(what_is_known_expires_at_its_second),
		repo_test(a_key_that_is_taken_away_signs_no_longer),
		repo_test(a_root_that_leaves_a_role_out_is_never_stored),
		repo_test(words_are_what_they_must_be),
		repo_test(a_spec_version_of_ten_is_not_one),
		repo_test(a_length_of_none_is_no_length),
		repo_test(a_document_has_so_many_keys_and_no_more),
		repo_test(both_digests_of_metadata_must_be_right),
		repo_test(both_digests_of_a_target_must_be_right),
		repo_test(half_a_sha512_is_none),
		repo_test(a_find_needs_a_refresh_after_what_came_along),
		repo_test(no_version_that_is_listed_is_0),
		repo_test(a_role_lists_so_many_keys_and_no_more),
		repo_test(a_length_that_is_listed_may_be_the_limit_itself),
		repo_test(what_is_known_is_fetched_again_where_another_length_is_listed),
		repo_test(a_root_that_came_along_follows_what_another_process_saved),
		repo_test(targets_that_came_along_undo_nothing_that_another_process_saved),
		repo_test(targets_of_the_same_version_replace_nothing),
		repo_test(a_client_takes_what_its_searches_read_with_it),
	};

	return cmocka_run_group_tests_name("tuf edges", tests, NULL, NULL);
}
