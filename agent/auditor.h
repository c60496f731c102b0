/* The auditor: has what is installed audited now and then, beside the daemon's naps.
 *
 * The work is done by another process, `sluice-agent audit --gently`, which rests most of the time
 * and takes no lock: no update and no stop ever waits for it. It ends with us, and one that an
 * update or anything else cut off starts over later. */
#ifndef SLUICE_AGENT_AUDITOR_H
#define SLUICE_AGENT_AUDITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/audit.h"
#include "agent/box.h"
#include "agent/watchdog.h"

struct auditor {
	const struct box *box;
	const char *conf_path;
	pid_t pid;	       /* of the one that runs; 0: none */
	pid_t stuck;	       /* of one that was killed and is not gone; 0: none */
	int64_t not_before_ms; /* by the boot clock; 0: not set yet */
	uint64_t jitter;       /* of 1024, this box's share of what is added to the interval */
	enum authentic before; /* what reports said when it began, and why */
	char before_why[AUDIT_WHY_SIZE];
	bool outdated; /* the last audit is of what ran before */
};

/* box and conf_path are borrowed. The first audit of a start is at least minutes off, however late
 * it is: a box has better things to do then. */
struct auditor auditor_of(const struct box *box, const char *conf_path);

/* Ends an audit that runs: something else has the box now. Waits for that for three seconds at
 * most; one that is not gone then is looked after in later naps, and none begins before. */
void auditor_stop(struct auditor *a);

/* watchdog_nap() in which an audit begins when it is due and no update is under way. Ends early,
 * where prompt says that it may, when one has come out other than the last: that is to be told. */
void auditor_nap(struct auditor *a, struct watchdog *w, int64_t ms, bool prompt);

/* How long until an audit is due; INT64_MAX: never. */
int64_t auditor_wait_ms(struct auditor *a);

#endif
