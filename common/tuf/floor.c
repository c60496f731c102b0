/* The versions that were seen, where the store has lost them. */
#include <inttypes.h>

#include "common/base/num.h"
#include "common/tuf/client.h"

bool
tuf_floor_equal(const struct tuf_floor *a, const struct tuf_floor *b)
{
	return a->timestamp == b->timestamp && a->snapshot == b->snapshot &&
	       a->targets == b->targets && digest_equal(&a->keys, &b->keys);
}

void
tuf_hold(struct tuf_client *c, const struct tuf_floor *floor)
{
	c->floor = *floor;
}

struct tuf_floor
tuf_floor_of(const struct tuf_client *c)
{
	return c->floor;
}

/* Of both roles whose keys make versions count anew. */
static int
keys_of(const struct document *root, struct digest *out, struct err *e)
{
	static const char *const roles[] = {"timestamp", "snapshot"};
	struct digest each[ARRAY_LEN(roles)];

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		struct role_keys keys;

		if (document_root_role(root, roles[i], &keys, e) < 0 ||
			role_keys_digest(&keys, &each[i], e) < 0)
			return -1;
	}
	*out = digest_of(span_of(each, sizeof(each)));
	return 0;
}

int
client_floor_holds(const struct tuf_client *c, bool *holds, struct err *e)
{
	struct digest keys;

	if (keys_of(c->root, &keys, e) < 0)
		return -1;
	*holds = digest_equal(&keys, &c->floor.keys);
	return 0;
}

int
client_floor_check(const struct tuf_client *c, const char *role, uint64_t floor, uint64_t version,
	struct err *e)
{
	bool holds;

	if (version >= floor)
		return 0;
	if (client_floor_holds(c, &holds, e) < 0)
		return -1;
	if (!holds)
		return 0;
	return err_set(e, ERR_UNTRUSTED,
		"%s.json of version %" PRIu64 " came, but version %" PRIu64 " was seen here before",
		role, version, floor);
}

int
client_floor_bind(struct tuf_client *c, struct err *e)
{
	return keys_of(c->root, &c->floor.keys, e);
}

static void
raise_to(uint64_t *floor, const struct document *d)
{
	if (d)
		*floor = num_max(*floor, d->version);
}

int
client_floor_raise(struct tuf_client *c, struct err *e)
{
	struct tuf_floor floor = {0};
	bool holds;

	if (client_floor_holds(c, &holds, e) < 0)
		return -1;
	if (holds)
		floor = c->floor;
	else if (keys_of(c->root, &floor.keys, e) < 0)
		return -1;
	raise_to(&floor.timestamp, c->timestamp);
	raise_to(&floor.snapshot, c->snapshot);
	raise_to(&floor.targets, c->targets);
	c->floor = floor;
	return 0;
}
