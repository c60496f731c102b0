/* Trees: payloads that go into a folder, file by file.
 *
 * A tree is built beside its place, in PATH.new, checked there by reading everything back, and
 * renamed into place; what an interrupted attempt left in PATH.new is used again as far as it is
 * right. The files of a tree are one address space for the engine, in the order of their list. The
 * files' bytes come as checked chunks, not as an archive, and every path is resolved by the kernel
 * below PATH.new (beneath.h): nothing is written anywhere else. */
#ifndef SLUICE_AGENT_TREE_H
#define SLUICE_AGENT_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/delta.h"
#include "agent/engine.h"
#include "agent/haul.h"
#include "agent/source.h"
#include "common/base/err.h"
#include "common/format/files.h"
#include "common/format/manifest.h"

/* A tree payload's list, in a head that was verified. All borrowed. */
struct tree_list {
	int fd;
	const char *name; /* of the bundle, for messages */
	const struct payload *payload;
	uint64_t offset; /* of the .files member */
};

/* Whether the folder path holds exactly what the list says: names, types, modes, owners, times,
 * extended attributes, links, and every byte of every file, read past the cache. Attributes of the
 * security modules that label by themselves are passed over unless listed. Where it does not, why
 * says what differs first, as ERR_UNTRUSTED where that is a file's bytes. A missing folder is a
 * difference. */
int tree_check(const char *path, const struct tree_list *list, const struct keep_going *keep_going,
	bool *same, struct err *why, struct err *e);

/* Whom a comparison tells. A symbolic or hard link, or a folder, is told in words; the bytes of a
 * file that has its size are for content() to look at: fd is open for reading, and nothing of it is
 * in the cache; offset is where they stand in the payload. */
enum { TREE_ENOUGH = 1 };
struct tree_watch {
	void *arg;
	/* False: that is enough. */
	bool (*differs)(void *arg, const char *path, const char *what);
	/* 0, TREE_ENOUGH, or -1 with e, which ends it. */
	int (*content)(
		void *arg, int fd, const struct tree_entry *t, uint64_t offset, struct err *e);
};

/* The same comparison, telling every difference as it comes; of an entry more than one may be told.
 * *extra is how many entries the folder holds that the list has not (0 where it was enough before).
 * A missing folder is ERR_SYSTEM. */
int tree_compare(const char *path, const struct tree_list *list,
	const struct keep_going *keep_going, const struct tree_watch *watch, uint64_t *extra,
	struct err *e);

/* Calls each for those, by path; it returns false where that is enough. */
int tree_each_extra(const char *path, const struct tree_list *list,
	const struct keep_going *keep_going, bool (*each)(void *arg, const char *path), void *arg,
	struct err *e);

/* What a tree may be made of, besides its bundle. All borrowed. */
struct tree_running {
	const char *path; /* of the folder that runs; files of the same paths are looked at first */
	/* A delta that leads from there; NULL: there is none. Its part for this payload, where its
	 * records come from, and the list of what runs. */
	const struct delta *delta;
	size_t part;
	const struct source *source;
	struct tree_list list;
};

/* Makes PATH.new hold the list, by g (whose place is filled in here), synced. Not yet checked. Of
 * running (or NULL) chunks are taken as far as they are right; a delta's records are fetched.
 */
int tree_build(const char *path, const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, struct err *e);

/* Adds to h what that will come to. Writes nothing, and counts only what is fetched for it: how
 * chunks are stored. */
int tree_haul(const char *path, const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, struct haul *h, struct err *e);

/* Makes chunks that are wrong in g's place out of what runs. Only that is for tree_build(). */
int tree_take(const struct tree_running *running, const struct tree_list *list,
	const struct engine *g, struct wants *wrong, struct err *e);

/* Reads PATH.new's chunks back by g's index: where they are right and the list says otherwise, the
 * bundle contradicts itself. ERR_SYSTEM where they are not. */
int tree_check_chunks(
	const char *path, const struct tree_list *list, const struct engine *g, struct err *e);

/* Puts PATH.new where path is; what was at path is removed first, for nothing boots from it now. A
 * power cut or a stop (keep_going, or NULL) in between leaves PATH.new whole, and building it again
 * costs nothing. */
int tree_swap_in(const char *path, const struct keep_going *keep_going, struct err *e);

/* "PATH.new" into out (PATH_MAX bytes). */
int tree_new_path(const char *path, char *out, struct err *e);

/* Opens a folder, which must not be a link. */
int tree_folder_open(const char *path, int *fd, struct err *e);

/* Whether an extended attribute is part of what a tree is, when the list does not name it. */
bool tree_counts_xattr(const char *name);

/* The regular files below root, in the order of the list, one after the other, as a place. root and
 * list are borrowed. */
struct tree_place;
int tree_place_open(int root, const struct tree_list *list, struct tree_place **out, struct err *e);
void tree_place_close(struct tree_place **p);
struct place tree_place_of(struct tree_place *p);

#endif
