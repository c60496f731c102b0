/* Section 5.7, and what comes along with a bundle: targets, offline metadata, the folder. */
#include "tests/unit/repo_fixture.h"

#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"

/* Finds path and fetches it. */
static enum err_class
fetch(struct repo *r, const char *path, uint64_t max)
{
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_VERIFIED struct verified v = {0};
	struct err e = ERR_INIT;
	bool found = false;

	if (tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e) < 0 ||
		tuf_find(c, &r->fetcher, path, REPO_NOW_S, &found, &t, &e) < 0)
		return e.class;
	assert_true(found);
	if (tuf_fetch_target(c, &r->fetcher, &t, max, &v, &e) < 0)
		return e.class;
	assert_true(json_is_object(v.body));
	return ERR_NONE;
}

static void
a_target_comes_from_under_its_digest(void **state)
{
	struct repo *r = *state;

	repo_target(r, "targets", "a/b/x.json", "{\"a\": 1}");
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "a/b/x.json", 100), ERR_NONE);
}

static void
a_target_has_its_plain_name_without_consistent_snapshots(void **state)
{
	struct repo *r = *state;

	repo_target(r, "targets", "a/b/x.json", "{\"a\": 1}");
	json_object_set_new(repo_body(r, "root"), "consistent_snapshot", json_false());
	repo_bump(r, "root");
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "a/b/x.json", 100), ERR_NETWORK);
	repo_file_put(&r->targets, "a/b/x.json", "{\"a\": 1}", 8);
	assert_int_equal(fetch(r, "a/b/x.json", 100), ERR_NONE);
	repo_file_put(&r->targets, "a/b/x.json", "{\"a\": 2}", 8);
	assert_int_equal(fetch(r, "a/b/x.json", 100), ERR_UNTRUSTED);
}

static void
names_of_targets_are_quoted_but_for_their_slashes(void **state)
{
	struct repo *r = *state;
	const char *name = "a b/%2F?#\xc3\xa9.json";

	json_object_set_new(repo_body(r, "root"), "consistent_snapshot", json_false());
	repo_bump(r, "root");
	repo_target(r, "targets", name, "{}");
	repo_release(r, "targets");
	repo_file_put(&r->targets, "a%20b/%252F%3F%23%C3%A9.json", "{}", 2);
	assert_int_equal(fetch(r, name, 100), ERR_NONE);
}

static void
a_target_of_other_bytes_is_refused(void **state)
{
	struct repo *r = *state;
	struct repo_file *f;

	repo_target(r, "targets", "x.json", "{\"a\": 1}");
	repo_release(r, "targets");
	f = &r->targets.file[0];
	f->data[6] = '2';
	assert_int_equal(fetch(r, "x.json", 100), ERR_UNTRUSTED);
	f->data[6] = '1';
	assert_int_equal(fetch(r, "x.json", 100), ERR_NONE);
	f->len--;
	assert_int_equal(fetch(r, "x.json", 100), ERR_UNTRUSTED);
}

static void
a_target_of_another_length_than_listed_is_refused(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_BUF struct buf out = BUF_INIT(100);
	struct err e = ERR_INIT;
	bool found;

	repo_target(r, "targets", "x.json", "{\"a\": 1}");
	repo_release(r, "targets");
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	assert_int_equal(tuf_find(c, &r->fetcher, "x.json", REPO_NOW_S, &found, &t, &e), 0);
	/* Its digest is right. */
	t.length++;
	assert_int_equal(tuf_fetch_bytes(c, &r->fetcher, &t, &out, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(out.len, 0);
	t.length--;
	assert_int_equal(tuf_fetch_bytes(c, &r->fetcher, &t, &out, &e), 0);
}

static void
a_target_over_the_limit_is_not_fetched(void **state)
{
	struct repo *r = *state;

	repo_target(r, "targets", "x.json", "{\"a\": 1}");
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 7), ERR_LIMIT);
	assert_int_equal(r->targets_asked, 0);
	assert_int_equal(fetch(r, "x.json", 8), ERR_NONE);
}

static json_t *
entry_of(struct repo *r, const char *path)
{
	return json_object_get(json_object_get(repo_body(r, "targets"), "targets"), path);
}

static void
every_digest_listed_is_checked(void **state)
{
	struct repo *r = *state;
	uint8_t raw[DIGEST512_BYTES];
	char hex[2 * DIGEST512_BYTES + 1];
	json_t *hashes;

	repo_target(r, "targets", "x.json", "{}");
	hashes = json_object_get(entry_of(r, "x.json"), "hashes");
	digest512_of(span_str("{}"), raw);
	hex_encode(raw, sizeof(raw), hex);
	json_object_set_new(hashes, "sha512", json_string(hex));
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 100), ERR_NONE);
	hex[5] = hex[5] == '0' ? '1' : '0';
	json_object_set_new(hashes, "sha512", json_string(hex));
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 100), ERR_UNTRUSTED);
}

static void
sha512_alone_will_do(void **state)
{
	struct repo *r = *state;
	uint8_t raw[DIGEST512_BYTES];
	char hex[2 * DIGEST512_BYTES + 1], file[200];

	repo_target(r, "targets", "d/x.json", "{}");
	digest512_of(span_str("{}"), raw);
	hex_encode(raw, sizeof(raw), hex);
	json_object_set_new(entry_of(r, "d/x.json"), "hashes", json_pack("{s:s}", "sha512", hex));
	(void)snprintf(file, sizeof(file), "d/%s.x.json", hex);
	repo_file_put(&r->targets, file, "{}", 2);
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "d/x.json", 100), ERR_NONE);
}

static void
a_target_without_a_known_digest_is_refused(void **state)
{
	struct repo *r = *state;

	repo_target(r, "targets", "x.json", "{}");
	json_object_set_new(entry_of(r, "x.json"), "hashes", json_pack("{s:s}", "unknown", "00"));
	repo_release(r, "targets");
	r->targets_asked = 0;
	assert_int_equal(fetch(r, "x.json", 100), ERR_UNTRUSTED);
	assert_int_equal(r->targets_asked, 0);
	json_object_set_new(entry_of(r, "x.json"), "hashes", json_pack("{s:s}", "sha256", ""));
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 100), ERR_MALFORMED);
	json_object_del(entry_of(r, "x.json"), "hashes");
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 100), ERR_MALFORMED);
}

static void
a_target_that_lists_no_digest_is_never_fetched_right(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct tuf_target t = {.path = "x.json", .length = 2};
	AUTO_BUF struct buf out = BUF_INIT(100);
	struct err e = ERR_INIT;
	char hex[2 * DIGEST512_BYTES + 1], file[200];

	hex_encode(t.sha512, sizeof(t.sha512), hex);
	(void)snprintf(file, sizeof(file), "%s.x.json", hex);
	repo_file_put(&r->targets, file, "{}", 2);
	assert_int_equal(tuf_fetch_bytes(c, &r->fetcher, &t, &out, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(out.len, 0);
}

static void
custom_reaches_the_caller(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_BUF struct buf url = BUF_INIT(1000);
	struct err e = ERR_INIT;
	bool found = false;

	repo_target(r, "targets", "a b/x y", "content");
	json_object_set_new(entry_of(r, "a b/x y"), "custom", json_pack("{s:i}", "n", 7));
	repo_release(r, "targets");
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	assert_int_equal(tuf_find(c, &r->fetcher, "a b/x y", REPO_NOW_S, &found, &t, &e), 0);
	assert_true(found);
	assert_int_equal(t.length, 7);
	assert_int_equal(json_integer_value(json_object_get(t.custom, "n")), 7);
	assert_int_equal(tuf_target_url_path(c, &t, &url, &e), 0);
	assert_int_equal(strncmp(buf_str(&url), "a%20b/", 6), 0);
	assert_string_equal(buf_str(&url) + 6 + 64, ".x%20y");
}

/* Takes what the repository serves as a file. */
static enum err_class
take(struct repo *r, struct tuf_client *c, const char *file,
	int (*how)(struct tuf_client *, struct span, struct err *))
{
	const struct repo_file *f = repo_file(&r->metadata, file);
	struct err e = ERR_INIT;

	assert_non_null(f);
	return how(c, span_of(f->data, f->len), &e) < 0 ? e.class : ERR_NONE;
}

static void
targets_that_came_along_are_taken_by_version_and_key(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct role_keys keys;
	struct err e = ERR_INIT;

	assert_int_equal(tuf_delegation(c, "releases", &keys, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	repo_delegate(r, "targets", "releases", 5, "bundles/*", true);
	json_object_set_new(
		repo_body(r, "targets"), "expires", json_string("2020-01-01T00:00:00Z"));
	repo_bump(r, "targets");
	assert_int_equal(take(r, c, "2.targets.json", tuf_take_targets), ERR_NONE);
	assert_int_equal(repo_stored(r, "targets"), 2);
	assert_int_equal(tuf_delegation(c, "releases", &keys, &e), 0);
	assert_int_equal(keys.threshold, 1);
	assert_int_equal(tuf_delegation(c, "nobody", &keys, &e), -1);
	assert_int_equal(take(r, c, "1.targets.json", tuf_take_targets), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "targets"), 2);
	repo_serve(r, "forged", repo_body(r, "targets"), KEYS(5));
	assert_int_equal(take(r, c, "forged", tuf_take_targets), ERR_UNTRUSTED);
}

static void
a_stored_targets_json_serves_without_a_network(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = NULL;
	struct role_keys keys;
	struct err e = ERR_INIT;

	repo_delegate(r, "targets", "releases", 5, "bundles/*", true);
	repo_write(r, "releases");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	c = repo_client(r);
	assert_int_equal(tuf_delegation(c, "releases", &keys, &e), 0);
	assert_non_null(json_object_get(keys.keys, r->keys[5].signer.keyid));
}

static void
the_site_cannot_go_back_behind_targets_that_came_along(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);

	assert_int_equal(repo_refresh(r), ERR_NONE);
	repo_bump(r, "targets");
	assert_int_equal(take(r, c, "2.targets.json", tuf_take_targets), ERR_NONE);
	assert_int_equal(repo_refresh(r), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "targets"), 2);
	repo_release(r, NULL);
	assert_int_equal(repo_refresh(r), ERR_NONE);
}

static void
a_root_that_came_along_needs_both_thresholds(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);

	repo_set_keys(r, "root", KEYS(4), 1);
	repo_bump(r, "root");
	assert_int_equal(take(r, c, "2.root.json", tuf_take_root), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "root"), 1);
	repo_serve(r, "2.root.json", repo_body(r, "root"), KEYS(0, 4));
	assert_int_equal(take(r, c, "2.root.json", tuf_take_root), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 2);
	assert_int_equal(take(r, c, "2.root.json", tuf_take_root), ERR_UNTRUSTED);
}

static void
a_folder_keeps_one_file_a_role(void **state)
{
	char dir[] = "/tmp/sluice-tuf-XXXXXX", path[64];
	AUTO_BUF struct buf out = BUF_INIT(100);
	struct err e = ERR_INIT;
	struct tuf_store s;

	(void)state;
	assert_non_null(mkdtemp(dir));
	s = tuf_store_dir(dir);
	assert_int_equal(s.load(s.arg, "root", &out, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_int_equal(e.errnum, ENOENT);
	assert_int_equal(s.save(s.arg, "../x", span_str("hello"), &e), 0);
	(void)snprintf(path, sizeof(path), "%s/..%%2Fx.json", dir);
	assert_true(file_exists(path));
	assert_int_equal(s.load(s.arg, "../x", &out, &e), 0);
	assert_string_equal(buf_str(&out), "hello");
	assert_int_equal(s.drop(s.arg, "../x", &e), 0);
	assert_int_equal(s.drop(s.arg, "../x", &e), 0);
	assert_false(file_exists(path));
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		repo_test(a_target_comes_from_under_its_digest),
		repo_test(a_target_has_its_plain_name_without_consistent_snapshots),
		repo_test(names_of_targets_are_quoted_but_for_their_slashes),
		repo_test(a_target_of_other_bytes_is_refused),
		repo_test(a_target_of_another_length_than_listed_is_refused),
		repo_test(a_target_over_the_limit_is_not_fetched),
		repo_test(every_digest_listed_is_checked),
		repo_test(sha512_alone_will_do),
		repo_test(a_target_without_a_known_digest_is_refused),
		repo_test(a_target_that_lists_no_digest_is_never_fetched_right),
		repo_test(custom_reaches_the_caller),
		repo_test(targets_that_came_along_are_taken_by_version_and_key),
		repo_test(a_stored_targets_json_serves_without_a_network),
		repo_test(the_site_cannot_go_back_behind_targets_that_came_along),
		repo_test(a_root_that_came_along_needs_both_thresholds),
		cmocka_unit_test(a_folder_keeps_one_file_a_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
