/* A tree that is packed: a folder, or a tarball of any compression that libarchive reads, as a
 * sorted list of what is in it. Owners, modes, times to the second, extended attributes, symbolic
 * and hard links are kept; the root folder itself is not part of the list. */
#ifndef SLUICE_SIGNER_TREE_H
#define SLUICE_SIGNER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/format/files.h"

struct tree_item {
	enum tree_type type;
	uint32_t mode, uid, gid; /* mode: the 12 permission bits */
	int64_t mtime_s;
	uint64_t size;	   /* files */
	uint64_t offset;   /* files of a tarball: where in its spool */
	uint64_t dev, ino; /* names of one file have both in common */
	unsigned long nlink;
	char *path, *target; /* target: symbolic links; hard links from the first name on */
	json_t *xattrs;	     /* or NULL */
};

struct tree {
	const char *source; /* borrowed */
	int spool;	    /* a tarball's files, back to back, in a file without a name; or -1 */
	struct tree_item **items;
	size_t count, capacity;
	uint64_t size; /* of all files together */
};

void tree_free(struct tree *t);
#define AUTO_TREE CLEANUP(tree_free)

/* Lists source (borrowed), sorted as PAYLOAD.files is. A tarball's files go through a file without
 * a name in the folder scratch; memory grows with the number of files (up to TREE_FILES_MAX), not
 * with their sizes. Refused by name: devices, sockets and pipes; ACLs; names that are no UTF-8,
 * hold control characters or are too long; in tarballs also absolute paths, "..", and a name twice.
 * Folders that a tarball leaves out become 0755 root at time 0; tarballs one after the other in one
 * file count as one. */
int tree_open(const char *source, const char *scratch, struct tree *out, struct err *e);

/* The content of a file of the tree, *offset its start in *fd, which the caller closes. */
int tree_file_open(const struct tree *t, const struct tree_item *item, int *fd, uint64_t *offset,
	struct err *e);

/* For a folder: whether the file that was read is as long as when it was listed. ERR_MALFORMED. */
int tree_file_check(const struct tree *t, const struct tree_item *item, int fd, struct err *e);

/* For the two that fill a tree: a new item (owned by the tree), its path checked; and what comes
 * once all are there. */
int tree_add(struct tree *t, const char *path, struct tree_item **out, struct err *e);
int tree_scan_folder(struct tree *t, struct err *e);
int tree_scan_tarball(struct tree *t, const char *scratch, struct err *e);

/* Adds one extended attribute. ACLs (which the box does not restore) are ERR_REFUSED; other
 * "system." names are the file system's own and are passed over. */
int tree_add_xattr(const struct tree *t, struct tree_item *item, const char *name,
	const void *value, size_t len, struct err *e);

#endif
