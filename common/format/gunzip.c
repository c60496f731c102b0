/* Gzip files, as codec.h has it. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/codec_zlib.h"

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
