#include "tests/unit/rig.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "common/format/hints.h"

static const char ROOTFS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n";
static const char APP[] = "[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n";

enum { CHUNKS = 6, IMAGE_BYTES = CHUNKS * CHUNK_BYTES };
static uint8_t image[IMAGE_BYTES], text[2 * CHUNK_BYTES + 1];

static int
make_image(void **state)
{
	noise(image, sizeof(image), 5);
	memset(image + CHUNK_BYTES, 0, CHUNK_BYTES);
	memset(text, 't', CHUNK_BYTES);
	memset(text + CHUNK_BYTES, 'u', CHUNK_BYTES);
	return folder_enter(state);
}

/* A slot of this image, but for its last chunk and its zeros. */
static void
slot_like(const char *path, bool like)
{
	AUTO_CLOSE int fd = -1;
	struct err e = ERR_INIT;
	uint8_t other[CHUNK_BYTES];

	rig_slot(path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	noise(other, sizeof(other), 6);
	if (like)
		assert_int_equal(
			file_pwrite_full(fd, path, image, IMAGE_BYTES - CHUNK_BYTES, 0, &e), 0);
	assert_int_equal(file_pwrite_full(fd, path, other, CHUNK_BYTES, CHUNK_BYTES, &e), 0);
}

/* What a look said before anything was written. */
static struct haul
planned(const struct rig *r)
{
	return r->s->intake.haul;
}

static void
bytes_come_from_where_the_plan_said(void **state)
{
	for (int near = 0; near < 2; near++) {
		CLEANUP(rig_free) struct rig r;
		struct err e = ERR_INIT;
		uint64_t running = (CHUNKS - 2) * CHUNK_BYTES;
		struct haul h;

		rig_make(&r, *state, ROOTFS);
		slot_like("a.img", true);
		slot_like("b.img", false);
		rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
		r.far = !near;
		if (rig_install(&r, "x.ota", NULL, &e) < 0)
			fail_msg("%s", e.text);
		h = planned(&r);
		assert_int_equal(h.in_place, 0);
		assert_int_equal(h.zeros, CHUNK_BYTES);
		assert_int_equal(h.inactive, 0);
		assert_int_equal(h.running, near ? 0 : running);
		assert_int_equal(h.network, IMAGE_BYTES - CHUNK_BYTES - h.running);
		assert_int_equal(h.stored, h.network);
		assert_int_equal(h.ranges, 1);
		assert_int_equal(r.stats.bytes_running, h.running);
		/* The page that says as what they are stored came before the plan. */
		assert_int_equal(r.stats.bytes_fetched, h.stored + pages_stored_bytes(CHUNKS));
		assert_memory_equal(&r.s->intake.stats, &r.stats, sizeof(r.stats));
	}
}

/* How many files without a name are open now, were at first, and at most. */
struct nameless {
	unsigned now, first, most;
};

static int
count_nameless(void *arg, struct err *e)
{
	struct nameless *n = arg;

	(void)e;
	n->now = 0;
	for (int fd = 0; fd < 64; fd++) {
		char path[32], name[PATH_MAX] = "";

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n->now += readlink(path, name, sizeof(name) - 1) > 0 && strstr(name, "#") &&
			  strstr(name, " (deleted)");
	}
	n->first = n->most ? n->first : n->now;
	n->most = n->now > n->most ? n->now : n->most;
	return 0;
}

static void
write_with_hints(const struct rig *r, const char *path)
{
	AUTO_BUF struct buf hints = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	struct made m;

	made_image(&m, "rootfs", "rootfs", span_of(image, IMAGE_BYTES));
	for (size_t at = 0; at < IMAGE_BYTES; at += CHUNK_BYTES) {
		uint8_t some[HINTS_CHUNK_BYTES];
		size_t n = hints_of(span_of(image + at, CHUNK_BYTES), some);

		assert_int_equal(buf_append(&hints, some, n, &e), 0);
	}
	m.p.members[MEMBER_HINTS] = (struct member){true, hints.len, digest_of(buf_span(&hints))};
	rig_write(r,
		&(struct rig_bundle){.version = "2.0",
			.rollback_index = 5,
			.count = 1,
			.made = {&m},
			.hints = {&hints}},
		path);
	made_free(&m);
}

static void
the_state_folder_has_its_room_back_before_the_end(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct nameless n = {0};
	struct keep_going keep_going = {count_nameless, &n};
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slot_like("a.img", true);
	slot_like("b.img", false);
	write_with_hints(&r, "x.ota");
	r.far = true;
	if (rig_install(&r, "x.ota", &keep_going, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(n.most > n.first);
	assert_int_equal(n.now, n.first);
}

/* And nothing where it is there already. */
static void
what_is_in_place_is_planned_as_such(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slot_like("a.img", true);
	slot_like("b.img", true);
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(planned(&r).in_place, (CHUNKS - 2) * CHUNK_BYTES);
	assert_int_equal(planned(&r).network, CHUNK_BYTES);
	assert_int_equal(r.stats.bytes_written, CHUNK_BYTES);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(planned(&r).in_place, IMAGE_BYTES);
	assert_int_equal(planned(&r).stored, 0);
	assert_int_equal(planned(&r).ranges, 0);
	assert_int_equal(r.stats.bytes_written, 0);
}

/* A file system or device that says yes. */
static bool zeroing_lies;

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	return zeroing_lies ? 0 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

/* What it holds instead of zeros is found as it is read back, and written in the same try: the next
 * one would be told the same. */
static void
zeros_that_a_device_only_says_it_made_are_written(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slot_like("a.img", true);
	slot_like("b.img", true);
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	zeroing_lies = true;
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	zeroing_lies = false;
	assert_int_equal(r.stats.bytes_written, 2 * CHUNK_BYTES);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(planned(&r).in_place, IMAGE_BYTES);
}

/* A bundle's file of which no more may be had than what says as what chunks are stored. */
struct refusal {
	struct file_source file;
	uint64_t foreseen, given;
};

static int
refuse(void *arg, uint64_t bytes, struct err *e)
{
	((struct refusal *)arg)->foreseen = bytes;
	return err_set(e, ERR_REFUSED, "too much");
}

static int
refusal_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct source file = source_file(&((struct refusal *)arg)->file);

	return file.open(file.arg, offset, len, e);
}

static ssize_t
refusal_read(void *arg, void *data, size_t len, struct err *e)
{
	struct source file = source_file(&((struct refusal *)arg)->file);
	ssize_t n = file.read(file.arg, data, len, e);

	((struct refusal *)arg)->given += (uint64_t)n;
	return n;
}

static void
refusal_close(void *arg)
{
	(void)arg;
}

static void
what_is_too_much_is_refused_before_anything_changes(void **state)
{
	CLEANUP(rig_free) struct rig r;
	AUTO_INTAKE struct intake *i = NULL;
	struct err e = ERR_INIT;
	struct refusal refusal = {0};
	struct source source = {.arg = &refusal,
		.open = refusal_open,
		.read = refusal_read,
		.close = refusal_close,
		.foresee = refuse};
	struct intake_job j = {.source = &source, .stats = &r.stats};

	rig_make(&r, *state, ROOTFS);
	*r.s = (struct state){.next_seq = 1};
	slot_like("a.img", true);
	slot_like("b.img", false);
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	assert_int_equal(rig_verify(&r, "x.ota", &e), 0);
	j.c = r.c;
	j.h = &r.head;
	refusal.file = r.file;
	assert_int_equal(install_look(r.c, r.boot, r.s, &j, &i, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(refusal.foreseen, CHUNK_BYTES);
	assert_int_equal(refusal.given, pages_stored_bytes(CHUNKS));
	assert_null(i);
	assert_int_equal(r.s->pending.phase, PHASE_NONE);
	assert_true(rig_env(&r).vars.side[SIDE_B].bootable);
}

/* Whole files that are the same, and those chunks of others that are. */
static void
files_of_the_running_tree_are_taken(void **state)
{
	CLEANUP(rig_free) struct rig r;
	CLEANUP(made_free) struct made app;
	AUTO_BUF struct buf files = BUF_INIT(1 << 16);
	struct rig_entry entries[] = {{.path = "big", .content = (const char *)text, .mode = 0644},
		{.path = "gone", .content = "not there", .mode = 0644},
		{.path = "same", .content = "the same", .mode = 0644},
		{.path = "strange", .content = "was a folder", .mode = 0644}};
	struct rig_bundle b = {.version = "2.0", .count = 1, .made = {&app}, .files = {&files}};
	struct err e = ERR_INIT;

	rig_make(&r, *state, APP);
	assert_int_equal(mkdir("a.app", 0755), 0);
	assert_int_equal(mkdir("a.app/strange", 0755), 0);
	text[CHUNK_BYTES] ^= 1;
	rig_file("a.app/big", (const char *)text);
	text[CHUNK_BYTES] ^= 1;
	rig_file("a.app/same", "the same");
	rig_tree(&app, &files, "app", "app", entries, ARRAY_LEN(entries));
	rig_write(&r, &b, "x.ota");
	r.far = true;
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(planned(&r).running, CHUNK_BYTES + strlen("the same"));
	assert_int_equal(r.stats.bytes_running, planned(&r).running);
	/* A chunk of each file, but for one of two. */
	assert_int_equal(r.stats.bytes_fetched, planned(&r).stored + pages_stored_bytes(5));
	assert_int_equal(access("b.app/strange", F_OK), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_from_where_the_plan_said),
		cmocka_unit_test(the_state_folder_has_its_room_back_before_the_end),
		cmocka_unit_test(what_is_in_place_is_planned_as_such),
		cmocka_unit_test(zeros_that_a_device_only_says_it_made_are_written),
		cmocka_unit_test(what_is_too_much_is_refused_before_anything_changes),
		cmocka_unit_test(files_of_the_running_tree_are_taken),
	};

	return cmocka_run_group_tests(tests, make_image, folder_leave);
}
