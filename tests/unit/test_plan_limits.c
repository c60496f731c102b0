#include "tests/unit/plan_sample.h"

static void
more_waves_than_the_limit_are_refused(void **state)
{
	char waves[WAVES_MAX * 40 + 100], *end = waves;
	AUTO_FREE char *text = NULL;
	struct err e = ERR_INIT;
	struct plan p;

	(void)state;
	end += snprintf(end, 60, "\"waves\":[");
	for (int i = 0; i <= WAVES_MAX; i++)
		end += snprintf(end, 60, "{\"name\":\"w%d\",\"percent_bp\":%d},", i, i + 1);
	text = sample_with(sample, "\"waves\":[", waves);
	assert_int_equal(parse(text, &p, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static int
parse_json(json_t *root, struct err *e)
{
	struct verified v = sample_verified(root);
	AUTO_PLAN struct plan p = {0};

	return plan_parse(&v, &p, e);
}

static void
a_plan_without_a_wave_is_refused(void **state)
{
	AUTO_JSON json_t *root = sample_json(sample);
	struct err e = ERR_INIT;

	(void)state;
	json_array_clear(json_object_get(root, "waves"));
	assert_int_equal(parse_json(root, &e), -1);
	assert_non_null(strstr(e.text, "waves"));
}

static void
a_plan_chooses_by_so_many_tags_and_values_and_no_more(void **state)
{
	AUTO_JSON json_t *root = sample_json(sample);
	json_t *match = json_object_get(root, "match"), *values = json_object_get(match, "site");
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 1; i < MATCH_KEYS_MAX; i++) {
		char tag[16];

		(void)snprintf(tag, sizeof(tag), "tag%d", i);
		assert_int_equal(json_object_set(match, tag, values), 0);
	}
	while (json_array_size(values) < MATCH_VALUES_MAX)
		assert_int_equal(json_array_append_new(values, json_string("nice")), 0);
	assert_int_equal(parse_json(root, &e), 0);
	assert_int_equal(json_object_set(match, "one more", values), 0);
	assert_int_equal(parse_json(root, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(json_object_del(match, "one more"), 0);
	assert_int_equal(json_array_append_new(values, json_string("nice")), 0);
	assert_int_equal(parse_json(root, &e), -1);
	assert_non_null(strstr(e.text, "no list of 1 to"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_waves_than_the_limit_are_refused),
		cmocka_unit_test(a_plan_without_a_wave_is_refused),
		cmocka_unit_test(a_plan_chooses_by_so_many_tags_and_values_and_no_more),
	};

	return cmocka_run_group_tests_name("plan limits", tests, NULL, NULL);
}
