#include "signer/course.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
courses_of(struct courses *c, const char *first, const char *second)
{
	c->count = 2;
	c->list = calloc(c->count, sizeof(*c->list));
	assert_non_null(c->list);
	strcpy(c->list[0].name, first);
	strcpy(c->list[1].name, second);
}

/* Of a plan whose role cannot be read nobody can say that it is withdrawn; of that one it is said.
 */
static void
a_withdrawn_plan_is_not_kept_where_another_role_is_damaged(void **state)
{
	AUTO_COURSES struct courses before = {.damage = ERR_INIT}, now = {.damage = ERR_INIT};
	struct err e = ERR_INIT;

	(void)state;
	courses_of(&before, "stable", "lyon");
	now.published = true;
	now.withdrawn = json_pack("[s]", "stable");
	(void)err_set(&now.damage, ERR_MALFORMED, "the role lyon");
	assert_int_equal(courses_keep(&now, &before, &e), 0);
	assert_int_equal(now.count, 1);
	assert_string_equal(now.list[0].name, "lyon");
	assert_int_equal(now.list[0].why.class, ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_withdrawn_plan_is_not_kept_where_another_role_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
