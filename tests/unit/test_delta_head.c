/* The whole head of a bundle, out of a delta and a box. */
#include "tests/unit/delta_head_scene.h"

static void
assert_made(struct scene *s)
{
	struct err e = ERR_INIT;

	head_free(&s->head);
	if (delta_head_make(&s->j, &s->delta, &s->head, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(digest_equal(&s->head.release.manifest, &s->listing.manifest_sha256));
	assert_int_equal(s->head.layout.head_size, s->listing.head_length);
}

static void
assert_refused(struct scene *s, enum err_class class)
{
	struct err e = ERR_INIT;

	head_free(&s->head);
	assert_int_equal(delta_head_make(&s->j, &s->delta, &s->head, &e), -1);
	if (e.class != class)
		fail_msg("%s", e.text);
	assert_int_equal(s->head.fd, -1);
}

/* The bundle's own file, from which nobody reads a byte. */
static int
refuse_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	(void)arg;
	return err_set(e, ERR_NETWORK, "bytes %llu and %llu more are not to be asked for",
		(unsigned long long)offset, (unsigned long long)len);
}

static void
a_head_is_made_without_the_bundle(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "CSRFZS");
	s.bundle.open = refuse_open;
	assert_made(&s);
}

static void
a_tree_and_its_list_are_made_of_what_the_shelf_has(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "CCCCCC");
	s.bundle.open = refuse_open;
	/* The image's chunks are all whole, so the slot is not needed. */
	image_put("a.img", s.two.fresh, 10);
	assert_made(&s);
	s.j.old = NULL;
	assert_refused(&s, ERR_NETWORK);
}

static uint64_t opened, opened_bytes;

static int
count_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	opened++;
	opened_bytes += len;
	((struct file_source *)arg)->offset = offset;
	((struct file_source *)arg)->left = len;
	(void)e;
	return 0;
}

static void
pages_that_come_out_wrong_are_fetched(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint8_t spoilt = 0;

	scene_make(&s, *state, "CSRFZS");
	spoilt = s.two.old[CHUNK_BYTES + SHIFT_BYTES] ^ 1;
	{
		AUTO_CLOSE int fd = open("a.img", O_RDWR | O_CLOEXEC);

		assert_int_equal(pwrite(fd, &spoilt, 1, CHUNK_BYTES + SHIFT_BYTES), 1);
	}
	s.bundle.open = count_open;
	opened = opened_bytes = 0;
	assert_made(&s);
	assert_int_equal(opened, 1);
	assert_int_equal(opened_bytes, 6 * INDEX_ENTRY_BYTES);
	/* And only as they were sealed. */
	image_put("new.ota", (const uint8_t *)"x", 1);
	{
		AUTO_CLOSE int fd = open("new.ota", O_RDWR | O_CLOEXEC);
		uint64_t at = s.head.layout.offset[0][MEMBER_INDEX] + INDEX_HEADER_BYTES + 3;

		assert_int_equal(pwrite(fd, "wrong", 5, (off_t)at), 5);
	}
	assert_refused(&s, ERR_UNTRUSTED);
}

static void
a_slot_that_is_too_small_or_gone_is_no_base(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "CSRFZS");
	assert_int_equal(truncate("a.img", (off_t)s.two.old_bytes - 1), 0);
	s.bundle.open = refuse_open;
	assert_refused(&s, ERR_NETWORK);
	assert_int_equal(unlink("a.img"), 0);
	assert_refused(&s, ERR_NETWORK);
}

static void
a_delta_to_another_bundle_is_refused(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "CSRFZS");
	s.listing.manifest_sha256.b[0] ^= 1;
	assert_refused(&s, ERR_UNTRUSTED);
	s.listing.manifest_sha256.b[0] ^= 1;
	s.listing.head_length += 512;
	assert_refused(&s, ERR_UNTRUSTED);
	s.listing.head_length -= 512;
	s.listing.head_sha256.b[0] ^= 1;
	assert_refused(&s, ERR_UNTRUSTED);
	s.listing.head_sha256.b[0] ^= 1;
	assert_made(&s);
}

/* As the digest of a delta's head is its own, a signer that lies gets as far as here. */
static void
a_delta_that_lies_gives_no_head(void **state)
{
	CLEANUP(scene_free) struct scene s;
	const struct delta_part *part;
	uint64_t at[3];

	scene_make(&s, *state, "CSRFZS");
	assert_made(&s);
	part = &s.delta.head.parts[0];
	at[0] = part->digests_at;
	at[1] = part->seals_at;
	at[2] = part->walk_at + part->walk_stored / 2;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct err e = ERR_INIT;
		uint8_t byte;

		assert_int_equal(pread(s.delta.fd, &byte, 1, (off_t)at[i]), 1);
		byte ^= 4;
		assert_int_equal(pwrite(s.delta.fd, &byte, 1, (off_t)at[i]), 1);
		head_free(&s.head);
		/* A digest that is wrong is fetched with its page. */
		assert_int_equal(delta_head_make(&s.j, &s.delta, &s.head, &e), i == 0 ? 0 : -1);
		byte ^= 4;
		assert_int_equal(pwrite(s.delta.fd, &byte, 1, (off_t)at[i]), 1);
	}
	assert_made(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_head_is_made_without_the_bundle, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(a_tree_and_its_list_are_made_of_what_the_shelf_has,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			pages_that_come_out_wrong_are_fetched, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_slot_that_is_too_small_or_gone_is_no_base, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_delta_to_another_bundle_is_refused, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_delta_that_lies_gives_no_head, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
