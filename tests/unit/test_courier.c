#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/courier.h"
#include "agent/spool.h"
#include "common/base/num.h"

/* The spool is played: its next failure, or none. */
static struct err fails;

int
spool_send(const struct conf *c, struct net *n, const struct keep_going *keep_going,
	struct net_reply *reply, struct err *e)
{
	(void)c;
	(void)n;
	(void)keep_going;
	*reply = (struct net_reply){.status = 201, .retry_after_s = -1};
	if (fails.class == ERR_NONE)
		return 0;
	*e = fails;
	return -1;
}

static enum courier_end
send_failing(enum err_class class, int errnum)
{
	struct courier c = {0};
	struct conf conf = {.poll_s = 1, .retry_max_s = 1};

	fails = (struct err){.class = class, .errnum = errnum, .text = "played"};
	return courier_carry(&c, &conf, NULL, NULL);
}

static void
only_what_is_said_of_the_certificate_refuses_it(void **state)
{
	static const int others[] = {404, 429, 500, 503};

	(void)state;
	assert_int_equal(send_failing(ERR_NONE, 0), COURIER_THROUGH);
	assert_int_equal(send_failing(ERR_NETWORK, NET_UNWELCOME), COURIER_REFUSED);
	assert_int_equal(send_failing(ERR_NETWORK, NET_TURNED_AWAY), COURIER_REFUSED);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(send_failing(ERR_NETWORK, others[i]), COURIER_HELD);
	assert_int_equal(send_failing(ERR_SYSTEM, 5), COURIER_HELD);
	assert_int_equal(send_failing(ERR_NETWORK, 401), COURIER_DENIED);
	assert_int_equal(send_failing(ERR_NETWORK, 403), COURIER_DENIED);
	assert_int_equal(send_failing(ERR_NETWORK, 0), COURIER_FAILED);
	assert_int_equal(send_failing(ERR_NETWORK, NET_SHUT_OUT), COURIER_FAILED);
	assert_int_equal(send_failing(ERR_STOPPED, 0), COURIER_STOPPED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_said_of_the_certificate_refuses_it),
	};

	return cmocka_run_group_tests_name("courier", tests, NULL, NULL);
}
