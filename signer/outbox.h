/* Events on their way to webhooks: in fleet.db until they were taken, or have become dead letters.
 *
 * An event has a name that comes of the fact that it tells of, so that whoever finds the same fact
 * once more makes no second one; and one delivery for each webhook that wants its kind. A delivery
 * may be made more than once, under the same name. */
#ifndef SLUICE_SIGNER_OUTBOX_H
#define SLUICE_SIGNER_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/sql.h"
#include "signer/workspace.h"

enum { OUTBOX_NAME_SIZE = 33, OUTBOX_FACTS = 4, OUTBOX_ANSWER_SIZE = 256 };

struct outbox_event {
	enum webhook_kind kind;
	const char *facts[OUTBOX_FACTS + 1]; /* what makes it this event; NULL ends them */
	const json_t *fields;		     /* an object: what else its body says; borrowed */
	int64_t at_s;
};

/* The name of an event: half a SHA-256, in hexadecimal. */
void outbox_name(const struct outbox_event *x, char out[OUTBOX_NAME_SIZE]);

/* The body as it is sent: the fields, with "id", "event", "at" and the fleet's "site". kind is its
 * word. ERR_LIMIT over WEBHOOK_BODY_MAX. */
int outbox_body(const struct workspace *w, const char *kind, const char *name, int64_t at_s,
	const json_t *fields, struct buf *out, struct err *e);

/* Writes an event, with its deliveries, unless it is there. In the transaction of who calls. The
 * newest WEBHOOK_EVENTS_MAX are kept, and WEBHOOK_LASTING_MAX older ones of those that
 * rest on that alone: stops, and what has finished. */
int outbox_put(
	struct sql *s, const struct workspace *w, const struct outbox_event *x, struct err *e);

/* A delivery, due or dead. All owned. */
struct outbox_delivery {
	int64_t event;
	char name[OUTBOX_NAME_SIZE], kind[32];
	char *url, *body;
	uint64_t tries; /* so far */
	int64_t since_s, at_s;
	char answer[OUTBOX_ANSWER_SIZE]; /* to the last try */
};

struct outbox_batch {
	size_t count;
	struct outbox_delivery list[WEBHOOK_ROUND_MAX];
};

void outbox_batch_free(struct outbox_batch *b);
#define AUTO_OUTBOX_BATCH CLEANUP(outbox_batch_free)

/* Whether a delivery is due: its time has come, or is further off than any wait. */
int outbox_is_due(
	struct sql *s, const struct workspace *w, int64_t now_s, bool *out, struct err *e);

/* The next deliveries that are due, WEBHOOK_ROUND_EACH to a webhook, oldest first. */
int outbox_next(struct sql *s, const struct workspace *w, int64_t now_s, struct outbox_batch *out,
	struct err *e);

/* What became of a try. */
struct outbox_answer {
	unsigned status;	/* of HTTP; 0: there was no answer */
	uint64_t retry_after_s; /* 0: nothing was said */
	char text[OUTBOX_ANSWER_SIZE];
};

enum outbox_fate { OUTBOX_TAKEN, OUTBOX_AGAIN, OUTBOX_DEAD };

/* What follows from it. 2xx: it was taken. 410, or WEBHOOK_AGE_MAX_S since it was put: it is dead.
 * Else again, *wait_s later: after what Retry-After says, or between half of and all of 2 s, 4 s
 * and so on by the number of tries (this one counts), at most WEBHOOK_WAIT_MAX_S. */
enum outbox_fate outbox_judge(const struct outbox_answer *a, uint64_t tries, int64_t since_s,
	int64_t now_s, uint64_t *wait_s);

/* Notes what became of a try. Where the receiver is down, or asks for patience, all that waits for
 * it waits as long. Of dead letters the newest WEBHOOK_DEAD_MAX are kept. */
int outbox_settle(struct sql *s, const struct outbox_delivery *d, const struct outbox_answer *a,
	int64_t now_s, enum outbox_fate *fate, struct err *e);

/* What waits for webhooks that workspace.yaml has no more becomes dead letters. */
int outbox_bury(struct sql *s, const struct workspace *w, struct err *e);

/* Puts dead letters back, all of them or those of one event, to be tried as if they were new; not
 * those to webhooks that are gone. *count is how many. */
int outbox_revive(struct sql *s, const struct workspace *w, const char *name, int64_t now_s,
	uint64_t *count, struct err *e);

/* How many deliveries to a URL wait, were made, and are dead. */
struct outbox_census {
	uint64_t waiting, taken, dead;
};
int outbox_census(struct sql *s, const char *url, struct outbox_census *out, struct err *e);

/* Calls each for the dead letters, newest first, and ends at the first that returns other than 0,
 * returning that. body is NULL. */
int outbox_each_dead(struct sql *s,
	int (*each)(void *arg, const struct outbox_delivery *d, struct err *e), void *arg,
	struct err *e);

#endif
