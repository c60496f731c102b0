#include "signer/spans.h"

enum { GAP_BYTES = 900 }; /* the agent's figure */

void
spans_add(struct spans *s, uint64_t at, uint64_t size)
{
	if (s->begun && at > s->end && at - s->end <= GAP_BYTES)
		s->gaps += at - s->end;
	s->begun = true;
	s->bytes += size;
	s->end = at + size;
}

void
spans_add_once(struct spans *s, uint64_t at, uint64_t size)
{
	if (!s->begun || at >= s->end)
		spans_add(s, at, size);
}
