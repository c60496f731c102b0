#include "tests/unit/engine_scene.h"

#include <semaphore.h>
#include <time.h>

#include "agent/batch.h"
#include "agent/proof.h"

enum { WAIT_S = 60, RUN_CHUNKS = 2 * BATCH_CHUNKS + 3 };

/* A proof that tells of its syncs. */
struct scene {
	struct bench b;
	struct index_reader *third;
	struct wants *left;
	struct proof *proof;
	sem_t synced;
	bool sync_fails;
	_Atomic uint64_t read_to; /* the end of what was read */
};

static int
watched_read(void *arg, void *data, size_t len, uint64_t offset, struct err *e)
{
	struct scene *s = arg;

	s->read_to = num_max(s->read_to, offset + len);
	return place_read(&s->b.memory, data, len, offset, e);
}

static int
told_sync(void *arg, struct err *e)
{
	struct scene *s = arg;

	(void)sem_post(&s->synced);
	return s->sync_fails ? err_sys(e, EIO, "syncing the test's place") : 0;
}

static void
wait_for_sync(struct scene *s)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	assert_int_equal(sem_timedwait(&s->synced, &until), 0);
}

/* Of the image that b has; all of it is to be read back. */
static void
scene_start(struct scene *s, uint64_t stretch)
{
	struct place place = {s, watched_read, NULL, NULL, true, NULL};
	struct proof_plan plan = {&place, NULL, NULL, stretch, told_sync, s};
	struct err e = ERR_INIT;

	assert_int_equal(index_open(s->b.index_fd, "index", 0, &s->b.made.p, &s->third, &e), 0);
	assert_int_equal(wants_new(index_entries(s->third), &s->left, &e), 0);
	for (uint64_t entry = 0; entry < index_entries(s->third); entry++)
		wants_add(s->left, entry);
	assert_int_equal(sem_init(&s->synced, 0, 0), 0);
	plan.index = s->third;
	plan.left = s->left;
	assert_int_equal(proof_start(&plan, &s->proof, &e), 0);
	assert_non_null(s->proof);
}

static void
scene_make(struct scene *s, const uint8_t *before, uint64_t stretch)
{
	*s = (struct scene){0};
	bench_make(&s->b, before);
	scene_start(s, stretch);
}

static void
scene_free(struct scene *s)
{
	wants_free(&s->left);
	index_close(&s->third);
	(void)sem_destroy(&s->synced);
	bench_free(&s->b);
}

/* The second sync says that what came before the first has been read. */
static int
read_back(struct scene *s, uint64_t first, struct err *e)
{
	*e = ERR_INIT;
	proof_reach(s->proof, first);
	wait_for_sync(s);
	proof_reach(s->proof, index_entries(s->third));
	wait_for_sync(s);
	return proof_end(&s->proof, e);
}

static void
what_reads_back_as_it_should_is_done_with(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, image, 2);
	assert_int_equal(read_back(&s, 3, &e), 0);
	assert_null(s.proof);
	for (uint64_t entry = 0; entry < index_entries(s.third); entry++) {
		if (entry < 3)
			assert_false(wants_has(s.left, entry));
	}
}

/* Nothing is read before there is a stretch of it, nor what is behind that. */
static void
what_was_not_written_is_not_read(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, image, 2);
	proof_reach(s.proof, 1);
	proof_reach(s.proof, 2);
	wait_for_sync(&s);
	proof_reach(s.proof, 3);
	assert_int_equal(proof_end(&s.proof, &e), 0);
	assert_true(s.read_to <= 2 * CHUNK_BYTES);
	for (uint64_t entry = 2; entry < index_entries(s.third); entry++)
		assert_true(wants_has(s.left, entry));
}

/* It may be read once more. */
static void
what_does_not_is_left(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct engine g;
	struct err e;

	(void)state;
	scene_make(&s, image, 2);
	s.b.memory.bytes[CHUNK_BYTES + 5] ^= 1;
	assert_int_equal(read_back(&s, 3, &e), 0);
	assert_false(wants_has(s.left, 0));
	assert_true(wants_has(s.left, 1));
	g = bench_engine(&s.b);
	assert_int_equal(engine_check(&g, s.left, NULL, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	s.b.memory.bytes[CHUNK_BYTES + 5] ^= 1;
	assert_int_equal(engine_check(&g, s.left, NULL, &e), 0);
}

static void
what_cannot_be_read_is_left(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e;

	(void)state;
	scene_make(&s, image, 2);
	s.b.memory.read_errnum = EIO;
	assert_int_equal(read_back(&s, 3, &e), 0);
	assert_int_equal(wants_count(s.left), index_entries(s.third));
}

/* The kernel tells of it once. */
static void
a_sync_that_failed_is_not_forgotten(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, image, 1);
	s.sync_fails = true;
	proof_reach(s.proof, 3);
	wait_for_sync(&s);
	assert_int_equal(proof_end(&s.proof, &e), -1);
	assert_int_equal(e.errnum, EIO);
	assert_null(s.proof);
	assert_int_equal(s.read_to, 0);
	assert_int_equal(wants_count(s.left), index_entries(s.third));
}

/* A run of zeros that is read in pieces, of which only the first holds something else. */
static void
a_run_is_right_in_all_its_pieces_or_left(void **state)
{
	enum { BYTES = (RUN_CHUNKS + 2) * CHUNK_BYTES };
	AUTO_FREE uint8_t *large = calloc(1, BYTES);
	AUTO_FREE uint8_t *held = calloc(1, BYTES);

	(void)state;
	assert_true(large && held);
	noise(large, CHUNK_BYTES, 1);
	noise(large + BYTES - CHUNK_BYTES, CHUNK_BYTES, 2);
	for (int wrong = 0; wrong < 2; wrong++) {
		struct scene s = {0};
		struct err e;

		memcpy(held, large, BYTES);
		held[CHUNK_BYTES + 7] = (uint8_t)wrong;
		made_image(&s.b.made, "rootfs", "rootfs", span_of(large, BYTES));
		s.b.index_fd = memory_file(buf_span(&s.b.made.index));
		s.b.memory = (struct memory_place){.bytes = held, .size = BYTES};
		scene_start(&s, 1);
		assert_int_equal(index_entries(s.third), 3);
		assert_int_equal(read_back(&s, 2, &e), 0);
		assert_false(wants_has(s.left, 0));
		assert_int_equal(wants_has(s.left, 1), wrong);
		s.b.memory.bytes = NULL;
		scene_free(&s);
	}
}

/* Whatever it has come to by then, all is read back in the end. */
static void
mending_is_followed(void **state)
{
	AUTO_FREE uint8_t *before = other_bytes();
	CLEANUP(scene_free) struct scene s;
	AUTO_WANTS struct wants *wrong = NULL;
	struct engine g;
	struct err e = ERR_INIT;

	(void)state;
	scene_make(&s, before, 1);
	g = bench_engine(&s.b);
	g.proof = s.proof;
	assert_int_equal(engine_compare(&g, &wrong, &e), 0);
	assert_int_equal(engine_mend(&g, wrong, &e), 0);
	wait_for_sync(&s);
	assert_int_equal(proof_end(&s.proof, &e), 0);
	assert_int_equal(engine_check(&g, s.left, NULL, &e), 0);
	assert_equal_and_checked(&s.b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_reads_back_as_it_should_is_done_with),
		cmocka_unit_test(what_was_not_written_is_not_read),
		cmocka_unit_test(what_does_not_is_left),
		cmocka_unit_test(what_cannot_be_read_is_left),
		cmocka_unit_test(a_sync_that_failed_is_not_forgotten),
		cmocka_unit_test(a_run_is_right_in_all_its_pieces_or_left),
		cmocka_unit_test(mending_is_followed),
	};

	return run_both_ways("proof", tests, ARRAY_LEN(tests));
}
