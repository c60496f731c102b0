#include "agent/stored.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/head.h"
#include "agent/ranges.h"
#include "agent/shelf.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/pages.h"

struct stored {
	struct stored_job j;
	char name[PATH_MAX + 32]; /* of the file, for messages */
	struct pages pages;	  /* fd is -1 before the first is brought */
	struct wants *there;	  /* pages that were brought, and are as they were sealed */
	struct wants *wanted;	  /* those that are being brought */
	uint64_t pages_count;
};

void
stored_free(struct stored **s)
{
	if (!*s)
		return;
	cleanup_fd(&(*s)->pages.fd);
	wants_free(&(*s)->there);
	wants_free(&(*s)->wanted);
	free(*s);
	*s = NULL;
}

void
stored_forget(struct stored *s)
{
	cleanup_fd(&s->pages.fd);
	s->pages.fd = -1;
	s->pages.loaded = 0;
	for (uint64_t page = 0; page < s->pages_count; page++)
		wants_drop(s->there, page);
}

int
stored_new(const struct stored_job *j, struct stored **out, struct err *e)
{
	AUTO_STORED struct stored *s = calloc(1, sizeof(*s));

	if (!s)
		return err_sys(e, ENOMEM, "installing");
	s->j = *j;
	(void)snprintf(s->name, sizeof(s->name), "a copy of pages in %s", j->state_dir);
	s->pages = (struct pages){.payload = j->payload,
		.fd = -1,
		.name = s->name,
		.seals_fd = j->head_fd,
		.seals_name = j->head_name,
		.seals_offset = j->seals_offset};
	s->pages_count = pages_of(&s->pages);
	if (wants_new(s->pages_count, &s->there, e) < 0 ||
		wants_new(s->pages_count, &s->wanted, e) < 0)
		return -1;
	*out = TAKE_PTR(s);
	return 0;
}

/* Which pages these entries need that are not there. A run of zeros needs none. */
static int
pages_want(struct stored *s, struct index_reader *index, const struct wants *entries, struct err *e)
{
	for (uint64_t page = 0; page < s->pages_count; page++)
		wants_drop(s->wanted, page);
	if (wants_count(entries) == 0)
		return 0;
	if (index_rewind(index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		uint64_t page = entry / PAGE_ENTRIES;
		struct chunk c;
		bool more;

		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (c.store != CHUNK_ZERO_RUN && wants_has(entries, entry) &&
			!wants_has(s->there, page))
			wants_add(s->wanted, page);
	}
}

/* An update comes before what was kept for audits. */
static int
room_make(struct stored *s, struct err *e)
{
	uint64_t bytes = wants_count(s->wanted) * STORED_PAGE_BYTES;
	AUTO_CLOSE int fd = -1;

	shelf_make_room(s->j.state_dir, bytes);
	if (s->pages.fd >= 0)
		return 0;
	if (head_spool_open(s->j.state_dir, &fd, e) < 0)
		return -1;
	s->pages.fd = take_fd(&fd);
	return 0;
}

/* What is asked for, upwards. */
struct walk {
	struct stored *s;
	uint64_t next;
};

/* The first page from here on that is wanted. */
static bool
page_next(const struct stored *s, uint64_t from, uint64_t *page)
{
	for (*page = from; *page < s->pages_count; ++*page) {
		if (wants_has(s->wanted, *page))
			return true;
	}
	return false;
}

static struct range
page_range(const struct stored *s, uint64_t page)
{
	size_t len;
	uint64_t at = pages_at(&s->pages, page, &len);

	return (struct range){at, at + len};
}

static int
range_next(void *arg, struct range *out, bool *more, struct err *e)
{
	struct walk *w = arg;
	uint64_t page;

	(void)e;
	*more = page_next(w->s, w->next, &page);
	if (!*more)
		return 0;
	*out = page_range(w->s, page);
	w->next = page + 1;
	return 0;
}

/* What the source gave that is not what was sealed. */
struct spoilt {
	uint64_t bytes, first;
	struct err why;
};

/* One page that came: kept, or not as it was sealed. */
static int
page_take(struct stored *s, uint64_t page, struct span bytes, struct spoilt *spoilt, struct err *e)
{
	struct err why;

	if (pages_check(&s->pages, page, bytes, &why) < 0) {
		if (why.class != ERR_UNTRUSTED) {
			*e = why;
			return err_own(e);
		}
		if (spoilt->bytes == 0) {
			spoilt->first = page;
			spoilt->why = why;
		}
		spoilt->bytes += bytes.len;
		return 0;
	}
	if (file_pwrite_full(
		    s->pages.fd, s->name, bytes.data, bytes.len, page * STORED_PAGE_BYTES, e) < 0)
		return -1;
	wants_add(s->there, page);
	return 0;
}

/* Until the end, or until one comes that is not what was sealed. */
static int
pages_bring(struct stored *s, struct spoilt *spoilt, struct err *e)
{
	struct walk ahead = {.s = s};
	struct ranges r = {.source = s->j.source,
		.next = range_next,
		.arg = &ahead,
		.data_offset = s->j.offset,
		.fetched = s->j.fetched};
	uint8_t bytes[STORED_PAGE_BYTES];
	uint64_t page;

	for (uint64_t from = 0; spoilt->bytes == 0 && page_next(s, from, &page); from = page + 1) {
		struct range span = page_range(s, page);

		if (keep_going_ask(s->j.keep_going, e) < 0 || ranges_read(&r, span, bytes, e) < 0 ||
			page_take(s, page, span_of(bytes, (size_t)(span.end - span.at)), spoilt,
				e) < 0)
			return -1;
	}
	return 0;
}

/* Those that have come are wanted no more. */
static void
wanted_settle(struct stored *s)
{
	for (uint64_t page = 0; page < s->pages_count; page++) {
		if (wants_has(s->there, page))
			wants_drop(s->wanted, page);
	}
}

/* Whoever spoils a page is asked no more (engine_mend() has the same). */
static int
bring_rounds(struct stored *s, struct err *e)
{
	const struct source *source = s->j.source;
	uint64_t before = UINT64_MAX;
	unsigned tries = 0;

	for (;;) {
		struct spoilt spoilt = {0};
		int rc = pages_bring(s, &spoilt, e);

		source->close(source->arg);
		wanted_settle(s);
		if (spoilt.bytes == 0)
			return rc;
		tries = spoilt.first == before ? tries + 1 : 0;
		before = spoilt.first;
		*e = spoilt.why;
		if (!source->elsewhere ||
			source->elsewhere(source->arg, tries, spoilt.bytes, e) < 0)
			return -1;
	}
}

int
stored_bring(
	struct stored *s, struct index_reader *index, const struct wants *entries, struct err *e)
{
	if (pages_want(s, index, entries, e) < 0)
		return -1;
	if (wants_count(s->wanted) == 0)
		return 0;
	return room_make(s, e) < 0 ? -1 : bring_rounds(s, e);
}

int
stored_find(struct stored *s, uint64_t entry, struct chunk *c, struct err *e)
{
	if (!wants_has(s->there, entry / PAGE_ENTRIES))
		return err_set(e, ERR_SYSTEM, "%s.stored: entry %llu was not looked up",
			s->j.payload->name, (unsigned long long)entry);
	/* The page was as it was sealed when it came: if it is no more, this box's disk spoilt it.
	 */
	if (pages_find(&s->pages, entry, c, e) < 0)
		return e->class == ERR_UNTRUSTED ? err_own(e) : -1;
	return 0;
}

bool
stored_has_ranges(const struct stored *s)
{
	return source_only_ranges(s->j.source, false);
}

uint64_t
stored_average(const struct stored *s, uint64_t chunks)
{
	return chunks == 0 ? 0 : s->j.payload->members[MEMBER_DATA].size / chunks;
}
