#include <stdio.h>

#include "common/base/file.h"
#include "common/format/plan.h"
#include "tests/unit/plan_sample.h"

static void
a_plan_gives_every_field_it_has(void **state)
{
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;
	char hex[DIGEST_HEX_SIZE];

	(void)state;
	assert_int_equal(parse(sample, &p, &e), 0);
	assert_string_equal(p.rollout, "gateway-2.4.0");
	assert_string_equal(p.path, "rollouts/stable.json");
	assert_int_equal(p.version, 3);
	assert_string_equal(p.bundle_path, "bundles/gateway-2.4.0.ota");
	assert_int_equal(p.bundle_length, 12345);
	assert_string_equal(digest_hex(&p.bundle_sha256, hex), SHA);
	assert_int_equal(p.bundle_head_length, 512);
	assert_string_equal(digest_hex(&p.bundle_head_sha256, hex), SHA);
	assert_int_equal(p.attempt, 2);
	assert_int_equal(p.stop_poll_s, 60);
	assert_int_equal(p.deadline_s, 3600);
	assert_int_equal(p.from_count, 2);
	assert_string_equal(p.from[1], "<3");
	assert_int_equal(p.wave_count, 3);
	assert_string_equal(p.waves[0].name, "canary");
	assert_false(p.waves[0].has_percent);
	assert_int_equal(json_array_size(p.waves[0].boxes), 2);
	assert_int_equal(p.waves[0].soak_s, 14400);
	assert_true(p.waves[1].has_percent);
	assert_int_equal(p.waves[1].percent_bp, 500);
	assert_int_equal(p.waves[1].soak_s, 0);
	assert_int_equal(p.advance.success_bp, 9800);
	assert_int_equal(p.advance.sample, 30);
	assert_int_equal(p.advance.coverage_bp, 8000);
	assert_int_equal(p.stop.failures_bp, 500);
	assert_int_equal(p.stop.at_least, 3);
	assert_int_equal(p.stop.overdue_s, 86400);
}

/* What a plan need not say, put before its "waves". */
#define OPTIONS                                                                                    \
	"\"window\":{\"days\":[\"sat\"],\"hours\":\"22:00-04:00\",\"clock\":\"utc\","              \
	"\"spread_s\":60},\"start\":\"2026-12-01T02:00:00Z\",\"budget_bytes\":200000000,"          \
	"\"recall\":{\"path\":\"bundles/gateway-2.3.9.ota\",\"manifest_sha256\":\"" SHA            \
	"\"},\"notes\":[\"For Lyon.\",\"Before noon.\"],"

static void
what_a_plan_need_not_say_is_read_where_it_is_said(void **state)
{
	AUTO_FREE char *text = sample_with(sample, "\"waves\"", OPTIONS "\"waves\"");
	AUTO_PLAN struct plan p = {0};
	AUTO_PLAN struct plan without = {0};
	struct err e = ERR_INIT;
	char hex[DIGEST_HEX_SIZE];

	(void)state;
	assert_int_equal(parse(text, &p, &e), 0);
	assert_true(p.has_window && p.window.utc);
	assert_int_equal(p.window.opens_s, 22 * 3600);
	assert_int_equal(p.window.spread_s, 60);
	assert_int_equal(p.start_s, 1796090400);
	assert_int_equal(p.budget_bytes, 200000000);
	assert_true(p.has_recall);
	assert_string_equal(p.recall_path, "bundles/gateway-2.3.9.ota");
	assert_string_equal(digest_hex(&p.recall_manifest, hex), SHA);
	assert_int_equal(json_array_size(p.notes), 2);
	assert_string_equal(json_string_value(json_array_get(p.notes, 1)), "Before noon.");
	assert_int_equal(parse(sample, &without, &e), 0);
	assert_false(without.has_window || without.has_recall);
	assert_true(without.start_s == 0 && without.budget_bytes == 0 && !without.notes);
}

static void
an_option_that_is_wrong_is_refused_by_name(void **state)
{
	static const struct {
		const char *was, *becomes, *says;
	} refusals[] = {
		{"\"window\":{", "\"window\":[],\"x\":{", "x"},
		{"\"days\":[\"sat\"],", "", "window: 'days'"},
		{"22:00-04:00", "22:00", "window: 'hours'"},
		{"2026-12-01T02:00:00Z", "2026-12-01", "'start'"},
		{"\"2026-12-01T02:00:00Z\"", "5", "'start'"},
		{"200000000", "0", "'budget_bytes'"},
		{"200000000", "17592186044417", "'budget_bytes'"},
		{"200000000", "\"200MB\"", "'budget_bytes'"},
		{"\"budget_bytes\"", "\"budget\"", "budget"},
		{"bundles/gateway-2.3.9.ota", "bundles/gateway-2.4.0.ota", "own bundle"},
		{"bundles/gateway-2.3.9.ota", "bundles/../x.ota", "recall: 'path'"},
		{"\"manifest_sha256\":\"0", "\"manifest_sha256\":\"", "recall: 'manifest_sha256'"},
		{"\"manifest_sha256\"", "\"sha256\"", "recall"},
		{"\"For Lyon.", "\"\\u001b[31m", "'notes'"},
		{"[\"For Lyon.\",\"Before noon.\"]", "\"For Lyon.\"", "'notes'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		AUTO_FREE char *full = sample_with(sample, "\"waves\"", OPTIONS "\"waves\"");
		AUTO_FREE char *text = sample_with(full, refusals[i].was, refusals[i].becomes);
		struct err e = ERR_INIT;
		struct plan p;

		if (parse(text, &p, &e) == 0 || !strstr(e.text, refusals[i].says))
			fail_msg("%s -> %s: %s", refusals[i].was, refusals[i].becomes, e.text);
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
	}
}

static void
notes_have_limits(void **state)
{
	char line[2 * PLAN_NOTE_BYTES_MAX], lines[PLAN_NOTES_MAX * 4 + 64];
	struct err e = ERR_INIT;
	struct plan p;
	int len;

	(void)state;
	(void)snprintf(
		line, sizeof(line), "\"notes\":[\"%0*d\"],\"waves\"", PLAN_NOTE_BYTES_MAX + 1, 0);
	AUTO_FREE char *long_line = sample_with(sample, "\"waves\"", line);
	assert_int_equal(parse(long_line, &p, &e), -1);
	assert_non_null(strstr(e.text, "notes"));
	len = snprintf(lines, sizeof(lines), "\"notes\":[");
	for (int i = 0; i < PLAN_NOTES_MAX; i++)
		len += snprintf(lines + len, sizeof(lines) - (size_t)len, "\"\",");
	(void)snprintf(lines + len, sizeof(lines) - (size_t)len, "\"\"],\"waves\"");
	AUTO_FREE char *many = sample_with(sample, "\"waves\"", lines);
	assert_int_equal(parse(many, &p, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

/* One change that has to be refused, with a word that the message has to have. */
struct refusal {
	const char *was, *becomes, *says;
};

static void
a_plan_with_one_thing_wrong_is_refused_by_name(void **state)
{
	static const struct refusal refusals[] = {
		{"\"format\":1", "\"format\":2", "format 2"},
		{"\"format\":1,", "", "format"},
		{"\"version\":3", "\"version\":0", "version"},
		{"\"version\":3", "\"version\":-1", "version"},
		{"\"version\":3", "\"version\":\"3\"", "version"},
		{"\"version\":3", "\"version\":9007199254740993", "version"},
		{"\"version\":3", "\"version\":3,\"colour\":1", "colour"},
		{"\"rollout\":\"gateway-2.4.0\"", "\"rollout\":\"\"", "rollout"},
		{"\"rollout\":\"gateway-2.4.0\"", "\"rollout\":\"../x\"", "rollout"},
		{"rollouts/stable.json", "rollouts/../stable.json", "path"},
		{"rollouts/stable.json", "rollouts/a/stable.json", "path"},
		{"rollouts/stable.json", "rollouts/.json", "path"},
		{"rollouts/stable.json", "gates/stable.json", "path"},
		{"rollouts/stable.json", "rollouts/all.json", "all.json"},
		{"bundles/gateway-2.4.0.ota", "bundles/gateway-2.4.0.tar", "bundle"},
		{"bundles/gateway-2.4.0.ota", "bundles//etc/passwd.ota", "bundle"},
		{"\"length\":12345", "\"length\":0", "length"},
		{"\"length\":512", "\"length\":12346", "bundle head"},
		{"\"length\":512", "\"length\":512,\"size\":1", "bundle head"},
		{"\"head\":", "\"neck\":", "bundle"},
		{"\"sha256\":\"" SHA, "\"sha256\":\"", "sha256"},
		{"\"sha256\":\"0123456789abcdef", "\"sha256\":\"0123456789ABCDEF", "sha256"},
		{"\"length\":12345", "\"length\":12345,\"size\":1", "size"},
		{"[\"acme-gw3\",\"acme-gw4\"]", "[]", "compatible"},
		{"[\"acme-gw3\",\"acme-gw4\"]", "[3]", "compatible"},
		{"[\"acme-gw3\",\"acme-gw4\"]", "\"acme-gw3\"", "compatible"},
		{"\"attempt\":2", "\"attempt\":0", "attempt"},
		{"\">=2.1.0\"", "\"=>2.1.0\"", "from"},
		{"\">=2.1.0\"", "\"2.1.0\"", "from"},
		{"\">=2.1.0\"", "\">= 2.1.0\"", "from"},
		{"\">=2.1.0\"", "7", "from"},
		{"[\"lyon\",\"paris\"]", "[]", "match"},
		{"[\"lyon\",\"paris\"]", "\"lyon\"", "match"},
		{"[\"lyon\",\"paris\"]", "[\"\"]", "match"},
		{"{\"site\"", "{\"\"", "match"},
		{"[\"gw-000017\"]", "[\"gw 17\"]", "exclude"},
		{"\"stop_poll_s\":60", "\"stop_poll_s\":0", "stop_poll_s"},
		{"\"deadline_s\":3600", "\"deadline_s\":0", "deadline_s"},
		{"\"deadline_s\":3600", "\"deadline_s\":99999999999", "deadline_s"},
		{"\"name\":\"early\"", "\"name\":\"canary\"", "canary"},
		{"\"name\":\"early\"", "\"name\":\"/\"", "name"},
		{"\"percent_bp\":500}", "\"percent_bp\":0}", "percent_bp"},
		{"\"percent_bp\":500}", "\"percent_bp\":5000}", "early"},
		{"\"percent_bp\":5000", "\"percent_bp\":10001", "percent_bp"},
		{"\"percent_bp\":500}", "\"percent_bp\":500,\"boxes\":[\"a\"]}", "either"},
		{"\"name\":\"early\",\"percent_bp\":500", "\"name\":\"early\"", "either"},
		{"[\"gw-000001\",\"gw-000017\"]", "[]", "boxes"},
		{"\"soak_s\":60", "\"soak\":60", "soak"},
		{"\"success_bp\":9800", "\"success_bp\":0", "success_bp"},
		{"\"success_bp\":9800", "\"success_bp\":10001", "success_bp"},
		{"\"sample\":30", "\"sample\":0", "sample"},
		{"\"at_least\":3", "\"at_least\":0", "at_least"},
		{",\"overdue_s\":86400", "", "overdue_s"},
		{"\"sample\":30", "\"sample\":30,\"colour\":1", "colour"},
		{"\"at_least\":3", "\"at_least\":3,\"colour\":1", "colour"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		AUTO_FREE char *text = sample_with(sample, r->was, r->becomes);
		AUTO_PLAN struct plan p = {.version = 77};
		struct err e = ERR_INIT;

		if (parse(text, &p, &e) == 0 || p.version != 77 || !strstr(e.text, r->says))
			fail_msg("%s -> %s: %s", r->was, r->becomes, e.text);
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
	}
}

static void
a_plan_without_any_one_of_its_words_is_refused(void **state)
{
	AUTO_JSON json_t *root = sample_json(sample);
	struct verified v = sample_verified(root);
	const char *key;
	json_t *value;

	(void)state;
	json_object_foreach (v.root, key, value) {
		AUTO_JSON json_t *without = json_copy(v.root);
		struct verified less = sample_verified(without);
		struct err e = ERR_INIT;
		struct plan p;

		assert_int_equal(json_object_del(without, key), 0);
		assert_int_equal(plan_parse(&less, &p, &e), -1);
		assert_non_null(strstr(e.text, key));
	}
}

static void
a_plan_that_is_no_object_is_refused(void **state)
{
	static const char *const texts[] = {"[]", "null", "3", "\"plan\"", "{}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct err e = ERR_INIT;
		struct plan p;

		assert_int_equal(parse(texts[i], &p, &e), -1);
	}
}

/* Whatever a damaged plan still says, it says within its limits. */
static void
damaged_plan(struct span bytes)
{
	AUTO_JSON json_t *root = NULL;
	struct verified v;
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;
	struct box_facts box = {
		.id = "gw-000001", .compatible = "acme-gw3", .tags = NULL, .version = "2.2"};
	size_t wave = 0;

	if (json_parse(bytes, "sample", &root, &e) < 0)
		return;
	v = sample_verified(root);
	if (plan_parse(&v, &p, &e) < 0) {
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
		return;
	}
	assert_true(p.wave_count == 3 && p.version >= 1 && p.bundle_length >= 1);
	assert_true(
		p.waves[1].percent_bp < p.waves[2].percent_bp && p.waves[2].percent_bp <= 10000);
	assert_true(strncmp(p.bundle_path, "bundles/", 8) == 0 && name_is_plain(p.bundle_path + 8));
	if (plan_membership(&p, &box, &wave) == MEMBER_OF_WAVE)
		assert_true(wave < p.wave_count);
}

static void
a_damaged_plan_is_refused_or_within_limits(void **state)
{
	(void)state;
	sample_damage(sample, damaged_plan);
}

/* Computed with Python's hashlib:
 *   int.from_bytes(sha256(b"sluice-bucket-v1\0" + rollout + b"\0" + box).digest()[:8], "big")
 *     * 10000 >> 64 */
static void
buckets_are_those_that_hashlib_gives(void **state)
{
	static const struct {
		const char *rollout, *box;
		uint32_t bucket;
	} vectors[] = {
		{"gateway-2.4.0", "gw-000001", 6720},
		{"gateway-2.4.0", "gw-000002", 2524},
		{"gateway-2.4.1", "gw-000001", 6694},
		{"a", "b", 3373},
		{"stable", "box-1", 4937},
		{"gateway-2.4.0", "gw-008613", 0},
		{"gateway-2.4.0", "gw-071278", 9999},
		{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
			"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", 4937},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_int_equal(
			plan_bucket(vectors[i].rollout, vectors[i].box), vectors[i].bucket);
}

static void
five_percent_of_ten_thousand_boxes_are_about_five_percent(void **state)
{
	int in = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		char box[16];

		(void)snprintf(box, sizeof(box), "gw-%06d", i);
		in += plan_bucket("gateway-2.4.0", box) < 500;
	}
	assert_int_equal(in, 487); /* hashlib counts the same */
}

static enum membership
member(const char *text, const struct box_facts *box, size_t *wave)
{
	AUTO_PLAN struct plan p = {0};
	struct err e = ERR_INIT;

	assert_int_equal(parse(text, &p, &e), 0);
	return plan_membership(&p, box, wave);
}

static void
a_box_is_in_the_first_wave_that_has_it(void **state)
{
	AUTO_JSON json_t *lyon = json_pack("{s:s, s:s}", "site", "lyon", "floor", "2");
	AUTO_FREE char *late = sample_with(sample, "\"boxes\":[\"gw-000001\"", "\"boxes\":[\"x\"");
	struct box_facts box = {
		.id = "gw-000001", .compatible = "acme-gw4", .tags = lyon, .version = "2.2"};
	size_t wave = 9;

	(void)state;
	assert_int_equal(member(sample, &box, &wave), MEMBER_OF_WAVE);
	assert_int_equal(wave, 0);
	/* Its bucket is 6720: beyond the half. */
	assert_int_equal(member(late, &box, &wave), MEMBER_NO_WAVE);
	box.id = "gw-000002"; /* 2524 */
	assert_int_equal(member(sample, &box, &wave), MEMBER_OF_WAVE);
	assert_int_equal(wave, 2);
	box.id = "gw-008613"; /* 0 */
	assert_int_equal(member(sample, &box, &wave), MEMBER_OF_WAVE);
	assert_int_equal(wave, 1);
}

static void
a_bucket_equal_to_the_percent_is_outside(void **state)
{
	AUTO_JSON json_t *lyon = json_pack("{s:s}", "site", "lyon");
	AUTO_FREE char *at = sample_with(sample, "\"percent_bp\":5000", "\"percent_bp\":2524");
	AUTO_FREE char *above = sample_with(sample, "\"percent_bp\":5000", "\"percent_bp\":2525");
	struct box_facts box = {
		.id = "gw-000002", .compatible = "acme-gw3", .tags = lyon, .version = "2.2"};
	size_t wave;

	(void)state;
	assert_int_equal(member(at, &box, &wave), MEMBER_NO_WAVE);
	assert_int_equal(member(above, &box, &wave), MEMBER_OF_WAVE);
}

static void
exclude_beats_being_named_in_a_wave(void **state)
{
	AUTO_JSON json_t *lyon = json_pack("{s:s}", "site", "lyon");
	struct box_facts box = {
		.id = "gw-000017", .compatible = "acme-gw3", .tags = lyon, .version = "2.2"};
	size_t wave = 9;

	(void)state;
	assert_int_equal(member(sample, &box, &wave), MEMBER_EXCLUDED);
	assert_int_equal(wave, 9);
}

static void
a_box_outside_the_conditions_is_in_no_wave(void **state)
{
	AUTO_JSON json_t *lyon = json_pack("{s:s}", "site", "lyon");
	AUTO_JSON json_t *nice = json_pack("{s:s}", "site", "nice");
	AUTO_JSON json_t *odd = json_pack("{s:i}", "site", 3);
	struct box_facts box = {
		.id = "gw-000001", .compatible = "acme-gw9", .tags = lyon, .version = "2.2"};
	size_t wave;

	(void)state;
	assert_int_equal(member(sample, &box, &wave), MEMBER_NOT_COMPATIBLE);
	box.compatible = "acme-gw3";
	box.tags = nice;
	assert_int_equal(member(sample, &box, &wave), MEMBER_NOT_MATCHED);
	box.tags = odd;
	assert_int_equal(member(sample, &box, &wave), MEMBER_NOT_MATCHED);
	box.tags = NULL;
	assert_int_equal(member(sample, &box, &wave), MEMBER_NOT_MATCHED);
	box.tags = lyon;
	box.version = "2.0.9";
	assert_int_equal(member(sample, &box, &wave), MEMBER_NOT_FROM);
	box.version = "3.0";
	assert_int_equal(member(sample, &box, &wave), MEMBER_NOT_FROM);
	box.version = "";
	assert_int_equal(member(sample, &box, &wave), MEMBER_NOT_FROM);
	box.version = "2.10";
	assert_int_equal(member(sample, &box, &wave), MEMBER_OF_WAVE);
}

static void
a_recall_takes_only_boxes_that_run_what_is_recalled(void **state)
{
	AUTO_FREE char *text = sample_with(sample, "\"waves\"", OPTIONS "\"waves\"");
	AUTO_JSON json_t *lyon = json_pack("{s:s}", "site", "lyon");
	struct box_facts box = {
		.id = "gw-000001", .compatible = "acme-gw3", .tags = lyon, .version = "2.3.9"};
	struct digest right, wrong = {{7}};
	struct err e = ERR_INIT;
	size_t wave = 9;

	(void)state;
	assert_int_equal(digest_parse(SHA, &right, &e), 0);
	assert_int_equal(member(text, &box, &wave), MEMBER_NOT_RECALLED);
	box.running[0] = &wrong;
	assert_int_equal(member(text, &box, &wave), MEMBER_NOT_RECALLED);
	assert_int_equal(wave, 9);
	box.running[1] = &right;
	assert_int_equal(member(text, &box, &wave), MEMBER_OF_WAVE);
	box.running[0] = &right;
	box.running[1] = NULL;
	assert_int_equal(member(text, &box, &wave), MEMBER_OF_WAVE);
	box.id = "gw-000017";
	assert_int_equal(member(text, &box, &wave), MEMBER_EXCLUDED);
}

/* What is asked of lists in order is what their order in the plan would answer. */
static void
a_box_named_in_several_waves_is_in_the_first(void **state)
{
	AUTO_FREE char *named =
		sample_with(sample, "\"percent_bp\":500}", "\"boxes\":[\"z\",\"b\",\"a\"]}");
	AUTO_FREE char *text = sample_with(
		named, "[\"gw-000001\",\"gw-000017\"]", "[\"b\",\"x\",\"gw-000017\",\"b\"]");
	AUTO_JSON json_t *lyon = json_pack("{s:s}", "site", "lyon");
	static const struct {
		const char *id;
		enum membership m;
		size_t wave;
	} cases[] = {
		{"a", MEMBER_OF_WAVE, 1},
		{"b", MEMBER_OF_WAVE, 0},
		{"x", MEMBER_OF_WAVE, 0},
		{"z", MEMBER_OF_WAVE, 1},
		{"gw-000017", MEMBER_EXCLUDED, 9},
		{"gw-000002", MEMBER_OF_WAVE, 2},
		{"gw-000001", MEMBER_NO_WAVE, 9},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct box_facts box = {.id = cases[i].id,
			.compatible = "acme-gw3",
			.tags = lyon,
			.version = "2.2"};
		size_t wave = 9;

		assert_int_equal(member(text, &box, &wave), cases[i].m);
		assert_int_equal(wave, cases[i].wave);
	}
}

/* A value counts for its own tag alone. */
static void
each_tag_has_to_have_one_of_its_own_values(void **state)
{
	AUTO_FREE char *text = sample_with(sample, "\"match\":{\"site\":[\"lyon\",\"paris\"]}",
		"\"match\":{\"site\":[\"paris\",\"lyon\"],\"ring\":[\"b\",\"a\"]}");
	static const struct {
		const char *site, *ring;
		enum membership m;
	} cases[] = {
		{"lyon", "a", MEMBER_OF_WAVE},
		{"paris", "b", MEMBER_OF_WAVE},
		{"lyon", "lyon", MEMBER_NOT_MATCHED},
		{"a", "a", MEMBER_NOT_MATCHED},
		{"lyon", "c", MEMBER_NOT_MATCHED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_JSON json_t *tags =
			json_pack("{s:s, s:s}", "ring", cases[i].ring, "site", cases[i].site);
		struct box_facts box = {.id = "gw-000001",
			.compatible = "acme-gw3",
			.tags = tags,
			.version = "2.2"};
		size_t wave;

		assert_int_equal(member(text, &box, &wave), cases[i].m);
	}
}

static void
from_compares_versions_by_their_numbers(void **state)
{
	(void)state;
	assert_true(plan_from_satisfied(">=2.9", "2.10"));
	assert_true(plan_from_satisfied(">=2.1.0", "2.1"));
	assert_false(plan_from_satisfied(">2.1.0", "2.1"));
	assert_true(plan_from_satisfied("<3", "2.99.99"));
	assert_false(plan_from_satisfied("<3", "3"));
	assert_true(plan_from_satisfied("<=3", "3.0.0"));
	assert_true(plan_from_satisfied("=2.2", "2.2.0"));
	assert_false(plan_from_satisfied("=2.2", "2.2.1"));
	assert_false(plan_from_satisfied(">=1", "two"));
	assert_false(plan_from_satisfied("<3", "two"));
	assert_false(plan_from_satisfied("<3", ""));
	assert_false(plan_from_satisfied(">=2.3", "2.4.0-rc1"));
	assert_false(plan_from_satisfied("==1", "1"));
	assert_false(plan_from_satisfied("", "1"));
	assert_false(plan_from_satisfied(">=", "1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_gives_every_field_it_has),
		cmocka_unit_test(what_a_plan_need_not_say_is_read_where_it_is_said),
		cmocka_unit_test(an_option_that_is_wrong_is_refused_by_name),
		cmocka_unit_test(notes_have_limits),
		cmocka_unit_test(a_plan_with_one_thing_wrong_is_refused_by_name),
		cmocka_unit_test(a_plan_without_any_one_of_its_words_is_refused),
		cmocka_unit_test(a_plan_that_is_no_object_is_refused),
		cmocka_unit_test(a_damaged_plan_is_refused_or_within_limits),
		cmocka_unit_test(buckets_are_those_that_hashlib_gives),
		cmocka_unit_test(five_percent_of_ten_thousand_boxes_are_about_five_percent),
		cmocka_unit_test(a_box_is_in_the_first_wave_that_has_it),
		cmocka_unit_test(a_bucket_equal_to_the_percent_is_outside),
		cmocka_unit_test(exclude_beats_being_named_in_a_wave),
		cmocka_unit_test(a_box_outside_the_conditions_is_in_no_wave),
		cmocka_unit_test(a_recall_takes_only_boxes_that_run_what_is_recalled),
		cmocka_unit_test(a_box_named_in_several_waves_is_in_the_first),
		cmocka_unit_test(each_tag_has_to_have_one_of_its_own_values),
		cmocka_unit_test(from_compares_versions_by_their_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
