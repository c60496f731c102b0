#include "signer/image_kind.h"

#include <string.h>

#include "common/base/num.h"

/* What stands where. */
struct magic {
	enum image_kind kind;
	size_t at, len;
	const char *bytes;
};

static const struct magic magics[] = {
	{IMAGE_SQUASHFS, 0, 4, "hsqs"},
	{IMAGE_EROFS, 1024, 4, "\xe2\xe1\xf5\xe0"},
	{IMAGE_CRAMFS, 0, 4, "\x45\x3d\xcd\x28"},
	{IMAGE_GZIP, 0, 3, "\x1f\x8b\x08"},
	{IMAGE_XZ, 0, 6,
		"\xfd"
		"7zXZ\0"},
	{IMAGE_ZSTD, 0, 4, "\x28\xb5\x2f\xfd"},
	{IMAGE_BZIP2, 0, 3, "BZh"},
	{IMAGE_LZ4, 0, 4, "\x04\x22\x4d\x18"},
	{IMAGE_ZIP, 0, 4, "PK\x03\x04"},
	{IMAGE_KERNEL, 0x202, 4, "HdrS"},
	{IMAGE_EXT4, 1024 + 56, 2, "\x53\xef"},
};

enum image_kind
image_kind_of(struct span begin)
{
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		const struct magic *m = &magics[i];

		if (begin.len >= m->at + m->len &&
			memcmp(begin.data + m->at, m->bytes, m->len) == 0)
			return m->kind;
	}
	return IMAGE_UNKNOWN;
}

const char *
image_kind_name(enum image_kind kind)
{
	static const char *const names[] = {[IMAGE_UNKNOWN] = "image",
		[IMAGE_EXT4] = "ext4",
		[IMAGE_SQUASHFS] = "squashfs",
		[IMAGE_EROFS] = "erofs",
		[IMAGE_CRAMFS] = "cramfs",
		[IMAGE_GZIP] = "gzip",
		[IMAGE_XZ] = "xz",
		[IMAGE_ZSTD] = "zstd",
		[IMAGE_BZIP2] = "bzip2",
		[IMAGE_LZ4] = "lz4",
		[IMAGE_ZIP] = "zip",
		[IMAGE_KERNEL] = "compressed kernel",
		[IMAGE_TREE] = "tree"};

	return names[kind];
}

bool
image_kind_is_compressed(enum image_kind kind)
{
	return kind != IMAGE_UNKNOWN && kind != IMAGE_EXT4 && kind != IMAGE_TREE;
}
