/* What `sluice watch` does, without its sleep: takes reports in, follows published plans, opens
 * their waves or stops them, publishes, and renews what would expire.
 *
 * Whatever it does is decided from what is published and from fleet.db, and is looked up before it
 * is done: it may be killed at any moment, and another one goes on from there. */
#ifndef SLUICE_SIGNER_WATCH_H
#define SLUICE_SIGNER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "signer/ui.h"
#include "signer/workspace.h"

/* Something that people should hear of. All is borrowed; "" where it is about none. */
struct watch_event {
	int64_t at_s;
	const char *what; /* "published", "wave_opened", "held", "stopped", "finished",
			     "box_offline", "audit_failed"; "note" for all that is no news to
			     others, and "problem" for what went wrong here */
	const char *plan, *wave, *stop, *box;
	const char *text; /* one line */
};

struct watch_settings {
	struct passphrase_source pass;
	void (*tell)(void *arg, const struct watch_event *x);
	void *arg;
	const struct keep_going *keep_going; /* asked between two batches of reports */
};

/* Borrows the workspace. */
struct watch;

void watch_close(struct watch **w);
#define AUTO_WATCH CLEANUP(watch_close)

/* Unlocks the keys that are here: workspace.yaml says which. ERR_REFUSED where another watch runs
 * on this workspace. */
int watch_open(const struct workspace *w, const struct watch_settings *s, struct watch **out,
	struct err *e);

/* A look at the spool, at incoming/ and at what is published, cheap where nothing is new. full: all
 * that is due with the time, too; to be called every so often (struct watch_conf). What goes wrong
 * is told, once for as long as it lasts, and tried again at a later look; the number of such
 * problems is returned. */
unsigned watch_look(struct watch *w, bool full);

/* Whether something is under way that a later look sees the end of: large content is being copied,
 * or another publisher is at work, which is no problem yet. */
bool watch_is_busy(const struct watch *w);

/* For whoever ends now: waits until what is due was taken to webhooks, or failed, or for
 * WEBHOOK_RUN_MAX_S. */
void watch_settle(struct watch *w);

#endif
