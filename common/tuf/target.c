#include "common/tuf/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/tuf/client.h"
#include "common/tuf/path.h"

void
tuf_target_free(struct tuf_target *t)
{
	json_decref(t->custom);
	t->custom = NULL;
}

int
target_read(const struct document *d, const char *path, struct tuf_target *out, struct err *e)
{
	const json_t *entry = json_object_get(json_object_get(d->verified.body, "targets"), path);
	json_t *custom = json_object_get(entry, "custom");
	struct tuf_target t = {0};
	struct hashes h;

	if (json_get_uint(entry, "length", 0, INT64_MAX, &t.length, e) < 0 ||
		hashes_read(json_object_get(entry, "hashes"), &h, e) < 0)
		return err_context(e, "%s metadata, target %s", d->role, path);
	(void)snprintf(t.path, sizeof(t.path), "%s", path);
	(void)snprintf(t.role, sizeof(t.role), "%s", d->role);
	t.has_sha256 = h.has_sha256;
	t.has_sha512 = h.has_sha512;
	t.sha256 = h.sha256;
	memcpy(t.sha512, h.sha512, sizeof(t.sha512));
	t.custom = json_incref(custom);
	*out = t;
	return 0;
}

static void
target_hex(const struct tuf_target *t, char out[2 * DIGEST512_BYTES + 1])
{
	if (t->has_sha256)
		hex_encode(t->sha256.b, DIGEST_BYTES, out);
	else
		hex_encode(t->sha512, DIGEST512_BYTES, out);
}

int
tuf_target_url_path(
	const struct tuf_client *c, const struct tuf_target *t, struct buf *out, struct err *e)
{
	const char *slash = strrchr(t->path, '/'), *name = slash ? slash + 1 : t->path;
	char folder[TUF_PATH_MAX + 1], hex[2 * DIGEST512_BYTES + 1];

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(name - t->path), t->path);
	if (path_quote(folder, true, out, e) < 0)
		return -1;
	if (client_is_consistent(c)) {
		target_hex(t, hex);
		if (buf_printf(out, e, "%s.", hex) < 0)
			return -1;
	}
	return path_quote(name, true, out, e);
}

int
tuf_fetch_bytes(struct tuf_client *c, const struct tuf_fetcher *f, const struct tuf_target *t,
	struct buf *out, struct err *e)
{
	AUTO_BUF struct buf path = BUF_INIT(4 * TUF_PATH_MAX), bytes = BUF_INIT(out->max);
	struct hashes listed = {
		.has_sha256 = t->has_sha256, .has_sha512 = t->has_sha512, .sha256 = t->sha256};
	struct hashes all;

	memcpy(listed.sha512, t->sha512, sizeof(listed.sha512));
	if (t->length > out->max)
		return err_set(e, ERR_LIMIT,
			"target %s has %" PRIu64 " bytes; at most %zu are read", t->path, t->length,
			out->max);
	if (tuf_target_url_path(c, t, &path, e) < 0 ||
		f->target(f->arg, buf_str(&path), t->length, &bytes, e) < 0)
		return err_context(e, "target %s", t->path);
	all = hashes_of(buf_span(&bytes));
	if (bytes.len != t->length || !hashes_agree(&listed, &all))
		return err_set(e, ERR_UNTRUSTED,
			"target %s is not the file that %s signed for: its length or digest "
			"differs",
			t->path, t->role);
	return buf_append(out, bytes.data, bytes.len, e);
}

int
tuf_fetch_target(struct tuf_client *c, const struct tuf_fetcher *f, const struct tuf_target *t,
	uint64_t max, struct verified *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(max);
	struct digest d;

	if (tuf_fetch_bytes(c, f, t, &bytes, e) < 0)
		return -1;
	d = digest_of(buf_span(&bytes));
	return verified_by_digest(buf_span(&bytes), t->path, t->length, &d, out, e);
}
