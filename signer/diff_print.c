#include "signer/diff_print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/num.h"
#include "signer/ui.h"

/* What is fetched on account of less than this share of all is no matter for advice; and a file
 * that takes less than one in so many is not shown by itself, unless all are: records have some
 * bytes even for what is copied. */
enum { ADVICE_PERCENT = 1, SHOWN_PER = 1000, TEXT_COLUMNS = 78 };

static bool
advice_counts(const struct diff *d, const struct advice *a)
{
	uint64_t total = d->has_delta ? diff_delta_total(d) : diff_total(d);

	return a->bytes > 0 && a->bytes >= total / 100 * ADVICE_PERCENT;
}

/* What became of it. */
static const char *
owner_change(const struct payload_diff *p, uint32_t owner)
{
	const struct owner *o = &p->contents.owners[owner];

	if (o->kind != OWNER_FILE && o->kind != OWNER_FOLDER)
		return "";
	return p->old && contents_find(&p->old_contents, contents_path(&p->contents, owner))
		       ? "changed"
		       : "new";
}

static double
percent_of(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

/* The columns of a list of files: that which it is sorted by, and another. */
struct columns {
	const struct bill *first, *second; /* second is NULL: there is no other */
	uint64_t total;			   /* of what is fetched of the payload by the first */
};

static struct columns
columns_of(const struct diff *d, const struct payload_diff *p)
{
	if (!d->has_delta)
		return (struct columns){&p->bill, NULL, fetching_total(&p->fetching)};
	return (struct columns){&p->delta_bill, &p->bill, payload_delta_total(p)};
}

static void
print_row(const struct columns *c, uint64_t first, uint64_t second)
{
	char size[NUM_HUMAN_SIZE];

	(void)printf("  %10s %5.1f%%  ", num_human_size(first, size), percent_of(first, c->total));
	if (c->second)
		(void)printf("%10s  ", num_human_size(second, size));
}

/* Of so many that cost something, the dearest first: how many are shown. */
static size_t
rows_count(const struct columns *c, const uint32_t *owners, size_t count, size_t top)
{
	size_t shown = (size_t)num_min(count, top);

	while (top != SIZE_MAX && shown > 0 &&
		c->first->bytes[owners[shown - 1]] < c->total / SHOWN_PER)
		shown--;
	return shown;
}

static void
print_files(const struct payload_diff *p, const struct columns *c, const uint32_t *owners,
	size_t count, size_t top)
{
	size_t shown = rows_count(c, owners, count, top);
	uint64_t rest = 0, second_rest = 0;

	if (c->second && shown > 0)
		(void)printf("    by delta            without\n");
	for (size_t i = 0; i < count; i++) {
		uint64_t first = c->first->bytes[owners[i]];
		uint64_t second = c->second ? c->second->bytes[owners[i]] : 0;
		const char *change = owner_change(p, owners[i]);

		rest += i < shown ? 0 : first;
		second_rest += i < shown ? 0 : second;
		if (i >= shown)
			continue;
		print_row(c, first, second);
		(void)printf("%s%s%s\n", contents_path(&p->contents, owners[i]),
			*change ? ", " : "", change);
	}
	if (rest + second_rest == 0)
		return;
	print_row(c, rest, second_rest);
	(void)printf("in %zu others (--all)\n", count - shown);
}

static void
print_fetching(const struct payload_diff *p, const char *word)
{
	const struct fetching *f = &p->fetching;
	char a[NUM_HUMAN_SIZE], b[NUM_HUMAN_SIZE], c[NUM_HUMAN_SIZE], d[NUM_HUMAN_SIZE];

	(void)printf("  %-9s %s: %s of content, %s of hints, %s of cuts and gaps\n", word,
		num_human_size(fetching_total(f), a), num_human_size(f->stored, b),
		num_human_size(f->hints, c), num_human_size(f->cuts + f->gaps, d));
	(void)printf("            in place %s, moved %s, zeros %s, new %s\n",
		num_human_size(f->in_place, a), num_human_size(f->moved, b),
		num_human_size(f->zeros, c), num_human_size(f->lacking, d));
}

static void
print_by_delta(const struct payload_diff *p)
{
	const struct by_delta *d = &p->by_delta;
	char a[NUM_HUMAN_SIZE], b[NUM_HUMAN_SIZE], c[NUM_HUMAN_SIZE], f[NUM_HUMAN_SIZE];

	if (!d->used) {
		(void)printf("  by delta  as without: it tells nothing of this\n");
		return;
	}
	(void)printf("  by delta  %s: %s of records, %s of content, %s of pages and gaps\n",
		num_human_size(by_delta_total(d), a), num_human_size(d->records, b),
		num_human_size(d->stored, c), num_human_size(d->pages + d->gaps, f));
	(void)printf("            copied %s, told %s, zeros %s, new %s\n",
		num_human_size(d->in_place + d->copied, a), num_human_size(d->told, b),
		num_human_size(d->zeros, c), num_human_size(d->lacking, f));
}

static int
print_payload(const struct diff *d, const struct payload_diff *p, size_t top, struct err *e)
{
	const struct columns c = columns_of(d, p);
	AUTO_FREE uint32_t *owners = NULL;
	char size[NUM_HUMAN_SIZE];
	size_t count;

	if (bill_sort(c.first, c.second, &owners, &count, e) < 0)
		return -1;
	(void)printf("\n%s: %s of %s for slot %s\n", p->new->name,
		image_kind_name(p->contents.kind), num_human_size(p->new->size, size),
		p->new->slot_class);
	if (!p->old)
		(void)printf("  new       the old bundle has nothing of the kind for this slot\n");
	if (p->contents.why[0])
		(void)printf("  files     are not known: %s\n", p->contents.why);
	if (d->has_delta)
		print_by_delta(p);
	print_fetching(p, d->has_delta ? "without" : "fetched");
	print_files(p, &c, owners, count, top);
	return 0;
}

/* Words in lines that fit a terminal. */
static void
print_wrapped(const char *text, size_t *column)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (*column + 1 + len > TEXT_COLUMNS) {
			(void)printf("\n   ");
			*column = 3;
		}
		(void)printf(" %.*s", (int)len, text);
		*column += 1 + len;
		text += len + (text[len] == ' ');
	}
}

static void
print_advice(const struct payload_diff *p, enum advice_kind kind, bool several)
{
	const struct advice *a = &p->advice[kind];
	char size[NUM_HUMAN_SIZE];
	size_t column = 1;

	(void)printf(" ");
	print_wrapped("-", &column);
	print_wrapped(num_human_size(a->bytes, size), &column);
	if (several) {
		print_wrapped("of", &column);
		print_wrapped(p->new->name, &column);
	}
	print_wrapped(advice_text(kind), &column);
	print_wrapped(kind == ADVICE_FILES ? num_human_size(a->would, size) : a->detail, &column);
	(void)printf("%s\n", kind == ADVICE_FILES || kind == ADVICE_METADATA ? "." : "");
	for (size_t i = 0; (kind == ADVICE_FILES || kind == ADVICE_RENAMED) && i < a->files &&
			   i < ADVICE_EXAMPLES;
		i++)
		(void)printf("      %s\n", contents_path(&p->contents, a->examples[i]));
	if ((kind == ADVICE_FILES || kind == ADVICE_RENAMED) && a->files > ADVICE_EXAMPLES)
		(void)printf("      and %zu more\n", a->files - ADVICE_EXAMPLES);
}

static void
print_less(const struct diff *d, uint64_t saved)
{
	char size[NUM_HUMAN_SIZE];
	size_t column = 1;

	(void)printf(" ");
	print_wrapped("-", &column);
	print_wrapped(num_human_size(saved, size), &column);
	print_wrapped("less by a delta: release it with --delta-from", &column);
	print_wrapped(d->old.path, &column);
	(void)printf("\n");
}

static void
print_advices(const struct diff *d)
{
	uint64_t saved = diff_delta_saves(d);
	bool any = saved > 0;

	if (any)
		(void)printf("\nwhat would make it smaller:\n");
	if (saved > 0)
		print_less(d, saved);
	for (size_t i = 0; i < d->count; i++) {
		for (enum advice_kind kind = 0; kind < ADVICES; kind++) {
			if (!advice_counts(d, &d->payloads[i].advice[kind]))
				continue;
			if (!any)
				(void)printf("\nwhat would make it smaller:\n");
			any = true;
			print_advice(&d->payloads[i], kind, d->count > 1);
		}
	}
}

static void
print_totals(const struct diff *d)
{
	const struct manifest *old = d->old.manifest, *new = d->new.manifest;
	char by[NUM_HUMAN_SIZE], without[NUM_HUMAN_SIZE], whole[NUM_HUMAN_SIZE];

	(void)num_human_size(diff_total(d), without);
	(void)num_human_size(d->new.layout.total_size, whole);
	(void)printf(
		"%s %s to %s %s: a box fetches ", old->name, old->version, new->name, new->version);
	if (d->has_delta)
		(void)printf("%s by a delta, %s without, of %s\n",
			num_human_size(diff_delta_total(d), by), without, whole);
	else
		(void)printf("%s of %s\n", without, whole);
}

static void
print_heads(const struct diff *d)
{
	char by[NUM_HUMAN_SIZE], without[NUM_HUMAN_SIZE];
	size_t column = 11;

	(void)num_human_size(d->new.layout.head_size, without);
	(void)num_human_size(d->delta.made.listing.head_length, by);
	if (d->has_delta) {
		(void)printf("  head      %s of the delta, or %s of the bundle: what comes first\n",
			by, without);
		return;
	}
	(void)printf("  head      %s: what every box needs to know of the bundle\n", without);
	(void)printf("  delta    ");
	print_wrapped(d->delta.why[0] ? "none:" : "not looked at (--no-delta)", &column);
	print_wrapped(d->delta.why, &column);
	(void)printf("\n");
}

int
diff_print(const struct diff *d, size_t top, struct err *e)
{
	print_totals(d);
	print_heads(d);
	for (size_t i = 0; i < d->count; i++) {
		if (print_payload(d, &d->payloads[i], top, e) < 0)
			return -1;
	}
	print_advices(d);
	return 0;
}

/* How long a file is, and how much there is of all else. */
static uint64_t
owner_bytes(const struct owner *o)
{
	return o->kind == OWNER_FILE ? o->length : o->size;
}

static json_t *
file_json(const struct diff *d, const struct payload_diff *p, uint32_t owner)
{
	const char *change = owner_change(p, owner);

	return json_pack("{s:s, s:I, s:o*, s:I, s:s*}", "path", contents_path(&p->contents, owner),
		"fetched", (json_int_t)p->bill.bytes[owner], "fetched_by_delta",
		d->has_delta ? json_integer((json_int_t)p->delta_bill.bytes[owner]) : NULL, "size",
		(json_int_t)owner_bytes(&p->contents.owners[owner]), "change",
		*change ? change : NULL);
}

static json_t *
files_json(const struct diff *d, const struct payload_diff *p, const uint32_t *owners, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, file_json(d, p, owners[i]));
	return list;
}

static json_t *
by_delta_json(const struct diff *d, const struct payload_diff *p)
{
	const struct by_delta *b = &p->by_delta;

	if (!d->has_delta)
		return NULL;
	if (!b->used)
		return json_pack(
			"{s:b, s:I}", "used", 0, "fetched", (json_int_t)payload_delta_total(p));
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "used", 1,
		"fetched", (json_int_t)by_delta_total(b), "records", (json_int_t)b->records,
		"content", (json_int_t)b->stored, "pages", (json_int_t)b->pages, "gaps",
		(json_int_t)b->gaps, "in_place", (json_int_t)b->in_place, "copied",
		(json_int_t)b->copied, "told", (json_int_t)b->told, "zeros", (json_int_t)b->zeros,
		"lacking", (json_int_t)b->lacking);
}

static json_t *
advice_json(const struct diff *d, const struct payload_diff *p)
{
	json_t *list = json_array();

	for (enum advice_kind kind = 0; kind < ADVICES; kind++) {
		const struct advice *a = &p->advice[kind];

		if (!advice_counts(d, a))
			continue;
		(void)json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:s*, s:o*}", "what", advice_word(kind),
				"fetched", (json_int_t)a->bytes, "files", (json_int_t)a->files,
				"detail", a->detail[0] ? a->detail : NULL, "would_be",
				kind == ADVICE_FILES ? json_integer((json_int_t)a->would) : NULL));
	}
	return list;
}

static json_t *
payload_json(
	const struct diff *d, const struct payload_diff *p, const uint32_t *owners, size_t count)
{
	const struct fetching *f = &p->fetching;

	return json_pack(
		"{s:s, s:s, s:s, s:b, s:s*, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:o*, s:o, s:o}",
		"name", p->new->name, "slot", p->new->slot_class, "contents",
		image_kind_name(p->contents.kind), "new", !p->old, "files_unknown",
		p->contents.why[0] ? p->contents.why : NULL, "size", (json_int_t)p->new->size,
		"in_place", (json_int_t)f->in_place, "moved", (json_int_t)f->moved, "zeros",
		(json_int_t)f->zeros, "lacking", (json_int_t)f->lacking, "fetched",
		(json_int_t)fetching_total(f), "content", (json_int_t)f->stored, "hints",
		(json_int_t)f->hints, "cuts", (json_int_t)f->cuts, "gaps", (json_int_t)f->gaps,
		"by_delta", by_delta_json(d, p), "files", files_json(d, p, owners, count), "advice",
		advice_json(d, p));
}

static json_t *
release_json(const struct bundle_file *b)
{
	return json_pack("{s:s, s:s, s:I}", "name", b->manifest->name, "version",
		b->manifest->version, "size", (json_int_t)b->layout.total_size);
}

static json_t *
delta_json(const struct diff *d)
{
	if (d->delta.why[0])
		return json_pack("{s:s}", "none", d->delta.why);
	if (!d->has_delta)
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:b}", "fetched", (json_int_t)diff_delta_total(d), "head",
		(json_int_t)d->delta.made.listing.head_length, "size",
		(json_int_t)d->delta.made.size, "advised", diff_delta_saves(d) > 0);
}

int
diff_print_json(const struct diff *d, size_t top, struct err *e)
{
	AUTO_JSON json_t *payloads = json_array();
	AUTO_JSON json_t *whole = NULL;

	for (size_t i = 0; i < d->count; i++) {
		const struct payload_diff *p = &d->payloads[i];
		const struct columns c = columns_of(d, p);
		AUTO_FREE uint32_t *owners = NULL;
		size_t count;

		if (bill_sort(c.first, c.second, &owners, &count, e) < 0)
			return -1;
		(void)json_array_append_new(
			payloads, payload_json(d, p, owners, (size_t)num_min(count, top)));
	}
	whole = json_pack("{s:o, s:o, s:I, s:I, s:o*, s:O}", "old", release_json(&d->old), "new",
		release_json(&d->new), "fetched", (json_int_t)diff_total(d), "head",
		(json_int_t)d->new.layout.head_size, "delta", delta_json(d), "payloads", payloads);
	if (!whole)
		return err_sys(e, ENOMEM, "comparing");
	return ui_json_print(whole, e);
}
