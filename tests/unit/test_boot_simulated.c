#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/boot_env.h"
#include "common/base/file.h"
#include "tests/unit/folder.h"

static const char SAMPLE[] = "primary=A\n"
			     "a_bootable=yes\na_confirmed=yes\na_tries=0\n"
			     "b_bootable=no\nb_confirmed=no\nb_tries=0\n"
			     "booted=A\nboot_id=first\n";

static char path[] = "boot";
static struct conf conf;
static const struct boot_backend *const boot = &boot_simulated;

static void
env_write(const char *text, size_t len)
{
	assert_int_equal(folder_put(path, text, len), 0);
}

static int
setup(void **state)
{
	if (folder_enter_memory(state) < 0)
		return -1;
	conf.boot_file = path;
	env_write(SAMPLE, sizeof(SAMPLE) - 1);
	return 0;
}

static struct boot_env
env_now(void)
{
	struct err e = ERR_INIT;
	struct boot_env env = {0};

	assert_int_equal(boot_env_load(path, &env, &e), 0);
	return env;
}

static void
sample_is_read(void **state)
{
	struct boot_env env = env_now();

	(void)state;
	assert_int_equal(env.vars.primary, SIDE_A);
	assert_true(env.vars.side[SIDE_A].bootable && env.vars.side[SIDE_A].confirmed);
	assert_false(env.vars.side[SIDE_B].bootable || env.vars.side[SIDE_B].confirmed);
	assert_string_equal(env.boot_id, "first");
}

/* Everything but a change of one value for another one of its kind. */
static void
every_prefix_is_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(SAMPLE) - 1; len++) {
		struct err e = ERR_INIT;
		struct boot_env env;

		env_write(SAMPLE, len);
		assert_int_equal(boot_env_load(path, &env, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		assert_non_null(strstr(e.text, path));
	}
}

static void
every_flip_is_refused_or_read_in_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(SAMPLE) - 1; i++) {
		for (int bit = 0; bit < 8; bit++) {
			char text[sizeof(SAMPLE)];
			struct err e = ERR_INIT;
			struct boot_env env;

			memcpy(text, SAMPLE, sizeof(SAMPLE));
			text[i] = (char)(text[i] ^ (1 << bit));
			env_write(text, sizeof(SAMPLE) - 1);
			if (boot_env_load(path, &env, &e) < 0) {
				assert_int_equal(e.class, ERR_SYSTEM);
				continue;
			}
			assert_true(env.vars.primary < SIDES && env.booted < SIDES);
			assert_true(env.vars.side[0].tries_left <= BOOT_TRIES_MAX);
			assert_true(env.vars.side[1].tries_left <= BOOT_TRIES_MAX);
		}
	}
}

static void
doubled_unknown_and_missing_keys_are_refused(void **state)
{
	static const char *const bad[] = {
		"primary=A\nprimary=A\n", "colour=red\n", "primary A\n", "primary=C\n", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;
		struct boot_env env;

		env_write(bad[i], strlen(bad[i]));
		assert_int_equal(boot_env_load(path, &env, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
	}
	for (const char *line = SAMPLE; *line; line = strchr(line, '\n') + 1) {
		char text[2 * sizeof(SAMPLE)];
		struct err e = ERR_INIT;
		struct boot_env env;
		int len = snprintf(
			text, sizeof(text), "%s%.*s\n", SAMPLE, (int)strcspn(line, "\n"), line);

		env_write(text, (size_t)len);
		assert_int_equal(boot_env_load(path, &env, &e), -1);
		assert_non_null(strstr(e.text, "given twice"));
	}
}

static void
activate_then_confirm(void **state)
{
	struct err e = ERR_INIT;
	struct boot_side side;
	enum side primary;

	(void)state;
	assert_int_equal(boot->disable(boot, &conf, SIDE_B, &e), 0);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	assert_int_equal(boot->primary(boot, &conf, &primary, &e), 0);
	assert_int_equal(primary, SIDE_B);
	assert_int_equal(boot->look(boot, &conf, SIDE_B, &side, &e), 0);
	assert_true(side.bootable && !side.confirmed);
	assert_int_equal(side.tries_left, 3);
	assert_int_equal(boot->confirm(boot, &conf, SIDE_B, &e), 0);
	assert_int_equal(boot->look(boot, &conf, SIDE_B, &side, &e), 0);
	assert_true(side.bootable && side.confirmed);
	assert_int_equal(boot->look(boot, &conf, SIDE_A, &side, &e), 0);
	assert_true(side.bootable && side.confirmed);
}

static void
last_bootable_side_is_never_disabled(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->disable(boot, &conf, SIDE_A, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_true(env_now().vars.side[SIDE_A].bootable);
}

static void
disabling_the_primary_makes_the_other_side_primary(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	assert_int_equal(boot->disable(boot, &conf, SIDE_B, &e), 0);
	assert_int_equal(env_now().vars.primary, SIDE_A);
	assert_false(env_now().vars.side[SIDE_B].bootable);
}

static void
going_back_needs_a_confirmed_side(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->go_back(boot, &conf, SIDE_B, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(env_now().vars.primary, SIDE_A);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	assert_int_equal(boot->go_back(boot, &conf, SIDE_B, &e), -1);
	assert_int_equal(boot->go_back(boot, &conf, SIDE_A, &e), 0);
	assert_int_equal(env_now().vars.primary, SIDE_A);
	assert_false(env_now().vars.side[SIDE_B].bootable);
}

static void
side_that_is_not_bootable_is_not_confirmed(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->confirm(boot, &conf, SIDE_B, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_false(env_now().vars.side[SIDE_B].confirmed);
}

static void
power_on_counts_tries_down_and_then_falls_back(void **state)
{
	struct err e = ERR_INIT;
	struct boot_env env;

	(void)state;
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 2, &e), 0);
	env = env_now();
	for (uint64_t left = 2; left > 0; left--) {
		assert_int_equal(boot_env_power_on(&env, "again", &e), 0);
		assert_int_equal(env.booted, SIDE_B);
		assert_int_equal(env.vars.side[SIDE_B].tries_left, left - 1);
	}
	assert_int_equal(boot_env_power_on(&env, "last", &e), 0);
	assert_int_equal(env.booted, SIDE_A);
	assert_string_equal(env.boot_id, "last");
}

static void
power_on_refuses_when_nothing_boots(void **state)
{
	struct err e = ERR_INIT;
	struct boot_env env = env_now();

	(void)state;
	env.vars.side[SIDE_A].bootable = false;
	assert_int_equal(boot_env_power_on(&env, "x", &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
}

static void
damaged_environment_is_not_changed(void **state)
{
	AUTO_BUF struct buf after = BUF_INIT(BOOT_ENV_BYTES_MAX);
	struct err e = ERR_INIT;

	(void)state;
	env_write("primary=A\n", 10);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), -1);
	assert_int_equal(boot->disable(boot, &conf, SIDE_B, &e), -1);
	assert_int_equal(boot->confirm(boot, &conf, SIDE_A, &e), -1);
	assert_int_equal(boot->go_back(boot, &conf, SIDE_A, &e), -1);
	assert_int_equal(file_read(path, &after, &e), 0);
	assert_string_equal(buf_str(&after), "primary=A\n");
}

static void
unknown_backend_is_refused(void **state)
{
	struct err e = ERR_INIT;
	struct conf c = {.boot_backend = (char[]){"lilo"}, .boot_tries = 3};
	const struct boot_backend *found;

	(void)state;
	assert_int_equal(boot_backend_find(&c, &found, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_non_null(strstr(e.text, "lilo"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sample_is_read, setup, folder_leave),
		cmocka_unit_test_setup_teardown(every_prefix_is_refused, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			every_flip_is_refused_or_read_in_range, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			doubled_unknown_and_missing_keys_are_refused, setup, folder_leave),
		cmocka_unit_test_setup_teardown(activate_then_confirm, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			last_bootable_side_is_never_disabled, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			disabling_the_primary_makes_the_other_side_primary, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			going_back_needs_a_confirmed_side, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			side_that_is_not_bootable_is_not_confirmed, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			power_on_counts_tries_down_and_then_falls_back, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			power_on_refuses_when_nothing_boots, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			damaged_environment_is_not_changed, setup, folder_leave),
		cmocka_unit_test(unknown_backend_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
