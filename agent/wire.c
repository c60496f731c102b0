#include "agent/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"

/* The header: type, base, flags, version (a byte each), id (32 bits), four numbers (64 bits), the
 * lengths of text, etag and body, 0 (32 bits each). */
enum {
	AT_BASE = 1,
	AT_FLAGS = 2,
	AT_VERSION = 3,
	AT_ID = 4,
	AT_NUMBERS = 8,
	AT_LENGTHS = 40,
	NUMBERS = 4
};
enum { FLAG_RANGE = 1, FLAG_PUT = 2 };
enum { STATUS_FIRST = 100, STATUS_LAST = 599 };
static const enum wire_type type_last = WIRE_START;

/* A message as its packet has it, before and after the numbers get their names. */
struct raw {
	uint8_t type, base, flags;
	uint32_t id;
	uint64_t number[NUMBERS];
};

/* Which parts a type may use: a bound of 0 is a part that must be absent. */
struct shape {
	enum wire_to to;
	bool has_id;
	unsigned numbers;
	size_t text_min, text_max, etag_max, body_min, body_max;
};

static const struct shape shapes[] = {
	[WIRE_TIME] = {WIRE_TO_CHILD, false, 1, 0, 0, 0, 0, 0},
	[WIRE_REQUEST] = {WIRE_TO_CHILD, true, 4, 1, WIRE_TEXT_MAX, WIRE_ETAG_MAX, 0,
		REPORT_BYTES_MAX},
	[WIRE_CREDIT] = {WIRE_TO_CHILD, true, 1, 0, 0, 0, 0, 0},
	[WIRE_CANCEL] = {WIRE_TO_CHILD, true, 0, 0, 0, 0, 0, 0},
	[WIRE_READY] = {WIRE_TO_PARENT, false, 1, 0, 0, 0, 0, 0},
	[WIRE_ANSWER] = {WIRE_TO_PARENT, true, 3, 0, 0, WIRE_ETAG_MAX, 0, 0},
	[WIRE_DATA] = {WIRE_TO_PARENT, true, 0, 0, 0, 0, 1, WIRE_DATA_MAX},
	[WIRE_END] = {WIRE_TO_PARENT, true, 2, 0, WIRE_TEXT_MAX, 0, 0, 0},
	[WIRE_STEP] = {WIRE_TO_PARENT, true, 1, 0, 0, 0, 0, 0},
	[WIRE_URL] = {WIRE_TO_CHILD, false, 0, 1, WIRE_TEXT_MAX, 0, 0, 0},
	[WIRE_PAPER] = {WIRE_TO_CHILD, false, 0, 0, 0, 0, 1, REPORT_BYTES_MAX},
	[WIRE_START] = {WIRE_TO_CHILD, false, 4, 0, 0, 0, 0, 0},
};

bool
wire_path_valid(struct span path)
{
	static const char others[] = "-._~!$&'()*+,;=:@%/";
	size_t start = 0;

	if (path.len == 0 || path.len > WIRE_TEXT_MAX || path.data[0] == '/')
		return false;
	for (size_t i = 0; i <= path.len; i++) {
		uint8_t c = i < path.len ? path.data[i] : '/';

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			(c == 0 || !strchr(others, c)))
			return false;
		if (c != '/')
			continue;
		if ((i - start == 1 && path.data[start] == '.') ||
			(i - start == 2 && memcmp(path.data + start, "..", 2) == 0))
			return false;
		start = i + 1;
	}
	return true;
}

/* Whether an entity tag can go into a header line as it is. */
static bool
etag_valid(struct span etag)
{
	for (size_t i = 0; i < etag.len; i++) {
		if (etag.data[i] < 0x20 || etag.data[i] > 0x7e)
			return false;
	}
	return true;
}

static bool
class_valid(uint64_t class)
{
	return class == ERR_NONE || class == ERR_NETWORK || class == ERR_LIMIT ||
	       class == ERR_USAGE || class == ERR_SYSTEM;
}

/* How many there are for a type; one that has no use for them has the first. */
static uint32_t
bases(enum wire_type type)
{
	switch (type) {
	case WIRE_REQUEST:
		return NET_BASES;
	case WIRE_URL:
		return WIRE_URLS;
	case WIRE_PAPER:
		return WIRE_PAPERS;
	default:
		return 1;
	}
}

/* Whether a URL has nothing in it that ends one, and the end that it should have. */
static bool
url_valid(struct span url)
{
	for (size_t i = 0; i < url.len; i++) {
		if (url.data[i] <= 0x20 || url.data[i] > 0x7e)
			return false;
	}
	return url.len > 0 && url.data[url.len - 1] == '/';
}

/* What both sides hold every message to, sent or received. */
static bool
shape_holds(const struct shape *s, const struct wire_message *m)
{
	return (s->has_id || m->id == 0) && (m->id != 0 || !s->has_id || m->type == WIRE_END) &&
	       m->text.len >= s->text_min && m->text.len <= s->text_max &&
	       m->etag.len <= s->etag_max && m->body.len >= s->body_min &&
	       m->body.len <= s->body_max && etag_valid(m->etag);
}

static bool
values_hold(const struct wire_message *m)
{
	switch (m->type) {
	case WIRE_TIME:
		return m->now_s != INT64_MIN;
	case WIRE_REQUEST:
		return !(m->has_range && m->put) &&
		       (m->has_range ? m->len > 0 && m->len <= INT64_MAX &&
					       m->offset <= INT64_MAX - m->len
				     : m->offset == 0 && m->len <= INT64_MAX) &&
		       (m->put || m->body.len == 0) && m->deadline_ms >= 0 &&
		       m->credit >= WIRE_DATA_MAX && wire_path_valid(m->text);
	case WIRE_CREDIT:
		return m->credit > 0;
	case WIRE_READY:
		return m->layers < WIRE_LAYERS;
	case WIRE_URL:
		return url_valid(m->text);
	case WIRE_START:
		return m->now_s != INT64_MIN && m->stall_s > 0 && m->stall_s <= INT32_MAX;
	case WIRE_ANSWER:
		return m->status >= STATUS_FIRST && m->status <= STATUS_LAST &&
		       m->retry_after_s >= -1;
	case WIRE_END:
		return class_valid(m->class) && m->errnum >= 0 &&
		       (m->id != 0 || m->class != ERR_NONE);
	default:
		return true;
	}
}

static bool
message_holds(const struct wire_message *m)
{
	return m->type >= WIRE_TIME && m->type <= type_last && m->base < bases(m->type) &&
	       shape_holds(&shapes[m->type], m) && values_hold(m);
}

static struct raw
raw_of(const struct wire_message *m)
{
	struct raw r = {.type = (uint8_t)m->type, .base = (uint8_t)m->base, .id = m->id};

	switch (m->type) {
	case WIRE_TIME:
		r.number[0] = (uint64_t)m->now_s;
		break;
	case WIRE_REQUEST:
		r.flags = (uint8_t)((m->has_range ? FLAG_RANGE : 0) | (m->put ? FLAG_PUT : 0));
		r.number[0] = m->offset;
		r.number[1] = m->len;
		r.number[2] = (uint64_t)m->deadline_ms;
		r.number[3] = m->credit;
		break;
	case WIRE_CREDIT:
		r.number[0] = m->credit;
		break;
	case WIRE_ANSWER:
		r.number[0] = m->status;
		r.number[1] = (uint64_t)(m->retry_after_s + 1);
		r.number[2] = m->bare;
		break;
	case WIRE_END:
		r.number[0] = (uint64_t)m->class;
		r.number[1] = (uint64_t)m->errnum;
		break;
	case WIRE_STEP:
		r.number[0] = m->met;
		break;
	case WIRE_START:
		r.number[0] = (uint64_t)m->now_s;
		r.number[1] = m->stall_s;
		r.number[2] = m->uid;
		r.number[3] = m->gid;
		break;
	case WIRE_READY:
		r.number[0] = m->layers;
		break;
	default:
		break;
	}
	return r;
}

int
wire_encode(const struct wire_message *m, struct buf *out, struct err *e)
{
	uint8_t header[WIRE_HEADER_BYTES] = {0};
	struct raw r;

	if (!message_holds(m))
		return err_set(e, ERR_MALFORMED, "message of type %d breaks the rules of its type",
			(int)m->type);
	r = raw_of(m);
	header[0] = r.type;
	header[AT_BASE] = r.base;
	header[AT_FLAGS] = r.flags;
	header[AT_VERSION] = WIRE_VERSION;
	num_put_le32(header + AT_ID, r.id);
	for (size_t i = 0; i < NUMBERS; i++)
		num_put_le64(header + AT_NUMBERS + 8 * i, r.number[i]);
	num_put_le32(header + AT_LENGTHS, (uint32_t)m->text.len);
	num_put_le32(header + AT_LENGTHS + 4, (uint32_t)m->etag.len);
	num_put_le32(header + AT_LENGTHS + 8, (uint32_t)m->body.len);
	if (buf_reserve(out, sizeof(header) + m->text.len + m->etag.len + m->body.len, e) < 0 ||
		buf_append(out, header, sizeof(header), e) < 0 ||
		buf_append(out, m->text.data, m->text.len, e) < 0 ||
		buf_append(out, m->etag.data, m->etag.len, e) < 0 ||
		buf_append(out, m->body.data, m->body.len, e) < 0)
		return -1;
	return 0;
}

/* Gives a packet's numbers their names; false for one that its field cannot hold. */
static bool
message_of(const struct raw *r, struct wire_message *m)
{
	switch (m->type) {
	case WIRE_TIME:
		m->now_s = (int64_t)r->number[0];
		return true;
	case WIRE_REQUEST:
		m->has_range = r->flags & FLAG_RANGE;
		m->put = r->flags & FLAG_PUT;
		m->offset = r->number[0];
		m->len = r->number[1];
		m->deadline_ms = (int64_t)r->number[2];
		m->credit = r->number[3];
		return r->flags <= (FLAG_RANGE | FLAG_PUT) && r->number[2] <= INT64_MAX;
	case WIRE_CREDIT:
		m->credit = r->number[0];
		return true;
	case WIRE_ANSWER:
		m->status = (uint32_t)r->number[0];
		m->retry_after_s = (int64_t)(r->number[1] - 1);
		m->bare = r->number[2] == 1;
		return r->number[0] <= STATUS_LAST && r->number[1] <= INT64_MAX &&
		       r->number[2] <= 1;
	case WIRE_END:
		m->class = (enum err_class)r->number[0];
		m->errnum = (int)r->number[1];
		return r->number[0] <= ERR_SYSTEM && r->number[1] <= INT32_MAX;
	case WIRE_STEP:
		m->met = r->number[0] == 1;
		return r->number[0] <= 1;
	case WIRE_START:
		m->now_s = (int64_t)r->number[0];
		m->stall_s = r->number[1];
		m->uid = (uint32_t)r->number[2];
		m->gid = (uint32_t)r->number[3];
		return r->number[2] < UINT32_MAX && r->number[3] < UINT32_MAX;
	case WIRE_READY:
		m->layers = (uint32_t)r->number[0];
		return r->number[0] < WIRE_LAYERS;
	default:
		return true;
	}
}

static int
refuse(struct err *e, const char *what)
{
	return err_set(e, ERR_MALFORMED, "message of the network process: %s", what);
}

int
wire_decode(struct span packet, enum wire_to to, struct wire_message *out, struct err *e)
{
	struct wire_message m = {0};
	const uint8_t *p = packet.data;
	const struct shape *s;
	struct raw r;
	uint64_t text, etag, body;

	if (packet.len > AT_VERSION && p[AT_VERSION] != WIRE_VERSION)
		return err_set(e, ERR_SYSTEM,
			"sluice-agent and sluice-net are of two versions (one speaks protocol %d, "
			"the "
			"other %d), as after an upgrade: restart sluice-agent",
			p[AT_VERSION], WIRE_VERSION);
	if (packet.len < WIRE_HEADER_BYTES || packet.len > WIRE_MESSAGE_BYTES)
		return refuse(e, "its size is wrong");
	if (p[0] < WIRE_TIME || p[0] > type_last || shapes[p[0]].to != to)
		return refuse(e, "its type does not belong here");
	s = &shapes[p[0]];
	r = (struct raw){p[0], p[AT_BASE], p[AT_FLAGS], num_get_le32(p + AT_ID), {0}};
	for (size_t i = 0; i < NUMBERS; i++) {
		r.number[i] = num_get_le64(p + AT_NUMBERS + 8 * i);
		if (i >= s->numbers && r.number[i] != 0)
			return refuse(e, "a field that its type does not use is not zero");
	}
	text = num_get_le32(p + AT_LENGTHS);
	etag = num_get_le32(p + AT_LENGTHS + 4);
	body = num_get_le32(p + AT_LENGTHS + 8);
	if (num_get_le32(p + AT_LENGTHS + 12) != 0 || (r.type != WIRE_REQUEST && r.flags != 0))
		return refuse(e, "a field that its type does not use is not zero");
	if (text + etag + body != packet.len - WIRE_HEADER_BYTES)
		return refuse(e, "its lengths do not add up");
	m.type = (enum wire_type)r.type;
	m.id = r.id;
	m.base = r.base;
	m.retry_after_s = -1;
	m.text = span_of(p + WIRE_HEADER_BYTES, text);
	m.etag = span_of(p + WIRE_HEADER_BYTES + text, etag);
	m.body = span_of(p + WIRE_HEADER_BYTES + text + etag, body);
	if (!message_of(&r, &m) || !message_holds(&m))
		return refuse(e, "a field is out of range");
	*out = m;
	return 0;
}

void
wire_failure(const struct wire_message *m, struct err *out)
{
	char text[ERR_TEXT_SIZE];
	size_t len = (size_t)num_min(m->text.len, sizeof(text) - 1);

	for (size_t i = 0; i < len; i++) {
		uint8_t c = m->text.data[i];

		text[i] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
	}
	text[len] = 0;
	(void)err_set(out, m->class, "%s", len > 0 ? text : "no reason given");
	out->errnum = m->errnum;
}

static int
gone(struct err *e, int number)
{
	(void)err_set(e, ERR_NETWORK, "the other process is gone: %s",
		number ? strerror(number) : "it said nothing more");
	e->errnum = NET_GONE;
	return -1;
}

int
wire_send(int fd, const struct wire_message *m, bool *sent, struct err *e)
{
	AUTO_BUF struct buf packet = BUF_INIT(WIRE_MESSAGE_BYTES);
	ssize_t n;

	if (wire_encode(m, &packet, e) < 0)
		return -1;
	do
		n = send(fd, packet.data, packet.len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (m->type == WIRE_PAPER)
		explicit_bzero(packet.data, packet.len);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		return gone(e, errno);
	*sent = n >= 0;
	return 0;
}

int
wire_receive(int fd, enum wire_to to, uint8_t *packet, struct wire_message *out, bool *got,
	struct err *e)
{
	ssize_t n;

	/* With MSG_TRUNC the packet's true size comes back, so one too long is not taken for a
	 * shorter one. */
	do
		n = recv(fd, packet, WIRE_MESSAGE_BYTES, MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		*got = false;
		return 0;
	}
	if (n <= 0)
		return gone(e, n < 0 ? errno : 0);
	if (wire_decode(span_of(packet, (size_t)n), to, out, e) < 0)
		return -1;
	*got = true;
	return 0;
}
