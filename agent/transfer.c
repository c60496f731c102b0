#include "agent/transfer.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/limits.h"

enum { HTTP_OK = 200, HTTP_TOO_MANY = 429, HTTP_UNAVAILABLE = 503 };

void
transfer_fail(struct net_transfer *t, const struct err *why)
{
	if (t->ended)
		return;
	t->ended = true;
	t->err = *why;
}

/* Somebody has to see to it. */
static void
note_guise(const struct net_transfer *t, bool bare)
{
	bool was = t->tally->bare;

	if (t->is_report || t->reply.from_copy)
		return;
	t->tally->bare = bare;
	if (bare && !was)
		log_warning("the site refuses this box's certificate, and is asked without");
	else if (was && !bare)
		log_notice("the site takes this box's certificate again");
}

static int
transfer_answer(struct net_transfer *t, const struct wire_message *m, struct err *e)
{
	if (t->reply.status != 0)
		return err_set(e, ERR_MALFORMED, "a second answer to one request");
	t->reply.status = (long)m->status;
	t->tally->answers++;
	note_guise(t, m->bare);
	t->reply.retry_after_s =
		m->retry_after_s > NET_RETRY_AFTER_MAX_S ? NET_RETRY_AFTER_MAX_S : m->retry_after_s;
	if (t->has_range && (m->status == HTTP_TOO_MANY || m->status == HTTP_UNAVAILABLE))
		t->tally->range_retry_after_s = t->reply.retry_after_s;
	if (t->has_range && m->status == HTTP_OK)
		t->len = INT64_MAX; /* all of the file, whatever was asked for */
	memcpy(t->reply.etag, m->etag.data, m->etag.len);
	t->reply.etag[m->etag.len] = 0;
	return 0;
}

static int
transfer_data(struct net_transfer *t, const struct wire_message *m, struct err *e)
{
	if (t->reply.status != 200 && t->reply.status != 206)
		return err_set(e, ERR_MALFORMED, "body bytes without a good answer");
	if (m->body.len > t->credit || m->body.len > t->len - t->taken)
		return err_set(e, ERR_LIMIT, "more bytes than were asked for");
	ring_put(&t->queue, m->body);
	t->credit -= m->body.len;
	t->taken += m->body.len;
	t->tally->received += m->body.len;
	return 0;
}

static int
transfer_end(struct net_transfer *t, const struct wire_message *m, struct err *e)
{
	if (m->class == ERR_NONE && t->reply.status == 0)
		return err_set(e, ERR_MALFORMED, "the end of a request before its answer");
	if (m->class == ERR_NONE && t->reply.status >= 400)
		return err_set(e, ERR_MALFORMED, "an error passed off as success");
	if (m->class == ERR_NONE && t->has_range && t->reply.status != HTTP_OK &&
		t->taken != t->len)
		return err_set(e, ERR_MALFORMED, "a range with bytes missing");
	t->ended = true;
	if (m->class == ERR_NONE)
		return 0;
	wire_failure(m, &t->err);
	if (m->errnum == NET_SILENT_SERVER || m->errnum == NET_UNWELCOME)
		t->tally->answers++;
	if (m->errnum == NET_REFUSED || m->errnum == NET_SHUT_OUT || m->errnum == NET_TURNED_AWAY)
		t->tally->refusals++;
	/* Where no range is asked for, the server may have more than is taken. Nothing else that a
	 * child says is wrong is held against what it was to fetch. */
	if (m->class != ERR_SYSTEM && (m->class != ERR_LIMIT || t->has_range))
		t->err.class = ERR_NETWORK;
	return 0;
}

/* It gets ahead, however slow the line is; but not for ever. */
static int
transfer_step(struct net_transfer *t, const struct wire_message *m, struct err *e)
{
	t->met |= m->met;
	return ++t->steps <= WIRE_STEPS_MAX ? 0 : err_set(e, ERR_LIMIT, "too many steps");
}

int
transfer_hear(struct net_transfer *t, const struct wire_message *m, struct err *e)
{
	t->alive_ms = clock_boot_ms();
	switch (m->type) {
	case WIRE_ANSWER:
		return transfer_answer(t, m, e);
	case WIRE_DATA:
		return transfer_data(t, m, e);
	case WIRE_STEP:
		return transfer_step(t, m, e);
	default:
		return transfer_end(t, m, e);
	}
}

void
transfer_give_up(struct net_transfer *t)
{
	if (t->met && t->reply.status == 0 && !t->ended)
		t->tally->refusals++;
	t->met = false;
}
