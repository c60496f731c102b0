#include <stdio.h>

#include "common/format/plan.h"
#include "signer/rollout.h"
#include "signer/samples.h"
#include "tests/unit/sample.h"

static const char plan[] = "rollout: gw-2.4.0\n"
			   "bundle: gw-2.4.0.ota\n"
			   "compatible: [gw3, gw4]\n"
			   "from: [\">=2.1.0\", <3]\n"
			   "match: {site: [lyon, paris], ring: early}\n"
			   "exclude: [gw-17]\n"
			   "attempt: 2\n"
			   "waves:\n"
			   "  - {name: canary, boxes: [gw-1, gw-2], soak: 4h}\n"
			   "  - {name: early, percent: 5%, soak: 1d}\n"
			   "  - {name: all, percent: 100}\n"
			   "advance: {success: 97.5%, sample: 20, coverage: 70%}\n"
			   "stop: {failures: 4%, at_least: 2, overdue_after: 2h}\n"
			   "stop_poll: 30s\n"
			   "deadline: 20m\n";

static int
parse(const char *text, struct rollout *r, struct err *e)
{
	return rollout_parse(span_str(text), "dir/stable.yaml", r, e);
}

/* Binds r and reads what a box reads. */
static void
bind(const struct rollout *r, struct plan *out)
{
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};
	struct rollout_bundle bundle = {.length = 4711, .head_length = 47};
	struct digest sha256;
	struct err e = ERR_INIT;

	memset(bundle.sha256.b, 0x5a, sizeof(bundle.sha256.b));
	memset(bundle.head_sha256.b, 0xa5, sizeof(bundle.head_sha256.b));
	memset(bundle.recalled.b, 0xc3, sizeof(bundle.recalled.b));
	if (rollout_bind(r, 7, &bundle, &bytes, &e) < 0)
		fail_msg("%s", e.text);
	sha256 = digest_of(buf_span(&bytes));
	assert_int_equal(
		verified_by_digest(buf_span(&bytes), "plan", bytes.len, &sha256, &v, &e), 0);
	assert_int_equal(plan_parse(&v, out, &e), 0);
	assert_int_equal(out->version, 7);
	assert_int_equal(out->bundle_length, 4711);
	assert_true(digest_equal(&out->bundle_sha256, &bundle.sha256));
	assert_int_equal(out->bundle_head_length, 47);
	assert_true(digest_equal(&out->bundle_head_sha256, &bundle.head_sha256));
}

static void
a_plan_is_compiled_to_what_a_box_reads(void **state)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;

	(void)state;
	if (parse(plan, &r, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(r.name, "stable");
	assert_string_equal(r.path, "rollouts/stable.json");
	assert_string_equal(r.bundle_path, "bundles/gw-2.4.0.ota");
	bind(&r, &p);
	assert_string_equal(p.rollout, "gw-2.4.0");
	assert_string_equal(p.path, "rollouts/stable.json");
	assert_string_equal(p.bundle_path, "bundles/gw-2.4.0.ota");
	assert_int_equal(json_array_size(p.compatible), 2);
	assert_int_equal(p.from_count, 2);
	assert_string_equal(p.from[0], ">=2.1.0");
	assert_int_equal(json_array_size(json_object_get(p.match, "site")), 2);
	assert_int_equal(json_array_size(json_object_get(p.match, "ring")), 1);
	assert_int_equal(json_array_size(p.exclude), 1);
	assert_int_equal(p.attempt, 2);
	assert_int_equal(p.wave_count, 3);
	assert_int_equal(json_array_size(p.waves[0].boxes), 2);
	assert_int_equal(p.waves[0].soak_s, 4 * 3600);
	assert_int_equal(p.waves[1].percent_bp, 500);
	assert_int_equal(p.waves[1].soak_s, 86400);
	assert_int_equal(p.waves[2].percent_bp, 10000);
	assert_int_equal(p.waves[2].soak_s, 0);
	assert_int_equal(p.advance.success_bp, 9750);
	assert_int_equal(p.advance.sample, 20);
	assert_int_equal(p.advance.coverage_bp, 7000);
	assert_int_equal(p.stop.failures_bp, 400);
	assert_int_equal(p.stop.at_least, 2);
	assert_int_equal(p.stop.overdue_s, 7200);
	assert_int_equal(p.stop_poll_s, 30);
	assert_int_equal(p.deadline_s, 1200);
}

static const char options[] =
	"recall: gw-2.3.9.ota\n"
	"window: {days: [sat, sun], hours: \"22:00-04:00\", clock: utc, spread: 1h}\n"
	"start: 2026-12-01T02:00:00Z\n"
	"budget: 200MB\n"
	"notes: |\n"
	"  For Lyon.\n"
	"\n"
	"  Before noon.\n";

static void
the_rest_of_the_vocabulary_is_compiled_too(void **state)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;
	char text[sizeof(plan) + sizeof(options)];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", plan, options);
	if (parse(text, &r, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(r.recall_path, "bundles/gw-2.3.9.ota");
	bind(&r, &p);
	assert_true(p.has_recall && p.recall_manifest.b[0] == 0xc3);
	assert_string_equal(p.recall_path, "bundles/gw-2.3.9.ota");
	assert_true(p.has_window && p.window.utc);
	assert_int_equal(p.window.days, 0x41);
	assert_int_equal(p.window.opens_s, 22 * 3600);
	assert_int_equal(p.window.length_s, 6 * 3600);
	assert_int_equal(p.window.spread_s, 3600);
	assert_int_equal(p.start_s, 1796090400);
	assert_int_equal(p.budget_bytes, 200000000);
	assert_int_equal(json_array_size(p.notes), 3);
	assert_string_equal(json_string_value(json_array_get(p.notes, 0)), "For Lyon.");
	assert_string_equal(json_string_value(json_array_get(p.notes, 1)), "");
	assert_string_equal(json_string_value(json_array_get(p.notes, 2)), "Before noon.");
}

static void
a_window_is_every_day_by_local_time_and_spread_over_its_half(void **state)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse("rollout: r\nbundle: b-1.ota\ncompatible: [c]\n"
			       "waves: [{name: w, percent: 100}]\nwindow: {hours: 02:00-05:00}\n",
				 &r, &e),
		0);
	bind(&r, &p);
	assert_true(p.has_window && !p.window.utc);
	assert_int_equal(p.window.days, WINDOW_EVERY_DAY);
	assert_int_equal(p.window.spread_s, 5400);
	assert_true(p.start_s == 0 && p.budget_bytes == 0 && !p.has_recall && !p.notes);
}

static void
what_is_left_out_has_the_documented_default(void **state)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse("rollout: r\nbundle: b-1.ota\ncompatible: [c]\n"
			       "waves: [{name: w, percent: 2.5}]\n",
				 &r, &e),
		0);
	bind(&r, &p);
	assert_int_equal(p.from_count, 0);
	assert_int_equal(json_object_size(p.match), 0);
	assert_int_equal(json_array_size(p.exclude), 0);
	assert_int_equal(p.attempt, 1);
	assert_int_equal(p.waves[0].percent_bp, 250);
	assert_int_equal(p.waves[0].soak_s, 0);
	assert_int_equal(p.advance.success_bp, 9800);
	assert_int_equal(p.advance.sample, 30);
	assert_int_equal(p.advance.coverage_bp, 8000);
	assert_int_equal(p.stop.failures_bp, 500);
	assert_int_equal(p.stop.at_least, 3);
	assert_int_equal(p.stop.overdue_s, 86400);
	assert_int_equal(p.stop_poll_s, 60);
	assert_int_equal(p.deadline_s, 3600);
}

static void
the_sample_of_init_is_a_plan(void **state)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;

	(void)state;
	if (parse(sample_plan, &r, &e) < 0)
		fail_msg("%s", e.text);
	bind(&r, &p);
	assert_string_equal(p.waves[0].name, "canary");
}

static void
what_is_wrong_is_told_with_line_and_column(void **state)
{
	static const struct {
		const char *was, *becomes, *place, *says;
	} refusals[] = {
		{"rollout: gw-2.4.0\n", "", "1:1", "'rollout' is missing"},
		{"bundle: gw-2.4.0.ota\n", "", "1:1", "'bundle' is missing"},
		{"compatible: [gw3, gw4]\n", "", "1:1", "'compatible' is missing"},
		{"rollout: gw-2.4.0", "rollot: gw-2.4.0", "1:1", "rollout"},
		{"gw-2.4.0\n", "gw 2.4.0\n", "1:10", "plain name"},
		{"gw-2.4.0.ota", "gw-2.4.0.tar", "2:9", "bundle"},
		{"gw-2.4.0.ota", "../gw-2.4.0.ota", "2:9", "bundle"},
		{"[gw3, gw4]", "[]", "3:13", "1 to 64"},
		{"[gw3, gw4]", "gw3", "3:13", "list"},
		{"[gw3, gw4]", "[gw3, [x]]", "3:19", ""},
		{"\">=2.1.0\"", "\"=>2.1.0\"", "4:8", ">="},
		{"\">=2.1.0\"", "2.1.0", "4:8", ">="},
		{"{site: [lyon, paris], ring: early}", "[lyon]", "5:8", "tags"},
		{"[lyon, paris]", "[]", "5:15", "value"},
		{"[gw-17]", "gw-17", "6:10", "list"},
		{"attempt: 2", "attempt: 0", "7:10", "0"},
		{"attempt: 2", "attempt: two", "7:10", "two"},
		{"name: early", "name: canary", "10:12", "two waves"},
		{"name: early", "nam: early", "10:", "name"},
		{"percent: 5%", "percent: 0", "10:28", "0%"},
		{"percent: 5%", "percent: 101", "10:28", "100%"},
		{"percent: 100", "percent: 5", "11:26", "rise"},
		{"percent: 100", "percentage: 100", "11:", "percent"},
		{"percent: 5%", "percent: 5%, boxes: [a]", "10:", "either"},
		{"percent: 5%, ", "", "10:", "either"},
		{"[gw-1, gw-2]", "[gw-1, gw-1]", "9:34", "twice"},
		{"[gw-1, gw-2]", "[]", "9:27", "1 to"},
		{"soak: 4h", "soak: 4", "9:47", "duration"},
		{"soak: 4h", "soak: 400d", "9:47", "longer"},
		{"success: 97.5%", "success: 0%", "12:20", "0%"},
		{"success: 97.5%", "succes: 97.5%", "12:", "success"},
		{"sample: 20", "sample: 0", "12:35", "0"},
		{"at_least: 2", "atleast: 2", "13:", "at_least"},
		{"overdue_after: 2h", "overdue_after: 0s", "13:50", "second"},
		{"stop_poll: 30s", "stop_poll: 2d", "14:12", "longer"},
		{"deadline: 20m", "deadline: 0s", "15:11", "second"},
		{"deadline: 20m", "window: {}", "15:9", "'hours' is missing"},
		{"deadline: 20m", "window: [sat]", "15:9", ""},
		{"deadline: 20m", "window: {hour: 1}", "15:", "hours"},
		{"deadline: 20m", "window: {hours: 2-5}", "15:17", "02:00-05:00"},
		{"deadline: 20m", "window: {hours: 02:00-02:00}", "15:17", "00:00-24:00"},
		{"deadline: 20m", "window: {hours: 02:00-05:00, days: sat}", "15:36", "list"},
		{"deadline: 20m", "window: {hours: 02:00-05:00, days: []}", "15:36", "list"},
		{"deadline: 20m", "window: {hours: 02:00-05:00, days: [sat, sa]}", "15:42", "sun"},
		{"deadline: 20m", "window: {hours: 02:00-05:00, days: [sat, sat]}", "15:42",
			"twice"},
		{"deadline: 20m", "window: {hours: 02:00-05:00, clock: cet}", "15:37", "utc"},
		{"deadline: 20m", "window: {hours: 02:00-05:00, spread: 4h}", "15:38", "240"},
		{"deadline: 20m", "window: {hours: 02:00-05:00, spread: 4}", "15:38", "duration"},
		{"deadline: 20m", "start: tomorrow", "15:8", "2026-11-22T15:04:05Z"},
		{"deadline: 20m", "start: 2026-02-30T00:00:00Z", "15:8", "date"},
		{"deadline: 20m", "budget: 0", "15:9", "leave budget out"},
		{"deadline: 20m", "budget: 5 apples", "15:9", "MB"},
		{"deadline: 20m", "budget: 99999GiB", "15:9", "more than"},
		{"deadline: 20m", "recall: gw-2.4.0.ota", "15:9", "own bundle"},
		{"deadline: 20m", "recall: 2.4.0", "15:9", "gateway-2.4.0.ota"},
		{"deadline: 20m", "notes: [a]", "15:8", "one value"},
		{"deadline: 20m", "notes: \"a\\tb\"", "15:8", "tab"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		AUTO_FREE char *text = sample_with(plan, refusals[i].was, refusals[i].becomes);
		AUTO_ROLLOUT struct rollout r = {0};
		struct err e = ERR_INIT;
		char place[64];

		(void)snprintf(place, sizeof(place), "dir/stable.yaml:%s", refusals[i].place);
		if (parse(text, &r, &e) == 0 || strncmp(e.text, place, strlen(place)) != 0 ||
			!strstr(e.text, refusals[i].says))
			fail_msg("%s -> %s: '%s', not at %s saying '%s'", refusals[i].was,
				refusals[i].becomes, e.text, place, refusals[i].says);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_null(r.doc);
	}
}

static void
the_nearest_known_word_is_suggested(void **state)
{
	AUTO_FREE char *text = sample_with(plan, "stop_poll", "stop_pol");
	AUTO_ROLLOUT struct rollout r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse(text, &r, &e), -1);
	assert_non_null(strstr(e.text, "stop_poll"));
}

static void
a_file_has_to_be_called_after_a_plan(void **state)
{
	static const char *const names[] = {
		"stable", "stable.json", ".yaml", "a b.yaml", "all.yaml", "dir.yaml/stable", ""};
	AUTO_ROLLOUT struct rollout r = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (rollout_parse(span_str(plan), names[i], &r, &e) == 0)
			fail_msg("'%s' was taken", names[i]);
		assert_int_equal(e.class, ERR_USAGE);
	}
	assert_int_equal(rollout_parse(span_str(plan), "site-a.yml", &r, &e), 0);
	assert_string_equal(r.name, "site-a");
}

static void
damaged(struct span bytes)
{
	AUTO_ROLLOUT struct rollout r = {0};
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;

	if (rollout_parse(bytes, "dir/stable.yaml", &r, &e) < 0) {
		if (strncmp(e.text, "dir/stable.yaml:", 16) != 0)
			fail_msg("%s", e.text);
		return;
	}
	bind(&r, &p);
}

static void
a_damaged_plan_has_a_complaint_with_a_line_or_binds(void **state)
{
	(void)state;
	sample_damage(plan, damaged);
}

static void
equal_plans_give_equal_bytes(void **state)
{
	AUTO_FREE char *text = sample_with(plan, "attempt: 2\n", "# a word\nattempt:   2 # x\n");
	AUTO_ROLLOUT struct rollout a = {0};
	AUTO_ROLLOUT struct rollout b = {0};
	AUTO_BUF struct buf x = BUF_INIT(PLAN_BYTES_MAX), y = BUF_INIT(PLAN_BYTES_MAX);
	const struct rollout_bundle bundle = {.length = 1, .head_length = 1};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse(plan, &a, &e), 0);
	assert_int_equal(parse(text, &b, &e), 0);
	assert_int_equal(rollout_bind(&a, 1, &bundle, &x, &e), 0);
	assert_int_equal(rollout_bind(&b, 1, &bundle, &y, &e), 0);
	assert_true(span_equal(buf_span(&x), buf_span(&y)));
	buf_clear(&y);
	assert_int_equal(rollout_bind(&b, 2, &bundle, &y, &e), 0);
	assert_false(span_equal(buf_span(&x), buf_span(&y)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_is_compiled_to_what_a_box_reads),
		cmocka_unit_test(the_rest_of_the_vocabulary_is_compiled_too),
		cmocka_unit_test(a_window_is_every_day_by_local_time_and_spread_over_its_half),
		cmocka_unit_test(what_is_left_out_has_the_documented_default),
		cmocka_unit_test(the_sample_of_init_is_a_plan),
		cmocka_unit_test(what_is_wrong_is_told_with_line_and_column),
		cmocka_unit_test(the_nearest_known_word_is_suggested),
		cmocka_unit_test(a_file_has_to_be_called_after_a_plan),
		cmocka_unit_test(a_damaged_plan_has_a_complaint_with_a_line_or_binds),
		cmocka_unit_test(equal_plans_give_equal_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
