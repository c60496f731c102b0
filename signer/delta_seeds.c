#include "signer/delta_seeds.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/num.h"
#include "signer/in_order.h"

enum {
	SEED_BYTES = 32,
	SEED_EVERY_BITS = 5, /* a place in 32 is kept */
	BUCKET_SEEDS = 8,    /* a cache line */
	BUCKET_SHARE = 5,    /* of these are filled on average */
	SAME_PLACES = 3,     /* a seed with more places than these is everywhere */
	PLACE_BITS = 40,     /* PAYLOAD_BYTES_MAX */
	BUCKET_BITS = 30,    /* of a hash; with the number of buckets 64 at most */
	SLICE_BYTES = 256 * 1024,
	SLICE_SEEDS = SLICE_BYTES / 8 /* four times as many as usual */
};

struct seed {
	uint64_t hash, at;
};

struct slice {
	size_t count;
	struct seed seeds[SLICE_SEEDS];
};

/* Place + 1, and bits of the hash above it; 0: nothing. */
struct bucket {
	uint64_t seeds[BUCKET_SEEDS];
};

struct delta_seeds {
	struct span old;
	uint64_t count;
	struct bucket *buckets;
	struct slice *slices; /* while it is made */
	size_t ahead;
	uint32_t gear[256];
};

void
delta_seeds_free(struct delta_seeds **slot)
{
	struct delta_seeds *s = *slot;

	if (!s)
		return;
	if (s->buckets)
		(void)munmap(s->buckets, s->count * sizeof(*s->buckets));
	free(s->slices);
	free(s);
}

static uint64_t
mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}

static uint64_t
seed_hash(const uint8_t *seed)
{
	uint64_t words[SEED_BYTES / 8], hash = 0;

	memcpy(words, seed, sizeof(words));
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		hash = mix(hash + words[i] + 0x9e3779b97f4a7c15);
	return hash;
}

/* The places of a run of one byte are all alike. */
static bool
is_run(const uint8_t *seed)
{
	return memcmp(seed, seed + 1, SEED_BYTES - 1) == 0;
}

/* The next place from *at on that is kept, where a seed ends: *rolled is made of the 32 bytes
 * before *at. False at the end. */
static inline bool
next_place(const struct delta_seeds *s, struct span bytes, size_t *at, uint32_t *rolled)
{
	uint32_t hash = *rolled;
	size_t i = *at;

	while (i < bytes.len) {
		hash = (hash << 1) + s->gear[bytes.data[i++]];
		if (hash >> (32 - SEED_EVERY_BITS) == 0 && i >= SEED_BYTES &&
			!is_run(bytes.data + i - SEED_BYTES)) {
			*at = i;
			*rolled = hash;
			return true;
		}
	}
	return false;
}

/* Seeds that begin in a slice may end in the next one. */
static int
look_through(void *arg, void *own, uint64_t number, struct err *e)
{
	const struct delta_seeds *s = arg;
	struct slice *slice = &s->slices[number % s->ahead];
	uint64_t from = number * SLICE_BYTES,
		 len = num_min(s->old.len - from, SLICE_BYTES + SEED_BYTES - 1);
	struct span bytes = span_of(s->old.data + from, (size_t)len);
	uint32_t rolled = 0;

	(void)own;
	(void)e;
	slice->count = 0;
	if (span_is_zero(bytes))
		return 0;
	for (size_t at = 0; slice->count < SLICE_SEEDS && next_place(s, bytes, &at, &rolled);) {
		size_t begin = at - SEED_BYTES;

		slice->seeds[slice->count++] =
			(struct seed){seed_hash(bytes.data + begin), from + begin};
	}
	return 0;
}

static struct bucket *
bucket_of(const struct delta_seeds *s, uint64_t hash)
{
	return &s->buckets[(hash >> (64 - BUCKET_BITS)) * s->count >> BUCKET_BITS];
}

static bool
same_bits(uint64_t kept, uint64_t hash)
{
	return kept > 0 && kept >> PLACE_BITS == (hash & ((1 << (64 - PLACE_BITS)) - 1));
}

/* One more than SAME_PLACES are kept, which says that it is everywhere. */
static void
bucket_put(struct bucket *b, const struct seed *seed)
{
	int same = 0;

	for (size_t i = 0; i < BUCKET_SEEDS && same <= SAME_PLACES; i++) {
		if (b->seeds[i] == 0) {
			b->seeds[i] = seed->hash << PLACE_BITS | (seed->at + 1);
			return;
		}
		same += same_bits(b->seeds[i], seed->hash);
	}
}

static int
keep_slice(void *arg, uint64_t number, struct err *e)
{
	enum { AHEAD = 16 };
	struct delta_seeds *s = arg;
	const struct slice *slice = &s->slices[number % s->ahead];

	(void)e;
	for (size_t i = 0; i < slice->count; i++) {
		if (i + AHEAD < slice->count)
			__builtin_prefetch(bucket_of(s, slice->seeds[i + AHEAD].hash), 1);
		bucket_put(bucket_of(s, slice->seeds[i].hash), &slice->seeds[i]);
	}
	return 0;
}

/* Memory that is zeros, and in large pages where there are any: it is looked at all over. */
static int
buckets_new(struct delta_seeds *s, uint64_t about, struct err *e)
{
	void *map;

	s->count = about / ((1 << SEED_EVERY_BITS) * BUCKET_SHARE) + 1;
	map = mmap(NULL, s->count * sizeof(*s->buckets), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return err_sys(e, errno, "looking through old bytes");
	(void)madvise(map, s->count * sizeof(*s->buckets), MADV_HUGEPAGE);
	s->buckets = map;
	return 0;
}

int
delta_seeds_new(
	struct span old, uint64_t about, unsigned threads, struct delta_seeds **out, struct err *e)
{
	AUTO_DELTA_SEEDS struct delta_seeds *s = calloc(1, sizeof(*s));
	struct in_order slices = {.threads = threads,
		.count = num_div_up(old.len, SLICE_BYTES),
		.ahead = in_order_ahead(threads),
		.work = look_through,
		.take = keep_slice,
		.arg = s};

	if (!s)
		return err_sys(e, ENOMEM, "looking through old bytes");
	s->old = old;
	s->ahead = slices.ahead;
	for (uint64_t i = 0; i < ARRAY_LEN(s->gear); i++)
		s->gear[i] = (uint32_t)mix(i + 1);
	s->slices = calloc(s->ahead, sizeof(*s->slices));
	if (!s->slices)
		return err_sys(e, ENOMEM, "looking through old bytes");
	if (buckets_new(s, about, e) < 0 || in_order_run(&slices, e) < 0)
		return -1;
	free(TAKE_PTR(s->slices));
	*out = TAKE_PTR(s);
	return 0;
}

void
delta_seeds_each(const struct delta_seeds *s, struct span fresh,
	void (*found)(void *arg, size_t at, uint64_t old_at), void *arg)
{
	uint32_t rolled = 0;

	for (size_t at = 0; next_place(s, fresh, &at, &rolled);) {
		size_t begin = at - SEED_BYTES, n = 0;
		uint64_t hash = seed_hash(fresh.data + begin), places[BUCKET_SEEDS];
		const struct bucket *b = bucket_of(s, hash);

		for (size_t i = 0; i < BUCKET_SEEDS; i++) {
			if (same_bits(b->seeds[i], hash))
				places[n++] = (b->seeds[i] & ((1ULL << PLACE_BITS) - 1)) - 1;
		}
		for (size_t i = 0; n <= SAME_PLACES && i < n; i++)
			found(arg, begin, places[i]);
	}
}
