/* The new index, out of a delta and of what there is of the old release. */
#include "tests/unit/delta_box_scene.h"

#include "agent/delta_index.h"
#include "common/format/pages.h"

enum { INDEX_AT = 512, SEALS_AT = 1 << 20 };

struct scene {
	struct two two;
	struct made old, fresh;
	struct told told;
	struct buf records, file;
	struct delta delta;
	struct manifest manifest; /* the old one */
	struct head kept;
	struct delta_old *old_index;
	uint64_t read; /* bytes of the old image */
	uint64_t bad_from, bad_to;
	struct patch_old running;
	int fd; /* the new head */
	struct keep_going keep_going;
	unsigned asks_left;
	struct wants *wrong;
};

static int
old_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct scene *s = arg;

	assert_true(offset + len <= s->two.old_bytes);
	if (offset < s->bad_to && offset + len > s->bad_from)
		return err_set(e, ERR_SYSTEM, "a bad sector");
	memcpy(data, s->two.old + offset, len);
	s->read += len;
	return 0;
}

static int
ask(void *arg, struct err *e)
{
	struct scene *s = arg;

	return s->asks_left-- == 0 ? err_set(e, ERR_STOPPED, "stopped by the test") : 0;
}

static void
scene_free(struct scene *s)
{
	wants_free(&s->wrong);
	delta_old_close(&s->old_index);
	(void)close(s->kept.fd);
	(void)close(s->fd);
	delta_drop(&s->delta);
	told_free(&s->told);
	buf_free(&s->records);
	buf_free(&s->file);
	made_free(&s->old);
	made_free(&s->fresh);
	two_free(&s->two);
}

static void
scene_kept(struct scene *s)
{
	struct err e = ERR_INIT;

	s->manifest.payload_count = 1;
	s->manifest.payloads[0] = s->old.p;
	s->kept = (struct head){.fd = memory_file(buf_span(&s->old.index)),
		.name = "the old head",
		.manifest = &s->manifest};
	if (delta_old_open(&s->kept, 0, &s->old_index, &e) < 0)
		fail_msg("%s", e.text);
}

static void
scene_make(struct scene *s, const char *told)
{
	struct manifest m = {.payload_count = 1};
	struct digest none = {{0}};
	struct err e = ERR_INIT;

	*s = (struct scene){
		.asks_left = UINT32_MAX, .records = BUF_INIT(1 << 28), .file = BUF_INIT(1 << 28)};
	two_make(&s->two, told);
	told_init(&s->told);
	made_image(&s->old, "rootfs", "rootfs", span_of(s->two.old, s->two.old_bytes));
	made_image(&s->fresh, "rootfs", "rootfs", span_of(s->two.fresh, s->two.bytes));
	two_tell(&s->two, &s->told, &s->records);
	delta_make(&s->told, &s->records, 1, "{}", &none, &s->file, &s->delta);
	m.payloads[0] = s->fresh.p;
	m.payloads[0].members[MEMBER_SEALS].size = 0;
	assert_int_equal(delta_head_place("the delta", &s->delta.head, &m, &e), 0);
	scene_kept(s);
	s->running = (struct patch_old){s, old_read, s->two.old_bytes};
	s->fd = memfd_create("head", MFD_CLOEXEC);
	assert_int_equal(file_pwrite_full(s->fd, "head", s->fresh.seals.data, s->fresh.seals.len,
				 SEALS_AT, &e),
		0);
	s->keep_going = (struct keep_going){ask, s};
}

static int
scene_index(struct scene *s, bool kept, bool running, struct err *e)
{
	struct delta_index_job j = {.delta_fd = s->delta.fd,
		.delta_name = "the delta",
		.delta = &s->delta.head,
		.payload = &s->fresh.p,
		.old = kept ? s->old_index : NULL,
		.running = running ? &s->running : NULL,
		.fd = s->fd,
		.name = "the new head",
		.index_at = INDEX_AT,
		.seals_at = SEALS_AT,
		.keep_going = &s->keep_going};

	wants_free(&s->wrong);
	s->read = 0;
	return delta_index_make(&j, &s->wrong, e);
}

static void
assert_index(struct scene *s, bool kept, bool running, uint64_t wrong)
{
	AUTO_BUF struct buf got = BUF_INIT(1 << 24);
	size_t len = s->fresh.index.len;
	struct err e = ERR_INIT;

	if (scene_index(s, kept, running, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(wants_count(s->wrong), wrong);
	assert_int_equal(buf_reserve(&got, len, &e), 0);
	assert_int_equal(file_pread_full(s->fd, "head", got.data, len, INDEX_AT, &e), 0);
	if (wrong == 0)
		assert_memory_equal(got.data, s->fresh.index.data, len);
}

/* Some hundreds of chunks: a few pages. */
static void
told_of(const char *piece, size_t times, char out[DELTA_CHUNKS_MAX + 1])
{
	*out = 0;
	for (size_t i = 0; i < times; i++)
		strcat(out, piece);
}

static void
an_index_is_made_without_reading_where_chunks_stay_whole(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[DELTA_CHUNKS_MAX + 1];

	(void)state;
	told_of("CCZZZCRFCRCC", 40, told);
	scene_make(&s, told);
	assert_index(&s, true, true, 0);
	assert_int_equal(s.read, 0);
	assert_index(&s, true, false, 0);
}

static void
chunks_that_have_moved_are_hashed(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[DELTA_CHUNKS_MAX + 1];

	(void)state;
	told_of("CCSSZZCRFS", 30, told);
	scene_make(&s, told);
	assert_index(&s, true, true, 0);
	assert_int_equal(s.read, 3 * 30 * CHUNK_BYTES);
}

static void
a_lost_old_index_costs_reading_and_nothing_else(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[DELTA_CHUNKS_MAX + 1];

	(void)state;
	told_of("CCSSZZCRFS", 30, told);
	scene_make(&s, told);
	assert_index(&s, false, true, 0);
	assert_int_equal(s.read, 6 * 30 * CHUNK_BYTES);
}

static void
damage_to_the_old_image_costs_the_pages_concerned(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[DELTA_CHUNKS_MAX + 1];

	(void)state;
	told_of("SSSSSSSSSS", 30, told);
	scene_make(&s, told);
	s.two.old[70 * CHUNK_BYTES + SHIFT_BYTES] ^= 1;
	s.bad_from = 200 * CHUNK_BYTES + SHIFT_BYTES;
	s.bad_to = s.bad_from + 1;
	assert_index(&s, true, true, 2);
	assert_true(wants_has(s.wrong, 1) && wants_has(s.wrong, 3));
}

static void
an_old_image_that_is_another_is_given_up_early(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[DELTA_CHUNKS_MAX + 1];
	struct err e = ERR_INIT;

	(void)state;
	told_of("SSSSSSSSSS", 90, told);
	scene_make(&s, told);
	noise(s.two.old, s.two.old_bytes, 99);
	assert_int_equal(scene_index(&s, true, true, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_non_null(strstr(e.text, "5 of 15 pages"));
	assert_in_range(s.read, 1, 5 * PAGE_ENTRIES * CHUNK_BYTES);
}

/* Of a tree nothing can be read by where it lies. */
static void
without_anything_old_it_is_given_up(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char told[DELTA_CHUNKS_MAX + 1];
	struct err e = ERR_INIT;

	(void)state;
	told_of("CCCCCCCCCC", 40, told);
	scene_make(&s, told);
	assert_int_equal(scene_index(&s, false, false, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

static void
a_delta_of_another_length_is_refused(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, "CCRRFF");
	s.fresh.p.members[MEMBER_INDEX].size += INDEX_ENTRY_BYTES;
	assert_int_equal(scene_index(&s, true, true, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	s.fresh.p.members[MEMBER_INDEX].size -= 2 * INDEX_ENTRY_BYTES;
	assert_int_equal(scene_index(&s, true, true, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
a_stop_ends_it(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, "CCSSSSSSS");
	s.asks_left = 5;
	assert_int_equal(scene_index(&s, true, true, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_null(s.wrong);
}

/* Asked for here and there, at the edges, and where nothing begins. */
static void
old_chunks_are_found_where_they_begin(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct digest got, want;
	struct err e = ERR_INIT;
	bool found;

	(void)state;
	scene_make(&s, "CC");
	for (uint64_t n = 0; n < 300; n++) {
		uint64_t i = n * 7919 % 3;

		want = digest_of(span_of(s.two.old + i * CHUNK_BYTES, CHUNK_BYTES));
		assert_int_equal(
			delta_old_find(s.old_index, i * CHUNK_BYTES, CHUNK_BYTES, &got, &found, &e),
			0);
		assert_true(found && digest_equal(&got, &want));
	}
	assert_int_equal(delta_old_find(s.old_index, 1, CHUNK_BYTES, &got, &found, &e), 0);
	assert_false(found);
	assert_int_equal(delta_old_find(s.old_index, 0, CHUNK_BYTES - 1, &got, &found, &e), 0);
	assert_false(found);
	assert_int_equal(
		delta_old_find(s.old_index, s.two.old_bytes, CHUNK_BYTES, &got, &found, &e), 0);
	assert_false(found);
	assert_int_equal(delta_old_find(s.old_index, UINT64_MAX, 1, &got, &found, &e), 0);
	assert_false(found);
}

/* With runs of zeros between, so that entries do not count chunks. */
static void
old_chunks_are_found_in_every_page(void **state)
{
	enum { OLD = 500 };
	CLEANUP(made_free) struct made made;
	struct manifest m = {.payload_count = 1};
	AUTO_FREE uint8_t *bytes = calloc(OLD, CHUNK_BYTES);
	AUTO_DELTA_OLD struct delta_old *old = NULL;
	struct head h = {.name = "old", .manifest = &m};
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < OLD; i++)
		memset(bytes + i * CHUNK_BYTES, i % 5 < 2 ? 0 : (int)(i % 251), CHUNK_BYTES);
	made_image(&made, "rootfs", "rootfs", span_of(bytes, (size_t)OLD * CHUNK_BYTES - 9));
	m.payloads[0] = made.p;
	h.fd = memory_file(buf_span(&made.index));
	assert_int_equal(delta_old_open(&h, 0, &old, &e), 0);
	for (size_t n = 0; n < OLD; n++) {
		size_t i = n * 311 % OLD, size = i == OLD - 1 ? CHUNK_BYTES - 9 : CHUNK_BYTES;
		struct digest got, want = digest_of(span_of(bytes + i * CHUNK_BYTES, size));
		bool found;

		assert_int_equal(delta_old_find(old, i * CHUNK_BYTES, size, &got, &found, &e), 0);
		assert_int_equal(found, !span_is_zero(span_of(bytes + i * CHUNK_BYTES, size)));
		assert_true(!found || digest_equal(&got, &want));
	}
	(void)close(h.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_is_made_without_reading_where_chunks_stay_whole),
		cmocka_unit_test(chunks_that_have_moved_are_hashed),
		cmocka_unit_test(a_lost_old_index_costs_reading_and_nothing_else),
		cmocka_unit_test(damage_to_the_old_image_costs_the_pages_concerned),
		cmocka_unit_test(an_old_image_that_is_another_is_given_up_early),
		cmocka_unit_test(without_anything_old_it_is_given_up),
		cmocka_unit_test(a_delta_of_another_length_is_refused),
		cmocka_unit_test(a_stop_ends_it),
		cmocka_unit_test(old_chunks_are_found_where_they_begin),
		cmocka_unit_test(old_chunks_are_found_in_every_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
