#include "signer/in_order.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/limits.h"

enum { AHEAD_PER_THREAD = 4 };

struct run {
	const struct in_order *o;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool *worked;	       /* of those between taken and begun, by number % ahead */
	uint64_t begun, taken; /* taken <= begun <= count */
	bool taking, failed;
	struct err err; /* the first failure */
};

size_t
in_order_ahead(unsigned threads)
{
	return (size_t)threads * AHEAD_PER_THREAD;
}

static int
run_work(struct run *r, void *own, struct err *e)
{
	uint64_t number = r->begun++;
	int result;

	r->worked[number % r->o->ahead] = false;
	pthread_mutex_unlock(&r->lock);
	result = r->o->work(r->o->arg, own, number, e);
	pthread_mutex_lock(&r->lock);
	r->worked[number % r->o->ahead] = true;
	return result;
}

static int
run_take(struct run *r, struct err *e)
{
	int result = 0;

	r->taking = true;
	pthread_mutex_unlock(&r->lock);
	if (r->o->take)
		result = r->o->take(r->o->arg, r->taken, e);
	pthread_mutex_lock(&r->lock);
	r->taking = false;
	r->taken++;
	return result;
}

/* With the lock held, and held again at the end. Taking goes first, since it makes room. */
static int
run_steps(struct run *r, void *own, struct err *e)
{
	while (!r->failed && r->taken < r->o->count) {
		int result;

		if (!r->taking && r->taken < r->begun && r->worked[r->taken % r->o->ahead])
			result = run_take(r, e);
		else if (r->begun < r->o->count && r->begun - r->taken < r->o->ahead)
			result = run_work(r, own, e);
		else {
			pthread_cond_wait(&r->changed, &r->lock);
			continue;
		}
		pthread_cond_broadcast(&r->changed);
		if (result < 0)
			return -1;
	}
	return 0;
}

static void *
thread_main(void *arg)
{
	struct run *r = arg;
	struct err e = ERR_INIT;
	void *own = NULL;
	int result = r->o->begin ? r->o->begin(r->o->arg, &own, &e) : 0;

	pthread_mutex_lock(&r->lock);
	if (result == 0)
		result = run_steps(r, own, &e);
	if (result < 0 && !r->failed) {
		r->failed = true;
		r->err = e;
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	if (r->o->end && own)
		r->o->end(own);
	return NULL;
}

int
in_order_run(const struct in_order *o, struct err *e)
{
	AUTO_FREE bool *worked = calloc(o->ahead, sizeof(*worked));
	struct run r = {.o = o,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.worked = worked};
	pthread_t threads[PIPELINE_THREADS_MAX];
	size_t started = 0;

	if (o->threads < 1 || o->threads > PIPELINE_THREADS_MAX)
		return err_set(e, ERR_USAGE, "%u threads are not between 1 and %d", o->threads,
			PIPELINE_THREADS_MAX);
	if (!worked)
		return err_sys(e, ENOMEM, "working with %u threads", o->threads);
	/* The machine may not have threads to give; those that it gave do the work then. */
	while (started + 1 < o->threads && started + 1 < o->count &&
		pthread_create(&threads[started], NULL, thread_main, &r) == 0)
		started++;
	(void)thread_main(&r);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	if (r.failed && e)
		*e = r.err;
	return r.failed ? -1 : 0;
}
