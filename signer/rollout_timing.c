#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/format/field.h"
#include "signer/reading.h"

static int
days_read(struct reading *in, const struct yaml_node *n, struct window *w)
{
	const char *text = NULL;

	if (!yaml_is_list(n) || yaml_count(n) == 0)
		return yaml_error(
			in->y, n, in->e, "a list of days is expected here, like [sat, sun]");
	for (size_t i = 0; i < yaml_count(n); i++) {
		const struct yaml_node *each = yaml_at(n, i);
		uint8_t day;

		if (yaml_text(in->y, each, NAME_BYTES_MAX, &text, in->e) < 0)
			return -1;
		day = window_day(text);
		if (day == 0)
			return yaml_error(in->y, each, in->e,
				"'%s' is no day: write mon, tue, wed, thu, fri, sat or sun", text);
		if (w->days & day)
			return yaml_error(in->y, each, in->e, "%s is there twice", text);
		w->days |= day;
	}
	return 0;
}

static int
hours_read(struct reading *in, const struct yaml_node *map, struct window *w, const char **out)
{
	const struct yaml_node *n = reading_must(in, map, "hours", "hours: \"02:00-05:00\"");
	const char *text = NULL;

	if (!n || yaml_text(in->y, n, WINDOW_HOURS_MAX, &text, in->e) < 0)
		return -1;
	if (window_hours(text, w) < 0)
		return yaml_error(in->y, n, in->e,
			"'%s' is not like \"02:00-05:00\": two times of day, of which the second "
			"may "
			"be on the next day; all day is \"00:00-24:00\"",
			text);
	*out = text;
	return 0;
}

static int
clock_read(struct reading *in, const struct yaml_node *n, struct window *w)
{
	const char *text = "local";

	if (n && yaml_text(in->y, n, NAME_BYTES_MAX, &text, in->e) < 0)
		return -1;
	w->utc = strcmp(text, "utc") == 0;
	if (!w->utc && strcmp(text, "local") != 0)
		return yaml_error(in->y, n, in->e,
			"'%s' is neither local (each box's own time zone) nor utc", text);
	return 0;
}

static int
spread_read(struct reading *in, const struct yaml_node *n, struct window *w)
{
	uint64_t spread = window_spread_preset(w);

	if (n && yaml_duration(in->y, n, PLAN_SPAN_MAX_S, &spread, in->e) < 0)
		return -1;
	if (spread > w->length_s)
		return yaml_error(in->y, n, in->e,
			"a spread of %llu minutes does not fit into a window of %u: some boxes "
			"would never have their turn",
			(unsigned long long)spread / 60, w->length_s / 60);
	w->spread_s = (uint32_t)spread;
	return 0;
}

/* Days are compiled one by one, so that a box need not know what is left out. */
static int
window_put(struct reading *in, const struct window *w, const char *hours)
{
	json_t *days = json_array();

	for (size_t i = 0; i < 7; i++) {
		if (w->days >> i & 1)
			(void)json_array_append_new(days, json_string(window_day_name(i)));
	}
	return reading_put(in, in->r->doc, "window",
		json_pack("{s:o, s:s, s:s, s:I}", "days", days, "hours", hours, "clock",
			w->utc ? "utc" : "local", "spread_s", (json_int_t)w->spread_s));
}

static int
window_read(struct reading *in)
{
	static const char *const known[] = {"days", "hours", "clock", "spread", NULL};
	const struct yaml_node *n = yaml_get(in->root, "window"), *days;
	struct window w = {0};
	const char *hours = NULL;

	if (!n)
		return 0;
	if (reading_only(in, n, known) < 0 || reading_part(in, hours_read(in, n, &w, &hours)) < 0)
		return -1;
	days = yaml_get(n, "days");
	if (!days)
		w.days = WINDOW_EVERY_DAY;
	if (reading_part(in, days ? days_read(in, days, &w) : 0) < 0 ||
		reading_part(in, clock_read(in, yaml_get(n, "clock"), &w)) < 0 ||
		/* Of which hours, nobody knows where those are wrong. */
		(hours && spread_read(in, yaml_get(n, "spread"), &w) < 0))
		return -1;
	return hours ? window_put(in, &w, hours) : 0;
}

static int
start_read(struct reading *in)
{
	const struct yaml_node *n = yaml_get(in->root, "start");
	struct err why = ERR_INIT;
	const char *text = NULL;
	int64_t start_s;

	if (!n)
		return 0;
	if (yaml_text(in->y, n, CLOCK_TEXT_SIZE, &text, in->e) < 0)
		return -1;
	if (clock_parse(text, &start_s, &why) < 0)
		return yaml_error(in->y, n, in->e, "%s, in UTC", why.text);
	return reading_put(in, in->r->doc, "start", json_string(text));
}

static int
budget_read(struct reading *in)
{
	const struct yaml_node *n = yaml_get(in->root, "budget");
	uint64_t bytes = 0;

	if (!n)
		return 0;
	if (yaml_size(in->y, n, PLAN_BUDGET_MAX, &bytes, in->e) < 0)
		return -1;
	if (bytes == 0)
		return yaml_error(in->y, n, in->e,
			"no box can update without fetching anything; leave budget out for no "
			"limit");
	return reading_put(in, in->r->doc, "budget_bytes", json_integer((json_int_t)bytes));
}

static int
note_add(struct reading *in, const struct yaml_node *n, const char *line, size_t len, json_t *notes)
{
	if (len > PLAN_NOTE_BYTES_MAX || json_array_size(notes) == PLAN_NOTES_MAX)
		return yaml_error(in->y, n, in->e,
			"notes are up to %d lines of up to %d bytes; put the rest elsewhere",
			PLAN_NOTES_MAX, PLAN_NOTE_BYTES_MAX);
	if (!field_is_text(line, len, false))
		return yaml_error(in->y, n, in->e, "a tab or control character is in these notes");
	return json_array_append_new(notes, json_stringn(line, len)) == 0
		       ? 0
		       : err_sys(in->e, ENOMEM, "%s", in->r->name);
}

static int
notes_read(struct reading *in)
{
	const struct yaml_node *n = yaml_get(in->root, "notes");
	json_t *notes = n ? json_array() : NULL;
	const char *text = NULL;

	if (!n)
		return 0;
	if (reading_put(in, in->r->doc, "notes", notes) < 0 ||
		yaml_text(in->y, n, PLAN_NOTES_MAX * (PLAN_NOTE_BYTES_MAX + 1), &text, in->e) < 0)
		return -1;
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (note_add(in, n, text, len, notes) < 0)
			return -1;
		text += len + (text[len] == '\n');
	}
	return 0;
}

static int
attempt_read(struct reading *in)
{
	return reading_uint(in, in->r->doc, in->root, "attempt", 1);
}

static int
stop_poll_read(struct reading *in)
{
	return reading_duration(in, in->r->doc, in->root, "stop_poll", "stop_poll_s", DAY_S, 60);
}

static int
deadline_read(struct reading *in)
{
	return reading_duration(
		in, in->r->doc, in->root, "deadline", "deadline_s", PLAN_SPAN_MAX_S, 3600);
}

int
rollout_timing_read(struct reading *in)
{
	static int (*const parts[])(struct reading * in) = {attempt_read, stop_poll_read,
		deadline_read, window_read, start_read, budget_read, notes_read};

	return reading_parts(in, parts, ARRAY_LEN(parts));
}
