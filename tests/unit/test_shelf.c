#include "tests/unit/audit_scene.h"

#include <sys/statvfs.h>

#include "agent/shelf.h"

/* Of the state folder, as the agent is told. */
static struct statvfs disk;

int
statvfs(const char *path, struct statvfs *out)
{
	(void)path;
	*out = disk;
	return 0;
}

static void
disk_has(uint64_t bytes)
{
	disk = (struct statvfs){.f_blocks = 1 << 20, .f_frsize = 1, .f_bavail = bytes};
}

static void
install(struct scene *s, const char *version, const char *boot_id)
{
	struct err e = ERR_INIT;

	rig_write_image(&s->rig, span_of(image, IMAGE_BYTES), version, 0, "y.ota");
	if (rig_install(&s->rig, "y.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	confirm(&s->rig, boot_id);
}

static uint64_t
kept_bytes(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void
a_head_is_kept_where_the_next_update_has_room_beside_it(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint64_t head;

	disk_has(1 << 30);
	scene_image(&s, *state, ROOTFS);
	head = kept_bytes("state/head.B");
	disk_has(head + 2 * SHELF_SPARE_BYTES);
	install(&s, "2.1", "boot-2");
	assert_true(file_exists("state/head.A"));
	disk_has(head + 2 * SHELF_SPARE_BYTES - 1);
	install(&s, "2.2", "boot-3");
	assert_false(file_exists("state/head.B"));
	assert_true(file_exists("state/head.A"));
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_YES);
}

static int
fill_the_disk(void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	disk_has(SHELF_SPARE_BYTES);
	return 0;
}

static void
what_is_kept_goes_before_an_update_has_no_room(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	disk_has(1 << 30);
	scene_image(&s, *state, ROOTFS);
	disk_has(SHELF_SPARE_BYTES);
	rig_write_image(&s.rig, span_of(image, IMAGE_BYTES), "2.1", 0, "y.ota");
	assert_int_equal(rig_verify(&s.rig, "y.ota", &e), 0);
	assert_false(file_exists("state/head.B"));
}

/* The head had room, and pages of what is to be fetched have none. */
static void
what_is_kept_goes_before_pages_have_no_room(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;
	struct keep_going keep_going = {fill_the_disk, NULL};

	disk_has(1 << 30);
	scene_image(&s, *state, ROOTFS);
	assert_true(file_exists("state/head.B"));
	rig_write_image(&s.rig, span_of(image, IMAGE_BYTES), "2.1", 0, "y.ota");
	if (rig_install(&s.rig, "y.ota", &keep_going, &e) < 0)
		fail_msg("%s", e.text);
	assert_false(file_exists("state/head.B"));
}

static void
what_is_kept_goes_before_metadata_has_no_room(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	disk_has(1 << 30);
	scene_image(&s, *state, ROOTFS);
	assert_int_equal(file_replace("state/head.link.A.new", 0600, span_str("x"), &e), 0);
	disk_has(SHELF_SPARE_BYTES);
	shelf_make_room("state", 0);
	assert_true(file_exists("state/head.B"));
	disk_has(SHELF_SPARE_BYTES - 1);
	shelf_make_room("state", 0);
	assert_false(file_exists("state/head.B"));
	assert_false(file_exists("state/head.link.A.new"));
}

static void
a_disk_that_does_not_say_how_full_it_is_has_room(void **state)
{
	CLEANUP(scene_free) struct scene s;

	disk = (struct statvfs){0};
	scene_image(&s, *state, ROOTFS);
	shelf_make_room("state", 1);
	assert_true(file_exists("state/head.B"));
}

#define test_in_folder(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test_in_folder(a_head_is_kept_where_the_next_update_has_room_beside_it),
		test_in_folder(what_is_kept_goes_before_an_update_has_no_room),
		test_in_folder(what_is_kept_goes_before_pages_have_no_room),
		test_in_folder(what_is_kept_goes_before_metadata_has_no_room),
		test_in_folder(a_disk_that_does_not_say_how_full_it_is_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
