#include "tests/unit/following_scene.h"

static void
a_rollout_is_followed_from_start_to_end(void **state)
{
	struct ledger_scene *x = *state;
	struct following *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	struct tally t;
	int64_t id;

	boxes_add(x, 17);
	id = begin(x);
	open_wave(x, id, 0);
	t = tally(x, id, 0);
	assert_true(t.boxes == 2 && t.seen == 0 && t.started == 0);
	assert_int_equal(tally(x, id, 1).boxes, 14);
	say(x, "gw-1", 1, BOX_STARTING, OUTCOME_NONE);
	say(x, "gw-2", 1, BOX_STARTING, OUTCOME_NONE);
	t = tally(x, id, 0);
	assert_true(t.seen == 2 && t.started == 2 && tally_decided(&t) == 0);
	say(x, "gw-1", 2, BOX_INSTALLED, OUTCOME_NONE);
	succeed(x, "gw-1", 3);
	say(x, "gw-2", 2, BOX_IDLE, OUTCOME_REVERTED);
	t = tally(x, id, 0);
	assert_true(t.seen == 2 && t.started == 2 && t.ok == 1 && t.reverted == 1);
	assert_int_equal(tally(x, id, 1).seen, 0);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_string_equal(f->path, "rollouts/stable.json");
	assert_string_equal(f->rollout, "gateway-2.4.0");
	assert_string_equal(f->waves[0].name, "canary");
	assert_string_equal(f->waves[1].name, "all");
	assert_true(f->version == 3 && f->attempt == 1 && f->wave_count == 2 &&
		    f->begun_s == 3000 && f->ended_s == 0);
	assert_true(f->waves[0].opened_s == 3600 && f->waves[1].opened_s == 0);
	free(f);
}

static void
reports_of_another_plan_version_or_attempt_touch_no_count(void **state)
{
	struct ledger_scene *x = *state;
	struct report r;
	int64_t id;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 1);
	for (uint64_t seq = 1; seq <= 5; seq++) {
		r = ledger_scene_report("gw-3", seq, BOX_STARTING, OUTCOME_NONE);
		if (seq == 1)
			r.plan_version = 2;
		if (seq == 2)
			r.attempt = 2;
		if (seq == 3)
			(void)snprintf(r.rollout, sizeof(r.rollout), "gateway-2.4.1");
		if (seq == 4)
			(void)snprintf(r.plan, sizeof(r.plan), "rollouts/other.json");
		if (seq == 5)
			r.rollout[0] = 0;
		ledger_scene_put(x, &r);
	}
	assert_int_equal(ledger_scene_drain(x).taken, 5);
	assert_int_equal(tally(x, id, 1).seen, 0);
	/* An older agent does not say which plan it follows. */
	r = ledger_scene_report("gw-3", 6, BOX_STARTING, OUTCOME_NONE);
	r.plan[0] = 0;
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	assert_int_equal(tally(x, id, 1).started, 1);
}

static void
which_wave_a_box_is_in_is_not_for_it_to_say(void **state)
{
	struct ledger_scene *x = *state;
	struct report r;
	int64_t id;

	boxes_add(x, 17);
	id = begin(x);
	open_wave(x, id, 0);
	open_wave(x, id, 1);
	r = ledger_scene_report("gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	(void)snprintf(r.wave, sizeof(r.wave), "canary");
	ledger_scene_put(x, &r);
	r = ledger_scene_report("gw-17", 1, BOX_STARTING, OUTCOME_NONE); /* excluded */
	ledger_scene_put(x, &r);
	r = ledger_scene_report("gw-4", 1, BOX_STARTING, OUTCOME_NONE);
	(void)snprintf(r.compatible, sizeof(r.compatible), "acme-gw4");
	ledger_scene_put(x, &r);
	r = ledger_scene_report("gw-5", 1, BOX_STARTING, OUTCOME_NONE);
	r.tags = json_pack("{s:s}", "site", "paris");
	ledger_scene_put(x, &r);
	json_decref(r.tags);
	assert_int_equal(ledger_scene_drain(x).taken, 4);
	assert_int_equal(tally(x, id, 0).seen, 0);
	assert_int_equal(tally(x, id, 1).seen, 1);
}

static void
a_box_whose_tags_change_on_the_way_counts_once_where_it_was(void **state)
{
	struct ledger_scene *x = *state;
	struct report r;
	struct tally t;
	int64_t id;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 1);
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	r = ledger_scene_success("gw-3", 2);
	r.tags = json_pack("{s:s}", "site", "paris");
	ledger_scene_put(x, &r);
	json_decref(r.tags);
	(void)ledger_scene_drain(x);
	t = tally(x, id, 1);
	assert_true(t.seen == 1 && t.started == 1 && t.ok == 1);
}

static void
what_is_heard_before_a_wave_opens_is_not_seen_but_what_was_done_counts(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-5", 1, BOX_CONFIRMED, OUTCOME_NONE);
	struct tally t;
	int64_t id;

	boxes_add(x, 6);
	id = begin(x);
	say(x, "gw-3", 1, BOX_HELD, OUTCOME_NONE);
	assert_int_equal(tally(x, id, 1).seen, 0);
	/* Its gate was opened by somebody else, and the watch has not looked yet. */
	say(x, "gw-4", 1, BOX_STARTING, OUTCOME_NONE);
	/* It ran the release before. */
	memcpy(r.running_sha256, NEW_SHA, sizeof(r.running_sha256));
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	t = tally(x, id, 1);
	assert_true(t.seen == 2 && t.started == 1 && t.ok == 1);
	/* It came when the wave was open already. */
	open_wave(x, id, 1);
	t = tally(x, id, 1);
	assert_true(t.seen == 3 && t.started == 1 && t.ok == 1);
	say(x, "gw-6", 1, BOX_HELD, OUTCOME_NONE);
	assert_int_equal(tally(x, id, 1).seen, 4);
}

static void
a_wave_is_opened_once(void **state)
{
	struct ledger_scene *x = *state;
	struct following *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	int64_t id;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 1);
	assert_int_equal(following_opened(x->f, id, 1, 4000, &e), 0);
	ledger_scene_close(x);
	ledger_scene_open(x);
	assert_int_equal(begin(x), id);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->waves[1].opened_s, 3600);
	free(f);
}

static void
a_new_version_begins_anew_and_ends_the_old_one(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_FREE char *newer = sample_with(sample, "\"version\":3", "\"version\":4");
	struct following *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	struct report r;
	int64_t id, next;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 1);
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	/* Reports may be faster than whoever follows. */
	r = ledger_scene_report("gw-3", 2, BOX_STARTING, OUTCOME_NONE);
	r.plan_version = 4;
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	next = begin_as(x, newer);
	assert_true(next != id);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->ended_s, 3000);
	assert_int_equal(tally(x, id, 1).started, 1);
	assert_int_equal(tally(x, next, 1).started, 1);
	say(x, "gw-3", 3, BOX_IDLE, OUTCOME_REVERTED);
	assert_int_equal(tally(x, id, 1).reverted, 0);
	assert_int_equal(tally(x, next, 1).reverted, 0);
	r = ledger_scene_report("gw-3", 4, BOX_IDLE, OUTCOME_REVERTED);
	r.plan_version = 4;
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	assert_int_equal(tally(x, id, 1).reverted, 0);
	assert_int_equal(tally(x, next, 1).reverted, 1);
	/* Withdrawn, and there again: it goes on, with what came meanwhile. */
	assert_int_equal(following_end(x->f, "rollouts/stable.json", 3100, &e), 0);
	assert_int_equal(following_read(x->f, next, f, &e), 0);
	assert_int_equal(f->ended_s, 3100);
	r = ledger_scene_success("gw-3", 5);
	r.plan_version = 4;
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	assert_int_equal(tally(x, next, 1).ok, 0);
	assert_int_equal(begin_as(x, newer), next);
	assert_int_equal(tally(x, next, 1).ok, 1);
	free(f);
}

static void
a_plan_that_is_back_counts_nobody_twice(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_FREE char *second = sample_with(sample, "\"version\":3", "\"version\":4");
	AUTO_FREE char *third = sample_with(sample, "\"version\":3", "\"version\":5");
	struct following *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	struct tally t;
	int64_t id;

	boxes_add(x, 5);
	id = begin(x);
	open_wave(x, id, 1);
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	succeed(x, "gw-3", 2);
	say(x, "gw-4", 1, BOX_IDLE, OUTCOME_FAILED);
	assert_int_equal(following_accept(x->f, id, STOP_ID, &e), 0);
	/* Its boxes are known yet, and then known no more. */
	for (int i = 0; i < 2; i++) {
		(void)begin_as(x, second);
		if (i > 0)
			(void)begin_as(x, third);
		assert_int_equal(begin(x), id);
		t = tally(x, id, 1);
		assert_true(t.seen == 2 && t.started == 1 && t.ok == 1 && t.failed == 1);
	}
	/* It goes on. What was accepted is no more than there is. */
	succeed(x, "gw-4", 2);
	(void)begin_as(x, second);
	(void)begin_as(x, third);
	assert_int_equal(begin(x), id);
	t = tally(x, id, 1);
	assert_true(t.seen == 2 && t.ok == 2 && t.failed == 0);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->waves[1].accepted.ok, 1);
	assert_int_equal(f->waves[1].accepted.failed, 0);
	free(f);
}

static void
the_boxes_of_a_plan_stay_known_while_the_next_one_is_tried(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_FREE char *second = sample_with(sample, "\"version\":3", "\"version\":4");
	int64_t id;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 1);
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	(void)begin_as(x, second);
	/* Its reports are gone by then. */
	ledger_scene_run(x, "DELETE FROM report");
	assert_int_equal(begin(x), id);
	assert_int_equal(tally(x, id, 1).started, 1);
}

static void
only_a_plan_of_the_digest_that_was_signed_is_followed(void **state)
{
	struct ledger_scene *x = *state;
	struct digest other = digest_of(span_str("another")), sha256 = digest_of(span_str("{}"));
	struct err e = ERR_INIT;
	int64_t id = 0;

	assert_int_equal(following_begin(x->f,
				 &(struct followable){span_str(sample), &other, &other, NULL, NULL},
				 1, &id, &e),
		-1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(following_begin(x->f,
				 &(struct followable){span_str("{}"), &sha256, &other, NULL, NULL},
				 1, &id, &e),
		-1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(id, 0);
	assert_int_equal(following_plan(x->f, 1, &(struct plan){0}, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

static void
listen(struct ledger_scene *x, int64_t now_s, bool can_hear)
{
	struct err e = ERR_INIT;

	assert_int_equal(following_listen(x->f, now_s, can_hear, &e), 0);
}

static uint64_t
overdue(struct ledger_scene *x, int64_t id)
{
	struct err e = ERR_INIT;
	uint64_t newly = 99;

	assert_int_equal(following_overdue(x->f, id, &newly, &e), 0);
	return newly;
}

static void
a_box_that_starts_and_falls_silent_is_overdue(void **state)
{
	struct ledger_scene *x = *state;
	struct tally t;
	int64_t id, now_s = 10000;

	boxes_add(x, 6);
	id = begin(x);
	open_wave(x, id, 1);
	listen(x, now_s, true);
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	say(x, "gw-4", 1, BOX_HELD, OUTCOME_NONE);
	say(x, "gw-5", 1, BOX_IDLE, OUTCOME_FAILED);
	for (int i = 0; i < 5; i++)
		listen(x, now_s += 120, true);
	say(x, "gw-6", 1, BOX_STARTING, OUTCOME_NONE);
	assert_int_equal(overdue(x, id), 0); /* 600 s, and no more */
	listen(x, now_s += 1, true);
	assert_int_equal(overdue(x, id), 1);
	assert_int_equal(overdue(x, id), 0);
	t = tally(x, id, 1);
	assert_true(t.overdue == 1 && t.started == 2 && t.seen == 4 && tally_bad(&t) == 2);
	/* It comes back. */
	succeed(x, "gw-3", 2);
	t = tally(x, id, 1);
	assert_true(t.overdue == 0 && t.ok == 1);
}

static void
a_box_that_is_held_on_its_way_is_not_overdue_until_it_goes_on(void **state)
{
	struct ledger_scene *x = *state;
	struct tally t;
	int64_t id, now_s = 10000;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 1);
	listen(x, now_s, true);
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	say(x, "gw-3", 2, BOX_INSTALLED, OUTCOME_NONE);
	say(x, "gw-3", 3, BOX_HELD, OUTCOME_NONE);
	for (int i = 0; i < 20; i++)
		listen(x, now_s += 120, true);
	assert_int_equal(overdue(x, id), 0);
	t = tally(x, id, 1);
	assert_true(t.seen == 1 && t.started == 1 && t.overdue == 0);
	/* Its window opens, and it reboots into nothing. */
	say(x, "gw-3", 4, BOX_INSTALLED, OUTCOME_NONE);
	for (int i = 0; i < 6; i++)
		listen(x, now_s += 120, true);
	assert_int_equal(overdue(x, id), 1);
}

static void
silence_does_not_grow_while_nobody_can_be_heard(void **state)
{
	struct ledger_scene *x = *state;
	int64_t id, now_s = 10000;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 1);
	listen(x, now_s, true);
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	for (int i = 0; i < 20; i++)
		listen(x, now_s += 120, false); /* the server is down */
	listen(x, now_s += 86400, true);	/* nobody watched */
	listen(x, now_s -= 86400, true);	/* the clock was set back */
	assert_int_equal(overdue(x, id), 0);
	for (int i = 0; i < 5; i++)
		listen(x, now_s += LISTEN_GAP_MAX_S, true);
	assert_int_equal(overdue(x, id), 1);
}

/* Its gate keeps the stops of the plan before, and the plan what lifts them. */
static void
a_stop_that_was_lifted_before_accepts_nothing_of_a_new_plan(void **state)
{
	struct ledger_scene *x = *state;
	struct following *f = calloc(1, sizeof(*f));
	static struct gate gate = {
		.stop_count = 2, .stops = {{.id = STOP_ID}, {.id = OTHER_STOP_ID}}};
	AUTO_JSON json_t *resumes = json_pack("[s]", STOP_ID);
	struct digest sha256 = digest_of(span_str(sample)), manifest;
	struct followable plan = {span_str(sample), &sha256, &manifest, &gate, resumes};
	struct err e = ERR_INIT;
	int64_t id;

	boxes_add(x, 6);
	/* The first of the new plan's boxes report before the watch sees it. */
	say(x, "gw-3", 1, BOX_STARTING, OUTCOME_NONE);
	say(x, "gw-3", 2, BOX_IDLE, OUTCOME_FAILED);
	assert_int_equal(digest_parse(NEW_SHA, &manifest, &e), 0);
	assert_int_equal(following_begin(x->f, &plan, 3000, &id, &e), 0);
	assert_int_equal(following_accept(x->f, id, STOP_ID, &e), 0);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->waves[1].tally.failed, 1);
	assert_int_equal(f->waves[1].accepted.failed, 0);
	/* It goes on, and so does what is lifted from now on. */
	json_array_append_new(resumes, json_string(OTHER_STOP_ID));
	assert_int_equal(following_begin(x->f, &plan, 3001, &id, &e), 0);
	assert_int_equal(following_accept(x->f, id, OTHER_STOP_ID, &e), 0);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->waves[1].accepted.failed, 1);
	free(f);
}

static void
an_accepted_stop_keeps_what_had_gone_wrong_by_then(void **state)
{
	struct ledger_scene *x = *state;
	struct following *f = calloc(1, sizeof(*f));
	struct err e = ERR_INIT;
	int64_t id, value = 5;

	boxes_add(x, 6);
	id = begin(x);
	open_wave(x, id, 1);
	say(x, "gw-3", 1, BOX_IDLE, OUTCOME_FAILED);
	assert_int_equal(following_accept(x->f, id, STOP_ID, &e), 0);
	say(x, "gw-4", 1, BOX_IDLE, OUTCOME_FAILED);
	assert_int_equal(following_accept(x->f, id, STOP_ID, &e), 0);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->waves[1].accepted.failed, 1);
	assert_int_equal(f->waves[1].tally.failed, 2);
	assert_string_equal(f->accepted, STOP_ID);
	assert_int_equal(following_accept(x->f, id, OTHER_STOP_ID, &e), 0);
	assert_int_equal(following_accept(x->f, id, STOP_ID, &e), 0);
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->waves[1].accepted.failed, 2);
	assert_string_equal(f->accepted, OTHER_STOP_ID);
	assert_int_equal(following_mark(x->f, id, "good_since_s", &value, &e), 0);
	assert_int_equal(value, 0);
	assert_int_equal(following_mark_set(x->f, id, "good_since_s", 77, &e), 0);
	assert_int_equal(following_mark_set(x->f, id, "good_since_s", 78, &e), 0);
	assert_int_equal(following_mark(x->f, id, "good_since_s", &value, &e), 0);
	assert_int_equal(value, 78);
	free(f);
}

static struct ingest_stats
say_damaged(struct ledger_scene *x, const char *box, uint64_t seq, const char *plan)
{
	struct report r = ledger_scene_report(box, seq, BOX_STARTING, OUTCOME_NONE);

	(void)snprintf(r.plan, sizeof(r.plan), "%s", plan);
	ledger_scene_put(x, &r);
	return ledger_scene_drain(x);
}

static void
a_plan_that_is_damaged_in_the_data_base_holds_up_no_other(void **state)
{
	static const char path[] = "rollouts/stable.json";
	struct ledger_scene *x = *state;
	struct ingest_stats stats;
	char other[sizeof(sample)];
	int64_t id;

	boxes_add(x, 3);
	(void)memcpy(other, sample, sizeof(sample));
	(void)memcpy(strstr(other, path), "rollouts/broken.json", strlen(path));
	(void)begin_as(x, other);
	id = begin(x);
	open_wave(x, id, 0);
	ledger_scene_run(x, "UPDATE rollout SET plan = '{' WHERE path = 'rollouts/broken.json';"
			    "UPDATE counter SET value = value + 1 WHERE name = 'followings'");
	stats = say_damaged(x, "gw-1", 1, path);
	assert_int_equal(stats.taken, 1);
	assert_non_null(strstr(stats.damage, "rollout 1 is damaged"));
	assert_int_equal(tally(x, id, 0).started, 1);
	stats = say_damaged(x, "gw-2", 1, "rollouts/broken.json");
	assert_int_equal(stats.taken, 1);
	assert_non_null(strstr(stats.damage, "rollout 1 is damaged"));
	/* And none is begun or opened the worse for it. */
	open_wave(x, id, 1);
	ledger_scene_run(x, "DELETE FROM rollout WHERE path = 'rollouts/broken.json';"
			    "UPDATE counter SET value = value + 1 WHERE name = 'followings'");
	assert_string_equal(say_damaged(x, "gw-3", 1, path).damage, "");
	assert_int_equal(tally(x, id, 1).started, 1);
}

static void
a_plan_that_is_damaged_is_mended_by_what_is_published(void **state)
{
	static const char path[] = "rollouts/stable.json";
	struct ledger_scene *x = *state;
	struct err e = ERR_INIT;
	uint64_t newly;
	int64_t id;

	boxes_add(x, 2);
	id = begin(x);
	open_wave(x, id, 0);
	say(x, "gw-1", 1, BOX_STARTING, OUTCOME_NONE);
	ledger_scene_run(x, "UPDATE rollout SET plan = '{';"
			    "UPDATE counter SET value = value + 1 WHERE name = 'followings'");
	assert_non_null(strstr(say_damaged(x, "gw-2", 1, path).damage, "rollout 1 is damaged"));
	assert_int_equal(following_overdue(x->f, id, &newly, &e), -1);
	assert_int_equal(begin(x), id);
	/* And what was passed over meanwhile counts, once. */
	assert_int_equal(overdue(x, id), 0);
	assert_int_equal(tally(x, id, 0).started, 2);
	assert_string_equal(say_damaged(x, "gw-2", 2, path).damage, "");
	assert_int_equal(tally(x, id, 0).started, 2);
	/* Also after it was withdrawn. */
	assert_int_equal(following_end(x->f, path, 4000, &e), 0);
	ledger_scene_run(x, "UPDATE rollout SET plan = '{'");
	assert_int_equal(begin(x), id);
	assert_int_equal(overdue(x, id), 0);
}

static void
a_box_whose_row_is_damaged_holds_up_no_other(void **state)
{
	static const char path[] = "rollouts/stable.json";
	struct ledger_scene *x = *state;
	struct following *f = calloc(1, sizeof(*f));
	struct ingest_stats stats;
	struct err e = ERR_INIT;
	int64_t id;

	boxes_add(x, 3);
	id = begin(x);
	open_wave(x, id, 0);
	say(x, "gw-1", 1, BOX_STARTING, OUTCOME_NONE);
	ledger_scene_run(x, "UPDATE participant SET status = 'odd'");
	stats = say_damaged(x, "gw-1", 2, path);
	assert_int_equal(stats.taken, 1);
	assert_non_null(strstr(stats.damage, "rollouts/stable.json makes no sense"));
	assert_string_equal(say_damaged(x, "gw-2", 1, path).damage, "");
	assert_int_equal(following_read(x->f, id, f, &e), 0);
	assert_int_equal(f->waves[0].tally.started, 2);
	free(f);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_scene_set, ledger_scene_clear)
	const struct CMUnitTest tests[] = {
		TEST(a_rollout_is_followed_from_start_to_end),
		TEST(reports_of_another_plan_version_or_attempt_touch_no_count),
		TEST(which_wave_a_box_is_in_is_not_for_it_to_say),
		TEST(a_box_whose_tags_change_on_the_way_counts_once_where_it_was),
		TEST(what_is_heard_before_a_wave_opens_is_not_seen_but_what_was_done_counts),
		TEST(a_wave_is_opened_once),
		TEST(a_new_version_begins_anew_and_ends_the_old_one),
		TEST(a_plan_that_is_back_counts_nobody_twice),
		TEST(the_boxes_of_a_plan_stay_known_while_the_next_one_is_tried),
		TEST(only_a_plan_of_the_digest_that_was_signed_is_followed),
		TEST(a_box_that_starts_and_falls_silent_is_overdue),
		TEST(a_box_that_is_held_on_its_way_is_not_overdue_until_it_goes_on),
		TEST(silence_does_not_grow_while_nobody_can_be_heard),
		TEST(a_stop_that_was_lifted_before_accepts_nothing_of_a_new_plan),
		TEST(an_accepted_stop_keeps_what_had_gone_wrong_by_then),
		TEST(a_plan_that_is_damaged_in_the_data_base_holds_up_no_other),
		TEST(a_plan_that_is_damaged_is_mended_by_what_is_published),
		TEST(a_box_whose_row_is_damaged_holds_up_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
