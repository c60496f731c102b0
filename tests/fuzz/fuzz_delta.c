/* The head of a delta, behind the digest that its target gives it, and all that can be walked of
 * it. The first six bytes say how large the payloads and their seals are, which a manifest would.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/format/delta.h"
#include "tests/fuzz/harness.h"

enum { MANIFEST = 6, LIST_BYTES = 300 };

static void
check_runs(const struct delta_entry *entry, uint64_t old_bytes)
{
	uint64_t sum = 0;

	MUST(entry->runs > 0 && entry->runs <= DELTA_RUNS_MAX);
	for (size_t i = 0; i < entry->runs; i++) {
		const struct delta_run *r = &entry->run[i];

		MUST(r->size > 0);
		MUST(r->zeros || (r->old_at <= old_bytes && r->size <= old_bytes - r->old_at));
		sum += r->size;
	}
	MUST(sum == entry->size);
}

static void
check_record(const struct delta_entry *entry, const struct delta_part *p)
{
	const struct delta_record *r = &entry->record;

	MUST(r->number < p->records && entry->in_record < r->chunks);
	MUST(r->stored > 0 && r->stored <= PATCH_STORED_MAX);
	MUST(r->offset >= p->data_at && r->stored <= p->data_at + p->data_size - r->offset);
}

/* From the first entry to the last: all of the payload, and no more of anything than there is. */
static void
walk(int fd, const struct delta_head *h, size_t part, const struct payload *p)
{
	AUTO_DELTA_WALK struct delta_walk *w = NULL;
	struct err e = ERR_INIT;
	struct delta_entry entry;
	uint64_t at = 0;
	bool more;

	MUST(delta_walk_open(fd, "fuzz", h, part, p, &w, &e) == 0);
	for (;;) {
		if (delta_walk_next(w, &entry, &more, &e) < 0) {
			fuzz_check_err(&e);
			return;
		}
		if (!more)
			break;
		MUST(entry.offset == at && entry.size > 0 && entry.size <= p->size - at);
		MUST(entry.kind == DELTA_ZEROS || entry.size <= CHUNK_BYTES);
		at += entry.size;
		if (entry.kind == DELTA_COPY)
			check_runs(&entry, h->parts[part].old_bytes);
		if (entry.kind == DELTA_RECORD)
			check_record(&entry, &h->parts[part]);
	}
	MUST(at == p->size);
	fuzz_deep();
}

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	(void)arg;
	(void)offset;
	(void)e;
	memset(data, 'a', len);
	return 0;
}

static void
list(int fd, const struct delta_part *p)
{
	const struct patch_old old = {NULL, old_read, LIST_BYTES};
	uint8_t none[16];
	struct err e = ERR_INIT;
	int out = fuzz_file(1, span_of(none, 0));

	if (p->list_size > 0 && delta_list_make(fd, "fuzz", p, &old, LIST_BYTES, out, 0, &e) < 0)
		fuzz_check_err(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf text = BUF_INIT(MANIFEST_BYTES_MAX);
	static struct manifest m;
	struct err e = ERR_INIT;
	struct delta_head h;
	int fd;

	if (size < MANIFEST)
		return 0;
	fd = fuzz_file(0, span_of(data + MANIFEST, size - MANIFEST));
	memset(&m, 0, sizeof(m));
	if (delta_head_read(fd, "fuzz", size - MANIFEST, &h, &text, &e) < 0) {
		fuzz_check_err(&e);
		return 0;
	}
	MUST(text.len == h.manifest_bytes);
	m.payload_count = h.payload_count;
	for (size_t i = 0; i < m.payload_count; i++) {
		m.payloads[i].size = 1 + num_get_le32(data) % (64 * CHUNK_BYTES);
		m.payloads[i].members[MEMBER_SEALS].size = num_get_le16(data + 4);
	}
	if (delta_head_place("fuzz", &h, &m, &e) < 0) {
		fuzz_check_err(&e);
		return 0;
	}
	for (size_t i = 0; i < m.payload_count; i++) {
		walk(fd, &h, i, &m.payloads[i]);
		list(fd, &h.parts[i]);
	}
	return 0;
}
