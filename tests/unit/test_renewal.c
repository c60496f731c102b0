#include "common/crypto/x509.h"
#include "signer/renewal.h"
#include "tests/unit/ledger_scene.h"

#define REQUEST_A "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
#define REQUEST_B "-----BEGIN CERTIFICATE REQUEST-----\nBBBB\n-----END CERTIFICATE REQUEST-----\n"
#define CA_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define CA_2 "2222222222222222222222222222222222222222222222222222222222222222"

static uint64_t seq;

/* A box says which certificate it shows, and asks, or not (""), for another. */
static void
say(struct ledger_scene *x, const char *box, const char *serial, const char *request)
{
	struct report r = ledger_scene_report(box, ++seq, BOX_IDLE, OUTCOME_NONE);

	(void)snprintf(r.certificate_serial, sizeof(r.certificate_serial), "%s", serial);
	(void)snprintf(r.certificate_request, sizeof(r.certificate_request), "%s", request);
	(void)snprintf(r.authorities_sha256, sizeof(r.authorities_sha256), "%s", CA_1);
	ledger_scene_put(x, &r);
	assert_int_equal(ledger_scene_drain(x).taken, 1);
}

static struct renewal_list
waiting(struct ledger_scene *x, int64_t since_s)
{
	struct renewal_list l = {0};
	struct err e = ERR_INIT;

	if (renewal_waiting(x->f, since_s, INT64_MAX, 8, &l, &e) < 0)
		fail_msg("%s", e.text);
	return l;
}

static bool
give(struct ledger_scene *x, const struct renewal_request *r, const char *serial, int64_t until_s,
	int64_t now_s)
{
	struct x509_info info = {.from_s = 1000, .until_s = until_s};
	struct err e = ERR_INIT;
	bool still = true;

	(void)snprintf(info.serial, sizeof(info.serial), "%s", serial);
	if (renewal_answer(x->f, r, CA_1, &info, span_str("PEM"), now_s, &still, &e) < 0)
		fail_msg("%s", e.text);
	return still;
}

static int
answer_see(void *arg, const char *box, struct span pem, struct err *e)
{
	char *names = arg;

	(void)e;
	assert_true(span_equal(pem, span_str("PEM")));
	(void)strcat(strcat(names, box), " ");
	return 0;
}

static void
assert_answers(struct ledger_scene *x, const char *wanted)
{
	char names[256] = "";
	struct err e = ERR_INIT;

	assert_int_equal(renewal_each_answer(x->f, answer_see, names, &e), 0);
	assert_string_equal(names, wanted);
}

static void
a_box_that_asks_is_answered_until_it_shows_the_answer(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0}, none = {0}, again = {0};

	ledger_scene_add(x, "gw-1");
	say(x, "gw-1", "aa", REQUEST_A);
	l = waiting(x, 0);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.list[0].name, "gw-1");
	assert_string_equal(l.list[0].request, REQUEST_A);
	assert_true(give(x, &l.list[0], "b1", 9000, 2000));
	assert_answers(x, "gw-1 ");
	/* It has not fetched it yet, and asks on. */
	say(x, "gw-1", "aa", REQUEST_A);
	assert_answers(x, "gw-1 ");
	none = waiting(x, 5000);
	assert_int_equal(none.count, 0);
	assert_false(give(x, &l.list[0], "b2", 9000, 2001));
	/* It has it. */
	say(x, "gw-1", "b1", "");
	assert_answers(x, "");
	/* The next one has to wait for its time. */
	say(x, "gw-1", "b1", REQUEST_B);
	again = waiting(x, 1999);
	assert_int_equal(again.count, 0);
	renewal_list_free(&again);
	again = waiting(x, 2000);
	assert_int_equal(again.count, 1);
	assert_int_equal(again.list[0].until_s, 9000);
}

static void
a_new_request_takes_the_place_of_the_old_one_and_its_answer(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list a = {0}, b = {0};

	ledger_scene_add(x, "gw-1");
	say(x, "gw-1", "aa", REQUEST_A);
	a = waiting(x, 0);
	say(x, "gw-1", "aa", REQUEST_B);
	assert_false(give(x, &a.list[0], "b1", 9000, 2000));
	b = waiting(x, 0);
	assert_int_equal(b.count, 1);
	assert_true(give(x, &b.list[0], "b2", 9000, 2000));
	say(x, "gw-1", "aa", REQUEST_A);
	assert_answers(x, "");
	/* One that asks for nothing any more gets nothing. */
	say(x, "gw-1", "aa", "");
	renewal_list_free(&b);
	b = waiting(x, 5000);
	assert_int_equal(b.count, 0);
}

static void
a_report_that_comes_late_changes_nothing(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};

	ledger_scene_add(x, "gw-1");
	seq += 10;
	say(x, "gw-1", "b1", "");
	seq -= 5;
	say(x, "gw-1", "aa", REQUEST_A);
	seq += 10;
	l = waiting(x, 0);
	assert_int_equal(l.count, 0);
}

static void
who_has_least_time_left_is_first_and_the_revoked_get_nothing(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0}, rest = {0};
	struct renewal_counts counts;
	struct err e = ERR_INIT;

	for (int i = 1; i <= 3; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "gw-%d", i);
		ledger_scene_add(x, name);
		say(x, name, "aa", REQUEST_A);
	}
	l = waiting(x, 0);
	assert_int_equal(l.count, 3);
	/* gw-2 gets one that ends soon, and asks at once again. */
	assert_true(give(x, &l.list[0], "b1", 3000, 100));
	assert_true(give(x, &l.list[1], "b2", 2500, 100));
	say(x, l.list[0].name, "b1", REQUEST_B);
	say(x, l.list[1].name, "b2", REQUEST_B);
	rest = waiting(x, 100);
	assert_int_equal(rest.count, 3);
	assert_int_equal(rest.list[0].until_s, 0);
	assert_string_equal(rest.list[1].name, l.list[1].name);
	assert_string_equal(rest.list[2].name, l.list[0].name);
	assert_true(give(x, &rest.list[1], "c1", 9000, 200));
	assert_int_equal(fleet_revoke(x->f, rest.list[0].name, 300, &e), 0);
	assert_int_equal(fleet_revoke(x->f, rest.list[1].name, 300, &e), 0);
	assert_false(give(x, &rest.list[0], "c2", 9000, 301));
	assert_answers(x, "");
	assert_int_equal(renewal_count(x->f, &counts, &e), 0);
	assert_int_equal(counts.waiting, 1);
	assert_int_equal(counts.answered, 0);
	assert_int_equal(counts.earliest_s, 3000);
}

/* Boxes that ask without end, for they cannot take their answers. */
static void
who_was_answered_longest_ago_is_first(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0}, late = {0};
	struct err e = ERR_INIT;
	int64_t until_s = 0;
	bool found;

	ledger_scene_add(x, "gw-1");
	ledger_scene_add(x, "gw-2");
	assert_int_equal(renewal_earliest(x->f, 300, 400, &found, &until_s, &e), 0);
	assert_false(found);
	say(x, "gw-1", "aa", REQUEST_A);
	say(x, "gw-2", "ab", REQUEST_A);
	l = waiting(x, 0);
	assert_true(give(x, &l.list[0], "b1", 2000, 200));
	assert_true(give(x, &l.list[1], "b2", 9000, 100));
	say(x, "gw-1", "b1", REQUEST_B);
	say(x, "gw-2", "b2", REQUEST_B);
	renewal_list_free(&l);
	l = waiting(x, 300);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.list[0].name, "gw-2");
	assert_string_equal(l.list[1].name, "gw-1");
	/* Whose time is short is known all the same. */
	assert_int_equal(renewal_earliest(x->f, 300, 400, &found, &until_s, &e), 0);
	assert_true(found && until_s == 2000);
	assert_int_equal(renewal_earliest(x->f, 100, 400, &found, &until_s, &e), 0);
	assert_true(found && until_s == 9000);
	/* An answer of a clock that was ahead is none. */
	assert_int_equal(renewal_waiting(x->f, 150, 150, 8, &late, &e), 0);
	assert_string_equal(late.list[0].name, "gw-1");
}

/* A fleet whose certificates all end in one week, of boxes that were answered before. */
static void
a_look_costs_the_same_however_many_wait(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	struct sql *s = NULL;
	struct err e = ERR_INIT;
	uint64_t before;

	ledger_scene_run(x,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
		"INSERT INTO box (name, compatible, tags, report_key, added_s) SELECT 'gw-' || i, "
		"'acme-gw3', '{}', '', 1000 FROM n;"
		"INSERT INTO renewal (box, request, until_s, answered_s) SELECT id, 'PEM', 9000 - "
		"id, CASE WHEN id % 2 THEN id ELSE 8000 + id END FROM box");
	assert_int_equal(fleet_sql(x->f, &s, &e), 0);
	before = sql_steps(s);
	assert_int_equal(renewal_waiting(x->f, 7000, 8000, 8, &l, &e), 0);
	assert_int_equal(l.count, 8);
	assert_true(sql_steps(s) > before);
	assert_in_range(sql_steps(s) - before, 1, 2500);
	/* Those of a clock that was ahead count as never answered. */
	assert_string_equal(l.list[0].name, "gw-16");
	assert_string_equal(l.list[7].name, "gw-2");
}

static void
the_oldest_answers_make_room(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	struct err e = ERR_INIT;
	uint64_t untaken = 9;

	for (int i = 1; i <= 3; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "gw-%d", i);
		ledger_scene_add(x, name);
		say(x, name, "aa", REQUEST_A);
	}
	l = waiting(x, 0);
	assert_true(give(x, &l.list[0], "b1", 9000, 300));
	assert_true(give(x, &l.list[1], "b2", 9000, 100));
	assert_true(give(x, &l.list[2], "b3", 9000, 200));
	assert_int_equal(renewal_yield(x->f, 99, 3, &untaken, &e), 0);
	assert_int_equal(untaken, 0);
	assert_int_equal(renewal_yield(x->f, 300, 1, &untaken, &e), 0);
	assert_int_equal(untaken, 1);
	assert_answers(x, "gw-1 gw-3 ");
	assert_int_equal(renewal_yield(x->f, 299, 3, &untaken, &e), 0);
	assert_int_equal(untaken, 1);
	assert_answers(x, "gw-1 ");
}

static void
what_is_refused_or_not_fetched_goes(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	struct renewal_counts counts;
	struct err e = ERR_INIT;
	uint64_t untaken;

	ledger_scene_add(x, "gw-1");
	ledger_scene_add(x, "gw-2");
	say(x, "gw-1", "aa", REQUEST_A);
	say(x, "gw-2", "ab", REQUEST_A);
	l = waiting(x, 0);
	assert_int_equal(renewal_refuse(x->f, &l.list[0], 100, &e), 0);
	assert_true(give(x, &l.list[1], "b1", 9000, 100));
	assert_int_equal(renewal_expire(x->f, 100, 200, &untaken, &e), 0);
	assert_int_equal(untaken, 0);
	assert_int_equal(renewal_count(x->f, &counts, &e), 0);
	assert_int_equal(counts.waiting, 0);
	assert_int_equal(counts.answered, 1);
	assert_int_equal(renewal_expire(x->f, 101, 200, &untaken, &e), 0);
	assert_int_equal(untaken, 1);
	assert_answers(x, "");
}

/* A host that was in another year for an hour. */
static void
what_a_wrong_clock_answered_is_answered_again(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0}, again = {0};
	struct err e = ERR_INIT;
	uint64_t untaken;

	ledger_scene_add(x, "gw-1");
	say(x, "gw-1", "aa", REQUEST_A);
	l = waiting(x, 0);
	assert_true(give(x, &l.list[0], "b1", 9000, 8000));
	assert_int_equal(renewal_expire(x->f, 100, 8000, &untaken, &e), 0);
	assert_answers(x, "gw-1 ");
	assert_int_equal(renewal_expire(x->f, 100, 200, &untaken, &e), 0);
	assert_answers(x, "");
	say(x, "gw-1", "aa", REQUEST_A);
	assert_int_equal(renewal_waiting(x->f, 100, 8000, 8, &again, &e), 0);
	assert_int_equal(again.count, 0);
	renewal_list_free(&again);
	assert_int_equal(renewal_waiting(x->f, 100, 200, 8, &again, &e), 0);
	assert_int_equal(again.count, 1);
}

static void
the_boxes_of_another_ca_are_counted_by_what_they_show(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	struct renewal_census c;
	struct err e = ERR_INIT;

	ledger_scene_add(x, "gw-1");
	ledger_scene_add(x, "gw-2");
	assert_int_equal(renewal_name_issuer(x->f, CA_2, &e), 0);
	assert_int_equal(renewal_census(x->f, CA_2, CA_2, &c, &e), 0);
	assert_true(c.strangers == 0 && c.unaware == 0 && c.unheard == 2);
	assert_string_equal(c.unheard_box, "gw-1");
	assert_int_equal(renewal_census(x->f, CA_1, CA_2, &c, &e), 0);
	assert_true(c.strangers == 2 && c.unaware == 0 && c.unheard == 2);
	say(x, "gw-1", "aa", REQUEST_A);
	l = waiting(x, 0);
	assert_true(give(x, &l.list[0], "b1", 9000, 100));
	assert_int_equal(renewal_census(x->f, CA_1, CA_2, &c, &e), 0);
	assert_true(c.strangers == 1 && c.unaware == 1 && c.unheard == 1);
	assert_string_equal(c.unheard_box, "gw-2");
	assert_string_equal(c.stranger, "gw-2");
	assert_string_equal(c.unaware_box, "gw-1");
	say(x, "gw-1", "b1", "");
	assert_int_equal(renewal_census(x->f, CA_1, CA_1, &c, &e), 0);
	assert_true(c.strangers == 1 && c.unaware == 0);
	assert_int_equal(renewal_census(x->f, CA_2, CA_1, &c, &e), 0);
	assert_true(c.strangers == 1);
	assert_string_equal(c.stranger, "gw-1");
	assert_int_equal(fleet_revoke(x->f, "gw-2", 300, &e), 0);
	assert_int_equal(renewal_census(x->f, CA_1, CA_1, &c, &e), 0);
	assert_true(c.strangers == 0 && c.unheard == 0);
}

/* The certificate that a box was made with. */
static const char *
first_serial(struct ledger_scene *x, const char *box)
{
	AUTO_QUERY struct query *q = NULL;
	static char serial[65];
	struct sql *s = NULL;
	struct err e = ERR_INIT;
	bool row = false;

	assert_int_equal(fleet_sql(x->f, &s, &e), 0);
	assert_int_equal(
		query_begin(s, &q, &e,
			"SELECT serial FROM certificate WHERE box = ?1 AND from_s = 900", "s", box),
		0);
	assert_int_equal(query_next(q, &row, &e), 0);
	assert_true(row);
	(void)snprintf(serial, sizeof(serial), "%s", query_text(q, 0));
	return serial;
}

static struct fleet_census
census(struct ledger_scene *x, int64_t now_s, int64_t soon_s)
{
	struct fleet_census c;
	struct err e = ERR_INIT;

	if (fleet_census(x->f, now_s, soon_s, &c, &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

static void
an_answer_that_is_not_taken_keeps_no_box_connected(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	struct fleet_census c;

	ledger_scene_add(x, "gw-1");
	say(x, "gw-1", first_serial(x, "gw-1"), REQUEST_A);
	l = waiting(x, 0);
	assert_int_equal(l.list[0].until_s, 5000);
	assert_true(give(x, &l.list[0], "b1", 9000, 2000));
	c = census(x, 3000, 6000);
	assert_true(c.boxes == 1 && c.due == 1 && c.expired == 0 && c.unknown == 0);
	assert_int_equal(c.earliest_s, 5000);
	assert_string_equal(c.earliest, "gw-1");
	say(x, "gw-1", "b1", "");
	c = census(x, 3000, 6000);
	assert_true(c.due == 0 && c.earliest_s == 9000);
}

/* It has run out, and is all that the box has. */
static void
what_a_box_shows_is_not_forgotten_when_it_is_answered(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	struct fleet_census c;

	ledger_scene_add(x, "gw-1");
	say(x, "gw-1", first_serial(x, "gw-1"), REQUEST_A);
	l = waiting(x, 0);
	assert_true(give(x, &l.list[0], "b1", 9000, 5001));
	c = census(x, 5001, 6000);
	assert_true(c.expired == 1 && c.unknown == 0 && c.earliest_s == 5000);
	say(x, "gw-1", "b1", "");
	c = census(x, 5001, 6000);
	assert_true(c.expired == 0 && c.earliest_s == 9000);
}

static void
a_certificate_that_fleet_db_does_not_know_is_told(void **state)
{
	struct ledger_scene *x = *state;
	struct fleet_census c;

	ledger_scene_add(x, "gw-1");
	ledger_scene_add(x, "gw-2");
	say(x, "gw-2", "ffff", "");
	c = census(x, 3000, 6000);
	assert_true(c.boxes == 2 && c.due == 1 && c.unknown == 1);
	assert_string_equal(c.earliest, "gw-1");
	assert_string_equal(c.unknown_box, "gw-2");
	/* Nor is another box's its own. */
	say(x, "gw-2", first_serial(x, "gw-1"), "");
	c = census(x, 3000, 6000);
	assert_int_equal(c.unknown, 1);
}

static void
a_box_that_is_heard_of_and_takes_no_answer_is_told(void **state)
{
	struct ledger_scene *x = *state;
	AUTO_RENEWAL_LIST struct renewal_list l = {0};
	struct renewal_untaken u;
	struct err e = ERR_INIT;

	ledger_scene_add(x, "gw-1");
	x->now_s = 1050;
	say(x, "gw-1", first_serial(x, "gw-1"), REQUEST_A);
	l = waiting(x, 0);
	assert_true(give(x, &l.list[0], "b1", 9000, 1050));
	/* It may just be off. */
	assert_int_equal(renewal_untaken(x->f, 100, &u, &e), 0);
	assert_int_equal(u.boxes, 0);
	x->now_s = 1101;
	say(x, "gw-1", first_serial(x, "gw-1"), REQUEST_A);
	assert_int_equal(renewal_untaken(x->f, 101, &u, &e), 0);
	assert_int_equal(u.boxes, 0);
	assert_int_equal(renewal_untaken(x->f, 100, &u, &e), 0);
	assert_int_equal(u.boxes, 1);
	assert_string_equal(u.box, "gw-1");
	say(x, "gw-1", "b1", "");
	assert_int_equal(renewal_untaken(x->f, 100, &u, &e), 0);
	assert_int_equal(u.boxes, 0);
}

int
main(void)
{
#define test(t) cmocka_unit_test_setup_teardown(t, ledger_scene_set, ledger_scene_clear)
	const struct CMUnitTest tests[] = {
		test(a_box_that_asks_is_answered_until_it_shows_the_answer),
		test(a_new_request_takes_the_place_of_the_old_one_and_its_answer),
		test(a_report_that_comes_late_changes_nothing),
		test(who_has_least_time_left_is_first_and_the_revoked_get_nothing),
		test(who_was_answered_longest_ago_is_first),
		test(a_look_costs_the_same_however_many_wait),
		test(the_oldest_answers_make_room),
		test(what_is_refused_or_not_fetched_goes),
		test(what_a_wrong_clock_answered_is_answered_again),
		test(the_boxes_of_another_ca_are_counted_by_what_they_show),
		test(an_answer_that_is_not_taken_keeps_no_box_connected),
		test(what_a_box_shows_is_not_forgotten_when_it_is_answered),
		test(a_certificate_that_fleet_db_does_not_know_is_told),
		test(a_box_that_is_heard_of_and_takes_no_answer_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
