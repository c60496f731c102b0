/* delta_apply OLD.ota DELTA NEW.ota: makes NEW's payloads out of OLD's, and takes from NEW itself
 * only what the delta leaves to it. Their plain bytes go to standard output, one after the other;
 * from where how many chunks came goes to standard error. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/delta.h"
#include "common/format/listing.h"
#include "signer/bundle_file.h"
#include "signer/unpacked.h"

struct apply {
	struct bundle_file from, to;
	int fd;
	const char *path;
	struct delta_head head;
	struct patch *patch;
	uint64_t record; /* that the patch is of, and one more */
	uint64_t chunks[4];
	uint8_t stored[PATCH_STORED_MAX], plain[CHUNK_BYTES];
};

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct unpacked *old = arg;

	if (offset > old->size || len > old->size - offset)
		return err_set(e, ERR_MALFORMED, "old bytes %" PRIu64 " are read", offset);
	memcpy(data, old->data + offset, len);
	return 0;
}

/* What its header says of the head's size, which a box knows from the listing. */
static int
head_size(const struct apply *a, uint64_t *out, struct err *e)
{
	const struct manifest *m = a->to.manifest;
	uint8_t bytes[DELTA_HEADER_BYTES + PAYLOADS_MAX * DELTA_PAYLOAD_BYTES];
	size_t len = DELTA_HEADER_BYTES + m->payload_count * DELTA_PAYLOAD_BYTES;

	if (file_pread_full(a->fd, a->path, bytes, len, 0, e) < 0)
		return -1;
	*out = len + num_get_le32(bytes + 84);
	for (size_t i = 0; i < m->payload_count; i++) {
		const uint8_t *p = bytes + DELTA_HEADER_BYTES + i * DELTA_PAYLOAD_BYTES;

		*out += num_get_le64(p + 16) + num_get_le64(p + 24) * DIGEST_BYTES +
			num_get_le64(p + 32) * DELTA_RECORD_BYTES + num_get_le64(p + 48) +
			m->payloads[i].members[MEMBER_SEALS].size;
	}
	return 0;
}

static int
head_open(struct apply *a, struct err *e)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX), own = BUF_INIT(MANIFEST_BYTES_MAX);
	struct digest from, to;
	uint64_t length, size;

	if (head_size(a, &size, e) < 0 ||
		delta_head_read(a->fd, a->path, size, &a->head, &json, e) < 0 ||
		delta_head_place(a->path, &a->head, a->to.manifest, e) < 0 ||
		bundle_read_manifest(a->to.fd, a->to.path, &own, e) < 0 ||
		listing_identity(a->from.document.body, &length, &from, e) < 0 ||
		listing_identity(a->to.document.body, &length, &to, e) < 0)
		return -1;
	if (!span_equal(buf_span(&json), buf_span(&own)) || !digest_equal(&from, &a->head.from) ||
		!digest_equal(&to, &a->head.to))
		return err_set(e, ERR_UNTRUSTED, "%s is of other bundles", a->path);
	return 0;
}

static int
record_take(struct apply *a, const struct delta_entry *entry, const struct patch_old *old,
	uint64_t out_bytes, struct err *e)
{
	const struct delta_record *r = &entry->record;

	if (a->record == r->number + 1)
		return 0;
	if (file_pread_full(a->fd, a->path, a->stored, r->stored, r->offset, e) < 0)
		return -1;
	if (!delta_record_is(r, span_of(a->stored, r->stored)))
		return err_set(e, ERR_UNTRUSTED, "record %" PRIu64, r->number);
	a->record = r->number + 1;
	return patch_begin(a->patch, span_of(a->stored, r->stored), old, out_bytes, e);
}

static int
entry_write(struct apply *a, const struct delta_entry *entry, const struct unpacked *from,
	const struct unpacked *to, const uint64_t *record_bytes, struct err *e)
{
	struct patch_old old = {.arg = (void *)(uintptr_t)from, old_read, from->size};
	uint64_t left = entry->size;
	size_t len = 0;

	a->chunks[entry->kind]++;
	if (entry->kind == DELTA_ZEROS) {
		memset(a->plain, 0, CHUNK_BYTES);
		for (; left > 0; left -= CHUNK_BYTES) {
			if (file_write_full(STDOUT_FILENO, "-", a->plain, CHUNK_BYTES, e) < 0)
				return -1;
		}
		return 0;
	}
	if (entry->kind == DELTA_FULL)
		memcpy(a->plain, to->data + entry->offset, (size_t)left);
	if (entry->kind == DELTA_RECORD &&
		(record_take(a, entry, &old, record_bytes[entry->record.number], e) < 0 ||
			patch_take(a->patch, a->plain, (size_t)left, e) < 0))
		return -1;
	for (size_t i = 0; entry->kind == DELTA_COPY && i < entry->runs; i++) {
		const struct delta_run *r = &entry->run[i];

		memset(a->plain + len, 0, r->size);
		if (!r->zeros && old_read(old.arg, a->plain + len, r->size, r->old_at, e) < 0)
			return -1;
		len += r->size;
	}
	return file_write_full(STDOUT_FILENO, "-", a->plain, (size_t)left, e);
}

/* What each record makes. */
static int
records_add_up(struct delta_walk *w, uint64_t *record_bytes, struct err *e)
{
	struct delta_entry entry;
	bool more = true;

	while (more) {
		if (delta_walk_next(w, &entry, &more, e) < 0)
			return -1;
		if (more && entry.kind == DELTA_RECORD)
			record_bytes[entry.record.number] += entry.size;
	}
	return delta_walk_rewind(w, e);
}

static int
payload_before(const struct apply *a, const struct payload *p, struct unpacked *out, struct err *e)
{
	for (size_t i = 0; i < a->from.manifest->payload_count; i++) {
		if (strcmp(a->from.manifest->payloads[i].name, p->name) == 0)
			return payload_unpack(&a->from, i, 1, ".", out, e);
	}
	return 0;
}

static int
payload_write(struct apply *a, size_t i, struct err *e)
{
	AUTO_UNPACKED struct unpacked from = UNPACKED_INIT, to = UNPACKED_INIT;
	const struct payload *p = &a->to.manifest->payloads[i];
	AUTO_DELTA_WALK struct delta_walk *w = NULL;
	AUTO_FREE uint64_t *record_bytes =
		calloc((size_t)a->head.parts[i].records + 1, sizeof(*record_bytes));
	struct delta_entry entry;
	bool more = true;

	if (!record_bytes)
		return err_sys(e, ENOMEM, "%s", p->name);
	a->record = 0;
	if (payload_before(a, p, &from, e) < 0 || payload_unpack(&a->to, i, 1, ".", &to, e) < 0 ||
		delta_walk_open(a->fd, a->path, &a->head, i, p, &w, e) < 0 ||
		records_add_up(w, record_bytes, e) < 0)
		return -1;
	while (more) {
		if (delta_walk_next(w, &entry, &more, e) < 0 ||
			(more && entry_write(a, &entry, &from, &to, record_bytes, e) < 0))
			return err_context(e, "%s", p->name);
	}
	return 0;
}

static int
run(struct apply *a, char **argv, struct err *e)
{
	a->path = argv[2];
	if (bundle_file_open(argv[1], &a->from, e) < 0 ||
		bundle_file_open(argv[3], &a->to, e) < 0 ||
		file_open_read(argv[2], &a->fd, e) < 0 || patch_new(&a->patch, e) < 0 ||
		head_open(a, e) < 0)
		return -1;
	for (size_t i = 0; i < a->to.manifest->payload_count; i++) {
		if (payload_write(a, i, e) < 0)
			return -1;
	}
	(void)fprintf(stderr,
		"%" PRIu64 " zeros, %" PRIu64 " told, %" PRIu64 " whole, %" PRIu64 " copied\n",
		a->chunks[DELTA_ZEROS], a->chunks[DELTA_RECORD], a->chunks[DELTA_FULL],
		a->chunks[DELTA_COPY]);
	return 0;
}

static void
apply_free(struct apply **slot)
{
	struct apply *a = *slot;

	if (!a)
		return;
	bundle_file_close(&a->from);
	bundle_file_close(&a->to);
	patch_free(&a->patch);
	cleanup_fd(&a->fd);
	free(a);
}

int
main(int argc, char **argv)
{
	CLEANUP(apply_free) struct apply *a = calloc(1, sizeof(*a));
	struct err e = ERR_INIT;

	if (argc != 4 || !a) {
		(void)fprintf(stderr, "usage: delta_apply OLD.ota DELTA NEW.ota >PAYLOADS\n");
		return 2;
	}
	a->fd = -1;
	a->from = a->to = BUNDLE_FILE_INIT;
	if (run(a, argv, &e) < 0) {
		(void)fprintf(stderr, "delta_apply: %s\n", e.text);
		return 1;
	}
	return 0;
}
