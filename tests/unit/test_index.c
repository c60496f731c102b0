#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/index.h"
#include "common/limits.h"

enum { BEFORE = 512, SAMPLE_CHUNKS = 4 };

/* An index in a file, behind bytes that are not its own, and the payload that it is for. */
struct sample {
	int fd;
	struct payload p;
	size_t len;
	uint8_t bytes[INDEX_HEADER_BYTES + 2000 * INDEX_ENTRY_BYTES];
};

static struct digest
some_digest(int seed)
{
	return digest_of(span_of(&seed, sizeof(seed)));
}

static struct chunk
some_chunk(uint32_t size, int seed)
{
	return (struct chunk){.plain = some_digest(seed), .size = size};
}

static struct chunk
run_chunk(uint64_t count)
{
	return (struct chunk){.store = CHUNK_ZERO_RUN, .size = count * CHUNK_BYTES};
}

/* Writes the bytes as they are now, and signs them so to speak. */
static void
sample_write(struct sample *s)
{
	struct member *index = &s->p.members[MEMBER_INDEX];
	struct err e = ERR_INIT;

	assert_int_equal(ftruncate(s->fd, 0), 0);
	assert_int_equal(file_pwrite_full(s->fd, "sample", s->bytes, s->len, BEFORE, &e), 0);
	index->present = true;
	index->size = s->len;
	index->digest = digest_of(span_of(s->bytes, s->len));
}

static void
sample_make(struct sample *s, enum payload_kind kind, const struct chunk *chunks, size_t count)
{
	uint64_t plain = 0;

	memset(s, 0, sizeof(*s));
	s->fd = memfd_create("index", MFD_CLOEXEC);
	assert_true(s->fd >= 0);
	for (size_t i = 0; i < count; i++) {
		index_put_entry(s->bytes + INDEX_HEADER_BYTES + i * INDEX_ENTRY_BYTES, &chunks[i]);
		plain += chunks[i].size;
	}
	index_put_header(s->bytes, plain, count);
	s->len = INDEX_HEADER_BYTES + count * INDEX_ENTRY_BYTES;
	(void)strcpy(s->p.name, "rootfs");
	s->p.kind = kind;
	s->p.size = plain;
	sample_write(s);
}

static void
sample_image(struct sample *s)
{
	const struct chunk chunks[SAMPLE_CHUNKS] = {some_chunk(CHUNK_BYTES, 1), run_chunk(3),
		some_chunk(CHUNK_BYTES, 2), some_chunk(100, 3)};

	sample_make(s, PAYLOAD_IMAGE, chunks, SAMPLE_CHUNKS);
}

static void
sample_free(struct sample *s)
{
	assert_int_equal(close(s->fd), 0);
}

/* Walks to the end. */
static int
sample_walk(const struct sample *s, size_t *count, struct err *e)
{
	AUTO_INDEX struct index_reader *r = NULL;
	struct chunk c;
	bool more;

	*count = 0;
	if (index_open(s->fd, "sample.ota", BEFORE, &s->p, &r, e) < 0)
		return -1;
	for (;;) {
		if (index_next(r, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		/* Whatever the bytes, nothing ever lies outside the payload and its data. */
		assert_true(c.size > 0 && c.offset + c.size <= s->p.size);
		assert_true(c.store == CHUNK_ZERO_RUN ||
			    (c.store == CHUNK_UNKNOWN && c.size <= CHUNK_BYTES));
		assert_true(c.stored_offset == 0 && c.stored_size == 0);
		++*count;
	}
}

static void
assert_refused_as(const struct sample *s, enum err_class class, const char *text)
{
	struct err e = ERR_INIT;
	size_t count;

	assert_int_equal(sample_walk(s, &count, &e), -1);
	assert_int_equal(e.class, class);
	if (!strstr(e.text, text))
		fail_msg("\"%s\" does not say \"%s\"", e.text, text);
}

static void
assert_chunks_refused(
	enum payload_kind kind, const struct chunk *chunks, size_t count, const char *text)
{
	struct sample s;

	sample_make(&s, kind, chunks, count);
	assert_refused_as(&s, ERR_MALFORMED, text);
	sample_free(&s);
}

static void
index_gives_back_what_was_put(void **state)
{
	AUTO_INDEX struct index_reader *r = NULL;
	struct err e = ERR_INIT;
	struct sample s;
	struct chunk c;
	bool more;

	(void)state;
	sample_image(&s);
	assert_int_equal(index_open(s.fd, "sample.ota", BEFORE, &s.p, &r, &e), 0);
	assert_int_equal(index_entries(r), SAMPLE_CHUNKS);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(index_next(r, &c, &more, &e), 0);
		assert_true(more && c.store == CHUNK_UNKNOWN && c.offset == 0);
		assert_int_equal(c.size, CHUNK_BYTES);
		assert_int_equal(index_next(r, &c, &more, &e), 0);
		assert_true(more && c.store == CHUNK_ZERO_RUN && c.offset == CHUNK_BYTES);
		assert_int_equal(c.size, 3 * CHUNK_BYTES);
		assert_int_equal(index_next(r, &c, &more, &e), 0);
		assert_true(more && c.store == CHUNK_UNKNOWN && c.offset == 4 * CHUNK_BYTES);
		assert_int_equal(index_next(r, &c, &more, &e), 0);
		assert_true(more && c.store == CHUNK_UNKNOWN && c.size == 100);
		for (int past = 0; past < 2; past++) {
			assert_int_equal(index_next(r, &c, &more, &e), 0);
			assert_false(more);
		}
		assert_int_equal(index_rewind(r, &e), 0);
	}
	sample_free(&s);
}

static void
index_is_32_bytes_and_36_an_entry(void **state)
{
	static const uint8_t header[INDEX_HEADER_BYTES] = {'S', 'L', 'U', 'I', 'C', 'E', 'I', 'X',
		2, 0, 0, 0, 0, 0, 1, 0, 0x64, 0, 5, 0, 0, 0, 0, 0, 4};
	struct sample s;

	(void)state;
	sample_image(&s);
	assert_memory_equal(s.bytes, header, sizeof(header));
	assert_int_equal(s.len, 32 + 4 * 36);
	assert_int_equal(num_get_le32(s.bytes + 32 + 32), CHUNK_BYTES);
	assert_int_equal(num_get_le32(s.bytes + 32 + 36 + 32), 0x80000003);
	assert_int_equal(num_get_le32(s.bytes + 32 + 3 * 36 + 32), 100);
	sample_free(&s);
}

static void
index_of_many_windows_is_read_whole(void **state)
{
	static struct chunk chunks[1999];
	struct err e = ERR_INIT;
	struct sample s;
	size_t count;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
		chunks[i] = some_chunk(CHUNK_BYTES, (int)i);
	sample_make(&s, PAYLOAD_IMAGE, chunks, ARRAY_LEN(chunks));
	assert_int_equal(sample_walk(&s, &count, &e), 0);
	assert_int_equal(count, ARRAY_LEN(chunks));
	sample_free(&s);
}

static void
index_of_an_empty_tree_has_no_entries(void **state)
{
	struct err e = ERR_INIT;
	struct sample s;
	size_t count;

	(void)state;
	sample_make(&s, PAYLOAD_TREE, NULL, 0);
	assert_int_equal(sample_walk(&s, &count, &e), 0);
	assert_int_equal(count, 0);
	sample_free(&s);
}

static void
index_of_the_largest_payload_is_one_run(void **state)
{
	const struct chunk run = run_chunk(PAYLOAD_BYTES_MAX / CHUNK_BYTES);
	struct err e = ERR_INIT;
	struct sample s;
	size_t count;

	(void)state;
	sample_make(&s, PAYLOAD_IMAGE, &run, 1);
	assert_int_equal(s.p.size, PAYLOAD_BYTES_MAX);
	assert_int_equal(sample_walk(&s, &count, &e), 0);
	sample_free(&s);
}

static void
index_refuses_every_prefix_and_any_tail(void **state)
{
	struct sample s;
	size_t whole;

	(void)state;
	sample_image(&s);
	whole = s.len;
	for (size_t len = 0; len < whole; len++) {
		struct err e = ERR_INIT;
		size_t count;

		s.len = len;
		sample_write(&s);
		assert_int_equal(sample_walk(&s, &count, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		/* The manifest says more than there is. */
		s.p.members[MEMBER_INDEX].size = whole;
		assert_int_equal(sample_walk(&s, &count, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
	}
	for (s.len = whole + 1; s.len <= whole + 2 * INDEX_ENTRY_BYTES; s.len++) {
		sample_write(&s);
		assert_refused_as(&s, ERR_MALFORMED, "entries do not fill");
	}
	sample_free(&s);
}

/* In digests alone may a signed flip be read: it means other chunks, as somebody signed. */
static void
index_flipped_anywhere_is_refused_or_names_other_chunks_of_the_same_places(void **state)
{
	struct sample s;

	(void)state;
	sample_image(&s);
	for (size_t bit = 0; bit < 8 * s.len; bit++) {
		struct err e = ERR_INIT;
		size_t count, at = bit / 8;
		bool in_digest = at >= INDEX_HEADER_BYTES &&
				 (at - INDEX_HEADER_BYTES) % INDEX_ENTRY_BYTES < 32;

		s.bytes[at] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(file_pwrite_full(s.fd, "x", s.bytes, s.len, BEFORE, &e), 0);
		/* Flipped behind the signature's back: never accepted, and no fault of its. */
		assert_int_equal(sample_walk(&s, &count, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		sample_write(&s);
		if (sample_walk(&s, &count, &e) == 0)
			assert_true(in_digest && count == SAMPLE_CHUNKS);
		else
			assert_int_equal(e.class, ERR_MALFORMED);
		s.bytes[at] ^= (uint8_t)(1U << bit % 8);
	}
	sample_free(&s);
}

static void
index_that_changed_since_it_was_checked_is_untrusted(void **state)
{
	AUTO_INDEX struct index_reader *r = NULL;
	struct err e = ERR_INIT;
	struct sample s;
	struct chunk c;
	bool more = true;

	(void)state;
	sample_image(&s);
	s.bytes[INDEX_HEADER_BYTES] ^= 1;
	assert_int_equal(file_pwrite_full(s.fd, "x", s.bytes, s.len, BEFORE, &e), 0);
	assert_int_equal(index_open(s.fd, "sample.ota", BEFORE, &s.p, &r, &e), 0);
	for (int i = 0; i < SAMPLE_CHUNKS; i++)
		assert_int_equal(index_next(r, &c, &more, &e), 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(index_next(r, &c, &more, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
	}
	assert_true(more);
	sample_free(&s);
}

/* Short chunks may stand anywhere in a tree, so only the sum tells that one is another. */
static void
index_of_a_tree_flipped_on_the_disk_is_never_malformed(void **state)
{
	const struct chunk chunks[] = {some_chunk(100, 1), some_chunk(CHUNK_BYTES, 2)};
	struct sample s;

	(void)state;
	sample_make(&s, PAYLOAD_TREE, chunks, ARRAY_LEN(chunks));
	for (size_t bit = 0; bit < 8 * s.len; bit++) {
		struct err e = ERR_INIT;
		size_t count;

		s.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(file_pwrite_full(s.fd, "x", s.bytes, s.len, BEFORE, &e), 0);
		assert_int_equal(sample_walk(&s, &count, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		s.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	sample_free(&s);
}

static void
index_refuses_a_count_that_lies(void **state)
{
	static const uint64_t lies[] = {0, 3, 5, UINT32_MAX, UINT64_MAX, UINT64_MAX / 36,
		UINT64_MAX / 36 + 1, 4 + (1ULL << 62)};
	struct sample s;

	(void)state;
	sample_image(&s);
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		index_put_header(s.bytes, s.p.size, lies[i]);
		sample_write(&s);
		assert_refused_as(&s, ERR_MALFORMED, "entries do not fill");
	}
	/* A lie that the manifest joins in is still bounded before anything is read. */
	index_put_header(s.bytes, s.p.size, INDEX_ENTRIES_MAX + 1);
	sample_write(&s);
	s.p.members[MEMBER_INDEX].size =
		INDEX_HEADER_BYTES + (INDEX_ENTRIES_MAX + 1) * INDEX_ENTRY_BYTES;
	assert_refused_as(&s, ERR_LIMIT, "too many");
	sample_free(&s);
}

static void
index_refuses_another_magic_version_or_chunk_size(void **state)
{
	struct sample s;

	(void)state;
	sample_image(&s);
	s.bytes[0] = 's';
	sample_write(&s);
	assert_refused_as(&s, ERR_MALFORMED, "begin like");
	s.bytes[0] = 'S';
	num_put_le32(s.bytes + 8, 1);
	sample_write(&s);
	assert_refused_as(&s, ERR_MALFORMED, "version 1");
	num_put_le32(s.bytes + 8, 2);
	num_put_le32(s.bytes + 12, 4096);
	sample_write(&s);
	assert_refused_as(&s, ERR_MALFORMED, "chunks of 4096");
	num_put_le32(s.bytes + 12, 0);
	sample_write(&s);
	assert_refused_as(&s, ERR_MALFORMED, "chunks of 0");
	sample_free(&s);
}

static void
index_refuses_sizes_other_than_the_manifests(void **state)
{
	struct sample s;

	(void)state;
	sample_image(&s);
	s.p.size++;
	assert_refused_as(&s, ERR_MALFORMED, "plain bytes");
	s.p.size--;
	s.p.members[MEMBER_INDEX].size = INDEX_HEADER_BYTES - 1;
	assert_refused_as(&s, ERR_MALFORMED, "31 bytes are no index");
	s.p.members[MEMBER_INDEX].present = false;
	assert_refused_as(&s, ERR_MALFORMED, "there is no index");
	sample_free(&s);
}

static void
index_refuses_a_chunk_past_the_end(void **state)
{
	struct sample s;

	(void)state;
	sample_image(&s);
	s.p.size -= 100;
	index_put_header(s.bytes, s.p.size, SAMPLE_CHUNKS);
	sample_write(&s);
	assert_refused_as(&s, ERR_MALFORMED, "entry 3: 100 bytes past");
	s.p.size += 200;
	index_put_header(s.bytes, s.p.size, SAMPLE_CHUNKS);
	sample_write(&s);
	assert_refused_as(&s, ERR_MALFORMED, "entry 3: a short chunk");
	s.p.kind = PAYLOAD_TREE;
	assert_refused_as(&s, ERR_MALFORMED, "not the whole payload");
	sample_free(&s);
}

static void
index_refuses_runs_past_the_end_however_long(void **state)
{
	static const uint32_t counts[] = {4, 5, 65536, UINT32_MAX - 0x80000000};
	struct sample s;

	(void)state;
	sample_image(&s);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		num_put_le32(s.bytes + INDEX_HEADER_BYTES + INDEX_ENTRY_BYTES + 32,
			0x80000000 | counts[i]);
		sample_write(&s);
		assert_refused_as(&s, ERR_MALFORMED, "past the payload's end");
	}
	for (uint32_t none = 0; none < 2; none++) {
		num_put_le32(
			s.bytes + INDEX_HEADER_BYTES + INDEX_ENTRY_BYTES + 32, none * 0x80000000);
		sample_write(&s);
		assert_refused_as(&s, ERR_MALFORMED, "entry 1: it stands for no bytes");
	}
	sample_free(&s);
}

static void
index_refuses_a_run_with_a_digest(void **state)
{
	struct chunk run = run_chunk(1);

	(void)state;
	run.plain = some_digest(1);
	assert_chunks_refused(PAYLOAD_IMAGE, &run, 1, "a run of zeros with a digest");
}

static void
index_refuses_a_chunk_without_a_digest(void **state)
{
	struct chunk c = some_chunk(100, 1);

	(void)state;
	memset(&c.plain, 0, sizeof(c.plain));
	assert_chunks_refused(PAYLOAD_IMAGE, &c, 1, "without a digest");
}

static void
index_refuses_chunks_over_the_chunk_size(void **state)
{
	struct chunk c = some_chunk(CHUNK_BYTES + 1, 1);

	(void)state;
	assert_chunks_refused(PAYLOAD_IMAGE, &c, 1, "a chunk of 65537 bytes");
	c.size = INT32_MAX;
	assert_chunks_refused(PAYLOAD_IMAGE, &c, 1, "a chunk of 2147483647 bytes");
}

static void
index_refuses_a_short_chunk_inside_an_image_but_not_inside_a_tree(void **state)
{
	const struct chunk chunks[] = {some_chunk(100, 1), some_chunk(1, 2), run_chunk(1)};
	struct err e = ERR_INIT;
	struct sample s;
	size_t count;

	(void)state;
	assert_chunks_refused(PAYLOAD_IMAGE, chunks, 3, "entry 0: a short chunk");
	sample_make(&s, PAYLOAD_TREE, chunks, 3);
	assert_int_equal(sample_walk(&s, &count, &e), 0);
	assert_int_equal(count, 3);
	sample_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_gives_back_what_was_put),
		cmocka_unit_test(index_is_32_bytes_and_36_an_entry),
		cmocka_unit_test(index_of_many_windows_is_read_whole),
		cmocka_unit_test(index_of_an_empty_tree_has_no_entries),
		cmocka_unit_test(index_of_the_largest_payload_is_one_run),
		cmocka_unit_test(index_refuses_every_prefix_and_any_tail),
		cmocka_unit_test(
			index_flipped_anywhere_is_refused_or_names_other_chunks_of_the_same_places),
		cmocka_unit_test(index_that_changed_since_it_was_checked_is_untrusted),
		cmocka_unit_test(index_of_a_tree_flipped_on_the_disk_is_never_malformed),
		cmocka_unit_test(index_refuses_a_count_that_lies),
		cmocka_unit_test(index_refuses_another_magic_version_or_chunk_size),
		cmocka_unit_test(index_refuses_sizes_other_than_the_manifests),
		cmocka_unit_test(index_refuses_a_chunk_past_the_end),
		cmocka_unit_test(index_refuses_runs_past_the_end_however_long),
		cmocka_unit_test(index_refuses_a_run_with_a_digest),
		cmocka_unit_test(index_refuses_a_chunk_without_a_digest),
		cmocka_unit_test(index_refuses_chunks_over_the_chunk_size),
		cmocka_unit_test(index_refuses_a_short_chunk_inside_an_image_but_not_inside_a_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
