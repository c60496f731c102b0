/* Polling, with the network and the clocks played here: net_*(), time() and adjtimex() below stand
 * in for the real ones. */
#ifndef SLUICE_TESTS_UNIT_POLL_SCENE_H
#define SLUICE_TESTS_UNIT_POLL_SCENE_H

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
static int fails_with;	    /* as err.errnum */
static bool knows_no_tags;  /* a server that sends everything anew */
static size_t asked_site;   /* of those that the site has */
static bool tag_was_shown;  /* when timestamp.json was last asked for */

/* The one transfer that is open. */
struct net_transfer {
	struct net_reply reply;
	struct span left;
	bool ready;
};
static struct net_transfer opened;

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
net_next_site(struct net *n, const struct err *left_for)
{
	(void)n;
	(void)left_for;
	return false;
}

uint64_t
net_refusals(const struct net *n)
{
	(void)n;
	return 0;
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

static inline bool
certificate_holds(void)
{
	if (judged_at_s == NET_ANY_TIME)
		return true;
	if (judged_at_s < 0)
		return judged_at_s == NET_SINCE(-judged_at_s) && -judged_at_s <= certificate_to_s;
	return judged_at_s >= certificate_from_s && judged_at_s <= certificate_to_s;
}

/* Whether the box has these very bytes, so that there is nothing to send. */
static inline bool
is_known(const struct net_request *r, struct net_reply *reply)
{
	const struct repo_file *f = repo_file(&served->metadata, "timestamp.json");
	struct digest d = digest_of(span_of(f->data, f->len));

	reply->site = asked_site;
	tag_was_shown = r->etag && r->etag_site == asked_site;
	if (knows_no_tags)
		return false;
	(void)digest_hex(&d, reply->etag);
	if (!tag_was_shown || strcmp(r->etag, reply->etag) != 0)
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
	if (fetches_failing > 0 && fetches_failing--) {
		(void)err_set(e, ERR_NETWORK, "no answer");
		e->errnum = fails_with;
		return -1;
	}
	if (r->base == NET_TARGETS)
		return repo_fetch(served, &served->targets, r->path, r->max, out, e);
	if (strcmp(r->path, "timestamp.json") == 0 && is_known(r, reply))
		return 0;
	return repo_fetch(served, &served->metadata, r->path, r->max, out, e);
}

int
net_open(struct net *n, const struct net_request *r, struct net_transfer **out, struct err *e)
{
	const struct repo_file *f = repo_file(&served->metadata, r->path);

	(void)n;
	if (fetches_failing > 0 && fetches_failing--)
		return err_set(e, ERR_NETWORK, "no answer");
	opened = (struct net_transfer){.reply.status = 200, .left = span_of(f->data, f->len)};
	if (is_known(r, &opened.reply))
		opened.left.len = 0;
	*out = &opened;
	return 0;
}

bool
net_ready(struct net_transfer *t)
{
	/* Not at once. */
	t->ready = !t->ready;
	return !t->ready;
}

ssize_t
net_read(struct net_transfer *t, void *data, size_t len, const struct keep_going *keep_going,
	struct err *e)
{
	size_t step = t->left.len < len ? t->left.len : len;

	(void)keep_going;
	(void)e;
	memcpy(data, t->left.data, step);
	t->left = span_of(t->left.data + step, t->left.len - step);
	return (ssize_t)step;
}

const struct net_reply *
net_reply_of(const struct net_transfer *t)
{
	return &t->reply;
}

void
net_close(struct net_transfer **t)
{
	*t = NULL;
}

/* The next timestamp, vouching for this day. */
static inline void
sign_at(struct repo *r, const char *signed_at)
{
	json_object_set_new(repo_body(r, "timestamp"), "signed_at", json_string(signed_at));
	repo_bump(r, "timestamp");
}

/* A process that starts. */
static inline void
start(struct scene *x)
{
	struct err e = ERR_INIT;

	poller_free(&x->poller);
	if (state_load(x->conf.state_dir, x->state, &e) < 0 ||
		poller_new(&x->conf, NULL, x->state, &x->poller, &e) < 0)
		fail_msg("%s", e.text);
}

static inline int
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
	fetches_failing = fails_with = 0;
	knows_no_tags = false;
	asked_site = 0;
	sign_at(x->repo, "2027-01-15T08:00:00Z"); /* REPO_NOW_S */
	start(x);
	*state = x;
	return 0;
}

static inline int
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

static inline enum err_class
poll_once(struct scene *x)
{
	const struct world *w;
	struct err e = ERR_INIT;

	return poller_poll(x->poller, NULL, &w, &e) < 0 ? e.class : ERR_NONE;
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)

#endif
