#include "common/crypto/random.h"

#include <sodium.h>

#include "common/base/num.h"
#include "common/crypto/secret.h"

void
random_bytes(void *data, size_t len)
{
	secret_ready();
	randombytes_buf(data, len);
}

uint64_t
random_below(uint64_t below)
{
	uint64_t reject, v;

	if (below < 2)
		return 0;
	/* 2^64 mod below: the lowest values, which would make the first remainders likelier. */
	reject = (0 - below) % below;
	do {
		random_bytes(&v, sizeof(v));
	} while (v < reject);
	return v % below;
}

void
random_hex(size_t bytes, char *out)
{
	/* Each pass turns the next bytes into digits, so that any length works without a heap. */
	uint8_t piece[32];

	out[0] = 0;
	for (size_t done = 0; done < bytes;) {
		size_t step = bytes - done < sizeof(piece) ? bytes - done : sizeof(piece);

		random_bytes(piece, step);
		hex_encode(piece, step, out + 2 * done);
		done += step;
	}
}
