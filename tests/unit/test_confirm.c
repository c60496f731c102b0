#include "tests/unit/rig.h"

#include <signal.h>
#include <sys/resource.h>

#include "agent/confirm.h"
#include "agent/revert.h"
#include "agent/settle.h"
#include "common/base/clock.h"

static const char ROOTFS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n"
			     "read_only = yes\n[health]\ndir = @/health.d\n";
static const char APP_LINK[] = "[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n"
			       "current = @/app\n[health]\ndir = @/health.d\n";
static const struct rig_entry APP[] = {{.path = "app", .content = "the app", .mode = 0755}};

enum { IMAGE_BYTES = 2 * CHUNK_BYTES + 77 };
static uint8_t image[IMAGE_BYTES];

static struct settlement
settled(struct rig *r, enum settled wanted)
{
	struct settlement now;
	struct err e = ERR_INIT;

	if (settle(r->c, r->boot, r->s, &now, &e) < 0)
		fail_msg("%s", e.text);
	if (now.what != wanted)
		fail_msg("settled as %d: %s", now.what, now.detail);
	return now;
}

/* Side B holds version 2.0, index 5, and is activated. */
static void
rig_activated(struct rig *r, const char *folder)
{
	struct err e = ERR_INIT;

	rig_make(r, folder, ROOTFS);
	rig_slot("a.img");
	rig_slot("b.img");
	assert_int_equal(mkdir("health.d", 0755), 0);
	rig_write_image(r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	if (rig_install(r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(install_activate(r->c, r->boot, r->s, &e), 0);
}

static void
rig_linked(struct rig *r, const char *folder)
{
	CLEANUP(made_free) struct made app;
	AUTO_BUF struct buf files = BUF_INIT(1 << 20);
	struct rig_bundle b = {.version = "2.0", .rollback_index = 5, .count = 1};
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	rig_make(r, folder, APP_LINK);
	assert_int_equal(mkdir("health.d", 0755), 0);
	assert_int_equal(mkdir("a.app", 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/a.app", folder);
	assert_int_equal(symlink(path, "app"), 0);
	rig_tree(&app, &files, "app", "app", APP, ARRAY_LEN(APP));
	b.made[0] = &app;
	b.files[0] = &files;
	rig_write(r, &b, "x.ota");
	if (rig_install(r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(install_activate(r->c, r->boot, r->s, &e), 0);
}

static int
check(const struct rig *r, struct err *e)
{
	if (confirm_health(r->c, r->boot, r->s, NULL, e) < 0)
		return -1;
	return confirm_digests(r->c, r->s, NULL, e);
}

static void
healthy_system_is_confirmed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	(void)settled(&r, SETTLED_INSTALLED);
	assert_int_equal(check(&r, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	if (check(&r, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.s->rollback_floor, 0);
	assert_int_equal(confirm_commit(r.c, r.boot, r.s, &e), 0);
	rig_power_on(&r, "boot-2");
	(void)settled(&r, SETTLED_NOTHING);
	assert_int_equal(rig_env(&r).booted, SIDE_B);
	assert_true(rig_env(&r).vars.side[SIDE_B].confirmed);
	assert_int_equal(r.s->rollback_floor, 5);
	assert_true(r.s->running[SIDE_B].known);
	assert_string_equal(r.s->running[SIDE_B].version, "2.0");
}

/* What has happened to others: mark-good said that all was well, and the write had failed. */
static void
mark_good_that_cannot_be_written_is_no_success(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct rlimit was, none;
	struct err e = ERR_INIT;
	int rc;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	/* From here on no file can be written: the disk is full, say. */
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = (struct rlimit){0, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	rc = confirm_commit(r.c, r.boot, r.s, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_false(rig_env(&r).vars.side[SIDE_B].confirmed);
	assert_false(r.s->running[SIDE_B].known);
	assert_int_equal(r.s->rollback_floor, 0);
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(confirm_commit(r.c, r.boot, r.s, &e), 0);
	assert_true(rig_env(&r).vars.side[SIDE_B].confirmed);
}

static void
floor_never_sinks(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	r.s->rollback_floor = 9;
	assert_int_equal(state_save(r.c->state_dir, r.s, &e), 0);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(confirm_commit(r.c, r.boot, r.s, &e), 0);
	assert_int_equal(r.s->rollback_floor, 9);
}

static void
unhealthy_system_is_not_confirmed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	rig_file("health.d/10-web", "#!/bin/sh\necho the web server is down\nexit 1\n");
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(check(&r, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "the web server is down"));
	assert_false(rig_env(&r).vars.side[SIDE_B].confirmed);
}

static void
changed_slot_is_not_confirmed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(
		system("printf x | dd of=b.img bs=1 seek=70000 conv=notrunc status=none"), 0);
	assert_int_equal(check(&r, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
changed_manifest_is_not_believed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(system("sed -i s/2[.]0/2.1/ state/manifest.B.json"), 0);
	assert_int_equal(check(&r, &e), -1);
	/* This disk is to blame, and no release. */
	assert_int_equal(e.class, ERR_SYSTEM);
}

static void
bootloader_that_fell_back_condemns_the_release(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct settlement now;
	const struct failed *f;
	char id[32];

	rig_activated(&r, *state);
	for (int i = 1; i <= 4; i++) {
		(void)snprintf(id, sizeof(id), "boot-%d", i);
		rig_power_on(&r, id);
	}
	assert_int_equal(rig_env(&r).booted, SIDE_A);
	now = settled(&r, SETTLED_REVERTED);
	assert_string_equal(now.was.release.version, "2.0");
	f = state_failed(r.s, &now.was.release.manifest);
	assert_non_null(f);
	assert_false(f->inconclusive);
	assert_non_null(strstr(f->reason, "bootloader went back"));
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
	assert_false(rig_env(&r).vars.side[SIDE_B].bootable);
	(void)settled(&r, SETTLED_NOTHING);
	assert_int_equal(r.s->rollback_floor, 0);
}

/* Given up in the new system: only the reboot completes it, and it is completed from anywhere. */
static void
given_up_system_goes_back(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	struct settlement now;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_CONDEMN, "unhealthy", &e), 0);
	assert_true(revert_needs_reboot(r.s));
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
	(void)settled(&r, SETTLED_GOING_BACK);
	rig_power_on(&r, "boot-2");
	assert_int_equal(rig_env(&r).booted, SIDE_A);
	now = settled(&r, SETTLED_REVERTED);
	assert_string_equal(now.detail, "unhealthy");
	assert_non_null(state_failed(r.s, &now.was.release.manifest));
}

/* The power goes after what is remembered and before the switch. */
static void
cut_off_revert_is_completed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	struct boot_env before;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	before = rig_env(&r);
	assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_CONDEMN, "unhealthy", &e), 0);
	assert_int_equal(boot_env_save(r.c->boot_file, &before, &e), 0);
	r.s->pending.told = false;
	assert_int_equal(state_save(r.c->state_dir, r.s, &e), 0);
	rig_power_on(&r, "boot-2");
	assert_int_equal(rig_env(&r).booted, SIDE_B);
	(void)settled(&r, SETTLED_GOING_BACK);
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
	rig_power_on(&r, "boot-3");
	(void)settled(&r, SETTLED_REVERTED);
}

static void
cut_off_confirm_is_completed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	assert_int_equal(r.boot->confirm(r.boot, r.c, SIDE_B, &e), 0);
	rig_power_on(&r, "boot-2");
	(void)settled(&r, SETTLED_CONFIRMED);
	assert_int_equal(r.s->rollback_floor, 5);
	(void)settled(&r, SETTLED_NOTHING);
}

static void
cut_off_activation_is_cleaned(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	assert_int_equal(r.boot->disable(r.boot, r.c, SIDE_B, &e), 0);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_CLEANED);
	assert_int_equal(r.s->failed_count, 0);
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
}

/* The state says so already, and the bootloader still boots the old side. */
static void
activation_that_never_reached_the_bootloader_is_cleaned(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct boot_env env;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	env = rig_env(&r);
	env.vars.primary = SIDE_A;
	assert_int_equal(boot_env_save(r.c->boot_file, &env, &e), 0);
	(void)settled(&r, SETTLED_CLEANED);
	assert_int_equal(r.s->failed_count, 0);
}

static void
every_slot_is_read_before_confirming(void **state)
{
	CLEANUP(made_free) struct made rootfs, kernel;
	struct rig_bundle b = {.version = "2.0", .count = 2, .made = {&rootfs, &kernel}};
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state,
		"[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\nread_only = yes\n"
		"[slot kernel]\ntype = file\na = @/a.krn\nb = @/b.krn\nread_only = yes\n"
		"[health]\ndir = @/health.d\n");
	rig_slot("a.img");
	rig_slot("b.img");
	rig_slot("a.krn");
	rig_slot("b.krn");
	assert_int_equal(mkdir("health.d", 0755), 0);
	made_image(&rootfs, "rootfs", "rootfs", span_of(image, IMAGE_BYTES));
	made_image(&kernel, "kernel", "kernel", span_of(image, CHUNK_BYTES));
	rig_write(&r, &b, "x.ota");
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	rig_power_on(&r, "boot-1");
	assert_int_equal(check(&r, &e), 0);
	rig_file("b.krn", "another kernel");
	assert_int_equal(truncate("b.krn", RIG_SLOT_BYTES), 0);
	assert_int_equal(check(&r, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
nothing_is_confirmed_where_nothing_was_activated(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	r.s->pending = (struct pending){0};
	assert_int_equal(check(&r, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "no update waits"));
}

static void
inconclusive_tries_are_counted_and_not_held_against_it(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	const struct failed *f;

	rig_activated(&r, *state);
	for (uint64_t i = 1; i <= 3; i++) {
		rig_power_on(&r, "boot-1");
		(void)settled(&r, SETTLED_UNCONFIRMED);
		assert_int_equal(
			revert_begin(r.c, r.boot, r.s, REVERT_INCONCLUSIVE, "no network", &e), 0);
		f = state_failed(r.s, &r.s->pending.release.manifest);
		assert_non_null(f);
		assert_true(f->inconclusive);
		assert_int_equal(f->tries, i);
		rig_power_on(&r, "boot-2");
		(void)settled(&r, SETTLED_REVERTED);
		assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
		assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	}
}

static void
stop_after_an_inconclusive_try_is_told_as_a_stop(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	struct settlement now;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_INCONCLUSIVE, "no network", &e), 0);
	rig_power_on(&r, "boot-2");
	now = settled(&r, SETTLED_REVERTED);
	assert_false(now.was.cancelled);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	rig_power_on(&r, "boot-3");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_CANCEL, "smoke was seen", &e), 0);
	rig_power_on(&r, "boot-4");
	now = settled(&r, SETTLED_REVERTED);
	assert_true(now.was.cancelled);
	assert_non_null(strstr(now.detail, "smoke was seen"));
}

static void
try_from_a_file_does_not_lower_the_attempt_that_failed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	struct failed f = {.attempt = 3, .tries = 1, .reason = "unhealthy"};

	rig_activated(&r, *state);
	f.manifest = r.s->pending.release.manifest;
	state_remember_failed(r.s, &f);
	assert_int_equal(r.s->pending.release.attempt, 0);
	assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_CONDEMN, "on fire", &e), 0);
	assert_int_equal(state_failed(r.s, &f.manifest)->attempt, 3);
	assert_string_equal(state_failed(r.s, &f.manifest)->reason, "on fire");
}

static void
stop_before_the_reboot_cancels_and_condemns_nothing(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_CANCEL, "stopped", &e), 0);
	assert_int_equal(revert_finish(r.c, r.boot, r.s, &e), 0);
	assert_false(revert_needs_reboot(r.s));
	assert_int_equal(r.s->failed_count, 0);
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
	(void)settled(&r, SETTLED_NOTHING);
}

static void
confirmed_release_is_rolled_back_by_hand(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(confirm_commit(r.c, r.boot, r.s, &e), 0);
	/* What was on side A is not known to be at the floor. */
	assert_int_equal(revert_confirmed(r.c, r.boot, r.s, false, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	r.s->running[SIDE_A] = (struct release){true, "gateway", "1.0", 5, {{1}}, 0};
	assert_int_equal(revert_confirmed(r.c, r.boot, r.s, false, &e), 0);
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
	assert_non_null(state_failed(r.s, &r.s->running[SIDE_B].manifest));
}

static void
deadline_starts_with_the_first_sight_of_each_boot(void **state)
{
	CLEANUP(rig_free) struct rig r;

	rig_activated(&r, *state);
	rig_power_on(&r, "boot-1");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(r.s->pending.boots, 1);
	assert_false(confirm_is_overdue(r.c, r.s));
	assert_true(confirm_left_ms(r.c, r.s) <= 900 * 1000);
	r.s->pending.deadline_s = 60;
	assert_true(confirm_left_ms(r.c, r.s) <= 60 * 1000);
	r.s->pending.deadline_s = 0;
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(r.s->pending.boots, 1);
	r.s->pending.first_seen_boot_ms = clock_boot_ms() - 900 * 1000;
	assert_true(confirm_is_overdue(r.c, r.s));
	rig_power_on(&r, "boot-2");
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(r.s->pending.boots, 2);
	assert_false(confirm_is_overdue(r.c, r.s));
}

static void
linked_tree_is_confirmed_without_a_reboot(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_linked(&r, *state);
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(check(&r, &e), 0);
	assert_int_equal(confirm_commit(r.c, r.boot, r.s, &e), 0);
	assert_true(r.s->linked[SIDE_B].known);
	assert_false(r.s->running[SIDE_B].known);
	(void)settled(&r, SETTLED_NOTHING);
}

static void
linked_tree_goes_back_at_once(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_linked(&r, *state);
	assert_int_equal(access("app/app", X_OK), 0);
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(revert_begin(r.c, r.boot, r.s, REVERT_CONDEMN, "unhealthy", &e), 0);
	(void)settled(&r, SETTLED_REVERTED);
	assert_false(revert_needs_reboot(r.s));
	assert_int_equal(access("app/app", F_OK), -1);
	(void)settled(&r, SETTLED_NOTHING);
}

static void
link_goes_back_only_to_what_is_there(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	enum side current;

	rig_linked(&r, *state);
	(void)settled(&r, SETTLED_UNCONFIRMED);
	assert_int_equal(confirm_commit(r.c, r.boot, r.s, &e), 0);
	r.s->rollback_floor = 0;
	assert_int_equal(rmdir("a.app"), 0);
	assert_int_equal(revert_confirmed(r.c, r.boot, r.s, true, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(mkdir("a.app", 0755), 0);
	assert_int_equal(revert_confirmed(r.c, r.boot, r.s, true, &e), 0);
	assert_int_equal(boot_links.current(&boot_links, r.c, &current, &e), 0);
	assert_int_equal(current, SIDE_A);
}

/* No bootloader counts tries of a link, so the agent does. */
static void
linked_tree_that_never_confirms_is_overdue_after_its_boots(void **state)
{
	CLEANUP(rig_free) struct rig r;
	char id[32];

	rig_linked(&r, *state);
	for (int i = 1; i <= 4; i++) {
		assert_false(confirm_is_overdue(r.c, r.s));
		(void)snprintf(id, sizeof(id), "boot-%d", i);
		rig_power_on(&r, id);
		(void)settled(&r, SETTLED_UNCONFIRMED);
	}
	assert_true(confirm_is_overdue(r.c, r.s));
}

static void
cut_off_swap_of_a_link_is_cleaned(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_linked(&r, *state);
	assert_int_equal(boot_links.go_back(&boot_links, r.c, SIDE_A, &e), 0);
	(void)settled(&r, SETTLED_CLEANED);
	assert_int_equal(r.s->failed_count, 0);
}

static int
make_image(void **state)
{
	(void)state;
	noise(image, IMAGE_BYTES, 9);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
		IN_FOLDER(healthy_system_is_confirmed),
		IN_FOLDER(mark_good_that_cannot_be_written_is_no_success),
		IN_FOLDER(floor_never_sinks),
		IN_FOLDER(unhealthy_system_is_not_confirmed),
		IN_FOLDER(changed_slot_is_not_confirmed),
		IN_FOLDER(changed_manifest_is_not_believed),
		IN_FOLDER(bootloader_that_fell_back_condemns_the_release),
		IN_FOLDER(given_up_system_goes_back),
		IN_FOLDER(cut_off_revert_is_completed),
		IN_FOLDER(cut_off_confirm_is_completed),
		IN_FOLDER(cut_off_activation_is_cleaned),
		IN_FOLDER(activation_that_never_reached_the_bootloader_is_cleaned),
		IN_FOLDER(nothing_is_confirmed_where_nothing_was_activated),
		IN_FOLDER(every_slot_is_read_before_confirming),
		IN_FOLDER(inconclusive_tries_are_counted_and_not_held_against_it),
		IN_FOLDER(stop_before_the_reboot_cancels_and_condemns_nothing),
		IN_FOLDER(stop_after_an_inconclusive_try_is_told_as_a_stop),
		IN_FOLDER(try_from_a_file_does_not_lower_the_attempt_that_failed),
		IN_FOLDER(confirmed_release_is_rolled_back_by_hand),
		IN_FOLDER(deadline_starts_with_the_first_sight_of_each_boot),
		IN_FOLDER(linked_tree_is_confirmed_without_a_reboot),
		IN_FOLDER(linked_tree_goes_back_at_once),
		IN_FOLDER(link_goes_back_only_to_what_is_there),
		IN_FOLDER(linked_tree_that_never_confirms_is_overdue_after_its_boots),
		IN_FOLDER(cut_off_swap_of_a_link_is_cleaned),
	};

	return cmocka_run_group_tests(tests, make_image, NULL);
}
