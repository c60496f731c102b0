#include "common/base/num.h"
#include "common/format/field.h"
#include "signer/headcount.h"
#include "signer/record.h"
#include "tests/unit/ledger_scene.h"

#include <string.h>

static void
what_is_known_of_a_box_is_of_its_newest_report(void **state)
{
	struct ledger_scene *x = *state;
	struct report old = ledger_scene_report("gw-1", 2, BOX_IDLE, OUTCOME_REVERTED),
		      new = ledger_scene_success("gw-1", 5);
	struct found found;

	ledger_scene_add(x, "gw-1");
	(void)snprintf(old.class_, sizeof(old.class_), "refused");
	ledger_scene_put(x, &new);
	assert_int_equal(ledger_scene_drain(x).taken, 1);
	ledger_scene_put(x, &old);
	assert_int_equal(ledger_scene_drain(x).taken, 1);
	found = ledger_scene_box(x, "gw-1");
	assert_int_equal(found.seq, 5);
	assert_string_equal(found.state, "confirmed");
	assert_string_equal(found.outcome, "ok");
	assert_string_equal(found.class_, "none");
	assert_string_equal(found.running, NEW_SHA);
	assert_int_equal(found.failed_seq, 2);
	assert_int_equal(ledger_scene_history(x, "gw-1").count, 2);
	/* What came last may be about nothing: the last outcome stays. */
	new = ledger_scene_report("gw-1", 6, BOX_HELD, OUTCOME_NONE);
	ledger_scene_put(x, &new);
	(void)ledger_scene_drain(x);
	found = ledger_scene_box(x, "gw-1");
	assert_string_equal(found.state, "held");
	assert_string_equal(found.outcome, "ok");
}

static void
of_a_boxs_reports_the_newest_are_kept_and_those_of_its_last_failure(void **state)
{
	struct ledger_scene *x = *state;
	struct found found;
	struct report r;

	ledger_scene_add(x, "gw-1");
	for (uint64_t seq = 1; seq <= 150; seq++) {
		r = ledger_scene_report("gw-1", seq, BOX_HELD, OUTCOME_NONE);
		if (seq == 3 || seq == 20)
			r.state = BOX_STARTING;
		if (seq == 5 || seq == 23) {
			r.state = BOX_IDLE;
			r.outcome = OUTCOME_REVERTED;
		}
		ledger_scene_put(x, &r);
	}
	assert_int_equal(ledger_scene_drain(x).taken, 150);
	found = ledger_scene_history(x, "gw-1");
	assert_int_equal(found.count, LEDGER_KEPT + 4);
	assert_int_equal(found.seqs[0], 150);
	assert_int_equal(found.seqs[LEDGER_KEPT - 1], 150 - LEDGER_KEPT + 1);
	assert_int_equal(found.seqs[LEDGER_KEPT], 23);
	assert_int_equal(found.seqs[LEDGER_KEPT + 3], 20);
	assert_int_equal(ledger_scene_box(x, "gw-1").failed_seq, 23);
	/* One whose row is gone is no new one, and one whose row is there neither. */
	r = ledger_scene_report("gw-1", 7, BOX_STARTING, OUTCOME_NONE);
	ledger_scene_put(x, &r);
	r = ledger_scene_report("gw-1", 149, BOX_HELD, OUTCOME_NONE);
	ledger_scene_put(x, &r);
	assert_int_equal(ledger_scene_drain(x).duplicates, 2);
	assert_int_equal(ledger_scene_history(x, "gw-1").count, LEDGER_KEPT + 4);
	/* And so on. */
	for (uint64_t seq = 151; seq <= 183; seq++) {
		r = ledger_scene_report("gw-1", seq, BOX_HELD, OUTCOME_NONE);
		ledger_scene_put(x, &r);
	}
	assert_int_equal(ledger_scene_drain(x).taken, 33);
	assert_int_equal(ledger_scene_history(x, "gw-1").count, LEDGER_KEPT + 4);
}

/* One that fails again and again without ever starting anew. */
static void
no_box_has_more_reports_kept_than_so_many(void **state)
{
	struct ledger_scene *x = *state;
	struct report r;

	ledger_scene_add(x, "gw-1");
	for (uint64_t seq = 1; seq <= 300; seq++) {
		r = ledger_scene_report("gw-1", seq, BOX_IDLE, OUTCOME_FAILED);
		if (seq == 1) {
			r.state = BOX_STARTING;
			r.outcome = OUTCOME_NONE;
		}
		ledger_scene_put(x, &r);
	}
	assert_int_equal(ledger_scene_drain(x).taken, 300);
	assert_in_range(ledger_scene_history(x, "gw-1").count, LEDGER_KEPT, 2 * LEDGER_KEPT + 33);
	assert_int_equal(ledger_scene_box(x, "gw-1").failed_seq, 300);
}

/* A batch that failed for it would come again for ever, and no report behind it would be heard. */
static void
the_longest_tags_that_a_report_may_have_are_taken(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_IDLE, OUTCOME_NONE);
	AUTO_JSON json_t *tags = json_object();
	char key[NAME_BYTES_MAX + 1], value[NAME_BYTES_MAX + 1];

	memset(key, '"', NAME_BYTES_MAX);
	memset(value, '\\', NAME_BYTES_MAX);
	key[NAME_BYTES_MAX] = value[NAME_BYTES_MAX] = '\0';
	for (int i = 0; i < FIELD_TAGS_MAX; i++) {
		for (int bit = 0; bit < 6; bit++)
			key[bit] = i >> bit & 1 ? '"' : '\\';
		assert_int_equal(json_object_set_new(tags, key, json_string(value)), 0);
	}
	assert_int_equal(json_object_size(tags), FIELD_TAGS_MAX);
	ledger_scene_add(x, "gw-1");
	r.tags = tags;
	ledger_scene_put(x, &r);
	assert_int_equal(ledger_scene_drain(x).taken, 1);
}

static void
a_box_with_new_keys_counts_from_1_again(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 9, BOX_STARTING, OUTCOME_NONE);
	struct err e = ERR_INIT;

	ledger_scene_add(x, "gw-1");
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	assert_int_equal(fleet_revoke(x->f, "gw-1", 2000, &e), 0);
	ledger_scene_add(x, "gw-1");
	assert_int_equal(ledger_scene_box(x, "gw-1").seq, 0);
	r = ledger_scene_report("gw-1", 1, BOX_HELD, OUTCOME_NONE);
	ledger_scene_put(x, &r);
	assert_int_equal(ledger_scene_drain(x).taken, 1);
	assert_int_equal(ledger_scene_box(x, "gw-1").seq, 1);
	assert_int_equal(ledger_scene_history(x, "gw-1").count, 1);
}

static struct ledger_share
share(struct ledger_scene *x, const char *stop, const char *path)
{
	struct ledger_share s;
	struct err e = ERR_INIT;

	assert_int_equal(ledger_stop_share(x->f, stop, path, &s, &e), 0);
	return s;
}

static void
a_stop_knows_which_share_of_the_fleet_has_taken_it(void **state)
{
	static const char other[] = "ffeeddccbbaa99887766554433221100";
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_HELD, OUTCOME_NONE);
	struct err e = ERR_INIT;

	for (unsigned i = 1; i <= 4; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "gw-%u", i);
		ledger_scene_add(x, name);
	}
	r.stop_count = 2;
	memcpy(r.stops[0], STOP_ID, STOP_ID_SIZE);
	memcpy(r.stops[1], other, STOP_ID_SIZE);
	ledger_scene_put(x, &r);
	r = ledger_scene_report("gw-2", 1, BOX_HELD, OUTCOME_NONE);
	(void)snprintf(r.plan, sizeof(r.plan), "rollouts/other.json");
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	assert_string_equal(ledger_scene_box(x, "gw-1").stops,
		"00112233445566778899aabbccddeeff ffeeddccbbaa99887766554433221100");
	assert_int_equal(share(x, STOP_ID, NULL).taken, 1);
	assert_int_equal(share(x, STOP_ID, NULL).boxes, 4);
	assert_int_equal(share(x, STOP_ID, "rollouts/stable.json").taken, 1);
	assert_int_equal(share(x, STOP_ID, "rollouts/stable.json").boxes, 3);
	assert_int_equal(share(x, STOP_ID, "rollouts/other.json").taken, 0);
	/* One of the two was lifted. */
	r = ledger_scene_report("gw-1", 2, BOX_HELD, OUTCOME_NONE);
	r.stop_count = 1;
	memcpy(r.stops[0], other, STOP_ID_SIZE);
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	assert_int_equal(share(x, STOP_ID, NULL).taken, 0);
	assert_int_equal(share(x, other, NULL).taken, 1);
	/* A report that comes late changes nothing. */
	r = ledger_scene_report("gw-1", 1, BOX_HELD, OUTCOME_NONE);
	ledger_scene_put(x, &r);
	(void)ledger_scene_drain(x);
	assert_int_equal(share(x, STOP_ID, NULL).taken, 0);
	assert_int_equal(fleet_revoke(x->f, "gw-1", 2000, &e), 0);
	assert_int_equal(share(x, other, NULL).taken, 0);
	assert_int_equal(share(x, other, NULL).boxes, 3);
}

static void
assert_rows(const struct headcount *h, enum headcount_kind kind, const char *expected)
{
	AUTO_JSON json_t *rows = headcount_rows(h, kind);
	char text[256] = "";
	const json_t *row;
	size_t i;

	assert_non_null(rows);
	json_array_foreach (rows, i, row) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "%s=%lld ", json_text(row, "what"),
			(long long)json_integer_value(json_object_get(row, "boxes")));
	}
	assert_string_equal(text, expected);
}

static void
what_an_update_was_to_take_is_kept(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_report("gw-1", 1, BOX_STARTING, OUTCOME_NONE), back;
	struct report_haul haul = {1, 2, 3, 4, 5, 1ULL << 53, 7, 8, 9};
	struct err e = ERR_INIT;
	bool found;

	ledger_scene_add(x, "gw-1");
	ledger_scene_put(x, &r);
	r.seq = 2;
	r.has_haul = true;
	r.haul = haul;
	ledger_scene_put(x, &r);
	assert_int_equal(ledger_scene_drain(x).taken, 2);
	assert_int_equal(ledger_report(x->f, "gw-1", 1, &found, &back, &e), 0);
	assert_true(found && !back.has_haul);
	assert_int_equal(ledger_report(x->f, "gw-1", 2, &found, &back, &e), 0);
	assert_true(found && back.has_haul);
	assert_memory_equal(&back.haul, &haul, sizeof(haul));
}

static void
the_fleet_is_counted_by_state_version_and_failure(void **state)
{
	struct ledger_scene *x = *state;
	struct report r = ledger_scene_success("gw-1", 1);
	AUTO_HEADCOUNT struct headcount heads = {0};
	struct ledger_filter filter = {.outcome = "failed"};
	struct ledger_census census;
	struct found found = {0};
	struct err e = ERR_INIT;

	for (unsigned i = 1; i <= 5; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "gw-%u", i);
		ledger_scene_add(x, name);
	}
	assert_int_equal(fleet_revoke(x->f, "gw-5", 2000, &e), 0);
	ledger_scene_put(x, &r);
	for (unsigned i = 2; i <= 3; i++) {
		r = ledger_scene_report("gw-2", 1, BOX_IDLE, OUTCOME_FAILED);
		(void)snprintf(r.class_, sizeof(r.class_), "untrusted");
		(void)snprintf(r.box, sizeof(r.box), "gw-%u", i);
		ledger_scene_put(x, &r);
	}
	assert_int_equal(ledger_scene_drain(x).taken, 3);
	assert_int_equal(headcount_take(x->f, x->now_s, &heads, &e), 0);
	assert_rows(&heads, HEADCOUNT_BY_STATE, "idle=2 =1 confirmed=1 ");
	assert_rows(&heads, HEADCOUNT_BY_VERSION, "2.3.0=2 =1 2.4.0=1 ");
	assert_rows(&heads, HEADCOUNT_BY_FAILURE, "untrusted=2 ");
	assert_rows(&heads, HEADCOUNT_BY_PLAN, "rollouts/stable.json=3 =1 ");
	assert_int_equal(headcount_followers(&heads, NULL), 4);
	assert_int_equal(headcount_followers(&heads, "rollouts/stable.json"), 4);
	assert_int_equal(headcount_followers(&heads, "rollouts/other.json"), 1);
	assert_true(heads.census.boxes == 4 && heads.census.never == 1 && heads.census.silent == 3);
	headcount_free(&heads);
	assert_int_equal(headcount_take(x->f, 1, &heads, &e), 0);
	assert_int_equal(heads.census.silent, 0);
	assert_int_equal(ledger_census(x->f, x->now_s, &census, &e), 0);
	assert_true(census.boxes == 4 && census.never == 1 && census.silent == 3);
	assert_int_equal(ledger_census(x->f, 1, &census, &e), 0);
	assert_int_equal(census.silent, 0);
	assert_int_equal(ledger_each_box(x->f, &filter, find_box, &found, &e), 0);
	assert_int_equal(found.count, 2);
	assert_string_equal(found.name, "gw-3");
	found.count = 0;
	filter = (struct ledger_filter){.silent_since_s = 1};
	assert_int_equal(ledger_each_box(x->f, &filter, find_box, &found, &e), 0);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.name, "gw-4");
}

static bool
audit_says(struct ledger_scene *x, uint64_t seq, enum authentic authentic, const char *detail,
	int64_t heard_s)
{
	struct report r = ledger_scene_report("gw-1", seq, BOX_IDLE, OUTCOME_NONE);
	enum recorded recorded;
	struct sql *s = NULL;
	struct err e = ERR_INIT;
	bool alarm = false;

	r.authentic = authentic;
	(void)snprintf(r.detail, sizeof(r.detail), "%s", detail);
	r.tags = json_object();
	assert_int_equal(fleet_sql(x->f, &s, &e), 0);
	assert_int_equal(record_add(s, 1, &r, heard_s, &recorded, &alarm, &e), 0);
	assert_int_equal(recorded, RECORD_NEW);
	json_decref(r.tags);
	return alarm;
}

static bool
audit_alarms(struct ledger_scene *x, uint64_t seq, enum authentic authentic, int64_t heard_s)
{
	return audit_says(x, seq, authentic, "", heard_s);
}

/* What runs has been changed once more, and somebody has to know that, too. */
static void
an_audit_that_finds_something_else_is_told_at_once(void **state)
{
	static const char *const found[] = {"not authentic: chunk 3", "not authentic: chunk 3",
		"held; not authentic: chunk 3", "not authentic: chunk 2", "not authentic: chunk 3"};
	static const bool told[] = {true, false, false, true, true};
	struct ledger_scene *x = *state;

	ledger_scene_add(x, "gw-1");
	for (size_t i = 0; i < ARRAY_LEN(found); i++)
		assert_int_equal(
			audit_says(x, i + 1, AUTHENTIC_NO, found[i], 1000 + (int64_t)i), told[i]);
}

static void
an_audit_that_fails_again_within_a_day_is_told_after_it(void **state)
{
	enum { DAY_S = 86400 };
	struct ledger_scene *x = *state;

	ledger_scene_add(x, "gw-1");
	assert_true(audit_alarms(x, 1, AUTHENTIC_NO, 1000));
	assert_false(audit_alarms(x, 2, AUTHENTIC_NO, 2 * DAY_S));
	assert_false(audit_alarms(x, 3, AUTHENTIC_YES, 2 * DAY_S));
	assert_true(audit_alarms(x, 4, AUTHENTIC_NO, 2 * DAY_S));
	assert_false(audit_alarms(x, 5, AUTHENTIC_YES, 2 * DAY_S + 100));
	assert_false(audit_alarms(x, 6, AUTHENTIC_NO, 2 * DAY_S + 200));
	assert_false(audit_alarms(x, 7, AUTHENTIC_NO, 3 * DAY_S - 1));
	assert_true(audit_alarms(x, 8, AUTHENTIC_NO, 3 * DAY_S));
	assert_false(audit_alarms(x, 9, AUTHENTIC_NO, 9 * DAY_S));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_scene_set, ledger_scene_clear)
	const struct CMUnitTest tests[] = {
		TEST(what_is_known_of_a_box_is_of_its_newest_report),
		TEST(of_a_boxs_reports_the_newest_are_kept_and_those_of_its_last_failure),
		TEST(no_box_has_more_reports_kept_than_so_many),
		TEST(the_longest_tags_that_a_report_may_have_are_taken),
		TEST(a_box_with_new_keys_counts_from_1_again),
		TEST(a_stop_knows_which_share_of_the_fleet_has_taken_it),
		TEST(what_an_update_was_to_take_is_kept),
		TEST(the_fleet_is_counted_by_state_version_and_failure),
		TEST(an_audit_that_finds_something_else_is_told_at_once),
		TEST(an_audit_that_fails_again_within_a_day_is_told_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
