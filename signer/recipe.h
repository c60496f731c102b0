/* A bundle recipe: what people write to say what goes into a bundle.
 *
 *     name: gateway                # the bundle becomes gateway-2.4.0.ota
 *     version: 2.4.0
 *     rollback_index: 4            # raised only when older releases must never run again
 *     compatible: [acme-gw3]
 *     level: 6                     # of zlib, 1 to 9; 6 when not said
 *     payloads:
 *       - {name: rootfs, slot: rootfs, kind: image, source: build/rootfs.ext4}
 *       - {name: app, slot: app, kind: tree, source: build/app}
 *
 * A source is relative to the recipe's folder. */
#ifndef SLUICE_SIGNER_RECIPE_H
#define SLUICE_SIGNER_RECIPE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/format/manifest.h"
#include "common/limits.h"

/* zlib's own default: 9 takes three times as long for half a percent less. */
enum { RECIPE_LEVEL_DEFAULT = 6 };

struct recipe_payload {
	char name[NAME_BYTES_MAX + 1];
	char slot_class[NAME_BYTES_MAX + 1];
	enum payload_kind kind;
	char source[PATH_MAX]; /* with the recipe's folder before it */
};

struct recipe {
	char name[NAME_BYTES_MAX + 1];
	char version[VERSION_BYTES_MAX + 1];
	uint64_t rollback_index;
	size_t compatible_count;
	char compatible[COMPATIBLE_MAX][NAME_BYTES_MAX + 1];
	int level;
	size_t payload_count;
	struct recipe_payload payloads[PAYLOADS_MAX];
};

/* Reads and checks a recipe by the rules of the manifest that it becomes; whether sources exist is
 * seen when they are opened. ERR_MALFORMED "FILE:LINE:COLUMN: ...". *out is large: allocate it. */
int recipe_load(const char *path, struct recipe *out, struct err *e);

/* The same of bytes in memory: path only names them, and says what sources are relative to. */
int recipe_parse(struct span bytes, const char *path, struct recipe *out, struct err *e);

#endif
