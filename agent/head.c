#include "agent/head.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/format/listing.h"

void
head_free(struct head *h)
{
	cleanup_fd(&h->fd);
	free(h->manifest);
	buf_free(&h->body);
	*h = HEAD_INIT;
}

static int
members_check(const struct head *h, int fd, struct err *e)
{
	static const enum member_role in_head[] = {MEMBER_INDEX, MEMBER_FILES};

	for (size_t i = 0; i < h->manifest->payload_count; i++) {
		for (size_t j = 0; j < sizeof(in_head) / sizeof(in_head[0]); j++) {
			if (h->manifest->payloads[i].members[in_head[j]].present &&
				bundle_check_member(
					fd, h->name, &h->layout, h->manifest, i, in_head[j], e) < 0)
				return -1;
		}
	}
	return 0;
}

static int
release_fill(struct head *h, const struct verified *v, struct err *e)
{
	uint64_t length;

	if (listing_identity(v->body, &length, &h->release.manifest, e) < 0 ||
		json_canonical(v->body, &h->body, e) < 0)
		return -1;
	memcpy(h->release.name, h->manifest->name, sizeof(h->release.name));
	memcpy(h->release.version, h->manifest->version, sizeof(h->release.version));
	h->release.rollback_index = h->manifest->rollback_index;
	h->release.known = true;
	return 0;
}

/* Fills in h (which the caller frees) from its verified manifest. */
static int
head_fill(struct head *h, int fd, const struct verified *v, uint64_t manifest_size, bool head_only,
	struct err *e)
{
	h->manifest = calloc(1, sizeof(*h->manifest));
	if (!h->manifest)
		return err_sys(e, ENOMEM, "reading %s", h->name);
	if (manifest_parse(v, h->manifest, e) < 0 ||
		bundle_layout(h->manifest, manifest_size, &h->layout, e) < 0 ||
		bundle_check_layout(fd, h->name, h->manifest, &h->layout, head_only, e) < 0 ||
		members_check(h, fd, e) < 0)
		return err_context(e, "%s", h->name);
	return release_fill(h, v, e);
}

static struct head
head_named(const char *name)
{
	struct head h = HEAD_INIT;
	const char *slash = strrchr(name, '/');

	h.body = BUF_INIT(MANIFEST_BYTES_MAX);
	(void)snprintf(h.name, sizeof(h.name), "%s", slash ? slash + 1 : name);
	return h;
}

static void
head_give(struct head *h, int fd, struct head *out)
{
	*out = *h;
	out->fd = fd;
	*h = HEAD_INIT;
}

int
head_verify_local(
	int fd, const char *name, const struct role_keys *releases, struct head *out, struct err *e)
{
	AUTO_HEAD struct head h = head_named(name);
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};

	if (bundle_read_manifest(fd, h.name, &json, e) < 0 ||
		envelope_verify(buf_span(&json), h.name, releases, &v, e) < 0 ||
		head_fill(&h, fd, &v, json.len, false, e) < 0)
		return -1;
	head_give(&h, fd, out);
	return 0;
}

static int
head_digest_check(
	int fd, const char *name, uint64_t len, const struct digest *sha256, struct err *e)
{
	struct digest now;
	uint64_t size;

	if (file_size(fd, name, &size, e) < 0)
		return -1;
	if (size != len)
		return err_set(e, ERR_UNTRUSTED,
			"%s: the head is %llu bytes, signed metadata says %llu", name,
			(unsigned long long)size, (unsigned long long)len);
	if (digest_fd(fd, name, 0, len, &now, e) < 0)
		return -1;
	if (!digest_equal(&now, sha256))
		return err_set(e, ERR_UNTRUSTED,
			"%s: the head's SHA-256 is not what signed metadata says", name);
	return 0;
}

int
head_verify_target(int fd, const char *name, uint64_t len, const struct digest *sha256,
	struct head *out, struct err *e)
{
	AUTO_HEAD struct head h = head_named(name);
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};
	struct digest of_json;

	if (head_digest_check(fd, h.name, len, sha256, e) < 0 ||
		bundle_read_manifest(fd, h.name, &json, e) < 0)
		return -1;
	/* The manifest was verified as a part of the head. */
	of_json = digest_of(buf_span(&json));
	if (verified_by_digest(buf_span(&json), h.name, json.len, &of_json, &v, e) < 0 ||
		head_fill(&h, fd, &v, json.len, true, e) < 0)
		return -1;
	if (h.layout.head_size != len)
		return err_set(e, ERR_MALFORMED, "%s: bytes behind the head", h.name);
	head_give(&h, fd, out);
	return 0;
}
