/* Chunks that are cut, for tests of what becomes of them. */
#ifndef SLUICE_TESTS_UNIT_CUTS_SCENE_H
#define SLUICE_TESTS_UNIT_CUTS_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/cuts.h"
#include "common/limits.h"

#define BLOCK ((size_t)HINT_BLOCK_BYTES)

enum { ALL = 0xffff, JUNK = 0xa5, GUARD = 0x5a };

/* A chunk with its cuts, and what they are of. */
struct sample {
	struct chunk c;
	struct cuts cuts;
	uint8_t plain[CHUNK_BYTES], stored[2 * CHUNK_BYTES];
};

static struct sample s;
static uint8_t back[CHUNK_BYTES + 1], lack[2 * CHUNK_BYTES];
static struct deflater *deflater;
static struct inflater *inflater;

static inline int
cuts_setup(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return deflater_new(6, &deflater, &e) < 0 || inflater_new(&inflater, &e) < 0;
}

static inline int
cuts_teardown(void **state)
{
	(void)state;
	deflater_free(&deflater);
	inflater_free(&inflater);
	return 0;
}

/* xorshift: bytes that no compressor makes smaller. */
static inline void
fill_noise(uint8_t *data, size_t len, uint64_t x)
{
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)x;
	}
}

/* Words that come again and again, so that each block needs those before it. */
static inline void
fill_text(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)((size_t) "the quick brown fox"[i % 19] + (i / 300) % 5);
}

/* Text, noise, a block of zeros, and noise that stood before. */
static inline void
fill_mixed(uint8_t *data, size_t len)
{
	fill_text(data, len);
	for (size_t at = 0; at < len; at += BLOCK) {
		size_t n = (size_t)num_min(len - at, BLOCK);

		if (at / BLOCK % 4 == 1)
			fill_noise(data + at, n, 88172645463325252ULL);
		if (at / BLOCK % 4 == 2)
			memset(data + at, 0, n);
	}
}

static inline void
encode(struct sample *out, size_t len)
{
	struct err e = ERR_INIT;
	const uint8_t *data;

	assert_int_equal(chunk_encode_cut(deflater, span_of(out->plain, len), out->stored, &out->c,
				 &data, &out->cuts, &e),
		0);
	if (data != out->stored)
		memcpy(out->stored, data, out->c.stored_size);
}

/* A chunk of six blocks, the last of them short. */
static inline void
encode_mixed(struct sample *out)
{
	fill_mixed(out->plain, 5 * BLOCK + 100);
	encode(out, 5 * BLOCK + 100);
	assert_int_equal(out->c.store, CHUNK_ZLIB);
	assert_int_equal(out->cuts.count, 6);
}

static inline void
encode_raw(struct sample *out)
{
	fill_noise(out->plain, 5 * BLOCK + 100, 7);
	encode(out, 5 * BLOCK + 100);
	assert_int_equal(out->c.store, CHUNK_RAW);
	assert_int_equal(out->cuts.count, 6);
}

/* The stored bytes of the lacking blocks, into lack. */
static inline size_t
gather(const struct sample *p, unsigned lacking)
{
	size_t at = 0, len = 0;

	for (size_t b = 0; b < p->cuts.count; b++) {
		size_t size = p->cuts.cut[b].size;

		if (lacking >> b & 1) {
			memcpy(lack + len, p->stored + at, size);
			len += size;
		}
		at += size;
	}
	return len;
}

/* What a box has: the chunk, but for the lacking blocks. */
static inline void
spoil(const struct sample *p, unsigned lacking)
{
	size_t size = (size_t)p->c.size;

	memcpy(back, p->plain, size);
	for (size_t at = 0; at < size; at += BLOCK) {
		if (lacking >> (at / BLOCK) & 1)
			memset(back + at, JUNK, (size_t)num_min(size - at, BLOCK));
	}
	back[size] = GUARD;
}

static inline int
complete_with(const struct sample *p, unsigned lacking, size_t len, struct err *e)
{
	int got = chunk_complete(inflater, &p->c, &p->cuts, lacking, span_of(lack, len), back, e);

	if (p->c.size <= CHUNK_BYTES)
		assert_int_equal(back[p->c.size], GUARD);
	return got;
}

static inline int
complete(const struct sample *p, unsigned lacking, struct err *e)
{
	spoil(p, lacking);
	return complete_with(p, lacking, gather(p, lacking), e);
}

static inline void
assert_completed(const struct sample *p, unsigned lacking)
{
	struct err e = ERR_INIT;

	if (complete(p, lacking, &e) < 0)
		fail_msg("%x lacking of %u bytes: %s", lacking, (unsigned)p->c.size, e.text);
	assert_memory_equal(back, p->plain, p->c.size);
}

static inline void
assert_all_completed(const struct sample *p)
{
	for (unsigned lacking = 0; lacking < 1U << p->cuts.count; lacking++)
		assert_completed(p, lacking);
}

/* Fills in the digests of what somebody made by hand and signed. */
static inline void
sign(struct sample *p)
{
	cuts_seal(&p->cuts, p->stored);
	p->c.stored = digest_of(span_of(p->stored, p->c.stored_size));
	p->c.plain = digest_of(span_of(p->plain, (size_t)p->c.size));
}

#endif
