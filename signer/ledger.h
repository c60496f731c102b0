/* The reports of boxes as they were taken, and what the last of them tell of each box: for those
 * who look. What writes here is ingest.h. */
#ifndef SLUICE_SIGNER_LEDGER_H
#define SLUICE_SIGNER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/format/gate.h"
#include "common/format/report.h"
#include "signer/fleet.h"

/* Of each box the newest so many reports are kept, and those of the update that last failed, up to
 * as many before its end. */
enum { LEDGER_KEPT = 64 };

/* What is known of a box now. Texts are borrowed, until the next box; of one that was never heard
 * of seq is 0, and all but name, compatible and tags is empty. */
struct ledger_box {
	const char *name, *compatible;
	const char *tags; /* canonical JSON */
	bool revoked;
	uint64_t seq;
	int64_t at_s, heard_s;	      /* by its clock, and by ours */
	const char *state;	      /* box_state_name() of its last report */
	const char *outcome, *class_; /* outcome_name() and class of the last that was not `none` */
	const char *version, *running, *linked;
	uint64_t rollback_floor;
	const char *plan;      /* path of the plan that it follows */
	const char *stops;     /* ids of the stops that it obeys or keeps, a blank between two */
	const char *authentic; /* authentic_name() of what it last said of its audit; or "" */
	uint64_t failed_seq;   /* of its last failure; 0: none */
};

/* Which boxes. What is 0 or NULL says nothing. Revoked ones are left out unless asked for. */
struct ledger_filter {
	const char *name;
	const char *state, *outcome; /* as above */
	const char *version, *authentic;
	int64_t silent_since_s; /* last heard of before then, or never */
	bool revoked;		/* revoked ones only */
};

/* Calls each for the boxes of the filter, by name, and ends at the first that returns other than 0,
 * returning that. each must not write to the fleet. */
int ledger_each_box(struct fleet *f, const struct ledger_filter *filter,
	int (*each)(void *arg, const struct ledger_box *b, struct err *e), void *arg,
	struct err *e);

/* Calls each for the reports of a box that are kept, newest first. tags and stops are not kept with
 * them. */
int ledger_each_report(struct fleet *f, const char *box,
	int (*each)(void *arg, const struct report *r, int64_t heard_s, struct err *e), void *arg,
	struct err *e);

/* One report of a box (its last failure, say). *found false: it is not there. */
int ledger_report(struct fleet *f, const char *box, uint64_t seq, bool *found, struct report *out,
	struct err *e);

/* What has a box refuse a release, by its manifest's SHA-256 in hexadecimal: that it failed there
 * in an attempt, in a way that it remembers, and the least rollback index that it takes. box: its
 * row. Zero where it has said nothing of it. */
struct ledger_past {
	uint64_t attempt; /* the highest that failed */
	bool failed;
	char why[REPORT_DETAIL_MAX + 1];
	uint64_t rollback_floor;
};
int ledger_past(struct fleet *f, int64_t box, const char *manifest_sha256, struct ledger_past *out,
	struct err *e);

/* Boxes, revoked ones left out: all, never heard of, and last heard of before silent_since_s. */
struct ledger_census {
	uint64_t boxes, never, silent;
};
int ledger_census(
	struct fleet *f, int64_t silent_since_s, struct ledger_census *out, struct err *e);

/* How many boxes have taken a stop, of how many: those that follow the plan at plan_path, or, for
 * NULL, all. Those that were never heard of count as followers of every plan. */
struct ledger_share {
	uint64_t taken, boxes;
};
int ledger_stop_share(struct fleet *f, const char *stop_id, const char *plan_path,
	struct ledger_share *out, struct err *e);
int ledger_stop_taken(struct fleet *f, const char *stop_id, const char *plan_path, uint64_t *taken,
	struct err *e);

/* What was ever done with files of the spool. */
struct ledger_totals {
	uint64_t reports;    /* taken */
	uint64_t duplicates; /* files that brought a report once more */
	uint64_t clashes; /* of them, with another text under the number: a box that lost its state,
			     or two that share a name */
	uint64_t aside;	  /* files set aside, see ingest.h */
};
int ledger_totals(struct fleet *f, struct ledger_totals *out, struct err *e);

#endif
