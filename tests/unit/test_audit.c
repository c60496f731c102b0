#include "tests/unit/audit_scene.h"

#include <sys/xattr.h>

static const char ROOTFS_AND_APP[] =
	"[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\nread_only = yes\n"
	"[slot app]\ntype = dir\na = @/a.app\nb = @/b.app\n";
static const char WRITABLE[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n";

static char big[2 * CHUNK_BYTES + 100];

static const struct rig_entry APP[] = {
	{.path = "bin", .mode = 0755},
	{.path = "bin/app", .content = "the app", .mode = 0755},
	{.path = "bin/b", .hardlink = "bin/app"},
	{.path = "bin/c", .link = "app"},
	{.path = "etc", .mode = 0755},
	{.path = "etc/big", .content = big, .mode = 0644},
	{.path = "etc/colour", .content = "red", .mode = 0644, .colour = "726564"},
	{.path = "zero", .content = "", .mode = 0644},
};

static void
scene_tree(struct scene *s, const char *folder)
{
	CLEANUP(made_free) struct made one, two;
	AUTO_BUF struct buf files = BUF_INIT(1 << 20);
	struct rig_bundle b = {
		.version = "2.0", .count = 2, .made = {&one, &two}, .files = {NULL, &files}};
	struct err e = ERR_INIT;

	scene_make(s, folder, ROOTFS_AND_APP);
	memset(big, 'x', sizeof(big) - 1);
	made_image(&one, "rootfs", "rootfs", span_of(image, IMAGE_BYTES));
	rig_tree(&two, &files, "app", "app", APP, ARRAY_LEN(APP));
	rig_write(&s->rig, &b, "x.ota");
	if (rig_install(&s->rig, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	confirm(&s->rig, "boot-1");
}

static void
what_is_as_it_was_signed_is_authentic(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	scene_image(&s, *state, ROOTFS);
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_UNKNOWN);
	assert_int_equal(s.audit.count, 2);
	assert_int_equal(s.audit.sides[0].side, SIDE_B);
	assert_true(s.audit.sides[0].running && !s.audit.sides[1].running);
	assert_string_equal(s.audit.sides[0].release.version, "2.0");
	assert_int_equal(s.heard.done, IMAGE_BYTES);
	assert_int_equal(s.heard.total, IMAGE_BYTES);
	/* And so is what it would go back to. */
	rig_write_image(&s.rig, span_of(image, CHUNK_BYTES), "2.1", 0, "y.ota");
	assert_int_equal(rig_install(&s.rig, "y.ota", NULL, &e), 0);
	confirm(&s.rig, "boot-2");
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_YES);
	/* What lies behind an image was signed by nobody. */
	put("a.img", CHUNK_BYTES, 'z');
	assert_string_equal(found(&s), "");
	put("b.img", 0, 'z');
	(void)found(&s);
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_NO);
}

static void
every_chunk_that_differs_is_named(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_image(&s, *state, ROOTFS);
	put("b.img", 5, 'z');
	put("b.img", 2 * CHUNK_BYTES, 1);
	put("b.img", 4 * CHUNK_BYTES - 1, 1);
	put("b.img", IMAGE_BYTES - 1, 'z');
	assert_string_equal(found(&s),
		"payload rootfs, slot rootfs B: chunk 0, 65536 bytes at 0: it differs\n"
		"payload rootfs, slot rootfs B: chunk 2, 65536 bytes at 131072: it differs\n"
		"payload rootfs, slot rootfs B: chunk 3, 65536 bytes at 196608: it differs\n"
		"payload rootfs, slot rootfs B: chunk 5, 77 bytes at 327680: it differs\n");
	assert_answers(&s, AUTHENTIC_NO, AUTHENTIC_UNKNOWN);
	assert_int_equal(s.audit.sides[0].differences, 4);
	assert_string_equal(s.audit.sides[0].why,
		"payload rootfs, slot rootfs B: chunk 0, 65536 bytes at 0: it differs");
}

static void
a_slot_that_ends_before_is_not_what_was_signed(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_image(&s, *state, ROOTFS);
	assert_int_equal(truncate("b.img", IMAGE_BYTES - 1), 0);
	assert_string_equal(found(&s),
		"payload rootfs, slot rootfs B: chunk 5, 77 bytes at 327680: the slot ends before "
		"it\n");
	assert_answers(&s, AUTHENTIC_NO, AUTHENTIC_UNKNOWN);
	assert_int_equal(unlink("b.img"), 0);
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
}

static void
nobody_can_say_without_who_signed_it(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct role_keys twice;

	scene_image(&s, *state, ROOTFS);
	s.releases = NULL;
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
	assert_non_null(strstr(s.audit.sides[0].why, "does not know who may release"));
	twice = s.rig.releases;
	twice.threshold = 2;
	s.releases = &twice;
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
	assert_non_null(strstr(s.audit.sides[0].why, "who may release today"));
}

/* Every byte of what was kept counts. */
static void
nobody_can_say_by_an_index_that_rots(void **state)
{
	AUTO_BUF struct buf good = BUF_INIT(1 << 20);
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	scene_image(&s, *state, ROOTFS);
	assert_int_equal(file_read("state/head.B", &good, &e), 0);
	for (size_t at = 0; at < good.len; at += 97) {
		put("state/head.B", at, (char)(good.data[at] ^ 4));
		(void)found(&s);
		assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
		put("state/head.B", at, (char)good.data[at]);
	}
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_UNKNOWN);
	for (size_t len = 0; len < good.len; len += 511) {
		assert_int_equal(truncate("state/head.B", (off_t)len), 0);
		(void)found(&s);
		assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
		assert_int_equal(file_replace("state/head.B", 0600, buf_span(&good), &e), 0);
	}
	assert_int_equal(unlink("state/head.B"), 0);
	(void)found(&s);
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
	assert_non_null(strstr(s.audit.sides[0].why, "was not kept"));
}

static void
the_index_of_another_release_says_nothing(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	scene_image(&s, *state, ROOTFS);
	rig_write_image(&s.rig, span_of(image, IMAGE_BYTES), "2.1", 0, "y.ota");
	assert_int_equal(rig_install(&s.rig, "y.ota", NULL, &e), 0);
	confirm(&s.rig, "boot-2");
	assert_int_equal(rename("state/head.B", "state/head.A"), 0);
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
}

static void
an_index_that_cannot_be_kept_stops_no_update(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	scene_make(&s, *state, ROOTFS);
	rig_write_image(&s.rig, span_of(image, IMAGE_BYTES), "2.0", 0, "x.ota");
	assert_int_equal(mkdir("state/head.B.new", 0700), 0);
	assert_int_equal(mkdir("state/head.B", 0700), 0);
	if (rig_install(&s.rig, "x.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	confirm(&s.rig, "boot-1");
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
}

static void
a_slot_that_may_be_written_to_proves_nothing(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_image(&s, *state, WRITABLE);
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_UNKNOWN);
	put("b.img", 5, 'z');
	assert_string_equal(found(&s),
		"payload rootfs, slot rootfs B: chunk 0, 65536 bytes at 0: it differs\n");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
	assert_non_null(strstr(s.audit.sides[0].why, "not read_only"));
	s.gently = true;
	s.heard.done = 0;
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
	assert_int_equal(s.heard.done, 0);
}

static void
forget_side(struct rig *r)
{
	AUTO_FREE struct state *s = calloc(1, sizeof(*s));
	struct err e = ERR_INIT;

	assert_int_equal(state_load(r->c->state_dir, s, &e), 0);
	s->running[SIDE_B] = (struct release){0};
	assert_int_equal(state_save(r->c->state_dir, s, &e), 0);
}

static void
a_side_that_is_written_meanwhile_is_not_judged(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_image(&s, *state, ROOTFS);
	put("b.img", 5, 'z');
	s.heard.meanwhile = forget_side;
	(void)found(&s);
	assert_answers(&s, AUTHENTIC_UNKNOWN, AUTHENTIC_UNKNOWN);
	assert_non_null(strstr(s.audit.sides[0].why, "while it was looked at"));
}

static void
what_waits_for_its_reboot_is_known(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	scene_image(&s, *state, ROOTFS);
	rig_write_image(&s.rig, span_of(image, IMAGE_BYTES), "2.1", 0, "y.ota");
	assert_int_equal(rig_install(&s.rig, "y.ota", NULL, &e), 0);
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_UNKNOWN);
	assert_int_equal(install_activate(s.rig.c, s.rig.boot, s.rig.s, &e), 0);
	assert_string_equal(found(&s), "");
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_YES);
	put("a.img", 0, 'z');
	(void)found(&s);
	assert_answers(&s, AUTHENTIC_YES, AUTHENTIC_NO);
}

static void
it_ends_when_it_is_told_to(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;
	unsigned asked = 0;

	scene_tree(&s, *state);
	for (;; asked++) {
		s.heard.asks_left = asked;
		if (look(&s, &e) == 0)
			break;
		assert_int_equal(e.class, ERR_STOPPED);
	}
	/* Six pieces of the image; of the tree its entries, four pieces, and what it holds. */
	assert_true(asked >= 6 + 8 + 4 + 8);
}

static const struct {
	const char *command, *line;
} CHANGES[] = {
	{"true", ""},
	{"printf z | dd of=b.app/etc/big bs=1 seek=65536 conv=notrunc status=none; "
	 "touch -d @1600000000 b.app/etc/big",
		"etc/big: chunk 1, 65536 bytes at 65536: it differs\n"},
	{"printf z | dd of=b.app/bin/app bs=1 conv=notrunc status=none; "
	 "touch -d @1600000000 b.app/bin/app",
		"bin/app: chunk 0, 7 bytes at 0: it differs\n"},
	{"chmod 4755 b.app/bin/app", "bin/app: its mode differs\n"},
	{"chmod 700 b.app/etc", "etc: its mode differs\n"},
	{"touch -d @1600000001 b.app/zero", "zero: its time differs\n"},
	{"printf z > b.app/zero; touch -d @1600000000 b.app/zero", "zero: its size differs\n"},
	{"colour", "etc/colour: an extended attribute differs\n"},
	{"ln -sfn other b.app/bin/c; touch -hd @1600000000 b.app/bin/c b.app/bin",
		"bin/c: it links to another place\n"},
	{"rm b.app/zero; ln -s x b.app/zero; touch -hd @1600000000 b.app/zero",
		"zero: it is of another type\n"},
	{"cp -p b.app/bin/b x; rm b.app/bin/b; mv x b.app/bin/b; touch -d @1600000000 b.app/bin",
		"bin/b: it is not the file that it should be\n"},
	{"rm -r b.app/etc; touch b.app/etc; touch -d @1600000000 b.app/etc",
		"etc: it is of another type\netc/big: it is missing\netc/colour: it is missing\n"},
	{"rm b.app/zero", "zero: it is missing\n"},
	{"mkdir b.app/new; touch b.app/new/file",
		"new: it is not in the list\nnew/file: it is not in the list\n"},
	{"rm b.app/zero; touch b.app/nil", "zero: it is missing\nnil: it is not in the list\n"},
	{"chmod 600 b.app/bin/app; touch b.app/zero b.app/bin/app",
		"bin/app: its mode differs\nbin/app: its time differs\nzero: its time differs\n"},
	{"mv b.app x", ".: there is no such folder\n"},
	{"mv b.app x; ln -s x b.app", ".: there is no such folder\n"},
};

/* Each line with what all of the tree's begin with. */
static void
expand(const char *lines, struct buf *out)
{
	struct err e = ERR_INIT;

	while (*lines) {
		size_t len = strcspn(lines, "\n") + 1;

		assert_int_equal(
			buf_printf(out, &e, "payload app, slot app B, %.*s", (int)len, lines), 0);
		lines += len;
	}
}

/* There is not always a program for attributes. */
static void
change(const char *command)
{
	if (strcmp(command, "colour") == 0)
		assert_int_equal(setxattr("b.app/etc/colour", "user.colour", "blue", 4, 0), 0);
	else
		assert_int_equal(system(command), 0);
}

static void
every_difference_of_a_tree_is_named(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_tree(&s, *state);
	assert_int_equal(system("cp -a b.app good"), 0);
	for (size_t i = 0; i < ARRAY_LEN(CHANGES); i++) {
		AUTO_BUF struct buf wanted = BUF_INIT(1 << 16);
		bool good = CHANGES[i].line[0] == 0;

		assert_int_equal(system("rm -rf b.app x; cp -a good b.app"), 0);
		change(CHANGES[i].command);
		expand(CHANGES[i].line, &wanted);
		assert_string_equal(found(&s), buf_str(&wanted));
		assert_answers(&s, good ? AUTHENTIC_YES : AUTHENTIC_NO, AUTHENTIC_UNKNOWN);
	}
}

static void
a_tree_that_differs_hides_nothing_of_an_image(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_tree(&s, *state);
	put("b.img", 5, 'z');
	put("b.app/etc/big", 2 * CHUNK_BYTES, 'z');
	assert_int_equal(chmod("b.app/zero", 0600), 0);
	assert_non_null(strstr(found(&s), "rootfs B: chunk 0,"));
	assert_non_null(strstr(buf_str(&s.heard.lines), "etc/big: chunk 2, 99 bytes at 131072:"));
	assert_non_null(strstr(buf_str(&s.heard.lines), "zero: its mode differs"));
	/* Nor does one that nobody can say anything of. */
	assert_int_equal(unlink("b.img"), 0);
	assert_non_null(strstr(found(&s), "etc/big: chunk 2, 99 bytes at 131072:"));
	assert_answers(&s, AUTHENTIC_NO, AUTHENTIC_UNKNOWN);
}

static void
paths_are_fit_for_a_terminal(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_tree(&s, *state);
	rig_file("b.app/\033[2J\n\xff", "");
	assert_non_null(strstr(found(&s), "app B, ?[2J??: it is not in the list\n"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_enter, folder_leave)
#define IN_MEMORY(f) cmocka_unit_test_setup_teardown(f, folder_enter_memory, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MEMORY(what_is_as_it_was_signed_is_authentic),
		TEST(every_chunk_that_differs_is_named),
		IN_MEMORY(a_slot_that_ends_before_is_not_what_was_signed),
		IN_MEMORY(nobody_can_say_without_who_signed_it),
		IN_MEMORY(nobody_can_say_by_an_index_that_rots),
		IN_MEMORY(the_index_of_another_release_says_nothing),
		IN_MEMORY(an_index_that_cannot_be_kept_stops_no_update),
		IN_MEMORY(a_slot_that_may_be_written_to_proves_nothing),
		IN_MEMORY(a_side_that_is_written_meanwhile_is_not_judged),
		IN_MEMORY(what_waits_for_its_reboot_is_known),
		TEST(it_ends_when_it_is_told_to),
		TEST(every_difference_of_a_tree_is_named),
		TEST(a_tree_that_differs_hides_nothing_of_an_image),
		TEST(paths_are_fit_for_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
