#include "tests/unit/following_scene.h"

static void
a_census_counts_boxes_where_the_plan_has_them_now(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_success("gw-3", 1);
	struct err e = ERR_INIT;
	int64_t id;

	boxes_add(x, 10);
	/* It runs the release: `from` says no of its version, and still it is one of them. */
	ledger_scene_put(x, &r);
	/* One that runs a version that is not for it, one that follows another plan, one whose tags
	 * do not match, one that has gone. */
	r = ledger_scene_report("gw-4", 1, BOX_HELD, OUTCOME_NONE);
	(void)snprintf(r.version, sizeof(r.version), "3.0");
	ledger_scene_put(x, &r);
	r = ledger_scene_report("gw-5", 1, BOX_HELD, OUTCOME_NONE);
	(void)snprintf(r.plan, sizeof(r.plan), "rollouts/other.json");
	ledger_scene_put(x, &r);
	r = ledger_scene_report("gw-6", 1, BOX_HELD, OUTCOME_NONE);
	r.tags = json_pack("{s:s}", "site", "paris");
	ledger_scene_put(x, &r);
	json_decref(r.tags);
	assert_int_equal(ledger_scene_drain(x).taken, 4);
	assert_int_equal(fleet_revoke(x->f, "gw-7", 2000, &e), 0);
	id = begin(x);
	assert_int_equal(tally(x, id, 0).boxes, 2);
	assert_int_equal(tally(x, id, 1).boxes, 4); /* 3, 8, 9, 10 */
	ledger_scene_add(x, "gw-11");
	assert_int_equal(following_census(x->f, id, &e), 0);
	assert_int_equal(tally(x, id, 1).boxes, 5);
}

struct listed {
	size_t count;
	char names[8][16];
};

static int
list_box(void *arg, const struct following_box *b, struct err *e)
{
	struct listed *l = arg;

	(void)e;
	assert_int_equal(b->wave, 1);
	(void)snprintf(l->names[l->count++], sizeof(l->names[0]), "%s", b->name);
	return 0;
}

static int
list_following(void *arg, const struct following *f, struct err *e)
{
	struct listed *l = arg;

	(void)e;
	(void)snprintf(
		l->names[l->count++], sizeof(l->names[0]), "%llu", (unsigned long long)f->version);
	return 0;
}

static void
boxes_and_rollouts_are_listed(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_FREE char *newer = sample_with(sample, "\"version\":3", "\"version\":4");
	struct listed l = {0};
	struct err e = ERR_INIT;
	int64_t id;

	boxes_add(x, 5);
	id = begin(x);
	open_wave(x, id, 1);
	say(x, "gw-5", 1, BOX_IDLE, OUTCOME_FAILED);
	say(x, "gw-4", 1, BOX_STARTING, OUTCOME_NONE);
	assert_int_equal(following_each_box(x->f, id, -1, list_box, &l, &e), 0);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.names[0], "gw-4");
	l.count = 0;
	assert_int_equal(following_each_box(x->f, id, PARTICIPANT_FAILED, list_box, &l, &e), 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.names[0], "gw-5");
	(void)begin_as(x, newer);
	l.count = 0;
	assert_int_equal(following_each(x->f, false, list_following, &l, &e), 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.names[0], "4");
	assert_int_equal(following_each(x->f, true, list_following, &l, &e), 0);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.names[2], "3");
}

static void
a_row_that_makes_no_sense_hides_no_other_and_is_told(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_FREE char *other = sample_with(sample, "rollouts/stable.json", "rollouts/zoo.json");
	struct listed l = {0};
	struct err e = ERR_INIT;
	struct sql *s = NULL;
	int64_t id;

	boxes_add(x, 5);
	id = begin(x);
	(void)begin_as(x, other);
	open_wave(x, id, 1);
	say(x, "gw-4", 1, BOX_STARTING, OUTCOME_NONE);
	say(x, "gw-5", 1, BOX_STARTING, OUTCOME_NONE);
	assert_int_equal(fleet_sql(x->f, &s, &e), 0);
	assert_int_equal(sql_run(s,
				 "UPDATE participant SET status = 'odd' WHERE box = (SELECT id "
				 "FROM box WHERE name = 'gw-4')",
				 &e),
		0);
	assert_int_equal(following_each_box(x->f, id, -1, list_box, &l, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.names[0], "gw-5");
	assert_int_equal(
		sql_do(s, &e, "UPDATE rollout SET sha256 = 'x' WHERE id = ?1", "i", id), 0);
	l.count = 0;
	e = ERR_INIT;
	assert_int_equal(following_each(x->f, false, list_following, &l, &e), -1);
	assert_non_null(strstr(e.text, "fleet.db"));
	assert_int_equal(l.count, 1);
}

/* The life of a box, as its reports tell it, made up by a number. */
static struct report
chapter(const char *box, uint64_t seq, unsigned dice)
{
	static const enum box_state states[] = {BOX_STARTING, BOX_STARTING, BOX_INSTALLED,
		BOX_UNCONFIRMED, BOX_HELD, BOX_IDLE, BOX_CONFIRMED, BOX_STARTING};
	static const enum outcome outcomes[] = {OUTCOME_NONE, OUTCOME_NONE, OUTCOME_NONE,
		OUTCOME_FAILED, OUTCOME_REVERTED, OUTCOME_INCONCLUSIVE, OUTCOME_STOPPED,
		OUTCOME_NONE};
	struct report r = ledger_scene_report(box, seq, states[dice % 8], OUTCOME_NONE);

	if (r.state == BOX_IDLE || r.state == BOX_HELD)
		r.outcome = outcomes[dice / 8 % 8];
	if (r.state == BOX_CONFIRMED || dice % 5 == 0) {
		r = ledger_scene_success(box, seq);
		(void)snprintf(r.boot_id, sizeof(r.boot_id), "boot-%u", dice / 64 % 3);
	}
	return r;
}

static void
reports_in_any_order_come_to_the_same(void **state)
{
	enum { BOXES = 12, REPORTS = 10 };
	struct ledger_scene *x = *state;
	AUTO_FREE char *other = sample_with(sample, "\"sample\":30", "\"sample\":31");
	struct tally in_order[2], shuffled;
	struct err e = ERR_INIT;
	char name[16];
	int64_t id;

	boxes_add(x, BOXES);
	id = begin(x);
	open_wave(x, id, 0);
	open_wave(x, id, 1);
	for (int round = 0; round < 2; round++) {
		for (uint64_t seq = 1; seq <= REPORTS; seq++) {
			for (unsigned box = 1; box <= BOXES; box++) {
				/* 11 is a prime: each number once. */
				uint64_t at = round == 0 ? seq : seq * (2 + box % 8) % 11;
				struct report r;

				(void)snprintf(name, sizeof(name), "gw-%u", box);
				r = chapter(name, at, box * 977 + (unsigned)at * 131);
				ledger_scene_put(x, &r);
			}
			(void)ledger_scene_drain(x);
			(void)tally(x, id, 0);
		}
		if (round == 0) {
			for (size_t i = 0; i < 2; i++)
				in_order[i] = tally(x, id, i);
			/* Once more from the start, and shuffled. */
			for (unsigned box = 1; box <= BOXES; box++) {
				(void)snprintf(name, sizeof(name), "gw-%u", box);
				assert_int_equal(fleet_revoke(x->f, name, 2000, &e), 0);
				ledger_scene_add(x, name);
			}
			id = begin_as(x, other);
			open_wave(x, id, 0);
			open_wave(x, id, 1);
			assert_int_equal(tally(x, id, 1).seen, 0);
		}
	}
	for (size_t i = 0; i < 2; i++) {
		shuffled = tally(x, id, i);
		assert_memory_equal(&shuffled, &in_order[i], sizeof(shuffled));
	}
	assert_true(in_order[1].ok > 0 && tally_bad(&in_order[1]) > 0);
}

static void
a_recall_counts_only_boxes_that_it_brought_the_release(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_FREE char *recall = sample_with(sample, "\"from\":[\"<2.4.0\"]",
		"\"from\":[],\"recall\":{\"path\":\"bundles/"
		"gateway-2.3.0.ota\",\"manifest_sha256\":\"" OLD_SHA "\"}");
	struct report r = ledger_scene_report("gw-3", 1, BOX_CONFIRMED, OUTCOME_NONE);
	struct err e = ERR_INIT;
	struct tally t;
	int64_t id;

	boxes_add(x, 6);
	/* It never ran what is recalled; nobody knows of 5 and 6 what they run. */
	memcpy(r.running_sha256, NEW_SHA, sizeof(r.running_sha256));
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	say(x, "gw-4", 1, BOX_HELD, OUTCOME_NONE);
	id = begin_as(x, recall);
	open_wave(x, id, 1);
	t = tally(x, id, 1);
	assert_true(t.boxes == 3 && t.seen == 1 && t.ok == 0);
	say(x, "gw-4", 2, BOX_STARTING, OUTCOME_NONE);
	succeed(x, "gw-4", 3);
	assert_int_equal(following_census(x->f, id, &e), 0);
	t = tally(x, id, 1);
	assert_true(t.boxes == 3 && t.seen == 1 && t.ok == 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_scene_set, ledger_scene_clear)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_row_that_makes_no_sense_hides_no_other_and_is_told, ledger_scene_set,
			ledger_scene_clear),
		TEST(a_census_counts_boxes_where_the_plan_has_them_now),
		TEST(boxes_and_rollouts_are_listed),
		TEST(reports_in_any_order_come_to_the_same),
		TEST(a_recall_counts_only_boxes_that_it_brought_the_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
