/* The agent's parent process against a network child that is somebody else's: it says what it
 * likes, whenever it likes, and the parent neither crashes, nor hangs, nor takes more than it asked
 * for.
 *
 * The input is a script: a byte says who acts and how, what follows is the act's. What starts
 * and ends a child (net_child.h) is here, and so is the child's end of the socket. */
#include <sys/socket.h>
#include <unistd.h>

#include "agent/net.h"
#include "agent/net_child.h"
#include "agent/wire.h"
#include "common/base/num.h"
#include "tests/fuzz/harness.h"

enum { CHILD_PID = 12345, LAUNCHES_MAX = 6, SLOTS = 3 };

/* What was asked for, and what came of it. */
struct asked {
	struct net_transfer *transfer;
	bool has_range;
	uint64_t max, got;
};

static struct {
	struct span script;
	struct net *net;
	int child_end; /* of the socket pair, -1: no child */
	unsigned launches;
	struct asked asked[SLOTS];
} stage;

static void
child_leave(void)
{
	if (stage.child_end >= 0)
		(void)close(stage.child_end);
	stage.child_end = -1;
}

bool
net_child_is_stale(void)
{
	return false;
}

void
net_child_worked(void)
{
}

bool
net_child_is_service(void)
{
	return stage.launches % 2 == 1;
}

void
net_child_end(pid_t pid, struct err *why)
{
	(void)why;
	MUST(pid == CHILD_PID);
	child_leave();
}

/* False when the socket takes no more. */
static bool
child_send(const void *packet, size_t len)
{
	return stage.child_end >= 0 &&
	       send(stage.child_end, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* What the parent says follows the rules, whatever the child says. */
static void
child_drain(void)
{
	static uint8_t packet[WIRE_MESSAGE_BYTES + 1];
	struct wire_message m;
	struct err e = ERR_INIT;
	ssize_t n;

	while (stage.child_end >= 0 &&
		(n = recv(stage.child_end, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
		MUST(wire_decode(span_of(packet, (size_t)n), WIRE_TO_CHILD, &m, &e) == 0);
}

/* A packet that is nearly right: a type, an id, numbers that are good unless the script has others,
 * a text, an etag, and a body of any length. */
static bool
child_say(void)
{
	static const uint64_t good[WIRE_STEP + 1][2] = {
		[WIRE_ANSWER] = {200, 0}, [WIRE_END] = {ERR_NONE, 0}};
	static uint8_t packet[WIRE_MESSAGE_BYTES];
	struct span *s = &stage.script;
	uint8_t type = fuzz_take8(s) % (WIRE_STEP + 2), changed;
	struct span text, etag;
	size_t body;

	memset(packet, 0, WIRE_HEADER_BYTES);
	packet[0] = type;
	packet[3] = WIRE_VERSION;
	num_put_le32(packet + 4, fuzz_take8(s));
	changed = fuzz_take8(s);
	for (size_t i = 0; i < 4; i++) {
		uint64_t number = type <= WIRE_STEP && i < 2 ? good[type][i] : 0;

		if (changed & 1 << i)
			number = changed & 0x80 ? fuzz_take64(s) : fuzz_take8(s) + 190U;
		num_put_le64(packet + 8 + 8 * i, number);
	}
	text = fuzz_take(s, changed & 0x10 ? fuzz_take8(s) : 0);
	etag = fuzz_take(s, changed & 0x20 ? fuzz_take8(s) : 0);
	body = type == WIRE_DATA ? (fuzz_take32(s) & 0xffff) % (WIRE_DATA_MAX + 2) : 0;
	num_put_le32(packet + 40, (uint32_t)text.len);
	num_put_le32(packet + 44, (uint32_t)etag.len);
	num_put_le32(packet + 48, (uint32_t)body);
	if (text.len)
		memcpy(packet + WIRE_HEADER_BYTES, text.data, text.len);
	if (etag.len)
		memcpy(packet + WIRE_HEADER_BYTES + text.len, etag.data, etag.len);
	memset(packet + WIRE_HEADER_BYTES + text.len + etag.len, 'b', body);
	return child_send(packet, WIRE_HEADER_BYTES + text.len + etag.len + body);
}

static bool
child_babble(void)
{
	struct span packet = fuzz_take(&stage.script, fuzz_take8(&stage.script));

	return child_send(packet.data, packet.len);
}

int
net_child_start(const struct conf *c, size_t site, int64_t now_s,
	const struct keep_going *keep_going, pid_t *pid, int *socket, struct err *e)
{
	bool sent = false;
	int pair[2];

	(void)c, (void)site, (void)now_s, (void)keep_going;
	if (stage.launches++ == LAUNCHES_MAX)
		return err_set(e, ERR_SYSTEM, "too many children");
	child_leave();
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	stage.child_end = pair[1];
	*socket = pair[0];
	*pid = CHILD_PID;
	if (fuzz_take8(&stage.script) % 16 == 15) {
		/* It begins with something else, and is gone. */
		(void)child_say();
		child_leave();
		return 0;
	}
	MUST(wire_send(stage.child_end, &(struct wire_message){.type = WIRE_READY}, &sent, e) ==
			0 &&
		sent);
	return 0;
}

/* While the parent waits, the child goes on; when the script has ended, so does the waiting. */
static int
parent_waits(void *arg, struct err *e)
{
	(void)arg;
	child_drain();
	if (stage.script.len > 0 && (stage.script.data[0] & 1 ? child_say() : child_babble()))
		return 0;
	return err_set(e, ERR_STOPPED, "the script has ended");
}
static const struct keep_going waiting = {parent_waits, NULL};

static void
check_text(const char *text)
{
	for (; *text; text++)
		MUST((*text >= 0x20 && *text < 0x7f) || *text == '\n');
}

static void
check_reply(const struct net_reply *r)
{
	MUST(r->status == 0 || (r->status >= 100 && r->status <= 599));
	MUST(r->retry_after_s >= -1 && r->retry_after_s <= NET_RETRY_AFTER_MAX_S);
	check_text(r->etag);
}

static void
parent_open(struct asked *a)
{
	struct span *s = &stage.script;
	uint8_t how = fuzz_take8(s);
	struct net_request r = {.base = how % 3 == 2 ? NET_REPORTS : (enum net_base)(how % 3),
		.path = "bundles/a.ota",
		.has_range = how % 3 != 2 && how & 0x10,
		.offset = 4096,
		.len = 1 + (fuzz_take32(s) & 0xfffff),
		.max = 65536,
		.etag = how & 0x20 ? "\"tag\"" : NULL,
		.put = how % 3 == 2 ? span_str("{}") : span_of(NULL, 0)};
	struct err e = ERR_INIT;

	if (a->transfer)
		return;
	*a = (struct asked){.has_range = r.has_range, .max = r.has_range ? r.len : r.max};
	if (net_open(stage.net, &r, &a->transfer, &e) < 0) {
		fuzz_check_err(&e);
		check_text(e.text);
	}
}

/* All of the file, where a range was asked for. */
static bool
is_whole(const struct asked *a)
{
	return a->has_range && net_reply_of(a->transfer)->status == 200;
}

static void
parent_read(struct asked *a)
{
	static uint8_t piece[WIRE_DATA_MAX];
	struct err e = ERR_INIT;
	ssize_t n;

	if (!a->transfer)
		return;
	n = net_read(a->transfer, piece, 1 + fuzz_take8(&stage.script) * 64U, &waiting, &e);
	check_reply(net_reply_of(a->transfer));
	if (n > 0) {
		a->got += (uint64_t)n;
		MUST(is_whole(a) || a->got <= a->max);
		fuzz_deep();
	} else if (n == 0) {
		MUST(net_reply_of(a->transfer)->status < 400);
		MUST(!a->has_range || is_whole(a) || a->got == a->max);
	} else {
		fuzz_check_err(&e);
		check_text(e.text);
	}
}

static void
parent_fetch(void)
{
	AUTO_BUF struct buf out = BUF_INIT(1 << 20);
	struct net_request r = {.base = NET_METADATA, .path = "timestamp.json", .max = 16384};
	struct net_reply reply = {0};
	struct err e = ERR_INIT;

	if (net_fetch(stage.net, &r, &out, &reply, &waiting, &e) < 0) {
		fuzz_check_err(&e);
		MUST(out.len == 0);
	}
	MUST(out.len <= r.max);
	check_reply(&reply);
}

static void
parent_looks(struct asked *a)
{
	MUST(net_range_retry_after_s(stage.net) >= -1);
	if (a->transfer && net_ready(a->transfer))
		check_reply(net_reply_of(a->transfer));
}

static void
act(void)
{
	uint8_t what = fuzz_take8(&stage.script);
	struct asked *a = &stage.asked[(what >> 4) % SLOTS];
	struct err e;

	switch (what % 8) {
	case 0:
		parent_open(a);
		break;
	case 1:
		parent_read(a);
		break;
	case 2:
		net_close(&a->transfer);
		break;
	case 3:
		parent_looks(a);
		break;
	case 4:
		(void)net_set_time(stage.net, fuzz_take32(&stage.script), &e);
		break;
	case 5:
		parent_fetch();
		break;
	case 6:
		(void)child_babble();
		break;
	default:
		(void)child_say();
	}
	child_drain();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char url[] = "https://site.invalid/", ca[] = "/nowhere/ca.pem";
	struct conf conf = {.site_url = url, .report_url = url, .tls_ca = ca, .stall_s = 60};
	struct err e = ERR_INIT;

	stage.script = span_of(data, size);
	stage.child_end = -1;
	stage.launches = 0;
	if (net_start(&conf, 1800000000, NULL, &stage.net, &e) == 0) {
		while (stage.script.len > 0)
			act();
		for (size_t i = 0; i < SLOTS; i++)
			net_close(&stage.asked[i].transfer);
		net_stop(&stage.net);
	} else {
		fuzz_check_err(&e);
	}
	child_leave();
	return 0;
}
