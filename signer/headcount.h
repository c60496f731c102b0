/* How many boxes there are of each kind, in one pass over fleet.db: of a million boxes each pass
 * takes a second. */
#ifndef SLUICE_SIGNER_HEADCOUNT_H
#define SLUICE_SIGNER_HEADCOUNT_H

#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/fleet.h"
#include "signer/ledger.h"

enum headcount_kind {
	HEADCOUNT_BY_STATE,   /* "" was never heard of */
	HEADCOUNT_BY_VERSION, /* "" is not known */
	HEADCOUNT_BY_FAILURE, /* class of those whose last outcome was failed or reverted */
	HEADCOUNT_BY_PLAN,    /* path of the plan that they follow; "" is not known */
	HEADCOUNT_BY_AUDIT,   /* authentic_name() of those that said something of that */
	HEADCOUNT_KINDS
};

/* Revoked boxes are left out. */
struct headcount {
	struct ledger_census census;
	json_t *of[HEADCOUNT_KINDS]; /* what: how many; owned */
};

void headcount_free(struct headcount *h);
#define AUTO_HEADCOUNT CLEANUP(headcount_free)

int headcount_take(struct fleet *f, int64_t silent_since_s, struct headcount *out, struct err *e);

/* [{"what","boxes"}] of a kind, most first. NULL without memory. */
json_t *headcount_rows(const struct headcount *h, enum headcount_kind kind);

/* How many boxes a stop concerns: those that follow the plan at plan_path, or, for NULL, all. Those
 * that were never heard of count as followers of every plan. */
uint64_t headcount_followers(const struct headcount *h, const char *plan_path);

#endif
