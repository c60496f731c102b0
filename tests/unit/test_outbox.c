#include "tests/unit/outbox_scene.h"

#include "signer/alarm.h"
#include "signer/courier.h"

static void
a_fact_is_one_event_however_often_it_is_found(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		put(WEBHOOK_STOPPED, "one", 1000 + i);
		/* It was killed, and another one finds the same. */
		fleet_close(&f);
		open_fleet();
	}
	put(WEBHOOK_STOPPED, "two", 1000);
	put(WEBHOOK_HELD, "one", 1000);
	assert_int_equal(number("SELECT count(*) FROM event"), 3);
	assert_int_equal(census(CHAT).waiting, 3);
	/* Who wants stops alone hears of no other. */
	assert_int_equal(census(PAGER).waiting, 2);
}

static void
what_was_delivered_is_not_made_anew(void **state)
{
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};

	(void)state;
	put(WEBHOOK_HELD, "one", 1000);
	b = next(1000);
	assert_int_equal(b.count, 1);
	assert_int_equal(settle(&b.list[0], 204, 0, 1000), OUTBOX_TAKEN);
	put(WEBHOOK_HELD, "one", 2000);
	assert_false(is_due(2000));
	assert_int_equal(census(CHAT).taken, 1);
}

static void
names_come_of_facts_and_no_two_lists_of_facts_have_one(void **state)
{
	static const struct outbox_event events[] = {
		{WEBHOOK_HELD, {"a", "b", NULL}, NULL, 1},
		{WEBHOOK_STOPPED, {"a", "b", NULL}, NULL, 1},
		{WEBHOOK_HELD, {"ab", NULL}, NULL, 1},
		{WEBHOOK_HELD, {"a", "b", "", NULL}, NULL, 1},
		{WEBHOOK_HELD, {"", "a", "b", NULL}, NULL, 1},
	};
	char names[5][OUTBOX_NAME_SIZE], again[OUTBOX_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct outbox_event later = events[i];

		later.at_s = 77;
		outbox_name(&events[i], names[i]);
		outbox_name(&later, again);
		assert_string_equal(names[i], again);
		assert_int_equal(strlen(names[i]), 32);
		for (size_t n = 0; n < i; n++)
			assert_string_not_equal(names[i], names[n]);
	}
}

static void
a_body_says_what_when_and_where(void **state)
{
	AUTO_BUF struct buf body = BUF_INIT(WEBHOOK_BODY_MAX), large = BUF_INIT(64);
	AUTO_JSON json_t *fields =
		json_pack("{s:s, s:s}", "reason", "a \"b\"\n\x01", "id", "of somebody else");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(outbox_body(&w, "stopped", "00ff", 1795359600, fields, &body, &e), 0);
	assert_string_equal(buf_str(&body),
		"{\"at\":\"2026-11-22T15:00:00Z\",\"event\":\"stopped\",\"id\":\"00ff\","
		"\"reason\":\"a \\\"b\\\"\\n\\u0001\",\"site\":\"https://updates.example.com/\"}");
	assert_int_equal(outbox_body(&w, "stopped", "00ff", 1, fields, &large, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
}

static void
what_failed_is_tried_again_later_and_the_rest_of_the_queue_goes_on(void **state)
{
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};
	AUTO_OUTBOX_BATCH struct outbox_batch c = {0};

	(void)state;
	put(WEBHOOK_HELD, "one", 1000);
	put(WEBHOOK_HELD, "two", 1000);
	b = next(1000);
	assert_int_equal(b.count, 2);
	assert_int_equal(settle(&b.list[0], 500, 0, 1000), OUTBOX_AGAIN);
	c = next(1000);
	assert_int_equal(c.count, 1);
	assert_string_equal(c.list[0].name, b.list[1].name);
	assert_int_equal(settle(&c.list[0], 200, 0, 1000), OUTBOX_TAKEN);
	assert_false(is_due(1000));
	assert_true(is_due(1002));
	assert_int_equal(number("SELECT tries FROM delivery WHERE state = 'waiting'"), 1);
}

static void
where_a_receiver_is_down_all_that_waits_for_it_waits_and_no_other(void **state)
{
	static const unsigned down[] = {0, 429, 503};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		AUTO_OUTBOX_BATCH struct outbox_batch b = {0};
		int64_t now_s = 1000 + (int64_t)i * 10000;
		char fact[16];

		for (int n = 0; n < 10; n++) {
			(void)snprintf(fact, sizeof(fact), "%zu %d", i, n);
			put(WEBHOOK_STOPPED, fact, now_s);
		}
		b = next(now_s);
		assert_int_equal(b.count, 2 * WEBHOOK_ROUND_EACH);
		for (size_t n = 0; n < b.count; n++) {
			if (strcmp(b.list[n].url, CHAT) == 0) {
				assert_int_equal(
					settle(&b.list[n], down[i], 100, now_s), OUTBOX_AGAIN);
				break;
			}
		}
		outbox_batch_free(&b);
		b = next(now_s + 99);
		assert_int_equal(b.count, WEBHOOK_ROUND_EACH);
		for (size_t n = 0; n < b.count; n++)
			assert_string_equal(b.list[n].url, PAGER);
		outbox_batch_free(&b);
		b = next(now_s + 100);
		assert_int_equal(b.count, 2 * WEBHOOK_ROUND_EACH);
	}
}

static void
waits_double_within_bounds_and_retry_after_is_believed_up_to_one(void **state)
{
	const struct outbox_answer failed = {.status = 500};
	uint64_t most = 2, wait = 0;

	(void)state;
	for (uint64_t tries = 1; tries < 80; tries++) {
		uint64_t least = UINT64_MAX, longest = 0;

		for (int i = 0; i < 200; i++) {
			assert_int_equal(outbox_judge(&failed, tries, 0, 10, &wait), OUTBOX_AGAIN);
			assert_true(wait >= most - most / 2 && wait <= most);
			least = wait < least ? wait : least;
			longest = wait > longest ? wait : longest;
		}
		/* Not all at once. */
		assert_true(least < longest);
		most = most * 2 < WEBHOOK_WAIT_MAX_S ? most * 2 : WEBHOOK_WAIT_MAX_S;
	}
	assert_int_equal(outbox_judge(&(struct outbox_answer){.status = 503, .retry_after_s = 77},
				 1, 0, 10, &wait),
		OUTBOX_AGAIN);
	assert_int_equal(wait, 77);
	assert_int_equal(
		outbox_judge(&(struct outbox_answer){.status = 429, .retry_after_s = UINT64_MAX}, 1,
			0, 10, &wait),
		OUTBOX_AGAIN);
	assert_int_equal(wait, WEBHOOK_WAIT_MAX_S);
}

static void
only_2xx_is_taken_and_410_or_three_days_is_the_end(void **state)
{
	uint64_t wait;

	(void)state;
	for (unsigned status = 100; status < 600; status++) {
		const struct outbox_answer a = {.status = status};
		enum outbox_fate fate = outbox_judge(&a, 1, 0, 0, &wait);

		assert_int_equal(fate, status / 100 == 2 ? OUTBOX_TAKEN
				       : status == 410	 ? OUTBOX_DEAD
							 : OUTBOX_AGAIN);
	}
	assert_int_equal(
		outbox_judge(&(struct outbox_answer){0}, 9, 50, 50 + WEBHOOK_AGE_MAX_S - 1, &wait),
		OUTBOX_AGAIN);
	assert_int_equal(
		outbox_judge(&(struct outbox_answer){0}, 9, 50, 50 + WEBHOOK_AGE_MAX_S, &wait),
		OUTBOX_DEAD);
	assert_int_equal(outbox_judge(&(struct outbox_answer){.status = 200}, 9, 50,
				 50 + WEBHOOK_AGE_MAX_S, &wait),
		OUTBOX_TAKEN);
}

static int
count_dead(void *arg, const struct outbox_delivery *d, struct err *e)
{
	uint64_t *count = arg;

	(void)e;
	assert_non_null(d->url);
	assert_true(d->answer[0] && d->kind[0]);
	++*count;
	return 0;
}

static void
dead_letters_are_kept_and_put_back(void **state)
{
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};
	struct err e = ERR_INIT;
	uint64_t count = 0;

	(void)state;
	put(WEBHOOK_HELD, "one", 1000);
	put(WEBHOOK_HELD, "two", 1000);
	b = next(1000);
	assert_int_equal(settle(&b.list[0], 410, 0, 1000), OUTBOX_DEAD);
	assert_int_equal(settle(&b.list[1], 410, 0, 1000), OUTBOX_DEAD);
	assert_false(is_due(INT32_MAX));
	assert_int_equal(outbox_each_dead(s, count_dead, &count, &e), 0);
	assert_int_equal(count, 2);
	assert_int_equal(outbox_revive(s, &w, "none", 2000, &count, &e), 0);
	assert_int_equal(count, 0);
	assert_int_equal(outbox_revive(s, &w, b.list[0].name, 2000, &count, &e), 0);
	assert_int_equal(count, 1);
	assert_int_equal(census(CHAT).dead, 1);
	assert_int_equal(outbox_revive(s, &w, NULL, 2000, &count, &e), 0);
	assert_int_equal(count, 1);
	outbox_batch_free(&b);
	b = next(2000);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.list[0].tries, 0);
	assert_int_equal(b.list[0].since_s, 2000);
}

static void
what_waited_for_days_dies_with_the_first_try_that_fails(void **state)
{
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};
	const int64_t late_s = 1000 + WEBHOOK_AGE_MAX_S;
	char fact[8];

	(void)state;
	for (int n = 0; n < 9; n++) {
		(void)snprintf(fact, sizeof(fact), "%d", n);
		put(WEBHOOK_HELD, fact, 1000);
	}
	put(WEBHOOK_HELD, "new", late_s);
	b = next(late_s);
	assert_int_equal(settle(&b.list[0], 0, 0, late_s), OUTBOX_DEAD);
	assert_int_equal(census(CHAT).dead, 9);
	assert_int_equal(census(CHAT).waiting, 1);
}

static void
what_waits_for_nobody_any_more_is_a_dead_letter(void **state)
{
	struct err e = ERR_INIT;
	uint64_t count;

	(void)state;
	put(WEBHOOK_STOPPED, "one", 1000);
	w.webhooks.count = 1;
	assert_int_equal(outbox_bury(s, &w, &e), 0);
	assert_int_equal(census(PAGER).dead, 1);
	assert_int_equal(census(CHAT).waiting, 1);
	assert_int_equal(outbox_revive(s, &w, NULL, 2000, &count, &e), 0);
	assert_int_equal(count, 0);
	w.webhooks.count = 2;
	assert_int_equal(outbox_revive(s, &w, NULL, 2000, &count, &e), 0);
	assert_int_equal(count, 1);
}

static void
alarm_all(size_t boxes)
{
	struct alarms a = {0};
	struct err e = ERR_INIT;
	char name[16];

	for (size_t i = 0; i < boxes; i++) {
		(void)snprintf(name, sizeof(name), "gw-%zu-%zu", boxes, i);
		alarms_add(&a, name, "1.0.0", 1000, i + 1);
	}
	assert_int_equal(sql_begin(s, &e), 0);
	assert_int_equal(sql_end(s, alarms_put(s, &w, WEBHOOK_BOX_OFFLINE, &a, 5000, &e), &e), 0);
}

static void
what_happens_to_many_boxes_at_once_is_one_event(void **state)
{
	AUTO_JSON json_t *body = NULL;
	AUTO_OUTBOX_BATCH struct outbox_batch b = {0};

	(void)state;
	alarm_all(0);
	assert_int_equal(number("SELECT count(*) FROM event"), 0);
	alarm_all(ALARMS_NAMED);
	alarm_all(ALARMS_NAMED);
	assert_int_equal(number("SELECT count(*) FROM event"), ALARMS_NAMED);
	assert_int_equal(number("DELETE FROM delivery RETURNING 1"), 1);
	alarm_all(10000);
	assert_int_equal(number("SELECT count(*) FROM event"), ALARMS_NAMED + 1);
	b = next(5000);
	assert_int_equal(b.count, 1);
	body = sample_json(b.list[0].body);
	assert_string_equal(json_text(body, "event"), "box_offline");
	assert_int_equal(json_integer_value(json_object_get(body, "boxes")), 10000);
	assert_int_equal(json_array_size(json_object_get(body, "named")), ALARMS_NAMED);
	assert_true(json_has_text(json_object_get(body, "named"), "gw-10000-0"));
}

static void
a_signature_is_over_timestamp_and_body(void **state)
{
	struct webhook_secret secret = {.len = 32, .text = "0123456789abcdef0123456789abcdef"};
	char out[COURIER_SIGNATURE_SIZE], other[COURIER_SIGNATURE_SIZE];

	(void)state;
	/* printf '1795359600.{"a":1}' | openssl dgst -sha256 -hmac 0123... */
	courier_sign(&secret, 1795359600, "{\"a\":1}", out);
	assert_string_equal(
		out, "v1=a265e67597d1bf8c5ac3982dfb5fb6495e69068d650db1e80b7ddf473e5a8d96");
	courier_sign(&secret, 1795359601, "{\"a\":1}", other);
	assert_string_not_equal(out, other);
	courier_sign(&secret, 1795359600, "{\"a\":2}", other);
	assert_string_not_equal(out, other);
	secret.text[0] = '1';
	courier_sign(&secret, 1795359600, "{\"a\":1}", other);
	assert_string_not_equal(out, other);
}

static void
answers_are_read_each_from_its_own_line(void **state)
{
	static const struct {
		const char *line;
		unsigned status;
		uint64_t retry_after_s;
		const char *text;
	} answers[] = {
		{"204 0 \t", 204, 0, "HTTP status 204"},
		{"503 0 17\t", 503, 17, "HTTP status 503"},
		{"503 0 Sun, 22 Nov 2026 15:01:00 GMT\t", 503, 60, "HTTP status 503"},
		{"503 0 Sun, 22 Nov 2026 14:00:00 GMT\t", 503, 0, "HTTP status 503"},
		{"503 0 18446744073709551616\t", 503, 0, "HTTP status 503"},
		{"503 0 -5\t", 503, 0, "HTTP status 503"},
		{"503 0 soon @1 200 0 \t", 503, 0, "HTTP status 503"},
		/* It had taken it, and then said too much for too long. */
		{"200 28 \tOperation timed out", 200, 0, "HTTP status 200"},
		{"000 60 \tSSL certificate problem\x1b", 0, 0, "SSL certificate problem?"},
		{"000 7 \t", 0, 0, "7"},
		{"000", 0, 0, "curl(1) failed"},
		{"", 0, 0, "curl(1) failed"},
		{"99999999999 0 \t", 0, 0, "0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct outbox_answer a;
		char said[512];

		(void)snprintf(said, sizeof(said), "\n@11 200 0 \t\n\n@1 %s\n\n@2 200 0 \t\n",
			answers[i].line);
		courier_answer_read(said, 1, 1795359600, &a);
		assert_int_equal(a.status, answers[i].status);
		assert_int_equal(a.retry_after_s, answers[i].retry_after_s);
		assert_string_equal(a.text, answers[i].text);
		courier_answer_read(said, 2, 1795359600, &a);
		assert_int_equal(a.status, 200);
		courier_answer_read(said, 3, 1795359600, &a);
		assert_int_equal(a.status, 0);
		assert_string_equal(a.text, "curl(1) said nothing");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_fact_is_one_event_however_often_it_is_found, begin, end),
		cmocka_unit_test_setup_teardown(what_was_delivered_is_not_made_anew, begin, end),
		cmocka_unit_test(names_come_of_facts_and_no_two_lists_of_facts_have_one),
		cmocka_unit_test_setup_teardown(a_body_says_what_when_and_where, begin, end),
		cmocka_unit_test_setup_teardown(
			what_failed_is_tried_again_later_and_the_rest_of_the_queue_goes_on, begin,
			end),
		cmocka_unit_test_setup_teardown(
			where_a_receiver_is_down_all_that_waits_for_it_waits_and_no_other, begin,
			end),
		cmocka_unit_test(waits_double_within_bounds_and_retry_after_is_believed_up_to_one),
		cmocka_unit_test(only_2xx_is_taken_and_410_or_three_days_is_the_end),
		cmocka_unit_test_setup_teardown(dead_letters_are_kept_and_put_back, begin, end),
		cmocka_unit_test_setup_teardown(
			what_waited_for_days_dies_with_the_first_try_that_fails, begin, end),
		cmocka_unit_test_setup_teardown(
			what_waits_for_nobody_any_more_is_a_dead_letter, begin, end),
		cmocka_unit_test_setup_teardown(
			what_happens_to_many_boxes_at_once_is_one_event, begin, end),
		cmocka_unit_test(a_signature_is_over_timestamp_and_body),
		cmocka_unit_test(answers_are_read_each_from_its_own_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
