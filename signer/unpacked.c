#include "signer/unpacked.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/codec.h"
#include "common/format/index.h"
#include "common/format/pages.h"
#include "common/limits.h"
#include "signer/output.h"
#include "signer/ui.h"

/* What a thread takes at once: enough to be hashed side by side, and little memory. */
enum { SHARE_CHUNKS = 16 };

static const char name[] = "a temporary file";

/* What the threads have in common. */
struct run {
	const struct bundle_file *b;
	const struct payload *p;
	uint64_t data; /* where stored chunks begin in the bundle */
	int fd;	       /* where plain ones go */
	pthread_mutex_t lock;
	struct index_reader *index; /* this and what follows belongs to who has the lock */
	struct pages pages;
	uint64_t entry; /* that the index gives next */
	struct progress progress;
	bool ended, failed;
	struct err err; /* the first failure */
};

/* What one thread is at. */
struct share {
	struct inflater *inflater;
	size_t count;
	struct chunk chunks[SHARE_CHUNKS];
	uint8_t stored[SHARE_CHUNKS][CHUNK_STORED_MAX], plain[SHARE_CHUNKS][CHUNK_BYTES];
};

void
unpacked_free(struct unpacked *u)
{
	if (u->map)
		(void)munmap(u->map, (size_t)u->size);
	cleanup_fd(&u->fd);
	*u = UNPACKED_INIT;
}

static void
share_free(struct share **s)
{
	if (*s)
		inflater_free(&(*s)->inflater);
	free(*s);
}

static void
run_free(struct run *r)
{
	progress_end(&r->progress);
	index_close(&r->index);
}

/* With the lock held: the next chunks that have bytes, none at the end. */
static int
share_take(struct run *r, struct share *s, struct err *e)
{
	for (s->count = 0; s->count < SHARE_CHUNKS && !r->ended;) {
		struct chunk *c = &s->chunks[s->count];
		bool more;

		if (index_next(r->index, c, &more, e) < 0)
			return -1;
		if (more && pages_find(&r->pages, r->entry++, c, e) < 0)
			return err_context(e, "%s", r->b->path);
		r->ended = !more;
		if (more)
			progress_set(&r->progress, c->offset);
		if (more && c->store != CHUNK_ZERO_RUN)
			s->count++;
	}
	return 0;
}

static int
share_work(const struct run *r, struct share *s, struct err *e)
{
	struct chunk_job jobs[SHARE_CHUNKS];
	size_t failed;

	for (size_t i = 0; i < s->count; i++) {
		const struct chunk *c = &s->chunks[i];

		if (file_pread_full(r->b->fd, r->b->path, s->stored[i], c->stored_size,
			    r->data + c->stored_offset, e) < 0)
			return -1;
		jobs[i] = (struct chunk_job){.c = c,
			.stored = span_of(s->stored[i], c->stored_size),
			.plain = s->plain[i]};
	}
	if (s->count > 0 && chunks_decode(s->inflater, jobs, s->count, &failed, e) < 0)
		return err_context(e, "%s: %s", r->b->path, r->p->name);
	for (size_t i = 0; i < s->count; i++) {
		const struct chunk *c = &s->chunks[i];

		if (file_pwrite_full(r->fd, name, s->plain[i], (size_t)c->size, c->offset, e) < 0)
			return -1;
	}
	return 0;
}

/* With the lock held, and held again at the end. */
static int
shares_work(struct run *r, struct share *s, struct err *e)
{
	while (!r->ended && !r->failed) {
		int result;

		if (share_take(r, s, e) < 0)
			return -1;
		pthread_mutex_unlock(&r->lock);
		result = share_work(r, s, e);
		pthread_mutex_lock(&r->lock);
		if (result < 0)
			return -1;
	}
	return 0;
}

static void *
thread_main(void *arg)
{
	CLEANUP(share_free) struct share *s = calloc(1, sizeof(*s));
	struct run *r = arg;
	struct err e = ERR_INIT;
	int result =
		s ? inflater_new(&s->inflater, &e) : err_sys(&e, ENOMEM, "reading %s", r->b->path);

	pthread_mutex_lock(&r->lock);
	if (result == 0)
		result = shares_work(r, s, &e);
	if (result < 0 && !r->failed) {
		r->failed = true;
		r->err = e;
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* The machine may not have threads to give; those that it gave do the work then. */
static int
run_threads(struct run *r, unsigned threads, struct err *e)
{
	pthread_t others[PIPELINE_THREADS_MAX];
	size_t started = 0;

	while (started + 1 < threads && pthread_create(&others[started], NULL, thread_main, r) == 0)
		started++;
	(void)thread_main(r);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(others[i], NULL);
	if (r->failed && e)
		*e = r->err;
	return r->failed ? -1 : 0;
}

/* An index that is the manifest's, and so are the seals of what goes with it. */
static int
payload_index(const struct bundle_file *b, size_t payload, struct index_reader **out, struct err *e)
{
	if (bundle_check_member(b->fd, b->path, &b->layout, b->manifest, payload, MEMBER_INDEX, e) <
			0 ||
		bundle_check_member(
			b->fd, b->path, &b->layout, b->manifest, payload, MEMBER_SEALS, e) < 0)
		return -1;
	return index_open(b->fd, b->path, b->layout.offset[payload][MEMBER_INDEX],
		&b->manifest->payloads[payload], out, e);
}

static int
payload_write(const struct bundle_file *b, size_t payload, unsigned threads, int fd, struct err *e)
{
	const struct payload *p = &b->manifest->payloads[payload];
	CLEANUP(run_free)
	struct run r = {.b = b,
		.p = p,
		.data = b->layout.offset[payload][MEMBER_DATA],
		.fd = fd,
		.pages = bundle_file_pages(b, payload),
		.lock = PTHREAD_MUTEX_INITIALIZER};

	if (payload_index(b, payload, &r.index, e) < 0)
		return -1;
	progress_start(&r.progress, p->name, p->size);
	return run_threads(&r, threads, e);
}

/* Nothing cannot be mapped. */
static int
unpacked_map(struct unpacked *u, struct err *e)
{
	static const uint8_t nothing[1];

	u->data = nothing;
	if (u->size == 0)
		return 0;
	if (u->size > SIZE_MAX)
		return err_set(
			e, ERR_LIMIT, "it is larger than what this machine can address at once");
	u->map = mmap(NULL, (size_t)u->size, PROT_READ, MAP_SHARED, u->fd, 0);
	if (u->map == MAP_FAILED) {
		u->map = NULL;
		return err_sys(e, errno, "mapping %s", name);
	}
	u->data = u->map;
	return 0;
}

int
payload_unpack(const struct bundle_file *b, size_t payload, unsigned threads, const char *scratch,
	struct unpacked *out, struct err *e)
{
	const struct payload *p = &b->manifest->payloads[payload];
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;

	if (threads < 1 || threads > PIPELINE_THREADS_MAX)
		return err_set(e, ERR_USAGE, "%u threads are not between 1 and %d", threads,
			PIPELINE_THREADS_MAX);
	u.size = p->size;
	if (scratch_open(scratch, &u.fd, e) < 0)
		return -1;
	if (ftruncate(u.fd, (off_t)u.size) < 0)
		return err_sys(e, errno, "making a temporary file in %s", scratch);
	if (payload_write(b, payload, threads, u.fd, e) < 0)
		return -1;
	if (unpacked_map(&u, e) < 0)
		return err_context(e, "%s: %s", b->path, p->name);
	*out = u;
	u = UNPACKED_INIT;
	return 0;
}
