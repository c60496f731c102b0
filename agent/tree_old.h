/* A folder that is only read, and may hold anything, as a place: the bytes of the regular files of
 * a list, in its order, one after the other.
 *
 * What is missing there, or is something else, reads as zeros; so does what a file is too short
 * for. Unlike other passes over a place reads may jump: a file is found by marks, one for every 64
 * KiB of the list, which are made as far as anybody has come. Memory: these (16 bytes each), and a
 * window of 128 KiB; one file is open at a time. */
#ifndef SLUICE_AGENT_TREE_OLD_H
#define SLUICE_AGENT_TREE_OLD_H

#include "agent/place.h"
#include "agent/tree.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

/* list, which was gone through before, is borrowed. A folder that cannot be opened has nothing. */
struct tree_old;
int tree_old_open(
	const char *path, const struct tree_list *list, struct tree_old **out, struct err *e);
void tree_old_close(struct tree_old **o);
#define AUTO_TREE_OLD CLEANUP(tree_old_close)

/* It has neither write() nor zero(). Errors of reading are ERR_SYSTEM with the file; ERR_UNTRUSTED
 * where the list is no longer what was gone through. */
struct place tree_old_place(struct tree_old *o);

#endif
