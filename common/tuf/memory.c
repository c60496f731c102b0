/* What the client remembers, in memory and in the store. */
#include <errno.h>
#include <string.h>

#include "common/base/num.h"
#include "common/tuf/client.h"

uint64_t
client_bytes_max(enum document_type type)
{
	static const uint64_t max[] = {
		[DOCUMENT_ROOT] = TUF_ROOT_BYTES_MAX,
		[DOCUMENT_TIMESTAMP] = TUF_TIMESTAMP_BYTES_MAX,
		[DOCUMENT_SNAPSHOT] = TUF_SNAPSHOT_BYTES_MAX,
		[DOCUMENT_TARGETS] = TUF_TARGETS_BYTES_MAX,
	};

	return max[type];
}

void
client_forget(struct tuf_client *c)
{
	document_free(&c->timestamp);
	document_free(&c->snapshot);
	document_free(&c->targets);
	for (size_t i = 0; i < ARRAY_LEN(c->delegated); i++)
		document_free(&c->delegated[i]);
}

/* What a disk says of a file that it has lost, or that has become something else, and will say the
 * next time. A client that failed by that would fail for good, and hear of no stop. Other failures
 * pass, or can be mended without losing anything. */
static bool
is_lost(const struct err *e)
{
	return e->class != ERR_SYSTEM || e->errnum == EIO || e->errnum == EBADMSG ||
	       e->errnum == EUCLEAN;
}

/* Appends what the store has of role: nothing where it has none. */
static int
load(struct tuf_client *c, const char *role, struct buf *bytes, struct err *e)
{
	struct err why = ERR_INIT;

	if (c->store.load(c->store.arg, role, bytes, &why) == 0)
		return 0;
	buf_truncate(bytes, 0);
	if (why.class == ERR_SYSTEM && why.errnum == ENOENT)
		return 0;
	*e = why;
	return -1;
}

int
client_recall(struct tuf_client *c, struct document **slot, const char *role,
	enum document_type type, const struct role_keys *keys, bool forgives, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(client_bytes_max(type));
	struct err why = ERR_INIT;

	if (*slot) {
		if (document_check(*slot, keys, &why) == 0)
			return 0;
		document_free(slot);
	}
	if (load(c, role, &bytes, &why) < 0) {
		if (!forgives || !is_lost(&why))
			return err_set(e, why.class, "%s", why.text);
		/* A delegated role's version is in the snapshot; nothing rests on the old file. */
		if (type != DOCUMENT_TARGETS || strcmp(role, "targets") == 0)
			c->loss = why;
		return 0;
	}
	(void)document_read(buf_span(&bytes), role, type, keys, slot, &why);
	return 0;
}

/* What is in memory still holds versions back where the disk has lost it; until this process ends,
 * so that is to be told. */
static int
load_beside(struct tuf_client *c, const char *role, struct buf *bytes, struct err *e)
{
	struct err why = ERR_INIT;

	if (load(c, role, bytes, &why) == 0)
		return 0;
	if (!is_lost(&why))
		return err_set(e, why.class, "%s", why.text);
	c->loss = why;
	return 0;
}

/* Another process may have saved a newer root. Its word on the other roles is in the store too. */
static int
catch_up_root(struct tuf_client *c, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_ROOT_BYTES_MAX);
	AUTO_DOCUMENT struct document *stored = NULL;
	struct err why = ERR_INIT;
	struct digest found;

	if (load_beside(c, "root", &bytes, e) < 0)
		return -1;
	found = digest_of(buf_span(&bytes));
	if (digest_equal(&found, &c->root->hashes.sha256) ||
		document_read_anchor(buf_span(&bytes), &stored, &why) < 0 ||
		stored->version <= c->root->version)
		return 0;
	client_forget(c);
	document_free(&c->root);
	c->root = TAKE_PTR(stored);
	return 0;
}

static int
catch_up(struct tuf_client *c, struct document **slot, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(0);
	AUTO_DOCUMENT struct document *stored = NULL;
	struct err why = ERR_INIT;
	struct role_keys keys;
	struct digest found;

	if (!*slot)
		return 0;
	bytes = BUF_INIT(client_bytes_max((*slot)->type));
	if (document_root_role(c->root, (*slot)->role, &keys, e) < 0 ||
		load_beside(c, (*slot)->role, &bytes, e) < 0)
		return -1;
	found = digest_of(buf_span(&bytes));
	if (digest_equal(&found, &(*slot)->hashes.sha256) ||
		document_read(
			buf_span(&bytes), (*slot)->role, (*slot)->type, &keys, &stored, &why) < 0 ||
		stored->version <= (*slot)->version)
		return 0;
	document_free(slot);
	*slot = TAKE_PTR(stored);
	return 0;
}

int
client_catch_up(struct tuf_client *c, struct err *e)
{
	if (catch_up_root(c, e) < 0 || catch_up(c, &c->timestamp, e) < 0 ||
		catch_up(c, &c->snapshot, e) < 0)
		return -1;
	return catch_up(c, &c->targets, e);
}
