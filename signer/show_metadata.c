/* What a file of TUF metadata says, for people. Nothing is checked. */
#include "signer/show_metadata.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "common/limits.h"
#include "signer/ui.h"

/* From outside, so only what a terminal takes. */
static void
print_clean(const char *text)
{
	char clean[256];

	(void)snprintf(clean, sizeof(clean), "%s", text ? text : "?");
	text_clean(clean);
	for (char *c = clean; *c; c++)
		(void)putchar(*c == '\n' || *c == '\t' ? ' ' : *c);
}

static long long
number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void
print_list(const json_t *list, size_t width)
{
	const json_t *each;
	size_t i;

	json_array_foreach (list, i, each) {
		char cut[128];

		(void)snprintf(cut, sizeof(cut), "%.*s", (int)width,
			json_is_string(each) ? json_string_value(each) : "?");
		(void)putchar(' ');
		print_clean(cut);
	}
}

/* "releases    1 of 2  bundles/[*]  keys 0123456789abcdef ...". */
static void
print_role(const char *name, const json_t *role)
{
	AUTO_JSON json_t *ids = json_texts(json_object_get(role, "keyids"));

	(void)printf("  ");
	print_clean(name);
	(void)printf(": %lld of %zu keys", number_of(role, "threshold"), json_array_size(ids));
	if (json_object_get(role, "paths")) {
		(void)printf(", for");
		print_list(json_object_get(role, "paths"), 100);
	}
	(void)printf("\n   ");
	print_list(ids, 16);
	(void)printf("\n");
}

static void
print_roles(const json_t *body)
{
	const json_t *delegated = json_object_get(json_object_get(body, "delegations"), "roles");
	json_t *role;
	const char *name;
	size_t i;

	json_object_foreach (json_object_get(body, "roles"), name, role) {
		print_role(name, role);
	}
	json_array_foreach (delegated, i, role) {
		print_role(json_text(role, "name"), role);
	}
}

static void
print_files(const json_t *body)
{
	json_t *entry;
	const char *name;

	json_object_foreach (json_object_get(body, "meta"), name, entry) {
		(void)printf("  ");
		print_clean(name);
		(void)printf(", version %lld\n", number_of(entry, "version"));
	}
	json_object_foreach (json_object_get(body, "targets"), name, entry) {
		(void)printf("  ");
		print_clean(name);
		(void)printf(", %lld bytes, sha256 ", number_of(entry, "length"));
		print_clean(json_text(json_object_get(entry, "hashes"), "sha256"));
		(void)printf("\n");
	}
}

static void
print_text(const json_t *root)
{
	const json_t *body = json_object_get(root, "signed");
	const json_t *signatures = json_object_get(root, "signatures"), *s;
	size_t i;

	print_clean(json_text(body, "_type"));
	(void)printf(" metadata, version %lld, expires ", number_of(body, "version"));
	print_clean(json_text(body, "expires"));
	(void)printf("\n");
	print_roles(body);
	print_files(body);
	(void)printf("signatures, not checked: %zu\n", json_array_size(signatures));
	json_array_foreach (signatures, i, s) {
		(void)printf("  ");
		print_clean(json_text(s, "keyid"));
		(void)printf("\n");
	}
}

bool
show_is_metadata(const char *file)
{
	AUTO_CLOSE int fd = -1;
	char first = 0;

	return file_open_regular(file, &fd, NULL) == 0 &&
	       file_read_some(fd, file, &first, 1, NULL) == 1 && first == '{';
}

int
show_metadata(const char *file, bool json, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TUF_TARGETS_BYTES_MAX);
	AUTO_JSON json_t *root = NULL;

	if (file_read_regular(file, &bytes, e) < 0 ||
		json_parse(buf_span(&bytes), file, &root, e) < 0)
		return -1;
	if (!json_text(json_object_get(root, "signed"), "_type"))
		return err_set(e, ERR_MALFORMED, "%s is neither a bundle nor TUF metadata", file);
	if (!json) {
		print_text(root);
		return 0;
	}
	return ui_json_print(root, e);
}
