/* A request for signatures: the next version of a role as a file that is carried to people whose
 * keys are elsewhere, with all that they need to see what it changes: the roots, the version in
 * force, and who says who may sign. Nothing in the file is believed: what is in force has to carry
 * its signatures, and the words of a summary are made where it is read. */
#ifndef SLUICE_SIGNER_REQUEST_H
#define SLUICE_SIGNER_REQUEST_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/envelope.h"
#include "common/tuf/document.h"
#include "signer/metadata.h"
#include "signer/workspace.h"

struct request {
	char role[ROLE_NAME_MAX + 1];
	json_t *document;  /* the envelope to be signed */
	json_t *roots;	   /* envelopes of the published roots, oldest first; may be empty */
	json_t *authority; /* who may sign, where `roots` does not say it: the next root for
			      targets, targets.json for others; NULL else */
	json_t *current;   /* the version in force of targets and others; NULL for none */
};

void request_free(struct request *r);
#define AUTO_REQUEST CLEANUP(request_free)

/* The request for what m holds, which metadata_prepare has made ready. */
int request_make(
	const struct workspace *w, const struct metadata *m, struct request *out, struct err *e);

/* ERR_MALFORMED for what is no request, ERR_LIMIT for more than REQUEST_BYTES_MAX. */
int request_read(const char *path, struct request *out, struct err *e);

/* Replaces path. */
int request_write(const struct request *r, const char *path, struct err *e);

/* What a request amounts to, once it is checked. Borrows from the request and owns the documents.
 */
struct change {
	const char *role;
	const json_t *before; /* "signed" in force; NULL: this is the first */
	const json_t *after;
	const json_t *signatures;
	uint64_t version;
	struct role_keys keys;	 /* who may sign it */
	struct role_keys former; /* a next root: who must sign it, too; else threshold 0 */
	bool anchored;		 /* the roots lead from one that the reader trusts */
	bool authority_pending;	 /* who may sign it is not in force yet */
	struct document *root, *delegator, *current;
};

void change_free(struct change *c);
#define AUTO_CHANGE CLEANUP(change_free)

/* Checks that the roots follow each other by TUF's rules; that the version in force is signed under
 * them; that the document is the next version, of the right type, with all its fields. root_path
 * (or NULL) is a root.json that the reader trusts: it has to be one of the roots. ERR_UNTRUSTED. */
int request_check(
	const struct request *r, const char *root_path, struct change *out, struct err *e);

/* Checks every signature of the request: each has to be good, and by a key that may sign. *good
 * gets their key ids (new, owned by the caller). ERR_UNTRUSTED naming the first that is not. */
int request_signers(const struct change *c, json_t **good, struct err *e);

/* How many distinct keys of role are among these key ids: ids of one key count once. */
uint64_t request_count(const struct role_keys *role, const json_t *good);

/* The bytes that are signed. */
int request_bytes(const struct request *r, struct buf *out, struct err *e);

#endif
