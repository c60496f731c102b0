#include "common/format/inflow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/format/codec_zlib.h"
#include "common/format/varint.h"

struct inflow {
	z_stream z;
	struct inflow_feed feed;
	bool packed, ended; /* ended: the deflated stream has come to its end */
	uint64_t unread;    /* plain bytes that are not in buf yet */
	size_t at, len;	    /* of buf, what is not taken yet */
	uint8_t buf[4096];
};

int
inflow_new(enum inflow_form form, struct inflow **out, struct err *e)
{
	AUTO_FREE struct inflow *f = calloc(1, sizeof(*f));
	int status;

	if (!f)
		return err_sys(e, ENOMEM, "making a decompressor");
	status = inflateInit2(&f->z, form == INFLOW_BARE ? -MAX_WBITS : MAX_WBITS);
	if (status != Z_OK)
		return zlib_failed(&f->z, status, "making a decompressor", e);
	*out = TAKE_PTR(f);
	return 0;
}

void
inflow_free(struct inflow **f)
{
	if (!*f)
		return;
	(void)inflateEnd(&(*f)->z);
	free(*f);
	*f = NULL;
}

int
inflow_begin(struct inflow *f, const struct inflow_feed *feed, bool packed, uint64_t plain_bytes,
	struct err *e)
{
	if (inflateReset(&f->z) != Z_OK)
		return err_set(e, ERR_SYSTEM, "decompressing: zlib cannot begin again");
	f->z.next_in = NULL;
	f->z.avail_in = 0;
	f->feed = *feed;
	f->packed = packed;
	f->ended = false;
	f->unread = plain_bytes;
	f->at = f->len = 0;
	return 0;
}

uint64_t
inflow_left(const struct inflow *f)
{
	return f->unread + (f->len - f->at);
}

/* More stored bytes; none at their end. */
static int
stored_more(struct inflow *f, struct err *e)
{
	struct span in = {0};

	if (f->feed.more(f->feed.arg, &in, e) < 0)
		return -1;
	f->z.next_in = in.data;
	f->z.avail_in = (uInt)num_min(in.len, UINT32_MAX);
	return 0;
}

/* Inflates to out as long as there is room, or until the stream ends. *made is how much it was. */
static int
inflate_some(struct inflow *f, uint8_t *out, size_t room, size_t *made, struct err *e)
{
	f->z.next_out = out;
	f->z.avail_out = (uInt)room;
	while (f->z.avail_out > 0 && !f->ended) {
		int status;

		if (f->z.avail_in == 0 && stored_more(f, e) < 0)
			return -1;
		status = inflate(&f->z, Z_NO_FLUSH);
		if (status == Z_MEM_ERROR || status == Z_STREAM_ERROR)
			return zlib_failed(&f->z, status, "decompressing", e);
		f->ended = status == Z_STREAM_END;
		if (status != Z_OK && !f->ended)
			return err_set(e, ERR_MALFORMED, "a deflated stream is damaged (%s)",
				f->z.msg ? f->z.msg : "it ends too soon");
	}
	*made = room - f->z.avail_out;
	return 0;
}

/* What is not packed comes as it lies there. */
static int
copy_some(struct inflow *f, uint8_t *out, size_t room, size_t *made, struct err *e)
{
	size_t n;

	if (f->z.avail_in == 0 && stored_more(f, e) < 0)
		return -1;
	n = (size_t)num_min(room, f->z.avail_in);
	memcpy(out, f->z.next_in, n);
	f->z.next_in += n;
	f->z.avail_in -= (uInt)n;
	*made = n;
	return 0;
}

static int
plain_some(struct inflow *f, uint8_t *out, size_t room, size_t *made, struct err *e)
{
	size_t want = (size_t)num_min(room, f->unread), got = 0;

	if ((f->packed ? inflate_some(f, out, want, &got, e) : copy_some(f, out, want, &got, e)) <
		0)
		return -1;
	if (got == 0)
		return err_set(e, ERR_MALFORMED, "a stream ends too soon");
	f->unread -= got;
	*made = got;
	return 0;
}

int
inflow_read(struct inflow *f, uint8_t *out, size_t len, struct err *e)
{
	size_t buffered = (size_t)num_min(len, f->len - f->at), made;

	memcpy(out, f->buf + f->at, buffered);
	f->at += buffered;
	for (size_t done = buffered; done < len; done += made) {
		if (plain_some(f, out + done, len - done, &made, e) < 0)
			return -1;
	}
	return 0;
}

static int
byte_read(struct inflow *f, uint8_t *out, struct err *e)
{
	if (f->at == f->len) {
		f->at = f->len = 0;
		if (plain_some(f, f->buf, sizeof(f->buf), &f->len, e) < 0)
			return -1;
	}
	*out = f->buf[f->at++];
	return 0;
}

int
inflow_varint(struct inflow *f, uint64_t *out, struct err *e)
{
	struct varint v = {0};
	uint8_t byte;
	bool more;

	do {
		if (byte_read(f, &byte, e) < 0)
			return -1;
		if (!varint_take(&v, byte, &more))
			return err_set(e, ERR_MALFORMED, "a stream has a number of no form");
	} while (more);
	*out = v.value;
	return 0;
}

int
inflow_end(struct inflow *f, struct err *e)
{
	uint8_t spare;
	size_t made = 0;

	if (inflow_left(f) > 0)
		return err_set(e, ERR_MALFORMED, "a stream has %llu bytes that nobody wants",
			(unsigned long long)inflow_left(f));
	/* The last bytes of a deflated stream may be those that say that it ends. */
	if (f->packed && inflate_some(f, &spare, 1, &made, e) < 0)
		return -1;
	if (made > 0 || f->z.avail_in > 0)
		return err_set(e, ERR_MALFORMED, "something stands behind the end of a stream");
	if (stored_more(f, e) < 0)
		return -1;
	return f->z.avail_in == 0
		       ? 0
		       : err_set(e, ERR_MALFORMED, "something stands behind the end of a stream");
}

int
inflow_pack(struct span plain, struct buf *out, struct err *e)
{
	uLong room = compressBound((uLong)plain.len);
	int status;

	if (buf_reserve(out, room, e) < 0)
		return -1;
	status = compress2(
		out->data + out->len, &room, plain.data, (uLong)plain.len, Z_BEST_COMPRESSION);
	if (status == Z_MEM_ERROR)
		return err_sys(e, ENOMEM, "compressing");
	if (status != Z_OK)
		return err_set(e, ERR_SYSTEM, "compressing: zlib says %d", status);
	out->len += room;
	out->data[out->len] = '\0';
	return 0;
}
