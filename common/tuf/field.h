/* The fields of metadata, by type (TUF 1.0.34 sections 4.3 to 4.6): each must be there, of its kind
 * and within limits before a document counts as read. Unknown fields are left alone. */
#ifndef SLUICE_TUF_FIELD_H
#define SLUICE_TUF_FIELD_H

#include "common/base/err.h"
#include "common/base/json.h"
#include "common/tuf/document.h"

/* Checks keys and roles of a root. *keys is a new object with those keys whose id is the SHA-256 of
 * their canonical form; others cannot count towards anything. */
int field_read_root(const json_t *body, json_t **keys, struct err *e);

/* Checks targets and delegations; *keys as above, or NULL without delegations. */
int field_read_targets(const json_t *body, json_t **keys, struct err *e);

/* Checks every entry of meta; `must` has to be one. */
int field_check_metafiles(const json_t *body, const char *must, struct err *e);

int field_read_metafile(const json_t *entry, struct metafile *out, struct err *e);

#endif
