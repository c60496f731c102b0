/* Section 5.5 and 5.6: what the timestamp and the snapshot list binds what is taken. */
#include "tests/unit/repo_fixture.h"

static void
a_wrong_signature_on_snapshot_is_refused(void **state)
{
	struct repo *r = *state;

	repo_forge(r, "snapshot");
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

static void
an_expired_snapshot_is_not_taken(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_expire(r, "snapshot", PAST);
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_EXPIRED);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
	assert_int_equal(repo_stored(r, "snapshot"), 1);
}

static void
a_known_snapshot_that_has_expired_is_reported(void **state)
{
	struct repo *r = *state;

	repo_expire(r, "snapshot", "2027-02-01T00:00:00Z");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_refresh_at(r, REPO_NOW_S + 40 * 86400), ERR_EXPIRED);
}

static void
a_snapshot_of_another_version_than_listed_is_refused(void **state)
{
	struct repo *r = *state;

	repo_bump(r, "snapshot");
	repo_set_version(r, "snapshot", 3);
	repo_serve(r, "2.snapshot.json", repo_body(r, "snapshot"), KEYS(2));
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
	repo_set_version(r, "snapshot", 1);
	repo_serve(r, "2.snapshot.json", repo_body(r, "snapshot"), KEYS(2));
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

static void
targets_of_another_version_than_listed_are_refused(void **state)
{
	struct repo *r = *state;

	repo_bump(r, "targets");
	repo_set_version(r, "targets", 3);
	repo_serve(r, "2.targets.json", repo_body(r, "targets"), KEYS(3));
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "targets"), 0);
}

/* Signed rightly, of the listed version and length, yet not the file that is listed. */
static void
swap_content(struct repo *r, const char *file, const char *role, const int *keys)
{
	json_t *body = repo_body(r, role);

	repo_expire(r, role, "2031-01-01T00:00:00Z");
	repo_serve(r, file, body, keys);
}

static void
a_snapshot_with_another_digest_than_listed_is_refused(void **state)
{
	struct repo *r = *state;

	r->hashes = true;
	repo_release(r, NULL);
	swap_content(r, "2.snapshot.json", "snapshot", KEYS(2));
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

static void
targets_with_another_digest_than_listed_are_refused(void **state)
{
	struct repo *r = *state;

	r->hashes = true;
	repo_release(r, "targets");
	swap_content(r, "2.targets.json", "targets", KEYS(3));
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "targets"), 0);
}

static void
a_cached_snapshot_with_another_digest_is_fetched_again(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	r->hashes = true;
	repo_expire(r, "snapshot", "2031-01-01T00:00:00Z");
	repo_write(r, "snapshot");
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_non_null(strstr(r->asked, "1.snapshot.json"));
	assert_non_null(strstr((char *)repo_file(&r->store, "snapshot")->data, "2031"));
}

static void
metadata_of_another_length_than_listed_is_refused(void **state)
{
	struct repo *r = *state;
	json_t *entry;

	repo_bump(r, "snapshot");
	entry = json_object_get(
		json_object_get(repo_body(r, "timestamp"), "meta"), "snapshot.json");
	json_object_set_new(entry, "length",
		json_integer((json_int_t)repo_file(&r->metadata, "2.snapshot.json")->len + 1));
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

static void
no_more_than_the_listed_length_is_fetched(void **state)
{
	struct repo *r = *state;
	json_t *entry;

	repo_bump(r, "snapshot");
	entry = json_object_get(
		json_object_get(repo_body(r, "timestamp"), "meta"), "snapshot.json");
	json_object_set_new(entry, "length", json_integer(10));
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_LIMIT);
	json_object_set_new(entry, "length", json_integer(1LL << 40));
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_LIMIT);
	assert_string_equal(r->asked, "2.root.json timestamp.json ");
}

static void
digests_of_unknown_kinds_are_no_reason_to_skip_the_check(void **state)
{
	struct repo *r = *state;
	json_t *entry;

	repo_bump(r, "snapshot");
	entry = json_object_get(
		json_object_get(repo_body(r, "timestamp"), "meta"), "snapshot.json");
	json_object_set_new(entry, "hashes", json_pack("{s:s}", "md5", "00"));
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	json_object_set_new(entry, "hashes", json_object());
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	json_object_set_new(entry, "hashes", json_pack("{s:s}", "sha256", ""));
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

static void
a_snapshot_does_not_take_targets_back(void **state)
{
	struct repo *r = *state;

	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_version(r, "targets", 1);
	repo_write(r, "targets");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
	assert_int_equal(repo_stored(r, "targets"), 2);
}

static void
a_snapshot_does_not_take_a_delegated_role_back(void **state)
{
	struct repo *r = *state;

	repo_delegate(r, "targets", "releases", 5, "bundles/*", true);
	repo_bump(r, "releases");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_version(r, "releases", 1);
	repo_write(r, "releases");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
}

static void
a_snapshot_does_not_drop_a_role(void **state)
{
	struct repo *r = *state;

	repo_delegate(r, "targets", "releases", 5, "bundles/*", true);
	repo_write(r, "releases");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	json_object_del(json_object_get(repo_body(r, "snapshot"), "meta"), "releases.json");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
}

static void
a_snapshot_without_targets_is_never_stored(void **state)
{
	struct repo *r = *state;
	AUTO_JSON json_t *meta = json_pack("{s:{s:i}}", "other.json", "version", 1);

	json_object_set(repo_body(r, "snapshot"), "meta", meta);
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

static void
rollback_is_judged_by_an_expired_snapshot_too(void **state)
{
	struct repo *r = *state;

	repo_expire(r, "snapshot", "2027-02-01T00:00:00Z");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_expire(r, "snapshot", REPO_EXPIRES);
	repo_set_version(r, "targets", 1);
	repo_write(r, "targets");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh_at(r, REPO_NOW_S + 40 * 86400), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
}

static void
a_missing_snapshot_leaves_the_old_one(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_release(r, NULL);
	repo_file_drop(&r->metadata, "2.snapshot.json");
	assert_int_equal(repo_refresh(r), ERR_NETWORK);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
	assert_int_equal(repo_stored(r, "snapshot"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		repo_test(a_wrong_signature_on_snapshot_is_refused),
		repo_test(an_expired_snapshot_is_not_taken),
		repo_test(a_known_snapshot_that_has_expired_is_reported),
		repo_test(a_snapshot_of_another_version_than_listed_is_refused),
		repo_test(targets_of_another_version_than_listed_are_refused),
		repo_test(a_snapshot_with_another_digest_than_listed_is_refused),
		repo_test(targets_with_another_digest_than_listed_are_refused),
		repo_test(a_cached_snapshot_with_another_digest_is_fetched_again),
		repo_test(metadata_of_another_length_than_listed_is_refused),
		repo_test(no_more_than_the_listed_length_is_fetched),
		repo_test(digests_of_unknown_kinds_are_no_reason_to_skip_the_check),
		repo_test(a_snapshot_does_not_take_targets_back),
		repo_test(a_snapshot_does_not_take_a_delegated_role_back),
		repo_test(a_snapshot_does_not_drop_a_role),
		repo_test(a_snapshot_without_targets_is_never_stored),
		repo_test(rollback_is_judged_by_an_expired_snapshot_too),
		repo_test(a_missing_snapshot_leaves_the_old_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
