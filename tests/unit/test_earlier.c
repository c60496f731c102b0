#include "tests/unit/following_scene.h"

enum { BETWEEN = 6000 }; /* reports of others: more than are looked at in one transaction */

static void
others_report(struct ledger_scene *x, unsigned box)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		"INSERT INTO report SELECT NULL, %u, i, 1, 1, 'idle', 'none', '', '', 'other', 1, "
		"'', 1, '', '', '', '', '', 0, '', 'none', '', '', '' FROM n",
		BETWEEN, box);
	ledger_scene_run(x, text);
}

/* Three boxes start, and then nobody knows of the plan. */
static void
three_start(struct ledger_scene *x)
{
	boxes_add(x, 3);
	for (unsigned i = 1; i <= 3; i++) {
		char box[16];

		(void)snprintf(box, sizeof(box), "gw-%u", i);
		say(x, box, 1, BOX_STARTING, OUTCOME_NONE);
		others_report(x, 100 + i);
	}
}

static uint64_t
started(struct ledger_scene *x, int64_t id)
{
	return tally(x, id, 0).started + tally(x, id, 1).started;
}

static void
reports_that_came_before_their_plan_are_taken_up_wherever_they_are(void **state)
{
	struct ledger_scene *x = *state;
	int64_t id;

	three_start(x);
	id = begin(x);
	assert_int_equal(started(x, id), 3);
	assert_int_equal(
		ledger_scene_number(x, "SELECT count(*) FROM mark WHERE name = 'reports_next'"), 0);
}

static void
who_is_interrupted_in_taking_them_up_goes_on_where_it_was(void **state)
{
	struct digest sha256 = digest_of(span_str(sample)), manifest;
	struct followable plan = {span_str(sample), &sha256, &manifest, NULL, NULL};
	struct ledger_scene *x = *state;
	struct err e = ERR_INIT;
	int64_t id = 0;

	assert_int_equal(digest_parse(NEW_SHA, &manifest, &e), 0);
	three_start(x);
	ledger_scene_run(x,
		"CREATE TRIGGER broken BEFORE INSERT ON participant WHEN new.box = 2 BEGIN SELECT "
		"RAISE(ABORT, 'broken'); END");
	assert_int_equal(following_begin(x->f, &plan, 3000, &id, &e), -1);
	assert_int_equal(id, 0);
	assert_int_equal(ledger_scene_number(x, "SELECT count(*) FROM participant"), 1);
	ledger_scene_run(x, "DROP TRIGGER broken");
	/* Meanwhile one of them goes on. */
	succeed(x, "gw-3", 2);
	id = begin(x);
	assert_int_equal(ledger_scene_number(x, "SELECT count(*) FROM rollout"), 1);
	assert_int_equal(ledger_scene_number(x, "SELECT count(*) FROM participant"), 3);
	assert_int_equal(started(x, id), 3);
	assert_int_equal(tally(x, id, 0).ok + tally(x, id, 1).ok, 1);
}

/* So that each new plan does not look through all that was ever reported. */
static void
what_is_older_than_the_plan_before_is_not_looked_for(void **state)
{
	static const char *const older =
		"UPDATE mark SET value = 10000000 WHERE name = 'reports_until'";
	struct ledger_scene *x = *state;
	char next[sizeof(sample)];
	int64_t id;

	three_start(x);
	(void)begin(x);
	ledger_scene_run(x, older);
	memcpy(next, sample, sizeof(sample));
	memcpy(strstr(next, "\"deadline_s\":3600") + 13, "3601", 4);
	id = begin_as(x, next);
	assert_int_equal(id, 2);
	assert_int_equal(started(x, id), 0);
	assert_int_equal(
		ledger_scene_number(
			x, "SELECT value FROM mark WHERE rollout = 2 AND name = 'reports_from'"),
		10000000 - 100000);
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, ledger_scene_set, ledger_scene_clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(reports_that_came_before_their_plan_are_taken_up_wherever_they_are),
		SCENE_TEST(who_is_interrupted_in_taking_them_up_goes_on_where_it_was),
		SCENE_TEST(what_is_older_than_the_plan_before_is_not_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
