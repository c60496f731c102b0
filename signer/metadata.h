/* Role metadata as a workspace holds it: published in site/metadata, or newer and waiting in
 * incoming/ until the publisher takes it; or in drafts/, where this workspace keeps next versions
 * of its own making that nobody may have signed yet (incoming/ is what anybody may have put there).
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
	json_t *waiting;     /* "signed" as incoming/ or drafts/ has it, or NULL */
	json_t *in_force;    /* the published envelope, or NULL */
	uint64_t published;  /* the version in force; 0 while none is */
	uint64_t unused;     /* the first behind it that no publication has taken */
	json_t *keys;	     /* who may sign, as the delegator says: KEYID -> KEY, */
	json_t *entry;	     /* and the role's keyids, threshold, paths */
	json_t *former_keys; /* root: as the published root says it of itself; else NULL */
	json_t *former_entry;
	int64_t expires_s; /* what its next version is to get; 0: as long as workspace.yaml says */
	bool drafted;	   /* drafts/ has this version, too */
	bool prepared;	   /* see metadata_prepare */
	struct err leftover; /* why incoming/ROLE.json was passed over; see metadata_has_leftover */
	bool loaded; /* and incoming/ROLE.json was these bytes then; zeros: there was none */
	struct digest incoming;
};

void metadata_free(struct metadata *m);
#define AUTO_METADATA CLEANUP(metadata_free)

/* Loads incoming/ROLE.json or drafts/ROLE.json where there is one, else the published version.
 * Signatures are checked on the way (root and targets by root, others by targets.json): the
 * published one must have its threshold, one in incoming/ at least one good signature (a next root
 * by a key of the root in force) unless it is what drafts/ has. Empty, with no targets, are a role
 * that has not signed anything yet, and a delegated one whose keys were replaced so far that what
 * former keys signed has no threshold any more: nothing of that is taken over. ERR_USAGE for a role
 * that does not exist, ERR_UNTRUSTED for one that is not as its keys signed it, ERR_REFUSED for one
 * in incoming/ or drafts/ whose version is no longer the next, or where the two differ. Expired
 * metadata loads. */
int metadata_load(const struct workspace *w, const char *role, struct metadata *out, struct err *e);

/* Makes m, which metadata_load has left empty, what former keys of the role signed and the site
 * still lists. *found false: there is no such thing. The caller shows all of it to a person: nobody
 * who holds the role vouches for it. */
int metadata_take_over(const struct workspace *w, struct metadata *m, bool *found, struct err *e);

/* With w->sets_aside something in incoming/ that the publisher could not take (a version that is
 * gone, strangers' signatures, content that is not there) is no error: what is published is loaded,
 * true is returned here, and metadata_sign renames the file before it writes its own. */
bool metadata_has_leftover(const struct metadata *m);

/* The targets.json that decides who may sign: the one in incoming/ if it and its root have all
 * their signatures and root leaves this publisher its keys, else the published one, whatever lies
 * in incoming/. Only where none is published yet, one that still waits for signatures. Not to be
 * edited. */
int metadata_load_in_force(const struct workspace *w, struct metadata *out, struct err *e);

/* The first root: body (a reference is taken) becomes version 1 when it is signed. */
int metadata_first_root(json_t *body, struct metadata *out, struct err *e);

/* The keys that may sign m, borrowed. */
int metadata_keys(const struct metadata *m, struct role_keys *out, struct err *e);

/* The same of the root in force, which the next root needs too. False: there is none, or m is no
 * root. */
bool metadata_former_keys(const struct metadata *m, struct role_keys *out);

/* Makes the keys that a root in the making gives m's role, root or targets, those that may sign m.
 */
int metadata_follow(struct metadata *m, const struct metadata *root, struct err *e);

/* ERR_REFUSED when the signer's key is not one of the role's (for a next root: neither of the old
 * nor of the new ones): to be asked before anything is staged. Nobody, for a draft, will do. */
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

/* The same of what is published, which may be older. */
const json_t *metadata_find_in_force(const struct metadata *m, const char *path);

/* Gives the document the version behind the published one (behind all, where an interrupted
 * publication has taken more) and an expiry: by m->expires_s, else by
 * the role's life in workspace.yaml. A document that is as it was loaded from incoming/ or drafts/,
 * and has not expired there, keeps its version, expiry and signatures; else all signatures go. Only
 * for whoever wants to show it before it is signed; metadata_sign does it too. */
int metadata_prepare(const struct workspace *w, struct metadata *m, struct err *e);

/* Prepares the document, adds the signature, and puts it durably into incoming/ROLE.json, and a
 * root into drafts/, too. ERR_REFUSED when the signer's key is not one of the role's; ERR_REFUSED
 * with EAGAIN where somebody else has signed the role since it was loaded, whose work (a stop, say)
 * would be lost, or a publisher has taken its version: it is to be loaded and changed again. Where
 * nobody signs (the signer's keyid is
 * ""), the document goes into drafts/ROLE.json, for a ceremony elsewhere, and leaves incoming/. */
int metadata_sign(
	const struct workspace *w, struct metadata *m, const struct signer *s, struct err *e);

/* Whether that is what went wrong; a program that could not be started says EAGAIN, too. */
bool metadata_was_overtaken(const struct err *e);

/* Puts an envelope that was signed elsewhere, and checked, into incoming/ROLE.json; a root into
 * drafts/, too. seen is what was loaded before, of which role and what lay where count;
 * ERR_REFUSED with EAGAIN as above. */
int metadata_receive(
	const struct workspace *w, const struct metadata *seen, json_t *envelope, struct err *e);

/* incoming/targets/PATH, where a target's content waits. ERR_REFUSED for a path that is not made of
 * plain names. */
int metadata_staged_path(
	const struct workspace *w, const char *path, char out[PATH_MAX], struct err *e);

/* The file there that has the content of that digest, should it be there: where metadata_stage put
 * it, else the one above, which may be any. */
int metadata_staged_as(const struct workspace *w, const char *path, const struct digest *sha256,
	char out[PATH_MAX], struct err *e);

/* Puts a target's content durably into incoming/targets, ready for the publisher, and says what it
 * was. The first takes bytes; they get a name by their digest, so that who changes a gate at the
 * same moment takes nothing away. The second takes all of an open regular file, hashed as it is
 * copied to PATH. */
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
