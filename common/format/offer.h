/* Whether a box is offered its plan's update now: the one order of rules, for the box and for
 * `sluice plan`. Each gathers what it knows, and says the answer in its own words.
 *
 * A stop comes first, for it beats all; then the plan and its bundle, the gate, who is in which
 * wave, the wave, what the box knows of the release, and the time. */
#ifndef SLUICE_FORMAT_OFFER_H
#define SLUICE_FORMAT_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/crypto/digest.h"
#include "common/format/gate.h"
#include "common/format/listing.h"
#include "common/format/plan.h"

/* What came of the plan's release on this box before. */
struct offer_past {
	uint64_t attempt;  /* the highest that was tried */
	bool inconclusive; /* not held against the release: tried again, a bounded number of times
			    */
	uint64_t tries;	   /* of those, */
	int64_t not_before_s; /* and when the next may be */
};

/* All of it is borrowed. What is NULL is not there. */
struct offer_facts {
	bool stopped; /* a stop that stands holds the boxes of this plan */
	const struct plan *plan;
	const struct digest *plan_sha256;
	const struct listing *listing; /* of the bundle that the plan names, as it names it */
	const struct gate *gate, *all; /* of the plan, and gates/all.json */
	struct box_facts box;

	const struct offer_past *past;
	uint64_t inconclusive_max; /* tries that end so */
	int64_t put_off_max_s;	   /* no try was ever put off for longer */
	uint64_t rollback_floor;
	bool over_budget; /* it is known that the release takes more than the plan allows a box */

	int64_t now_s;	/* effective time */
	bool fresh;	/* it is known that the metadata is no replay */
	bool elsewhere; /* this is another place than the box: a window by its clock is not known */
};

/* The answer: the first rule that keeps the box from updating. */
enum offer_answer {
	OFFER_UPDATE,
	OFFER_AFFECTED, /* it runs what is stopped */
	OFFER_STOPPED,
	OFFER_NO_ALL_GATE,
	OFFER_NO_PLAN,
	OFFER_NOT_RELEASED,
	OFFER_RUNNING, /* it runs the release already */
	OFFER_NO_GATE,
	OFFER_UNBOUND, /* the gate is of something else */
	OFFER_NO_MEMBER,
	OFFER_WAVE_SHUT,
	OFFER_PAUSED,
	OFFER_ALL_PAUSED,
	OFFER_FAILED,	 /* the release failed there, in this attempt or a higher one */
	OFFER_TRIED_OUT, /* or ended inconclusive too often, */
	OFFER_PUT_OFF,	 /* or did, and is tried again later */
	OFFER_BELOW_FLOOR,
	OFFER_NOT_FRESH,
	OFFER_NOT_STARTED, /* the plan's start is to come */
	OFFER_NO_OPENING,  /* the window does not open on this box */
	OFFER_NOT_ITS_TURN,
	OFFER_OVER_BUDGET,
	OFFER_ANSWERS
};

struct offer {
	enum offer_answer answer;
	bool running;	     /* looked at, and so: the release runs already */
	bool tried;	     /* looked at, and so: past is of this attempt, or a higher one */
	const char *differs; /* OFFER_UNBOUND: what does not fit; static */
	enum membership membership;
	const struct wave *wave; /* of the plan, where the box is in one that was looked at */
	int64_t turn_s;		 /* OFFER_NOT_ITS_TURN: when that is */
};

void offer_decide(const struct offer_facts *f, struct offer *out);

/* From when on a box may start by the plan's start and window; not before now_s. INT64_MAX where
 * the window does not open. */
int64_t offer_turn_s(const struct plan *p, const char *box, int64_t now_s);

#endif
