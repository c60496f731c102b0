/* The publisher: takes what waits in incoming/ into site/, and signs snapshot and timestamp. */
#ifndef SLUICE_SIGNER_PUBLISH_H
#define SLUICE_SIGNER_PUBLISH_H

#include <stdbool.h>

#include "common/base/err.h"
#include "signer/signing.h"
#include "signer/workspace.h"

/* Publishes. Roles below their threshold stay in incoming/ (a line on standard error says how many
 * signatures are missing); all others are checked and go in together, or none does. Always signs a
 * new timestamp. Can be run again after any interruption. pass is for online keys with a
 * passphrase. ERR_REFUSED while another publisher runs. */
int publish(const struct workspace *w, struct passphrase_source *pass, struct err *e);

/* What every command that signs calls last: publishes when the online keys are readable here and
 * o->no_publish is not set; else says on standard output what waits in incoming/ and returns 0. */
int publish_here(const struct workspace *w, struct signing *o, struct err *e);

#endif
