/* One image, two slots in memory, and a bundle with hints: for tests of what is taken from the box.
 */
#ifndef SLUICE_TESTS_UNIT_REUSE_SCENE_H
#define SLUICE_TESTS_UNIT_REUSE_SCENE_H

#include "tests/unit/folder.h"
#include "tests/unit/payload.h"

#include <errno.h>

#include "agent/reuse.h"
#include "common/format/hints.h"

/* Noise, so that no block is like another, but for one chunk that is stored as next to nothing, and
 * one with some blocks of zeros, and one that has the blocks of two others. Most tests take the
 * first forty chunks. */
enum { CHUNKS = 40, IMAGE_BYTES = CHUNKS * CHUNK_BYTES, BLOCK = HINT_BLOCK_BYTES };
enum { MANY_BYTES = 8 * IMAGE_BYTES, TEXT_CHUNK = 20, HOLED_CHUNK = 7, TWIN_CHUNK = 13 };
static uint8_t image[MANY_BYTES];

struct memory_place {
	uint8_t *bytes;
	uint64_t size, written, read;
	uint64_t bad_from, bad_to; /* cannot be read */
	bool constant;		   /* nobody writes to it */
};

struct bench {
	const struct made *made;
	struct buf bundle; /* hints, then cuts, then data */
	int index_fd;
	struct memory_place running, inactive;
	struct memory_source source;
	struct place running_place, place;
	struct source as_source;
	struct install_stats stats;
	struct keep_going keep_going;
	unsigned asked, asks_left;
	struct index_reader *index, *scout;
	struct made_stored stored;
	struct wants *wrong;
	struct reuse *found;
	struct engine g;
	struct reuse_job j;
	bool no_hints, cuts; /* whether the bundle is said to have some */
	const char *state_dir;
	uint64_t spoil_at; /* of the running slot, after the look; 0: nowhere */
	bool spoil_all;	   /* or all of it */
};

static inline int
place_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	assert_true(offset <= m->size && len <= m->size - offset);
	if (offset < m->bad_to && offset + len > m->bad_from)
		return err_sys(e, EIO, "a bad sector");
	memcpy(data, m->bytes + offset, len);
	m->read += len;
	return 0;
}

static inline int
place_write(void *arg, const void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	(void)e;
	assert_false(m->constant);
	assert_true(offset <= m->size && len <= m->size - offset);
	memcpy(m->bytes + offset, data, len);
	m->written += len;
	return 0;
}

static inline int
place_zero(void *arg, uint64_t offset, uint64_t len, uint64_t *written, struct err *e)
{
	struct place p = {arg, place_read, place_write, place_zero, false, NULL};

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
	reuse_free(&b->found);
	wants_free(&b->wrong);
	index_close(&b->index);
	index_close(&b->scout);
	(void)close(b->index_fd);
	made_stored_free(&b->stored);
	buf_free(&b->bundle);
	free(b->running.bytes);
	free(b->inactive.bytes);
}

/* Packing takes longer than all else here, and so many bytes of the image are always the same. */
static inline const struct made *
packed(size_t size)
{
	static struct made made[16];

	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		if (made[i].p.size == size)
			return &made[i];
		if (made[i].p.size > 0)
			continue;
		made_image(&made[i], "rootfs", "rootfs", span_of(image, size));
		return &made[i];
	}
	fail_msg("too many sizes");
	return NULL;
}

static inline void
memory_make(struct memory_place *m, uint64_t size)
{
	*m = (struct memory_place){.bytes = calloc(1, size), .size = size};
	assert_non_null(m->bytes);
}

/* Both slots are empty. */
static inline void
bench_make_size(struct bench *b, size_t size)
{
	struct err e = ERR_INIT;

	*b = (struct bench){.asks_left = UINT32_MAX, .bundle = BUF_INIT(1 << 28)};
	b->made = packed(size);
	for (size_t at = 0; at < size; at += CHUNK_BYTES) {
		uint8_t hints[HINTS_CHUNK_BYTES];
		size_t n = hints_of(
			span_of(image + at, (size_t)num_min(size - at, CHUNK_BYTES)), hints);

		assert_int_equal(buf_append(&b->bundle, hints, n, &e), 0);
	}
	b->j.cuts_offset = b->bundle.len;
	assert_int_equal(buf_append(&b->bundle, b->made->cuts.data, b->made->cuts.len, &e), 0);
	b->g.data_offset = b->bundle.len;
	assert_int_equal(buf_append(&b->bundle, b->made->data.data, b->made->data.len, &e), 0);
	b->index_fd = memory_file(buf_span(&b->made->index));
	memory_make(&b->running, size);
	memory_make(&b->inactive, size);
	b->running.constant = true;
	b->source.bytes = buf_span(&b->bundle);
	b->place = (struct place){&b->inactive, place_read, place_write, place_zero, false, NULL};
	b->running_place =
		(struct place){&b->running, place_read, place_write, place_zero, false, NULL};
	b->as_source = memory_source(&b->source);
	b->keep_going = (struct keep_going){ask, b};
	assert_int_equal(index_open(b->index_fd, "index", 0, &b->made->p, &b->index, &e), 0);
	assert_int_equal(index_open(b->index_fd, "index", 0, &b->made->p, &b->scout, &e), 0);
	made_stored_make(&b->stored, b->made);
}

static inline void
bench_make(struct bench *b)
{
	bench_make_size(b, IMAGE_BYTES);
}

/* Looks, and writes what was found. */
static inline int
bench_take(struct bench *b, struct err *e)
{

	*e = ERR_INIT;
	reuse_free(&b->found);
	wants_free(&b->wrong);
	b->g.place = &b->place;
	b->g.index = b->index;
	b->g.scout = b->scout;
	b->g.source = &b->as_source;
	b->g.stored = b->stored.stored;
	b->g.keep_going = &b->keep_going;
	b->g.stats = &b->stats;
	if (engine_compare(&b->g, &b->wrong, e) < 0)
		return -1;
	b->j.g = &b->g;
	b->j.wrong = b->wrong;
	b->j.running = &b->running_place;
	b->j.running_bytes = b->running.size;
	b->j.image_bytes = b->made->p.size;
	b->j.hints = !b->no_hints;
	b->j.cuts = b->cuts;
	b->j.state_dir = b->state_dir ? b->state_dir : ".";
	b->stats = (struct install_stats){0};
	if (reuse_look(&b->j, &b->found, e) < 0)
		return -1;
	assert_int_equal(b->inactive.written, 0);
	if (b->spoil_at)
		b->running.bytes[b->spoil_at] ^= 1;
	for (uint64_t i = 0; b->spoil_all && i < b->running.size; i++)
		b->running.bytes[i] ^= 1;
	return reuse_write(b->found, b->wrong, e);
}

/* Takes what there is, and has so many chunks left to be fetched; fetching them makes it whole. */
static inline void
assert_left(struct bench *b, uint64_t left)
{
	struct err e;

	if (bench_take(b, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(wants_count(b->wrong), left);
	assert_int_equal(b->inactive.written, b->stats.bytes_written);
	if (!b->cuts)
		assert_int_equal(
			b->stats.bytes_running + b->stats.bytes_inactive, b->inactive.written);
	assert_int_equal(engine_mend(&b->g, b->wrong, &e), 0);
	assert_memory_equal(b->inactive.bytes, image, b->made->p.size);
	assert_int_equal(engine_check(&b->g, NULL, NULL, &e), 0);
}

#endif
