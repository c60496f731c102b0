/* The head of a delta. */
#include "common/format/delta.h"

#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/delta_parts.h"

static const uint8_t magic[8] = "SLUICEDL";

/* Where the numbers of the header stand. */
enum {
	AT_VERSION = 8,
	AT_PAYLOADS = 12,
	AT_FROM = 16,
	AT_TO = 48,
	AT_MANIFEST = 80,
	AT_MANIFEST_STORED = 84,
	AT_OLD_BYTES = 0,
	AT_WALK = 8,
	AT_WALK_STORED = 16,
	AT_DIGESTS = 24,
	AT_RECORDS = 32,
	AT_RECORDS_BYTES = 40,
	AT_LIST = 48
};

int
section_more(void *arg, struct span *out, struct err *e)
{
	struct section *s = arg;
	size_t n = (size_t)num_min(s->left, sizeof(s->bytes));

	if (n > 0 && file_pread_full(s->fd, s->name, s->bytes, n, s->at, e) < 0)
		return err_own(e);
	s->at += n;
	s->left -= n;
	*out = span_of(s->bytes, n);
	return 0;
}

static int
manifest_take(int fd, const char *name, const struct delta_head *h, struct buf *out, struct err *e)
{
	AUTO_INFLOW struct inflow *flow = NULL;
	struct section s = {
		.fd = fd, .name = name, .at = h->manifest_at, .left = h->manifest_stored};
	struct inflow_feed feed = {section_more, &s};
	size_t before = out->len;

	if (inflow_new(INFLOW_ZLIB, &flow, e) < 0 ||
		inflow_begin(flow, &feed, true, h->manifest_bytes, e) < 0 ||
		buf_reserve(out, h->manifest_bytes, e) < 0 ||
		inflow_read(flow, out->data + before, h->manifest_bytes, e) < 0 ||
		inflow_end(flow, e) < 0)
		return err_context(e, "%s: manifest.json", name);
	out->len = before + h->manifest_bytes;
	out->data[out->len] = '\0';
	return 0;
}

static void
part_read(const uint8_t *p, struct delta_part *out)
{
	*out = (struct delta_part){.old_bytes = num_get_le64(p + AT_OLD_BYTES),
		.walk_bytes = num_get_le64(p + AT_WALK),
		.walk_stored = num_get_le64(p + AT_WALK_STORED),
		.digests = num_get_le64(p + AT_DIGESTS),
		.records = num_get_le64(p + AT_RECORDS),
		.data_size = num_get_le64(p + AT_RECORDS_BYTES),
		.list_size = num_get_le64(p + AT_LIST)};
}

/* What is counted in more than bytes of the head is bounded here, so that nothing that is added up
 * later runs over. */
static int
part_check(const char *name, const struct delta_part *p, uint64_t head_size, struct err *e)
{
	if (p->old_bytes > PAYLOAD_BYTES_MAX || p->data_size > PAYLOAD_BYTES_MAX ||
		p->walk_bytes > HEAD_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "%s: a payload is larger than it may be", name);
	if (p->walk_stored > head_size || p->digests > head_size / DIGEST_BYTES ||
		p->records > head_size / DELTA_RECORD_BYTES || p->list_size > head_size)
		return err_set(e, ERR_MALFORMED, "%s: its parts are larger than it is", name);
	return 0;
}

int
delta_head_read(int fd, const char *name, uint64_t size, struct delta_head *h, struct buf *out,
	struct err *e)
{
	uint8_t header[DELTA_HEADER_BYTES], payload[DELTA_PAYLOAD_BYTES];
	struct delta_head made = {.size = size};

	if (size > HEAD_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "%s: a head of %llu bytes is too large", name,
			(unsigned long long)size);
	if (size >= sizeof(header) && file_pread_full(fd, name, header, sizeof(header), 0, e) < 0)
		return err_own(e);
	if (size < sizeof(header) || memcmp(header, magic, sizeof(magic)) != 0 ||
		num_get_le32(header + AT_VERSION) != DELTA_VERSION)
		return err_set(e, ERR_MALFORMED, "%s is no delta of a version known here", name);
	made.payload_count = num_get_le32(header + AT_PAYLOADS);
	memcpy(made.from.b, header + AT_FROM, DIGEST_BYTES);
	memcpy(made.to.b, header + AT_TO, DIGEST_BYTES);
	made.manifest_bytes = num_get_le32(header + AT_MANIFEST);
	made.manifest_stored = num_get_le32(header + AT_MANIFEST_STORED);
	if (made.payload_count == 0 || made.payload_count > PAYLOADS_MAX ||
		made.manifest_bytes == 0 || made.manifest_bytes > MANIFEST_BYTES_MAX)
		return err_set(e, ERR_LIMIT,
			"%s: more payloads, or more of a manifest, than may be", name);
	made.manifest_at = sizeof(header) + made.payload_count * sizeof(payload);
	if (made.manifest_at + made.manifest_stored > size)
		return err_set(e, ERR_MALFORMED, "%s ends within its manifest", name);
	for (size_t i = 0; i < made.payload_count; i++) {
		if (file_pread_full(fd, name, payload, sizeof(payload),
			    sizeof(header) + i * sizeof(payload), e) < 0)
			return err_own(e);
		part_read(payload, &made.parts[i]);
		if (part_check(name, &made.parts[i], size, e) < 0)
			return -1;
	}
	if (manifest_take(fd, name, &made, out, e) < 0)
		return -1;
	*h = made;
	return 0;
}

int
delta_head_place(const char *name, struct delta_head *h, const struct manifest *m, struct err *e)
{
	uint64_t at = h->manifest_at + h->manifest_stored, data = h->size;

	if (m->payload_count != h->payload_count)
		return err_set(e, ERR_MALFORMED, "%s has %zu payloads, and its manifest %zu", name,
			h->payload_count, m->payload_count);
	for (size_t i = 0; i < h->payload_count; i++) {
		struct delta_part *p = &h->parts[i];

		p->walk_at = at;
		p->digests_at = p->walk_at + p->walk_stored;
		p->records_at = p->digests_at + p->digests * DIGEST_BYTES;
		p->seals_at = p->records_at + p->records * DELTA_RECORD_BYTES;
		p->list_at = p->seals_at + m->payloads[i].members[MEMBER_SEALS].size;
		at = p->list_at + p->list_size;
		p->data_at = data;
		data += p->data_size;
	}
	if (at != h->size)
		return err_set(e, ERR_MALFORMED, "%s: its parts do not add up to its head", name);
	h->total_size = data;
	return 0;
}

int
delta_put_header(const struct delta_head *h, struct buf *out, struct err *e)
{
	uint8_t header[DELTA_HEADER_BYTES];

	memcpy(header, magic, sizeof(magic));
	num_put_le32(header + AT_VERSION, DELTA_VERSION);
	num_put_le32(header + AT_PAYLOADS, (uint32_t)h->payload_count);
	memcpy(header + AT_FROM, h->from.b, DIGEST_BYTES);
	memcpy(header + AT_TO, h->to.b, DIGEST_BYTES);
	num_put_le32(header + AT_MANIFEST, h->manifest_bytes);
	num_put_le32(header + AT_MANIFEST_STORED, h->manifest_stored);
	if (buf_append(out, header, sizeof(header), e) < 0)
		return -1;
	for (size_t i = 0; i < h->payload_count; i++) {
		const struct delta_part *p = &h->parts[i];
		uint8_t payload[DELTA_PAYLOAD_BYTES];

		num_put_le64(payload + AT_OLD_BYTES, p->old_bytes);
		num_put_le64(payload + AT_WALK, p->walk_bytes);
		num_put_le64(payload + AT_WALK_STORED, p->walk_stored);
		num_put_le64(payload + AT_DIGESTS, p->digests);
		num_put_le64(payload + AT_RECORDS, p->records);
		num_put_le64(payload + AT_RECORDS_BYTES, p->data_size);
		num_put_le64(payload + AT_LIST, p->list_size);
		if (buf_append(out, payload, sizeof(payload), e) < 0)
			return -1;
	}
	return 0;
}
