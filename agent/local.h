/* Who may release for this box, as far as is known without a network: for a bundle from a stick. */
#ifndef SLUICE_AGENT_LOCAL_H
#define SLUICE_AGENT_LOCAL_H

#include "agent/conf.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/crypto/envelope.h"
#include "common/tuf/tuf.h"

/* The folder of the box's trusted metadata, in its state folder. out holds PATH_MAX. */
int local_metadata_dir(const struct conf *c, char *out, struct err *e);

/* tuf_open(), and where there is no root yet, what to do about it. */
int local_trust_open(const struct tuf_store *store, struct tuf_client **out, struct err *e);

/* The role "releases" under the newest targets.json known to the box. dir (or NULL) is a folder
 * that came along: its N.root.json files and its newest targets.json are taken first, by TUF's
 * version rules only, for nothing from a stick can be newer than it says. *seen, of the state,
 * holds versions back where the store has lost them, and becomes what it is then, for the caller to
 * save. store and out live as long as *client. ERR_UNTRUSTED where the box knows no targets.json.
 */
int local_releases(const struct tuf_store *store, const char *dir, struct tuf_floor *seen,
	struct tuf_client **client, struct role_keys *out, struct err *e);

/* ERR_STOPPED while a stop that this box obeys is not lifted: of everything, or of the plan that it
 * follows. */
int local_stop_check(const struct conf *c, const struct state *s, struct err *e);

#endif
