#include "agent/net/papers.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static void
papers_init(struct papers *p)
{
	*p = (struct papers){0};
	for (size_t i = 0; i < WIRE_URLS; i++)
		p->url[i] = BUF_INIT(URL_BYTES_MAX);
	for (size_t i = 0; i < WIRE_PAPERS; i++)
		p->paper[i] = BUF_INIT(2 * TLS_PEM_MAX);
}

void
papers_free(struct papers *p)
{
	for (size_t i = 0; i < WIRE_URLS; i++)
		buf_free(&p->url[i]);
	for (size_t i = 0; i < WIRE_PAPERS; i++)
		buf_free(&p->paper[i]);
}

static int
papers_take(struct papers *p, const struct wire_message *m, struct err *e)
{
	switch (m->type) {
	case WIRE_URL:
		buf_clear(&p->url[m->base]);
		return buf_append(&p->url[m->base], m->text.data, m->text.len, e);
	case WIRE_PAPER:
		return buf_append(&p->paper[m->base], m->body.data, m->body.len, e);
	case WIRE_START:
		p->now_s = m->now_s;
		p->stall_s = m->stall_s;
		p->uid = m->uid;
		p->gid = m->gid;
		return 0;
	default:
		return err_set(
			e, ERR_MALFORMED, "a message of type %d before the start", (int)m->type);
	}
}

int
papers_receive(int socket, struct papers *out, struct err *e)
{
	static uint8_t packet[WIRE_MESSAGE_BYTES];
	struct pollfd fd = {.fd = socket, .events = POLLIN};
	struct wire_message m = {0};
	bool got;

	papers_init(out);
	while (m.type != WIRE_START) {
		if (poll(&fd, 1, -1) < 0 && errno != EINTR)
			return err_sys(e, errno, "waiting for the other process");
		if (wire_receive(socket, WIRE_TO_CHILD, packet, &m, &got, e) < 0 ||
			(got && papers_take(out, &m, e) < 0))
			return -1;
	}
	explicit_bzero(packet, sizeof(packet));
	return 0;
}
