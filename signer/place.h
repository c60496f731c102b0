/* Content of targets on its way from incoming/targets/PATH to site/targets, under its digest. */
#ifndef SLUICE_SIGNER_PLACE_H
#define SLUICE_SIGNER_PLACE_H

#include "common/base/err.h"
#include "common/tuf/document.h"
#include "signer/site.h"
#include "signer/workspace.h"

/* Sees to it that every target that d lists and published (or NULL) does not list so is in the
 * site, whole and durable. ERR_REFUSED naming the first whose content is not as listed. Only the
 * publisher calls this, under its lock. */
int place_targets(const struct workspace *w, const struct site *s, const struct document *d,
	const struct document *published, struct err *e);

/* Removes from incoming/targets what d lists. Other content under the same path stays. */
int place_clear(const struct workspace *w, const struct document *d, struct err *e);

#endif
