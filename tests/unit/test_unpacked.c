#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/pipeline.h"
#include "signer/unpacked.h"
#include "tests/unit/bundle_scene.h"
#include "tests/unit/folder.h"
#include "tests/unit/payload.h"

/* More chunks than some threads take at once, with bytes that shrink, that do not, and runs. */
enum { CHUNKS = 150, IMAGE_BYTES = CHUNKS * CHUNK_BYTES + 1234 };

static const char bundle[] = "x.ota";

static void
image_make(uint8_t *data)
{
	memset(data, 0, IMAGE_BYTES);
	for (size_t at = 0; at < IMAGE_BYTES; at += CHUNK_BYTES) {
		size_t len = (size_t)num_min(CHUNK_BYTES, IMAGE_BYTES - at),
		       kind = at / CHUNK_BYTES % 7;

		if (kind < 2)
			noise(data + at, len, at + 1);
		for (size_t i = 0; kind == 2 && i < len; i++)
			data[at + i] = (uint8_t)(at / CHUNK_BYTES + i / 9);
	}
}

/* An image and a tree, whose files are of no, few and many bytes. */
static int
setup(void **state)
{
	static const char *const names[] = {"image", "tree"};
	static const enum payload_kind kinds[] = {PAYLOAD_IMAGE, PAYLOAD_TREE};
	uint8_t *data = malloc(IMAGE_BYTES);

	if (!data || folder_enter(state) < 0)
		return -1;
	image_make(data);
	assert_int_equal(folder_put("image", data, IMAGE_BYTES), 0);
	assert_int_equal(mkdir("tree", 0755), 0);
	assert_int_equal(mkdir("tree/a", 0755), 0);
	assert_int_equal(folder_put("tree/a-b", "one", 3), 0);
	assert_int_equal(folder_put("tree/a/empty", "", 0), 0);
	assert_int_equal(folder_put("tree/a/long", data + 100, CHUNK_BYTES + 7), 0);
	assert_int_equal(folder_put("tree/z", "last", 4), 0);
	bundle_scene_pack(bundle, 2, names, kinds);
	free(data);
	return 0;
}

static void
open_bundle(struct bundle_file *b)
{
	struct err e = ERR_INIT;

	if (bundle_file_open(bundle, b, &e) < 0)
		fail_msg("%s", e.text);
}

static void
unpack(const struct bundle_file *b, size_t payload, unsigned threads, struct unpacked *out)
{
	struct err e = ERR_INIT;

	if (payload_unpack(b, payload, threads, ".", out, &e) < 0)
		fail_msg("%s", e.text);
}

static void
an_image_unpacks_to_its_bytes_with_any_number_of_threads(void **state)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_FREE uint8_t *want = malloc(IMAGE_BYTES);

	(void)state;
	image_make(want);
	open_bundle(&b);
	for (unsigned threads = 1; threads <= 5; threads += 2) {
		AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;

		unpack(&b, 0, threads, &u);
		assert_int_equal(u.size, IMAGE_BYTES);
		assert_memory_equal(u.data, want, IMAGE_BYTES);
	}
}

static void
runs_of_zeros_are_holes(void **state)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	struct stat s;

	(void)state;
	open_bundle(&b);
	unpack(&b, 0, 2, &u);
	assert_int_equal(fstat(u.fd, &s), 0);
	assert_int_equal(s.st_size, IMAGE_BYTES);
	assert_in_range(s.st_blocks * 512, CHUNKS * 3 / 7 * CHUNK_BYTES,
		(CHUNKS * 3 / 7 + 8) * CHUNK_BYTES);
}

static void
a_tree_unpacks_to_its_files_one_after_the_other(void **state)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	AUTO_FREE uint8_t *image = malloc(IMAGE_BYTES);

	(void)state;
	image_make(image);
	open_bundle(&b);
	unpack(&b, 1, 2, &u);
	assert_int_equal(u.size, CHUNK_BYTES + 7 + 3 + 4);
	assert_memory_equal(u.data, image + 100, CHUNK_BYTES + 7);
	assert_memory_equal(u.data + CHUNK_BYTES + 7, "onelast", 7);
}

static void
a_tree_without_bytes_unpacks_to_none(void **state)
{
	static const char *const names[] = {"tree"};
	static const enum payload_kind kinds[] = {PAYLOAD_TREE};
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;

	(void)state;
	assert_int_equal(unlink("tree/a-b") | unlink("tree/a/long") | unlink("tree/z"), 0);
	bundle_scene_pack(bundle, 1, names, kinds);
	open_bundle(&b);
	unpack(&b, 0, 2, &u);
	assert_int_equal(u.size, 0);
	assert_non_null(u.data);
}

static void
flip(uint64_t at)
{
	AUTO_CLOSE int fd = open(bundle, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* The bundle was opened before, as it is when somebody else writes into it meanwhile. */
static void
refuses_flips(const struct bundle_file *b, size_t payload, enum member_role role)
{
	const struct member *m = &b->manifest->payloads[payload].members[role];
	uint64_t step = num_max(m->size / 7, 1);

	for (uint64_t at = 0; at < m->size; at += step) {
		AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
		struct err e = ERR_INIT;

		flip(b->layout.offset[payload][role] + at);
		assert_int_equal(payload_unpack(b, payload, 3, ".", &u, &e), -1);
		assert_int_equal(e.class, ERR_UNTRUSTED);
		assert_non_null(strstr(e.text, bundle));
		assert_int_equal(u.fd, -1);
		flip(b->layout.offset[payload][role] + at);
	}
}

static void
a_byte_that_is_not_what_was_signed_is_refused(void **state)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;

	(void)state;
	open_bundle(&b);
	for (size_t payload = 0; payload < 2; payload++) {
		refuses_flips(&b, payload, MEMBER_INDEX);
		refuses_flips(&b, payload, MEMBER_SEALS);
		refuses_flips(&b, payload, MEMBER_STORED);
		refuses_flips(&b, payload, MEMBER_DATA);
	}
	an_image_unpacks_to_its_bytes_with_any_number_of_threads(state);
}

static void
no_threads_or_too_many_are_refused(void **state)
{
	static const unsigned wrong[] = {0, PIPELINE_THREADS_MAX + 1};
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;

	(void)state;
	open_bundle(&b);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(payload_unpack(&b, 0, wrong[i], ".", &u, &e), -1);
		assert_int_equal(e.class, ERR_USAGE);
	}
}

static void
a_scratch_folder_that_is_not_there_is_an_error(void **state)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_UNPACKED struct unpacked u = UNPACKED_INIT;
	struct err e = ERR_INIT;

	(void)state;
	open_bundle(&b);
	assert_int_equal(payload_unpack(&b, 0, 1, "nowhere", &u, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	assert_non_null(strstr(e.text, "nowhere"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, folder_leave)
	const struct CMUnitTest tests[] = {
		TEST(an_image_unpacks_to_its_bytes_with_any_number_of_threads),
		TEST(runs_of_zeros_are_holes),
		TEST(a_tree_unpacks_to_its_files_one_after_the_other),
		TEST(a_tree_without_bytes_unpacks_to_none),
		TEST(a_byte_that_is_not_what_was_signed_is_refused),
		TEST(no_threads_or_too_many_are_refused),
		TEST(a_scratch_folder_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
