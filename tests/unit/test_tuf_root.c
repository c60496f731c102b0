/* Section 5.3: the chain of root versions. */
#include "tests/unit/repo_fixture.h"

static void
the_first_refresh_asks_for_each_file_once(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_string_equal(r->asked, "2.root.json timestamp.json 1.snapshot.json 1.targets.json ");
	assert_int_equal(repo_stored(r, "root"), 1);
	assert_int_equal(repo_stored(r, "timestamp"), 1);
	assert_int_equal(repo_stored(r, "snapshot"), 1);
	assert_int_equal(repo_stored(r, "targets"), 1);
}

static void
a_store_without_a_root_does_not_open(void **state)
{
	struct repo *r = *state;

	repo_file_drop(&r->store, "root");
	assert_int_equal(repo_refresh(r), ERR_SYSTEM);
}

static void
an_anchor_must_satisfy_its_own_threshold(void **state)
{
	struct repo *r = *state;
	const struct repo_file *f;

	repo_serve(r, "x", repo_body(r, "root"), KEYS(5));
	f = repo_file(&r->metadata, "x");
	repo_file_put(&r->store, "root", f->data, f->len);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_string_equal(r->asked, "");
}

static void
an_anchor_without_a_version_is_refused(void **state)
{
	struct repo *r = *state;
	const struct repo_file *f;

	json_object_del(repo_body(r, "root"), "version");
	repo_serve(r, "x", repo_body(r, "root"), KEYS(0));
	f = repo_file(&r->metadata, "x");
	repo_file_put(&r->store, "root", f->data, f->len);
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
	assert_string_equal(r->asked, "");
}

static void
roots_are_followed_one_by_one(void **state)
{
	struct repo *r = *state;

	for (int i = 0; i < 4; i++)
		repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 5);
	assert_non_null(strstr(r->asked, "2.root.json 3.root.json 4.root.json 5.root.json "
					 "6.root.json timestamp.json "));
}

static void
a_root_signed_by_new_keys_only_is_refused(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "root", KEYS(4), 1);
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "root"), 1);
	assert_int_equal(repo_stored(r, "timestamp"), 0);
}

static void
a_root_signed_by_old_keys_only_is_refused(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "root", KEYS(4), 1);
	memcpy(repo_role(r, "root")->keys, KEYS(0), sizeof(int[2]));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "root"), 1);
}

static void
a_root_signed_by_both_thresholds_is_taken(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "root", KEYS(4, 5, 6), 2);
	memcpy(repo_role(r, "root")->keys, KEYS(6, 0, 5), sizeof(int[4]));
	repo_bump(r, "root");
	memcpy(repo_role(r, "root")->keys, KEYS(4, 5), sizeof(int[3]));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 3);
}

static void
a_raised_threshold_holds_for_the_root_that_raises_it(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "root", KEYS(0, 4), 2);
	memcpy(repo_role(r, "root")->keys, KEYS(0), sizeof(int[2]));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "root"), 1);
}

static void
a_threshold_raised_among_the_same_keys_holds_at_once(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "root", KEYS(0, 4), 1);
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_keys(r, "root", KEYS(0, 4), 2);
	memcpy(repo_role(r, "root")->keys, KEYS(4), sizeof(int[2]));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "root"), 2);
	memcpy(repo_role(r, "root")->keys, KEYS(4, 0), sizeof(int[3]));
	repo_write(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 3);
}

static void
one_key_listed_twice_does_not_make_two_signatures(void **state)
{
	struct repo *r = *state;
	json_t *ids;

	repo_set_keys(r, "snapshot", KEYS(2), 2);
	ids = json_object_get(repo_root_role(r, "snapshot"), "keyids");
	json_array_append_new(ids, json_string(r->keys[2].signer.keyid));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "root"), 2);
	assert_int_equal(repo_stored(r, "snapshot"), 0);
}

static void
a_key_under_a_wrong_id_counts_for_nothing(void **state)
{
	static const char wrong[] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	struct repo *r = *state;
	struct signer *s = &r->keys[1].signer;

	json_object_set(json_object_get(repo_body(r, "root"), "keys"), wrong, r->keys[1].public);
	json_array_set_new(
		json_object_get(repo_root_role(r, "timestamp"), "keyids"), 0, json_string(wrong));
	repo_bump(r, "root");
	(void)snprintf(s->keyid, sizeof(s->keyid), "%s", wrong);
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "timestamp"), 0);
}

static void
a_root_that_skips_a_version_is_refused(void **state)
{
	struct repo *r = *state;

	repo_set_version(r, "root", 3);
	repo_serve(r, "2.root.json", repo_body(r, "root"), KEYS(0));
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "root"), 1);
}

static void
the_same_root_again_is_refused(void **state)
{
	struct repo *r = *state;

	repo_serve(r, "2.root.json", repo_body(r, "root"), KEYS(0));
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
}

static void
intermediate_roots_may_be_expired_but_not_the_last(void **state)
{
	struct repo *r = *state;

	json_object_set_new(repo_body(r, "root"), "expires", json_string("2020-01-01T00:00:00Z"));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_EXPIRED);
	assert_int_equal(repo_stored(r, "root"), 2);
	assert_int_equal(repo_stored(r, "timestamp"), 0);
	json_object_set_new(repo_body(r, "root"), "expires", json_string(REPO_EXPIRES));
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 3);
}

static void
an_expired_root_is_passed_on_the_way_to_a_newer_one(void **state)
{
	struct repo *r = *state;

	repo_expire(r, "root", PAST);
	repo_bump(r, "root");
	repo_expire(r, "root", REPO_EXPIRES);
	repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 3);
}

static void
a_root_expires_at_its_second(void **state)
{
	struct repo *r = *state;
	struct err e = ERR_INIT;
	int64_t at_s;

	assert_int_equal(clock_parse(REPO_EXPIRES, &at_s, &e), 0);
	assert_int_equal(repo_refresh_at(r, at_s), ERR_EXPIRED);
	assert_int_equal(repo_refresh_at(r, at_s - 1), ERR_NONE);
}

static void
no_answer_for_the_next_root_is_not_the_end_of_the_chain(void **state)
{
	struct repo *r = *state;

	r->offline_status = 503;
	assert_int_equal(repo_refresh(r), ERR_NETWORK);
	assert_string_equal(r->asked, "2.root.json ");
	r->offline_status = 0;
	assert_int_equal(repo_refresh(r), ERR_NONE);
}

/* Stores of objects say so of what is not there. */
static int
metadata_403(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	int rc = repo_metadata(arg, path, max, out, e);

	if (rc < 0 && e->errnum == 404)
		e->errnum = 403;
	return rc;
}

static void
a_next_root_that_is_forbidden_is_the_end_of_the_chain(void **state)
{
	struct repo *r = *state;

	r->fetcher.metadata = metadata_403;
	assert_int_equal(repo_refresh(r), ERR_NONE);
}

static void
new_timestamp_keys_undo_a_fast_forward(void **state)
{
	struct repo *r = *state;

	repo_set_version(r, "timestamp", 1000);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 1000);
	repo_set_keys(r, "timestamp", KEYS(4), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
}

static void
taking_one_of_two_timestamp_keys_away_undoes_a_fast_forward_too(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "timestamp", KEYS(1, 4), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 1000);
	repo_write(r, "timestamp"); /* by both */
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_keys(r, "timestamp", KEYS(4), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
}

static void
one_more_timestamp_key_keeps_the_rollback_check(void **state)
{
	struct repo *r = *state;

	repo_set_version(r, "timestamp", 1000);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_keys(r, "timestamp", KEYS(1, 4), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "timestamp"), 1000);
}

static void
new_snapshot_keys_undo_a_fast_forward_of_targets(void **state)
{
	struct repo *r = *state;

	repo_set_version(r, "targets", 1000);
	repo_write(r, "targets");
	repo_delegate(r, "targets", "gone", 5, "x/*", false);
	repo_write(r, "gone");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "targets"), 1001);
	repo_set_keys(r, "snapshot", KEYS(4), 1);
	repo_bump(r, "root");
	repo_set_version(r, "targets", 2);
	repo_write(r, "targets");
	json_object_del(json_object_get(repo_body(r, "snapshot"), "meta"), "gone.json");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "targets"), 2);
}

/* Kills the client at every change to its store while it recovers; it must always get through. */
static void
an_interrupted_recovery_goes_on_where_it_was(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "timestamp", KEYS(1, 4), 1);
	repo_set_keys(r, "snapshot", KEYS(2, 5), 1);
	repo_bump(r, "root");
	repo_set_version(r, "targets", 1000);
	repo_write(r, "targets");
	repo_set_version(r, "snapshot", 1000);
	repo_write(r, "snapshot");
	repo_set_version(r, "timestamp", 1000);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_keys(r, "timestamp", KEYS(4), 1);
	repo_set_keys(r, "snapshot", KEYS(5), 1);
	repo_bump(r, "root");
	repo_set_version(r, "targets", 2);
	repo_write(r, "targets");
	repo_set_version(r, "snapshot", 2);
	repo_write(r, "snapshot");
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	for (int step = 0; step < 20; step++) {
		r->save_fails_after = 1;
		if (repo_refresh(r) == ERR_NONE)
			break;
	}
	r->save_fails_after = 0;
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
	assert_int_equal(repo_stored(r, "targets"), 2);
}

static void
a_root_that_cannot_be_saved_is_not_trusted(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct err e = ERR_INIT;

	repo_bump(r, "root");
	r->save_fails_after = 0;
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(
		json_integer_value(json_object_get(tuf_document(c, "root"), "version")), 1);
	r->save_fails_after = -1;
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	assert_int_equal(
		json_integer_value(json_object_get(tuf_document(c, "root"), "version")), 2);
}

static void
a_refresh_follows_only_so_many_roots(void **state)
{
	struct repo *r = *state;

	for (int i = 0; i < 260; i++)
		repo_bump(r, "root");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 257);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 261);
}

static void
the_digest_of_timestamp_keys_changes_with_them_only(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct digest first = tuf_timestamp_keys(c), next;
	struct err e = ERR_INIT;

	repo_set_keys(r, "snapshot", KEYS(5), 1);
	repo_bump(r, "root");
	repo_release(r, NULL);
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	next = tuf_timestamp_keys(c);
	assert_true(digest_equal(&first, &next));
	repo_set_keys(r, "timestamp", KEYS(1, 4), 1);
	repo_bump(r, "root");
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	next = tuf_timestamp_keys(c);
	assert_false(digest_equal(&first, &next));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		repo_test(the_first_refresh_asks_for_each_file_once),
		repo_test(a_store_without_a_root_does_not_open),
		repo_test(an_anchor_must_satisfy_its_own_threshold),
		repo_test(an_anchor_without_a_version_is_refused),
		repo_test(roots_are_followed_one_by_one),
		repo_test(a_root_signed_by_new_keys_only_is_refused),
		repo_test(a_root_signed_by_old_keys_only_is_refused),
		repo_test(a_root_signed_by_both_thresholds_is_taken),
		repo_test(a_raised_threshold_holds_for_the_root_that_raises_it),
		repo_test(a_threshold_raised_among_the_same_keys_holds_at_once),
		repo_test(one_key_listed_twice_does_not_make_two_signatures),
		repo_test(a_key_under_a_wrong_id_counts_for_nothing),
		repo_test(a_root_that_skips_a_version_is_refused),
		repo_test(the_same_root_again_is_refused),
		repo_test(intermediate_roots_may_be_expired_but_not_the_last),
		repo_test(an_expired_root_is_passed_on_the_way_to_a_newer_one),
		repo_test(a_root_expires_at_its_second),
		repo_test(no_answer_for_the_next_root_is_not_the_end_of_the_chain),
		repo_test(a_next_root_that_is_forbidden_is_the_end_of_the_chain),
		repo_test(new_timestamp_keys_undo_a_fast_forward),
		repo_test(taking_one_of_two_timestamp_keys_away_undoes_a_fast_forward_too),
		repo_test(one_more_timestamp_key_keeps_the_rollback_check),
		repo_test(new_snapshot_keys_undo_a_fast_forward_of_targets),
		repo_test(an_interrupted_recovery_goes_on_where_it_was),
		repo_test(a_root_that_cannot_be_saved_is_not_trusted),
		repo_test(a_refresh_follows_only_so_many_roots),
		repo_test(the_digest_of_timestamp_keys_changes_with_them_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
