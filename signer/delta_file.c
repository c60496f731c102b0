#include "signer/delta_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/delta.h"
#include "common/format/inflow.h"
#include "common/format/listing.h"
#include "signer/delta_check.h"
#include "signer/delta_make.h"
#include "signer/delta_side.h"
#include "signer/output.h"

/* A delta on its way into its file. */
struct making {
	const struct bundle_file *from, *to;
	unsigned threads;
	const char *scratch;
	int fd;
	const char *name;
	struct delta_head head;
	struct buf json, packed;	/* manifest.json, and as what it is stored */
	struct buf parts[PAYLOADS_MAX]; /* of the head */
	struct making_payload {
		bool known; /* there is an old one */
		size_t before;
		struct delta_side from, to;
	} payloads[PAYLOADS_MAX];
	int records_fd;
	struct delta_sum sum;
};

static void
making_free(struct making **slot)
{
	struct making *m = *slot;

	if (!m)
		return;
	buf_free(&m->json);
	buf_free(&m->packed);
	for (size_t i = 0; i < PAYLOADS_MAX; i++) {
		buf_free(&m->parts[i]);
		delta_side_close(&m->payloads[i].from);
		delta_side_close(&m->payloads[i].to);
	}
	cleanup_fd(&m->records_fd);
	free(m);
}

static int
making_new(struct making **out, struct err *e)
{
	struct making *m = calloc(1, sizeof(*m));

	if (!m)
		return err_sys(e, ENOMEM, "making a delta");
	m->json = BUF_INIT(MANIFEST_BYTES_MAX);
	m->packed = BUF_INIT(MANIFEST_BYTES_MAX);
	m->records_fd = -1;
	for (size_t i = 0; i < PAYLOADS_MAX; i++) {
		m->parts[i] = BUF_INIT(HEAD_BYTES_MAX);
		m->payloads[i].from = m->payloads[i].to = DELTA_SIDE_INIT;
	}
	*out = m;
	return 0;
}

int
delta_file_pair(const struct bundle_file *from, const struct bundle_file *to, struct err *e)
{
	const struct manifest *a = from->manifest, *b = to->manifest;

	if (strcmp(a->name, b->name) != 0)
		return err_set(e, ERR_USAGE,
			"%s is of %s, and %s of %s: a delta is between two versions of one bundle",
			from->path, a->name, to->path, b->name);
	if (strcmp(a->version, b->version) == 0)
		return err_set(e, ERR_USAGE,
			"%s and %s are both version %s: a delta is between two", from->path,
			to->path, a->version);
	return 0;
}

static int
manifests_read(struct making *m, struct delta_made *out, struct err *e)
{
	uint64_t length;

	if (bundle_read_manifest(m->to->fd, m->to->path, &m->json, e) < 0 ||
		inflow_pack(buf_span(&m->json), &m->packed, e) < 0 ||
		listing_identity(m->from->document.body, &length, &m->head.from, e) < 0 ||
		listing_identity(m->to->document.body, &length, &m->head.to, e) < 0)
		return -1;
	m->head.manifest_bytes = (uint32_t)m->json.len;
	m->head.manifest_stored = (uint32_t)m->packed.len;
	m->head.payload_count = m->to->manifest->payload_count;
	out->listing.from = m->head.from;
	out->listing.to = m->head.to;
	return 0;
}

/* What a new payload can be told by: the old one of its name, kind and place. */
static void
payload_find(struct making_payload *p, const struct manifest *from, const struct payload *to)
{
	for (size_t i = 0; i < from->payload_count; i++) {
		const struct payload *q = &from->payloads[i];

		if (strcmp(q->name, to->name) == 0 && strcmp(q->slot_class, to->slot_class) == 0 &&
			q->kind == to->kind) {
			p->known = true;
			p->before = i;
		}
	}
}

static int
sides_open(struct making *m, size_t payload, struct err *e)
{
	struct making_payload *p = &m->payloads[payload];

	payload_find(p, m->from->manifest, &m->to->manifest->payloads[payload]);
	if (p->known &&
		delta_side_open(m->from, p->before, m->threads, m->scratch, &p->from, e) < 0)
		return -1;
	return delta_side_open(m->to, payload, m->threads, m->scratch, &p->to, e);
}

static int
member_append(const struct bundle_file *b, size_t payload, enum member_role role, struct buf *out,
	struct err *e)
{
	const struct member *m = &b->manifest->payloads[payload].members[role];

	if (!m->present)
		return 0;
	if (buf_reserve(out, (size_t)m->size, e) < 0 ||
		file_pread_full(b->fd, b->path, out->data + out->len, (size_t)m->size,
			b->layout.offset[payload][role], e) < 0)
		return -1;
	out->len += (size_t)m->size;
	return 0;
}

/* A tree's list of files, told by the old one's. */
static int
list_append(struct making *m, size_t payload, struct err *e)
{
	AUTO_BUF struct buf old = BUF_INIT(HEAD_BYTES_MAX), list = BUF_INIT(HEAD_BYTES_MAX);
	const struct making_payload *p = &m->payloads[payload];
	struct buf *out = &m->parts[payload];
	size_t before = out->len;

	if (p->to.payload->kind != PAYLOAD_TREE)
		return 0;
	if ((p->known && member_append(m->from, p->before, MEMBER_FILES, &old, e) < 0) ||
		member_append(m->to, payload, MEMBER_FILES, &list, e) < 0 ||
		delta_put_list(buf_span(&old), buf_span(&list), out, e) < 0)
		return -1;
	m->head.parts[payload].list_size = out->len - before;
	return 0;
}

static int
payload_tell(struct making *m, size_t payload, struct err *e)
{
	AUTO_DELTA_WRITER struct delta_writer *w = NULL;
	struct making_payload *p = &m->payloads[payload];
	struct delta_part *part = &m->head.parts[payload];

	if (sides_open(m, payload, e) < 0 || delta_writer_new(&w, e) < 0 ||
		delta_make(p->known ? &p->from : NULL, &p->to, m->threads, w, m->records_fd,
			&m->sum, e) < 0)
		return -1;
	part->old_bytes = p->known ? p->from.plain.size : 0;
	if (delta_writer_finish(w, &m->parts[payload], part, e) < 0 ||
		member_append(m->to, payload, MEMBER_SEALS, &m->parts[payload], e) < 0)
		return -1;
	return list_append(m, payload, e);
}

static int
append(struct making *m, struct span bytes, uint64_t *at, struct err *e)
{
	if (file_pwrite_full(m->fd, m->name, bytes.data, bytes.len, *at, e) < 0)
		return -1;
	*at += bytes.len;
	return 0;
}

/* What stands in a file, to the end of another. */
static int
records_append(struct making *m, uint64_t *at, struct err *e)
{
	uint8_t bytes[64 * 1024];

	for (uint64_t done = 0; done < m->sum.records;) {
		size_t n = (size_t)num_min(m->sum.records - done, sizeof(bytes));

		if (file_pread_full(m->records_fd, "a temporary file", bytes, n, done, e) < 0 ||
			append(m, span_of(bytes, n), at, e) < 0)
			return -1;
		done += n;
	}
	return 0;
}

static int
file_write(struct making *m, struct delta_made *out, struct err *e)
{
	AUTO_BUF struct buf header = BUF_INIT(HEAD_BYTES_MAX);
	uint64_t at = 0;

	if (delta_put_header(&m->head, &header, e) < 0 ||
		append(m, buf_span(&header), &at, e) < 0 ||
		append(m, buf_span(&m->packed), &at, e) < 0)
		return -1;
	for (size_t i = 0; i < m->head.payload_count; i++) {
		if (append(m, buf_span(&m->parts[i]), &at, e) < 0)
			return -1;
	}
	out->listing.head_length = at;
	if (records_append(m, &at, e) < 0)
		return -1;
	out->size = at;
	return digest_fd(m->fd, m->name, 0, out->listing.head_length, &out->listing.head_sha256, e);
}

static int
mistaken(const struct making *m, const char *what, struct err *e)
{
	return err_set(e, ERR_REFUSED,
		"%s: %s is not read back as it was written: that is a mistake of this program, or "
		"of this machine's disk",
		m->name, what);
}

/* A list of files, of the old bundle. */
struct old_list {
	const struct bundle_file *b;
	uint64_t at;
};

static int
old_list_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct old_list *l = arg;

	return file_pread_full(l->b->fd, l->b->path, data, len, l->at + offset, e);
}

static int
list_check(const struct making *m, const struct delta_head *h, size_t payload, struct err *e)
{
	const struct making_payload *p = &m->payloads[payload];
	const struct member *is = &p->to.payload->members[MEMBER_FILES];
	struct old_list list = {.b = m->from};
	struct patch_old old = {.arg = &list, .read = old_list_read};
	AUTO_CLOSE int fd = -1;
	struct digest made;

	if (p->known) {
		list.at = m->from->layout.offset[p->before][MEMBER_FILES];
		old.size = p->from.payload->members[MEMBER_FILES].size;
	}
	if (scratch_open(m->scratch, &fd, e) < 0 ||
		delta_list_make(m->fd, m->name, &h->parts[payload], &old, is->size, fd, 0, e) < 0 ||
		digest_fd(fd, "a temporary file", 0, is->size, &made, e) < 0)
		return -1;
	return digest_equal(&made, &is->digest) ? 0 : mistaken(m, "a list of files", e);
}

static int
seals_check(const struct making *m, const struct delta_head *h, size_t payload, struct err *e)
{
	const struct member *is = &m->payloads[payload].to.payload->members[MEMBER_SEALS];
	struct digest made;

	if (!is->present)
		return 0;
	if (digest_fd(m->fd, m->name, h->parts[payload].seals_at, is->size, &made, e) < 0)
		return -1;
	return digest_equal(&made, &is->digest) ? 0 : mistaken(m, "seals", e);
}

static int
head_check(const struct making *m, uint64_t size, struct delta_head *h, struct err *e)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);

	if (delta_head_read(m->fd, m->name, size, h, &json, e) < 0 ||
		delta_head_place(m->name, h, m->to->manifest, e) < 0)
		return -1;
	if (!span_equal(buf_span(&json), buf_span(&m->json)) ||
		!digest_equal(&h->from, &m->head.from) || !digest_equal(&h->to, &m->head.to))
		return mistaken(m, "its head", e);
	return 0;
}

/* Nothing is signed that was not tried. */
static int
file_check(struct making *m, const struct delta_made *made, struct err *e)
{
	struct delta_head h;

	if (head_check(m, made->listing.head_length, &h, e) < 0)
		return -1;
	if (h.total_size != made->size)
		return mistaken(m, "its size", e);
	for (size_t i = 0; i < h.payload_count; i++) {
		struct making_payload *p = &m->payloads[i];

		if (seals_check(m, &h, i, e) < 0 ||
			delta_check(m->fd, m->name, &h, i, p->known ? &p->from : NULL, &p->to,
				m->threads, e) < 0 ||
			(p->to.payload->kind == PAYLOAD_TREE && list_check(m, &h, i, e) < 0))
			return -1;
	}
	return 0;
}

int
delta_file_make(const struct bundle_file *from, const struct bundle_file *to, unsigned threads,
	const char *scratch, int fd, const char *name, struct delta_made *out, struct err *e)
{
	CLEANUP(making_free) struct making *m = NULL;
	struct delta_made made = {.bundle_size = to->layout.total_size};

	if (delta_file_pair(from, to, e) < 0 || making_new(&m, e) < 0)
		return -1;
	m->from = from;
	m->to = to;
	m->threads = threads;
	m->scratch = scratch;
	m->fd = fd;
	m->name = name;
	if (manifests_read(m, &made, e) < 0 || scratch_open(scratch, &m->records_fd, e) < 0)
		return -1;
	for (size_t i = 0; i < to->manifest->payload_count; i++) {
		if (payload_tell(m, i, e) < 0)
			return -1;
	}
	if (file_write(m, &made, e) < 0)
		return -1;
	made.full = m->sum.full;
	made.pays = made.size + made.full <= made.bundle_size / 100 * DELTA_WORTH_PERCENT;
	if (made.pays && file_check(m, &made, e) < 0)
		return -1;
	*out = made;
	return 0;
}
