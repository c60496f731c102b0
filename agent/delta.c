#include "agent/delta.h"

#include <stdlib.h>

void
delta_offer_free(struct delta_offer *o)
{
	free(o->url);
	*o = (struct delta_offer){0};
}

void
delta_drop(struct delta *d)
{
	cleanup_fd(&d->fd);
	*d = DELTA_INIT;
}
