/* What the passes of engine.h and proof.h have in common. For them only. */
#ifndef SLUICE_AGENT_ENGINE_PARTS_H
#define SLUICE_AGENT_ENGINE_PARTS_H

#include "agent/crew.h"
#include "agent/engine.h"
#include "agent/ranges.h"

/* One pass. */
struct pass {
	const struct engine *g;
	struct wants *wrong; /* or, while reading back, zeros that are none; or NULL */
	struct crew *crew;
	struct ranges ranges;
	struct range_feed feed;
	uint64_t mended; /* all entries before this one are not, or no longer, wrong */
	/* What the source gave that is not what was signed: so many bytes, and the first of it. Or
	 * why something could not be read. */
	uint64_t spoilt, spoilt_entry;
	struct err why;
};

void pass_free(struct pass *p);
int pass_start(struct pass *p, void (*work)(struct batch *),
	int (*settle)(void *, const struct batch *, struct err *), struct err *e);

/* Whatever ended it, what was handed over is done before it is over: rc, or -1. */
int pass_finish(struct pass *p, int rc, struct err *e);

/* Has all entries read, or some, from *entry, where the index stands, to before `end` or to the
 * last. */
int pass_read(struct pass *p, const struct wants *some, struct install_stats *stats,
	uint64_t *entry, uint64_t end, struct err *e);

#endif
