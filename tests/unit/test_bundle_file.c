#include "tests/unit/lying_scene.h"

static void
other_keys_or_no_role_verify_nothing(void **state)
{
	struct fixture *f = *state;
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_JSON json_t *nobody = json_array();
	struct err e = ERR_INIT;

	f->role.keyids = nobody;
	refuses(f, "0 of 1");
	f->role.keyids = f->keyids;
	f->role.threshold = 2;
	refuses(f, "1 of 2");
	f->role.threshold = 0;
	refuses(f, "");
	assert_int_equal(bundle_file_open_signed(f->bundle, NULL, &b, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(bundle_file_open(f->bundle, &b, &e), 0);
}

static void
hints_that_are_not_the_blocks_are_refused(void **state)
{
	struct fixture *f = *state;

	change_member(f, 0, MEMBER_HINTS, 0, 1);
	refuses(f, "its hints are not its blocks'");
}

static void
hints_at_the_end_that_are_not_the_blocks_are_refused(void **state)
{
	struct fixture *f = *state;

	change_member(
		f, 0, MEMBER_HINTS, f->manifest->payloads[0].members[MEMBER_HINTS].size - 1, 1);
	refuses(f, "its hints are not its blocks'");
}

static void
a_chunk_digest_that_is_not_the_chunks_is_refused(void **state)
{
	struct fixture *f = *state;

	/* The run of two, then the plain digest of the third chunk. */
	change_sealed(f, 0, MEMBER_INDEX, INDEX_HEADER_BYTES + INDEX_ENTRY_BYTES, 1);
	refuses(f, "plain bytes are not those of the index");
}

static void
stored_bytes_that_are_not_the_chunks_are_refused(void **state)
{
	struct fixture *f = *state;

	change_member(f, 0, MEMBER_DATA, 3, 1);
	refuses(f, "stored bytes are not those of the index");
}

static void
an_image_with_another_digest_is_refused(void **state)
{
	struct fixture *f = *state;

	f->manifest->payloads[0].digest.b[31] ^= 1;
	write_bundle(f);
	refuses(f, "the image has another digest");
}

/* Replaces the first occurrence of a text in the tree's list by one of the same length. */
static void
change_list(struct fixture *f, const char *from, const char *to)
{
	struct member *m = &f->manifest->payloads[1].members[MEMBER_FILES];
	AUTO_FREE char *text = calloc(1, m->size + 1);
	char *found;

	assert_int_equal(
		file_pread_full(f->packed[1].fd[MEMBER_FILES], "m", text, m->size, 0, NULL), 0);
	found = strstr(text, from);
	assert_non_null(found);
	for (size_t i = 0; from[i]; i++) {
		if (from[i] != to[i])
			change_member(f, 1, MEMBER_FILES, (uint64_t)(found - text) + i,
				(uint8_t)(from[i] ^ to[i]));
	}
}

static void
a_file_with_another_digest_is_refused(void **state)
{
	static const char one[] =
		"7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

	change_list(
		*state, one, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ee");
	refuses(*state, "a is not what its list says");
}

static void
an_empty_file_with_another_digest_is_refused(void **state)
{
	change_list(*state, "e3b0c44298fc1c14", "e3b0c44298fc1c15");
	refuses(*state, "b is not what its list says");
}

static void
files_that_do_not_fit_their_chunks_are_refused(void **state)
{
	/* The sum stays, but the first file would end within the second chunk. */
	change_list(*state, "\"size\":3", "\"size\":4");
	change_list(*state, "\"size\":5", "\"size\":4");
	refuses(*state, "a chunk does not end with a");
}

/* Every byte, in two ways; what still verifies must say the same as before. */
static void
every_byte_flip_is_refused_or_means_the_same(void **state)
{
	const struct fixture *f = *state;
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	AUTO_BUF struct buf whole = BUF_INIT(1 << 20);
	AUTO_CLOSE int fd = open(f->bundle, O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;

	assert_int_equal(file_read(f->bundle, &whole, &e), 0);
	for (size_t i = 0; i < whole.len; i++) {
		const uint8_t flips[] = {(uint8_t)(1 << (i % 8)), 0xff};

		for (size_t k = 0; k < ARRAY_LEN(flips); k++) {
			uint8_t byte = whole.data[i] ^ flips[k];

			assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
			if (verify(f, got, &e) == 0)
				assert_memory_equal(got, f->manifest, sizeof(*got));
		}
		assert_int_equal(pwrite(fd, whole.data + i, 1, (off_t)i), 1);
	}
	assert_int_equal(verify(f, got, &e), 0);
}

static void
every_prefix_is_refused(void **state)
{
	const struct fixture *f = *state;
	AUTO_FREE struct manifest *got = calloc(1, sizeof(*got));
	struct err e = ERR_INIT;
	struct stat s;

	assert_int_equal(stat(f->bundle, &s), 0);
	for (off_t len = s.st_size - 1; len >= 0; len--) {
		assert_int_equal(truncate(f->bundle, len), 0);
		assert_int_equal(verify(f, got, &e), -1);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_signed_bundle_verifies),
		TEST(other_keys_or_no_role_verify_nothing),
		TEST(hints_that_are_not_the_blocks_are_refused),
		TEST(hints_at_the_end_that_are_not_the_blocks_are_refused),
		TEST(a_chunk_digest_that_is_not_the_chunks_is_refused),
		TEST(stored_bytes_that_are_not_the_chunks_are_refused),
		TEST(an_image_with_another_digest_is_refused),
		TEST(a_file_with_another_digest_is_refused),
		TEST(an_empty_file_with_another_digest_is_refused),
		TEST(files_that_do_not_fit_their_chunks_are_refused),
		TEST(every_byte_flip_is_refused_or_means_the_same),
		TEST(every_prefix_is_refused),
	};

	return cmocka_run_group_tests_name("bundle file", tests, NULL, NULL);
}
