/* Making patches. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "common/format/codec_zlib.h"
#include "common/format/patch.h"
#include "common/format/varint.h"

enum { PATCH_LEVEL = 9, PATCH_MEMORY = 9 };

struct patch_writer {
	z_stream z;
	struct buf streams[PATCH_STREAMS];
	struct buf packed[PATCH_STREAMS]; /* while it is finished */
	uint64_t made;			  /* by all steps */
	uint64_t old_end;		  /* of the step before */
	uint64_t same;			  /* taken bytes since the last that differed */
};

int
patch_writer_new(struct patch_writer **out, struct err *e)
{
	AUTO_PATCH_WRITER struct patch_writer *w = calloc(1, sizeof(*w));
	int status;

	if (!w)
		return err_sys(e, ENOMEM, "making patches");
	/* A gap takes two numbers where one byte differs: no stream has more than four for one. */
	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		w->streams[i] = BUF_INIT(4 * (size_t)PATCH_BYTES_MAX);
		w->packed[i] = BUF_INIT(4 * (size_t)PATCH_BYTES_MAX);
	}
	status = deflateInit2(
		&w->z, PATCH_LEVEL, Z_DEFLATED, -MAX_WBITS, PATCH_MEMORY, Z_DEFAULT_STRATEGY);
	if (status != Z_OK)
		return zlib_failed(&w->z, status, "making a compressor", e);
	*out = TAKE_PTR(w);
	return 0;
}

void
patch_writer_free(struct patch_writer **w)
{
	if (!*w)
		return;
	for (size_t i = 0; i < PATCH_STREAMS; i++) {
		buf_free(&(*w)->streams[i]);
		buf_free(&(*w)->packed[i]);
	}
	(void)deflateEnd(&(*w)->z);
	free(*w);
	*w = NULL;
}

/* What is the same is counted on, from step to step; what differs ends where it does or the step
 * does. */
static int
taken_put(
	struct patch_writer *w, const uint8_t *old, const uint8_t *fresh, size_t len, struct err *e)
{
	struct buf *gaps = &w->streams[PATCH_GAPS], *diffs = &w->streams[PATCH_DIFFS];

	for (size_t i = 0; i < len;) {
		size_t from;

		for (; i < len && old[i] == fresh[i]; i++)
			w->same++;
		from = i;
		for (; i < len && old[i] != fresh[i]; i++) {
			uint8_t diff = (uint8_t)(fresh[i] - old[i]);

			if (buf_append(diffs, &diff, 1, e) < 0)
				return -1;
		}
		if (i == from)
			continue;
		if (varint_append(gaps, w->same, e) < 0 || varint_append(gaps, i - from, e) < 0)
			return -1;
		w->same = 0;
	}
	return 0;
}

int
patch_step(struct patch_writer *w, const uint8_t *old, uint64_t old_at, struct span fresh,
	size_t taken, struct err *e)
{
	struct buf *steps = &w->streams[PATCH_STEPS];

	if (fresh.len > PATCH_BYTES_MAX - w->made)
		return err_set(
			e, ERR_LIMIT, "a patch would make more than %u bytes", PATCH_BYTES_MAX);
	if (varint_append(steps, zigzag_fold((int64_t)(old_at - w->old_end)), e) < 0 ||
		varint_append(steps, taken, e) < 0 ||
		varint_append(steps, fresh.len - taken, e) < 0 ||
		taken_put(w, old, fresh.data, taken, e) < 0)
		return -1;
	w->old_end = old_at + taken;
	w->made += fresh.len;
	return buf_append(&w->streams[PATCH_INSERTS], fresh.data + taken, fresh.len - taken, e);
}

size_t
patch_plain_bytes(const struct patch_writer *w)
{
	size_t sum = 0;

	for (size_t i = 0; i < PATCH_STREAMS; i++)
		sum += w->streams[i].len;
	return sum;
}

/* Into packed, which stays empty where it would not be smaller. */
static int
stream_pack(struct patch_writer *w, const struct buf *plain, struct buf *packed, struct err *e)
{
	int status;

	buf_clear(packed);
	if (plain->len == 0)
		return 0;
	if (buf_reserve(packed, plain->len, e) < 0)
		return -1;
	if (deflateReset(&w->z) != Z_OK)
		return err_set(e, ERR_SYSTEM, "compressing a patch: zlib cannot begin again");
	w->z.next_in = plain->data;
	w->z.avail_in = (uInt)plain->len;
	w->z.next_out = packed->data;
	w->z.avail_out = (uInt)(plain->len - 1);
	status = deflate(&w->z, Z_FINISH);
	if (status == Z_STREAM_END)
		packed->len = plain->len - 1 - w->z.avail_out;
	else if (status != Z_OK && status != Z_BUF_ERROR)
		return zlib_failed(&w->z, status, "compressing a patch", e);
	return 0;
}

static const struct buf *
stream_stored(const struct patch_writer *w, size_t i)
{
	return w->packed[i].len > 0 ? &w->packed[i] : &w->streams[i];
}

static void
writer_clear(struct patch_writer *w)
{
	for (size_t i = 0; i < PATCH_STREAMS; i++)
		buf_clear(&w->streams[i]);
	w->made = w->old_end = w->same = 0;
}

int
patch_finish(struct patch_writer *w, struct buf *out, struct err *e)
{
	size_t before = out->len;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < PATCH_STREAMS; i++) {
		rc = stream_pack(w, &w->streams[i], &w->packed[i], e);
		if (rc == 0)
			rc = varint_append(out, w->streams[i].len, e);
		if (rc == 0)
			rc = varint_append(out, stream_stored(w, i)->len, e);
	}
	for (size_t i = 0; rc == 0 && i < PATCH_STREAMS; i++) {
		const struct buf *s = stream_stored(w, i);

		rc = buf_append(out, s->data, s->len, e);
	}
	if (rc < 0)
		buf_truncate(out, before);
	writer_clear(w);
	return rc;
}
