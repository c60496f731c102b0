/* PAYLOAD.files: what is in a tree, one JSON object a line, in canonical JSON, sorted by path so
 * that a folder comes before what is in it (tree_path_compare).
 *
 *     {"gid":0,"mode":493,"mtime":1760000000,"path":"usr/bin","type":"dir","uid":0}
 *     {...,"path":"usr/bin/a","target":"app","type":"symlink",...}
 *     {...,"path":"usr/bin/app","sha256":"...","size":12345,"type":"file",...}
 *     {...,"path":"usr/bin/b","target":"usr/bin/app","type":"hardlink",...}
 *
 * "xattrs":{"user.x":"lower-case hex of the value"} may stand on any but hard links, and is not
 * empty. Hard links name a file of this list that came before; their mode, owner and time repeat
 * its own. Times are of 1970 to 9999; user and group 4294967295 are refused. No devices, sockets or
 * pipes. */
#ifndef SLUICE_FORMAT_FILES_H
#define SLUICE_FORMAT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/digest.h"
#include "common/format/manifest.h"
#include "common/limits.h"

enum tree_type { TREE_DIR, TREE_FILE, TREE_SYMLINK, TREE_HARDLINK };

struct tree_entry {
	enum tree_type type;
	char path[TREE_PATH_MAX + 1];
	char target[TREE_PATH_MAX + 1]; /* symbolic and hard links */
	uint32_t mode, uid, gid;	/* mode: the 12 permission bits */
	int64_t mtime_s;
	uint64_t size;	      /* files; 0 otherwise */
	struct digest sha256; /* files */
	json_t *xattrs;	      /* object of hexadecimal strings, or NULL; owned by the reader */
};

/* The order of a list: by bytes, but that a slash comes before every other byte, so that all that
 * is in a folder follows it directly ("a", "a/b", "a-b"). Below, at or above 0 like strcmp. */
int tree_path_compare(const char *a, const char *b);

struct files_reader;
void files_close(struct files_reader **r);
#define AUTO_FILES CLEANUP(files_close)

/* A file list in fd at offset, already checked against its digest. fd and p are borrowed. */
int files_open(int fd, const char *name, uint64_t offset, const struct payload *p,
	struct files_reader **out, struct err *e);

/* The next entry, valid until the next call: *more false after the last. Refused: unknown words,
 * lines that files_put would not write, absolute paths, empty, "." or ".." components, paths out of
 * order or twice, control characters, a parent that is not a folder of this list, a hard link to
 * what is not a file before it; sums that do not match the payload at the end. ERR_MALFORMED and
 * ERR_LIMIT name the line. At the end, and before a line is refused, the digest is compared once
 * more: ERR_UNTRUSTED when the file is no longer what was checked. So a walk counts only once it
 * has come to its end. Memory is bounded by the longest line, not by their number, but for files
 * that hard links may name, of which some 16 bytes are kept. */
int files_next(struct files_reader *r, const struct tree_entry **out, bool *more, struct err *e);

/* For whoever looks here and there into a list that was gone through, a line of it (with its
 * newline): how many bytes of the payload it stands for; and the entry, whose xattrs, NULL or the
 * caller's, are replaced. ERR_MALFORMED, ERR_LIMIT. */
uint64_t files_line_bytes(struct span line);
int files_take(struct span line, struct tree_entry *t, struct err *e);

/* Appends the line (with its newline) for an entry. The same rules for the entry by itself:
 * ERR_MALFORMED, ERR_LIMIT. */
int files_put(const struct tree_entry *t, struct buf *out, struct err *e);

#endif
