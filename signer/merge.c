#include "signer/merge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "signer/ceremony.h"
#include "signer/metadata.h"

void
merge_free(struct merge *m)
{
	change_free(&m->change);
	request_free(&m->request);
}

static const json_t *
body_of(const struct request *r)
{
	return json_object_get(r->document, "signed");
}

/* Puts the signatures of from into the envelope `into`; the same key's replace each other. */
static int
add_signatures(json_t *into, const json_t *from, struct err *e)
{
	json_t *all = json_object_get(into, "signatures");
	const json_t *signature;
	size_t i;

	json_array_foreach (json_object_get(from, "signatures"), i, signature) {
		const char *id = json_string_value(json_object_get(signature, "keyid"));
		const json_t *other;
		bool there = false;
		size_t k;

		json_array_foreach (all, k, other) {
			const char *has = json_string_value(json_object_get(other, "keyid"));

			there = there || (has && id && strcmp(has, id) == 0);
		}
		if (!there && json_array_append_new(all, json_deep_copy(signature)) < 0)
			return err_sys(e, ENOMEM, "bringing signatures together");
	}
	return 0;
}

/* A request as this workspace would make it, for the bytes of the file: who may sign is for the
 * workspace to say, not for the file. */
static int
begin(struct merge *m, const struct workspace *w, struct request *file, const char *path,
	struct err *e)
{
	AUTO_METADATA struct metadata mine = {0};
	struct err none = ERR_INIT;

	(void)snprintf(m->seen.role, sizeof(m->seen.role), "%s", file->role);
	/* A first root that was drafted elsewhere finds no root here. */
	if (metadata_load(w, file->role, &mine, &none) < 0) {
		if (strcmp(file->role, "root") != 0 || none.class != ERR_USAGE)
			return err_set(e, none.class, "%s", none.text);
		m->request = *file;
		*file = (struct request){0};
		return 0;
	}
	m->seen.loaded = true;
	m->seen.incoming = mine.incoming;
	m->seen.published = mine.published;
	m->seen.unused = mine.unused;
	if (mine.waiting && !json_equal(mine.waiting, body_of(file)))
		return err_set(e, ERR_REFUSED,
			"%s is of other bytes than the next version of %s that lies here in "
			"drafts/ or incoming/; stage that again, or remove it if the file is right",
			path, file->role);
	if (request_make(w, &mine, &m->request, e) < 0)
		return -1;
	m->ours = mine.waiting;
	if (!m->ours) {
		json_decref(m->request.document);
		m->request.document = json_incref(file->document);
	}
	return 0;
}

/* Those of one file, before they are put to others: of two by one key only one is kept, and a
 * damaged one is to be heard of. */
static int
check_signatures(const struct merge *m, json_t *document, struct err *e)
{
	struct request alone = m->request;
	AUTO_CHANGE struct change c = {0};
	AUTO_JSON json_t *good = NULL;

	alone.document = document;
	return request_check(&alone, NULL, &c, e) < 0 ? -1 : request_signers(&c, &good, e);
}

int
merge_add(struct merge *m, const struct workspace *w, const char *path, struct err *e)
{
	AUTO_REQUEST struct request file = {0};
	AUTO_JSON json_t *document = NULL;

	if (request_read(path, &file, e) < 0)
		return -1;
	document = json_incref(file.document);
	if (!m->first) {
		if (begin(m, w, &file, path, e) < 0)
			return -1;
		m->first = path;
	} else if (strcmp(m->request.role, file.role) != 0) {
		return err_set(e, ERR_REFUSED, "%s is for the role %s, but %s for %s", path,
			file.role, m->first, m->request.role);
	} else if (!json_equal(body_of(&m->request), body_of(&file))) {
		return err_set(e, ERR_REFUSED,
			"%s is of other bytes than %s: their signatures do not go together", path,
			m->first);
	}
	if (check_signatures(m, document, e) < 0)
		return err_context(e, "%s", path);
	return add_signatures(m->request.document, document, e);
}

static void
say_count(
	const struct change *c, const struct role_keys *keys, const char *whose, const json_t *good)
{
	(void)printf("%s: %" PRIu64 " of %" PRIu64 " signatures of %s\n", c->role,
		request_count(keys, good), keys->threshold, whose);
}

int
merge_commit(struct merge *m, const struct workspace *w, struct err *e)
{
	AUTO_JSON json_t *good = NULL;

	if (request_check(&m->request, NULL, &m->change, e) < 0 ||
		request_signers(&m->change, &good, e) < 0)
		return -1;
	if (json_array_size(good) == 0)
		return err_set(e, ERR_REFUSED,
			"none of the files carries a signature; `sluice metadata sign` adds one");
	/* A root says itself who holds it: what nobody here has seen before needs a word of those
	 * who hold the present one. */
	if (!m->ours && m->change.former.threshold && request_count(&m->change.former, good) == 0)
		return err_set(e, ERR_REFUSED,
			"this next root was not made in this workspace, and no key of the root in "
			"force has signed it; merge a file that one of those has signed");
	if (metadata_receive(w, &m->seen, m->request.document, e) < 0)
		return -1;
	if (m->change.former.threshold)
		say_count(&m->change, &m->change.former, "the root in force", good);
	say_count(&m->change, &m->change.keys,
		m->change.former.threshold ? "the new root" : m->change.role, good);
	return 0;
}
