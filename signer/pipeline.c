#include "signer/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/format/codec.h"

enum { PIECES_PER_THREAD = 8 };

enum step { STEP_WAIT, STEP_READ, STEP_ENCODE, STEP_WRITE, STEP_END };

/* Pieces are numbered as they are read; piece n is in ring[n % pieces]. encoded[] says of those
 * between written and taken whether they are done. */
struct run {
	const struct pipeline *p;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct piece *ring;
	bool *encoded;
	size_t pieces;
	uint64_t read, taken, written; /* how many so far; written <= taken <= read */
	bool reading, writing, ended, failed;
	struct err err; /* the first failure */
};

/* What this thread does next. Writing goes first, since it makes room; then reading while there is
 * not enough to do for all; the lock is held. */
static enum step
next_step(const struct run *r)
{
	bool room = !r->ended && !r->reading && r->read - r->written < r->pieces;

	if (r->failed || (r->ended && r->written == r->read))
		return STEP_END;
	if (!r->writing && r->written < r->taken && r->encoded[r->written % r->pieces])
		return STEP_WRITE;
	if (room && r->read - r->taken < r->p->threads)
		return STEP_READ;
	if (r->taken < r->read)
		return STEP_ENCODE;
	return room ? STEP_READ : STEP_WAIT;
}

static int
do_read(struct run *r, struct err *e)
{
	struct piece *p = &r->ring[r->read % r->pieces];
	bool more = true;
	int result;

	r->reading = true;
	pthread_mutex_unlock(&r->lock);
	result = r->p->read(r->p->arg, p, &more, e);
	pthread_mutex_lock(&r->lock);
	r->reading = false;
	if (result == 0 && more)
		r->read++;
	else
		r->ended = true;
	return result;
}

static int
piece_encode(const struct pipeline *p, struct deflater *d, struct piece *piece, struct err *e)
{
	struct span plain = span_of(piece->plain, piece->len);
	struct cuts cuts;

	if (chunk_encode_cut(d, plain, piece->stored, &piece->chunk, &piece->stored_data,
		    p->blocks ? &cuts : NULL, e) < 0)
		return -1;
	piece->hints_len = p->blocks ? hints_of(plain, piece->hints) : 0;
	if (p->blocks)
		cuts_put(piece->chunk.store == CHUNK_ZERO_RUN ? NULL : &cuts, piece->cuts);
	return 0;
}

static int
do_encode(struct run *r, struct deflater *d, struct err *e)
{
	size_t slot = r->taken++ % r->pieces;
	int result;

	r->encoded[slot] = false;
	pthread_mutex_unlock(&r->lock);
	result = piece_encode(r->p, d, &r->ring[slot], e);
	pthread_mutex_lock(&r->lock);
	r->encoded[slot] = true;
	return result;
}

static int
do_write(struct run *r, struct err *e)
{
	const struct piece *p = &r->ring[r->written % r->pieces];
	int result;

	r->writing = true;
	pthread_mutex_unlock(&r->lock);
	result = r->p->write(r->p->arg, p, e);
	pthread_mutex_lock(&r->lock);
	r->writing = false;
	r->written++;
	return result;
}

/* With the lock held, and held again at the end. */
static int
steps_run(struct run *r, struct deflater *d, struct err *e)
{
	for (;;) {
		enum step step = next_step(r);
		int result = 0;

		if (step == STEP_END)
			return 0;
		if (step == STEP_WAIT) {
			pthread_cond_wait(&r->changed, &r->lock);
			continue;
		}
		if (step == STEP_READ)
			result = do_read(r, e);
		else if (step == STEP_ENCODE)
			result = do_encode(r, d, e);
		else
			result = do_write(r, e);
		pthread_cond_broadcast(&r->changed);
		if (result < 0)
			return -1;
	}
}

static void *
thread_main(void *arg)
{
	struct run *r = arg;
	struct deflater *d = NULL;
	struct err e = ERR_INIT;
	int result = deflater_new(r->p->level, &d, &e);

	pthread_mutex_lock(&r->lock);
	if (result == 0)
		result = steps_run(r, d, &e);
	if (result < 0 && !r->failed) {
		r->failed = true;
		r->err = e;
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	deflater_free(&d);
	return NULL;
}

static int
run_allocate(struct run *r, struct err *e)
{
	r->pieces = (size_t)r->p->threads * PIECES_PER_THREAD;
	r->ring = calloc(r->pieces, sizeof(*r->ring));
	r->encoded = calloc(r->pieces, sizeof(*r->encoded));
	if (!r->ring || !r->encoded)
		return err_sys(e, ENOMEM, "packing with %u threads", r->p->threads);
	return 0;
}

static void
run_free(struct run *r)
{
	free(r->ring);
	free(r->encoded);
}

/* The machine may not have threads to give; those that it gave do the work then. */
static size_t
threads_start(struct run *r, pthread_t *threads, size_t wanted)
{
	size_t started = 0;

	while (started < wanted && pthread_create(&threads[started], NULL, thread_main, r) == 0)
		started++;
	return started;
}

int
pipeline_run(const struct pipeline *p, struct err *e)
{
	CLEANUP(run_free)
	struct run r = {
		.p = p, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	pthread_t threads[PIPELINE_THREADS_MAX];
	size_t started;

	if (p->threads < 1 || p->threads > PIPELINE_THREADS_MAX)
		return err_set(e, ERR_USAGE, "%u threads are not between 1 and %d", p->threads,
			PIPELINE_THREADS_MAX);
	if (run_allocate(&r, e) < 0)
		return -1;
	started = threads_start(&r, threads, p->threads - 1);
	(void)thread_main(&r);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	if (r.failed && e)
		*e = r.err;
	return r.failed ? -1 : 0;
}
