#include "common/format/codec.h"

#include <dlfcn.h>
#include <errno.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/crypto/digest_many.h"
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

static int
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

static bool
is_zero(struct span bytes)
{
	return bytes.data[0] == 0 && memcmp(bytes.data, bytes.data + 1, bytes.len - 1) == 0;
}

/* *len is 0 when the stream would not be smaller than plain. */
static int
deflate_whole(struct deflater *d, struct span plain, uint8_t *stored, size_t *len, struct err *e)
{
	int status = deflateReset(&d->z);

	if (status != Z_OK)
		return zlib_failed(&d->z, status, "compressing a chunk", e);
	d->z.next_in = plain.data;
	d->z.avail_in = (uInt)plain.len;
	d->z.next_out = stored;
	d->z.avail_out = (uInt)plain.len - 1;
	status = deflate(&d->z, Z_FINISH);
	if (status == Z_STREAM_END)
		*len = plain.len - 1 - d->z.avail_out;
	else if (status == Z_OK || status == Z_BUF_ERROR)
		*len = 0;
	else
		return zlib_failed(&d->z, status, "compressing a chunk", e);
	return 0;
}

int
chunk_encode(struct deflater *d, struct span plain, uint8_t *stored, struct chunk *out,
	const uint8_t **stored_data, struct err *e)
{
	struct chunk c = {.store = CHUNK_RAW, .size = plain.len};
	size_t len = 0;

	if (plain.len < 1 || plain.len > CHUNK_BYTES)
		return err_set(e, ERR_LIMIT, "a chunk of %zu bytes", plain.len);
	if (plain.len == CHUNK_BYTES && is_zero(plain)) {
		c.store = CHUNK_ZERO_RUN;
		*out = c;
		*stored_data = stored;
		return 0;
	}
	if (deflate_whole(d, plain, stored, &len, e) < 0)
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
	}
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
	int status = inflateReset(&i->z);

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

/* What index_next makes sure of; asked again, since it bounds what is written into plain. */
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

/* zlib's windowBits for gzip's wrapping and nothing else, with the largest window. */
enum { GZIP_WINDOW_BITS = 16 + MAX_WBITS };

struct gunzip {
	z_stream z;
	bool inside;  /* a member that has not ended */
	bool any;     /* a member has begun */
	bool padding; /* zeros behind the last member */
};

int
gunzip_new(struct gunzip **out, struct err *e)
{
	AUTO_FREE struct gunzip *g = calloc(1, sizeof(*g));
	int status;

	if (!g)
		return err_sys(e, ENOMEM, "making a decompressor");
	status = inflateInit2(&g->z, GZIP_WINDOW_BITS);
	if (status != Z_OK)
		return zlib_failed(&g->z, status, "making a decompressor", e);
	*out = TAKE_PTR(g);
	return 0;
}

void
gunzip_free(struct gunzip **g)
{
	if (!*g)
		return;
	(void)inflateEnd(&(*g)->z);
	free(*g);
	*g = NULL;
}

/* Between members: begins the next one, or passes over padding. */
static int
gunzip_between(struct gunzip *g, struct span *in, struct err *e)
{
	if (g->any && in->data[0] == 0)
		g->padding = true;
	if (!g->padding) {
		g->inside = g->any = true;
		return inflateReset(&g->z) == Z_OK
			       ? 0
			       : err_set(e, ERR_SYSTEM, "decompressing: zlib cannot begin again");
	}
	for (; in->len > 0; in->data++, in->len--) {
		if (in->data[0] != 0)
			return err_set(e, ERR_MALFORMED, "something stands behind the gzip data");
	}
	return 0;
}

/* Within a member, by at most a GiB, since zlib counts in 32 bits. */
static int
gunzip_member(
	struct gunzip *g, struct span *in, uint8_t *out, size_t room, size_t *made, struct err *e)
{
	uInt give = (uInt)num_min(in->len, 1 << 30), want = (uInt)num_min(room, 1 << 30);
	int status;

	g->z.next_in = in->data;
	g->z.avail_in = give;
	g->z.next_out = out;
	g->z.avail_out = want;
	status = inflate(&g->z, Z_NO_FLUSH);
	if (status == Z_MEM_ERROR || status == Z_STREAM_ERROR)
		return zlib_failed(&g->z, status, "decompressing", e);
	if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
		return err_set(e, ERR_MALFORMED, "the gzip data is damaged (%s)",
			g->z.msg ? g->z.msg : "no reason given");
	in->data += give - g->z.avail_in;
	in->len -= give - g->z.avail_in;
	*made = want - g->z.avail_out;
	g->inside = status != Z_STREAM_END;
	return 0;
}

int
gunzip_step(
	struct gunzip *g, struct span *in, uint8_t *out, size_t room, size_t *made, struct err *e)
{
	size_t done = 0;

	while (done < room) {
		size_t more = 0;
		size_t left = in->len;

		/* A member with more to give than it took bytes for may give it without input. */
		if (!g->inside && left == 0)
			break;
		if (!g->inside && gunzip_between(g, in, e) < 0)
			return -1;
		if (g->inside && gunzip_member(g, in, out + done, room - done, &more, e) < 0)
			return -1;
		done += more;
		if (more == 0 && in->len == left)
			break;
	}
	*made = done;
	return 0;
}

int
gunzip_end(const struct gunzip *g, struct err *e)
{
	if (g->inside || !g->any)
		return err_set(e, ERR_MALFORMED, "the gzip data ends too soon");
	return 0;
}

const char *
codec_zlib_version(void)
{
	return zlibVersion();
}
