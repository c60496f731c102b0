/* The head of a bundle out of the head of a delta, and of what the box has of the release that
 * runs.
 *
 * manifest.json and the seals came along; lists of files are patched from the old ones; indexes are
 * put together (delta_index.h), and pages of them that did not come out right are fetched from the
 * bundle. What counts is the digest of the whole head, as signed metadata names it: whatever a
 * delta or the old release is, nothing else comes out. */
#ifndef SLUICE_AGENT_DELTA_HEAD_H
#define SLUICE_AGENT_DELTA_HEAD_H

#include "agent/conf.h"
#include "agent/delta.h"
#include "agent/head.h"
#include "agent/source.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "common/format/listing.h"

/* All borrowed. */
struct delta_head_job {
	const struct conf *c;
	const struct listing *listing; /* of the bundle */
	const struct source *bundle;
	const struct head *old; /* of what runs, as the shelf kept it; NULL: it is lost */
	enum side running;
	const struct keep_going *keep_going;
};

/* d has its fd; its head is filled in. Memory: 2 MiB. ERR_UNTRUSTED or ERR_MALFORMED where it does
 * not come out right, ERR_NETWORK, ERR_STOPPED, ERR_SYSTEM: then the bundle has the head, too. */
int delta_head_make(
	const struct delta_head_job *j, struct delta *d, struct head *out, struct err *e);

#endif
