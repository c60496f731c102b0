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

/* Removes the draft of what is published now: body. Another one stays, for its owner to look at:
 * metadata_load says that it comes too late. */
int draft_forget(const struct workspace *w, const char *role, const json_t *body, struct err *e);

#endif
