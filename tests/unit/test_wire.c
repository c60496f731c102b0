#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/wire.h"
#include "common/base/num.h"

static const uint8_t body[REPORT_BYTES_MAX + 1];

static struct wire_message
request(void)
{
	return (struct wire_message){.type = WIRE_REQUEST,
		.id = 7,
		.base = 1,
		.has_range = true,
		.offset = 1ULL << 40,
		.len = 5ULL << 32,
		.credit = 1 << 20,
		.deadline_ms = 30000,
		.retry_after_s = -1,
		.text = span_str("bundles/0a.b%20c-1.0.ota"),
		.etag = span_str("W/\"abc\"")};
}

static struct wire_message
answer(void)
{
	return (struct wire_message){.type = WIRE_ANSWER,
		.id = 9,
		.status = 206,
		.bare = true,
		.retry_after_s = 120,
		.etag = span_str("\"x\"")};
}

static void
assert_same(const struct wire_message *a, const struct wire_message *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->base, b->base);
	assert_int_equal(a->has_range, b->has_range);
	assert_int_equal(a->put, b->put);
	assert_true(a->offset == b->offset && a->len == b->len && a->credit == b->credit);
	assert_true(a->deadline_ms == b->deadline_ms && a->now_s == b->now_s);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->bare, b->bare);
	assert_int_equal(a->met, b->met);
	assert_true(a->retry_after_s == b->retry_after_s);
	assert_int_equal(a->class, b->class);
	assert_int_equal(a->errnum, b->errnum);
	assert_true(span_equal(a->text, b->text) && span_equal(a->etag, b->etag) &&
		    span_equal(a->body, b->body));
}

static const struct sample {
	enum wire_to to;
	struct wire_message m;
} samples[] = {
	{WIRE_TO_CHILD, {.type = WIRE_TIME, .now_s = 1795359600, .retry_after_s = -1}},
	{WIRE_TO_CHILD, {.type = WIRE_CREDIT, .id = 1, .credit = 65536, .retry_after_s = -1}},
	{WIRE_TO_CHILD, {.type = WIRE_CANCEL, .id = UINT32_MAX, .retry_after_s = -1}},
	{WIRE_TO_CHILD, {.type = WIRE_REQUEST,
				.id = 3,
				.base = 2,
				.put = true,
				.credit = 1 << 20,
				.retry_after_s = -1,
				.text = {(const uint8_t *)"reports/b/1.json", 16},
				.body = {body, REPORT_BYTES_MAX}}},
	{WIRE_TO_PARENT, {.type = WIRE_READY, .retry_after_s = -1}},
	{WIRE_TO_PARENT,
		{.type = WIRE_DATA, .id = 3, .retry_after_s = -1, .body = {body, WIRE_DATA_MAX}}},
	{WIRE_TO_PARENT, {.type = WIRE_END,
				 .id = 3,
				 .class = ERR_NETWORK,
				 .errnum = 503,
				 .retry_after_s = -1,
				 .text = {(const uint8_t *)"busy", 4}}},
	{WIRE_TO_PARENT, {.type = WIRE_END, .id = 0, .class = ERR_SYSTEM, .retry_after_s = -1}},
	{WIRE_TO_CHILD, {.type = WIRE_TIME, .now_s = -1795359600, .retry_after_s = -1}},
	{WIRE_TO_PARENT, {.type = WIRE_STEP, .id = 4, .retry_after_s = -1}},
	{WIRE_TO_PARENT, {.type = WIRE_STEP, .id = 4, .met = true, .retry_after_s = -1}},
	{WIRE_TO_CHILD, {.type = WIRE_URL,
				.base = WIRE_URL_REPORTS,
				.retry_after_s = -1,
				.text = {(const uint8_t *)"https://a/b/", 12}}},
	{WIRE_TO_CHILD, {.type = WIRE_PAPER,
				.base = WIRE_PAPER_KEY,
				.retry_after_s = -1,
				.body = {body, REPORT_BYTES_MAX}}},
	{WIRE_TO_CHILD, {.type = WIRE_START, .now_s = -5, .stall_s = 60, .retry_after_s = -1}},
};

static struct buf
encoded(const struct wire_message *m)
{
	struct buf b = BUF_INIT(WIRE_MESSAGE_BYTES);
	struct err e;

	assert_int_equal(wire_encode(m, &b, &e), 0);
	return b;
}

static void
every_type_comes_back_as_it_went(void **state)
{
	struct sample more[] = {{WIRE_TO_CHILD, request()}, {WIRE_TO_PARENT, answer()}};
	struct wire_message out;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples) + 2; i++) {
		const struct sample *s = i < 2 ? &more[i] : &samples[i - 2];
		struct buf b = encoded(&s->m);

		assert_int_equal(wire_decode(buf_span(&b), s->to, &out, &e), 0);
		assert_same(&s->m, &out);
		assert_int_equal(
			wire_decode(buf_span(&b),
				s->to == WIRE_TO_CHILD ? WIRE_TO_PARENT : WIRE_TO_CHILD, &out, &e),
			-1);
		buf_free(&b);
	}
}

static void
every_prefix_and_every_longer_packet_is_refused(void **state)
{
	struct wire_message ms[] = {request(), answer()}, out;
	struct err e;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		enum wire_to to = k == 0 ? WIRE_TO_CHILD : WIRE_TO_PARENT;
		struct buf b = encoded(&ms[k]);

		for (size_t len = 0; len < b.len; len++) {
			uint8_t *exact = malloc(len + 1);

			memcpy(exact, b.data, len);
			assert_int_equal(wire_decode(span_of(exact, len), to, &out, &e), -1);
			assert_int_equal(e.class, ERR_MALFORMED);
			free(exact);
		}
		assert_int_equal(buf_append(&b, "x", 1, &e), 0);
		assert_int_equal(wire_decode(buf_span(&b), to, &out, &e), -1);
		buf_free(&b);
	}
}

/* A flip may give another message, but only one that the encoder would write just so. */
static void
every_flipped_bit_is_refused_or_a_message_that_encodes_the_same(void **state)
{
	struct wire_message ms[] = {request(), answer()}, out;
	size_t refused = 0;
	struct err e;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct buf b = encoded(&ms[k]);

		for (size_t bit = 0; bit < 8 * b.len; bit++) {
			b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (wire_decode(buf_span(&b), k == 0 ? WIRE_TO_CHILD : WIRE_TO_PARENT, &out,
				    &e) == 0) {
				struct buf again = encoded(&out);

				assert_true(span_equal(buf_span(&b), buf_span(&again)));
				buf_free(&again);
			} else {
				refused++;
			}
			b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		buf_free(&b);
	}
	assert_true(refused > 300);
}

static void
assert_not_encoded(struct wire_message m)
{
	struct buf b = BUF_INIT(2 * WIRE_MESSAGE_BYTES);
	struct err e;

	assert_int_equal(wire_encode(&m, &b, &e), -1);
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static struct wire_message
told(enum wire_type type)
{
	size_t i = 0;

	while (samples[i].m.type != type)
		i++;
	return samples[i].m;
}

static void
messages_that_break_the_rules_are_not_sent(void **state)
{
	struct wire_message m;

	(void)state;
	m = request(), m.id = 0, assert_not_encoded(m);
	m = request(), m.base = NET_BASES, assert_not_encoded(m);
	m = request(), m.len = 0, assert_not_encoded(m);
	m = request(), m.offset = INT64_MAX, assert_not_encoded(m);
	m = request(), m.put = true, assert_not_encoded(m);
	m = request(), m.has_range = false, assert_not_encoded(m);
	m = request(), m.credit = WIRE_DATA_MAX - 1, assert_not_encoded(m);
	m = request(), m.deadline_ms = -1, assert_not_encoded(m);
	m = request(), m.text = span_str(""), assert_not_encoded(m);
	m = request(), m.etag = span_str("a\r\nHost: b"), assert_not_encoded(m);
	m = request(), m.body = span_of(body, 1), assert_not_encoded(m);
	m = answer(), m.status = 99, assert_not_encoded(m);
	m = answer(), m.status = 600, assert_not_encoded(m);
	m = answer(), m.retry_after_s = -2, assert_not_encoded(m);
	m = answer(), m.text = span_str("x"), assert_not_encoded(m);
	m = samples[5].m, m.body.len = 0, assert_not_encoded(m);
	m = samples[5].m, m.body.len = WIRE_DATA_MAX + 1, assert_not_encoded(m);
	m = samples[6].m, m.class = ERR_UNTRUSTED, assert_not_encoded(m);
	m = samples[0].m, m.id = 1, assert_not_encoded(m);
	m = samples[0].m, m.now_s = INT64_MIN, assert_not_encoded(m);
	m = (struct wire_message){.type = 0}, assert_not_encoded(m);
	m = (struct wire_message){.type = WIRE_START + 1}, assert_not_encoded(m);
	m = told(WIRE_URL), m.text = span_str("https://a"), assert_not_encoded(m);
	m = told(WIRE_URL), m.text = span_str("https://a b/"), assert_not_encoded(m);
	m = told(WIRE_URL), m.base = WIRE_URLS, assert_not_encoded(m);
	m = told(WIRE_PAPER), m.base = WIRE_PAPERS, assert_not_encoded(m);
	m = told(WIRE_PAPER), m.body.len = 0, assert_not_encoded(m);
	m = told(WIRE_START), m.stall_s = 0, assert_not_encoded(m);
	m = told(WIRE_START), m.base = 1, assert_not_encoded(m);
}

/* With no class the parent would take the failure for none. */
static void
a_child_that_gives_up_says_why(void **state)
{
	struct buf b = BUF_INIT(WIRE_MESSAGE_BYTES);
	struct wire_message m = {.type = WIRE_END, .class = ERR_SYSTEM}, out;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(wire_encode(&m, &b, &e), 0);
	assert_int_equal(wire_decode(buf_span(&b), WIRE_TO_PARENT, &out, &e), 0);
	num_put_le64(b.data + 8, ERR_NONE);
	assert_int_equal(wire_decode(buf_span(&b), WIRE_TO_PARENT, &out, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	buf_free(&b);
}

/* Each program finds out about the other, whatever else has changed in the message. */
static void
a_packet_of_another_version_says_what_to_do(void **state)
{
	struct buf b = encoded(&samples[0].m);
	struct wire_message out;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t len = 4; len <= b.len; len += b.len - 4) {
		b.data[3] = WIRE_VERSION + 1;
		assert_int_equal(wire_decode(span_of(b.data, len), WIRE_TO_CHILD, &out, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
		assert_non_null(strstr(e.text, "restart sluice-agent"));
		b.data[3] = 0;
		assert_int_equal(wire_decode(span_of(b.data, len), WIRE_TO_PARENT, &out, &e), -1);
		assert_int_equal(e.class, ERR_SYSTEM);
	}
	buf_free(&b);
}

static void
paths_stay_below_their_base(void **state)
{
	static const char *const good[] = {"1.root.json", "a/b/c", "a%2e/x", "..a/b..", "a+b/~c"};
	static const char *const bad[] = {"", "/a", "../a", "a/..", "a/../b", ".", "./a", "a/.",
		"a b", "a?b", "a#b", "a\\b", "a\nb", "\xc3\xa9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(wire_path_valid(span_str(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(wire_path_valid(span_str(bad[i])));
	assert_false(wire_path_valid(span_of("a\0b", 3)));
}

/* With every part as long as it may be. */
static const struct wire_message *
longest_request(void)
{
	static char text[WIRE_TEXT_MAX], etag[WIRE_ETAG_MAX], report[REPORT_BYTES_MAX];
	static struct wire_message m;

	memset(text, 'a', sizeof(text));
	memset(etag, 'e', sizeof(etag));
	m = request();
	m.has_range = false;
	m.offset = 0;
	m.put = true;
	m.text = span_of(text, sizeof(text));
	m.etag = span_of(etag, sizeof(etag));
	m.body = span_of(report, sizeof(report));
	return &m;
}

static void
a_packet_longer_than_any_message_is_not_cut_to_one(void **state)
{
	static uint8_t packet[WIRE_MESSAGE_BYTES], large[WIRE_MESSAGE_BYTES + 100];
	struct wire_message out;
	struct buf b = encoded(&samples[1].m), longest = encoded(longest_request());
	struct err e;
	bool got;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(wire_receive(pair[1], WIRE_TO_CHILD, packet, &out, &got, &e), 0);
	assert_false(got);
	memcpy(large, b.data, b.len);
	assert_int_equal(send(pair[0], large, sizeof(large), 0), (ssize_t)sizeof(large));
	assert_int_equal(wire_receive(pair[1], WIRE_TO_CHILD, packet, &out, &got, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(longest.len, WIRE_MESSAGE_BYTES);
	memcpy(large, longest.data, longest.len);
	assert_int_equal(send(pair[0], large, sizeof(large), 0), (ssize_t)sizeof(large));
	assert_int_equal(wire_receive(pair[1], WIRE_TO_CHILD, packet, &out, &got, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(wire_send(pair[0], &samples[1].m, &got, &e), 0);
	assert_int_equal(wire_receive(pair[1], WIRE_TO_CHILD, packet, &out, &got, &e), 0);
	assert_true(got);
	assert_same(&samples[1].m, &out);
	(void)close(pair[0]);
	assert_int_equal(wire_receive(pair[1], WIRE_TO_CHILD, packet, &out, &got, &e), -1);
	assert_int_equal(e.class, ERR_NETWORK);
	(void)close(pair[1]);
	buf_free(&b);
	buf_free(&longest);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_comes_back_as_it_went),
		cmocka_unit_test(every_prefix_and_every_longer_packet_is_refused),
		cmocka_unit_test(every_flipped_bit_is_refused_or_a_message_that_encodes_the_same),
		cmocka_unit_test(messages_that_break_the_rules_are_not_sent),
		cmocka_unit_test(a_child_that_gives_up_says_why),
		cmocka_unit_test(a_packet_of_another_version_says_what_to_do),
		cmocka_unit_test(paths_stay_below_their_base),
		cmocka_unit_test(a_packet_longer_than_any_message_is_not_cut_to_one),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
