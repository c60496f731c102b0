#include "agent/net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/net_child.h"
#include "agent/site.h"
#include "agent/throttle.h"
#include "agent/transfer.h"
#include "agent/warden.h"
#include "agent/wire.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/limits.h"

/* The child keeps deadlines and the stall limit itself; a child that does not is given this much
 * longer. */
enum { GRACE_MS = 15 * 1000, START_MS = 20 * 1000, SEND_MS = 20 * 1000, ASK_MS = 500 };

/* What is taken in one go: a child that never falls silent must not keep its parent from looking
 * at the clock and at signals. */
enum { PUMP_MESSAGES = 256 };

/* So long a copy is left alone that failed, or gave something else. */
enum { COPY_LEFT_MS = 60 * 60 * 1000 };

struct net {
	const struct conf *conf;
	int socket; /* -1: there is no child */
	pid_t pid;
	size_t site;	      /* which is asked: 0 for url, then the mirrors */
	int64_t copy_from_ms; /* targets_url is not asked before */
	int64_t now_s;
	struct keep_going keep_going; /* while a child starts */
	uint32_t last_id;
	bool ready;
	int64_t until_ms; /* it is to be ready by then */
	bool worked;	  /* one child or another was ready once */
	struct err why;	  /* why the child is gone */
	struct net_tally tally;
	struct throttle throttle; /* of bundles */
	struct net_transfer *open[NET_REQUESTS_MAX];
	uint8_t packet[WIRE_MESSAGE_BYTES];
};

/* Gives the child up; the open transfers end with why. */
static void
net_kill(struct net *n, const struct err *why)
{
	if (n->socket < 0)
		return;
	(void)close(n->socket);
	n->socket = -1;
	n->ready = false;
	n->why = *why;
	net_child_end(n->pid, &n->why);
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++) {
		if (n->open[i])
			transfer_fail(n->open[i], &n->why);
	}
}

/* A child that does not read must not keep its parent from whoever watches that. */
static int
net_send(struct net *n, const struct wire_message *m, struct err *e)
{
	int64_t until_ms = clock_boot_ms() + SEND_MS;
	bool sent = false;

	do {
		if (wire_send(n->socket, m, &sent, e) < 0 || sent)
			return sent ? 0 : -1;
	} while (clock_boot_ms() < until_ms && keep_going_ask(&n->keep_going, e) == 0);
	return err_set(e, ERR_NETWORK, "it takes no messages");
}

static int
net_say(struct net *n, const struct wire_message *m, struct err *e)
{
	struct err why = ERR_INIT;

	if (n->socket < 0)
		return err_set(e, ERR_NETWORK, "the network process is not running");
	if (net_send(n, m, &why) == 0)
		return 0;
	if (why.class != ERR_NETWORK) {
		*e = why;
		return -1;
	}
	(void)err_context(&why, "the network process was ended");
	net_kill(n, &why);
	*e = n->why;
	return -1;
}

static struct net_transfer **
net_slot(struct net *n, uint32_t id)
{
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++) {
		if (id == 0 ? !n->open[i] : n->open[i] && n->open[i]->id == id)
			return &n->open[i];
	}
	return NULL;
}

static int
net_dispatch(struct net *n, const struct wire_message *m, struct err *e)
{
	struct net_transfer **slot = m->id ? net_slot(n, m->id) : NULL;

	if (m->type == WIRE_READY) {
		if (!n->worked)
			warden_tell(n->conf, n->pid == 0, m->layers);
		net_child_worked();
		n->ready = n->worked = true;
		return 0;
	}
	if (m->type == WIRE_END && m->id == 0) {
		wire_failure(m, e);
		return -1;
	}
	/* What was closed here may still be under way there. */
	if (!slot || (*slot)->ended)
		return 0;
	return transfer_hear(*slot, m, e);
}

/* Takes what the child has sent, waiting up to wait_ms for it to send something. */
static void
net_pump(struct net *n, int wait_ms)
{
	struct pollfd fd = {.fd = n->socket, .events = POLLIN};
	struct wire_message m;
	struct err why = ERR_INIT;
	bool got = true;

	if (n->socket < 0 || poll(&fd, 1, wait_ms) <= 0)
		return;
	for (int i = 0; got && i < PUMP_MESSAGES; i++) {
		if (wire_receive(n->socket, WIRE_TO_PARENT, n->packet, &m, &got, &why) < 0 ||
			(got && net_dispatch(n, &m, &why) < 0)) {
			/* Of the first child the class stays: it may have no certificates. */
			if (n->worked || why.class == ERR_NETWORK) {
				(void)err_context(&why, "the network process was ended");
				why.class = ERR_NETWORK;
			}
			net_kill(n, &why);
			return;
		}
	}
}

/* Makes sure that there is a child. */
static int
net_revive(struct net *n, struct err *e)
{
	static struct net_transfer *const none[NET_REQUESTS_MAX];
	struct err why;

	if (n->socket >= 0)
		net_pump(n, 0);
	if (n->socket >= 0 && memcmp(n->open, none, sizeof(none)) == 0 && net_child_is_stale()) {
		(void)err_set(&why, ERR_NETWORK, "names are resolved otherwise now");
		net_kill(n, &why);
	}
	if (n->socket >= 0)
		return 0;
	if (net_child_start(n->conf, n->site, n->now_s, &n->keep_going, &n->pid, &n->socket, e) ==
		0) {
		n->until_ms = clock_boot_ms() + START_MS;
		return 0;
	}
	if (n->worked && e->class != ERR_STOPPED)
		e->class = ERR_NETWORK;
	return -1;
}

/* And that it works. */
static int
net_await(struct net *n, struct err *e)
{
	struct err why;

	while (n->socket >= 0 && !n->ready && clock_boot_ms() < n->until_ms) {
		if (keep_going_ask(&n->keep_going, &why) < 0)
			net_kill(n, &why);
		net_pump(n, ASK_MS);
	}
	if (n->ready)
		return 0;
	(void)err_set(&why, ERR_NETWORK, "the network process does not start");
	net_kill(n, &why);
	*e = n->why;
	return -1;
}

/* Makes sure that there is a child, and (awaited) that it works. One of the service manager's has a
 * second try at once: it may just have been replaced, or have no user yet, and a whole interval is
 * long to wait for one of our own. */
static int
net_employ(struct net *n, bool awaited, struct err *e)
{
	for (bool again = false;; again = true) {
		if (net_revive(n, e) == 0 && (!awaited || net_await(n, e) == 0))
			return 0;
		if (again || e->class == ERR_STOPPED || !net_child_is_service())
			return -1;
		log_warning("%s; starting another one", e->text);
	}
}

int
net_start(const struct conf *c, int64_t now_s, const struct keep_going *keep_going,
	struct net **out, struct err *e)
{
	AUTO_NET struct net *n = NULL;

	if (!c->site_url && !c->report_url)
		return err_set(e, ERR_USAGE, "agent.conf names no server: set url in [site]");
	if (!c->tls_ca)
		return err_set(e, ERR_USAGE, "agent.conf names no ca in [site]");
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_sys(e, ENOMEM, "starting the network process");
	n->conf = c;
	n->socket = -1;
	n->tally.range_retry_after_s = -1;
	n->now_s = now_s;
	n->throttle.bytes_per_s = c->rate;
	n->keep_going = keep_going ? *keep_going : (struct keep_going){0};
	if (net_employ(n, false, e) < 0)
		return -1;
	*out = TAKE_PTR(n);
	return 0;
}

void
net_stop(struct net **n)
{
	struct err why;

	if (!*n)
		return;
	(void)err_set(&why, ERR_STOPPED, "the network process was stopped");
	net_kill(*n, &why);
	free(*n);
	*n = NULL;
}

size_t
net_sites(const struct net *n)
{
	return site_count(n->conf);
}

bool
net_next_site(struct net *n, const struct err *left_for)
{
	struct span url = site_span(n->conf, n->site);
	size_t count = site_count(n->conf);
	struct err why;

	if (count < 2)
		return false;
	log_warning("asking a mirror, and not %.*s: %s", (int)url.len, (const char *)url.data,
		left_for->text);
	n->site = (n->site + 1) % count;
	(void)err_set(&why, ERR_NETWORK, "another of the site's servers is asked");
	net_kill(n, &why);
	return true;
}

bool
net_asks_copy(const struct net *n)
{
	return n->conf->targets_url && clock_boot_ms() >= n->copy_from_ms;
}

size_t
net_sources(const struct net *n)
{
	return net_sites(n) + (n->conf->targets_url != NULL);
}

bool
net_next_source(struct net *n, const struct err *left_for)
{
	if (!net_asks_copy(n))
		return net_next_site(n, left_for);
	log_warning("asking the site, and not %s: %s", n->conf->targets_url, left_for->text);
	n->copy_from_ms = clock_boot_ms() + COPY_LEFT_MS;
	return true;
}

void
net_restart(struct net *n)
{
	struct err why;

	(void)err_set(
		&why, ERR_NETWORK, "the network process starts again with other certificates");
	net_kill(n, &why);
}

int
net_set_time(struct net *n, int64_t now_s, struct err *e)
{
	n->now_s = now_s;
	if (n->socket < 0)
		return 0; /* the next child starts with it */
	return net_say(n, &(struct wire_message){.type = WIRE_TIME, .now_s = now_s}, e);
}

static uint32_t
net_next_id(struct net *n)
{
	do
		n->last_id++;
	while (n->last_id == 0 || net_slot(n, n->last_id));
	return n->last_id;
}

/* Less than so much would be less than a message of the child's and what is not granted yet. */
static uint64_t
net_window(const struct net *n, const struct net_request *r)
{
	uint64_t rate = n->throttle.bytes_per_s;

	return !r->has_range || rate == 0 || rate / 2 > NET_WINDOW_BYTES ? NET_WINDOW_BYTES
	       : rate / 2 < 2 * WIRE_DATA_MAX				 ? 2 * WIRE_DATA_MAX
									 : rate / 2;
}

static struct net_transfer *
transfer_new(struct net *n, const struct net_request *r)
{
	struct net_transfer *t = calloc(1, sizeof(*t));
	int64_t now_ms = clock_boot_ms();

	if (!t)
		return NULL;
	t->path = strdup(r->path);
	if (!t->path) {
		free(t);
		return NULL;
	}
	t->net = n;
	t->tally = &n->tally;
	t->id = net_next_id(n);
	t->has_range = r->has_range;
	t->is_report = r->base == NET_REPORTS;
	t->len = r->has_range ? r->len : r->max;
	t->credit = t->window = net_window(n, r);
	t->reply.retry_after_s = -1;
	t->reply.site = n->site;
	t->alive_ms = now_ms;
	t->deadline_ms = r->deadline_ms ? now_ms + r->deadline_ms + GRACE_MS : 0;
	/* Connecting and the first byte each have the stall limit. */
	t->stall_ms = 2 * (int64_t)n->conf->stall_s * 1000 + GRACE_MS;
	t->err = ERR_INIT;
	return t;
}

int
net_open(struct net *n, const struct net_request *r, struct net_transfer **out, struct err *e)
{
	struct net_transfer **slot, *t;
	struct wire_message m = {.type = WIRE_REQUEST,
		.base = r->has_range && net_asks_copy(n) ? NET_COPY : r->base,
		.has_range = r->has_range,
		.put = r->base == NET_REPORTS,
		.offset = r->has_range ? r->offset : 0,
		.len = r->has_range ? r->len : r->max,
		.deadline_ms = r->deadline_ms,
		.credit = net_window(n, r),
		.text = span_str(r->path),
		.body = r->put};

	if (r->etag && r->etag_site == n->site)
		m.etag = span_str(r->etag);
	if (r->has_range)
		n->tally.range_retry_after_s = -1;
	if (net_employ(n, true, e) < 0)
		return -1;
	slot = net_slot(n, 0);
	if (!slot)
		return err_set(e, ERR_SYSTEM, "more than %d requests at once", NET_REQUESTS_MAX);
	t = transfer_new(n, r);
	if (!t)
		return err_sys(e, ENOMEM, "asking for %s", r->path);
	m.id = t->id;
	t->reply.from_copy = m.base == NET_COPY;
	if (net_say(n, &m, e) < 0) {
		free(t->path);
		free(t);
		return err_context(e, "asking for %.200s", r->path);
	}
	*slot = t;
	*out = t;
	return 0;
}

void
net_close(struct net_transfer **t)
{
	struct net_transfer **slot;
	struct err e;

	if (!*t)
		return;
	slot = net_slot((*t)->net, (*t)->id);
	if (slot)
		*slot = NULL;
	if (!(*t)->ended)
		(void)net_say(
			(*t)->net, &(struct wire_message){.type = WIRE_CANCEL, .id = (*t)->id}, &e);
	free((*t)->path);
	free(*t);
	*t = NULL;
}

/* Ends a child that keeps neither the deadline nor the stall limit that it was told. */
static void
transfer_watch(struct net_transfer *t)
{
	int64_t now_ms = clock_boot_ms();
	bool late = t->deadline_ms && now_ms > t->deadline_ms;
	struct err why;

	if (t->ended ||
		(!late && (t->credit < WIRE_DATA_MAX || now_ms - t->alive_ms < t->stall_ms)))
		return;
	(void)err_set(
		&why, ERR_NETWORK, "%s: no end and no word from the network process", t->path);
	net_kill(t->net, &why);
}

bool
net_ready(struct net_transfer *t)
{
	if (t->queue.count == 0 && !t->ended) {
		net_pump(t->net, 0);
		transfer_watch(t);
	}
	return t->queue.count > 0 || t->ended;
}

bool
net_failed(struct net_transfer *t)
{
	return net_ready(t) && t->queue.count == 0 && t->err.class != ERR_NONE;
}

static bool
is_under_way(const struct net *n)
{
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++) {
		if (n->open[i] && n->open[i]->has_range && !n->open[i]->ended)
			return true;
	}
	return false;
}

void
net_settle(struct net *n, int64_t ms)
{
	int64_t until_ms = clock_boot_ms() + ms, left_ms = ms;

	while (left_ms > 0 && is_under_way(n)) {
		net_pump(n, (int)left_ms);
		left_ms = until_ms - clock_boot_ms();
	}
}

/* Grants again what was read, in pieces worth a message. */
static void
transfer_grant(struct net_transfer *t)
{
	struct wire_message m = {.type = WIRE_CREDIT, .id = t->id, .credit = t->owed};
	struct err e;

	if (t->ended || t->owed < t->window / 4)
		return;
	/* While nothing is granted the child may rightly be silent. */
	t->alive_ms = clock_boot_ms();
	t->credit += t->owed;
	t->owed = 0;
	(void)net_say(t->net, &m, &e);
}

ssize_t
net_read(struct net_transfer *t, void *data, size_t len, const struct keep_going *keep_going,
	struct err *e)
{
	struct throttle *throttle = t->has_range ? &t->net->throttle : &(struct throttle){0};
	int64_t wait_ms = 0;
	size_t n;

	while (!net_ready(t) || (wait_ms = throttle_wait_ms(throttle, clock_boot_ms())) > 0) {
		if (keep_going_ask(keep_going, e) < 0) {
			transfer_give_up(t);
			return -1;
		}
		if (t->queue.count == 0 && !t->ended)
			net_pump(t->net, ASK_MS);
		else if (net_ready(t))
			clock_sleep_ms((int64_t)num_min((uint64_t)wait_ms, ASK_MS));
	}
	if (t->queue.count == 0) {
		if (t->err.class == ERR_NONE)
			return 0;
		*e = t->err;
		return -1;
	}
	n = ring_take(&t->queue, data, throttle_piece(throttle, len));
	throttle_take(throttle, n);
	t->owed += n;
	transfer_grant(t);
	return (ssize_t)n;
}

const struct net_reply *
net_reply_of(const struct net_transfer *t)
{
	return &t->reply;
}

uint64_t
net_answers(const struct net *n)
{
	return n->tally.answers;
}

uint64_t
net_refusals(const struct net *n)
{
	return n->tally.refusals;
}

uint64_t
net_bytes_received(const struct net *n)
{
	return n->tally.received;
}

int64_t
net_range_retry_after_s(const struct net *n)
{
	return n->tally.range_retry_after_s;
}

pid_t
net_pid(const struct net *n)
{
	return n->socket >= 0 ? n->pid : -1;
}
