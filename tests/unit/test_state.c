#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/state.h"
#include "common/base/file.h"
#include "tests/unit/folder.h"

static const char dir[] = ".", path[] = "./state.json", copy[] = "./state.copy.json";
/* Too large for the stack of a test that holds several. */
static struct state one, two;

static void
text_write(struct span text)
{
	assert_int_equal(folder_put(path, text.data, text.len), 0);
	assert_int_equal(folder_put(copy, text.data, text.len), 0);
}

/* Every field other than its fresh value. */
static void
state_fill(struct state *s)
{
	*s = (struct state){.next_seq = 18, .rollback_floor = 4, .floor_s = 1700000000};
	s->running[SIDE_A] = (struct release){true, "gateway", "2.3.0", 4, {{1, 2, 3}}, 2};
	s->linked[SIDE_B] = (struct release){true, "app", "1", 0, {{4}}, 0};
	s->pending = (struct pending){.phase = PHASE_ACTIVATED,
		.target = SIDE_B,
		.release = {true, "gateway", "2.4.0", 5, {{9}}, 1},
		.local = true,
		.rollout = "gateway-2.4.0",
		.wave = "canary",
		.plan_version = 3,
		.attempt = 1,
		.deadline_s = 900,
		.boot_id = "one",
		.first_seen_boot_ms = 77,
		.seen_boot_id = "two",
		.boots = 2,
		.switched = true,
		.answered = true,
		.in_order = true,
		.cancelled = true,
		.unreached = true,
		.in_doubt = true,
		.stale = true,
		.told = true};
	s->ended = (struct ended){.outcome = OUTCOME_INCONCLUSIVE,
		.class = ERR_NETWORK,
		.update = s->pending,
		.detail = "no answer",
		.seq = 17,
		.in_doubt = true,
		.doubt_boot_id = "three",
		.doubt_since_boot_ms = 99};
	state_remember_failed(
		s, &(struct failed){{{7}}, 1, true, 2, 1234, "health: \"no\"\nline two"});
	s->stops[s->stop_count++] = (struct sticky_stop){
		"00112233445566778899aabbccddeeff", "gates/all.json", "bad power supply"};
	s->spent = (struct spending){{{5}}, 1, 1000, 2000, 3000};
	s->floor_version = 12;
	s->floor_keys = (struct digest){{8}};
	s->seen = (struct tuf_floor){13, 14, 15, {{10}}};
	memcpy(s->last_result, "ok", 3);
}

static void
one_save(void)
{
	struct err e = ERR_INIT;

	state_fill(&one);
	assert_int_equal(state_save(dir, &one, &e), 0);
}

static void
first_state_is_fresh(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(state_load(dir, &one, &e), 0);
	assert_int_equal(one.next_seq, 1);
	assert_int_equal(one.pending.phase, PHASE_NONE);
	assert_int_equal(one.rollback_floor, 0);
	assert_false(one.running[SIDE_A].known);
}

static void
what_was_saved_is_loaded(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	state_fill(&one);
	assert_int_equal(state_save(dir, &one, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_memory_equal(&one.running, &two.running, sizeof(one.running));
	assert_memory_equal(&one.linked, &two.linked, sizeof(one.linked));
	assert_memory_equal(&one.pending, &two.pending, sizeof(one.pending));
	assert_memory_equal(&one.ended, &two.ended, sizeof(one.ended));
	assert_memory_equal(&one.failed, &two.failed, sizeof(one.failed));
	assert_memory_equal(&one.stops, &two.stops, sizeof(one.stops));
	assert_memory_equal(&one.spent, &two.spent, sizeof(one.spent));
	assert_memory_equal(&one.floor_keys, &two.floor_keys, sizeof(one.floor_keys));
	assert_memory_equal(&one.seen, &two.seen, sizeof(one.seen));
	assert_int_equal(two.failed_count, 1);
	assert_int_equal(two.stop_count, 1);
	assert_int_equal(two.rollback_floor, 4);
	assert_int_equal(two.next_seq, 18);
	assert_int_equal(two.floor_s, 1700000000);
	assert_int_equal(two.floor_version, 12);
	assert_string_equal(two.last_result, "ok");
}

static void
every_prefix_is_refused(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	struct err e = ERR_INIT;

	(void)state;
	state_fill(&one);
	assert_int_equal(state_save(dir, &one, &e), 0);
	assert_int_equal(file_read(path, &text, &e), 0);
	/* The last byte is a newline, which nobody misses. */
	for (size_t len = 0; len + 1 < text.len; len++) {
		two.next_seq = 4711;
		text_write(span_of(text.data, len));
		assert_int_equal(state_load(dir, &two, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		assert_non_null(strstr(e.text, path));
		assert_int_equal(two.next_seq, 4711);
	}
}

/* But for the name of the check itself, whose loss changes nothing else. */
static void
every_flip_is_refused_or_means_the_same(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024), again = BUF_INIT(64 * 1024);
	struct err e = ERR_INIT;

	(void)state;
	one_save();
	assert_int_equal(file_read(path, &text, &e), 0);
	for (size_t i = 0; i < text.len; i++) {
		text.data[i] ^= (uint8_t)(1 << (i % 8));
		text_write(buf_span(&text));
		text.data[i] ^= (uint8_t)(1 << (i % 8));
		if (state_load(dir, &two, &e) < 0) {
			assert_true(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
			continue;
		}
		assert_int_equal(state_save(dir, &two, &e), 0);
		buf_clear(&again);
		assert_int_equal(file_read(path, &again, &e), 0);
		assert_int_equal(again.len, text.len);
		assert_memory_equal(again.data, text.data, text.len);
	}
}

static void
a_damaged_file_is_made_up_for_by_its_copy_and_mended(void **state)
{
	static const char rotten[] = "{\"format\": 1";
	struct err e = ERR_INIT;

	(void)state;
	one_save();
	assert_int_equal(folder_put(path, rotten, strlen(rotten)), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_int_equal(two.rollback_floor, 4);
	assert_int_equal(two.next_seq, 18);
	assert_int_equal(state_save(dir, &two, &e), 0);
	assert_int_equal(file_remove(copy, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_int_equal(two.rollback_floor, 4);
}

static void
a_file_that_is_lost_is_made_up_for_by_its_copy(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	one_save();
	assert_int_equal(file_remove(path, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_int_equal(two.rollback_floor, 4);
}

/* A sector that cannot be read any more, as nearly as it can be had. */
static void
a_file_that_cannot_be_read_is_made_up_for_by_its_copy(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	one_save();
	assert_int_equal(file_remove(path, &e), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_int_equal(two.rollback_floor, 4);
}

static void
a_pipe_is_not_waited_for(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	one_save();
	assert_int_equal(file_remove(path, &e), 0);
	assert_int_equal(mkfifo(path, 0700), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_int_equal(two.rollback_floor, 4);
	/* And the next one mends it. */
	assert_int_equal(state_save(dir, &two, &e), 0);
	assert_int_equal(file_remove(copy, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
}

static void
the_file_is_believed_before_its_copy(void **state)
{
	static const char rotten[] = "{";
	struct err e = ERR_INIT;

	(void)state;
	one_save();
	assert_int_equal(folder_put(copy, rotten, 1), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_int_equal(two.rollback_floor, 4);
}

/* What it says is older than the file only when somebody wrote one of the two by hand. */
static void
the_copy_is_written_before_the_file(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	one_save();
	assert_int_equal(file_remove(copy, &e), 0);
	assert_int_equal(mkdir(copy, 0700), 0);
	one.rollback_floor = 5;
	assert_int_equal(state_save(dir, &one, &e), -1);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_int_equal(two.rollback_floor, 4);
}

static void
check_put(json_t *root)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	char hex[DIGEST_HEX_SIZE];
	struct err e = ERR_INIT;
	struct digest d;

	assert_int_equal(json_object_del(root, "check"), 0);
	assert_int_equal(json_canonical(root, &text, &e), 0);
	d = digest_of(buf_span(&text));
	assert_int_equal(json_object_set_new(root, "check", json_string(digest_hex(&d, hex))), 0);
}

/* Saves one without a field, or with another one, and loads that. */
static int
load_changed(const char *without, const char *with, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024), changed = BUF_INIT(64 * 1024);
	AUTO_JSON json_t *root = NULL;

	state_fill(&one);
	assert_int_equal(state_save(dir, &one, e), 0);
	assert_int_equal(file_read(path, &text, e), 0);
	assert_int_equal(json_parse(buf_span(&text), "state", &root, e), 0);
	if (without)
		assert_int_equal(json_object_del(root, without), 0);
	if (with)
		assert_int_equal(json_object_set_new(root, with, json_null()), 0);
	check_put(root);
	assert_int_equal(json_pretty(root, &changed, e), 0);
	text_write(buf_span(&changed));
	return state_load(dir, &two, e);
}

static void
missing_fields_are_refused(void **state)
{
	static const char *const fields[] = {"format", "running", "linked", "rollback_floor",
		"pending", "failed", "stops", "next_seq", "floor_s", "floor_version", "floor_keys",
		"last_result"};
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		assert_int_equal(load_changed(fields[i], NULL, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
}

/* A box that goes back runs an older agent, and then again a newer one. */
static void
the_state_of_an_older_or_newer_agent_is_read(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(load_changed("ended", NULL, &e), 0);
	assert_int_equal(two.ended.outcome, OUTCOME_NONE);
	assert_int_equal(two.rollback_floor, 4);
	assert_int_equal(load_changed("spent", NULL, &e), 0);
	assert_int_equal(two.spent.bytes, 0);
	assert_int_equal(load_changed(NULL, "colour", &e), 0);
	assert_int_equal(two.rollback_floor, 4);
}

static void
reason_that_is_no_utf8_is_still_saved(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	state_fill(&one);
	memcpy(one.last_result, "caf\xe9", 5);
	assert_int_equal(state_save(dir, &one, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), 0);
	assert_string_equal(two.last_result, "caf?");
}

static void
failure_is_found_replaced_and_the_oldest_goes(void **state)
{
	struct digest d = {{0}};

	(void)state;
	one = (struct state){.next_seq = 1};
	for (uint8_t i = 0; i < FAILED_MAX + 2; i++) {
		d.b[0] = i;
		state_remember_failed(&one, &(struct failed){.manifest = d, .attempt = 1});
	}
	assert_int_equal(one.failed_count, FAILED_MAX);
	d.b[0] = 1;
	assert_null(state_failed(&one, &d));
	d.b[0] = 5; /* not the oldest */
	assert_non_null(state_failed(&one, &d));
	state_remember_failed(&one, &(struct failed){.manifest = d, .attempt = 5});
	assert_int_equal(one.failed_count, FAILED_MAX);
	assert_int_equal(state_failed(&one, &d)->attempt, 5);
	assert_ptr_equal(state_failed(&one, &d), &one.failed[FAILED_MAX - 1]);
}

static void
what_makes_no_sense_is_refused(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	state_fill(&one);
	one.pending.release.known = false;
	assert_int_equal(state_save(dir, &one, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "without its release"));
	state_fill(&one);
	memcpy(one.stops[0].id, "no hex", 7);
	assert_int_equal(state_save(dir, &one, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	state_fill(&one);
	memcpy(one.running[SIDE_A].name, "../x", 5);
	assert_int_equal(state_save(dir, &one, &e), 0);
	assert_int_equal(state_load(dir, &two, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
}

static void
second_lock_is_refused(void **state)
{
	AUTO_CLOSE int first = -1, second = -1;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(state_lock(dir, &first, &e), 0);
	assert_int_equal(state_lock(dir, &second, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(second, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			first_state_is_fresh, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			what_was_saved_is_loaded, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			every_prefix_is_refused, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			every_flip_is_refused_or_means_the_same, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_damaged_file_is_made_up_for_by_its_copy_and_mended, folder_enter_memory,
			folder_leave),
		cmocka_unit_test_setup_teardown(a_file_that_is_lost_is_made_up_for_by_its_copy,
			folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_file_that_cannot_be_read_is_made_up_for_by_its_copy, folder_enter_memory,
			folder_leave),
		cmocka_unit_test_setup_teardown(
			a_pipe_is_not_waited_for, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			the_file_is_believed_before_its_copy, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			the_copy_is_written_before_the_file, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			missing_fields_are_refused, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(the_state_of_an_older_or_newer_agent_is_read,
			folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			reason_that_is_no_utf8_is_still_saved, folder_enter_memory, folder_leave),
		cmocka_unit_test(failure_is_found_replaced_and_the_oldest_goes),
		cmocka_unit_test_setup_teardown(
			what_makes_no_sense_is_refused, folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			second_lock_is_refused, folder_enter_memory, folder_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
