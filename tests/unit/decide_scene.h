/* The world of a box that may update, for deciding about it. */
#ifndef SLUICE_TESTS_UNIT_DECIDE_SCENE_H
#define SLUICE_TESTS_UNIT_DECIDE_SCENE_H

#include "tests/unit/sample.h"

#include <stdio.h>

#include "agent/decide.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_1 "00112233445566778899aabbccddeeff"
#define ID_2 "ffeeddccbbaa99887766554433221100"

static const char plan_text[] =
	"{\"format\":1,\"rollout\":\"gateway-2.4.0\",\"version\":3,\"path\":\"rollouts/"
	"stable.json\",\"bundle\":{\"path\":\"bundles/"
	"gateway-2.4.0.ota\",\"length\":12345,\"sha256\":\"" SHA
	"\",\"head\":{\"length\":512,\"sha256\":\"" SHA
	"\"}},\"compatible\":[\"acme-gw3\"],\"attempt\":2,\"from\":[],\"match\":{},\"exclude\":["
	"\"gw-000017\"],\"stop_poll_s\":60,\"deadline_s\":3600,\"waves\":[{\"name\":\"canary\","
	"\"boxes\":[\"gw-000001\"],\"soak_s\":14400},{\"name\":\"everyone\",\"percent_bp\":10000}],"
	"\"advance\":{\"success_bp\":9800,\"sample\":30,\"coverage_bp\":8000},\"stop\":{"
	"\"failures_bp\":500,\"at_least\":3,\"overdue_s\":86400}}";

/* The world of a box that is in an open wave and may update, to be changed by each test. */
struct scene {
	struct world *w;
	struct state *s;
	struct facts f;
	struct digest running;
	struct decision d;
};

static inline struct gate
gate_of(const char *path, bool has_plan)
{
	struct gate g = {.has_plan = has_plan, .plan_version = 3};
	struct err e;

	(void)strcpy(g.path, path);
	(void)strcpy(g.plan_path, "rollouts/stable.json");
	(void)strcpy(g.rollout, "gateway-2.4.0");
	assert_int_equal(digest_parse(SHA, &g.plan_sha256, &e), 0);
	if (has_plan) {
		g.open_count = 1;
		(void)strcpy(g.open[0], "canary");
	}
	return g;
}

static inline int
scene_set(void **state)
{
	struct scene *c = calloc(1, sizeof(*c));
	AUTO_JSON json_t *plan = sample_json(plan_text);
	struct verified v = sample_verified(plan);
	struct err e;

	assert_non_null(c);
	c->s = calloc(1, sizeof(*c->s));
	c->w = world_new("rollouts/stable.json");
	assert_true(c->s && c->w);
	assert_int_equal(plan_parse(&v, &c->w->plan, &e), 0);
	assert_int_equal(digest_parse(SHA, &c->w->plan_sha256, &e), 0);
	c->w->has_plan = c->w->has_gate = c->w->has_all = c->w->has_bundle = true;
	c->w->gate = gate_of("gates/stable.json", true);
	c->w->all = gate_of("gates/all.json", false);
	(void)strcpy(c->w->listing.name, "gateway");
	(void)strcpy(c->w->listing.version, "2.4.0");
	c->w->listing.rollback_index = 4;
	c->w->listing.manifest_sha256 = (struct digest){{7}};
	c->s->rollback_floor = 4;
	c->s->pending =
		(struct pending){.phase = PHASE_INSTALLING, .plan_version = 3, .attempt = 2};
	(void)strcpy(c->s->pending.rollout, "gateway-2.4.0");
	(void)strcpy(c->s->pending.wave, "canary");
	c->s->pending.release.manifest = (struct digest){{7}};
	c->running = (struct digest){{1}};
	c->f = (struct facts){.box = {.id = "gw-000001",
				      .compatible = "acme-gw3",
				      .version = "",
				      .running = {&c->running, NULL}},
		.now_s = 1000,
		.fresh = true,
		.inconclusive_max = 3,
		.put_off_max_s = 7200};
	*state = c;
	return 0;
}

static inline int
scene_clear(void **state)
{
	struct scene *c = *state;

	world_free(&c->w);
	free(c->s);
	free(c);
	return 0;
}

static inline void
assert_verdict(struct scene *c, enum verdict verdict, const char *reason)
{
	decide(c->w, c->s, &c->f, &c->d);
	assert_int_equal(c->d.verdict, verdict);
	if (!strstr(c->d.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", c->d.reason, reason);
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)

#endif
