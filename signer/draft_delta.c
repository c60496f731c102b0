#include "signer/draft_delta.h"

#include <stdio.h>

#include "common/base/num.h"
#include "signer/output.h"

static const char own_name[] = "a temporary file";

void
draft_delta_free(struct draft_delta *d)
{
	cleanup_fd(&d->fd);
	*d = DRAFT_DELTA_INIT;
}

/* As it was written: it was tried out. */
static int
head_read(struct draft_delta *d, const struct bundle_file *new, struct err *e)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);

	if (delta_head_read(d->fd, own_name, d->made.listing.head_length, &d->head, &json, e) < 0)
		return -1;
	return delta_head_place(own_name, &d->head, new->manifest, e);
}

/* A release lists none that does not pay, and a box takes none whose head is no shorter. */
static int
worth_look(struct draft_delta *d, const struct bundle_file *new, struct err *e)
{
	uint64_t head = d->made.listing.head_length;
	char a[NUM_HUMAN_SIZE], b[NUM_HUMAN_SIZE];

	if (!d->made.pays)
		(void)snprintf(d->why, sizeof(d->why),
			"it does not pay: a box would fetch %s of it and %s of the bundle",
			num_human_size(d->made.size, a), num_human_size(d->made.full, b));
	else if (head >= new->layout.head_size)
		(void)snprintf(d->why, sizeof(d->why), "its head takes %s, and the bundle's %s",
			num_human_size(head, a), num_human_size(new->layout.head_size, b));
	return d->why[0] ? 0 : head_read(d, new, e);
}

int
draft_delta_make(const struct bundle_file *old, const struct bundle_file *new, unsigned threads,
	const char *scratch, struct draft_delta *out, struct err *e)
{
	struct err why;

	if (delta_file_pair(old, new, &why) < 0) {
		(void)snprintf(out->why, sizeof(out->why), "%s", why.text);
		return 0;
	}
	if (bundle_file_check_members(old, e) < 0 || bundle_file_check_members(new, e) < 0)
		return -1;
	if (scratch_open(scratch, &out->fd, e) < 0 ||
		delta_file_make(old, new, threads, scratch, out->fd, own_name, &out->made, e) < 0)
		return err_context(e, "a delta to look at (--no-delta does without)");
	return worth_look(out, new, e);
}
