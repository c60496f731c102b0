/* What a box does about the world: pure functions, no clock, no disk, no network. */
#ifndef SLUICE_AGENT_DECIDE_H
#define SLUICE_AGENT_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/state.h"
#include "agent/world.h"
#include "common/format/plan.h"
#include "common/format/report.h"

/* What is true of this box now. */
struct facts {
	struct box_facts box; /* running: from the slots that the bootloader switches, and from
				 those that a link switches */
	int64_t now_s;	      /* effective time */
	bool fresh;	      /* effective_is_fresh() */
	uint64_t inconclusive_max;
	const struct window *downloads; /* agent.conf's hours for them; or NULL */
	int64_t put_off_max_s; /* pace_spaced_max_s(): no try was ever put off for longer */
};

enum verdict {
	VERDICT_IDLE,	/* nothing to do: no plan, not in it, or there already */
	VERDICT_HELD,	/* would update, and may not yet */
	VERDICT_FAILED, /* may not take this release, however long it waits */
	VERDICT_UPDATE,
	VERDICTS
};
const char *verdict_name(enum verdict v);

struct decision {
	enum verdict verdict;
	bool stopped;	  /* held by a stop, or running what it is about */
	bool running;	  /* the plan's release runs already */
	bool known;	  /* VERDICT_FAILED: it was tried here, and what came of it was reported */
	const char *wave; /* of the plan, where the box is in one; borrowed from the world */
	char reason[REPORT_DETAIL_MAX + 1]; /* in plain words, for people */
};

/* Records stops that are new, and lifts those that a resume names. A stop that the world merely
 * lacks stays. True when the state changed: it is saved before anything else is done. */
bool decide_stops(const struct world *w, struct state *s);

/* A release that failed here by hand, from a file, is known to no plan's attempt: the first that
 * offers it is none of its higher ones. True when the state changed. */
bool decide_attempts(const struct world *w, struct state *s);

/* The stop that a box with this gate obeys, or NULL. One of a plan that it no longer follows is
 * kept and not obeyed. */
const struct sticky_stop *decide_stop(const struct state *s, const char *gate_path);

/* Fails with ERR_STOPPED when there is one. */
int decide_no_stop(const struct state *s, const char *gate_path, struct err *e);

/* Whether to start (or take up again) an update: offer_decide(), by what this box knows. */
void decide(
	const struct world *w, const struct state *s, const struct facts *f, struct decision *out);

/* Whether the update p, which came over the network, may go on: be written, activated, confirmed.
 * ERR_STOPPED when a stop, a withdrawal, a replacement or a shut gate ends it. A pause ends
 * nothing.
 */
int decide_go_on(
	const struct world *w, const struct state *s, const struct pending *p, struct err *e);

/* Whether a system that is written may be switched to at now_s (effective time), and rebooted into:
 * in a plan with a window only while that is open, whenever the box began. ERR_REFUSED. */
int decide_switch(const struct world *w, int64_t now_s, struct err *e);

/* The plan that a decision not to update is about, if any, for reports. */
struct pending decide_about(const struct world *w, const struct decision *d);

#endif
