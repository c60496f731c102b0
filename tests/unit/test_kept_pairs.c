#include "tests/unit/petition_scene.h"

enum { SERIAL_SIZE = 65 };
static bool by_next;

/* A pair that gets through takes the place of what got through before. */
static void
keep(struct scene *x, int64_t age_days, char serial[SERIAL_SIZE])
{
	struct petition p = {.conf = &x->conf, .state = x->state, .now_s = wall_s};
	AUTO_BUF struct buf pair = BUF_INIT(PEM_MAX), cert = BUF_INIT(PEM_MAX);
	struct identity now;

	assert_int_equal(x509_key_new(&pair, NULL), 0);
	issue(buf_span(&pair), id, age_days, by_next, &cert);
	assert_int_equal(buf_append(&pair, cert.data, cert.len, NULL), 0);
	(void)dir_make("tls", 0700, NULL);
	assert_int_equal(folder_put("tls/" IDENTITY_TRIAL, pair.data, pair.len), 0);
	identity_choose(&x->conf, &now);
	assert_true(now.on_trial);
	(void)snprintf(serial, SERIAL_SIZE, "%s", now.certificate.serial);
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
}

static void
assert_shown(struct scene *x, const char *serial)
{
	struct identity now;
	struct report r = {0};

	identity_choose(&x->conf, &now);
	identity_report(&x->conf, &r);
	assert_true(now.known);
	assert_string_equal(now.certificate.serial, serial);
	assert_string_equal(r.certificate_serial, serial);
}

static void
assert_kept(struct scene *x, const char *name, const char *serial)
{
	struct x509_info info;
	struct err e;

	assert_int_equal(identity_read(&x->conf, name, &info, &e), 0);
	assert_string_equal(info.serial, serial);
}

static void
refuse(struct scene *x, struct petition *p, const char *then)
{
	unsigned before = restarts;

	assert_false(petition_hear(p, NULL, COURIER_REFUSED));
	assert_false(petition_hear(p, NULL, COURIER_FAILED));
	assert_true(petition_hear(p, NULL, COURIER_REFUSED));
	assert_int_equal(restarts, before + 1);
	assert_shown(x, then);
}

static void
what_got_through_before_is_shown_where_the_newest_is_refused(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	char good[SERIAL_SIZE], his[SERIAL_SIZE];
	struct identity made;

	manufacture(30);
	identity_choose(&x->conf, &made);
	keep(x, 20, good);
	assert_shown(x, good);
	keep(x, 1, his);
	assert_shown(x, his);
	/* What is only not answered is not refused, and one refusal is none. */
	for (int i = 0; i < 3; i++)
		assert_false(petition_hear(&p, NULL, COURIER_FAILED));
	assert_false(petition_hear(&p, NULL, COURIER_REFUSED));
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	refuse(x, &p, good);
	p.back_from_ms = INT64_MAX;
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_shown(x, good);
	refuse(x, &p, made.certificate.serial);
	refuse(x, &p, his);
	refuse(x, &p, good);
	/* New files have the last word, and a new pair behind them. */
	manufacture(0);
	identity_choose(&x->conf, &made);
	assert_string_equal(made.cert, "box.crt");
	keep(x, 0, his);
	assert_shown(x, his);
}

/* What it was refused for is over, or is not: that is seen once a day. */
static void
the_newest_is_tried_again_once_reports_get_through(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state, .now_s = wall_s};
	char good[SERIAL_SIZE], newest[SERIAL_SIZE];

	manufacture(80);
	keep(x, 70, good);
	keep(x, 1, newest);
	refuse(x, &p, good);
	/* It asks for none while the newest may count again, and not in the trial of a system. */
	assert_int_equal(poll_once(x), ERR_NONE);
	assert_false(petition_step(&p, NULL, x->poller, wall_s, NULL));
	assert_false(there_is(IDENTITY_NEXT));
	x->state->pending = (struct pending){.phase = PHASE_ACTIVATED, .tree_only = true};
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	x->state->pending = (struct pending){0};
	assert_true(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_shown(x, newest);
	refuse(x, &p, good);
	for (int i = 0; i < 3; i++)
		assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_shown(x, good);
	assert_false(petition_step(&p, NULL, x->poller, wall_s, NULL));
	assert_true(there_is(IDENTITY_NEXT));
	p.back_from_ms = 0;
	assert_true(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_shown(x, newest);
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	/* Once it has ended it has no turn. */
	refuse(x, &p, good);
	p.back_from_ms = 0;
	p.now_s += (LIFE_DAYS + 1) * DAY_S;
	keep(x, -LIFE_DAYS, good);
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_shown(x, good);
}

static void
one_that_has_ended_has_no_turn_while_another_is_good(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state, .now_s = wall_s};
	char old[SERIAL_SIZE], good[SERIAL_SIZE], newest[SERIAL_SIZE];
	struct identity made;

	manufacture(80);
	identity_choose(&x->conf, &made);
	keep(x, 70, old);
	keep(x, 10, good);
	keep(x, 1, newest);
	p.now_s += 30 * DAY_S;
	refuse(x, &p, good);
	refuse(x, &p, newest);
	refuse(x, &p, good);
	/* The last that is good stays. */
	p.now_s += 55 * DAY_S;
	assert_false(petition_hear(&p, NULL, COURIER_REFUSED));
	assert_true(petition_hear(&p, NULL, COURIER_REFUSED));
	assert_shown(x, newest);
	for (int i = 0; i < 6; i++)
		assert_false(petition_hear(&p, NULL, COURIER_REFUSED));
	assert_shown(x, newest);
	/* By a clock to which all have ended, any may be good. */
	p.now_s += 999 * DAY_S;
	refuse(x, &p, good);
	refuse(x, &p, old);
	refuse(x, &p, made.certificate.serial);
	refuse(x, &p, newest);
}

static void
who_has_his_kept_again_and_again_does_not_drive_out_what_was_good(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	char good[SERIAL_SIZE], his[3][SERIAL_SIZE];

	manufacture(80);
	keep(x, 20, good);
	for (int i = 0; i < 3; i++)
		keep(x, 2 - i, his[i]);
	assert_shown(x, his[2]);
	refuse(x, &p, his[1]);
	refuse(x, &p, good);
	/* Until it has ended. */
	assert_kept(x, IDENTITY_OLDEST, good);
	wall_s += 71 * DAY_S;
	keep(x, -70, his[0]);
	assert_kept(x, IDENTITY_OLDEST, his[1]);
	assert_kept(x, IDENTITY_OLDER, his[2]);
}

static void
one_of_a_ca_that_is_gone_is_not_kept_for_ever(void **state)
{
	struct scene *x = *state;
	char gone[SERIAL_SIZE], next[SERIAL_SIZE], last[SERIAL_SIZE];

	manufacture(80);
	by_next = true;
	keep(x, 20, gone);
	by_next = false;
	keep(x, 19, next);
	keep(x, 18, last);
	assert_kept(x, IDENTITY_OLDEST, gone);
	keep(x, 17, last);
	assert_kept(x, IDENTITY_OLDEST, next);
}

static void
a_power_cut_at_any_step_loses_no_pair(void **state)
{
	struct scene *x = *state;
	char serials[3][SERIAL_SIZE];
	unsigned n = 0;
	int status = 0;

	manufacture(80);
	do {
		pid_t child;

		for (int i = 0; i < 2; i++)
			keep(x, 20 - i, serials[i]);
		n++;
		child = fork();
		if (child == 0) {
			steps_left = n;
			keep(x, 5, serials[2]);
			_exit(1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_false(petition_hear(&(struct petition){.conf = &x->conf, .state = x->state},
			NULL, COURIER_THROUGH));
		assert_kept(x, IDENTITY_OLDEST, serials[0]);
		assert_kept(x, IDENTITY_OLDER, serials[1]);
		assert_true(there_is(IDENTITY_PROVEN) && !there_is(IDENTITY_TRIAL));
		assert_int_equal(
			unlink("tls/box.pem") + unlink("tls/older.pem") + unlink("tls/oldest.pem"),
			0);
	} while (WEXITSTATUS(status) == 0);
	assert_int_equal(n, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PETITION(what_got_through_before_is_shown_where_the_newest_is_refused),
		IN_PETITION(the_newest_is_tried_again_once_reports_get_through),
		IN_PETITION(one_that_has_ended_has_no_turn_while_another_is_good),
		IN_PETITION(who_has_his_kept_again_and_again_does_not_drive_out_what_was_good),
		IN_PETITION(one_of_a_ca_that_is_gone_is_not_kept_for_ever),
		IN_PETITION(a_power_cut_at_any_step_loses_no_pair),
	};

	return cmocka_run_group_tests(tests, cas_make, cas_free);
}
