#include <string.h>

#include "agent/hint_table.h"
#include "agent/member_fetch.h"
#include "agent/reuse_parts.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* Less than so many stored bytes are not worth cuts and another range. */
enum { PLACE_BYTES = 8, PLACES_BYTES = CHUNK_BLOCKS * PLACE_BYTES, SAVED_BYTES_LEAST = 1024 };

int
reuse_places_put(
	const struct reuse *r, uint64_t entry, const uint64_t where[CHUNK_BLOCKS], struct err *e)
{
	uint8_t bytes[PLACES_BYTES];

	for (size_t i = 0; i < CHUNK_BLOCKS; i++)
		num_put_le64(bytes + i * PLACE_BYTES, where[i]);
	return file_pwrite_full(r->build_fd, "the list of found blocks", bytes, sizeof(bytes),
		entry * sizeof(bytes), e);
}

int
reuse_places(const struct reuse *r, uint64_t entry, uint64_t where[CHUNK_BLOCKS], struct err *e)
{
	uint8_t bytes[PLACES_BYTES];

	if (file_pread_full(r->build_fd, "the list of found blocks", bytes, sizeof(bytes),
		    entry * sizeof(bytes), e) < 0)
		return err_own(e);
	for (size_t i = 0; i < CHUNK_BLOCKS; i++)
		where[i] = num_get_le64(bytes + i * PLACE_BYTES);
	return 0;
}

/* The record that was brought, by its seal. It was looked at when it came (partly_walk()): if it is
 * another by now, this box's disk spoilt it. */
static int
cuts_read(const struct reuse *r, uint64_t entry, const struct chunk *c, struct cuts *out,
	struct err *e)
{
	uint8_t record[CUTS_BYTES];

	if (file_pread_full(
		    r->cuts_fd, "the cuts", record, sizeof(record), entry * sizeof(record), e) < 0)
		return err_own(e);
	return cuts_take(record, &c->cuts, c, out, e) < 0 ? err_own(e) : 0;
}

/* Blocks that lack side by side are one span. */
static void
lack_add(struct reuse_lack *l, const struct chunk *c, size_t block, uint64_t stored_at)
{
	struct range *last = l->spans > 0 ? &l->span[l->spans - 1] : NULL;

	if (!last || last->end != stored_at)
		l->span[l->spans++] = (struct range){stored_at, stored_at};
	l->span[l->spans - 1].end += l->cuts.cut[block].size;
	l->blocks |= 1U << block;
	l->plain += num_min(c->size - block * HINT_BLOCK_BYTES, HINT_BLOCK_BYTES);
}

int
reuse_lack(const struct reuse *r, uint64_t entry, struct chunk *c, struct reuse_lack *out,
	struct err *e)
{
	struct reuse_lack l = {0};
	uint64_t at;

	if (stored_find(r->j.g->stored, entry, c, e) < 0 ||
		reuse_places(r, entry, l.where, e) < 0 || cuts_read(r, entry, c, &l.cuts, e) < 0)
		return -1;
	at = c->stored_offset;
	for (size_t i = 0; i < l.cuts.count; i++) {
		if (l.where[i] == HINT_NOWHERE)
			lack_add(&l, c, i, at);
		at += l.cuts.cut[i].size;
	}
	*out = l;
	return 0;
}

/* Whether what is found of a chunk is stored as enough. */
static int
worth_look(const struct reuse *r, uint64_t entry, struct chunk *c, bool *worth, struct err *e)
{
	uint64_t where[CHUNK_BLOCKS] = {0};
	size_t blocks = 0, found = 0;

	if (stored_find(r->j.g->stored, entry, c, e) < 0 || reuse_places(r, entry, where, e) < 0)
		return -1;
	for (; blocks * HINT_BLOCK_BYTES < c->size && blocks < CHUNK_BLOCKS; blocks++)
		found += where[blocks] != HINT_NOWHERE;
	*worth = blocks > 0 && c->stored_size / blocks * found >= SAVED_BYTES_LEAST;
	return 0;
}

static void
partly_drop(struct reuse *r, uint64_t entry)
{
	wants_drop(r->partly, entry);
	wants_drop(r->built, entry);
}

/* Asks for the cuts of a chunk that lacks some blocks, or drops it. */
static int
cuts_ask(struct reuse *r, struct member_fetch *f, uint64_t entry, struct chunk *c, struct err *e)
{
	bool worth = false;

	if (worth_look(r, entry, c, &worth, e) < 0)
		return -1;
	if (worth)
		return member_fetch_add(f, entry * CUTS_BYTES, CUTS_BYTES, e);
	partly_drop(r, entry);
	return 0;
}

/* Visits the chunks that lack some blocks: asks for their cuts, or, with f NULL, looks whether what
 * came is what was sealed. */
static int
partly_walk(struct reuse *r, struct member_fetch *f, struct err *e)
{
	struct index_reader *index = r->j.g->index;
	struct reuse_lack lack;
	struct err why;

	if (index_rewind(index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (!wants_has(r->partly, entry))
			continue;
		if (f) {
			if (cuts_ask(r, f, entry, &c, e) < 0)
				return -1;
		} else if (reuse_lack(r, entry, &c, &lack, &why) < 0) {
			log_warning("a chunk is fetched whole: %s", why.text);
			partly_drop(r, entry);
		}
	}
}

/* For those of the wrong entries that are not found whole. */
static int
lacking_bring(const struct reuse *r, const struct wants *wrong, struct err *e)
{
	AUTO_WANTS struct wants *lacking = NULL;
	const struct engine *g = r->j.g;

	if (wants_copy(wrong, &lacking, e) < 0)
		return -1;
	for (uint64_t entry = 0; entry < index_entries(g->index); entry++) {
		if (reuse_of(r, entry) != REUSE_NOWHERE && !reuse_is_partly(r, entry))
			wants_drop(lacking, entry);
	}
	return stored_bring(g->stored, g->index, lacking, e);
}

/* Where a server sends all that stands before a range as well there is no going back: then what may
 * come to be wanted is brought along. */
int
reuse_stored(
	const struct engine *g, const struct wants *wrong, const struct reuse *found, struct err *e)
{
	return found && stored_has_ranges(g->stored) ? lacking_bring(found, wrong, e)
						     : stored_bring(g->stored, g->index, wrong, e);
}

int
reuse_cuts_bring(struct reuse *r, struct err *e)
{
	struct member_fetch f = {.source = r->j.g->source,
		.offset = r->j.cuts_offset,
		.keep_going = r->j.g->keep_going};
	int rc;

	if (wants_count(r->partly) == 0)
		return 0;
	if (lacking_bring(r, r->j.wrong, e) < 0 ||
		reuse_spool(r, index_entries(r->j.g->index) * CUTS_BYTES, &r->cuts_fd, e) < 0)
		return -1;
	f.fd = r->cuts_fd;
	rc = partly_walk(r, &f, e) < 0 || member_fetch_end(&f, e) < 0 ? -1 : 0;
	r->j.g->stats->bytes_fetched += f.fetched;
	return rc < 0 ? -1 : partly_walk(r, NULL, e);
}
