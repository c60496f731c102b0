/* Half-written files that a publisher or a signer left behind when it was killed, and what was
 * staged for signatures that never came. */
#ifndef SLUICE_SIGNER_SWEEP_H
#define SLUICE_SIGNER_SWEEP_H

#include <stdint.h>

#include "signer/workspace.h"

/* Removes from site/ and incoming/ what has the name of a temporary file of ours, and from
 * incoming/targets what metadata_stage put there and nothing that waits lists, where it was last
 * written to more than a day before now_s: whoever is still at work writes to its own. Nothing else
 * is touched, links are not followed, and what cannot be removed stays. For the publisher, under
 * its lock. */
void sweep(const struct workspace *w, int64_t now_s);

#endif
