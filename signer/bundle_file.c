#include "signer/bundle_file.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "signer/output.h"

void
bundle_file_close(struct bundle_file *b)
{
	cleanup_fd(&b->fd);
	verified_free(&b->document);
	free(b->manifest);
	*b = BUNDLE_FILE_INIT;
}

/* A NULL role takes the manifest as it is. */
static int
open_manifest(const char *path, const struct role_keys *role, struct bundle_file *b, struct err *e)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	struct digest own;

	b->path = path;
	if (file_open_read(path, &b->fd, e) < 0 || bundle_read_manifest(b->fd, path, &json, e) < 0)
		return -1;
	own = digest_of(buf_span(&json));
	if ((role ? envelope_verify(buf_span(&json), path, role, &b->document, e)
		  : verified_by_digest(buf_span(&json), path, json.len, &own, &b->document, e)) < 0)
		return -1;
	b->manifest = calloc(1, sizeof(*b->manifest));
	if (!b->manifest)
		return err_sys(e, ENOMEM, "reading %s", path);
	if (manifest_parse(&b->document, b->manifest, e) < 0 ||
		bundle_layout(b->manifest, json.len, &b->layout, e) < 0)
		return err_context(e, "%s", path);
	return bundle_check_layout(b->fd, path, b->manifest, &b->layout, false, e);
}

static int
open_file(const char *path, const struct role_keys *role, struct bundle_file *out, struct err *e)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;

	if (open_manifest(path, role, &b, e) < 0)
		return -1;
	*out = b;
	b = BUNDLE_FILE_INIT;
	return 0;
}

int
bundle_file_open(const char *path, struct bundle_file *out, struct err *e)
{
	return open_file(path, NULL, out, e);
}

int
bundle_file_open_signed(
	const char *path, const struct role_keys *role, struct bundle_file *out, struct err *e)
{
	if (!role)
		return err_set(e, ERR_UNTRUSTED, "%s: no role to check its signatures with", path);
	return open_file(path, role, out, e);
}

int
bundle_file_check_members(const struct bundle_file *b, struct err *e)
{
	const struct manifest *m = b->manifest;

	for (size_t i = 0; i < m->payload_count; i++) {
		for (int role = 0; role < MEMBER_ROLES; role++) {
			if (m->payloads[i].members[role].present &&
				bundle_check_member(b->fd, b->path, &b->layout, m, i,
					(enum member_role)role, e) < 0)
				return -1;
		}
	}
	return 0;
}

struct pages
bundle_file_pages(const struct bundle_file *b, size_t payload)
{
	const uint64_t *offset = b->layout.offset[payload];

	return (struct pages){.payload = &b->manifest->payloads[payload],
		.fd = b->fd,
		.name = b->path,
		.offset = offset[MEMBER_STORED],
		.seals_fd = b->fd,
		.seals_name = b->path,
		.seals_offset = offset[MEMBER_SEALS]};
}

int
bundle_file_write(const char *path, const struct manifest *m, const json_t *envelope,
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES], struct err *e)
{
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_OUTPUT struct output o = OUTPUT_INIT;

	if (json_pretty(envelope, &json, e) < 0 || output_begin(path, &o, e) < 0 ||
		bundle_write(o.fd, path, m, buf_span(&json), parts, e) < 0)
		return -1;
	return output_commit(&o, e);
}
