/* GRUB's environment on storage that wears out, in the wrong place, and as GRUB itself reads it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/boot_vars.h"
#include "agent/grub_block.h"
#include "common/base/file.h"
#include "tests/unit/boot_scene.h"
#include "tests/unit/folder.h"

enum { GROUPS = GRUB_AREA_BYTES / GRUB_GROUP_BYTES };
enum { GROUP_A = 1, GROUP_B = 3, GROUP_GOOD = 5 };

static char path[] = "env";
static struct conf conf = {.boot_file = path};
static const struct boot_backend *const boot = &boot_grub;

/* Bits: groups of the area that cannot be read any more, not be written, and that forget what is
 * written without a word, as cards do that are worn out. */
static unsigned read_faults, write_faults, drops;
/* Bits: groups that were written and are not on the medium; and whether two ever were at once. */
static unsigned unsynced;
static bool two_at_once;

/* In place of the C library's. */
ssize_t faulty_pread(int fd, void *data, size_t len, off_t offset) __asm__("pread64");
ssize_t faulty_pwrite(int fd, const void *data, size_t len, off_t offset) __asm__("pwrite64");

static bool
is_faulty(unsigned faults, off_t offset)
{
	if (offset >= GRUB_AREA_BYTES || !(faults & 1U << offset / GRUB_GROUP_BYTES))
		return false;
	errno = EIO;
	return true;
}

ssize_t
faulty_pread(int fd, void *data, size_t len, off_t offset)
{
	return is_faulty(read_faults, offset) ? -1 : syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t
faulty_pwrite(int fd, const void *data, size_t len, off_t offset)
{
	two_at_once = two_at_once || unsynced != 0;
	unsynced |= 1U << offset / GRUB_GROUP_BYTES;
	if (is_faulty(drops, offset))
		return (ssize_t)len;
	return is_faulty(write_faults, offset) ? -1 : syscall(SYS_pwrite64, fd, data, len, offset);
}

int
fsync(int fd)
{
	(void)fd;
	unsynced = 0;
	return 0;
}

static void
begin(void)
{
	static const uint8_t blank[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	read_faults = write_faults = drops = 0;
	assert_int_equal(folder_put(path, blank, sizeof(blank)), 0);
	done(boot->make(&conf, SIDE_A, &e), &e);
}

static void
group_blank(size_t group)
{
	uint8_t area[GRUB_AREA_BYTES];

	area_read(path, area);
	memset(area + group * GRUB_GROUP_BYTES, 0, GRUB_GROUP_BYTES);
	assert_int_equal(folder_put(path, area, sizeof(area)), 0);
}

static int
walk(struct err *e)
{
	if (boot->disable(boot, &conf, SIDE_B, e) < 0 ||
		boot->activate(boot, &conf, SIDE_B, 3, e) < 0)
		return -1;
	assert_int_equal(vars_now(boot, &conf).side[SIDE_B].tries_left, 3);
	return boot->confirm(boot, &conf, SIDE_B, e);
}

static void
one_group_that_cannot_be_read_or_written_stops_nothing(void **state)
{
	static const size_t groups[] = {GROUP_A, GROUP_B, 4, GROUP_GOOD, 6};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (unsigned round = 0; round < 2; round++) {
			begin();
			read_faults = write_faults = 1U << groups[i];
			/* Once with what cannot be written, and once with what is lost on the way.
			 */
			if (round == 1)
				write_faults = 0;
			assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
			done(walk(&e), &e);
			assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
			assert_true(vars_now(boot, &conf).side[SIDE_B].confirmed);
			/* A second one lost: what was settled stands in two copies. */
			for (size_t lost = GROUP_A; lost <= GROUP_GOOD; lost += 2) {
				uint8_t whole[GRUB_AREA_BYTES];

				area_read(path, whole);
				group_blank(lost);
				if (lost != groups[i])
					assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
				assert_int_equal(folder_put(path, whole, sizeof(whole)), 0);
			}
		}
	}
}

static void
one_group_that_takes_writes_and_forgets_them_stops_nothing(void **state)
{
	static const size_t groups[] = {GROUP_A, GROUP_B, GROUP_GOOD};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		begin();
		drops = 1U << groups[i];
		done(walk(&e), &e);
		assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
		assert_true(vars_now(boot, &conf).side[SIDE_B].confirmed);
	}
	/* Where the last one has an old story to tell, the first two have the same new one. */
	for (size_t lost = GROUP_A; lost <= GROUP_B; lost += 2) {
		uint8_t whole[GRUB_AREA_BYTES];

		area_read(path, whole);
		group_blank(lost);
		assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
		assert_int_equal(folder_put(path, whole, sizeof(whole)), 0);
	}
}

static void
each_group_is_on_the_medium_before_the_next_is_written(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin();
	unsynced = 0;
	two_at_once = false;
	done(boot->disable(boot, &conf, SIDE_B, &e), &e);
	assert_int_equal(unsynced, 0);
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	assert_int_equal(unsynced, 0);
	done(boot->confirm(boot, &conf, SIDE_B, &e), &e);
	assert_int_equal(unsynced, 0);
	assert_false(two_at_once);
}

/* Behind a header that is gone GRUB finds no copy, so the first group is needed, and the third for
 * all but one of them. */
static void
what_leaves_no_second_copy_is_refused_and_changes_nothing(void **state)
{
	static const unsigned faults[] = {
		1U << 0, 1U << 2, 1U << GROUP_B | 1U << GROUP_GOOD, 1U << GROUP_A | 1U << GROUP_B};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		uint8_t before[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES];
		struct err e = ERR_INIT;

		begin();
		read_faults = write_faults = faults[i];
		area_read(path, before);
		assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		assert_non_null(strstr(e.text, path));
		area_read(path, after);
		assert_memory_equal(before, after, sizeof(before));
		assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	}
}

static void
three_copies_that_cannot_be_read_are_an_error(void **state)
{
	struct boot_vars vars;
	struct err e = ERR_INIT;

	(void)state;
	begin();
	read_faults = 1U << GROUP_A | 1U << GROUP_B | 1U << GROUP_GOOD;
	assert_int_equal(boot->load(&conf, &vars, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, strerror(EIO)));
}

/* Where the other copy is worn out the one in force is written over: torn, it leaves what worked.
 */
static void
every_prefix_of_a_write_in_place_leaves_what_worked_or_the_new(void **state)
{
	uint8_t before[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES], torn[GRUB_AREA_BYTES];
	uint64_t at = grub_copy_offset(GRUB_COPY_A);
	struct err e = ERR_INIT;

	(void)state;
	begin();
	write_faults = 1U << GROUP_B;
	area_read(path, before);
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	area_read(path, after);
	for (size_t len = 0; len <= 512; len++) {
		struct boot_vars vars;

		memcpy(torn, before, sizeof(torn));
		memcpy(torn + at, after + at, len);
		assert_int_equal(folder_put(path, torn, sizeof(torn)), 0);
		vars = vars_now(boot, &conf);
		assert_true(vars.side[SIDE_A].confirmed);
		if (memcmp(torn, after, sizeof(torn)) == 0)
			assert_int_equal(vars.side[SIDE_B].tries_left, 3);
		else
			assert_false(vars.side[SIDE_B].bootable);
	}
}

static void
group_write(enum grub_copy which, const struct grub_block *block)
{
	uint8_t area[GRUB_AREA_BYTES];

	area_read(path, area);
	grub_block_format(block, area + grub_copy_offset(which));
	assert_int_equal(folder_put(path, area, sizeof(area)), 0);
}

/* 900 million changes away, where nothing is broken. */
static void
behind_the_last_number_nothing_is_changed(void **state)
{
	static const struct grub_block last = {
		.seq = GRUB_SEQ_MAX, .vars = {SIDE_A, {{true, true, 0}, {false, false, 0}}}};
	uint8_t before[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	begin();
	group_write(GRUB_COPY_B, &last);
	area_read(path, before);
	assert_int_equal(boot->activate(boot, &conf, SIDE_B, 3, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "sluice-agent boot init"));
	area_read(path, after);
	assert_memory_equal(before, after, sizeof(before));
}

/* B takes no writes, and still says what it said at the factory when A is lost, too. */
static void
a_stale_copy_does_not_outrank_what_worked_last(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin();
	write_faults = 1U << GROUP_B;
	done(walk(&e), &e);
	group_blank(GROUP_A);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
	assert_true(vars_now(boot, &conf).side[SIDE_B].confirmed);
}

/* A cannot be read nor written for a while, and holds the newest trial. */
static void
a_copy_that_comes_back_does_not_outrank_what_was_written_meanwhile(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin();
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	done(boot->activate(boot, &conf, SIDE_B, 2, &e), &e);
	read_faults = write_faults = 1U << GROUP_A;
	done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
	read_faults = write_faults = 0;
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	assert_false(vars_now(boot, &conf).side[SIDE_B].bootable);
	/* Both of the first two, and the last one is from before. */
	begin();
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	done(boot->activate(boot, &conf, SIDE_B, 2, &e), &e);
	read_faults = 1U << GROUP_A | 1U << GROUP_B;
	write_faults = 1U << GROUP_A;
	assert_int_equal(boot->go_back(boot, &conf, SIDE_A, &e), -1);
	read_faults = 1U << GROUP_A;
	done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
	read_faults = write_faults = 0;
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
}

static void
no_two_losses_lead_back_to_a_trial_that_is_over(void **state)
{
	static const size_t groups[] = {GROUP_A, GROUP_B, GROUP_GOOD};
	uint8_t whole[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	begin();
	done(walk(&e), &e);
	area_read(path, whole);
	for (size_t left = 0; left < 3; left++) {
		for (size_t i = 0; i < 3; i++) {
			if (i != left)
				group_blank(groups[i]);
		}
		assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
		assert_true(vars_now(boot, &conf).side[SIDE_B].confirmed);
		assert_int_equal(folder_put(path, whole, sizeof(whole)), 0);
	}
}

static void
made(bool yes, const void *data, size_t len)
{
	AUTO_BUF struct buf after = BUF_INIT(1024 * 1024);
	struct err e = ERR_INIT;
	int rc;

	read_faults = write_faults = 0;
	assert_int_equal(folder_put(path, data, len), 0);
	rc = boot->make(&conf, SIDE_A, &e);
	if (yes) {
		done(rc, &e);
		assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
		return;
	}
	assert_int_equal(rc, -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "dd if=/dev/zero"));
	assert_int_equal(file_read(path, &after, &e), 0);
	assert_int_equal(after.len, len);
	assert_memory_equal(after.data, data, len);
}

/* [boot] file with one character wrong names a disk, or somebody's file system. */
static void
what_holds_something_else_is_not_written_over(void **state)
{
	static uint8_t data[256 * 1024];
	const size_t len = sizeof(data);

	(void)state;
	made(true, data, len);
	data[1080] = 0x53; /* ext4 */
	made(false, data, len);
	made(false, data, GRUB_AREA_BYTES);
	data[1080] = 0;
	memcpy(data + 65600, "_BHRfS_M", 8); /* btrfs */
	made(false, data, len);
	memset(data, 0xff, len);
	made(true, data, len);
	memset(data, 0xff, len);
	data[510] = 0x55;
	made(false, data, len);
}

/* Every copy lost, and what GRUB finds them by only in part. */
static void
an_environment_of_ours_is_made_anew(void **state)
{
	uint8_t area[GRUB_AREA_BYTES];

	(void)state;
	for (size_t lost = 0; lost < 3; lost++) {
		begin();
		area_read(path, area);
		for (size_t i = 1; i < GROUPS; i += 2)
			memset(area + i * GRUB_GROUP_BYTES, 0x5a, GRUB_GROUP_BYTES);
		memset(area + 2 * lost * GRUB_GROUP_BYTES, 0x5a, GRUB_GROUP_BYTES);
		made(true, area, sizeof(area));
	}
}

/* As GRUB's load_env reads a block. */
static void
a_block_is_read_as_grub_reads_it(void **state)
{
	static const char rest[] = "sluice_primary=B\nsluice_a=good\nsluice_a_tries=0\n"
				   "sluice_b=try\nsluice_b_tries=3\n";
	static const struct {
		const char *before, *after;
		bool right;
	} cases[] = {
		{"sluice_seq=100000000\n", "sluice_end=100000000\n", true},
		{"sluice_end=100000000\n", "sluice_seq=100000000\n", true},
		{"saved_entry=1\nsluice_seq=100000000\n", "sluice_end=100000000\n", true},
		{"sluice_seq=1\n# \\\nx\nsluice_seq=100000000\n", "sluice_end=100000000\n", true},
		{"sluice_seq=1\\0000\\0000\n", "sluice_end=100000000\n", true},
		{"sluice_seq=100000000\n", "sluice_end=100000000\n\\#=\n\nx", true},
		{"sluice_seq=100000000\n", "sluice_end=100000000", false},
		{"x\nsluice_seq=100000000\n", "sluice_end=100000000\n", false},
		{"sluice_seq=100000000\n", "sluice_end=100000001\n", false},
		{"sluice_seq=0100000000\n", "sluice_end=0100000000\n", false},
		{"sluice_seq=1000000000\n", "sluice_end=1000000000\n", false},
		{"sluice_seq=100000000\n", "sluice_end=100000000\nsluice_b_tries=03\n", false},
		{"sluice_seq=100000000\n", "sluice_end=100000000\nsluice_b_tries=\n", false},
		{"sluice_seq=100000000\n", "sluice_end=100000000\nsluice_a=offf\n", false},
		{"sluice_seq=100000000\n", "sluice_end=100000000\nsluice_primary=!\n", false},
		{"sluice_seq=100000000\n", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t group[GRUB_GROUP_BYTES];
		struct grub_block got = {0};
		struct err e = ERR_INIT;
		char text[512];
		int rc;

		(void)snprintf(text, sizeof(text), "# GRUB Environment Block\n%s%s%s",
			cases[i].before, rest, cases[i].after);
		memset(group, i % 2 ? '#' : 0, sizeof(group));
		memcpy(group, text, strlen(text));
		rc = grub_block_parse(span_of(group, sizeof(group)), &got, &e);
		if (rc != (cases[i].right ? 0 : -1))
			fail_msg("case %zu: %s", i, rc < 0 ? e.text : "taken");
		if (rc == 0)
			assert_int_equal(got.vars.side[SIDE_B].tries_left, 3);
	}
}

/* All but one copy, and any of the headers that GRUB finds them by. */
static void
what_is_lost_is_mended_from_what_is_left(void **state)
{
	uint8_t frame[GRUB_AREA_BYTES], before[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	grub_area_format(frame);
	for (size_t lost = 0; lost < 8; lost++) {
		begin();
		done(walk(&e), &e);
		if (lost == GROUP_A)
			group_blank(GROUP_B);
		group_blank(lost);
		done(boot->mend(&conf, &e), &e);
		area_read(path, after);
		for (size_t i = 0; i < GROUPS; i += 2)
			assert_memory_equal(after + i * GRUB_GROUP_BYTES,
				frame + i * GRUB_GROUP_BYTES, GRUB_GROUP_BYTES);
		assert_memory_equal(after + GROUP_A * GRUB_GROUP_BYTES,
			after + GROUP_GOOD * GRUB_GROUP_BYTES, GRUB_GROUP_BYTES);
		assert_memory_equal(after + GROUP_A * GRUB_GROUP_BYTES,
			after + GROUP_B * GRUB_GROUP_BYTES, GRUB_GROUP_BYTES);
		assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
		assert_true(vars_now(boot, &conf).side[SIDE_B].confirmed);
		/* What is whole is not written to. */
		memcpy(before, after, sizeof(before));
		write_faults = UINT_MAX;
		done(boot->mend(&conf, &e), &e);
		area_read(path, after);
		assert_memory_equal(before, after, sizeof(before));
	}
	memset(before, 0, sizeof(before));
	write_faults = 0;
	assert_int_equal(folder_put(path, before, sizeof(before)), 0);
	assert_int_equal(boot->mend(&conf, &e), -1);
	assert_non_null(strstr(e.text, "boot init"));
}

static void
a_trial_is_not_mended_but_for_what_leads_to_it(void **state)
{
	uint8_t before[GRUB_AREA_BYTES], after[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	(void)state;
	begin();
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	group_blank(GROUP_A);
	area_read(path, before);
	group_blank(0);
	done(boot->mend(&conf, &e), &e);
	area_read(path, after);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(vars_now(boot, &conf).side[SIDE_B].tries_left, 3);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(one_group_that_cannot_be_read_or_written_stops_nothing),
		IN_FOLDER(one_group_that_takes_writes_and_forgets_them_stops_nothing),
		IN_FOLDER(each_group_is_on_the_medium_before_the_next_is_written),
		IN_FOLDER(what_leaves_no_second_copy_is_refused_and_changes_nothing),
		IN_FOLDER(three_copies_that_cannot_be_read_are_an_error),
		IN_FOLDER(every_prefix_of_a_write_in_place_leaves_what_worked_or_the_new),
		IN_FOLDER(behind_the_last_number_nothing_is_changed),
		IN_FOLDER(a_stale_copy_does_not_outrank_what_worked_last),
		IN_FOLDER(a_copy_that_comes_back_does_not_outrank_what_was_written_meanwhile),
		IN_FOLDER(what_is_lost_is_mended_from_what_is_left),
		IN_FOLDER(a_trial_is_not_mended_but_for_what_leads_to_it),
		IN_FOLDER(no_two_losses_lead_back_to_a_trial_that_is_over),
		IN_FOLDER(what_holds_something_else_is_not_written_over),
		IN_FOLDER(an_environment_of_ours_is_made_anew),
		IN_FOLDER(a_block_is_read_as_grub_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
