#include "agent/net/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/num.h"

struct outbox_packet {
	struct outbox_packet *next;
	struct buf bytes;
};

void
outbox_init(struct outbox *o, int socket)
{
	*o = (struct outbox){.socket = socket, .last = &o->first};
}

static void
outbox_drop_first(struct outbox *o)
{
	struct outbox_packet *p = o->first;

	o->first = p->next;
	if (!o->first)
		o->last = &o->first;
	buf_free(&p->bytes);
	free(p);
}

void
outbox_free(struct outbox *o)
{
	while (o->first)
		outbox_drop_first(o);
}

int
outbox_say(struct outbox *o, const struct wire_message *m, struct err *e)
{
	struct outbox_packet *p;
	bool sent = false;

	if (!o->first && wire_send(o->socket, m, &sent, e) < 0)
		return -1;
	if (sent)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_sys(e, ENOMEM, "keeping a message");
	p->bytes = BUF_INIT(WIRE_MESSAGE_BYTES);
	if (wire_encode(m, &p->bytes, e) < 0) {
		free(p);
		return -1;
	}
	*o->last = p;
	o->last = &p->next;
	return 0;
}

int
outbox_flush(struct outbox *o, struct err *e)
{
	while (o->first) {
		const struct buf *bytes = &o->first->bytes;

		if (send(o->socket, bytes->data, bytes->len, MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return 0;
			return err_set(
				e, ERR_NETWORK, "the other process is gone: %s", strerror(errno));
		}
		outbox_drop_first(o);
	}
	return 0;
}

void
outbox_must_say(struct outbox *o, const struct wire_message *m)
{
	struct err e;

	if (outbox_say(o, m, &e) < 0)
		_exit(1);
}

void
outbox_must_bring(struct outbox *o, uint32_t id, struct span bytes)
{
	while (bytes.len > 0) {
		size_t piece = (size_t)num_min(bytes.len, WIRE_DATA_MAX);

		outbox_must_say(o,
			&(struct wire_message){
				.type = WIRE_DATA, .id = id, .body = span_of(bytes.data, piece)});
		bytes = span_of(bytes.data + piece, bytes.len - piece);
	}
}

void
outbox_must_end(struct outbox *o, uint32_t id, const struct err *failure)
{
	struct wire_message m = {.type = WIRE_END, .id = id, .class = ERR_NONE};

	if (failure) {
		m.class = failure->class;
		m.errnum = failure->errnum;
		m.text = span_str(failure->text);
	}
	outbox_must_say(o, &m);
}

void
outbox_must_step(struct outbox *o, uint32_t id, bool met, uint32_t *said)
{
	if (*said >= WIRE_STEPS_MAX)
		return;
	++*said;
	outbox_must_say(o, &(struct wire_message){.type = WIRE_STEP, .id = id, .met = met});
}

bool
outbox_is_empty(const struct outbox *o)
{
	return !o->first;
}
