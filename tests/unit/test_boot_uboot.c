/* U-Boot's environment, as libubootenv keeps it in two places. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "agent/boot.h"
#include "common/base/file.h"
#include "tests/unit/boot_scene.h"
#include "tests/unit/folder.h"
#include "tests/unit/uboot_fixture.h"

static char file[] = "env";
static struct conf conf = {.boot_file = file, .boot_cmdline = (char[]){"cmdline"}};
static const struct boot_backend *const boot = &boot_uboot;

static const char *const HALVES[] = {"one", "two"};
static bool synced[2];

/* In place of the C library's. */
int
fsync(int fd)
{
	struct stat is, half;

	for (size_t i = 0; i < 2; i++)
		synced[i] = synced[i] || (fstat(fd, &is) == 0 && stat(HALVES[i], &half) == 0 &&
						 is.st_ino == half.st_ino);
	return 0;
}

uid_t
geteuid(void)
{
	return 0;
}

/* The lock that libubootenv takes is one in the test's folder, or one that cannot be had. */
static bool lock_fails;
int lock_open(const char *path, int flags, ...) __asm__("open64");

int
lock_open(const char *path, int flags, ...)
{
	bool is_lock = strcmp(path, "/var/lock/fw_printenv.lock") == 0;

	if (is_lock && lock_fails) {
		errno = EROFS;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, is_lock ? "lock" : path, flags, 0600);
}

static void
a_uboot_environment_with_no_right_crc_is_refused_and_not_changed(void **state)
{
	AUTO_BUF struct buf after = BUF_INIT(UBOOT_ENV_BYTES);
	uint8_t garbage[UBOOT_ENV_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	uboot_begin(&conf);
	memset(garbage, 0xa5, sizeof(garbage));
	assert_int_equal(folder_put("one", garbage, sizeof(garbage)), 0);
	assert_int_equal(folder_put("two", garbage, sizeof(garbage)), 0);
	refused(boot, &conf, "CRC");
	assert_int_equal(file_read("one", &after, &e), 0);
	assert_memory_equal(after.data, garbage, sizeof(garbage));
}

static void
either_half_of_a_uboot_environment_is_enough(void **state)
{
	uint8_t torn[UBOOT_ENV_BYTES];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (size_t cut = 0; cut <= UBOOT_ENV_BYTES; cut += 512) {
			AUTO_BUF struct buf whole = BUF_INIT(UBOOT_ENV_BYTES);
			struct err e = ERR_INIT;

			uboot_begin(&conf);
			done(boot->activate(boot, &conf, SIDE_B, 2, &e), &e);
			done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
			done(file_read(HALVES[i], &whole, &e), &e);
			memset(torn, 0, sizeof(torn));
			memcpy(torn, whole.data, cut);
			assert_int_equal(folder_put(HALVES[i], torn, sizeof(torn)), 0);
			assert_true(vars_now(boot, &conf).side[SIDE_A].confirmed);
			done(boot->activate(boot, &conf, SIDE_B, 2, &e), &e);
			assert_int_equal(vars_now(boot, &conf).side[SIDE_B].tries_left, 2);
		}
	}
}

static void
unknown_and_missing_uboot_variables_are_refused(void **state)
{
	static const char unknown[] = "sluice_primary=C\0sluice_a=good\0sluice_a_tries=0\0"
				      "sluice_b=off\0sluice_b_tries=0\0";
	static const char many[] = "sluice_primary=A\0sluice_a=good\0sluice_a_tries=10\0"
				   "sluice_b=off\0sluice_b_tries=0\0";

	(void)state;
	uboot_begin(&conf);
	uboot_put("one", 5, "bootdelay=0\0", 13);
	uboot_put("two", 4, "bootdelay=0\0", 13);
	refused(boot, &conf, "boot init");
	uboot_put("one", 7, unknown, sizeof(unknown));
	refused(boot, &conf, "neither A nor B");
	uboot_put("one", 9, many, sizeof(many));
	refused(boot, &conf, "10");
	assert_int_equal(unlink("one"), 0);
	assert_int_equal(unlink("two"), 0);
	refused(boot, &conf, "");
	assert_int_equal(unlink(file), 0);
	refused(boot, &conf, file);
}

static void
uboot_variables_of_others_stay(void **state)
{
	struct boot_vars vars;
	struct err e = ERR_INIT;
	AUTO_BUF struct buf one = BUF_INIT(UBOOT_ENV_BYTES), two = BUF_INIT(UBOOT_ENV_BYTES);

	(void)state;
	uboot_begin(&conf);
	done(boot->activate(boot, &conf, SIDE_B, 2, &e), &e);
	done(boot->load(&conf, &vars, &e), &e);
	done(file_read("one", &one, &e), &e);
	done(file_read("two", &two, &e), &e);
	assert_non_null(memmem(one.data, one.len, "bootdelay=0", 12));
	assert_non_null(memmem(two.data, two.len, "bootdelay=0", 12));
	assert_int_equal(boot->make(&conf, SIDE_A, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
}

static void
config_put(const char *text)
{
	assert_int_equal(folder_put(file, text, strlen(text)), 0);
}

/* A power cut in a write to the only place loses the lot. */
static void
an_environment_in_one_place_is_refused(void **state)
{
	static const char *const two[] = {"/dev/a 0x1000 0x1000\n/dev/a 0x2000 0x1000\n",
		"# one\n/dev/a 0 1000\r\n\n\t/dev/b\t0\t1000 0x1000 1",
		"/dev/a 0 10\n/dev/a -0x1000 0x1000\n", "/dev/ubi0:a 0 10\n/dev/ubi0:b 0 10\n"};
	struct err e = ERR_INIT;

	(void)state;
	uboot_begin(&conf);
	done(boot_check(boot, &conf, &e), &e);
	for (size_t i = 0; i < sizeof(two) / sizeof(two[0]); i++) {
		config_put(two[i]);
		done(boot_check(boot, &conf, &e), &e);
	}
	config_put("/dev/a 0x1000 0x1000\n#/dev/b 0x1000 0x1000\n/dev/c 0\n");
	check_refuses(boot, &conf, "CONFIG_SYS_REDUNDAND_ENVIRONMENT");
	config_put("");
	check_refuses(boot, &conf, "no second place");
	config_put("/dev/a 0x1000 0x1000\n/dev/a 0x1000 0x1000\n");
	check_refuses(boot, &conf, "overlap");
	config_put("/dev/a 0x1fff 0x1000\n/dev/a 0x1000 0x1000\n");
	check_refuses(boot, &conf, "overlap");
	assert_int_equal(unlink(file), 0);
	check_refuses(boot, &conf, file);
}

/* libubootenv goes on without it. */
static void
a_lock_that_cannot_be_had_is_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	uboot_begin(&conf);
	done(boot_check(boot, &conf, &e), &e);
	lock_fails = true;
	check_refuses(boot, &conf, "/var/lock");
	lock_fails = false;
}

/* libubootenv takes such a line, so what it writes there has to be synced, too. */
static void
places_after_blanks_are_synced(void **state)
{
	char config[1024], here[256];
	struct err e = ERR_INIT;

	(void)state;
	uboot_begin(&conf);
	assert_non_null(getcwd(here, sizeof(here)));
	(void)snprintf(
		config, sizeof(config), "  %s/one 0x0 0x1000\n\t%s/two 0x0 0x1000\n", here, here);
	config_put(config);
	done(boot_check(boot, &conf, &e), &e);
	synced[0] = synced[1] = false;
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	assert_true(synced[0] && synced[1]);
	assert_int_equal(vars_now(boot, &conf).side[SIDE_B].tries_left, 3);
}

/* A write that was cut: its beginning, and behind it what was there before. */
static void
prefixes_try(const char *half, const struct buf *before, const struct buf *after)
{
	for (size_t cut = 0; cut <= UBOOT_ENV_BYTES; cut += cut < 600 ? 1 : 128) {
		uint8_t torn[UBOOT_ENV_BYTES];
		struct boot_vars vars;

		memcpy(torn, before->data, sizeof(torn));
		memcpy(torn, after->data, cut);
		assert_int_equal(folder_put(half, torn, sizeof(torn)), 0);
		vars = vars_now(boot, &conf);
		assert_true(vars.side[SIDE_A].confirmed);
		if (memcmp(torn, after->data, sizeof(torn)) == 0)
			assert_int_equal(vars.side[SIDE_B].tries_left, 5);
		else
			assert_false(vars.side[SIDE_B].bootable);
	}
}

/* The next change goes to the other half. */
static void
half_is_in_force(size_t which)
{
	static const char text[] = "sluice_primary=A\0sluice_a=good\0sluice_a_tries=0\0"
				   "sluice_b=off\0sluice_b_tries=0\0";

	uboot_put(HALVES[which], 9, text, sizeof(text));
	uboot_put(HALVES[1 - which], 8, text, sizeof(text));
}

static void
every_prefix_of_a_write_leaves_the_old_or_the_new(void **state)
{
	(void)state;
	for (size_t turn = 0; turn < 2; turn++) {
		AUTO_BUF struct buf before = BUF_INIT(UBOOT_ENV_BYTES);
		AUTO_BUF struct buf after = BUF_INIT(UBOOT_ENV_BYTES);
		struct err e = ERR_INIT;

		uboot_begin(&conf);
		half_is_in_force(1 - turn);
		done(file_read(HALVES[turn], &before, &e), &e);
		done(boot->activate(boot, &conf, SIDE_B, 5, &e), &e);
		done(file_read(HALVES[turn], &after, &e), &e);
		assert_memory_not_equal(before.data, after.data, UBOOT_ENV_BYTES);
		prefixes_try(HALVES[turn], &before, &after);
	}
}

/* U-Boot goes by what is left. */
static void
no_loss_of_a_half_leads_back_to_a_trial_that_is_over(void **state)
{
	static const uint8_t lost[UBOOT_ENV_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uboot_begin(&conf);
		done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
		done(boot->confirm(boot, &conf, SIDE_B, &e), &e);
		assert_int_equal(folder_put(HALVES[i], lost, sizeof(lost)), 0);
		assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
		assert_true(vars_now(boot, &conf).side[SIDE_B].confirmed);
	}
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_uboot_environment_with_no_right_crc_is_refused_and_not_changed),
		IN_FOLDER(either_half_of_a_uboot_environment_is_enough),
		IN_FOLDER(unknown_and_missing_uboot_variables_are_refused),
		IN_FOLDER(uboot_variables_of_others_stay),
		IN_FOLDER(an_environment_in_one_place_is_refused),
		IN_FOLDER(a_lock_that_cannot_be_had_is_refused),
		IN_FOLDER(places_after_blanks_are_synced),
		IN_FOLDER(every_prefix_of_a_write_leaves_the_old_or_the_new),
		IN_FOLDER(no_loss_of_a_half_leads_back_to_a_trial_that_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
