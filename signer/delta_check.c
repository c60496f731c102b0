#include "signer/delta_check.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/digest_many.h"
#include "signer/in_order.h"
#include "signer/ui.h"

/* So many entries are looked at at once, and of a record as many chunks. */
enum { SHARE = DIGEST_LANES };

/* What the threads have in common. */
struct checking {
	int fd;
	const char *name;
	const struct delta_side *from, *to;
	struct patch_old old;
	pthread_mutex_t lock; /* of what follows */
	struct delta_walk *walk;
	bool ended;
	size_t next;  /* entry */
	size_t *told; /* entries that records tell, so far; those of one stand side by side */
	size_t told_count;
	struct progress progress;
};

/* A record all of whose entries were read. */
struct share_record {
	struct delta_record record;
	const size_t *entries;
};

/* What one thread is at. */
struct share {
	struct patch *patch;
	size_t count, first, records; /* entries, the number of the first one */
	struct delta_entry entries[SHARE];
	struct share_record record[SHARE];
	uint8_t stored[PATCH_STORED_MAX], plain[SHARE][CHUNK_BYTES];
	size_t hashed; /* of these, and which entries they are */
	struct span bytes[SHARE];
	size_t numbers[SHARE];
};

static void
share_end(void *own)
{
	struct share *s = own;

	patch_free(&s->patch);
	free(s);
}

static int
share_begin(void *arg, void **own, struct err *e)
{
	struct share *s = calloc(1, sizeof(*s));

	(void)arg;
	if (!s)
		return err_sys(e, ENOMEM, "checking a delta");
	if (patch_new(&s->patch, e) < 0) {
		free(s);
		return -1;
	}
	*own = s;
	return 0;
}

static int
wrong(const struct checking *c, size_t entry, struct err *e)
{
	return err_set(e, ERR_REFUSED,
		"%s: %s: entry %zu does not come out as it should: that is a mistake of this "
		"program, or of this machine's disk",
		c->name, c->to->payload->name, entry);
}

/* What an entry says of itself. */
static int
entry_check(const struct checking *c, const struct delta_entry *entry, size_t number, struct err *e)
{
	const struct delta_chunk *is;
	bool listed = entry->kind == DELTA_RECORD || entry->kind == DELTA_FULL;

	if (number >= c->to->count)
		return wrong(c, number, e);
	is = &c->to->chunks[number];
	if (entry->offset != is->offset || entry->size != is->size ||
		(entry->kind == DELTA_ZEROS) != (is->stored == 0) ||
		(listed && !digest_equal(&entry->plain, &is->plain)))
		return wrong(c, number, e);
	return 0;
}

/* The next entries, and the records that end with them. With the lock held. */
static int
share_take(struct checking *c, struct share *s, struct err *e)
{
	s->count = s->records = 0;
	s->first = c->next;
	while (s->count < SHARE) {
		struct delta_entry *entry = &s->entries[s->count];
		bool more;

		if (delta_walk_next(c->walk, entry, &more, e) < 0)
			return -1;
		c->ended = !more;
		if (!more)
			return 0;
		progress_set(&c->progress, entry->offset);
		if (entry_check(c, entry, c->next, e) < 0)
			return -1;
		if (entry->kind == DELTA_RECORD) {
			c->told[c->told_count++] = c->next;
			if (entry->in_record + 1 == entry->record.chunks)
				s->record[s->records++] = (struct share_record){entry->record,
					c->told + c->told_count - entry->record.chunks};
		}
		s->count++;
		c->next++;
	}
	return 0;
}

static int
hashed_check(const struct checking *c, struct share *s, struct err *e)
{
	struct digest digests[SHARE];
	size_t n = s->hashed;

	s->hashed = 0;
	digest_of_many(s->bytes, n, digests);
	for (size_t i = 0; i < n; i++) {
		if (!digest_equal(&digests[i], &c->to->chunks[s->numbers[i]].plain))
			return wrong(c, s->numbers[i], e);
	}
	return 0;
}

static int
hash_later(
	const struct checking *c, struct share *s, struct span bytes, size_t number, struct err *e)
{
	s->bytes[s->hashed] = bytes;
	s->numbers[s->hashed++] = number;
	return s->hashed < SHARE ? 0 : hashed_check(c, s, e);
}

/* Of one run, where they lie; else put together. */
static struct span
copy_bytes(const struct checking *c, const struct delta_entry *entry, uint8_t *plain)
{
	const uint8_t *old = c->from->plain.data;
	size_t len = 0;

	if (entry->runs == 1 && !entry->run[0].zeros)
		return span_of(old + entry->run[0].old_at, entry->run[0].size);
	for (size_t i = 0; i < entry->runs; i++) {
		const struct delta_run *r = &entry->run[i];

		if (r->zeros)
			memset(plain + len, 0, r->size);
		else
			memcpy(plain + len, old + r->old_at, r->size);
		len += r->size;
	}
	return span_of(plain, len);
}

static int
copies_check(const struct checking *c, struct share *s, struct err *e)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct delta_entry *entry = &s->entries[i];

		if (entry->kind == DELTA_COPY &&
			hash_later(c, s, copy_bytes(c, entry, s->plain[i]), s->first + i, e) < 0)
			return -1;
	}
	return hashed_check(c, s, e);
}

static int
record_check(
	const struct checking *c, struct share *s, const struct share_record *told, struct err *e)
{
	const struct delta_record *r = &told->record;
	struct span stored = span_of(s->stored, r->stored);
	uint64_t out_bytes = 0;

	for (uint32_t i = 0; i < r->chunks; i++)
		out_bytes += c->to->chunks[told->entries[i]].size;
	if (file_pread_full(c->fd, c->name, s->stored, r->stored, r->offset, e) < 0)
		return -1;
	if (!delta_record_is(r, stored))
		return wrong(c, told->entries[0], e);
	if (patch_begin(s->patch, stored, &c->old, out_bytes, e) < 0)
		return -1;
	for (uint32_t i = 0; i < r->chunks; i++) {
		size_t number = told->entries[i], len = (size_t)c->to->chunks[number].size;
		uint8_t *plain = s->plain[s->hashed];

		if (patch_take(s->patch, plain, len, e) < 0 ||
			hash_later(c, s, span_of(plain, len), number, e) < 0)
			return -1;
	}
	if (hashed_check(c, s, e) < 0)
		return -1;
	return patch_end(s->patch, e);
}

static int
share_check(void *arg, void *own, uint64_t number, struct err *e)
{
	struct checking *c = arg;
	struct share *s = own;
	int result;

	(void)number;
	pthread_mutex_lock(&c->lock);
	result = c->ended ? 0 : share_take(c, s, e);
	pthread_mutex_unlock(&c->lock);
	if (result < 0 || copies_check(c, s, e) < 0)
		return -1;
	for (size_t i = 0; i < s->records; i++) {
		if (record_check(c, s, &s->record[i], e) < 0)
			return err_context(e, "%s: %s", c->name, c->to->payload->name);
	}
	s->count = s->records = 0;
	return 0;
}

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct delta_side *from = arg;

	(void)e;
	memcpy(data, from->plain.data + offset, len);
	return 0;
}

static void
checking_free(struct checking *c)
{
	progress_end(&c->progress);
	delta_walk_close(&c->walk);
	free(c->told);
}

int
delta_check(int fd, const char *name, const struct delta_head *h, size_t payload,
	struct delta_side *from, const struct delta_side *to, unsigned threads, struct err *e)
{
	CLEANUP(checking_free)
	struct checking c = {.fd = fd,
		.name = name,
		.from = from,
		.to = to,
		.old = {from, old_read, from ? from->plain.size : 0},
		.lock = PTHREAD_MUTEX_INITIALIZER};
	struct in_order shares = {.threads = threads,
		.count = to->count / SHARE + 1,
		.ahead = in_order_ahead(threads),
		.begin = share_begin,
		.end = share_end,
		.work = share_check,
		.arg = &c};

	c.told = calloc(to->count + 1, sizeof(*c.told));
	if (!c.told)
		return err_sys(e, ENOMEM, "checking %s", name);
	if (delta_walk_open(fd, name, h, payload, to->payload, &c.walk, e) < 0)
		return -1;
	progress_start(&c.progress, "checking", to->plain.size);
	if (in_order_run(&shares, e) < 0)
		return -1;
	return c.ended && c.next == to->count ? 0 : wrong(&c, c.next, e);
}
