#include "signer/diff.h"

#include <string.h>

#include "signer/unpacked.h"

void
diff_free(struct diff *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct payload_diff *p = &d->payloads[i];

		bill_free(&p->bill);
		contents_free(&p->contents);
		contents_free(&p->old_contents);
	}
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

static int
payload_compare(const struct diff *d, size_t number, struct payload_diff *p,
	const struct unpacked *new, const struct unpacked *old, unsigned threads, struct err *e)
{
	const struct fetching_job fetching = {.b = &d->new,
		.payload = number,
		.new = new,
		.old = old,
		.contents = &p->contents,
		.old_contents = old ? &p->old_contents : NULL,
		.threads = threads,
		.bill = &p->bill};
	const struct advice_job advice = {.payload = p->new,
		.new = new,
		.old = old,
		.contents = &p->contents,
		.old_contents = old ? &p->old_contents : NULL,
		.bill = &p->bill,
		.level = (int)d->new.manifest->zlib_level,
		.threads = threads};

	if (bill_begin(&p->contents, &p->bill, e) < 0 ||
		fetching_of(&fetching, &p->fetching, e) < 0)
		return -1;
	return advice_of(&advice, p->advice, e);
}

static int
payload_diff(struct diff *d, size_t number, unsigned threads, const char *scratch, struct err *e)
{
	AUTO_UNPACKED struct unpacked new = UNPACKED_INIT, old = UNPACKED_INIT;
	struct payload_diff *p = &d->payloads[d->count++];
	size_t before = 0;

	*p = (struct payload_diff){.contents = CONTENTS_INIT, .old_contents = CONTENTS_INIT};
	p->new = &d->new.manifest->payloads[number];
	p->old = old_payload(d, p->new, &before);
	if (payload_unpack(&d->new, number, threads, scratch, &new, e) < 0 ||
		contents_of(&d->new, number, &new, &p->contents, e) < 0)
		return -1;
	if (p->old && (payload_unpack(&d->old, before, threads, scratch, &old, e) < 0 ||
			      contents_of(&d->old, before, &old, &p->old_contents, e) < 0))
		return -1;
	return payload_compare(d, number, p, &new, p->old ? &old : NULL, threads, e);
}

int
diff_bundles(const char *old, const char *new, unsigned threads, const char *scratch,
	struct diff *d, struct err *e)
{
	if (bundle_file_open(old, &d->old, e) < 0 || bundle_file_open(new, &d->new, e) < 0)
		return -1;
	for (size_t i = 0; i < d->new.manifest->payload_count; i++) {
		if (payload_diff(d, i, threads, scratch, e) < 0)
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
