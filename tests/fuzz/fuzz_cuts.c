/* Chunks that are completed from some of their blocks: records and stored bytes that somebody
 * signed and sealed, and that may still be no cuts and no stream.
 *
 * Input: 4 bytes plain size, 1 byte how it is stored, 2 bytes which blocks are lacking, 2 bytes
 * stored size for each block there is, and the stored bytes of those that are lacking. */
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/cuts.h"
#include "tests/fuzz/harness.h"

/* What a box has, and what it was sent; each in memory of exactly its size. */
struct box {
	struct inflater *inflater;
	struct chunk c;
	struct cuts cuts;
	uint8_t *plain, *first;
};

static size_t
block_size(const struct box *b, size_t block)
{
	return (size_t)num_min(b->c.size - block * HINT_BLOCK_BYTES, HINT_BLOCK_BYTES);
}

/* plain without these blocks. */
static void
spoil(struct box *b, unsigned lacking)
{
	for (size_t i = 0; i < b->cuts.count; i++) {
		if (lacking >> i & 1)
			memset(b->plain + i * HINT_BLOCK_BYTES, 0xa5, block_size(b, i));
	}
}

static int
complete(struct box *b, unsigned lacking, struct span stored, enum err_class *class)
{
	struct err e = ERR_INIT;
	AUTO_FREE uint8_t *exact = malloc(stored.len + 1);
	int rc;

	MUST(exact);
	if (stored.len > 0)
		memcpy(exact, stored.data, stored.len);
	rc = chunk_complete(
		b->inflater, &b->c, &b->cuts, lacking, span_of(exact, stored.len), b->plain, &e);
	if (rc < 0)
		fuzz_check_err(&e);
	*class = rc < 0 ? e.class : ERR_NONE;
	return rc;
}

/* What was completed with all of these lacking is, with any one of them. */
static void
each_alone(struct box *b, unsigned lacking, struct span stored)
{
	enum err_class class;

	for (size_t i = 0; i < b->cuts.count; i++) {
		size_t size = b->cuts.cut[i].size;

		if (!(lacking >> i & 1))
			continue;
		memcpy(b->plain, b->first, (size_t)b->c.size);
		spoil(b, 1U << i);
		MUST(complete(b, 1U << i, span_of(stored.data, size), &class) == 0);
		MUST(memcmp(b->plain, b->first, (size_t)b->c.size) == 0);
		stored = span_of(stored.data + size, stored.len - size);
	}
	MUST(stored.len == 0);
}

/* Seals are of what is there. Whatever comes out, the index says that it is right. */
static void
complete_signed(struct box *b, unsigned lacking, struct span stored)
{
	enum err_class class;
	size_t at = 0;

	for (size_t i = 0; i < b->cuts.count; i++) {
		struct cut *cut = &b->cuts.cut[i];
		struct digest d = digest_of(
			span_of(stored.data + at, (size_t)num_min(cut->size, stored.len - at)));

		if (!(lacking >> i & 1))
			continue;
		memcpy(cut->seal.b, d.b, sizeof(cut->seal.b));
		at += (size_t)num_min(cut->size, stored.len - at);
	}
	MUST(complete(b, lacking, stored, &class) < 0);
	if (class != ERR_UNTRUSTED)
		return;
	b->c.plain = digest_of(span_of(b->plain, (size_t)b->c.size));
	memcpy(b->first, b->plain, (size_t)b->c.size);
	memset(b->plain, 0, (size_t)b->c.size);
	spoil(b, lacking);
	if (complete(b, lacking, stored, &class) < 0)
		return;
	MUST(memcmp(b->first, b->plain, (size_t)b->c.size) == 0);
	fuzz_deep();
	each_alone(b, lacking, stored);
	if (stored.len > 0) {
		b->cuts.cut[0].seal.b[0] ^= 1;
		MUST(!(lacking & 1) || complete(b, lacking, stored, &class) < 0);
	}
}

/* A record as somebody sealed it: what is taken of it is all that it says. */
static void
take_record(struct span in)
{
	struct chunk c = {.store = fuzz_take8(&in) & 1 ? CHUNK_RAW : CHUNK_ZLIB};
	uint8_t record[CUTS_BYTES] = {0}, again[CUTS_BYTES];
	struct err e = ERR_INIT;
	struct seal seal;
	struct cuts cuts;
	uint64_t sum = 0;

	c.size = 1 + fuzz_take32(&in) % CHUNK_BYTES;
	c.stored_size = fuzz_take32(&in) % (CHUNK_STORED_MAX + 1);
	memcpy(record, in.data, (size_t)num_min(in.len, sizeof(record)));
	seal = cuts_record_seal(record);
	if (cuts_take(record, &seal, &c, &cuts, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	for (size_t i = 0; i < cuts.count; i++)
		sum += cuts.cut[i].size;
	MUST(sum == c.stored_size && cuts.count == num_div_up(c.size, HINT_BLOCK_BYTES));
	cuts_put(&cuts, again);
	MUST(memcmp(record, again, sizeof(record)) == 0);
	seal.b[15] ^= 1;
	MUST(cuts_take(record, &seal, &c, &cuts, &e) < 0 && e.class == ERR_UNTRUSTED);
	fuzz_deep();
}

/* What a packer makes of these bytes. */
static void
round_trip(struct box *b, unsigned lacking, struct span plain)
{
	uint8_t stored[CHUNK_STORED_MAX], lack[CHUNK_STORED_MAX];
	struct deflater *d = NULL;
	const uint8_t *data;
	struct err e = ERR_INIT;
	enum err_class class;
	size_t len = 0, at = 0;

	if (plain.len == 0 || plain.len > CHUNK_BYTES)
		return;
	MUST(deflater_new(6, &d, &e) == 0);
	MUST(chunk_encode_cut(d, plain, stored, &b->c, &data, &b->cuts, &e) == 0);
	deflater_free(&d);
	if (b->c.store == CHUNK_ZERO_RUN)
		return;
	for (size_t i = 0; i < b->cuts.count; i++) {
		if (lacking >> i & 1) {
			memcpy(lack + len, data + at, b->cuts.cut[i].size);
			len += b->cuts.cut[i].size;
		}
		at += b->cuts.cut[i].size;
	}
	MUST(at == b->c.stored_size);
	b->plain = malloc(plain.len);
	MUST(b->plain);
	memcpy(b->plain, plain.data, plain.len);
	spoil(b, lacking);
	MUST(complete(b, lacking, span_of(lack, len), &class) == 0);
	MUST(memcmp(b->plain, plain.data, plain.len) == 0);
	free(b->plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct box b = {.c = {.size = 1 + fuzz_take32(&in) % CHUNK_BYTES}};
	struct err e = ERR_INIT;
	unsigned lacking;

	if (in.len == 0)
		in = span_str("");
	take_record(in);
	b.c.store = fuzz_take8(&in) & 1 ? CHUNK_RAW : CHUNK_ZLIB;
	lacking = fuzz_take8(&in);
	lacking |= (unsigned)fuzz_take8(&in) << 8;
	MUST(inflater_new(&b.inflater, &e) == 0);
	round_trip(&(struct box){.inflater = b.inflater}, lacking, in);
	b.cuts.count = (size_t)num_div_up(b.c.size, HINT_BLOCK_BYTES);
	for (size_t i = 0; i < b.cuts.count; i++) {
		b.cuts.cut[i].size = fuzz_take8(&in);
		b.cuts.cut[i].size |= (uint16_t)(fuzz_take8(&in) << 8);
	}
	b.plain = calloc(1, (size_t)b.c.size);
	b.first = malloc((size_t)b.c.size);
	MUST(b.plain && b.first);
	complete_signed(&b, lacking & ((1U << b.cuts.count) - 1), in);
	free(b.plain);
	free(b.first);
	inflater_free(&b.inflater);
	return 0;
}
