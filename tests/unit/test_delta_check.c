#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/delta_check.h"
#include "signer/delta_file.h"
#include "signer/output.h"
#include "tests/unit/bundle_scene.h"
#include "tests/unit/folder.h"
#include "tests/unit/payload.h"

/* Chunks of each kind: zeros, some that lie in the old image, that are patched, that are new. */
enum { CHUNKS = 40, IMAGE_BYTES = CHUNKS * CHUNK_BYTES };

static struct scene {
	struct bundle_file b[2];
	struct delta_side sides[2];
	struct delta_head head;
	struct delta_made made;
	int fd;
} scene;

static void
pack(const char *path, const char *version, const char *source)
{
	static const char *const names[] = {"image"};
	static const enum payload_kind kinds[] = {PAYLOAD_IMAGE};

	bundle_scene_pack_version(path, version, 1, names, &source, kinds);
}

static void
images_make(void)
{
	uint8_t *image = malloc(IMAGE_BYTES);

	assert_non_null(image);
	noise(image, IMAGE_BYTES, 1);
	assert_int_equal(folder_put("old", image, IMAGE_BYTES), 0);
	memset(image, 0, 3 * CHUNK_BYTES);
	for (size_t i = 10; i < 30; i++)
		image[i * CHUNK_BYTES + 7 * i] ^= 1;
	memset(image + 35 * CHUNK_BYTES, 7, CHUNK_BYTES);
	noise(image + 36 * CHUNK_BYTES, CHUNK_BYTES, 2);
	assert_int_equal(folder_put("new", image, IMAGE_BYTES), 0);
	free(image);
}

static int
setup(void **state)
{
	static const char *const names[] = {"old.ota", "new.ota"};
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	struct err e = ERR_INIT;

	if (folder_enter(state) < 0)
		return -1;
	images_make();
	pack(names[0], "1", "old");
	pack(names[1], "2", "new");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(bundle_file_open(names[i], &scene.b[i], &e), 0);
		assert_int_equal(delta_side_open(&scene.b[i], 0, 2, ".", &scene.sides[i], &e), 0);
	}
	assert_int_equal(scratch_open(".", &scene.fd, &e), 0);
	if (delta_file_make(&scene.b[0], &scene.b[1], 2, ".", scene.fd, "x", &scene.made, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(delta_head_read(scene.fd, "x", scene.made.listing.head_length, &scene.head,
				 &json, &e),
		0);
	assert_int_equal(delta_head_place("x", &scene.head, scene.b[1].manifest, &e), 0);
	return 0;
}

static int
teardown(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		delta_side_close(&scene.sides[i]);
		bundle_file_close(&scene.b[i]);
	}
	cleanup_fd(&scene.fd);
	return folder_leave(state);
}

static int
check(unsigned threads, struct err *e)
{
	return delta_check(
		scene.fd, "x", &scene.head, 0, &scene.sides[0], &scene.sides[1], threads, e);
}

/* The lowest bit: the highest of a stream's last byte may be nobody's. */
static void
byte_flip(uint64_t at)
{
	struct err e = ERR_INIT;
	uint8_t byte;

	assert_int_equal(file_pread_full(scene.fd, "x", &byte, 1, at, &e), 0);
	byte ^= 1;
	assert_int_equal(file_pwrite_full(scene.fd, "x", &byte, 1, at, &e), 0);
}

static void
what_was_made_well_passes_with_any_number_of_threads(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	for (unsigned threads = 1; threads <= 5; threads++) {
		if (check(threads, &e) < 0)
			fail_msg("%s", e.text);
	}
}

static void
no_byte_of_it_may_be_another(void **state)
{
	const struct delta_part *p = &scene.head.parts[0];
	const uint64_t from[] = {p->walk_at, p->digests_at, p->records_at, p->data_at},
		       to[] = {p->walk_at + p->walk_stored,
			       p->digests_at + p->digests * DIGEST_BYTES,
			       p->records_at + p->records * DELTA_RECORD_BYTES,
			       p->data_at + p->data_size};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		assert_true(from[i] < to[i]);
		for (uint64_t at = from[i]; at < to[i]; at += 1 + (to[i] - from[i]) / 40) {
			struct err e = ERR_INIT;

			byte_flip(at);
			if (check(2, &e) == 0)
				fail_msg("byte %d of part %zu may be another", (int)(at - from[i]),
					i);
			byte_flip(at);
		}
	}
}

/* Each a mistake that a maker could make, and every sum still adds up. */
static void
an_index_that_says_otherwise_is_seen(void **state)
{
	struct delta_side *to = &scene.sides[1];

	(void)state;
	for (size_t i = 0; i < to->count; i++) {
		struct delta_chunk good = to->chunks[i];
		struct err e = ERR_INIT;

		if (good.stored > 0) {
			to->chunks[i].plain.b[31] ^= 1;
			assert_int_equal(check(2, &e), -1);
			assert_int_equal(e.class, ERR_REFUSED);
			to->chunks[i] = good;
		}
		to->chunks[i].stored = good.stored > 0 ? 0 : 9;
		assert_int_equal(check(2, &e), -1);
		to->chunks[i] = good;
	}
	to->count--;
	assert_int_equal(check(2, NULL), -1);
	to->count++;
}

static void
another_old_image_is_seen(void **state)
{
	struct delta_side other = scene.sides[0];
	uint8_t *bytes = malloc(IMAGE_BYTES);
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(bytes);
	memcpy(bytes, other.plain.data, IMAGE_BYTES);
	other.plain.data = bytes;
	bytes[5 * CHUNK_BYTES] ^= 1;
	assert_int_equal(
		delta_check(scene.fd, "x", &scene.head, 0, &other, &scene.sides[1], 2, &e), -1);
	bytes[5 * CHUNK_BYTES] ^= 1;
	bytes[15 * CHUNK_BYTES] ^= 1;
	assert_int_equal(
		delta_check(scene.fd, "x", &scene.head, 0, &other, &scene.sides[1], 2, &e), -1);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_made_well_passes_with_any_number_of_threads),
		cmocka_unit_test(no_byte_of_it_may_be_another),
		cmocka_unit_test(an_index_that_says_otherwise_is_seen),
		cmocka_unit_test(another_old_image_is_seen),
	};

	return cmocka_run_group_tests_name("delta check", tests, setup, teardown);
}
