#include "signer/alarm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"

void
alarms_add(struct alarms *a, const char *box, const char *version, int64_t since_s, uint64_t seq)
{
	struct alarm *x = a->count < ALARMS_NAMED ? &a->list[a->count] : NULL;

	a->count++;
	if (!x)
		return;
	*x = (struct alarm){.since_s = since_s, .seq = seq};
	(void)snprintf(x->box, sizeof(x->box), "%s", box);
	(void)snprintf(x->version, sizeof(x->version), "%s", version);
}

static int
alarm_put(struct sql *s, const struct workspace *w, enum webhook_kind kind, const struct alarm *a,
	int64_t now_s, struct err *e)
{
	char since[CLOCK_TEXT_SIZE], seq[24];
	AUTO_JSON json_t *fields = json_pack("{s:s, s:s, s:s, s:I}", "box", a->box, "since",
		clock_format(a->since_s, since), "version", a->version, "report",
		(json_int_t)a->seq);

	if (!fields)
		return err_sys(e, ENOMEM, "an event");
	(void)snprintf(seq, sizeof(seq), "%" PRIu64, a->seq);
	return outbox_put(
		s, w, &(struct outbox_event){kind, {a->box, since, seq, NULL}, fields, now_s}, e);
}

static int
all_put(struct sql *s, const struct workspace *w, enum webhook_kind kind, const struct alarms *a,
	int64_t now_s, struct err *e)
{
	char since[CLOCK_TEXT_SIZE], seq[24], count[24];
	AUTO_JSON json_t *named = json_array();
	AUTO_JSON json_t *fields =
		json_pack("{s:I, s:O}", "boxes", (json_int_t)a->count, "named", named);

	for (size_t i = 0; i < ALARMS_NAMED; i++)
		(void)json_array_append_new(named, json_string(a->list[i].box));
	if (!fields || json_array_size(named) < ALARMS_NAMED)
		return err_sys(e, ENOMEM, "an event");
	(void)clock_format(a->list[0].since_s, since);
	(void)snprintf(seq, sizeof(seq), "%" PRIu64, a->list[0].seq);
	(void)snprintf(count, sizeof(count), "%" PRIu64, a->count);
	return outbox_put(s, w,
		&(struct outbox_event){
			kind, {a->list[0].box, since, seq, count, NULL}, fields, now_s},
		e);
}

int
alarms_put(struct sql *s, const struct workspace *w, enum webhook_kind kind, const struct alarms *a,
	int64_t now_s, struct err *e)
{
	if (a->count > ALARMS_NAMED)
		return all_put(s, w, kind, a, now_s, e);
	for (size_t i = 0; i < a->count; i++) {
		if (alarm_put(s, w, kind, &a->list[i], now_s, e) < 0)
			return -1;
	}
	return 0;
}
