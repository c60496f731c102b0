/* What an update under way asks, and what may end it. */
#include "tests/unit/trial_scene.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t ahead_s;

int
clock_gettime(clockid_t clock, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, out);

	out->tv_sec += (time_t)ahead_s;
	return rc;
}

/* An update over the network, and these are the answers; asked every interval_s. */
static struct keep_going
look_out(struct scene *x, enum answered first, enum answered then, uint64_t interval_s)
{
	(void)err_set(&server.says, ERR_NETWORK, "connection refused");
	server.answers_polls = true;
	from_network(x, first, then);
	lookout_start(&x->lookout, &x->rig.s->pending, interval_s);
	return lookout_keep_going(&x->lookout);
}

static void
remember_stop(struct scene *x, const char *gate)
{
	struct sticky_stop *stop = &x->rig.s->stops[x->rig.s->stop_count++];

	(void)snprintf(stop->id, sizeof(stop->id), "00112233445566778899aabbccddeeff");
	(void)snprintf(stop->gate, sizeof(stop->gate), "%s", gate);
	(void)snprintf(stop->reason, sizeof(stop->reason), "smoke");
}

static enum err_class
asked_now(struct scene *x, struct err *e)
{
	struct keep_going until_term = lookout_until_term(&x->lookout);

	*e = ERR_INIT;
	return lookout_ask(&x->lookout, &x->rig.s->pending, &until_term, e) < 0 ? e->class
										: ERR_NONE;
}

static void
told_to_end_it_ends_at_once(void **state)
{
	struct scene *x = *state;
	struct keep_going k = look_out(x, GOOD_WORLD, GOOD_WORLD, 3600);
	struct err e = ERR_INIT;

	assert_int_equal(k.ask(k.arg, &e), 0);
	x->ending = 1;
	assert_int_equal(k.ask(k.arg, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_int_equal(polls, 0);
}

static void
a_stop_is_asked_for_every_interval(void **state)
{
	struct scene *x = *state;
	struct keep_going k = look_out(x, GOOD_WORLD, SHUT_WORLD, 3600);
	struct err e = ERR_INIT;

	for (int i = 0; i < 3; i++)
		assert_int_equal(k.ask(k.arg, &e), 0);
	assert_int_equal(polls, 0);
	k = look_out(x, GOOD_WORLD, SHUT_WORLD, 0);
	assert_int_equal(k.ask(k.arg, &e), 0);
	assert_int_equal(polls, 1);
	assert_int_equal(k.ask(k.arg, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

static void
a_poll_that_fails_ends_no_update(void **state)
{
	struct scene *x = *state;
	struct keep_going k = look_out(x, FAILING, FAILING, 0);
	struct err e = ERR_INIT;

	assert_int_equal(k.ask(k.arg, &e), 0);
	assert_int_equal(polls, 1);
	assert_int_equal(asked_now(x, &e), ERR_NETWORK);
	assert_string_equal(e.text, "connection refused");
}

/* A poll that fails has often brought the stop before. */
static void
a_stop_that_is_known_counts_though_the_poll_fails(void **state)
{
	struct scene *x = *state;
	struct keep_going k = look_out(x, FAILING, FAILING, 0);
	struct err e = ERR_INIT;

	remember_stop(x, "gates/beta.json");
	assert_int_equal(asked_now(x, &e), ERR_NETWORK);
	remember_stop(x, "gates/stable.json");
	assert_int_equal(asked_now(x, &e), ERR_STOPPED);
	assert_non_null(strstr(e.text, "smoke"));
	assert_int_equal(k.ask(k.arg, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

/* The network child that had it may be gone: a chunk was asked for elsewhere. */
static void
a_question_that_was_lost_is_asked_again_soon_and_once(void **state)
{
	static const struct {
		int64_t pass_s;
		size_t asked;
	} rounds[] = {{1800, 0}, {1800, 1}, {5, 2}, {1800, 2}, {1800, 3}, {1800, 3}, {1800, 4},
		{1800, 4}, {1800, 5}, {5, 6}, {1800, 6}};
	struct scene *x = *state;
	struct keep_going k = look_out(x, GOOD_WORLD, GOOD_WORLD, 3600);
	struct err e = ERR_INIT;

	asked = 0;
	asks_failing = 3;
	for (size_t i = 0; i < ARRAY_LEN(rounds); i++) {
		ahead_s += rounds[i].pass_s;
		if (asked == 4)
			asks_failing = 1;
		assert_int_equal(k.ask(k.arg, &e), 0);
		if (asked != rounds[i].asked)
			fail_msg("round %zu: asked %zu times", i, asked);
	}
	assert_int_equal(asks_failing, 0);
}

static void
a_question_that_was_lost_waits_no_longer_than_another(void **state)
{
	struct scene *x = *state;
	struct keep_going k = look_out(x, GOOD_WORLD, GOOD_WORLD, 1);
	struct err e = ERR_INIT;

	asked = 0;
	asks_failing = 1;
	for (size_t i = 1; i <= 2; i++) {
		ahead_s++;
		assert_int_equal(k.ask(k.arg, &e), 0);
		assert_int_equal(asked, i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(told_to_end_it_ends_at_once),
		IN_SCENE(a_stop_is_asked_for_every_interval),
		IN_SCENE(a_poll_that_fails_ends_no_update),
		IN_SCENE(a_stop_that_is_known_counts_though_the_poll_fails),
		IN_SCENE(a_question_that_was_lost_is_asked_again_soon_and_once),
		IN_SCENE(a_question_that_was_lost_waits_no_longer_than_another),
	};

	return cmocka_run_group_tests_name("lookout", tests, NULL, NULL);
}
