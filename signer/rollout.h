/* A rollout plan as people write it (YAML), compiled to what boxes read (common/format/plan.h).
 *
 *     rollout: gateway-2.4.0
 *     bundle: gateway-2.4.0.ota
 *     compatible: [acme-gw3]
 *     from: [">=2.1.0"]                    # any when not said
 *     match: {site: [lyon, paris]}         # any
 *     exclude: [gw-000017]                 # none
 *     recall: gateway-2.3.9.ota            # none; else only boxes that run this one
 *     attempt: 1                           # 1
 *     window: {days: [sat, sun], hours: "02:00-05:00", clock: local, spread: 1h}
 *                                          # at any time; every day, local, half of its length
 *     start: 2026-12-01T02:00:00Z          # at once
 *     budget: 200MB                        # any number of bytes
 *     waves:
 *       - {name: canary, boxes: [gw-000001], soak: 4h}
 *       - {name: everyone, percent: 100}
 *     advance: {success: 98%, sample: 30, coverage: 80%}          # these
 *     stop: {failures: 5%, at_least: 3, overdue_after: 24h}       # these
 *     stop_poll: 60s                       # 60s
 *     deadline: 1h                         # 1h
 *     notes: for people                    # none
 */
#ifndef SLUICE_SIGNER_ROLLOUT_H
#define SLUICE_SIGNER_ROLLOUT_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/format/plan.h"
#include "common/limits.h"

struct rollout {
	char name[NAME_BYTES_MAX + 1];	    /* the plan's: its file's without ".yaml" */
	char path[TUF_PATH_MAX + 1];	    /* "rollouts/stable.json" */
	char bundle_path[TUF_PATH_MAX + 1]; /* "bundles/gateway-2.4.0.ota" */
	char recall_path[TUF_PATH_MAX + 1]; /* the same, or "" */
	json_t *doc; /* the plan but for its version and what struct rollout_bundle has; owned */
};

void rollout_free(struct rollout *r);
#define AUTO_ROLLOUT CLEANUP(rollout_free)

/* Reads and checks a file. ERR_MALFORMED "FILE:LINE:COLUMN: ..." for what is in it, ERR_USAGE for
 * its name. */
int rollout_load(const char *path, struct rollout *out, struct err *e);

/* The same of bytes in memory; path names them, and the plan. */
int rollout_parse(struct span bytes, const char *path, struct rollout *out, struct err *e);

/* What is wrong with a file, as far as one complaint does not come of another, in the order of
 * their places. Nobody looks for more than fit: who makes more mistakes has another try. */
struct rollout_complaints {
	size_t count;
	struct err list[ROLLOUT_COMPLAINTS_MAX];
};

/* As rollout_load; *out has all complaints about what is in the file, and *e the first that was
 * found. */
int rollout_examine(
	const char *path, struct rollout *r, struct rollout_complaints *out, struct err *e);

/* What a plan is bound to when it is published. */
struct rollout_bundle {
	uint64_t length, head_length;
	struct digest sha256, head_sha256;
	struct digest recalled; /* the manifest of recall_path, where there is one */
};

/* The bytes that boxes get (canonical JSON, appended to out), read back as a box reads them. */
int rollout_bind(const struct rollout *r, uint64_t version, const struct rollout_bundle *bundle,
	struct buf *out, struct err *e);

/* The plan as boxes would read it, to be looked at only. bundle NULL: it need not be released yet.
 * The caller frees *out. */
int rollout_plan(const struct rollout *r, const struct rollout_bundle *bundle, struct plan *out,
	struct err *e);

#endif
