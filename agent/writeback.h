/* Keeps a disk busy while a slot is written, so that the sync at its end is short: it can neither
 * be asked to end nor show that it gets ahead (watchdog.h), and on a slow flash with a large memory
 * it would take minutes. */
#ifndef SLUICE_AGENT_WRITEBACK_H
#define SLUICE_AGENT_WRITEBACK_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct writeback {
	uint64_t dirty, from, to;    /* written since: so many bytes, between these */
	uint64_t sent_from, sent_to; /* on its way to the disk */
};

/* After bytes were written to fd, in about the order of their offsets. Now and then sends on what
 * was written, and waits for what was sent before. ERR_SYSTEM: the disk failed. It makes nothing
 * last; fsync() is still the caller's. */
int writeback_add(
	struct writeback *w, int fd, const char *name, uint64_t offset, size_t len, struct err *e);

#endif
