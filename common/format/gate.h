/* A gate (TUF target gates/NAME.json): how far a plan's waves are open, or that it is stopped.
 *
 *   {"format":1, "path":"gates/stable.json",
 *    "plan":{"path":"rollouts/stable.json","rollout":"gateway-2.4.0","version":3,"sha256":"..."},
 *    "open":["canary","early"], "paused":false,
 *    "stops":[{"id":"32 hex digits","reason":"...","at":"2026-11-22T15:00:00Z"}]}
 *
 * gates/all.json has "plan":null and "open":[]; its stops are for every box. Stops are lifted by
 * their id in `custom.resumes` of the target entry of the plan (for gates/all.json: of
 * rollouts/all.json), so that the rollout role that owns the scope signs the resume and the plan's
 * own digest, which the gate names, stays as it is. */
#ifndef SLUICE_FORMAT_GATE_H
#define SLUICE_FORMAT_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/format/plan.h"
#include "common/limits.h"

enum { STOP_ID_BYTES = 16, STOP_ID_SIZE = 33 };

/* The gate of every box: must exist; missing is shut. */
#define GATE_ALL_PATH "gates/all.json"

struct stop {
	char id[STOP_ID_SIZE];
	char reason[STOP_REASON_MAX + 1];
	int64_t at_s;
};

struct gate {
	char path[TUF_PATH_MAX + 1];
	bool has_plan;
	char plan_path[TUF_PATH_MAX + 1], rollout[NAME_BYTES_MAX + 1];
	uint64_t plan_version;
	struct digest plan_sha256;
	size_t open_count;
	char open[WAVES_MAX][NAME_BYTES_MAX + 1];
	bool paused;
	size_t stop_count;
	struct stop stops[STOPS_MAX];
};

/* Reading checks every field, refuses unknown words, and wants gates/NAME.json to speak of
 * rollouts/NAME.json and no other. ERR_MALFORMED, ERR_LIMIT. Building takes the fields as they are.
 */
int gate_parse(const struct verified *v, struct gate *out, struct err *e);
int gate_build(const struct gate *g, json_t **out, struct err *e);

/* Whether g speaks of exactly this plan: path, rollout id, version and SHA-256. Says in *why what
 * differs. On any mismatch the gate is shut. */
bool gate_binds(const struct gate *g, const struct plan *p, const struct digest *plan_sha256,
	const char **why);

/* Whether a wave is open in a gate that binds. */
bool gate_is_open(const struct gate *g, const char *wave);

/* Opens a wave of p in a gate, if it is not open yet. What the gate has open beside p's waves,
 * which opens nothing, goes where there is no room. ERR_LIMIT where that does not help. */
int gate_open_wave(struct gate *g, const struct plan *p, size_t wave, struct err *e);

/* Whether this is a stop's id: 32 lower-case hexadecimal digits. */
bool stop_id_valid(const char *id);

/* Whether resumes (an array of stop ids, or NULL) lifts a stop. */
bool stop_is_lifted(const char *id, const json_t *resumes);

/* The first stop of a gate that resumes do not lift, or NULL. */
const struct stop *gate_first_stop(const struct gate *g, const json_t *resumes);

#endif
