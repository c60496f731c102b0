/* A box with an old image, a target, and a delta that it may use. */
#ifndef SLUICE_TESTS_UNIT_DELTA_USE_SCENE_H
#define SLUICE_TESTS_UNIT_DELTA_USE_SCENE_H

#include "tests/unit/delta_box_scene.h"
#include "tests/unit/folder.h"

#include <errno.h>

#include "agent/delta_use.h"

struct memory_place {
	uint8_t *bytes;
	uint64_t size, written;
	uint64_t bad_from, bad_to; /* cannot be read */
};

struct scene {
	struct two two;
	struct made made;
	struct told told;
	struct buf records, file;
	struct delta delta;
	struct memory_place running, target;
	struct place running_place, place;
	struct memory_source memory;
	struct source source;
	int index_fd;
	struct index_reader *index;
	struct install_stats stats;
	struct keep_going keep_going;
	unsigned asks_left;
	struct engine g;
	struct wants *wrong;
	struct delta_use *use;
	bool hopeless;
};

static inline int
place_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	assert_true(offset <= m->size && len <= m->size - offset);
	if (offset < m->bad_to && offset + len > m->bad_from)
		return err_sys(e, EIO, "a bad sector");
	memcpy(data, m->bytes + offset, len);
	return 0;
}

static inline int
place_write(void *arg, const void *data, size_t len, uint64_t offset, struct err *e)
{
	struct memory_place *m = arg;

	(void)e;
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
	struct scene *s = arg;

	return s->asks_left-- == 0 ? err_set(e, ERR_STOPPED, "stopped by the test") : 0;
}

static inline void
scene_free(struct scene *s)
{
	delta_use_free(&s->use);
	wants_free(&s->wrong);
	index_close(&s->index);
	(void)close(s->index_fd);
	delta_drop(&s->delta);
	told_free(&s->told);
	buf_free(&s->records);
	buf_free(&s->file);
	made_free(&s->made);
	free(s->target.bytes);
	two_free(&s->two);
}

static inline void
scene_delta(struct scene *s)
{
	struct manifest m = {.payload_count = 1};
	struct digest none = {{0}};
	struct err e = ERR_INIT;

	two_tell(&s->two, &s->told, &s->records);
	delta_make(&s->told, &s->records, 1, "{}", &none, &s->file, &s->delta);
	m.payloads[0] = s->made.p;
	m.payloads[0].members[MEMBER_SEALS].size = 0;
	if (delta_head_place("the delta", &s->delta.head, &m, &e) < 0)
		fail_msg("%s", e.text);
}

/* The target holds nothing yet. */
static inline void
scene_make(struct scene *s, const char *told)
{
	struct err e = ERR_INIT;

	*s = (struct scene){
		.asks_left = UINT32_MAX, .records = BUF_INIT(1 << 28), .file = BUF_INIT(1 << 28)};
	two_make(&s->two, told);
	told_init(&s->told);
	made_image(&s->made, "rootfs", "rootfs", span_of(s->two.fresh, s->two.bytes));
	scene_delta(s);
	s->running = (struct memory_place){.bytes = s->two.old, .size = s->two.old_bytes};
	s->target = (struct memory_place){.bytes = malloc(s->two.bytes), .size = s->two.bytes};
	memset(s->target.bytes, 0x77, s->two.bytes);
	s->running_place =
		(struct place){&s->running, place_read, place_write, place_zero, false, NULL};
	s->place = (struct place){&s->target, place_read, place_write, place_zero, false, NULL};
	s->memory = (struct memory_source){.bytes = buf_span(&s->file)};
	s->source = memory_source(&s->memory);
	s->index_fd = memory_file(buf_span(&s->made.index));
	assert_int_equal(index_open(s->index_fd, "index", 0, &s->made.p, &s->index, &e), 0);
	s->keep_going = (struct keep_going){ask, s};
	s->g = (struct engine){.place = &s->place,
		.index = s->index,
		.keep_going = &s->keep_going,
		.stats = &s->stats};
}

static inline void
scene_look(struct scene *s)
{
	struct err e = ERR_INIT;
	struct delta_use_job j = {.g = &s->g,
		.payload = &s->made.p,
		.delta = &s->delta,
		.running = &s->running_place,
		.source = &s->source};

	delta_use_free(&s->use);
	wants_free(&s->wrong);
	assert_int_equal(engine_compare(&s->g, &s->wrong, &e), 0);
	j.wrong = s->wrong;
	s->stats = (struct install_stats){0};
	s->target.written = s->memory.given = 0;
	if (delta_use_look(&j, &s->use, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(s->target.written, 0);
	assert_int_equal(s->memory.given, 0);
}

/* Whether every chunk that is not wrong is as it should be, and no other was touched. */
static inline void
assert_nothing_wrong_written(const struct scene *s)
{
	uint64_t right = 0, entry = 0;

	for (size_t i = 0; i < s->two.chunks; entry++) {
		size_t n = 1;

		while (s->two.told[i] == 'Z' && i + n < s->two.chunks && s->two.told[i + n] == 'Z')
			n++;
		if (!wants_has(s->wrong, entry)) {
			assert_memory_equal(s->target.bytes + i * CHUNK_BYTES,
				s->two.fresh + i * CHUNK_BYTES, n * CHUNK_BYTES);
			right += n * CHUNK_BYTES;
		} else {
			for (size_t at = 0; at < n * CHUNK_BYTES; at++)
				assert_int_equal(s->target.bytes[i * CHUNK_BYTES + at], 0x77);
		}
		i += n;
	}
	assert_int_equal(s->target.written, right);
	assert_int_equal(s->stats.bytes_written, right);
}

static inline int
scene_write(struct scene *s, struct err *e)
{
	return delta_use_write(s->use, s->wrong, &s->hopeless, e);
}

static inline void
assert_leaves(struct scene *s, uint64_t wrong)
{
	struct err e = ERR_INIT;

	scene_look(s);
	if (scene_write(s, &e) < 0)
		fail_msg("%s", e.text);
	assert_nothing_wrong_written(s);
	assert_int_equal(wants_count(s->wrong), wrong);
}

#endif
