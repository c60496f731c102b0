#include "signer/uncompressed.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "common/format/archive.h"
#include "common/format/codec.h"
#include "common/format/hints.h"
#include "signer/block_search.h"
#include "signer/delta_make.h"
#include "signer/image_kind.h"
#include "signer/output.h"

enum { READ_BYTES = 256 * 1024 };

/* Where the boot protocol of x86 says that a kernel carries another (version 2.08 and later). */
enum {
	KERNEL_SECTORS = 0x1f1,
	KERNEL_VERSION = 0x206,
	KERNEL_OFFSET = 0x248,
	KERNEL_LENGTH = 0x24c
};
enum { KERNEL_HEADER_BYTES = 0x250, KERNEL_SECTOR_BYTES = 512, KERNEL_SECTORS_PRESET = 4 };

/* The compressed bytes of a kernel; none where it has none. */
static struct span
kernel_payload(struct span file)
{
	uint64_t sectors, at, len;

	if (file.len < KERNEL_HEADER_BYTES || num_get_le16(file.data + KERNEL_VERSION) < 0x208)
		return span_of(file.data, 0);
	sectors = file.data[KERNEL_SECTORS] ? file.data[KERNEL_SECTORS] : KERNEL_SECTORS_PRESET;
	at = (sectors + 1) * KERNEL_SECTOR_BYTES + num_get_le32(file.data + KERNEL_OFFSET);
	len = num_get_le32(file.data + KERNEL_LENGTH);
	if (at > file.len || len > file.len - at)
		return span_of(file.data, 0);
	return span_of(file.data + at, (size_t)len);
}

/* Those that libarchive has in itself: for others it would start programs. */
static bool
archive_open(struct archive *a, struct span file)
{
	struct archive_entry *entry;

	return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
	       archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
	       archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	       archive_read_support_filter_lz4(a) == ARCHIVE_OK &&
	       archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	       archive_read_support_format_raw(a) == ARCHIVE_OK &&
	       archive_read_open_memory(a, file.data, file.len) == ARCHIVE_OK &&
	       archive_read_next_header(a, &entry) == ARCHIVE_OK &&
	       archive_filter_code(a, 0) != ARCHIVE_FILTER_NONE;
}

/* What stands behind the compressed bytes, as in kernels, is no error once there is something. */
bool
uncompressed_read(struct span file, struct buf *out)
{
	AUTO_ARCHIVE_READ struct archive *a = archive_read_new();
	AUTO_FREE uint8_t *piece = malloc(READ_BYTES);
	la_ssize_t n;

	if (image_kind_of(file) == IMAGE_KERNEL)
		file = kernel_payload(file);
	if (!a || !piece || file.len == 0 || !archive_open(a, file))
		return false;
	while ((n = archive_read_data(a, piece, READ_BYTES)) > 0) {
		if (buf_append(out, piece, (size_t)n, NULL) < 0)
			return false;
	}
	return out->len > 0;
}

static int
blocks_look(struct span new, struct span old, unsigned threads, struct block_search **out,
	struct err *e)
{
	size_t blocks = new.len / HINT_BLOCK_BYTES;
	AUTO_FREE uint8_t *passed = calloc(1, old.len / CHUNK_BYTES / 8 + 1);

	if (!passed)
		return err_sys(e, ENOMEM, "looking for blocks");
	if (block_search_new(new, blocks, out, e) < 0)
		return -1;
	for (size_t i = 0; i < blocks; i++)
		block_search_add(*out, i);
	return block_search_run(*out, old, passed, threads, "uncompressed", e);
}

static bool
block_lacks(const struct block_search *s, struct span new, size_t block)
{
	return (block + 1) * HINT_BLOCK_BYTES > new.len ||
	       block_search_of(s, block) == BLOCK_NOWHERE;
}

/* The stored bytes of a chunk's blocks that lack. */
static int
chunk_cost(const struct block_search *s, struct span new, size_t at, struct deflater *d,
	uint64_t *bytes, struct err *e)
{
	struct span plain = span_of(new.data + at, (size_t)num_min(new.len - at, CHUNK_BYTES));
	uint8_t stored[CHUNK_STORED_MAX];
	const uint8_t *stored_data;
	struct chunk c;
	struct cuts cuts;

	if (chunk_encode_cut(d, plain, stored, &c, &stored_data, &cuts, e) < 0)
		return -1;
	if (c.store == CHUNK_ZERO_RUN)
		return 0;
	for (size_t i = 0; i < cuts.count; i++) {
		if (block_lacks(s, new, at / HINT_BLOCK_BYTES + i))
			*bytes += cuts.cut[i].size;
	}
	return 0;
}

int
uncompressed_cost(struct span new, struct span old, int level, unsigned threads, uint64_t *bytes,
	struct err *e)
{
	AUTO_BLOCK_SEARCH struct block_search *s = NULL;
	CLEANUP(deflater_free) struct deflater *d = NULL;
	uint64_t sum = 0;

	if (blocks_look(new, old, threads, &s, e) < 0 || deflater_new(level, &d, e) < 0)
		return -1;
	for (size_t at = 0; at < new.len; at += CHUNK_BYTES) {
		bool any = false;

		for (size_t i = 0; i < CHUNK_BLOCKS && at + i * HINT_BLOCK_BYTES < new.len; i++)
			any |= block_lacks(s, new, at / HINT_BLOCK_BYTES + i);
		if (any && chunk_cost(s, new, at, d, &sum, e) < 0)
			return -1;
	}
	*bytes = sum;
	return 0;
}

static const struct payload as_image = {.name = "uncompressed", .kind = PAYLOAD_IMAGE};

/* As a delta sees an image. How small its chunks are stored is not known: all of them are told by
 * records, which no chunk takes more in than by itself, but for some bytes. */
static int
side_make(struct span bytes, struct delta_side *out, struct err *e)
{
	size_t count = (size_t)num_div_up(bytes.len, CHUNK_BYTES);
	struct delta_chunk *chunks = calloc(count + 1, sizeof(*chunks));

	if (!chunks)
		return err_sys(e, ENOMEM, "weighing a file");
	for (size_t i = 0; i < count; i++) {
		uint64_t at = (uint64_t)i * CHUNK_BYTES,
			 size = num_min(bytes.len - at, CHUNK_BYTES);
		bool zeros = span_is_zero(span_of(bytes.data + at, (size_t)size));

		chunks[i] = (struct delta_chunk){
			.offset = at, .size = size, .stored = zeros ? 0 : (uint32_t)size};
	}
	*out = (struct delta_side){.payload = &as_image,
		.plain = {.fd = -1, .data = bytes.data, .size = bytes.len},
		.chunks = chunks,
		.count = count};
	return 0;
}

int
uncompressed_cost_by_delta(struct span new, struct span old, unsigned threads, const char *scratch,
	uint64_t *bytes, struct err *e)
{
	AUTO_DELTA_SIDE struct delta_side from = DELTA_SIDE_INIT, to = DELTA_SIDE_INIT;
	AUTO_DELTA_WRITER struct delta_writer *w = NULL;
	AUTO_BUF struct buf head = BUF_INIT(HEAD_BYTES_MAX);
	struct delta_sum sum = {0};
	struct delta_part part;
	AUTO_CLOSE int fd = -1;

	if (side_make(old, &from, e) < 0 || side_make(new, &to, e) < 0 ||
		delta_writer_new(&w, e) < 0 || scratch_open(scratch, &fd, e) < 0 ||
		delta_make(&from, &to, threads, w, fd, &sum, e) < 0 ||
		delta_writer_finish(w, &head, &part, e) < 0)
		return -1;
	*bytes = sum.records + sum.full + head.len;
	return 0;
}
