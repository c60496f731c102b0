#include "signer/online.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/limits.h"

void
online_free(struct online *p)
{
	buf_free(&p->snapshot);
	buf_free(&p->timestamp);
	json_decref(p->snapshot_body);
}

static bool
root_names(const struct document *root, const char *role, const char *id)
{
	struct role_keys keys;

	return root && document_root_role(root, role, &keys, NULL) == 0 &&
	       json_has_text(keys.keyids, id);
}

int
online_fits(const struct workspace *w, const char *snapshot_id, const char *timestamp_id, bool *out,
	struct err *e)
{
	AUTO_SITE struct site s = {0};
	AUTO_INCOMING struct incoming in = {0};

	if (site_open(w, &s, e) < 0 || incoming_read(w, &s, &in, e) < 0)
		return -1;
	in.only_looks = true;
	in.online_snapshot = snapshot_id;
	in.online_timestamp = timestamp_id;
	if (incoming_judge(&in, clock_wall_s(), e) < 0)
		return -1;
	*out = root_names(in.root, "snapshot", snapshot_id) &&
	       root_names(in.root, "timestamp", timestamp_id);
	return 0;
}

/* What timestamp or snapshot says of a file. */
static json_t *
metafile(uint64_t version, struct span bytes)
{
	struct digest d = digest_of(bytes);
	char hex[DIGEST_HEX_SIZE];

	return json_pack("{s:I, s:I, s:{s:s}}", "version", (json_int_t)version, "length",
		(json_int_t)bytes.len, "hashes", "sha256", digest_hex(&d, hex));
}

/* Signs body, and reads it back as a client would: a key that root does not name is found here and
 * not by the fleet. */
static int
sign_online(struct online *p, const char *role, enum document_type type, json_t *body,
	const struct signer *s, struct buf *out, struct err *e)
{
	AUTO_JSON json_t *root = body ? envelope_new(body) : NULL;
	AUTO_DOCUMENT struct document *d = NULL;
	AUTO_FREE char *text = NULL;
	struct role_keys keys;

	if (!root)
		return err_sys(e, ENOMEM, "%s metadata", role);
	if (envelope_sign(root, s, e) < 0)
		return -1;
	text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return err_sys(e, ENOMEM, "%s metadata", role);
	*out = BUF_INIT(TUF_SNAPSHOT_BYTES_MAX);
	if (buf_append(out, text, strlen(text), e) < 0 ||
		document_root_role(p->incoming->root, role, &keys, e) < 0)
		return -1;
	if (document_read(buf_span(out), role, type, &keys, &d, e) < 0)
		return err_context(
			e, "the %s key of workspace.yaml is not the one that root names", role);
	return 0;
}

/* The published list, with what is new in this publication. */
static json_t *
snapshot_meta(const struct online *p)
{
	const struct document *old = p->site->snapshot;
	json_t *meta =
		old ? json_deep_copy(json_object_get(old->verified.body, "meta")) : json_object();

	for (size_t i = 0; meta && i < p->incoming->count; i++) {
		const struct incoming_role *r = &p->incoming->roles[i];
		char name[ROLE_NAME_MAX + sizeof(".json")];

		if (r->state != INCOMING_ACCEPTED || strcmp(r->role, "root") == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s.json", r->role);
		if (json_object_set_new(
			    meta, name, metafile(r->document->version, buf_span(&r->bytes))) < 0) {
			json_decref(meta);
			meta = NULL;
		}
	}
	return meta;
}

/* A new snapshot for new roles, for new keys, and in good time before the old one expires. */
static bool
needs_snapshot(const struct online *p)
{
	struct document *old = p->site->snapshot;
	struct role_keys keys;

	for (size_t i = 0; i < p->incoming->count; i++) {
		if (p->incoming->roles[i].state == INCOMING_ACCEPTED)
			return true;
	}
	return !old || document_root_role(p->incoming->root, "snapshot", &keys, NULL) < 0 ||
	       document_check(old, &keys, NULL) < 0 ||
	       old->expires_s - p->now_s < (int64_t)p->workspace->snapshot_life_s / 2;
}

/* Takes the snapshot that a publication which did not get to its end has left, where that says what
 * the next one is to say: whoever tries again and again leaves one, and not one for each try. */
static bool
leftover_take(struct online *p, uint64_t version, const json_t *meta)
{
	const int64_t life_s = (int64_t)p->workspace->snapshot_life_s;
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_SNAPSHOT_BYTES_MAX);
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys;
	char path[PATH_MAX];

	if (site_metadata_path(p->site, "snapshot", version, path, NULL) < 0 ||
		file_read(path, &bytes, NULL) < 0 ||
		document_root_role(p->incoming->root, "snapshot", &keys, NULL) < 0 ||
		document_read(buf_span(&bytes), "snapshot", DOCUMENT_SNAPSHOT, &keys, &d, NULL) <
			0 ||
		d->version != version ||
		!json_equal(json_object_get(d->verified.body, "meta"), meta) ||
		d->expires_s - p->now_s < life_s / 2 || d->expires_s - p->now_s > life_s)
		return false;
	p->snapshot_body = json_deep_copy(d->verified.body);
	if (!p->snapshot_body)
		return false;
	p->snapshot_version = version;
	p->snapshot = bytes;
	bytes = BUF_INIT(0);
	return true;
}

int
online_snapshot(struct online *p, struct err *e)
{
	const uint64_t published = p->site->snapshot ? p->site->snapshot->version : 0;
	AUTO_JSON json_t *body = NULL, *meta = NULL;
	char expires[CLOCK_TEXT_SIZE];

	if (!needs_snapshot(p)) {
		p->snapshot_version = p->site->snapshot->version;
		p->snapshot_body = json_deep_copy(p->site->snapshot->verified.body);
		return 0;
	}
	/* One that nobody has seen, though a publication was interrupted. */
	if (site_unused_version(p->site, "snapshot", published, &p->snapshot_version, e) < 0)
		return -1;
	meta = snapshot_meta(p);
	if (p->snapshot_version > published + 1 && leftover_take(p, p->snapshot_version - 1, meta))
		return 0;
	body = json_pack("{s:s, s:s, s:I, s:s, s:O}", "_type", "snapshot", "spec_version",
		TUF_SPEC_VERSION, "version", (json_int_t)p->snapshot_version, "expires",
		clock_format(p->now_s + (int64_t)p->workspace->snapshot_life_s, expires), "meta",
		meta);
	p->snapshot_body = json_incref(body);
	return sign_online(
		p, "snapshot", DOCUMENT_SNAPSHOT, body, p->snapshot_signer, &p->snapshot, e);
}

int
online_timestamp(struct online *p, struct err *e)
{
	const struct document *old = p->site->timestamp;
	AUTO_JSON json_t *body = NULL;
	char expires[CLOCK_TEXT_SIZE], signed_at[CLOCK_TEXT_SIZE];
	json_t *listed;

	if (p->snapshot.len > 0)
		listed = metafile(p->snapshot_version, buf_span(&p->snapshot));
	else
		listed = json_incref(json_object_get(
			json_object_get(old->verified.body, "meta"), "snapshot.json"));
	p->timestamp_version = old ? old->version + 1 : 1;
	body = json_pack("{s:s, s:s, s:I, s:s, s:s, s:{s:o}}", "_type", "timestamp", "spec_version",
		TUF_SPEC_VERSION, "version", (json_int_t)p->timestamp_version, "expires",
		clock_format(p->now_s + (int64_t)p->workspace->timestamp_life_s, expires),
		"signed_at", clock_format(p->now_s, signed_at), "meta", "snapshot.json", listed);
	return sign_online(
		p, "timestamp", DOCUMENT_TIMESTAMP, body, p->timestamp_signer, &p->timestamp, e);
}
