/* drafts/ROLE.json: the next version of a role as this workspace wants it, without signatures. It
 * stays there, beside what is signed of it in incoming/, until it is published. */
#ifndef SLUICE_SIGNER_DRAFT_H
#define SLUICE_SIGNER_DRAFT_H

#include <limits.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/json.h"
#include "signer/workspace.h"

int draft_path(const struct workspace *w, const char *role, char out[PATH_MAX], struct err *e);

/* The draft's "signed", owned by the caller; *body NULL where there is none. */
int draft_read(const struct workspace *w, const char *role, json_t **body, struct err *e);

/* Replaces it, durably. */
int draft_write(const struct workspace *w, const char *role, json_t *body, struct err *e);

/* Removes a draft of this version or an older one. One that cannot be read stays, for its owner to
 * look at. */
int draft_forget(const struct workspace *w, const char *role, uint64_t version, struct err *e);

/* Removes it. */
int draft_remove(const struct workspace *w, const char *role, struct err *e);

#endif
