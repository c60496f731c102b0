/* File systems that a boot environment does not live on; statfs(2) is played. */
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <cmocka.h>

#include "agent/boot.h"
#include "agent/boot_place.h"
#include "tests/unit/folder.h"

static struct statfs there;

int played_statfs(const char *path, struct statfs *out) __asm__("statfs64");

int
played_statfs(const char *path, struct statfs *out)
{
	(void)path;
	*out = there;
	return 0;
}

static const char file[] = "env";

static int
begin(void **state)
{
	there = (struct statfs){.f_type = EXT4_SUPER_MAGIC};
	return folder_enter(state) < 0 ? -1 : folder_put(file, "x", 1);
}

static void
a_file_on_a_journaled_file_system_is_refused(void **state)
{
	static const long journaled[] = {
		EXT4_SUPER_MAGIC, 0x58465342, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
	struct conf c = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(journaled) / sizeof(journaled[0]); i++) {
		there.f_type = journaled[i];
		assert_int_equal(boot_place_check(&c, file, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		assert_non_null(strstr(e.text, "mounted read-write"));
	}
	there.f_type = MSDOS_SUPER_MAGIC;
	assert_int_equal(boot_place_check(&c, file, &e), 0);
}

static void
what_nothing_is_written_to_or_is_no_file_is_right(void **state)
{
	struct conf c = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_place_check(&c, "/dev/null", &e), 0);
	assert_int_equal(boot_place_check(&c, "none", &e), 0);
	there.f_flags = ST_RDONLY;
	assert_int_equal(boot_place_check(&c, file, &e), 0);
}

/* What this machine has mounted says nothing of the one that boots from there. */
static void
the_disk_of_another_machine_is_right(void **state)
{
	struct conf c = {.boot_cmdline = (char[]){"cmdline"}};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_place_check(&c, file, &e), 0);
}

/* What is so anyway may be written out. */
static void
the_command_line_of_this_machine_says_nothing_else(void **state)
{
	struct conf c = {.boot_cmdline = (char[]){"/proc/cmdline"}};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_place_check(&c, file, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

static void
grub_and_uboot_ask(void **state)
{
	static const char places[] = "env 0 0x1000\nenv 0x1000 0x1000\n";
	struct conf c = {.boot_file = (char[]){"env"}};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_check(&boot_grub, &c, &e), -1);
	assert_non_null(strstr(e.text, "ext4"));
	c.boot_file = (char[]){"fw_env.config"};
	assert_int_equal(folder_put(c.boot_file, places, strlen(places)), 0);
	e = ERR_INIT;
	assert_int_equal(boot_check(&boot_uboot, &c, &e), -1);
	assert_non_null(strstr(e.text, "ext4"));
	c.boot_file = (char[]){"env"};
	assert_int_equal(boot_check(&boot_simulated, &c, &e), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_file_on_a_journaled_file_system_is_refused),
		IN_FOLDER(what_nothing_is_written_to_or_is_no_file_is_right),
		IN_FOLDER(the_disk_of_another_machine_is_right),
		IN_FOLDER(the_command_line_of_this_machine_says_nothing_else),
		IN_FOLDER(grub_and_uboot_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
