#include "tests/unit/delta_scene.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "common/format/delta_listing.h"
#include "common/format/varint.h"

enum { OLD_BYTES = 40 * CHUNK_BYTES, RECORD_BYTES = 100 };

static const char manifest_json[] = "{\"signed\":{},\"signatures\":[]}";

static struct digest
digest_like(uint8_t n)
{
	struct digest d;

	memset(d.b, n, sizeof(d.b));
	return d;
}

/* Entries of every kind, in the order of a payload of 20 chunks and a short one. */
static const struct delta_entry zeros = {.kind = DELTA_ZEROS, .size = 3 * CHUNK_BYTES},
				there = {.kind = DELTA_COPY,
					.size = CHUNK_BYTES,
					.runs = 1,
					.run = {{5 * CHUNK_BYTES, CHUNK_BYTES, false}}},
				pieces = {.kind = DELTA_COPY,
					.size = CHUNK_BYTES,
					.runs = 3,
					.run = {{7 * CHUNK_BYTES, 4096, false}, {0, 8192, true},
						{OLD_BYTES - CHUNK_BYTES + 12288,
							CHUNK_BYTES - 12288, false}}},
				last = {.kind = DELTA_COPY,
					.size = 100,
					.runs = 1,
					.run = {{OLD_BYTES - 100, 100, false}}};

static struct delta_entry
listed(enum delta_kind kind, uint8_t n)
{
	return (struct delta_entry){.kind = kind, .size = CHUNK_BYTES, .plain = digest_like(n)};
}

struct payload_told {
	struct told told;
	struct delta_entry entries[32];
	size_t count;
	uint64_t bytes;
	uint8_t record[RECORD_BYTES];
};

static void
put(struct payload_told *p, struct delta_writer *w, const struct delta_entry *entry)
{
	struct err e = ERR_INIT;

	p->entries[p->count] = *entry;
	p->entries[p->count++].offset = p->bytes;
	p->bytes += entry->size;
	assert_int_equal(delta_put(w, entry, &e), 0);
}

static void
tell(struct payload_told *p)
{
	AUTO_DELTA_WRITER struct delta_writer *w = NULL;
	struct delta_entry e1 = listed(DELTA_RECORD, 1), e2 = listed(DELTA_RECORD, 2),
			   e3 = listed(DELTA_RECORD, 3), full = listed(DELTA_FULL, 4), next;
	struct err e = ERR_INIT;

	memset(p, 0, sizeof(*p));
	told_init(&p->told);
	memset(p->record, 0x33, sizeof(p->record));
	assert_int_equal(delta_writer_new(&w, &e), 0);
	put(p, w, &zeros);
	put(p, w, &zeros);
	put(p, w, &there);
	/* One that goes on where the one before ended. */
	next = there;
	next.run[0].old_at += CHUNK_BYTES;
	put(p, w, &next);
	put(p, w, &e1);
	put(p, w, &e2);
	put(p, w, &pieces);
	put(p, w, &e3);
	put(p, w, &full);
	put(p, w, &last);
	assert_int_equal(delta_put_record(w, span_of(p->record, RECORD_BYTES), 2, &e), 0);
	assert_int_equal(delta_put_record(w, span_of(p->record, 10), 1, &e), 0);
	assert_int_equal(buf_append(&p->told.seals, "seals", 5, &e), 0);
	told_by(&p->told, w, OLD_BYTES);
}

static void
told_end(struct payload_told *p)
{
	told_free(&p->told);
}

/* A manifest that knows of this payload. */
static struct manifest *
manifest_of(const struct payload_told *p)
{
	static struct manifest m;

	memset(&m, 0, sizeof(m));
	m.payload_count = 1;
	m.payloads[0].size = p->bytes;
	m.payloads[0].members[MEMBER_SEALS] = (struct member){true, p->told.seals.len, {{0}}};
	return &m;
}

/* Reads the head, and goes through all of the walk: -1 where anything is refused. */
static int
walk_all(int fd, uint64_t size, const struct payload_told *p, struct err *e)
{
	AUTO_DELTA_WALK struct delta_walk *w = NULL;
	AUTO_BUF struct buf manifest = BUF_INIT(1 << 20);
	const struct manifest *m = manifest_of(p);
	struct delta_entry entry;
	struct delta_head h;
	bool more = true;

	if (delta_head_read(fd, "d", size, &h, &manifest, e) < 0 ||
		delta_head_place("d", &h, m, e) < 0 ||
		delta_walk_open(fd, "d", &h, 0, &m->payloads[0], &w, e) < 0)
		return -1;
	while (more) {
		if (delta_walk_next(w, &entry, &more, e) < 0)
			return -1;
	}
	return 0;
}

static void
same_entry(const struct delta_entry *got, const struct delta_entry *put)
{
	assert_int_equal(got->kind, put->kind);
	assert_int_equal(got->offset, put->offset);
	assert_int_equal(got->size, put->size);
	assert_memory_equal(&got->plain, &put->plain, sizeof(got->plain));
	assert_int_equal(got->runs, put->runs);
	for (size_t i = 0; i < got->runs; i++) {
		assert_int_equal(got->run[i].old_at, put->run[i].old_at);
		assert_int_equal(got->run[i].size, put->run[i].size);
		assert_int_equal(got->run[i].zeros, put->run[i].zeros);
	}
}

static void
head_is_read_as_it_was_written(void **state)
{
	CLEANUP(told_end) struct payload_told p;
	AUTO_BUF struct buf manifest = BUF_INIT(1 << 20);
	AUTO_DELTA_WALK struct delta_walk *w = NULL;
	struct delta_head put = {.from = digest_like(8), .to = digest_like(9)}, h;
	struct err e = ERR_INIT;
	char seals[5];
	bool more;

	(void)state;
	tell(&p);
	AUTO_CLOSE int fd = delta_file(&put, &p.told, 1, manifest_json);
	assert_int_equal(delta_head_read(fd, "d", put.size, &h, &manifest, &e), 0);
	assert_string_equal(buf_str(&manifest), manifest_json);
	assert_int_equal(delta_head_place("d", &h, manifest_of(&p), &e), 0);
	assert_memory_equal(&h.from, &put.from, sizeof(h.from));
	assert_memory_equal(&h.to, &put.to, sizeof(h.to));
	assert_int_equal(h.total_size, put.size + RECORD_BYTES + 10);
	assert_int_equal(pread(fd, seals, sizeof(seals), (off_t)h.parts[0].seals_at), 5);
	assert_memory_equal(seals, "seals", 5);
	assert_int_equal(delta_walk_open(fd, "d", &h, 0, &manifest_of(&p)->payloads[0], &w, &e), 0);
	for (int round = 0; round < 2; round++) {
		struct delta_entry entry;

		for (size_t i = 0; i < p.count; i++) {
			memset(&entry, 0xee, sizeof(entry));
			assert_int_equal(delta_walk_next(w, &entry, &more, &e), 0);
			assert_true(more);
			same_entry(&entry, &p.entries[i]);
			assert_true(entry.kind == DELTA_RECORD || entry.record.stored == 0);
		}
		assert_int_equal(delta_walk_next(w, &entry, &more, &e), 0);
		assert_false(more);
		assert_int_equal(delta_walk_rewind(w, &e), 0);
	}
}

static void
chunks_know_their_records(void **state)
{
	CLEANUP(told_end) struct payload_told p;
	AUTO_BUF struct buf manifest = BUF_INIT(1 << 20);
	AUTO_DELTA_WALK struct delta_walk *w = NULL;
	struct delta_head put = {0}, h;
	struct err e = ERR_INIT;
	struct delta_entry entry;
	bool more = true;
	size_t seen = 0;

	(void)state;
	tell(&p);
	AUTO_CLOSE int fd = delta_file(&put, &p.told, 1, manifest_json);
	assert_int_equal(delta_head_read(fd, "d", put.size, &h, &manifest, &e), 0);
	assert_int_equal(delta_head_place("d", &h, manifest_of(&p), &e), 0);
	assert_int_equal(delta_walk_open(fd, "d", &h, 0, &manifest_of(&p)->payloads[0], &w, &e), 0);
	while (delta_walk_next(w, &entry, &more, &e) == 0 && more) {
		if (entry.kind != DELTA_RECORD)
			continue;
		assert_int_equal(entry.record.number, seen == 2);
		assert_int_equal(entry.in_record, seen == 1);
		assert_int_equal(entry.record.offset, put.size + (seen == 2 ? RECORD_BYTES : 0));
		assert_true(delta_record_is(
			&entry.record, span_of(p.record, seen == 2 ? 10 : RECORD_BYTES)));
		p.record[3]++;
		assert_false(delta_record_is(
			&entry.record, span_of(p.record, seen == 2 ? 10 : RECORD_BYTES)));
		p.record[3]--;
		assert_false(delta_record_is(&entry.record, span_of(p.record, 9)));
		seen++;
	}
	assert_false(more);
	assert_int_equal(seen, 3);
}

/* A payload told by these items. */
static int
items_are_read(const uint64_t *items, size_t count, uint64_t payload_bytes, size_t digests,
	size_t records, struct err *e)
{
	CLEANUP(told_end) struct payload_told p = {.bytes = payload_bytes};
	AUTO_BUF struct buf walk = BUF_INIT(1 << 16);
	uint8_t bytes[VARINT_SIZE], record[DELTA_RECORD_BYTES] = {10, 0, 0, 0, 1};
	struct delta_head put = {0};

	told_init(&p.told);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_append(&walk, bytes, varint_put(bytes, items[i]), e), 0);
	assert_int_equal(inflow_pack(buf_span(&walk), &p.told.parts, e), 0);
	p.told.sizes = (struct delta_part){.old_bytes = OLD_BYTES,
		.walk_bytes = walk.len,
		.walk_stored = p.told.parts.len,
		.digests = digests,
		.records = records,
		.data_size = records * 10};
	for (size_t i = 0; i < digests; i++)
		assert_int_equal(buf_append(&p.told.parts, digest_like(1).b, DIGEST_BYTES, e), 0);
	for (size_t i = 0; i < records; i++)
		assert_int_equal(buf_append(&p.told.parts, record, sizeof(record), e), 0);
	AUTO_CLOSE int fd = delta_file(&put, &p.told, 1, manifest_json);
	return walk_all(fd, put.size, &p, e);
}

#define WHOLE(kind, count) ((uint64_t)(kind) | ((uint64_t)(count)-1) << 3)
#define SHORT(kind, bytes) ((uint64_t)(kind) | 4 | (uint64_t)(bytes) << 3)
#define RUN(bytes) ((uint64_t)(bytes) << 1)

static void
walk_that_does_not_add_up_is_refused(void **state)
{
	static const struct {
		const char *reason;
		uint64_t items[6];
		size_t count;
		uint64_t payload_bytes;
		size_t digests, records;
	} cases[] = {
		{NULL, {WHOLE(DELTA_ZEROS, 2)}, 1, 2 * CHUNK_BYTES, 0, 0},
		{"behind the end of the payload", {WHOLE(DELTA_ZEROS, 3)}, 1, 2 * CHUNK_BYTES, 0,
			0},
		{"behind the end of the payload", {UINT64_MAX & ~7ULL}, 1, 2 * CHUNK_BYTES, 0, 0},
		{"ends too soon", {WHOLE(DELTA_ZEROS, 1)}, 1, 2 * CHUNK_BYTES, 0, 0},
		{"nobody wants", {WHOLE(DELTA_ZEROS, 2), 0}, 2, 2 * CHUNK_BYTES, 0, 0},
		{"no short chunk", {SHORT(DELTA_ZEROS, 9)}, 1, 9, 0, 0},
		{"no short chunk", {SHORT(DELTA_FULL, 0)}, 1, 9, 1, 0},
		{"no short chunk", {SHORT(DELTA_FULL, CHUNK_BYTES)}, 1, CHUNK_BYTES, 1, 0},
		{NULL, {SHORT(DELTA_FULL, 9)}, 1, 9, 1, 0},
		{"has no digest", {WHOLE(DELTA_FULL, 2)}, 1, 2 * CHUNK_BYTES, 1, 0},
		{"digests or records are left", {WHOLE(DELTA_FULL, 2)}, 1, 2 * CHUNK_BYTES, 3, 0},
		{NULL, {WHOLE(DELTA_RECORD, 2)}, 1, 2 * CHUNK_BYTES, 2, 2},
		{"has no record", {WHOLE(DELTA_RECORD, 2)}, 1, 2 * CHUNK_BYTES, 2, 1},
		{"digests or records are left", {WHOLE(DELTA_RECORD, 2)}, 1, 2 * CHUNK_BYTES, 2, 3},
		{NULL, {WHOLE(DELTA_COPY, 1), RUN(CHUNK_BYTES), 0}, 3, CHUNK_BYTES, 0, 0},
		{"longer than its item", {WHOLE(DELTA_COPY, 1), RUN(CHUNK_BYTES + 1), 0}, 3,
			CHUNK_BYTES, 0, 0},
		{"longer than its item", {WHOLE(DELTA_COPY, 1), RUN(0), 0}, 3, CHUNK_BYTES, 0, 0},
		{NULL, {WHOLE(DELTA_COPY, 1), RUN(CHUNK_BYTES), 2 * 39 * CHUNK_BYTES}, 3,
			CHUNK_BYTES, 0, 0},
		{"where the old payload has ended",
			{WHOLE(DELTA_COPY, 1), RUN(CHUNK_BYTES), 2 * 39 * CHUNK_BYTES + 2}, 3,
			CHUNK_BYTES, 0, 0},
		{"where the old payload has ended", {WHOLE(DELTA_COPY, 1), RUN(CHUNK_BYTES), 1}, 3,
			CHUNK_BYTES, 0, 0},
		{"where the old payload has ended",
			{WHOLE(DELTA_COPY, 1), RUN(CHUNK_BYTES), UINT64_MAX}, 3, CHUNK_BYTES, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		int rc = items_are_read(cases[i].items, cases[i].count, cases[i].payload_bytes,
			cases[i].digests, cases[i].records, &e);

		if (!cases[i].reason) {
			assert_int_equal(rc, 0);
			continue;
		}
		assert_int_equal(rc, -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		if (!strstr(e.text, cases[i].reason))
			fail_msg("case %zu: %s", i, e.text);
	}
}

static void
chunk_in_too_many_pieces_is_refused(void **state)
{
	uint64_t items[2 * DELTA_RUNS_MAX + 4] = {WHOLE(DELTA_COPY, 1)};
	struct err e = ERR_INIT;
	size_t n = 1;

	(void)state;
	for (size_t i = 0; i < DELTA_RUNS_MAX; i++) {
		items[n++] = RUN(1);
		items[n++] = 2;
	}
	items[n++] = RUN(CHUNK_BYTES - DELTA_RUNS_MAX);
	items[n++] = 2;
	assert_int_equal(items_are_read(items, n, CHUNK_BYTES, 0, 0, &e), -1);
	assert_non_null(strstr(e.text, "more pieces than a chunk may be"));
}

/* One chunk, told by the first of these records, which stand in so many bytes. */
static int
first_record(uint32_t stored, uint32_t chunks, size_t records, uint64_t data_size, bool whole,
	struct err *e)
{
	CLEANUP(told_end) struct payload_told p = {.bytes = CHUNK_BYTES};
	uint8_t record[DELTA_RECORD_BYTES] = {0}, item = DELTA_RECORD;
	AUTO_DELTA_WALK struct delta_walk *w = NULL;
	AUTO_BUF struct buf manifest = BUF_INIT(1 << 20);
	struct delta_head put = {0}, h;
	struct delta_entry entry;
	bool more;

	told_init(&p.told);
	assert_int_equal(inflow_pack(span_of(&item, 1), &p.told.parts, e), 0);
	p.told.sizes = (struct delta_part){.walk_bytes = 1,
		.walk_stored = p.told.parts.len,
		.digests = 1,
		.records = records,
		.data_size = data_size};
	num_put_le32(record, stored);
	num_put_le32(record + 4, chunks);
	assert_int_equal(buf_append(&p.told.parts, digest_like(1).b, DIGEST_BYTES, e), 0);
	for (size_t i = 0; i < records; i++)
		assert_int_equal(buf_append(&p.told.parts, record, sizeof(record), e), 0);
	AUTO_CLOSE int fd = delta_file(&put, &p.told, 1, manifest_json);
	if (whole)
		return walk_all(fd, put.size, &p, e);
	assert_int_equal(delta_head_read(fd, "d", put.size, &h, &manifest, e), 0);
	assert_int_equal(delta_head_place("d", &h, manifest_of(&p), e), 0);
	assert_int_equal(delta_walk_open(fd, "d", &h, 0, &manifest_of(&p)->payloads[0], &w, e), 0);
	return delta_walk_next(w, &entry, &more, e);
}

static void
record_of_an_impossible_size_is_refused(void **state)
{
	static const struct {
		uint32_t stored, chunks;
		uint64_t data_size;
		bool good;
	} cases[] = {{10, 1, 10, true}, {0, 1, 0, false}, {10, 0, 10, false},
		{10, DELTA_RECORD_CHUNKS_MAX + 1, 10, false}, {11, 1, 10, false},
		{PATCH_STORED_MAX, 1, PATCH_STORED_MAX, true},
		{PATCH_STORED_MAX + 1, 1, PATCH_STORED_MAX + 1, false}};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(first_record(cases[i].stored, cases[i].chunks, 1,
					 cases[i].data_size, false, &e),
			cases[i].good ? 0 : -1);
}

static void
record_that_tells_nothing_is_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(first_record(10, 1, 1, 10, true, &e), 0);
	assert_int_equal(first_record(10, 1, 2, 10, true, &e), -1);
	assert_int_equal(first_record(10, 2, 1, 10, true, &e), -1);
	assert_int_equal(first_record(9, 1, 1, 10, true, &e), -1);
	assert_non_null(strstr(e.text, "digests or records are left"));
}

/* The digest of the head was checked, so this is what a signer could write. */
static void
head_with_any_byte_changed_is_refused_or_read_to_its_end(void **state)
{
	CLEANUP(told_end) struct payload_told p;
	struct delta_head put = {0};
	struct err e = ERR_INIT;
	size_t refusals = 0;

	(void)state;
	tell(&p);
	AUTO_CLOSE int fd = delta_file(&put, &p.told, 1, manifest_json);
	for (uint64_t at = 0; at < put.size; at++) {
		uint8_t was, now;

		assert_int_equal(pread(fd, &was, 1, (off_t)at), 1);
		now = (uint8_t)(was ^ (1 << at % 8));
		assert_int_equal(pwrite(fd, &now, 1, (off_t)at), 1);
		if (walk_all(fd, put.size, &p, &e) < 0) {
			assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
			refusals++;
		}
		assert_int_equal(pwrite(fd, &was, 1, (off_t)at), 1);
	}
	assert_true(refusals > 100);
	assert_int_equal(walk_all(fd, put.size, &p, &e), 0);
	assert_int_equal(walk_all(fd, put.size - 1, &p, &e), -1);
	assert_int_equal(ftruncate(fd, (off_t)put.size + 1), 0);
	assert_int_equal(walk_all(fd, put.size + 1, &p, &e), -1);
	assert_non_null(strstr(e.text, "do not add up"));
	assert_int_equal(walk_all(fd, 87, &p, &e), -1);
	assert_int_equal(walk_all(fd, HEAD_BYTES_MAX + 1, &p, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

/* The head was there in full when its digest was checked. */
static void
head_that_cannot_be_read_blames_no_signer(void **state)
{
	CLEANUP(told_end) struct payload_told p;
	struct delta_head put = {0};
	struct err e = ERR_INIT;

	(void)state;
	tell(&p);
	AUTO_CLOSE int fd = delta_file(&put, &p.told, 1, manifest_json);
	AUTO_CLOSE int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(walk_all(folder, put.size, &p, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	for (uint64_t len = put.size; len-- > 0;) {
		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		if (walk_all(fd, put.size, &p, &e) < 0)
			assert_int_equal(e.class, ERR_SYSTEM);
		else
			assert_true(len >= put.size - p.told.seals.len - p.told.list.len);
	}
}

static int
list_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct buf *list = arg;

	(void)e;
	assert_true(offset + len <= list->len);
	memcpy(data, list->data + offset, len);
	return 0;
}

static void
list_line(struct buf *b, int n, int version)
{
	struct err e = ERR_INIT;

	assert_int_equal(buf_printf(b, &e, "{\"path\":\"usr/lib/file-%06d\",\"sha256\":\"%d\"}\n",
				 n, version),
		0);
}

static void
list_is_patched_from_the_old_one(void **state)
{
	AUTO_BUF struct buf before = BUF_INIT(1 << 24), after = BUF_INIT(1 << 24),
			    told = BUF_INIT(1 << 24), made = BUF_INIT(1 << 24);
	struct patch_old old = {&before, list_read, 0};
	struct delta_part part = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (int n = 0; n < 10000; n++) {
		list_line(&before, n, 1);
		if (n % 1000 != 3)
			list_line(&after, n, 1 + (n % 777 == 0));
		if (n % 2000 == 5)
			list_line(&after, 100000 + n, 1);
	}
	old.size = before.len;
	assert_true(after.len > 2 * DELTA_LIST_PIECE);
	assert_int_equal(delta_put_list(buf_span(&before), buf_span(&after), &told, &e), 0);
	assert_true(told.len < 1500);
	AUTO_CLOSE int fd = memfd_create("told", MFD_CLOEXEC);
	AUTO_CLOSE int out = memfd_create("made", MFD_CLOEXEC);
	assert_int_equal(file_write_full(fd, "told", told.data, told.len, &e), 0);
	part.list_size = told.len;
	assert_int_equal(delta_list_make(fd, "d", &part, &old, after.len, out, 7, &e), 0);
	assert_int_equal(buf_reserve(&made, after.len, &e), 0);
	assert_int_equal(pread(out, made.data, after.len, 7), (ssize_t)after.len);
	assert_memory_equal(made.data, after.data, after.len);
	for (int change = -1; change <= 1; change += 2) {
		part.list_size = told.len + (size_t)change;
		assert_int_equal(ftruncate(fd, (off_t)told.len + 1), 0);
		assert_int_equal(delta_list_make(fd, "d", &part, &old, after.len, out, 7, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
}

static void
list_comes_from_nothing_where_there_was_none(void **state)
{
	AUTO_BUF struct buf before = BUF_INIT(1), after = BUF_INIT(1 << 20),
			    told = BUF_INIT(1 << 20);
	struct patch_old old = {&before, list_read, 0};
	struct delta_part part = {0};
	struct err e = ERR_INIT;
	char made[256];

	(void)state;
	list_line(&after, 1, 1);
	assert_int_equal(delta_put_list(span_of("", 0), buf_span(&after), &told, &e), 0);
	AUTO_CLOSE int fd = memfd_create("told", MFD_CLOEXEC);
	AUTO_CLOSE int out = memfd_create("made", MFD_CLOEXEC);
	assert_int_equal(file_write_full(fd, "told", told.data, told.len, &e), 0);
	part.list_size = told.len;
	assert_int_equal(delta_list_make(fd, "d", &part, &old, after.len, out, 0, &e), 0);
	assert_int_equal(pread(out, made, sizeof(made), 0), (ssize_t)after.len);
	assert_memory_equal(made, after.data, after.len);
}

static void
listing_is_read_as_it_was_built(void **state)
{
	struct delta_listing put = {.head_length = 9000,
				     .head_sha256 = digest_like(1),
				     .from = digest_like(2),
				     .to = digest_like(3)},
			     got;
	AUTO_JSON json_t *custom = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(delta_listing_build(&put, &custom, &e), 0);
	memset(&got, 0, sizeof(got));
	assert_int_equal(delta_listing_parse(custom, &got, &e), 0);
	assert_int_equal(got.head_length, put.head_length);
	assert_memory_equal(&got.head_sha256, &put.head_sha256, DIGEST_BYTES);
	assert_memory_equal(&got.from, &put.from, DIGEST_BYTES);
	assert_memory_equal(&got.to, &put.to, DIGEST_BYTES);
	assert_int_equal(delta_listing_parse(NULL, &got, &e), -1);
	assert_int_equal(json_object_del(json_object_get(custom, "delta"), "to"), 0);
	assert_int_equal(delta_listing_parse(custom, &got, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
path_of_a_delta_names_both_versions(void **state)
{
	char path[TUF_PATH_MAX], version[TUF_PATH_MAX];
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(delta_path("gateway", "2.4.0", "2.3.9", path, &e), 0);
	assert_string_equal(path, "bundles/gateway-2.4.0.from-2.3.9.delta");
	memset(version, '1', sizeof(version) - 1);
	version[sizeof(version) - 1] = '\0';
	assert_int_equal(delta_path("gateway", version, "2.3.9", path, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_is_read_as_it_was_written),
		cmocka_unit_test(chunks_know_their_records),
		cmocka_unit_test(walk_that_does_not_add_up_is_refused),
		cmocka_unit_test(chunk_in_too_many_pieces_is_refused),
		cmocka_unit_test(record_of_an_impossible_size_is_refused),
		cmocka_unit_test(record_that_tells_nothing_is_refused),
		cmocka_unit_test(head_with_any_byte_changed_is_refused_or_read_to_its_end),
		cmocka_unit_test(head_that_cannot_be_read_blames_no_signer),
		cmocka_unit_test(list_is_patched_from_the_old_one),
		cmocka_unit_test(list_comes_from_nothing_where_there_was_none),
		cmocka_unit_test(listing_is_read_as_it_was_built),
		cmocka_unit_test(path_of_a_delta_names_both_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
