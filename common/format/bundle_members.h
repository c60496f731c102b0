/* How the members of a bundle are named and follow each other: for its reader (bundle.c) and for
 * its writer (bundle_write.c), which boxes have no use for, nor for the libraries that it takes. */
#ifndef SLUICE_FORMAT_BUNDLE_MEMBERS_H
#define SLUICE_FORMAT_BUNDLE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/format/manifest.h"

#define BUNDLE_MANIFEST_NAME "manifest.json"

/* Of the header's field; ours are at most 70 bytes. */
enum { BUNDLE_MEMBER_NAME_SIZE = 100 };

void bundle_member_name(
	const struct payload *p, enum member_role role, char out[BUNDLE_MEMBER_NAME_SIZE]);

/* Members by place in the file, the manifest not counted: for every role all payloads. False where
 * the payload has no such member. i is below bundle_places(). */
bool bundle_member_at(const struct manifest *m, size_t i, size_t *payload, enum member_role *role);
size_t bundle_places(const struct manifest *m);

#endif
