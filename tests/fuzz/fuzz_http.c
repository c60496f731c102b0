/* What a server answers, to the child that has the network: any bytes, cut anywhere, through
 * libcurl as the child sets it up, but without TLS. What the child says to its parent follows the
 * rules of wire.h all the same.
 *
 * Input: how to ask (a byte: 1 range, 2 PUT, 4 If-None-Match, a count of requests in bits 4 and 5,
 * 64 for 40 000 bytes more behind each answer), 2 bytes offset, 2 bytes length; then what the
 * server says on each connection, separated by lines of "%%". curl_easy_setopt() and _exit() are
 * replaced (see Makefile), and so is connect(): a connection is one end of a socket pair with the
 * answer in it, and _exit() must not be called. */
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/net/http.h"
#include "agent/wire.h"
#include "common/base/num.h"
#include "tests/fuzz/harness.h"

#undef curl_easy_setopt

enum {
	RANGE = 1,
	PUT = 2,
	CONDITIONAL = 4,
	MORE = 64,
	MORE_BYTES = 40000,
	CONNECTIONS_MAX = 8,
	PATIENCE_MS = 15000,
	GRANT_MS = 3
};

/* The server, in the child's thread; the lock is for the input, which the main thread changes. */
static struct {
	pthread_mutex_t lock;
	struct span says;
	bool more;
	int ends[CONNECTIONS_MAX]; /* its ends of the connections of this input */
	size_t count;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
void __wrap__exit(int status) __attribute__((noreturn));

void
__wrap__exit(int status)
{
	must_have(__FILE__, __LINE__, status ? "the child goes on" : "its socket stays open");
}

/* A connection whose answer is there before the question. */
static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	static const uint8_t more[MORE_BYTES];
	struct span part;
	int pair[2];

	(void)arg;
	(void)purpose;
	(void)address;
	(void)pthread_mutex_lock(&server.lock);
	part = fuzz_take_part(&server.says, "%%");
	if (server.count == CONNECTIONS_MAX ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		(void)pthread_mutex_unlock(&server.lock);
		return CURL_SOCKET_BAD;
	}
	(void)send(pair[1], part.data, part.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (server.more)
		(void)send(pair[1], more, sizeof(more), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(pair[1], SHUT_WR);
	server.ends[server.count++] = pair[1];
	(void)pthread_mutex_unlock(&server.lock);
	return pair[0];
}

/* Stands before the C library's for libcurl, too: what on_open gives is connected already. (The
 * answer CURL_SOCKOPT_ALREADY_CONNECTED would say so, but libcurl 7.88 does not listen to it.) */
int
connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t len)
{
	(void)fd;
	(void)address;
	(void)len;
	return 0;
}

CURLcode
__wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	CURLcode rc;
	va_list args;

	va_start(args, option);
	if (option == CURLOPT_PROTOCOLS_STR)
		rc = __real_curl_easy_setopt(easy, option, "http");
	else if (option < CURLOPTTYPE_OBJECTPOINT)
		rc = __real_curl_easy_setopt(easy, option, va_arg(args, long));
	else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
		rc = __real_curl_easy_setopt(easy, option, va_arg(args, curl_off_t));
	else
		rc = __real_curl_easy_setopt(easy, option, va_arg(args, void *));
	va_end(args);
	if (option == CURLOPT_URL)
		(void)__real_curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	return rc;
}

static void *
child_main(void *arg)
{
	static struct papers papers;
	int socket = *(int *)arg;
	struct err e;

	MUST(papers_receive(socket, &papers, &e) == 0);
	http_run(socket, &papers, 0);
}

/* Waits for the child to say something, whatever signals come. */
static bool
child_speaks(int socket, int wait_ms)
{
	struct pollfd fd = {.fd = socket, .events = POLLIN};
	int n;

	do
		n = poll(&fd, 1, wait_ms);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static void
say(int socket, const struct wire_message *m)
{
	struct err e = ERR_INIT;
	bool sent = false;

	MUST(wire_send(socket, m, &sent, &e) == 0 && sent);
}

/* One child for all inputs: it has no way to end but its process. */
static int
child_socket(void)
{
	static int pair[2] = {-1, -1};
	pthread_t thread;
	struct wire_message m;
	static uint8_t packet[WIRE_MESSAGE_BYTES];
	struct err e;
	bool got = false;

	if (pair[0] >= 0)
		return pair[0];
	(void)signal(SIGPIPE, SIG_IGN);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(pthread_create(&thread, NULL, child_main, &pair[1]) == 0);
	for (enum wire_url u = 0; u < WIRE_URLS; u++)
		say(pair[0], &(struct wire_message){.type = WIRE_URL,
				     .base = u,
				     .text = span_str("http://127.0.0.1/")});
	say(pair[0], &(struct wire_message){.type = WIRE_PAPER,
			     .base = WIRE_PAPER_CA,
			     .body = span_str("no certificate")});
	say(pair[0],
		&(struct wire_message){.type = WIRE_START, .now_s = 1800000000, .stall_s = 60});
	MUST(child_speaks(pair[0], PATIENCE_MS));
	MUST(wire_receive(pair[0], WIRE_TO_PARENT, packet, &m, &got, &e) == 0 && got);
	MUST(m.type == WIRE_READY);
	return pair[0];
}

/* All that the server says, whatever is left of it. */
static struct span input;

/* One request, from the parent's side. */
struct exchange {
	const struct wire_message *request;
	uint32_t status;
	uint64_t credit, taken, steps;
	bool ended;
};

/* All of the file, where a range was asked for. */
static bool
is_whole(const struct exchange *x)
{
	return x->request->has_range && x->status == 200;
}

static void
hear_data(struct exchange *x, const struct wire_message *m)
{
	MUST(x->status == 200 || x->status == 206);
	MUST(!x->request->put && m->body.len <= x->credit);
	x->credit -= m->body.len;
	x->taken += m->body.len;
	MUST(is_whole(x) || x->taken <= x->request->len);
}

/* A 206 counts only when it says that it is the range that was asked for. */
static bool
range_was_said(const struct wire_message *r)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "bytes %llu-%llu/", (unsigned long long)r->offset,
		(unsigned long long)(r->offset + r->len - 1));
	return memmem(input.data, input.len, text, strlen(text)) != NULL;
}

static void
hear_end(struct exchange *x, const struct wire_message *m)
{
	const struct wire_message *r = x->request;

	x->ended = true;
	if (m->class != ERR_NONE) {
		MUST(m->text.len > 0);
		return;
	}
	fuzz_deep();
	MUST(x->status >= 200 && x->status < 400);
	MUST(!r->has_range || x->status != 206 || range_was_said(r));
	MUST(x->status != 304 || r->etag.len > 0);
	MUST(!r->put || x->status < 300);
	MUST(!r->has_range || x->status == 304 || x->taken == r->len ||
		(is_whole(x) && x->taken >= r->offset + r->len));
}

static void
hear(struct exchange *x, const struct wire_message *m)
{
	MUST(m->id == x->request->id);
	switch (m->type) {
	case WIRE_ANSWER:
		MUST(x->status == 0 && m->retry_after_s <= NET_RETRY_AFTER_MAX_S);
		x->status = m->status;
		break;
	case WIRE_DATA:
		hear_data(x, m);
		break;
	case WIRE_STEP:
		MUST(x->status == 0 && ++x->steps <= WIRE_STEPS_MAX);
		break;
	default:
		MUST(m->type == WIRE_END);
		hear_end(x, m);
	}
}

/* Only when the child has been silent for a while: it has to wait for this. */
static void
grant(struct exchange *x, int socket)
{
	say(socket, &(struct wire_message){
			    .type = WIRE_CREDIT, .id = x->request->id, .credit = WIRE_DATA_MAX});
	x->credit += WIRE_DATA_MAX;
}

static void
ask(const struct wire_message *request)
{
	static uint8_t packet[WIRE_MESSAGE_BYTES];
	struct exchange x = {.request = request, .credit = request->credit};
	int socket = child_socket();
	struct err e = ERR_INIT;

	say(socket, request);
	while (!x.ended) {
		struct wire_message m;
		bool got = false;

		if (x.credit < WIRE_DATA_MAX && !child_speaks(socket, GRANT_MS))
			grant(&x, socket);
		MUST(child_speaks(socket, PATIENCE_MS));
		MUST(wire_receive(socket, WIRE_TO_PARENT, packet, &m, &got, &e) == 0);
		if (got)
			hear(&x, &m);
	}
}

static void
server_set(struct span says, bool more)
{
	(void)pthread_mutex_lock(&server.lock);
	while (server.count > 0)
		(void)close(server.ends[--server.count]);
	server.says = says;
	server.more = more;
	(void)pthread_mutex_unlock(&server.lock);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint32_t id;
	struct span in = span_of(data, size);
	uint8_t how = fuzz_take8(&in);
	uint32_t place = fuzz_take32(&in);
	struct wire_message m = {.type = WIRE_REQUEST,
		.base = how & PUT ? NET_REPORTS : NET_TARGETS,
		.has_range = !(how & PUT) && how & RANGE,
		.put = how & PUT,
		.len = 1 + (place >> 16),
		.credit = WIRE_DATA_MAX,
		.deadline_ms = 10000,
		.text = span_str("bundles/a.ota"),
		.etag = span_str(how & CONDITIONAL ? "\"tag\"" : ""),
		.body = span_str(how & PUT ? "{}" : "")};

	(void)child_socket();
	if (m.has_range)
		m.offset = place & 0xffff;
	input = in;
	server_set(in, how & MORE);
	for (int i = (how >> 4) % 4; i >= 0; i--) {
		m.id = ++id ? id : ++id;
		ask(&m);
	}
	server_set(span_of(NULL, 0), false);
	return 0;
}
