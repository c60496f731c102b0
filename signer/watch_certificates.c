/* The part of the watch that gives boxes their next certificates. */
#include "signer/registrar.h"
#include "signer/renewal.h"
#include "signer/watching.h"

static void
warning_say(void *arg, const char *text)
{
	watch_tell(arg, (struct watch_event){.what = "note"}, "%s", text);
}

static void
registered_say(struct watch *w, const struct registered *r)
{
	if (r->given > 0)
		watch_tell(w, (struct watch_event){.what = "note"},
			"gave %llu boxes their next certificates", (unsigned long long)r->given);
	registered_warn(r, warning_say, w);
}

/* Said once, for as long as boxes ask. */
static void
asked_in_vain(struct watch *w)
{
	struct renewal_counts c;
	struct err e = ERR_INIT;

	if (!w->full)
		return;
	if (renewal_count(w->fleet, &c, &e) < 0) {
		(void)watch_problem(w, JOB_ASKED, &e);
		return;
	}
	if (c.waiting == 0) {
		watch_well(w, JOB_ASKED);
		return;
	}
	(void)err_set(&e, ERR_USAGE,
		"boxes ask for new certificates, and nobody gives them any: name a key in "
		"'certificates' of workspace.yaml's watch, as `sluice tls --help` says");
	(void)watch_problem(w, JOB_ASKED, &e);
}

/* With the next timestamp, for that is fetched anyway; at once only for who has little time. */
static bool
is_time(struct watch *w)
{
	struct err e = ERR_INIT;
	bool urgent = false;

	if (!backoff_is_due(&w->certify, w->now_ms))
		return false;
	if (watch_timestamp_is_due(w))
		return w->publisher || w->full;
	if (w->full && registrar_is_urgent(w->workspace, w->fleet, w->now_s, &urgent, &e) < 0)
		(void)watch_problem(w, JOB_ASKED, &e);
	return urgent;
}

void
watch_certify(struct watch *w)
{
	const struct registrar by = {&w->writer, w->fleet, &w->certificates_key.signer};
	struct registered done;
	struct err e = ERR_INIT;

	if (!w->has_certificates) {
		asked_in_vain(w);
		return;
	}
	if (!is_time(w))
		return;
	/* A stop waits neither for a thousand certificates nor for who changes the CA. */
	watch_publish_news(w);
	if (registrar_run(&by, w->now_s, &done, &e) == 0) {
		backoff_reset(&w->certify);
		watch_well(w, JOB_CERTIFICATES);
	} else {
		backoff_failed(&w->certify, w->now_ms);
		(void)err_context(&e, "giving boxes certificates");
		(void)watch_problem(w, JOB_CERTIFICATES, &e);
	}
	registered_say(w, &done);
}
