#include "tests/unit/lying_scene.h"

/* The image's entries: a run of two, a chunk of 16 blocks, and one of two. */
enum { RUN, WHOLE, SHORT, ENTRIES };

static void
a_page_seal_or_cut_with_any_byte_flipped_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct member *m = f->manifest->payloads[0].members;

	assert_int_equal(m[MEMBER_SEALS].size, 2 * SEAL_BYTES);
	assert_int_equal(m[MEMBER_CUTS].size, ENTRIES * CUTS_BYTES);
	for (uint64_t at = 0; at < m[MEMBER_SEALS].size; at += 5) {
		change_member(f, 0, MEMBER_SEALS, at, 1);
		refuses(f, "a page is not the one that was sealed");
		change_member(f, 0, MEMBER_SEALS, at, 1);
	}
	for (uint64_t at = 0; at < m[MEMBER_STORED].size; at += 7) {
		change_member(f, 0, MEMBER_STORED, at, 1);
		refuses(f, "stored: a page is not the one that was sealed");
		change_member(f, 0, MEMBER_STORED, at, 1);
	}
	change_member(f, 0, MEMBER_INDEX, INDEX_HEADER_BYTES, 1);
	refuses(f, "");
	change_member(f, 0, MEMBER_INDEX, INDEX_HEADER_BYTES, 1);
	for (uint64_t at = 0; at < m[MEMBER_CUTS].size; at += 61) {
		change_member(f, 0, MEMBER_CUTS, at, 1);
		refuses(f, at < CUTS_BYTES ? "a run of zeros has cuts" : "those that were sealed");
		change_member(f, 0, MEMBER_CUTS, at, 1);
	}
}

/* Where a field of an entry of PAYLOAD.stored stands. */
static uint64_t
stored_at(size_t entry, size_t field)
{
	return STORED_OFFSET_BYTES + entry * STORED_ENTRY_BYTES + field;
}

/* Every seal is right, and what is sealed is not. */
static void
pages_that_are_sealed_and_lie_are_refused(void **state)
{
	enum { DIGEST = 0, SEAL = DIGEST_BYTES, SIZE = DIGEST_BYTES + SEAL_BYTES };
	static const struct {
		uint64_t at;
		size_t entry;
		const char *why;
	} lies[] = {{0, 0, "is not where the one before ends"}, {5, 0, "past the end of the data"},
		{7, 0, "past the end of the data"},
		{DIGEST, RUN, "a run of zeros with stored bytes"},
		{SEAL, RUN, "a run of zeros with stored bytes"},
		{SIZE, RUN, "a run of zeros with stored bytes"},
		{DIGEST, WHOLE, "stored bytes are not those of the index"},
		{SEAL, WHOLE, "cuts are not those that were sealed"},
		{SIZE, WHOLE, "stored bytes are not those of the index"},
		{SIZE + 3, WHOLE, "past the end of the data"},
		{SIZE + 3, SHORT, "past the end of the data"}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		uint64_t at = i < 3 ? lies[i].at : stored_at(lies[i].entry, lies[i].at);

		change_sealed(f, 0, MEMBER_STORED, at, 1);
		refuses(f, lies[i].why);
		change_sealed(f, 0, MEMBER_STORED, at, 1);
	}
	a_signed_bundle_verifies(state);
}

/* Writes a record with its own seal: a signer that lies about both. */
static void
put_cuts(struct fixture *f, size_t entry, const uint8_t record[CUTS_BYTES])
{
	struct seal seal = cuts_record_seal(record);
	const int *fd = f->packed[0].fd;

	assert_int_equal(file_pwrite_full(fd[MEMBER_CUTS], "m", record, CUTS_BYTES,
				 entry * CUTS_BYTES, NULL),
		0);
	assert_int_equal(file_pwrite_full(fd[MEMBER_STORED], "m", seal.b, SEAL_BYTES,
				 stored_at(entry, DIGEST_BYTES), NULL),
		0);
	seal_all(f, 0);
}

static void
get_cuts(const struct fixture *f, size_t entry, uint8_t record[CUTS_BYTES])
{
	assert_int_equal(file_pread_full(f->packed[0].fd[MEMBER_CUTS], "m", record, CUTS_BYTES,
				 entry * CUTS_BYTES, NULL),
		0);
}

static void
cuts_that_are_sealed_and_lie_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t right[CUTS_BYTES], wrong[CUTS_BYTES];

	get_cuts(f, WHOLE, right);
	/* The digest of a block. */
	memcpy(wrong, right, sizeof(wrong));
	wrong[5 * CUT_BYTES + 2] ^= 1;
	put_cuts(f, WHOLE, wrong);
	refuses(f, "a block's stored bytes are not those that were sealed");
	/* One byte more of it. */
	memcpy(wrong, right, sizeof(wrong));
	wrong[5 * CUT_BYTES]++;
	put_cuts(f, WHOLE, wrong);
	refuses(f, "a chunk's blocks are");
	/* Another chunk's. */
	get_cuts(f, SHORT, wrong);
	put_cuts(f, WHOLE, wrong);
	refuses(f, "has 0 stored bytes");
	put_cuts(f, WHOLE, right);
	put_cuts(f, SHORT, right);
	refuses(f, "blocks that a chunk has not");
	put_cuts(f, SHORT, wrong);
	/* Of what has none. */
	put_cuts(f, RUN, right);
	refuses(f, "a run of zeros with stored bytes");
	memset(wrong, 0, sizeof(wrong));
	put_cuts(f, RUN, wrong);
	a_signed_bundle_verifies(state);
}

/* Every seal is right, and the cut is a byte beside the end of a block. */
static void
cuts_beside_the_ends_of_blocks_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t record[CUTS_BYTES], stored[CHUNK_STORED_MAX];
	uint16_t first, second;
	struct digest d;

	get_cuts(f, SHORT, record);
	first = (uint16_t)(num_get_le16(record) - 1);
	second = (uint16_t)(num_get_le16(record + CUT_BYTES) + 1);
	assert_int_equal(
		file_pread_full(f->packed[0].fd[MEMBER_DATA], "m", stored, first + second,
			f->manifest->payloads[0].members[MEMBER_DATA].size - first - second, NULL),
		0);
	d = digest_of(span_of(stored, first));
	num_put_le16(record, first);
	memcpy(record + 2, d.b, SEAL_BYTES);
	d = digest_of(span_of(stored + first, second));
	num_put_le16(record + CUT_BYTES, second);
	memcpy(record + CUT_BYTES + 2, d.b, SEAL_BYTES);
	put_cuts(f, SHORT, record);
	refuses(f, "a block's stream is damaged");
}

static void
a_bundle_without_cuts_verifies_and_seals_no_cuts(void **state)
{
	struct fixture *f = *state;

	f->manifest->payloads[0].members[MEMBER_CUTS] = (struct member){0};
	write_bundle(f);
	refuses(f, "a seal of cuts that there are not");
	for (size_t entry = 0; entry < ENTRIES; entry++) {
		static const struct seal none;

		assert_int_equal(file_pwrite_full(f->packed[0].fd[MEMBER_STORED], "m", none.b,
					 SEAL_BYTES, stored_at(entry, DIGEST_BYTES), NULL),
			0);
	}
	seal_all(f, 0);
	a_signed_bundle_verifies(state);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_page_seal_or_cut_with_any_byte_flipped_is_refused),
		TEST(pages_that_are_sealed_and_lie_are_refused),
		TEST(cuts_that_are_sealed_and_lie_are_refused),
		TEST(cuts_beside_the_ends_of_blocks_are_refused),
		TEST(a_bundle_without_cuts_verifies_and_seals_no_cuts),
	};

	return cmocka_run_group_tests_name("bundle pages", tests, NULL, NULL);
}
