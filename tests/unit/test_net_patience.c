/* Time between the parent and its network child: slow lines, silent servers, a child that hangs.
 * The child here is this file's child_play(), and site_url says what it does. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/child_scene.h"

/* What parent and child know of each other, beside their messages. The memory is shared: a child
 * has no descriptors but its own. The parent lets time pass once it knows of a step. */
enum { TRIES = 4, TRY_MS = 100 * 1000, NAP_US = 1000 };
static struct {
	atomic_int tried, passed, is_silent;
} * shared;

static int
shared_set(void **state)
{
	(void)state;
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

static int
shared_clear(void **state)
{
	(void)state;
	return munmap(shared, sizeof(*shared));
}

static void
try_again(int socket, uint32_t id)
{
	for (int i = 1; i <= TRIES; i++) {
		step(socket, id);
		atomic_store(&shared->tried, i);
		while (atomic_load(&shared->passed) < i)
			(void)usleep(NAP_US);
	}
}

static int64_t ahead_ms;

int
clock_gettime(clockid_t clock, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, out);

	out->tv_sec += (time_t)(ahead_ms / 1000);
	return rc;
}

static void
act(int socket, const char *name, uint32_t id)
{
	if (strcmp(name, "takes the connection and falls silent") == 0)
		step(socket, id);
	if (strstr(name, "falls silent")) {
		atomic_store(&shared->is_silent, 1);
		return;
	}
	try_again(socket, id);
	tell(socket, (struct wire_message){
			     .type = WIRE_ANSWER, .id = id, .status = 200, .retry_after_s = -1});
	tell(socket, (struct wire_message){.type = WIRE_DATA, .id = id, .body = span_str("hello")});
	tell(socket, (struct wire_message){.type = WIRE_END, .id = id, .class = ERR_NONE});
}

static void
child_play(int socket, const char *name)
{
	static uint8_t packet[WIRE_MESSAGE_BYTES];
	struct wire_message m;
	struct err e;
	bool got;

	tell(socket, (struct wire_message){.type = WIRE_READY});
	while (strcmp(name, "never reads") == 0)
		(void)pause();
	for (;;) {
		struct pollfd fd = {.fd = socket, .events = POLLIN};

		(void)poll(&fd, 1, -1);
		if (wire_receive(socket, WIRE_TO_CHILD, packet, &m, &got, &e) < 0)
			_exit(0);
		if (got && m.type == WIRE_REQUEST)
			act(socket, name, m.id);
	}
}

static const struct net_request whole = {
	.base = NET_TARGETS, .path = "bundles/a", .max = 1 << 20, .deadline_ms = 0};

/* No longer than until the child has said all that it says, and the parent has heard it. */
static int
ask_until_silent(void *arg, struct err *e)
{
	return atomic_load(&shared->is_silent) ? ask_thrice(arg, e) : 0;
}

/* Given up by whoever waited for it. */
static uint64_t
refusals_of(const char *name)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_NET struct net *n = NULL;
	int asked = 0;
	struct keep_going keep_going = {ask_until_silent, &asked};
	struct conf c;
	struct err e = ERR_INIT;

	atomic_store(&shared->is_silent, 0);
	n = start(&c, name, NULL);
	assert_int_equal(net_fetch(n, &whole, &out, NULL, &keep_going, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_int_equal(net_answers(n), 0);
	return net_refusals(n);
}

static void
who_takes_a_connection_and_falls_silent_is_as_one_that_refuses(void **state)
{
	(void)state;
	assert_int_equal(refusals_of("takes the connection and falls silent"), 1);
	assert_int_equal(refusals_of("asks and falls silent"), 0);
}

static int
ask_and_wait(void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	if (atomic_load(&shared->tried) > atomic_load(&shared->passed)) {
		ahead_ms += TRY_MS;
		(void)atomic_fetch_add(&shared->passed, 1);
	}
	return 0;
}

static void
a_child_that_tries_again_on_a_slow_line_is_not_ended(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_NET struct net *n = NULL;
	struct keep_going keep_going = {ask_and_wait, NULL};
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "tries again and again", NULL);
	if (net_fetch(n, &whole, &out, NULL, &keep_going, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(buf_str(&out), "hello");
	assert_int_equal(ahead_ms, TRIES * TRY_MS);
}

static void
a_child_that_never_reads_does_not_keep_its_parent(void **state)
{
	AUTO_NET struct net *n = NULL;
	int asked = -1000, rc = 0; /* it may start as slowly as it likes */
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "never reads", &(struct keep_going){ask_thrice, &asked});
	asked = 0;
	for (int i = 0; i < 100000 && rc == 0; i++)
		rc = net_set_time(n, i, &e);
	assert_int_equal(rc, -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_int_equal(asked, 3);
	assert_int_equal(net_pid(n), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_takes_a_connection_and_falls_silent_is_as_one_that_refuses),
		cmocka_unit_test(a_child_that_tries_again_on_a_slow_line_is_not_ended),
		cmocka_unit_test(a_child_that_never_reads_does_not_keep_its_parent),
	};

	return cmocka_run_group_tests_name("net_patience", tests, shared_set, shared_clear);
}
