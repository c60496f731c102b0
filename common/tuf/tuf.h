/* A TUF client (TUF 1.0.34 section 5): in memory, without a network or a clock of its own. */
#ifndef SLUICE_TUF_TUF_H
#define SLUICE_TUF_TUF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"

/* Where metadata and small targets come from. path is relative to the repository's metadata or
 * target URL, already quoted for a URL. At most max bytes are appended to out. A file that is not
 * there: ERR_NETWORK with e->errnum 404 (or 403). */
struct tuf_fetcher {
	int (*metadata)(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e);
	int (*target)(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e);
	void *arg;
};

/* Where trusted metadata is kept, by role name ("root", "timestamp", ...): load gives
 * ERR_SYSTEM/ENOENT where there is none; save replaces durably. tuf_store_dir() keeps one file per
 * role, `ROLE.json`, in a folder. */
struct tuf_store {
	int (*load)(void *arg, const char *role, struct buf *out, struct err *e);
	int (*save)(void *arg, const char *role, struct span bytes, struct err *e);
	int (*drop)(void *arg, const char *role, struct err *e);
	void *arg;
};
struct tuf_store tuf_store_dir(const char *dir); /* dir is borrowed */

struct tuf_client;

void tuf_free(struct tuf_client **c);
#define AUTO_TUF CLEANUP(tuf_free)

/* Starts from the store's root (trusted because it is there: put there at manufacture, or verified
 * before it was saved). Loads nothing else yet. */
int tuf_open(const struct tuf_store *store, struct tuf_client **out, struct err *e);

/* The client workflow, sections 5.1 to 5.6, at a fixed time now_s. Steps that succeeded stay saved
 * when a later one fails. ERR_EXPIRED for authentic metadata past its date, ERR_UNTRUSTED for what
 * fails a check, ERR_NETWORK where nothing came. */
int tuf_refresh(struct tuf_client *c, const struct tuf_fetcher *f, int64_t now_s, struct err *e);

/* Whether the store has lost a document of a top-level role to its disk (EIO and the like) since
 * this was last asked, and why. A refresh goes on without it, for else a box would fail for good,
 * and hear of no stop: what it has in memory stays trusted, what it has not is fetched anew.
 * Versions are held back by nothing else then but a floor (below), and people are to know of it.
 * The offline calls do not go on: they can be asked again when the disk is mended. */
bool tuf_loss(struct tuf_client *c, struct err *why);

/* The newest versions that a client has seen, for its caller to keep elsewhere than in the store.
 * Else whoever serves an older set of metadata, which needs no key, is believed by a client whose
 * store has lost timestamp and snapshot, until that set expires. Delegated roles are bound by the
 * snapshot. Versions count anew when root takes away a key of timestamp or snapshot (section
 * 5.3.11), and the floor with them. All zeros: nothing is known. */
struct tuf_floor {
	uint64_t timestamp, snapshot, targets;
	struct digest keys; /* of the root's roles timestamp and snapshot, when it was seen */
};
bool tuf_floor_equal(const struct tuf_floor *a, const struct tuf_floor *b);

/* Holds c to a floor, from the next call that brings metadata. Older versions are ERR_UNTRUSTED. A
 * floor of other keys than the root's holds nothing back. */
void tuf_hold(struct tuf_client *c, const struct tuf_floor *floor);

/* Where the floor stands: raised by each refresh that came to its end and each targets.json that
 * was taken, sunk by a root that took keys away. To be kept after calls that failed, too. */
struct tuf_floor tuf_floor_of(const struct tuf_client *c);

/* What a target path resolves to. custom (or NULL) is owned; tuf_target_free frees it. */
struct tuf_target {
	char path[513];
	uint64_t length;
	bool has_sha256, has_sha512; /* at least one is true */
	struct digest sha256;
	uint8_t sha512[DIGEST512_BYTES];
	json_t *custom;
	char role[65]; /* the role that vouches for it */
};
void tuf_target_free(struct tuf_target *t);
#define AUTO_TARGET CLEANUP(tuf_target_free)

/* The pre-order search of section 5.6.7, fetching delegated roles as it needs them. *found false:
 * no role that may speak for path lists it. A successful tuf_refresh in this client comes first. */
int tuf_find(struct tuf_client *c, const struct tuf_fetcher *f, const char *path, int64_t now_s,
	bool *found, struct tuf_target *out, struct err *e);

/* Fetches a small target (at most max bytes) and checks length and every digest listed before
 * giving it out. For bundles, which are never fetched whole, the agent checks by itself. */
int tuf_fetch_target(struct tuf_client *c, const struct tuf_fetcher *f, const struct tuf_target *t,
	uint64_t max, struct verified *out, struct err *e);

/* The same for any bytes, at most out->max of them, appended to out. */
int tuf_fetch_bytes(struct tuf_client *c, const struct tuf_fetcher *f, const struct tuf_target *t,
	struct buf *out, struct err *e);

/* The URL path of a target under the repository's target URL: with its digest in front of the file
 * name where the root says consistent snapshots, quoted. */
int tuf_target_url_path(
	const struct tuf_client *c, const struct tuf_target *t, struct buf *out, struct err *e);

/* Offline: takes root versions and a targets.json that came along with a bundle, by the version
 * rules only (each root N+1 by both thresholds; targets under the root's key for targets, at least
 * the version known, never expired-checked). For local installs and `verify --metadata`. */
int tuf_take_root(struct tuf_client *c, struct span root_json, struct err *e);
int tuf_take_targets(struct tuf_client *c, struct span targets_json, struct err *e);

/* Takes each N.root.json of a folder that follows on the trusted root, as far as they are there.
 * What is no regular file is ERR_REFUSED, and nothing waits for a pipe. ERR_LIMIT where more than
 * TUF_ROOT_ROTATIONS_MAX follow: as many were taken. */
int tuf_take_roots(struct tuf_client *c, const char *dir, struct err *e);

/* The keys and threshold that the newest targets.json known gives a delegated role, by name
 * ("releases"). Borrowed from c until its next change. ERR_UNTRUSTED when there is no targets.json
 * yet or no such delegation. */
int tuf_delegation(struct tuf_client *c, const char *role, struct role_keys *out, struct err *e);

/* The trusted documents' "signed" parts, borrowed, or NULL while not loaded: "root", "timestamp",
 * "snapshot", "targets", or a delegated role's name. */
const json_t *tuf_document(const struct tuf_client *c, const char *role);

/* The earliest expiry of all roles that the last tuf_refresh, and every tuf_find since, relied on,
 * and which role that is (borrowed from c). 0 and "" before the first successful refresh. */
int64_t tuf_expires_s(const struct tuf_client *c, const char **role);

/* The same SHA-256 over all keyids and the threshold of the root's timestamp role: a time floor
 * that timestamp keys vouched for is dropped when it changes. */
struct digest tuf_timestamp_keys(const struct tuf_client *c);

#endif
