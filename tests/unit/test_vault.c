#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "agent/vault.h"
#include "common/base/file.h"
#include "common/limits.h"
#include "tests/unit/folder.h"

struct scene {
	struct vault vault;
	struct tuf_store store;
	void *folder;
};

static int
scene_set(void **state)
{
	struct scene *x = calloc(1, sizeof(*x));
	struct err e = ERR_INIT;

	assert_non_null(x);
	assert_int_equal(folder_enter(&x->folder), 0);
	assert_int_equal(dir_make("metadata", 0700, &e), 0);
	assert_int_equal(vault_init(&x->vault, x->folder, &e), 0);
	x->store = vault_store(&x->vault);
	*state = x;
	return 0;
}

static int
scene_clear(void **state)
{
	struct scene *x = *state;
	void *folder = x->folder;

	vault_free(&x->vault);
	free(x);
	return folder_leave(&folder);
}

static void
save(struct scene *x, const char *role, const char *text)
{
	struct err e = ERR_INIT;

	if (x->store.save(x->store.arg, role, span_str(text), &e) < 0)
		fail_msg("%s", e.text);
}

static void
drop(struct scene *x, const char *role)
{
	struct err e = ERR_INIT;

	if (x->store.drop(x->store.arg, role, &e) < 0)
		fail_msg("%s", e.text);
}

/* text NULL: there is none. */
static void
assert_has(struct scene *x, const char *role, const char *text)
{
	AUTO_BUF struct buf bytes = BUF_INIT(64);
	struct err e = ERR_INIT;
	int rc = x->store.load(x->store.arg, role, &bytes, &e);

	if (text) {
		assert_int_equal(rc, 0);
		assert_true(span_equal(buf_span(&bytes), span_str(text)));
	} else {
		assert_int_equal(rc, -1);
		assert_int_equal(e.errnum, ENOENT);
	}
}

static void
assert_on_disk(const char *path, const char *text)
{
	AUTO_BUF struct buf bytes = BUF_INIT(64);
	struct err e = ERR_INIT;

	if (file_read(path, &bytes, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(span_equal(buf_span(&bytes), span_str(text)));
}

/* A file that nothing can be renamed to, and that cannot be unlinked. */
static void
block(const char *path)
{
	(void)unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
}

static enum err_class
settle(struct scene *x)
{
	struct err e = ERR_INIT;

	return vault_settle(&x->vault, &e) < 0 ? e.class : ERR_NONE;
}

static void
what_the_disk_takes_is_on_the_disk(void **state)
{
	struct scene *x = *state;

	save(x, "root", "one");
	save(x, "releases", "r");
	assert_on_disk("metadata/root.json", "one");
	assert_on_disk("metadata/releases.json", "r");
	assert_has(x, "root", "one");
	assert_has(x, "timestamp", NULL);
	assert_int_equal(settle(x), ERR_NONE);
}

static void
a_root_that_the_disk_does_not_take_is_known_and_kept_later(void **state)
{
	struct scene *x = *state;

	block("metadata/root.json");
	save(x, "root", "two");
	assert_has(x, "root", "two");
	save(x, "root", "three");
	assert_has(x, "root", "three");
	assert_int_equal(settle(x), ERR_SYSTEM);
	assert_has(x, "root", "three");
	assert_int_equal(rmdir("metadata/root.json"), 0);
	assert_int_equal(settle(x), ERR_NONE);
	assert_on_disk("metadata/root.json", "three");
	assert_int_equal(settle(x), ERR_NONE);
}

static void
what_cannot_be_saved_is_no_failure(void **state)
{
	struct scene *x = *state;

	block("metadata/timestamp.json");
	save(x, "timestamp", "t");
	assert_int_equal(settle(x), ERR_NONE);
}

static void
what_was_dropped_is_gone_though_the_disk_still_has_it(void **state)
{
	struct scene *x = *state;

	block("metadata/snapshot.json");
	drop(x, "snapshot");
	assert_has(x, "snapshot", NULL);
	assert_int_equal(rmdir("metadata/snapshot.json"), 0);
	save(x, "snapshot", "s");
	assert_has(x, "snapshot", "s");
}

static void
no_root_is_on_the_disk_before_what_it_makes_void_has_gone(void **state)
{
	struct scene *x = *state;

	save(x, "root", "one");
	save(x, "targets", "t");
	block("metadata/timestamp.json");
	drop(x, "targets");
	drop(x, "timestamp");
	save(x, "root", "two");
	assert_on_disk("metadata/root.json", "one");
	assert_int_equal(settle(x), ERR_SYSTEM);
	save(x, "targets", "u");
	assert_int_equal(rmdir("metadata/timestamp.json"), 0);
	assert_int_equal(settle(x), ERR_NONE);
	assert_on_disk("metadata/root.json", "two");
	assert_on_disk("metadata/targets.json", "u");
}

#define ROOT(version) "{\"signed\": {\"version\": " version "}}"

/* A root of version 2 that the disk, which has 1, does not take, for an old timestamp cannot go. */
static void
keep_in_memory(struct scene *x)
{
	save(x, "root", ROOT("1"));
	block("metadata/timestamp.json");
	drop(x, "timestamp");
	save(x, "root", ROOT("2"));
	assert_has(x, "root", ROOT("2"));
	assert_on_disk("metadata/root.json", ROOT("1"));
}

static void
write_beside(const char *path, const char *text)
{
	(void)rmdir(path);
	assert_int_equal(folder_put(path, text, strlen(text)), 0);
}

static void
a_newer_root_that_another_process_kept_counts(void **state)
{
	struct scene *x = *state;

	for (int is_loaded = 0; is_loaded < 2; is_loaded++) {
		keep_in_memory(x);
		write_beside("metadata/root.json", ROOT("3"));
		write_beside("metadata/timestamp.json", "by root 3");
		if (is_loaded)
			assert_has(x, "root", ROOT("3"));
		else
			assert_int_equal(settle(x), ERR_SYSTEM);
		assert_has(x, "timestamp", "by root 3");
		assert_int_equal(settle(x), ERR_NONE);
		assert_on_disk("metadata/root.json", ROOT("3"));
		assert_on_disk("metadata/timestamp.json", "by root 3");
	}
}

static void
an_older_root_on_the_disk_does_not_count(void **state)
{
	struct scene *x = *state;

	keep_in_memory(x);
	write_beside("metadata/root.json", ROOT("2 "));
	assert_has(x, "root", ROOT("2"));
	assert_has(x, "timestamp", NULL);
	write_beside("metadata/timestamp.json", "void");
	assert_int_equal(settle(x), ERR_NONE);
	assert_on_disk("metadata/root.json", ROOT("2"));
	assert_has(x, "timestamp", NULL);
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(what_the_disk_takes_is_on_the_disk),
		IN_SCENE(a_root_that_the_disk_does_not_take_is_known_and_kept_later),
		IN_SCENE(what_cannot_be_saved_is_no_failure),
		IN_SCENE(what_was_dropped_is_gone_though_the_disk_still_has_it),
		IN_SCENE(no_root_is_on_the_disk_before_what_it_makes_void_has_gone),
		IN_SCENE(a_newer_root_that_another_process_kept_counts),
		IN_SCENE(an_older_root_on_the_disk_does_not_count),
	};

	return cmocka_run_group_tests_name("vault", tests, NULL, NULL);
}
