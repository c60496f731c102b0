#include "signer/plan_words.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"

enum { SHARE_WORDS_SIZE = 16, DIGITS_SHOWN = 12 };

const char *
span_words(uint64_t s, char out[SPAN_WORDS_SIZE])
{
	static const struct {
		uint64_t s;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (s % units[i].s != 0)
		i++;
	/* A day and a half is 36h, and a single day is 24h to everybody. */
	if (i == 0 && s < 2 * units[0].s)
		i = 1;
	if (s == 0)
		(void)snprintf(out, SPAN_WORDS_SIZE, "none");
	else
		(void)snprintf(out, SPAN_WORDS_SIZE, "%llu%c", (unsigned long long)(s / units[i].s),
			units[i].unit);
	return out;
}

static const char *
share_words(uint32_t bp, char out[SHARE_WORDS_SIZE])
{
	if (bp % 100 == 0)
		(void)snprintf(out, SHARE_WORDS_SIZE, "%u%%", bp / 100);
	else
		(void)snprintf(out, SHARE_WORDS_SIZE, "%u.%02u%%", bp / 100, bp % 100);
	return out;
}

const char *
wave_words(const struct wave *w, char out[WAVE_WORDS_SIZE])
{
	char share[SHARE_WORDS_SIZE], soak[SPAN_WORDS_SIZE];
	size_t boxes = json_array_size(w->boxes);

	if (w->has_percent)
		(void)snprintf(out, WAVE_WORDS_SIZE, "up to %s", share_words(w->percent_bp, share));
	else
		(void)snprintf(out, WAVE_WORDS_SIZE, "%zu %s by name", boxes,
			boxes == 1 ? "box" : "boxes");
	if (w->soak_s > 0)
		(void)snprintf(out + strlen(out), WAVE_WORDS_SIZE - strlen(out), ", soak %s",
			span_words(w->soak_s, soak));
	return out;
}

static void
limits_make(const struct plan *p, struct plan_words *out)
{
	char a[SHARE_WORDS_SIZE], b[SHARE_WORDS_SIZE], s[SPAN_WORDS_SIZE];

	(void)snprintf(out->advance, sizeof(out->advance), "success %s of %llu, coverage %s",
		share_words(p->advance.success_bp, a), (unsigned long long)p->advance.sample,
		share_words(p->advance.coverage_bp, b));
	(void)snprintf(out->stop, sizeof(out->stop), "failures %s, at least %llu, overdue after %s",
		share_words(p->stop.failures_bp, a), (unsigned long long)p->stop.at_least,
		span_words(p->stop.overdue_s, s));
	(void)snprintf(out->attempt, sizeof(out->attempt), "%llu", (unsigned long long)p->attempt);
	(void)snprintf(out->stop_poll, sizeof(out->stop_poll), "%s", span_words(p->stop_poll_s, s));
	(void)snprintf(out->deadline, sizeof(out->deadline), "%s", span_words(p->deadline_s, s));
}

void
plan_words_make(const struct plan *p, struct plan_words *out)
{
	struct plan_words w = {
		.recall = "none", .window = "any time", .start = "at once", .budget = "any"};
	char text[WINDOW_TEXT_SIZE], s[SPAN_WORDS_SIZE], hex[DIGEST_HEX_SIZE];

	limits_make(p, &w);
	if (p->has_recall)
		(void)snprintf(w.recall, sizeof(w.recall), "boxes that run %s (%.*s)",
			p->recall_path, DIGITS_SHOWN, digest_hex(&p->recall_manifest, hex));
	if (p->has_window)
		(void)snprintf(w.window, sizeof(w.window), "%s, spread over %s",
			window_text(&p->window, text), span_words(p->window.spread_s, s));
	if (p->start_s > 0)
		(void)clock_format(p->start_s, w.start);
	if (p->budget_bytes > 0)
		(void)snprintf(w.budget, sizeof(w.budget), "%llu bytes a box",
			(unsigned long long)p->budget_bytes);
	*out = w;
}
