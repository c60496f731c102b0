#include "agent/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/decide.h"
#include "agent/local.h"
#include "agent/poller.h"
#include "agent/shelf.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/limits.h"

#define TIMESTAMP "timestamp.json"
#define PLAN_ALL_PATH "rollouts/all.json"

/* Half a minute to connect and answer, then 4 KiB/s: the slowest modem that is of any use. */
enum { ANSWER_MS = 30 * 1000, BYTES_PER_MS = 4 };

static int64_t
deadline_ms(uint64_t bytes)
{
	return ANSWER_MS + (int64_t)(bytes / BYTES_PER_MS);
}

/* timestamp.json, or what is known of it where it has not changed. */
static int
fetch_timestamp(struct poller *p, uint64_t max, struct buf *out, struct err *e)
{
	struct net_reply reply = {.retry_after_s = -1};
	struct net_request r = {.base = NET_METADATA,
		.path = TIMESTAMP,
		.max = num_min(max, TUF_TIMESTAMP_BYTES_MAX),
		.etag = p->etag[0] ? p->etag : NULL,
		.etag_site = p->etag_site,
		.deadline_ms = deadline_ms(TUF_TIMESTAMP_BYTES_MAX)};
	int rc;

	buf_clear(&p->timestamp_new);
	rc = net_fetch(p->net, &r, &p->timestamp_new, &reply, p->keep_going, e);
	p->retry_after_s = reply.retry_after_s;
	if (rc < 0)
		return -1;
	if (reply.status == 304)
		return buf_append(out, p->timestamp.data, p->timestamp.len, e);
	memcpy(p->etag_new, reply.etag, sizeof(p->etag_new));
	p->etag_new_site = reply.site;
	p->timestamp_came = true;
	return buf_append(out, p->timestamp_new.data, p->timestamp_new.len, e);
}

static int
fetch(struct poller *p, enum net_base base, const char *path, uint64_t max, struct buf *out,
	struct err *e)
{
	struct net_reply reply = {.retry_after_s = -1};
	struct net_request r = {
		.base = base, .path = path, .max = max, .deadline_ms = deadline_ms(max)};
	int rc = net_fetch(p->net, &r, out, &reply, p->keep_going, e);

	p->retry_after_s = reply.retry_after_s;
	return rc;
}

static int
on_metadata(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	if (strcmp(path, TIMESTAMP) == 0)
		return fetch_timestamp(arg, max, out, e);
	return fetch(arg, NET_METADATA, path, max, out, e);
}

static int
on_target(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	return fetch(arg, NET_TARGETS, path, max, out, e);
}

struct tuf_fetcher
poller_fetcher(struct poller *p)
{
	return (struct tuf_fetcher){on_metadata, on_target, p};
}

int
poller_new(const struct conf *c, struct net *n, struct state *s, struct poller **out, struct err *e)
{
	AUTO_POLLER struct poller *p = calloc(1, sizeof(*p));
	struct clocks now = clocks_read(c->trust_clock);

	if (!p)
		return err_sys(e, ENOMEM, "starting to poll");
	p->conf = c;
	p->net = n;
	p->state = s;
	p->time = effective_start(s, &now);
	p->timestamp = p->timestamp_new = BUF_INIT(TUF_TIMESTAMP_BYTES_MAX);
	if (vault_init(&p->vault, c->state_dir, e) < 0)
		return -1;
	gate_path_of(c->plan, p->gate_path);
	p->store = vault_store(&p->vault);
	if (local_trust_open(&p->store, &p->tuf, e) < 0)
		return -1;
	*out = TAKE_PTR(p);
	return 0;
}

void
poller_free(struct poller **p)
{
	if (!*p)
		return;
	net_close(&(*p)->asked);
	world_free(&(*p)->world);
	tuf_free(&(*p)->tuf);
	vault_free(&(*p)->vault);
	buf_free(&(*p)->timestamp);
	buf_free(&(*p)->timestamp_new);
	json_decref((*p)->plan_lifts.resumes);
	json_decref((*p)->all_lifts.resumes);
	free(*p);
	*p = NULL;
}

int64_t
poller_now_s(const struct poller *p)
{
	struct clocks now = clocks_read(p->conf->trust_clock);

	return effective_now_s(&p->time, p->state, &now);
}

bool
poller_is_fresh(const struct poller *p)
{
	struct clocks now = clocks_read(p->conf->trust_clock);

	return effective_is_fresh(&p->time, p->state, &now);
}

const struct world *
poller_world(const struct poller *p)
{
	return p->world;
}

const char *
poller_gate_path(const struct poller *p)
{
	return p->gate_path;
}

uint64_t
poller_stop_poll_s(const struct poller *p)
{
	uint64_t own_s = p->conf->stop_poll_s;

	return p->world && p->world->has_plan ? num_min(own_s, p->world->plan.stop_poll_s) : own_s;
}

int64_t
poller_wait_ms(const struct poller *p, int64_t wait_ms)
{
	return (int64_t)num_min((uint64_t)wait_ms, poller_stop_poll_s(p) * 1000);
}

uint64_t
poller_answers(const struct poller *p)
{
	return net_answers(p->net);
}

uint64_t
poller_refusals(const struct poller *p)
{
	return net_refusals(p->net);
}

int64_t
poller_retry_after_s(const struct poller *p)
{
	return p->retry_after_s;
}

/* Remembers the timestamp that proved good, for the next conditional request. */
static void
timestamp_keep(struct poller *p)
{
	struct buf was = p->timestamp;

	if (!p->timestamp_came)
		return;
	p->timestamp = p->timestamp_new;
	p->timestamp_new = was;
	memcpy(p->etag, p->etag_new, sizeof(p->etag));
	p->etag_site = p->etag_new_site;
}

static json_int_t
version_of(const struct poller *p, const char *role)
{
	return json_integer_value(json_object_get(tuf_document(p->tuf, role), "version"));
}

/* Where a target is listed and what with. */
static int
find(struct poller *p, const char *path, int64_t now_s, bool *found, struct tuf_target *t,
	struct err *e)
{
	struct tuf_fetcher f = poller_fetcher(p);

	if (tuf_find(p->tuf, &f, path, now_s, found, t, e) < 0)
		return err_context(e, "%s", path);
	if (*found && !t->has_sha256) {
		*found = false;
		return err_set(e, ERR_MALFORMED, "%s: it is listed without a SHA-256", path);
	}
	return 0;
}

static int
fetch_verified(struct poller *p, const struct tuf_target *t, uint64_t max, struct verified *v,
	struct err *e)
{
	struct tuf_fetcher f = poller_fetcher(p);

	return tuf_fetch_target(p->tuf, &f, t, max, v, e);
}

static int
take_gate(struct poller *p, const char *path, int64_t now_s, struct gate *gate, bool *has,
	struct err *e)
{
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_VERIFIED struct verified v = {0};
	bool found;

	if (find(p, path, now_s, &found, &t, e) < 0)
		return -1;
	if (!found)
		return 0;
	if (fetch_verified(p, &t, GATE_BYTES_MAX, &v, e) < 0 || gate_parse(&v, gate, e) < 0)
		return err_context(e, "%s", path);
	if (strcmp(gate->path, path) != 0)
		return err_set(e, ERR_UNTRUSTED, "%s says that it is %s", path, gate->path);
	*has = true;
	return 0;
}

static json_t *
resumes_of(const struct tuf_target *t)
{
	json_t *resumes = json_object_get(t->custom, "resumes");

	return json_is_array(resumes) ? json_incref(resumes) : NULL;
}

static int
take_bundle(struct poller *p, struct world *w, int64_t now_s, struct err *e)
{
	AUTO_TARGET struct tuf_target t = {0};
	AUTO_BUF struct buf url = BUF_INIT(4 * TUF_PATH_MAX);
	bool found;

	if (find(p, w->plan.bundle_path, now_s, &found, &t, e) < 0)
		return -1;
	if (!found || t.length != w->plan.bundle_length ||
		!digest_equal(&t.sha256, &w->plan.bundle_sha256))
		return 0;
	if (listing_parse(t.custom, &w->listing, e) < 0)
		return err_context(e, "%s", t.path);
	if (w->listing.head_length != w->plan.bundle_head_length ||
		!digest_equal(&w->listing.head_sha256, &w->plan.bundle_head_sha256))
		return 0;
	if (tuf_target_url_path(p->tuf, &t, &url, e) < 0)
		return -1;
	w->bundle_url = (char *)buf_take(&url, NULL);
	w->has_bundle = true;
	return 0;
}

static int
take_plan(
	struct poller *p, struct world *w, const struct tuf_target *t, int64_t now_s, struct err *e)
{
	AUTO_VERIFIED struct verified v = {0};

	if (fetch_verified(p, t, PLAN_BYTES_MAX, &v, e) < 0 || plan_parse(&v, &w->plan, e) < 0)
		return err_context(e, "%s", t->path);
	if (strcmp(w->plan.path, t->path) != 0)
		return err_set(e, ERR_UNTRUSTED, "%s says that it is %s", t->path, w->plan.path);
	w->plan_sha256 = t->sha256;
	w->has_plan = true;
	return take_bundle(p, w, now_s, e);
}

/* Finds a plan, and what is lifted with it, also where the plan is withdrawn. Where that cannot be
 * read, what was last known counts: so it hides no new stop, and brings back none that was lifted.
 */
static int
find_plan(struct poller *p, const char *path, int64_t now_s, struct lifts *lifts, bool *found,
	struct tuf_target *t, struct err *e)
{
	if (find(p, path, now_s, found, t, e) < 0)
		return -1;
	json_decref(lifts->resumes);
	lifts->resumes = *found ? resumes_of(t) : NULL;
	lifts->known = true;
	*found = *found && !plan_is_withdrawn(t->custom);
	return 0;
}

static void
keep_first(int rc, const struct err *e, struct err *first)
{
	if (rc < 0 && first->class == ERR_NONE)
		*first = *e;
}

/* The gates, and the stops in them, which count at once. Each is read whatever became of the other.
 */
static void
take_stops(struct poller *p, struct world *w, int64_t now_s, struct err *first)
{
	struct err e = ERR_INIT;

	w->plan_resumes = json_incref(p->plan_lifts.resumes);
	w->all_resumes = json_incref(p->all_lifts.resumes);
	if (p->all_lifts.known)
		keep_first(take_gate(p, GATE_ALL_PATH, now_s, &w->all, &w->has_all, &e), &e, first);
	if (p->plan_lifts.known)
		keep_first(
			take_gate(p, w->gate_path, now_s, &w->gate, &w->has_gate, &e), &e, first);
	if (decide_stops(w, p->state))
		keep_first(state_save(p->conf->state_dir, p->state, &e), &e, first);
}

/* Collects the documents: what can stop a box first. */
static int
collect(struct poller *p, struct world *w, int64_t now_s, struct err *e)
{
	AUTO_TARGET struct tuf_target plan = {0};
	AUTO_TARGET struct tuf_target all = {0};
	struct err first = ERR_INIT;
	bool has_plan = false, has_all;

	keep_first(
		find_plan(p, p->conf->plan, now_s, &p->plan_lifts, &has_plan, &plan, e), e, &first);
	keep_first(find_plan(p, PLAN_ALL_PATH, now_s, &p->all_lifts, &has_all, &all, e), e, &first);
	take_stops(p, w, now_s, &first);
	if (first.class != ERR_NONE) {
		*e = first;
		return -1;
	}
	return has_plan ? take_plan(p, w, &plan, now_s, e) : 0;
}

/* The world of before where nothing behind the timestamp has changed and nothing has expired. */
static bool
world_stands(const struct poller *p, int64_t now_s)
{
	return p->world && p->world_snapshot == version_of(p, "snapshot") &&
	       p->world_root == version_of(p, "root") && now_s < p->world_until_s;
}

static int
poll_site(struct poller *p, const struct world **out, struct err *e)
{
	AUTO_WORLD struct world *w = NULL;
	const char *role;
	int64_t now_s;

	if (poller_refresh(p, e) < 0)
		return -1;
	now_s = poller_now_s(p);
	if (!world_stands(p, now_s)) {
		w = world_new(p->conf->plan);
		if (!w)
			return err_sys(e, ENOMEM, "polling");
		world_free(&p->world);
		if (collect(p, w, now_s, e) < 0)
			return -1;
		p->world = TAKE_PTR(w);
		p->world_snapshot = version_of(p, "snapshot");
		p->world_root = version_of(p, "root");
		p->world_until_s = tuf_expires_s(p->tuf, &role);
	}
	timestamp_keep(p);
	/* What is in the gates counts by now. */
	if (vault_settle(&p->vault, e) < 0)
		return -1;
	*out = p->world;
	return 0;
}

/* Whether another server of the site may do better. */
static bool
is_of_the_site(const struct err *e)
{
	return e->class == ERR_NETWORK || e->class == ERR_UNTRUSTED || e->class == ERR_MALFORMED ||
	       e->class == ERR_LIMIT || e->class == ERR_EXPIRED;
}

bool
poller_loss(struct poller *p, struct err *why)
{
	if (!tuf_loss(p->tuf, why))
		return false;
	(void)err_context(why, "trusted metadata is lost on the disk, and fetched anew");
	return true;
}

int
poller_poll(struct poller *p, const struct keep_going *keep_going, const struct world **out,
	struct err *e)
{
	size_t left = net_sites(p->net);

	p->keep_going = keep_going;
	p->retry_after_s = -1;
	p->polled = POLL_FAILED;
	net_close(&p->asked);
	shelf_make_room(p->conf->state_dir, 0);
	while (poll_site(p, out, e) < 0) {
		struct err stop;

		if (--left == 0 || !is_of_the_site(e) || keep_going_ask(keep_going, &stop) < 0 ||
			!net_next_site(p->net, e)) {
			if (net_is_unwelcome(e))
				p->polled = POLL_REFUSED;
			return -1;
		}
	}
	p->polled = POLL_SUCCEEDED;
	return 0;
}

enum polled
poller_polled(const struct poller *p)
{
	return p->polled;
}

int64_t
poller_snapshot(const struct poller *p)
{
	return version_of(p, "snapshot");
}

int
poller_take(struct poller *p, const char *path, const struct keep_going *keep_going,
	struct buf *out, bool *found, struct err *e)
{
	AUTO_TARGET struct tuf_target t = {0};
	struct tuf_fetcher f = poller_fetcher(p);
	bool listed;

	p->keep_going = keep_going;
	if (find(p, path, poller_now_s(p), &listed, &t, e) < 0 ||
		(listed && tuf_fetch_bytes(p->tuf, &f, &t, out, e) < 0))
		return -1;
	*found = listed;
	return 0;
}

int
poller_find(struct poller *p, const char *path, const struct keep_going *keep_going,
	struct tuf_target *t, struct buf *url, bool *found, struct err *e)
{
	p->keep_going = keep_going;
	if (find(p, path, poller_now_s(p), found, t, e) < 0)
		return -1;
	return *found ? tuf_target_url_path(p->tuf, t, url, e) : 0;
}

static int
ask_start(struct poller *p, struct err *e)
{
	struct net_request r = {.base = NET_METADATA,
		.path = TIMESTAMP,
		.max = TUF_TIMESTAMP_BYTES_MAX,
		.etag = p->etag[0] ? p->etag : NULL,
		.etag_site = p->etag_site,
		.deadline_ms = deadline_ms(TUF_TIMESTAMP_BYTES_MAX)};

	buf_clear(&p->timestamp_new);
	return net_open(p->net, &r, &p->asked, e);
}

enum answer
poller_ask_changed(struct poller *p, struct err *e)
{
	uint8_t piece[1024];
	ssize_t n = 1;
	bool same;

	if (!p->asked && ask_start(p, e) < 0)
		return ANSWER_FAILED;
	while (n > 0) {
		if (!net_ready(p->asked))
			return ANSWER_PENDING;
		n = net_read(p->asked, piece, sizeof(piece), NULL, e);
		if (n > 0 && buf_append(&p->timestamp_new, piece, (size_t)n, e) < 0)
			n = -1;
	}
	same = net_reply_of(p->asked)->status == 304 ||
	       span_equal(buf_span(&p->timestamp), buf_span(&p->timestamp_new));
	net_close(&p->asked);
	return n < 0 ? ANSWER_FAILED : same ? ANSWER_SAME : ANSWER_CHANGED;
}
