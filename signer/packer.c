#include "signer/packer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/files.h"
#include "common/format/hints.h"
#include "common/format/pages.h"
#include "signer/image.h"
#include "signer/member_file.h"
#include "signer/pipeline.h"
#include "signer/tree.h"
#include "signer/ui.h"

/* A payload on its way. What reads (image, tree, sum, progress, the list of files) and what writes
 * (index, hints, data, run) have nothing in common, for they run in different threads. */
struct packer {
	const struct recipe_payload *source;
	struct progress progress;
	uint64_t plain; /* bytes read */

	struct image *image;
	struct tree tree;
	size_t next; /* item of the tree */
	int file;    /* of the item before next, while it is being read; or -1 */
	uint64_t file_at, file_left;
	struct digest_state *sum; /* of the image, or of the file */
	struct tree_entry entry;
	struct buf line;

	struct member_file members[MEMBER_ROLES];
	struct chunk run; /* of zeros, not written yet; its size is 0 when there is none */
	uint64_t entries;
};

static void
packer_free(struct packer **slot)
{
	struct packer *p = *slot;

	if (!p)
		return;
	progress_end(&p->progress);
	image_close(&p->image);
	tree_free(&p->tree);
	cleanup_fd(&p->file);
	digest_abandon(&p->sum);
	buf_free(&p->line);
	for (int i = 0; i < MEMBER_ROLES; i++)
		member_file_free(&p->members[i]);
	free(p);
}

void
packed_free(struct packed *p)
{
	for (int i = 0; i < MEMBER_ROLES; i++) {
		cleanup_fd(&p->fd[i]);
		p->fd[i] = -1;
	}
}

static int
packer_new(const struct recipe_payload *source, struct packer **out, struct err *e)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (!p)
		return err_sys(e, ENOMEM, "packing %s", source->source);
	p->source = source;
	p->file = -1;
	p->tree.spool = -1;
	p->line.max = TREE_LINE_MAX;
	for (int i = 0; i < MEMBER_ROLES; i++)
		p->members[i] = MEMBER_FILE_INIT;
	*out = p;
	return 0;
}

static int
count_plain(struct packer *p, size_t len, struct err *e)
{
	p->plain += len;
	if (p->plain > PAYLOAD_BYTES_MAX)
		return err_set(e, ERR_LIMIT, "%s: larger than 1 TiB unpacked", p->source->source);
	return 0;
}

static int
read_image(void *arg, struct piece *piece, bool *more, struct err *e)
{
	struct packer *p = arg;

	if (image_read(p->image, piece->plain, CHUNK_BYTES, &piece->len, e) < 0)
		return -1;
	*more = piece->len > 0;
	piece->begins_file = false;
	digest_add(p->sum, piece->plain, piece->len);
	progress_set(&p->progress, image_done(p->image));
	return count_plain(p, piece->len, e);
}

static void
text_copy(char out[TREE_PATH_MAX + 1], const char *text)
{
	memcpy(out, text, strlen(text) + 1);
}

/* Adds an item's line. Paths and targets were measured when the tree was listed. */
static int
put_line(struct packer *p, const struct tree_item *item, const struct digest *sha256, struct err *e)
{
	struct tree_entry *t = &p->entry;

	memset(t, 0, sizeof(*t));
	t->type = item->type;
	t->mode = item->mode;
	t->uid = item->uid;
	t->gid = item->gid;
	t->mtime_s = item->mtime_s;
	t->size = item->size;
	t->xattrs = item->xattrs;
	text_copy(t->path, item->path);
	if (item->target)
		text_copy(t->target, item->target);
	if (sha256)
		t->sha256 = *sha256;
	buf_clear(&p->line);
	if (files_put(t, &p->line, e) < 0)
		return err_context(e, "%s", p->source->source);
	return member_file_add(&p->members[MEMBER_FILES], p->line.data, p->line.len, e);
}

static int
tree_file_begin(struct packer *p, const struct tree_item *item, struct err *e)
{
	if (digest_begin(&p->sum, e) < 0)
		return -1;
	p->file_left = item->size;
	return tree_file_open(&p->tree, item, &p->file, &p->file_at, e);
}

static int
tree_file_end(struct packer *p, const struct tree_item *item, struct err *e)
{
	struct digest sha256 = digest_end(&p->sum);

	if (tree_file_check(&p->tree, item, p->file, e) < 0)
		return -1;
	cleanup_fd(&p->file);
	p->file = -1;
	return put_line(p, item, &sha256, e);
}

static int
tree_file_read(struct packer *p, const struct tree_item *item, struct piece *piece, struct err *e)
{
	piece->begins_file = p->file_left == item->size;
	piece->len = (size_t)num_min(CHUNK_BYTES, p->file_left);
	if (file_pread_full(p->file, item->path, piece->plain, piece->len, p->file_at, e) < 0)
		return err_context(e, "%s", p->source->source);
	digest_add(p->sum, piece->plain, piece->len);
	p->file_at += piece->len;
	p->file_left -= piece->len;
	return count_plain(p, piece->len, e);
}

/* Goes on to the next bytes of a file, writing the lines of all that has none on the way. */
static int
read_tree(void *arg, struct piece *piece, bool *more, struct err *e)
{
	struct packer *p = arg;

	for (;;) {
		const struct tree_item *item;

		if (p->file >= 0) {
			item = p->tree.items[p->next - 1];
			if (p->file_left > 0)
				return tree_file_read(p, item, piece, e);
			if (tree_file_end(p, item, e) < 0)
				return -1;
		}
		progress_set(&p->progress, p->plain);
		if (p->next == p->tree.count) {
			*more = false;
			return 0;
		}
		item = p->tree.items[p->next++];
		if (item->type == TREE_FILE ? tree_file_begin(p, item, e) < 0
					    : put_line(p, item, NULL, e) < 0)
			return -1;
	}
}

/* As what an entry is stored: where the data has come to, at the beginning of each page. */
static int
put_stored(struct packer *p, const struct chunk *c, struct err *e)
{
	struct member_file *stored = &p->members[MEMBER_STORED];
	uint8_t offset[STORED_OFFSET_BYTES], bytes[STORED_ENTRY_BYTES];

	pages_put_offset(offset, p->members[MEMBER_DATA].size);
	pages_put_entry(bytes, c);
	if (p->entries % PAGE_ENTRIES == 0 &&
		member_file_add(stored, offset, sizeof(offset), e) < 0)
		return -1;
	return member_file_add(stored, bytes, sizeof(bytes), e);
}

/* cuts is its record of them; NULL: a run's, which are none. */
static int
put_entry(struct packer *p, const struct chunk *c, const uint8_t *cuts, struct err *e)
{
	static const uint8_t no_cuts[CUTS_BYTES];
	struct member_file *records = &p->members[MEMBER_CUTS];
	uint8_t bytes[INDEX_ENTRY_BYTES];
	struct chunk entry = *c;

	cuts = cuts ? cuts : no_cuts;
	if (p->source->kind == PAYLOAD_IMAGE) {
		entry.cuts = cuts_record_seal(cuts);
		if (member_file_add(records, cuts, CUTS_BYTES, e) < 0)
			return -1;
	}
	index_put_entry(bytes, &entry);
	if (put_stored(p, &entry, e) < 0 ||
		member_file_add(&p->members[MEMBER_INDEX], bytes, sizeof(bytes), e) < 0)
		return -1;
	p->entries++;
	return 0;
}

static int
put_run(struct packer *p, struct err *e)
{
	if (p->run.size == 0)
		return 0;
	if (put_entry(p, &p->run, NULL, e) < 0)
		return -1;
	p->run.size = 0;
	return 0;
}

/* Runs of zeros become one entry, but never across two files of a tree. */
static int
write_piece(void *arg, const struct piece *piece, struct err *e)
{
	struct packer *p = arg;
	const struct chunk *c = &piece->chunk;

	if (member_file_add(&p->members[MEMBER_HINTS], piece->hints, piece->hints_len, e) < 0)
		return -1;
	if ((c->store != CHUNK_ZERO_RUN || piece->begins_file) && put_run(p, e) < 0)
		return -1;
	if (c->store == CHUNK_ZERO_RUN) {
		uint64_t size = p->run.size + c->size;

		p->run = *c;
		p->run.size = size;
		return 0;
	}
	if (put_entry(p, c, piece->cuts, e) < 0)
		return -1;
	return member_file_add(&p->members[MEMBER_DATA], piece->stored_data, c->stored_size, e);
}

static int
open_source(struct packer *p, const char *scratch, struct err *e)
{
	if (p->source->kind == PAYLOAD_TREE) {
		if (tree_open(p->source->source, scratch, &p->tree, e) < 0)
			return -1;
		if (p->tree.count == 0)
			return err_set(
				e, ERR_MALFORMED, "%s: the tree is empty", p->source->source);
		progress_start(&p->progress, p->source->name, p->tree.size);
		return 0;
	}
	if (image_open(p->source->source, &p->image, e) < 0 || digest_begin(&p->sum, e) < 0)
		return -1;
	progress_start(&p->progress, p->source->name, image_total(p->image));
	return 0;
}

/* The header, which counts what comes behind it, is put in at the end. */
static int
open_members(struct packer *p, const char *scratch, struct err *e)
{
	static const uint8_t room[INDEX_HEADER_BYTES];

	for (int i = 0; i < MEMBER_ROLES; i++) {
		if (member_file_open(scratch, &p->members[i], e) < 0)
			return -1;
	}
	return member_file_add(&p->members[MEMBER_INDEX], room, sizeof(room), e);
}

static int
end_index(struct packer *p, struct packed *out, struct err *e)
{
	struct member *m = &out->payload.members[MEMBER_INDEX];
	uint8_t header[INDEX_HEADER_BYTES];

	if (put_run(p, e) < 0 ||
		member_file_end(&p->members[MEMBER_INDEX], m, &out->fd[MEMBER_INDEX], e) < 0)
		return -1;
	index_put_header(header, p->plain, p->entries);
	if (file_pwrite_full(out->fd[MEMBER_INDEX], "the index", header, sizeof(header), 0, e) < 0)
		return -1;
	return digest_fd(out->fd[MEMBER_INDEX], "the index", 0, m->size, &m->digest, e);
}

static int
end_member(struct packer *p, struct packed *out, enum member_role role, struct err *e)
{
	return member_file_end(&p->members[role], &out->payload.members[role], &out->fd[role], e);
}

/* The seals of a member's pages, which begin at `at`. */
static int
put_seals(struct packer *p, int fd, uint64_t at, const size_t each[2], struct err *e)
{
	uint8_t page[STORED_PAGE_BYTES];

	for (uint64_t n = 0; n < pages_count(p->entries); n++) {
		size_t len = each[0] + pages_entries(p->entries, n) * each[1];
		struct seal seal;

		if (file_pread_full(fd, "a temporary file", page, len, at, e) < 0)
			return -1;
		seal = seal_of(span_of(page, len));
		if (member_file_add(&p->members[MEMBER_SEALS], seal.b, sizeof(seal.b), e) < 0)
			return -1;
		at += len;
	}
	return 0;
}

/* What every payload has, and seals of it. */
static int
end_pages(struct packer *p, struct packed *out, struct err *e)
{
	static const size_t index[] = {0, INDEX_ENTRY_BYTES},
			    stored[] = {STORED_OFFSET_BYTES, STORED_ENTRY_BYTES};

	if (end_index(p, out, e) < 0 || end_member(p, out, MEMBER_STORED, e) < 0 ||
		put_seals(p, out->fd[MEMBER_INDEX], INDEX_HEADER_BYTES, index, e) < 0 ||
		put_seals(p, out->fd[MEMBER_STORED], 0, stored, e) < 0)
		return -1;
	return end_member(p, out, MEMBER_SEALS, e);
}

static int
end_members(struct packer *p, struct packed *out, struct err *e)
{
	bool tree = p->source->kind == PAYLOAD_TREE;
	struct payload *payload = &out->payload;

	if (end_pages(p, out, e) < 0 || end_member(p, out, MEMBER_DATA, e) < 0 ||
		(tree && end_member(p, out, MEMBER_FILES, e) < 0) ||
		(!tree && end_member(p, out, MEMBER_HINTS, e) < 0) ||
		(!tree && end_member(p, out, MEMBER_CUTS, e) < 0))
		return -1;
	payload->kind = p->source->kind;
	payload->size = p->plain;
	payload->digest = tree ? payload->members[MEMBER_FILES].digest : digest_end(&p->sum);
	memcpy(payload->name, p->source->name, sizeof(payload->name));
	memcpy(payload->slot_class, p->source->slot_class, sizeof(payload->slot_class));
	return 0;
}

int
payload_pack(const struct recipe_payload *source, int level, unsigned threads, const char *scratch,
	struct packed *out, struct err *e)
{
	CLEANUP(packer_free) struct packer *p = NULL;
	CLEANUP(packed_free) struct packed done = PACKED_INIT;
	bool tree = source->kind == PAYLOAD_TREE;
	struct pipeline pipeline = {.threads = threads,
		.level = level,
		.blocks = !tree,
		.read = tree ? read_tree : read_image,
		.write = write_piece};

	if (packer_new(source, &p, e) < 0 || open_source(p, scratch, e) < 0 ||
		open_members(p, scratch, e) < 0)
		return -1;
	pipeline.arg = p;
	if (pipeline_run(&pipeline, e) < 0 || end_members(p, &done, e) < 0)
		return -1;
	if (!tree && p->plain == 0)
		return err_set(e, ERR_MALFORMED, "%s: the image is empty", source->source);
	*out = done;
	done = PACKED_INIT;
	return 0;
}
