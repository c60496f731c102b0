#include "common/format/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/cuts.h"
#include "common/format/field.h"
#include "common/format/hints.h"
#include "common/format/index.h"
#include "common/format/pages.h"

enum { FORMAT = 1 };

static const char *const kind_names[] = {
	[PAYLOAD_IMAGE] = "image",
	[PAYLOAD_TREE] = "tree",
};

static const char *const role_names[MEMBER_ROLES] = {
	[MEMBER_INDEX] = "index",
	[MEMBER_FILES] = "files",
	[MEMBER_SEALS] = "seals",
	[MEMBER_STORED] = "stored",
	[MEMBER_HINTS] = "hints",
	[MEMBER_CUTS] = "cuts",
	[MEMBER_DATA] = "data",
};

static const uint64_t member_bytes_max[MEMBER_ROLES] = {
	[MEMBER_INDEX] = INDEX_HEADER_BYTES + INDEX_ENTRIES_MAX * INDEX_ENTRY_BYTES,
	[MEMBER_FILES] = HEAD_BYTES_MAX,
	[MEMBER_SEALS] = 2 * INDEX_PAGES_MAX * SEAL_BYTES,
	[MEMBER_STORED] = INDEX_PAGES_MAX * STORED_PAGE_BYTES,
	[MEMBER_HINTS] = HINTS_BYTES_MAX,
	[MEMBER_CUTS] = INDEX_ENTRIES_MAX * CUTS_BYTES,
	[MEMBER_DATA] = PAYLOAD_BYTES_MAX,
};

const char *
payload_kind_name(enum payload_kind kind)
{
	return kind_names[kind];
}

const char *
member_role_name(enum member_role role)
{
	return role_names[role];
}

bool
manifest_is_for(const struct manifest *m, const char *compatible)
{
	for (size_t i = 0; i < m->compatible_count; i++) {
		if (strcmp(m->compatible[i], compatible) == 0)
			return true;
	}
	return false;
}

/* Names become parts of member and file names, so none of them may mean more than itself. out holds
 * max + 1. */
static int
copy_name(const char *text, const char *what, char *out, size_t max, struct err *e)
{
	size_t len = strlen(text);

	if (len > max)
		return err_set(e, ERR_LIMIT, "'%s' is longer than %zu bytes", what, max);
	if (!name_is_plain(text))
		return err_set(e, ERR_MALFORMED,
			"'%s' is no plain name: letters, digits and . _ + - only", what);
	memcpy(out, text, len + 1);
	return 0;
}

static int
get_name(const json_t *j, const char *key, char *out, size_t max, struct err *e)
{
	const char *text;

	if (json_get_string(j, key, max, &text, e) < 0)
		return -1;
	return copy_name(text, key, out, max, e);
}

/* A list of different plain names. */
static int
get_names(const json_t *j, const char *key, size_t min, size_t max, char (*out)[NAME_BYTES_MAX + 1],
	size_t *count, struct err *e)
{
	json_t *list;
	size_t n;

	if (json_get_array(j, key, max, &list, e) < 0)
		return -1;
	n = json_array_size(list);
	if (n < min)
		return err_set(e, ERR_MALFORMED, "'%s' is empty", key);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			return err_set(e, ERR_MALFORMED, "'%s' is not a list of names", key);
		if (copy_name(text, key, out[i], NAME_BYTES_MAX, e) < 0)
			return -1;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(out[k], out[i]) == 0)
				return err_set(e, ERR_MALFORMED, "'%s' has %s twice", key, text);
		}
	}
	*count = n;
	return 0;
}

/* What a bundle may require of the program that installs it. Nothing yet. */
static int
check_requires(const struct manifest *m, struct err *e)
{
	if (m->requires_count == 0)
		return 0;
	return err_set(e, ERR_MALFORMED,
		"it requires '%s', which this program cannot do; update the program first",
		m->requires[0]);
}

static int
parse_zlib(const json_t *j, struct manifest *m, struct err *e)
{
	static const char *const words[] = {"level", "version", NULL};
	json_t *zlib;

	if (json_get_object(j, "zlib", &zlib, e) < 0 || json_only(zlib, words, e) < 0 ||
		get_name(zlib, "version", m->zlib_version, sizeof(m->zlib_version) - 1, e) < 0)
		return -1;
	return json_get_uint(zlib, "level", 1, 9, &m->zlib_level, e);
}

/* The role of a member by its name, which is the payload's, a dot, and the role's. */
static int
member_role_read(const struct payload *p, const char *name, enum member_role *role, struct err *e)
{
	size_t len = strlen(p->name);

	for (int i = 0; i < MEMBER_ROLES; i++) {
		if (strncmp(name, p->name, len) == 0 && name[len] == '.' &&
			strcmp(name + len + 1, role_names[i]) == 0) {
			*role = (enum member_role)i;
			return 0;
		}
	}
	return err_set(e, ERR_MALFORMED, "'%.80s' is no member of this payload", name);
}

static int
parse_member(const json_t *j, struct payload *p, int *last_role, struct err *e)
{
	static const char *const words[] = {"name", "sha256", "size", NULL};
	enum member_role role = MEMBER_ROLES;
	struct member *m;
	const char *name;

	if (json_get_string(j, "name", 2 * NAME_BYTES_MAX, &name, e) < 0 ||
		json_only(j, words, e) < 0 || member_role_read(p, name, &role, e) < 0)
		return -1;
	if ((int)role <= *last_role)
		return err_set(e, ERR_MALFORMED, "%s stands twice, or not in order", name);
	m = &p->members[role];
	if (json_get_uint(j, "size", 0, member_bytes_max[role], &m->size, e) < 0 ||
		field_sha256(j, "sha256", &m->digest, e) < 0)
		return err_context(e, "%s", name);
	m->present = true;
	*last_role = (int)role;
	return 0;
}

static int
parse_members(const json_t *j, struct payload *p, struct err *e)
{
	int last_role = -1;
	json_t *list;

	if (json_get_array(j, "members", MEMBER_ROLES, &list, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (parse_member(json_array_get(list, i), p, &last_role, e) < 0)
			return err_context(e, "member %zu", i + 1);
	}
	return 0;
}

/* What goes with the index has parts for each of its entries. */
static int
check_parts(const struct payload *p, struct err *e)
{
	const struct member *m = p->members, *cuts = &m[MEMBER_CUTS];
	uint64_t entries = index_entries_in(m[MEMBER_INDEX].size);

	if (m[MEMBER_STORED].size != pages_stored_bytes(entries) ||
		m[MEMBER_SEALS].size != pages_seals_bytes(entries))
		return err_set(e, ERR_MALFORMED,
			"pages of stored, or seals, that are not those of the index");
	if (cuts->present && p->kind == PAYLOAD_TREE)
		return err_set(e, ERR_MALFORMED, "a tree with cuts");
	if (cuts->present && cuts->size != entries * CUTS_BYTES)
		return err_set(
			e, ERR_MALFORMED, "cuts that are not one for each entry of the index");
	return 0;
}

/* The members that this kind needs, and sizes that can be true together. */
static int
check_members(const struct payload *p, struct err *e)
{
	const struct member *m = p->members;
	bool tree = p->kind == PAYLOAD_TREE;

	if (!m[MEMBER_INDEX].present || !m[MEMBER_DATA].present)
		return err_set(e, ERR_MALFORMED, "its index or its data is missing");
	if (!m[MEMBER_STORED].present || !m[MEMBER_SEALS].present)
		return err_set(e, ERR_MALFORMED, "its stored or its seals are missing");
	if (m[MEMBER_FILES].present != tree)
		return err_set(e, ERR_MALFORMED,
			tree ? "a tree without a list of files" : "an image with a list of files");
	if (tree && m[MEMBER_HINTS].present)
		return err_set(e, ERR_MALFORMED, "a tree with hints");
	if (tree && !digest_equal(&p->digest, &m[MEMBER_FILES].digest))
		return err_set(e, ERR_MALFORMED, "a tree's digest is that of its list of files");
	if (!tree && p->size == 0)
		return err_set(e, ERR_MALFORMED, "an image of no bytes");
	if (m[MEMBER_DATA].size > p->size)
		return err_set(e, ERR_MALFORMED, "more data than the payload has bytes");
	if (m[MEMBER_HINTS].present && m[MEMBER_HINTS].size != hints_size(p->size))
		return err_set(e, ERR_MALFORMED, "hints that are not one for each block");
	return check_parts(p, e);
}

static int
parse_kind(const json_t *j, enum payload_kind *out, struct err *e)
{
	const char *text;

	if (json_get_string(j, "kind", NAME_BYTES_MAX, &text, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
		if (strcmp(text, kind_names[i]) == 0) {
			*out = (enum payload_kind)i;
			return 0;
		}
	}
	return err_set(e, ERR_MALFORMED, "'kind' is neither image nor tree");
}

static int
parse_payload(const json_t *j, struct payload *p, struct err *e)
{
	static const char *const words[] = {
		"kind", "members", "name", "sha256", "size", "slot", NULL};

	if (get_name(j, "name", p->name, NAME_BYTES_MAX, e) < 0)
		return -1;
	if (json_only(j, words, e) < 0 ||
		get_name(j, "slot", p->slot_class, NAME_BYTES_MAX, e) < 0 ||
		parse_kind(j, &p->kind, e) < 0 ||
		json_get_uint(j, "size", 0, PAYLOAD_BYTES_MAX, &p->size, e) < 0 ||
		field_sha256(j, "sha256", &p->digest, e) < 0 || parse_members(j, p, e) < 0 ||
		check_members(p, e) < 0)
		return err_context(e, "%s", p->name);
	return 0;
}

static int
check_different(const struct manifest *m, size_t last, struct err *e)
{
	const struct payload *p = &m->payloads[last];

	for (size_t i = 0; i < last; i++) {
		if (strcmp(m->payloads[i].name, p->name) == 0)
			return err_set(e, ERR_MALFORMED, "two payloads are called %s", p->name);
		if (strcmp(m->payloads[i].slot_class, p->slot_class) == 0)
			return err_set(
				e, ERR_MALFORMED, "two payloads are for slot %s", p->slot_class);
	}
	return 0;
}

static int
parse_payloads(const json_t *j, struct manifest *m, struct err *e)
{
	json_t *list;

	if (json_get_array(j, "payloads", PAYLOADS_MAX, &list, e) < 0)
		return -1;
	m->payload_count = json_array_size(list);
	if (m->payload_count == 0)
		return err_set(e, ERR_MALFORMED, "'payloads' is empty");
	for (size_t i = 0; i < m->payload_count; i++) {
		if (parse_payload(json_array_get(list, i), &m->payloads[i], e) < 0)
			return err_context(e, "payload %zu", i + 1);
		if (check_different(m, i, e) < 0)
			return -1;
	}
	return 0;
}

/* format and requires come first: where they are not known, nothing else can be judged. */
static int
parse_body(const json_t *j, struct manifest *m, struct err *e)
{
	static const char *const words[] = {"compatible", "format", "name", "payloads", "requires",
		"rollback_index", "version", "zlib", NULL};

	if (json_get_uint(j, "format", 1, INT64_MAX, &m->format, e) < 0)
		return -1;
	if (m->format != FORMAT)
		return err_set(e, ERR_MALFORMED,
			"format %" PRIu64 " is not known here; update the program first",
			m->format);
	if (get_names(j, "requires", 0, REQUIRES_MAX, m->requires, &m->requires_count, e) < 0 ||
		check_requires(m, e) < 0 || json_only(j, words, e) < 0 ||
		get_name(j, "name", m->name, NAME_BYTES_MAX, e) < 0 ||
		get_name(j, "version", m->version, VERSION_BYTES_MAX, e) < 0 ||
		json_get_uint(j, "rollback_index", 0, INT64_MAX, &m->rollback_index, e) < 0 ||
		get_names(j, "compatible", 1, COMPATIBLE_MAX, m->compatible, &m->compatible_count,
			e) < 0 ||
		parse_zlib(j, m, e) < 0)
		return -1;
	return parse_payloads(j, m, e);
}

static int
parse_into(const json_t *body, struct manifest *out, struct err *e)
{
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));

	if (!m)
		return err_sys(e, ENOMEM, "reading a manifest");
	if (parse_body(body, m, e) < 0)
		return err_context(e, "manifest");
	*out = *m;
	return 0;
}

int
manifest_parse(const struct verified *v, struct manifest *out, struct err *e)
{
	return parse_into(v->body, out, e);
}

static json_t *
build_names(const char (*names)[NAME_BYTES_MAX + 1], size_t count)
{
	json_t *list = json_array();

	/* A list that lacks memory becomes one that the rules refuse. */
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *
build_member(const struct payload *p, enum member_role role)
{
	const struct member *m = &p->members[role];
	char hex[DIGEST_HEX_SIZE];

	return json_pack("{s:s++, s:I, s:s}", "name", p->name, ".", role_names[role], "size",
		(json_int_t)m->size, "sha256", digest_hex(&m->digest, hex));
}

static json_t *
build_payload(const struct payload *p)
{
	AUTO_JSON json_t *members = json_array();
	char hex[DIGEST_HEX_SIZE];

	for (int role = 0; role < MEMBER_ROLES; role++) {
		if (p->members[role].present &&
			json_array_append_new(members, build_member(p, (enum member_role)role)) < 0)
			return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:O}", "name", p->name, "slot", p->slot_class,
		"kind", kind_names[p->kind], "size", (json_int_t)p->size, "sha256",
		digest_hex(&p->digest, hex), "members", members);
}

static json_t *
build_payloads(const struct manifest *m)
{
	AUTO_JSON json_t *list = json_array();

	for (size_t i = 0; i < m->payload_count; i++) {
		if (json_array_append_new(list, build_payload(&m->payloads[i])) < 0)
			return NULL;
	}
	return json_incref(list);
}

int
manifest_build(const struct manifest *m, json_t **out, struct err *e)
{
	AUTO_FREE struct manifest *back = calloc(1, sizeof(*back));
	AUTO_JSON json_t *requires = NULL, *compatible = NULL, *payloads = NULL, *j = NULL;

	if (m->payload_count > PAYLOADS_MAX || m->compatible_count > COMPATIBLE_MAX ||
		m->requires_count > REQUIRES_MAX)
		return err_set(e, ERR_LIMIT, "manifest: too many payloads or names");
	requires = build_names(m->requires, m->requires_count);
	compatible = build_names(m->compatible, m->compatible_count);
	payloads = build_payloads(m);
	j = json_pack("{s:I, s:O, s:s, s:s, s:I, s:O, s:{s:s, s:I}, s:O}", "format",
		(json_int_t)m->format, "requires", requires, "name", m->name, "version", m->version,
		"rollback_index", (json_int_t)m->rollback_index, "compatible", compatible, "zlib",
		"version", m->zlib_version, "level", (json_int_t)m->zlib_level, "payloads",
		payloads);
	if (!j || !back)
		return err_set(
			e, ERR_MALFORMED, "manifest: a text in it is no UTF-8, or memory is short");
	/* The rules are those of reading, so what was built is read. */
	if (parse_into(j, back, e) < 0)
		return -1;
	*out = TAKE_PTR(j);
	return 0;
}
