#include <inttypes.h>
#include <string.h>

#include "common/base/num.h"
#include "common/tuf/client.h"
#include "common/tuf/path.h"
#include "common/tuf/target.h"

/* One pre-order search (section 5.6.7). */
struct search {
	struct tuf_client *client;
	const struct tuf_fetcher *fetcher;
	int64_t now_s;
	const char *path;
	char hex[DIGEST_HEX_SIZE]; /* of path */
	const struct document *visited[TUF_DELEGATIONS_MAX];
	size_t visited_count;
	const struct document *holder; /* the role that lists path, once found */
	bool ended; /* found, or a terminating delegation or a silent role was passed */
};

static int search_role(struct search *s, const struct document *d, struct err *e);

static bool
was_visited(const struct search *s, const char *role)
{
	for (size_t i = 0; i < s->visited_count; i++) {
		if (strcmp(s->visited[i]->role, role) == 0)
			return true;
	}
	return false;
}

/* Follows one delegation of d, verifying the role by what d says of it, whoever else vouched for
 * that role before. A role that has never published anything (the snapshot does not list it, and
 * may not drop what it once did) lists nothing, and nobody behind it is asked in its place: else
 * the snapshot key could hand its paths to a later role. */
static int
search_delegation(
	struct search *s, const struct document *d, const json_t *delegation, struct err *e)
{
	const char *role = json_string_value(json_object_get(delegation, "name"));
	struct document **slot = client_slot(s->client, role);
	struct role_keys keys;

	if (s->visited_count == TUF_DELEGATIONS_MAX || !slot)
		return err_set(e, ERR_LIMIT, "%s: no answer within %d delegated roles", s->path,
			TUF_DELEGATIONS_MAX);
	if (!document_lists(s->client->snapshot, role)) {
		s->ended = true;
		return 0;
	}
	if (document_delegation_keys(d, delegation, &keys, e) < 0 ||
		client_update_targets(s->client, s->fetcher, role, slot, &keys, s->now_s, e) < 0)
		return err_context(e, "role %s, delegated to by %s", role, d->role);
	s->visited[s->visited_count++] = *slot;
	client_note_expiry(s->client, *slot);
	return search_role(s, *slot, e);
}

static int
search_role(struct search *s, const struct document *d, struct err *e)
{
	const json_t *delegation;
	size_t i;

	if (json_object_get(json_object_get(d->verified.body, "targets"), s->path)) {
		s->holder = d;
		s->ended = true;
		return 0;
	}
	json_array_foreach (document_delegations(d), i, delegation) {
		const char *name = json_string_value(json_object_get(delegation, "name"));

		if (!path_is_delegated(delegation, s->path, s->hex))
			continue;
		if (!was_visited(s, name) && search_delegation(s, d, delegation, e) < 0)
			return -1;
		if (json_is_true(json_object_get(delegation, "terminating")))
			s->ended = true;
		if (s->ended)
			return 0;
	}
	return 0;
}

/* Makes room where other searches have left less than one search may need. */
static void
slots_make_room(struct tuf_client *c)
{
	size_t used = 0;

	for (size_t i = 0; i < ARRAY_LEN(c->delegated); i++)
		used += c->delegated[i] != NULL;
	for (size_t i = 0; used > TUF_DELEGATIONS_MAX && i < ARRAY_LEN(c->delegated); i++)
		document_free(&c->delegated[i]);
}

int
tuf_find(struct tuf_client *c, const struct tuf_fetcher *f, const char *path, int64_t now_s,
	bool *found, struct tuf_target *out, struct err *e)
{
	struct search s = {.client = c, .fetcher = f, .now_s = now_s, .path = path};
	struct digest d = digest_of(span_str(path));

	if (!c->fresh)
		return err_set(e, ERR_UNTRUSTED,
			"%s: the metadata was not brought up to date; refresh it first", path);
	if (strlen(path) > TUF_PATH_MAX)
		return err_set(e, ERR_LIMIT, "a target path is over %d bytes", TUF_PATH_MAX);
	(void)digest_hex(&d, s.hex);
	slots_make_room(c);
	if (search_role(&s, c->targets, e) < 0)
		return -1;
	if (s.holder && target_read(s.holder, path, out, e) < 0)
		return -1;
	*found = s.holder != NULL;
	return 0;
}
