/* The chunks of the release that runs, by where they lie in its payload: what a delta says of an
 * old chunk as it stands there needs no reading of the slot to know its digest.
 *
 * Of the index that the shelf kept (shelf.h). In memory are 8 bytes for every 64 of its entries,
 * and the 64 that were looked at last. */
#ifndef SLUICE_AGENT_DELTA_OLD_H
#define SLUICE_AGENT_DELTA_OLD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/head.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/digest.h"

/* The payload of a head that a delta's part is of: one of the same name and kind, of so many bytes.
 * False: there is none. */
bool delta_old_payload(
	const struct head *h, const struct payload *p, uint64_t bytes, size_t *payload);

/* Goes through the index of a payload of a head, which is borrowed. Errors of index.h. */
struct delta_old;
int delta_old_open(const struct head *h, size_t payload, struct delta_old **out, struct err *e);
void delta_old_close(struct delta_old **o);
#define AUTO_DELTA_OLD CLEANUP(delta_old_close)

/* The digest of the chunk of so many bytes that begins at one. *found false: none begins there, or
 * it has another size, or only zeros. */
int delta_old_find(struct delta_old *o, uint64_t at, uint64_t size, struct digest *out, bool *found,
	struct err *e);

#endif
