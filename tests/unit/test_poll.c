#include "tests/unit/poll_scene.h"

/* Somebody has the timestamp key, and the box hears him. */
static void
poison(struct scene *x)
{
	assert_int_equal(poll_once(x), ERR_NONE);
	repo_expire(x->repo, "timestamp", "2100-01-01T00:00:00Z");
	repo_set_version(x->repo, "timestamp", 100);
	sign_at(x->repo, POISON);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(x->state->floor_s, POISON_S);
	assert_true(poller_now_s(x->poller) >= POISON_S);
	assert_int_not_equal(poll_once(x), ERR_NONE);
}

/* What the holders of root do about it. */
static void
replace_keys(struct scene *x)
{
	repo_set_keys(x->repo, "timestamp", KEYS(4), 1);
	repo_bump(x->repo, "root");
	repo_expire(x->repo, "timestamp", "2027-01-16T08:00:00Z");
	repo_set_version(x->repo, "timestamp", 3);
	sign_at(x->repo, "2027-01-15T08:00:00Z");
}

static void
assert_recovered(struct scene *x)
{
	assert_int_equal(x->state->floor_s, REPO_NOW_S);
	assert_in_range(poller_now_s(x->poller), REPO_NOW_S, REPO_NOW_S + DAY_S);
	assert_int_equal(poll_once(x), ERR_NONE);
	start(x);
	assert_int_equal(x->state->floor_s, REPO_NOW_S);
	assert_int_equal(poll_once(x), ERR_NONE);
}

static void
a_poisoned_floor_goes_with_its_keys_while_it_runs(void **state)
{
	struct scene *x = *state;

	poison(x);
	replace_keys(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_recovered(x);
	/* Its wall clock is right, though nobody vouches for it. */
	assert_false(any_time_was_asked);
}

static void
a_poisoned_floor_goes_with_its_keys_after_a_start(void **state)
{
	struct scene *x = *state;

	poison(x);
	start(x);
	assert_int_equal(x->state->floor_s, POISON_S);
	assert_int_not_equal(poll_once(x), ERR_NONE);
	replace_keys(x);
	start(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_recovered(x);
}

/* The power goes when the new root is kept and the floor is not dropped yet. */
static void
a_poisoned_floor_goes_when_the_new_root_came_before(void **state)
{
	struct scene *x = *state;
	AUTO_BUF struct buf poisoned = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	poison(x);
	replace_keys(x);
	assert_int_equal(file_read("state.json", &poisoned, &e), 0);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(folder_put("state.json", poisoned.data, poisoned.len), 0);
	start(x);
	assert_int_equal(x->state->floor_s, POISON_S);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_recovered(x);
}

static void
a_box_without_a_clock_recovers_too(void **state)
{
	struct scene *x = *state;

	for (int restarted = 0; restarted < 2; restarted++) {
		wall_s = NO_CLOCK_S;
		poison(x);
		if (restarted)
			start(x);
		replace_keys(x);
		assert_int_equal(poll_once(x), ERR_NONE);
		assert_recovered(x);
		assert_true(any_time_was_asked);
		(void)scene_clear(state);
		(void)scene_set(state);
		x = *state;
	}
}

static void
a_poisoned_floor_stays_as_long_as_its_keys_do(void **state)
{
	struct scene *x = *state;

	poison(x);
	repo_bump(x->repo, "root");
	assert_int_equal(poll_once(x), ERR_EXPIRED);
	start(x);
	assert_int_equal(poll_once(x), ERR_EXPIRED);
	assert_int_equal(x->state->floor_s, POISON_S);
}

static void
where_the_time_is_known_certificates_of_another_time_are_refused(void **state)
{
	struct scene *x = *state;

	assert_int_equal(poll_once(x), ERR_NONE);
	wall_s = NO_CLOCK_S;
	start(x);
	certificate_to_s = REPO_NOW_S - DAY_S;
	assert_int_equal(poll_once(x), ERR_NETWORK);
	x->conf.trust_clock = true;
	x->state->floor_s = 0;
	assert_int_equal(poll_once(x), ERR_NETWORK);
	assert_false(any_time_was_asked);
}

/* It lay on a shelf for half a year, and the server has a new certificate. */
static void
a_box_without_a_clock_that_slept_past_a_new_certificate_connects(void **state)
{
	struct scene *x = *state;
	int64_t later_s = REPO_NOW_S + 180 * DAY_S;

	wall_s = NO_CLOCK_S;
	assert_int_equal(poll_once(x), ERR_NONE); /* without a floor, by no time at all */
	any_time_was_asked = false;
	certificate_from_s = later_s - 30 * DAY_S;
	certificate_to_s = later_s + 60 * DAY_S;
	repo_expire(x->repo, "timestamp", "2027-07-15T08:00:00Z");
	sign_at(x->repo, "2027-07-14T08:00:00Z"); /* later_s */
	start(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(x->state->floor_s, later_s);
	assert_false(any_time_was_asked);
	assert_in_range(-judged_at_s, later_s, later_s + DAY_S);
	/* And from here on certificates are judged as ever. */
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_in_range(judged_at_s, later_s, later_s + DAY_S);
}

static void
a_try_that_fails_leaves_no_leniency_behind(void **state)
{
	struct scene *x = *state;

	wall_s = NO_CLOCK_S;
	start(x);
	fetches_failing = 1;
	assert_int_equal(poll_once(x), ERR_NETWORK);
	assert_true(any_time_was_asked);
	assert_int_equal(judged_at_s, NO_CLOCK_S);
}

/* A mirror keeps yesterday's set, and the flash of the box has rotted. */
static void
old_metadata_is_refused_though_the_disk_has_lost_the_newer(void **state)
{
	static const char *const lost[] = {"metadata/timestamp.json", "metadata/snapshot.json"};
	struct scene *x = *state;
	struct repo_files old = {0};

	assert_int_equal(poll_once(x), ERR_NONE);
	repo_files_copy(&x->repo->metadata, &old);
	repo_release(x->repo, NULL);
	assert_int_equal(poll_once(x), ERR_NONE);
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
		assert_int_equal(unlink(lost[i]), 0);
	start(x);
	repo_files_copy(&old, &x->repo->metadata);
	assert_int_equal(poll_once(x), ERR_UNTRUSTED);
	repo_release(x->repo, NULL);
	assert_int_equal(poll_once(x), ERR_NONE);
	repo_files_free(&old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_poisoned_floor_goes_with_its_keys_while_it_runs),
		IN_SCENE(a_poisoned_floor_goes_with_its_keys_after_a_start),
		IN_SCENE(a_poisoned_floor_goes_when_the_new_root_came_before),
		IN_SCENE(a_box_without_a_clock_recovers_too),
		IN_SCENE(a_poisoned_floor_stays_as_long_as_its_keys_do),
		IN_SCENE(where_the_time_is_known_certificates_of_another_time_are_refused),
		IN_SCENE(a_box_without_a_clock_that_slept_past_a_new_certificate_connects),
		IN_SCENE(old_metadata_is_refused_though_the_disk_has_lost_the_newer),
		IN_SCENE(a_try_that_fails_leaves_no_leniency_behind),
	};

	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
