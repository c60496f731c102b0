/* Patches, behind the digest that a delta's head gives them: what a signer writes, applied to an
 * old payload of whose bytes nothing is known. The first three bytes say how much it has to make,
 * and in what pieces. */
#include <string.h>

#include "common/format/patch.h"
#include "tests/fuzz/harness.h"

enum { OLD_BYTES = 50000, PIECE_MAX = 4096, GUARD = 0xa5 };

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	uint8_t *p = data;

	(void)arg;
	(void)e;
	MUST(offset <= OLD_BYTES && len <= OLD_BYTES - offset);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((offset + i) * 7 >> 3);
	return 0;
}

static int
apply(struct patch *p, struct span stored, uint64_t bytes, size_t piece, struct err *e)
{
	static const struct patch_old old = {NULL, old_read, OLD_BYTES};
	uint8_t made[PIECE_MAX + 1];

	if (patch_begin(p, stored, &old, bytes, e) < 0)
		return -1;
	while (bytes > 0) {
		size_t n = bytes < piece ? (size_t)bytes : piece;

		made[n] = GUARD;
		if (patch_take(p, made, n, e) < 0)
			return -1;
		MUST(made[n] == GUARD);
		bytes -= n;
	}
	return patch_end(p, e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_PATCH struct patch *p = NULL;
	struct err e = ERR_INIT;
	uint64_t bytes;
	size_t piece;

	if (size < 3)
		return 0;
	bytes = (uint64_t)data[0] << 8 | data[1];
	piece = 1 + (size_t)data[2] * 16;
	MUST(patch_new(&p, &e) == 0);
	/* Whatever became of one, the next is applied as by a new one. */
	for (int round = 0; round < 2; round++) {
		if (apply(p, span_of(data + 3, size - 3), bytes, piece, &e) < 0)
			fuzz_check_err(&e);
		else
			fuzz_deep();
	}
	return 0;
}
