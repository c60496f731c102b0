#include "signer/diff.h"

#include <string.h>

#include "signer/unpacked.h"

/* Of what a box fetches without a delta: one that saves less than a quarter is no matter. */
enum { SAVED_QUARTERS = 3 };

void
diff_free(struct diff *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct payload_diff *p = &d->payloads[i];

		bill_free(&p->bill);
		bill_free(&p->delta_bill);
		contents_free(&p->contents);
		contents_free(&p->old_contents);
	}
	draft_delta_free(&d->delta);
	bundle_file_close(&d->old);
	bundle_file_close(&d->new);
	d->count = 0;
}

/* What the slot holds that the payload goes to; *number is its place in the old bundle. */
static const struct payload *
old_payload(const struct diff *d, const struct payload *new, size_t *number)
{
	const struct manifest *m = d->old.manifest;

	for (size_t i = 0; i < m->payload_count; i++) {
		*number = i;
		if (strcmp(m->payloads[i].slot_class, new->slot_class) == 0)
			return m->payloads[i].kind == new->kind ? &m->payloads[i] : NULL;
	}
	return NULL;
}

/* A payload, and what is unpacked of it. */
struct comparing {
	const struct diff_job *j;
	struct diff *d;
	size_t number;
	struct payload_diff *p;
	struct unpacked new, old;
};

static void
comparing_end(struct comparing *c)
{
	unpacked_free(&c->new);
	unpacked_free(&c->old);
}

static int
delta_look(const struct comparing *c, const struct fetching_job *fetching, struct err *e)
{
	struct payload_diff *p = c->p;
	const struct by_delta_job j = {.f = fetching,
		.without = &p->fetching,
		.fd = c->d->delta.fd,
		.head = &c->d->delta.head,
		.bill = &p->delta_bill};

	if (!c->d->has_delta)
		return 0;
	if (bill_begin(&p->contents, &p->delta_bill, e) < 0 || by_delta_of(&j, &p->by_delta, e) < 0)
		return -1;
	if (!p->by_delta.used)
		memcpy(p->delta_bill.bytes, p->bill.bytes,
			p->contents.owner_count * sizeof(*p->bill.bytes));
	return 0;
}

static int
payload_look(const struct comparing *c, struct err *e)
{
	struct payload_diff *p = c->p;
	const struct fetching_job fetching = {.b = &c->d->new,
		.payload = c->number,
		.new = &c->new,
		.old = p->old ? &c->old : NULL,
		.contents = &p->contents,
		.old_contents = p->old ? &p->old_contents : NULL,
		.threads = c->j->threads,
		.bill = &p->bill};
	struct advice_job advice = {.payload = p->new,
		.new = &c->new,
		.old = fetching.old,
		.contents = &p->contents,
		.old_contents = fetching.old_contents,
		.bill = &p->bill,
		.level = (int)c->d->new.manifest->zlib_level,
		.threads = c->j->threads,
		.scratch = c->j->scratch};

	if (bill_begin(&p->contents, &p->bill, e) < 0 ||
		fetching_of(&fetching, &p->fetching, e) < 0 || delta_look(c, &fetching, e) < 0)
		return -1;
	advice.delta = p->by_delta.used;
	if (advice.delta)
		advice.bill = &p->delta_bill;
	return advice_of(&advice, p->advice, e);
}

static int
payload_open(const struct comparing *c, const struct bundle_file *b, size_t number,
	struct unpacked *u, struct contents *contents, struct err *e)
{
	if (payload_unpack(b, number, c->j->threads, c->j->scratch, u, e) < 0)
		return -1;
	return contents_of(b, number, u, contents, e);
}

static int
payload_diff(const struct diff_job *j, struct diff *d, size_t number, struct err *e)
{
	struct payload_diff *p = &d->payloads[d->count++];
	CLEANUP(comparing_end)
	struct comparing c = {.j = j,
		.d = d,
		.number = number,
		.p = p,
		.new = UNPACKED_INIT,
		.old = UNPACKED_INIT};
	size_t before = 0;

	*p = (struct payload_diff){.contents = CONTENTS_INIT, .old_contents = CONTENTS_INIT};
	p->new = &d->new.manifest->payloads[number];
	p->old = old_payload(d, p->new, &before);
	if (payload_open(&c, &d->new, number, &c.new, &p->contents, e) < 0 ||
		(p->old && payload_open(&c, &d->old, before, &c.old, &p->old_contents, e) < 0))
		return -1;
	return payload_look(&c, e);
}

int
diff_bundles(const struct diff_job *j, struct diff *d, struct err *e)
{
	if (bundle_file_open(j->old, &d->old, e) < 0 || bundle_file_open(j->new, &d->new, e) < 0)
		return -1;
	if (j->delta &&
		draft_delta_make(&d->old, &d->new, j->threads, j->scratch, &d->delta, e) < 0)
		return -1;
	d->has_delta = j->delta && !d->delta.why[0];
	for (size_t i = 0; i < d->new.manifest->payload_count; i++) {
		if (payload_diff(j, d, i, e) < 0)
			return -1;
	}
	return 0;
}

uint64_t
diff_total(const struct diff *d)
{
	uint64_t total = d->new.layout.head_size;

	for (size_t i = 0; i < d->count; i++)
		total += fetching_total(&d->payloads[i].fetching);
	return total;
}

uint64_t
payload_delta_total(const struct payload_diff *p)
{
	return p->by_delta.used ? by_delta_total(&p->by_delta) : fetching_total(&p->fetching);
}

uint64_t
diff_delta_total(const struct diff *d)
{
	uint64_t total = d->delta.made.listing.head_length;

	for (size_t i = 0; i < d->count; i++)
		total += payload_delta_total(&d->payloads[i]);
	return total;
}

uint64_t
diff_delta_saves(const struct diff *d)
{
	uint64_t without = diff_total(d), with = d->has_delta ? diff_delta_total(d) : without;

	return with / SAVED_QUARTERS > without / 4 ? 0 : without - with;
}
