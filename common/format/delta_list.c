/* Lists of trees, in a delta's head. */
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/delta_parts.h"

/* The next piece's patch, of which no byte lies behind the list. */
static int
piece_read(int fd, const char *name, uint64_t *at, uint64_t end, struct buf *stored, struct err *e)
{
	uint8_t size[4];
	uint32_t len;

	if (end - *at < sizeof(size))
		return err_set(e, ERR_MALFORMED, "%s: a list of files ends too soon", name);
	if (file_pread_full(fd, name, size, sizeof(size), *at, e) < 0)
		return err_own(e);
	*at += sizeof(size);
	len = num_get_le32(size);
	if (len > end - *at || len > PATCH_STORED_MAX)
		return err_set(
			e, ERR_MALFORMED, "%s: a list of files has a piece of %u bytes", name, len);
	buf_clear(stored);
	if (buf_reserve(stored, len, e) < 0)
		return -1;
	if (file_pread_full(fd, name, stored->data, len, *at, e) < 0)
		return err_own(e);
	stored->len = len;
	*at += len;
	return 0;
}

int
delta_list_make(int fd, const char *name, const struct delta_part *part,
	const struct patch_old *old, uint64_t list_bytes, int out_fd, uint64_t out_at,
	struct err *e)
{
	AUTO_BUF struct buf stored = BUF_INIT(PATCH_STORED_MAX), plain = BUF_INIT(DELTA_LIST_PIECE);
	uint64_t at = part->list_at, end = part->list_at + part->list_size;
	AUTO_PATCH struct patch *patch = NULL;

	if (patch_new(&patch, e) < 0 || buf_reserve(&plain, DELTA_LIST_PIECE, e) < 0)
		return -1;
	for (uint64_t done = 0; done < list_bytes;) {
		size_t n = (size_t)num_min(list_bytes - done, DELTA_LIST_PIECE);

		if (piece_read(fd, name, &at, end, &stored, e) < 0)
			return -1;
		if (patch_begin(patch, buf_span(&stored), old, n, e) < 0 ||
			patch_take(patch, plain.data, n, e) < 0 || patch_end(patch, e) < 0)
			return err_context(e, "%s: a list of files", name);
		if (file_pwrite_full(out_fd, "the list of files", plain.data, n, out_at + done, e) <
			0)
			return -1;
		done += n;
	}
	return at == end ? 0
			 : err_set(e, ERR_MALFORMED,
				   "%s: a list of files is longer than it is to be", name);
}
