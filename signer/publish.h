/* The publisher: takes what waits in incoming/ into site/, and signs snapshot and timestamp. */
#ifndef SLUICE_SIGNER_PUBLISH_H
#define SLUICE_SIGNER_PUBLISH_H

#include <stdbool.h>

#include "common/base/err.h"
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

/* What every command that signs calls last: publishes when the online keys are readable here and
 * o->no_publish is not set; else says on standard output what waits in incoming/ and returns 0.
 * While another publisher runs it waits, for PUBLISHER_WAIT_MS at most. Only a refusal of the role
 * that was signed is an error; NULL: of any. */
int publish_here(const struct workspace *w, const char *role, struct signing *o, struct err *e);

#endif
