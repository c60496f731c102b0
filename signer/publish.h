/* The publisher: takes what waits in incoming/ into site/, and signs snapshot and timestamp. */
#ifndef SLUICE_SIGNER_PUBLISH_H
#define SLUICE_SIGNER_PUBLISH_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/signing.h"
#include "signer/workspace.h"

/* Publishes what is in order in incoming/, and signs a new timestamp in any case. Roles below their
 * threshold stay in incoming/ (a line on standard error says what is missing), and so do those that
 * cannot become part of the site: these make it fail with ERR_REFUSED after all others were
 * published, so that nobody's mistake holds up somebody else's stop. Until timestamp.json is
 * replaced readers see the old site, whole; it can be run again after any interruption. pass is for
 * online keys with a passphrase. ERR_REFUSED while another publisher runs. */
int publish(const struct workspace *w, struct passphrase_source *pass, struct err *e);

/* The same without a word, for a workspace that is a scratch copy. */
int publish_silently(const struct workspace *w, struct passphrase_source *pass, struct err *e);

/* Who publishes again and again: its keys stay unlocked. Borrows the workspace. */
struct publisher;

void publisher_close(struct publisher **p);
#define AUTO_PUBLISHER CLEANUP(publisher_close)

/* ERR_USAGE and others of opened_key_open for keys that are not here or cannot be read. */
int publisher_open(const struct workspace *w, struct passphrase_source *pass,
	struct publisher **out, struct err *e);

/* What was published, and what could not be yet: names with commas between, "" for none. */
struct published {
	bool any; /* there is a new timestamp */
	char roles[256];
	char deferred[256]; /* their large content goes first, which is the caller's to see to */
	struct err
		refused;  /* what stays in incoming/ for good: class ERR_NONE where nothing does */
	struct err rekey; /* why the next root waits for other online keys, likewise */
};

/* The same as publish(), without a word, and without waiting for large content to be copied. With
 * renew a timestamp is signed in any case, else only where something in incoming/ is in order, or
 * was published and perhaps not pushed. What
 * is refused makes it not fail. *out is filled in even where it fails. */
int publisher_publish(struct publisher *p, bool renew, struct published *out, struct err *e);

/* Takes the online keys that `now` names, workspace.yaml as it is now, where root names them, or
 * the next one that they would publish does; else, and on failure, its own stay. *changed says
 * which.
 */
int publisher_rekey(struct publisher *p, const struct workspace *now,
	struct passphrase_source *pass, bool *changed, struct err *e);

/* What the bulk lane has done meanwhile (bulk_run): content that is deferred no more. */
void publisher_carried(struct publisher *p, json_t *carried);

/* What every command that signs calls last: publishes when the online keys are readable here and
 * o->no_publish is not set; else says on standard output what waits in incoming/ and returns 0.
 * While another publisher runs it waits, for PUBLISHER_WAIT_MS at most. Only a refusal of the role
 * that was signed is an error; NULL: of any. */
int publish_here(const struct workspace *w, const char *role, struct signing *o, struct err *e);

#endif
