#include "signer/delta_make.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "signer/delta_unit.h"
#include "signer/in_order.h"
#include "signer/ui.h"

enum { SLICE_ENTRIES = 256 };

/* What the threads have in common. */
struct making {
	struct delta_between between;
	unsigned threads;
	size_t ahead;
	bool *plain;	/* of each entry */
	size_t *begins; /* each unit's first entry, and the end of the last */
	size_t units;
	struct delta_unit *done; /* by number % ahead */
	/* These belong to who takes a unit. */
	struct delta_writer *writer;
	int fd;
	struct delta_sum *sum;
	struct progress progress;
};

static void
making_free(struct making *m)
{
	for (size_t i = 0; m->done && i < m->ahead; i++)
		delta_unit_free(&m->done[i]);
	free(m->done);
	free(m->plain);
	free(m->begins);
}

/* What was looked at is let go of, so that of the new bytes only some are in memory at once. */
static void
let_go(const struct delta_side *s, size_t first, size_t end)
{
	const struct delta_chunk *last = &s->chunks[end - 1];

	delta_side_let_go(s, s->chunks[first].offset, last->offset + last->size);
}

static int
slice_look(void *arg, void *own, uint64_t number, struct err *e)
{
	struct making *m = arg;
	const struct delta_side *to = m->between.to;
	size_t first = (size_t)number * SLICE_ENTRIES,
	       end = (size_t)num_min(first + SLICE_ENTRIES, to->count);

	(void)own;
	(void)e;
	for (size_t i = first; i < end; i++)
		m->plain[i] = delta_unit_is_plain(&m->between, &to->chunks[i]);
	let_go(to, first, end);
	return 0;
}

/* Units end where the entries say, not the threads. */
static void
units_cut(struct making *m)
{
	size_t count = m->between.to->count, patched = 0;

	for (size_t i = 0; i < count; i++) {
		bool full =
			m->units > 0 && (patched + !m->plain[i] > DELTA_UNIT_PATCHED ||
						i - m->begins[m->units - 1] == DELTA_UNIT_ENTRIES);

		if (i == 0 || full) {
			m->begins[m->units++] = i;
			patched = 0;
		}
		patched += !m->plain[i];
	}
	m->begins[m->units] = count;
}

static int
worker_begin(void *arg, void **own, struct err *e)
{
	struct delta_worker *w;

	(void)arg;
	if (delta_worker_new(&w, e) < 0)
		return -1;
	*own = w;
	return 0;
}

static void
worker_end(void *own)
{
	delta_worker_free(own);
}

static int
unit_tell(void *arg, void *own, uint64_t number, struct err *e)
{
	struct making *m = arg;
	size_t first = m->begins[number], end = m->begins[number + 1];

	if (delta_unit_tell(own, &m->between, first, end - first, &m->done[number % m->ahead], e) <
		0)
		return -1;
	let_go(m->between.to, first, end);
	return 0;
}

static int
unit_take(void *arg, uint64_t number, struct err *e)
{
	struct making *m = arg;
	const struct delta_unit *u = &m->done[number % m->ahead];

	progress_set(&m->progress, m->between.to->chunks[u->first].offset);
	return delta_unit_put(u, &m->between, m->writer, m->fd, m->sum, e);
}

static int
making_run(struct making *m, struct err *e)
{
	const struct delta_side *to = m->between.to;
	struct in_order slices = {.threads = m->threads,
				.count = num_div_up(to->count, SLICE_ENTRIES),
				.ahead = m->ahead,
				.work = slice_look,
				.arg = m},
			units = {.threads = m->threads,
				.ahead = m->ahead,
				.begin = worker_begin,
				.end = worker_end,
				.work = unit_tell,
				.take = unit_take,
				.arg = m};

	m->plain = calloc(to->count + 1, sizeof(*m->plain));
	m->begins = calloc(to->count + 1, sizeof(*m->begins));
	m->done = calloc(m->ahead, sizeof(*m->done));
	if (!m->plain || !m->begins || !m->done)
		return err_sys(e, ENOMEM, "making a delta");
	if (in_order_run(&slices, e) < 0)
		return -1;
	units_cut(m);
	units.count = m->units;
	return in_order_run(&units, e);
}

/* What is known of old bytes. A tree's chunks lie where its files begin, and not at multiples of
 * anything. */
static int
old_learn(struct making *m, struct delta_side *from, struct delta_blocks **blocks,
	struct delta_seeds **seeds, struct err *e)
{
	struct span bytes = delta_side_bytes(from);
	bool tree = from->payload->kind == PAYLOAD_TREE;

	if (delta_blocks_new(tree ? span_of(bytes.data, 0) : bytes, m->threads, blocks, e) < 0 ||
		(tree && delta_side_sort(from, e) < 0))
		return -1;
	if (delta_seeds_new(bytes,
		    tree ? bytes.len : delta_blocks_count(*blocks) * DELTA_BLOCK_BYTES, m->threads,
		    seeds, e) < 0)
		return -1;
	m->between.old = (struct delta_old){bytes, *blocks, *seeds};
	return 0;
}

int
delta_make(struct delta_side *from, const struct delta_side *to, unsigned threads,
	struct delta_writer *w, int fd, struct delta_sum *sum, struct err *e)
{
	AUTO_DELTA_BLOCKS struct delta_blocks *blocks = NULL;
	AUTO_DELTA_SEEDS struct delta_seeds *seeds = NULL;
	CLEANUP(making_free)
	struct making m = {.between = {.from = from, .to = to},
		.threads = threads,
		.ahead = in_order_ahead(threads),
		.writer = w,
		.fd = fd,
		.sum = sum};
	int result;

	if (from && old_learn(&m, from, &blocks, &seeds, e) < 0)
		return -1;
	progress_start(&m.progress, to->payload->name, to->plain.size);
	result = making_run(&m, e);
	progress_end(&m.progress);
	return result;
}
