#include "common/format/cuts.h"

#include <string.h>

#include "common/base/num.h"
#include "common/crypto/digest_many.h"

void
cuts_seal(struct cuts *cuts, const uint8_t *stored)
{
	struct span in[CHUNK_BLOCKS] = {{0}};
	struct digest digests[CHUNK_BLOCKS];
	size_t at = 0;

	for (size_t i = 0; i < cuts->count; i++) {
		in[i] = span_of(stored + at, cuts->cut[i].size);
		at += cuts->cut[i].size;
	}
	digest_of_many(in, cuts->count, digests);
	for (size_t i = 0; i < cuts->count; i++)
		cuts->cut[i].seal = seal_of_digest(&digests[i]);
}

void
cuts_put(const struct cuts *cuts, uint8_t out[CUTS_BYTES])
{
	memset(out, 0, CUTS_BYTES);
	for (size_t i = 0; cuts && i < cuts->count; i++) {
		num_put_le16(out + i * CUT_BYTES, cuts->cut[i].size);
		memcpy(out + i * CUT_BYTES + 2, cuts->cut[i].seal.b, SEAL_BYTES);
	}
}

struct seal
cuts_record_seal(const uint8_t record[CUTS_BYTES])
{
	static const uint8_t run[CUTS_BYTES];

	if (memcmp(record, run, CUTS_BYTES) == 0)
		return (struct seal){{0}};
	return seal_of(span_of(record, CUTS_BYTES));
}

/* What a raw chunk has as its block. */
static uint64_t
block_bytes(const struct chunk *c, size_t block)
{
	return num_min(c->size - block * HINT_BLOCK_BYTES, HINT_BLOCK_BYTES);
}

static int
cuts_check(const struct cuts *cuts, const struct chunk *c, struct err *e)
{
	uint64_t stored = 0;

	for (size_t i = 0; i < cuts->count; i++) {
		uint16_t size = cuts->cut[i].size;

		if (size == 0 || (c->store == CHUNK_RAW && size != block_bytes(c, i)))
			return err_set(e, ERR_MALFORMED, "a chunk's block %zu has %u stored bytes",
				i, size);
		stored += size;
	}
	if (stored != c->stored_size)
		return err_set(e, ERR_MALFORMED, "a chunk's blocks are %llu bytes, and it has %u",
			(unsigned long long)stored, c->stored_size);
	return 0;
}

int
cuts_take(const uint8_t record[CUTS_BYTES], const struct seal *seal, const struct chunk *c,
	struct cuts *out, struct err *e)
{
	struct seal got = cuts_record_seal(record);
	struct cuts cuts = {.count = (size_t)num_div_up(c->size, HINT_BLOCK_BYTES)};
	uint8_t again[CUTS_BYTES];

	if (!seal_equal(&got, seal))
		return err_set(e, ERR_UNTRUSTED, "a chunk's cuts are not those that were sealed");
	if (c->store == CHUNK_UNKNOWN)
		return err_set(e, ERR_MALFORMED, "a chunk that is stored nobody knows how");
	if (c->store == CHUNK_ZERO_RUN || cuts.count > CHUNK_BLOCKS)
		return err_set(e, ERR_MALFORMED, "a run of zeros has no cuts");
	for (size_t i = 0; i < cuts.count; i++) {
		cuts.cut[i].size = num_get_le16(record + i * CUT_BYTES);
		memcpy(cuts.cut[i].seal.b, record + i * CUT_BYTES + 2, SEAL_BYTES);
	}
	cuts_put(&cuts, again);
	if (memcmp(again, record, CUTS_BYTES) != 0)
		return err_set(e, ERR_MALFORMED, "cuts for blocks that a chunk has not");
	if (cuts_check(&cuts, c, e) < 0)
		return -1;
	*out = cuts;
	return 0;
}

bool
cut_is(const struct cut *cut, struct span stored)
{
	struct seal is = seal_of(stored);

	return stored.len == cut->size && seal_equal(&is, &cut->seal);
}
