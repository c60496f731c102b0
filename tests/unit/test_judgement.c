#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <string.h>

#include "common/format/judgement.h"

static const struct local_limits no_limits;

/* Canary, early, everyone; each soaks 1000 s. */
static struct plan
sample_plan(void)
{
	struct plan p = {.wave_count = 3};

	(void)strcpy(p.waves[0].name, "canary");
	(void)strcpy(p.waves[1].name, "early");
	(void)strcpy(p.waves[2].name, "everyone");
	for (size_t i = 0; i < 3; i++)
		p.waves[i].soak_s = 1000;
	p.advance.success_bp = 9800;
	p.advance.sample = 30;
	p.advance.coverage_bp = 8000;
	p.stop.failures_bp = 500;
	p.stop.at_least = 3;
	p.stop.overdue_s = 3600;
	return p;
}

static struct judgement
reach(const struct plan *p, const struct tally *waves, size_t open, int64_t good_since_s,
	int64_t now_s)
{
	struct standing s = {
		.waves = waves, .open = open, .good_since_s = good_since_s, .now_s = now_s};

	return judgement_reach(p, &no_limits, &s);
}

/* Of one wave, long after it became good. */
static enum judgement_kind
kind_of(const struct plan *p, struct tally t)
{
	return reach(p, &t, 1, 1, 1000000).kind;
}

static struct tally
well(uint64_t boxes, uint64_t ok)
{
	return (struct tally){.boxes = boxes, .seen = boxes, .started = boxes, .ok = ok};
}

static void
the_lower_bound_is_that_of_wilson(void **state)
{
	(void)state;
	assert_int_equal(wilson_lower_ppm(3, 9), 100361);
	assert_int_equal(wilson_lower_ppm(31, 1000), 20562);
	assert_int_equal(wilson_lower_ppm(0, 0), 0);
	assert_int_equal(wilson_lower_ppm(0, 50), 0);
	/* 1 / (1 + z²) for one of one. */
	assert_int_equal(wilson_lower_ppm(1, 1), 156000);
}

/* Found with fractions of any length: the least of bad that exceeds 5%, of so many. */
static void
bounds_exceed_at_exactly_the_count_that_fractions_give(void **state)
{
	static const struct {
		uint64_t decided, bad;
	} least[] = {{1, 1}, {9, 2}, {17, 3}, {18, 4}, {100, 11}, {1000, 67}, {1000000, 50507},
		{TALLY_MAX, 50016031}};

	(void)state;
	for (size_t i = 0; i < sizeof(least) / sizeof(least[0]); i++) {
		assert_true(wilson_exceeds(least[i].bad, least[i].decided, 500));
		assert_false(wilson_exceeds(least[i].bad - 1, least[i].decided, 500));
	}
}

/* z √(n s (1 - s)) is a whole number here: 1163 = 2.326 × 500. */
static void
a_bound_that_is_just_the_share_does_not_exceed_it(void **state)
{
	(void)state;
	assert_false(wilson_exceeds(501163, 1000000, 5000));
	assert_true(wilson_exceeds(501164, 1000000, 5000));
}

static void
no_share_is_over_all_and_any_failure_is_over_none(void **state)
{
	(void)state;
	assert_true(wilson_exceeds(1, TALLY_MAX, 0));
	assert_false(wilson_exceeds(0, TALLY_MAX, 0));
	assert_false(wilson_exceeds(TALLY_MAX, TALLY_MAX, 10000));
	assert_true(wilson_exceeds(TALLY_MAX, TALLY_MAX, 9999));
	assert_false(wilson_exceeds(0, 0, 0));
}

static void
it_stops_at_the_third_failure_in_seventeen_and_not_in_eighteen(void **state)
{
	struct plan p = sample_plan();
	struct tally t = {.boxes = 100, .seen = 100, .failed = 1, .reverted = 1, .overdue = 1};
	struct judgement v;

	(void)state;
	t.ok = 14;
	v = reach(&p, &t, 1, 0, 1);
	assert_int_equal(v.kind, JUDGEMENT_STOP);
	assert_string_equal(v.reason,
		"3 of 17 boxes decided in wave canary went wrong (1 failed, 1 reverted, 1 "
		"overdue): surely over 5.1634%, and 5.00% is allowed");
	t.ok = 15;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_WAIT);
}

static void
fewer_failures_than_at_least_stop_nothing(void **state)
{
	struct plan p = sample_plan();
	struct tally t = {.boxes = 100, .seen = 100, .failed = 2};

	(void)state;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_WAIT);
	p.stop.at_least = 2;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_STOP);
}

static void
each_way_of_going_wrong_counts_and_inconclusive_does_not(void **state)
{
	struct plan p = sample_plan();
	struct tally t = {.boxes = 100, .seen = 100};

	(void)state;
	t.inconclusive = 90;
	assert_int_equal(tally_decided(&t), 0);
	assert_int_equal(kind_of(&p, t), JUDGEMENT_WAIT);
	t.failed = 3;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_STOP);
	t.failed = 0;
	t.reverted = 3;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_STOP);
	t.reverted = 0;
	t.overdue = 3;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_STOP);
	assert_int_equal(tally_bad(&t), 3);
}

static void
boxes_never_seen_count_against_coverage_only(void **state)
{
	struct plan p = sample_plan();
	struct tally t = well(100, 60);

	(void)state;
	t.seen = 80;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_PASS);
	t.seen = 79;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_WAIT);
	assert_non_null(strstr(reach(&p, &t, 1, 1, 2).reason, "79 of 100 boxes were heard of"));
}

static void
a_wave_passes_once_its_sample_is_decided(void **state)
{
	struct plan p = sample_plan();

	(void)state;
	assert_int_equal(kind_of(&p, well(100, 29)), JUDGEMENT_WAIT);
	assert_int_equal(kind_of(&p, well(100, 30)), JUDGEMENT_PASS);
	/* All of a smaller wave. */
	assert_int_equal(kind_of(&p, well(5, 4)), JUDGEMENT_WAIT);
	assert_int_equal(kind_of(&p, well(5, 5)), JUDGEMENT_PASS);
	/* A percent of few boxes may be nobody. */
	assert_int_equal(kind_of(&p, well(0, 0)), JUDGEMENT_PASS);
}

static void
success_is_met_at_exactly_its_share(void **state)
{
	struct plan p = sample_plan();
	struct tally t = well(200, 49);

	(void)state;
	t.failed = 1;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_PASS);
	t.ok = 48;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_WAIT);
}

static void
a_wave_that_is_done_and_not_good_enough_is_held(void **state)
{
	struct plan p = sample_plan();
	struct tally t = well(50, 48);
	struct judgement v;

	(void)state;
	t.failed = 1;
	assert_int_equal(kind_of(&p, t), JUDGEMENT_WAIT);
	t.failed = 2;
	v = reach(&p, &t, 1, 1, 1000000);
	assert_int_equal(v.kind, JUDGEMENT_HOLD);
	assert_int_equal(v.good_since_s, 0);
	assert_string_equal(v.reason, "48 of 50 boxes decided are well, and 98.00% are needed");
}

static void
a_good_wave_soaks_to_the_second_from_when_it_became_good(void **state)
{
	struct plan p = sample_plan();
	struct tally t = well(10, 10);
	struct judgement v = reach(&p, &t, 1, 0, 5000);

	(void)state;
	assert_int_equal(v.kind, JUDGEMENT_SOAK);
	assert_int_equal(v.good_since_s, 5000);
	assert_int_equal(v.until_s, 6000);
	assert_int_equal(reach(&p, &t, 1, 5000, 5999).kind, JUDGEMENT_SOAK);
	assert_int_equal(reach(&p, &t, 1, 5000, 6000).kind, JUDGEMENT_PASS);
	/* A clock that was set back. */
	v = reach(&p, &t, 1, 5000, 4000);
	assert_int_equal(v.good_since_s, 4000);
	assert_int_equal(v.until_s, 5000);
}

static void
a_wave_that_gets_worse_soaks_anew(void **state)
{
	struct plan p = sample_plan();
	struct tally t = well(100, 40);
	struct judgement v;

	(void)state;
	t.failed = 1;
	v = reach(&p, &t, 1, 5000, 5500);
	assert_int_equal(v.kind, JUDGEMENT_WAIT);
	assert_int_equal(v.good_since_s, 0);
}

static void
failures_of_open_waves_add_up(void **state)
{
	struct plan p = sample_plan();
	struct tally waves[] = {well(5, 3), well(100, 9)};

	(void)state;
	waves[0].failed = 1;
	waves[1].failed = 2;
	assert_int_equal(reach(&p, waves, 1, 0, 1).kind, JUDGEMENT_WAIT);
	assert_int_equal(reach(&p, waves, 2, 0, 1).kind, JUDGEMENT_STOP);
	assert_non_null(strstr(reach(&p, waves, 2, 0, 1).reason, "in all open waves"));
}

static void
many_good_boxes_before_hide_no_wave_that_fails(void **state)
{
	struct plan p = sample_plan();
	struct tally waves[] = {well(10, 10), well(1000, 1000), well(1000, 8)};

	(void)state;
	waves[2].overdue = 4;
	assert_int_equal(reach(&p, waves, 3, 0, 1).kind, JUDGEMENT_STOP);
	assert_non_null(strstr(reach(&p, waves, 3, 0, 1).reason, "in wave everyone"));
}

static void
stragglers_of_a_wave_that_has_passed_still_stop_it(void **state)
{
	struct plan p = sample_plan();
	struct tally waves[] = {well(50, 30), well(1000, 900)};

	(void)state;
	waves[0].failed = 10;
	assert_int_equal(reach(&p, waves, 2, 1, 1000000).kind, JUDGEMENT_STOP);
	assert_non_null(strstr(reach(&p, waves, 2, 0, 1).reason, "in wave canary"));
}

static void
no_plan_soaks_for_less_than_the_host_says(void **state)
{
	struct plan p = sample_plan();
	struct tally t = well(10, 10);
	struct standing s = {.waves = &t, .open = 1, .good_since_s = 1, .now_s = 1001};
	struct local_limits longer = {.soak_min_s = 1001}, shorter = {.soak_min_s = 1};

	(void)state;
	assert_int_equal(judgement_reach(&p, &shorter, &s).kind, JUDGEMENT_PASS);
	assert_int_equal(judgement_reach(&p, &longer, &s).kind, JUDGEMENT_SOAK);
	s.now_s = 1000;
	assert_int_equal(judgement_reach(&p, &shorter, &s).kind, JUDGEMENT_SOAK);
}

static void
nothing_opens_behind_a_first_wave_that_is_too_large_for_the_host(void **state)
{
	struct plan p = sample_plan();
	struct tally waves[] = {well(51, 51), well(10, 10), well(10, 10)};
	struct standing s = {.waves = waves, .open = 1, .good_since_s = 1, .now_s = 1000000};
	struct local_limits limits = {.first_wave_max = 50};

	(void)state;
	assert_int_equal(judgement_reach(&p, &limits, &s).kind, JUDGEMENT_HOLD);
	s.open = 2;
	assert_int_equal(judgement_reach(&p, &limits, &s).kind, JUDGEMENT_HOLD);
	s.open = 3;
	assert_int_equal(judgement_reach(&p, &limits, &s).kind, JUDGEMENT_PASS);
	s.open = 1;
	limits.first_wave_max = 51;
	assert_int_equal(judgement_reach(&p, &limits, &s).kind, JUDGEMENT_PASS);
}

static void
silence_is_overdue_past_the_deadline_and_not_at_it(void **state)
{
	struct plan p = sample_plan();

	(void)state;
	assert_false(judgement_overdue(&p, 0));
	assert_false(judgement_overdue(&p, 3600));
	assert_true(judgement_overdue(&p, 3601));
}

static void
judgements_have_names(void **state)
{
	(void)state;
	assert_string_equal(judgement_name(JUDGEMENT_WAIT), "wait");
	assert_string_equal(judgement_name(JUDGEMENT_STOP), "stop");
	assert_string_equal(judgement_name((enum judgement_kind)99), "unknown");
}

static void
so_many_good_boxes_show_a_success(void **state)
{
	(void)state;
	assert_int_equal(wilson_sample(9800), 266);
	assert_int_equal(wilson_sample(9000), 49);
	assert_int_equal(wilson_sample(9999), 54098);
	assert_int_equal(wilson_sample(0), 1);
	assert_int_equal(wilson_sample(10000), 0);
	assert_true(wilson_exceeds(266, 266, 9800) && !wilson_exceeds(265, 265, 9800));
}

/* 3 of 9 stop. A person looks into it and resumes: the same three stop nobody again, three more
 * do, and until then the wave is as far from its success as it was. */
static void
what_was_accepted_stops_nobody_again_and_is_not_forgotten(void **state)
{
	struct plan p = sample_plan();
	struct tally then = {.boxes = 20, .seen = 20, .started = 9, .ok = 6, .reverted = 3},
		     now = then;
	struct standing s = {.waves = &now, .open = 1, .now_s = 1000000};

	(void)state;
	assert_int_equal(judgement_reach(&p, &no_limits, &s).kind, JUDGEMENT_STOP);
	s.accepted = &then;
	assert_int_equal(judgement_reach(&p, &no_limits, &s).kind, JUDGEMENT_WAIT);
	now.reverted = 5;
	assert_int_equal(judgement_reach(&p, &no_limits, &s).kind, JUDGEMENT_WAIT);
	now.failed = 1;
	assert_int_equal(judgement_reach(&p, &no_limits, &s).kind, JUDGEMENT_STOP);
	now = (struct tally){.boxes = 20, .seen = 20, .started = 20, .ok = 17, .reverted = 3};
	assert_int_equal(judgement_reach(&p, &no_limits, &s).kind, JUDGEMENT_HOLD);
	/* Fewer than were accepted: that is none. */
	now = (struct tally){.boxes = 20, .seen = 20, .started = 20, .ok = 20};
	s.good_since_s = 1;
	assert_int_equal(judgement_reach(&p, &no_limits, &s).kind, JUDGEMENT_PASS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lower_bound_is_that_of_wilson),
		cmocka_unit_test(bounds_exceed_at_exactly_the_count_that_fractions_give),
		cmocka_unit_test(a_bound_that_is_just_the_share_does_not_exceed_it),
		cmocka_unit_test(no_share_is_over_all_and_any_failure_is_over_none),
		cmocka_unit_test(it_stops_at_the_third_failure_in_seventeen_and_not_in_eighteen),
		cmocka_unit_test(fewer_failures_than_at_least_stop_nothing),
		cmocka_unit_test(each_way_of_going_wrong_counts_and_inconclusive_does_not),
		cmocka_unit_test(boxes_never_seen_count_against_coverage_only),
		cmocka_unit_test(a_wave_passes_once_its_sample_is_decided),
		cmocka_unit_test(success_is_met_at_exactly_its_share),
		cmocka_unit_test(a_wave_that_is_done_and_not_good_enough_is_held),
		cmocka_unit_test(a_good_wave_soaks_to_the_second_from_when_it_became_good),
		cmocka_unit_test(a_wave_that_gets_worse_soaks_anew),
		cmocka_unit_test(failures_of_open_waves_add_up),
		cmocka_unit_test(many_good_boxes_before_hide_no_wave_that_fails),
		cmocka_unit_test(stragglers_of_a_wave_that_has_passed_still_stop_it),
		cmocka_unit_test(no_plan_soaks_for_less_than_the_host_says),
		cmocka_unit_test(nothing_opens_behind_a_first_wave_that_is_too_large_for_the_host),
		cmocka_unit_test(silence_is_overdue_past_the_deadline_and_not_at_it),
		cmocka_unit_test(what_was_accepted_stops_nobody_again_and_is_not_forgotten),
		cmocka_unit_test(judgements_have_names),
		cmocka_unit_test(so_many_good_boxes_show_a_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
