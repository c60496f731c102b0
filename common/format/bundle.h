/* The bundle as a file: an uncompressed GNU tar whose members are all plain files.
 *
 * manifest.json first, then every payload's index, then the trees' file lists, then every seals
 * member: that is the head. Then every stored member, every hints member, every cuts member, and
 * every data member, payloads in the manifest's order each time.
 * Every member has exactly one 512-byte header (GNU tar writes sizes of 8 GiB and more in base 256
 * in the same header), so places follow from sizes: head length = sum over head members of 512 +
 * size rounded up to 512; the rest likewise; two blocks of zeros end the file.
 *
 * Of every header each byte is fixed by the member's name and size: mode 0644, user, group and time
 * 0, no user's or group's name, type '0', the magic "ustar  ". A reader makes the header that must
 * stand there and compares all of it, and the zeros behind each member, so that nothing is in a
 * bundle that its manifest does not list. libarchive writes it; what it wrote is read back. */
#ifndef SLUICE_FORMAT_BUNDLE_H
#define SLUICE_FORMAT_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"
#include "common/crypto/envelope.h"
#include "common/format/manifest.h"

/* Where members are in a bundle file. */
struct bundle_layout {
	uint64_t manifest_offset, manifest_size;
	uint64_t head_size; /* the first byte behind the head */
	uint64_t offset[PAYLOADS_MAX]
		       [MEMBER_ROLES]; /* of the member's content; 0 where not present */
	uint64_t total_size;	       /* the whole file, end blocks included */
};

/* Computes it from a manifest and the size of manifest.json as stored. ERR_LIMIT for a manifest or
 * a head over its limit. */
int bundle_layout(
	const struct manifest *m, uint64_t manifest_size, struct bundle_layout *out, struct err *e);

/* Reads the first member's header and content, which must be manifest.json: bytes that nobody has
 * verified yet, so they go to envelope_verify (or, cut out of a head whose digest was checked, to
 * nothing else but that and manifest_parse). Appends to out. */
int bundle_read_manifest(int fd, const char *name, struct buf *out, struct err *e);

/* Walks the tar headers of the file from the start to its end and compares names, types, order and
 * sizes with what the layout says: unknown, missing, doubled, reordered or link members, bytes
 * behind the end or in the padding are ERR_MALFORMED naming the member. head_only stops behind the
 * head (for a head that came over the network and is all there is). */
int bundle_check_layout(int fd, const char *name, const struct manifest *m,
	const struct bundle_layout *l, bool head_only, struct err *e);

/* Writes what stands between the members of a head: their headers, and zeros for all else, up to
 * the head's end. fd is empty; the members' content is the caller's. */
int bundle_put_headers(int fd, const char *name, const struct manifest *m,
	const struct bundle_layout *l, struct err *e);

/* Checks a payload's member against its size and digest in the manifest: ERR_UNTRUSTED. */
int bundle_check_member(int fd, const char *name, const struct bundle_layout *l,
	const struct manifest *m, size_t payload, enum member_role role, struct err *e);

/* Length and digest of the head of a bundle file: what a TUF target's custom names. */
int bundle_head(
	int fd, const char *name, const struct bundle_layout *l, struct digest *out, struct err *e);

/* Writes a bundle to fd (at 0): the manifest's bytes, and each member's content copied from
 * parts[payload][role] (a descriptor and where in it; the sizes are the manifest's), and reads its
 * layout back: fd is empty, and open for reading and writing. Syncing is the caller's. */
struct bundle_part {
	int fd;
	uint64_t offset;
};
int bundle_write(int fd, const char *name, const struct manifest *m, struct span manifest_json,
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES], struct err *e);

#endif
