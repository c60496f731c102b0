#include "agent/reuse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/hint_table.h"
#include "agent/member_fetch.h"
#include "agent/reuse_parts.h"
#include "agent/survey.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/format/hints.h"

/* The sample, and what it has to come to: reuse.h has the figures. */
enum { SAMPLE_CHUNKS = 256, SAMPLE_RUN = 16, SAMPLE_EVERY = 16, SAMPLE_HITS = 256 };
enum { WORTH_PERCENT = 1, SLOT_PER_BYTE = 2048 };

void
reuse_free(struct reuse **r)
{
	if (!*r)
		return;
	wants_free(&(*r)->seen);
	wants_free(&(*r)->built);
	wants_free(&(*r)->partly);
	wants_free(&(*r)->steady);
	wants_free(&(*r)->from_inactive);
	for (size_t i = 0; i < ARRAY_LEN((*r)->old_fd); i++)
		cleanup_fd(&(*r)->old_fd[i]);
	cleanup_fd(&(*r)->hints_fd);
	cleanup_fd(&(*r)->cuts_fd);
	cleanup_fd(&(*r)->build_fd);
	free(*r);
	*r = NULL;
}

int
reuse_spool(const struct reuse *r, uint64_t bytes, int *out, struct err *e)
{
	AUTO_CLOSE int fd = open(r->j.state_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return err_sys(e, errno, "making a file in %s", r->j.state_dir);
	*out = take_fd(&fd);
	return 0;
}

static int
reuse_new(const struct reuse_job *j, struct reuse **out, struct err *e)
{
	AUTO_REUSE struct reuse *r = calloc(1, sizeof(*r));
	uint64_t entries = index_entries(j->g->index);

	if (!r)
		return err_sys(e, ENOMEM, "looking for old chunks");
	*r = (struct reuse){
		.j = *j, .hints_fd = -1, .cuts_fd = -1, .old_fd = {-1, -1}, .build_fd = -1};
	r->pieces = num_div_up(j->image_bytes, CHUNK_BYTES);
	if (wants_new(entries, &r->seen, e) < 0 || wants_new(entries, &r->built, e) < 0 ||
		wants_new(entries, &r->partly, e) < 0 ||
		wants_new(entries, &r->from_inactive, e) < 0 ||
		wants_new(r->pieces, &r->steady, e) < 0)
		return -1;
	*out = TAKE_PTR(r);
	return 0;
}

bool
reuse_is_missing(const struct reuse *r, const struct chunk *c, uint64_t entry)
{
	return c->store != CHUNK_ZERO_RUN && wants_has(r->j.wrong, entry) &&
	       !wants_has(r->seen, entry);
}

/* How much there is to find, and what of the inactive slot stays as it is. */
static int
tally(struct reuse *r, struct err *e)
{
	struct index_reader *index = r->j.g->index;
	uint64_t chunks = 0;

	if (index_rewind(index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			break;
		chunks += c.store != CHUNK_ZERO_RUN;
		r->missing += reuse_is_missing(r, &c, entry);
		if (wants_has(r->j.wrong, entry))
			continue;
		for (uint64_t at = c.offset; at < c.offset + c.size; at += CHUNK_BYTES)
			wants_add(r->steady, at / CHUNK_BYTES);
	}
	/* As what each is stored nobody knows yet. */
	r->missing_bytes = r->missing * stored_average(r->j.g->stored, chunks);
	return 0;
}

/* Whether the chunk that is missing as this number of all is one of the sample. */
static bool
is_sampled(const struct reuse *r, uint64_t number)
{
	uint64_t every = num_max(r->missing * SAMPLE_RUN / SAMPLE_CHUNKS, SAMPLE_RUN);

	return number % every < SAMPLE_RUN;
}

/* Brings the hints of those missing chunks that are, or are not, in the sample. */
static int
hints_bring(struct reuse *r, bool sampled, struct err *e)
{
	struct member_fetch f = {.source = r->j.g->source,
		.offset = r->j.hints_offset,
		.fd = r->hints_fd,
		.keep_going = r->j.g->keep_going};
	struct index_reader *index = r->j.g->index;
	uint64_t number = 0;
	int rc = index_rewind(index, e);

	for (uint64_t entry = 0; rc == 0; entry++) {
		struct chunk c;
		bool more;

		rc = index_next(index, &c, &more, e);
		if (rc < 0 || !more)
			break;
		if (c.store == CHUNK_ZERO_RUN || !wants_has(r->j.wrong, entry) ||
			is_sampled(r, number++) != sampled || wants_has(r->seen, entry))
			continue;
		rc = member_fetch_add(
			&f, c.offset / HINT_BLOCK_BYTES * HINT_BYTES, hints_size(c.size), e);
	}
	if (rc == 0)
		rc = member_fetch_end(&f, e);
	r->j.g->stats->bytes_fetched += f.fetched;
	return rc;
}

int
reuse_hints(const struct reuse *r, const struct chunk *c, uint64_t hints[CHUNK_BLOCKS],
	size_t *count, struct err *e)
{
	uint8_t bytes[HINTS_CHUNK_BYTES];
	size_t size = (size_t)hints_size(c->size);

	if (file_pread_full(r->hints_fd, "the hints", bytes, size,
		    c->offset / HINT_BLOCK_BYTES * HINT_BYTES, e) < 0)
		return err_own(e);
	*count = size / HINT_BYTES;
	for (size_t i = 0; i < *count; i++)
		hints[i] = num_get_le64(bytes + i * HINT_BYTES);
	return 0;
}

/* Puts the sample's hints into the table. */
static int
sample_fill(struct reuse *r, struct hint_table *t, struct err *e)
{
	struct index_reader *index = r->j.g->index;
	uint64_t number = 0, hints[CHUNK_BLOCKS];
	size_t count;

	if (index_rewind(index, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		struct chunk c;
		bool more;

		if (index_next(index, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (!reuse_is_missing(r, &c, entry) || !is_sampled(r, number++))
			continue;
		if (reuse_hints(r, &c, hints, &count, e) < 0)
			return -1;
		for (size_t i = 0; i < count; i++) {
			if (hints[i] != HINT_OF_ZEROS)
				(void)hint_table_add(t, hints[i]);
		}
	}
}

/* An old place: a look at the sample's share of it, and then at all of it, or not. */
static int
old_look(struct reuse *r, enum reuse_old old, struct hint_table *sample, struct err *e)
{
	bool running = old == REUSE_OLD_RUNNING;
	uint64_t sampled =
		sample ? sample->used : num_min(r->missing, SAMPLE_CHUNKS) * CHUNK_BLOCKS;
	struct survey s = {.place = running ? r->j.running : r->j.g->place,
		.bytes = running ? r->j.running_bytes : r->j.image_bytes,
		.index = r->j.g->index,
		.wanted = running ? r->j.wrong : NULL,
		.seen = r->seen,
		.sample = sample,
		.fd = -1,
		.every = num_max(num_min(sampled / SAMPLE_HITS, SAMPLE_EVERY), 1),
		.keep_going = r->j.g->keep_going};

	if (s.every > 1) {
		if (survey_run(&s, e) < 0)
			return -1;
		if (s.hits * s.every * 100 < sampled * WORTH_PERCENT || s.hits == 0)
			return 0;
		s.every = 1;
	}
	if (sample && reuse_spool(r, num_div_up(s.bytes, HINT_BLOCK_BYTES) * HINT_BYTES,
			      &r->old_fd[old], e) < 0)
		return -1;
	s.fd = r->old_fd[old];
	return survey_run(&s, e);
}

/* What was compared is needed no more, and the state folder may need the room: for cuts, and for
 * pages without which nothing can be fetched. */
static void
hints_forget(struct reuse *r)
{
	for (size_t i = 0; i < ARRAY_LEN(r->old_fd); i++) {
		cleanup_fd(&r->old_fd[i]);
		r->old_fd[i] = -1;
	}
	cleanup_fd(&r->hints_fd);
	r->hints_fd = -1;
}

static int
look_with_hints(struct reuse *r, struct err *e)
{
	AUTO_HINT_TABLE struct hint_table sample = {0};

	if (reuse_spool(r, hints_size(r->j.image_bytes), &r->hints_fd, e) < 0 ||
		hint_table_init(&sample, SAMPLE_CHUNKS * CHUNK_BLOCKS, e) < 0 ||
		hints_bring(r, true, e) < 0 || sample_fill(r, &sample, e) < 0)
		return -1;
	if (r->j.running && old_look(r, REUSE_OLD_RUNNING, &sample, e) < 0)
		return -1;
	if (sample.used > 0 && old_look(r, REUSE_OLD_INACTIVE, &sample, e) < 0)
		return -1;
	hint_table_free(&sample);
	if (r->old_fd[REUSE_OLD_RUNNING] < 0 && r->old_fd[REUSE_OLD_INACTIVE] < 0) {
		hints_forget(r);
		return 0;
	}
	if (hints_bring(r, false, e) < 0 || reuse_match(r, e) < 0)
		return -1;
	hints_forget(r);
	return reuse_cuts_bring(r, e);
}

static int
look(struct reuse *r, struct err *e)
{
	if (tally(r, e) < 0)
		return -1;
	if (r->missing == 0 || r->missing_bytes < r->j.image_bytes / SLOT_PER_BYTE)
		return 0;
	if (r->j.hints) {
		(void)source_only_ranges(r->j.g->source, true);
		return look_with_hints(r, e);
	}
	return r->j.running ? old_look(r, REUSE_OLD_RUNNING, NULL, e) : 0;
}

static int
look_anew(const struct reuse_job *j, struct reuse **out, struct err *e)
{
	reuse_free(out);
	return reuse_new(j, out, e) < 0 ? -1 : look(*out, e);
}

/* Hints are here and there, and so are blocks: where all that stands before them comes along, it is
 * cheaper to go through the bundle once. */
int
reuse_look(const struct reuse_job *job, struct reuse **out, struct err *e)
{
	const struct source *source = job->g->source;
	AUTO_REUSE struct reuse *r = NULL;
	struct reuse_job without = *job;
	const struct reuse_job *j = job;
	int rc = look_anew(j, &r, e);

	without.hints = false;
	if (!source_only_ranges(source, false) && rc < 0 && e->class == ERR_NETWORK) {
		log_warning("blocks that have moved are not looked for: %s", e->text);
		j = &without;
		rc = look_anew(j, &r, e);
	}
	if (rc < 0) {
		if (e->class != ERR_SYSTEM)
			return -1;
		/* It is a way to fetch less, and none without which nothing can be had. */
		log_warning("what this box has already is not looked for: %s", e->text);
		reuse_free(&r);
		if (reuse_new(j, &r, e) < 0)
			return -1;
	}
	*out = TAKE_PTR(r);
	return 0;
}

enum reuse_from
reuse_of(const struct reuse *r, uint64_t entry)
{
	if (wants_has(r->seen, entry))
		return REUSE_RUNNING;
	if (!wants_has(r->built, entry))
		return REUSE_NOWHERE;
	return wants_has(r->from_inactive, entry) ? REUSE_INACTIVE : REUSE_RUNNING;
}

bool
reuse_is_partly(const struct reuse *r, uint64_t entry)
{
	return wants_has(r->partly, entry);
}
