/* Polling, with the network and the clocks played here: net_*(), time() and adjtimex() below stand
 * in for the real ones. */
#include "tests/unit/repo_fixture.h"

#include <sys/timex.h>
#include <time.h>

#include "agent/effective.h"
#include "agent/net.h"
#include "agent/poll.h"
#include "common/base/file.h"
#include "tests/unit/folder.h"

enum { DAY_S = 86400, NO_CLOCK_S = 5 };
#define POISON_S 4070908800 /* 2099-01-01 */
#define POISON "2099-01-01T00:00:00Z"

struct scene {
	struct repo *repo;
	struct conf conf;
	struct state *state;
	struct poller *poller;
	void *folder;
};

/* What the world is like. */
static struct repo *served;
static int64_t wall_s, judged_at_s, certificate_from_s, certificate_to_s;
static bool any_time_was_asked;
static int fetches_failing; /* so many more that find a connection and get nothing */

time_t
time(time_t *out)
{
	if (out)
		*out = (time_t)wall_s;
	return (time_t)wall_s;
}

int
adjtimex(struct timex *t)
{
	t->status = STA_UNSYNC;
	return TIME_ERROR;
}

/* There is one server. */
size_t
net_sites(const struct net *n)
{
	(void)n;
	return 1;
}

bool
net_next_site(struct net *n)
{
	(void)n;
	return false;
}

uint64_t
net_answers(const struct net *n)
{
	(void)n;
	return 0;
}

int
net_set_time(struct net *n, int64_t now_s, struct err *e)
{
	(void)n;
	(void)e;
	judged_at_s = now_s;
	return 0;
}

static bool
certificate_holds(void)
{
	if (judged_at_s == NET_ANY_TIME)
		return true;
	if (judged_at_s < 0)
		return judged_at_s == NET_SINCE(-judged_at_s) && -judged_at_s <= certificate_to_s;
	return judged_at_s >= certificate_from_s && judged_at_s <= certificate_to_s;
}

/* Whether the box has these very bytes, so that there is nothing to send. */
static bool
is_known(const char *etag, struct net_reply *reply)
{
	const struct repo_file *f = repo_file(&served->metadata, "timestamp.json");
	struct digest d = digest_of(span_of(f->data, f->len));

	(void)digest_hex(&d, reply->etag);
	if (!etag || strcmp(etag, reply->etag) != 0)
		return false;
	reply->status = 304;
	return true;
}

int
net_fetch(struct net *n, const struct net_request *r, struct buf *out, struct net_reply *reply,
	const struct keep_going *keep_going, struct err *e)
{
	(void)n;
	(void)keep_going;
	*reply = (struct net_reply){.retry_after_s = -1, .status = 200};
	any_time_was_asked |= judged_at_s == NET_ANY_TIME;
	if (!certificate_holds()) {
		(void)err_set(e, ERR_NETWORK, "the certificate is of another time");
		e->errnum = NET_BAD_CERTIFICATE;
		return -1;
	}
	if (fetches_failing > 0 && fetches_failing--)
		return err_set(e, ERR_NETWORK, "no answer");
	if (r->base == NET_TARGETS)
		return repo_fetch(served, &served->targets, r->path, r->max, out, e);
	if (strcmp(r->path, "timestamp.json") == 0 && is_known(r->etag, reply))
		return 0;
	return repo_fetch(served, &served->metadata, r->path, r->max, out, e);
}

int
net_open(struct net *n, const struct net_request *r, struct net_transfer **out, struct err *e)
{
	(void)n;
	(void)r;
	(void)out;
	return err_set(e, ERR_NETWORK, "not played here");
}

bool
net_ready(struct net_transfer *t)
{
	(void)t;
	return false;
}

ssize_t
net_read(struct net_transfer *t, void *data, size_t len, const struct keep_going *keep_going,
	struct err *e)
{
	(void)t;
	(void)data;
	(void)len;
	(void)keep_going;
	return err_set(e, ERR_NETWORK, "not played here");
}

const struct net_reply *
net_reply_of(const struct net_transfer *t)
{
	(void)t;
	return NULL;
}

void
net_close(struct net_transfer **t)
{
	*t = NULL;
}

/* The next timestamp, vouching for this day. */
static void
sign_at(struct repo *r, const char *signed_at)
{
	json_object_set_new(repo_body(r, "timestamp"), "signed_at", json_string(signed_at));
	repo_bump(r, "timestamp");
}

/* A process that starts. */
static void
start(struct scene *x)
{
	struct err e = ERR_INIT;

	poller_free(&x->poller);
	if (state_load(x->conf.state_dir, x->state, &e) < 0 ||
		poller_new(&x->conf, NULL, x->state, &x->poller, &e) < 0)
		fail_msg("%s", e.text);
}

static int
scene_set(void **state)
{
	struct scene *x = calloc(1, sizeof(*x));
	const struct repo_file *root;
	struct err e = ERR_INIT;

	assert_non_null(x);
	assert_int_equal(folder_enter(&x->folder), 0);
	assert_int_equal(dir_make("metadata", 0700, &e), 0);
	x->repo = served = repo_new();
	root = repo_file(&x->repo->store, "root");
	assert_int_equal(folder_put("metadata/root.json", root->data, root->len), 0);
	x->conf = (struct conf){
		.state_dir = x->folder, .plan = (char *)(uintptr_t) "rollouts/stable.json"};
	x->state = calloc(1, sizeof(*x->state));
	assert_non_null(x->state);
	wall_s = REPO_NOW_S;
	certificate_from_s = REPO_NOW_S - 30 * DAY_S;
	certificate_to_s = REPO_NOW_S + 60 * DAY_S;
	any_time_was_asked = false;
	fetches_failing = 0;
	sign_at(x->repo, "2027-01-15T08:00:00Z"); /* REPO_NOW_S */
	start(x);
	*state = x;
	return 0;
}

static int
scene_clear(void **state)
{
	struct scene *x = *state;
	void *folder = x->folder;

	poller_free(&x->poller);
	repo_free(x->repo);
	free(x->state);
	free(x);
	return folder_leave(&folder);
}

static enum err_class
poll_once(struct scene *x)
{
	const struct world *w;
	struct err e = ERR_INIT;

	return poller_poll(x->poller, NULL, &w, &e) < 0 ? e.class : ERR_NONE;
}

/* Somebody has the timestamp key, and the box hears him. */
static void
poison(struct scene *x)
{
	assert_int_equal(poll_once(x), ERR_NONE);
	repo_expire(x->repo, "timestamp", "2100-01-01T00:00:00Z");
	repo_set_version(x->repo, "timestamp", 100);
	sign_at(x->repo, POISON);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(x->state->floor_s, POISON_S);
	assert_true(poller_now_s(x->poller) >= POISON_S);
	assert_int_not_equal(poll_once(x), ERR_NONE);
}

/* What the holders of root do about it. */
static void
replace_keys(struct scene *x)
{
	repo_set_keys(x->repo, "timestamp", KEYS(4), 1);
	repo_bump(x->repo, "root");
	repo_expire(x->repo, "timestamp", "2027-01-16T08:00:00Z");
	repo_set_version(x->repo, "timestamp", 3);
	sign_at(x->repo, "2027-01-15T08:00:00Z");
}

static void
assert_recovered(struct scene *x)
{
	assert_int_equal(x->state->floor_s, REPO_NOW_S);
	assert_in_range(poller_now_s(x->poller), REPO_NOW_S, REPO_NOW_S + DAY_S);
	assert_int_equal(poll_once(x), ERR_NONE);
	start(x);
	assert_int_equal(x->state->floor_s, REPO_NOW_S);
	assert_int_equal(poll_once(x), ERR_NONE);
}

static void
a_poisoned_floor_goes_with_its_keys_while_it_runs(void **state)
{
	struct scene *x = *state;

	poison(x);
	replace_keys(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_recovered(x);
	/* Its wall clock is right, though nobody vouches for it. */
	assert_false(any_time_was_asked);
}

static void
a_poisoned_floor_goes_with_its_keys_after_a_start(void **state)
{
	struct scene *x = *state;

	poison(x);
	start(x);
	assert_int_equal(x->state->floor_s, POISON_S);
	assert_int_not_equal(poll_once(x), ERR_NONE);
	replace_keys(x);
	start(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_recovered(x);
}

/* The power goes when the new root is kept and the floor is not dropped yet. */
static void
a_poisoned_floor_goes_when_the_new_root_came_before(void **state)
{
	struct scene *x = *state;
	AUTO_BUF struct buf poisoned = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	poison(x);
	replace_keys(x);
	assert_int_equal(file_read("state.json", &poisoned, &e), 0);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(folder_put("state.json", poisoned.data, poisoned.len), 0);
	start(x);
	assert_int_equal(x->state->floor_s, POISON_S);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_recovered(x);
}

static void
a_box_without_a_clock_recovers_too(void **state)
{
	struct scene *x = *state;

	for (int restarted = 0; restarted < 2; restarted++) {
		wall_s = NO_CLOCK_S;
		poison(x);
		if (restarted)
			start(x);
		replace_keys(x);
		assert_int_equal(poll_once(x), ERR_NONE);
		assert_recovered(x);
		assert_true(any_time_was_asked);
		(void)scene_clear(state);
		(void)scene_set(state);
		x = *state;
	}
}

static void
a_poisoned_floor_stays_as_long_as_its_keys_do(void **state)
{
	struct scene *x = *state;

	poison(x);
	repo_bump(x->repo, "root");
	assert_int_equal(poll_once(x), ERR_EXPIRED);
	start(x);
	assert_int_equal(poll_once(x), ERR_EXPIRED);
	assert_int_equal(x->state->floor_s, POISON_S);
}

static void
where_the_time_is_known_certificates_of_another_time_are_refused(void **state)
{
	struct scene *x = *state;

	assert_int_equal(poll_once(x), ERR_NONE);
	wall_s = NO_CLOCK_S;
	start(x);
	certificate_to_s = REPO_NOW_S - DAY_S;
	assert_int_equal(poll_once(x), ERR_NETWORK);
	x->conf.trust_clock = true;
	x->state->floor_s = 0;
	assert_int_equal(poll_once(x), ERR_NETWORK);
	assert_false(any_time_was_asked);
}

/* It lay on a shelf for half a year, and the server has a new certificate. */
static void
a_box_without_a_clock_that_slept_past_a_new_certificate_connects(void **state)
{
	struct scene *x = *state;
	int64_t later_s = REPO_NOW_S + 180 * DAY_S;

	wall_s = NO_CLOCK_S;
	assert_int_equal(poll_once(x), ERR_NONE); /* without a floor, by no time at all */
	any_time_was_asked = false;
	certificate_from_s = later_s - 30 * DAY_S;
	certificate_to_s = later_s + 60 * DAY_S;
	repo_expire(x->repo, "timestamp", "2027-07-15T08:00:00Z");
	sign_at(x->repo, "2027-07-14T08:00:00Z"); /* later_s */
	start(x);
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_int_equal(x->state->floor_s, later_s);
	assert_false(any_time_was_asked);
	assert_in_range(-judged_at_s, later_s, later_s + DAY_S);
	/* And from here on certificates are judged as ever. */
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_in_range(judged_at_s, later_s, later_s + DAY_S);
}

static void
a_try_that_fails_leaves_no_leniency_behind(void **state)
{
	struct scene *x = *state;

	wall_s = NO_CLOCK_S;
	start(x);
	fetches_failing = 1;
	assert_int_equal(poll_once(x), ERR_NETWORK);
	assert_true(any_time_was_asked);
	assert_int_equal(judged_at_s, NO_CLOCK_S);
}

/* The digest that a file in these tests has, where nothing is made of its bytes. */
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BUNDLE "the bundle"
#define STOP_ID "00112233445566778899aabbccddeeff"

static const char gate_all[] = "{\"format\":1,\"path\":\"gates/all.json\",\"plan\":null,"
			       "\"open\":[],\"paused\":false,\"stops\":[%s]}";
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
a_stop_that_was_lifted_stays_so_where_plans_cannot_be_read(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	serve_gate(x->repo, gate_stop);
	repo_target(x->repo, "rollouts", "rollouts/all.json", "{}");
	json_object_set_new(listed(x->repo, "rollouts", "rollouts/all.json"), "custom",
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
a_gate_that_cannot_be_read_is_no_world(void **state)
{
	struct scene *x = *state;

	serve_world(x);
	repo_target(x->repo, "gates", "gates/all.json", "{}");
	release_all(x->repo);
	assert_int_equal(poll_once(x), ERR_MALFORMED);
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_poisoned_floor_goes_with_its_keys_while_it_runs),
		IN_SCENE(a_poisoned_floor_goes_with_its_keys_after_a_start),
		IN_SCENE(a_poisoned_floor_goes_when_the_new_root_came_before),
		IN_SCENE(a_box_without_a_clock_recovers_too),
		IN_SCENE(a_poisoned_floor_stays_as_long_as_its_keys_do),
		IN_SCENE(where_the_time_is_known_certificates_of_another_time_are_refused),
		IN_SCENE(a_box_without_a_clock_that_slept_past_a_new_certificate_connects),
		IN_SCENE(a_try_that_fails_leaves_no_leniency_behind),
		IN_SCENE(a_plan_gets_the_bundle_that_it_names_and_no_other),
		IN_SCENE(a_plan_that_is_listed_without_a_sha256_is_refused),
		IN_SCENE(an_unchanged_timestamp_is_not_sent_again),
		IN_SCENE(a_new_snapshot_is_a_new_world),
		IN_SCENE(a_new_root_is_a_new_world),
		IN_SCENE(a_world_ends_in_the_second_in_which_a_delegated_role_expires),
		IN_SCENE(a_stop_counts_without_a_plan_and_is_kept_at_once),
		IN_SCENE(a_stop_that_was_lifted_stays_so_where_plans_cannot_be_read),
		IN_SCENE(a_gate_that_cannot_be_read_is_no_world),
	};

	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
