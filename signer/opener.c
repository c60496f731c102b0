#include "signer/opener.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "signer/ingest.h"

/* Threads take letters a few at a time: handing over costs more than some of what is handed over.
 */
enum { AHEAD = 256, HANDFUL = 16 };

/* Letter n is in ring[n % AHEAD], from when its key was found to when it was taken. */
struct place {
	char *report_key; /* owned, or NULL */
	bool done, opened;
	struct report report;
	struct err why;
};

struct run {
	const struct opener *o;
	pthread_mutex_t lock;
	pthread_cond_t opened, found_more;
	struct place *ring;
	size_t found, begun, taken; /* taken <= begun <= found <= taken + AHEAD */
	bool ended;
};

static void
place_clear(struct place *p)
{
	if (p->opened)
		report_free(&p->report);
	free(p->report_key);
	p->report_key = NULL;
	p->done = p->opened = false;
}

static struct place *
place_at(const struct run *r, size_t i)
{
	return &r->ring[i % AHEAD];
}

static void
place_fill(const struct run *r, size_t i)
{
	const struct opener *o = r->o;
	struct place *p = place_at(r, i);

	p->opened = false;
	p->why = ERR_INIT;
	if (p->report_key)
		p->opened = letter_open(o->spool, &o->letters[i], p->report_key, &p->report,
				    &p->why) == 0;
}

static void *
thread_main(void *arg)
{
	struct run *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->ended) {
		size_t from = r->begun, to = num_min(r->found, from + HANDFUL);

		if (from == to) {
			pthread_cond_wait(&r->found_more, &r->lock);
			continue;
		}
		r->begun = to;
		pthread_mutex_unlock(&r->lock);
		for (size_t i = from; i < to; i++)
			place_fill(r, i);
		pthread_mutex_lock(&r->lock);
		for (size_t i = from; i < to; i++)
			place_at(r, i)->done = true;
		if (from == r->taken)
			pthread_cond_signal(&r->opened);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* The caller's part. The lock is held, but not while either works. */
static int
run_find(struct run *r, size_t to, struct err *e)
{
	int rc = 0;
	size_t i = r->found;

	pthread_mutex_unlock(&r->lock);
	for (; rc == 0 && i < to; i++)
		rc = r->o->find(r->o->arg, i, &place_at(r, i)->report_key, e);
	pthread_mutex_lock(&r->lock);
	if (rc == 0) {
		r->found = to;
		pthread_cond_broadcast(&r->found_more);
	}
	return rc;
}

static int
run_take(struct run *r, size_t to, struct err *e)
{
	int rc = 0;
	size_t i = r->taken;

	pthread_mutex_unlock(&r->lock);
	for (; rc == 0 && i < to; i++) {
		struct place *p = place_at(r, i);

		rc = r->o->take(r->o->arg, i, p->opened ? &p->report : NULL, &p->why, e);
		place_clear(p);
	}
	pthread_mutex_lock(&r->lock);
	r->taken = i;
	return rc;
}

/* Up to where letters wait to be taken, of the next few. */
static size_t
done_to(const struct run *r)
{
	size_t to = r->taken;

	while (to < r->begun && to < r->taken + HANDFUL && place_at(r, to)->done)
		to++;
	return to;
}

static int
run_caller(struct run *r, struct err *e)
{
	const size_t count = r->o->count;
	int rc = 0;

	while (rc == 0 && r->taken < count) {
		size_t room = r->taken + AHEAD - r->found, left = count - r->found;
		size_t done = done_to(r);

		if (left > 0 && room >= num_min(left, HANDFUL))
			rc = run_find(r, r->found + num_min(left, HANDFUL), e);
		else if (done > r->taken)
			rc = run_take(r, done, e);
		else
			pthread_cond_wait(&r->opened, &r->lock);
	}
	return rc;
}

/* What was found or opened ahead of a failure. */
static void
ring_free(struct place *ring)
{
	for (size_t i = 0; i < AHEAD; i++)
		place_clear(&ring[i]);
	free(ring);
}

static int
run_threads(struct run *r, struct err *e)
{
	pthread_t threads[INGEST_THREADS_MAX];
	unsigned started = 0;
	int rc = 0;

	while (started < r->o->threads && started < INGEST_THREADS_MAX &&
		pthread_create(&threads[started], NULL, thread_main, r) == 0)
		started++;
	pthread_mutex_lock(&r->lock);
	rc = started > 0 ? run_caller(r, e) : err_sys(e, EAGAIN, "starting a thread");
	r->ended = true;
	pthread_cond_broadcast(&r->found_more);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return rc;
}

int
opener_run(const struct opener *o, struct err *e)
{
	struct run r = {.o = o,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.opened = PTHREAD_COND_INITIALIZER,
		.found_more = PTHREAD_COND_INITIALIZER,
		.ring = calloc(AHEAD, sizeof(*r.ring))};
	int rc;

	if (!r.ring)
		return err_sys(e, ENOMEM, "reading reports");
	rc = run_threads(&r, e);
	ring_free(r.ring);
	return rc;
}
