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
	uint64_t skip;	  /* of a 200: bytes before the range still to come */
	uint64_t taken;	  /* bytes handed over */
	uint64_t ignored; /* bytes of an answer that nobody wants */
	bool complete;	  /* all bytes of the range are there: the rest is cut off */
};

/* Whether a status is an answer to the request, and not an error or a redirect. The second makes it
 * an ERR_NETWORK that has the status as its errnum. */
bool reply_status_fits(const struct reply *r, long status);
int reply_check_status(const struct reply *r, long status, struct err *e);

/* Judges the head of an answer whose status fits, before its first body byte is taken. declared is
 * its Content-Length, or -1; content_range may be NULL. ERR_LIMIT for more bytes than are taken,
 * ERR_NETWORK for another range than was asked for, or one that cannot be reached. */
int reply_check_head(
	struct reply *r, long status, int64_t declared, const char *content_range, struct err *e);

/* Of the next len bytes of the body, *skip come before what is wanted and *wanted then are; what is
 * left lies behind the range. ERR_LIMIT when a file has more than was asked for at most. */
int reply_measure(const struct reply *r, size_t len, size_t *skip, size_t *wanted, struct err *e);

/* Counts what was measured, once it is handed over. */
void reply_take(struct reply *r, size_t skip, size_t wanted);

/* Passes over len bytes of an error's or a redirect's body: whether it is short enough to be read
 * to its end, so that the connection lasts. */
bool reply_ignore(struct reply *r, size_t len);

/* Judges the end of an answer whose status fits: ERR_NETWORK when a range is not all there. */
int reply_check_end(const struct reply *r, long status, struct err *e);

#endif
