#include "agent/net.h"
#include "common/limits.h"

int
net_fetch(struct net *n, const struct net_request *r, struct buf *out, struct net_reply *reply,
	const struct keep_going *keep_going, struct err *e)
{
	AUTO_TRANSFER struct net_transfer *t = NULL;
	size_t before = out->len;
	uint8_t piece[WIRE_DATA_MAX];
	ssize_t got;

	if (net_open(n, r, &t, e) < 0)
		return -1;
	while ((got = net_read(t, piece, sizeof(piece), keep_going, e)) > 0) {
		if (buf_append(out, piece, (size_t)got, e) < 0) {
			got = err_context(e, "%.200s", r->path);
			break;
		}
	}
	if (reply)
		*reply = *net_reply_of(t);
	if (got < 0)
		out->len = before;
	return got < 0 ? -1 : 0;
}
