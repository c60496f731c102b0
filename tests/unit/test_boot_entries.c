/* What FAT and systemd-boot's order ask of the entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/boot.h"
#include "agent/entry_text.h"
#include "agent/revert.h"
#include "agent/settle.h"
#include "common/base/file.h"
#include "tests/unit/boot_scene.h"
#include "tests/unit/folder.h"

static char folder[] = "env";
static struct conf conf = {.boot_file = folder};
static const struct boot_backend *const boot = &boot_entries;

static void
entry_put(const char *path, const char *version)
{
	char text[128];
	int len = snprintf(
		text, sizeof(text), "sort-key sluice\nversion %s\nlinux /a/vmlinuz\n", version);

	assert_int_equal(folder_put(path, text, (size_t)len), 0);
}

static void
begin(void)
{
	assert_int_equal(mkdir(folder, 0755), 0);
	entry_put("env/sluice-a.conf", "7");
	entry_put("env/sluice-b+0.conf", "3");
}

static void
the_entry_of_the_side_that_works_is_not_touched_to_go_back_to_it(void **state)
{
	AUTO_BUF struct buf before = BUF_INIT(1024), after = BUF_INIT(1024);
	struct err e = ERR_INIT;

	(void)state;
	begin();
	done(file_read("env/sluice-a.conf", &before, &e), &e);
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	assert_int_equal(rename("env/sluice-b+3.conf", "env/sluice-b+0-3.conf"), 0);
	done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
	done(boot->disable(boot, &conf, SIDE_B, &e), &e);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	done(file_read("env/sluice-a.conf", &after, &e), &e);
	assert_true(span_equal(buf_span(&before), buf_span(&after)));
}

/* What a cut on FAT leaves between a new name and where its bytes are. */
static void
a_blank_entry_is_none(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin();
	assert_int_equal(folder_put("env/sluice-b+3.conf", "", 0), 0);
	assert_int_equal(folder_put("env/sluice-b.conf", "", 0), 0);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	assert_false(vars_now(boot, &conf).side[SIDE_B].bootable);
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
}

static void
text_put(const char *path, const char *text)
{
	assert_int_equal(folder_put(path, text, strlen(text)), 0);
}

static void
check_agrees(void)
{
	struct err e = ERR_INIT;

	done(boot_check(boot, &conf, &e), &e);
}

/* systemd-boot compares sort-key and machine-id first: the higher of them would be last for good.
 */
static void
sides_that_systemd_boot_would_not_order_by_version_are_refused(void **state)
{
	(void)state;
	begin();
	check_agrees();
	text_put("env/sluice-b+0.conf", "sort-key other\nversion 3\nlinux /x\n");
	check_refuses(boot, &conf, "sort-key \"sluice\"");
	text_put("env/sluice-b+0.conf", "version 3\nlinux /x\n");
	check_refuses(boot, &conf, "write `sort-key sluice`");
	text_put("env/sluice-b+0.conf", "sort-key sluice\nmachine-id 1\nversion 3\n");
	check_refuses(boot, &conf, "machine-id \"\"");
	text_put("env/sluice-a.conf", " sort-key  sluice \r\nmachine-id\t\"1\"\nversion 7\n");
	check_agrees();
	text_put("env/sluice-a+1.conf", "sort-key a\nsort-key b\nversion 7\n");
	check_refuses(boot, &conf, "sort-key \"b\"");
}

/* One that names a side boots it whatever its counter says. */
static void
a_default_that_is_not_for_both_sides_is_refused(void **state)
{
	static const char *const bad[] = {"default sluice-a.conf\n", "default sluice-b*\n",
		"default @saved\n", "default sluice-*\ntimeout 3\n\tdefault  sluice-a.conf  \n"};
	static const char *const good[] = {"default sluice-*\n", "timeout 0\n",
		"#default sluice-a.conf\n", "default sluice-a.conf\ndefault sluice-?.conf\n", ""};

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		text_put("loader.conf", bad[i]);
		check_refuses(boot, &conf, "write `default sluice-*`");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		text_put("loader.conf", good[i]);
		check_agrees();
	}
}

static void
entries_of_others_need_a_default_that_passes_them_over(void **state)
{
	(void)state;
	begin();
	entry_put("env/sluice-b.conf.bak", "9");
	check_agrees();
	entry_put("env/arch.conf", "9");
	check_refuses(boot, &conf, "arch.conf");
	text_put("loader.conf", "default *\n");
	check_refuses(boot, &conf, "arch.conf");
	text_put("loader.conf", "default sluice-*\n");
	check_agrees();
	entry_put("env/sluice-a-old.conf", "9");
	check_refuses(boot, &conf, "sluice-a-old.conf");
}

/* A box may always leave a system, and confirm one that runs. */
static void
what_is_refused_to_new_updates_still_goes_back(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin();
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	text_put("loader.conf", "default sluice-b.conf\n");
	check_refuses(boot, &conf, "side A would not be booted");
	done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
}

/* The last of several is in force for systemd-boot. */
static void
the_version_that_counts_is_the_one_that_changes(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(1024);
	struct err e = ERR_INIT;
	char value[8];

	(void)state;
	begin();
	text_put("env/sluice-b+0.conf", "sort-key sluice\nversion 99\n#version 8\nversion 2\n");
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	done(boot->activate(boot, &conf, SIDE_B, 3, &e), &e);
	done(file_read("env/sluice-b+3.conf", &text, &e), &e);
	assert_string_equal(buf_str(&text), "sort-key sluice\nversion 99\n#version 8\nversion 8\n");
	assert_int_equal(entry_text_value("version 12345678", "version", value, 8, &e), -1);
	assert_int_equal(
		entry_text_value("versions 1\nversion\nversion \n", "version", value, 8, &e), 0);
	assert_string_equal(value, "");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)

/* The kernel of side A is gone, so it is B that boots, as a try that nobody gave it. */
static void
what_systemd_boot_starts_again_though_it_is_off_is_stranded(void **state)
{
	static char here[] = ".", cmdline[] = "cmdline";
	AUTO_FREE struct state *s = calloc(1, sizeof(*s));
	struct conf c = {.boot_file = folder, .boot_cmdline = cmdline, .state_dir = here};
	struct settlement now;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(s);
	begin();
	text_put(cmdline, "sluice.slot=B\n");
	done(boot->activate(boot, &c, SIDE_B, 1, &e), &e);
	assert_int_equal(rename("env/sluice-b+1.conf", "env/sluice-b+0-1.conf"), 0);
	*s = (struct state){.next_seq = 1,
		.pending = {.phase = PHASE_ACTIVATED,
			.target = SIDE_B,
			.release = {true, "gateway", "2.0", 1, {{5}}, 1}}};
	done(revert_begin(&c, boot, s, REVERT_CONDEMN, "ill", &e), &e);
	assert_int_equal(rename("env/sluice-b+0.conf", "env/sluice-b+0-1.conf"), 0);
	done(state_load(here, s, &e), &e);
	assert_true(s->pending.told);
	/* In this boot it is still to go back. */
	done(settle(&c, boot, s, &now, &e), &e);
	assert_int_equal(now.what, SETTLED_GOING_BACK);
	assert_int_equal(rename("env/sluice-b+0.conf", "env/sluice-b+0-1.conf"), 0);
	(void)snprintf(s->pending.boot_id, sizeof(s->pending.boot_id), "earlier");
	done(settle(&c, boot, s, &now, &e), &e);
	assert_int_equal(now.what, SETTLED_STRANDED);
	assert_true(state_is_stranded(s, SIDE_B));
	done(settle(&c, boot, s, &now, &e), &e);
	assert_int_equal(now.what, SETTLED_NOTHING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(the_entry_of_the_side_that_works_is_not_touched_to_go_back_to_it),
		IN_FOLDER(a_blank_entry_is_none),
		IN_FOLDER(sides_that_systemd_boot_would_not_order_by_version_are_refused),
		IN_FOLDER(a_default_that_is_not_for_both_sides_is_refused),
		IN_FOLDER(entries_of_others_need_a_default_that_passes_them_over),
		IN_FOLDER(what_is_refused_to_new_updates_still_goes_back),
		IN_FOLDER(the_version_that_counts_is_the_one_that_changes),
		IN_FOLDER(what_systemd_boot_starts_again_though_it_is_off_is_stranded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
