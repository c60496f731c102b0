/* What is in a payload, by byte: which file of a tree, or of an ext4 image, each of its bytes
 * belongs to.
 *
 * A list of extents, which are in order and leave nothing out. An image that is no ext4, or one
 * that is damaged, is one extent of OWNER_IMAGE. Memory is some 40 bytes an extent, and each path.
 * Nothing here is trusted: a payload may say of itself what it likes, and costs its own names. */
#ifndef SLUICE_SIGNER_CONTENTS_H
#define SLUICE_SIGNER_CONTENTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/bundle_file.h"
#include "signer/image_kind.h"
#include "signer/unpacked.h"

enum owner_kind {
	OWNER_IMAGE,	/* all of an image whose files nobody knows */
	OWNER_METADATA, /* of a file system: tables, bitmaps, the journal, attributes */
	OWNER_FREE,	/* blocks that no file has */
	OWNER_FILE,	/* symbolic links, too */
	OWNER_FOLDER
};

/* The first three are always there, under these numbers; files and folders follow. */
enum { OWNERS_FIXED = 3 };

struct owner {
	enum owner_kind kind;
	uint32_t path;	 /* where its path begins in paths */
	uint64_t size;	 /* bytes of its extents */
	uint64_t length; /* of a file: its own bytes, whatever its blocks are */
	uint64_t first;	 /* where its own first byte is in the payload; UINT64_MAX: nowhere */
	uint64_t times;	 /* of a file system's inode: a number that other times change; or 0 */
};

struct extent {
	uint64_t at, size;
	uint64_t within; /* where that is in the file */
	uint32_t owner;
};

struct contents {
	enum image_kind kind;
	uint64_t size;
	char why[ERR_TEXT_SIZE]; /* of an ext4 image: why it has no files; "" where it has */
	struct owner *owners;
	size_t owner_count, owner_room;
	struct extent *extents;
	size_t extent_count, extent_room;
	struct buf paths;
	uint32_t *by_path; /* owners with a path, sorted by it */
	size_t path_count;
};

#define CONTENTS_INIT ((struct contents){.paths = BUF_INIT(CONTENTS_PATHS_MAX)})

void contents_free(struct contents *c);
#define AUTO_CONTENTS CLEANUP(contents_free)

/* Of a payload that was unpacked from b. What is wrong within an image is no error: then it has no
 * files, and why says so. ERR_MALFORMED or ERR_UNTRUSTED for a tree's list of files. */
int contents_of(const struct bundle_file *b, size_t payload, const struct unpacked *u,
	struct contents *out, struct err *e);

/* The same of an image. */
int contents_of_image(const struct unpacked *u, struct contents *out, struct err *e);

/* "/usr/bin/app" in an image, "usr/bin/app" in a tree; words in brackets for what is no file.
 * Lives as long as c. */
const char *contents_path(const struct contents *c, uint32_t owner);

/* The extent that has this byte, which is below c->size. */
const struct extent *contents_at(const struct contents *c, uint64_t at);

/* The file or folder with this path, or NULL. */
const struct owner *contents_find(const struct contents *c, const char *path);

/* Appends a file's own bytes, as far as extents have them; what they leave out before their end are
 * zeros. ERR_LIMIT where out has no room for them. */
int contents_read(const struct contents *c, const struct unpacked *u, uint32_t owner,
	struct buf *out, struct err *e);

/* For those who know a kind of contents: adds an owner without a path, gives it one, and adds
 * extents in any order. ERR_LIMIT. */
int contents_add_owner(struct contents *c, enum owner_kind kind, uint32_t *number, struct err *e);
int contents_name(struct contents *c, uint32_t owner, const char *path, struct err *e);
int contents_add(struct contents *c, const struct extent *x, struct err *e);

/* Then brings them into order, so that the rules above hold: where two overlap the one that begins
 * first has the bytes. fill adds extents for what nobody has. */
int contents_settle(struct contents *c,
	int (*fill)(void *arg, struct contents *c, uint64_t at, uint64_t size, struct err *e),
	void *arg, struct err *e);

#endif
