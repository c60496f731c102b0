#include "signer/diff_print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/num.h"
#include "signer/ui.h"

/* What is fetched on account of less than this share of all is no matter for advice. */
enum { ADVICE_PERCENT = 1, TEXT_COLUMNS = 78 };

static bool
advice_counts(const struct diff *d, const struct advice *a)
{
	return a->bytes > 0 && a->bytes >= diff_total(d) / 100 * ADVICE_PERCENT;
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

static void
print_files(const struct payload_diff *p, const uint32_t *owners, size_t count, size_t top)
{
	uint64_t total = fetching_total(&p->fetching), rest = 0;
	char size[NUM_HUMAN_SIZE];

	for (size_t i = 0; i < count; i++) {
		uint64_t bytes = p->bill.bytes[owners[i]];
		const char *change = owner_change(p, owners[i]);

		if (i >= top)
			rest += bytes;
		else
			(void)printf("  %10s %5.1f%%  %s%s%s\n", num_human_size(bytes, size),
				percent_of(bytes, total), contents_path(&p->contents, owners[i]),
				*change ? ", " : "", change);
	}
	if (rest > 0)
		(void)printf("  %10s %5.1f%%  in %zu others (--all)\n", num_human_size(rest, size),
			percent_of(rest, total), count - top);
}

static void
print_fetching(const struct payload_diff *p)
{
	const struct fetching *f = &p->fetching;
	char a[NUM_HUMAN_SIZE], b[NUM_HUMAN_SIZE], c[NUM_HUMAN_SIZE], d[NUM_HUMAN_SIZE];

	(void)printf("  fetched   %s: %s of content, %s of hints, %s of cuts and gaps\n",
		num_human_size(fetching_total(f), a), num_human_size(f->stored, b),
		num_human_size(f->hints, c), num_human_size(f->cuts + f->gaps, d));
	(void)printf("  in place  %s, moved %s, zeros %s, new %s\n", num_human_size(f->in_place, a),
		num_human_size(f->moved, b), num_human_size(f->zeros, c),
		num_human_size(f->lacking, d));
}

static int
print_payload(const struct payload_diff *p, size_t top, struct err *e)
{
	AUTO_FREE uint32_t *owners = NULL;
	char size[NUM_HUMAN_SIZE];
	size_t count;

	if (bill_sort(&p->bill, &owners, &count, e) < 0)
		return -1;
	(void)printf("\n%s: %s of %s for slot %s\n", p->new->name,
		image_kind_name(p->contents.kind), num_human_size(p->new->size, size),
		p->new->slot_class);
	if (!p->old)
		(void)printf("  new       the old bundle has nothing of the kind for this slot\n");
	if (p->contents.why[0])
		(void)printf("  files     are not known: %s\n", p->contents.why);
	print_fetching(p);
	print_files(p, owners, count, top);
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
print_advices(const struct diff *d)
{
	bool any = false;

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

int
diff_print(const struct diff *d, size_t top, struct err *e)
{
	const struct manifest *old = d->old.manifest, *new = d->new.manifest;
	char total[NUM_HUMAN_SIZE], whole[NUM_HUMAN_SIZE], head[NUM_HUMAN_SIZE];

	(void)printf("%s %s to %s %s: a box fetches %s of %s\n", old->name, old->version, new->name,
		new->version, num_human_size(diff_total(d), total),
		num_human_size(d->new.layout.total_size, whole));
	(void)printf("  head      %s: what every box needs to know of the bundle\n",
		num_human_size(d->new.layout.head_size, head));
	for (size_t i = 0; i < d->count; i++) {
		if (print_payload(&d->payloads[i], top, e) < 0)
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
files_json(const struct payload_diff *p, const uint32_t *owners, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		const char *change = owner_change(p, owners[i]);

		(void)json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:s*}", "path",
				      contents_path(&p->contents, owners[i]), "fetched",
				      (json_int_t)p->bill.bytes[owners[i]], "size",
				      (json_int_t)owner_bytes(&p->contents.owners[owners[i]]),
				      "change", *change ? change : NULL));
	}
	return list;
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
		"{s:s, s:s, s:s, s:b, s:s*, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
		"s:o}",
		"name", p->new->name, "slot", p->new->slot_class, "contents",
		image_kind_name(p->contents.kind), "new", !p->old, "files_unknown",
		p->contents.why[0] ? p->contents.why : NULL, "size", (json_int_t)p->new->size,
		"in_place", (json_int_t)f->in_place, "moved", (json_int_t)f->moved, "zeros",
		(json_int_t)f->zeros, "lacking", (json_int_t)f->lacking, "fetched",
		(json_int_t)fetching_total(f), "content", (json_int_t)f->stored, "hints",
		(json_int_t)f->hints, "cuts", (json_int_t)f->cuts, "gaps", (json_int_t)f->gaps,
		"files", files_json(p, owners, count), "advice", advice_json(d, p));
}

static json_t *
release_json(const struct bundle_file *b)
{
	return json_pack("{s:s, s:s, s:I}", "name", b->manifest->name, "version",
		b->manifest->version, "size", (json_int_t)b->layout.total_size);
}

int
diff_print_json(const struct diff *d, size_t top, struct err *e)
{
	AUTO_JSON json_t *payloads = json_array();
	AUTO_JSON json_t *whole = NULL;

	for (size_t i = 0; i < d->count; i++) {
		const struct payload_diff *p = &d->payloads[i];
		AUTO_FREE uint32_t *owners = NULL;
		size_t count;

		if (bill_sort(&p->bill, &owners, &count, e) < 0)
			return -1;
		(void)json_array_append_new(
			payloads, payload_json(d, p, owners, (size_t)num_min(count, top)));
	}
	whole = json_pack("{s:o, s:o, s:I, s:I, s:O}", "old", release_json(&d->old), "new",
		release_json(&d->new), "fetched", (json_int_t)diff_total(d), "head",
		(json_int_t)d->new.layout.head_size, "payloads", payloads);
	if (!whole)
		return err_sys(e, ENOMEM, "comparing");
	return ui_json_print(whole, e);
}
