#include "agent/ring.h"

#include <string.h>

#include "common/base/num.h"

void
ring_put(struct ring *r, struct span bytes)
{
	size_t tail = (r->head + r->count) % sizeof(r->data);
	size_t first = (size_t)num_min(bytes.len, sizeof(r->data) - tail);

	memcpy(r->data + tail, bytes.data, first);
	memcpy(r->data, bytes.data + first, bytes.len - first);
	r->count += bytes.len;
}

size_t
ring_take(struct ring *r, void *data, size_t len)
{
	size_t n = (size_t)num_min(len, r->count);
	size_t first = (size_t)num_min(n, sizeof(r->data) - r->head);

	memcpy(data, r->data + r->head, first);
	memcpy((uint8_t *)data + first, r->data, n - first);
	r->head = (r->head + n) % sizeof(r->data);
	r->count -= n;
	return n;
}
