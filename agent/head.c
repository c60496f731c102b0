#include "agent/head.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/shelf.h"
#include "agent/source.h"
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
	for (size_t i = 0; i < h->manifest->payload_count; i++) {
		for (int role = 0; role < MEMBER_HEAD_ROLES; role++) {
			if (h->manifest->payloads[i].members[role].present &&
				bundle_check_member(fd, h->name, &h->layout, h->manifest, i,
					(enum member_role)role, e) < 0)
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

/* Fills in h (which the caller frees) from its verified manifest, but for what is in fd. */
static int
head_plan(struct head *h, const struct verified *v, uint64_t manifest_size, struct err *e)
{
	h->manifest = calloc(1, sizeof(*h->manifest));
	if (!h->manifest)
		return err_sys(e, ENOMEM, "reading %s", h->name);
	if (manifest_parse(v, h->manifest, e) < 0 ||
		bundle_layout(h->manifest, manifest_size, &h->layout, e) < 0)
		return err_context(e, "%s", h->name);
	return release_fill(h, v, e);
}

/* The head in fd is what its manifest says. */
static int
head_check(const struct head *h, int fd, struct err *e)
{
	if (bundle_check_layout(fd, h->name, h->manifest, &h->layout, true, e) < 0 ||
		members_check(h, fd, e) < 0)
		return err_context(e, "%s", h->name);
	return 0;
}

int
head_spool_open(const char *dir, int *fd, struct err *e)
{
	int opened = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (opened < 0)
		return err_sys(e, errno, "making a file in %s", dir);
	*fd = opened;
	return 0;
}

int
head_spool_fill(const char *dir, const struct source *s, uint64_t len, int fd, struct err *e)
{
	char name[PATH_MAX + 32];

	(void)snprintf(name, sizeof(name), "a copy of the head in %s", dir);
	shelf_make_room(dir, len);
	return source_copy(s, len, fd, name, e);
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

/* The whole file is looked at first, for what stands in it beside its members. */
static int
head_copy(const struct head *h, int from, const char *dir, int to, struct err *e)
{
	struct file_source file = {.fd = from, .name = h->name};
	struct source source = source_file(&file);

	if (bundle_check_layout(from, h->name, h->manifest, &h->layout, false, e) < 0)
		return err_context(e, "%s", h->name);
	if (head_spool_fill(dir, &source, h->layout.head_size, to, e) < 0)
		return -1;
	return head_check(h, to, e);
}

int
head_verify_local(int fd, const char *name, const char *dir, const struct role_keys *releases,
	struct head *out, struct err *e)
{
	AUTO_HEAD struct head h = head_named(name);
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};
	AUTO_CLOSE int spool = -1;

	if (bundle_read_manifest(fd, h.name, &json, e) < 0 ||
		envelope_verify(buf_span(&json), h.name, releases, &v, e) < 0 ||
		head_plan(&h, &v, json.len, e) < 0 || head_spool_open(dir, &spool, e) < 0 ||
		head_copy(&h, fd, dir, spool, e) < 0)
		return -1;
	head_give(&h, take_fd(&spool), out);
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
		head_plan(&h, &v, json.len, e) < 0 || head_check(&h, fd, e) < 0)
		return -1;
	if (h.layout.head_size != len)
		return err_set(e, ERR_MALFORMED, "%s: bytes behind the head", h.name);
	head_give(&h, fd, out);
	return 0;
}

/* The manifest's "signed" part in its canonical form: what a release's digest is of. */
static int
kept_verify(struct span json, const char *name, const struct digest *manifest, struct verified *out,
	struct err *e)
{
	AUTO_BUF struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_JSON json_t *root = NULL;
	const json_t *part;

	if (json_parse(json, name, &root, e) < 0)
		return -1;
	part = json_object_get(root, "signed");
	if (!part)
		return err_set(e, ERR_MALFORMED, "%s: its manifest is no signed envelope", name);
	if (json_canonical(part, &body, e) < 0)
		return -1;
	return verified_by_digest(buf_span(&body), name, body.len, manifest, out, e);
}

int
head_verify_kept(
	int fd, const char *name, const struct digest *manifest, struct head *out, struct err *e)
{
	AUTO_HEAD struct head h = head_named(name);
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};

	if (bundle_read_manifest(fd, h.name, &json, e) < 0 ||
		kept_verify(buf_span(&json), h.name, manifest, &v, e) < 0 ||
		head_plan(&h, &v, json.len, e) < 0 || head_check(&h, fd, e) < 0)
		return -1;
	head_give(&h, fd, out);
	return 0;
}
