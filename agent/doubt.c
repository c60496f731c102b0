#include "agent/doubt.h"

#include <stdio.h>
#include <string.h>

#include "agent/pace.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/crypto/random.h"

bool
doubt_is_open(const struct state *s)
{
	return s->ended.outcome != OUTCOME_NONE && s->ended.in_doubt;
}

static int
begin(const struct box *b, bool *began, struct err *e)
{
	struct ended *d = &b->state->ended;
	char boot_id[BOOT_ID_MAX + 1];

	if (b->boot->boot_id(b->boot, &b->conf, boot_id, e) < 0)
		return -1;
	*began = strcmp(boot_id, d->doubt_boot_id) != 0;
	if (!*began)
		return 0;
	memcpy(d->doubt_boot_id, boot_id, sizeof(boot_id));
	d->doubt_since_boot_ms = clock_boot_ms();
	return state_save(b->conf.state_dir, b->state, e);
}

static int64_t
left_ms(const struct box *b)
{
	int64_t gone_ms = clock_boot_ms() - b->state->ended.doubt_since_boot_ms;
	int64_t left = (int64_t)b->conf.prompt_s * 1000 - gone_ms;

	return left > 0 ? left : 0;
}

/* Not before the server's Retry-After, but never past the end. */
static int64_t
next_ms(const struct box *b, int64_t retry_after_s)
{
	uint64_t wait_ms = random_below(b->conf.prompt_s * 1000 / DOUBT_POLLS + 1);

	if (retry_after_s > 0)
		wait_ms += (uint64_t)retry_after_s * 1000;
	return (int64_t)num_min(wait_ms, (uint64_t)left_ms(b));
}

struct patience {
	const struct box *b;
	const struct keep_going *until_term;
};

static int
ask_patience(void *arg, struct err *e)
{
	const struct patience *p = arg;

	if (keep_going_ask(p->until_term, e) < 0)
		return -1;
	return left_ms(p->b) > 0 ? 0 : err_set(e, ERR_NETWORK, "no answer in time");
}

enum reach { REACHED, UNREACHED, OUT_OF_ORDER };

static enum reach
reach_server(struct poller *poller, const struct patience *p)
{
	struct keep_going keep_going = {ask_patience, (void *)(uintptr_t)p};
	const struct world *w;
	uint64_t heard;
	struct err e;

	if (!poller)
		return UNREACHED;
	heard = poller_answers(poller) + poller_refusals(poller);
	if (poller_poll(poller, &keep_going, &w, &e) == 0)
		return REACHED;
	log_warning("%s", e.text);
	if (keep_going_ask(p->until_term, &e) < 0)
		return UNREACHED;
	return poller_answers(poller) + poller_refusals(poller) != heard ? OUT_OF_ORDER : UNREACHED;
}

int
doubt_poll(const struct box *b, struct poller *poller, const struct keep_going *until_term,
	int64_t *wait_ms, struct err *e)
{
	struct patience patience = {b, until_term};
	enum reach reach = UNREACHED;
	struct err term;
	bool began;

	if (begin(b, &began, e) < 0)
		return -1;
	if (!began)
		reach = reach_server(poller, &patience);
	if (reach == UNREACHED && (keep_going_ask(until_term, &term) < 0 || left_ms(b) > 0)) {
		*wait_ms = next_ms(b, poller ? poller_retry_after_s(poller) : -1);
		return 0;
	}
	*wait_ms = 0;
	return doubt_end(&b->conf, b->state, reach == REACHED,
		poller ? poller_now_s(poller) : clock_wall_s(), e);
}

int
doubt_end(const struct conf *c, struct state *s, bool reached, int64_t now_s, struct err *e)
{
	struct ended *d = &s->ended;
	const struct failed *past = state_failed(s, &d->update.release.manifest);
	struct failed f = past ? *past : (struct failed){0};

	d->in_doubt = false;
	if (reached) {
		d->outcome = OUTCOME_REVERTED;
		d->class = ERR_REFUSED;
		f.inconclusive = false;
		(void)snprintf(f.reason, sizeof(f.reason),
			"%.768s; the old system reached the server at once", d->detail);
		memcpy(d->detail, f.reason, sizeof(d->detail));
	} else {
		f.not_before_s = now_s + pace_spaced_s(c, f.tries);
	}
	if (past)
		state_remember_failed(s, &f);
	(void)snprintf(s->last_result, sizeof(s->last_result), "%s %s: %s: %.768s",
		d->update.release.name, d->update.release.version,
		reached ? "failed" : "inconclusive", d->detail);
	return state_save(c->state_dir, s, e);
}
