/* The head of a bundle as a box takes it: signed, or named by digest in signed metadata.
 *
 * Input: the manifest's "signed" part, then the members in the order of the file, then changes to
 * the finished file (5 bytes each: where, and what to XOR), separated by lines of "%%". Sizes and
 * digests of the members that are there are put into the manifest, then it is sealed. */
#include <fcntl.h>
#include <unistd.h>

#include "agent/head.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/files.h"
#include "common/format/index.h"
#include "signer/bundle_file.h"
#include "tests/fuzz/harness.h"

enum { BLOCK = 512, FILE_MAX = 1 << 20, HEAD_ROLES = 3 };

static const char mark[] = "%%";
static const char *const suffixes[] = {
	".index", ".files", ".seals", ".stored", ".hints", ".cuts", ".data"};

/* A member as bundle.h describes it. */
static void
member_put(struct buf *file, const char *name, struct span content)
{
	uint8_t h[BLOCK] = {0}, zeros[BLOCK] = {0};
	unsigned sum = 0;
	struct err e;

	(void)snprintf((char *)h, 100, "%s", name);
	memcpy(h + 100, "0000644", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	(void)snprintf((char *)h + 124, 12, "%011zo", content.len);
	memcpy(h + 136, "00000000000", 12);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar  ", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += h[i];
	(void)snprintf((char *)h + 148, 7, "%06o", sum);
	MUST(buf_append(file, h, sizeof(h), &e) == 0);
	MUST(buf_append(file, content.data, content.len, &e) == 0);
	MUST(buf_append(file, zeros, (BLOCK - content.len % BLOCK) % BLOCK, &e) == 0);
}

/* The member of that suffix in a payload, or NULL. */
static json_t *
member_find(const json_t *payload, const char *suffix)
{
	json_t *member;
	size_t i;

	json_array_foreach (json_object_get(payload, "members"), i, member) {
		const char *name = json_string_value(json_object_get(member, "name"));
		size_t len = name ? strlen(name) : 0;

		if (len > strlen(suffix) && strcmp(name + len - strlen(suffix), suffix) == 0)
			return member;
	}
	return NULL;
}

/* What the manifest says of a member becomes true. The digest of an empty part stays as it is. */
static void
member_fix(json_t *member, struct span content)
{
	struct digest d = digest_of(content);
	char hex[DIGEST_HEX_SIZE];

	(void)json_object_set_new(member, "size", json_integer((json_int_t)content.len));
	if (content.len > 0)
		(void)json_object_set_new(member, "sha256", json_string(digest_hex(&d, hex)));
}

/* Takes one part for each member, and writes them behind one another. *head is where the first
 * member that is not of the head begins. */
static void
members_put(const json_t *payloads, struct span *in, struct buf *file, size_t *head)
{
	for (size_t role = 0; role < ARRAY_LEN(suffixes); role++) {
		json_t *payload;
		size_t i;

		if (role == HEAD_ROLES)
			*head = file->len;
		json_array_foreach (payloads, i, payload) {
			json_t *member = member_find(payload, suffixes[role]);
			struct span part;

			if (!member || file->len > FILE_MAX / 2)
				continue;
			part = fuzz_take_part(in, mark);
			member_fix(member, part);
			member_put(file, json_string_value(json_object_get(member, "name")), part);
		}
	}
}

/* The sealed bundle, all of it; *head is how long its head should be. */
static bool
bundle_make(struct span *in, struct buf *file, size_t *head)
{
	AUTO_BUF struct buf members = BUF_INIT(FILE_MAX), sealed = BUF_INIT(FILE_MAX);
	AUTO_JSON json_t *body = NULL;
	AUTO_FREE char *text = NULL;
	uint8_t end[2 * BLOCK] = {0};
	struct err e;

	if (json_parse(fuzz_take_part(in, mark), "body", &body, &e) < 0 || !json_is_object(body))
		return false;
	members_put(json_object_get(body, "payloads"), in, &members, head);
	text = json_dumps(body, JSON_COMPACT);
	if (!text || !fuzz_seal(span_str(text), 1, &sealed))
		return false;
	member_put(file, "manifest.json", buf_span(&sealed));
	*head += file->len;
	return buf_append(file, members.data, members.len, &e) == 0 &&
	       buf_append(file, end, sizeof(end), &e) == 0;
}

static void
walk_members(const struct head *h)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < h->manifest->payload_count; i++) {
		const struct payload *p = &h->manifest->payloads[i];
		AUTO_INDEX struct index_reader *index = NULL;
		AUTO_FILES struct files_reader *files = NULL;
		const struct tree_entry *entry;
		struct chunk c;
		bool more = true;

		if (index_open(h->fd, h->name, h->layout.offset[i][MEMBER_INDEX], p, &index, &e) <
			0)
			fuzz_check_err(&e);
		while (index && more && index_next(index, &c, &more, &e) == 0)
			;
		if (p->kind != PAYLOAD_TREE)
			continue;
		more = true;
		MUST(files_open(h->fd, h->name, h->layout.offset[i][MEMBER_FILES], p, &files, &e) ==
			0);
		while (more && files_next(files, &entry, &more, &e) == 0)
			;
	}
}

/* A manifest that was read says all that was signed: nothing was passed over. */
static void
check_manifest(const struct head *h)
{
	AUTO_BUF struct buf again = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;

	MUST(manifest_build(h->manifest, &built, &e) == 0);
	MUST(json_canonical(built, &again, &e) == 0);
	MUST(span_equal(buf_span(&again), buf_span(&h->body)));
}

/* By its signatures, from a file of the whole bundle. */
static bool
read_local(struct span file, struct digest *release)
{
	AUTO_HEAD struct head h = HEAD_INIT;
	struct role_keys role = fuzz_role();
	struct err e = ERR_INIT;

	if (head_verify_local(fuzz_file(0, file), "local.ota", fuzz_folder(), &role, &h, &e) < 0) {
		fuzz_check_err(&e);
		return false;
	}
	MUST(h.layout.total_size == file.len && h.release.known);
	check_manifest(&h);
	walk_members(&h);
	*release = h.release.manifest;
	return true;
}

/* By its digest, from a file of the head alone. */
static bool
read_target(struct span head, struct digest *release)
{
	AUTO_HEAD struct head h = HEAD_INIT;
	struct digest d = digest_of(head);
	struct err e = ERR_INIT;
	int fd = fcntl(fuzz_file(1, head), F_DUPFD_CLOEXEC, 0);

	MUST(fd >= 0);
	if (head_verify_target(fd, "target.ota", head.len, &d, &h, &e) < 0) {
		(void)close(fd);
		fuzz_check_err(&e);
		return false;
	}
	MUST(h.layout.head_size == head.len);
	check_manifest(&h);
	*release = h.release.manifest;
	return true;
}

/* As `sluice verify` reads it, content and all. */
static void
read_host(struct span file)
{
	AUTO_BUNDLE_FILE struct bundle_file b = BUNDLE_FILE_INIT;
	struct role_keys role = fuzz_role();
	struct err e = ERR_INIT;

	if (bundle_file_open_signed(fuzz_file_path(0, file), &role, &b, &e) < 0 ||
		bundle_file_check_members(&b, &e) < 0 || bundle_file_check_content(&b, &e) < 0)
		fuzz_check_err(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf file = BUF_INIT(2 * FILE_MAX);
	struct span in = span_of(data, size);
	struct digest local, target;
	size_t head = 0;

	if (!bundle_make(&in, &file, &head))
		return 0;
	while (in.len >= 5) {
		size_t at = fuzz_take32(&in) % file.len;

		file.data[at] ^= fuzz_take8(&in);
	}
	if (read_local(buf_span(&file), &local)) {
		MUST(read_target(span_of(file.data, head), &target));
		MUST(digest_equal(&local, &target));
		fuzz_deep();
		read_host(buf_span(&file));
	} else {
		(void)read_target(span_of(file.data, head), &target);
	}
	return 0;
}
