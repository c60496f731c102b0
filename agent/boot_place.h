/* Where a bootloader's variables may stand. */
#ifndef SLUICE_AGENT_BOOT_PLACE_H
#define SLUICE_AGENT_BOOT_PLACE_H

#include "agent/conf.h"
#include "common/base/err.h"

/* ERR_SYSTEM for a file in a file system that is mounted read-write and keeps part of what it holds
 * in a journal or log (ext4, XFS, Btrfs, F2FS): no bootloader replays that, so after a power cut it
 * reads something else than stands there, and what it writes may damage the file system. A
 * partition, flash, and FAT are right; and what is not there is for others to complain about. ext4
 * without a journal cannot be told apart here and is refused, too.
 *
 * Nothing is refused where this machine is not the one that boots from there
 * (boot_kernel_is_here). */
int boot_place_check(const struct conf *c, const char *path, struct err *e);

#endif
