/* Versions that were seen hold back older ones where the store has lost the files that had them. */
#include "tests/unit/repo_fixture.h"

#include "common/base/num.h"

static const char *const kept[] = {"timestamp", "snapshot", "targets"};

/* A client as after a start: a store, and a floor that was kept elsewhere. */
static struct tuf_client *
held(struct repo *r, const struct tuf_floor *floor)
{
	struct tuf_client *c = repo_client(r);

	tuf_hold(c, floor);
	return c;
}

/* A refresh by a client that starts. *floor becomes where it stands then. */
static enum err_class
refresh_held(struct repo *r, struct tuf_floor *floor)
{
	AUTO_TUF struct tuf_client *c = held(r, floor);
	struct err e = ERR_INIT;
	int rc = tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e);

	*floor = tuf_floor_of(c);
	return rc < 0 ? e.class : ERR_NONE;
}

/* The disk loses all but the root. */
static void
lose(struct repo *r)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		repo_file_drop(&r->store, kept[i]);
}

static void
assert_floor(const struct tuf_floor *f, uint64_t timestamp, uint64_t snapshot, uint64_t targets)
{
	assert_int_equal(f->timestamp, timestamp);
	assert_int_equal(f->snapshot, snapshot);
	assert_int_equal(f->targets, targets);
}

static void
an_older_set_is_refused_where_the_store_has_lost_its_own(void **state)
{
	struct repo *r = *state;
	struct repo_files old = {0}, new = {0};
	struct tuf_floor floor = {0}, none = {0};

	repo_files_copy(&r->metadata, &old);
	repo_release(r, "targets");
	repo_files_copy(&r->metadata, &new);
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	assert_floor(&floor, 2, 2, 2);
	lose(r);
	repo_files_copy(&old, &r->metadata);
	assert_int_equal(refresh_held(r, &floor), ERR_UNTRUSTED);
	assert_floor(&floor, 2, 2, 2);
	assert_int_equal(repo_stored(r, "timestamp"), 0);
	repo_files_copy(&new, &r->metadata);
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	/* Nothing but the floor could tell. */
	lose(r);
	repo_files_copy(&old, &r->metadata);
	assert_int_equal(refresh_held(r, &none), ERR_NONE);
	repo_files_free(&old);
	repo_files_free(&new);
}

/* Somebody with the keys of whoever lists a role makes a newer list of an older version. */
static void
each_version_is_held_back_by_its_own_floor(void **state)
{
	struct repo *r = *state;
	struct tuf_floor floor = {0};

	for (int i = 0; i < 3; i++)
		repo_release(r, "targets");
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	assert_floor(&floor, 4, 4, 4);
	lose(r);
	repo_set_version(r, "snapshot", 3);
	repo_write(r, "snapshot");
	repo_bump(r, "timestamp");
	assert_int_equal(refresh_held(r, &floor), ERR_UNTRUSTED);
	lose(r);
	repo_set_version(r, "targets", 3);
	repo_write(r, "targets");
	repo_set_version(r, "snapshot", 4);
	repo_release(r, NULL);
	assert_int_equal(refresh_held(r, &floor), ERR_UNTRUSTED);
	repo_set_version(r, "targets", 4);
	repo_write(r, "targets");
	repo_release(r, NULL);
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	assert_floor(&floor, 7, 6, 4);
}

static void
a_refresh_that_fails_leaves_the_floor(void **state)
{
	struct repo *r = *state;
	struct tuf_floor floor = {0}, before;

	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	before = floor;
	r->offline_status = 500;
	assert_int_equal(refresh_held(r, &floor), ERR_NETWORK);
	assert_true(tuf_floor_equal(&floor, &before));
}

/* Stolen keys drove versions up; the next root takes one of the keys of this role away. */
static void
recover(struct repo *r, const char *role, int old_key)
{
	struct tuf_floor floor = {0};

	repo_set_keys(r, role, KEYS(old_key, 4), 1);
	repo_bump(r, "root");
	for (size_t i = ARRAY_LEN(kept); i-- > 0;) {
		repo_set_version(r, kept[i], 1000);
		repo_write(r, kept[i]);
	}
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	assert_floor(&floor, 1000, 1000, 1000);
	repo_set_keys(r, role, KEYS(4), 1);
	repo_bump(r, "root");
	for (size_t i = ARRAY_LEN(kept); i-- > 0;) {
		repo_set_version(r, kept[i], 2);
		repo_write(r, kept[i]);
	}
	/* The new root is kept, and then there is no answer. */
	repo_file_drop(&r->metadata, "timestamp.json");
	assert_int_equal(refresh_held(r, &floor), ERR_NETWORK);
	assert_floor(&floor, 0, 0, 0);
	repo_write(r, "timestamp");
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	assert_floor(&floor, 2, 2, 2);
}

static void
new_timestamp_keys_undo_a_fast_forward(void **state)
{
	recover(*state, "timestamp", 1);
}

static void
new_snapshot_keys_undo_a_fast_forward(void **state)
{
	recover(*state, "snapshot", 2);
}

/* The power went after the new root was kept and before the floor was. */
static void
a_floor_of_keys_that_are_gone_holds_nothing_back(void **state)
{
	struct repo *r = *state;
	struct tuf_floor floor = {0}, kept_floor;

	repo_set_version(r, "timestamp", 1000);
	repo_write(r, "timestamp");
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	kept_floor = floor;
	repo_set_keys(r, "timestamp", KEYS(4), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	lose(r);
	assert_int_equal(refresh_held(r, &kept_floor), ERR_NONE);
	assert_floor(&kept_floor, 2, 1, 1);
}

static void
one_more_key_keeps_the_floor(void **state)
{
	struct repo *r = *state;
	struct tuf_floor floor = {0};

	repo_set_version(r, "timestamp", 1000);
	repo_write(r, "timestamp");
	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	lose(r);
	repo_set_keys(r, "timestamp", KEYS(1, 4), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	assert_int_equal(refresh_held(r, &floor), ERR_UNTRUSTED);
	assert_floor(&floor, 1000, 1, 1);
	assert_int_equal(repo_stored(r, "root"), 2);
	assert_int_equal(refresh_held(r, &floor), ERR_UNTRUSTED);
}

/* Takes a version of targets.json as from a stick. */
static enum err_class
take(struct repo *r, json_int_t version, struct tuf_floor *floor)
{
	AUTO_TUF struct tuf_client *c = held(r, floor);
	const struct repo_file *f;
	struct err e = ERR_INIT;
	char file[256];
	int rc;

	repo_set_version(r, "targets", version);
	repo_write(r, "targets");
	repo_file_name(r, "targets", file);
	f = repo_file(&r->metadata, file);
	assert_non_null(f);
	rc = tuf_take_targets(c, span_of(f->data, f->len), &e);
	*floor = tuf_floor_of(c);
	return rc < 0 ? e.class : ERR_NONE;
}

static void
a_stick_is_held_to_the_floor_and_raises_it(void **state)
{
	struct repo *r = *state;
	struct tuf_floor floor = {0};

	assert_int_equal(refresh_held(r, &floor), ERR_NONE);
	assert_int_equal(take(r, 5, &floor), ERR_NONE);
	assert_floor(&floor, 1, 1, 5);
	lose(r);
	assert_int_equal(take(r, 4, &floor), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "targets"), 0);
	assert_int_equal(take(r, 5, &floor), ERR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		repo_test(an_older_set_is_refused_where_the_store_has_lost_its_own),
		repo_test(each_version_is_held_back_by_its_own_floor),
		repo_test(a_refresh_that_fails_leaves_the_floor),
		repo_test(new_timestamp_keys_undo_a_fast_forward),
		repo_test(new_snapshot_keys_undo_a_fast_forward),
		repo_test(a_floor_of_keys_that_are_gone_holds_nothing_back),
		repo_test(one_more_key_keeps_the_floor),
		repo_test(a_stick_is_held_to_the_floor_and_raises_it),
	};

	return cmocka_run_group_tests_name("tuf_floor", tests, NULL, NULL);
}
