#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/limits.h"

#define AUTO_DEFLATER CLEANUP(deflater_free)
#define AUTO_INFLATER CLEANUP(inflater_free)

static uint8_t plain[CHUNK_BYTES], stored[CHUNK_STORED_MAX], back[CHUNK_BYTES + 1];

/* "hello hello hello hello" as one stream of level 9, made by another zlib (Python's). */
static const uint8_t hello_stream[] = {0x78, 0xda, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40,
	0x27, 0x01, 0x68, 0x03, 0x08, 0xb1};
static const char hello[] = "hello hello hello hello";

static void
fill_text(size_t len)
{
	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)((size_t) "the quick brown fox"[i % 19] + (i / 4096) % 3);
}

/* xorshift: bytes that no compressor makes smaller. */
static void
fill_noise(size_t len)
{
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		plain[i] = (uint8_t)x;
	}
}

static struct chunk
encode(size_t len, const uint8_t **data)
{
	AUTO_DEFLATER struct deflater *d = NULL;
	struct err e = ERR_INIT;
	struct chunk c;

	assert_int_equal(deflater_new(9, &d, &e), 0);
	assert_int_equal(chunk_encode(d, span_of(plain, len), stored, &c, data, &e), 0);
	assert_int_equal(c.size, len);
	return c;
}

static int
decode_with(int (*new)(struct inflater **, struct err *), const struct chunk *c,
	const uint8_t *data, size_t len, struct err *e)
{
	AUTO_INFLATER struct inflater *i = NULL;
	int got;

	assert_int_equal(new (&i, e), 0);
	back[c->size <= CHUNK_BYTES ? c->size : CHUNK_BYTES] = 0x5a;
	got = chunk_decode(i, c, span_of(data, len), back, e);
	/* Not a byte is written behind what was asked for. */
	assert_int_equal(back[c->size <= CHUNK_BYTES ? c->size : CHUNK_BYTES], 0x5a);
	return got;
}

/* With libdeflate, where it is installed, it is as without: what comes out, and every word. */
static int
decode(const struct chunk *c, const uint8_t *data, size_t len, struct err *e)
{
	uint8_t plain_back[CHUNK_BYTES];
	struct err own = *e;
	int got = decode_with(inflater_new_zlib, c, data, len, &own);

	if (got == 0)
		memcpy(plain_back, back, (size_t)c->size);
	assert_int_equal(decode_with(inflater_new, c, data, len, e), got);
	if (got == 0)
		assert_memory_equal(back, plain_back, (size_t)c->size);
	else
		assert_string_equal(e->text, own.text);
	assert_int_equal(e->class, own.class);
	return got;
}

static struct chunk
hello_chunk(void)
{
	return (struct chunk){.store = CHUNK_ZLIB,
		.plain = digest_of(span_str(hello)),
		.stored = digest_of(span_of(hello_stream, sizeof(hello_stream))),
		.size = strlen(hello),
		.stored_size = sizeof(hello_stream)};
}

static void
assert_round_trip(size_t len, enum chunk_store store)
{
	struct err e = ERR_INIT;
	const uint8_t *data;
	struct chunk c = encode(len, &data);

	assert_int_equal(c.store, store);
	assert_int_equal(decode(&c, data, c.stored_size, &e), 0);
	assert_memory_equal(back, plain, len);
}

static void
chunk_of_any_size_comes_back(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 100, 4095, 4096, CHUNK_BYTES - 1, CHUNK_BYTES};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		fill_noise(sizes[i]);
		assert_round_trip(sizes[i], CHUNK_RAW);
		fill_text(sizes[i]);
		assert_round_trip(sizes[i], sizes[i] < 100 ? CHUNK_RAW : CHUNK_ZLIB);
	}
}

static void
chunk_of_zeros_is_a_run_when_it_is_full_and_a_stream_when_it_is_not(void **state)
{
	static const struct digest none;
	const uint8_t *data;
	struct chunk c;

	(void)state;
	memset(plain, 0, sizeof(plain));
	c = encode(CHUNK_BYTES, &data);
	assert_int_equal(c.store, CHUNK_ZERO_RUN);
	assert_int_equal(c.stored_size, 0);
	assert_true(digest_equal(&c.plain, &none));
	assert_true(digest_equal(&c.stored, &none));
	assert_round_trip(CHUNK_BYTES - 1, CHUNK_ZLIB);
	plain[CHUNK_BYTES - 1] = 1;
	assert_round_trip(CHUNK_BYTES, CHUNK_ZLIB);
	plain[CHUNK_BYTES - 1] = 0;
	plain[0] = 1;
	assert_round_trip(CHUNK_BYTES, CHUNK_ZLIB);
}

static void
chunk_encodes_alike_in_a_used_and_in_a_new_deflater(void **state)
{
	AUTO_DEFLATER struct deflater *d = NULL;
	uint8_t other[CHUNK_STORED_MAX];
	const uint8_t *data, *again;
	struct err e = ERR_INIT;
	struct chunk c, second;

	(void)state;
	assert_int_equal(deflater_new(9, &d, &e), 0);
	fill_noise(CHUNK_BYTES);
	assert_int_equal(
		chunk_encode(d, span_of(plain, CHUNK_BYTES), other, &second, &again, &e), 0);
	fill_text(5000);
	assert_int_equal(chunk_encode(d, span_of(plain, 5000), other, &second, &again, &e), 0);
	c = encode(5000, &data);
	assert_int_equal(c.stored_size, second.stored_size);
	assert_memory_equal(data, again, c.stored_size);
}

static void
chunk_encode_refuses_no_bytes_and_too_many(void **state)
{
	AUTO_DEFLATER struct deflater *d = NULL;
	struct err e = ERR_INIT;
	const uint8_t *data;
	struct chunk c;

	(void)state;
	assert_int_equal(deflater_new(1, &d, &e), 0);
	assert_int_equal(chunk_encode(d, span_of(plain, 0), stored, &c, &data, &e), -1);
	assert_int_equal(
		chunk_encode(d, span_of(plain, CHUNK_BYTES + 1), stored, &c, &data, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
deflater_refuses_a_level_that_zlib_has_not(void **state)
{
	struct deflater *d = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(deflater_new(0, &d, &e), -1);
	assert_int_equal(deflater_new(10, &d, &e), -1);
	assert_int_equal(deflater_new(-1, &d, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_null(d);
	deflater_free(&d);
}

static void
chunk_of_another_zlib_is_read(void **state)
{
	struct chunk c = hello_chunk();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(decode(&c, hello_stream, sizeof(hello_stream), &e), 0);
	assert_memory_equal(back, hello, strlen(hello));
}

static void
chunk_with_any_stored_byte_flipped_is_untrusted_before_it_is_inflated(void **state)
{
	struct chunk c = hello_chunk();
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(hello_stream); i++) {
		uint8_t bytes[sizeof(hello_stream)];

		memcpy(bytes, hello_stream, sizeof(bytes));
		bytes[i] ^= 0x10;
		memset(back, 0xa5, sizeof(back));
		assert_int_equal(decode(&c, bytes, sizeof(bytes), &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		/* The decompressor has not seen them: nothing came out. */
		assert_int_equal(back[0], 0xa5);
	}
}

static void
chunk_with_another_plain_digest_is_untrusted(void **state)
{
	struct chunk c = hello_chunk();
	struct err e = ERR_INIT;
	const uint8_t *data;

	(void)state;
	c.plain.b[31] ^= 1;
	assert_int_equal(decode(&c, hello_stream, sizeof(hello_stream), &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	fill_noise(50);
	c = encode(50, &data);
	assert_int_equal(c.store, CHUNK_RAW);
	memset(&c.plain, 0, sizeof(c.plain));
	assert_int_equal(decode(&c, data, 50, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

/* Signed, so that the digest is right, and yet no stream of that size. */
static void
assert_stream_refused(const void *bytes, size_t len, size_t size)
{
	struct chunk c = hello_chunk();
	struct err e = ERR_INIT;

	c.stored = digest_of(span_of(bytes, len));
	c.stored_size = (uint32_t)len;
	c.size = size;
	assert_int_equal(decode(&c, bytes, len, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
chunk_stream_cut_anywhere_is_refused(void **state)
{
	(void)state;
	for (size_t len = 1; len < sizeof(hello_stream); len++)
		assert_stream_refused(hello_stream, len, strlen(hello));
}

static void
chunk_stream_with_a_byte_behind_it_is_refused(void **state)
{
	uint8_t longer[sizeof(hello_stream) + 1] = {0};

	(void)state;
	memcpy(longer, hello_stream, sizeof(hello_stream));
	assert_stream_refused(longer, sizeof(longer), strlen(hello));
}

static void
chunk_stream_of_another_size_is_refused(void **state)
{
	(void)state;
	assert_stream_refused(hello_stream, sizeof(hello_stream), strlen(hello) - 1);
	assert_stream_refused(hello_stream, sizeof(hello_stream), strlen(hello) + 1);
	assert_stream_refused(hello_stream, sizeof(hello_stream), CHUNK_BYTES);
	assert_stream_refused(hello_stream, sizeof(hello_stream), sizeof(hello_stream) + 1);
}

static void
chunk_stream_with_any_bit_flipped_is_refused_or_means_the_same(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(hello_stream); bit++) {
		uint8_t bytes[sizeof(hello_stream)];
		struct chunk c = hello_chunk();
		struct err e = ERR_INIT;

		memcpy(bytes, hello_stream, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		c.stored = digest_of(span_of(bytes, sizeof(bytes)));
		/* Some bits pad the stream to a byte and mean nothing. */
		if (decode(&c, bytes, sizeof(bytes), &e) == 0)
			assert_memory_equal(back, hello, strlen(hello));
		else
			assert_true(e.class == ERR_MALFORMED || e.class == ERR_UNTRUSTED);
	}
}

static void
chunk_stream_that_wants_a_dictionary_is_refused(void **state)
{
	/* Made with zdict=b"hello ". */
	static const uint8_t wants[] = {0x78, 0xf9, 0x08, 0x61, 0x02, 0x35, 0xcb, 0xc0, 0x4e, 0x02,
		0x00, 0x68, 0x03, 0x08, 0xb1};
	struct chunk c = hello_chunk();
	struct err e = ERR_INIT;

	(void)state;
	c.stored = digest_of(span_of(wants, sizeof(wants)));
	c.stored_size = sizeof(wants);
	assert_int_equal(decode(&c, wants, sizeof(wants), &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "dictionary"));
}

static void
chunk_stream_of_gzip_or_bare_deflate_is_refused(void **state)
{
	static const uint8_t gzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
		0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0x01, 0xe3, 0x51, 0x3d, 0x8d,
		0x17, 0x00, 0x00, 0x00};

	(void)state;
	assert_stream_refused(gzip, sizeof(gzip), strlen(hello));
	assert_stream_refused(hello_stream + 2, sizeof(hello_stream) - 6, strlen(hello));
}

static void
assert_sizes_refused(const struct chunk *c, size_t len)
{
	struct err e = ERR_INIT;

	assert_int_equal(decode(c, hello_stream, len, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "sizes that cannot be"));
}

static void
chunk_with_sizes_that_cannot_be_is_refused(void **state)
{
	struct chunk c = hello_chunk();

	(void)state;
	assert_sizes_refused(&c, sizeof(hello_stream) - 1);
	c.size = CHUNK_BYTES + 1;
	assert_sizes_refused(&c, sizeof(hello_stream));
	c.size = UINT64_MAX;
	assert_sizes_refused(&c, sizeof(hello_stream));
	c.size = 0;
	assert_sizes_refused(&c, sizeof(hello_stream));
	c.size = sizeof(hello_stream);
	assert_sizes_refused(&c, sizeof(hello_stream));
	c = hello_chunk();
	c.store = CHUNK_RAW;
	assert_sizes_refused(&c, sizeof(hello_stream));
	c.store = CHUNK_ZERO_RUN;
	assert_sizes_refused(&c, sizeof(hello_stream));
}

static void
inflater_works_on_after_a_bad_chunk(void **state)
{
	AUTO_INFLATER struct inflater *i = NULL;
	struct chunk good = hello_chunk(), bad = hello_chunk();
	struct err e = ERR_INIT;

	(void)state;
	bad.stored = digest_of(span_of(hello_stream, sizeof(hello_stream) - 1));
	bad.stored_size--;
	assert_int_equal(inflater_new(&i, &e), 0);
	for (int n = 0; n < 3; n++) {
		assert_int_equal(chunk_decode(i, &bad,
					 span_of(hello_stream, sizeof(hello_stream) - 1), back, &e),
			-1);
		assert_int_equal(chunk_decode(i, &good, span_of(hello_stream, sizeof(hello_stream)),
					 back, &e),
			0);
	}
	assert_non_null(strchr(codec_zlib_version(), '.'));
}

/* Good, no stream, spoilt, no stream, good: each by itself, and the worst is what is told of. */
static void
chunks_are_decoded_each_by_itself(void **state)
{
	enum { N = CODEC_CHUNKS };
	AUTO_INFLATER struct inflater *i = NULL;
	static uint8_t out[N][sizeof(hello)];
	uint8_t spoilt[sizeof(hello_stream)], no_stream[sizeof(hello_stream)] = {0x78, 0xda, 7};
	struct chunk good = hello_chunk(), bad = hello_chunk();
	struct chunk_job jobs[N];
	struct err e = ERR_INIT;
	size_t failed = 99;

	(void)state;
	memcpy(spoilt, hello_stream, sizeof(spoilt));
	spoilt[5] ^= 1;
	bad.stored = digest_of(span_of(no_stream, sizeof(no_stream)));
	assert_int_equal(inflater_new(&i, &e), 0);
	for (size_t n = 0; n < N; n++)
		jobs[n] = (struct chunk_job){
			&good, span_of(hello_stream, sizeof(hello_stream)), out[n], ERR_SYSTEM};
	assert_int_equal(chunks_decode(i, jobs, N, &failed, &e), 0);
	jobs[3].stored = jobs[40].stored = span_of(spoilt, sizeof(spoilt));
	memset(out, 0, sizeof(out));
	assert_int_equal(chunks_decode(i, jobs, N, &failed, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(failed, 3);
	jobs[20].c = jobs[30].c = &bad;
	jobs[20].stored = jobs[30].stored = span_of(no_stream, sizeof(no_stream));
	assert_int_equal(chunks_decode(i, jobs, N, &failed, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(failed, 20);
	for (size_t n = 0; n < N; n++) {
		bool is_spoilt = n == 3 || n == 40, is_bad = n == 20 || n == 30;

		assert_int_equal(jobs[n].class,
			is_spoilt ? ERR_UNTRUSTED : (is_bad ? ERR_MALFORMED : ERR_NONE));
		assert_true(memcmp(out[n], hello, strlen(hello)) == 0 || is_spoilt || is_bad);
	}
	assert_int_equal(out[3][0] | out[40][0], 0);
}

/* "hello hello hello hello" as gzip -9 makes it (by Python's zlib, without a name or a time). */
static const uint8_t hello_gzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
	0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0x01, 0xe3, 0x51, 0x3d, 0x8d, 0x17,
	0x00, 0x00, 0x00};

/* Through a window of `window` bytes in and out. -1, or how many bytes came out. */
static ssize_t
gunzip(const uint8_t *data, size_t len, size_t window, struct err *e)
{
	CLEANUP(gunzip_free) struct gunzip *g = NULL;
	size_t done = 0;

	assert_int_equal(gunzip_new(&g, e), 0);
	for (size_t at = 0;;) {
		size_t give = (size_t)num_min(window, len - at), made = 0;
		struct span in = span_of(data + at, give);

		if (gunzip_step(g, &in, back + done, (size_t)num_min(window, sizeof(back) - done),
			    &made, e) < 0)
			return -1;
		if (made == 0 && in.len == give)
			break;
		at += give - in.len;
		done += made;
	}
	return gunzip_end(g, e) < 0 ? -1 : (ssize_t)done;
}

static void
gunzip_reads_members_one_after_the_other_through_any_window(void **state)
{
	uint8_t twice[2 * sizeof(hello_gzip) + 9] = {0};
	struct err e = ERR_INIT;

	(void)state;
	memcpy(twice, hello_gzip, sizeof(hello_gzip));
	memcpy(twice + sizeof(hello_gzip), hello_gzip, sizeof(hello_gzip));
	for (size_t window = 1; window < 100; window++) {
		assert_int_equal(gunzip(twice, sizeof(twice), window, &e), 2 * strlen(hello));
		assert_memory_equal(back, hello, strlen(hello));
		assert_memory_equal(back + strlen(hello), hello, strlen(hello));
	}
	twice[sizeof(twice) - 1] = 1;
	assert_int_equal(gunzip(twice, sizeof(twice), 64, &e), -1);
	assert_non_null(strstr(e.text, "stands behind"));
}

static void
gunzip_refuses_every_prefix_and_every_flip_that_counts(void **state)
{
	uint8_t bytes[sizeof(hello_gzip)];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t len = 0; len < sizeof(bytes); len++)
		assert_int_equal(gunzip(hello_gzip, len, 7, &e), -1);
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		memcpy(bytes, hello_gzip, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (gunzip(bytes, sizeof(bytes), 7, &e) < 0)
			continue;
		/* Time, extra flags and system say nothing about the content, nor does "is text".
		 */
		assert_true((bit / 8 >= 4 && bit / 8 < 10) || bit == 8 * 3);
		assert_memory_equal(back, hello, strlen(hello));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunk_of_any_size_comes_back),
		cmocka_unit_test(
			chunk_of_zeros_is_a_run_when_it_is_full_and_a_stream_when_it_is_not),
		cmocka_unit_test(chunk_encodes_alike_in_a_used_and_in_a_new_deflater),
		cmocka_unit_test(chunk_encode_refuses_no_bytes_and_too_many),
		cmocka_unit_test(deflater_refuses_a_level_that_zlib_has_not),
		cmocka_unit_test(chunk_of_another_zlib_is_read),
		cmocka_unit_test(
			chunk_with_any_stored_byte_flipped_is_untrusted_before_it_is_inflated),
		cmocka_unit_test(chunk_with_another_plain_digest_is_untrusted),
		cmocka_unit_test(chunk_stream_cut_anywhere_is_refused),
		cmocka_unit_test(chunk_stream_with_a_byte_behind_it_is_refused),
		cmocka_unit_test(chunk_stream_of_another_size_is_refused),
		cmocka_unit_test(chunk_stream_with_any_bit_flipped_is_refused_or_means_the_same),
		cmocka_unit_test(chunk_stream_that_wants_a_dictionary_is_refused),
		cmocka_unit_test(chunk_stream_of_gzip_or_bare_deflate_is_refused),
		cmocka_unit_test(chunk_with_sizes_that_cannot_be_is_refused),
		cmocka_unit_test(inflater_works_on_after_a_bad_chunk),
		cmocka_unit_test(chunks_are_decoded_each_by_itself),
		cmocka_unit_test(gunzip_reads_members_one_after_the_other_through_any_window),
		cmocka_unit_test(gunzip_refuses_every_prefix_and_every_flip_that_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
