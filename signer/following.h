/* Rollouts that are followed: who takes part, how each box fares, and what was opened when. All of
 * it is in fleet.db, counted up as reports come in, so that whoever asks, and whenever a program is
 * killed, the counts agree with the reports.
 *
 * One following is one plan as it was published: path, rollout id, version, SHA-256 and attempt.
 * Reports that name another plan, rollout, version or attempt touch no count of it. A newer version
 * of a path's plan begins anew, and ends the older following. */
#ifndef SLUICE_SIGNER_FOLLOWING_H
#define SLUICE_SIGNER_FOLLOWING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/format/gate.h"
#include "common/format/judgement.h"
#include "common/format/plan.h"
#include "common/format/report.h"
#include "signer/fleet.h"
#include "signer/participant.h"

struct following_wave {
	char name[NAME_BYTES_MAX + 1];
	int64_t opened_s; /* 0: not opened yet */
	struct tally tally;
	struct tally accepted; /* ok, failed, reverted and overdue when a stop was last resumed */
};

struct following {
	int64_t id;
	char path[TUF_PATH_MAX + 1], rollout[NAME_BYTES_MAX + 1];
	uint64_t version, attempt;
	struct digest plan_sha256, manifest;
	int64_t begun_s, ended_s;    /* ended_s 0: it is followed now */
	char accepted[STOP_ID_SIZE]; /* the stop that was last resumed, or "" */
	size_t wave_count;
	struct following_wave waves[WAVES_MAX];
};

/* A plan as it is published. All is borrowed. */
struct followable {
	struct span plan;		  /* the target file's bytes, */
	const struct digest *plan_sha256; /* and what signed metadata says they are */
	const struct digest *manifest;	  /* of the release that it rolls out (listing_parse) */
	const struct gate *gate;	  /* NULL: it has none */
	const json_t *resumes;		  /* scope_resumes; or NULL */
};

/* Begins to follow a plan, or goes on (*id is the same as ever). Ends the following of an older
 * plan at the same path. Counts the boxes of each wave, and takes up reports that came before. A
 * stop that is lifted already when it begins anew was of an older plan, and accepts nothing of this
 * one. What fleet.db has kept of the plan is written anew where it is damaged. ERR_UNTRUSTED for
 * bytes of another digest, ERR_MALFORMED, ERR_LIMIT as plan_parse. */
int following_begin(
	struct fleet *f, const struct followable *x, int64_t now_s, int64_t *id, struct err *e);

/* The plan of that path and digest, if it is followed now; else *id is 0. */
int following_find(
	struct fleet *f, const char *path, const struct digest *sha256, int64_t *id, struct err *e);

/* Ends the following of the plan at this path, if there is one: it was withdrawn. */
int following_end(struct fleet *f, const char *path, int64_t now_s, struct err *e);

/* Counts the boxes of each wave anew: after boxes were added or revoked. Takes 2 s for a million. A
 * box counts that plan_membership() puts into the wave by what it last said of itself; and,
 * whatever `from` and recall say of what runs, one of which nobody knows that, and one that runs
 * the release, so that none is lost on the way. (Of a recall, only where that brought it.) */
int following_census(struct fleet *f, int64_t id, struct err *e);

/* The wave was seen open. The first time lasts. Boxes count as seen from then on. */
int following_opened(struct fleet *f, int64_t id, size_t wave, int64_t opened_s, struct err *e);

/* A stop of the rollout was resumed: what went wrong until now is accepted. Once for a stop,
 * however often it is called. The counts themselves forget nothing. */
int following_accept(struct fleet *f, int64_t id, const char *stop_id, struct err *e);

/* A number of the evaluator's own that outlives it, like "good_since_s"; 0 until it is set. */
int following_mark(struct fleet *f, int64_t id, const char *name, int64_t *out, struct err *e);
int following_mark_set(struct fleet *f, int64_t id, const char *name, int64_t value, struct err *e);

/* Reads one, counts and all: the time it takes does not grow with the fleet. ERR_USAGE for an id
 * that is not there. */
int following_read(struct fleet *f, int64_t id, struct following *out, struct err *e);

/* Its plan, as it was published. Owned. */
int following_plan(struct fleet *f, int64_t id, struct plan *out, struct err *e);

/* Calls each for all that are followed now (or, with ended, that ever were and are still known), by
 * path, newest first, and ends at the first that returns other than 0, returning that. A row that
 * makes no sense is passed over, and is the error once all others had their turn. */
int following_each(struct fleet *f, bool ended,
	int (*each)(void *arg, const struct following *x, struct err *e), void *arg, struct err *e);

/* Counts it all anew from the participants, into out[WAVES_MAX]: what following_read() must agree
 * with but for `boxes`, which is 0 here. */
int following_recount(struct fleet *f, int64_t id, struct tally *out, struct err *e);

/* The clock of silence: it runs only while boxes could be heard, so an outage of ours makes nobody
 * overdue. To be called at least every LISTEN_GAP_MAX_S, after the spool was drained: can_hear says
 * whether, since the last call, the server took reports. Longer gaps do not count. */
int following_listen(struct fleet *f, int64_t now_s, bool can_hear, struct err *e);

/* What that clock shows, and what it showed when it last went on after a gap: from 1 on. */
int following_listened(struct fleet *f, int64_t *now_s, int64_t *resumed_s, struct err *e);

/* The moment since which boxes could be heard for span_s: one that was last heard before was silent
 * for so long though somebody listened. Where nobody looked for up to OUTAGE_GAP_MAX_S (a watch
 * that a timer runs), and boxes can be heard again, the server is taken to have been there. */
int following_heard_since(
	struct fleet *f, int64_t now_s, int64_t span_s, int64_t *out_s, struct err *e);

/* Marks boxes overdue: under way, undecided, and silent by that clock for more than the plan's
 * overdue_s. *newly is how many. A box that is heard of again is overdue no more. */
int following_overdue(struct fleet *f, int64_t id, uint64_t *newly, struct err *e);

/* A box in a rollout, for people. */
struct following_box {
	const char *name; /* borrowed, until the next */
	size_t wave;
	struct participant how;
	int64_t heard_s;
};

/* Calls each for the boxes that were seen, or of these the ones of that status (or -1), as
 * following_each() does. */
int following_each_box(struct fleet *f, int64_t id, int status,
	int (*each)(void *arg, const struct following_box *b, struct err *e), void *arg,
	struct err *e);

#endif
