/* The bundle's manifest: what is in a bundle, as release engineers sign it ("signed" of
 * manifest.json, an envelope):
 *
 *   {"format":1, "requires":[], "name":"gateway", "version":"2.4.0", "rollback_index":4,
 *    "compatible":["acme-gw3"], "zlib":{"version":"1.2.13","level":9},
 *    "payloads":[{"name":"rootfs", "slot":"rootfs", "kind":"image", "size":805306368,
 *                 "sha256":"...", "members":[{"name":"rootfs.index","size":442400,"sha256":"..."},
 *                                            {"name":"rootfs.data","size":...,"sha256":"..."}]}]}
 *
 * Members stand in the order index, files, seals, stored, hints, cuts, data. Every payload has an
 * index, seals and stored (pages.h), and data; a tree has files besides, and an image may have
 * hints (hints.h) and cuts (cuts.h). A tree's sha256 is that of its files member. */
#ifndef SLUICE_FORMAT_MANIFEST_H
#define SLUICE_FORMAT_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/limits.h"

enum payload_kind { PAYLOAD_IMAGE, PAYLOAD_TREE };

/* One file of the tar, by its role within a payload. Its name is PAYLOAD.index and so on. */
enum member_role {
	MEMBER_INDEX,
	MEMBER_FILES,
	MEMBER_SEALS,
	MEMBER_STORED,
	MEMBER_HINTS,
	MEMBER_CUTS,
	MEMBER_DATA,
	MEMBER_ROLES,
	MEMBER_HEAD_ROLES = MEMBER_STORED /* those before it are in the head */
};

struct member {
	bool present;
	uint64_t size;
	struct digest digest;
};

struct payload {
	char name[NAME_BYTES_MAX + 1];
	char slot_class[NAME_BYTES_MAX + 1];
	enum payload_kind kind;
	uint64_t size;	      /* plain bytes */
	struct digest digest; /* image: SHA-256 of its plain bytes; tree: of its .files member */
	struct member members[MEMBER_ROLES];
};

struct manifest {
	uint64_t format;
	char name[NAME_BYTES_MAX + 1];
	char version[VERSION_BYTES_MAX + 1];
	uint64_t rollback_index;
	size_t requires_count;
	char requires[REQUIRES_MAX][NAME_BYTES_MAX + 1];
	size_t compatible_count;
	char compatible[COMPATIBLE_MAX][NAME_BYTES_MAX + 1];
	size_t payload_count;
	struct payload payloads[PAYLOADS_MAX];
	char zlib_version[16];
	uint64_t zlib_level;
};

/* Reads and checks all of it: format 1, no unknown word anywhere, every word of `requires` known to
 * this program (none is yet), names plain and different, at least one compatible and one payload,
 * one payload a slot class, members as the kind needs them, sizes within limits. ERR_MALFORMED or
 * ERR_LIMIT. *out is large: allocate it. */
int manifest_parse(const struct verified *v, struct manifest *out, struct err *e);

/* The "signed" object for a manifest that satisfies the same rules. The caller owns it. */
int manifest_build(const struct manifest *m, json_t **out, struct err *e);

/* Whether the bundle is for a box with this compatible string. */
bool manifest_is_for(const struct manifest *m, const char *compatible);

const char *payload_kind_name(enum payload_kind kind);
const char *member_role_name(enum member_role role); /* "index", "files" and so on */

#endif
