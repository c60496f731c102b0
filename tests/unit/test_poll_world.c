#include "tests/unit/poll_scene.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* The digest that a file in these tests has, where nothing is made of its bytes. */
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BUNDLE "the bundle"
#define STOP_ID "00112233445566778899aabbccddeeff"

static const char gate_all[] = "{\"format\":1,\"path\":\"gates/all.json\",\"plan\":null,"
			       "\"open\":[],\"paused\":false,\"stops\":[%s]}";
static const char gate_plan[] =
	"{\"format\":1,\"path\":\"gates/stable.json\",\"plan\":{\"path\":\"rollouts/stable.json\","
	"\"rollout\":\"gw-2\",\"version\":3,\"sha256\":\"" SHA "\"},\"open\":[\"all\"],"
	"\"paused\":false,\"stops\":[%s]}";
static const char gate_stop[] = "{\"id\":\"" STOP_ID "\",\"reason\":\"smoke\","
				"\"at\":\"2027-01-15T08:00:00Z\"}";

static void
serve_plan(struct repo *r, int bundle_length, int head_length)
{
	AUTO_JSON json_t *hashes = repo_hashes(BUNDLE, strlen(BUNDLE));
	char text[2048];

	(void)snprintf(text, sizeof(text),
		"{\"format\":1,\"rollout\":\"gw-2\",\"version\":3,\"path\":\"rollouts/"
		"stable.json\","
		"\"bundle\":{\"path\":\"bundles/gw-2.ota\",\"length\":%d,\"sha256\":\"%s\","
		"\"head\":{\"length\":%d,\"sha256\":\"" SHA "\"}},\"compatible\":[\"gw3\"],"
		"\"attempt\":1,\"from\":[],\"match\":{},\"exclude\":[],\"stop_poll_s\":60,"
		"\"deadline_s\":3600,\"waves\":[{\"name\":\"all\",\"percent_bp\":10000}],"
		"\"advance\":{\"success_bp\":9800,\"sample\":30,\"coverage_bp\":8000},"
		"\"stop\":{\"failures_bp\":500,\"at_least\":3,\"overdue_s\":86400}}",
		bundle_length, json_string_value(json_object_get(hashes, "sha256")), head_length);
	repo_target(r, "rollouts", "rollouts/stable.json", text);
}

static void
serve_gate(struct repo *r, const char *stop)
{
	char text[512];

	(void)snprintf(text, sizeof(text), gate_all, stop);
	repo_target(r, "gates", "gates/all.json", text);
}

static void
serve_plan_gate(struct repo *r, const char *stop)
{
	char text[512];

	(void)snprintf(text, sizeof(text), gate_plan, stop);
	repo_target(r, "gates", "gates/stable.json", text);
}

static json_t *
listed(struct repo *r, const char *role, const char *path)
{
	return json_object_get(json_object_get(repo_body(r, role), "targets"), path);
}

static void
release_all(struct repo *r)
{
	repo_bump(r, "releases");
	repo_bump(r, "rollouts");
	repo_bump(r, "gates");
	repo_release(r, "targets");
}

/* A site with a plan, its bundle of 10 bytes with a head of 4, and the gate of everything. */
static void
serve_world(struct scene *x)
{
	struct repo *r = x->repo;

	x->conf.trust_clock = true;
	(void)repo_delegate(r, "targets", "releases", 5, "bundles/*", true);
	(void)repo_delegate(r, "targets", "rollouts", 6, "rollouts/*", true);
	(void)repo_delegate(r, "targets", "gates", 7, "gates/*", true);
	repo_target(r, "releases", "bundles/gw-2.ota", BUNDLE);
	json_object_set_new(listed(r, "releases", "bundles/gw-2.ota"), "custom",
		json_pack("{s:{s:i, s:s}, s:{s:i, s:s}, s:s, s:s, s:i}", "head", "length", 4,
			"sha256", SHA, "manifest", "length", 2, "sha256", SHA, "name", "gw",
			"version", "2", "rollback_index", 0));
	serve_plan(r, (int)strlen(BUNDLE), 4);
	serve_gate(r, "");
	release_all(r);
}

static const struct world *
world_of(struct scene *x)
{
	const struct world *w = NULL;
	struct err e = ERR_INIT;

	if (poller_poll(x->poller, NULL, &w, &e) < 0)
		fail_msg("%s", e.text);
	return w;
}

static void
a_plan_gets_the_bundle_that_it_names_and_no_other(void **state)
{
	struct scene *x = *state;
	const struct {
		int length, head;
		bool has;
	} plans[] = {{10, 4, true}, {11, 4, false}, {9, 4, false}, {10, 5, false}, {10, 3, false}};

	serve_world(x);
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		serve_plan(x->repo, plans[i].length, plans[i].head);
		release_all(x->repo);
		assert_true(world_of(x)->has_plan);
		assert_int_equal(world_of(x)->has_bundle, plans[i].has);
	}
}

/* What has happened to others: no digest meant no check. */
static void
a_plan_that_is_listed_without_a_sha256_is_refused(void **state)
{
	struct scene *x = *state;
	char hex[2 * DIGEST512_BYTES + 1];

	serve_world(x);
	memset(hex, 'a', sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = 0;
	json_object_set_new(listed(x->repo, "rollouts", "rollouts/stable.json"), "hashes",
		json_pack("{s:s}", "sha512", hex));
	release_all(x->repo);
	assert_int_equal(poll_once(x), ERR_MALFORMED);
}

static void
an_unchanged_timestamp_is_not_sent_again(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	for (int i = 0; i < 4; i++)
		assert_true(world_of(x)->has_bundle);
}

static void
a_new_snapshot_is_a_new_world(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	assert_true(world_of(x)->has_plan);
	json_object_del(
		json_object_get(repo_body(x->repo, "rollouts"), "targets"), "rollouts/stable.json");
	release_all(x->repo);
	assert_false(world_of(x)->has_plan);
}

/* What it lifted stays lifted, though its gate has the stop for good. */
static void
a_withdrawn_plan_is_none_and_lifts_what_it_lifted(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	serve_plan_gate(x->repo, gate_stop);
	json_object_set_new(listed(x->repo, "rollouts", "rollouts/stable.json"), "custom",
		json_pack("{s:[s], s:b}", "resumes", STOP_ID, "withdrawn", 1));
	release_all(x->repo);
	assert_false(world_of(x)->has_plan);
	assert_int_equal(x->state->stop_count, 0);
	json_object_set_new(listed(x->repo, "rollouts", "rollouts/stable.json"), "custom",
		json_pack("{s:[s], s:b}", "resumes", STOP_ID, "withdrawn", 0));
	release_all(x->repo);
	assert_true(world_of(x)->has_plan);
}

/* The new keys of targets delegate nothing, under a version that is listed already. */
static void
a_new_root_is_a_new_world(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	assert_true(world_of(x)->has_plan);
	repo_set_keys(x->repo, "targets", KEYS(8), 1);
	repo_bump(x->repo, "root");
	json_object_del(repo_body(x->repo, "targets"), "delegations");
	repo_write(x->repo, "targets");
	assert_false(world_of(x)->has_plan);
}

static void
a_world_ends_in_the_second_in_which_a_delegated_role_expires(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	repo_expire(x->repo, "releases", "2027-01-15T08:00:10Z");
	release_all(x->repo);
	wall_s = REPO_NOW_S + 9;
	assert_int_equal(poll_once(x), ERR_NONE);
	wall_s++;
	assert_int_equal(poll_once(x), ERR_EXPIRED);
}

static void
a_stop_counts_without_a_plan_and_is_kept_at_once(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	json_object_clear(json_object_get(repo_body(x->repo, "rollouts"), "targets"));
	serve_gate(x->repo, gate_stop);
	release_all(x->repo);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(x->state->stop_count, 1);
	x->state->stop_count = 0;
	start(x);
	assert_int_equal(x->state->stop_count, 1);
	assert_string_equal(x->state->stops[0].id, STOP_ID);
}

static void
disk_takes(bool any)
{
	struct rlimit most;

	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &most), 0);
	most.rlim_cur = any ? most.rlim_max : 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
}

static void
a_disk_that_is_full_hides_no_stop(void **state)
{
	struct scene *x = *state;
	enum err_class quiet, stopped;

	serve_world(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	repo_bump(x->repo, "timestamp");
	disk_takes(false);
	quiet = poll_once(x);
	serve_gate(x->repo, gate_stop);
	release_all(x->repo);
	stopped = poll_once(x);
	disk_takes(true);
	assert_int_equal(quiet, ERR_NONE);
	assert_int_equal(stopped, ERR_SYSTEM); /* it is not kept */
	assert_int_equal(x->state->stop_count, 1);
	x->state->stop_count = 0;
	assert_int_equal(poll_once(x), ERR_NONE);
	start(x);
	assert_int_equal(x->state->stop_count, 1);
}

/* Nothing else rests on it: it may be forgotten with the process. */
static void
a_root_that_the_disk_does_not_take_hides_no_stop(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	repo_set_keys(x->repo, "timestamp", KEYS(8), 1);
	repo_bump(x->repo, "root");
	serve_gate(x->repo, gate_stop);
	release_all(x->repo);
	assert_int_equal(unlink("metadata/root.json"), 0);
	assert_int_equal(mkdir("metadata/root.json", 0700), 0);
	assert_int_equal(poll_once(x), ERR_SYSTEM);
	assert_int_equal(x->state->stop_count, 1);
	assert_int_equal(poll_once(x), ERR_SYSTEM);
	assert_int_equal(rmdir("metadata/root.json"), 0);
	assert_int_equal(poll_once(x), ERR_NONE);
	start(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(x->state->stop_count, 1);
}

/* A stop is in a gate, and what lifts it is listed with a plan that cannot be read at first. */
static void
assert_stays_lifted(struct scene *x, const char *plan)
{
	json_object_set_new(listed(x->repo, "rollouts", plan), "custom",
		json_pack("{s:[s]}", "resumes", STOP_ID));
	release_all(x->repo);
	repo_forge(x->repo, "rollouts");
	repo_release(x->repo, NULL);
	assert_int_equal(poll_once(x), ERR_UNTRUSTED);
	assert_int_equal(x->state->stop_count, 0);
	repo_bump(x->repo, "rollouts");
	repo_release(x->repo, NULL);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(x->state->stop_count, 0);
}

static void
a_stop_that_was_lifted_stays_so_where_plans_cannot_be_read(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	serve_gate(x->repo, gate_stop);
	repo_target(x->repo, "rollouts", "rollouts/all.json", "{}");
	assert_stays_lifted(x, "rollouts/all.json");
}

static void
a_plans_stop_that_was_lifted_stays_so_where_plans_cannot_be_read(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	serve_plan_gate(x->repo, gate_stop);
	assert_stays_lifted(x, "rollouts/stable.json");
}

static enum answer
ask_changed(struct scene *x)
{
	struct err e = ERR_INIT;
	enum answer answer;

	while ((answer = poller_ask_changed(x->poller, &e)) == ANSWER_PENDING)
		continue;
	return answer;
}

/* Whether the server knows entity tags, or sends the same bytes again. */
static void
only_another_timestamp_is_a_change(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	for (int i = 0; i < 2; i++) {
		knows_no_tags = i == 1;
		assert_int_equal(poll_once(x), ERR_NONE);
		assert_int_equal(ask_changed(x), ANSWER_SAME);
		fetches_failing = 1;
		assert_int_equal(ask_changed(x), ANSWER_FAILED);
		repo_bump(x->repo, "timestamp");
		assert_int_equal(ask_changed(x), ANSWER_CHANGED);
	}
}

/* Two servers may give one tag to two things: nginx makes them of times and lengths. */
static void
a_tag_is_shown_to_the_server_that_made_it(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	for (asked_site = 0; asked_site < 2; asked_site++) {
		if (asked_site > 0) {
			assert_int_equal(ask_changed(x), ANSWER_SAME);
			assert_false(tag_was_shown);
		}
		assert_int_equal(poll_once(x), ERR_NONE);
		assert_false(tag_was_shown);
		assert_int_equal(poll_once(x), ERR_NONE);
		assert_true(tag_was_shown);
		assert_int_equal(ask_changed(x), ANSWER_SAME);
		assert_true(tag_was_shown);
	}
}

static void
a_gate_that_cannot_be_read_is_no_world(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	repo_target(x->repo, "gates", "gates/all.json", "{}");
	release_all(x->repo);
	assert_int_equal(poll_once(x), ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_plan_gets_the_bundle_that_it_names_and_no_other),
		IN_SCENE(a_plan_that_is_listed_without_a_sha256_is_refused),
		IN_SCENE(an_unchanged_timestamp_is_not_sent_again),
		IN_SCENE(a_new_snapshot_is_a_new_world),
		IN_SCENE(a_withdrawn_plan_is_none_and_lifts_what_it_lifted),
		IN_SCENE(a_new_root_is_a_new_world),
		IN_SCENE(a_world_ends_in_the_second_in_which_a_delegated_role_expires),
		IN_SCENE(a_stop_counts_without_a_plan_and_is_kept_at_once),
		IN_SCENE(a_disk_that_is_full_hides_no_stop),
		IN_SCENE(a_root_that_the_disk_does_not_take_hides_no_stop),
		IN_SCENE(a_stop_that_was_lifted_stays_so_where_plans_cannot_be_read),
		IN_SCENE(a_plans_stop_that_was_lifted_stays_so_where_plans_cannot_be_read),
		IN_SCENE(only_another_timestamp_is_a_change),
		IN_SCENE(a_tag_is_shown_to_the_server_that_made_it),
		IN_SCENE(a_gate_that_cannot_be_read_is_no_world),
	};

	return cmocka_run_group_tests_name("poll_world", tests, NULL, NULL);
}
