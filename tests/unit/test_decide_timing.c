#include "tests/unit/decide_scene.h"

static void
nobody_starts_before_the_plan_does(void **state)
{
	struct scene *c = *state;

	c->w->plan.start_s = 1001;
	assert_verdict(c, VERDICT_HELD, "gateway-2.4.0 starts at 1970-01-01T00:16:41Z");
	c->f.now_s = 1001;
	assert_verdict(c, VERDICT_UPDATE, "");
}

/* Thursday the 1st of January 1970, by UTC. */
static void
a_window_binds_starting_and_switching(void **state)
{
	struct scene *c = *state;
	struct err e = ERR_INIT;

	c->w->plan.has_window = true;
	c->w->plan.window = (struct window){
		.days = WINDOW_EVERY_DAY, .opens_s = 2 * 3600, .length_s = 3 * 3600, .utc = true};
	assert_verdict(c, VERDICT_HELD,
		"waits for its window (daily 02:00-05:00 UTC); this box's turn is at "
		"1970-01-01T02:00:00Z");
	assert_int_equal(decide_switch(c->w, 7199, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "waits for its window (daily 02:00-05:00 UTC)"));
	c->f.now_s = 7200;
	assert_verdict(c, VERDICT_UPDATE, "");
	assert_int_equal(decide_switch(c->w, 7200, &e), 0);
	assert_int_equal(decide_switch(c->w, 5 * 3600 - 1, &e), 0);
	assert_int_equal(decide_switch(c->w, 5 * 3600, &e), -1);
	c->f.now_s = 5 * 3600;
	assert_verdict(c, VERDICT_HELD, "1970-01-02T02:00:00Z");
	c->w->plan.window.days = window_day("sun");
	assert_verdict(c, VERDICT_HELD, "1970-01-04T02:00:00Z");
}

static void
each_box_has_a_turn_of_its_own_in_a_window(void **state)
{
	struct scene *c = *state;
	uint32_t offset;
	struct err e = ERR_INIT;

	c->w->plan.has_window = true;
	c->w->plan.window = (struct window){
		.days = WINDOW_EVERY_DAY, .length_s = 7200, .spread_s = 3600, .utc = true};
	offset = window_offset(&c->w->plan.window, "gateway-2.4.0", "gw-000001");
	assert_in_range(offset, 1, 3599);
	c->f.now_s = offset - 1;
	assert_verdict(c, VERDICT_HELD, "this box's turn is at");
	c->f.now_s = offset;
	assert_verdict(c, VERDICT_UPDATE, "");
	/* One that comes late starts at once; and who began may switch before the turn. */
	c->f.now_s = 7199;
	assert_verdict(c, VERDICT_UPDATE, "");
	assert_int_equal(decide_switch(c->w, 0, &e), 0);
}

static void
hours_for_downloads_hold_all_but_recalls(void **state)
{
	struct scene *c = *state;
	struct window hours = {.days = WINDOW_EVERY_DAY, .length_s = 3600, .utc = true};

	c->f.downloads = &hours;
	c->f.now_s = 1800;
	assert_verdict(c, VERDICT_UPDATE, "");
	hours.opens_s = 3600;
	assert_verdict(c, VERDICT_HELD, "downloads wait for their hours (daily 01:00-02:00 UTC)");
	c->w->plan.has_recall = true;
	decide(c->w, c->s, &c->f, &c->d);
	assert_null(strstr(c->d.reason, "hours"));
	c->w->plan.has_recall = false;
	c->f.now_s = 3600;
	assert_verdict(c, VERDICT_UPDATE, "");
}

static void
a_stop_beats_a_window(void **state)
{
	struct scene *c = *state;

	c->w->plan.has_window = true;
	c->w->plan.window = (struct window){
		.days = WINDOW_EVERY_DAY, .opens_s = 7200, .length_s = 60, .utc = true};
	c->s->stop_count = 1;
	c->s->stops[0] = (struct sticky_stop){ID_1, "gates/all.json", "smoke"};
	assert_verdict(c, VERDICT_HELD, "smoke");
	assert_true(c->d.stopped);
}

static void
a_release_that_takes_more_than_its_budget_is_held(void **state)
{
	struct scene *c = *state;

	c->w->plan.budget_bytes = 1000;
	assert_verdict(c, VERDICT_UPDATE, "");
	c->s->spent = (struct spending){{{7}}, 2, 900, 1100, 0};
	assert_verdict(c, VERDICT_HELD, "takes 1.1 KiB or more, and the plan allows a box 1000 B");
	/* Nothing of it is here yet, and the budget is gone. */
	c->s->spent.wasted_bytes = 1024;
	assert_verdict(c, VERDICT_HELD, "1.0 KiB of gateway ");
	c->s->spent.wasted_bytes = 999;
	assert_verdict(c, VERDICT_HELD, "takes 1.1 KiB or more");
	/* Until the plan allows more, or another attempt, or something else. */
	c->w->plan.budget_bytes = 1100;
	assert_verdict(c, VERDICT_UPDATE, "");
	c->w->plan.budget_bytes = 0;
	assert_verdict(c, VERDICT_UPDATE, "");
	c->w->plan.budget_bytes = 1000;
	c->w->plan.attempt = 3;
	assert_verdict(c, VERDICT_UPDATE, "");
	c->w->plan.attempt = 2;
	c->w->listing.manifest_sha256 = (struct digest){{8}};
	assert_verdict(c, VERDICT_UPDATE, "");
}

static void
a_recall_takes_boxes_that_run_what_it_recalls(void **state)
{
	struct scene *c = *state;
	struct digest recalled = {{1}}, other = {{2}};

	c->w->plan.has_recall = true;
	c->w->plan.recall_manifest = recalled;
	c->f.box.running[0] = &other;
	assert_verdict(c, VERDICT_IDLE, "is not for this box");
	c->f.box.running[1] = &recalled;
	assert_verdict(c, VERDICT_UPDATE, "");
	/* Never below the floor, though. */
	c->w->listing.rollback_index = 3;
	assert_verdict(c, VERDICT_FAILED, "rollback index 3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(nobody_starts_before_the_plan_does),
		IN_SCENE(a_window_binds_starting_and_switching),
		IN_SCENE(each_box_has_a_turn_of_its_own_in_a_window),
		IN_SCENE(hours_for_downloads_hold_all_but_recalls),
		IN_SCENE(a_stop_beats_a_window),
		IN_SCENE(a_release_that_takes_more_than_its_budget_is_held),
		IN_SCENE(a_recall_takes_boxes_that_run_what_it_recalls),
	};

	return cmocka_run_group_tests_name("decide_timing", tests, NULL, NULL);
}
