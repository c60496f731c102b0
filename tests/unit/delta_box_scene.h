/* An old image, a new one made of it, and the delta between them: for tests of the box's side. */
#ifndef SLUICE_TESTS_UNIT_DELTA_BOX_SCENE_H
#define SLUICE_TESTS_UNIT_DELTA_BOX_SCENE_H

#include "tests/unit/delta_scene.h"
#include "tests/unit/payload.h"

#include <stdlib.h>

#include "agent/delta.h"

/* So many chunks, and the old image has one more. A chunk of the new one is made and told by its
 * letter in `told`: C lies where it lay, S lies 4096 bytes further on in the old one, R is a record
 * that changes some bytes, F is fresh, Z is zeros. */
enum { DELTA_CHUNKS_MAX = 1024, SHIFT_BYTES = 4096, RECORD_CHUNKS = 2 };

struct two {
	size_t chunks;
	char told[DELTA_CHUNKS_MAX + 1];
	uint8_t *old, *fresh;
	uint64_t old_bytes, bytes;
};

static inline void
two_free(struct two *t)
{
	free(t->old);
	free(t->fresh);
}

static inline void
chunk_become(struct two *t, size_t i)
{
	uint8_t *to = t->fresh + i * CHUNK_BYTES;
	const uint8_t *from = t->old + i * CHUNK_BYTES;

	switch (t->told[i]) {
	case 'S':
		memcpy(to, from + SHIFT_BYTES, CHUNK_BYTES);
		break;
	case 'F':
		noise(to, CHUNK_BYTES, 1000000 + i);
		break;
	case 'Z':
		memset(to, 0, CHUNK_BYTES);
		break;
	default:
		memcpy(to, from, CHUNK_BYTES);
		for (size_t at = 100; t->told[i] == 'R' && at < CHUNK_BYTES; at += 9000)
			to[at] = (uint8_t)(to[at] + i + 1);
	}
}

static inline void
two_make(struct two *t, const char *told)
{
	*t = (struct two){.chunks = strlen(told)};
	assert_true(t->chunks <= DELTA_CHUNKS_MAX);
	strcpy(t->told, told);
	t->bytes = t->chunks * CHUNK_BYTES;
	t->old_bytes = t->bytes + CHUNK_BYTES;
	t->old = malloc(t->old_bytes);
	t->fresh = malloc(t->bytes);
	assert_true(t->old && t->fresh);
	noise(t->old, t->old_bytes, 7);
	for (size_t i = 0; i < t->chunks; i++)
		chunk_become(t, i);
}

static inline struct delta_entry
entry_of(const struct two *t, size_t i)
{
	struct delta_entry entry = {.kind = DELTA_COPY,
		.offset = i * CHUNK_BYTES,
		.size = CHUNK_BYTES,
		.runs = 1,
		.run = {{i * CHUNK_BYTES, CHUNK_BYTES, false}}};

	if (t->told[i] == 'S')
		entry.run[0].old_at += SHIFT_BYTES;
	if (t->told[i] == 'C' || t->told[i] == 'S')
		return entry;
	entry.kind = t->told[i] == 'Z'	 ? DELTA_ZEROS
		     : t->told[i] == 'R' ? DELTA_RECORD
					 : DELTA_FULL;
	entry.plain = digest_of(span_of(t->fresh + i * CHUNK_BYTES, CHUNK_BYTES));
	entry.runs = 0;
	return entry;
}

/* Records of RECORD_CHUNKS chunks each. */
struct teller {
	struct delta_writer *w;
	struct patch_writer *patch;
	struct buf *records;
	uint32_t chunks;
};

static inline void
record_end(struct teller *t)
{
	size_t before = t->records->len;
	struct err e = ERR_INIT;

	if (t->chunks == 0)
		return;
	assert_int_equal(patch_finish(t->patch, t->records, &e), 0);
	assert_int_equal(
		delta_put_record(t->w, span_of(t->records->data + before, t->records->len - before),
			t->chunks, &e),
		0);
	t->chunks = 0;
}

static inline void
record_add(struct teller *t, const struct two *two, size_t i)
{
	struct span fresh = span_of(two->fresh + i * CHUNK_BYTES, CHUNK_BYTES);
	uint64_t at = i * CHUNK_BYTES;
	struct err e = ERR_INIT;

	assert_int_equal(patch_step(t->patch, two->old + at, at, fresh, CHUNK_BYTES, &e), 0);
	if (++t->chunks == RECORD_CHUNKS)
		record_end(t);
}

static inline void
two_tell(const struct two *two, struct told *told, struct buf *records)
{
	AUTO_DELTA_WRITER struct delta_writer *w = NULL;
	AUTO_PATCH_WRITER struct patch_writer *patch = NULL;
	struct err e = ERR_INIT;
	struct teller t = {.records = records};

	assert_int_equal(delta_writer_new(&w, &e), 0);
	assert_int_equal(patch_writer_new(&patch, &e), 0);
	t.w = w;
	t.patch = patch;
	for (size_t i = 0; i < two->chunks; i++) {
		struct delta_entry entry = entry_of(two, i);

		while (entry.kind == DELTA_ZEROS && i + 1 < two->chunks &&
			two->told[i + 1] == 'Z') {
			entry.size += CHUNK_BYTES;
			i++;
		}
		assert_int_equal(delta_put(w, &entry, &e), 0);
		if (entry.kind == DELTA_RECORD)
			record_add(&t, two, i);
	}
	record_end(&t);
	told_by(told, w, two->old_bytes);
}

/* The file of a delta of these payloads, records behind the head; and what a box has of it. */
static inline void
delta_make(const struct told *payloads, const struct buf *records, size_t count,
	const char *manifest, const struct digest *to, struct buf *out, struct delta *d)
{
	struct delta_head h = {.to = *to};
	int fd = delta_file(&h, payloads, count, manifest);
	AUTO_BUF struct buf read = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	*d = (struct delta){.fd = fd};
	(void)snprintf(d->name, sizeof(d->name), "the delta");
	assert_int_equal(delta_head_read(fd, d->name, h.size, &d->head, &read, &e), 0);
	assert_int_equal(buf_reserve(out, (size_t)h.size, &e), 0);
	assert_int_equal(file_pread_full(fd, "delta", out->data, (size_t)h.size, 0, &e), 0);
	out->len = (size_t)h.size;
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_append(out, records[i].data, records[i].len, &e), 0);
}

#endif
