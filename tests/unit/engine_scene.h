/* An engine with a place and a source in memory. */
#ifndef SLUICE_TESTS_UNIT_ENGINE_SCENE_H
#define SLUICE_TESTS_UNIT_ENGINE_SCENE_H

#include "tests/unit/payload.h"

#include <errno.h>

#include "agent/engine.h"

/* Seven and a bit chunks: noise, text, zeros, zeros, noise, text, noise, and a short end. */
enum { IMAGE_BYTES = 7 * CHUNK_BYTES + 1234 };
static uint8_t image[IMAGE_BYTES];

/* A place in memory that counts what is written, and stops holding what it is given if told to. */
struct memory_place {
	uint8_t *bytes;
	size_t size; /* 0: IMAGE_BYTES */
	_Atomic uint64_t written;
	bool forgets, fails_to_write;
	int read_errnum; /* 0: it can be read, */
	unsigned worn;	 /* but for these chunks (a bit each) until they are written: */
	int worn_errnum; /* with this */
	_Atomic unsigned reads;
};

/* Whether places may be used by many threads: each test runs both ways. */
static bool shared;

struct bench {
	struct made made;
	int index_fd;
	struct memory_place memory;
	struct memory_source source;
	struct place place;
	struct source as_source;
	struct install_stats stats;
	struct keep_going keep_going;
	unsigned asked, asks_left;
	struct index_reader *index, *scout;
	struct made_stored stored;
};

static inline void
assert_inside(const struct memory_place *m, size_t len, uint64_t offset)
{
	size_t size = m->size ? m->size : IMAGE_BYTES;

	assert_true(offset <= size && len <= size - offset);
}

/* The chunks that a range has a part in, a bit each. */
static inline unsigned
chunks_of(size_t len, uint64_t offset)
{
	unsigned set = 0;

	for (uint64_t at = offset / CHUNK_BYTES; at * CHUNK_BYTES < offset + len && at < 32; at++)
		set |= 1U << at;
	return set;
}

static inline int
place_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	assert_inside(m, len, offset);
	m->reads++;
	if (m->read_errnum)
		return err_sys(e, m->read_errnum, "reading the test's place");
	if (m->worn & chunks_of(len, offset))
		return err_sys(e, m->worn_errnum, "reading the test's place");
	memcpy(data, m->bytes + offset, len);
	return 0;
}

static inline int
place_write(void *arg, const void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	assert_inside(m, len, offset);
	if (m->fails_to_write)
		return err_sys(e, EIO, "writing the test's place");
	if (!m->forgets)
		memcpy(m->bytes + offset, data, len);
	m->written += len;
	if (m->worn)
		m->worn &= ~chunks_of(len, offset);
	return 0;
}

static inline int
place_zero(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	struct memory_place *m = arg;
	struct place p = {m, place_read, place_write, place_zero, shared, NULL};

	*written = 0;
	return place_zero_by_writing(&p, offset, len, written, e);
}

static inline int
ask(void *arg, struct err *e)
{
	struct bench *b = arg;

	b->asked++;
	if (b->asks_left == 0)
		return err_set(e, ERR_STOPPED, "stopped by the test");
	b->asks_left--;
	return 0;
}

static inline void
bench_free(struct bench *b)
{
	index_close(&b->index);
	index_close(&b->scout);
	made_stored_free(&b->stored);
	(void)close(b->index_fd);
	made_free(&b->made);
	free(b->memory.bytes);
}

/* The place holds before. */
static inline void
bench_make_size(struct bench *b, const uint8_t *before, size_t size)
{
	struct err e = ERR_INIT;

	*b = (struct bench){.asks_left = UINT32_MAX};
	made_image(&b->made, "rootfs", "rootfs", span_of(image, size));
	b->index_fd = memory_file(buf_span(&b->made.index));
	b->memory.bytes = malloc(IMAGE_BYTES);
	assert_non_null(b->memory.bytes);
	memcpy(b->memory.bytes, before, IMAGE_BYTES);
	b->source.bytes = buf_span(&b->made.data);
	b->place = (struct place){&b->memory, place_read, place_write, place_zero, shared, NULL};
	b->as_source = memory_source(&b->source);
	b->keep_going = (struct keep_going){ask, b};
	assert_int_equal(index_open(b->index_fd, "index", 0, &b->made.p, &b->index, &e), 0);
	assert_int_equal(index_open(b->index_fd, "index", 0, &b->made.p, &b->scout, &e), 0);
	made_stored_make(&b->stored, &b->made);
	made_stored_bring(&b->stored, b->index);
}

static inline void
bench_make(struct bench *b, const uint8_t *before)
{
	bench_make_size(b, before, IMAGE_BYTES);
}

static inline struct engine
bench_engine(struct bench *b)
{
	return (struct engine){.place = &b->place,
		.index = b->index,
		.scout = b->scout,
		.source = &b->as_source,
		.stored = b->stored.stored,
		.keep_going = &b->keep_going,
		.stats = &b->stats};
}

static inline int
bench_fill(struct bench *b, bool *changed, struct err *e)
{
	AUTO_WANTS struct wants *wanted = NULL;
	struct engine g = bench_engine(b);

	*e = ERR_INIT;
	if (engine_fill(&g, &wanted, e) < 0)
		return -1;
	*changed = wants_count(wanted) > 0;
	return 0;
}

static inline void
assert_equal_and_checked(struct bench *b)
{
	struct engine g = bench_engine(b);
	struct err e = ERR_INIT;

	assert_memory_equal(b->memory.bytes, image, IMAGE_BYTES);
	assert_int_equal(engine_check(&g, NULL, NULL, &e), 0);
}

static inline int
make_image(void **state)
{
	(void)state;
	noise(image, CHUNK_BYTES, 1);
	memset(image + CHUNK_BYTES, 't', CHUNK_BYTES);
	noise(image + 4 * CHUNK_BYTES, CHUNK_BYTES, 2);
	memset(image + 5 * CHUNK_BYTES, 'u', CHUNK_BYTES);
	noise(image + 6 * CHUNK_BYTES, CHUNK_BYTES, 3);
	memset(image + 7 * CHUNK_BYTES, 0, 1234);
	image[7 * CHUNK_BYTES + 1233] = 1;
	return 0;
}

static inline uint8_t *
other_bytes(void)
{
	uint8_t *before = malloc(IMAGE_BYTES);

	assert_non_null(before);
	memset(before, 0xee, IMAGE_BYTES);
	return before;
}

/* Runs the tests twice: with places for one thread at a time, and for many. */
static inline int
run_both_ways(const char *name, const struct CMUnitTest *tests, size_t n)
{
	int failed = 0;

	for (int i = 0; i < 2; i++) {
		shared = i;
		failed += _cmocka_run_group_tests(name, tests, n, make_image, NULL);
	}
	return failed;
}

#endif
