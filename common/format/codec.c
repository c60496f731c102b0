#include "common/format/codec.h"

#include <dlfcn.h>
#include <errno.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/crypto/digest_many.h"
#include "common/format/codec_zlib.h"
#include "common/limits.h"

struct deflater {
	z_stream z;
};

struct inflater {
	z_stream z;
	struct libdeflate_decompressor *fast; /* NULL: there is no libdeflate */
};

/* libdeflate, once somebody inflates, where it is installed. */
static struct {
	pthread_once_t once;
	__typeof__(libdeflate_alloc_decompressor) *make;
	__typeof__(libdeflate_free_decompressor) *end;
	__typeof__(libdeflate_zlib_decompress_ex) *inflate;
} fast = {.once = PTHREAD_ONCE_INIT};

static void
fast_load(void)
{
	void *library = dlopen("libdeflate.so.0", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return;
	/* POSIX has functions fit in a void *, ISO C does not. */
	*(void **)&fast.make = dlsym(library, "libdeflate_alloc_decompressor");
	*(void **)&fast.end = dlsym(library, "libdeflate_free_decompressor");
	*(void **)&fast.inflate = dlsym(library, "libdeflate_zlib_decompress_ex");
}

int
zlib_failed(const z_stream *z, int status, const char *what, struct err *e)
{
	if (status == Z_MEM_ERROR)
		return err_sys(e, ENOMEM, "%s", what);
	return err_set(e, ERR_SYSTEM, "%s: zlib says %d (%s)", what, status,
		z->msg ? z->msg : "no reason given");
}

int
deflater_new(int level, struct deflater **out, struct err *e)
{
	AUTO_FREE struct deflater *d = calloc(1, sizeof(*d));
	int status;

	if (level < 1 || level > 9)
		return err_set(e, ERR_LIMIT, "compression level %d is not between 1 and 9", level);
	if (!d)
		return err_sys(e, ENOMEM, "making a compressor");
	status = deflateInit(&d->z, level);
	if (status != Z_OK)
		return zlib_failed(&d->z, status, "making a compressor", e);
	*out = TAKE_PTR(d);
	return 0;
}

void
deflater_free(struct deflater **d)
{
	if (!*d)
		return;
	(void)deflateEnd(&(*d)->z);
	free(*d);
	*d = NULL;
}

/* The next bytes of the stream, in a piece of their own. *fits false: there is no room for it. */
static int
deflate_piece(struct deflater *d, struct span piece, bool last, bool *fits, struct err *e)
{
	int status;

	d->z.next_in = piece.data;
	d->z.avail_in = (uInt)piece.len;
	status = deflate(&d->z, last ? Z_FINISH : Z_SYNC_FLUSH);
	if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
		return zlib_failed(&d->z, status, "compressing a chunk", e);
	*fits = last ? status == Z_STREAM_END : d->z.avail_out > 0;
	return 0;
}

/* *len is 0 when the stream would not be smaller than plain. */
static int
deflate_whole(struct deflater *d, struct span plain, uint8_t *stored, size_t *len,
	struct cuts *cuts, struct err *e)
{
	size_t step = cuts ? HINT_BLOCK_BYTES : plain.len, used = 0, count = 0;
	int status = deflateReset(&d->z);

	if (status != Z_OK)
		return zlib_failed(&d->z, status, "compressing a chunk", e);
	d->z.next_out = stored;
	d->z.avail_out = (uInt)plain.len - 1;
	*len = 0;
	for (size_t at = 0; at < plain.len; at += step) {
		size_t size = (size_t)num_min(plain.len - at, step);
		bool fits = false;

		if (deflate_piece(d, span_of(plain.data + at, size), at + size == plain.len, &fits,
			    e) < 0)
			return -1;
		if (!fits)
			return 0;
		if (cuts)
			cuts->cut[count++].size = (uint16_t)(d->z.total_out - used);
		used = d->z.total_out;
	}
	if (cuts)
		cuts->count = count;
	*len = used;
	return 0;
}

/* A raw chunk is cut as its blocks are. */
static void
cut_raw(size_t size, struct cuts *cuts)
{
	cuts->count = 0;
	for (size_t at = 0; at < size; at += HINT_BLOCK_BYTES)
		cuts->cut[cuts->count++].size = (uint16_t)num_min(size - at, HINT_BLOCK_BYTES);
}

int
chunk_encode(struct deflater *d, struct span plain, uint8_t *stored, struct chunk *out,
	const uint8_t **stored_data, struct err *e)
{
	return chunk_encode_cut(d, plain, stored, out, stored_data, NULL, e);
}

int
chunk_encode_cut(struct deflater *d, struct span plain, uint8_t *stored, struct chunk *out,
	const uint8_t **stored_data, struct cuts *cuts, struct err *e)
{
	struct chunk c = {.store = CHUNK_RAW, .size = plain.len};
	size_t len = 0;

	if (plain.len < 1 || plain.len > CHUNK_BYTES)
		return err_set(e, ERR_LIMIT, "a chunk of %zu bytes", plain.len);
	if (plain.len == CHUNK_BYTES && span_is_zero(plain)) {
		c.store = CHUNK_ZERO_RUN;
		*out = c;
		*stored_data = stored;
		return 0;
	}
	if (deflate_whole(d, plain, stored, &len, cuts, e) < 0)
		return -1;
	c.plain = digest_of(plain);
	if (len > 0) {
		c.store = CHUNK_ZLIB;
		c.stored = digest_of(span_of(stored, len));
		c.stored_size = (uint32_t)len;
		*stored_data = stored;
	} else {
		c.stored = c.plain;
		c.stored_size = (uint32_t)plain.len;
		*stored_data = plain.data;
		if (cuts)
			cut_raw(plain.len, cuts);
	}
	if (cuts)
		cuts_seal(cuts, *stored_data);
	*out = c;
	return 0;
}

int
inflater_new_zlib(struct inflater **out, struct err *e)
{
	AUTO_FREE struct inflater *i = calloc(1, sizeof(*i));
	int status;

	if (!i)
		return err_sys(e, ENOMEM, "making a decompressor");
	status = inflateInit(&i->z);
	if (status != Z_OK)
		return zlib_failed(&i->z, status, "making a decompressor", e);
	*out = TAKE_PTR(i);
	return 0;
}

int
inflater_new(struct inflater **out, struct err *e)
{
	if (inflater_new_zlib(out, e) < 0)
		return -1;
	(void)pthread_once(&fast.once, fast_load);
	if (fast.make && fast.end && fast.inflate)
		(*out)->fast = fast.make();
	return 0;
}

static void
fast_end(struct inflater *i)
{
	if (i->fast)
		fast.end(i->fast);
	i->fast = NULL;
}

void
inflater_free(struct inflater **i)
{
	if (!*i)
		return;
	fast_end(*i);
	(void)inflateEnd(&(*i)->z);
	free(*i);
	*i = NULL;
}

/* Whether libdeflate takes it without reserve. What it does not, zlib judges and has words for. */
static bool
inflate_fast(const struct inflater *i, struct span stored, uint8_t *plain, uint64_t size)
{
	size_t taken = 0, made = 0;

	return i->fast &&
	       fast.inflate(i->fast, stored.data, stored.len, plain, (size_t)size, &taken, &made) ==
		       LIBDEFLATE_SUCCESS &&
	       taken == stored.len && made == size;
}

/* One whole stream into exactly size bytes. */
static int
inflate_zlib(struct inflater *i, struct span stored, uint8_t *plain, uint64_t size, struct err *e)
{
	int status = inflateReset2(&i->z, MAX_WBITS);

	if (status != Z_OK)
		return zlib_failed(&i->z, status, "decompressing a chunk", e);
	i->z.next_in = stored.data;
	i->z.avail_in = (uInt)stored.len;
	i->z.next_out = plain;
	i->z.avail_out = (uInt)size;
	status = inflate(&i->z, Z_FINISH);
	if (status == Z_MEM_ERROR || status == Z_STREAM_ERROR)
		return zlib_failed(&i->z, status, "decompressing a chunk", e);
	if (status == Z_NEED_DICT)
		return err_set(e, ERR_MALFORMED, "a chunk's stream asks for a dictionary");
	if (status != Z_STREAM_END)
		return err_set(e, ERR_MALFORMED, "a chunk's stream is damaged, or of another size");
	if (i->z.avail_in > 0)
		return err_set(
			e, ERR_MALFORMED, "%u bytes stand behind a chunk's stream", i->z.avail_in);
	if (i->z.avail_out > 0)
		return err_set(
			e, ERR_MALFORMED, "a chunk's stream is %u bytes short", i->z.avail_out);
	return 0;
}

static int
inflate_whole(struct inflater *i, struct span stored, uint8_t *plain, uint64_t size, struct err *e)
{
	return inflate_fast(i, stored, plain, size) ? 0 : inflate_zlib(i, stored, plain, size, e);
}

/* What pages_find makes sure of; asked again, since it bounds what is written into plain. */
static int
check_sizes(const struct chunk *c, struct span stored, struct err *e)
{
	bool good = c->size >= 1 && c->size <= CHUNK_BYTES && stored.len == c->stored_size;

	if (c->store == CHUNK_RAW)
		good = good && c->stored_size == c->size;
	else
		good = good && c->store == CHUNK_ZLIB && c->stored_size >= 1 &&
		       c->stored_size < c->size;
	return good ? 0 : err_set(e, ERR_MALFORMED, "a chunk with sizes that cannot be");
}

/* libdeflate was given what is signed and made something else of it. Where zlib makes of it what is
 * signed, that library is broken and not the bundle. */
static bool
is_right_by_zlib(struct inflater *i, const struct chunk_job *j)
{
	struct digest got;
	struct err e;

	if (!i->fast || inflate_zlib(i, j->stored, j->plain, j->c->size, &e) < 0)
		return false;
	got = digest_of(span_of(j->plain, (size_t)j->c->size));
	return digest_equal(&got, &j->c->plain);
}

/* Many chunks under way. why is of the one that matters most so far, failed. */
struct decoding {
	struct inflater *inflater;
	struct chunk_job *jobs;
	size_t n, failed;
	bool fast_is_broken;
	struct err why;
};

static void
job_fail(struct decoding *d, size_t at, const struct err *why)
{
	bool worse = d->why.class == ERR_UNTRUSTED && why->class != ERR_UNTRUSTED;

	d->jobs[at].class = why->class;
	if (d->why.class != ERR_NONE && !worse && (at > d->failed || d->why.class != why->class))
		return;
	d->why = *why;
	d->failed = at;
}

/* Of those that are all right so far: whether plain, or stored, has the digest that it should. */
static void
digests_check(struct decoding *d, bool plain)
{
	struct span in[CODEC_CHUNKS] = {0};
	struct digest got[CODEC_CHUNKS];
	size_t job[CODEC_CHUNKS], n = 0;
	struct err why;

	for (size_t i = 0; i < d->n; i++) {
		const struct chunk_job *j = &d->jobs[i];

		/* Where both are the same bytes they have the same digest. */
		if (j->class != ERR_NONE || (plain && j->c->store == CHUNK_RAW))
			continue;
		in[n] = plain ? span_of(j->plain, (size_t)j->c->size) : j->stored;
		job[n++] = i;
	}
	digest_of_many(in, n, got);
	for (size_t i = 0; i < n; i++) {
		const struct chunk *c = d->jobs[job[i]].c;

		if (digest_equal(&got[i], plain ? &c->plain : &c->stored))
			continue;
		if (plain && is_right_by_zlib(d->inflater, &d->jobs[job[i]])) {
			d->fast_is_broken = true;
			continue;
		}
		(void)err_set(&why, ERR_UNTRUSTED, "a chunk's %s bytes are not those of the index",
			plain ? "plain" : "stored");
		job_fail(d, job[i], &why);
	}
}

static int
job_inflate(struct inflater *i, const struct chunk_job *j, struct err *e)
{
	if (j->c->store != CHUNK_RAW)
		return inflate_whole(i, j->stored, j->plain, j->c->size, e);
	if (!digest_equal(&j->c->stored, &j->c->plain))
		return err_set(
			e, ERR_UNTRUSTED, "a chunk's plain bytes are not those of the index");
	memcpy(j->plain, j->stored.data, j->stored.len);
	return 0;
}

int
chunks_decode(struct inflater *i, struct chunk_job *jobs, size_t n, size_t *failed, struct err *e)
{
	struct decoding d = {.inflater = i, .jobs = jobs, .n = n, .why = ERR_INIT};
	struct err why;

	for (size_t at = 0; at < n; at++) {
		jobs[at].class = ERR_NONE;
		if (check_sizes(jobs[at].c, jobs[at].stored, &why) < 0)
			job_fail(&d, at, &why);
	}
	digests_check(&d, false);
	for (size_t at = 0; at < n; at++) {
		if (jobs[at].class == ERR_NONE && job_inflate(i, &jobs[at], &why) < 0)
			job_fail(&d, at, &why);
	}
	digests_check(&d, true);
	if (d.fast_is_broken)
		fast_end(i);
	if (d.why.class == ERR_NONE)
		return 0;
	*failed = d.failed;
	*e = d.why;
	return -1;
}

int
chunk_decode(struct inflater *i, const struct chunk *c, struct span stored, uint8_t *plain,
	struct err *e)
{
	struct chunk_job job = {c, stored, plain, ERR_NONE};
	size_t failed;

	return chunks_decode(i, &job, 1, &failed, e);
}

/* What stands around the deflated bytes of a zlib stream (RFC 1950): two bytes before, and the
 * Adler-32 behind. */
enum { ZLIB_HEADER_BYTES = 2, ZLIB_TRAILER_BYTES = 4 };

/* What inflate leaves in data_type between two of deflate's blocks, at a whole byte: whatever comes
 * next begins as if it were first, so it does not matter whether this block was lacking too. */
enum { AT_BOUNDARY = 128 };

/* Blocks from a boundary on: what stands before them is their dictionary. */
static int
blocks_begin(struct inflater *i, const uint8_t *plain, size_t at, struct err *e)
{
	size_t len = (size_t)num_min(at, 1 << MAX_WBITS);
	int status = inflateReset2(&i->z, -MAX_WBITS);

	if (status == Z_OK && len > 0)
		status = inflateSetDictionary(&i->z, plain + at - len, (uInt)len);
	return status == Z_OK ? 0 : zlib_failed(&i->z, status, "decompressing a block", e);
}

/* One block, from exactly these stored bytes. */
static int
block_inflate(struct inflater *i, struct span stored, bool first, bool last, uint8_t *plain,
	size_t size, struct err *e)
{
	size_t before = first ? ZLIB_HEADER_BYTES : 0, behind = last ? ZLIB_TRAILER_BYTES : 0;
	int status;

	if (stored.len <= before + behind)
		return err_set(e, ERR_MALFORMED, "a block of %zu stored bytes", stored.len);
	i->z.next_in = stored.data + before;
	i->z.avail_in = (uInt)(stored.len - before - behind);
	i->z.next_out = plain;
	i->z.avail_out = (uInt)size;
	status = inflate(&i->z, Z_SYNC_FLUSH);
	if (status == Z_MEM_ERROR || status == Z_STREAM_ERROR)
		return zlib_failed(&i->z, status, "decompressing a block", e);
	if (status != (last ? Z_STREAM_END : Z_OK) || i->z.avail_in > 0 || i->z.avail_out > 0 ||
		(!last && i->z.data_type != AT_BOUNDARY))
		return err_set(e, ERR_MALFORMED, "a block's stream is damaged, or of another size");
	return 0;
}

/* Those that are lacking, from their stored bytes, which were checked. */
static int
blocks_inflate(struct inflater *i, const struct chunk *c, const struct cuts *cuts, unsigned lacking,
	const uint8_t *stored, uint8_t *plain, struct err *e)
{
	for (size_t b = 0; b < cuts->count; b++) {
		size_t at = b * HINT_BLOCK_BYTES,
		       size = (size_t)num_min(c->size - at, HINT_BLOCK_BYTES);
		struct span in = span_of(stored, cuts->cut[b].size);

		if (!(lacking >> b & 1))
			continue;
		stored += in.len;
		if (c->store == CHUNK_RAW) {
			if (in.len != size)
				return err_set(e, ERR_MALFORMED, "a raw block of another size");
			memcpy(plain + at, in.data, size);
			continue;
		}
		if ((b == 0 || !(lacking >> (b - 1) & 1)) && blocks_begin(i, plain, at, e) < 0)
			return -1;
		if (block_inflate(i, in, b == 0, b + 1 == cuts->count, plain + at, size, e) < 0)
			return -1;
	}
	return 0;
}

static int
blocks_check(const struct cuts *cuts, unsigned lacking, struct span stored, struct err *e)
{
	for (size_t b = 0; b < cuts->count; b++) {
		size_t size = cuts->cut[b].size;

		if (!(lacking >> b & 1))
			continue;
		if (stored.len < size || !cut_is(&cuts->cut[b], span_of(stored.data, size)))
			return err_set(e, ERR_UNTRUSTED,
				"a block's stored bytes are not those that were sealed");
		stored = span_of(stored.data + size, stored.len - size);
	}
	return stored.len == 0 ? 0
			       : err_set(e, ERR_MALFORMED,
					 "%zu bytes stand behind a chunk's blocks", stored.len);
}

int
chunk_complete(struct inflater *i, const struct chunk *c, const struct cuts *cuts, unsigned lacking,
	struct span stored, uint8_t *plain, struct err *e)
{
	struct digest got;

	if ((c->store != CHUNK_RAW && c->store != CHUNK_ZLIB) || c->size > CHUNK_BYTES ||
		cuts->count != num_div_up(c->size, HINT_BLOCK_BYTES))
		return err_set(e, ERR_MALFORMED, "a chunk with other cuts than blocks");
	if (blocks_check(cuts, lacking, stored, e) < 0 ||
		blocks_inflate(i, c, cuts, lacking, stored.data, plain, e) < 0)
		return -1;
	got = digest_of(span_of(plain, (size_t)c->size));
	if (!digest_equal(&got, &c->plain))
		return err_set(e, ERR_UNTRUSTED,
			"a chunk put together is not that of the index: a block of it was another");
	return 0;
}

const char *
codec_zlib_version(void)
{
	return zlibVersion();
}
