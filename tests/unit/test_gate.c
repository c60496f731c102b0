#include <stdio.h>

#include "common/format/gate.h"
#include "tests/unit/sample.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_1 "00112233445566778899aabbccddeeff"
#define ID_2 "ffeeddccbbaa99887766554433221100"

static const char sample[] =
	"{\"format\":1,\"path\":\"gates/stable.json\",\"plan\":{\"path\":\"rollouts/"
	"stable.json\",\"rollout\":\"gateway-2.4.0\",\"version\":3,\"sha256\":\"" SHA
	"\"},\"open\":[\"canary\",\"early\"],\"paused\":false,\"stops\":[{\"id\":\"" ID_1
	"\",\"reason\":\"smoke in Lyon\",\"at\":\"2026-11-22T15:00:00Z\"},{\"id\":\"" ID_2
	"\",\"reason\":\"\",\"at\":\"2026-11-22T16:00:00Z\"}]}";

static const char all[] = "{\"format\":1,\"path\":\"gates/"
			  "all.json\",\"plan\":null,\"open\":[],\"paused\":false,\"stops\":[]}";

static int
parse(const char *text, struct gate *out, struct err *e)
{
	AUTO_JSON json_t *root = sample_json(text);
	struct verified v = sample_verified(root);

	return gate_parse(&v, out, e);
}

static void
a_gate_gives_every_field_it_has(void **state)
{
	struct gate g = {0};
	struct err e = ERR_INIT;
	char hex[DIGEST_HEX_SIZE];

	(void)state;
	assert_int_equal(parse(sample, &g, &e), 0);
	assert_string_equal(g.path, "gates/stable.json");
	assert_true(g.has_plan);
	assert_string_equal(g.plan_path, "rollouts/stable.json");
	assert_string_equal(g.rollout, "gateway-2.4.0");
	assert_int_equal(g.plan_version, 3);
	assert_string_equal(digest_hex(&g.plan_sha256, hex), SHA);
	assert_int_equal(g.open_count, 2);
	assert_true(gate_is_open(&g, "canary") && gate_is_open(&g, "early"));
	assert_false(gate_is_open(&g, "everyone"));
	assert_false(gate_is_open(&g, ""));
	assert_false(g.paused);
	assert_int_equal(g.stop_count, 2);
	assert_string_equal(g.stops[0].id, ID_1);
	assert_string_equal(g.stops[0].reason, "smoke in Lyon");
	assert_int_equal(g.stops[0].at_s, 1795359600);
}

static void
the_gate_of_all_has_no_plan_and_no_wave(void **state)
{
	AUTO_FREE char *open = sample_with(all, "\"open\":[]", "\"open\":[\"canary\"]");
	AUTO_FREE char *planned = sample_with(all, "null", "{}");
	AUTO_FREE char *planless = sample_with(all, "gates/all", "gates/stable");
	struct err e = ERR_INIT;
	struct gate g = {0};

	(void)state;
	assert_int_equal(parse(all, &g, &e), 0);
	assert_false(g.has_plan);
	assert_int_equal(parse(open, &g, &e), -1);
	assert_int_equal(parse(planned, &g, &e), -1);
	assert_int_equal(parse(planless, &g, &e), -1);
}

static void
a_gate_that_was_built_reads_as_the_same(void **state)
{
	static const char *const texts[] = {sample, all};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		AUTO_JSON json_t *built = NULL;
		AUTO_JSON json_t *root = sample_json(texts[i]);
		struct verified v = sample_verified(root);
		struct err e = ERR_INIT;
		struct gate g = {0};

		assert_int_equal(gate_parse(&v, &g, &e), 0);
		assert_int_equal(gate_build(&g, &built, &e), 0);
		assert_true(json_equal(built, v.root));
	}
}

static void
a_reason_that_is_not_text_is_not_built(void **state)
{
	struct gate g = {.path = "gates/all.json", .stop_count = 1};
	struct err e = ERR_INIT;
	json_t *out = NULL;

	(void)state;
	memcpy(g.stops[0].id, ID_1, sizeof(ID_1));
	memcpy(g.stops[0].reason, "\xff", 2);
	assert_int_equal(gate_build(&g, &out, &e), -1);
	assert_null(out);
}

static void
a_gate_with_one_thing_wrong_is_refused_by_name(void **state)
{
	static const struct {
		const char *was, *becomes, *says;
	} refusals[] = {
		{"\"format\":1", "\"format\":0", "format 0"},
		{"gates/stable.json", "gates/../stable.json", "path"},
		{"gates/stable.json", "rollouts/stable.json", "path"},
		{"gates/stable.json", "gates/site-a.json", "not the gate of"},
		{"\"version\":3", "\"version\":0", "version"},
		{"\"version\":3", "\"version\":3,\"x\":1", "'x'"},
		{SHA, "", "sha256"},
		{"\"early\"", "\"canary\"", "twice"},
		{"\"early\"", "\"a b\"", "open"},
		{"\"early\"", "1", "open"},
		{"\"paused\":false", "\"paused\":0", "paused"},
		{"\"paused\":false,", "", "paused"},
		{"\"paused\":false", "\"paused\":false,\"pause\":true", "pause"},
		{ID_1, ID_2, "twice"},
		{ID_1, "00112233445566778899AABBCCDDEEFF", "id"},
		{ID_1, "00", "id"},
		{"\"reason\":\"smoke in Lyon\",", "", "reason"},
		{"smoke in Lyon", "smoke\\nin Lyon", "reason"},
		{"smoke in Lyon", "smoke \\u001b[2J", "reason"},
		{"2026-11-22T15:00:00Z", "yesterday", "at"},
		{"\"reason\":\"\"", "\"reason\":\"\",\"by\":\"me\"", "'by'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		AUTO_FREE char *text = sample_with(sample, refusals[i].was, refusals[i].becomes);
		struct gate g = {.plan_version = 77};
		struct err e = ERR_INIT;

		if (parse(text, &g, &e) == 0 || g.plan_version != 77 ||
			!strstr(e.text, refusals[i].says))
			fail_msg("%s -> %s: %s", refusals[i].was, refusals[i].becomes, e.text);
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
	}
}

static void
more_stops_than_the_limit_are_refused(void **state)
{
	AUTO_JSON json_t *root = sample_json(all);
	struct verified v = sample_verified(root);
	json_t *stops = json_object_get(v.root, "stops");
	struct err e = ERR_INIT;
	struct gate g;

	(void)state;
	for (int i = 0; i <= STOPS_MAX; i++) {
		char id[STOP_ID_SIZE];

		if (i == STOPS_MAX)
			assert_int_equal(gate_parse(&v, &g, &e), 0);
		(void)snprintf(id, sizeof(id), "%032x", (unsigned)i);
		assert_int_equal(json_array_append_new(
					 stops, json_pack("{s:s, s:s, s:s}", "id", id, "reason",
							"x", "at", "2026-11-22T15:00:00Z")),
			0);
	}
	assert_int_equal(gate_parse(&v, &g, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
damaged_gate(struct span bytes)
{
	AUTO_JSON json_t *root = NULL;
	struct verified v;
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;
	struct gate g = {0};

	if (json_parse(bytes, "sample", &root, &e) < 0)
		return;
	v = sample_verified(root);
	if (gate_parse(&v, &g, &e) < 0) {
		assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
		return;
	}
	assert_int_equal(gate_build(&g, &built, &e), 0);
	assert_true(json_equal(built, v.root));
}

static void
a_damaged_gate_is_refused_or_reads_as_what_it_says(void **state)
{
	(void)state;
	sample_damage(sample, damaged_gate);
	sample_damage(all, damaged_gate);
}

static void
a_gate_binds_one_plan_by_path_id_version_and_digest(void **state)
{
	struct plan p = {.path = "rollouts/stable.json", .rollout = "gateway-2.4.0", .version = 3};
	const char *why = NULL;
	struct err e = ERR_INIT;
	struct gate g = {0};
	struct digest d;

	(void)state;
	assert_int_equal(digest_parse(SHA, &d, &e), 0);
	assert_int_equal(parse(sample, &g, &e), 0);
	assert_true(gate_binds(&g, &p, &d, &why));
	p.version = 4;
	assert_false(gate_binds(&g, &p, &d, &why));
	assert_non_null(strstr(why, "version"));
	p.version = 3;
	d.b[31] ^= 1;
	assert_false(gate_binds(&g, &p, &d, &why));
	assert_non_null(strstr(why, "bytes"));
	d.b[31] ^= 1;
	memcpy(p.rollout, "gateway-2.4.1", 14);
	assert_false(gate_binds(&g, &p, &d, &why));
	assert_non_null(strstr(why, "rollout"));
	memcpy(p.rollout, "gateway-2.4.0", 14);
	memcpy(p.path, "rollouts/stablf.json", 21);
	assert_false(gate_binds(&g, &p, &d, &why));
	assert_non_null(strstr(why, "path"));
	assert_int_equal(parse(all, &g, &e), 0);
	assert_false(gate_binds(&g, &p, &d, &why));
}

static void
a_stop_is_lifted_by_its_own_id_only(void **state)
{
	AUTO_JSON json_t *resumes = json_pack("[s, i]", ID_1, 3);
	AUTO_JSON json_t *object = json_pack("{s:s}", ID_2, ID_2);

	(void)state;
	assert_true(stop_is_lifted(ID_1, resumes));
	assert_false(stop_is_lifted(ID_2, resumes));
	assert_false(stop_is_lifted(ID_1, NULL));
	assert_false(stop_is_lifted(ID_2, object));
	assert_true(stop_id_valid(ID_1));
	assert_false(stop_id_valid("00112233445566778899aabbccddeeF0"));
	assert_false(stop_id_valid(ID_1 "0"));
	assert_false(stop_id_valid(""));
}

/* Whoever has a gates key may have opened waves that no plan has. */
static void
a_gate_that_is_full_drops_what_opens_nothing(void **state)
{
	struct plan *p = calloc(1, sizeof(*p));
	struct gate g = {.open_count = WAVES_MAX, .stop_count = 1, .paused = true};
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(p);
	p->wave_count = 2;
	(void)strcpy(p->waves[0].name, "canary");
	(void)strcpy(p->waves[1].name, "early");
	for (size_t i = 0; i < WAVES_MAX; i++)
		(void)snprintf(g.open[i], sizeof(g.open[0]), "other-%zu", i);
	(void)strcpy(g.open[7], "canary");
	assert_int_equal(gate_open_wave(&g, p, 0, &e), 0);
	assert_int_equal(g.open_count, WAVES_MAX);
	assert_int_equal(gate_open_wave(&g, p, 1, &e), 0);
	assert_int_equal(g.open_count, 2);
	assert_true(gate_is_open(&g, "canary") && gate_is_open(&g, "early"));
	assert_int_equal(g.stop_count, 1);
	assert_true(g.paused);
	/* The same wave over and over is no room either. */
	for (size_t i = 0; i < WAVES_MAX; i++)
		(void)strcpy(g.open[i], "canary");
	g.open_count = WAVES_MAX;
	assert_int_equal(gate_open_wave(&g, p, 1, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(g.open_count, WAVES_MAX);
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gate_gives_every_field_it_has),
		cmocka_unit_test(the_gate_of_all_has_no_plan_and_no_wave),
		cmocka_unit_test(a_gate_that_was_built_reads_as_the_same),
		cmocka_unit_test(a_reason_that_is_not_text_is_not_built),
		cmocka_unit_test(a_gate_with_one_thing_wrong_is_refused_by_name),
		cmocka_unit_test(more_stops_than_the_limit_are_refused),
		cmocka_unit_test(a_damaged_gate_is_refused_or_reads_as_what_it_says),
		cmocka_unit_test(a_gate_binds_one_plan_by_path_id_version_and_digest),
		cmocka_unit_test(a_stop_is_lifted_by_its_own_id_only),
		cmocka_unit_test(a_gate_that_is_full_drops_what_opens_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
