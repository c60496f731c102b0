/* A box with an image and a tree on side A, which runs, a bundle for it, and the delta that leads
 * there. folder_enter() comes first. */
#ifndef SLUICE_TESTS_UNIT_DELTA_HEAD_SCENE_H
#define SLUICE_TESTS_UNIT_DELTA_HEAD_SCENE_H

#include "tests/unit/delta_box_scene.h"
#include "tests/unit/rig.h"

#include "agent/delta_head.h"

static const char SLOTS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n"
			    "[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n";

enum { LONG_BYTES = CHUNK_BYTES + 4464 };
static char long_text[LONG_BYTES + 1];

struct scene {
	struct rig rig;
	struct two two;
	struct made image[2], tree[2]; /* old and new */
	struct buf files[2], records[2], file;
	struct told told[2];
	struct head old;
	struct listing listing;
	struct delta delta;
	struct source bundle;
	struct delta_head_job j;
	struct head head;
};

static inline void
scene_free(struct scene *s)
{
	head_free(&s->head);
	head_free(&s->old);
	delta_drop(&s->delta);
	for (int i = 0; i < 2; i++) {
		told_free(&s->told[i]);
		made_free(&s->image[i]);
		made_free(&s->tree[i]);
		buf_free(&s->files[i]);
		buf_free(&s->records[i]);
	}
	buf_free(&s->file);
	two_free(&s->two);
	rig_free(&s->rig);
}

/* A long file that stays, and a short one that becomes another. */
static inline void
trees_make(struct scene *s)
{
	const struct rig_entry old[] = {
		{.path = "big", .content = long_text, .mode = 0644},
		{.path = "small", .content = "what was", .mode = 0644},
	};
	const struct rig_entry fresh[] = {
		{.path = "big", .content = long_text, .mode = 0755},
		{.path = "small", .content = "what is", .mode = 0644},
		{.path = "zoo", .link = "small", .mode = 0777},
	};

	memset(long_text, 'x', LONG_BYTES);
	memset(long_text, 'y', 1000);
	rig_tree(&s->tree[0], &s->files[0], "app", "app", old, ARRAY_LEN(old));
	rig_tree(&s->tree[1], &s->files[1], "app", "app", fresh, ARRAY_LEN(fresh));
}

static inline void
bundle_make(struct scene *s, int which, const char *version, const char *path)
{
	struct rig_bundle b = {.version = version,
		.count = 2,
		.made = {&s->image[which], &s->tree[which]},
		.files = {NULL, &s->files[which]}};
	struct err e = ERR_INIT;

	rig_write(&s->rig, &b, path);
	if (rig_verify(&s->rig, path, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void
listing_fill(struct scene *s)
{
	const struct head *h = &s->rig.head;
	struct err e = ERR_INIT;

	s->listing = (struct listing){.head_length = h->layout.head_size,
		.manifest_length = h->body.len,
		.manifest_sha256 = h->release.manifest};
	(void)snprintf(s->listing.name, sizeof(s->listing.name), "gateway");
	assert_int_equal(
		digest_fd(h->fd, h->name, 0, h->layout.head_size, &s->listing.head_sha256, &e), 0);
}

static inline void
tree_tell(struct scene *s)
{
	AUTO_DELTA_WRITER struct delta_writer *w = NULL;
	struct delta_entry first = {.kind = DELTA_COPY,
		.size = CHUNK_BYTES,
		.runs = 1,
		.run = {{0, CHUNK_BYTES, false}}};
	struct delta_entry rest = {.kind = DELTA_COPY,
		.size = LONG_BYTES - CHUNK_BYTES,
		.runs = 1,
		.run = {{CHUNK_BYTES, LONG_BYTES - CHUNK_BYTES, false}}};
	struct delta_entry small = {
		.kind = DELTA_FULL, .size = 7, .plain = digest_of(span_str("what is"))};
	struct err e = ERR_INIT;

	assert_int_equal(delta_writer_new(&w, &e), 0);
	assert_int_equal(delta_put(w, &first, &e), 0);
	assert_int_equal(delta_put(w, &rest, &e), 0);
	assert_int_equal(delta_put(w, &small, &e), 0);
	assert_int_equal(delta_put_list(buf_span(&s->files[0]), buf_span(&s->files[1]),
				 &s->told[1].list, &e),
		0);
	told_by(&s->told[1], w, s->tree[0].plain);
}

static inline void
deltas_make(struct scene *s)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	const struct head *h = &s->rig.head;
	struct err e = ERR_INIT;

	two_tell(&s->two, &s->told[0], &s->records[0]);
	tree_tell(s);
	for (int i = 0; i < 2; i++) {
		const struct buf *seals = i == 0 ? &s->image[1].seals : &s->tree[1].seals;

		assert_int_equal(buf_append(&s->told[i].seals, seals->data, seals->len, &e), 0);
	}
	assert_int_equal(bundle_read_manifest(h->fd, h->name, &json, &e), 0);
	delta_make(
		s->told, s->records, 2, buf_str(&json), &h->release.manifest, &s->file, &s->delta);
}

static inline void
image_put(const char *path, const uint8_t *bytes, size_t len)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(file_pwrite_full(fd, path, bytes, len, 0, &e), 0);
}

/* Side A runs the old release. */
static inline void
scene_make(struct scene *s, const char *folder, const char *told)
{
	*s = (struct scene){.old = HEAD_INIT,
		.head = HEAD_INIT,
		.delta = DELTA_INIT,
		.file = BUF_INIT(1 << 24),
		.files = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)},
		.records = {BUF_INIT(1 << 24), BUF_INIT(1 << 24)}};
	rig_make(&s->rig, folder, SLOTS);
	rig_slot("a.img");
	rig_slot("b.img");
	two_make(&s->two, told);
	told_init(&s->told[0]);
	told_init(&s->told[1]);
	trees_make(s);
	made_image(&s->image[0], "rootfs", "rootfs", span_of(s->two.old, s->two.old_bytes));
	made_image(&s->image[1], "rootfs", "rootfs", span_of(s->two.fresh, s->two.bytes));
	image_put("a.img", s->two.old, s->two.old_bytes);
	bundle_make(s, 0, "1.0", "old.ota");
	s->old = s->rig.head;
	s->rig.head = HEAD_INIT;
	bundle_make(s, 1, "2.0", "new.ota");
	listing_fill(s);
	deltas_make(s);
	s->bundle = source_file(&s->rig.file);
	s->j = (struct delta_head_job){.c = s->rig.c,
		.listing = &s->listing,
		.bundle = &s->bundle,
		.old = &s->old,
		.running = SIDE_A};
}

#endif
