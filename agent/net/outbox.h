/* Messages on their way into a socket that does not wait: those it has no room for, in order. */
#ifndef SLUICE_AGENT_NET_OUTBOX_H
#define SLUICE_AGENT_NET_OUTBOX_H

#include "agent/wire.h"

struct outbox_packet;

struct outbox {
	int socket; /* borrowed, O_NONBLOCK */
	struct outbox_packet *first, **last;
};

void outbox_init(struct outbox *o, int socket);
void outbox_free(struct outbox *o);

/* Sends m now, or keeps it behind what waits already. ERR_NETWORK, ERR_SYSTEM. Nothing bounds what
 * waits but the caller, who asks outbox_is_empty before it makes more data. */
int outbox_say(struct outbox *o, const struct wire_message *m, struct err *e);

/* Sends what waits, as far as the socket takes it. ERR_NETWORK. */
int outbox_flush(struct outbox *o, struct err *e);

/* The same for a child: one that cannot talk to its parent, or has no memory for it, has no purpose
 * left, and exits. bring: the bytes of an answer, in pieces; end: failure is why, or NULL. */
void outbox_must_say(struct outbox *o, const struct wire_message *m);
void outbox_must_bring(struct outbox *o, uint32_t id, struct span bytes);
void outbox_must_end(struct outbox *o, uint32_t id, const struct err *failure);

/* WIRE_STEP, as long as that is not said too often; *said is how often it was, 0 at first. */
void outbox_must_step(struct outbox *o, uint32_t id, bool met, uint32_t *said);

bool outbox_is_empty(const struct outbox *o);

#endif
