/* What an image is, by its first bytes. */
#ifndef SLUICE_SIGNER_IMAGE_KIND_H
#define SLUICE_SIGNER_IMAGE_KIND_H

#include <stdbool.h>

#include "common/base/buf.h"

enum image_kind {
	IMAGE_UNKNOWN,
	IMAGE_EXT4, /* or ext2, ext3 */
	IMAGE_SQUASHFS,
	IMAGE_EROFS,
	IMAGE_CRAMFS,
	IMAGE_GZIP,
	IMAGE_XZ,
	IMAGE_ZSTD,
	IMAGE_BZIP2,
	IMAGE_LZ4,
	IMAGE_ZIP,
	IMAGE_KERNEL, /* of x86, compressed in itself */
	IMAGE_TREE    /* no image */
};

/* Of an image, or of a file within one: some of its first bytes are enough, 2 KiB for all. */
enum { IMAGE_KIND_BYTES = 2048 };
enum image_kind image_kind_of(struct span begin);

/* "ext4", "gzip"; of what is unknown, "image". */
const char *image_kind_name(enum image_kind kind);

/* Whether a small change in what such a thing was made from changes most of its bytes. */
bool image_kind_is_compressed(enum image_kind kind);

#endif
