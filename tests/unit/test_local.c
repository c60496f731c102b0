#include "tests/unit/sample.h"

#include "agent/local.h"

static int
ask(const char *plan, const char *stopped_by, struct err *e)
{
	AUTO_FREE struct state *s = calloc(1, sizeof(*s));
	AUTO_FREE char *followed = plan ? strdup(plan) : NULL;
	struct conf c = {.plan = followed};

	assert_non_null(s);
	if (stopped_by) {
		s->stop_count = 1;
		(void)snprintf(s->stops[0].gate, sizeof(s->stops[0].gate), "%s", stopped_by);
		(void)snprintf(s->stops[0].id, sizeof(s->stops[0].id), "%s", "0123456789abcdef");
		(void)snprintf(s->stops[0].reason, sizeof(s->stops[0].reason), "smoke");
	}
	return local_stop_check(&c, s, e);
}

static void
assert_stopped(const char *plan, const char *stopped_by)
{
	struct err e = ERR_INIT;

	assert_int_equal(ask(plan, stopped_by, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_non_null(strstr(e.text, "smoke"));
	assert_non_null(strstr(e.text, "has to be lifted first"));
}

static void
stops_of_everything_and_of_its_plan_hold_a_box(void **state)
{
	(void)state;
	assert_stopped("rollouts/stable.json", "gates/stable.json");
	assert_stopped("rollouts/stable.json", "gates/all.json");
	assert_stopped(NULL, "gates/all.json");
}

static void
a_stop_of_a_plan_that_it_no_longer_follows_does_not(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(ask("rollouts/stable.json", NULL, &e), 0);
	assert_int_equal(ask("rollouts/stable.json", "gates/beta.json", &e), 0);
	assert_int_equal(ask(NULL, "gates/beta.json", &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops_of_everything_and_of_its_plan_hold_a_box),
		cmocka_unit_test(a_stop_of_a_plan_that_it_no_longer_follows_does_not),
	};

	return cmocka_run_group_tests_name("local", tests, NULL, NULL);
}
