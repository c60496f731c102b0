#include "agent/net/manner.h"

/* What nginx says of a certificate that it does not take, or no longer by a resumed session, and
 * where it misses one. */
enum { HTTP_BAD_REQUEST = 400, HTTP_UNAUTHORISED = 401, HTTP_FORBIDDEN = 403 };

/* How long it is asked without, and how long nothing is tried where neither way gets through. */
enum { BARE_MS = 30 * 60 * 1000, FUTILE_MS = 5 * 60 * 1000 };

struct asking
manner_ask(const struct manner *m, bool is_report, int64_t now_ms)
{
	bool bare = !m->has_cert || (!is_report && now_ms < m->bare_until_ms);

	return (struct asking){.is_report = is_report,
		.is_bare = bare,
		.resumes = bare || !m->unresumed,
		.refusals = m->refusals};
}

/* By an alert of its own. */
static bool
is_alerted(const struct manner *m, const struct asking *a)
{
	return m->refusals.all != a->refusals.all;
}

bool
manner_blames(const struct manner *m, const struct asking *a, long status)
{
	bool certain = status == HTTP_BAD_REQUEST ||
		       (status == 0 && m->refusals.certain != a->refusals.certain);

	return m->has_cert && (a->was_blamed || (!a->is_bare && certain));
}

bool
manner_is_refusal(const struct manner *m, const struct asking *a, long status)
{
	return status == HTTP_BAD_REQUEST || (status == 0 && (a->was_cut || is_alerted(m, a)));
}

/* An alert is about the certificate itself; all else may be about this connection. */
static bool
may_be_of_session(const struct manner *m, const struct asking *a, long status)
{
	return !a->is_bare && a->resumes && (status == HTTP_BAD_REQUEST || !is_alerted(m, a));
}

bool
manner_may_repeat(const struct manner *m, const struct asking *a, long status, int64_t now_ms)
{
	if (!m->has_cert || a->is_copy || !manner_is_refusal(m, a, status))
		return false;
	return (status == HTTP_BAD_REQUEST && may_be_of_session(m, a, status)) ||
	       (!a->is_report && !a->has_turned && now_ms >= m->turns_from_ms);
}

void
manner_repeat(struct manner *m, struct asking *a, long status)
{
	if (may_be_of_session(m, a, status)) {
		m->unresumed |= status == HTTP_BAD_REQUEST;
		a->resumes = false;
	} else {
		a->was_blamed = manner_blames(m, a, status);
		a->has_turned = true;
		a->is_bare = !a->is_bare;
		a->resumes = a->is_bare || !m->unresumed;
	}
	a->refusals = m->refusals;
	a->was_cut = false;
}

bool
manner_helps(const struct manner *m, const struct asking *a, long status)
{
	return m->has_cert && a->is_bare && !a->is_copy && !manner_is_refusal(m, a, status);
}

/* Some answer so for what is not there, and some to whoever shows no certificate, though they take
 * it again. */
static bool
is_denied(long status)
{
	return status == HTTP_UNAUTHORISED || status == HTTP_FORBIDDEN;
}

void
manner_learn(struct manner *m, const struct asking *a, long status, int64_t now_ms)
{
	bool refused = manner_is_refusal(m, a, status);

	if (!a->has_turned || a->is_copy || (status == 0 && !refused))
		return;
	m->bare_until_ms = manner_helps(m, a, status) && !is_denied(status) ? now_ms + BARE_MS : 0;
	if (refused)
		m->turns_from_ms = now_ms + FUTILE_MS;
}
