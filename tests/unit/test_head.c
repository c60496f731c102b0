/* What a bundle's head is held to. */
#include <errno.h>

#include "tests/unit/rig.h"

static const char SLOTS[] = "[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n"
			    "[slot web]\ntype = dir\na = @/a.web\nb = @/b.web\n";

static const struct rig_entry APP = {.path = "app", .content = "the app", .mode = 0755};
static const struct rig_entry WEB = {.path = "index.html", .content = "hello", .mode = 0644};

/* A bundle of two trees and an image, and its bytes. */
struct scene {
	struct rig rig;
	struct buf bytes;
	struct bundle_layout layout;
};

static void
scene_make(struct scene *x, const char *folder)
{
	CLEANUP(made_free) struct made app;
	CLEANUP(made_free) struct made web;
	CLEANUP(made_free) struct made image;
	AUTO_BUF struct buf app_files = BUF_INIT(1 << 20), web_files = BUF_INIT(1 << 20);
	struct rig_bundle b = {.version = "2.0", .rollback_index = 5, .count = 3};
	struct err e = ERR_INIT;

	rig_make(&x->rig, folder, SLOTS);
	rig_tree(&app, &app_files, "app", "app", &APP, 1);
	rig_tree(&web, &web_files, "web", "web", &WEB, 1);
	made_image(&image, "rootfs", "rootfs", span_str("an image"));
	b.made[0] = &app;
	b.made[1] = &web;
	b.made[2] = &image;
	b.files[0] = &app_files;
	b.files[1] = &web_files;
	rig_write(&x->rig, &b, "x.ota");
	if (rig_verify(&x->rig, "x.ota", &e) < 0)
		fail_msg("%s", e.text);
	x->layout = x->rig.head.layout;
	x->bytes = BUF_INIT(1 << 20);
	assert_int_equal(file_read("x.ota", &x->bytes, &e), 0);
}

static void
scene_free(struct scene *x)
{
	rig_free(&x->rig);
	buf_free(&x->bytes);
}

/* A head of these many bytes, as signed metadata lists it. */
static int
verify_listed(const struct scene *x, uint64_t len, struct err *e)
{
	AUTO_HEAD struct head h = HEAD_INIT;
	struct span bytes = span_of(x->bytes.data, len);
	struct digest sha256 = digest_of(bytes);
	int fd = memory_file(bytes);

	if (head_verify_target(fd, "x", len, &sha256, &h, e) == 0)
		return 0;
	(void)close(fd);
	return -1;
}

static void
a_head_of_nothing_but_its_members_is_taken(void **state)
{
	CLEANUP(scene_free) struct scene x = {0};
	struct err e = ERR_INIT;

	scene_make(&x, *state);
	if (verify_listed(&x, x.layout.head_size, &e) < 0)
		fail_msg("%s", e.text);
}

static void
every_member_of_the_head_is_compared_with_the_manifest(void **state)
{
	static const struct {
		size_t payload;
		enum member_role role;
	} in_head[] = {{0, MEMBER_INDEX}, {0, MEMBER_FILES}, {0, MEMBER_SEALS}, {1, MEMBER_INDEX},
		{1, MEMBER_FILES}, {2, MEMBER_INDEX}, {2, MEMBER_SEALS}};
	CLEANUP(scene_free) struct scene x = {0};
	struct err e = ERR_INIT;

	scene_make(&x, *state);
	for (size_t i = 0; i < ARRAY_LEN(in_head); i++) {
		uint64_t at = x.layout.offset[in_head[i].payload][in_head[i].role];

		x.bytes.data[at] ^= 1;
		assert_int_equal(folder_put("y.ota", x.bytes.data, x.bytes.len), 0);
		assert_int_equal(rig_verify(&x.rig, "y.ota", &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_int_equal(verify_listed(&x, x.layout.head_size, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		x.bytes.data[at] ^= 1;
	}
}

static void
bytes_behind_a_listed_head_are_refused(void **state)
{
	CLEANUP(scene_free) struct scene x = {0};
	struct err e = ERR_INIT;

	scene_make(&x, *state);
	assert_int_equal(verify_listed(&x, x.layout.head_size + 512, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "bytes behind the head"));
}

/* What stands between the members is what every reader of a tar would make of it. */
static void
a_listed_head_whose_tar_says_otherwise_is_refused(void **state)
{
	CLEANUP(scene_free) struct scene x = {0};
	struct err e = ERR_INIT;

	scene_make(&x, *state);
	x.bytes.data[x.layout.offset[0][MEMBER_INDEX] - 512] ^= 1;
	assert_int_equal(verify_listed(&x, x.layout.head_size, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
a_full_disk_is_named_by_its_folder(void **state)
{
	AUTO_CLOSE int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	AUTO_CLOSE int from = memory_file(span_of("head", 4));
	struct file_source file = {.fd = from, .name = "x.ota"};
	struct source source = source_file(&file);
	struct err e = ERR_INIT;

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(head_spool_fill("/var/lib/box", &source, 4, full, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, ENOSPC);
	assert_non_null(strstr(e.text, "/var/lib/box"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
		IN_FOLDER(a_head_of_nothing_but_its_members_is_taken),
		IN_FOLDER(every_member_of_the_head_is_compared_with_the_manifest),
		IN_FOLDER(bytes_behind_a_listed_head_are_refused),
		IN_FOLDER(a_listed_head_whose_tar_says_otherwise_is_refused),
		cmocka_unit_test(a_full_disk_is_named_by_its_folder),
	};

	return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
