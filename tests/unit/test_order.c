#include "tests/unit/sample.h"

#include "agent/order.h"

/* A plan may ask for more haste than a box is set to, and not for less. */
static void
an_order_has_the_shorter_deadline(void **state)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct world *w = world_new("rollouts/stable.json");
	struct decision d = {.wave = "canary"};
	struct order o;
	struct err e = ERR_INIT;

	(void)state;
	assert_true(c && w);
	w->bundle_url = strdup("bundles/x.ota");
	c->confirm_deadline_s = 900;
	w->plan.deadline_s = 3600;
	assert_int_equal(order_take(w, &d, c, &o, &e), 0);
	assert_int_equal(order_pending(&o).deadline_s, 900);
	order_free(&o);
	w->plan.deadline_s = 60;
	assert_int_equal(order_take(w, &d, c, &o, &e), 0);
	assert_int_equal(order_pending(&o).deadline_s, 60);
	assert_string_equal(order_pending(&o).wave, "canary");
	order_free(&o);
	world_free(&w);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_has_the_shorter_deadline),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
