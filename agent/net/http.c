#include "agent/net/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/net/address.h"
#include "agent/net/header.h"
#include "agent/net/manner.h"
#include "agent/net/outbox.h"
#include "agent/net/reply.h"
#include "agent/wire.h"
#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/footprint.h"
#include "common/base/num.h"
#include "common/crypto/tls.h"
#include "common/limits.h"

/* Servers close what was idle for long (nginx: 75 s): that is found out by a lost request. */
enum { WAIT_MS = 1000, REST_MS = 24 * 3600 * 1000, KEPT_IDLE_S = 70 };

struct child {
	struct outbox outbox;
	const struct papers *papers;
	struct manner manner;
	CURLM *multi;
	CURLSH *share;
	int64_t now_s;
	bool rests; /* nothing was asked for a while */
	struct job *jobs[NET_REQUESTS_MAX];
};

/* One request. */
struct job {
	struct child *child;
	CURL *easy;
	struct curl_slist *headers;
	uint32_t id, steps;
	struct reply reply;
	struct asking asking;
	int64_t until_ms;	    /* by the boot clock; 0: only the stall limit */
	uint64_t credit;	    /* what the parent has room for */
	bool answered, paused, met; /* met: somebody took the connection */
	struct buf body;
	size_t body_sent;
	struct err err;
	char curl_text[CURL_ERROR_SIZE];
};

static long
job_status(const struct job *j)
{
	long status = 0;

	(void)curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* The value of a header of the last answer, or NULL. */
static const char *
job_header(const struct job *j, const char *name)
{
	struct curl_header *h;

	return curl_easy_header(j->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value
										     : NULL;
}

/* Tells the parent how the server answered, once. */
static void
job_say_answer(struct job *j)
{
	struct wire_message m = {.type = WIRE_ANSWER, .id = j->id};
	struct child *c = j->child;
	const char *etag = job_header(j, "ETag");
	long status = job_status(j);

	if (j->answered || status < 100 || status > 599)
		return;
	j->answered = true;
	m.status = (uint32_t)status;
	m.bare = manner_helps(&c->manner, &j->asking, status);
	m.retry_after_s = header_retry_after_s(job_header(j, "Retry-After"), llabs(c->now_s));
	if (header_tag_fits(etag, WIRE_ETAG_MAX) &&
		header_tag_is_safe(job_header(j, "Date"), job_header(j, "Last-Modified")))
		m.etag = span_str(etag);
	outbox_must_say(&c->outbox, &m);
}

static int
job_check_head(struct job *j, long status, struct err *e)
{
	struct reply_head head = {
		status, -1, job_header(j, "Content-Range"), job_header(j, "Content-Encoding")};

	(void)curl_easy_getinfo(j->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &head.declared);
	return reply_check_head(&j->reply, &head, e);
}

static size_t
job_take(struct job *j, const uint8_t *data, size_t len)
{
	size_t wanted;

	if (reply_measure(&j->reply, len, &wanted, &j->err) < 0)
		return 0;
	if (!outbox_is_empty(&j->child->outbox) || wanted > j->credit) {
		j->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	j->credit -= wanted;
	reply_take(&j->reply, wanted);
	outbox_must_bring(&j->child->outbox, j->id, span_of(data, wanted));
	return wanted < len ? 0 : len;
}

/* Whether the parent is to hear nothing of this answer, and the request is made again. */
static bool
job_may_repeat(const struct job *j)
{
	return !j->answered &&
	       manner_may_repeat(&j->child->manner, &j->asking, job_status(j), clock_boot_ms());
}

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	struct job *j = arg;
	long status = job_status(j);
	bool first = !j->answered;

	if (!job_may_repeat(j))
		job_say_answer(j);
	if (j->reply.put || !reply_status_fits(&j->reply, status))
		return reply_ignore(&j->reply, size * count) ? size * count : 0;
	if (first && job_check_head(j, status, &j->err) < 0)
		return 0;
	return job_take(j, (const uint8_t *)data, size * count);
}

static size_t
on_upload(char *out, size_t size, size_t count, void *arg)
{
	struct job *j = arg;
	size_t n = (size_t)num_min(size * count, j->body.len - j->body_sent);

	memcpy(out, j->body.data + j->body_sent, n);
	j->body_sent += n;
	return n;
}

/* libcurl sends a body again when a kept connection turns out to be dead. */
static int
on_rewind(void *arg, curl_off_t offset, int origin)
{
	struct job *j = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > j->body.len)
		return CURL_SEEKFUNC_FAIL;
	j->body_sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static CURLcode
on_tls(CURL *easy, void *ssl_ctx, void *arg)
{
	struct job *j = arg;
	struct child *c = j->child;

	(void)easy;
	j->met = true;
	outbox_must_step(&c->outbox, j->id, true, &j->steps);
	return tls_set_time(ssl_ctx, c->now_s) && tls_count_refusals(ssl_ctx, &c->manner.refusals)
		       ? CURLE_OK
		       : CURLE_SSL_CERTPROBLEM;
}

static void
job_free(struct job *j)
{
	if (j->easy) {
		(void)curl_multi_remove_handle(j->child->multi, j->easy);
		curl_easy_cleanup(j->easy);
	}
	curl_slist_free_all(j->headers);
	buf_free(&j->body);
	free(j);
}

static struct job **
child_slot(struct child *c, uint32_t id)
{
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++) {
		if (id == 0 ? !c->jobs[i] : c->jobs[i] && c->jobs[i]->id == id)
			return &c->jobs[i];
	}
	return NULL;
}

static bool
option_blob(CURL *easy, CURLoption option, const struct buf *pem)
{
	struct curl_blob blob = {pem->data, pem->len, CURL_BLOB_NOCOPY};

	return curl_easy_setopt(easy, option, pem->len > 0 ? &blob : NULL) == CURLE_OK;
}

#define SET(option, value) (curl_easy_setopt(easy, option, value) == CURLE_OK)

/* As whom it is asked. */
static bool
job_set_guise(struct job *j)
{
	static const struct buf none;
	const struct buf *paper = j->child->papers->paper;
	const struct asking *a = &j->asking;
	CURL *easy = j->easy;

	return option_blob(
		       easy, CURLOPT_SSLCERT_BLOB, a->is_bare ? &none : &paper[WIRE_PAPER_CERT]) &&
	       option_blob(
		       easy, CURLOPT_SSLKEY_BLOB, a->is_bare ? &none : &paper[WIRE_PAPER_KEY]) &&
	       SET(CURLOPT_SSL_SESSIONID_CACHE,
		       (long)(a->resumes && !tls_is_lenient(j->child->now_s)));
}

/* Whom to trust, and what may not happen whatever a server says. */
static bool
job_set_trust(struct job *j)
{
	CURL *easy = j->easy;
	struct child *c = j->child;
	long lenient = tls_is_lenient(c->now_s);

	return SET(CURLOPT_PROXY, buf_str(&c->papers->url[WIRE_URL_PROXY])) &&
	       SET(CURLOPT_NOPROXY, "") && SET(CURLOPT_PROTOCOLS_STR, "https") &&
	       SET(CURLOPT_REDIR_PROTOCOLS_STR, "https") && SET(CURLOPT_FOLLOWLOCATION, 0L) &&
	       SET(CURLOPT_SSL_VERIFYPEER, 1L) && SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
	       SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       SET(CURLOPT_CAPATH, NULL) && SET(CURLOPT_CAINFO, NULL) &&
	       option_blob(easy, CURLOPT_CAINFO_BLOB, &c->papers->paper[WIRE_PAPER_CA]) &&
	       job_set_guise(j) && SET(CURLOPT_SSL_CTX_FUNCTION, on_tls) &&
	       SET(CURLOPT_SSL_CTX_DATA, j) && SET(CURLOPT_FORBID_REUSE, lenient) &&
	       SET(CURLOPT_MAXAGE_CONN, (long)KEPT_IDLE_S) &&
	       SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(CURLOPT_SHARE, c->share);
}

static bool
job_set_flow(struct job *j)
{
	CURL *easy = j->easy;
	long stall_s = (long)j->child->papers->stall_s;

	return SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_ERRORBUFFER, j->curl_text) &&
	       SET(CURLOPT_PRIVATE, j) && SET(CURLOPT_WRITEFUNCTION, on_body) &&
	       SET(CURLOPT_WRITEDATA, j) &&
	       SET(CURLOPT_LOW_SPEED_LIMIT, (long)NET_BYTES_PER_S_MIN) &&
	       SET(CURLOPT_LOW_SPEED_TIME, stall_s) &&
	       SET(CURLOPT_CONNECTTIMEOUT, (long)num_min((uint64_t)stall_s, NET_CONNECT_MAX_S));
}

/* What is left of its time. */
static bool
job_set_deadline(struct job *j)
{
	int64_t left_ms = j->until_ms - clock_boot_ms();

	return j->until_ms == 0 || curl_easy_setopt(j->easy, CURLOPT_TIMEOUT_MS,
					   (long)(left_ms > 0 ? left_ms : 1)) == CURLE_OK;
}

static bool
job_set_put(struct job *j)
{
	CURL *easy = j->easy;

	return SET(CURLOPT_UPLOAD, 1L) && SET(CURLOPT_READFUNCTION, on_upload) &&
	       SET(CURLOPT_READDATA, j) && SET(CURLOPT_SEEKFUNCTION, on_rewind) &&
	       SET(CURLOPT_SEEKDATA, j) && SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)j->body.len);
}

static bool
job_add_header(struct job *j, const char *line)
{
	struct curl_slist *more = curl_slist_append(j->headers, line);

	if (more)
		j->headers = more;
	return more != NULL;
}

static bool
job_set_headers(struct job *j, struct span etag)
{
	CURL *easy = j->easy;
	char line[64 + WIRE_ETAG_MAX];

	if (j->reply.has_range) {
		(void)snprintf(line, sizeof(line), "%llu-%llu", (unsigned long long)j->reply.offset,
			(unsigned long long)(j->reply.offset + j->reply.len - 1));
		if (!SET(CURLOPT_RANGE, line))
			return false;
	}
	if (etag.len > 0) {
		(void)snprintf(line, sizeof(line), "If-None-Match: %.*s", (int)etag.len,
			(const char *)etag.data);
		if (!job_add_header(j, line))
			return false;
	}
	if (j->reply.put && !(job_add_header(j, "Expect:") &&
				    job_add_header(j, "Content-Type: application/json")))
		return false;
	return job_add_header(j, "Accept:") && SET(CURLOPT_USERAGENT, "sluice") &&
	       SET(CURLOPT_HTTPHEADER, j->headers);
}

/* Sets a request up and starts it. */
static int
job_start(struct job *j, const struct wire_message *m, struct err *e)
{
	AUTO_BUF struct buf url = BUF_INIT(URL_BYTES_MAX);
	CURL *easy;

	memcpy(j->reply.path, m->text.data, m->text.len);
	if (address_of(j->child->papers, m->base, j->reply.path, &url, e) < 0)
		return -1;
	if (j->reply.put && buf_append(&j->body, m->body.data, m->body.len, e) < 0)
		return -1;
	j->easy = easy = curl_easy_init();
	if (!easy || !SET(CURLOPT_URL, buf_str(&url)) || !SET(CURLOPT_PATH_AS_IS, 1L) ||
		!job_set_trust(j) || !job_set_flow(j) || !job_set_deadline(j) ||
		!job_set_headers(j, m->etag) || (j->reply.put && !job_set_put(j)) ||
		curl_multi_add_handle(j->child->multi, easy) != CURLM_OK)
		return err_set(e, ERR_SYSTEM, "%s: the request cannot be set up", j->reply.path);
	return 0;
}

static void
child_begin(struct child *c, const struct wire_message *m)
{
	struct job **slot = child_slot(c, m->id) ? NULL : child_slot(c, 0), *j;
	struct err e = ERR_INIT;

	j = slot ? calloc(1, sizeof(*j)) : NULL;
	if (!j) {
		(void)err_set(&e, ERR_SYSTEM, "no room for another request");
		outbox_must_end(&c->outbox, m->id, &e);
		return;
	}
	*j = (struct job){.child = c,
		.id = m->id,
		.reply = {.has_range = m->has_range,
			.put = m->put,
			.conditional = m->etag.len > 0,
			.offset = m->offset,
			.len = m->len},
		.asking = m->base == NET_COPY ? MANNER_OF_COPY
					      : manner_ask(&c->manner, m->put, clock_boot_ms()),
		.until_ms = m->deadline_ms ? clock_boot_ms() + m->deadline_ms : 0,
		.credit = m->credit,
		.body = BUF_INIT(REPORT_BYTES_MAX),
		.err = ERR_INIT};
	if (job_start(j, m, &e) < 0) {
		outbox_must_end(&c->outbox, m->id, &e);
		job_free(j);
		return;
	}
	*slot = j;
}

/* Whether TLS was agreed on. */
static bool
job_agreed(const struct job *j)
{
	curl_off_t us = 0;

	(void)curl_easy_getinfo(j->easy, CURLINFO_APPCONNECT_TIME_T, &us);
	return us > 0;
}

/* How a request ended, as an error or as success. */
static int
job_judge(struct job *j, CURLcode code, struct err *e)
{
	long status = job_status(j), os_errno = 0;

	if (j->err.class != ERR_NONE) {
		*e = j->err;
		return -1;
	}
	if (j->reply.complete)
		return 0;
	if (status > 0 && reply_check_status(&j->reply, status, e) < 0)
		return -1;
	if (code != CURLE_OK) {
		(void)err_set(e, ERR_NETWORK, "%s: %s", j->reply.path,
			j->curl_text[0] ? j->curl_text : curl_easy_strerror(code));
		(void)curl_easy_getinfo(j->easy, CURLINFO_OS_ERRNO, &os_errno);
		if (!job_agreed(j) && manner_is_refusal(&j->child->manner, &j->asking, status))
			e->errnum = NET_SHUT_OUT;
		else if (code == CURLE_PEER_FAILED_VERIFICATION)
			e->errnum = NET_BAD_CERTIFICATE;
		else if (job_agreed(j))
			e->errnum = NET_SILENT_SERVER;
		else if (os_errno == ECONNREFUSED || (j->met && code == CURLE_OPERATION_TIMEDOUT))
			e->errnum = NET_REFUSED;
		return -1;
	}
	if (!j->answered) /* libcurl ends well on lines that only begin like HTTP */
		return err_set(
			e, ERR_NETWORK, "%s: what the server answered is no HTTP", j->reply.path);
	return reply_check_end(&j->reply, status, e);
}

/* A server that hangs up right after the handshake may have said why, unheard. */
static bool
job_was_cut(const struct job *j, CURLcode code)
{
	return job_agreed(j) && job_status(j) == 0 &&
	       (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING);
}

/* Once more, on another connection; what the server said of it is forgotten. */
static bool
job_repeat(struct job *j)
{
	struct child *c = j->child;

	if (!job_may_repeat(j))
		return false;
	manner_repeat(&c->manner, &j->asking, job_status(j));
	outbox_must_step(&c->outbox, j->id, false, &j->steps);
	j->reply.ignored = j->body_sent = 0;
	j->curl_text[0] = 0;
	return curl_multi_remove_handle(c->multi, j->easy) == CURLM_OK && job_set_guise(j) &&
	       job_set_deadline(j) &&
	       curl_easy_setopt(j->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	       curl_multi_add_handle(c->multi, j->easy) == CURLM_OK;
}

static void
job_end(struct job *j, CURLcode code)
{
	struct child *c = j->child;
	struct err e = ERR_INIT;
	int rc;

	job_say_answer(j);
	rc = job_judge(j, code, &e);
	if (rc < 0 && manner_blames(&c->manner, &j->asking, job_status(j)))
		e.errnum = job_agreed(j) ? NET_UNWELCOME : NET_TURNED_AWAY;
	manner_learn(&c->manner, &j->asking, job_status(j), clock_boot_ms());
	outbox_must_end(&c->outbox, j->id, rc < 0 ? &e : NULL);
	*child_slot(c, j->id) = NULL;
	job_free(j);
}

static void
child_reap(struct child *c)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left))) {
		CURLcode code = msg->data.result;
		struct job *j = NULL;

		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&j);
		j->asking.was_cut = job_was_cut(j, code);
		if (!job_repeat(j))
			job_end(j, code);
	}
}

/* Goes on with transfers that waited for credit or for the socket. */
static void
child_unpause(struct child *c)
{
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++) {
		struct job *j = c->jobs[i];

		if (!j || !j->paused || !outbox_is_empty(&c->outbox) || j->credit < WIRE_DATA_MAX)
			continue;
		j->paused = false;
		(void)curl_easy_pause(j->easy, CURLPAUSE_CONT);
	}
}

static void
child_obey(struct child *c, const struct wire_message *m)
{
	struct job **slot = m->id ? child_slot(c, m->id) : NULL;

	switch (m->type) {
	case WIRE_TIME:
		c->now_s = m->now_s;
		break;
	case WIRE_REQUEST:
		child_begin(c, m);
		break;
	case WIRE_CREDIT:
		if (slot && __builtin_add_overflow((*slot)->credit, m->credit, &(*slot)->credit))
			_exit(1);
		break;
	case WIRE_CANCEL:
		if (slot) {
			job_free(*slot);
			*slot = NULL;
		}
		break;
	default:
		break;
	}
}

static void
child_listen(struct child *c)
{
	static uint8_t packet[WIRE_MESSAGE_BYTES];
	struct wire_message m;
	struct err e;
	bool got = true;

	while (got) {
		if (wire_receive(c->outbox.socket, WIRE_TO_CHILD, packet, &m, &got, &e) < 0)
			_exit(0);
		if (got)
			child_obey(c, &m);
	}
}

static bool
child_is_busy(const struct child *c)
{
	for (size_t i = 0; i < NET_REQUESTS_MAX; i++) {
		if (c->jobs[i])
			return true;
	}
	return !outbox_is_empty(&c->outbox);
}

/* Nothing is asked for: nothing wakes it but its parent. */
static void
child_rest(struct child *c)
{
	c->rests = !child_is_busy(c);
	if (c->rests)
		footprint_trim();
}

static int
child_set_up(struct child *c, struct err *e)
{
	c->manner.has_cert = c->papers->paper[WIRE_PAPER_CERT].len > 0;
	if (fcntl(c->outbox.socket, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, errno, "setting up the socket");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(c->multi = curl_multi_init()) ||
		!(c->share = curl_share_init()) ||
		curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
			CURLSHE_OK)
		return err_set(e, ERR_SYSTEM, "libcurl cannot be set up");
	return 0;
}

void
http_run(int socket, const struct papers *papers, uint32_t layers)
{
	struct child *c = &(struct child){.papers = papers, .now_s = papers->now_s};
	struct err e = ERR_INIT;

	outbox_init(&c->outbox, socket);
	if (child_set_up(c, &e) < 0) {
		outbox_must_end(&c->outbox, 0, &e);
		_exit(1);
	}
	outbox_must_say(&c->outbox, &(struct wire_message){.type = WIRE_READY, .layers = layers});
	for (;;) {
		struct curl_waitfd wait = {.fd = socket, .events = CURL_WAIT_POLLIN};
		int running, heard = 0;

		if (outbox_flush(&c->outbox, &e) < 0)
			_exit(1);
		child_unpause(c);
		(void)curl_multi_perform(c->multi, &running);
		child_reap(c);
		if (!outbox_is_empty(&c->outbox))
			wait.events |= CURL_WAIT_POLLOUT;
		(void)curl_multi_poll(c->multi, &wait, 1, c->rests ? REST_MS : WAIT_MS, &heard);
		if (heard == 0)
			child_rest(c);
		child_listen(c);
		c->rests &= !child_is_busy(c);
	}
}
