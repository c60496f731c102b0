/* Telling, on standard error, of what lies in incoming/ in vain: see w->sets_aside in metadata.h.
 */
#ifndef SLUICE_SIGNER_LEFTOVER_H
#define SLUICE_SIGNER_LEFTOVER_H

#include "common/base/err.h"
#include "signer/metadata.h"
#include "signer/workspace.h"

/* After metadata_sign: says what it has set aside, if anything. */
void leftover_say(const struct metadata *m);

/* Says of each delegated role whose file in incoming/ could not be published that it was passed
 * over. w->sets_aside is on. */
int leftover_say_all(const struct workspace *w, struct err *e);

#endif
