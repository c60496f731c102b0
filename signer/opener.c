#include "signer/opener.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "signer/ingest.h"

enum { AHEAD = 256 };

/* Letter n is in ring[n % AHEAD], from when a thread has begun with it to when it was taken. */
struct place {
	bool done, opened;
	struct report report;
	struct err why;
};

struct run {
	const struct opener *o;
	pthread_mutex_t lock;
	pthread_cond_t opened, room;
	struct place *ring;
	size_t begun, taken; /* how many so far; taken <= begun <= taken + AHEAD */
	bool failed;
};

static void
place_fill(const struct run *r, size_t i, struct place *p)
{
	const struct opener *o = r->o;

	p->opened = false;
	p->why = ERR_INIT;
	if (o->report_keys[i])
		p->opened = letter_open(o->spool, &o->letters[i], o->report_keys[i], &p->report,
				    &p->why) == 0;
}

static void *
thread_main(void *arg)
{
	struct run *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->failed && r->begun < r->o->count) {
		size_t i = r->begun;
		struct place *p = &r->ring[i % AHEAD];

		if (i == r->taken + AHEAD) {
			pthread_cond_wait(&r->room, &r->lock);
			continue;
		}
		r->begun++;
		pthread_mutex_unlock(&r->lock);
		place_fill(r, i, p);
		pthread_mutex_lock(&r->lock);
		p->done = true;
		if (i == r->taken)
			pthread_cond_signal(&r->opened);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static int
place_take(const struct run *r, size_t i, struct place *p, struct err *e)
{
	int rc = r->o->take(r->o->arg, i, p->opened ? &p->report : NULL, &p->why, e);

	if (p->opened)
		report_free(&p->report);
	p->opened = false;
	return rc;
}

/* The caller's part: the lock is held. */
static int
run_take(struct run *r, struct err *e)
{
	int rc = 0;

	while (rc == 0 && r->taken < r->o->count) {
		size_t i = r->taken;
		struct place *p = &r->ring[i % AHEAD];

		if (!p->done) {
			pthread_cond_wait(&r->opened, &r->lock);
			continue;
		}
		pthread_mutex_unlock(&r->lock);
		rc = place_take(r, i, p, e);
		pthread_mutex_lock(&r->lock);
		p->done = false;
		r->taken++;
		/* Not for each: who waits has little to do then. */
		if (r->taken % (AHEAD / 4) == 0 || r->begun - r->taken < AHEAD / 4)
			pthread_cond_broadcast(&r->room);
	}
	return rc;
}

/* What was opened ahead of a failure. */
static void
ring_free(struct place *ring)
{
	for (size_t i = 0; i < AHEAD; i++) {
		if (ring[i].done && ring[i].opened)
			report_free(&ring[i].report);
	}
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
	rc = started > 0 ? run_take(r, e) : err_sys(e, EAGAIN, "starting a thread");
	r->failed = true;
	pthread_cond_broadcast(&r->room);
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
		.room = PTHREAD_COND_INITIALIZER,
		.ring = calloc(AHEAD, sizeof(*r.ring))};
	int rc;

	if (!r.ring)
		return err_sys(e, ENOMEM, "reading reports");
	rc = run_threads(&r, e);
	ring_free(r.ring);
	return rc;
}
