#include "agent/delta_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/delta_pile.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/pages.h"

struct making {
	const struct delta_index_job *j;
	struct delta_walk *walk;
	struct delta_pile *pile;
	struct wants *wrong;
	struct pages seals;
	uint64_t entries, entry; /* of the index, and the one that comes next */
	uint8_t page[INDEX_PAGE_BYTES];
};

static void
making_free(struct making **m)
{
	if (*m) {
		delta_walk_close(&(*m)->walk);
		delta_pile_free(&(*m)->pile);
		wants_free(&(*m)->wrong);
	}
	free(*m);
	*m = NULL;
}

static int
making_new(const struct delta_index_job *j, struct making **out, struct err *e)
{
	CLEANUP(making_free) struct making *m = calloc(1, sizeof(*m));

	if (!m)
		return err_sys(e, ENOMEM, "making an index");
	m->j = j;
	m->entries = index_entries_in(j->payload->members[MEMBER_INDEX].size);
	m->seals = (struct pages){.payload = j->payload,
		.seals_fd = j->fd,
		.seals_name = j->name,
		.seals_offset = j->seals_at};
	if (delta_walk_open(
		    j->delta_fd, j->delta_name, j->delta, j->part, j->payload, &m->walk, e) < 0 ||
		delta_pile_new(j->running, &m->pile, e) < 0 ||
		wants_new(pages_count(m->entries), &m->wrong, e) < 0)
		return -1;
	*out = TAKE_PTR(m);
	return 0;
}

static void
entry_put(struct making *m, uint64_t entry, enum delta_kind kind, uint64_t size,
	const struct digest *plain)
{
	struct chunk c = {.store = kind == DELTA_ZEROS ? CHUNK_ZERO_RUN : CHUNK_UNKNOWN,
		.plain = *plain,
		.size = size};

	index_put_entry(m->page + entry % PAGE_ENTRIES * INDEX_ENTRY_BYTES, &c);
}

/* What is lost gets a digest that no chunk has, which its page shows. */
static void
pile_take(struct making *m)
{
	static const struct digest none;

	delta_pile_settle(m->pile);
	for (size_t i = 0; i < m->pile->count; i++) {
		const struct delta_item *item = &m->pile->item[i];

		entry_put(
			m, item->entry, DELTA_COPY, item->size, item->lost ? &none : &item->digest);
	}
	delta_pile_clear(m->pile);
}

/* A chunk that lies in one piece may be one of the old index. */
static int
copy_take(struct making *m, const struct delta_entry *from, struct err *e)
{
	const struct delta_run *run = &from->run[0];
	struct digest plain = {{0}};
	bool found = false;

	if (m->j->old && from->runs == 1 && !run->zeros &&
		delta_old_find(m->j->old, run->old_at, from->size, &plain, &found, e) < 0)
		return -1;
	if (found) {
		entry_put(m, m->entry, DELTA_COPY, from->size, &plain);
		return 0;
	}
	if (!delta_pile_add(m->pile, m->entry, from)) {
		pile_take(m);
		(void)delta_pile_add(m->pile, m->entry, from);
	}
	return 0;
}

/* Before it is given up nothing was lost: the bundle has the whole index. */
static int
wrong_check(const struct making *m, struct err *e)
{
	uint64_t wrong = wants_count(m->wrong), pages = pages_count(m->entries);

	if (wrong <= num_max(DELTA_PAGES_WRONG, pages / DELTA_PAGES_PER_WRONG))
		return 0;
	return err_set(e, ERR_UNTRUSTED,
		"%s: what runs is not what it was made from: %llu of %llu pages of %s.index came "
		"out wrong",
		m->j->delta_name, (unsigned long long)wrong, (unsigned long long)pages,
		m->j->payload->name);
}

static int
page_put(struct making *m, struct err *e)
{
	uint64_t page = (m->entry - 1) / PAGE_ENTRIES;
	size_t len = pages_entries(m->entries, page) * INDEX_ENTRY_BYTES;
	struct err why;

	pile_take(m);
	if (pages_check_index(&m->seals, page, span_of(m->page, len), &why) < 0) {
		if (why.class != ERR_UNTRUSTED) {
			*e = why;
			return err_own(e);
		}
		wants_add(m->wrong, page);
		if (wrong_check(m, e) < 0)
			return -1;
	}
	return file_pwrite_full(m->j->fd, m->j->name, m->page, len,
		m->j->index_at + INDEX_HEADER_BYTES + page * INDEX_PAGE_BYTES, e);
}

static int
entry_make(struct making *m, const struct delta_entry *from, struct err *e)
{
	if (keep_going_ask(m->j->keep_going, e) < 0)
		return -1;
	if (m->entry == m->entries)
		return err_set(e, ERR_MALFORMED, "%s has more chunks than %s.index",
			m->j->delta_name, m->j->payload->name);
	if (from->kind == DELTA_COPY) {
		if (copy_take(m, from, e) < 0)
			return -1;
	} else {
		entry_put(m, m->entry, from->kind, from->size, &from->plain);
	}
	m->entry++;
	return m->entry % PAGE_ENTRIES == 0 || m->entry == m->entries ? page_put(m, e) : 0;
}

static int
entries_make(struct making *m, struct err *e)
{
	for (;;) {
		struct delta_entry from;
		bool more;

		if (delta_walk_next(m->walk, &from, &more, e) < 0)
			return -1;
		if (!more)
			break;
		if (entry_make(m, &from, e) < 0)
			return -1;
	}
	return m->entry == m->entries
		       ? 0
		       : err_set(e, ERR_MALFORMED, "%s has fewer chunks than %s.index",
				 m->j->delta_name, m->j->payload->name);
}

int
delta_index_make(const struct delta_index_job *j, struct wants **wrong, struct err *e)
{
	CLEANUP(making_free) struct making *m = NULL;
	uint8_t header[INDEX_HEADER_BYTES];

	if (making_new(j, &m, e) < 0)
		return -1;
	index_put_header(header, j->payload->size, m->entries);
	if (file_pwrite_full(j->fd, j->name, header, sizeof(header), j->index_at, e) < 0 ||
		entries_make(m, e) < 0)
		return -1;
	*wrong = TAKE_PTR(m->wrong);
	return 0;
}
