#include "signer/advice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/num.h"
#include "common/limits.h"
#include "signer/uncompressed.h"

/* What of an ext4 superblock is other in each image that is made, if nobody sees to it. */
enum { SUPER_AT = 1024, SUPER_BYTES = 1024 };

struct super_field {
	const char *name;
	size_t at, len;
};

static const struct super_field super_fields[] = {
	{"UUID", 0x68, 16}, {"hash seed", 0xec, 16}, {"time of making", 0x108, 4}};

/* Of a file: what it is, by its first bytes. */
static enum image_kind
file_kind(const struct advice_job *j, uint32_t owner)
{
	const struct owner *o = &j->contents->owners[owner];
	const struct extent *x;

	if (o->kind != OWNER_FILE || o->first == UINT64_MAX)
		return IMAGE_UNKNOWN;
	x = contents_at(j->contents, o->first);
	return image_kind_of(
		span_of(j->new->data + o->first, (size_t)num_min(x->size, IMAGE_KIND_BYTES)));
}

static void
advice_add(struct advice *a, const struct advice_job *j, uint32_t owner)
{
	if (a->files < ADVICE_EXAMPLES)
		a->examples[a->files] = owner;
	a->files++;
	a->bytes += j->bill->bytes[owner];
}

/* So many compressed files are looked into, the dearest; and what saves less than a quarter is not
 * worth the trouble. */
enum { FILES_WEIGHED = 64, SAVED_QUARTERS = 3 };

/* Versions are in names: of kernels, and of folders of modules. */
static bool
is_alike_but_for_digits(const char *a, const char *b)
{
	for (;;) {
		bool digits = *a >= '0' && *a <= '9';

		if (digits != (*b >= '0' && *b <= '9') || (!digits && *a != *b))
			return false;
		if (*a == '\0')
			return true;
		for (a += 1; digits && *a >= '0' && *a <= '9';)
			a++;
		for (b += 1; digits && *b >= '0' && *b <= '9';)
			b++;
	}
}

/* What a file was before; UINT32_MAX: it was not there. */
static uint32_t
old_file(const struct advice_job *j, uint32_t owner)
{
	const struct contents *old = j->old_contents;
	const char *path = contents_path(j->contents, owner);
	const struct owner *same = contents_find(old, path);

	if (same)
		return (uint32_t)(same - old->owners);
	for (size_t i = 0; i < old->path_count; i++) {
		if (is_alike_but_for_digits(path, contents_path(old, old->by_path[i])))
			return old->by_path[i];
	}
	return UINT32_MAX;
}

/* A file's bytes as they would be uncompressed; as they are, where they are not compressed. */
static bool
file_uncompressed(const struct contents *c, const struct unpacked *u, uint32_t owner,
	bool compressed, struct buf *out)
{
	AUTO_BUF struct buf raw = BUF_INIT(UNCOMPRESSED_BYTES_MAX);

	if (contents_read(c, u, owner, &raw, NULL) < 0)
		return false;
	if (compressed || image_kind_is_compressed(image_kind_of(buf_span(&raw))))
		return uncompressed_read(buf_span(&raw), out);
	return buf_append(out, raw.data, raw.len, NULL) == 0;
}

static int
would_cost(
	const struct advice_job *j, struct span new, struct span old, uint64_t *out, struct err *e)
{
	return j->delta ? uncompressed_cost_by_delta(new, old, j->threads, j->scratch, out, e)
			: uncompressed_cost(new, old, j->level, j->threads, out, e);
}

/* Adds a compressed file, if it would cost less uncompressed. */
static int
file_weigh(const struct advice_job *j, uint32_t owner, struct advice *a, struct err *e)
{
	AUTO_BUF struct buf new = BUF_INIT(UNCOMPRESSED_BYTES_MAX);
	AUTO_BUF struct buf old = BUF_INIT(UNCOMPRESSED_BYTES_MAX);
	uint64_t bytes = j->bill->bytes[owner], would;
	uint32_t before = old_file(j, owner);

	if (before == UINT32_MAX || !file_uncompressed(j->contents, j->new, owner, true, &new) ||
		!file_uncompressed(j->old_contents, j->old, before, false, &old))
		return 0;
	if (would_cost(j, buf_span(&new), buf_span(&old), &would, e) < 0)
		return -1;
	if (would / SAVED_QUARTERS >= bytes / 4)
		return 0;
	advice_add(a, j, owner);
	a->would += would;
	return 0;
}

/* A list of the old files by their sizes, for those that were renamed. */
struct by_size {
	const struct contents *contents;
	uint32_t *owners;
	size_t count;
};

static void
by_size_free(struct by_size *b)
{
	free(b->owners);
}

static int
sizes_compare(const void *a, const void *b, void *arg)
{
	const struct contents *c = arg;
	const struct owner *x = &c->owners[*(const uint32_t *)a];
	const struct owner *y = &c->owners[*(const uint32_t *)b];

	return x->size < y->size ? -1 : x->size > y->size;
}

static int
by_size_make(const struct contents *c, struct by_size *out, struct err *e)
{
	uint32_t *owners = calloc(c->owner_count, sizeof(*owners));
	size_t count = 0;

	if (!owners)
		return err_sys(e, ENOMEM, "sorting files");
	for (uint32_t i = OWNERS_FIXED; i < c->owner_count; i++)
		owners[count++] = i;
	qsort_r(owners, count, sizeof(*owners), sizes_compare, (void *)(uintptr_t)c);
	*out = (struct by_size){c, owners, count};
	return 0;
}

/* Whether an old file of a tree has the same bytes. */
static bool
is_renamed(const struct advice_job *j, const struct by_size *old, uint32_t owner)
{
	const struct owner *o = &j->contents->owners[owner];
	size_t low = 0, high = old->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (old->contents->owners[old->owners[middle]].size < o->size)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < old->count; low++) {
		const struct owner *was = &old->contents->owners[old->owners[low]];

		if (was->size != o->size)
			return false;
		if (memcmp(j->old->data + was->first, j->new->data + o->first, (size_t)o->size) ==
			0)
			return true;
	}
	return false;
}

/* Of the owners that cost something, the dearest first: whose cost has a reason. */
static int
owners_look(const struct advice_job *j, const struct by_size *old, const uint32_t *owners,
	size_t count, struct advice out[ADVICES], struct err *e)
{
	size_t weighed = 0;

	for (size_t i = 0; i < count; i++) {
		enum owner_kind kind = j->contents->owners[owners[i]].kind;

		if (kind == OWNER_METADATA || kind == OWNER_FOLDER)
			advice_add(&out[ADVICE_METADATA], j, owners[i]);
		else if (kind == OWNER_FREE)
			advice_add(&out[ADVICE_FREE], j, owners[i]);
		else if (old->owners && is_renamed(j, old, owners[i]))
			advice_add(&out[ADVICE_RENAMED], j, owners[i]);
		else if (image_kind_is_compressed(file_kind(j, owners[i])) &&
			 weighed++ < FILES_WEIGHED &&
			 file_weigh(j, owners[i], &out[ADVICE_FILES], e) < 0)
			return -1;
	}
	return 0;
}

static void
detail_add(struct advice *a, const char *text)
{
	size_t used = strlen(a->detail);

	(void)snprintf(
		a->detail + used, sizeof(a->detail) - used, "%s%s", used > 0 ? ", " : "", text);
}

/* Files and folders that cost nothing themselves, and have other times than before. */
static size_t
times_differ(const struct advice_job *j)
{
	const struct contents *c = j->contents;
	size_t count = 0;

	for (size_t i = 0; i < c->path_count; i++) {
		uint32_t owner = c->by_path[i];
		const struct owner *old = contents_find(j->old_contents, contents_path(c, owner));

		count += old && j->bill->bytes[owner] == 0 && old->times != c->owners[owner].times;
	}
	return count;
}

/* Metadata that nobody need change; else there is nothing to be said of it. */
static void
metadata_look(const struct advice_job *j, struct advice *a)
{
	char text[64];
	size_t times;

	if (a->bytes == 0)
		return;
	if (!j->old || !j->old_contents || j->old_contents->kind != IMAGE_EXT4 ||
		j->old->size < SUPER_AT + SUPER_BYTES || j->new->size < SUPER_AT + SUPER_BYTES) {
		a->bytes = 0;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(super_fields); i++) {
		const struct super_field *f = &super_fields[i];

		if (memcmp(j->old->data + SUPER_AT + f->at, j->new->data + SUPER_AT + f->at,
			    f->len) != 0)
			detail_add(a, f->name);
	}
	times = times_differ(j);
	(void)snprintf(text, sizeof(text), "times of %zu files that are the same", times);
	if (times > 0)
		detail_add(a, text);
	if (!a->detail[0])
		a->bytes = 0;
}

/* What is said of the payload as a whole. */
static void
payload_look(const struct advice_job *j, struct advice out[ADVICES])
{
	const struct payload *p = j->payload;
	uint64_t bytes = 0;

	for (size_t i = 0; i < j->contents->owner_count; i++)
		bytes += j->bill->bytes[i];
	if (p->kind != PAYLOAD_IMAGE)
		return;
	/* One of which most is found again is fine as it is. */
	if (image_kind_is_compressed(j->contents->kind) &&
		bytes >= p->members[MEMBER_DATA].size / 2)
		out[ADVICE_IMAGE].bytes = bytes;
	if (j->old && !j->delta &&
		(!p->members[MEMBER_HINTS].present || !p->members[MEMBER_CUTS].present))
		out[ADVICE_HINTS].bytes = bytes;
}

int
advice_of(const struct advice_job *j, struct advice out[ADVICES], struct err *e)
{
	CLEANUP(by_size_free) struct by_size old = {0};
	AUTO_FREE uint32_t *owners = NULL;
	size_t count;

	if (j->payload->kind == PAYLOAD_TREE && j->old_contents &&
		by_size_make(j->old_contents, &old, e) < 0)
		return -1;
	if (bill_sort(j->bill, NULL, &owners, &count, e) < 0)
		return -1;
	memset(out, 0, ADVICES * sizeof(*out));
	if (j->old_contents && owners_look(j, &old, owners, count, out, e) < 0)
		return -1;
	metadata_look(j, &out[ADVICE_METADATA]);
	payload_look(j, out);
	return 0;
}

const char *
advice_word(enum advice_kind kind)
{
	static const char *const words[ADVICES] = {[ADVICE_FILES] = "compressed-files",
		[ADVICE_IMAGE] = "compressed-image",
		[ADVICE_METADATA] = "metadata",
		[ADVICE_FREE] = "free-blocks",
		[ADVICE_RENAMED] = "renamed-files",
		[ADVICE_HINTS] = "hints"};

	return words[kind];
}

const char *
advice_text(enum advice_kind kind)
{
	static const char *const texts[ADVICES] = {
		[ADVICE_FILES] =
			"is in files that are compressed, of which a small change changes "
			"nearly all. Where whoever reads them takes them uncompressed, put "
			"them in like that: the bundle compresses, too, and they would cost",
		[ADVICE_IMAGE] = "is of an image that is compressed as a whole, in which little is "
				 "found again. Make it ext4, or without compression: the bundle "
				 "compresses, too.",
		[ADVICE_METADATA] = "is metadata of the file system. Have each build give it the "
				    "same (mke2fs -U, -E hash_seed, and SOURCE_DATE_EPOCH, from "
				    "e2fsprogs 1.47.1 on): what differs is",
		[ADVICE_FREE] = "is in blocks that are free, and hold old bytes. Make the image "
				"anew (mke2fs -d), or fill them with zeros (zerofree, fstrim).",
		[ADVICE_RENAMED] = "is in files that the old tree has under other names. A tree's "
				   "files are found by their paths: keep these, or pack it as an "
				   "image, whose blocks are found anywhere.",
		[ADVICE_HINTS] =
			"could be less: the new bundle has no hints or cuts, by which a box "
			"finds what it has. Pack it anew."};

	return texts[kind];
}
