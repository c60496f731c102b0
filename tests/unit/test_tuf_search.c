/* Section 5.6.7: the search through delegations. */
#include "tests/unit/repo_fixture.h"

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
a_role_the_snapshot_does_not_list_says_nothing_and_nobody_speaks_for_it(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char role[65];

	repo_delegate(r, "targets", "releases", 5, "*", false);
	repo_serve(r, "1.releases.json", repo_body(r, "releases"), KEYS(5));
	repo_delegate(r, "targets", "later", 6, "*", false);
	repo_target(r, "later", "x", "x");
	repo_write(r, "later");
	repo_release(r, "targets");
	assert_int_equal(find(r, c, "x", role), ERR_NONE);
	assert_string_equal(role, "");
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

static void
a_client_may_meet_any_number_of_roles(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	char name[16], path[16], role[65];

	for (int i = 0; i < 70; i++) {
		(void)snprintf(name, sizeof(name), "r%d", i);
		(void)snprintf(path, sizeof(path), "p%d", i);
		repo_delegate(r, "targets", name, 5, path, true);
		repo_target(r, name, path, "x");
		repo_write(r, name);
	}
	repo_release(r, "targets");
	for (int i = 0; i < 70; i++) {
		(void)snprintf(name, sizeof(name), "r%d", i);
		(void)snprintf(path, sizeof(path), "p%d", i);
		assert_int_equal(find(r, c, path, role), ERR_NONE);
		assert_string_equal(role, name);
	}
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
		repo_test(a_role_the_snapshot_does_not_list_says_nothing_and_nobody_speaks_for_it),
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
		repo_test(a_client_may_meet_any_number_of_roles),
		repo_test(a_path_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
