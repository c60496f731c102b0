/* SHA-256's compression of many messages side by side; a part of digest_many.c.
 *
 * A lane is one message. The two that include this for their processor define LANES_WIDE, how many
 * lanes one of its registers has: the code is the same, in GNU C's vectors. */
#ifndef SLUICE_CRYPTO_DIGEST_LANES_H
#define SLUICE_CRYPTO_DIGEST_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/crypto/digest_many.h"

enum { LANE_BLOCK_BYTES = 64, LANE_WORDS = 8, LANE_ROUNDS = 64 };

/* The state of all lanes, word by word, and the next block of each. */
struct lanes {
	uint32_t state[LANE_WORDS][DIGEST_LANES];
	const uint8_t *at[DIGEST_LANES];
};

/* FIPS 180-4 section 4.2.2. */
extern const uint32_t lanes_constants[LANE_ROUNDS];

/* So many blocks of every lane. Only on a processor that has it. */
typedef void lanes_run(struct lanes *l, uint64_t blocks);
lanes_run lanes_run_avx2, lanes_run_avx512;

/* What digest_of_many() does, by one of these. */
void lanes_digest(lanes_run *run, const struct span *in, size_t n, struct digest *out);

#ifdef LANES_WIDE

#define LANES_INLINE static inline __attribute__((always_inline))
#define LANES_TURN(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* One word of so many lanes. */
typedef uint32_t lanes_vec __attribute__((vector_size(4 * LANES_WIDE)));

/* The block that each lane is at, as big-endian words. Lane by lane: a register that is loaded
 * right behind the words that it is made of waits for them. */
LANES_INLINE void
lanes_load(const uint8_t *const *at, lanes_vec words[16])
{
	uint32_t word[16][LANES_WIDE];

	for (size_t lane = 0; lane < LANES_WIDE; lane++) {
		for (size_t t = 0; t < 16; t++) {
			memcpy(&word[t][lane], at[lane] + 4 * t, 4);
			word[t][lane] = __builtin_bswap32(word[t][lane]);
		}
	}
	memcpy(words, word, sizeof(word));
}

/* The next 16 words of the schedule. Written out 16 times it was 3% faster, and the agent 3 KB
 * larger. */
LANES_INLINE void
lanes_schedule(lanes_vec words[16])
{
#pragma GCC unroll 1
	for (size_t i = 0; i < 16; i++) {
		lanes_vec one = words[(i + 1) % 16], two = words[(i + 14) % 16];

		words[i] += words[(i + 9) % 16] +
			    (LANES_TURN(one, 7) ^ LANES_TURN(one, 18) ^ one >> 3) +
			    (LANES_TURN(two, 17) ^ LANES_TURN(two, 19) ^ two >> 10);
	}
}

/* FIPS 180-4 section 6.2.2; words is overwritten. */
LANES_INLINE void
lanes_compress(lanes_vec state[LANE_WORDS], lanes_vec words[16])
{
	lanes_vec a = state[0], b = state[1], c = state[2], d = state[3];
	lanes_vec e = state[4], f = state[5], g = state[6], h = state[7];

	for (size_t round = 0; round < LANE_ROUNDS; round += 16) {
		if (round > 0)
			lanes_schedule(words);
#pragma GCC unroll 16
		for (size_t i = 0; i < 16; i++) {
			lanes_vec one =
				h + (LANES_TURN(e, 6) ^ LANES_TURN(e, 11) ^ LANES_TURN(e, 25)) +
				((e & f) ^ (~e & g)) + lanes_constants[round + i] + words[i];
			lanes_vec two = (LANES_TURN(a, 2) ^ LANES_TURN(a, 13) ^ LANES_TURN(a, 22)) +
					((a & b) | (c & (a | b)));

			h = g, g = f, f = e, e = d + one;
			d = c, c = b, b = a, a = one + two;
		}
	}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
	state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

/* So many blocks of the LANES_WIDE lanes from first on. */
LANES_INLINE void
lanes_some(struct lanes *l, size_t first, uint64_t blocks)
{
	lanes_vec state[LANE_WORDS], words[16];

	for (size_t i = 0; i < LANE_WORDS; i++)
		memcpy(&state[i], &l->state[i][first], sizeof(state[i]));
	for (uint64_t block = 0; block < blocks; block++) {
		lanes_load(l->at + first, words);
		lanes_compress(state, words);
		for (size_t lane = 0; lane < LANES_WIDE; lane++)
			l->at[first + lane] += LANE_BLOCK_BYTES;
	}
	for (size_t i = 0; i < LANE_WORDS; i++)
		memcpy(&l->state[i][first], &state[i], sizeof(state[i]));
}

#endif
#endif
