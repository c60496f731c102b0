/* How an answer is judged against what was asked for, without the network that brings it. */
#ifndef SLUICE_AGENT_NET_REPLY_H
#define SLUICE_AGENT_NET_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/wire.h"
#include "common/base/err.h"

struct reply {
	/* What was asked for, as struct wire_message has it. */
	char path[WIRE_TEXT_MAX + 1];
	bool has_range, put, conditional;
	uint64_t offset, len;
	/* What has come. */
	bool whole;	  /* all of the file comes, and not the range */
	uint64_t taken;	  /* bytes handed over */
	uint64_t ignored; /* bytes of an answer that nobody wants */
	bool complete;	  /* all bytes of the range are there: the rest is cut off */
};

/* Whether a status is an answer to the request, and not an error or a redirect. The second makes it
 * an ERR_NETWORK that has the status as its errnum. */
bool reply_status_fits(const struct reply *r, long status);
int reply_check_status(const struct reply *r, long status, struct err *e);

/* What the head of an answer says of its body. */
struct reply_head {
	long status;
	int64_t declared;	      /* Content-Length, or -1 */
	const char *range, *encoding; /* Content-Range and -Encoding, or NULL */
};

/* Judges the head of an answer whose status fits, before its first body byte is taken. ERR_LIMIT
 * for more bytes than are taken; ERR_NETWORK for another range than was asked for, one that the
 * file does not have, or content that was compressed on the way. */
int reply_check_head(struct reply *r, const struct reply_head *head, struct err *e);

/* How many of the next len bytes of the body are wanted; what is left lies behind the range.
 * ERR_LIMIT when a file has more than was asked for at most. */
int reply_measure(const struct reply *r, size_t len, size_t *wanted, struct err *e);

/* Counts what was measured, once it is handed over. */
void reply_take(struct reply *r, size_t wanted);

/* Passes over len bytes of an error's or a redirect's body: whether it is short enough to be read
 * to its end, so that the connection lasts. */
bool reply_ignore(struct reply *r, size_t len);

/* Judges the end of an answer whose status fits: ERR_NETWORK when a range is not all there. */
int reply_check_end(const struct reply *r, long status, struct err *e);

#endif
