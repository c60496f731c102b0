#include "common/crypto/digest_many.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/num.h"
#include "common/crypto/digest_lanes.h"

#ifdef __x86_64__
#include <cpuid.h>
#if __has_include(<sys/platform/x86.h>)
/* glibc has asked already; the compiler's own way to ask is 4.5 KB of program. */
#include <sys/platform/x86.h>
#define HAS_AVX512F CPU_FEATURE_ACTIVE(AVX512F)
#define HAS_AVX2 CPU_FEATURE_ACTIVE(AVX2)
#else
#define HAS_AVX512F __builtin_cpu_supports("avx512f")
#define HAS_AVX2 __builtin_cpu_supports("avx2")
#endif
#endif

/* Fewer messages than this leave so many lanes empty that nothing is won. */
enum { WORTH_IT = DIGEST_LANES / 2 };

/* What is hashed in the lanes. */
struct work {
	lanes_run *run;
	const struct span *in;
	size_t n, next; /* the first message that is in no lane yet */
	struct digest *out;
	struct lanes lanes;
	struct lane {
		size_t message;
		uint64_t blocks; /* that stand where the lane is */
		bool busy, ending;
		uint8_t end[2 * LANE_BLOCK_BYTES]; /* its last blocks, with the padding */
	} lane[DIGEST_LANES];
	size_t busy;
};

const uint32_t lanes_constants[LANE_ROUNDS] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5,
	0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
	0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152,
	0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
	0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624,
	0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3,
	0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* FIPS 180-4 section 5.3.3. */
static const uint32_t first_state[LANE_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* What runs the lanes here; NULL: nothing does better than libcrypto. */
static lanes_run *run_here;
static pthread_once_t chosen = PTHREAD_ONCE_INIT;

/* FIPS 180-4 section 5.1.1: what is left of the message, a bit, zeros, its length in bits. */
static void
lane_end(struct work *w, size_t i)
{
	struct lane *lane = &w->lane[i];
	size_t len = w->in[lane->message].len, left = len % LANE_BLOCK_BYTES;

	lane->ending = true;
	lane->blocks = left + 1 + 8 <= LANE_BLOCK_BYTES ? 1 : 2;
	memset(lane->end, 0, sizeof(lane->end));
	if (left > 0)
		memcpy(lane->end, w->in[lane->message].data + len - left, left);
	lane->end[left] = 0x80;
	for (size_t byte = 0; byte < 8; byte++)
		lane->end[lane->blocks * LANE_BLOCK_BYTES - 1 - byte] =
			(uint8_t)((uint64_t)len * 8 >> 8 * byte);
	w->lanes.at[i] = lane->end;
}

/* Gives the lane the next message, if there is one. */
static void
lane_begin(struct work *w, size_t i)
{
	struct lane *lane = &w->lane[i];

	lane->busy = lane->ending = false;
	if (w->next == w->n)
		return;
	lane->busy = true;
	lane->message = w->next++;
	lane->blocks = w->in[lane->message].len / LANE_BLOCK_BYTES;
	w->lanes.at[i] = w->in[lane->message].data;
	for (size_t word = 0; word < LANE_WORDS; word++)
		w->lanes.state[word][i] = first_state[word];
	w->busy++;
}

static void
lane_take(struct work *w, size_t i)
{
	uint8_t *out = w->out[w->lane[i].message].b;

	for (size_t word = 0; word < LANE_WORDS; word++) {
		uint32_t value = __builtin_bswap32(w->lanes.state[word][i]);

		memcpy(out + 4 * word, &value, 4);
	}
	w->busy--;
}

/* Where a lane came to the end of its blocks: on to what follows, and then to the next message. */
static void
lane_turn(struct work *w, size_t i)
{
	struct lane *lane = &w->lane[i];

	while (lane->busy && lane->blocks == 0) {
		if (!lane->ending) {
			lane_end(w, i);
			continue;
		}
		lane_take(w, i);
		lane_begin(w, i);
	}
}

/* As many blocks as all lanes have. Those without a message go along with another one's. */
static void
lanes_step(struct work *w)
{
	uint64_t blocks = UINT64_MAX;
	size_t some = 0;

	for (size_t i = 0; i < DIGEST_LANES; i++) {
		if (w->lane[i].busy && w->lane[i].blocks < blocks) {
			blocks = w->lane[i].blocks;
			some = i;
		}
	}
	for (size_t i = 0; i < DIGEST_LANES; i++) {
		if (!w->lane[i].busy)
			w->lanes.at[i] = w->lanes.at[some];
	}
	w->run(&w->lanes, blocks);
	for (size_t i = 0; i < DIGEST_LANES; i++) {
		if (!w->lane[i].busy)
			continue;
		w->lane[i].blocks -= blocks;
		lane_turn(w, i);
	}
}

void
lanes_digest(lanes_run *run, const struct span *in, size_t n, struct digest *out)
{
	struct work w = {.run = run, .in = in, .n = n, .out = out};

	for (size_t i = 0; i < DIGEST_LANES; i++) {
		lane_begin(&w, i);
		lane_turn(&w, i);
	}
	while (w.busy > 0)
		lanes_step(&w);
}

#ifdef __x86_64__
/* What this processor makes of the lanes is believed only where it agrees with libcrypto. */
static bool
is_right(lanes_run *run)
{
	enum { MESSAGES = DIGEST_LANES + 3, STEP_BYTES = 13 };
	uint8_t bytes[MESSAGES * STEP_BYTES];
	struct span in[MESSAGES];
	struct digest out[MESSAGES];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 151 + 7);
	for (size_t i = 0; i < MESSAGES; i++)
		in[i] = span_of(bytes, i * STEP_BYTES);
	lanes_digest(run, in, MESSAGES, out);
	for (size_t i = 0; i < MESSAGES; i++) {
		struct digest one = digest_of(in[i]);

		if (!digest_equal(&one, &out[i]))
			return false;
	}
	return true;
}

/* Instructions for SHA-256, with which libcrypto is as fast (CPUID leaf 7, EBX bit 29). */
static bool
has_sha(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

static void
choose(void)
{
	lanes_run *run = NULL;

	if (HAS_AVX512F)
		run = lanes_run_avx512;
	else if (HAS_AVX2)
		run = lanes_run_avx2;
	if (run && !has_sha() && is_right(run))
		run_here = run;
}
#else
static void
choose(void)
{
}
#endif

void
digest_of_many(const struct span *in, size_t n, struct digest *out)
{
	(void)pthread_once(&chosen, choose);
	if (run_here && n >= WORTH_IT) {
		lanes_digest(run_here, in, n, out);
		return;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = digest_of(in[i]);
}
