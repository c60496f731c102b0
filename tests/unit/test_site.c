/* The servers of a site, as agent.conf names them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/site.h"

static void
assert_site(const struct conf *c, size_t number, const char *url)
{
	assert_true(span_equal(site_span(c, number), span_str(url)));
}

static void
a_site_without_mirrors_is_one_server(void **state)
{
	const struct conf c = {.site_url = (char *)(uintptr_t) "https://a/"};

	(void)state;
	assert_int_equal(site_count(&c), 1);
	assert_site(&c, 0, "https://a/");
}

static void
mirrors_follow_in_their_order(void **state)
{
	const struct conf c = {.site_url = (char *)(uintptr_t) "https://a/",
		.mirrors = (char *)(uintptr_t) " https://b/ \thttps://c/x/ "};

	(void)state;
	assert_int_equal(site_count(&c), 3);
	assert_site(&c, 0, "https://a/");
	assert_site(&c, 1, "https://b/");
	assert_site(&c, 2, "https://c/x/");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_site_without_mirrors_is_one_server),
		cmocka_unit_test(mirrors_follow_in_their_order),
	};

	return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
