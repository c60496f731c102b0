/* The same walk through every bootloader's variables, each on real files in its own format. */
#include <dirent.h>
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
#include "agent/install.h"
#include "agent/settle.h"
#include "common/base/file.h"
#include "tests/unit/boot_scene.h"
#include "tests/unit/folder.h"
#include "tests/unit/uboot_fixture.h"

static const char *efi_folder;

static char file[] = "env", cmdline[] = "cmdline";
static struct conf conf;

static void
grub_begin(void)
{
	static const uint8_t blank[GRUB_AREA_BYTES];
	struct err e = ERR_INIT;

	assert_int_equal(folder_put(file, blank, sizeof(blank)), 0);
	assert_int_equal(boot_grub.make(&conf, SIDE_A, &e), 0);
}

static void
entry_put(const char *name, const char *version)
{
	char text[256], path[128];

	(void)snprintf(text, sizeof(text),
		"title Sluice\nsort-key sluice\nversion  %s\nlinux /a/vmlinuz\noptions ro\n",
		version);
	(void)snprintf(path, sizeof(path), "%s/%s", file, name);
	assert_int_equal(folder_put(path, text, strlen(text)), 0);
}

static void
entries_begin(void)
{
	assert_int_equal(mkdir(file, 0755), 0);
	entry_put("sluice-a.conf", "7");
	entry_put("sluice-b+0.conf", "3");
	entry_put("other-b+3.conf", "9");
	entry_put("sluice-b.conf.bak", "9");
}

static void
efi_path(const char *name, char out[256])
{
	(void)snprintf(out, 256, "%s%s-8be4df61-93ca-11d2-aa0d-00e098032b8c", efi_folder, name);
}

static void
efi_remove(const char *name)
{
	char path[256];

	efi_path(name, path);
	if (unlink(path) < 0)
		(void)rmdir(path);
}

/* Reading it fails. */
static void
efi_spoil(const char *name)
{
	char path[256];

	efi_remove(name);
	efi_path(name, path);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void
efi_put(const char *name, const uint8_t *data, size_t len)
{
	uint8_t all[64] = {7};
	char path[256];

	memcpy(all + 4, data, len);
	efi_path(name, path);
	assert_int_equal(folder_put(path, all, len + 4), 0);
}

static bool
efi_get(const char *name, struct buf *out)
{
	struct err e = ERR_INIT;
	char path[256];

	efi_path(name, path);
	buf_clear(out);
	return file_exists(path) && file_read(path, out, &e) == 0;
}

static void
efi_clear(void)
{
	static const char *const names[] = {
		"BootOrder", "BootNext", "BootCurrent", "Boot0001", "Boot00AB"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		efi_remove(names[i]);
}

static void
efi_begin(void)
{
	efi_clear();
	efi_put("BootOrder", (const uint8_t[]){9, 0, 1, 0, 8, 0}, 6);
	efi_put("BootCurrent", (const uint8_t[]){1, 0}, 2);
	efi_put("Boot0001", (const uint8_t[]){1, 0, 0, 0, 0, 0}, 6);
	efi_put("Boot00AB", (const uint8_t[]){1, 0, 0, 0, 0, 0}, 6);
}

static void
custom_begin(void)
{
	static const char script[] = "#!/bin/sh\ncase $1 in\nget) cat vars ;;\n"
				     "set) cat > vars.new && mv vars.new vars ;;\nesac\n";
	static const char vars[] = "primary=A\na_bootable=yes\na_confirmed=yes\na_tries=0\n"
				   "b_bootable=no\nb_confirmed=no\nb_tries=0\nbooted=A\n"
				   "boot_id=first\n";

	conf.boot_file = (char[]){"./env"};
	assert_int_equal(folder_put(file, script, strlen(script)), 0);
	assert_int_equal(chmod(file, 0755), 0);
	assert_int_equal(folder_put("vars", vars, strlen(vars)), 0);
}

static void
begin(const struct boot_backend *boot)
{
	static char entry_a[] = "0001", entry_b[] = "00aB", script[] = "./env";

	conf = (struct conf){.boot_file = boot == &boot_custom ? script : file,
		.boot_cmdline = cmdline,
		.boot_entry_a = entry_a,
		.boot_entry_b = entry_b};
	assert_int_equal(folder_put(cmdline, "sluice.slot=A\n", 14), 0);
	if (boot == &boot_grub)
		grub_begin();
	else if (boot == &boot_uboot)
		uboot_begin(&conf);
	else if (boot == &boot_entries)
		entries_begin();
	else if (boot == &boot_efi)
		efi_begin();
	else
		custom_begin();
	conf.boot_file = boot == &boot_custom ? script : file;
}

/* The other side becomes the one that runs. */
static void
boot_other(const struct boot_backend *boot)
{
	assert_int_equal(folder_put(cmdline, "sluice.slot=B\n", 14), 0);
	if (boot == &boot_efi) {
		efi_put("BootCurrent", (const uint8_t[]){0xab, 0}, 2);
		efi_remove("BootNext");
	}
}

static void
walk(const struct boot_backend *boot)
{
	struct err e = ERR_INIT;
	enum side side;

	begin(boot);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	assert_true(vars_now(boot, &conf).side[SIDE_A].confirmed);
	assert_false(vars_now(boot, &conf).side[SIDE_B].bootable);
	done(boot->current(boot, &conf, &side, &e), &e);
	assert_int_equal(side, SIDE_A);
	assert_int_equal(boot->disable(boot, &conf, SIDE_A, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(boot->go_back(boot, &conf, SIDE_B, &e), -1);

	done(boot->disable(boot, &conf, SIDE_B, &e), &e);
	done(boot->activate(boot, &conf, SIDE_B, 1, &e), &e);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
	assert_int_equal(vars_now(boot, &conf).side[SIDE_B].tries_left, 1);
	assert_false(vars_now(boot, &conf).side[SIDE_B].confirmed);
	assert_true(vars_now(boot, &conf).side[SIDE_A].confirmed);
	done(boot->go_back(boot, &conf, SIDE_A, &e), &e);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
	assert_false(boot_side_may_boot(&vars_now(boot, &conf).side[SIDE_B]));

	done(boot->activate(boot, &conf, SIDE_B, 1, &e), &e);
	boot_other(boot);
	done(boot->confirm(boot, &conf, SIDE_B, &e), &e);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
	assert_true(vars_now(boot, &conf).side[SIDE_A].confirmed);
	assert_true(vars_now(boot, &conf).side[SIDE_B].confirmed);
	done(boot->disable(boot, &conf, SIDE_A, &e), &e);
	assert_false(vars_now(boot, &conf).side[SIDE_A].bootable);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_B);
	done(boot->activate(boot, &conf, SIDE_A, 1, &e), &e);
	assert_int_equal(vars_now(boot, &conf).primary, SIDE_A);
}

static void
grub_is_switched_tried_and_confirmed(void **state)
{
	(void)state;
	walk(&boot_grub);
}

static void
uboot_is_switched_tried_and_confirmed(void **state)
{
	(void)state;
	walk(&boot_uboot);
}

static void
systemd_boot_is_switched_tried_and_confirmed(void **state)
{
	(void)state;
	walk(&boot_entries);
	assert_true(file_exists("env/sluice-a+1.conf"));
	assert_true(file_exists("env/sluice-b.conf"));
	assert_true(file_exists("env/other-b+3.conf"));
	assert_false(file_exists("env/sluice-a+0.conf"));
	assert_false(file_exists("env/sluice.new"));
}

static void
efi_is_switched_tried_and_confirmed(void **state)
{
	AUTO_BUF struct buf got = BUF_INIT(64);

	(void)state;
	walk(&boot_efi);
	assert_true(efi_get("BootOrder", &got));
	/* Side A is off until it is confirmed; what others put there stays where it was. */
	assert_memory_equal(got.data + 4, ((const uint8_t[]){9, 0, 0xab, 0, 8, 0}), 6);
	assert_true(efi_get("BootNext", &got));
	assert_memory_equal(got.data + 4, ((const uint8_t[]){1, 0}), 2);
}

static void
custom_program_is_switched_tried_and_confirmed(void **state)
{
	(void)state;
	walk(&boot_custom);
}

static void
a_try_that_systemd_boot_counted_is_read(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin(&boot_entries);
	done(boot_entries.activate(&boot_entries, &conf, SIDE_B, 3, &e), &e);
	assert_int_equal(rename("env/sluice-b+3.conf", "env/sluice-b+2-1.conf"), 0);
	assert_int_equal(vars_now(&boot_entries, &conf).side[SIDE_B].tries_left, 2);
	assert_int_equal(vars_now(&boot_entries, &conf).primary, SIDE_B);
	assert_int_equal(rename("env/sluice-b+2-1.conf", "env/sluice-b+0-3.conf"), 0);
	assert_int_equal(vars_now(&boot_entries, &conf).primary, SIDE_A);
	assert_true(vars_now(&boot_entries, &conf).side[SIDE_B].bootable);
}

/* What a cut between the new entry and the removal of the old one leaves. */
static void
two_entries_of_one_side_are_its_trial_and_become_one(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin(&boot_entries);
	entry_put("sluice-b+3.conf", "8");
	assert_int_equal(vars_now(&boot_entries, &conf).primary, SIDE_B);
	assert_false(vars_now(&boot_entries, &conf).side[SIDE_B].confirmed);
	done(boot_entries.disable(&boot_entries, &conf, SIDE_B, &e), &e);
	assert_true(file_exists("env/sluice-b+0.conf"));
	assert_false(file_exists("env/sluice-b+3.conf"));
	entry_put("sluice-a+1.conf", "8");
	assert_false(vars_now(&boot_entries, &conf).side[SIDE_A].confirmed);
}

static void
entries_that_are_missing_or_make_no_sense_are_refused(void **state)
{
	(void)state;
	begin(&boot_entries);
	assert_int_equal(unlink("env/sluice-b+0.conf"), 0);
	refused(&boot_entries, &conf, "side B");
	assert_int_equal(folder_put("env/sluice-b+0.conf", "linux /x\n", 9), 0);
	refused(&boot_entries, &conf, "version");
	entry_put("sluice-b+0.conf", "12a");
	refused(&boot_entries, &conf, "version");
	entry_put("sluice-b+0.conf", "1");
	assert_int_equal(vars_now(&boot_entries, &conf).primary, SIDE_A);
	assert_int_equal(rename("env", "gone"), 0);
	refused(&boot_entries, &conf, file);
}

/* An update on its way to side B, whose boot is another one by now. */
static void
efi_activate(struct state *s)
{
	static char here[] = ".";
	struct err e = ERR_INIT;

	begin(&boot_efi);
	conf.state_dir = here;
	conf.boot_tries = 1;
	done(boot_efi.disable(&boot_efi, &conf, SIDE_B, &e), &e);
	*s = (struct state){.next_seq = 1,
		.pending = {.phase = PHASE_INSTALLING,
			.target = SIDE_B,
			.release = {true, "gateway", "2.0", 1, {{5}}, 1}}};
	done(install_activate(&conf, &boot_efi, s, &e), &e);
	(void)snprintf(s->pending.boot_id, sizeof(s->pending.boot_id), "earlier");
	efi_remove("BootNext");
}

/* The firmware forgets BootNext as it boots it: nothing in its variables tells a new system that
 * crashed from one that was never switched to. */
static void
a_system_that_efi_tried_once_and_left_has_failed(void **state)
{
	AUTO_FREE struct state *s = calloc(1, sizeof(*s));
	struct settlement now;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(s);
	efi_activate(s);
	done(settle(&conf, &boot_efi, s, &now, &e), &e);
	assert_int_equal(now.what, SETTLED_REVERTED);
	assert_non_null(state_failed(s, &now.was.release.manifest));

	efi_activate(s);
	s->pending.switched = false;
	done(settle(&conf, &boot_efi, s, &now, &e), &e);
	assert_int_equal(now.what, SETTLED_CLEANED);
	assert_null(state_failed(s, &now.was.release.manifest));
}

static void
efi_variables_that_make_no_sense_are_refused(void **state)
{
	struct err e = ERR_INIT;
	enum side side;

	(void)state;
	begin(&boot_efi);
	efi_put("BootOrder", (const uint8_t[]){9, 0, 8, 0}, 4);
	refused(&boot_efi, &conf, "BootOrder");
	efi_put("BootOrder", (const uint8_t[]){1, 0, 8}, 3);
	refused(&boot_efi, &conf, "BootOrder");
	efi_begin();
	efi_put("BootCurrent", (const uint8_t[]){9, 0}, 2);
	assert_int_equal(boot_efi.current(&boot_efi, &conf, &side, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	conf.boot_entry_b = conf.boot_entry_a;
	assert_int_equal(boot_efi.current(&boot_efi, &conf, &side, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

/* BootNext would lead nowhere, and the release would be blamed for it. */
static void
an_efi_entry_that_is_gone_or_not_active_is_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin(&boot_efi);
	done(boot_check(&boot_efi, &conf, &e), &e);
	efi_put("Boot00AB", (const uint8_t[]){0, 0, 0, 0, 0, 0}, 6);
	assert_int_equal(boot_check(&boot_efi, &conf, &e), -1);
	assert_non_null(strstr(e.text, "entry_b is Boot00AB, which is not active"));
	efi_remove("Boot00AB");
	assert_int_equal(boot_check(&boot_efi, &conf, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "efibootmgr --create --label sluice-B"));
	efi_begin();
	efi_remove("Boot0001");
	assert_int_equal(boot_check(&boot_efi, &conf, &e), -1);
	assert_non_null(strstr(e.text, "entry_a"));
}

static void
an_efi_order_that_lost_both_sides_is_made_anew(void **state)
{
	AUTO_BUF struct buf got = BUF_INIT(64);
	struct err e = ERR_INIT;

	(void)state;
	begin(&boot_efi);
	assert_int_equal(boot_efi.make(&conf, SIDE_A, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	efi_put("BootOrder", (const uint8_t[]){9, 0, 8, 0}, 4);
	refused(&boot_efi, &conf, "boot init");
	done(boot_check(&boot_efi, &conf, &e), &e);
	done(boot_efi.make(&conf, SIDE_A, &e), &e);
	assert_int_equal(vars_now(&boot_efi, &conf).primary, SIDE_A);
	assert_true(efi_get("BootOrder", &got));
	assert_memory_equal(got.data + 4, ((const uint8_t[]){1, 0, 9, 0, 8, 0}), 6);
	efi_remove("BootOrder");
	done(boot_efi.make(&conf, SIDE_A, &e), &e);
	assert_true(vars_now(&boot_efi, &conf).side[SIDE_A].confirmed);
}

/* What runs counts as one that boots as long as its entry is there, and no other side does without.
 */
static void
an_efi_side_whose_entry_is_gone_is_not_bootable(void **state)
{
	AUTO_BUF struct buf got = BUF_INIT(64);
	struct err e = ERR_INIT;

	(void)state;
	begin(&boot_efi);
	done(boot_efi.activate(&boot_efi, &conf, SIDE_B, 1, &e), &e);
	boot_other(&boot_efi);
	assert_true(vars_now(&boot_efi, &conf).side[SIDE_B].bootable);
	efi_remove("Boot00AB");
	assert_false(vars_now(&boot_efi, &conf).side[SIDE_B].bootable);
	assert_int_equal(boot_efi.confirm(&boot_efi, &conf, SIDE_B, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	/* The old side's: there is nothing to go back to, and the new one is all there is. */
	efi_put("Boot00AB", (const uint8_t[]){1, 0, 0, 0, 0, 0}, 6);
	efi_put("Boot0001", (const uint8_t[]){0, 0, 0, 0, 0, 0}, 6);
	assert_false(vars_now(&boot_efi, &conf).side[SIDE_A].bootable);
	assert_int_equal(boot_efi.go_back(&boot_efi, &conf, SIDE_A, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	done(boot_efi.confirm(&boot_efi, &conf, SIDE_B, &e), &e);
	assert_int_equal(vars_now(&boot_efi, &conf).primary, SIDE_B);
	assert_true(efi_get("BootOrder", &got));
	assert_memory_equal(got.data + 4, ((const uint8_t[]){9, 0, 0xab, 0, 8, 0}), 6);
	/* Another that is passed over before it boots nothing next. */
	efi_put("BootOrder", (const uint8_t[]){1, 0, 0xab, 0}, 4);
	assert_int_equal(vars_now(&boot_efi, &conf).primary, SIDE_B);
}

static void
an_efi_entry_that_cannot_be_read_holds_up_no_other_side(void **state)
{
	struct err e = ERR_INIT;
	enum side side;

	(void)state;
	for (int kept = 0; kept < 2; kept++) {
		begin(&boot_efi);
		done(boot_efi.activate(&boot_efi, &conf, SIDE_B, 1, &e), &e);
		boot_other(&boot_efi);
		efi_spoil(kept ? "Boot0001" : "Boot00AB");
		assert_false(vars_now(&boot_efi, &conf).side[kept ? SIDE_A : SIDE_B].bootable);
		done(boot_efi.current(&boot_efi, &conf, &side, &e), &e);
		assert_int_equal(side, SIDE_B);
		done(kept ? boot_efi.confirm(&boot_efi, &conf, SIDE_B, &e)
			  : boot_efi.go_back(&boot_efi, &conf, SIDE_A, &e),
			&e);
		assert_int_equal(vars_now(&boot_efi, &conf).primary, kept ? SIDE_B : SIDE_A);
		assert_int_equal(boot_check(&boot_efi, &conf, &e), -1);
	}
}

/* Firmware took the running side out of the order. With the other off nothing would be left in it.
 */
static void
no_efi_side_is_switched_off_when_what_runs_would_not_boot_again(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin(&boot_efi);
	done(boot_efi.activate(&boot_efi, &conf, SIDE_B, 1, &e), &e);
	boot_other(&boot_efi);
	done(boot_efi.confirm(&boot_efi, &conf, SIDE_B, &e), &e);
	/* In a plain file the last number stays behind a shorter order. */
	efi_put("BootOrder", (const uint8_t[]){9, 0, 1, 0, 8, 0}, 6);
	assert_int_equal(boot_efi.disable(&boot_efi, &conf, SIDE_A, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_true(vars_now(&boot_efi, &conf).side[SIDE_A].confirmed);
	done(boot_efi.confirm(&boot_efi, &conf, SIDE_B, &e), &e);
	assert_int_equal(vars_now(&boot_efi, &conf).primary, SIDE_B);
	done(boot_efi.disable(&boot_efi, &conf, SIDE_A, &e), &e);
}

/* `bootctl set-default` writes it: a side's name in it is booted whatever its counter says. */
static void
a_side_that_the_firmware_prefers_is_refused(void **state)
{
	static const char variable[] = "LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
	static const uint8_t text[] = "\7\0\0\0s\0l\0u\0i\0c\0e\0-\0a\0.\0c\0o\0n\0f\0";
	struct err e = ERR_INIT;
	char path[256];

	(void)state;
	begin(&boot_entries);
	assert_int_equal(folder_put("loader.conf", "default sluice-*\n", 17), 0);
	done(boot_check(&boot_entries, &conf, &e), &e);
	(void)snprintf(path, sizeof(path), "%s%s", efi_folder, variable);
	assert_int_equal(folder_put(path, text, sizeof(text)), 0);
	assert_int_equal(boot_check(&boot_entries, &conf, &e), -1);
	(void)unlink(path);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "bootctl set-default"));
	assert_non_null(strstr(e.text, "sluice-a.conf"));
}

static void
a_custom_program_that_fails_is_an_error(void **state)
{
	static const char *const bad[] = {"#!/bin/sh\nexit 3\n", "#!/bin/sh\necho primary=A\n",
		"#!/bin/sh\ncat vars; echo colour=red\n", "#!/bin/sh\ntrue\n",
		"#!/bin/sh\nyes | head -c 100000\n"};

	(void)state;
	begin(&boot_custom);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(folder_put(file, bad[i], strlen(bad[i])), 0);
		refused(&boot_custom, &conf, "env");
	}
}

/* It exits 0 and stores nothing. */
static void
what_reads_back_other_than_written_is_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	begin(&boot_custom);
	assert_int_equal(folder_put(file, "#!/bin/sh\n[ $1 = set ] || cat vars\n", 36), 0);
	assert_int_equal(boot_custom.activate(&boot_custom, &conf, SIDE_B, 1, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "reads back"));
}

/* libefivar looks for its folder before main(). */
static void
restart_with_folder(char **argv)
{
	char folder[] = "/tmp/sluice-efivars.XXXXXX", path[64];

	if (!mkdtemp(folder))
		abort();
	(void)snprintf(path, sizeof(path), "%s/", folder);
	if (setenv("EFIVARFS_PATH", path, 1) == 0)
		(void)execv("/proc/self/exe", argv);
	abort();
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(grub_is_switched_tried_and_confirmed),
		IN_FOLDER(uboot_is_switched_tried_and_confirmed),
		IN_FOLDER(systemd_boot_is_switched_tried_and_confirmed),
		IN_FOLDER(efi_is_switched_tried_and_confirmed),
		IN_FOLDER(custom_program_is_switched_tried_and_confirmed),
		IN_FOLDER(a_try_that_systemd_boot_counted_is_read),
		IN_FOLDER(two_entries_of_one_side_are_its_trial_and_become_one),
		IN_FOLDER(entries_that_are_missing_or_make_no_sense_are_refused),
		IN_FOLDER(a_system_that_efi_tried_once_and_left_has_failed),
		IN_FOLDER(efi_variables_that_make_no_sense_are_refused),
		IN_FOLDER(an_efi_entry_that_is_gone_or_not_active_is_refused),
		IN_FOLDER(an_efi_order_that_lost_both_sides_is_made_anew),
		IN_FOLDER(an_efi_side_whose_entry_is_gone_is_not_bootable),
		IN_FOLDER(an_efi_entry_that_cannot_be_read_holds_up_no_other_side),
		IN_FOLDER(no_efi_side_is_switched_off_when_what_runs_would_not_boot_again),
		IN_FOLDER(a_side_that_the_firmware_prefers_is_refused),
		IN_FOLDER(a_custom_program_that_fails_is_an_error),
		IN_FOLDER(what_reads_back_other_than_written_is_refused),
	};

	int failed;

	(void)argc;
	efi_folder = getenv("EFIVARFS_PATH");
	if (!efi_folder)
		restart_with_folder(argv);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	efi_clear();
	(void)rmdir(efi_folder);
	return failed;
}
