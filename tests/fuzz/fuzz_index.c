/* The chunk index of a payload, behind the digest that the manifest gives it. */
#include "common/base/num.h"
#include "common/format/index.h"
#include "tests/fuzz/harness.h"

/* The payload that the index itself speaks of, so that most of it is read before a sum fails. */
static struct payload
payload_of(struct span index, enum payload_kind kind)
{
	struct payload p = {.name = "rootfs", .slot_class = "rootfs", .kind = kind};

	if (index.len >= INDEX_HEADER_BYTES)
		p.size = num_get_le64(index.data + 16);
	p.members[MEMBER_INDEX] = (struct member){true, index.len, digest_of(index)};
	return p;
}

static bool
all_zero(const struct digest *d)
{
	static const struct digest zero;

	return digest_equal(d, &zero);
}

/* From the first entry to the last; every entry that is given out is written as it was read. */
static int
walk(struct index_reader *r, const struct payload *p, struct span index)
{
	uint64_t plain = 0, n = 0;
	struct err e = ERR_INIT;
	bool more = true;
	struct chunk c;

	for (;; n++) {
		const uint8_t *was = index.data + INDEX_HEADER_BYTES + n * INDEX_ENTRY_BYTES;
		uint8_t entry[INDEX_ENTRY_BYTES];

		if (index_next(r, &c, &more, &e) < 0) {
			fuzz_check_err(&e);
			return -1;
		}
		if (!more)
			break;
		MUST(n < index_entries(r) && c.offset == plain);
		plain += c.size;
		MUST(c.size > 0 && plain <= p->size);
		MUST(c.store == CHUNK_ZERO_RUN || c.store == CHUNK_UNKNOWN);
		MUST(all_zero(&c.plain) == (c.store == CHUNK_ZERO_RUN));
		MUST(c.store == CHUNK_ZERO_RUN || c.size <= CHUNK_BYTES);
		MUST(c.stored_offset == 0 && c.stored_size == 0 && all_zero(&c.stored));
		index_put_entry(entry, &c);
		MUST(memcmp(entry, was, sizeof(entry)) == 0);
	}
	fuzz_deep();
	MUST(n == index_entries(r) && plain == p->size);
	return 0;
}

static void
read_index(struct span index, const struct payload *p)
{
	AUTO_INDEX struct index_reader *r = NULL;
	uint8_t header[INDEX_HEADER_BYTES];
	struct err e = ERR_INIT;
	int first;

	if (index_open(fuzz_file(0, index), "fuzz", 0, p, &r, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	index_put_header(header, p->size, index_entries(r));
	MUST(memcmp(header, index.data, sizeof(header)) == 0);
	first = walk(r, p, index);
	MUST(index_rewind(r, &e) == 0);
	MUST(walk(r, p, index) == first);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span index = span_of(data, size);
	struct payload p = payload_of(index, PAYLOAD_IMAGE);

	read_index(index, &p);
	p.kind = PAYLOAD_TREE;
	read_index(index, &p);
	/* The signed sizes are others than the index has. */
	p.size ^= 1 << 16;
	read_index(index, &p);
	return 0;
}
