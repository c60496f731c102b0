#include "signer/halt.h"

#include <stdio.h>

#include "common/crypto/random.h"

/* Stops that are lifted are of no use any more. */
static int
room_make(struct gate *g, const json_t *resumes, struct err *e)
{
	size_t kept = 0;

	if (g->stop_count < STOPS_MAX)
		return 0;
	for (size_t i = 0; i < g->stop_count; i++) {
		if (!stop_is_lifted(g->stops[i].id, resumes))
			g->stops[kept++] = g->stops[i];
	}
	g->stop_count = kept;
	if (kept < STOPS_MAX)
		return 0;
	return err_set(e, ERR_LIMIT, "%s is stopped %d times already; resume some of them", g->path,
		STOPS_MAX);
}

int
halt_add(struct gate *g, const json_t *resumes, const char *reason, int64_t now_s,
	const struct stop **out, struct err *e)
{
	struct stop *s;

	if (room_make(g, resumes, e) < 0)
		return -1;
	s = &g->stops[g->stop_count++];
	*s = (struct stop){.at_s = now_s};
	random_hex(STOP_ID_BYTES, s->id);
	(void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
	*out = s;
	return 0;
}
