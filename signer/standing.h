/* Stops that stand: once published, a stop stays in its gate until the rollouts role lifts it. */
#ifndef SLUICE_SIGNER_STANDING_H
#define SLUICE_SIGNER_STANDING_H

#include "common/base/err.h"
#include "common/tuf/document.h"
#include "signer/site.h"
#include "signer/workspace.h"

/* ERR_REFUSED when next, which is to follow published (the same role's; or NULL), takes a stop back
 * that nobody has lifted: boxes that saw it stay stopped, the others would never hear of it. So a
 * stolen gates key cannot undo other people's stops on its way past the publisher. targets is who
 * says who speaks for plans. The content of next's targets is in the site already, or lies in w's
 * incoming/targets. A published gate that makes no sense to anybody holds nobody up. One whose
 * content is lost here may have stopped its plan, so only one that stops it may follow. */
int standing_check(const struct workspace *w, const struct site *s, const struct document *targets,
	const struct document *published, const struct document *next, struct err *e);

#endif
