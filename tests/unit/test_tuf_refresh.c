/* Sections 5.4 to 5.6: what a refresh takes, keeps and survives. */
#include "tests/unit/repo_fixture.h"

static void
a_wrong_signature_on_timestamp_is_refused(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_forge(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "timestamp"), 1);
}

static void
a_wrong_signature_on_targets_is_refused(void **state)
{
	struct repo *r = *state;

	repo_forge(r, "targets");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
	assert_int_equal(repo_stored(r, "targets"), 0);
}

static void
a_wrong_signature_beside_enough_right_ones_is_tolerated(void **state)
{
	struct repo *r = *state;

	memcpy(repo_role(r, "timestamp")->keys, KEYS(11, 1, 10), sizeof(int[4]));
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
}

static void
a_threshold_of_two_needs_two(void **state)
{
	struct repo *r = *state;

	repo_set_keys(r, "snapshot", KEYS(2, 4, 5), 2);
	repo_bump(r, "root");
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	memcpy(repo_role(r, "snapshot")->keys, KEYS(5), sizeof(int[2]));
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
}

static void
timestamp_does_not_go_back(void **state)
{
	struct repo *r = *state;

	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_version(r, "timestamp", 1);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
}

static void
timestamp_of_the_same_version_changes_nothing(void **state)
{
	struct repo *r = *state;
	AUTO_JSON json_t *meta = json_pack("{s:{s:i}}", "snapshot.json", "version", 100);

	assert_int_equal(repo_refresh(r), ERR_NONE);
	json_object_set(repo_body(r, "timestamp"), "meta", meta);
	repo_write(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_string_equal(r->asked, "2.root.json timestamp.json ");
	assert_null(strstr((char *)repo_file(&r->store, "timestamp")->data, ":100"));
}

static void
timestamp_does_not_take_the_snapshot_back(void **state)
{
	struct repo *r = *state;

	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_version(r, "snapshot", 1);
	repo_write(r, "snapshot");
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "timestamp"), 2);
	assert_string_equal(r->asked, "2.root.json timestamp.json ");
}

static void
an_expired_timestamp_is_not_taken(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_expire(r, "timestamp", PAST);
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_EXPIRED);
	assert_int_equal(repo_stored(r, "timestamp"), 1);
}

static void
a_known_timestamp_that_has_expired_is_reported(void **state)
{
	struct repo *r = *state;

	repo_expire(r, "timestamp", "2027-02-01T00:00:00Z");
	repo_bump(r, "timestamp");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_refresh_at(r, REPO_NOW_S + 40 * 86400), ERR_EXPIRED);
}

static void
expired_targets_are_not_taken(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_expire(r, "targets", PAST);
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_EXPIRED);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
	assert_int_equal(repo_stored(r, "targets"), 1);
}

static void
known_targets_that_have_expired_are_reported(void **state)
{
	struct repo *r = *state;

	repo_expire(r, "targets", "2027-02-01T00:00:00Z");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_refresh_at(r, REPO_NOW_S + 40 * 86400), ERR_EXPIRED);
}

static void
expired_metadata_does_not_block_newer(void **state)
{
	static const char *const roles[] = {"timestamp", "snapshot", "targets", "root"};
	struct repo *r = *state;

	for (size_t i = 0; i < 4; i++)
		repo_expire(r, roles[i], "2027-02-01T00:00:00Z");
	repo_bump(r, "root");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	for (size_t i = 0; i < 4; i++)
		repo_expire(r, roles[i], REPO_EXPIRES);
	repo_bump(r, "root");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh_at(r, REPO_NOW_S + 40 * 86400), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 3);
	assert_int_equal(repo_stored(r, "targets"), 3);
}

/* What a failed refresh left behind: the timestamp is known, the snapshot that it lists is not. */
static void
a_refresh_that_failed_halfway_is_made_up_for(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct err e = ERR_INIT;

	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	repo_bump(r, "targets");
	repo_bump(r, "timestamp");
	repo_bump(r, "snapshot");
	repo_bump(r, "timestamp");
	r->save_fails_after = 1;
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), -1);
	assert_int_equal(repo_stored(r, "timestamp"), 3);
	assert_int_equal(repo_stored(r, "snapshot"), 1);
	r->save_fails_after = -1;
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	assert_int_equal(repo_stored(r, "snapshot"), 2);
	assert_int_equal(repo_stored(r, "targets"), 2);
}

static void
an_unchanged_poll_asks_for_root_and_timestamp_only(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct err e = ERR_INIT;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_string_equal(r->asked, "2.root.json timestamp.json ");
	for (int i = 0; i < 3; i++) {
		r->asked[0] = '\0';
		assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
		assert_string_equal(r->asked, "2.root.json timestamp.json ");
	}
}

static void
what_is_stored_is_what_came_byte_for_byte(void **state)
{
	struct repo *r = *state;
	const struct repo_file *served, *stored;
	char padded[16384];
	int len;

	json_object_set_new(repo_body(r, "timestamp"), "x-unknown", json_pack("{s:i}", "a", 1));
	repo_bump(r, "timestamp");
	served = repo_file(&r->metadata, "timestamp.json");
	len = snprintf(padded, sizeof(padded), " %s\n ", (char *)served->data);
	repo_file_put(&r->metadata, "timestamp.json", padded, (size_t)len);
	assert_int_equal(repo_refresh(r), ERR_NONE);
	served = repo_file(&r->metadata, "timestamp.json");
	stored = repo_file(&r->store, "timestamp");
	assert_int_equal(stored->len, served->len);
	assert_memory_equal(stored->data, served->data, served->len);
}

static void
a_role_cannot_stand_in_for_another(void **state)
{
	struct repo *r = *state;
	AUTO_JSON json_t *meta = json_pack("{s:{s:i}}", "snapshot.json", "version", 1);

	repo_set_keys(r, "snapshot", KEYS(1), 1);
	repo_bump(r, "root");
	json_object_set(repo_body(r, "snapshot"), "meta", meta);
	repo_set_version(r, "snapshot", 2);
	repo_serve(r, "timestamp.json", repo_body(r, "snapshot"), KEYS(1));
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "timestamp"), 0);
}

static void
names_have_no_version_without_consistent_snapshots(void **state)
{
	struct repo *r = *state;

	json_object_set_new(repo_body(r, "root"), "consistent_snapshot", json_false());
	repo_bump(r, "root");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_string_equal(
		r->asked, "2.root.json 3.root.json timestamp.json snapshot.json targets.json ");
	json_object_del(repo_body(r, "root"), "consistent_snapshot");
	repo_bump(r, "root");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_string_equal(
		r->asked, "3.root.json 4.root.json timestamp.json snapshot.json targets.json ");
}

static void
a_damaged_store_is_filled_again(void **state)
{
	static const char *const roles[] = {"timestamp", "snapshot", "targets"};
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	for (size_t i = 0; i < 3; i++) {
		struct repo_file *f = repo_file(&r->store, roles[i]);

		f->data[f->len / 2] ^= 1;
	}
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_string_equal(r->asked, "2.root.json timestamp.json 1.snapshot.json 1.targets.json ");
}

/* Fails every save in turn; the next try must always succeed and end at the newest versions. */
static void
a_refresh_may_be_interrupted_anywhere(void **state)
{
	struct repo *r = *state;

	for (int i = 0; i < 6; i++) {
		repo_bump(r, "root");
		repo_release(r, "targets");
		r->save_fails_after = i;
		(void)repo_refresh(r);
		r->save_fails_after = -1;
		assert_int_equal(repo_refresh(r), ERR_NONE);
		assert_int_equal(repo_stored(r, "root"), i + 2);
		assert_int_equal(repo_stored(r, "timestamp"), i + 2);
		assert_int_equal(repo_stored(r, "targets"), i + 2);
	}
}

static void
new_targets_keys_void_targets_signed_by_old_ones(void **state)
{
	struct repo *r = *state;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_set_keys(r, "targets", KEYS(6), 1);
	repo_bump(r, "root");
	/* Timestamp and snapshot still list what the old key signed. */
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "targets"), 2);
}

static void
the_earliest_expiry_is_known(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct err e = ERR_INIT;
	const char *role;

	assert_int_equal(tuf_expires_s(c, &role), 0);
	repo_expire(r, "snapshot", "2027-02-01T00:00:00Z");
	repo_release(r, NULL);
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	assert_int_equal(tuf_expires_s(c, &role), 1801440000);
	assert_string_equal(role, "snapshot");
}

static void
the_earliest_expiry_counts_every_top_level_role(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	static const char *const roles[] = {"targets", "snapshot", "timestamp", "root"};
	static const char *const days[] = {"2027-05-01T00:00:00Z", "2027-04-01T00:00:00Z",
		"2027-03-01T00:00:00Z", "2027-02-01T00:00:00Z"};
	struct err e = ERR_INIT;
	const char *role;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		repo_expire(r, roles[i], days[i]);
		repo_bump(r, "root");
		repo_release(r, "targets");
		assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
		(void)tuf_expires_s(c, &role);
		assert_string_equal(role, roles[i]);
	}
}

static void
malformed_fields_are_refused(void **state)
{
	static const struct {
		const char *role, *key, *json;
	} cases[] = {
		{"timestamp", "version", "0"},
		{"timestamp", "version", "-1"},
		{"timestamp", "version", "\"2\""},
		{"timestamp", "expires", "\"2030-01-01\""},
		{"timestamp", "expires", "1893456000"},
		{"timestamp", "spec_version", "\"2.0.0\""},
		{"timestamp", "spec_version", "1"},
		{"timestamp", "meta", "{}"},
		{"timestamp", "meta", "[]"},
		{"timestamp", "meta", "{\"snapshot.json\": {\"version\": 0}}"},
		{"timestamp", "meta", "{\"snapshot.json\": {\"version\": 1, \"length\": -1}}"},
		{"timestamp", "meta", "{\"snapshot.json\": {\"version\": 1, \"hashes\": []}}"},
		{"snapshot", "meta", "{\"other.json\": {\"version\": 1}}"},
		{"snapshot", "meta", "{\"targets.json\": {\"version\": 1}, \"x.json\": 1}"},
		{"targets", "targets", "[]"},
		{"targets", "delegations", "[]"},
		{"targets", "delegations", "{\"keys\": {}}"},
		{"targets", "delegations", "{\"roles\": []}"},
		{"targets", "delegations", "{\"keys\": {}, \"roles\": [1]}"},
	};
	struct repo *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *body = repo_body(r, cases[i].role);
		json_t *was = json_deep_copy(body);
		long long stored = repo_stored(r, cases[i].role);
		enum err_class class;
		char file[256];

		repo_bump(r, cases[i].role);
		repo_file_name(r, cases[i].role, file);
		json_object_set_new(
			body, cases[i].key, json_loads(cases[i].json, JSON_DECODE_ANY, NULL));
		repo_serve(r, file, body, repo_role(r, cases[i].role)->keys);
		repo_bump(r, strcmp(cases[i].role, "targets") == 0 ? "snapshot" : "targets");
		if (strcmp(cases[i].role, "timestamp") != 0)
			repo_bump(r, "timestamp");
		class = repo_refresh(r);
		if (class != ERR_MALFORMED && class != ERR_LIMIT && class != ERR_UNTRUSTED)
			fail_msg("%s %s: %d", cases[i].key, cases[i].json, class);
		assert_int_equal(repo_stored(r, cases[i].role), stored);
		json_object_update(body, was);
		if (!json_object_get(was, cases[i].key))
			json_object_del(body, cases[i].key);
		json_decref(was);
		repo_bump(r, "targets");
		repo_bump(r, "snapshot");
		repo_bump(r, "timestamp");
		assert_int_equal(repo_refresh(r), ERR_NONE);
	}
}

static void
every_prefix_and_flipped_byte_of_a_timestamp_is_refused_or_means_the_same(void **state)
{
	struct repo *r = *state;
	const struct repo_file *f;
	uint8_t good[4096];
	size_t len;

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_bump(r, "timestamp");
	f = repo_file(&r->metadata, "timestamp.json");
	len = f->len;
	assert_in_range(len, 1, sizeof(good));
	memcpy(good, f->data, len);
	for (size_t i = 0; i < len; i++) {
		repo_file_put(&r->metadata, "timestamp.json", good, i);
		assert_int_not_equal(repo_refresh(r), ERR_NONE);
		assert_int_equal(repo_stored(r, "timestamp"), 1);
	}
	for (size_t i = 0; i < 8 * len; i++) {
		good[i / 8] ^= (uint8_t)(1 << i % 8);
		repo_file_put(&r->metadata, "timestamp.json", good, len);
		/* Hexadecimal digits mean the same in both cases. */
		if (repo_refresh(r) == ERR_NONE)
			assert_int_equal(repo_stored(r, "timestamp"), 2);
		repo_file_drop(&r->store, "timestamp");
		good[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		repo_test(a_wrong_signature_on_timestamp_is_refused),
		repo_test(a_wrong_signature_on_targets_is_refused),
		repo_test(a_wrong_signature_beside_enough_right_ones_is_tolerated),
		repo_test(a_threshold_of_two_needs_two),
		repo_test(timestamp_does_not_go_back),
		repo_test(timestamp_of_the_same_version_changes_nothing),
		repo_test(timestamp_does_not_take_the_snapshot_back),
		repo_test(an_expired_timestamp_is_not_taken),
		repo_test(a_known_timestamp_that_has_expired_is_reported),
		repo_test(expired_targets_are_not_taken),
		repo_test(known_targets_that_have_expired_are_reported),
		repo_test(expired_metadata_does_not_block_newer),
		repo_test(a_refresh_that_failed_halfway_is_made_up_for),
		repo_test(an_unchanged_poll_asks_for_root_and_timestamp_only),
		repo_test(what_is_stored_is_what_came_byte_for_byte),
		repo_test(a_role_cannot_stand_in_for_another),
		repo_test(names_have_no_version_without_consistent_snapshots),
		repo_test(a_damaged_store_is_filled_again),
		repo_test(a_refresh_may_be_interrupted_anywhere),
		repo_test(new_targets_keys_void_targets_signed_by_old_ones),
		repo_test(the_earliest_expiry_is_known),
		repo_test(the_earliest_expiry_counts_every_top_level_role),
		repo_test(malformed_fields_are_refused),
		repo_test(
			every_prefix_and_flipped_byte_of_a_timestamp_is_refused_or_means_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
