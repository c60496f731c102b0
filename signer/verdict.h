/* What is to be done about a rollout: the judgement of its waves, with all that a gate says. Pure.
 */
#ifndef SLUICE_SIGNER_VERDICT_H
#define SLUICE_SIGNER_VERDICT_H

#include <stddef.h>
#include <stdint.h>

#include "common/format/judgement.h"
#include "signer/course.h"
#include "signer/following.h"

enum deed {
	DEED_NONE,
	DEED_OPEN,   /* the wave `next` */
	DEED_STOP,   /* the plan, for this reason */
	DEED_FINISH, /* nothing is left to be opened, and all is well */
};

enum { VERDICT_REASON_SIZE = JUDGEMENT_REASON_SIZE + 128 };

struct verdict {
	enum judgement_kind kind;
	enum deed deed;
	size_t wave;	      /* the one that was judged */
	size_t next;	      /* DEED_OPEN: the one behind it */
	int64_t good_since_s; /* see struct judgement */
	char reason[VERDICT_REASON_SIZE];
};

/* How many waves a gate that binds has open, up to the last that is; *gap: one before it is shut.
 */
size_t verdict_open(const struct course *c, bool *gap);

/* After a gap in which nobody listened the boxes have their say first: as long as one may wait
 * between two tries, by what agent.conf has where nobody changes it. */
enum { SETTLE_S = 3600 };

/* Since when a wave soaks that was good since then and is to soak for so long, where listening last
 * went on at resumed_s: a soak that is shorter than SETTLE_S begins anew, and of a longer one so
 * much is left. 0 stays 0. */
int64_t verdict_soak_since(int64_t good_since_s, int64_t resumed_s, uint64_t soak_s);

/* good_since_s is what the last verdict on the same wave said, or 0; it and now_s are of the clock
 * of silence (following_listened), so that no time is a soak in which nobody listened. A gate that
 * is stopped asks for nothing more. No wave opens that is the first, or in a gate that is paused,
 * stopped or does not bind, or while every box is shut by gates/all.json. */
struct verdict verdict_reach(const struct course *c, const struct courses *all,
	const struct following *x, const struct local_limits *limits, int64_t good_since_s,
	int64_t now_s);

#endif
