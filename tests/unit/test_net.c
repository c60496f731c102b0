/* The parent's side of the network against a child that breaks every rule. The child here is this
 * file's child_play(); site_url says what it does. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/num.h"
#include "tests/unit/child_scene.h"

static const uint8_t zeros[WIRE_DATA_MAX];

static void
answer(int socket, uint32_t id, uint32_t status)
{
	tell(socket, (struct wire_message){.type = WIRE_ANSWER,
			     .id = id,
			     .status = status,
			     .retry_after_s = INT64_MAX - 1,
			     .etag = span_str("\"e\"")});
}

static void
data(int socket, uint32_t id, const void *bytes, size_t len)
{
	tell(socket,
		(struct wire_message){.type = WIRE_DATA, .id = id, .body = span_of(bytes, len)});
}

static void
end(int socket, uint32_t id, enum err_class class, const char *text)
{
	tell(socket, (struct wire_message){.type = WIRE_END,
			     .id = id,
			     .class = class,
			     .errnum = class == ERR_NONE ? 0 : 503,
			     .text = span_str(text)});
}

/* What each name does with a request. */
static void
act(int socket, const char *name, const struct wire_message *m)
{
	uint32_t id = m->id;

	if (strcmp(name, "dies") == 0)
		_exit(1);
	if (strcmp(name, "ends before it answers") == 0)
		end(socket, id, ERR_NONE, "");
	if (strcmp(name, "sends a body before it answers") == 0)
		data(socket, id, "hello", 5);
	if (strcmp(name, "sends what goes the other way") == 0)
		tell(socket, (struct wire_message){.type = WIRE_TIME, .now_s = 1});
	if (strcmp(name, "sends no message at all") == 0)
		(void)send(socket, "\xff\xff\xff\xff", 4, 0);
	if (strcmp(name, "fails in strange words") == 0)
		end(socket, id, ERR_NETWORK, "line\nbreak \x1b[31m \xff");
	if (strcmp(name, "only agrees on TLS") == 0)
		tell(socket, (struct wire_message){.type = WIRE_END,
				     .id = id,
				     .class = ERR_NETWORK,
				     .errnum = NET_SILENT_SERVER});
	if (strcmp(name, "does not agree on TLS") == 0)
		tell(socket, (struct wire_message){.type = WIRE_END,
				     .id = id,
				     .class = ERR_NETWORK,
				     .errnum = NET_SHUT_OUT});
	if (strcmp(name, "is not there") == 0)
		tell(socket, (struct wire_message){.type = WIRE_END,
				     .id = id,
				     .class = ERR_NETWORK,
				     .errnum = NET_REFUSED});
	for (int i = 0; strcmp(name, "gets ahead for ever") == 0 && i <= WIRE_STEPS_MAX; i++)
		step(socket, id);
	if (strcmp(name, "is refused") == 0) {
		answer(socket, id, 503);
		end(socket, id, ERR_NETWORK, "the server answered 503");
	}
	if (strcmp(name, "passes an error off as success") == 0) {
		answer(socket, id, 404);
		end(socket, id, ERR_NONE, "");
	}
	if (strcmp(name, "sends the body of an error") == 0) {
		answer(socket, id, 404);
		data(socket, id, "hello", 5);
		end(socket, id, ERR_NETWORK, "the server answered 404");
	}
	if (strcmp(name, "blames the file") == 0)
		end(socket, id, ERR_LIMIT, "far too large");
	if (strcmp(name, "blames the box") == 0)
		end(socket, id, ERR_USAGE, "wrongly set up");
	if (strcmp(name, "knows-tags") == 0 && m->etag.len > 0) {
		answer(socket, id, 304);
		end(socket, id, ERR_NONE, "");
	}
	while (strcmp(name, "never falls silent") == 0)
		tell(socket, (struct wire_message){.type = WIRE_READY});
	answer(socket, id, m->has_range ? 206 : 200);
	if (strcmp(name, "answers twice") == 0)
		answer(socket, id, 200);
	if (strcmp(name, "speaks for nobody") == 0) {
		data(socket, id + 1000, "hello", 5);
		end(socket, id + 1000, ERR_NONE, "");
	}
	if (strcmp(name, "sends more than its credit") == 0) {
		for (size_t i = 0; i <= NET_WINDOW_BYTES / WIRE_DATA_MAX; i++)
			data(socket, id, zeros, sizeof(zeros));
	}
	data(socket, id, "hello", strcmp(name, "cuts a range short") == 0 ? 4 : 5);
	if (strcmp(name, "sends too long a range") == 0)
		data(socket, id, "!", 1);
	end(socket, id, ERR_NONE, "");
}

static void
child_play(int socket, const char *name)
{
	static uint8_t packet[WIRE_MESSAGE_BYTES];
	struct wire_message m;
	struct err e;
	bool got;

	if (strcmp(name, "cannot start") == 0) {
		end(socket, 0, ERR_USAGE, "no certificate");
		_exit(1);
	}
	while (strcmp(name, "never starts") == 0)
		(void)pause();
	tell(socket, (struct wire_message){.type = WIRE_READY});
	for (;;) {
		struct pollfd fd = {.fd = socket, .events = POLLIN};

		(void)poll(&fd, 1, -1);
		if (wire_receive(socket, WIRE_TO_CHILD, packet, &m, &got, &e) < 0)
			_exit(0);
		if (got && m.type == WIRE_REQUEST)
			act(socket, name, &m);
	}
}

static const struct net_request range = {.base = NET_TARGETS,
	.path = "bundles/a",
	.has_range = true,
	.offset = 0,
	.len = 5,
	.deadline_ms = 5000};
static const struct net_request whole = {
	.base = NET_TARGETS, .path = "bundles/a", .max = 1 << 20, .deadline_ms = 5000};

static void
an_honest_child_is_believed(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_NET struct net *n = NULL;
	struct net_reply reply;
	struct conf c;
	struct err e = ERR_INIT;
	pid_t first;

	(void)state;
	n = start(&c, "is honest", NULL);
	first = net_pid(n);
	assert_int_equal(net_fetch(n, &range, &out, &reply, NULL, &e), 0);
	assert_int_equal(net_fetch(n, &whole, &out, &reply, NULL, &e), 0);
	assert_string_equal(buf_str(&out), "hellohello");
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.etag, "\"e\"");
	assert_int_equal(reply.retry_after_s, NET_RETRY_AFTER_MAX_S);
	assert_int_equal(net_bytes_received(n), 10);
	assert_int_equal(net_pid(n), first);
}

/* The child is ended, nothing it said is given out, and the next request gets another child. */
static void
assert_ended(const char *name, const struct net_request *r)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 20);
	AUTO_NET struct net *n = NULL;
	struct net_reply reply;
	struct net_transfer *t = NULL;
	struct conf c;
	struct err e = ERR_INIT;
	pid_t first;

	n = start(&c, name, NULL);
	first = net_pid(n);
	if (net_fetch(n, r, &out, &reply, NULL, &e) == 0)
		fail_msg("a child that %s was believed", name);
	assert_int_equal(e.class, ERR_NETWORK);
	if (!strstr(e.text, "the network process was ended"))
		fail_msg("a child that %s: %s", name, e.text);
	assert_int_equal(out.len, 0);
	assert_int_equal(net_pid(n), -1);
	assert_int_equal(net_open(n, r, &t, &e), 0);
	assert_int_not_equal(net_pid(n), first);
	net_close(&t);
}

static void
a_child_that_breaks_a_rule_is_ended(void **state)
{
	static const char *const ways[] = {"dies", "ends before it answers",
		"sends a body before it answers", "sends what goes the other way",
		"sends no message at all", "passes an error off as success",
		"sends the body of an error", "answers twice", "cuts a range short",
		"sends too long a range", "gets ahead for ever"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		assert_ended(ways[i], &range);
		if (!strstr(ways[i], "range"))
			assert_ended(ways[i], &whole);
	}
}

/* Only what was asked for is queued while somebody else is waited for. */
static void
a_child_that_sends_more_than_its_credit_is_ended(void **state)
{
	AUTO_NET struct net *n = NULL;
	struct net_transfer *flooded = NULL, *other = NULL;
	uint8_t piece[4096];
	size_t total = 0;
	ssize_t got;
	struct conf c;
	struct err e = ERR_INIT;
	pid_t first;

	(void)state;
	n = start(&c, "sends more than its credit", NULL);
	first = net_pid(n);
	assert_int_equal(net_open(n, &whole, &flooded, &e), 0);
	/* Whatever is done with the network takes in what has come for everybody. */
	for (int i = 0; i < 1000 && net_pid(n) == first; i++) {
		assert_int_equal(net_open(n, &whole, &other, &e), 0);
		(void)net_ready(other);
		net_close(&other);
		(void)usleep(5000);
	}
	assert_int_not_equal(net_pid(n), first);
	while ((got = net_read(flooded, piece, sizeof(piece), NULL, &e)) > 0)
		total += (size_t)got;
	assert_int_equal(got, -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_non_null(strstr(e.text, "more bytes than were asked for"));
	assert_int_equal(total, NET_WINDOW_BYTES);
	net_close(&flooded);
}

static void
a_file_over_its_limit_is_refused_by_the_parent_too(void **state)
{
	struct net_request small = whole;

	(void)state;
	small.max = 4;
	assert_ended("is honest", &small);
}

static void
a_source_gives_ranges_and_nothing_else(void **state)
{
	AUTO_NET struct net *n = NULL;
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	struct source s;
	char piece[10];
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "is honest", NULL);
	assert_int_equal(net_source_new(n, "bundles/a", 10, NULL, &remote, &e), 0);
	s = net_source_of(remote);
	assert_int_equal(s.read(s.arg, piece, sizeof(piece), &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_int_equal(s.open(s.arg, 0, 5, &e), 0);
	assert_int_equal(s.read(s.arg, piece, sizeof(piece), &e), 5);
	assert_memory_equal(piece, "hello", 5);
	/* That ends the range before it. */
	assert_int_equal(s.open(s.arg, 5, 0, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_non_null(strstr(e.text, "bundles/a: an empty range"));
	assert_int_equal(s.read(s.arg, piece, sizeof(piece), &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
}

/* What is asked for before its turn has nobody to tell why it cannot be. */
static void
a_child_that_dies_and_does_not_come_back_fails_the_range_in_its_turn(void **state)
{
	AUTO_NET struct net *n = NULL;
	CLEANUP(net_source_free) struct net_source *remote = NULL;
	struct source s;
	char piece[10];
	struct conf c;
	siginfo_t dead;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "is honest", NULL);
	assert_int_equal(net_source_new(n, "bundles/a", 10, NULL, &remote, &e), 0);
	s = net_source_of(remote);
	assert_int_equal(s.open(s.arg, 0, 5, &e), 0);
	assert_int_equal(s.read(s.arg, piece, sizeof(piece), &e), 5);
	c.site_url = (char *)(uintptr_t) "cannot start";
	assert_int_equal(kill(net_pid(n), SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)net_pid(n), &dead, WEXITED | WNOWAIT), 0);
	assert_true(s.expect(s.arg, 5, 5));
	assert_int_equal(s.open(s.arg, 5, 5, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
}

static void
messages_for_nobody_are_passed_over(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_NET struct net *n = NULL;
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "speaks for nobody", NULL);
	assert_int_equal(net_fetch(n, &range, &out, NULL, NULL, &e), 0);
	assert_string_equal(buf_str(&out), "hello");
}

static void
a_failure_is_told_in_printable_words(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_NET struct net *n = NULL;
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "fails in strange words", NULL);
	assert_int_equal(net_fetch(n, &range, &out, NULL, NULL, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_int_equal(e.errnum, 503);
	assert_string_equal(e.text, "line?break ?[31m ?");
}

static void
whatever_a_server_says_is_an_answer(void **state)
{
	static const struct {
		const char *name;
		uint64_t answers, refusals;
	} all[] = {{"is honest", 1, 0}, {"is refused", 1, 0}, {"only agrees on TLS", 1, 0},
		{"does not agree on TLS", 0, 1}, {"is not there", 0, 1},
		{"fails in strange words", 0, 0}, {"dies", 0, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_BUF struct buf out = BUF_INIT(100);
		AUTO_NET struct net *n = NULL;
		struct conf c;
		struct err e = ERR_INIT;

		n = start(&c, all[i].name, NULL);
		assert_int_equal(net_answers(n), 0);
		(void)net_fetch(n, &range, &out, NULL, NULL, &e);
		assert_int_equal(net_refusals(n), all[i].refusals);
		if (net_answers(n) != all[i].answers)
			fail_msg("a child that %s", all[i].name);
	}
}

static void
a_tag_goes_to_no_other_server(void **state)
{
	static const struct {
		size_t etag_site, site;
		long status;
	} all[] = {{0, 0, 304}, {1, 0, 200}, {0, 1, 200}, {1, 1, 304}};
	AUTO_NET struct net *n = NULL;
	struct conf c;

	(void)state;
	n = start(&c, "knows-tags", NULL);
	c.mirrors = (char *)(uintptr_t) "knows-tags";
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_BUF struct buf out = BUF_INIT(100);
		struct net_request r = whole;
		struct net_reply reply = {0};
		struct err e = ERR_INIT;

		if (i == 2)
			assert_true(net_next_site(n, &e));
		r.etag = "\"e\"";
		r.etag_site = all[i].etag_site;
		assert_int_equal(net_fetch(n, &r, &out, &reply, NULL, &e), 0);
		assert_int_equal(reply.status, all[i].status);
		assert_int_equal(reply.site, all[i].site);
	}
}

static void
a_child_that_cannot_start_says_why(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	struct net *n = NULL;
	struct conf c;
	struct err e = ERR_INIT;
	int asked = 0;

	(void)state;
	n = start(&c, "cannot start", NULL);
	assert_int_equal(net_fetch(n, &whole, &out, NULL, NULL, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_non_null(strstr(e.text, "no certificate"));
	net_stop(&n);
	n = start(&c, "never starts", &(struct keep_going){ask_thrice, &asked});
	assert_int_equal(asked, 0);
	assert_int_equal(net_fetch(n, &whole, &out, NULL, NULL, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
	assert_int_equal(asked, 3);
	net_stop(&n);
	c.site_url = NULL;
	assert_int_equal(net_start(&c, 0, NULL, &n, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_null(n);
}

/* A release is condemned for its size or its form, and never for what a child says of it. */
static void
a_child_cannot_blame_what_it_fetches(void **state)
{
	static const struct {
		const char *name;
		const struct net_request *r;
		enum err_class class;
	} all[] = {{"blames the file", &range, ERR_NETWORK}, {"blames the file", &whole, ERR_LIMIT},
		{"blames the box", &range, ERR_NETWORK}, {"blames the box", &whole, ERR_NETWORK}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_BUF struct buf out = BUF_INIT(100);
		AUTO_NET struct net *n = NULL;
		struct conf c;
		struct err e = ERR_INIT;

		n = start(&c, all[i].name, NULL);
		assert_int_equal(net_fetch(n, all[i].r, &out, NULL, NULL, &e), -1);
		assert_int_equal(e.class, all[i].class);
	}
}

static void
a_child_that_cannot_start_again_is_a_network_error(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_NET struct net *n = NULL;
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "dies", NULL);
	assert_int_equal(net_fetch(n, &range, &out, NULL, NULL, &e), -1);
	c.site_url = (char *)(uintptr_t) "cannot start";
	assert_int_equal(net_fetch(n, &range, &out, NULL, NULL, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	assert_non_null(strstr(e.text, "no certificate"));
}

static void
a_child_that_never_falls_silent_does_not_keep_its_parent(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(100);
	AUTO_NET struct net *n = NULL;
	int asked = 0;
	struct keep_going keep_going = {ask_thrice, &asked};
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "never falls silent", NULL);
	assert_int_equal(net_fetch(n, &range, &out, NULL, &keep_going, &e), -1);
	assert_int_equal(e.class, ERR_STOPPED);
}

static void
requests_do_not_disturb_each_other(void **state)
{
	AUTO_NET struct net *n = NULL;
	struct net_transfer *t[NET_REQUESTS_MAX] = {0}, *more = NULL;
	char text[8];
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	n = start(&c, "is honest", NULL);
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++)
		assert_int_equal(net_open(n, &range, &t[i], &e), 0);
	assert_int_equal(net_open(n, &range, &more, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
	for (size_t i = NET_REQUESTS_MAX; i-- > 0;) {
		assert_int_equal(net_read(t[i], text, 2, NULL, &e), 2);
		assert_memory_equal(text, "he", 2);
	}
	net_close(&t[3]);
	assert_int_equal(net_open(n, &range, &t[3], &e), 0);
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++) {
		size_t want = i == 3 ? 5 : 3;

		assert_int_equal(net_read(t[i], text, sizeof(text), NULL, &e), want);
		assert_memory_equal(text, &"hello"[5 - want], want);
		assert_int_equal(net_read(t[i], text, sizeof(text), NULL, &e), 0);
		net_close(&t[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_honest_child_is_believed),
		cmocka_unit_test(a_child_that_breaks_a_rule_is_ended),
		cmocka_unit_test(a_child_that_sends_more_than_its_credit_is_ended),
		cmocka_unit_test(a_file_over_its_limit_is_refused_by_the_parent_too),
		cmocka_unit_test(a_source_gives_ranges_and_nothing_else),
		cmocka_unit_test(
			a_child_that_dies_and_does_not_come_back_fails_the_range_in_its_turn),
		cmocka_unit_test(messages_for_nobody_are_passed_over),
		cmocka_unit_test(a_failure_is_told_in_printable_words),
		cmocka_unit_test(whatever_a_server_says_is_an_answer),
		cmocka_unit_test(a_tag_goes_to_no_other_server),
		cmocka_unit_test(a_child_that_cannot_start_says_why),
		cmocka_unit_test(a_child_cannot_blame_what_it_fetches),
		cmocka_unit_test(a_child_that_cannot_start_again_is_a_network_error),
		cmocka_unit_test(a_child_that_never_falls_silent_does_not_keep_its_parent),
		cmocka_unit_test(requests_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
