/* Target paths: what a delegation covers, and names as parts of a URL. */
#ifndef SLUICE_TUF_PATH_H
#define SLUICE_TUF_PATH_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"

/* Whether a PATHPATTERN (TUF 1.0.34 section 4.5) matches path: '*', '?' and "[a-z]" or "[!a-z]"
 * stand for bytes other than '/'. Time is bounded by the product of both lengths. */
bool path_matches(const char *pattern, const char *path);

/* Whether a delegation (checked by document_read) covers path, by "paths" or by
 * "path_hash_prefixes"; hex is the path's SHA-256. */
bool path_is_delegated(const json_t *delegation, const char *path, const char *hex);

/* Appends text with all but A-Z a-z 0-9 - . _ ~ (and '/' where keep_slash) as %XX. */
int path_quote(const char *text, bool keep_slash, struct buf *out, struct err *e);

#endif
