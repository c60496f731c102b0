/* Chunks: stored bytes that a signed index vouches for and that may still be no zlib stream; gzip
 * files, which packers are given; and hints.
 *
 * Input: 4 bytes plain size, then the bytes. */
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/hints.h"
#include "tests/fuzz/harness.h"

/* In memory of exactly the chunk's size. */
static int
decode_with(int (*new)(struct inflater **, struct err *), const struct chunk *c, struct span stored,
	uint8_t *plain)
{
	struct inflater *i = NULL;
	struct err e = ERR_INIT;
	int rc;

	MUST(new (&i, &e) == 0);
	rc = chunk_decode(i, c, stored, plain, &e);
	inflater_free(&i);
	if (rc < 0)
		fuzz_check_err(&e);
	return rc;
}

/* By libdeflate and by zlib: they take the same. */
static int
decode(const struct chunk *c, struct span stored, uint8_t *plain)
{
	int rc = decode_with(inflater_new_zlib, c, stored, plain);

	MUST(decode_with(inflater_new, c, stored, plain) == rc);
	return rc;
}

/* As an index that somebody signed may have it. */
static void
decode_signed(struct span stored, uint32_t size)
{
	struct chunk c = {.store = stored.len == size ? CHUNK_RAW : CHUNK_ZLIB,
		.stored = digest_of(stored),
		.size = 1 + size % CHUNK_BYTES,
		.stored_size = (uint32_t)stored.len};
	AUTO_FREE uint8_t *plain = malloc((size_t)c.size);

	MUST(plain);
	if (stored.len == 0 || stored.len > CHUNK_STORED_MAX || stored.len > c.size)
		return;
	c.store = stored.len == c.size ? CHUNK_RAW : CHUNK_ZLIB;
	c.plain = c.stored;
	MUST(decode(&c, stored, plain) == 0 || c.store == CHUNK_ZLIB);
	c.stored.b[0] ^= 1;
	MUST(decode(&c, stored, plain) < 0);
}

static void
round_trip(struct span plain)
{
	uint8_t stored[CHUNK_STORED_MAX], hints[HINTS_CHUNK_BYTES];
	AUTO_FREE uint8_t *back = malloc(plain.len);
	struct deflater *d = NULL;
	struct err e = ERR_INIT;
	const uint8_t *data;
	struct chunk c;

	MUST(back);
	if (plain.len == 0 || plain.len > CHUNK_BYTES)
		return;
	MUST(deflater_new(6, &d, &e) == 0);
	MUST(chunk_encode(d, plain, stored, &c, &data, &e) == 0);
	deflater_free(&d);
	MUST(hints_of(plain, hints) == hints_size(plain.len));
	if (c.store == CHUNK_ZERO_RUN)
		return;
	MUST(c.size == plain.len && c.stored_size <= plain.len);
	fuzz_deep();
	MUST(decode(&c, span_of(data, c.stored_size), back) == 0);
	MUST(memcmp(back, plain.data, plain.len) == 0);
}

/* Unpacks with room for so much at a time. Returns the digest of what came out, by *len and *good.
 */
static struct digest
unpack(struct span in, size_t room, uint64_t *len, bool *good)
{
	enum { LEN_MAX = 1 << 18, ROOM_MAX = 4096 };
	struct digest_state *sum = NULL;
	struct gunzip *g = NULL;
	uint8_t out[ROOM_MAX];
	struct err e = ERR_INIT;
	size_t made;

	*len = 0;
	*good = true;
	MUST(gunzip_new(&g, &e) == 0 && digest_begin(&sum, &e) == 0);
	do {
		*good = gunzip_step(g, &in, out, room, &made, &e) == 0;
		if (!*good)
			break;
		MUST(made <= room && (made == room || in.len == 0));
		digest_add(sum, out, made);
		*len += made;
	} while ((in.len > 0 || made == room) && *len < LEN_MAX);
	*good = *good && (*len >= LEN_MAX || gunzip_end(g, &e) == 0);
	gunzip_free(&g);
	return digest_end(&sum);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	uint32_t plain_size = fuzz_take32(&in);
	struct digest whole, pieces;
	uint64_t whole_len, pieces_len;
	bool whole_good, pieces_good;

	decode_signed(in, plain_size);
	round_trip(in);
	whole = unpack(in, 4096, &whole_len, &whole_good);
	pieces = unpack(in, 512, &pieces_len, &pieces_good);
	MUST(whole_good == pieces_good);
	if (whole_good)
		MUST(whole_len == pieces_len && digest_equal(&whole, &pieces));
	return 0;
}
