/* A plan of two waves that is followed, and boxes that report. */
#ifndef SLUICE_TESTS_FOLLOWING_SCENE_H
#define SLUICE_TESTS_FOLLOWING_SCENE_H

#include "tests/unit/ledger_scene.h"

#include <string.h>

#include "common/crypto/digest.h"

/* Two waves: a canary by name, and all. */
static const char sample[] =
	"{\"format\":1,\"rollout\":\"gateway-2.4.0\",\"version\":3,\"path\":\"rollouts/"
	"stable.json\",\"bundle\":{\"path\":\"bundles/"
	"gateway-2.4.0.ota\",\"length\":12345,\"sha256\":\"" NEW_SHA
	"\",\"head\":{\"length\":512,\"sha256\":\"" NEW_SHA
	"\"}},\"compatible\":[\"acme-gw3\"],\"attempt\":1,\"from\":[\"<2.4.0\"],\"match\":{"
	"\"site\":[\"lyon\"]},\"exclude\":[\"gw-17\"],\"stop_poll_s\":60,\"deadline_s\":3600,"
	"\"waves\":[{\"name\":\"canary\",\"boxes\":[\"gw-1\",\"gw-2\",\"gw-17\"],\"soak_s\":60},{"
	"\"name\":\"all\",\"percent_bp\":10000,\"soak_s\":0}],\"advance\":{\"success_bp\":9800,"
	"\"sample\":30,\"coverage_bp\":8000},\"stop\":{\"failures_bp\":500,\"at_least\":3,"
	"\"overdue_s\":600}}";

static inline int64_t
begin_as(struct ledger_scene *x, const char *text)
{
	struct digest sha256 = digest_of(span_str(text)), manifest;
	struct err e = ERR_INIT;
	int64_t id = 0;

	assert_int_equal(digest_parse(NEW_SHA, &manifest, &e), 0);
	if (following_begin(x->f,
		    &(struct followable){span_str(text), &sha256, &manifest, NULL, NULL}, 3000, &id,
		    &e) < 0)
		fail_msg("%s", e.text);
	return id;
}

static inline int64_t
begin(struct ledger_scene *x)
{
	return begin_as(x, sample);
}

static inline void
open_wave(struct ledger_scene *x, int64_t id, size_t wave)
{
	struct err e = ERR_INIT;

	if (following_opened(x->f, id, wave, 3600, &e) < 0)
		fail_msg("%s", e.text);
}

/* The counts as they are kept, which have to be those that counting anew gives. */
static inline struct tally
tally(struct ledger_scene *x, int64_t id, size_t wave)
{
	struct following *f = calloc(1, sizeof(*f));
	struct tally again[WAVES_MAX], t;
	struct err e = ERR_INIT;

	if (following_read(x->f, id, f, &e) < 0 || following_recount(x->f, id, again, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < f->wave_count; i++) {
		again[i].boxes = f->waves[i].tally.boxes;
		assert_memory_equal(&again[i], &f->waves[i].tally, sizeof(t));
	}
	t = f->waves[wave].tally;
	free(f);
	return t;
}

static inline void
boxes_add(struct ledger_scene *x, unsigned count)
{
	char name[16];

	for (unsigned i = 1; i <= count; i++) {
		(void)snprintf(name, sizeof(name), "gw-%u", i);
		ledger_scene_add(x, name);
	}
}

static inline void
say(struct ledger_scene *x, const char *box, uint64_t seq, enum box_state state,
	enum outcome outcome)
{
	struct report r = ledger_scene_report(box, seq, state, outcome);

	ledger_scene_put(x, &r);
	assert_int_equal(ledger_scene_drain(x).taken, 1);
}

static inline void
succeed(struct ledger_scene *x, const char *box, uint64_t seq)
{
	struct report r = ledger_scene_success(box, seq);

	ledger_scene_put(x, &r);
	assert_int_equal(ledger_scene_drain(x).taken, 1);
}

#endif
