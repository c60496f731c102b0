#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/boot_vars.h"
#include "agent/grub_block.h"
#include "common/base/file.h"
#include "tests/unit/boot_scene.h"
#include "tests/unit/folder.h"

static char path[] = "env", cmdline[] = "cmdline";
static struct conf conf;
static const struct boot_backend *const boot = &boot_grub;

static void
cmdline_write(const char *text)
{
	assert_int_equal(folder_put(cmdline, text, strlen(text)), 0);
}

static int
setup(void **state)
{
	static const uint8_t blank[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	if (folder_enter_memory(state) < 0)
		return -1;
	conf.boot_file = path;
	conf.boot_cmdline = cmdline;
	cmdline_write("root=/dev/sda2 ro sluice.slot=A quiet\n");
	if (folder_put(path, blank, sizeof(blank)) < 0)
		return -1;
	return boot->make(&conf, SIDE_A, &e);
}

static void
copy_blank(enum grub_copy which)
{
	uint8_t area[GRUB_AREA_BYTES];

	area_read(path, area);
	memset(area + grub_copy_offset(which), 0, GRUB_GROUP_BYTES);
	assert_int_equal(folder_put(path, area, sizeof(area)), 0);
}

static bool
copy_now(enum grub_copy which, struct grub_block *out)
{
	uint8_t area[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	area_read(path, area);
	return grub_block_parse(
		       span_of(area + grub_copy_offset(which), GRUB_GROUP_BYTES), out, &e) == 0;
}

static void
an_update_is_tried_confirmed_and_becomes_the_good_side(void **state)
{
	struct grub_block good;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->disable(boot, &conf, SIDE_B, &e), 0);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
	assert_int_equal(vars_now(boot, &conf).side[SIDE_B].tries_left, 3);
	assert_false(vars_now(boot, &conf).side[SIDE_B].confirmed);
	assert_true(vars_now(boot, &conf).side[SIDE_A].confirmed);
	assert_true(copy_now(GRUB_COPY_GOOD, &good));
	assert_int_equal(good.vars.primary, SIDE_A);
	assert_int_equal(boot->confirm(boot, &conf, SIDE_B, &e), 0);
	assert_true(copy_now(GRUB_COPY_GOOD, &good));
	assert_int_equal(good.vars.primary, SIDE_B);
	assert_int_equal(boot->go_back(boot, &conf, SIDE_A, &e), 0);
	assert_true(copy_now(GRUB_COPY_GOOD, &good));
	assert_int_equal(good.vars.primary, SIDE_A);
	assert_false(vars_now(boot, &conf).side[SIDE_B].bootable);
}

static void
the_copy_in_force_is_never_written_over(void **state)
{
	struct grub_block before, after;
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 4; i++) {
		enum grub_copy in_force = i % 2 == 0 ? GRUB_COPY_A : GRUB_COPY_B;

		assert_true(copy_now(in_force, &before));
		assert_int_equal(boot->activate(boot, &conf, SIDE_B, (uint64_t)i + 1, &e), 0);
		assert_true(copy_now(in_force, &after));
		assert_int_equal(after.seq, before.seq);
		assert_int_equal(
			after.vars.side[SIDE_B].tries_left, before.vars.side[SIDE_B].tries_left);
		assert_true(copy_now(
			side_other((enum side)in_force) == SIDE_A ? GRUB_COPY_A : GRUB_COPY_B,
			&after));
		assert_int_equal(after.seq, before.seq + 1);
	}
}

static void
either_copy_alone_is_enough_and_then_the_good_one(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	copy_blank(GRUB_COPY_B);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	copy_blank(GRUB_COPY_A);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
	copy_blank(GRUB_COPY_B);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	assert_true(vars_now(boot, &conf).side[SIDE_A].confirmed);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 2, &e), 0);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
}

static void
an_environment_of_zeros_is_refused_and_not_changed(void **state)
{
	uint8_t area[GRUB_AREA_BYTES] = {0}, after[GRUB_AREA_BYTES];
	struct boot_vars vars;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(folder_put(path, area, sizeof(area)), 0);
	assert_int_equal(boot->load(&conf, &vars, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "boot init"));
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), -1);
	assert_int_equal(boot->disable(boot, &conf, SIDE_B, &e), -1);
	assert_int_equal(boot->confirm(boot, &conf, SIDE_A, &e), -1);
	assert_int_equal(boot->go_back(boot, &conf, SIDE_A, &e), -1);
	area_read(path, after);
	assert_memory_equal(area, after, sizeof(area));
}

static void
an_environment_that_is_there_is_not_made_again(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	assert_int_equal(boot->make(&conf, SIDE_A, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
}

static void
a_device_that_is_missing_short_or_read_only_is_an_error(void **state)
{
	struct boot_vars vars;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(folder_put(path, "short", 5), 0);
	assert_int_equal(boot->load(&conf, &vars, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(boot->load(&conf, &vars, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), -1);
	assert_int_equal(access(path, F_OK), -1);
}

/* What a power cut leaves of a write of eight sectors, in any order. */
static void
every_torn_write_leaves_the_old_or_the_new(void **state)
{
	uint8_t before[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES], torn[GRUB_AREA_BYTES];
	uint64_t at = grub_copy_offset(GRUB_COPY_B);
	struct err e = ERR_INIT;

	(void)state;
	area_read(path, before);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	area_read(path, after);
	for (unsigned set = 0; set < 256; set++) {
		struct boot_vars vars;

		memcpy(torn, before, sizeof(torn));
		for (unsigned i = 0; i < 8; i++) {
			if (set & 1U << i)
				memcpy(torn + at + i * 512, after + at + i * 512, 512);
		}
		assert_int_equal(folder_put(path, torn, sizeof(torn)), 0);
		vars = vars_now(boot, &conf);
		assert_true(vars.side[SIDE_A].confirmed);
		/* All that GRUB looks at stands in the first. */
		assert_int_equal(vars.primary, set & 1 ? SIDE_B : SIDE_A);
	}
}

static void
every_prefix_of_a_write_leaves_the_old_or_the_new(void **state)
{
	uint8_t before[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES], torn[GRUB_AREA_BYTES];
	uint64_t at = grub_copy_offset(GRUB_COPY_B);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	assert_int_equal(boot->go_back(boot, &conf, SIDE_A, &e), 0);
	area_read(path, before);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 7, &e), 0);
	area_read(path, after);
	for (size_t len = 0; len <= 512; len++) {
		struct boot_vars vars;

		memcpy(torn, before, sizeof(torn));
		memcpy(torn + at, after + at, len);
		assert_int_equal(folder_put(path, torn, sizeof(torn)), 0);
		vars = vars_now(boot, &conf);
		if (memcmp(torn, after, sizeof(torn)) == 0)
			assert_int_equal(vars.side[SIDE_B].tries_left, 7);
		else
			assert_false(vars.side[SIDE_B].bootable);
	}
}

static void
every_flipped_bit_is_refused_or_read_in_range(void **state)
{
	uint8_t group[GRUB_GROUP_BYTES];
	struct grub_block block = {
		.seq = GRUB_SEQ_MIN + 7, .vars = {SIDE_B, {{true, true, 0}, {true, false, 3}}}};

	(void)state;
	for (size_t bit = 0; bit < 512 * 8; bit++) {
		struct grub_block got;
		struct err e = ERR_INIT;

		grub_block_format(&block, group);
		group[bit / 8] = (uint8_t)(group[bit / 8] ^ (1U << bit % 8));
		if (grub_block_parse(span_of(group, sizeof(group)), &got, &e) < 0)
			continue;
		assert_in_range(got.seq, GRUB_SEQ_MIN, GRUB_SEQ_MAX);
		assert_true(got.vars.side[SIDE_B].tries_left <= GRUB_TRIES_MAX);
	}
}

/* grub.cfg: save_env sluice_b_tries, which changes that one digit. */
static void
a_try_that_grub_counted_is_read(void **state)
{
	uint8_t area[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;
	char *digit;

	(void)state;
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	area_read(path, area);
	digit = strstr((char *)area + grub_copy_offset(GRUB_COPY_B), "sluice_b_tries=3");
	assert_non_null(digit);
	digit[strlen("sluice_b_tries=")] = '2';
	assert_int_equal(folder_put(path, area, sizeof(area)), 0);
	assert_int_equal(vars_now(boot, &conf).side[SIDE_B].tries_left, 2);
}

static void
the_area_is_a_tar_that_tar_reads(void **state)
{
	char line[160] = {0};
	FILE *tar = popen("tar tf env | tr '\\n' ' '", "r");

	(void)state;
	assert_non_null(tar);
	assert_non_null(fgets(line, sizeof(line), tar));
	assert_int_equal(pclose(tar), 0);
	assert_string_equal(line, "sluice/filler-0 sluice/a sluice/filler-1 sluice/b "
				  "sluice/filler-2 sluice/good sluice/filler-3 sluice/turn ");
}

static void
a_damaged_tar_is_mended_with_the_next_change(void **state)
{
	uint8_t area[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES], frame[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	area_read(path, area);
	memset(area + 2 * GRUB_GROUP_BYTES, 0, GRUB_GROUP_BYTES);
	assert_int_equal(folder_put(path, area, sizeof(area)), 0);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), 0);
	area_read(path, after);
	grub_area_format(frame);
	assert_memory_equal(
		after + 2 * GRUB_GROUP_BYTES, frame + 2 * GRUB_GROUP_BYTES, GRUB_GROUP_BYTES);
}

/* GRUB counts turns in it where no copy makes sense, and save_env needs a block that is there. */
static void
the_turns_of_grub_begin_anew_when_a_side_works(void **state)
{
	static const char *const before[] = {"# GRUB Environment Block\nsluice_turn=7\n", ""};
	uint8_t area[GRUB_AREA_BYTES], fresh[GRUB_GROUP_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	area_read(path, area);
	grub_turn_format(fresh);
	assert_memory_equal(fresh, "# GRUB Environment Block\nsluice_turn=0\n#", 40);
	assert_memory_equal(area + GRUB_TURN_OFFSET, fresh, sizeof(fresh));
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		memset(area + GRUB_TURN_OFFSET, 0, sizeof(fresh));
		memcpy(area + GRUB_TURN_OFFSET, before[i], strlen(before[i]));
		assert_int_equal(folder_put(path, area, sizeof(area)), 0);
		done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
		area_read(path, area);
		assert_memory_not_equal(area + GRUB_TURN_OFFSET, fresh, sizeof(fresh));
		done(boot->confirm(boot, &conf, SIDE_B, &e), &e);
		area_read(path, area);
		assert_memory_equal(area + GRUB_TURN_OFFSET, fresh, sizeof(fresh));
	}
}

static void
the_running_side_is_what_the_kernel_was_told(void **state)
{
	static const char *const bad[] = {"root=/dev/sda2 quiet\n", "sluice.slot=\n",
		"sluice.slot=C\n", "sluice.slot=A sluice.slot=B\n", "sluice.slot=A sluice.slot=A\n",
		"xsluice.slot=A\n", ""};
	enum side side = SIDE_A;
	struct err e = ERR_INIT;

	(void)state;
	cmdline_write("sluice.slot=B");
	assert_int_equal(boot->current(boot, &conf, &side, &e), 0);
	assert_int_equal(side, SIDE_B);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = ERR_INIT;
		cmdline_write(bad[i]);
		assert_int_equal(boot->current(boot, &conf, &side, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		assert_non_null(strstr(e.text, cmdline));
	}
}

static void
more_tries_than_grub_counts_are_refused(void **state)
{
	struct conf c = {.boot_backend = (char[]){"grub"}, .boot_tries = 10};
	const struct boot_backend *found;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(boot_backend_find(&c, &found, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	c.boot_tries = 9;
	assert_int_equal(boot_backend_find(&c, &found, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_update_is_tried_confirmed_and_becomes_the_good_side, setup,
			folder_leave),
		cmocka_unit_test_setup_teardown(
			the_copy_in_force_is_never_written_over, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			either_copy_alone_is_enough_and_then_the_good_one, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			an_environment_of_zeros_is_refused_and_not_changed, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			an_environment_that_is_there_is_not_made_again, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_device_that_is_missing_short_or_read_only_is_an_error, setup,
			folder_leave),
		cmocka_unit_test_setup_teardown(
			every_torn_write_leaves_the_old_or_the_new, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			every_prefix_of_a_write_leaves_the_old_or_the_new, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			every_flipped_bit_is_refused_or_read_in_range, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_try_that_grub_counted_is_read, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			the_area_is_a_tar_that_tar_reads, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			the_turns_of_grub_begin_anew_when_a_side_works, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_damaged_tar_is_mended_with_the_next_change, setup, folder_leave),
		cmocka_unit_test_setup_teardown(
			the_running_side_is_what_the_kernel_was_told, setup, folder_leave),
		cmocka_unit_test(more_tries_than_grub_counts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
