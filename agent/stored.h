/* As what the chunks of a payload are stored, and where: the pages of PAYLOAD.stored that an
 * install needs (common/format/pages.h), and no others.
 *
 * They are brought once it is known which chunks have to be fetched, and so are those of chunks
 * that are found on this box all but some blocks: a box that has every chunk needs none. Each page
 * is compared with its seal, which the head has, before anything in it is believed. Where it is
 * another, somebody else is asked for it.
 *
 * Pages are kept in a file without a name in the state folder, which has holes where none was
 * brought: 52 bytes for each entry that came along. In memory there are one page, and two bits for
 * each. */
#ifndef SLUICE_AGENT_STORED_H
#define SLUICE_AGENT_STORED_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/source.h"
#include "agent/wants.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"
#include "common/format/index.h"
#include "common/format/manifest.h"

/* All borrowed, and kept as long as the struct stored is. */
struct stored_job {
	const struct payload *payload;
	const struct source *source;
	uint64_t offset; /* of PAYLOAD.stored in the source */
	int head_fd;	 /* the head, which was checked, */
	const char *head_name;
	uint64_t seals_offset; /* and PAYLOAD.seals in it */
	const char *state_dir; /* for a file without a name */
	const struct keep_going *keep_going;
	uint64_t *fetched; /* added to as bytes come */
};

/* Brings nothing yet. */
struct stored;
int stored_new(const struct stored_job *j, struct stored **out, struct err *e);
void stored_free(struct stored **s);
#define AUTO_STORED CLEANUP(stored_free)

/* Brings the pages of these entries, as far as they are not there. index is any reader of the
 * payload's, and is left wherever. Errors of the source, ERR_STOPPED; ERR_UNTRUSTED where nobody
 * has a page as it was sealed. What has come by then is kept. */
int stored_bring(
	struct stored *s, struct index_reader *index, const struct wants *entries, struct err *e);

/* Sets as what a chunk is stored, whose page was brought (ERR_SYSTEM: it was not). ERR_MALFORMED
 * where what is signed cannot be. */
int stored_find(struct stored *s, uint64_t entry, struct chunk *c, struct err *e);

/* Forgets what was brought, for the state folder needs the room. */
void stored_forget(struct stored *s);

/* Whether nobody has answered yet with all that stands before a range as well (source.h). */
bool stored_has_ranges(const struct stored *s);

/* How many stored bytes a chunk has on an average, where chunks are so many: the data's share. */
uint64_t stored_average(const struct stored *s, uint64_t chunks);

#endif
