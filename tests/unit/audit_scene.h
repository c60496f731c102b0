/* A box with an image, or an image and a tree, on side B, which runs; and an audit of it. */
#ifndef SLUICE_TESTS_UNIT_AUDIT_SCENE_H
#define SLUICE_TESTS_UNIT_AUDIT_SCENE_H

#include "tests/unit/rig.h"

#include "agent/audit.h"
#include "agent/confirm.h"

static const char ROOTFS[] =
	"[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\nread_only = yes\n";

/* A chunk of noise, three of zeros, one of noise, and 77 bytes. */
enum { IMAGE_BYTES = 5 * CHUNK_BYTES + 77 };
static uint8_t image[IMAGE_BYTES];

/* What was said, line by line, and after how many pieces the audit is told to stop. */
struct heard {
	struct buf lines;
	struct rig *rig;
	unsigned asks_left;
	uint64_t done, total;
	void (*meanwhile)(struct rig *r);
};

static inline void
hear(void *arg, const struct audit_side *s, const struct audit_difference *d)
{
	struct heard *h = arg;
	struct err e = ERR_INIT;

	(void)s;
	assert_int_equal(audit_line(d, &h->lines, &e), 0);
	assert_int_equal(buf_append(&h->lines, "\n", 1, &e), 0);
}

static inline void
see(void *arg, const struct audit_side *s, uint64_t done, uint64_t total)
{
	struct heard *h = arg;

	(void)s;
	h->done = done;
	h->total = total;
	if (h->meanwhile)
		h->meanwhile(h->rig);
}

static inline int
ask(void *arg, struct err *e)
{
	struct heard *h = arg;

	return h->asks_left-- == 0 ? err_set(e, ERR_STOPPED, "stopped by the test") : 0;
}

struct scene {
	struct rig rig;
	struct heard heard;
	struct audit audit;
	bool gently;
	const struct role_keys *releases;
};

static inline void
scene_free(struct scene *s)
{
	rig_free(&s->rig);
	buf_free(&s->heard.lines);
}

static inline int
look(struct scene *s, struct err *e)
{
	struct keep_going keep_going = {ask, &s->heard};
	struct audit_ears ears = {&s->heard, hear, see, &keep_going, s->gently};

	buf_clear(&s->heard.lines);
	return audit_run(&s->rig.box, s->releases, &ears, &s->audit, e);
}

static inline const char *
found(struct scene *s)
{
	struct err e = ERR_INIT;

	if (look(s, &e) < 0)
		fail_msg("%s", e.text);
	return buf_str(&s->heard.lines);
}

static inline void
assert_answers(const struct scene *s, enum authentic running, enum authentic other)
{
	const struct audit_side *first;

	if (audit_running(&s->audit, &first) != running)
		fail_msg("running: %s", first ? first->why : "yes");
	if (audit_other(&s->audit, &first) != other)
		fail_msg("other: %s", first ? first->why : "yes");
}

static inline void
confirm(struct rig *r, const char *boot_id)
{
	struct err e = ERR_INIT;

	assert_int_equal(install_activate(r->c, r->boot, r->s, &e), 0);
	rig_power_on(r, boot_id);
	if (confirm_commit(r->c, r->boot, r->s, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void
scene_make(struct scene *s, const char *folder, const char *conf)
{
	*s = (struct scene){.heard = {.lines = BUF_INIT(1 << 20), .asks_left = UINT32_MAX}};
	memset(image, 0, sizeof(image));
	memset(image, 'a', CHUNK_BYTES);
	memset(image + 4 * CHUNK_BYTES, 'b', CHUNK_BYTES + 77);
	rig_make(&s->rig, folder, conf);
	s->heard.rig = &s->rig;
	s->releases = &s->rig.releases;
	rig_slot("a.img");
	rig_slot("b.img");
}

/* B runs, confirmed. */
static inline void
scene_image(struct scene *s, const char *folder, const char *conf)
{
	struct err e = ERR_INIT;

	scene_make(s, folder, conf);
	rig_write_image(&s->rig, span_of(image, IMAGE_BYTES), "2.0", 0, "x.ota");
	if (rig_install(&s->rig, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	confirm(&s->rig, "boot-1");
}

static inline void
put(const char *path, uint64_t offset, char byte)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
}

#endif
