/* Where the bytes of a bundle come from: a file on this box, or ranges over the network. */
#ifndef SLUICE_AGENT_SOURCE_H
#define SLUICE_AGENT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/keep_going.h"

/* Who has a say in bytes that come and that nobody reads. */
struct bill {
	int (*ask)(void *arg, uint64_t bytes, struct err *e);
	void *arg;
};

/* A stream of one range at a time. What it gives was verified by nobody. */
struct source {
	void *arg;
	/* Starts a range; an open one is ended first. */
	int (*open)(void *arg, uint64_t offset, uint64_t len, struct err *e);
	/* Gives 1 to len bytes of the open range, in order; 0 at its end; -1 with e, ERR_NETWORK
	 * when the range broke off (open it again from there). Calls keep_going at least once a
	 * second while it waits, and fails with its error. */
	ssize_t (*read)(void *arg, void *data, size_t len, struct err *e);
	void (*close)(void *arg); /* ends the open range, if any */
	/* So many of the bytes that it gave are not what was signed: from now on it asks somebody
	 * else, as often as there are others for the same bytes (tries: from 0). -1 where there is
	 * nobody (left), and *why stays, or it may ask no more, and *why says so. May be NULL. */
	int (*elsewhere)(void *arg, unsigned tries, uint64_t spoilt, struct err *why);
	/* Names a range that is opened later, behind all that were named before: it may be on its
	 * way by then. False where it has no room for it yet. What is named binds nobody: open()
	 * forgets what does not lie behind the range that it starts. May be NULL. */
	bool (*expect)(void *arg, uint64_t offset, uint64_t len);
	/* Whom to ask before bytes are taken that lie outside every range; ERR_REFUSED where they
	 * may not be. Copied. May be NULL. */
	void (*bill)(void *arg, const struct bill *to);
	/* So many bytes will be asked for in all: -1 where that is more than may be. May be NULL.
	 */
	int (*foresee)(void *arg, uint64_t bytes, struct err *e);
	/* Whether it takes nothing but ranges from now on. While it does, and somebody answers with
	 * all that stands before one as well, read() or open() is ERR_NETWORK, and what has begun
	 * to come is kept for what is opened behind it. Returns whether nobody has yet. May be
	 * NULL. */
	bool (*only_ranges)(void *arg, bool only);
};

/* The same of any source. */
static inline bool
source_only_ranges(const struct source *s, bool only)
{
	return !s->only_ranges || s->only_ranges(s->arg, only);
}

/* A source that reads from an open file. The caller fills in fd and name (for messages), and keeps
 * both and the struct itself as long as the source is in use. */
struct file_source {
	int fd;
	const char *name;
	uint64_t offset, left; /* of the open range */
};
struct source source_file(struct file_source *f);

/* Copies the first len bytes of a source into fd, at 0; name is fd's, for messages. */
int source_copy(const struct source *s, uint64_t len, int fd, const char *name, struct err *e);

#endif
