/* Pages that say as what chunks are stored, which somebody signed and sealed.
 *
 * Input: 1 byte whether there are cuts, 8 bytes size of the data, 1 byte how many entries, for each
 * 4 bytes as its size stands in the index, and then the pages. */
#include "common/base/num.h"
#include "common/format/pages.h"
#include "tests/fuzz/harness.h"

enum { ENTRIES_MAX = 3 * PAGE_ENTRIES };

struct box {
	struct payload p;
	uint64_t entries;
	struct chunk chunk[ENTRIES_MAX];
	uint8_t stored[ENTRIES_MAX * STORED_ENTRY_BYTES + 3 * STORED_OFFSET_BYTES];
	struct seal seals[6];
	struct pages pages;
};

/* What an index would have given of it. */
static struct chunk
chunk_of(uint32_t size, size_t entry)
{
	struct chunk c = {.store = CHUNK_ZERO_RUN};
	struct span seed = span_of((const uint8_t *)&entry, sizeof(entry));

	if (size >> 31) {
		c.size = (1 + (uint64_t)(size & INT32_MAX)) * CHUNK_BYTES;
		return c;
	}
	c.store = CHUNK_UNKNOWN;
	c.size = 1 + size % CHUNK_BYTES;
	c.plain = digest_of(seed);
	return c;
}

static void
box_take(struct box *b, struct span in)
{
	uint64_t size;
	size_t len;

	b->p = (struct payload){.name = "rootfs", .slot_class = "rootfs"};
	b->p.members[MEMBER_CUTS].present = fuzz_take8(&in) & 1;
	size = fuzz_take32(&in);
	size |= (uint64_t)fuzz_take32(&in) << 32;
	b->p.members[MEMBER_DATA] = (struct member){.present = true, .size = size >> 8};
	b->entries = fuzz_take8(&in) % (ENTRIES_MAX + 1);
	for (size_t i = 0; i < b->entries; i++)
		b->chunk[i] = chunk_of(fuzz_take32(&in), i);
	b->p.members[MEMBER_INDEX].size = INDEX_HEADER_BYTES + b->entries * INDEX_ENTRY_BYTES;
	len = (size_t)num_min(in.len, pages_stored_bytes(b->entries));
	if (len > 0)
		memcpy(b->stored, in.data, len);
}

static void
box_seal(struct box *b)
{
	b->pages = (struct pages){.payload = &b->p, .name = "fuzz", .seals_name = "fuzz"};
	for (uint64_t page = 0; page < pages_count(b->entries); page++) {
		size_t len;
		uint64_t at = pages_at(&b->pages, page, &len);

		b->seals[pages_count(b->entries) + page] = seal_of(span_of(b->stored + at, len));
	}
	b->pages.fd = fuzz_file(0, span_of(b->stored, (size_t)pages_stored_bytes(b->entries)));
	b->pages.seals_fd = fuzz_file(
		1, span_of((const uint8_t *)b->seals, (size_t)pages_seals_bytes(b->entries)));
}

static bool
all_zero(const struct digest *d)
{
	static const struct digest zero;

	return digest_equal(d, &zero);
}

/* Whatever is signed, what is found lies in the data and can be what the index says; and it is all
 * that the entry says. */
static void
check(const struct box *b, uint64_t entry, const struct chunk *c)
{
	const struct chunk *index = &b->chunk[entry];
	const uint8_t *was = b->stored + entry / PAGE_ENTRIES * STORED_PAGE_BYTES +
			     STORED_OFFSET_BYTES + entry % PAGE_ENTRIES * STORED_ENTRY_BYTES;
	uint8_t again[STORED_ENTRY_BYTES];

	MUST(c->size == index->size && digest_equal(&c->plain, &index->plain));
	MUST(c->stored_offset <= b->p.members[MEMBER_DATA].size);
	MUST(c->stored_size <= b->p.members[MEMBER_DATA].size - c->stored_offset);
	MUST(c->store != CHUNK_UNKNOWN);
	MUST((c->store == CHUNK_ZERO_RUN) == (index->store == CHUNK_ZERO_RUN));
	MUST((c->store == CHUNK_ZERO_RUN) == (c->stored_size == 0));
	MUST((c->store == CHUNK_RAW) == (c->stored_size == c->size));
	MUST(c->store != CHUNK_RAW || digest_equal(&c->stored, &c->plain));
	MUST(all_zero(&c->stored) == (c->store == CHUNK_ZERO_RUN));
	MUST(b->p.members[MEMBER_CUTS].present || seal_is_zero(&c->cuts));
	pages_put_entry(again, c);
	MUST(memcmp(again, was, sizeof(again)) == 0);
	fuzz_deep();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE struct box *b = calloc(1, sizeof(*b));
	struct err e = ERR_INIT;

	MUST(b);
	box_take(b, span_of(data, size));
	box_seal(b);
	for (uint64_t entry = 0; entry < b->entries; entry++) {
		struct chunk c = b->chunk[entry];

		if (pages_find(&b->pages, entry, &c, &e) < 0) {
			fuzz_check_err(&e);
			MUST(e.class == ERR_MALFORMED);
			MUST(c.store == b->chunk[entry].store && c.stored_size == 0);
		} else {
			check(b, entry, &c);
		}
	}
	/* With a byte of it changed behind the seal's back nothing is found. */
	if (b->entries == 0)
		return 0;
	b->stored[size % STORED_OFFSET_BYTES] ^= 1;
	b->pages.fd = fuzz_file(0, span_of(b->stored, (size_t)pages_stored_bytes(b->entries)));
	b->pages.loaded = 0;
	MUST(pages_find(&b->pages, 0, &b->chunk[0], &e) < 0 && e.class == ERR_UNTRUSTED);
	return 0;
}
