#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/delta.h"
#include "signer/delta_file.h"
#include "signer/output.h"
#include "tests/unit/bundle_scene.h"
#include "tests/unit/folder.h"
#include "tests/unit/payload.h"

/* More chunks that need patches than one unit has. */
enum { CHUNKS = 140, IMAGE_BYTES = CHUNKS * CHUNK_BYTES, KINDS = 4, PIECE = 4096 };

static uint8_t image[IMAGE_BYTES];

/* Noise with a run of zeros; the newer one has, of each five chunks, two whose bytes have moved and
 * differ here and there, one that is new in part, and two that have moved by blocks. */
static void
images_make(void)
{
	static uint8_t old[IMAGE_BYTES];

	noise(old, sizeof(old), 5);
	memset(old + 20 * CHUNK_BYTES, 0, 30 * CHUNK_BYTES);
	assert_int_equal(folder_put("old", old, sizeof(old)), 0);
	memcpy(image, old + 3 * PIECE, sizeof(image) - 3 * PIECE);
	memcpy(image + sizeof(image) - 3 * PIECE, old, 3 * PIECE);
	for (size_t i = 0; i < CHUNKS; i++) {
		uint8_t *chunk = image + i * CHUNK_BYTES;

		if (i % 5 < 2 && i > 0)
			memmove(chunk + 40, chunk, CHUNK_BYTES - 40);
		for (size_t at = 0; i % 5 < 2 && at < CHUNK_BYTES; at += 500)
			chunk[at] ^= 0x55;
		if (i % 5 == 2)
			noise(chunk + 1000, 3 * PIECE, i);
	}
	memset(image + 90 * CHUNK_BYTES, 0, 10 * CHUNK_BYTES);
	assert_int_equal(folder_put("new", image, sizeof(image)), 0);
}

static void
tree_make(const char *name, const char *first, uint8_t last)
{
	char path[64];

	assert_int_equal(mkdir(name, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", name, first);
	assert_int_equal(folder_put(path, image, 100000), 0);
	(void)snprintf(path, sizeof(path), "%s/b", name);
	image[70000] = last;
	assert_int_equal(folder_put(path, image + 3, 150000), 0);
	(void)snprintf(path, sizeof(path), "%s/c", name);
	assert_int_equal(folder_put(path, image + 9, CHUNK_BYTES), 0);
}

static void
pack(const char *path, const char *version, const char *source, const char *tree)
{
	const char *sources[] = {source, tree};
	static const char *const names[] = {"image", "tree"};
	static const enum payload_kind kinds[] = {PAYLOAD_IMAGE, PAYLOAD_TREE};

	bundle_scene_pack_version(path, version, tree ? 2 : 1, names, sources, kinds);
}

static int
setup(void **state)
{
	if (folder_enter(state) < 0)
		return -1;
	images_make();
	tree_make("old-tree", "a", 1);
	tree_make("new-tree", "a-moved", 2);
	pack("old.ota", "2.3.9", "old", "old-tree");
	pack("new.ota", "2.4.0", "new", "new-tree");
	return 0;
}

static int
make(const char *from, const char *to, unsigned threads, int fd, struct delta_made *out,
	struct err *e)
{
	AUTO_BUNDLE_FILE struct bundle_file a = BUNDLE_FILE_INIT, b = BUNDLE_FILE_INIT;

	if (bundle_file_open(from, &a, e) < 0 || bundle_file_open(to, &b, e) < 0)
		return -1;
	return delta_file_make(&a, &b, threads, ".", fd, "the delta", out, e);
}

static int
made_well(const char *from, const char *to, unsigned threads, struct delta_made *out)
{
	struct err e = ERR_INIT;
	int fd = -1;

	assert_int_equal(scratch_open(".", &fd, &e), 0);
	if (make(from, to, threads, fd, out, &e) < 0)
		fail_msg("%s", e.text);
	return fd;
}

static void
not_made(const char *from, const char *to, enum err_class class, const char *says)
{
	struct delta_made made = {.size = 77};
	struct err e = ERR_INIT;
	AUTO_CLOSE int fd = -1;

	assert_int_equal(scratch_open(".", &fd, &e), 0);
	assert_int_equal(make(from, to, 2, fd, &made, &e), -1);
	assert_int_equal(e.class, class);
	assert_non_null(strstr(e.text, says));
	assert_int_equal(made.size, 77);
}

/* How many entries of a payload are of each kind, and how many records there are. */
static uint64_t
kinds_count_of(const char *to, int fd, const struct delta_made *made, size_t payload,
	uint64_t kinds[KINDS])
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_DELTA_WALK struct delta_walk *w = NULL;
	struct err e = ERR_INIT;
	struct delta_entry entry;
	struct delta_head h;
	bool more = true;

	assert_int_equal(bundle_file_open(to, &b, &e), 0);
	assert_int_equal(delta_head_read(fd, "x", made->listing.head_length, &h, &json, &e), 0);
	assert_int_equal(delta_head_place("x", &h, b.manifest, &e), 0);
	assert_int_equal(h.total_size, made->size);
	assert_int_equal(
		delta_walk_open(fd, "x", &h, payload, &b.manifest->payloads[payload], &w, &e), 0);
	memset(kinds, 0, KINDS * sizeof(*kinds));
	while (more) {
		assert_int_equal(delta_walk_next(w, &entry, &more, &e), 0);
		if (more)
			kinds[entry.kind] +=
				entry.kind == DELTA_ZEROS ? entry.size / CHUNK_BYTES : 1;
	}
	return h.parts[payload].records;
}

static uint64_t
kinds_count(int fd, const struct delta_made *made, size_t payload, uint64_t kinds[KINDS])
{
	return kinds_count_of("new.ota", fd, made, payload, kinds);
}

static void
each_chunk_is_told_in_the_cheapest_way(void **state)
{
	uint64_t kinds[KINDS], records;
	struct delta_made made = {0};
	AUTO_CLOSE int fd = made_well("old.ota", "new.ota", 2, &made);

	(void)state;
	assert_true(made.pays);
	assert_true(made.size < made.bundle_size / 10);
	records = kinds_count(fd, &made, 0, kinds);
	assert_int_equal(kinds[DELTA_ZEROS], 21);
	/* Those that moved by blocks. */
	assert_in_range(kinds[DELTA_COPY], 40, 44);
	assert_int_equal(kinds[DELTA_FULL], 0);
	assert_true(kinds[DELTA_RECORD] > 64);
	assert_int_equal(kinds[DELTA_RECORD] + kinds[DELTA_COPY] + kinds[DELTA_ZEROS], CHUNKS);
	assert_in_range(records, kinds[DELTA_RECORD] / 16, kinds[DELTA_RECORD] / 16 + 4);
	/* A file that has another name, and one that is as it was; the one between is patched. */
	assert_int_equal(kinds_count(fd, &made, 1, kinds), 1);
	assert_int_equal(kinds[DELTA_COPY], 4);
	assert_int_equal(kinds[DELTA_RECORD], 2);
}

static void
a_delta_is_the_same_with_any_number_of_threads(void **state)
{
	static const unsigned threads[] = {1, 5};
	struct delta_made first = {0}, made = {0};
	AUTO_CLOSE int fd = made_well("old.ota", "new.ota", 2, &first);
	struct err e = ERR_INIT;
	struct digest is, other;

	(void)state;
	assert_int_equal(digest_fd(fd, "x", 0, first.size, &is, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		AUTO_CLOSE int again = made_well("old.ota", "new.ota", threads[i], &made);

		assert_int_equal(made.size, first.size);
		assert_int_equal(digest_fd(again, "x", 0, made.size, &other, &e), 0);
		assert_true(digest_equal(&is, &other));
		assert_true(digest_equal(&first.listing.head_sha256, &made.listing.head_sha256));
	}
}

static void
a_delta_that_leaves_most_to_the_bundle_does_not_pay(void **state)
{
	struct delta_made made = {0};
	uint64_t kinds[KINDS];
	int fd;

	(void)state;
	noise(image, sizeof(image), 99);
	assert_int_equal(folder_put("noise", image, sizeof(image)), 0);
	pack("noise.ota", "2.3.9", "noise", NULL);
	fd = made_well("noise.ota", "new.ota", 2, &made);
	assert_false(made.pays);
	(void)kinds_count(fd, &made, 0, kinds);
	assert_int_equal(kinds[DELTA_COPY], 0);
	assert_true(made.size + made.full > made.bundle_size / 100 * 90);
	cleanup_fd(&fd);
}

/* Bytes that come again and again in a chunk, and differ here and there from old ones: zlib makes
 * more of the first than a patch of the second. */
static void
a_chunk_that_takes_less_in_the_bundle_is_left_to_it(void **state)
{
	enum { CHUNK = 10 * CHUNK_BYTES, SIZE = 20 * CHUNK_BYTES, PERIOD = 200 };
	struct delta_made made = {0};
	uint64_t kinds[KINDS];
	int fd;

	(void)state;
	noise(image, SIZE, 1000);
	for (size_t at = CHUNK + PERIOD; at < CHUNK + CHUNK_BYTES; at++)
		image[at] = image[at - PERIOD];
	assert_int_equal(folder_put("text", image, SIZE), 0);
	pack("again.ota", "2", "text", NULL);
	for (size_t at = CHUNK; at < CHUNK + CHUNK_BYTES; at++)
		image[at] ^= at % 6 == 0 ? image[at - CHUNK] : 0;
	image[99] ^= 1;
	assert_int_equal(folder_put("text", image, SIZE), 0);
	pack("once.ota", "1", "text", NULL);
	fd = made_well("once.ota", "again.ota", 2, &made);
	(void)kinds_count_of("again.ota", fd, &made, 0, kinds);
	assert_int_equal(kinds[DELTA_FULL], 1);
	assert_int_equal(kinds[DELTA_RECORD], 1);
	assert_in_range(made.full, PERIOD, 16 * PERIOD);
	cleanup_fd(&fd);
}

static void
a_payload_that_is_new_comes_from_the_bundle(void **state)
{
	struct delta_made made = {0};
	uint64_t kinds[KINDS];
	int fd;

	(void)state;
	pack("less.ota", "2.3.8", "old", NULL);
	fd = made_well("less.ota", "new.ota", 2, &made);
	assert_int_equal(kinds_count(fd, &made, 1, kinds), 0);
	assert_int_equal(kinds[DELTA_FULL], 6);
	assert_true(made.pays && made.full > 300000);
	cleanup_fd(&fd);
	/* A tree where there was an image has nothing in common with it. */
	bundle_scene_pack_version("kind.ota", "2.3.8", 1, (const char *const[]){"tree"},
		(const char *const[]){"old"}, (const enum payload_kind[]){PAYLOAD_IMAGE});
	fd = made_well("kind.ota", "new.ota", 2, &made);
	assert_int_equal(kinds_count(fd, &made, 1, kinds), 0);
	assert_int_equal(kinds[DELTA_FULL], 6);
	assert_false(made.pays);
	cleanup_fd(&fd);
}

static void
bundles_that_are_no_pair_are_refused(void **state)
{
	(void)state;
	not_made("new.ota", "new.ota", ERR_USAGE, "both version 2.4.0");
	pack("other.ota", "gadget 1.0", "old", NULL);
	not_made("other.ota", "new.ota", ERR_USAGE, "is of gadget");
}

static void
bytes_that_are_not_as_they_were_signed_are_refused(void **state)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	struct err e = ERR_INIT;
	uint8_t byte;
	uint64_t at;
	int fd;

	(void)state;
	pack("damaged.ota", "2.3.9", "old", NULL);
	assert_int_equal(bundle_file_open("damaged.ota", &b, &e), 0);
	at = b.layout.offset[0][MEMBER_DATA] + 1000;
	fd = open("damaged.ota", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_pread_full(fd, "x", &byte, 1, at, &e), 0);
	byte ^= 1;
	assert_int_equal(file_pwrite_full(fd, "x", &byte, 1, at, &e), 0);
	cleanup_fd(&fd);
	not_made("damaged.ota", "new.ota", ERR_UNTRUSTED, "damaged.ota");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_chunk_is_told_in_the_cheapest_way),
		cmocka_unit_test(a_delta_is_the_same_with_any_number_of_threads),
		cmocka_unit_test(a_delta_that_leaves_most_to_the_bundle_does_not_pay),
		cmocka_unit_test(a_chunk_that_takes_less_in_the_bundle_is_left_to_it),
		cmocka_unit_test(a_payload_that_is_new_comes_from_the_bundle),
		cmocka_unit_test(bundles_that_are_no_pair_are_refused),
		cmocka_unit_test(bytes_that_are_not_as_they_were_signed_are_refused),
	};

	return cmocka_run_group_tests_name("delta file", tests, setup, folder_leave);
}
