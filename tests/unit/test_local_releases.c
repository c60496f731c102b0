/* Who may release, from what lies on a stick. */
#include "tests/unit/repo_fixture.h"

#include "agent/local.h"
#include "common/base/file.h"
#include "tests/unit/folder.h"

struct scene {
	struct repo *repo;
	void *folder;
};

/* By the box. */
static struct tuf_floor seen;

static int
scene_set(void **state)
{
	struct scene *x = calloc(1, sizeof(*x));
	struct err e = ERR_INIT;

	assert_non_null(x);
	seen = (struct tuf_floor){0};
	x->repo = repo_new();
	assert_int_equal(folder_enter(&x->folder), 0);
	assert_int_equal(dir_make("stick", 0755, &e), 0);
	*state = x;
	return 0;
}

static int
scene_clear(void **state)
{
	struct scene *x = *state;
	void *folder = x->folder;

	repo_free(x->repo);
	free(x);
	return folder_leave(&folder);
}

/* Puts a targets.json of this version, whose role releases has this key, on the stick. */
static void
put_targets(struct repo *r, json_int_t version, int key, const char *name)
{
	const struct repo_file *f;
	char served[256];

	json_object_del(repo_body(r, "targets"), "delegations");
	(void)repo_delegate(r, "targets", "releases", key, "bundles/*", true);
	repo_set_version(r, "targets", version);
	repo_write(r, "targets");
	repo_file_name(r, "targets", served);
	f = repo_file(&r->metadata, served);
	assert_non_null(f);
	assert_int_equal(folder_put(name, f->data, f->len), 0);
}

static void
assert_releases(struct repo *r, int key)
{
	AUTO_TUF struct tuf_client *client = NULL;
	struct role_keys releases;
	struct err e = ERR_INIT;

	if (local_releases(&r->tuf_store, "stick", &seen, &client, &releases, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(
		json_string_value(json_array_get(releases.keyids, 0)), r->keys[key].signer.keyid);
}

static void
the_newest_targets_of_a_stick_counts(void **state)
{
	struct scene *x = *state;

	put_targets(x->repo, 9, 5, "stick/9.targets.json");
	put_targets(x->repo, 10, 6, "stick/10.targets.json");
	put_targets(x->repo, 8, 7, "stick/8.targets.json");
	assert_releases(x->repo, 6);
}

static void
other_files_on_a_stick_are_left_alone(void **state)
{
	static const char *const names[] = {"stick/11.targets.json.bak", "stick/12.targets.json~",
		"stick/x.targets.json", "stick/134targets.json", "stick/-14.targets.json"};
	struct scene *x = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(folder_put(names[i], "junk", 4), 0);
	put_targets(x->repo, 3, 5, "stick/3.targets.json");
	assert_releases(x->repo, 5);
}

static void
an_older_targets_from_a_stick_is_refused(void **state)
{
	struct scene *x = *state;
	AUTO_TUF struct tuf_client *client = NULL;
	struct role_keys releases;
	struct err e = ERR_INIT;

	put_targets(x->repo, 9, 5, "stick/9.targets.json");
	assert_releases(x->repo, 5);
	assert_int_equal(unlink("stick/9.targets.json"), 0);
	put_targets(x->repo, 8, 6, "stick/8.targets.json");
	assert_int_equal(
		local_releases(&x->repo->tuf_store, "stick", &seen, &client, &releases, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
an_older_targets_is_refused_where_the_disk_has_lost_the_newer(void **state)
{
	struct scene *x = *state;
	AUTO_TUF struct tuf_client *client = NULL;
	struct role_keys releases;
	struct err e = ERR_INIT;

	put_targets(x->repo, 9, 5, "stick/9.targets.json");
	assert_releases(x->repo, 5);
	assert_int_equal(seen.targets, 9);
	repo_file_drop(&x->repo->store, "targets");
	assert_int_equal(unlink("stick/9.targets.json"), 0);
	put_targets(x->repo, 8, 6, "stick/8.targets.json");
	assert_int_equal(
		local_releases(&x->repo->tuf_store, "stick", &seen, &client, &releases, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)
		IN_SCENE(the_newest_targets_of_a_stick_counts),
		IN_SCENE(other_files_on_a_stick_are_left_alone),
		IN_SCENE(an_older_targets_from_a_stick_is_refused),
		IN_SCENE(an_older_targets_is_refused_where_the_disk_has_lost_the_newer),
	};

	return cmocka_run_group_tests_name("local_releases", tests, NULL, NULL);
}
