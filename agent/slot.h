/* Slots that hold images: a block device, or a file of a fixed size that stands for one. */
#ifndef SLUICE_AGENT_SLOT_H
#define SLUICE_AGENT_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/conf.h"
#include "agent/engine.h"
#include "agent/writeback.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "common/crypto/digest.h"
#include "common/format/manifest.h"

/* An open slot. Its size never changes: a file slot is made once, as large as a partition would be
 * (truncate -s 512M FILE), and what is behind the image in it stays as it is. */
struct slot {
	int fd;
	int direct; /* the same past the kernel's cache, where it is written and can be; or -1 */
	bool block;
	bool holeless;		       /* no holes are made: they read as other bytes than zeros */
	char name[NAME_BYTES_MAX + 8]; /* "rootfs B", for messages */
	uint64_t size;
	struct writeback writeback;
};

#define SLOT_INIT ((struct slot){.fd = -1, .direct = -1})
#define AUTO_SLOT CLEANUP(slot_close)
void slot_close(struct slot *s);

/* Opens one side of a class of type block or file; the path must be of that type. Opening a block
 * device for writing is exclusive, so that one that is mounted is refused (ERR_SYSTEM, EBUSY). */
int slot_open(const struct slot_class *class, enum side side, bool write, struct slot *out,
	struct err *e);

/* ERR_REFUSED when both sides of the class are the same file or device, whatever their paths. */
int slot_check_apart(const struct slot_class *class, struct err *e);

/* Makes what was written last, and forgets what the kernel has cached of it, so that what is read
 * next comes from where it will be read after a power cut. */
int slot_sync(const struct slot *s, struct err *e);

/* The SHA-256 of the slot's first len bytes. ERR_SYSTEM where they cannot be read, or ERR_STOPPED
 * by keep_going (or NULL). */
int slot_digest(const struct slot *s, uint64_t len, const struct keep_going *keep_going,
	struct digest *out, struct err *e);

/* The slot as a place for the engine. s is borrowed. Zeros become holes where the slot can,
 * and is not holeless. Whole
 * blocks of 4 KiB in memory that begins at such a boundary go past the kernel's cache: that takes a
 * third of the time of its processor, and what is read comes from the device. The rest, and all
 * where the slot cannot, goes through it, and is sent on as it grows (writeback.h). */
struct place slot_place(struct slot *s);

#endif
