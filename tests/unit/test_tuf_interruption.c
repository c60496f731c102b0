/* A refresh that ends at any save, before or after it is done, leaves nothing that a client cannot
 * go on from. */
#include "tests/unit/team_fixture.h"

/* Each scenario changes the repository. */

static void
release_all(struct repo *r)
{
	repo_bump(r, "team");
	repo_release(r, "targets");
}

static void
follow_roots(struct repo *r)
{
	repo_bump(r, "root");
	repo_role(r, "root")->keys[1] = 6;
	repo_role(r, "root")->keys[2] = -1;
	repo_set_keys(r, "root", KEYS(0, 6), 2);
	repo_bump(r, "root");
	repo_set_keys(r, "root", KEYS(6, 7), 1);
	memcpy(repo_role(r, "root")->keys, KEYS(0, 6, 7), sizeof(int[4]));
	repo_bump(r, "root");
	release_all(r);
}

/* Versions go back to where they were before someone drove them up. */
static void
go_back(struct repo *r)
{
	repo_set_version(r, "team", 1);
	repo_write(r, "team");
	repo_set_version(r, "targets", 3);
	repo_write(r, "targets");
	repo_set_version(r, "snapshot", 3);
	repo_write(r, "snapshot");
	repo_set_version(r, "timestamp", 3);
	repo_write(r, "timestamp");
}

static void
recover_from_a_fast_forward(struct repo *r)
{
	repo_set_keys(r, "timestamp", KEYS(8), 1);
	repo_set_keys(r, "snapshot", KEYS(9), 1);
	repo_bump(r, "root");
	go_back(r);
}

/* The revocation lies in the middle of a chain. */
static void
recover_on_the_way(struct repo *r)
{
	repo_bump(r, "root");
	recover_from_a_fast_forward(r);
	repo_set_keys(r, "targets", KEYS(6), 1);
	repo_bump(r, "root");
	repo_bump(r, "targets");
	repo_bump(r, "snapshot");
	repo_bump(r, "timestamp");
}

static void
change_the_keys_of_targets(struct repo *r)
{
	repo_set_keys(r, "targets", KEYS(6), 1);
	repo_bump(r, "root");
	release_all(r);
}

static void
change_the_keys_of_the_team(struct repo *r)
{
	json_object_del(repo_body(r, "targets"), "delegations");
	(void)repo_delegate(r, "targets", "team", 7, "team/*", true);
	memcpy(repo_role(r, "team")->keys, KEYS(7), sizeof(int[2]));
	release_all(r);
}

/* As the store is after an undisturbed client. */
static void
check_complete(struct repo *r, struct repo_files *expected, int step, bool late)
{
	assert_int_equal(r->store.count, expected->count);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (!repo_file_same(&r->store, expected, order[i]))
			fail_msg("step %d%s: %s", step, late ? ", done" : "", order[i]);
	}
}

/* Interrupts the poll at one save, and goes on: with a new process, or with the same one. */
static void
interrupt(struct repo *r, int step, bool late, bool same_process, struct repo_files *expected)
{
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct err e = ERR_INIT;

	r->save_fails_after = step;
	r->dies_late = late;
	assert_int_equal(poll_with(r, c, &e), ERR_SYSTEM);
	r->save_fails_after = -1;
	r->dies_late = false;
	r->offline_status = 503;
	assert_int_equal(poll_once(r), ERR_NETWORK);
	r->offline_status = 0;
	if ((same_process ? poll_with(r, c, &e) : poll_once(r)) != ERR_NONE)
		fail_msg("step %d%s: %s", step, late ? ", done" : "", e.text);
	check_complete(r, expected, step, late);
	assert_int_equal(poll_with(r, c, &e), ERR_NONE);
	check_complete(r, expected, step, late);
}

static void
interrupt_everywhere(void (*scenario)(struct repo *), int steps_min)
{
	struct repo *r = team_new();
	struct repo_files before = {0}, after = {0};
	int steps;

	repo_set_version(r, "team", 900);
	repo_write(r, "team");
	repo_set_version(r, "targets", 900);
	repo_write(r, "targets");
	repo_set_version(r, "snapshot", 900);
	repo_write(r, "snapshot");
	repo_set_version(r, "timestamp", 900);
	repo_write(r, "timestamp");
	assert_int_equal(poll_once(r), ERR_NONE);
	repo_files_copy(&r->store, &before);
	scenario(r);
	r->saves = 0;
	assert_int_equal(poll_once(r), ERR_NONE);
	steps = r->saves;
	assert_in_range(steps, steps_min, 30);
	repo_files_copy(&r->store, &after);
	for (int i = 0; i < 4 * steps; i++) {
		repo_files_copy(&before, &r->store);
		interrupt(r, i / 4, i & 1, i & 2, &after);
	}
	repo_files_free(&before);
	repo_files_free(&after);
	repo_free(r);
}

static void
a_release_may_be_interrupted_at_every_step(void **state)
{
	(void)state;
	interrupt_everywhere(release_all, 4);
}

static void
a_chain_of_roots_may_be_interrupted_at_every_step(void **state)
{
	(void)state;
	interrupt_everywhere(follow_roots, 7);
}

static void
a_recovery_may_be_interrupted_at_every_step(void **state)
{
	(void)state;
	interrupt_everywhere(recover_from_a_fast_forward, 8);
	interrupt_everywhere(recover_on_the_way, 10);
}

static void
changed_keys_may_be_interrupted_at_every_step(void **state)
{
	(void)state;
	interrupt_everywhere(change_the_keys_of_targets, 5);
	interrupt_everywhere(change_the_keys_of_the_team, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_release_may_be_interrupted_at_every_step),
		cmocka_unit_test(a_chain_of_roots_may_be_interrupted_at_every_step),
		cmocka_unit_test(a_recovery_may_be_interrupted_at_every_step),
		cmocka_unit_test(changed_keys_may_be_interrupted_at_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
