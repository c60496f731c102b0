/* A delta's head as a signer would write it, and the file it stands in. */
#ifndef SLUICE_TESTS_UNIT_DELTA_SCENE_H
#define SLUICE_TESTS_UNIT_DELTA_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/delta.h"
#include "common/format/inflow.h"

/* The parts of one payload, which tests may spoil before they are put together. */
struct told {
	struct buf parts; /* walk, digests and records */
	struct buf seals, list;
	struct delta_part sizes;
};

static inline void
told_free(struct told *t)
{
	buf_free(&t->parts);
	buf_free(&t->seals);
	buf_free(&t->list);
}

static inline void
told_init(struct told *t)
{
	*t = (struct told){
		.parts = BUF_INIT(1 << 24), .seals = BUF_INIT(1 << 20), .list = BUF_INIT(1 << 24)};
}

/* Entries, and the records that tell those of kind DELTA_RECORD. */
static inline void
told_by(struct told *t, struct delta_writer *w, uint64_t old_bytes)
{
	struct err e = ERR_INIT;

	t->sizes.old_bytes = old_bytes;
	assert_int_equal(delta_writer_finish(w, &t->parts, &t->sizes, &e), 0);
	t->sizes.list_size = t->list.len;
}

/* The head of a delta, in a file without a name, that leads to this manifest. h's digests and
 * payloads are set. */
static inline int
delta_file(struct delta_head *h, const struct told *payloads, size_t count, const char *manifest)
{
	AUTO_BUF struct buf packed = BUF_INIT(1 << 20), head = BUF_INIT(1 << 26);
	int fd = memfd_create("delta", MFD_CLOEXEC);
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(inflow_pack(span_str(manifest), &packed, &e), 0);
	h->manifest_bytes = (uint32_t)strlen(manifest);
	h->manifest_stored = (uint32_t)packed.len;
	h->payload_count = count;
	for (size_t i = 0; i < count; i++)
		h->parts[i] = payloads[i].sizes;
	assert_int_equal(delta_put_header(h, &head, &e), 0);
	assert_int_equal(buf_append(&head, packed.data, packed.len, &e), 0);
	for (size_t i = 0; i < count; i++) {
		const struct told *t = &payloads[i];

		assert_int_equal(buf_append(&head, t->parts.data, t->parts.len, &e), 0);
		assert_int_equal(buf_append(&head, t->seals.data, t->seals.len, &e), 0);
		assert_int_equal(buf_append(&head, t->list.data, t->list.len, &e), 0);
	}
	assert_int_equal(file_write_full(fd, "delta", head.data, head.len, &e), 0);
	h->size = head.len;
	return fd;
}

#endif
