/* Reports held against the rollouts that are followed: what keeps the counts of following.h. All in
 * the transaction of who calls, from hearing_begin() to hearing_end(). */
#ifndef SLUICE_SIGNER_HEARING_H
#define SLUICE_SIGNER_HEARING_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/plan.h"
#include "common/format/report.h"
#include "signer/sql.h"

/* The plan of a following, and the release that it names. *out is owned. ERR_USAGE for an id that
 * is not there. */
int hearing_plan(
	struct sql *s, int64_t following, struct plan *out, struct digest *manifest, struct err *e);

/* Borrows the database. */
struct hearing;

void hearing_free(struct hearing **h);
#define AUTO_HEARING CLEANUP(hearing_free)
int hearing_new(struct sql *s, struct hearing **out, struct err *e);

/* Reads which plans are followed, unless nothing about that has changed since the last time. */
int hearing_begin(struct hearing *h, struct err *e);

/* A report of a box (its row in table box) that record_add() has just found to be new. */
int hearing_take(
	struct hearing *h, int64_t box, const struct report *r, int64_t heard_s, struct err *e);

/* How a box fares in a following, made anew from its reports that are kept: for reports that came
 * before the plan was followed, or its wave open, or not in their order. */
int hearing_again(struct hearing *h, int64_t following, int64_t box, struct err *e);

/* The same for a list of boxes (rows in table box), counts and all. */
int hearing_anew(
	struct sql *s, int64_t following, const int64_t *boxes, size_t count, struct err *e);

/* What was passed over since hearing_begin(), for its row makes no sense: the first of it, a plan's
 * before a box's. Class ERR_NONE where nothing was. Borrowed. */
const struct err *hearing_damage(const struct hearing *h);

/* Writes the counts. */
int hearing_end(struct hearing *h, struct err *e);

#endif
