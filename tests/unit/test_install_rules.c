/* What installing asks before it writes, and looks at after each step. */
#include "tests/unit/rig.h"

static const char ROOTFS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n";
static const char ROOTFS_DIR[] = "[slot rootfs]\ntype = dir\na = @/a.dir\nb = @/b.dir\n";
static const char APP_LINK[] = "[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n"
			       "current = @/app\n";

enum { IMAGE_BYTES = 3 * CHUNK_BYTES };
static uint8_t image[IMAGE_BYTES];

static void
image_box(struct rig *r, const char *folder)
{
	rig_make(r, folder, ROOTFS);
	rig_slot("a.img");
	rig_slot("b.img");
	rig_write_image(r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
}

static void
write_tree(const struct rig *r, const char *slot_class)
{
	static const struct rig_entry entry = {.path = "app", .content = "the app", .mode = 0755};
	CLEANUP(made_free) struct made made;
	AUTO_BUF struct buf files = BUF_INIT(1 << 20);
	struct rig_bundle b = {.version = "2.0", .rollback_index = 5, .count = 1};

	rig_tree(&made, &files, "app", slot_class, &entry, 1);
	b.made[0] = &made;
	b.files[0] = &files;
	rig_write(r, &b, "x.ota");
}

static void
tree_box(struct rig *r, const char *folder)
{
	char path[PATH_MAX];

	rig_make(r, folder, APP_LINK);
	assert_int_equal(mkdir("a.app", 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/a.app", folder);
	assert_int_equal(symlink(path, "app"), 0);
	write_tree(r, "app");
}

/* Nothing has changed when a rule says no. */
static void
assert_refused(struct rig *r, const char *word)
{
	struct err e = ERR_INIT;

	assert_int_equal(rig_install(r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	if (!strstr(e.text, word))
		fail_msg("wanted %s in: %s", word, e.text);
	assert_true(rig_env(r).vars.side[SIDE_B].bootable);
}

static void
an_image_may_fill_its_slot_to_the_last_byte(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	image_box(&r, *state);
	assert_int_equal(truncate("b.img", IMAGE_BYTES - 1), 0);
	assert_refused(&r, "holds");
	assert_int_equal(truncate("b.img", IMAGE_BYTES), 0);
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
}

static void
a_tree_needs_room_beside_the_one_that_is_used(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	tree_box(&r, *state);
	assert_int_equal(rig_verify(&r, "x.ota", &e), 0);
	assert_int_equal(install_check(r.c, r.s, &r.head, &e), 0);
	r.head.manifest->payloads[0].size = INT64_MAX;
	assert_int_equal(install_check(r.c, r.s, &r.head, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "has room for"));
	/* What an interrupted attempt has left is part of the room. */
	assert_int_equal(mkdir("b.app.new", 0755), 0);
	assert_int_equal(install_check(r.c, r.s, &r.head, &e), 0);
}

static void
a_payload_of_another_kind_than_its_slot_is_refused(void **state)
{
	CLEANUP(rig_free) struct rig image_there;
	CLEANUP(rig_free) struct rig tree_there;

	image_box(&image_there, *state);
	write_tree(&image_there, "rootfs");
	assert_refused(&image_there, "payload app is a tree");
	rig_make(&tree_there, *state, ROOTFS_DIR);
	rig_write_image(&tree_there, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	assert_refused(&tree_there, "payload rootfs is an image");
}

static void
a_slot_whose_sides_are_one_place_is_not_written(void **state)
{
	CLEANUP(rig_free) struct rig r;

	image_box(&r, *state);
	assert_int_equal(unlink("b.img"), 0);
	assert_int_equal(link("a.img", "b.img"), 0);
	assert_refused(&r, "same place");
}

/* An update of the link is on trial, and a bundle comes for what the bootloader switches. */
static void
an_unconfirmed_update_of_the_other_kind_comes_first(void **state)
{
	static const enum phase unconfirmed[] = {PHASE_ACTIVATED, PHASE_REVERTING};
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	image_box(&r, *state);
	for (size_t i = 0; i < ARRAY_LEN(unconfirmed); i++) {
		r.s->pending = (struct pending){.phase = unconfirmed[i],
			.tree_only = true,
			.target = SIDE_B,
			.release.known = true};
		assert_refused(&r, "another update");
		assert_int_equal(r.s->pending.phase, unconfirmed[i]);
	}
	r.s->pending.phase = PHASE_INSTALLING;
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
}

/* A bootloader that says yes and does nothing, or that is looked at while it works. */
static struct boot_backend lying;
static enum phase recorded;

static int
do_nothing(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	(void)b;
	(void)c;
	(void)s;
	(void)e;
	return 0;
}

static int
activate_nothing(const struct boot_backend *b, const struct conf *c, enum side s, uint64_t tries,
	struct err *e)
{
	(void)tries;
	return do_nothing(b, c, s, e);
}

static int
activate_and_look(const struct boot_backend *b, const struct conf *c, enum side s, uint64_t tries,
	struct err *e)
{
	AUTO_FREE struct state *now = calloc(1, sizeof(*now));

	assert_non_null(now);
	assert_int_equal(state_load(c->state_dir, now, e), 0);
	recorded = now->pending.phase;
	return boot_simulated.activate(b, c, s, tries, e);
}

static void
a_target_that_stays_next_to_boot_is_not_written(void **state)
{
	CLEANUP(rig_free) struct rig r;
	AUTO_BUF struct buf now = BUF_INIT(RIG_SLOT_BYTES);
	struct err e = ERR_INIT;

	image_box(&r, *state);
	lying = boot_simulated;
	lying.disable = do_nothing;
	r.boot = &lying;
	assert_int_equal(boot_simulated.activate(&boot_simulated, r.c, SIDE_B, 3, &e), 0);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "still next to boot"));
	assert_int_equal(r.s->pending.phase, PHASE_NONE);
	assert_int_equal(file_read("b.img", &now, &e), 0);
	for (size_t i = 0; i < now.len; i++)
		assert_int_equal(now.data[i], 0);
}

static void
a_target_that_is_not_next_to_boot_is_not_activated(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	image_box(&r, *state);
	lying = boot_simulated;
	lying.activate = activate_nothing;
	r.boot = &lying;
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "is not next to boot"));
}

/* A switch that nobody remembers would be a new system that nobody judges. */
static void
what_is_switched_was_recorded_before(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	image_box(&r, *state);
	lying = boot_simulated;
	lying.activate = activate_and_look;
	r.boot = &lying;
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	recorded = PHASE_NONE;
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	assert_int_equal(recorded, PHASE_ACTIVATED);
}

static void
what_was_on_the_other_side_is_forgotten_before_it_is_written_over(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	image_box(&r, *state);
	r.s->running[SIDE_A].known = r.s->running[SIDE_B].known = true;
	(void)snprintf(r.s->running[SIDE_A].version, sizeof(r.s->running[SIDE_A].version), "1.9");
	(void)snprintf(r.s->running[SIDE_B].version, sizeof(r.s->running[SIDE_B].version), "1.8");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(state_load(r.c->state_dir, r.s, &e), 0);
	assert_string_equal(r.s->running[SIDE_A].version, "1.9");
	assert_false(r.s->running[SIDE_B].known);
}

/* Storage that loses what it was given: a byte changes once it is written. */
struct decay {
	unsigned asked, from;
	const char *path;
	off_t at;
};

static int
decay(void *arg, struct err *e)
{
	struct decay *d = arg;
	AUTO_CLOSE int fd = -1;

	(void)e;
	if (d->asked++ < d->from)
		return 0;
	fd = open(d->path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		assert_int_equal(pwrite(fd, "?", 1, d->at), 1);
	return 0;
}

static void
assert_decay_is_seen(struct rig *r, struct decay *d)
{
	struct keep_going keep_going = {decay, d};
	struct err e = ERR_INIT;

	assert_int_equal(rig_install(r, "x.ota", &keep_going, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	if (!strstr(e.text, "other than"))
		fail_msg("%s", e.text);
}

/* Three chunks are compared, then mended: from the last of these questions on, the first chunk is
 * on the disk. */
static void
an_image_that_reads_back_other_than_written_is_not_installed(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct decay d = {.from = 5, .path = "b.img", .at = 100};

	image_box(&r, *state);
	assert_decay_is_seen(&r, &d);
	assert_false(rig_env(&r).vars.side[SIDE_B].bootable);
}

static void
a_tree_that_reads_back_other_than_written_is_not_put_in_place(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct decay d = {.path = "b.app.new/app"};

	tree_box(&r, *state);
	assert_decay_is_seen(&r, &d);
	assert_int_equal(access("b.app", F_OK), -1);
}

static int
make_image(void **state)
{
	(void)state;
	noise(image, IMAGE_BYTES, 7);
	return 0;
}

static void
abandoned_install_says_why(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	image_box(&r, *state);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	err_set(&e, ERR_REFUSED, "a hook said no");
	assert_int_equal(install_abandon(r.c, r.s, &r.head.release, &e), -1);
	assert_int_equal(state_load(r.c->state_dir, r.s, &e), 0);
	assert_int_equal(r.s->pending.phase, PHASE_NONE);
	assert_non_null(strstr(r.s->last_result, "a hook said no"));
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), -1);
	assert_false(rig_env(&r).vars.side[SIDE_B].bootable);
}

/* Installed, and not rebooted: a second bundle takes its place, or would. */
static void
what_is_under_way_stays_so_where_its_side_cannot_be_taken(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct boot_env env;
	struct err e = ERR_INIT;

	image_box(&r, *state);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	env = rig_env(&r);
	env.vars.side[SIDE_A].bootable = false;
	assert_int_equal(boot_env_save(r.c->boot_file, &env, &e), 0);
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "3.0", 5, "y.ota");
	assert_int_equal(rig_install(&r, "y.ota", NULL, &e), -1);
	assert_int_equal(install_abandon(r.c, r.s, &r.head.release, &e), -1);
	assert_int_equal(r.s->pending.phase, PHASE_ACTIVATED);
	assert_string_equal(r.s->pending.release.version, "2.0");
	assert_non_null(strstr(r.s->last_result, "3.0: not installed"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
		IN_FOLDER(abandoned_install_says_why),
		IN_FOLDER(what_is_under_way_stays_so_where_its_side_cannot_be_taken),
		IN_FOLDER(an_image_may_fill_its_slot_to_the_last_byte),
		IN_FOLDER(a_tree_needs_room_beside_the_one_that_is_used),
		IN_FOLDER(a_payload_of_another_kind_than_its_slot_is_refused),
		IN_FOLDER(a_slot_whose_sides_are_one_place_is_not_written),
		IN_FOLDER(an_unconfirmed_update_of_the_other_kind_comes_first),
		IN_FOLDER(a_target_that_stays_next_to_boot_is_not_written),
		IN_FOLDER(a_target_that_is_not_next_to_boot_is_not_activated),
		IN_FOLDER(what_is_switched_was_recorded_before),
		IN_FOLDER(what_was_on_the_other_side_is_forgotten_before_it_is_written_over),
		IN_FOLDER(an_image_that_reads_back_other_than_written_is_not_installed),
		IN_FOLDER(a_tree_that_reads_back_other_than_written_is_not_put_in_place),
	};

	return cmocka_run_group_tests_name("install_rules", tests, make_image, NULL);
}
