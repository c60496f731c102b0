/* Threads that work on batches while another is filled.
 *
 * One thread, the owner, calls all of this: it fills batches, hands them over, and settles what has
 * been done. There are as many batches as threads and one more, and they are used over and over, so
 * memory is bounded. Where there can be no threads the owner does the work. A place that only one
 * thread may use at a time has one thread for it, which takes the batches in the order in which
 * they were given. */
#ifndef SLUICE_AGENT_CREW_H
#define SLUICE_AGENT_CREW_H

#include <pthread.h>

#include "agent/batch.h"
#include "agent/place.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

struct crew_plan {
	const struct place *place;
	void (*work)(struct batch *b); /* in a thread of the crew */
	/* In the owner's, for each that was worked on, in any order. */
	int (*settle)(void *arg, const struct batch *b, struct err *e);
	void *arg;
	const struct keep_going *keep_going; /* asked while the owner waits; or NULL */
};

/* What p points at is borrowed. Signals stay with the owner. ERR_SYSTEM. */
struct crew;
int crew_start(const struct crew_plan *p, struct crew **out, struct err *e);

/* The batch that is being filled, or an empty one; waits for one. -1 when settle() says so, or
 * keep_going. */
int crew_batch(struct crew *c, struct batch **out, struct err *e);

/* Hands the batch that is being filled over, if it has anything in it. */
void crew_give(struct crew *c);

/* The same, and then waits until all is done, whatever comes: what has been fetched is written,
 * also where the install is to stop. -1 for the first that settle() or keep_going said. */
int crew_finish(struct crew *c, struct err *e);

/* Ends the threads when they are through with what they were given, and settles nothing. */
void crew_end(struct crew **c);
#define AUTO_CREW CLEANUP(crew_end)

/* A thread with a small stack. A signal that comes while it runs is somebody else's: its handlers
 * know nothing of other threads. 0, or an errno. */
int crew_thread(pthread_t *out, void *(*work)(void *), void *arg);

#endif
