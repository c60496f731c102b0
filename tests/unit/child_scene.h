/* For the tests of the parent's side of the network: a child that is played. */
#ifndef SLUICE_TESTS_CHILD_SCENE_H
#define SLUICE_TESTS_CHILD_SCENE_H

#include <unistd.h>

#include "agent/net.h"
#include "agent/wire.h"

static inline void
tell(int socket, struct wire_message m)
{
	struct err e;
	bool sent;

	if (wire_send(socket, &m, &sent, &e) < 0)
		_exit(0);
}

static inline void
step(int socket, uint32_t id)
{
	tell(socket, (struct wire_message){.type = WIRE_STEP, .id = id, .met = true});
}

/* The site's URL tells the child what it is to do. */
static inline struct net *
start(struct conf *c, const char *name, const struct keep_going *keep_going)
{
	struct net *n = NULL;
	struct err e = ERR_INIT;

	*c = (struct conf){.site_url = (char *)(uintptr_t)name,
		.tls_ca = (char *)(uintptr_t) "ca",
		.stall_s = 60};
	if (net_start(c, 0, keep_going, &n, &e) < 0)
		fail_msg("%s", e.text);
	return n;
}

/* For struct keep_going; arg: an int that counts. */
static inline int
ask_thrice(void *arg, struct err *e)
{
	int *asked = arg;

	return ++*asked < 3 ? 0 : err_set(e, ERR_STOPPED, "enough");
}

#endif
