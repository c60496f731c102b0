/* Drives agent/net.h by lines on standard input, for tests/e2e/test_net.py.
 *
 *   net_probe URL CA CERT KEY NOW_S STALL_S          CERT and KEY may be "-"
 *
 *   get BASE PATH MAX DEADLINE_MS ETAG               BASE: metadata, targets; ETAG may be "-"
 *   put PATH BODY
 *   range PATH OFFSET LEN                            a whole range through a source
 *   nested PATH OFFSET LEN OTHER MAX                 the same, with `get targets OTHER` inside
 *   leave PATH OFFSET LEN NAP_MS                     opens a range, takes a little, waits, closes
 *   refuse PATH OFFSET LEN ASKS                      keep_going says no when asked ASKS times
 *   size BYTES                                       that the files have, of which ranges are asked
 *   ranges PATH GAP LEN COUNT                        so many ranges of LEN with GAP between, ahead
 *   named PATH OFFSET LEN NEXT LEN TAKE              opens one, names the next, takes a little
 *   only PATH OFFSET LEN                             wants a range only, and then whatever comes
 *   patient PATH GAP LEN COUNT                       the same; one that breaks off is opened again
 *   time NOW_S
 *   since S                                          the time is S or later
 *   child                                            the process id of the network child
 *
 * Each line is answered by one: "ok STATUS BYTES SHA256 ETAG RETRY_AFTER" or "err CLASS ERRNUM
 * RETRY_AFTER TEXT". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/net.h"
#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/crypto/digest.h"

enum { WORDS_MAX = 8, LINE_BYTES = 4096, FETCH_MAX = 64 * 1024 * 1024, BREAKS_MAX = 20 };

struct probe {
	struct net *net;
	char *words[WORDS_MAX];
	uint64_t asked, refuse_at;
	uint64_t bytes;	       /* of the file that ranges are of */
	int64_t retry_after_s; /* of the last failure */
};

static uint64_t
number(const struct probe *p, size_t i)
{
	uint64_t v = 0;

	if (!p->words[i] || num_parse(p->words[i], 0, UINT64_MAX, &v, NULL) < 0) {
		(void)fprintf(stderr, "word %zu is not a number\n", i);
		exit(2);
	}
	return v;
}

static void
print_ok(const struct net_reply *r, struct span body)
{
	struct digest d = digest_of(body);
	char hex[DIGEST_HEX_SIZE];

	printf("ok %ld %zu %s %s %" PRId64 "\n", r->status, body.len, digest_hex(&d, hex),
		r->etag[0] ? r->etag : "-", r->retry_after_s);
}

static int
ask(void *arg, struct err *e)
{
	struct probe *p = arg;

	return ++p->asked < p->refuse_at ? 0 : err_set(e, ERR_STOPPED, "asked often enough");
}

static int
get(struct probe *p, enum net_base base, const char *path, uint64_t max, uint64_t deadline_ms,
	const char *etag, struct buf *out, struct net_reply *reply, struct err *e)
{
	struct net_request r = {.base = base,
		.path = path,
		.max = max,
		.deadline_ms = (int64_t)deadline_ms,
		.etag = etag && strcmp(etag, "-") != 0 ? etag : NULL};

	return net_fetch(p->net, &r, out, reply, NULL, e);
}

static int
do_get(struct probe *p, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(FETCH_MAX);
	struct net_reply reply = {0};
	enum net_base base = strcmp(p->words[1], "metadata") == 0 ? NET_METADATA : NET_TARGETS;

	if (get(p, base, p->words[2], number(p, 3), number(p, 4), p->words[5], &out, &reply, e) <
		0) {
		p->retry_after_s = reply.retry_after_s;
		return -1;
	}
	print_ok(&reply, buf_span(&out));
	return 0;
}

static int
do_put(struct probe *p, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(FETCH_MAX);
	struct net_reply reply = {0};
	struct net_request r = {.base = NET_REPORTS,
		.path = p->words[1],
		.put = span_str(p->words[2]),
		.deadline_ms = 10000};

	if (net_fetch(p->net, &r, &out, &reply, NULL, e) < 0)
		return -1;
	print_ok(&reply, buf_span(&out));
	return 0;
}

/* Reads what is left of a range, at most max bytes. */
static int
drain(const struct source *s, uint64_t max, struct buf *out, struct err *e)
{
	uint8_t piece[10000];
	ssize_t n = 1;

	while (max > 0 && n > 0) {
		n = s->read(s->arg, piece, (size_t)num_min(max, sizeof(piece)), e);
		if (n < 0 || buf_append(out, piece, (size_t)n, e) < 0)
			return -1;
		max -= (uint64_t)n;
	}
	return 0;
}

static int
do_range(struct probe *p, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(FETCH_MAX), other = BUF_INIT(FETCH_MAX);
	CLEANUP(net_source_free) struct net_source *ns = NULL;
	bool nested = strcmp(p->words[0], "nested") == 0, leave = strcmp(p->words[0], "leave") == 0;
	struct keep_going keep_going = {ask, p};
	struct net_reply reply = {.status = 206, .retry_after_s = -1};
	struct source s;

	p->asked = 0;
	p->refuse_at = strcmp(p->words[0], "refuse") == 0 ? number(p, 4) : UINT64_MAX;
	if (net_source_new(p->net, p->words[1], p->bytes, &keep_going, &ns, e) < 0)
		return -1;
	s = net_source_of(ns);
	if (s.open(s.arg, number(p, 2), number(p, 3), e) < 0)
		return -1;
	if (nested || leave) {
		if (drain(&s, 1000, &out, e) < 0)
			return -1;
	}
	if (leave) {
		clock_sleep_ms((int64_t)number(p, 4));
		s.close(s.arg);
		print_ok(&reply, buf_span(&out));
		return 0;
	}
	for (int i = 0; nested && i < 3; i++) {
		struct net_reply inner;

		buf_clear(&other);
		if (get(p, NET_TARGETS, p->words[4], number(p, 5), 10000, NULL, &other, &inner, e) <
			0)
			return -1;
	}
	if (drain(&s, UINT64_MAX, &out, e) < 0)
		return -1;
	print_ok(&reply, buf_span(&out));
	return 0;
}

/* Each range is named as soon as there is room for it, as ranges.c does. */
static int
do_ranges(struct probe *p, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(FETCH_MAX);
	CLEANUP(net_source_free) struct net_source *ns = NULL;
	uint64_t gap = number(p, 2), len = number(p, 3), count = number(p, 4), named = 1,
		 breaks = 0;
	struct net_reply reply = {.status = 206, .retry_after_s = -1};
	struct source s;

	if (net_source_new(p->net, p->words[1], p->bytes, NULL, &ns, e) < 0)
		return -1;
	s = net_source_of(ns);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = i * (gap + len), end = at + len, before = out.len;

		if (s.open(s.arg, at, len, e) < 0)
			return -1;
		named = named > i ? named : i + 1;
		while (named < count && s.expect(s.arg, named * (gap + len), len))
			named++;
		while (drain(&s, UINT64_MAX, &out, e) < 0) {
			at += out.len - before;
			before = out.len;
			if (strcmp(p->words[0], "patient") != 0 || ++breaks == BREAKS_MAX ||
				s.open(s.arg, at, end - at, e) < 0)
				return -1;
		}
	}
	print_ok(&reply, buf_span(&out));
	return 0;
}

static int
do_named(struct probe *p, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(FETCH_MAX);
	CLEANUP(net_source_free) struct net_source *ns = NULL;
	struct net_reply reply = {.status = 206, .retry_after_s = -1};
	struct source s;

	if (net_source_new(p->net, p->words[1], p->bytes, NULL, &ns, e) < 0)
		return -1;
	s = net_source_of(ns);
	if (s.open(s.arg, number(p, 2), number(p, 3), e) < 0)
		return -1;
	(void)s.expect(s.arg, number(p, 4), number(p, 5));
	if (drain(&s, number(p, 6), &out, e) < 0)
		return -1;
	print_ok(&reply, buf_span(&out));
	return 0;
}

static int
do_only(struct probe *p, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(FETCH_MAX);
	CLEANUP(net_source_free) struct net_source *ns = NULL;
	struct net_reply reply = {.status = 206, .retry_after_s = -1};
	uint64_t at = number(p, 2), len = number(p, 3);
	struct source s;

	if (net_source_new(p->net, p->words[1], p->bytes, NULL, &ns, e) < 0)
		return -1;
	s = net_source_of(ns);
	(void)source_only_ranges(&s, true);
	if (s.open(s.arg, at, len, e) < 0 || drain(&s, UINT64_MAX, &out, e) < 0) {
		if (source_only_ranges(&s, true) || out.len > 0)
			return -1;
		if (s.open(s.arg, at, len, e) == 0)
			return err_set(e, ERR_SYSTEM, "it asks again");
		(void)source_only_ranges(&s, false);
		if (s.open(s.arg, at, len, e) < 0)
			return -1;
		if (drain(&s, UINT64_MAX, &out, e) < 0 &&
			(s.open(s.arg, at + out.len, len - out.len, e) < 0 ||
				drain(&s, UINT64_MAX, &out, e) < 0))
			return -1;
	}
	print_ok(&reply, buf_span(&out));
	return 0;
}

static int
run(struct probe *p, struct err *e)
{
	const char *word = p->words[0];

	if (strcmp(word, "get") == 0)
		return do_get(p, e);
	if (strcmp(word, "put") == 0)
		return do_put(p, e);
	if (strcmp(word, "size") == 0) {
		p->bytes = number(p, 1);
		(void)puts("ok");
		return 0;
	}
	if (strcmp(word, "named") == 0)
		return do_named(p, e);
	if (strcmp(word, "only") == 0)
		return do_only(p, e);
	if (strcmp(word, "ranges") == 0 || strcmp(word, "patient") == 0)
		return do_ranges(p, e);
	if (strcmp(word, "time") == 0) {
		if (net_set_time(p->net, (int64_t)number(p, 1), e) < 0)
			return -1;
		(void)puts("ok");
		return 0;
	}
	if (strcmp(word, "since") == 0) {
		if (net_set_time(p->net, NET_SINCE((int64_t)number(p, 1)), e) < 0)
			return -1;
		(void)puts("ok");
		return 0;
	}
	if (strcmp(word, "child") == 0) {
		printf("ok %d\n", (int)net_pid(p->net));
		return 0;
	}
	return do_range(p, e);
}

int
main(int argc, char **argv)
{
	struct conf c = {0};
	struct probe p = {0};
	struct err e = ERR_INIT;
	char line[LINE_BYTES];

	if (argc != 7)
		return 2;
	c.site_url = c.report_url = argv[1];
	c.tls_ca = argv[2];
	c.tls_cert = strcmp(argv[3], "-") ? argv[3] : NULL;
	c.tls_key = strcmp(argv[4], "-") ? argv[4] : NULL;
	c.stall_s = strtoull(argv[6], NULL, 10);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (net_start(&c, strtoll(argv[5], NULL, 10), NULL, &p.net, &e) < 0) {
		printf("err %s %d -1 %s\n", err_class_name(e.class), e.errnum, e.text);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		char *rest = line;

		for (size_t i = 0; i < WORDS_MAX; i++)
			p.words[i] = strtok_r(NULL, " \n", &rest);
		e = ERR_INIT;
		p.retry_after_s = -1;
		if (p.words[0] && run(&p, &e) < 0)
			printf("err %s %d %" PRId64 " %s\n", err_class_name(e.class), e.errnum,
				p.retry_after_s, e.text);
	}
	net_stop(&p.net);
	return 0;
}
