#include "agent/delta_head.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/delta_index.h"
#include "agent/ranges.h"
#include "agent/shelf.h"
#include "agent/slot.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/format/pages.h"

enum { COPY_BYTES = 16 * 1024 };

struct making {
	const struct delta_head_job *j;
	struct delta *d;
	struct manifest *manifest;
	struct bundle_layout layout;
	int fd; /* the head that is made */
	char name[64];
};

/* One payload of it, and what there is of the old one. */
struct payload_making {
	struct making *m;
	size_t number;
	const struct payload *p;
	const struct delta_part *part;
	size_t old_number;
	const struct payload *old; /* or NULL */
	struct delta_old *old_index;
	struct slot slot;
	struct place place;
	struct patch_old running;
};

static void
payload_making_end(struct payload_making *pm)
{
	delta_old_close(&pm->old_index);
	slot_close(&pm->slot);
}

/* As it was verified: by the digest of the delta's head. */
static int
manifest_read(struct making *m, struct span json, struct err *e)
{
	const struct listing *l = m->j->listing;
	struct digest of_json = digest_of(json), identity;
	AUTO_VERIFIED struct verified v = {0};
	uint64_t length;

	m->manifest = calloc(1, sizeof(*m->manifest));
	if (!m->manifest)
		return err_sys(e, ENOMEM, "reading %s", m->d->name);
	if (verified_by_digest(json, m->d->name, json.len, &of_json, &v, e) < 0 ||
		listing_identity(v.body, &length, &identity, e) < 0 ||
		manifest_parse(&v, m->manifest, e) < 0 ||
		bundle_layout(m->manifest, json.len, &m->layout, e) < 0)
		return err_context(e, "%s", m->d->name);
	if (!digest_equal(&identity, &l->manifest_sha256) ||
		!digest_equal(&m->d->head.to, &l->manifest_sha256) ||
		m->layout.head_size != l->head_length)
		return err_set(
			e, ERR_UNTRUSTED, "%s leads to another bundle than is listed", m->d->name);
	return delta_head_place(m->d->name, &m->d->head, m->manifest, e);
}

static int
copy_in(struct making *m, uint64_t from, uint64_t size, uint64_t to, struct err *e)
{
	uint8_t piece[COPY_BYTES];

	for (uint64_t done = 0; done < size;) {
		size_t len = (size_t)num_min(size - done, sizeof(piece));

		if (file_pread_full(m->d->fd, m->d->name, piece, len, from + done, e) < 0 ||
			file_pwrite_full(m->fd, m->name, piece, len, to + done, e) < 0)
			return err_own(e);
		done += len;
	}
	return 0;
}

/* What cannot be opened is not there: pages will tell. */
static void
old_open(struct payload_making *pm)
{
	const struct delta_head_job *j = pm->m->j;
	const struct slot_class *class = conf_class(j->c, pm->p->slot_class);
	struct err why;

	if (j->old && delta_old_payload(j->old, pm->p, pm->part->old_bytes, &pm->old_number))
		pm->old = &j->old->manifest->payloads[pm->old_number];
	if (pm->old && delta_old_open(j->old, pm->old_number, &pm->old_index, &why) < 0)
		log_warning("%s", why.text);
	if (!class || class->type == SLOT_DIR || pm->part->old_bytes == 0)
		return;
	if (slot_open(class, j->running, false, &pm->slot, &why) < 0) {
		log_warning("%s", why.text);
		return;
	}
	pm->place = slot_place(&pm->slot);
	if (pm->slot.size >= pm->part->old_bytes)
		pm->running =
			(struct patch_old){pm->place.arg, pm->place.read, pm->part->old_bytes};
}

static int
seals_put(struct payload_making *pm, struct err *e)
{
	struct making *m = pm->m;
	const struct member *seals = &pm->p->members[MEMBER_SEALS];

	if (!seals->present)
		return err_set(e, ERR_MALFORMED, "%s.index has no seals", pm->p->name);
	if (copy_in(m, pm->part->seals_at, seals->size, m->layout.offset[pm->number][MEMBER_SEALS],
		    e) < 0)
		return -1;
	return bundle_check_member(
		m->fd, m->name, &m->layout, m->manifest, pm->number, MEMBER_SEALS, e);
}

/* The list of files that the shelf has kept. */
struct old_list {
	const struct head *h;
	uint64_t at;
};

static int
old_list_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	const struct old_list *l = arg;

	return file_pread_full(l->h->fd, l->h->name, data, len, l->at + offset, e) < 0 ? err_own(e)
										       : 0;
}

static int
list_put(struct payload_making *pm, struct err *e)
{
	struct making *m = pm->m;
	struct old_list list = {.h = m->j->old};
	struct patch_old old = {&list, old_list_read, 0};

	if (!pm->p->members[MEMBER_FILES].present)
		return 0;
	if (pm->old) {
		list.at = list.h->layout.offset[pm->old_number][MEMBER_FILES];
		old.size = pm->old->members[MEMBER_FILES].size;
	}
	return delta_list_make(m->d->fd, m->d->name, pm->part, &old,
		pm->p->members[MEMBER_FILES].size, m->fd,
		m->layout.offset[pm->number][MEMBER_FILES], e);
}

/* Pages of an index that are fetched, upwards. */
struct pages_walk {
	const struct wants *wrong;
	uint64_t entries, next;
};

static struct range
page_range(uint64_t entries, uint64_t page)
{
	uint64_t at = page * INDEX_PAGE_BYTES;

	return (struct range){at, at + pages_entries(entries, page) * INDEX_ENTRY_BYTES};
}

static int
page_next(void *arg, struct range *out, bool *more, struct err *e)
{
	struct pages_walk *w = arg;

	(void)e;
	while (w->next < pages_count(w->entries) && !wants_has(w->wrong, w->next))
		w->next++;
	*more = w->next < pages_count(w->entries);
	if (*more)
		*out = page_range(w->entries, w->next++);
	return 0;
}

/* Only as they were sealed: the bundle's head is asked for as a whole elsewhere. */
static int
pages_fetch(struct payload_making *pm, const struct wants *wrong, struct err *e)
{
	const struct making *m = pm->m;
	uint64_t at = m->layout.offset[pm->number][MEMBER_INDEX] + INDEX_HEADER_BYTES, fetched = 0;
	uint64_t entries = index_entries_in(pm->p->members[MEMBER_INDEX].size);
	struct pages_walk ahead = {wrong, entries, 0}, walk = ahead;
	struct ranges r = {.source = m->j->bundle,
		.next = page_next,
		.arg = &ahead,
		.data_offset = at,
		.fetched = &fetched};
	struct pages seals = {.payload = pm->p,
		.seals_fd = m->fd,
		.seals_name = m->name,
		.seals_offset = m->layout.offset[pm->number][MEMBER_SEALS]};

	for (;;) {
		uint8_t page[INDEX_PAGE_BYTES];
		struct range span;
		size_t len;
		bool more;

		if (page_next(&walk, &span, &more, e) < 0 || !more)
			return 0;
		len = (size_t)(span.end - span.at);
		if (keep_going_ask(m->j->keep_going, e) < 0 || ranges_read(&r, span, page, e) < 0 ||
			pages_check_index(&seals, walk.next - 1, span_of(page, len), e) < 0 ||
			file_pwrite_full(m->fd, m->name, page, len, at + span.at, e) < 0)
			return -1;
	}
}

static int
index_put(struct payload_making *pm, struct err *e)
{
	const struct making *m = pm->m;
	const uint64_t *offset = m->layout.offset[pm->number];
	AUTO_WANTS struct wants *wrong = NULL;
	struct delta_index_job j = {.delta_fd = m->d->fd,
		.delta_name = m->d->name,
		.delta = &m->d->head,
		.part = pm->number,
		.payload = pm->p,
		.old = pm->old_index,
		.running = pm->running.read ? &pm->running : NULL,
		.fd = m->fd,
		.name = m->name,
		.index_at = offset[MEMBER_INDEX],
		.seals_at = offset[MEMBER_SEALS],
		.keep_going = m->j->keep_going};
	int rc;

	if (delta_index_make(&j, &wrong, e) < 0)
		return -1;
	if (wants_count(wrong) == 0)
		return 0;
	log_warning("%s: %llu of %llu pages of %s.index do not come out of what runs, and are "
		    "fetched",
		m->d->name, (unsigned long long)wants_count(wrong),
		(unsigned long long)pages_count(
			index_entries_in(pm->p->members[MEMBER_INDEX].size)),
		pm->p->name);
	rc = pages_fetch(pm, wrong, e);
	m->j->bundle->close(m->j->bundle->arg);
	return rc;
}

static int
payload_make(struct making *m, size_t number, struct err *e)
{
	CLEANUP(payload_making_end)
	struct payload_making pm = {.m = m,
		.number = number,
		.p = &m->manifest->payloads[number],
		.part = &m->d->head.parts[number],
		.slot = SLOT_INIT};

	old_open(&pm);
	if (seals_put(&pm, e) < 0 || list_put(&pm, e) < 0 || index_put(&pm, e) < 0)
		return err_context(e, "payload %s", pm.p->name);
	return 0;
}

static int
members_make(struct making *m, struct span json, struct err *e)
{
	const char *dir = m->j->c->state_dir;

	shelf_make_room(dir, m->layout.head_size);
	if (head_spool_open(dir, &m->fd, e) < 0 ||
		bundle_put_headers(m->fd, m->name, m->manifest, &m->layout, e) < 0 ||
		file_pwrite_full(
			m->fd, m->name, json.data, json.len, m->layout.manifest_offset, e) < 0)
		return -1;
	for (size_t i = 0; i < m->manifest->payload_count; i++) {
		if (payload_make(m, i, e) < 0)
			return -1;
	}
	return 0;
}

static void
making_end(struct making *m)
{
	cleanup_fd(&m->fd);
	free(m->manifest);
}

int
delta_head_make(const struct delta_head_job *j, struct delta *d, struct head *out, struct err *e)
{
	CLEANUP(making_end) struct making m = {.j = j, .d = d, .fd = -1};
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	const struct listing *l = j->listing;
	uint64_t size;

	(void)snprintf(m.name, sizeof(m.name), "%.40s head", l->name);
	if (file_size(d->fd, d->name, &size, e) < 0 ||
		delta_head_read(d->fd, d->name, size, &d->head, &json, e) < 0 ||
		manifest_read(&m, buf_span(&json), e) < 0 ||
		members_make(&m, buf_span(&json), e) < 0 ||
		head_verify_target(m.fd, m.name, l->head_length, &l->head_sha256, out, e) < 0)
		return -1;
	(void)take_fd(&m.fd);
	return 0;
}
