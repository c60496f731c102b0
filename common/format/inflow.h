/* Plain bytes out of a deflated stream, as they are asked for: for streams that are read number by
 * number, and were checked by a digest before. */
#ifndef SLUICE_FORMAT_INFLOW_H
#define SLUICE_FORMAT_INFLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"

enum inflow_form { INFLOW_BARE /* RFC 1951 */, INFLOW_ZLIB /* RFC 1950 */ };

/* Gives the next stored bytes, which stay where they are until it is called again; none at the end.
 */
struct inflow_feed {
	int (*more)(void *arg, struct span *out, struct err *e);
	void *arg;
};

struct inflow;
int inflow_new(enum inflow_form form, struct inflow **out, struct err *e);
void inflow_free(struct inflow **f);
#define AUTO_INFLOW CLEANUP(inflow_free)

/* Begins a stream that gives plain_bytes. Where it is not packed, they are the stored ones
 * themselves. What it had before is forgotten. */
int inflow_begin(struct inflow *f, const struct inflow_feed *feed, bool packed,
	uint64_t plain_bytes, struct err *e);

/* Plain bytes that were not taken yet. */
uint64_t inflow_left(const struct inflow *f);

/* The next len bytes, or the next varint (varint.h). ERR_MALFORMED where there are fewer, for a
 * stream that is damaged, and for no varint. */
int inflow_read(struct inflow *f, uint8_t *out, size_t len, struct err *e);
int inflow_varint(struct inflow *f, uint64_t *out, struct err *e);

/* ERR_MALFORMED where plain or stored bytes are left. */
int inflow_end(struct inflow *f, struct err *e);

/* The other way: appends a zlib stream of what is plain, as small as zlib makes it. */
int inflow_pack(struct span plain, struct buf *out, struct err *e);

#endif
