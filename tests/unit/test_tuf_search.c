/* Sections 5.6.7 and 5.7: delegations, targets, and what comes along with a bundle. */
#include "tests/unit/repo_fixture.h"

#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/limits.h"

/* One find by a client that has just refreshed. Returns the error's class; *role is "" for a path
 * that nobody lists. */
static enum err_class
find(struct repo *r, struct tuf_client *c, const char *path, char role[65])
{
	AUTO_TARGET struct tuf_target t = {0};
	struct err e = ERR_INIT;
	bool found = false;

	if (tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e) < 0)
		fail_msg("%s", e.text);
	r->asked[0] = '\0';
	role[0] = '\0';
	if (tuf_find(c, &r->fetcher, path, REPO_NOW_S, &found, &t, &e) < 0)
		return e.class;
	if (found)
		memcpy(role, t.role, sizeof(t.role));
	return ERR_NONE;
}

static void
assert_found(struct repo *r, const char *path, const char *by, const char *asked)
{
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char role[65];

	assert_int_equal(find(r, c, path, role), ERR_NONE);
	assert_string_equal(role, by);
	if (asked)
		assert_string_equal(r->asked, asked);
}

/* Lets the delegations of names (one letter each, delegator first) exist: "tA" is targets to A. A
 * third letter '!' makes it terminating. */
static void
graph(struct repo *r, const char *const *edges)
{
	for (; *edges; edges++) {
		char from[2] = {(*edges)[0], '\0'}, to[2] = {(*edges)[1], '\0'};

		repo_delegate(r, from[0] == 't' ? "targets" : from, to, 5, "*", (*edges)[2] == '!');
	}
	for (size_t i = 4; i < r->role_count; i++)
		repo_write(r, r->roles[i].name);
	repo_release(r, "targets");
}
#define GRAPH(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
delegations_are_searched_depth_first_in_their_order(void **state)
{
	struct repo *r = *state;

	graph(r, GRAPH("tA", "tB", "AC", "CD"));
	assert_found(r, "missing", "", "1.A.json 1.C.json 1.D.json 1.B.json ");
}

static void
the_first_role_that_lists_a_target_speaks_for_it(void **state)
{
	struct repo *r = *state;

	graph(r, GRAPH("tA", "tB"));
	repo_target(r, "B", "x", "by B");
	repo_bump(r, "B");
	repo_release(r, NULL);
	assert_found(r, "x", "B", "1.A.json 2.B.json ");
	repo_target(r, "A", "x", "by A");
	repo_bump(r, "A");
	repo_release(r, NULL);
	assert_found(r, "x", "A", "2.A.json ");
	repo_target(r, "targets", "x", "by targets");
	repo_release(r, "targets");
	assert_found(r, "x", "targets", "");
}

static void
a_terminating_delegation_ends_the_search(void **state)
{
	struct repo *r = *state;

	graph(r, GRAPH("tA", "tB", "AC!", "AD", "CE"));
	repo_target(r, "B", "x", "by B");
	repo_bump(r, "B");
	repo_release(r, NULL);
	assert_found(r, "x", "", "1.A.json 1.C.json 1.E.json ");
}

static void
a_terminating_delegation_of_other_paths_ends_nothing(void **state)
{
	struct repo *r = *state;

	repo_delegate(r, "targets", "A", 5, "a/*", true);
	repo_delegate(r, "targets", "B", 5, "b/*", true);
	repo_target(r, "B", "b/x", "by B");
	repo_write(r, "A");
	repo_write(r, "B");
	repo_release(r, "targets");
	assert_found(r, "b/x", "B", "1.B.json ");
}

static void
cycles_end(void **state)
{
	struct repo *r = *state;

	graph(r, GRAPH("tA", "tB", "BC", "CD", "DB"));
	assert_found(r, "missing", "", "1.A.json 1.B.json 1.C.json 1.D.json ");
}

static void
a_role_that_two_delegate_to_is_visited_once(void **state)
{
	struct repo *r = *state;

	graph(r, GRAPH("tA", "tB", "BC", "AC"));
	assert_found(r, "missing", "", "1.A.json 1.C.json 1.B.json ");
}

static void
a_role_speaks_only_for_paths_that_all_its_delegators_gave_it(void **state)
{
	struct repo *r = *state;

	repo_delegate(r, "targets", "A", 5, "releases/*/*", false);
	repo_delegate(r, "A", "B", 6, "releases/y/*.zip", false);
	repo_target(r, "A", "other", "A has no say here");
	repo_target(r, "B", "releases/z/v1.zip", "nor has B here");
	repo_target(r, "B", "releases/y/v1.zip", "good");
	repo_write(r, "B");
	repo_write(r, "A");
	repo_release(r, "targets");
	assert_found(r, "other", "", "");
	assert_found(r, "releases/z/v1.zip", "", "1.A.json ");
	assert_found(r, "releases/y/v1.zip", "B", "1.B.json ");
}

static void
a_search_visits_only_so_many_roles(void **state)
{
	struct repo *r = *state;
	char name[16], role[65];

	for (int i = 0; i <= TUF_DELEGATIONS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "r%d", i);
		repo_delegate(r, "targets", name, 5, "*", false);
		if (i == TUF_DELEGATIONS_MAX - 1)
			repo_target(r, name, "near", "x");
		if (i == TUF_DELEGATIONS_MAX)
			repo_target(r, name, "far", "x");
		repo_write(r, name);
	}
	repo_release(r, "targets");
	{
		AUTO_TUF struct tuf_client *c = repo_client(r);

		assert_int_equal(find(r, c, "near", role), ERR_NONE);
		assert_string_equal(role, "r31");
		assert_int_equal(find(r, c, "far", role), ERR_LIMIT);
		/* And again, with what the client remembers of them. */
		assert_int_equal(find(r, c, "near", role), ERR_NONE);
		assert_string_equal(role, "r31");
	}
}

static void
a_role_is_verified_by_the_delegator_that_led_to_it(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char role[65];

	repo_delegate(r, "targets", "parent-a", 5, "team-a/*", false);
	repo_delegate(r, "targets", "parent-b", 6, "team-b/*", false);
	repo_delegate(r, "parent-a", "release", 7, "team-a/*", false);
	repo_delegate(r, "parent-b", "release", 8, "team-b/*", false);
	repo_target(r, "release", "team-a/x", "trusted by A");
	repo_target(r, "release", "team-b/x", "B does not know the key");
	repo_write(r, "release"); /* by key 7 only */
	repo_write(r, "parent-a");
	repo_write(r, "parent-b");
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "team-a/x", role), ERR_NONE);
	assert_string_equal(role, "release");
	assert_int_equal(find(r, c, "team-b/x", role), ERR_UNTRUSTED);
	assert_int_equal(find(r, c, "team-a/x", role), ERR_NONE);
	assert_string_equal(role, "release");
}

static void
a_delegated_role_needs_its_threshold(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	json_t *delegation = repo_delegate(r, "targets", "releases", 5, "bundles/*", true);
	char role[65];

	json_object_set_new(delegation, "threshold", json_integer(2));
	json_array_append_new(
		json_object_get(delegation, "keyids"), json_string(r->keys[6].signer.keyid));
	json_object_set(
		json_object_get(json_object_get(repo_body(r, "targets"), "delegations"), "keys"),
		r->keys[6].signer.keyid, r->keys[6].public);
	repo_target(r, "releases", "bundles/x", "x");
	repo_write(r, "releases");
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "bundles/x", role), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "releases"), 0);
	memcpy(repo_role(r, "releases")->keys, KEYS(5, 6), sizeof(int[3]));
	repo_release(r, "releases");
	assert_int_equal(find(r, c, "bundles/x", role), ERR_NONE);
	assert_string_equal(role, "releases");
}

static void
a_cached_role_falls_when_its_key_is_taken_away(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char role[65];

	repo_delegate(r, "targets", "releases", 5, "*", true);
	repo_target(r, "releases", "x", "x");
	repo_write(r, "releases");
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "x", role), ERR_NONE);
	json_object_del(repo_body(r, "targets"), "delegations");
	repo_delegate(r, "targets", "releases", 6, "*", true);
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "x", role), ERR_UNTRUSTED);
}

static void
a_role_that_the_snapshot_does_not_list_is_not_even_fetched(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char role[65];

	repo_delegate(r, "targets", "releases", 5, "*", true);
	repo_serve(r, "1.releases.json", repo_body(r, "releases"), KEYS(5));
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "x", role), ERR_UNTRUSTED);
	assert_string_equal(r->asked, "");
}

static void
an_expired_role_does_not_speak(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char role[65];

	repo_delegate(r, "targets", "gates", 5, "*", true);
	repo_target(r, "gates", "x", "x");
	json_object_set_new(repo_body(r, "gates"), "expires", json_string("2026-01-01T00:00:00Z"));
	repo_write(r, "gates");
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "x", role), ERR_EXPIRED);
	assert_int_equal(repo_stored(r, "gates"), 0);
	json_object_set_new(repo_body(r, "gates"), "expires", json_string(REPO_EXPIRES));
	repo_release(r, "gates");
	assert_int_equal(find(r, c, "x", role), ERR_NONE);
}

static void
a_remembered_role_that_expires_stops_speaking(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	struct err e = ERR_INIT;
	char role[65];
	bool found;

	repo_delegate(r, "targets", "gates", 5, "*", true);
	repo_target(r, "gates", "x", "x");
	json_object_set_new(repo_body(r, "gates"), "expires", json_string("2027-02-01T00:00:00Z"));
	repo_write(r, "gates");
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "x", role), ERR_NONE);
	assert_int_equal(
		tuf_find(c, &r->fetcher, "x", REPO_NOW_S + 40 * 86400, &found, &t, &e), -1);
	assert_int_equal(e.class, ERR_EXPIRED);
}

static void
the_earliest_expiry_counts_delegated_roles(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	const char *which;
	char role[65];

	repo_delegate(r, "targets", "gates", 5, "*", true);
	json_object_set_new(repo_body(r, "gates"), "expires", json_string("2027-02-01T00:00:00Z"));
	repo_write(r, "gates");
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "x", role), ERR_NONE);
	assert_int_equal(tuf_expires_s(c, &which), 1801440000);
	assert_string_equal(which, "gates");
}

static void
a_known_role_is_not_fetched_again(void **state)
{
	struct repo *r = *state;

	graph(r, GRAPH("tA"));
	assert_found(r, "missing", "", "1.A.json ");
	assert_found(r, "missing", "", "");
	repo_release(r, "A");
	assert_found(r, "missing", "", "2.A.json ");
}

static void
a_delegated_role_cannot_take_a_top_level_name(void **state)
{
	static const char *const names[] = {"root", "timestamp", "snapshot", "targets", ""};
	struct repo *r = *state;

	for (size_t i = 0; i < 5; i++) {
		json_t *d = repo_delegate(r, "targets", "x", 5, "*", false);

		json_object_set_new(d, "name", json_string(names[i]));
		repo_release(r, "targets");
		assert_int_equal(repo_refresh(r), ERR_MALFORMED);
		json_object_del(repo_body(r, "targets"), "delegations");
	}
}

static void
one_role_is_not_delegated_to_twice_by_the_same(void **state)
{
	struct repo *r = *state;

	repo_delegate(r, "targets", "x", 5, "*", false);
	repo_delegate(r, "targets", "x", 6, "*", false);
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
}

static void
a_delegation_has_patterns_or_prefixes_and_a_threshold(void **state)
{
	struct repo *r = *state;
	json_t *d = repo_delegate(r, "targets", "x", 5, "*", false);

	json_object_set_new(d, "path_hash_prefixes", json_pack("[s]", "00"));
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
	json_object_del(d, "paths");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_NONE);
	json_object_set_new(d, "path_hash_prefixes", json_pack("[s]", ""));
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
	json_object_del(d, "path_hash_prefixes");
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_MALFORMED);
	json_object_set_new(d, "paths", json_pack("[s]", "*"));
	json_object_set_new(d, "threshold", json_integer(0));
	repo_release(r, "targets");
	assert_int_equal(repo_refresh(r), ERR_LIMIT);
}

static void
hash_prefixes_lead_to_their_role(void **state)
{
	struct repo *r = *state;
	struct digest of_x = digest_of(span_str("x"));
	char hex[DIGEST_HEX_SIZE], prefix[3] = {0};
	json_t *d;

	memcpy(prefix, digest_hex(&of_x, hex), 2);
	d = repo_delegate(r, "targets", "other", 5, "*", true);
	json_object_del(d, "paths");
	json_object_set_new(d, "path_hash_prefixes", json_pack("[s]", "00000000"));
	d = repo_delegate(r, "targets", "bin", 5, "*", true);
	json_object_del(d, "paths");
	json_object_set_new(d, "path_hash_prefixes", json_pack("[s]", prefix));
	repo_target(r, "bin", "x", "x");
	repo_write(r, "bin");
	repo_release(r, "targets");
	assert_found(r, "x", "bin", "1.bin.json ");
}

static void
strange_role_names_are_quoted(void **state)
{
	struct repo *r = *state;

	repo_delegate(r, "targets", "../a?#b", 5, "*", false);
	repo_release(r, "targets");
	repo_serve(r, "1...%2Fa%3F%23b.json", repo_body(r, "../a?#b"), KEYS(5));
	json_object_set_new(json_object_get(repo_body(r, "snapshot"), "meta"), "../a?#b.json",
		json_pack("{s:i}", "version", 1));
	repo_release(r, NULL);
	assert_found(r, "missing", "", "1...%2Fa%3F%23b.json ");
	assert_int_equal(repo_stored(r, "../a?#b"), 1);
}

static void
a_find_needs_a_refresh_that_succeeded(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	AUTO_TARGET struct tuf_target t = {0};
	struct err e = ERR_INIT;
	bool found;

	assert_int_equal(tuf_find(c, &r->fetcher, "x", REPO_NOW_S, &found, &t, &e), -1);
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), 0);
	assert_int_equal(tuf_find(c, &r->fetcher, "x", REPO_NOW_S, &found, &t, &e), 0);
	r->offline_status = 500;
	assert_int_equal(tuf_refresh(c, &r->fetcher, REPO_NOW_S, &e), -1);
	assert_int_equal(tuf_find(c, &r->fetcher, "x", REPO_NOW_S, &found, &t, &e), -1);
}

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
a_target_over_the_limit_is_not_fetched(void **state)
{
	struct repo *r = *state;

	repo_target(r, "targets", "x.json", "{\"a\": 1}");
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 7), ERR_LIMIT);
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
	assert_int_equal(fetch(r, "x.json", 100), ERR_UNTRUSTED);
	json_object_set_new(entry_of(r, "x.json"), "hashes", json_pack("{s:s}", "sha256", ""));
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 100), ERR_MALFORMED);
	json_object_del(entry_of(r, "x.json"), "hashes");
	repo_release(r, "targets");
	assert_int_equal(fetch(r, "x.json", 100), ERR_MALFORMED);
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

static void
a_path_that_is_too_long_is_refused(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char path[TUF_PATH_MAX + 2], role[65];

	memset(path, 'a', sizeof(path));
	path[TUF_PATH_MAX + 1] = '\0';
	assert_int_equal(find(r, c, path, role), ERR_LIMIT);
	path[TUF_PATH_MAX] = '\0';
	assert_int_equal(find(r, c, path, role), ERR_NONE);
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
		repo_test(delegations_are_searched_depth_first_in_their_order),
		repo_test(the_first_role_that_lists_a_target_speaks_for_it),
		repo_test(a_terminating_delegation_ends_the_search),
		repo_test(a_terminating_delegation_of_other_paths_ends_nothing),
		repo_test(cycles_end),
		repo_test(a_role_that_two_delegate_to_is_visited_once),
		repo_test(a_role_speaks_only_for_paths_that_all_its_delegators_gave_it),
		repo_test(a_search_visits_only_so_many_roles),
		repo_test(a_role_is_verified_by_the_delegator_that_led_to_it),
		repo_test(a_delegated_role_needs_its_threshold),
		repo_test(a_cached_role_falls_when_its_key_is_taken_away),
		repo_test(a_role_that_the_snapshot_does_not_list_is_not_even_fetched),
		repo_test(an_expired_role_does_not_speak),
		repo_test(a_remembered_role_that_expires_stops_speaking),
		repo_test(the_earliest_expiry_counts_delegated_roles),
		repo_test(a_known_role_is_not_fetched_again),
		repo_test(a_delegated_role_cannot_take_a_top_level_name),
		repo_test(one_role_is_not_delegated_to_twice_by_the_same),
		repo_test(a_delegation_has_patterns_or_prefixes_and_a_threshold),
		repo_test(hash_prefixes_lead_to_their_role),
		repo_test(strange_role_names_are_quoted),
		repo_test(a_find_needs_a_refresh_that_succeeded),
		repo_test(a_target_comes_from_under_its_digest),
		repo_test(a_target_of_other_bytes_is_refused),
		repo_test(a_target_over_the_limit_is_not_fetched),
		repo_test(every_digest_listed_is_checked),
		repo_test(sha512_alone_will_do),
		repo_test(a_target_without_a_known_digest_is_refused),
		repo_test(custom_reaches_the_caller),
		repo_test(a_path_that_is_too_long_is_refused),
		repo_test(targets_that_came_along_are_taken_by_version_and_key),
		repo_test(a_stored_targets_json_serves_without_a_network),
		repo_test(the_site_cannot_go_back_behind_targets_that_came_along),
		repo_test(a_root_that_came_along_needs_both_thresholds),
		cmocka_unit_test(a_folder_keeps_one_file_a_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
