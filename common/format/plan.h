/* A compiled rollout plan (TUF target rollouts/NAME.json): which bundle, which boxes, which waves.
 *
 * People write YAML; `sluice rollout` compiles it to this JSON, which is all that a box reads:
 *
 *   {"format":1, "rollout":"gateway-2.4.0", "version":3, "path":"rollouts/stable.json",
 *    "bundle":{"path":"bundles/gateway-2.4.0.ota","length":N,"sha256":"...",
 *              "head":{"length":N,"sha256":"..."}},
 *    "compatible":["acme-gw3"], "attempt":1, "from":[">=2.1.0"], "match":{"site":["lyon"]},
 *    "exclude":["gw-000017"], "stop_poll_s":60, "deadline_s":3600,
 *    "waves":[{"name":"canary","boxes":["gw-000001"],"soak_s":14400},
 *             {"name":"early","percent_bp":500}],
 *    "advance":{"success_bp":9800,"sample":30,"coverage_bp":8000},
 *    "stop":{"failures_bp":500,"at_least":3,"overdue_s":86400}}
 *
 * and, where they are meant,
 *
 *    "window":{...} (window.h), "start":"2026-12-01T02:00:00Z", "budget_bytes":200000000,
 *    "recall":{"path":"bundles/gateway-2.3.0.ota","manifest_sha256":"..."}, "notes":["lines","for
 * people"] */
#ifndef SLUICE_FORMAT_PLAN_H
#define SLUICE_FORMAT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/format/names.h"
#include "common/format/window.h"
#include "common/limits.h"

struct wave {
	char name[NAME_BYTES_MAX + 1];
	bool has_percent;
	uint32_t percent_bp; /* cumulative, hundredths of a percent; with boxes: one or the other */
	const json_t *boxes; /* array of box ids, or NULL; borrowed from the plan */
	uint64_t soak_s;
};

/* How plan.boxes numbers names: those of wave i by PLAN_NAMED + i. */
enum { PLAN_EXCLUDED, PLAN_NAMED };

/* Not a plan: the target whose custom.resumes lifts the stops of gates/all.json. */
#define PLAN_ALL_PATH "rollouts/all.json"

/* Whether the custom words (or NULL) of a plan's target entry withdraw it: for boxes there is no
 * such plan then. The entry stays, because custom.resumes goes on lifting what stops the gate has,
 * and because the plan that comes after it takes a higher version, which no old gate opens. */
bool plan_is_withdrawn(const json_t *custom);

/* Owns doc, which the borrowed parts point into. */
struct plan {
	json_t *doc;
	char rollout[NAME_BYTES_MAX + 1];
	char path[TUF_PATH_MAX + 1];
	uint64_t version;
	char bundle_path[TUF_PATH_MAX + 1];
	uint64_t bundle_length;
	struct digest bundle_sha256;
	/* What a box checks of a bundle that it fetches by parts: so that those who may release
	 * cannot put another head under an open gate by listing the same file anew. */
	uint64_t bundle_head_length;
	struct digest bundle_head_sha256;
	uint64_t attempt;
	uint64_t stop_poll_s; /* how often a box asks for a stop during an update; 60 by default */
	uint64_t deadline_s;  /* from booting the new system to confirmed, or back it goes */
	bool has_window;
	struct window window;
	int64_t start_s;       /* nobody starts before; 0: at once */
	uint64_t budget_bytes; /* what a box may fetch for the bundle, head and all; 0: anything */
	/* Only boxes that run this bundle, by the identity of its release. */
	bool has_recall;
	char recall_path[TUF_PATH_MAX + 1];
	struct digest recall_manifest;
	const json_t *notes; /* lines, or NULL */
	const json_t *compatible, *match, *exclude;
	struct names boxes;  /* those named, by exclude and waves */
	struct names values; /* of match, by its tags' numbers in its order */
	size_t from_count;
	const char *from[FROM_MAX];
	size_t wave_count;
	struct wave waves[WAVES_MAX];
	struct {
		uint32_t success_bp, coverage_bp;
		uint64_t sample;
	} advance;
	struct {
		uint32_t failures_bp;
		uint64_t at_least, overdue_s;
	} stop;
};

void plan_free(struct plan *p);
#define AUTO_PLAN CLEANUP(plan_free)

/* Reads and checks all of it: every word of the sample above is a must but a wave's soak_s and
 * those behind "where they are meant", and a word that is not in it is refused. Keeps v's document
 * alive. ERR_MALFORMED, ERR_LIMIT; ERR_SYSTEM without memory. */
int plan_parse(const struct verified *v, struct plan *out, struct err *e);

/* What a plan asks about a box. */
struct box_facts {
	const char *id, *compatible;
	const json_t *tags;  /* object of strings */
	const char *version; /* the running bundle's, or "" when not known */
	/* The manifests of what runs, as in agent/decide.h; either may be NULL: not known. */
	const struct digest *running[2];
};

/* Which wave a box is in, or why in none. */
enum membership {
	MEMBER_OF_WAVE,
	MEMBER_EXCLUDED,
	MEMBER_NOT_COMPATIBLE,
	MEMBER_NOT_MATCHED,
	MEMBER_NOT_FROM,
	MEMBER_NOT_RECALLED,
	MEMBER_NO_WAVE,
	MEMBERSHIPS
};
/* exclude beats all; then compatible, match, from (all of its expressions hold; a version that is
 * not known satisfies none), recall (likewise); then the first wave that has the box by name or by
 * bucket. The one function for the box, `sluice plan` and the simulator. *wave is set for
 * MEMBER_OF_WAVE. */
enum membership plan_membership(const struct plan *p, const struct box_facts *box, size_t *wave);

/* The same whatever runs, and `from` and recall say of it: for a box that has begun, and may run
 * the release by now. */
enum membership plan_membership_begun(
	const struct plan *p, const struct box_facts *box, size_t *wave);

/* bucket_of() with "sluice-bucket-v1" and 10000. */
uint32_t plan_bucket(const char *rollout, const char *box);

/* Whether an expression is of that form, and whether version satisfies an expression like
 * ">=2.1.0", "<3", "=2.2" (also > and <=). False for texts that are not of that form: plan_parse
 * refused those. */
bool plan_from_valid(const char *expression);
bool plan_from_satisfied(const char *expression, const char *version);

/* In plain words ("tags do not match"), and in one for programs ("not_matched"). */
const char *membership_name(enum membership m);
const char *membership_word(enum membership m);

#endif
