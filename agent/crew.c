#include "agent/crew.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"

/* More threads than cores, for some of them wait for the disk; and few, for each has a batch. A
 * disk that does not bring a batch to its end within STUCK_MS hangs. */
enum {
	THREADS_LEAST = 2,
	THREADS_MOST = 4,
	STACK_BYTES = 256 << 10,
	ASK_MS = 500,
	STUCK_MS = 60 * 1000
};

struct queue {
	struct batch *first, **end;
};

struct crew {
	struct crew_plan plan;
	pthread_mutex_t lock; /* of what stands between here and the owner's own */
	pthread_cond_t given_some, done_some;
	struct queue given, done;
	bool ending;
	/* The owner's own. */
	pthread_t threads[THREADS_MOST];
	size_t thread_count, under_way;
	int64_t moved_ms; /* when a batch was last done, or given to a crew that had none */
	struct queue idle;
	struct batch *filling;
	struct batch *batches[THREADS_MOST + 1];
};

static void
queue_put(struct queue *q, struct batch *b)
{
	b->next = NULL;
	*q->end = b;
	q->end = &b->next;
}

static struct batch *
queue_take(struct queue *q)
{
	struct batch *b = q->first;

	if (!b)
		return NULL;
	q->first = b->next;
	if (!q->first)
		q->end = &q->first;
	return b;
}

static void *
thread_main(void *arg)
{
	struct crew *c = arg;

	(void)pthread_mutex_lock(&c->lock);
	for (;;) {
		struct batch *b = queue_take(&c->given);

		if (!b && c->ending)
			break;
		if (!b) {
			(void)pthread_cond_wait(&c->given_some, &c->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&c->lock);
		c->plan.work(b);
		(void)pthread_mutex_lock(&c->lock);
		queue_put(&c->done, b);
		(void)pthread_cond_signal(&c->done_some);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

void
crew_end(struct crew **c)
{
	if (!*c)
		return;
	(void)pthread_mutex_lock(&(*c)->lock);
	(*c)->ending = true;
	(void)pthread_cond_broadcast(&(*c)->given_some);
	(void)pthread_mutex_unlock(&(*c)->lock);
	for (size_t i = 0; i < (*c)->thread_count; i++)
		(void)pthread_join((*c)->threads[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN((*c)->batches); i++)
		batch_free(&(*c)->batches[i]);
	(void)pthread_cond_destroy(&(*c)->given_some);
	(void)pthread_cond_destroy(&(*c)->done_some);
	(void)pthread_mutex_destroy(&(*c)->lock);
	free(*c);
	*c = NULL;
}

static size_t
threads_for(const struct place *place)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!place->shared)
		return 1;
	return cores < THREADS_LEAST ? THREADS_LEAST
				     : (size_t)num_min((uint64_t)cores + 1, THREADS_MOST);
}

int
crew_thread(pthread_t *out, void *(*work)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(out, &attr, work, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return rc;
}

/* It makes do with fewer, or with none (crew_give()): a limit on tasks is not to cost a box its
 * updates. */
static void
threads_start(struct crew *c, size_t threads)
{
	while (c->thread_count < threads &&
		crew_thread(&c->threads[c->thread_count], thread_main, c) == 0)
		c->thread_count++;
}

static void
locks_init(struct crew *c)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&c->given_some, &attr);
	(void)pthread_cond_init(&c->done_some, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_init(&c->lock, NULL);
}

int
crew_start(const struct crew_plan *p, struct crew **out, struct err *e)
{
	size_t threads = threads_for(p->place);
	AUTO_CREW struct crew *c = calloc(1, sizeof(*c));

	if (!c)
		return err_sys(e, ENOMEM, "installing");
	c->plan = *p;
	c->given.end = &c->given.first;
	c->done.end = &c->done.first;
	c->idle.end = &c->idle.first;
	locks_init(c);
	for (size_t i = 0; i < threads + 1; i++) {
		if (batch_new(p->place, &c->batches[i], e) < 0)
			return -1;
		queue_put(&c->idle, c->batches[i]);
	}
	threads_start(c, threads);
	*out = TAKE_PTR(c);
	return 0;
}

/* One that is done; NULL where none is, within so many milliseconds. */
static struct batch *
done_take(struct crew *c, int wait_ms)
{
	struct timespec until;
	struct batch *b;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += wait_ms * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_mutex_lock(&c->lock);
	while (!(b = queue_take(&c->done)) && wait_ms > 0) {
		if (pthread_cond_timedwait(&c->done_some, &c->lock, &until) != 0)
			wait_ms = 0;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return b;
}

/* Settles b, and what else is done. */
static int
settle(struct crew *c, struct batch *b, struct err *e)
{
	for (; b; b = done_take(c, 0)) {
		int rc = c->plan.settle(c->plan.arg, b, e);

		batch_clear(b);
		queue_put(&c->idle, b);
		c->under_way--;
		c->moved_ms = clock_boot_ms();
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Whoever is asked takes it that the agent gets ahead (watchdog.h), which is not so while all of
 * the crew hang in the disk. */
static int
ask(const struct crew *c, struct err *e)
{
	if (clock_boot_ms() - c->moved_ms > STUCK_MS)
		return 0;
	return keep_going_ask(c->plan.keep_going, e);
}

int
crew_batch(struct crew *c, struct batch **out, struct err *e)
{
	if (!c->filling) {
		struct batch *b = done_take(c, 0);

		while (!b && !c->idle.first) {
			if (ask(c, e) < 0)
				return -1;
			b = done_take(c, ASK_MS);
		}
		if (settle(c, b, e) < 0)
			return -1;
		c->filling = queue_take(&c->idle);
	}
	*out = c->filling;
	return 0;
}

void
crew_give(struct crew *c)
{
	struct batch *b = c->filling;

	if (!b || b->count == 0)
		return;
	c->filling = NULL;
	if (c->under_way++ == 0)
		c->moved_ms = clock_boot_ms();
	if (c->thread_count == 0)
		c->plan.work(b);
	(void)pthread_mutex_lock(&c->lock);
	queue_put(c->thread_count == 0 ? &c->done : &c->given, b);
	(void)pthread_cond_signal(&c->given_some);
	(void)pthread_mutex_unlock(&c->lock);
}

int
crew_finish(struct crew *c, struct err *e)
{
	struct err *why = e, later = ERR_INIT;
	int rc = 0;

	crew_give(c);
	while (c->under_way > 0) {
		struct batch *b = done_take(c, ASK_MS);

		/* A stop may be told once only, so it is not left to the next pass. */
		if ((!b && ask(c, why) < 0) || settle(c, b, why) < 0) {
			rc = -1;
			why = &later;
		}
	}
	return rc;
}
