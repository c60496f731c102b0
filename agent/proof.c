#include "agent/proof.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "agent/engine_parts.h"

struct proof {
	struct pass pass; /* the first, for what it settles comes with its address */
	struct proof_plan plan;
	struct place place;
	struct keep_going keep_going;
	struct engine engine;
	uint64_t bad_entry; /* the last that was not as it should be */
	struct err err;	    /* of a sync */
	pthread_t thread;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t further;
	uint64_t written; /* up to this entry */
	bool ending;
};

static int
go_on(void *arg, struct err *e)
{
	struct proof *p = arg;
	bool ending;

	(void)pthread_mutex_lock(&p->lock);
	ending = p->ending;
	(void)pthread_mutex_unlock(&p->lock);
	return ending ? err_set(e, ERR_STOPPED, "the rest is read back at the end") : 0;
}

/* Batches come in order, for there is one thread for them; so all of a run's pieces came before its
 * last. */
static int
proved(void *arg, const struct batch *b, struct err *e)
{
	struct proof *p = arg;

	(void)e;
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_item *item = &b->item[i];

		if (!item->good || b->err.class != ERR_NONE)
			p->bad_entry = item->entry;
		else if (item->last && item->entry != p->bad_entry)
			wants_drop(p->plan.left, item->entry);
	}
	return 0;
}

/* The entry up to which to read; `read` where it is to end. */
static uint64_t
stretch_wait(struct proof *p, uint64_t read)
{
	uint64_t to;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->ending && p->written < read + p->plan.stretch)
		(void)pthread_cond_wait(&p->further, &p->lock);
	to = p->ending ? read : p->written;
	(void)pthread_mutex_unlock(&p->lock);
	return to;
}

static void *
proof_main(void *arg)
{
	struct proof *p = arg;
	uint64_t read = 0, to;
	struct err why;

	while ((to = stretch_wait(p, read)) > read) {
		if (p->plan.sync(p->plan.arg, &p->err) < 0 ||
			pass_finish(&p->pass,
				pass_read(&p->pass, p->plan.left, NULL, &read, to, &why), &why) < 0)
			break;
	}
	return NULL;
}

int
proof_start(const struct proof_plan *plan, struct proof **out, struct err *e)
{
	struct proof *p = calloc(1, sizeof(*p));

	if (!p)
		return err_sys(e, ENOMEM, "installing");
	p->plan = *plan;
	p->place = *plan->place;
	p->place.shared = false;
	p->keep_going = (struct keep_going){go_on, p};
	p->engine = (struct engine){
		.place = &p->place, .index = plan->index, .keep_going = &p->keep_going};
	p->pass.g = &p->engine;
	p->bad_entry = UINT64_MAX;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->further, NULL);
	if (index_rewind(plan->index, e) < 0 ||
		pass_start(&p->pass, batch_compare, proved, e) < 0) {
		free(p);
		return -1;
	}
	if (crew_thread(&p->thread, proof_main, p) != 0) {
		pass_free(&p->pass);
		free(p);
		p = NULL;
	}
	*out = p;
	return 0;
}

void
proof_reach(struct proof *p, uint64_t entry)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->written = entry;
	(void)pthread_cond_signal(&p->further);
	(void)pthread_mutex_unlock(&p->lock);
}

int
proof_end(struct proof **out, struct err *e)
{
	struct proof *p = *out;
	int rc = 0;

	if (!p)
		return 0;
	(void)pthread_mutex_lock(&p->lock);
	p->ending = true;
	(void)pthread_cond_signal(&p->further);
	(void)pthread_mutex_unlock(&p->lock);
	(void)pthread_join(p->thread, NULL);
	pass_free(&p->pass);
	if (p->err.class != ERR_NONE) {
		*e = p->err;
		rc = -1;
	}
	(void)pthread_cond_destroy(&p->further);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
	*out = NULL;
	return rc;
}
