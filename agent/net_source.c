#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/net.h"

struct net_source {
	struct net *net;
	char *path;
	struct keep_going keep_going;
	struct net_transfer *transfer;
};

static void
source_close(void *arg)
{
	struct net_source *s = arg;

	net_close(&s->transfer);
}

static int
source_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct net_source *s = arg;

	source_close(s);
	if (len == 0)
		return err_set(e, ERR_MALFORMED, "%s: an empty range", s->path);
	return net_open(s->net,
		&(struct net_request){.base = NET_TARGETS,
			.path = s->path,
			.has_range = true,
			.offset = offset,
			.len = len},
		&s->transfer, e);
}

static ssize_t
source_read(void *arg, void *data, size_t len, struct err *e)
{
	struct net_source *s = arg;

	if (!s->transfer)
		return err_set(e, ERR_NETWORK, "%s: no range is open", s->path);
	return net_read(s->transfer, data, len, &s->keep_going, e);
}

/* Each of the site's servers once. */
static int
source_elsewhere(void *arg, unsigned tries, uint64_t spoilt, struct err *why)
{
	struct net_source *s = arg;

	(void)spoilt;
	if (tries + 1 >= net_sites(s->net))
		return -1;
	source_close(s);
	return net_next_site(s->net, why) ? 0 : -1;
}

int
net_source_new(struct net *n, const char *path, const struct keep_going *keep_going,
	struct net_source **out, struct err *e)
{
	struct net_source *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(path))) {
		free(s);
		return err_sys(e, ENOMEM, "%s", path);
	}
	s->net = n;
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
	net_close(&(*s)->transfer);
	free((*s)->path);
	free(*s);
	*s = NULL;
}

struct source
net_source_of(struct net_source *s)
{
	return (struct source){s, source_open, source_read, source_close, source_elsewhere};
}
