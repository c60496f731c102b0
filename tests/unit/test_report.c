#include <stdio.h>

#include "common/format/field.h"
#include "common/format/report.h"
#include "tests/unit/sample.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char sample[] =
	"{\"format\":1,\"box\":\"gw-000001\",\"seq\":17,\"at\":\"2026-11-22T15:00:00Z\",\"boot_"
	"id\":\"8c0f2f3e-0000-4000-8000-000000000001\",\"state\":\"confirmed\",\"outcome\":\"ok\","
	"\"rollout\":\"gateway-2.4.0\",\"plan_version\":3,\"wave\":\"canary\",\"attempt\":1,"
	"\"bundle\":\"gateway-2.4.0.ota\",\"version\":\"2.4.0\",\"bundle_sha256\":\"" SHA
	"\",\"running_sha256\":\"" SHA "\",\"rollback_floor\":4,\"tags\":{\"site\":\"lyon\"},"
	"\"compatible\":\"acme-gw3\",\"source\":\"network\",\"class\":\"none\",\"detail\":\"\","
	"\"log\":\"one\\ntwo\\n\"}";

#define STOP_1 "00112233445566778899aabbccddeeff"
#define STOP_2 "ffeeddccbbaa99887766554433221100"
#define REQUEST                                                                                    \
	"\"-----BEGIN CERTIFICATE REQUEST-----\\nMIHO+/=\\nAAAA\\n-----END CERTIFICATE "           \
	"REQUEST-----\\n\""
#define HAUL                                                                                       \
	"\"haul\":{\"in_place\":1,\"zeros\":2,\"running\":3,\"inactive\":4,\"network\":5,"         \
	"\"fetch\""                                                                                \
	":9007199254740992,\"ranges\":7},"
#define NEWER                                                                                      \
	"\"plan\":\"rollouts/stable.json\",\"linked_sha256\":\"" SHA "\",\"stops\":[\"" STOP_1     \
	"\",\"" STOP_2 "\"],\"certificate_serial\":\"4f00\",\"certificate_request\":" REQUEST      \
	",\"authorities_sha256\":\"" SHA "\",\"authentic\":\"no\"," HAUL

static int
parse(const char *text, struct report *out, struct err *e)
{
	AUTO_JSON json_t *root = sample_json(text);
	struct verified v = sample_verified(root);

	return report_parse(&v, out, e);
}

static void
a_report_gives_every_field_it_has(void **state)
{
	AUTO_REPORT struct report r = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse(sample, &r, &e), 0);
	assert_string_equal(r.box, "gw-000001");
	assert_int_equal(r.seq, 17);
	assert_int_equal(r.at_s, 1795359600);
	assert_string_equal(r.boot_id, "8c0f2f3e-0000-4000-8000-000000000001");
	assert_int_equal(r.state, BOX_CONFIRMED);
	assert_int_equal(r.outcome, OUTCOME_OK);
	assert_string_equal(r.rollout, "gateway-2.4.0");
	assert_int_equal(r.plan_version, 3);
	assert_string_equal(r.wave, "canary");
	assert_int_equal(r.attempt, 1);
	assert_string_equal(r.bundle, "gateway-2.4.0.ota");
	assert_string_equal(r.version, "2.4.0");
	assert_string_equal(r.bundle_sha256, SHA);
	assert_string_equal(r.running_sha256, SHA);
	assert_int_equal(r.rollback_floor, 4);
	assert_string_equal(json_string_value(json_object_get(r.tags, "site")), "lyon");
	assert_string_equal(r.compatible, "acme-gw3");
	assert_string_equal(r.source, "network");
	assert_string_equal(r.class_, "none");
	assert_string_equal(r.log, "one\ntwo\n");
}

static void
a_report_that_was_built_reads_as_the_same(void **state)
{
	AUTO_JSON json_t *root = sample_json(sample);
	struct verified v = sample_verified(root);
	AUTO_REPORT struct report r = {0};
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(report_parse(&v, &r, &e), 0);
	assert_int_equal(report_build(&r, &built, &e), 0);
	assert_true(json_equal(built, v.root));
}

static void
what_older_agents_do_not_say_is_read_and_built(void **state)
{
	AUTO_FREE char *text = sample_with(sample, "\"seq\":17,", "\"seq\":17," NEWER);
	AUTO_JSON json_t *root = sample_json(text), *built = NULL;
	struct verified v = sample_verified(root);
	AUTO_REPORT struct report r = {0}, older = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(report_parse(&v, &r, &e), 0);
	assert_string_equal(r.plan, "rollouts/stable.json");
	assert_string_equal(r.linked_sha256, SHA);
	assert_int_equal(r.stop_count, 2);
	assert_string_equal(r.stops[0], STOP_1);
	assert_string_equal(r.stops[1], STOP_2);
	assert_string_equal(r.certificate_serial, "4f00");
	assert_int_equal(strlen(r.certificate_request), 83);
	assert_string_equal(r.authorities_sha256, SHA);
	assert_int_equal(r.authentic, AUTHENTIC_NO);
	assert_true(r.has_haul && r.haul.in_place == 1 && r.haul.zeros == 2 &&
		    r.haul.running == 3 && r.haul.inactive == 4 && r.haul.network == 5 &&
		    r.haul.fetch == 1ULL << 53 && r.haul.ranges == 7);
	assert_int_equal(report_build(&r, &built, &e), 0);
	assert_true(json_equal(built, v.root));
	assert_int_equal(parse(sample, &older, &e), 0);
	assert_true(!older.plan[0] && !older.linked_sha256[0] && older.stop_count == 0);
	assert_true(!older.certificate_serial[0] && !older.certificate_request[0] &&
		    !older.authorities_sha256[0]);
	assert_int_equal(older.authentic, AUTHENTIC_UNSAID);
	assert_false(older.has_haul);
}

static void
states_and_outcomes_are_found_by_their_names(void **state)
{
	enum box_state s = BOX_STATES;
	enum outcome o = OUTCOMES;

	(void)state;
	for (int i = 0; i < BOX_STATES; i++) {
		assert_true(box_state_of(box_state_name((enum box_state)i), &s));
		assert_int_equal(s, i);
	}
	for (int i = 0; i < OUTCOMES; i++) {
		assert_true(outcome_of(outcome_name((enum outcome)i), &o));
		assert_int_equal(o, i);
	}
	assert_false(box_state_of("unknown", &s));
	assert_false(outcome_of("", &o));
}

static void
a_report_about_nothing_has_empty_fields(void **state)
{
	struct report r = {.box = "b", .seq = 1, .compatible = "c", .class_ = "none"};
	AUTO_REPORT struct report back = {0};
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;
	struct verified v;

	(void)state;
	assert_int_equal(report_build(&r, &built, &e), 0);
	v = sample_verified(built);
	assert_int_equal(report_parse(&v, &back, &e), 0);
	assert_string_equal(back.bundle, "");
	assert_string_equal(back.bundle_sha256, "");
	assert_int_equal(json_object_size(back.tags), 0);
}

static void
quoted_output_of_programs_becomes_text(void **state)
{
	struct report r = {.box = "b", .seq = 1, .compatible = "c", .class_ = "system"};
	AUTO_REPORT struct report back = {0};
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;
	struct verified v;

	(void)state;
	(void)snprintf(
		r.detail, sizeof(r.detail), "caf\xc3\xa9 \x1b[2J \xff\xc3 \xc2\x9b \xed\xa0\x80\n");
	(void)snprintf(r.log, sizeof(r.log), "a\tb\r\n\xf0\x9f\x9a\xa6\x7f\xe2\x82");
	assert_int_equal(report_build(&r, &built, &e), 0);
	v = sample_verified(built);
	assert_int_equal(report_parse(&v, &back, &e), 0);
	assert_string_equal(back.detail, "caf\xc3\xa9 ?[2J ?? ?? ????");
	assert_string_equal(back.log, "a\tb?\n\xf0\x9f\x9a\xa6???");
}

static void
the_largest_report_fits_its_limit(void **state)
{
	struct report r = {.box = "b", .seq = 1, .compatible = "c", .class_ = "none"};
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;

	(void)state;
	memset(r.detail, '"', sizeof(r.detail) - 1);
	memset(r.log, '\n', sizeof(r.log) - 1);
	for (r.stop_count = 0; r.stop_count < STOPS_MAX; r.stop_count++)
		memcpy(r.stops[r.stop_count], STOP_1, sizeof(STOP_1));
	assert_int_equal(report_build(&r, &built, &e), 0);
	assert_int_equal(json_pretty(built, &bytes, &e), 0);
}

static void
a_field_that_is_not_text_is_not_built(void **state)
{
	struct report r = {.box = "b", .seq = 1, .compatible = "c", .class_ = "none"};
	struct err e = ERR_INIT;
	json_t *out = NULL;

	(void)state;
	memcpy(r.boot_id, "\xff", 2);
	assert_int_equal(report_build(&r, &out, &e), -1);
	assert_null(out);
}

static void
a_report_of_too_many_stops_is_refused(void **state)
{
	AUTO_JSON json_t *root = sample_json(sample), *stops = json_array();
	struct verified v = sample_verified(root);
	AUTO_REPORT struct report r = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < STOPS_MAX + 1; i++)
		(void)json_array_append_new(stops, json_string(STOP_1));
	(void)json_object_set(root, "stops", stops);
	assert_int_equal(report_parse(&v, &r, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	(void)json_array_remove(stops, 0);
	assert_int_equal(report_parse(&v, &r, &e), 0);
	assert_int_equal(r.stop_count, STOPS_MAX);
}

static void
a_report_with_one_thing_wrong_is_refused_by_name(void **state)
{
	static const struct {
		const char *was, *becomes, *says;
	} refusals[] = {
		{"\"format\":1", "\"format\":2", "format 2"},
		{"\"box\":\"gw-000001\"", "\"box\":\"../etc\"", "box"},
		{"\"box\":\"gw-000001\"", "\"box\":\"\"", "box"},
		{"\"seq\":17", "\"seq\":0", "seq"},
		{"\"seq\":17", "\"seq\":17,\"sequel\":1", "sequel"},
		{"15:00:00Z", "15:00:00", "at"},
		{"\"state\":\"confirmed\"", "\"state\":\"gone\"", "state"},
		{"\"outcome\":\"ok\"", "\"outcome\":\"OK\"", "outcome"},
		{"\"rollout\":\"gateway-2.4.0\"", "\"rollout\":\"/\"", "rollout"},
		{"\"wave\":\"canary\"", "\"wave\":null", "wave"},
		{"\"bundle\":\"gateway-2.4.0.ota\"", "\"bundle\":\"a/b\"", "bundle"},
		{"\"version\":\"2.4.0\"", "\"version\":\"2\\u0007\"", "version"},
		{"\"bundle_sha256\":\"0", "\"bundle_sha256\":\"", "bundle_sha256"},
		{"\"running_sha256\":\"0", "\"running_sha256\":\"g", "running_sha256"},
		{"\"rollback_floor\":4", "\"rollback_floor\":\"4\"", "rollback_floor"},
		{"{\"site\":\"lyon\"}", "[]", "tags"},
		{"{\"site\":\"lyon\"}", "{\"site\":1}", "tag"},
		{"{\"site\":\"lyon\"}", "{\"site\":\"\"}", "tag"},
		{"\"compatible\":\"acme-gw3\"", "\"compatible\":\"\"", "compatible"},
		{"\"source\":\"network\"", "\"source\":\"usb\"", "source"},
		{"\"class\":\"none\"", "\"class\":\"\"", "class"},
		{"\"detail\":\"\"", "\"detail\":\"a\\nb\"", "detail"},
		{"one\\ntwo", "one\\u001btwo", "log"},
		{"one\\ntwo", "one\\u009btwo", "log"},
		{"\"seq\":17", "\"seq\":17,\"haul\":{}", "haul"},
		{"\"seq\":17", "\"seq\":17,\"haul\":7", "haul"},
		{"\"seq\":17,", "\"seq\":17,\"x\":1," HAUL, "x"},
		{"\"seq\":17", "\"seq\":17,\"plan\":\"\"", "plan"},
		{"\"seq\":17", "\"seq\":17,\"plan\":\"rollouts/../x.json\"", "plan"},
		{"\"seq\":17", "\"seq\":17,\"linked_sha256\":\"0\"", "linked_sha256"},
		{"\"seq\":17", "\"seq\":17,\"linked_sha256\":\"\"", "linked_sha256"},
		{"\"seq\":17", "\"seq\":17,\"authorities_sha256\":\"\"", "authorities_sha256"},
		{"\"seq\":17", "\"seq\":17,\"certificate_serial\":\"\"", "certificate_serial"},
		{"\"seq\":17", "\"seq\":17,\"certificate_serial\":\"4f0\"", "certificate_serial"},
		{"\"seq\":17", "\"seq\":17,\"certificate_serial\":\"4F00\"", "certificate_serial"},
		{"\"seq\":17", "\"seq\":17,\"certificate_serial\":1", "certificate_serial"},
		{"\"seq\":17",
			"\"seq\":17,\"certificate_serial\":"
			"\"000000000000000000000000000000000000000000\"",
			"certificate_serial"},
		{"\"seq\":17", "\"seq\":17,\"certificate_request\":\"\"", "certificate_request"},
		{"\"seq\":17", "\"seq\":17,\"certificate_request\":[]", "certificate_request"},
		{"\"seq\":17",
			"\"seq\":17,\"certificate_request\":\"-----BEGIN CERTIFICATE "
			"REQUEST-----\\n\"",
			"certificate_request"},
		{"\"seq\":17",
			"\"seq\":17,\"certificate_request\":\"-----BEGIN CERTIFICATE "
			"REQUEST-----\\nAA-----END CERTIFICATE REQUEST-----\\n\"",
			"certificate_request"},
		{"\"seq\":17",
			"\"seq\":17,\"certificate_request\":\"-----BEGIN CERTIFICATE "
			"REQUEST-----\\nAA\\n-----END CERTIFICATE REQUEST-----\\n\\n\"",
			"certificate_request"},
		{"\"seq\":17",
			"\"seq\":17,\"certificate_request\":\"-----BEGIN CERTIFICATE "
			"REQUEST-----\\nA A\\n-----END CERTIFICATE REQUEST-----\\n\"",
			"certificate_request"},
		{"\"seq\":17",
			"\"seq\":17,\"certificate_request\":\" -----BEGIN CERTIFICATE "
			"REQUEST-----\\nAA\\n-----END CERTIFICATE REQUEST-----\\n\"",
			"certificate_request"},
		{"\"seq\":17", "\"seq\":17,\"authentic\":\"\"", "authentic"},
		{"\"seq\":17", "\"seq\":17,\"authentic\":\"maybe\"", "authentic"},
		{"\"seq\":17", "\"seq\":17,\"authentic\":true", "authentic"},
		{"\"seq\":17", "\"seq\":17,\"stops\":{}", "stops"},
		{"\"seq\":17", "\"seq\":17,\"stops\":[]", "stops"},
		{"\"seq\":17", "\"seq\":17,\"stops\":[1]", "stops"},
		{"\"seq\":17", "\"seq\":17,\"stops\":[\"" STOP_1 "0\"]", "stops"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		AUTO_FREE char *text = sample_with(sample, refusals[i].was, refusals[i].becomes);
		struct report r;
		struct err e = ERR_INIT;

		if (parse(text, &r, &e) == 0 || r.tags || !strstr(e.text, refusals[i].says))
			fail_msg("%s -> %s: %s", refusals[i].was, refusals[i].becomes, e.text);
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
	}
}

static void
a_report_without_any_one_of_its_words_is_refused(void **state)
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
		struct report r;

		assert_int_equal(json_object_del(without, key), 0);
		assert_int_equal(report_parse(&less, &r, &e), -1);
		assert_non_null(strstr(e.text, key));
	}
}

static int
parse_tagged(size_t count, size_t len, struct err *e)
{
	AUTO_JSON json_t *root = sample_json(sample);
	json_t *tags = json_object_get(root, "tags");
	struct verified v = sample_verified(root);
	AUTO_REPORT struct report r = {0};
	char text[NAME_BYTES_MAX + 2];

	json_object_clear(tags);
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(text, sizeof(text), "%0*zu", (int)len, i);
		assert_int_equal(json_object_set_new(tags, text, json_string(text)), 0);
	}
	return report_parse(&v, &r, e);
}

static void
tags_are_so_many_and_so_long_and_no_more(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(parse_tagged(FIELD_TAGS_MAX, NAME_BYTES_MAX, &e), 0);
	assert_int_equal(parse_tagged(FIELD_TAGS_MAX + 1, NAME_BYTES_MAX, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(parse_tagged(1, NAME_BYTES_MAX + 1, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
damaged_report(struct span bytes)
{
	AUTO_JSON json_t *root = NULL;
	struct verified v;
	AUTO_REPORT struct report r = {0};
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;

	if (json_parse(bytes, "sample", &root, &e) < 0)
		return;
	v = sample_verified(root);
	if (report_parse(&v, &r, &e) < 0) {
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
		return;
	}
	assert_int_equal(report_build(&r, &built, &e), 0);
	assert_true(json_equal(built, v.root));
}

static void
a_damaged_report_is_refused_or_reads_as_what_it_says(void **state)
{
	(void)state;
	sample_damage(sample, damaged_report);
}

static void
words_that_are_not_known_have_a_name_all_the_same(void **state)
{
	(void)state;
	assert_string_equal(box_state_name(BOX_STATES), "unknown");
	assert_string_equal(outcome_name(OUTCOMES), "unknown");
	assert_string_equal(authentic_name(AUTHENTICS), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_gives_every_field_it_has),
		cmocka_unit_test(a_report_that_was_built_reads_as_the_same),
		cmocka_unit_test(a_report_about_nothing_has_empty_fields),
		cmocka_unit_test(quoted_output_of_programs_becomes_text),
		cmocka_unit_test(what_older_agents_do_not_say_is_read_and_built),
		cmocka_unit_test(states_and_outcomes_are_found_by_their_names),
		cmocka_unit_test(a_report_of_too_many_stops_is_refused),
		cmocka_unit_test(the_largest_report_fits_its_limit),
		cmocka_unit_test(a_field_that_is_not_text_is_not_built),
		cmocka_unit_test(a_report_with_one_thing_wrong_is_refused_by_name),
		cmocka_unit_test(a_report_without_any_one_of_its_words_is_refused),
		cmocka_unit_test(tags_are_so_many_and_so_long_and_no_more),
		cmocka_unit_test(a_damaged_report_is_refused_or_reads_as_what_it_says),
		cmocka_unit_test(words_that_are_not_known_have_a_name_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
