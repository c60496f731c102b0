/* The audit: is what is installed still what was signed? Reads every byte of a side past the cache
 * and compares it with the head that was kept of it (shelf.h): an image chunk by chunk, a tree file
 * by file as well.
 *
 * It shows what rots, and what was changed from outside: by a stick, or a mounted disk. Who is root
 * on the running system can have this program say anything. */
#ifndef SLUICE_AGENT_AUDIT_H
#define SLUICE_AGENT_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/box.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "common/crypto/envelope.h"
#include "common/format/report.h"

/* One thing that is not as it was signed. All is borrowed. */
struct audit_difference {
	const char *payload, *slot; /* "rootfs", "rootfs A" */
	const char *path;	    /* in a tree, clean; NULL: of an image */
	const char *what;	    /* "it differs" */
	bool is_chunk;		    /* what follows counts: it is about these bytes */
	uint64_t chunk;		    /* 64 KiB pieces of the image or file, from 0 */
	uint64_t offset, length;    /* in the image or file */
};

/* One line without its end, appended. */
int audit_line(const struct audit_difference *d, struct buf *out, struct err *e);

enum { AUDIT_WHY_SIZE = 512 };

/* A side of the slots that the bootloader switches, or (linked) that the link does. */
struct audit_side {
	bool linked, running;
	enum side side;
	struct release release; /* that it holds, if that is known */
	enum authentic answer;
	uint64_t differences;
	char why[AUDIT_WHY_SIZE]; /* not "yes": the first difference, or why nobody can say */
};

struct audit {
	size_t count;
	struct audit_side sides[2 * SIDES]; /* of each kind what runs comes first */
};

/* Who listens. */
struct audit_ears {
	void *arg;
	void (*differs)(void *arg, const struct audit_side *s, const struct audit_difference *d);
	/* How far it has got with this side; or NULL. */
	void (*looked)(void *arg, const struct audit_side *s, uint64_t done, uint64_t total);
	const struct keep_going *keep_going; /* asked before every piece; or NULL */
	/* Images in slots that are not read_only are not read: what runs may write there, so the
	 * answer is "unknown" at best. By hand they are, and differences shown. */
	bool skip_writable;
};

/* Audits both sides of each kind that the box has, by its state, and takes no lock: a side that is
 * written meanwhile is "unknown". releases is who may sign one; NULL: nobody knows, and no answer
 * is "yes". Fails only by keep_going, or without memory: all else is an answer. */
int audit_run(const struct box *b, const struct role_keys *releases, const struct audit_ears *ears,
	struct audit *out, struct err *e);

/* Of all that runs: "no" where any of it is not authentic, "yes" where all of it is. *first is the
 * side that has it so (borrowed), NULL for "yes" or where nothing runs. The other of what is gone
 * back to. */
enum authentic audit_running(const struct audit *a, const struct audit_side **first);
enum authentic audit_other(const struct audit *a, const struct audit_side **first);

#endif
