/* Roots from a folder that somebody brought along. */
#include "tests/unit/repo_fixture.h"

#include <sys/stat.h>

#include "common/limits.h"
#include "tests/unit/folder.h"

/* The next root, in the folder. */
static void
root_put(struct repo *r)
{
	const struct repo_file *f;
	char name[256];

	repo_bump(r, "root");
	repo_file_name(r, "root", name);
	f = repo_file(&r->metadata, name);
	assert_non_null(f);
	assert_int_equal(folder_put(name, f->data, f->len), 0);
	repo_file_drop(&r->metadata, name);
}

static enum err_class
take(struct repo *r, struct err *e)
{
	AUTO_TUF struct tuf_client *c = repo_client(r);

	*e = ERR_INIT;
	return tuf_take_roots(c, ".", e) < 0 ? e->class : ERR_NONE;
}

static void
roots_are_taken_as_far_as_they_follow_each_other(void **state)
{
	struct repo *r = repo_new();
	struct err e;

	(void)state;
	assert_int_equal(take(r, &e), ERR_NONE);
	for (int i = 0; i < 4; i++)
		root_put(r);
	assert_int_equal(unlink("4.root.json"), 0);
	assert_int_equal(take(r, &e), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 3);
	repo_free(r);
}

static void
a_root_by_somebody_else_is_refused_by_its_name(void **state)
{
	struct repo *r = repo_new();
	struct err e;

	(void)state;
	root_put(r);
	assert_int_equal(rename("2.root.json", "other"), 0);
	repo_role(r, "root")->keys[0] = 11;
	repo_set_version(r, "root", 1);
	root_put(r);
	assert_int_equal(take(r, &e), ERR_UNTRUSTED);
	assert_non_null(strstr(e.text, "./2.root.json"));
	assert_int_equal(repo_stored(r, "root"), 1);
	repo_free(r);
}

/* A pipe without a writer; whoever opened it would wait for good. */
static void
what_is_no_file_is_refused_at_once(void **state)
{
	struct repo *r = repo_new();
	struct err e;

	(void)state;
	assert_int_equal(mkfifo("2.root.json", 0600), 0);
	(void)alarm(60);
	assert_int_equal(take(r, &e), ERR_REFUSED);
	(void)alarm(0);
	assert_non_null(strstr(e.text, "not a regular file"));
	repo_free(r);
}

static void
a_chain_without_end_is_taken_in_parts(void **state)
{
	struct repo *r = repo_new();
	struct err e;

	(void)state;
	for (int i = 0; i < TUF_ROOT_ROTATIONS_MAX; i++)
		root_put(r);
	assert_int_equal(take(r, &e), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), TUF_ROOT_ROTATIONS_MAX + 1);
	for (int i = 0; i <= TUF_ROOT_ROTATIONS_MAX; i++)
		root_put(r);
	assert_int_equal(take(r, &e), ERR_LIMIT);
	assert_int_equal(repo_stored(r, "root"), 2 * TUF_ROOT_ROTATIONS_MAX + 1);
	assert_int_equal(take(r, &e), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 2 * TUF_ROOT_ROTATIONS_MAX + 2);
	repo_free(r);
}

int
main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_enter_memory, folder_leave)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(roots_are_taken_as_far_as_they_follow_each_other),
		IN_FOLDER(a_root_by_somebody_else_is_refused_by_its_name),
		IN_FOLDER(what_is_no_file_is_refused_at_once),
		IN_FOLDER(a_chain_without_end_is_taken_in_parts),
	};

	return cmocka_run_group_tests_name("tuf_folder", tests, NULL, NULL);
}
