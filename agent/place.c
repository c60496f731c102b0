#include "agent/place.h"

#include <errno.h>
#include <string.h>

#include "common/base/num.h"
#include "common/limits.h"

/* Written by nobody, and not const: so they need no room in the file. */
static uint8_t ZEROS[CHUNK_BYTES];

/* What the kernel makes of a medium error, past its cache and through it, and of a checksum that is
 * not right. */
bool
place_is_worn(const struct err *why)
{
	return why->errnum == EIO || why->errnum == ENODATA || why->errnum == EILSEQ ||
	       why->errnum == EREMOTEIO || why->errnum == EBADMSG;
}

int
place_zero_by_writing(
	const struct place *p, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	uint8_t now[CHUNK_BYTES];
	struct err unread;

	for (uint64_t done = 0; done < len;) {
		size_t step = (size_t)num_min(len - done, sizeof(now));

		bool worn = p->read(p->arg, now, step, offset + done, &unread) < 0;

		if (worn && !place_is_worn(&unread)) {
			*e = unread;
			return -1;
		}
		if (worn || memcmp(now, ZEROS, step) != 0) {
			if (p->write(p->arg, ZEROS, step, offset + done, e) < 0)
				return -1;
			*written += step;
		}
		done += step;
	}
	return 0;
}
