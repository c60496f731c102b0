#include "tests/unit/rig.h"

#include "agent/confirm.h"
#include "agent/revert.h"
#include "agent/settle.h"
#include "agent/tree.h"

static const char ROOTFS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n";
static const char ROOTFS_AND_APP[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n"
				     "[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n";
static const char APP_LINK[] = "[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n"
			       "current = @/app\n";
static const char TWO_LINKED[] =
	"[slot app]\ntype = dir\na = @/one/app\nb = @/two/app\ncurrent = @/now\n"
	"[slot web]\ntype = dir\na = @/one/web\nb = @/two/web\ncurrent = @/now\n";

enum { IMAGE_BYTES = 5 * CHUNK_BYTES + 77 };
static uint8_t image[IMAGE_BYTES];

static const struct rig_entry APP[] = {
	{.path = "bin", .mode = 0755}, {.path = "bin/app", .content = "the app", .mode = 0755}};
static const struct rig_entry WEB[] = {{.path = "index.html", .content = "hello", .mode = 0644}};

static void
slots_make(void)
{
	rig_slot("a.img");
	rig_slot("b.img");
}

static void
assert_slot_holds(const char *path, const uint8_t *bytes, size_t len)
{
	AUTO_BUF struct buf now = BUF_INIT(RIG_SLOT_BYTES);
	struct err e = ERR_INIT;

	assert_int_equal(file_read(path, &now, &e), 0);
	assert_int_equal(now.len, RIG_SLOT_BYTES);
	assert_memory_equal(now.data, bytes, len);
}

static void
assert_refused(struct rig *r, const char *path, const char *word)
{
	struct err e = ERR_INIT;

	assert_int_equal(rig_install(r, path, NULL, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	if (!strstr(e.text, word))
		fail_msg("wanted %s in: %s", word, e.text);
	assert_int_equal(r->s->pending.phase, PHASE_NONE);
	assert_true(rig_env(r).vars.side[SIDE_B].bootable);
}

static void
image_is_installed_and_activated(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	struct boot_env env;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_slot_holds("b.img", image, IMAGE_BYTES);
	env = rig_env(&r);
	assert_false(env.vars.side[SIDE_B].bootable);
	assert_int_equal(env.vars.primary, SIDE_A);
	assert_int_equal(r.s->pending.phase, PHASE_INSTALLING);
	assert_int_equal(r.stats.bytes_written, IMAGE_BYTES - CHUNK_BYTES);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	env = rig_env(&r);
	assert_int_equal(env.vars.primary, SIDE_B);
	assert_true(env.vars.side[SIDE_B].bootable && !env.vars.side[SIDE_B].confirmed);
	assert_int_equal(env.vars.side[SIDE_B].tries_left, 3);
	assert_int_equal(state_load(r.c->state_dir, r.s, &e), 0);
	assert_int_equal(r.s->pending.phase, PHASE_ACTIVATED);
	assert_string_equal(r.s->pending.boot_id, "boot-0");
	assert_string_equal(r.s->pending.release.version, "2.0");
}

static void
what_is_in_place_is_not_written_again(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(r.stats.bytes_written, 0);
	assert_int_equal(r.stats.bytes_fetched, 0);
	assert_int_equal(r.stats.bytes_in_place, IMAGE_BYTES);
}

static void
rules_say_no_before_anything_changes(void **state)
{
	CLEANUP(rig_free) struct rig r;
	CLEANUP(made_free) struct made one, two;
	struct rig_bundle b = {.version = "2.0", .compatible = "other", .count = 1};

	rig_make(&r, *state, ROOTFS);
	slots_make();
	made_image(&one, "rootfs", "rootfs", span_of(image, IMAGE_BYTES));
	made_image(&two, "kernel", "kernel", span_of(image, CHUNK_BYTES));
	b.made[0] = &one;
	rig_write(&r, &b, "other.ota");
	assert_refused(&r, "other.ota", "not for acme");

	b.compatible = NULL;
	b.rollback_index = 3;
	rig_write(&r, &b, "old.ota");
	r.s->rollback_floor = 4;
	assert_refused(&r, "old.ota", "rollback index 3");
	r.s->rollback_floor = 0;

	b.made[1] = &two;
	b.count = 2;
	rig_write(&r, &b, "more.ota");
	assert_refused(&r, "more.ota", "slot kernel");

	b.count = 1;
	assert_int_equal(truncate("b.img", IMAGE_BYTES - 1), 0);
	assert_refused(&r, "old.ota", "holds");
	assert_int_equal(truncate("b.img", IMAGE_BYTES), 0);
}

static void
unconfirmed_system_is_not_overwritten_from(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	rig_power_on(&r, "boot-1");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "not confirmed"));
	assert_true(rig_env(&r).vars.side[SIDE_A].bootable);
}

/* The bootloader has one side left, and it is not the running one. */
static void
rolled_back_system_is_not_overwritten_before_the_reboot(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 0, "x.ota");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	rig_power_on(&r, "boot-1");
	assert_int_equal(confirm_commit(r.c, r.boot, r.s, &e), 0);
	if (revert_confirmed(r.c, r.boot, r.s, false, &e) < 0)
		fail_msg("%s", e.text);
	/* Nothing is wrong with the bundle. */
	assert_int_equal(install_check(r.c, r.s, &r.head, &e), 0);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_non_null(strstr(e.text, "reboot first"));
	assert_true(rig_env(&r).vars.side[SIDE_A].bootable);
	rig_power_on(&r, "boot-2");
	assert_int_equal(rig_env(&r).booted, SIDE_A);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
}

/* Before the reboot a newer bundle may take the place of an activated one. */
static void
activated_update_is_replaced(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	rig_write_image(&r, span_of(image, CHUNK_BYTES), "2.1", 5, "y.ota");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	assert_int_equal(rig_install(&r, "y.ota", NULL, &e), 0);
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
	assert_false(rig_env(&r).vars.side[SIDE_B].bootable);
}

static void
wrong_key_is_refused(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	r.releases.threshold = 2;
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	r.releases.threshold = 0;
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	r.releases.threshold = 1;
	json_array_clear(r.keyids);
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

/* A bundle is refused, or installs exactly what was signed, whatever byte of it changes. */
static void
flipped_and_truncated_bundles_are_refused(void **state)
{
	CLEANUP(rig_free) struct rig r;
	AUTO_BUF struct buf good = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	uint64_t head_size;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	rig_write_image(&r, span_of(image, CHUNK_BYTES + 9), "2.0", 5, "x.ota");
	assert_int_equal(file_read("x.ota", &good, &e), 0);
	assert_int_equal(rig_verify(&r, "x.ota", &e), 0);
	head_size = r.head.layout.head_size;
	for (size_t at = 0; at < good.len; at += at < 4096 ? 1 : 4999) {
		/* Nothing is wrong with a head and seen only when something has been changed. */
		if (at <= head_size)
			assert_true(rig_env(&r).vars.side[SIDE_B].bootable);
		good.data[at] ^= 0x10;
		assert_int_equal(folder_put("y.ota", good.data, good.len), 0);
		if (rig_install(&r, "y.ota", NULL, &e) == 0)
			assert_slot_holds("b.img", image, CHUNK_BYTES + 9);
		else
			assert_true(e.class == ERR_UNTRUSTED || e.class == ERR_MALFORMED ||
				    e.class == ERR_LIMIT);
		good.data[at] ^= 0x10;
	}
	for (size_t len = 0; len < good.len; len += 509) {
		assert_int_equal(folder_put("y.ota", good.data, len), 0);
		assert_int_equal(rig_install(&r, "y.ota", NULL, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
}

struct stopper {
	unsigned left;
};

static int
stop_after(void *arg, struct err *e)
{
	struct stopper *s = arg;

	return s->left-- > 0 ? 0 : err_set(e, ERR_STOPPED, "stopped by the test");
}

static void
interrupted_install_leaves_the_target_off_and_resumes(void **state)
{
	struct err e = ERR_INIT;
	unsigned looked = 0;

	for (unsigned asks = 0; asks < 18; asks++) {
		CLEANUP(rig_free) struct rig r;
		struct stopper stopper = {asks};
		struct keep_going keep_going = {stop_after, &stopper};
		struct settlement now;
		uint64_t before;
		bool began;

		rig_make(&r, *state, ROOTFS);
		*r.s = (struct state){.next_seq = 1};
		assert_int_equal(state_save(r.c->state_dir, r.s, &e), 0);
		slots_make();
		rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
		if (rig_install(&r, "x.ota", &keep_going, &e) == 0)
			continue;
		assert_int_equal(e.class, ERR_STOPPED);
		before = r.stats.bytes_written;
		/* As long as it only looks, nothing is changed. */
		began = r.s->pending.phase == PHASE_INSTALLING;
		looked += !began;
		assert_true(began || before == 0);
		assert_int_equal(rig_env(&r).vars.side[SIDE_B].bootable, !began);
		rig_power_on(&r, "boot-1");
		assert_int_equal(rig_env(&r).booted, SIDE_A);
		assert_int_equal(settle(r.c, r.boot, r.s, &now, &e), 0);
		assert_int_equal(now.what, began ? SETTLED_CLEANED : SETTLED_NOTHING);
		assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
		assert_int_equal(before + r.stats.bytes_written, IMAGE_BYTES - CHUNK_BYTES);
		assert_slot_holds("b.img", image, IMAGE_BYTES);
	}
	assert_in_range(looked, 2, 16);
}

/* A stick that says something else from a certain question on. */
struct liar {
	unsigned left;
	const char *path;
	struct span lie;
};

static int
lie_after(void *arg, struct err *e)
{
	struct liar *l = arg;
	AUTO_CLOSE int fd = -1;

	if (l->left-- != 0)
		return 0;
	fd = open(l->path, O_WRONLY | O_CLOEXEC);
	return file_pwrite_full(fd, l->path, l->lie.data, l->lie.len, 0, e);
}

enum { LIE_BYTES = 3 * CHUNK_BYTES, LIE_IMAGE_BYTES = 4 * CHUNK_BYTES };

/* What a slot and two images have in common: their last chunk. */
static void
lie_image(uint8_t image_of[LIE_IMAGE_BYTES], uint64_t seed)
{
	memset(image_of, 0, LIE_IMAGE_BYTES);
	if (seed)
		noise(image_of, LIE_BYTES, seed);
	noise(image_of + LIE_BYTES, CHUNK_BYTES, 9);
}

/* Check then re-read of a path (DESIGN section 10). Both bundles have the same layout, and the
 * second agrees with itself; a chunk in place at the end keeps the engine from looking ahead to the
 * index's end, where it would see that it has changed. What it says first of how chunks are stored
 * is seen through before the slot is touched. */
static void
a_stick_that_lies_the_second_time_gets_nothing_written(void **state)
{
	CLEANUP(rig_free) struct rig r;
	AUTO_BUF struct buf lie = BUF_INIT(1 << 20);
	static uint8_t before[LIE_IMAGE_BYTES], right[LIE_IMAGE_BYTES], wrong[LIE_IMAGE_BYTES];
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS);
	slots_make();
	lie_image(before, 0);
	lie_image(right, 1);
	lie_image(wrong, 2);
	rig_write_image(&r, span_of(wrong, LIE_IMAGE_BYTES), "2.0", 5, "y.ota");
	assert_int_equal(file_read("y.ota", &lie, &e), 0);
	/* The comparison asks before each of four chunks, then once what brings the page that says
	 * as what they are stored, and then the fetching. */
	for (unsigned asks = 0; asks < 6; asks++) {
		struct liar liar = {asks, "x.ota", buf_span(&lie)};
		struct keep_going keep_going = {lie_after, &liar};
		AUTO_CLOSE int fd = open("b.img", O_WRONLY | O_CLOEXEC);

		assert_int_equal(file_pwrite_full(fd, "b.img", before, LIE_IMAGE_BYTES, 0, &e), 0);
		rig_write_image(&r, span_of(right, LIE_IMAGE_BYTES), "2.0", 5, "x.ota");
		assert_int_equal(rig_install(&r, "x.ota", &keep_going, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_slot_holds("b.img", before, LIE_IMAGE_BYTES);
		assert_int_equal(rig_env(&r).vars.side[SIDE_B].bootable, asks < 5);
	}
}

static void
a_list_of_files_is_not_read_from_the_stick_again(void **state)
{
	CLEANUP(rig_free) struct rig r;
	CLEANUP(made_free) struct made app;
	AUTO_BUF struct buf files = BUF_INIT(1 << 20), lie = BUF_INIT(1 << 20);
	struct rig_entry right = {.path = "one", .content = "same", .mode = 0755};
	struct rig_entry wrong = {.path = "two", .content = "same", .mode = 0755};
	struct rig_bundle b = {.version = "2.0", .rollback_index = 5, .count = 1};
	struct liar liar = {0, "x.ota", {0}};
	struct keep_going keep_going = {lie_after, &liar};
	struct err e = ERR_INIT;

	rig_make(&r, *state, APP_LINK);
	assert_int_equal(symlink(r.c->classes[0].path[SIDE_A], "app"), 0);
	b.files[0] = &files;
	for (int i = 0; i < 2; i++) {
		rig_tree(&app, &files, "app", "app", i == 0 ? &wrong : &right, 1);
		b.made[0] = &app;
		rig_write(&r, &b, i == 0 ? "y.ota" : "x.ota");
		made_free(&app);
		buf_clear(&files);
	}
	app = (struct made){0};
	assert_int_equal(file_read("y.ota", &lie, &e), 0);
	liar.lie = buf_span(&lie);
	if (rig_install(&r, "x.ota", &keep_going, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(access("b.app/one", F_OK), 0);
	assert_int_equal(access("b.app.new/two", F_OK), -1);
}

static void
write_app_and_web(struct rig *r, bool with_rootfs, bool with_web, const char *path)
{
	CLEANUP(made_free) struct made rootfs;
	CLEANUP(made_free) struct made app;
	CLEANUP(made_free) struct made web;
	AUTO_BUF struct buf app_files = BUF_INIT(1 << 20), web_files = BUF_INIT(1 << 20);
	struct rig_bundle b = {.version = "2.0", .rollback_index = 5};

	made_image(&rootfs, "rootfs", "rootfs", span_of(image, IMAGE_BYTES));
	rig_tree(&app, &app_files, "app", "app", APP, ARRAY_LEN(APP));
	rig_tree(&web, &web_files, "web", "web", WEB, ARRAY_LEN(WEB));
	if (with_rootfs)
		b.made[b.count++] = &rootfs;
	b.made[b.count] = &app;
	b.files[b.count++] = &app_files;
	if (with_web) {
		b.made[b.count] = &web;
		b.files[b.count++] = &web_files;
	}
	rig_write(r, &b, path);
}

static void
image_and_tree_go_to_the_same_side(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, ROOTFS_AND_APP);
	slots_make();
	write_app_and_web(&r, true, false, "x.ota");
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_slot_holds("b.img", image, IMAGE_BYTES);
	assert_int_equal(access("b.app/bin/app", X_OK), 0);
	assert_int_equal(access("a.app", F_OK), -1);
	assert_false(r.s->pending.tree_only);
	/* Once more, and nothing is written. */
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(r.stats.bytes_written, 0);
}

static void
bundle_that_leaves_a_slot_out_is_refused(void **state)
{
	CLEANUP(rig_free) struct rig r;

	rig_make(&r, *state, ROOTFS_AND_APP);
	slots_make();
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	assert_refused(&r, "x.ota", "nothing for slot app");
}

static void
bundle_for_two_switches_is_refused(void **state)
{
	CLEANUP(rig_free) struct rig r;
	AUTO_BUF struct buf slots = BUF_INIT(4096);
	struct err e = ERR_INIT;

	assert_int_equal(buf_printf(&slots, &e, "%s%s", ROOTFS, APP_LINK), 0);
	rig_make(&r, *state, buf_str(&slots));
	slots_make();
	write_app_and_web(&r, true, false, "x.ota");
	assert_refused(&r, "x.ota", "no one commit point");
}

static void
link_make(const char *folder, const char *target, const char *link)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, target);
	assert_int_equal(symlink(path, link), 0);
}

static void
tree_only_bundle_swaps_by_its_link(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;
	enum side current;

	rig_make(&r, *state, APP_LINK);
	assert_int_equal(mkdir("a.app", 0755), 0);
	link_make(*state, "a.app", "app");
	write_app_and_web(&r, false, false, "x.ota");
	if (rig_install(&r, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(access("app/bin/app", F_OK), -1);
	assert_true(r.s->pending.tree_only);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	assert_int_equal(access("app/bin/app", X_OK), 0);
	assert_int_equal(boot_links.current(&boot_links, r.c, &current, &e), 0);
	assert_int_equal(current, SIDE_B);
	/* The bootloader has nothing to do with it. */
	assert_true(rig_env(&r).vars.side[SIDE_B].bootable);
	assert_int_equal(rig_env(&r).vars.primary, SIDE_A);
}

static void
several_trees_swap_together(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct err e = ERR_INIT;

	rig_make(&r, *state, TWO_LINKED);
	assert_int_equal(mkdir("one", 0755), 0);
	assert_int_equal(mkdir("two", 0755), 0);
	link_make(*state, "one", "now");
	write_app_and_web(&r, false, true, "x.ota");
	assert_int_equal(rig_install(&r, "x.ota", NULL, &e), 0);
	assert_int_equal(access("now/app", F_OK), -1);
	assert_int_equal(install_activate(r.c, r.boot, r.s, &e), 0);
	assert_int_equal(access("now/app/bin/app", X_OK), 0);
	assert_int_equal(access("now/web/index.html", R_OK), 0);
}

static void
head_from_the_network_is_bound_by_its_digest(void **state)
{
	CLEANUP(rig_free) struct rig r;
	AUTO_HEAD struct head h = HEAD_INIT;
	AUTO_BUF struct buf whole = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	struct digest sha256;
	uint64_t len;
	int fd;

	rig_make(&r, *state, ROOTFS);
	rig_write_image(&r, span_of(image, IMAGE_BYTES), "2.0", 5, "x.ota");
	assert_int_equal(rig_verify(&r, "x.ota", &e), 0);
	len = r.head.layout.head_size;
	assert_int_equal(file_read("x.ota", &whole, &e), 0);
	sha256 = digest_of(span_of(whole.data, len));
	for (size_t at = 0; at < len; at += 7) {
		whole.data[at] ^= 1;
		fd = memory_file(span_of(whole.data, len));
		whole.data[at] ^= 1;
		assert_int_equal(head_verify_target(fd, "x", len, &sha256, &h, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		(void)close(fd);
	}
	fd = memory_file(span_of(whole.data, len + 1));
	assert_int_equal(head_verify_target(fd, "x", len, &sha256, &h, &e), -1);
	(void)close(fd);
	fd = memory_file(span_of(whole.data, len));
	assert_int_equal(head_verify_target(fd, "x", len, &sha256, &h, &e), 0);
	assert_true(digest_equal(&h.release.manifest, &r.head.release.manifest));
	assert_string_equal(h.release.version, "2.0");
}

static int
make_image(void **state)
{
	(void)state;
	noise(image, IMAGE_BYTES, 7);
	memset(image + 2 * CHUNK_BYTES, 0, CHUNK_BYTES);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter_memory, folder_leave)
		IN_FOLDER(image_is_installed_and_activated),
		IN_FOLDER(what_is_in_place_is_not_written_again),
		IN_FOLDER(rules_say_no_before_anything_changes),
		IN_FOLDER(unconfirmed_system_is_not_overwritten_from),
		IN_FOLDER(rolled_back_system_is_not_overwritten_before_the_reboot),
		IN_FOLDER(activated_update_is_replaced),
		IN_FOLDER(wrong_key_is_refused),
		IN_FOLDER(flipped_and_truncated_bundles_are_refused),
		IN_FOLDER(interrupted_install_leaves_the_target_off_and_resumes),
		IN_FOLDER(a_stick_that_lies_the_second_time_gets_nothing_written),
		IN_FOLDER(a_list_of_files_is_not_read_from_the_stick_again),
		IN_FOLDER(image_and_tree_go_to_the_same_side),
		IN_FOLDER(bundle_that_leaves_a_slot_out_is_refused),
		IN_FOLDER(bundle_for_two_switches_is_refused),
		IN_FOLDER(tree_only_bundle_swaps_by_its_link),
		IN_FOLDER(several_trees_swap_together),
		IN_FOLDER(head_from_the_network_is_bound_by_its_digest),
	};

	return cmocka_run_group_tests(tests, make_image, NULL);
}
