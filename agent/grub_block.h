/* GRUB's environment: three copies of a GRUB environment block, each in a sector group of its own,
 * as members of a bare tar on a small partition. GRUB finds them by name (tar.mod), loads them
 * (load_env) and, while a side is on trial, counts a try down in place (save_env), which changes
 * one character in one sector. The agent never changes the copy that is in force:
 *
 *     sluice/a, sluice/b   in turn, the older one is written over
 *     sluice/good          which side worked last: written when a side was confirmed or gone back
 *                          to, after that change
 *     sluice/turn          no copy: a count of GRUB's own, for starts where no copy makes sense or
 *                          none lets a side boot (agent/boot/grub.cfg)
 *
 * The copy with the highest sequence number is in force. That is `good` where the newer of the
 * first two is lost: the older may be from before the last change that was settled, and name a side
 * that was written over since.
 *
 * GRUB's block has no checksum. As it is written a copy begins with sluice_seq, ends with the same
 * number in sluice_end, and everything stands between; one in which these two differ, or anything
 * is missing, is torn, and passed over, as is one that cannot be read. Groups are of 4096 bytes,
 * the largest logical sector there is: no write touches two copies. */
#ifndef SLUICE_AGENT_GRUB_BLOCK_H
#define SLUICE_AGENT_GRUB_BLOCK_H

#include "agent/boot.h"
#include "common/base/buf.h"

enum grub_copy { GRUB_COPY_A, GRUB_COPY_B, GRUB_COPY_GOOD, GRUB_COPIES };
enum {
	GRUB_GROUP_BYTES = 4096,
	GRUB_AREA_BYTES = 9 * GRUB_GROUP_BYTES, /* the tar, its end included */
	GRUB_TURN_OFFSET = 7 * GRUB_GROUP_BYTES,
	/* Up to GRUB_SEQ_MAX: GRUB takes a leading 0 for octal. */
	GRUB_SEQ_MIN = 100000000,
};

/* One copy, as it stands on disk. */
struct grub_block {
	uint64_t seq;
	struct boot_vars vars;
};

/* Where a copy's group starts in the area. */
uint64_t grub_copy_offset(enum grub_copy which);

/* Reads it as GRUB's load_env and the checks of grub.cfg do, neither stricter nor more lenient:
 * both have to take the same copy for the one in force. ERR_MALFORMED, saying what is wrong. */
int grub_block_parse(struct span group, struct grub_block *out, struct err *e);
void grub_block_format(const struct grub_block *block, uint8_t out[GRUB_GROUP_BYTES]);

/* GRUB's own count as it begins: save_env writes into a block that is there, and makes none. */
void grub_turn_format(uint8_t out[GRUB_GROUP_BYTES]);

/* The tar around these, which are left blank: a fixed text. */
void grub_area_format(uint8_t out[GRUB_AREA_BYTES]);

#endif
