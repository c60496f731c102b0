/* Inside the TUF client: its state and the steps that its files share. */
#ifndef SLUICE_TUF_CLIENT_H
#define SLUICE_TUF_CLIENT_H

#include "common/limits.h"
#include "common/tuf/document.h"
#include "common/tuf/tuf.h"

struct tuf_client {
	struct tuf_store store;
	struct document *root; /* always there */
	struct document *timestamp, *snapshot, *targets;
	/* Roles met by searches. A search adds up to TUF_DELEGATIONS_MAX and must not lose those
	 * that it came through, so it starts with that much room. */
	struct document *delegated[2 * TUF_DELEGATIONS_MAX];
	struct tuf_floor floor;
	bool fresh;	 /* the last refresh came to its end */
	struct err loss; /* why the store lost what held versions back; ERR_NONE: it did not */
	int64_t expires_s;
	char expires_role[ROLE_NAME_MAX + 1];
};

/* The most bytes that metadata of a type may have. */
uint64_t client_bytes_max(enum document_type type);

/* Everything but the root leaves memory; the store keeps it. */
void client_forget(struct tuf_client *c);

/* Takes over what another process has put into the store since, where it is newer: else this client
 * would accept what is older than that, and save it over it. Reads and hashes four files. */
int client_catch_up(struct tuf_client *c, struct err *e);

/* Makes *slot the document of that role in memory or store if it satisfies keys, else NULL: what is
 * damaged or outdated is fetched again. Other failures of the store are errors, but for those of a
 * disk that no try mends, where forgives says so; see tuf_loss(). */
int client_recall(struct tuf_client *c, struct document **slot, const char *role,
	enum document_type type, const struct role_keys *keys, bool forgives, struct err *e);

/* Verified and not expired at now_s: saves bytes, then trusts d. d is taken over on success. */
int client_accept(struct tuf_client *c, struct document **slot, struct document **d,
	struct span bytes, int64_t now_s, struct err *e);

/* Whether the floor is of the trusted root's keys: else it holds nothing back. */
int client_floor_holds(const struct tuf_client *c, bool *holds, struct err *e);

/* ERR_UNTRUSTED where this version of role is below its floor, which is one of c->floor's. */
int client_floor_check(const struct tuf_client *c, const char *role, uint64_t floor,
	uint64_t version, struct err *e);

/* Raises the floor to what is trusted. One of other keys begins anew. */
int client_floor_raise(struct tuf_client *c, struct err *e);

/* Makes it one of the trusted root's keys as it is, where they have become more. */
int client_floor_bind(struct tuf_client *c, struct err *e);

/* Root N+1 by both thresholds, saved; drops what a change of keys makes void (section 5.3.11). */
int client_take_root(struct tuf_client *c, struct span bytes, struct err *e);

/* Fetches the version of a role that `listed` names, and checks all but expiry. bytes is empty at
 * first. */
int client_fetch(struct tuf_client *c, const struct tuf_fetcher *f, const char *role,
	enum document_type type, const struct role_keys *keys, const struct metafile *listed,
	struct buf *bytes, struct document **out, struct err *e);

/* Brings the targets role (top-level or delegated) in slot to what the snapshot lists. */
int client_update_targets(struct tuf_client *c, const struct tuf_fetcher *f, const char *role,
	struct document **slot, const struct role_keys *keys, int64_t now_s, struct err *e);

/* Whether the trusted root says that versions and digests are part of file names. */
bool client_is_consistent(const struct tuf_client *c);

/* Remembers d's expiry where it is the earliest so far. */
void client_note_expiry(struct tuf_client *c, const struct document *d);

/* The slot of a delegated role, or an empty one. */
struct document **client_slot(struct tuf_client *c, const char *role);

#endif
