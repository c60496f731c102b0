#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/net.h"
#include "common/base/log.h"
#include "common/base/num.h"

enum { HTTP_OK = 200, HTTP_REFUSED = 400 };

/* After so many ranges in a row that came as they should one more is asked for ahead. */
enum { EASE_RANGES = 16, SETTLE_MS = 900 };

/* Of a stream that nobody wants yet no more is taken: it stands before a bundle's data. */
enum { KEPT_BYTES = 1024 };

/* A range that is expected; with a transfer once it is asked for. */
struct ahead {
	uint64_t offset, len;
	struct net_transfer *transfer;
};

struct net_source {
	struct net *net;
	char *path;
	uint64_t bytes;
	struct keep_going keep_going;
	struct bill bill;
	struct net_transfer *transfer;
	uint64_t offset, left; /* of the open range, what was not given yet */
	/* A server that ignores ranges: transfer has all of the file, and stands at stream_at. */
	bool streams;
	uint64_t stream_at, streamed; /* streamed: by those that have ended */
	bool only_ranges;
	/* What is expected, in order; asked: so many of them are under way. Nothing is before a
	 * server has answered with a range. */
	struct ahead ahead[NET_AHEAD_MAX];
	unsigned ahead_count, asked, ahead_max, eased;
	bool has_ranges;
};

static void
transfer_end(struct net_source *s)
{
	net_close(&s->transfer);
	if (s->streams)
		s->streamed += s->stream_at;
	s->streams = false;
	s->stream_at = 0;
}

/* Forgets what is expected before a byte. */
static void
ahead_drop(struct net_source *s, uint64_t before)
{
	unsigned gone = 0;

	while (gone < s->ahead_count && s->ahead[gone].offset < before)
		net_close(&s->ahead[gone++].transfer);
	s->ahead_count -= gone;
	s->asked -= (unsigned)num_min(s->asked, gone);
	memmove(s->ahead, s->ahead + gone, s->ahead_count * sizeof(*s->ahead));
}

static int
range_ask(struct net_source *s, uint64_t offset, uint64_t len, struct net_transfer **out,
	struct err *e)
{
	return net_open(s->net,
		&(struct net_request){.base = NET_TARGETS,
			.path = s->path,
			.has_range = true,
			.offset = offset,
			.len = len},
		out, e);
}

/* Asks for what is expected, as long as not much is under way: a long range needs nothing behind it
 * until its end is near. */
static void
ahead_ask(struct net_source *s)
{
	uint64_t under_way = s->left;
	struct err why;

	for (unsigned i = 0; i < s->asked; i++)
		under_way += s->ahead[i].len;
	while (s->has_ranges && s->asked < s->ahead_count && s->asked < s->ahead_max &&
		under_way < NET_AHEAD_BYTES) {
		struct ahead *next = &s->ahead[s->asked];

		/* Where it cannot be it is asked for in its turn, and that says why. */
		if (range_ask(s, next->offset, next->len, &next->transfer, &why) < 0)
			return;
		s->asked++;
		under_way += next->len;
	}
}

/* Servers and firewalls limit how many connections one client has: it has fewer from now on, and
 * the next none beside it. */
static void
ahead_recede(struct net_source *s)
{
	s->ahead_max /= 2;
	s->eased = 0;
	net_settle(s->net, SETTLE_MS);
}

/* What failed before its turn may have failed because of that. */
static bool
ahead_take(struct net_source *s, uint64_t offset, uint64_t len)
{
	struct ahead *first = &s->ahead[0];

	if (s->ahead_count == 0 || first->offset != offset || first->len != len)
		return false;
	if (first->transfer && net_failed(first->transfer)) {
		ahead_recede(s);
	} else {
		s->transfer = first->transfer;
		first->transfer = NULL;
	}
	ahead_drop(s, offset + 1);
	return s->transfer != NULL;
}

static void
ahead_ease(struct net_source *s)
{
	if (++s->eased < EASE_RANGES)
		return;
	s->eased = 0;
	s->ahead_max = (unsigned)num_min(s->ahead_max + 1, NET_AHEAD_MAX);
}

static int
bill(const struct net_source *s, uint64_t bytes, struct err *e)
{
	return bytes > 0 && s->bill.ask ? s->bill.ask(s->bill.arg, bytes, e) : 0;
}

/* Where streams were cut off or left, and another would go over what the file costs. */
static int
stream_check(const struct net_source *s, uint64_t offset, uint64_t len, struct err *e)
{
	uint64_t most = s->bytes + s->bytes / 100;

	if (s->streamed <= KEPT_BYTES || s->streamed + offset + len <= most)
		return 0;
	return err_set(e, ERR_NETWORK,
		"%s: the server, or a proxy before it, ignores Range; %llu of %llu bytes came, and "
		"it would begin again",
		s->path, (unsigned long long)s->streamed, (unsigned long long)s->bytes);
}

static int
refuse_stream(const struct net_source *s, struct err *e)
{
	return err_set(
		e, ERR_NETWORK, "%s: the server, or a proxy before it, ignores Range", s->path);
}

static bool
source_only(void *arg, bool only)
{
	struct net_source *s = arg;

	s->only_ranges = only;
	return !s->streams && s->streamed == 0;
}

static int
source_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct net_source *s = arg;

	if (s->only_ranges && !source_only(s, true))
		return refuse_stream(s, e);
	s->offset = offset;
	s->left = len;
	if (s->streams && len > 0 && offset >= s->stream_at)
		return bill(s, offset - s->stream_at, e);
	transfer_end(s);
	if (len == 0)
		return err_set(e, ERR_MALFORMED, "%s: an empty range", s->path);
	ahead_drop(s, offset);
	ahead_ease(s);
	if (ahead_take(s, offset, len))
		return 0;
	ahead_drop(s, offset + len);
	if (stream_check(s, offset, len, e) < 0)
		return -1;
	return range_ask(s, offset, len, &s->transfer, e);
}

/* The answer is all of the file, and its first bytes were taken: it is gone through, once. */
static int
stream_begin(struct net_source *s, struct err *e)
{
	char more[NUM_HUMAN_SIZE];

	s->streams = true;
	s->stream_at = 0;
	ahead_drop(s, UINT64_MAX);
	if (s->offset > 0)
		log_warning("%s: the server, or a proxy before it, ignores Range: %s more are "
			    "taken to come to what is lacking",
			s->path, num_human_size(s->offset, more));
	return bill(s, s->offset, e);
}

/* Those who want ranges only go without; later it may be gone through all the same. */
static int
stream_keep(struct net_source *s, size_t taken, struct err *e)
{
	s->streams = true;
	s->stream_at = taken;
	s->left = 0;
	ahead_drop(s, UINT64_MAX);
	return refuse_stream(s, e);
}

/* Takes up to len bytes of the answer, of which *skip come before the open range. */
static ssize_t
answer_read(struct net_source *s, void *data, size_t len, size_t *skip, struct err *e)
{
	uint64_t before = s->streams ? s->offset - s->stream_at : 0;
	bool whole;
	ssize_t n;

	*skip = 0;
	len = (size_t)num_min(s->only_ranges ? num_min(len, KEPT_BYTES) : len, before + s->left);
	n = net_read(s->transfer, data, len, &s->keep_going, e);
	if (n == 0)
		return err_set(e, ERR_NETWORK, "%s: the answer ended before the range", s->path);
	if (n < 0)
		return -1;
	whole = net_reply_of(s->transfer)->status == HTTP_OK;
	s->has_ranges |= !whole;
	if (!whole)
		return n;
	if (!s->streams && s->only_ranges)
		return stream_keep(s, (size_t)n, e);
	if (!s->streams && stream_begin(s, e) < 0)
		return -1;
	*skip = (size_t)num_min(s->offset - s->stream_at, (uint64_t)n);
	s->stream_at += (uint64_t)n;
	return n;
}

/* A copy that fails is no reason to fail: the site has the rest. */
static int
copy_leave(struct net_source *s, struct err *e)
{
	struct err why = *e;

	if (why.class != ERR_NETWORK || !net_reply_of(s->transfer)->from_copy)
		return -1;
	transfer_end(s);
	ahead_drop(s, UINT64_MAX);
	if (net_asks_copy(s->net))
		(void)net_next_source(s->net, &why);
	return range_ask(s, s->offset, s->left, &s->transfer, e);
}

static ssize_t
source_read(void *arg, void *data, size_t len, struct err *e)
{
	struct net_source *s = arg;
	size_t skip = 0;
	ssize_t n = 0;

	if (!s->transfer)
		return err_set(e, ERR_NETWORK, "%s: no range is open", s->path);
	if (s->left == 0)
		return 0;
	/* Where there is always something to skip, nobody else is asked. */
	while (n == (ssize_t)skip) {
		if ((skip > 0 && keep_going_ask(&s->keep_going, e) < 0) ||
			(n = answer_read(s, data, len, &skip, e)) < 0) {
			n = 0;
			skip = 0;
			if (s->only_ranges && s->streams)
				return -1;
			if (copy_leave(s, e) == 0)
				continue;
			if (s->transfer && s->asked > 0 &&
				net_reply_of(s->transfer)->status >= HTTP_REFUSED)
				ahead_recede(s);
			transfer_end(s);
			return -1;
		}
	}
	memmove(data, (uint8_t *)data + skip, (size_t)n - skip);
	n -= (ssize_t)skip;
	s->offset += (uint64_t)n;
	s->left -= (uint64_t)n;
	ahead_ask(s);
	return n;
}

/* A stream is not ended with the range: the next may be behind it. */
static void
source_close(void *arg)
{
	struct net_source *s = arg;

	ahead_drop(s, UINT64_MAX);
	s->left = 0;
	if (!s->streams)
		transfer_end(s);
}

static bool
source_expect(void *arg, uint64_t offset, uint64_t len)
{
	struct net_source *s = arg;

	if (s->ahead_count == NET_AHEAD_MAX || s->streams || len == 0)
		return false;
	s->ahead[s->ahead_count++] = (struct ahead){offset, len, NULL};
	ahead_ask(s);
	return true;
}

static void
source_bill(void *arg, const struct bill *to)
{
	struct net_source *s = arg;

	s->bill = *to;
}

/* Each of the site's servers once. */
static int
source_elsewhere(void *arg, unsigned tries, uint64_t spoilt, struct err *why)
{
	struct net_source *s = arg;

	(void)spoilt;
	if (tries + 1 >= net_sources(s->net))
		return -1;
	source_close(s);
	transfer_end(s);
	return net_next_source(s->net, why) ? 0 : -1;
}

int
net_source_new(struct net *n, const char *path, uint64_t bytes, const struct keep_going *keep_going,
	struct net_source **out, struct err *e)
{
	struct net_source *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(path))) {
		free(s);
		return err_sys(e, ENOMEM, "%s", path);
	}
	s->net = n;
	s->bytes = bytes;
	s->ahead_max = NET_AHEAD_MAX;
	if (keep_going)
		s->keep_going = *keep_going;
	*out = s;
	return 0;
}

void
net_source_free(struct net_source **s)
{
	if (!*s)
		return;
	ahead_drop(*s, UINT64_MAX);
	net_close(&(*s)->transfer);
	free((*s)->path);
	free(*s);
	*s = NULL;
}

struct source
net_source_of(struct net_source *s)
{
	return (struct source){.arg = s,
		.open = source_open,
		.read = source_read,
		.close = source_close,
		.elsewhere = source_elsewhere,
		.expect = source_expect,
		.bill = source_bill,
		.only_ranges = source_only};
}
