/* The byte budget of a plan: how much one box may fetch for one bundle.
 *
 * What was fetched is remembered over restarts (struct spending in the state), so that a box that
 * is cut off again and again does not start counting anew. A range that would go over the budget is
 * not asked for. The head of a bundle is, where it fits the budget by itself: it alone says what is
 * left to fetch, which may be nothing. What did not come as it was signed is nothing that the
 * release takes: it is counted by itself, and once that is as much as the budget no more is asked
 * for. */
#ifndef SLUICE_AGENT_BUDGET_H
#define SLUICE_AGENT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/source.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/window.h"

enum { BUDGET_EXPECTED = 8 };

/* A budget while an update spends it. The caller keeps it, and what it borrows, as long as a source
 * of it is in use. */
struct budget {
	uint64_t bytes; /* 0: anything */
	const char *state_dir;
	struct state *state; /* state->spent is what was spent */
	uint64_t saved;	     /* of it, what is on the disk */
	struct source inner; /* what is counted */
	uint64_t open_left;  /* of the open range */
	struct expected {
		uint64_t offset, len;
	} expected[BUDGET_EXPECTED]; /* behind it, and on their way maybe */
	size_t expected_count;
	const struct window *hours; /* NULL: at any time */
	int64_t ahead_s;	    /* of the boot clock, is the time */
	bool is_late;		    /* the hours ended */
};

/* From now on nothing is taken but in these hours (agent.conf): ERR_REFUSED, and budget_is_over().
 * now_s is the effective time. */
void budget_keep_hours(struct budget *b, const struct window *hours, int64_t now_s);

/* Whether downloads may go on; ERR_REFUSED. hours NULL, or without a length: they may. */
int budget_check_hours(const struct window *hours, int64_t now_s, struct err *e);

/* Begins to spend a plan's budget on a release, or goes on with it: another release or attempt
 * starts at 0. */
struct budget budget_begin(const char *state_dir, struct state *s, const struct digest *manifest,
	uint64_t attempt, uint64_t bytes);

/* Whether a head of len bytes may be fetched, whatever was spent: it fits the budget, and not as
 * much was wasted yet. ERR_REFUSED where it may not, which is remembered: budget_is_spent() then.
 * Nothing is counted. */
int budget_fits(struct budget *b, uint64_t len, struct err *e);

/* What was counted so far; and that all counted since then came to nothing. */
uint64_t budget_spent(const struct budget *b);
void budget_waste(struct budget *b, uint64_t spent_before);

/* A source that gives what inner gives and counts what came, and what came for nothing; for one at
 * a time. The first opens any range; the second none that is more than is left, and foresees what
 * would be: ERR_REFUSED, which is remembered. Nothing is on its way ahead that would go over what
 * is left. */
struct source budget_meter(struct budget *b, const struct source *inner);
struct source budget_source(struct budget *b, const struct source *inner);

/* Whether this budget did not allow what was asked of it. */
bool budget_is_over(const struct budget *b);

/* Whether it is known of a release that it takes more than a budget of so many bytes. */
bool budget_is_spent(
	const struct spending *s, const struct digest *manifest, uint64_t attempt, uint64_t bytes);

#endif
