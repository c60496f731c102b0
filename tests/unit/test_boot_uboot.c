/* U-Boot's environment, as libubootenv keeps it in two places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/boot.h"
#include "common/base/file.h"
#include "tests/unit/folder.h"
#include "tests/unit/uboot_fixture.h"

static char file[] = "env";
static struct conf conf = {.boot_file = file};
static const struct boot_backend *const boot = &boot_uboot;

static void
done(int rc, const struct err *e)
{
	if (rc < 0)
		fail_msg("%s", e->text);
}

static struct boot_vars
vars_now(void)
{
	struct boot_vars vars = {0};
	struct err e = ERR_INIT;

	done(boot->load(&conf, &vars, &e), &e);
	return vars;
}

static void
refused(const char *word)
{
	struct boot_vars vars;
	struct err e = ERR_INIT;

	assert_int_equal(boot->load(&conf, &vars, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	if (!strstr(e.text, word))
		fail_msg("%s: no \"%s\" in it", e.text, word);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 1, &e), -1);
	assert_int_equal(boot->confirm(boot, &conf, SIDE_A, &e), -1);
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
	refused("CRC");
	assert_int_equal(file_read("one", &after, &e), 0);
	assert_memory_equal(after.data, garbage, sizeof(garbage));
}

static void
either_half_of_a_uboot_environment_is_enough(void **state)
{
	static const char *const halves[] = {"one", "two"};
	uint8_t torn[UBOOT_ENV_BYTES];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		for (size_t cut = 0; cut <= UBOOT_ENV_BYTES; cut += 512) {
			AUTO_BUF struct buf whole = BUF_INIT(UBOOT_ENV_BYTES);
			struct err e = ERR_INIT;

			uboot_begin(&conf);
			done(boot->activate(boot, &conf, SIDE_B, 2, &e), &e);
			done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
			done(file_read(halves[i], &whole, &e), &e);
			memset(torn, 0, sizeof(torn));
			memcpy(torn, whole.data, cut);
			assert_int_equal(folder_put(halves[i], torn, sizeof(torn)), 0);
			assert_true(vars_now().side[SIDE_A].confirmed);
			done(boot->activate(boot, &conf, SIDE_B, 2, &e), &e);
			assert_int_equal(vars_now().side[SIDE_B].tries_left, 2);
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
	refused("boot init");
	uboot_put("one", 7, unknown, sizeof(unknown));
	refused("neither A nor B");
	uboot_put("one", 9, many, sizeof(many));
	refused("10");
	assert_int_equal(unlink("one"), 0);
	assert_int_equal(unlink("two"), 0);
	refused("");
	assert_int_equal(unlink(file), 0);
	refused(file);
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

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_uboot_environment_with_no_right_crc_is_refused_and_not_changed),
		IN_FOLDER(either_half_of_a_uboot_environment_is_enough),
		IN_FOLDER(unknown_and_missing_uboot_variables_are_refused),
		IN_FOLDER(uboot_variables_of_others_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
