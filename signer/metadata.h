/* Role metadata as a workspace holds it: published in site/metadata, or newer and waiting in
 * incoming/ until the publisher takes it.
 *
 * A command that signs does: metadata_load, metadata_stage (for new content), metadata_put,
 * metadata_sign, publish_here. */
#ifndef SLUICE_SIGNER_METADATA_H
#define SLUICE_SIGNER_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/crypto/seckey.h"
#include "signer/workspace.h"

/* The newest version of one role's document, being edited. Owns its JSON. */
struct metadata {
	char role[65];
	json_t *root;	     /* the envelope */
	json_t *body;	     /* its "signed", to be edited in place; inside root */
	json_t *waiting;     /* "signed" as incoming/ has it; NULL when it came from elsewhere */
	uint64_t published;  /* the version in force; 0 while none is */
	json_t *keys;	     /* who may sign, as the delegator says: KEYID -> KEY, */
	json_t *entry;	     /* and the role's keyids, threshold, paths */
	struct err leftover; /* why incoming/ROLE.json was passed over; see metadata_has_leftover */
};

void metadata_free(struct metadata *m);
#define AUTO_METADATA CLEANUP(metadata_free)

/* Loads incoming/ROLE.json where there is one, else the published version. Signatures are checked
 * on the way (root by itself, targets by root, others by targets.json): the published one must have
 * its threshold, one in incoming/ at least one good signature. Empty, with no targets, are a role
 * that has not signed anything yet, and one whose keys were replaced so far that what former keys
 * signed has no threshold any more: nothing of that is taken over. ERR_USAGE for a role that does
 * not exist, ERR_UNTRUSTED for one that is not as its keys signed it, ERR_REFUSED for one in
 * incoming/ whose version is no longer the next. Expired metadata loads. */
int metadata_load(const struct workspace *w, const char *role, struct metadata *out, struct err *e);

/* With w->sets_aside something in incoming/ that the publisher could not take (a version that is
 * gone, strangers' signatures, content that is not there) is no error: what is published is loaded,
 * true is returned here, and metadata_sign renames the file before it writes its own. */
bool metadata_has_leftover(const struct metadata *m);

/* The targets.json that decides who may sign: the one in incoming/ if it and its root have all
 * their signatures, else the published one, whatever lies in incoming/. Only where none is
 * published yet, one that still waits for signatures. Not to be edited. */
int metadata_load_in_force(const struct workspace *w, struct metadata *out, struct err *e);

/* The first root: body (a reference is taken) becomes version 1 when it is signed. */
int metadata_first_root(json_t *body, struct metadata *out, struct err *e);

/* The keys that may sign m, borrowed. */
int metadata_keys(const struct metadata *m, struct role_keys *out, struct err *e);

/* ERR_REFUSED when the signer's key is not one of the role's: to be asked before anything is
 * staged. */
int metadata_check_signer(const struct metadata *m, const struct signer *s, struct err *e);

/* A target as it will be listed. custom is borrowed, or NULL. */
struct metadata_target {
	const char *path; /* "rollouts/stable.json" */
	uint64_t length;
	struct digest sha256;
	json_t *custom;
};

/* Whether every component of a target path is a plain name, so that it can be a file's. */
bool metadata_path_valid(const char *path);

/* Lists a target, in place of an older one of that path. ERR_REFUSED when no path pattern of the
 * role's delegation covers it: clients would never find it. */
int metadata_put(struct metadata *m, const struct metadata_target *t, struct err *e);

/* Takes a target off the list. ERR_USAGE when it is not there. */
int metadata_remove(struct metadata *m, const char *path, struct err *e);

/* The TARGETS entry ({"length", "hashes", "custom"}) of a path, borrowed; NULL where not listed. */
const json_t *metadata_find(const struct metadata *m, const char *path);

/* Gives the document the version behind the published one and an expiry by the role's life in
 * workspace.yaml, adds the signature, and puts it durably into incoming/ROLE.json. A document that
 * is as it was loaded from incoming/, and has not expired there, keeps its version, expiry and
 * signatures and gets one more; else all older signatures go. ERR_REFUSED when the signer's key is
 * not one of the role's. */
int metadata_sign(
	const struct workspace *w, struct metadata *m, const struct signer *s, struct err *e);

/* Puts a target's content durably into incoming/targets/PATH, ready for the publisher, and says
 * what it was. The first takes bytes, the second all of an open regular file, hashed as it is
 * copied. */
int metadata_stage(const struct workspace *w, const char *path, struct span content,
	struct metadata_target *out, struct err *e);
int metadata_stage_file(const struct workspace *w, const char *path, int fd, const char *name,
	struct metadata_target *out, struct err *e);

/* The content of a published or staged target of at most max bytes, checked against its entry. */
int metadata_read_target(const struct workspace *w, const struct metadata *m, const char *path,
	uint64_t max, struct buf *out, struct err *e);

/* Whether the content of all targets is there, as it was signed; reads all of it. */
int metadata_check_content(const struct workspace *w, const struct metadata *m, struct err *e);

#endif
