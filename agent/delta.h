/* Deltas, as a box sees them: a shorter way from the release that runs to the one that is ordered.
 *
 * Signed metadata lists one for a pair of releases, by the digests of their manifests; it has a
 * head and records (common/format/delta.h). Out of the head comes the head of the bundle, and from
 * there on the bundle is what counts: records are one more source of its chunks. A delta is
 * believed for nothing. Whatever is wrong with it costs bytes: the bundle has all that it has. */
#ifndef SLUICE_AGENT_DELTA_H
#define SLUICE_AGENT_DELTA_H

#include <stdbool.h>

#include "agent/conf.h"
#include "common/base/cleanup.h"
#include "common/crypto/digest.h"
#include "common/format/delta.h"
#include "common/format/delta_listing.h"

/* One that signed metadata lists for what runs on this box. */
struct delta_offer {
	char *url; /* below the target URL; NULL: there is none */
	uint64_t length;
	struct delta_listing listing;
	char version[VERSION_BYTES_MAX + 1]; /* of what runs, */
	bool tree_only; /* in the slots that a link switches, or in the others, */
	enum side side; /* on this side */
};

void delta_offer_free(struct delta_offer *o);

/* One whose head was brought, and has the digest that signed metadata names. */
struct delta {
	int fd;		    /* its head: a file without a name; -1: there is none */
	char name[64];	    /* for messages */
	struct digest from; /* the manifest of what runs */
	struct delta_head head;
};

#define DELTA_INIT ((struct delta){.fd = -1})
void delta_drop(struct delta *d);
#define AUTO_DELTA CLEANUP(delta_drop)

#endif
