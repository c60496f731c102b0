#include "signer/plan_diff.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/audience.h"
#include "signer/plan_words.h"

enum { ROW_SIZE = 1024, NAMES_SHOWN = 6 };

/* Rows that were printed under the title. */
struct rows {
	size_t count;
};

static void row(struct rows *r, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void
row(struct rows *r, const char *what, const char *format, ...)
{
	char text[ROW_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)printf("  %-12s %s\n", what, text);
	r->count++;
}

/* One that was something else, or is new. */
static void
row_change(struct rows *r, const char *what, const char *was, const char *becomes)
{
	if (strcmp(was, becomes) != 0)
		row(r, what, "%s -> %s", was, becomes);
}

/* The names of one list that the other has not, behind a sign. */
static size_t
others_add(char sign, const json_t *list, const json_t *other, char out[ROW_SIZE], size_t len)
{
	struct names has = {0};
	const json_t *value;
	size_t i, found = 0;

	if (names_make(json_array_size(other), &has, NULL) < 0)
		return len;
	json_array_foreach (other, i, value)
		names_add(&has, json_string_value(value), 0);
	names_sort(&has);
	json_array_foreach (list, i, value) {
		if (names_has(&has, json_string_value(value), 0) || ++found > NAMES_SHOWN)
			continue;
		len += (size_t)snprintf(out + len, ROW_SIZE - len, "%s%c %s", len ? "  " : "", sign,
			json_string_value(value));
	}
	if (found > NAMES_SHOWN)
		len += (size_t)snprintf(
			out + len, ROW_SIZE - len, "  %c %zu more", sign, found - NAMES_SHOWN);
	names_free(&has);
	return len;
}

/* "+ gw-3  - gw-1"; "" where both have the same. */
static const char *
list_change(const json_t *was, const json_t *becomes, char out[ROW_SIZE])
{
	size_t len;

	out[0] = 0;
	len = others_add('+', becomes, was, out, 0);
	(void)others_add('-', was, becomes, out, len);
	return out;
}

static void
row_list(struct rows *r, const char *what, const json_t *was, const json_t *becomes)
{
	char text[ROW_SIZE];

	if (*list_change(was, becomes, text))
		row(r, what, "%s", text);
}

/* Nothing to compare with: what it says. */
static void
row_list_new(struct rows *r, const char *what, const json_t *list)
{
	row_list(r, what, NULL, list);
}

static void
match_compare(struct rows *r, const json_t *was, const json_t *becomes)
{
	const json_t *values;
	const char *tag;
	char what[ROW_SIZE], text[ROW_SIZE];

	json_object_foreach ((json_t *)(uintptr_t)becomes, tag, values) {
		const json_t *before = json_object_get(was, tag);

		(void)snprintf(what, sizeof(what), "tag %s", tag);
		if (*list_change(before, values, text))
			row(r, what, "%s%s", before ? "" : "any box -> only: ", text);
	}
	json_object_foreach ((json_t *)(uintptr_t)was, tag, values) {
		(void)snprintf(what, sizeof(what), "tag %s", tag);
		if (!json_object_get(becomes, tag))
			row(r, what, "counts no longer: boxes with any value");
	}
}

/* "gateway 2.4.0", where the release is still the one that the plan is bound to. */
static void
bundle_words(const struct plan_diff *d, const struct plan *p, char out[ROW_SIZE])
{
	struct rollout_bundle bundle = {0};
	struct listing listing;

	if (binding_bundle(d->w, p->bundle_path, &bundle, &listing, NULL) == 0 &&
		digest_equal(&bundle.sha256, &p->bundle_sha256))
		(void)snprintf(out, ROW_SIZE, "%s %s", listing.name, listing.version);
	else
		(void)snprintf(out, ROW_SIZE, "%s", p->bundle_path);
}

static void
bundle_compare(struct rows *r, const struct plan_diff *d, const struct plan *was)
{
	const struct plan *becomes = d->after;
	char before[ROW_SIZE], after[ROW_SIZE];

	bundle_words(d, was, before);
	bundle_words(d, becomes, after);
	if (strcmp(was->bundle_path, becomes->bundle_path) != 0)
		row_change(r, "bundle", before, after);
	else if (d->binding &&
		 (!digest_equal(&was->bundle_sha256, &becomes->bundle_sha256) ||
			 !digest_equal(&was->bundle_head_sha256, &becomes->bundle_head_sha256)))
		row(r, "bundle", "%s was released anew, with other bytes", becomes->bundle_path);
	if (strcmp(was->rollout, becomes->rollout) != 0)
		row(r, "rollout", "%s -> %s: by percent, other boxes come first", was->rollout,
			becomes->rollout);
}

static void
scalars_compare(struct rows *r, const struct plan *was, const struct plan *becomes)
{
	struct plan_words before, after;

	plan_words_make(was, &before);
	plan_words_make(becomes, &after);
	row_change(r, "attempt", before.attempt, after.attempt);
	row_change(r, "recall", before.recall, after.recall);
	row_change(r, "window", before.window, after.window);
	row_change(r, "start", before.start, after.start);
	row_change(r, "budget", before.budget, after.budget);
	row_change(r, "advance", before.advance, after.advance);
	row_change(r, "stop", before.stop, after.stop);
	row_change(r, "stop_poll", before.stop_poll, after.stop_poll);
	row_change(r, "deadline", before.deadline, after.deadline);
}

static void
notes_print(struct rows *r, const json_t *was, const json_t *becomes)
{
	const json_t *line;
	size_t i;

	if (json_equal((json_t *)(uintptr_t)was, (json_t *)(uintptr_t)becomes) ||
		(!was && !becomes))
		return;
	if (!becomes)
		row(r, "notes", "taken out");
	json_array_foreach (becomes, i, line)
		row(r, i == 0 ? "notes" : "", "%s", json_string_value(line));
}

static size_t
wave_index(const struct plan *p, const char *name)
{
	size_t i = 0;

	while (i < p->wave_count && strcmp(p->waves[i].name, name) != 0)
		i++;
	return i;
}

/* How many waves before the one at i are in the other plan, too: so that one more at the beginning
 * has not moved all others. */
static size_t
wave_rank(const struct plan *p, size_t i, const struct plan *other)
{
	size_t rank = 0;

	for (size_t j = 0; j < i; j++)
		rank += wave_index(other, p->waves[j].name) < other->wave_count;
	return rank;
}

static void
wave_change(struct rows *r, const struct plan *was, size_t i, const struct plan *becomes, size_t k)
{
	const struct wave *before = &was->waves[i], *after = &becomes->waves[k];
	char what[ROW_SIZE], old[WAVE_WORDS_SIZE], new[WAVE_WORDS_SIZE];

	(void)snprintf(what, sizeof(what), "wave %s", after->name);
	if (wave_rank(was, i, becomes) != wave_rank(becomes, k, was))
		row(r, what, "moves from place %zu to %zu", i + 1, k + 1);
	row_change(r, what, wave_words(before, old), wave_words(after, new));
	if (before->boxes && after->boxes)
		row_list(r, what, before->boxes, after->boxes);
}

static void
waves_compare(struct rows *r, const struct plan *was, const struct plan *becomes)
{
	char what[ROW_SIZE], text[WAVE_WORDS_SIZE];

	for (size_t i = 0; i < was->wave_count; i++) {
		(void)snprintf(what, sizeof(what), "wave %s", was->waves[i].name);
		if (wave_index(becomes, was->waves[i].name) == becomes->wave_count)
			row(r, what, "removed; it had %s", wave_words(&was->waves[i], text));
	}
	for (size_t k = 0; k < becomes->wave_count; k++) {
		size_t i = wave_index(was, becomes->waves[k].name);

		(void)snprintf(what, sizeof(what), "wave %s", becomes->waves[k].name);
		if (i < was->wave_count)
			wave_change(r, was, i, becomes, k);
		else
			row(r, what, "new, at place %zu: %s", k + 1,
				wave_words(&becomes->waves[k], text));
	}
}

static void
plan_compare(const struct plan_diff *d, const struct plan *was)
{
	struct rows r = {0};

	bundle_compare(&r, d, was);
	row_list(&r, "compatible", was->compatible, d->after->compatible);
	row_list(&r, "from", json_object_get(was->doc, "from"),
		json_object_get(d->after->doc, "from"));
	match_compare(&r, was->match, d->after->match);
	row_list(&r, "exclude", was->exclude, d->after->exclude);
	waves_compare(&r, was, d->after);
	scalars_compare(&r, was, d->after);
	notes_print(&r, was->notes, d->after->notes);
	if (r.count == 0)
		(void)printf("  the order of names alone\n");
}

static void
plan_describe(const struct plan_diff *d)
{
	const struct plan *p = d->after;
	char text[ROW_SIZE], wave[WAVE_WORDS_SIZE], what[ROW_SIZE];
	struct plan_words words;
	struct rows r = {0};

	bundle_words(d, p, text);
	row(&r, "bundle", "%s", text);
	row_list_new(&r, "compatible", p->compatible);
	row_list_new(&r, "from", json_object_get(p->doc, "from"));
	match_compare(&r, NULL, p->match);
	row_list_new(&r, "exclude", p->exclude);
	plan_words_make(p, &words);
	if (p->has_recall)
		row(&r, "recall", "%s", words.recall);
	if (p->has_window)
		row(&r, "window", "%s", words.window);
	if (p->start_s > 0)
		row(&r, "start", "%s", words.start);
	if (p->budget_bytes > 0)
		row(&r, "budget", "%s", words.budget);
	for (size_t i = 0; i < p->wave_count; i++) {
		(void)snprintf(what, sizeof(what), "wave %s", p->waves[i].name);
		row(&r, what, "%s", wave_words(&p->waves[i], wave));
	}
	row(&r, "advance", "%s", words.advance);
	row(&r, "stop", "%s", words.stop);
	notes_print(&r, NULL, p->notes);
}

/* Both plans in one look at the fleet. */
struct counting {
	const struct plan *was, *becomes;
	struct audience before, after;
};

static int
member_count(void *arg, const struct fleet_member *m, struct err *e)
{
	struct counting *c = arg;

	(void)e;
	if (c->was)
		audience_add(c->was, m, &c->before);
	audience_add(c->becomes, m, &c->after);
	return 0;
}

static void
count_print(const struct counting *c, const char *what, uint64_t before, uint64_t after)
{
	if (c->was)
		(void)printf("  %-24s %9llu -> %llu\n", what, (unsigned long long)before,
			(unsigned long long)after);
	else
		(void)printf("  %-24s %9llu\n", what, (unsigned long long)after);
}

static void
counts_print(const struct counting *c)
{
	char what[ROW_SIZE];

	(void)printf("boxes, by fleet.db%s:\n", c->was ? ", before and after" : "");
	for (size_t i = 0; i < c->becomes->wave_count; i++) {
		const char *name = c->becomes->waves[i].name;
		size_t was = c->was ? wave_index(c->was, name) : 0;

		(void)snprintf(what, sizeof(what), "wave %s", name);
		count_print(c, what,
			c->was && was < c->was->wave_count ? c->before.in_wave[was] : 0,
			c->after.in_wave[i]);
	}
	for (size_t i = 0; c->was && i < c->was->wave_count; i++) {
		(void)snprintf(what, sizeof(what), "wave %s", c->was->waves[i].name);
		if (wave_index(c->becomes, c->was->waves[i].name) == c->becomes->wave_count)
			count_print(c, what, c->before.in_wave[i], 0);
	}
	count_print(c, "in no wave", c->before.in_none, c->after.in_none);
}

/* Where there is no fleet.db, or it has no boxes, nothing is said. */
static int
boxes_count(const struct plan_diff *d, struct err *e)
{
	struct counting c = {
		.was = d->before->listed ? &d->before->plan : NULL, .becomes = d->after};
	AUTO_FLEET struct fleet *f = NULL;
	struct err why = ERR_INIT;

	/* Which boxes run what is recalled is known where that is released. */
	if (!d->binding && d->after->has_recall)
		return 0;
	if (fleet_open_read(d->w, &f, &why) < 0)
		return why.errnum == ENOENT ? 0 : err_set(e, why.class, "%s", why.text);
	if (fleet_each_box(f, member_count, &c, e) != 0)
		return -1;
	if (c.after.boxes > 0)
		counts_print(&c);
	return 0;
}

/* What is open now, as a person would say it; "" where nothing is. */
static void
open_words(const struct plan_diff *d, char out[ROW_SIZE])
{
	AUTO_SCOPE_GATE struct scope_gate g = {0};
	const char *why;
	size_t len = 0;

	out[0] = 0;
	if (scope_gate_load(d->w, d->name, NULL, &g, NULL) < 0 || !g.listed ||
		!gate_binds(&g.gate, &d->before->plan, &d->before->sha256, &why))
		return;
	for (size_t i = 0; i < g.gate.open_count && len < ROW_SIZE; i++)
		len += (size_t)snprintf(
			out + len, ROW_SIZE - len, "%s%s", len ? ", " : "", g.gate.open[i]);
}

int
plan_diff_print(const struct plan_diff *d, struct err *e)
{
	const struct plan *was = &d->before->plan;
	char open[ROW_SIZE] = "";

	if (d->before->listed) {
		(void)printf("%s: version %llu becomes version %llu\n", d->after->path,
			(unsigned long long)was->version, (unsigned long long)was->version + 1);
		plan_compare(d, was);
		open_words(d, open);
	} else {
		if (d->before->withdrawn)
			(void)printf("%s: new, as version %llu; version %llu was withdrawn\n",
				d->after->path, (unsigned long long)was->version + 1,
				(unsigned long long)was->version);
		else
			(void)printf("%s: new\n", d->after->path);
		plan_describe(d);
	}
	if (boxes_count(d, e) < 0)
		return -1;
	if (*open)
		(void)printf("open now: %s. That shuts, and boxes that are updating end it at the "
			     "next chunk.\n",
			open);
	(void)printf("Its gate is shut then, until a person opens the first wave:\n"
		     "    sluice gate open %s %s --key K\n",
		d->name, d->after->waves[0].name);
	return 0;
}
