/* How fast records make chunks of an old image, beside inflating the same chunks as the bundle has
 * them: delta_rate DELTA OLD.ota NEW.ota, of the first payload. Digests, which both need, are in
 * neither. Of some rounds the best counts. Prints JSON. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/delta.h"
#include "common/format/inflow.h"
#include "signer/bundle_file.h"
#include "signer/unpacked.h"

enum { ROUNDS = 5, THREADS = 2 };

/* A chunk that a record tells, as the bundle has it. */
struct kept {
	struct span stored;
	size_t plain;
};

struct told {
	struct delta_record record;
	struct span stored;
	size_t chunks; /* of `kept` before this one */
};

struct work {
	struct unpacked old;
	struct buf bytes; /* what is stored, of both */
	struct kept *kept;
	struct told *told;
	size_t kept_count, told_count;
	uint64_t plain;
	uint8_t out[CHUNK_BYTES];
};

static double
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct work *w = arg;

	(void)e;
	memcpy(data, w->old.data + offset, len);
	return 0;
}

static int
records_apply(struct work *w, struct patch *p, struct err *e)
{
	const struct patch_old old = {w, old_read, w->old.size};

	for (size_t i = 0; i < w->told_count; i++) {
		const struct kept *first = w->kept + w->told[i].chunks;
		uint64_t sum = 0;

		for (uint32_t c = 0; c < w->told[i].record.chunks; c++)
			sum += first[c].plain;
		if (patch_begin(p, w->told[i].stored, &old, sum, e) < 0)
			return -1;
		for (uint32_t c = 0; c < w->told[i].record.chunks; c++) {
			if (patch_take(p, w->out, first[c].plain, e) < 0)
				return -1;
		}
		if (patch_end(p, e) < 0)
			return -1;
	}
	return 0;
}

static int
give(void *arg, struct span *out, struct err *e)
{
	struct span *left = arg;

	(void)e;
	*out = *left;
	left->len = 0;
	return 0;
}

static int
chunks_inflate(struct work *w, struct inflow *flow, struct err *e)
{
	for (size_t i = 0; i < w->kept_count; i++) {
		struct span left = w->kept[i].stored;
		struct inflow_feed feed = {give, &left};
		size_t plain = w->kept[i].plain;

		if (inflow_begin(flow, &feed, left.len < plain, plain, e) < 0 ||
			inflow_read(flow, w->out, plain, e) < 0)
			return -1;
	}
	return 0;
}

static int
bytes_add(struct work *w, int fd, const char *name, uint64_t at, size_t len, struct span *out,
	struct err *e)
{
	if (w->bytes.cap - w->bytes.len <= len)
		return err_set(e, ERR_LIMIT, "more is stored than was thought");
	*out = span_of(w->bytes.data + w->bytes.len, len);
	if (file_pread_full(fd, name, w->bytes.data + w->bytes.len, len, at, e) < 0)
		return -1;
	w->bytes.len += len;
	return 0;
}

/* Goes through index and walk together. */
static int
gather(struct work *w, const struct bundle_file *b, int fd, const char *name,
	const struct delta_head *h, struct err *e)
{
	AUTO_DELTA_WALK struct delta_walk *walk = NULL;
	AUTO_INDEX struct index_reader *index = NULL;
	struct pages pages = bundle_file_pages(b, 0);
	const struct payload *p = &b->manifest->payloads[0];
	struct delta_entry entry;
	struct chunk c;
	bool more;

	if (index_open(b->fd, b->path, b->layout.offset[0][MEMBER_INDEX], p, &index, e) < 0 ||
		delta_walk_open(fd, name, h, 0, p, &walk, e) < 0)
		return -1;
	w->kept = calloc(index_entries(index) + 1, sizeof(*w->kept));
	w->told = calloc(h->parts[0].records + 1, sizeof(*w->told));
	if (!w->kept || !w->told)
		return err_set(e, ERR_SYSTEM, "no memory");
	for (uint64_t n = 0;; n++) {
		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (delta_walk_next(walk, &entry, &more, e) < 0 || !more ||
			pages_find(&pages, n, &c, e) < 0)
			return -1;
		if (entry.kind != DELTA_RECORD)
			continue;
		if (entry.in_record == 0) {
			struct told *t = &w->told[w->told_count++];

			t->record = entry.record;
			t->chunks = w->kept_count;
			if (bytes_add(w, fd, name, entry.record.offset, entry.record.stored,
				    &t->stored, e) < 0)
				return -1;
		}
		w->kept[w->kept_count].plain = (size_t)c.size;
		w->plain += c.size;
		if (bytes_add(w, b->fd, b->path, b->layout.offset[0][MEMBER_DATA] + c.stored_offset,
			    c.stored_size, &w->kept[w->kept_count++].stored, e) < 0)
			return -1;
	}
}

static int
measure(struct work *w, struct err *e)
{
	AUTO_INFLOW struct inflow *flow = NULL;
	AUTO_PATCH struct patch *patch = NULL;
	double inflate_s = 1e9, apply_s = 1e9;
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, memory;

	if (patch_new(&patch, e) < 0)
		return -1;
	memory = mallinfo2().uordblks + mallinfo2().hblkhd - before;
	if (inflow_new(INFLOW_ZLIB, &flow, e) < 0)
		return -1;
	for (int i = 0; i < ROUNDS; i++) {
		double t0 = now_s(), t1, t2;

		if (chunks_inflate(w, flow, e) < 0)
			return -1;
		t1 = now_s();
		if (records_apply(w, patch, e) < 0)
			return -1;
		t2 = now_s();
		inflate_s = t1 - t0 < inflate_s ? t1 - t0 : inflate_s;
		apply_s = t2 - t1 < apply_s ? t2 - t1 : apply_s;
	}
	(void)printf("{\"plain\":%" PRIu64 ",\"chunks\":%zu,\"records\":%zu,\"inflate_s\":%.4f,"
		     "\"apply_s\":%.4f,\"memory\":%zu,\"record_max\":%u}\n",
		w->plain, w->kept_count, w->told_count, inflate_s, apply_s, memory,
		PATCH_STORED_MAX);
	return 0;
}

static int
run(char **argv, struct err *e)
{
	static struct work w;
	AUTO_BUNDLE_FILE struct bundle_file from = BUNDLE_FILE_INIT, to = BUNDLE_FILE_INIT;
	AUTO_BUF struct buf manifest = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_CLOSE int fd = -1;
	struct delta_head h;
	uint64_t size, total;

	w.old = UNPACKED_INIT;
	if (file_open_read(argv[1], &fd, e) < 0 || file_size(fd, argv[1], &total, e) < 0 ||
		bundle_file_open(argv[2], &from, e) < 0 || bundle_file_open(argv[3], &to, e) < 0 ||
		num_parse(argv[4], 1, total, &size, e) < 0 ||
		payload_unpack(&from, 0, THREADS, "/tmp", &w.old, e) < 0 ||
		delta_head_read(fd, argv[1], size, &h, &manifest, e) < 0 ||
		delta_head_place(argv[1], &h, to.manifest, e) < 0)
		return -1;
	w.bytes = BUF_INIT(to.layout.total_size + total);
	if (buf_reserve(&w.bytes, to.layout.total_size + total - 1, e) < 0 ||
		gather(&w, &to, fd, argv[1], &h, e) < 0)
		return -1;
	return measure(&w, e);
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;

	if (argc != 5) {
		(void)fprintf(stderr, "usage: delta_rate DELTA OLD.ota NEW.ota HEAD-BYTES\n");
		return 2;
	}
	if (run(argv, &e) == 0)
		return 0;
	(void)fprintf(stderr, "delta_rate: %s\n", e.text);
	return 1;
}
