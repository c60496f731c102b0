#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/base/text.h"
#include "common/crypto/secret.h"
#include "signer/site.h"
#include "signer/watching.h"

enum { BACKOFF_MIN_MS = 1000, KEEP_EVERY_MS = 60000 };

void
watch_tell(struct watch *w, struct watch_event x, const char *format, ...)
{
	char text[ERR_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_clean(text);
	for (char *c = strpbrk(text, "\n\t"); c; c = strpbrk(c, "\n\t"))
		*c = ' ';
	x.at_s = w->now_s;
	x.text = text;
	x.plan = x.plan ? x.plan : "";
	x.wave = x.wave ? x.wave : "";
	x.stop = x.stop ? x.stop : "";
	x.box = x.box ? x.box : "";
	w->settings.tell(w->settings.arg, &x);
}

int
watch_problem(struct watch *w, enum watch_job job, const struct err *e)
{
	w->failures++;
	if (strcmp(w->problems[job], e->text) == 0)
		return -1;
	(void)snprintf(w->problems[job], sizeof(w->problems[job]), "%s", e->text);
	watch_tell(w, (struct watch_event){.what = "problem"}, "%s", e->text);
	return -1;
}

void
watch_well(struct watch *w, enum watch_job job)
{
	w->problems[job][0] = '\0';
}

bool
backoff_is_due(const struct backoff *b, int64_t now_ms)
{
	return b->wait_ms == 0 || now_ms >= b->at_ms;
}

void
backoff_failed(struct backoff *b, int64_t now_ms)
{
	b->wait_ms = b->wait_ms == 0 ? BACKOFF_MIN_MS : 2 * b->wait_ms;
	if (b->wait_ms > WATCH_BACKOFF_MAX_MS)
		b->wait_ms = WATCH_BACKOFF_MAX_MS;
	b->at_ms = now_ms + b->wait_ms;
}

void
backoff_reset(struct backoff *b)
{
	*b = (struct backoff){0};
}

void
watch_close(struct watch **w)
{
	struct watch *x = *w;

	if (!x)
		return;
	process_end(&x->courier);
	process_end(&x->carrier);
	cleanup_fd(&x->carrier_said);
	publisher_close(&x->publisher);
	opened_key_close(&x->gates_key);
	opened_key_close(&x->certificates_key);
	courses_free(&x->courses);
	ingest_close(&x->ingest);
	fleet_close(&x->fleet);
	free(x->said);
	if (x->lock >= 0)
		(void)close(x->lock);
	free(x);
	*w = NULL;
}

static int
gates_open(struct watch *w, struct err *e)
{
	const struct watch_conf *c = &w->workspace->watch;

	if (!c->gates)
		return 0;
	if ((c->sign_with ? opened_key_outside(c->gates, c->sign_with, &w->gates_key, e)
			  : opened_key_open(c->gates, &w->settings.pass, &w->gates_key, e)) < 0)
		return err_context(e, "the gates key of workspace.yaml");
	w->keeper = (struct gatekeeper){&w->writer, &w->gates_key.signer};
	w->has_gates = true;
	return 0;
}

static int
certificates_open(struct watch *w, struct err *e)
{
	const char *path = w->workspace->watch.certificates;

	if (!path)
		return 0;
	if (opened_key_open(path, &w->settings.pass, &w->certificates_key, e) < 0)
		return err_context(e, "the certificates key of workspace.yaml");
	w->has_certificates = true;
	return 0;
}

static int
keys_open(struct watch *w, struct err *e)
{
	const struct workspace *ws = w->workspace;

	if (ws->watch.passphrase_file && !w->settings.pass.file && w->settings.pass.fd < 0)
		w->settings.pass.file = ws->watch.passphrase_file;
	if (gates_open(w, e) < 0 || certificates_open(w, e) < 0)
		return -1;
	if (access(ws->online_snapshot, R_OK) < 0 || access(ws->online_timestamp, R_OK) < 0)
		return 0;
	return publisher_open(ws, &w->settings.pass, &w->publisher, e);
}

/* So that what is wrong with one is said now, and not with the first event. */
static int
webhooks_check(const struct workspace *w, struct err *e)
{
	for (size_t i = 0; i < w->webhooks.count; i++) {
		AUTO_SECRET struct webhook_secret *secret = NULL;

		if (webhook_secret_load(&w->webhooks.list[i], &secret, e) < 0)
			return -1;
	}
	return 0;
}

static int
parts_open(struct watch *w, struct err *e)
{
	if (workspace_lock(w->workspace, "watch.lock", "another sluice watch", 0, &w->lock, e) <
			0 ||
		keys_open(w, e) < 0 || webhooks_check(w->workspace, e) < 0 ||
		fleet_open(w->workspace, &w->fleet, e) < 0)
		return -1;
	return ingest_open(w->workspace, w->fleet, 0, &w->ingest, e);
}

int
watch_open(const struct workspace *w, const struct watch_settings *s, struct watch **out,
	struct err *e)
{
	AUTO_WATCH struct watch *x = calloc(1, sizeof(*x));

	if (!x)
		return err_sys(e, ENOMEM, "the watch");
	x->lock = x->carrier_said = -1;
	x->workspace = w;
	x->writer = *w;
	x->writer.sets_aside = true;
	x->settings = *s;
	if (parts_open(x, e) < 0)
		return -1;
	*out = TAKE_PTR(x);
	return 0;
}

/* Whether another publication can be seen than when courses were read. */
static bool
site_changed(struct watch *w)
{
	char path[PATH_MAX];
	struct stat now = {0};

	if (workspace_path(w->workspace, "site/metadata/timestamp.json", path, NULL) < 0 ||
		stat(path, &now) < 0)
		now = (struct stat){0};
	if (now.st_ino == w->seen.st_ino && now.st_size == w->seen.st_size &&
		now.st_mtim.tv_sec == w->seen.st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == w->seen.st_mtim.tv_nsec)
		return false;
	w->seen = now;
	return true;
}

static int
site_read(struct watch *w, struct err *e)
{
	AUTO_SITE struct site s = {0};
	AUTO_COURSES struct courses c = {0};

	if (site_open(w->workspace, &s, e) < 0)
		return -1;
	/* It is renewed whatever is wrong with what it leads to. */
	w->timestamp_expires_s = s.timestamp ? s.timestamp->expires_s : 0;
	w->timestamp_signed_s = s.timestamp ? site_signed_at(&s) : 0;
	if (news_published(w, &s, e) < 0 || courses_read(w->workspace, &c, e) < 0 ||
		courses_keep(&c, &w->courses, e) < 0)
		return -1;
	courses_free(&w->courses);
	w->courses = c;
	c = (struct courses){0};
	return 0;
}

/* Plans are followed as they are published, once for each publication; and again each minute while
 * a role cannot be read, for who mends that publishes nothing. */
static void
look_at_site(struct watch *w)
{
	struct err e = ERR_INIT;

	if (!site_changed(w) && !(w->full && w->courses.damage.class != ERR_NONE))
		return;
	if (site_read(w, &e) < 0) {
		w->seen = (struct stat){0};
		(void)watch_problem(w, JOB_SITE, &e);
		return;
	}
	if (w->courses.damage.class != ERR_NONE)
		(void)watch_problem(w, JOB_SITE, &w->courses.damage);
	else
		watch_well(w, JOB_SITE);
	w->judge_again = true;
	watch_follow(w);
}

/* What is due whatever lies in the spool. But who is silent is only known once all of that was
 * read.
 */
static void
look_after(struct watch *w)
{
	if (w->full)
		w->kept_ms = w->now_ms;
	watch_certify(w);
	watch_carried(w);
	watch_publish(w);
	if (w->full)
		watch_renew(w);
	watch_reload(w);
	if (w->full && !w->behind)
		watch_offline(w);
	watch_carry(w);
	watch_deliver(w);
}

/* Between two batches: what cannot wait, and each minute what is due with the time, for a spool may
 * be full for hours. The rest of it may yet say what opens no wave. */
static void
look_between(struct watch *w)
{
	bool full = w->full;

	w->full = false;
	look_at_site(w);
	if (backoff_is_due(&w->act, w->now_ms))
		watch_judge(w);
	w->full = w->kept_ms == 0 || w->now_ms - w->kept_ms >= KEEP_EVERY_MS;
	look_after(w);
	w->full = full;
	w->judge_again = true;
	w->now_s = clock_wall_s();
	w->now_ms = clock_boot_ms();
}

/* Once: whether it is still so is only seen when the row is needed again. */
static void
damage_say(struct watch *w, const char *text)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, ERR_MALFORMED, "%s", text);
	(void)watch_problem(w, JOB_ROWS, &e);
}

/* All that lies in the spool. A great many may: what they say so far may be a stop. */
static void
drain(struct watch *w)
{
	struct ingest_stats s = {0};
	struct err e = ERR_INIT, odd = ERR_INIT;
	uint64_t left = 0, unread = 0;
	bool more = true, waited = false;

	while (more && keep_going_ask(w->settings.keep_going, NULL) == 0) {
		if (ingest_batch(w->ingest, w->now_s, &s, &more, &e) < 0) {
			w->behind = false;
			w->deaf = true;
			if (waited)
				w->seen = (struct stat){0};
			(void)watch_problem(w, JOB_SPOOL, &e);
			return;
		}
		if (left == 0 && s.left > 0)
			(void)err_set(&odd, ERR_SYSTEM, "%s", s.why);
		if (s.damage[0])
			damage_say(w, s.damage);
		left += s.left;
		unread += s.unread;
		w->behind = more;
		w->taken += s.taken;
		w->judge_again = w->judge_again || s.taken > 0;
		if (s.alarms > 0)
			watch_tell(w, (struct watch_event){.what = "audit_failed", .box = s.alarm},
				"%llu boxes say that what is installed is not what was signed; "
				"the first of them is %s",
				(unsigned long long)s.alarms, s.alarm);
		if (s.aside > 0 || s.clashes > 0)
			watch_tell(w, (struct watch_event){.what = "note"},
				"%llu files of the spool were set aside, %llu reports were others "
				"than those that came under their number before: see `sluice "
				"status`",
				(unsigned long long)s.aside, (unsigned long long)s.clashes);
		waited = waited || more;
		if (more)
			look_between(w);
	}
	/* Whoever ends now has not heard all. */
	w->behind = more;
	w->deaf = unread > 0;
	/* What was not done of it between two batches is done when all is known. */
	if (waited)
		w->seen = (struct stat){0};
	if (left > 0) {
		(void)err_context(
			&odd, "%llu files of the spool stay in it", (unsigned long long)left);
		(void)watch_problem(w, JOB_SPOOL, &odd);
		return;
	}
	watch_well(w, JOB_SPOOL);
}

unsigned
watch_look(struct watch *w, bool full)
{
	w->now_s = clock_wall_s();
	w->now_ms = clock_boot_ms();
	w->full = full;
	w->failures = 0;
	drain(w);
	look_at_site(w);
	if (full)
		watch_listen(w);
	if (full || (w->judge_again && backoff_is_due(&w->act, w->now_ms)))
		watch_judge(w);
	look_after(w);
	return w->failures;
}

bool
watch_is_busy(const struct watch *w)
{
	return w->carrier != 0 || (w->busy_ms != 0 && !w->problems[JOB_PUBLISH][0]);
}
