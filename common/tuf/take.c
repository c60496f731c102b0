/* Offline: metadata that came along with a bundle. */
#include <inttypes.h>
#include <string.h>

#include "common/tuf/client.h"

int
tuf_take_root(struct tuf_client *c, struct span root_json, struct err *e)
{
	c->fresh = false;
	if (client_catch_up(c, e) < 0)
		return -1;
	return client_take_root(c, root_json, e);
}

/* The newest targets.json known, from memory or store; c->targets stays NULL without one. */
static int
recall_targets(struct tuf_client *c, struct role_keys *keys, struct err *e)
{
	if (document_root_role(c->root, "targets", keys, e) < 0)
		return -1;
	/* A stick's targets.json is held to nothing else. */
	return client_recall(c, &c->targets, "targets", DOCUMENT_TARGETS, keys, false, e);
}

int
tuf_take_targets(struct tuf_client *c, struct span targets_json, struct err *e)
{
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys;

	if (client_catch_up(c, e) < 0 || recall_targets(c, &keys, e) < 0 ||
		document_read(targets_json, "targets", DOCUMENT_TARGETS, &keys, &d, e) < 0)
		return -1;
	if (c->targets && d->version < c->targets->version)
		return err_set(e, ERR_UNTRUSTED,
			"targets.json of version %" PRIu64 " came, but version %" PRIu64
			" is known",
			d->version, c->targets->version);
	if (client_floor_check(c, "targets", c->floor.targets, d->version, e) < 0)
		return -1;
	if (c->targets && d->version == c->targets->version)
		return 0;
	if (c->store.save(c->store.arg, "targets", targets_json, e) < 0)
		return -1;
	document_free(&c->targets);
	c->targets = TAKE_PTR(d);
	c->fresh = false;
	return client_floor_raise(c, e);
}

int
tuf_delegation(struct tuf_client *c, const char *role, struct role_keys *out, struct err *e)
{
	const json_t *delegation;
	struct role_keys keys;

	if (recall_targets(c, &keys, e) < 0)
		return -1;
	if (!c->targets)
		return err_set(e, ERR_UNTRUSTED,
			"no targets.json is known yet, so nobody is known to speak for %s", role);
	delegation = delegation_find(document_delegations(c->targets), role);
	if (!delegation)
		return err_set(e, ERR_UNTRUSTED,
			"targets.json, version %" PRIu64 ", delegates nothing to %s",
			c->targets->version, role);
	return document_delegation_keys(c->targets, delegation, out, e);
}
