/* What waits in incoming/ for the publisher: other people's signed metadata, to be judged. */
#ifndef SLUICE_SIGNER_INCOMING_H
#define SLUICE_SIGNER_INCOMING_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/tuf/document.h"
#include "signer/site.h"
#include "signer/workspace.h"

enum incoming_state {
	INCOMING_UNSEEN,
	INCOMING_WAITING,   /* below its threshold: `why` says how far */
	INCOMING_REFUSED,   /* cannot become part of the site as it is: `why` says why not */
	INCOMING_ACCEPTED,  /* `document` is the next version; its targets are in place */
	INCOMING_DEFERRED,  /* `document` is the next version; large content goes first (bulk.h) */
	INCOMING_PUBLISHED, /* the site has exactly this already; only clearing away is left */
};

struct incoming_role {
	char role[ROLE_NAME_MAX + 1];
	char path[PATH_MAX]; /* of the file in incoming/ */
	struct buf bytes;
	enum incoming_state state;
	struct document *document;
	bool at_once; /* what it lists is published with it, however large */
	json_t *bulk; /* deferred: the large content that goes first, path → TARGETS entry */
	struct err why;
};

/* All roles that wait, and what the site will consist of with those that are accepted. */
struct incoming {
	const struct workspace *workspace; /* borrowed, like the site */
	const struct site *site;
	struct incoming_role *roles;
	size_t count;
	uint64_t targets_version;	    /* published, or 0 */
	struct document *published_targets; /* or NULL */
	/* The ids of the keys that this publisher signs with; borrowed, or NULL: any will do. */
	const char *online_snapshot, *online_timestamp;
	bool rekeys; /* the next root waits for nothing but that this publisher gets its keys */
	const struct document *root, *targets; /* in force after publication; borrowed, or NULL */
	bool only_looks;		       /* nothing is copied into the site */
	/* What the bulk lane has done: site name → true, or a text saying why not. Borrowed. */
	const json_t *carried;
};

void incoming_free(struct incoming *in);
#define AUTO_INCOMING CLEANUP(incoming_free)

/* Reads every incoming/ROLE.json. */
int incoming_read(
	const struct workspace *w, const struct site *s, struct incoming *out, struct err *e);

/* Judges them in the order of trust: root by the published root's threshold and its own, targets by
 * the root that will be in force, all others by the targets that will be in force. The version must
 * be the one behind the published one, or behind those that an interrupted publication has left.
 * Targets that are new in a role are copied from incoming/targets into site/targets, under their
 * digest; that changes nothing for readers. A role with large ones is deferred until they are
 * there, and pushed. Errors only where the workspace itself fails: what is wrong with a role stands
 * in its `why`. */
int incoming_judge(struct incoming *in, int64_t now_s, struct err *e);

/* Who replaces a role's file in incoming/, and who makes versions out of what lies there, holds
 * this lock, for moments. It is taken with or without publisher.lock, and that never with it. */
int incoming_lock(const struct workspace *w, int *lock, struct err *e);

/* Whether incoming/ still has what was read of it: under the lock. */
bool incoming_is_current(const struct incoming *in);

/* Refuses a root that has a document where another of its version lies in the site. A root is
 * looked for by its name alone, so what lies there may be what boxes have: nothing else may come in
 * its place but more signatures. */
int incoming_check_root(const struct site *s, const struct incoming_role *root, struct err *e);

/* Removes what is published now: the role's file in incoming/ unless it has changed meanwhile, and
 * the staged content of its targets. */
int incoming_clear(const struct incoming *in, const struct incoming_role *r, struct err *e);

#endif
