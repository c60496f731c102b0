/* The part of the watch that publishes, and renews what would expire. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/limits.h"
#include "signer/alarm.h"
#include "signer/authority.h"
#include "signer/doctor.h"
#include "signer/following.h"
#include "signer/ledger.h"
#include "signer/reload.h"
#include "signer/watching.h"

#define HOUR_S ((int64_t)3600)
#define EXPIRES_SOON_S (7 * 24 * HOUR_S)

enum { ROLES_TEXT_SIZE = 256 };

/* Those of two publishers. */
#define CLOCKS_DIFFER_S ((int64_t)300)

struct listing_state {
	char dir[PATH_MAX];
	uint64_t sum;
};

static int
file_sum(void *arg, const char *name, struct err *e)
{
	struct listing_state *l = arg;
	char path[PATH_MAX];
	struct stat st;
	struct digest d;

	if (!text_ends_with(name, ".json") || path_join(path, sizeof(path), l->dir, name, e) < 0 ||
		lstat(path, &st) < 0)
		return 0;
	d = digest_of(span_of(&st.st_mtim, sizeof(st.st_mtim)));
	l->sum += num_get_le64(d.b) ^ st.st_ino ^ (uint64_t)st.st_size << 32;
	return 0;
}

/* A number that is another whenever something new lies in incoming/; 0 while nothing does. False
 * where nobody can tell. */
static bool
incoming_sum(const struct watch *w, uint64_t *sum)
{
	struct listing_state l = {0};
	struct err e = ERR_INIT;

	*sum = 0;
	if (workspace_path(w->workspace, "incoming", l.dir, &e) < 0 ||
		dir_each(l.dir, INCOMING_ENTRIES_MAX, file_sum, &l, &e) < 0)
		return e.errnum == ENOENT;
	*sum = l.sum;
	return true;
}

/* Hourly; a timestamp of a short life in the second half of it, be that its own or what is signed
 * here. Another publisher may give it another life: as long as each goes by how old it is, none
 * signs because the other has. One that is from a time to come was signed by a clock that was
 * ahead, and would hide a stop until then. */
bool
watch_timestamp_is_due(const struct watch *w)
{
	int64_t life_s = (int64_t)w->workspace->timestamp_life_s;
	int64_t signed_s =
		w->timestamp_signed_s ? w->timestamp_signed_s : w->timestamp_expires_s - life_s;
	int64_t age_s = w->now_s - signed_s, its_life_s = w->timestamp_expires_s - signed_s;
	int64_t half_s = (its_life_s < life_s ? its_life_s : life_s) / 2;

	return w->timestamp_expires_s != 0 &&
	       (age_s > (half_s < HOUR_S ? half_s : HOUR_S) || age_s < -CLOCKS_DIFFER_S);
}

/* Nobody here can: said once, for the timestamp is what boxes wait for first. */
static void
publisher_miss(struct watch *w)
{
	struct err e = ERR_INIT;
	char at[CLOCK_TEXT_SIZE];

	if (!watch_timestamp_is_due(w))
		return;
	(void)err_set(&e, ERR_USAGE,
		"the keys of snapshot and timestamp are not here, so nothing is published; the "
		"timestamp expires at %s",
		clock_format(w->timestamp_expires_s, at));
	(void)watch_problem(w, JOB_TIMESTAMP, &e);
}

static void
published_say(struct watch *w, const struct published *p)
{
	if (p->roles[0])
		watch_tell(w, (struct watch_event){.what = "published"}, "published %s", p->roles);
}

/* What waits for its large content is for watch_carry(). */
static void
publish_done(struct watch *w, const struct published *p)
{
	(void)snprintf(w->deferred, sizeof(w->deferred), "%s", p->deferred);
	if (!w->deferred[0])
		w->carries[0] = '\0';
	w->busy_ms = 0;
	backoff_reset(&w->publish);
	watch_well(w, JOB_PUBLISH);
}

/* Somebody who does the same at this moment is no problem, unless that goes on for long_ms. They
 * began at *since_ms. Whether it is that. */
static bool
busy_judge(struct watch *w, enum watch_job job, int64_t *since_ms, int64_t long_ms,
	const struct err *e)
{
	bool busy = e->class == ERR_REFUSED && e->errnum == EBUSY;

	if (!busy)
		*since_ms = 0;
	else if (*since_ms == 0)
		*since_ms = w->now_ms;
	if (!busy || w->now_ms - *since_ms >= long_ms)
		(void)watch_problem(w, job, e);
	return busy;
}

/* A person who publishes is done in a second. */
static void
publish_failed(struct watch *w, const struct err *e)
{
	if (busy_judge(w, JOB_PUBLISH, &w->busy_ms, PUBLISHER_BUSY_MS, e))
		backoff_reset(&w->publish);
	backoff_failed(&w->publish, w->now_ms);
}

/* Signatures that root does not want, or will not: with other keys it goes on at the next look. */
static void
keys_change(struct watch *w, const struct err *why)
{
	if (!watch_rekey(w, why))
		return;
	w->waiting = 0;
	w->publish.at_ms = 0;
}

/* A publication that failed is begun anew, timestamp and all: how far it got is not known. */
static void
publish_now(struct watch *w, bool renew)
{
	struct published p;
	struct err e = ERR_INIT;
	uint64_t waiting;
	/* What comes in from now on is for the next look. */
	bool known = incoming_sum(w, &waiting);
	int rc = publisher_publish(w->publisher, renew || w->publish.wait_ms > 0, &p, &e);

	if (rc == 0 && known)
		w->waiting = waiting;
	if (p.any) {
		w->timestamp_expires_s = w->now_s + (int64_t)w->workspace->timestamp_life_s;
		w->timestamp_signed_s = w->now_s;
	}
	published_say(w, &p);
	if (p.refused.class != ERR_NONE)
		(void)watch_problem(w, JOB_REFUSED, &p.refused);
	else if (rc == 0)
		watch_well(w, JOB_REFUSED);
	if (rc == 0)
		publish_done(w, &p);
	else
		publish_failed(w, &e);
	if (p.rekey.class != ERR_NONE)
		keys_change(w, &p.rekey);
	else if (rc < 0 && e.class == ERR_UNTRUSTED)
		keys_change(w, NULL);
	else if (rc == 0)
		watch_well(w, JOB_KEYS);
}

/* Where nobody can tell, whoever tries to publish is told why. */
static bool
has_news(const struct watch *w)
{
	uint64_t waiting;
	bool known = incoming_sum(w, &waiting);

	return !known || (waiting != 0 && (waiting != w->waiting || w->full));
}

void
watch_publish_news(struct watch *w)
{
	if (w->publisher && has_news(w) && backoff_is_due(&w->publish, w->now_ms))
		publish_now(w, false);
}

void
watch_publish(struct watch *w)
{
	if (!w->publisher) {
		publisher_miss(w);
		return;
	}
	if ((has_news(w) || watch_timestamp_is_due(w) || w->publish.wait_ms > 0) &&
		backoff_is_due(&w->publish, w->now_ms))
		publish_now(w, watch_timestamp_is_due(w));
}

static void
gates_renew(struct watch *w)
{
	char renewed[ROLES_TEXT_SIZE];
	struct err e = ERR_INIT;

	if (!w->has_gates)
		return;
	if (gatekeeper_renew(&w->keeper, w->now_s, renewed, sizeof(renewed), &e) < 0)
		(void)watch_problem(w, JOB_RENEW, &e);
	else
		watch_well(w, JOB_RENEW);
	if (renewed[0])
		watch_tell(w, (struct watch_event){.what = "note"}, "signed %s again, for longer",
			renewed);
}

static bool
crl_is_due(struct watch *w)
{
	return authority_crl_is_due(w->workspace, w->now_s) ||
	       authority_crl_is_short(w->workspace, w->fleet);
}

/* Once nobody else is at it: they may have done it. */
static int
crl_write(struct watch *w, const char **did, struct err *e)
{
	AUTO_CLOSE int lock = -1;

	if (authority_lock_crl(w->workspace, 0, &lock, e) < 0)
		return -1;
	if (crl_is_due(w)) {
		if (authority_write_crl(w->workspace, w->fleet, w->now_s, e) < 0)
			return err_context(e, "renewing the CRL, whose expiry locks every box out");
		*did = "renewed the CRL";
	} else if (authority_sessions_are_due(w->workspace, w->fleet)) {
		/* What could not be done with the last one. */
		if (authority_end_sessions(w->workspace, w->fleet, w->now_s, e) < 0)
			return -1;
		*did = "wrote a CRL, which ends the TLS sessions of before the last";
	}
	return 0;
}

/* The web server is told by watch_reload(): a CRL that cannot be made holds up no reload. */
static void
crl_renew(struct watch *w)
{
	const char *did = NULL;
	struct err e = ERR_INIT;

	if ((crl_is_due(w) || authority_sessions_are_due(w->workspace, w->fleet)) &&
		crl_write(w, &did, &e) < 0) {
		(void)busy_judge(w, JOB_CRL, &w->crl_busy_ms, CRL_BUSY_MS, &e);
		return;
	}
	w->crl_busy_ms = 0;
	watch_well(w, JOB_CRL);
	if (did)
		watch_tell(w, (struct watch_event){.what = "note"}, "%s", did);
}

/* Whoever has the lock may be about to put that CRL in place, and reloads: it is only asked for
 * where something is owed. */
static int
reload_again(struct watch *w, bool *done, struct err *e)
{
	AUTO_CLOSE int lock = -1;
	uint64_t number;

	if (reload_owed(w->workspace, w->fleet, &number, e) < 0)
		return -1;
	if (number == 0)
		return 0;
	if (authority_lock_crl(w->workspace, 0, &lock, e) < 0 ||
		reload_owed(w->workspace, w->fleet, &number, e) < 0)
		return -1;
	if (number == 0)
		return 0;
	*done = true;
	return reload_crl(w->workspace, w->fleet, e);
}

void
watch_reload(struct watch *w)
{
	struct err e = ERR_INIT;
	bool done = false;

	if (!backoff_is_due(&w->reload, w->now_ms))
		return;
	if (reload_again(w, &done, &e) < 0) {
		if (busy_judge(w, JOB_RELOAD, &w->reload_busy_ms, CRL_BUSY_MS, &e))
			backoff_reset(&w->reload);
		backoff_failed(&w->reload, w->now_ms);
		return;
	}
	w->reload_busy_ms = 0;
	backoff_reset(&w->reload);
	watch_well(w, JOB_RELOAD);
	if (done)
		watch_tell(w, (struct watch_event){.what = "note"},
			"the web server has read the last CRL");
}

/* What expires soon, and is none of the watch's: as one text, told when it changes. */
static int
expiry_read(struct watch *w, char *out, size_t size, struct err *e)
{
	AUTO_DOCTOR struct doctor d = {0};
	const json_t *row;
	size_t i, len = 0;

	out[0] = '\0';
	if (doctor_open(w->workspace, EXPIRES_SOON_S, &d, e) < 0 ||
		doctor_look_at_keys(&d, e) < 0 || doctor_look_at_roles(&d, e) < 0 ||
		doctor_look_at_expiry(&d, e) < 0)
		return -1;
	json_array_foreach (json_object_get(d.report, "expiries"), i, row) {
		if (strcmp(json_text(row, "state"), "ok") != 0 && len < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s at %s (%s)",
				len ? "; " : "", json_text(row, "name"), json_text(row, "expires"),
				json_text(row, "do"));
	}
	return 0;
}

static void
expiry_say(struct watch *w)
{
	char text[ERR_TEXT_SIZE - 64];
	struct err e = ERR_INIT;

	if (expiry_read(w, text, sizeof(text), &e) < 0) {
		(void)watch_problem(w, JOB_EXPIRY, &e);
		return;
	}
	if (!text[0]) {
		watch_well(w, JOB_EXPIRY);
		return;
	}
	(void)err_set(&e, ERR_EXPIRED, "expires, and is not renewed here: %s", text);
	(void)watch_problem(w, JOB_EXPIRY, &e);
}

void
watch_renew(struct watch *w)
{
	crl_renew(w);
	gates_renew(w);
	/* What was renewed is out before it is looked at. */
	watch_publish(w);
	if (w->hourly_ms != 0 && w->now_ms - w->hourly_ms < HOUR_S * 1000)
		return;
	w->hourly_ms = w->now_ms;
	expiry_say(w);
}

struct silence {
	int64_t from_s; /* heard last from then on */
	struct alarms boxes;
};

static int
box_silent(void *arg, const struct ledger_box *b, struct err *e)
{
	struct silence *s = arg;

	(void)e;
	if (b->seq > 0 && b->heard_s >= s->from_s)
		alarms_add(&s->boxes, b->name, b->version, b->heard_s, b->seq);
	return 0;
}

static void
offline_say(struct watch *w, const struct alarms *a)
{
	char at[CLOCK_TEXT_SIZE];

	for (size_t i = 0; i < num_min(a->count, ALARMS_NAMED); i++)
		watch_tell(w, (struct watch_event){.what = "box_offline", .box = a->list[i].box},
			"%s is offline: last heard of at %s", a->list[i].box,
			clock_format(a->list[i].since_s, at));
	if (a->count > ALARMS_NAMED)
		watch_tell(w, (struct watch_event){.what = "note"},
			"and %llu more boxes are offline: see `sluice boxes --offline`",
			(unsigned long long)(a->count - ALARMS_NAMED));
}

/* Those that became silent since the last look, so that none is told of twice: when that was is
 * kept in fleet.db, under no rollout. Time in which nobody could be heard is no silence. A mark
 * that no clock can have come to yet was set by one that was ahead, and all begins anew. */
static int
offline_look(struct watch *w, struct err *e)
{
	static const char mark[] = "offline_told_s";
	const int64_t after_s = (int64_t)w->workspace->watch.offline_after_s;
	struct silence s = {0};
	struct ledger_filter filter = {0};

	if (following_mark(w->fleet, 0, mark, &s.from_s, e) < 0 ||
		following_heard_since(w->fleet, w->now_s, after_s, &filter.silent_since_s, e) < 0)
		return -1;
	if (s.from_s > w->now_s - after_s)
		return following_mark_set(w->fleet, 0, mark, filter.silent_since_s, e);
	if (filter.silent_since_s <= s.from_s)
		return 0;
	if (s.from_s != 0 && ledger_each_box(w->fleet, &filter, box_silent, &s, e) < 0)
		return -1;
	if (news_offline(w, &s.boxes, mark, filter.silent_since_s, e) < 0)
		return -1;
	offline_say(w, &s.boxes);
	return 0;
}

void
watch_offline(struct watch *w)
{
	struct err e = ERR_INIT;

	if (offline_look(w, &e) < 0)
		(void)watch_problem(w, JOB_OFFLINE, &e);
	else
		watch_well(w, JOB_OFFLINE);
}
